"""What somebody is shown of the menu, and the way to a page (spec section 10)."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import TypeVar

import attrs

from crm_domain.errors import Language
from crm_domain.model import Menu, Permission, PermissionGroup

Arranged = TypeVar("Arranged", Menu, PermissionGroup, Permission)


@attrs.frozen(kw_only=True)
class Titled:
    """Something with a title in both languages."""

    title: str
    title_en: str

    def label(self, language: Language = "zh") -> str:
        """Say it to a person; without an English title the Chinese one has to do."""
        return self.title if language == "zh" else self.title_en or self.title


@attrs.frozen(kw_only=True)
class Entry(Titled):
    """A page in the menu."""

    code: str
    """The permission that opens it."""
    url: str


@attrs.frozen(kw_only=True)
class EntryGroup(Titled):
    """Pages that belong together."""

    id: int
    entries: tuple[Entry, ...]


@attrs.frozen(kw_only=True)
class EntryMenu(Titled):
    """A heading of the menu with its groups."""

    id: int
    icon: str | None
    groups: tuple[EntryGroup, ...]


@attrs.frozen(kw_only=True)
class Crumb(Titled):
    """One step of the way to a page."""

    kind: str
    """``menu``, ``group``, ``entry`` or ``permission``."""
    url: str | None = None
    """None where there is no page, or none that one may open."""


@attrs.frozen(kw_only=True)
class Trail:
    """The way to a page: menu, group, entry, and what one does there."""

    crumbs: tuple[Crumb, ...]
    highlighted: str | None
    """The code of the entry to highlight; None when no entry belongs to it."""


@attrs.frozen(kw_only=True)
class Arrangement:
    """How menus, groups and permissions are arranged now."""

    menus: Mapping[int, Menu]
    groups: Mapping[int, PermissionGroup]
    permissions: Mapping[int, Permission]

    def by_code(self, code: str) -> Permission | None:
        """Find a permission."""
        return next((p for p in self.permissions.values() if p.code == code), None)

    def shown(self, held: Container[str]) -> tuple[EntryMenu, ...]:
        """Give the menus with what somebody may open; what would be empty is left out.

        Args:
            held: The permissions that are held.
        """
        found = []
        for menu in in_order(self.menus.values()):
            groups = [
                EntryGroup(id=g.id or 0, title=g.title, title_en=g.title_en, entries=entries)
                for g in in_order(self.groups.values())
                if g.menu_id == menu.id and (entries := self._entries(g, held))
            ]
            if groups:
                found.append(
                    EntryMenu(id=menu.id or 0, title=menu.title, title_en=menu.title_en,
                              icon=menu.icon, groups=tuple(groups))
                )  # fmt: skip
        return tuple(found)

    def _entries(self, group: PermissionGroup, held: Container[str]) -> tuple[Entry, ...]:
        return tuple(
            Entry(code=p.code, title=p.title, title_en=p.title_en, url=p.url or "")
            for p in in_order(self.permissions.values())
            if p.group_id == group.id and is_entry(p) and p.code in held
        )

    def entry_of(self, permission: Permission) -> Permission | None:
        """Find the entry to highlight: the permission itself, or the nearest it hangs from."""
        seen: set[int | None] = set()
        at: Permission | None = permission
        while at is not None and at.id not in seen:
            if is_entry(at):
                return at
            seen.add(at.id)
            at = self.permissions.get(at.parent_id or 0)
        return None

    def trail(self, permission: Permission, held: Container[str]) -> Trail:
        """Give the way to what a permission opens.

        Args:
            permission: The one that the page asks for.
            held: The permissions that are held; other pages are named without a link.
        """
        entry = self.entry_of(permission)
        place = entry or permission
        group = self.groups.get(place.group_id or 0)
        menu = None if group is None else self.menus.get(group.menu_id or 0)
        crumbs = [
            Crumb(kind=kind, title=step.title, title_en=step.title_en)
            for kind, step in (("menu", menu), ("group", group))
            if step is not None
        ]
        if entry is not None:
            url = entry.url if entry.code in held else None
            crumbs.append(
                Crumb(kind="entry", title=entry.title, title_en=entry.title_en, url=url)
            )  # fmt: skip
        if entry is not permission:
            crumbs.append(
                Crumb(kind="permission", title=permission.title, title_en=permission.title_en)
            )
        return Trail(crumbs=tuple(crumbs), highlighted=entry.code if entry else None)


def is_entry(permission: Permission) -> bool:
    """Whether a permission is a page in the menu."""
    return permission.in_menu and permission.url is not None


def in_order(items: Iterable[Arranged]) -> list[Arranged]:
    """Sort as an administrator arranged it; what has the same place by age."""
    return sorted(items, key=lambda item: (item.position, item.id or 0))
