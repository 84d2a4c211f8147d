"""The page for authors of plugins tells the truth."""

import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from crm_adapters.plugins import Plugins
from crm_domain import Settings, testing
from crm_domain.hookspecs import GROUP, Hooks
from crm_domain.testing.notifiers import a_notice, an_employee

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "write-a-plugin.md").read_text("utf-8")


def blocks(language):
    """The blocks of code in a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The plugin of the page, installed as the page says; gives its name."""
    project = tomllib.loads(blocks("toml")[0])["project"]
    ((name, module),) = project["entry-points"][GROUP].items()
    assert f"`{module}.py`" in PAGE
    (tmp_path / f"{module}.py").write_text(blocks("python")[0], "utf-8")
    info = tmp_path / f"{module}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {module}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    importlib.invalidate_caches()
    yield name
    sys.modules.pop(module, None)


def test_the_plugin_of_the_page_works(installed):
    """Whoever copies the page has a working channel, without warning or error."""
    plugins = Plugins(Settings(plugins=installed, plugins_strict=True))
    notifiers = plugins.gather_notifiers(Settings())
    notifiers["sticky"].send(a_notice("新客户"), an_employee())
    notifiers["sticky"].close()
    assert Path("sticky.txt").read_text("utf-8") == "李雷: 新客户 张三 (customer 17)\n"
    assert {p.name: p.hooks for p in plugins.loaded}[installed] == ("crm_notifiers",)


def test_the_plugin_of_the_page_passes_the_suite_as_the_page_says(installed, tmp_path):
    """The test of the page is complete, and the plugin of the page keeps the contract."""
    (tmp_path / "test_sticky.py").write_text(blocks("python")[1], "utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_sticky.py"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    assert " passed" in ran.stdout


def test_the_plugin_of_the_page_is_built_although_its_test_lies_beside_it(tmp_path):
    """Every edit is installed anew, and setuptools takes no folder with two modules unasked."""
    (tmp_path / "pyproject.toml").write_text(blocks("toml")[0], "utf-8")
    for name, code in zip(("crm_sticky", "test_sticky"), blocks("python"), strict=True):
        (tmp_path / f"{name}.py").write_text(code, "utf-8")
    script = "from setuptools import setup; setup()"
    built = subprocess.run([sys.executable, "-c", script, "-q", "build"], cwd=tmp_path,
                           capture_output=True, text=True, timeout=60)  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert [p.name for p in (tmp_path / "build" / "lib").iterdir()] == ["crm_sticky.py"]


def test_the_page_lists_every_hook_with_its_signature():
    """No hook is missing from the page, and none has changed since it was written."""
    listed = re.findall(r"^\| `(crm_\w+\(.*?)` \|", PAGE, re.MULTILINE)
    assert [h.replace("\\|", "|") for h in listed] == [
        signature(hook) for name, hook in vars(Hooks).items() if name.startswith("crm_")
    ]


def signature(hook):
    found = inspect.signature(hook)
    arguments = [a for a in found.parameters.values() if a.name != "self"]
    # Annotations are text here, so the quotes that str() puts around them are left out.
    plain = str(found.replace(parameters=arguments)).replace("'", "")
    return hook.__name__ + plain


def test_the_page_lists_every_contract_suite_with_its_fixtures():
    """Whoever writes an adapter finds the suite for it, and what to give it."""
    listed = {}
    for suites, fixtures in re.findall(r"^\|[^|]+\|[^|]+\| (.*Contract`) \| (.*) \|$", PAGE, re.M):
        for suite in re.findall(r"`(\w+)`", suites):
            listed[suite] = set(re.findall(r"`(\w+)`", fixtures))
    assert listed == {name: needed(suite) for name, suite in contracts().items()}


def contracts():
    found = {}
    for module in pkgutil.iter_modules(testing.__path__):
        loaded = importlib.import_module(f"{testing.__name__}.{module.name}")
        for name, kind in inspect.getmembers(loaded, inspect.isclass):
            if name.endswith("Contract") and name != "FailureContract":
                found[name] = kind
    return found


def needed(suite):
    """The fixtures that pytest does not bring along and the suite does not have itself."""
    tests = [f for n, f in inspect.getmembers(suite) if n.startswith("test_")]
    asked = {a for test in tests for a in inspect.signature(test).parameters}
    return asked - {"self", "tmp_path"}
