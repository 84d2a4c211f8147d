"""How the menu is arranged: menus, the groups in them, the permissions in those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from crm_domain.errors import CrmError, EditConflict, NotFound
from crm_domain.model import Menu, Permission, PermissionGroup, specs
from crm_domain.ports import Query
from crm_domain.rules.menus import in_order
from crm_domain.usecases import access, records
from crm_web.answers import Answer, Page, Redirect
from crm_web.context import Context, read_version
from crm_web.forms import typed_fields
from crm_web.pages.users import named, problems_of
from crm_web.resource import plain
from crm_web.screen import screen
from crm_web.widgets import inputs

MOST = 500
FIELDS = ("title", "title_en", "group_id", "position", "in_menu")


@attrs.frozen(kw_only=True)
class Section:
    """A menu with its groups, and each group's permissions; None stands for what is in none."""

    menu: Menu | None
    groups: tuple[tuple[PermissionGroup | None, tuple[Permission, ...]], ...]


def arrange(c: Context) -> Answer:
    """Show all menus with their groups and permissions, in order."""
    # Who may see the menus need not manage roles, and is then shown menus and groups alone.
    menus: list[Menu | None] = [*_all(c, Menu), None]
    parts = _permissions(c)
    groups = _all(c, PermissionGroup) if c.by.may("permission_group:view") else []
    sections = [
        Section(menu=menu, groups=tuple(
            (g, parts.get(g.id, ())) for g in groups if g.menu_id == (menu.id if menu else None)
        ))
        for menu in menus
    ]  # fmt: skip
    if loose := parts.get(None):
        sections[-1] = attrs.evolve(sections[-1], groups=(*sections[-1].groups, (None, loose)))
    titles = {p.id: named(c, p) for part in parts.values() for p in part}
    return Page(template="menus.html", data={
        "sections": [s for s in sections if s.menu or s.groups], "titles": titles,
        "named": lambda x: named(c, x), "may_arrange": c.by.may("role:manage"),
    })  # fmt: skip


def _all(c: Context, cls: type[Any]) -> list[Any]:
    return in_order(records.list_records(c.crm, cls, Query(limit=MOST), by=c.by))


def _permissions(c: Context) -> dict[int | None, tuple[Permission, ...]]:
    """Give the permissions by the number of their group."""
    if not (c.by.may("role:manage") or c.by.may("user:manage")):
        return {}
    return {
        part.group.id if part.group else None: part.permissions
        for part in access.list_permissions(c.crm, by=c.by)
    }


@screen("/menus/move", needs="menu:edit", methods=("POST",))
def move(c: Context) -> Answer:
    """Move a menu among all, a group within its menu, or a permission within its group."""
    kind, which = c.one("kind"), c.one("which")
    try:
        access.move_entry(c.crm, kind, which, up=c.one("to") == "up", by=c.by)
    except EditConflict as e:
        return Redirect(to="/menus", said=e.message(c.language), tone="danger")
    return Redirect(to=f"/menus#{kind}-{which}")


@screen("/menus/permissions/{code}", needs="role:manage", methods=("GET", "POST"))
def permission(c: Context, code: str) -> Answer:
    """Show where a permission stands, or put it elsewhere."""
    found = _permission(c, code)
    if c.request.method == "GET":
        return _form(c, found)
    typed = typed_fields(c, Permission, FIELDS)
    typed |= {"title_en": typed["title_en"] or "", "parent": c.one("parent") or None}
    try:
        access.arrange_permission(c.crm, code, typed, version=read_version(c), by=c.by)
    except CrmError as e:
        errors, status = problems_of(c, e)
        return _form(c, _permission(c, code), typed, errors, status, isinstance(e, EditConflict))
    return Redirect(to="/menus", said=c.t("已保存。", "Saved."))


def _permission(c: Context, code: str) -> Permission:
    for part in access.list_permissions(c.crm, by=c.by):
        for found in part.permissions:
            if found.code == code:
                return found
    raise NotFound(what="权限", id=code)


def _form(
    c: Context, found: Permission, typed: Mapping[str, Any] | None = None,
    errors: Mapping[str, Sequence[str]] | None = None, status: int = 200, conflict: bool = False,
) -> Answer:  # fmt: skip
    errors = errors or {}
    parts = access.list_permissions(c.crm, by=c.by)
    every = [p for part in parts for p in part.permissions]
    parent = next((p.code for p in every if p.id == found.parent_id), "")
    # A permission without a page cannot be an entry, so that is not asked.
    names = [n for n in FIELDS if n != "in_menu" or found.url]
    shown = inputs(c, [specs(Permission)[n] for n in names], found, typed, errors,
                   found if conflict else None)  # fmt: skip
    groups = tuple((str(p.group.id), f"{named(c, p.menu)} · {named(c, p.group)}")
                   for p in parts if p.group)  # fmt: skip
    return Page(template="permission.html", status=status, data={
        "x": found, "title": named(c, found), "errors": errors.get("", ()), "conflict": conflict,
        "inputs": [attrs.evolve(i, options=groups) if i.name == "group_id" else i for i in shown],
        "parents": [(p.code, named(c, p)) for p in every if p.id != found.id and p.url],
        "parent": parent if typed is None else typed["parent"] or "",
        "parent_errors": errors.get("parent", ()),
    })  # fmt: skip


SCREENS = (
    move, permission, plain(Menu, "menus", ("菜单", "Menus"), "layout-dashboard", page=arrange),
)  # fmt: skip
