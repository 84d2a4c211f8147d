"""The commands in the documents exist, and the first steps of the README work as they stand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from test_reference import walk, whole_app

from crm_adapters.cli import main

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)


def typed(page: Path) -> list[list[str]]:
    """Give the words of every ``crm`` command that a page shows at a prompt."""
    return [
        shlex.split(command, comments=True)[1:]
        for block in CONSOLE.findall(page.read_text("utf-8"))
        for line in block.splitlines()
        for command in line.removeprefix("$ ").split(" && ")
        if command.startswith("crm ")
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    """A command that was renamed is renamed in the documents, too."""
    known = dict(walk(whole_app()))
    named = [" ".join(["crm", *words]) for words in typed(page)]
    for command in (*named, *re.findall(r"`(crm [^`]+)`", page.read_text("utf-8"))):
        [words] = re.findall(r"^crm(?: [a-z][a-z-]*)*", command)
        first = words.split(" ")
        app = known.get(" ".join(first[:2]))
        assert app is not None, command
        group = not app.default_command and len(first) > 2
        assert not group or " ".join(first[:3]) in known, command


@pytest.mark.parametrize("page", ["README.md", "README.zh.md"])
def test_the_first_steps_of_the_readme_work_as_they_stand(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever types them one after another is never refused."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRM_DATABASE_URL", "sqlite:///crm.db")
    # Fetching the assets asks the network, and they are there already.
    commands = [words for words in typed(ROOT / page) if words[0] != "assets"]
    assert len(commands) > 8
    for words in commands:
        asks = words == ["import", "customers.xlsx"]
        status = main([*words, "--dry-run"] if asks else words)
        out, err = capsys.readouterr()
        assert status == 0, (words, out, err)


def test_both_readmes_show_the_same_commands() -> None:
    """Only what is said to people is translated."""
    english, chinese = (typed(ROOT / page) for page in ("README.md", "README.zh.md"))
    assert [words[:2] for words in english] == [words[:2] for words in chinese]
