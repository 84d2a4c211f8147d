"""The web face as a plugin like any other: its screens, and the commands that serve them.

Nothing of Starlette is imported before a screen or a command is really asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from crm_domain.hookspecs import hookimpl

if TYPE_CHECKING:
    from cyclopts import App


@hookimpl
def crm_screens() -> Sequence[Any]:
    """Give the pages and lists of the program itself."""
    from crm_web import pages, resources

    return [*pages.screens(), *resources.resources()]


@hookimpl
def crm_commands(app: App) -> None:
    """Add ``crm serve`` and ``crm assets``."""
    from crm_web.commands import add_commands

    add_commands(app)
