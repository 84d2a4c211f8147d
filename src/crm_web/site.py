"""What all requests share: the templates, the lists and the screens."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import attrs
import jinja2

from crm_domain.errors import NotFound
from crm_domain.ports import Crm
from crm_domain.rules.menus import EntryMenu, Trail
from crm_domain.usecases import access, inbox
from crm_domain.usecases.access import Navigation
from crm_domain.usecases.sessions import Session
from crm_web.cells import Drawn
from crm_web.context import CSRF, LANGUAGES, Context
from crm_web.files import Files
from crm_web.resource import Resource
from crm_web.screen import Screen

log = logging.getLogger(__name__)
TEMPLATES = Path(__file__).parent / "templates"
COOKIE = "crm"
EXPORTS = 2
"""So many are written at a time; each keeps a thread and half a core for as long as it takes."""
REMEMBERED = 100
"""So many menus are remembered, one for each combination of rights."""


@attrs.frozen(kw_only=True)
class Site:
    """One web face over one CRM."""

    crm: Crm
    screens: Sequence[Screen]
    resources: Mapping[str, Resource]
    files: Files
    templates: jinja2.Environment
    https: bool = False
    exporting: threading.BoundedSemaphore = attrs.field(
        factory=lambda: threading.BoundedSemaphore(EXPORTS)
    )
    """Held by each export while it is written."""
    _read: dict[tuple[str, frozenset[str]], tuple[Navigation, list[EntryMenu]]] = attrs.field(
        factory=dict, init=False
    )

    @property
    def cookie(self) -> str:
        """The name of the session's cookie; the prefix binds it to this very host."""
        return f"__Host-{COOKIE}" if self.https else COOKIE

    def render(self, context: Context, template: str, data: Mapping[str, Any]) -> str:
        """Fill in a template."""
        session = context.session
        shared: dict[str, Any] = {
            "c": context, "t": context.t, "lang": context.language, "look": Drawn(context),
            "csrf": session.csrf_token if session else "", "csrf_name": CSRF,
            "by": session.principal if session else None, "languages": LANGUAGES,
            "path": context.request.url.path, "icon": self.files.address("icons.svg"),
            "icons": self.icons,
        }  # fmt: skip
        # Asked for by whole pages only.
        place = self._place(context)
        shared |= {
            "menus": lambda: place()[0], "trail": lambda: place()[1],
            "unread": self._unread(context),
        }  # fmt: skip
        return self.templates.get_template(template).render({**shared, **data})

    def _place(self, context: Context) -> Callable[[], tuple[list[EntryMenu], Trail | None]]:
        """Give what reads the menu and where the page belongs in it: at most once, together."""

        @cache
        def read() -> tuple[list[EntryMenu], Trail | None]:
            if context.session is None:
                return [], None
            navigation, menus = self._navigation(context.session)
            return menus, self._trail(navigation, menus, context)

        return read

    def _unread(self, context: Context) -> Callable[[], int]:
        staff = context.session is not None and context.by.employee_id is not None
        return lambda: inbox.count_unread(self.crm, by=context.by) if staff else 0

    @cached_property
    def undos(self) -> frozenset[str]:
        """The addresses of what takes something back, without the first slash."""
        return frozenset(
            f"{r.name}/actions/{a.undo.name}" for r in self.resources.values() for a in r.actions
            if a.undo is not None
        )  # fmt: skip

    @cached_property
    def icons(self) -> Mapping[str, str]:
        """The icons of pages, by address."""
        return {s.path: s.icon for s in self.screens if s.icon}

    def _navigation(self, session: Session) -> tuple[Navigation, list[EntryMenu]]:
        """Give the menu, whole and as it is shown; it is read again once anybody arranged it."""
        key = session.arranged, session.principal.permissions
        found = self._read.get(key)
        if found is None:
            if len(self._read) >= REMEMBERED:
                self._read.clear()
            read = access.navigation(self.crm, by=session.principal)
            found = self._read[key] = read, self._there(read.menus)
        return found

    def _there(self, menus: Iterable[EntryMenu]) -> list[EntryMenu]:
        """Leave out entries of pages that nobody has made, as of a plugin that is gone."""
        paths = {screen.path for screen in self.screens}
        found = []
        for menu in menus:
            groups = [
                attrs.evolve(group, entries=tuple(e for e in group.entries if e.url in paths))
                for group in menu.groups
            ]
            if kept := tuple(group for group in groups if group.entries):
                found.append(attrs.evolve(menu, groups=kept))
        return found

    def _trail(
        self, navigation: Navigation, menus: Iterable[EntryMenu], context: Context
    ) -> Trail | None:
        """Find where a page belongs: under the entry of its address, or its permission's.

        A list may be open to whoever holds another permission than its entry asks for, so the
        address counts first; what has no entry highlights that of its parent.
        """
        path, needs = context.request.url.path, context.screen.needs if context.screen else ""
        entries = [e for menu in menus for group in menu.groups for e in group.entries]
        under = [e for e in entries if path == e.url or path.startswith(f"{e.url}/")]
        entry = max(under, key=lambda e: len(e.url), default=None)
        try:
            trail = navigation.trail(needs)
        except NotFound:
            trail = None
        if entry is not None and (trail is None or trail.highlighted != entry.code):
            trail = navigation.trail(entry.code)
        if trail is None:
            return None
        paths = {e.url for e in entries}
        return attrs.evolve(trail, crumbs=tuple(
            attrs.evolve(c, url=c.url if c.url in paths else None) for c in trail.crumbs
        ))  # fmt: skip


def make_templates(files: Files, folders: Sequence[Path] = ()) -> jinja2.Environment:
    """Make what fills in templates: everything escaped, nothing undefined.

    Args:
        files: Where assets are.
        folders: Where plugins have templates of their own.

    Raises:
        ValueError: Two templates have one name, or a folder has none.
    """
    seen: set[str] = set()
    for folder in (TEMPLATES, *folders):
        names = set(jinja2.FileSystemLoader(folder).list_templates())
        if not names or names & seen:
            both = ", ".join(sorted(names & seen))
            raise ValueError(f"{folder}: " + (f"{both} is there already" if both else "is empty"))
        seen |= names
    loader = jinja2.FileSystemLoader([TEMPLATES, *folders])
    found = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    found.globals["asset"] = files.address
    return found
