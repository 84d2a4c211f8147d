"""The reference of settings and of the command line is what the code says.

After a change: ``python tests/docs/test_reference.py`` writes the tables of both pages anew.
"""

import os
import pkgutil
import re
from importlib import import_module
from pathlib import Path

import pytest

from crm_adapters.cli.app import build_app
from crm_adapters.cli.exits import OWN, exit_code
from crm_adapters.settings import describe
from crm_domain.errors import CrmError
from crm_web.plugin import crm_commands

PACKAGES = ("crm_domain", "crm_adapters", "crm_web")
FOLDER = Path(__file__).parents[2] / "docs" / "reference"
BETWEEN = "<!-- from the code: begin -->\n{}<!-- from the code: end -->\n"


def whole_app():
    """Make the command line with all that comes with the program, and nothing of other plugins."""
    app = build_app()
    crm_commands(app)
    return app


def walk(app, words=("crm",)):
    """Give every command and group with the words that call it, in order."""
    yield " ".join(words), app
    for name in app:
        if not name.startswith("-"):
            yield from walk(app[name], (*words, name))


def arguments(app):
    """Give name, default and help of what a command takes."""
    for argument in app.assemble_argument_collection() if app.default_command else ():
        default = argument.field_info.default
        empty = default in (None, False, ()) or isinstance(default, type)
        shown = "required" if argument.required else "" if empty else f"`{default}`"
        name = argument.name
        if not argument.required and not name.startswith("-"):
            name = f"[{name}]"
        yield name, shown, argument.parameter.help


def commands_text():
    """Describe every command."""
    parts = []
    for words, app in walk(whole_app()):
        if not app.default_command:
            continue
        parts.append(f"### `{words}`\n\n{app.help}\n\n")
        rows = "".join(f"| `{n}` | {d} | {h} |\n" for n, d, h in arguments(app))
        parts.append(f"| argument | default | |\n|---|---|---|\n{rows}\n")
    return "".join(parts)


def settings_text():
    """Describe every setting."""
    rows = "".join(
        f"| `{s.name}` | {s.type} | {s.default and f'`{s.default}`'} | {s.help} |\n"
        for s in describe()
    )
    return f"| variable | what it holds | default | |\n|---|---|---|---|\n{rows}\n"


def refusals():
    """Give each code of a refusal with what it means in English."""
    # All modules, so that it does not matter what other tests have imported.
    for package in map(import_module, PACKAGES):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith((".__main__", ".env", ".child")):
                import_module(module.name)
    found = {}
    kinds = [CrmError]
    while kinds:
        kind = kinds.pop()
        kinds += [k for k in kind.__subclasses__() if k.__module__.startswith(PACKAGES)]
        if kind.code != "refused":
            found[kind.code] = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
    return found | OWN


def errors_text():
    """Describe every refusal by its code and exit code."""
    found = sorted((exit_code(code), code, text) for code, text in refusals().items())
    rows = "".join(
        f"| {status} | `{code}` | {re.sub('{[^}]*}', '…', text)} |\n"
        for status, code, text in found
    )
    return f"| exit code | `error` | |\n|---|---|---|\n{rows}\n"


PAGES = {
    "command-line.md": lambda: f"## Refusals\n\n{errors_text()}## Commands\n\n{commands_text()}",
    "settings.md": settings_text,
}


@pytest.mark.parametrize("page", PAGES)
def test_the_reference_is_what_the_code_says(page, monkeypatch):
    """No command, option or setting is missing, and every help text is the program's."""
    monkeypatch.setenv("CRM_LANGUAGE", "en")
    assert BETWEEN.format(PAGES[page]()) in (FOLDER / page).read_text("utf-8"), (
        "run: python tests/docs/test_reference.py"
    )


def test_every_help_text_stands_in_both_languages(monkeypatch):
    """Commands, groups and options: Chinese in Chinese, English in English, and none is missing."""
    texts = {}
    for tongue in ("zh", "en"):
        monkeypatch.setenv("CRM_LANGUAGE", tongue)
        app = whole_app()
        texts[tongue] = [
            text for _, one in walk(app) for text in (one.help, *(a[2] for a in arguments(one)))
        ]
    assert len(texts["zh"]) == len(texts["en"]) > 80
    for chinese, english in zip(texts["zh"], texts["en"], strict=True):
        assert re.search("[\u4e00-\u9fff]", chinese), (chinese, english)
        assert re.search("[a-z]", english) and not re.search("[。：；，]", english)


def test_every_command_that_answers_data_knows_json(monkeypatch):
    """Programs can use the whole command line."""
    monkeypatch.setenv("CRM_LANGUAGE", "en")
    for words, app in walk(build_app()):
        if app.default_command:
            assert "--json" in [name for name, *_ in arguments(app)], words


def write():
    """Write the tables of both pages anew."""
    os.environ["CRM_LANGUAGE"] = "en"
    begin, end = (re.escape(part) for part in BETWEEN.split("{}"))
    for page, text in PAGES.items():
        path = FOLDER / page
        made = re.sub(f"{begin}.*?{end}", lambda _, t=text: BETWEEN.format(t()),
                      path.read_text("utf-8"), flags=re.DOTALL)  # fmt: skip
        path.write_text(made, "utf-8")


if __name__ == "__main__":
    write()
