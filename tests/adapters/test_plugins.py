"""A plugin that is broken is noted, and takes nobody along."""

import importlib
import sys

import pytest

from crm_adapters.plugins import Plugins
from crm_adapters.settings import read_settings
from crm_domain import Settings
from crm_domain.errors import BadSetting

HEAD = """
from crm_domain.hookspecs import hookimpl
from crm_domain.rules.access import Declared
from crm_domain.testing.notifiers import RecordingNotifier
"""
GOOD = """
@hookimpl
def crm_notifiers(settings):
    return [RecordingNotifier("pager")]
"""
RAISES = """
@hookimpl
def crm_notifiers(settings):
    raise RuntimeError("no network\\nand a long story")
"""
MISSPELT = """
@hookimpl
def crm_notifier(settings):
    return []
"""
WRONG_ARGUMENT = """
@hookimpl
def crm_notifiers(config):
    return []
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a distribution with one plugin, as pip would leave it on the path."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def install(name, code, distribution=None):
        module = f"plugin_{len(made)}_{name.replace('-', '_')}"
        made.append(module)
        (tmp_path / f"{module}.py").write_text(HEAD + code)
        info = tmp_path / f"{(distribution or name).replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: {distribution or name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[crm_domain.plugins]\n{name} = {module}\n")
        importlib.invalidate_caches()
        return module

    yield install
    for module in made:
        sys.modules.pop(module, None)


def found(plugins, name):
    return {p.name: p for p in plugins.loaded}[name]


def channels(plugins):
    return list(plugins.gather_notifiers(Settings()))


def test_the_built_ins_need_no_metadata():
    """From a source tree the console and both strategies are there all the same, once."""
    plugins = Plugins(Settings(plugins="", plugins_strict=True))
    assert channels(plugins) == ["inapp", "console"]
    assert sorted(plugins.strategies()) == ["rounds", "smooth"]
    assert plugins.permissions() == ()
    assert found(plugins, "crm-builtin").hooks == ("crm_notifiers", "crm_rotation_strategies")


def test_e_mail_is_there_where_a_mail_server_is_set():
    """Without a server there is no such channel."""
    settings = read_settings({"CRM_SMTP_URL": "smtp://h", "CRM_SMTP_FROM": "a@b"})
    assert list(Plugins(settings).gather_notifiers(settings)) == ["inapp", "console", "email"]


def test_an_installed_plugin_is_found(install):
    """Installing is all that a channel needs."""
    install("crm-pager", GOOD)
    plugins = Plugins(Settings(plugins_strict=True))
    assert channels(plugins) == ["inapp", "console", "pager"]
    loaded = found(plugins, "crm-pager")
    assert (loaded.version, loaded.hooks, loaded.error) == ("1.2", ("crm_notifiers",), None)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("1 +", "SyntaxError: "),
        (MISSPELT + GOOD.replace("pager", "x"), "crm_notifier; did you mean crm_notifiers?"),
        (WRONG_ARGUMENT, "PluginValidationError: "),
        (RAISES, "RuntimeError: no network"),
        (GOOD.replace('[RecordingNotifier("pager")]', "7"), "TypeError: 'int' object"),
        (GOOD.replace('RecordingNotifier("pager")', "object()"), "object is no Notifier, it lacks"),
        (GOOD.replace("pager", "console"), "'console' is there already"),
        (GOOD.replace("@hookimpl", "@hookimpl(wrapper=True)").replace("return", "yield"),
         "crm_notifiers: wrappers are not supported"),
    ],
)  # fmt: skip
def test_a_broken_plugin_is_noted_and_the_others_work(install, code, error):
    """Whatever is wrong with one plugin, the built-ins and the next plugin are there."""
    install("a-broken-one", code)
    install("b-good-one", GOOD)
    plugins = Plugins(Settings())
    assert channels(plugins) == ["inapp", "console", "pager"]
    assert error in found(plugins, "a-broken-one").error.splitlines()[-1]
    assert found(plugins, "b-good-one").error is None


@pytest.mark.parametrize("code", ["import no_such_module", MISSPELT, RAISES])
def test_a_strict_school_does_not_start_with_a_broken_plugin(install, code):
    """The refusal names the plugin and what is wrong with it."""
    install("a-broken-one", code)
    with pytest.raises(BadSetting, match=r"CRM_PLUGINS_STRICT.*a-broken-one failed: "):
        channels(Plugins(Settings(plugins_strict=True)))


def test_channels_are_closed_again_when_a_strict_school_does_not_start(install):
    """What the plugins before the broken one opened does not stay open."""
    code = "OPEN = RecordingNotifier('pager')\n@hookimpl\ndef crm_notifiers(settings):\n"
    module = install("a-good-one", code + "    return [OPEN]\n")
    install("b-broken-one", RAISES)
    with pytest.raises(BadSetting):
        channels(Plugins(Settings(plugins_strict=True)))
    assert sys.modules[module].OPEN.closed == 1


def test_a_plugin_that_is_not_allowed_is_not_even_imported(install):
    """The code of a denied plugin never runs, and the operator can see that it was left out."""
    denied = install("crm-denied", GOOD)
    allowed = install("crm-allowed", GOOD)
    plugins = Plugins(Settings(plugins=" crm-allowed ,", plugins_strict=True))
    assert denied not in sys.modules
    assert allowed in sys.modules
    assert found(plugins, "crm-denied").error == "left out by CRM_PLUGINS"


def test_an_allowed_plugin_that_is_not_installed_is_noted():
    """A misspelt name on the list does not go unseen."""
    plugins = Plugins(Settings(plugins="crm-pagre"))
    assert "not installed" in found(plugins, "crm-pagre").error
    with pytest.raises(BadSetting, match="crm-pagre"):
        Plugins(Settings(plugins="crm-pagre", plugins_strict=True))


def test_a_name_that_is_taken_is_not_loaded_again(install):
    """Nobody takes the place of the built-ins by calling itself like them."""
    impostor = install("crm-builtin", GOOD, distribution="impostor")
    plugins = Plugins(Settings())
    assert impostor not in sys.modules
    assert channels(plugins) == ["inapp", "console"]
    assert "was not loaded" in found(plugins, "crm-builtin").error


def test_strategies_and_permissions_of_plugins_add_up(install):
    """Each hook is asked of every plugin; what the core has cannot be declared again."""
    code = """
@hookimpl
def crm_rotation_strategies():
    return {"alphabetic": lambda entries: iter(())}

@hookimpl
def crm_permissions():
    return [Declared("fee:see", "查看", "see fees"), Declared("customer:view", "x", "x")]
"""
    install("crm-more", code)
    plugins = Plugins(Settings())
    assert sorted(plugins.strategies()) == ["alphabetic", "rounds", "smooth"]
    assert [p.code for p in plugins.permissions()] == ["fee:see"]
    assert "customer:view is a permission of the core" in found(plugins, "crm-more").error


def test_the_storage_is_given_by_whoever_knows_the_address(install):
    """A plugin that answers None leaves the address to the next."""
    code = (
        "@hookimpl\ndef crm_storage(url):\n    return str.upper if url.startswith('{}') else None\n"
    )
    install("a-one", code.format("one:"))
    install("b-two", code.format("two:"))
    plugins = Plugins(Settings())
    assert plugins.storage("two://x") is str.upper
    assert plugins.storage("sqlite://") is None


def test_commands_of_one_plugin_survive_another_that_fails(install):
    """The command line has the commands of all plugins that work."""
    install("a-one", "@hookimpl\ndef crm_commands(app):\n    raise KeyError('x')\n")
    install("b-two", "@hookimpl\ndef crm_commands(app):\n    app.append('hello')\n")
    app = []
    Plugins(Settings()).commands(app)
    assert app == ["hello"]
