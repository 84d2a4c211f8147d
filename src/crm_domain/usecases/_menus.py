"""The menu: what somebody is shown of it, and how administrators arrange it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from crm_domain.errors import EditConflict, FieldError, Invalid, NotFound
from crm_domain.model import Menu, Permission, PermissionGroup
from crm_domain.model.fields import changed
from crm_domain.parsing import parse_fields, quoted
from crm_domain.ports import Crm, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.rules.menus import Arrangement, EntryMenu, Trail, in_order
from crm_domain.usecases._common import audit

ARRANGED = ("group_id", "in_menu", "title", "title_en", "position")
"""What an administrator may change of a permission, beside its parent."""
STEP = 10
"""Between two neighbours, so that a number typed by hand fits in between."""
MOVING: Mapping[str, str] = {
    "menu": "menu:edit", "group": "permission_group:edit", "permission": "role:manage",
}  # fmt: skip
"""What moves, and the permission that it needs."""


@attrs.frozen(kw_only=True)
class Navigation:
    """The menus with what somebody may open, and the way to any page."""

    menus: tuple[EntryMenu, ...]
    arrangement: Arrangement = attrs.field(repr=False)
    held: frozenset[str] = attrs.field(repr=False)

    def trail(self, permission: str) -> Trail:
        """Give the way to what a permission opens; without entry it highlights its parent's.

        Raises:
            NotFound: There is no such permission.
        """
        found = self.arrangement.by_code(permission)
        if found is None:
            raise NotFound(what="权限", id=quoted(permission))
        return self.arrangement.trail(found, self.held)


def navigation(crm: Crm, *, by: Principal) -> Navigation:
    """Read the menu as somebody is shown it, by three statements; no permission is needed."""
    with crm.unit_of_work(read_only=True) as uow:
        found = _arrangement(uow)
    return Navigation(menus=found.shown(by.permissions), arrangement=found, held=by.permissions)


def trail(crm: Crm, permission: str, *, by: Principal) -> Trail:
    """Give the way to what a permission opens; a page that shows the menu asks `Navigation`.

    Raises:
        NotFound: There is no such permission.
    """
    return navigation(crm, by=by).trail(permission)


@attrs.frozen(kw_only=True)
class ArrangedGroup:
    """A group with its menu and its permissions, as administrators see it."""

    menu: Menu | None
    group: PermissionGroup | None
    """None for the permissions that stand in no group."""
    permissions: tuple[Permission, ...]


def list_permissions(crm: Crm, *, by: Principal) -> tuple[ArrangedGroup, ...]:
    """Tell all permissions by menu and group, in order; groups without permissions, too.

    Raises:
        NotPermitted: With neither ``role:manage`` nor ``user:manage``.
    """
    if not by.may("user:manage"):
        by.need("role:manage")
    with crm.unit_of_work(read_only=True) as uow:
        found = _arrangement(uow)
    ordered = in_order(found.permissions.values())
    menus: list[Menu | None] = [*in_order(found.menus.values()), None]
    rows = [
        ArrangedGroup(
            menu=menu, group=group,
            permissions=tuple(p for p in ordered if p.group_id == group.id),
        )
        for menu in menus
        for group in in_order(found.groups.values())
        if group.menu_id == (menu.id if menu else None)
    ]  # fmt: skip
    loose = tuple(p for p in ordered if p.group_id is None)
    return (*rows, ArrangedGroup(menu=None, group=None, permissions=loose)) if loose else (*rows,)


def arrange_permission(
    crm: Crm, code: str, values: Mapping[str, Any], *, version: int | None = None, by: Principal
) -> Permission:
    """Say where a permission stands in the menu, and what it is called.

    Args:
        crm: The CRM.
        code: The permission.
        values: Any of ``title``, ``title_en``, ``group_id``, ``in_menu``, ``position`` and
            ``parent``: the code of the permission whose entry is highlighted, or None.
        version: The version that was read; None does not look at it.
        by: Who asks; needs ``role:manage``.

    Returns:
        The permission.

    Raises:
        EditConflict: Somebody arranged it since.
        Invalid: With every problem.
        NotFound: There is no such permission.
        NotPermitted: Without the permission to manage roles.
    """
    by.need("role:manage")
    given: Any = dict(values) if isinstance(values, Mapping) else values
    hangs, parent = False, None
    problems = []
    if isinstance(given, dict):
        hangs, parent = "parent" in given, given.pop("parent", None)
        problems = [
            FieldError(str(n), "unknown_field", None, f"“{quoted(n)}”不能在这里修改",
                       f"{quoted(n)} is not changed here")
            for n in given if n not in ARRANGED
        ]  # fmt: skip
        given = {n: v for n, v in given.items() if n in ARRANGED}
    fields, wrong = parse_fields(Permission, given, partial=True)
    with crm.unit_of_work() as uow:
        # First: two who hang permissions from each other at once would make a circle.
        uow.turns.people_changed()
        now = crm.now()
        found = _arrangement(uow)
        before = found.by_code(code) if isinstance(code, str) else None
        if before is None:
            raise NotFound(what="权限", id=quoted(code))
        if version is not None and version != before.version:
            raise EditConflict(what="权限", seen=version, version=before.version)
        if hangs:
            fields["parent_id"], bad = _parent(found, before, parent)
            problems += bad
        problems += wrong + _misplaced(found, before, fields)
        if problems:
            raise Invalid(problems)
        saved = uow.records.save(changed(before, **fields))
        audit(uow, by, now, "arrange", "Permission", saved.id, before, saved)
        return saved


def move_entry(crm: Crm, kind: str, which: str, *, up: bool, by: Principal) -> None:
    """Move something of the menu by one place, all of it or nothing; beyond an end it stays.

    Args:
        crm: The CRM.
        kind: ``menu``, which moves among all; ``group``, within its menu; or ``permission``, within
            its group.
        which: A menu or a group by its number, a permission by its code.
        up: Whether towards the beginning.
        by: Who asks; needs ``menu:edit``, ``permission_group:edit`` or ``role:manage``.

    Raises:
        EditConflict: Somebody else moved some of it at the same time.
        NotFound: There is no such thing.
        NotPermitted: Without the permission.
    """
    kind, which = str(kind), str(which)
    by.need(MOVING.get(kind, "role:manage"))
    with crm.unit_of_work() as uow:
        found, now = _arrangement(uow), crm.now()
        order = _siblings(found, kind, which)
        at = next(i for i, x in enumerate(order) if _is(x, which))
        to = at - 1 if up else at + 1
        if not 0 <= to < len(order):
            return
        order[at], order[to] = order[to], order[at]
        placed = [(one, i * STEP) for i, one in enumerate(order, 1) if one.position != i * STEP]
        # By number, so that of two at once one waits, and then finds another version.
        for before, place in sorted(placed, key=lambda pair: pair[0].id or 0):
            saved = uow.records.save(changed(before, position=place))
            audit(uow, by, now, "arrange", type(saved).__name__, saved.id, before, saved)


def _is(one: Menu | PermissionGroup | Permission, which: str) -> bool:
    return which == (one.code if isinstance(one, Permission) else str(one.id))


def _siblings(found: Arrangement, kind: str, which: str) -> list[Any]:
    """Give what something moves among, in order."""
    among: dict[str, tuple[Iterable[Any], Callable[[Any], object]]] = {
        "menu": (found.menus.values(), lambda one: None),
        "group": (found.groups.values(), lambda one: one.menu_id),
        "permission": (found.permissions.values(), lambda one: one.group_id),
    }
    every, home = among.get(kind, ((), lambda one: None))
    ordered = in_order(every)
    for one in ordered:
        if _is(one, which):
            return [x for x in ordered if home(x) == home(one)]
    raise NotFound(what="菜单", id=quoted(which))


def _arrangement(uow: UnitOfWork) -> Arrangement:
    return Arrangement(
        menus={m.id or 0: m for m in uow.records.all(Menu)},
        groups={g.id or 0: g for g in uow.records.all(PermissionGroup)},
        permissions={p.id or 0: p for p in uow.records.all(Permission)},
    )


def _parent(
    found: Arrangement, permission: Permission, code: Any
) -> tuple[int | None, list[FieldError]]:
    """Find what a permission shall hang from: never, however far up, from itself."""
    if code is None or code == "":
        return None, []
    parent = found.by_code(code) if isinstance(code, str) else None
    if parent is None:
        return None, [FieldError("parent", "unknown_permission", code, f"没有权限“{quoted(code)}”",
                                 f"there is no permission {quoted(code)}")]  # fmt: skip
    at: Permission | None = parent
    while at is not None:
        if at.id == permission.id:
            return None, [FieldError("parent", "circle", code, "不能归属于自己或自己的下级",
                                     "it would hang from itself")]  # fmt: skip
        at = found.permissions.get(at.parent_id or 0)
    return parent.id, []


def _misplaced(
    found: Arrangement, before: Permission, fields: Mapping[str, Any]
) -> list[FieldError]:  # fmt: skip
    problems = []
    group = fields.get("group_id")
    if group is not None and group not in found.groups:
        problems.append(FieldError("group_id", "unknown_group", group, "没有这个权限组",
                                   "there is no such group"))  # fmt: skip
    if fields.get("in_menu") and before.url is None:
        problems.append(FieldError("in_menu", "no_page", None, "该权限没有页面，不能显示在菜单中",
                                   "it has no page, so it cannot be in the menu"))  # fmt: skip
    return problems
