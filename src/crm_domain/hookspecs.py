"""What plugins may give: the hooks, with their exact signatures.

A plugin is a module or object named by an entry point of the group ``crm_domain.plugins``; the
built-ins are plugins of the same kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pluggy

from crm_domain.ports import Notifier, Settings, Storage
from crm_domain.rules.access import Declared
from crm_domain.rules.rotation import Strategy

GROUP = "crm_domain.plugins"
hookspec = pluggy.HookspecMarker("crm_domain")
hookimpl = pluggy.HookimplMarker("crm_domain")


class Hooks:
    """The hooks. Each is called once when a CRM is opened, except ``crm_commands``."""

    @hookspec
    def crm_notifiers(self, settings: Settings) -> Sequence[Notifier]:  # type: ignore[empty-body]
        """Give channels that notices can go out by.

        Args:
            settings: The settings of the CRM that is being opened.
        """

    @hookspec
    def crm_rotation_strategies(self) -> Mapping[str, Strategy]:  # type: ignore[empty-body]
        """Give ways to lay out a cycle of the rotation, by name."""

    @hookspec
    def crm_permissions(self) -> Sequence[Declared]:  # type: ignore[empty-body]
        """Declare permissions that the plugin's own use cases ask for.

        They are written into the database when a CRM is opened with ``migrate=True``: for a plugin
        that was installed later, by ``crm db upgrade``.
        """

    @hookspec
    def crm_storage(self, url: str) -> Callable[[str], Storage] | None:
        """Give what opens a storage at a database address, or None when it is another's.

        Args:
            url: The address, as in ``CRM_DATABASE_URL``.
        """

    @hookspec
    def crm_screens(self) -> Sequence[Any]:  # type: ignore[empty-body]
        """Give lists (``crm_web.resource.Resource``), what is added to lists that are there
        (``crm_web.resource.Extension``), pages (``crm_web.screen.Screen``), and where the templates
        of these are (``crm_web.screen.Templates``).

        It is called when a web process starts; import ``crm_web`` within it.
        """

    @hookspec
    def crm_commands(self, app: Any) -> None:
        """Add commands to the command line.

        Args:
            app: The cyclopts ``App`` of ``crm``.
        """
