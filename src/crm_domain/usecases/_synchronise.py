"""What is declared in code becomes rows that administrators arrange."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from crm_domain.model import Menu, Permission, PermissionGroup, Role
from crm_domain.model.fields import changed
from crm_domain.ports import Crm, UnitOfWork
from crm_domain.rules.access import PERMISSIONS, ROLES, Declared
from crm_domain.rules.permissions import GROUPS, MENUS

Coded = TypeVar("Coded", Menu, PermissionGroup)


def synchronise(crm: Crm, permissions: Sequence[Declared] = ()) -> None:
    """Write the declared permissions, their menus and the built-in roles into the database.

    What an administrator arranged stays: an existing role keeps its permissions, an existing
    permission its place, and a menu or group that was removed comes back only with a permission
    that is new to the database and stands in it. A new permission is given to the built-in roles
    that have it by declaration. Those of plugins go to the administrators, who could not give them
    to others otherwise.

    Args:
        crm: The CRM.
        permissions: What plugins declare beside the core.
    """
    with crm.unit_of_work() as uow:
        # First, because it keeps others who synchronise at the same time waiting.
        uow.turns.people_changed()
        known = {p.code: p.id or 0 for p in uow.records.all(Permission)}
        declared = {p.code: (i, p) for i, p in reversed([*enumerate((*PERMISSIONS, *permissions))])}
        new = _place(uow, {c: d for c, d in declared.items() if c not in known}, known)
        _give(uow, new, {p.code for p in permissions})


def _place(
    uow: UnitOfWork, waiting: Mapping[str, tuple[int, Declared]], known: Mapping[str, int]
) -> dict[str, int]:
    """Write new permissions, those first that others hang from; give their numbers by code."""
    groups = _groups(uow, {d.group for _, d in waiting.values() if d.group is not None})
    made: dict[str, int] = {}
    rest = dict(sorted(waiting.items(), key=lambda item: item[1][0]))
    while rest:
        there = {**known, **made}
        ready = [c for c, (_, d) in rest.items() if d.parent not in rest or d.parent == c]
        # What hangs in a circle by mistake hangs from nothing.
        for code in ready or list(rest):
            place, d = rest.pop(code)
            saved = uow.records.add(
                Permission(
                    code=code, title=d.zh, title_en=d.en, url=d.url, position=place,
                    in_menu=d.in_menu and d.url is not None,
                    parent_id=there.get(d.parent or ""), group_id=groups.get(d.group or ""),
                )
            )  # fmt: skip
            made[code] = saved.id or 0
    return made


def _groups(uow: UnitOfWork, wanted: set[str]) -> dict[str, int]:
    """Find or make the groups that new permissions stand in, and the menus of new groups."""
    found: dict[str, int] = {}
    for i, group in enumerate(GROUPS):
        if group.code not in wanted:
            continue
        there = _there(uow, PermissionGroup, group.code, group.zh)
        if there is None:
            place, menu = next((i, m) for i, m in enumerate(MENUS) if m.code == group.menu)
            above = _there(uow, Menu, menu.code, menu.zh) or uow.records.add(
                Menu(code=menu.code, title=menu.zh, title_en=menu.en, icon=menu.icon,
                     position=place)
            )  # fmt: skip
            there = uow.records.add(
                PermissionGroup(code=group.code, title=group.zh, title_en=group.en,
                                menu_id=above.id, position=i)
            )  # fmt: skip
        found[group.code] = there.id or 0
    return found


def _there(uow: UnitOfWork, cls: type[Coded], code: str, title: str) -> Coded | None:
    return uow.records.find(cls, code=code) or uow.records.find(cls, title=title)


def _give(uow: UnitOfWork, new: Mapping[str, int], of_plugins: set[str]) -> None:
    roles = {r.code: r for r in uow.records.all(Role) if r.code}
    for built_in in ROLES:
        extra = of_plugins if built_in.code == "administrator" else set()
        codes = built_in.permissions | extra
        granted = tuple(sorted(new[c] for c in codes if c in new))
        role = roles.get(built_in.code)
        if role is None:
            uow.records.add(
                Role(code=built_in.code, title=built_in.zh, title_en=built_in.en,
                     scope=built_in.scope, permissions=granted)
            )  # fmt: skip
        elif granted:
            uow.records.save(changed(role, permissions=(*role.permissions, *granted)))
