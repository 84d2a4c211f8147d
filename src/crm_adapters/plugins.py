"""Finds plugins and asks them, so that one which is broken takes nobody along.

pluggy's own loader stops at the first plugin that cannot be imported, and a hook call stops at the
first implementation that raises. Here each plugin is loaded, and each implementation called, by
itself; what went wrong is noted in `Plugins.loaded`.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

import attrs
import pluggy

from crm_domain import __version__
from crm_domain.errors import BadSetting
from crm_domain.hookspecs import GROUP, Hooks
from crm_domain.ports import Loaded, Notifier, Settings
from crm_domain.rules.access import ALL_PERMISSIONS, Declared
from crm_domain.rules.rotation import Strategy

T = TypeVar("T")
BUILTIN = EntryPoint("crm-builtin", "crm_adapters.builtin", GROUP)
_log = logging.getLogger(__name__)


class _Wrong(Exception):
    """Something is wrong with a plugin, in both languages."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.zh = zh


def explain(error: BaseException) -> tuple[str, str]:
    """Say in English and in Chinese why a plugin failed; what it says itself stays as it is."""
    first_line = next(iter(str(error).strip().splitlines()), "")
    if isinstance(error, _Wrong):
        return first_line, error.zh
    short = f"{type(error).__name__}: {first_line}"[:200]
    return short, short


class Plugins:
    """The plugins that were loaded, and what they give. Where two give the same, the first does."""

    def __init__(self, settings: Settings) -> None:
        """Load the built-ins, then every installed plugin that is allowed, by name.

        Args:
            settings: ``plugins`` names those that may load; ``plugins_strict`` makes failures
                fatal.

        Raises:
            BadSetting: A plugin failed, and plugins are strict; so do all methods.
        """
        self._manager = pluggy.PluginManager("crm_domain")
        self._manager.add_hookspecs(Hooks)
        self._strict = settings.plugins_strict
        self._loaded: dict[str, Loaded] = {}
        # The built-ins do not depend on metadata, which a source tree on the path does not have.
        self._load(BUILTIN, __version__)
        allowed = {n.strip() for n in settings.plugins.split(",") if n.strip()}
        found = [e for e in entry_points(group=GROUP) if e.value != BUILTIN.value]
        for entry in sorted(found, key=lambda e: (e.name, e.value)):
            version = entry.dist.version if entry.dist else ""
            if "*" in allowed or entry.name in allowed:
                self._load(entry, version)
            else:
                refused = Loaded(name=entry.name, version=version,
                                 error="left out by CRM_PLUGINS",
                                 error_zh="CRM_PLUGINS 没有列出它")  # fmt: skip
                self._loaded.setdefault(entry.name, refused)
        for name in sorted(allowed - {"*"} - self._loaded.keys()):
            self._loaded[name] = Loaded(name=name)
            with self._guarded(name):
                raise _Wrong("named in CRM_PLUGINS, but not installed",
                             "CRM_PLUGINS 列出了它，但没有安装")  # fmt: skip

    @property
    def loaded(self) -> tuple[Loaded, ...]:
        """What was found, and what became of it up to now."""
        return tuple(self._loaded.values())

    def gather_notifiers(self, settings: Settings) -> dict[str, Notifier]:
        """Ask for the channels, by name."""
        found: dict[str, Notifier] = {}
        try:
            for plugin, given in self._ask("crm_notifiers", settings=settings):
                with self._guarded(plugin):
                    for notifier in given:
                        _take(found, _channel(notifier), notifier)
        except BadSetting:
            for notifier in found.values():
                with suppress(Exception):
                    notifier.close()
            raise
        return found

    def strategies(self) -> dict[str, Strategy]:
        """Ask for the rotation strategies, by name."""
        found: dict[str, Strategy] = {}
        for plugin, given in self._ask("crm_rotation_strategies"):
            with self._guarded(plugin):
                for name, strategy in given.items():
                    _take(found, name, strategy)
        return found

    def permissions(self) -> tuple[Declared, ...]:
        """Ask for the permissions that plugins declare beside those of the core."""
        found: dict[str, Declared] = {}
        for plugin, given in self._ask("crm_permissions"):
            with self._guarded(plugin):
                for one in given:
                    if one.code in ALL_PERMISSIONS:
                        raise _Wrong(f"{one.code} is a permission of the core",
                                     f"{one.code} 是系统自带的权限")  # fmt: skip
                    _take(found, one.code, one)
        return tuple(found.values())

    def storage(self, url: str) -> Callable[..., Any] | None:
        """Ask who opens this database address; None when no plugin does."""
        return next((given for _, given in self._ask("crm_storage", url=url)), None)

    def screens(self) -> tuple[Any, ...]:
        """Ask for the lists and pages of the web face."""
        found: list[Any] = []
        for plugin, given in self._ask("crm_screens"):
            with self._guarded(plugin):
                found += given
        return tuple(found)

    def commands(self, app: Any) -> None:
        """Let every plugin add its commands to the command line.

        Args:
            app: The cyclopts ``App``.
        """
        for _ in self._ask("crm_commands", app=app):
            pass

    def _load(self, entry: EntryPoint, version: str) -> None:
        if entry.name in self._loaded:
            with self._guarded(entry.name):
                raise _Wrong(f"{entry.value} has the same name, and was not loaded",
                             f"{entry.value} 与它同名，没有加载")  # fmt: skip
            return
        self._loaded[entry.name] = Loaded(name=entry.name, version=version)
        with self._guarded(entry.name):
            plugin = entry.load()
            self._manager.register(plugin, name=entry.name)
            try:
                hooks = self._hooks_of(plugin)
            except _Wrong:
                self._manager.unregister(plugin)
                raise
            self._loaded[entry.name] = attrs.evolve(self._loaded[entry.name], hooks=hooks)

    def _hooks_of(self, plugin: object) -> tuple[str, ...]:
        """The hooks that a plugin implements; pluggy itself overlooks what is misspelt."""
        callers = self._manager.get_hookcallers(plugin) or []
        for caller in callers:
            if not caller.has_spec():
                near = difflib.get_close_matches(caller.name, dir(Hooks), n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                hint_zh = f"，是否指 {near[0]}？" if near else ""
                raise _Wrong(f"there is no hook {caller.name}{hint}",
                             f"没有钩子 {caller.name}{hint_zh}")  # fmt: skip
            mine = (i for i in caller.get_hookimpls() if i.plugin is plugin)
            if any(i.wrapper or i.hookwrapper for i in mine):
                raise _Wrong(f"{caller.name}: wrappers are not supported",
                             f"{caller.name}：不支持 wrapper")  # fmt: skip
        return tuple(sorted(c.name for c in callers))

    def _ask(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        """Call the implementations of a hook one by one, in the order of loading."""
        implementations = getattr(self._manager.hook, hook).get_hookimpls()
        places = {name: place for place, name in enumerate(self._loaded)}
        for one in sorted(implementations, key=lambda i: places[i.plugin_name]):
            given = None
            with self._guarded(one.plugin_name):
                given = one.function(*(arguments[a] for a in one.argnames))
            if given is not None:
                yield one.plugin_name, given

    @contextmanager
    def _guarded(self, plugin: str) -> Iterator[None]:
        """Note what goes wrong in the block, or raise it when plugins are strict."""
        try:
            yield
        except Exception as e:
            en, zh = explain(e)
            if self._strict:
                raise BadSetting(
                    name="CRM_PLUGINS_STRICT", reason=f"the plugin {plugin} failed: {en}",
                    reason_zh=f"插件 {plugin} 出错：{zh}",
                ) from e  # fmt: skip
            _log.warning("the plugin %s failed", plugin, exc_info=e)
            before = self._loaded[plugin]
            self._loaded[plugin] = attrs.evolve(
                before, error=f"{before.error}; {en}" if before.error else en,
                error_zh=f"{before.error_zh}；{zh}" if before.error_zh else zh,
            )  # fmt: skip


def _take(found: dict[str, T], name: str, given: T) -> None:
    if name in found:
        raise _Wrong(f"{name!r} is there already", f"已经有 {name!r}")
    found[name] = given


def _channel(notifier: Notifier) -> str:
    lacks = [a for a in ("name", "address", "send", "close") if not hasattr(notifier, a)]
    if lacks:
        kind = type(notifier).__name__
        raise _Wrong(f"{kind} is no Notifier, it lacks: {', '.join(lacks)}",
                     f"{kind} 不是 Notifier，缺少：{'、'.join(lacks)}")  # fmt: skip
    return notifier.name
