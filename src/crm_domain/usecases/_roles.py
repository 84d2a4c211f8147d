"""Roles and permissions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crm_domain.errors import FieldError, Invalid, NotFound, ScopeTooWide
from crm_domain.model import Permission, Role, Scope, specs
from crm_domain.model.fields import changed
from crm_domain.parsing import Unreadable, choice_value, quoted, read_field
from crm_domain.ports import Crm, UnitOfWork
from crm_domain.rules.access import PERMISSIONS, ROLES, Declared, Principal, union
from crm_domain.usecases._common import audit, refuse_stale
from crm_domain.usecases._rights import (
    FREELY_GIVEN,
    administrators,
    refuse_beyond,
    refuse_lockout,
)


def synchronise(crm: Crm, permissions: Sequence[Declared] = ()) -> None:
    """Write the declared permissions and the built-in roles into the database.

    What an administrator arranged stays: an existing role keeps its permissions, but a permission
    that is new to the database is given to the built-in roles that have it by declaration. Those
    of plugins go to the administrators, who could not give them to others otherwise.

    Args:
        crm: The CRM.
        permissions: What plugins declare beside the core.
    """
    with crm.unit_of_work() as uow:
        # First, because it keeps others who synchronise at the same time waiting.
        uow.turns.people_changed()
        known = {p.code: p for p in uow.records.all(Permission)}
        new: dict[str, int] = {}
        for declared in (*PERMISSIONS, *permissions):
            if declared.code not in known and declared.code not in new:
                made = uow.records.add(
                    Permission(code=declared.code, title=declared.zh, title_en=declared.en)
                )
                new[declared.code] = made.id or 0
        roles = {r.code: r for r in uow.records.all(Role) if r.code}
        of_plugins = {p.code for p in permissions}
        for built_in in ROLES:
            extra = of_plugins if built_in.code == "administrator" else set()
            codes = built_in.permissions | extra
            granted = tuple(sorted(new[c] for c in codes if c in new))
            role = roles.get(built_in.code)
            if role is None:
                uow.records.add(
                    Role(code=built_in.code, title=built_in.zh, scope=built_in.scope,
                         permissions=granted)
                )  # fmt: skip
            elif granted:
                uow.records.save(changed(role, permissions=(*role.permissions, *granted)))


def set_role(
    crm: Crm, code: str, *, permissions: Sequence[str], scope: Scope | None = None,
    version: int | None = None, by: Principal,
) -> Role:  # fmt: skip
    """Say what a role may do, and how far it reaches; it takes effect at the next request.

    Args:
        crm: The CRM.
        code: The role's code or title; a new title makes a new role.
        permissions: All its permissions, by code.
        scope: Its data scope; None leaves it as it is.
        version: The version of the role as it was read; None replaces whatever is there.
        by: Who asks; needs ``role:manage``, and all that the role has and gets.

    Returns:
        The role, with its number.

    Raises:
        EditConflict: Somebody changed the role since, or at the same moment.
        Invalid: The code is empty or too long, the permissions are no list, or there is no such
            scope.
        LastAdministrator: Nobody would be left who manages users and roles.
        NotFound: There is no such permission; or no such role any more, where its version was read.
        NotPermitted: Without the permission, or for a permission that is not held.
        ScopeTooWide: The role reaches, or would reach, further than one's own scope.
    """
    by.need("role:manage")
    title, wide = _read(code, permissions, scope)
    with crm.unit_of_work() as uow:
        # First: whoever deals a turn locks the rotation before it reads the people.
        uow.turns.people_changed()
        now = crm.now()
        ids = _granted(uow, permissions, by)
        role = uow.records.find(Role, code=title) or uow.records.find(Role, title=title)
        managers = administrators(crm, uow, now)
        if role is None and version is not None:
            raise NotFound(what="角色", id=quoted(title))
        if role is None:
            new = Role(title=title, permissions=ids, scope=wide or Scope.OWN)
        else:
            refuse_stale("角色", version, role.version)
            refuse_beyond(uow, [role.id or 0], by)
            new = changed(role, permissions=ids, scope=wide or role.scope)
        if union([new.scope, by.scope]) is not by.scope:
            raise ScopeTooWide(scope_zh=new.scope.zh, scope_en=new.scope.en)
        saved = uow.records.add(new) if role is None else uow.records.save(new)
        refuse_lockout(crm, uow, managers, now, by)
        audit(uow, by, now, "update", "Role", saved.id, role, saved)
        return saved


def _read(code: Any, permissions: Any, scope: Any) -> tuple[str, Scope | None]:
    title, problem = read_field(specs(Role)["title"], code if isinstance(code, str) else None)
    problems = [] if problem is None else [problem]
    listed = isinstance(permissions, list | tuple | set | frozenset)
    if not listed or not all(isinstance(p, str) for p in permissions):
        problems.append(FieldError("permissions", "bad_permissions", None, "权限须为权限代码的列表",
                                   "the permissions must be a list of codes"))  # fmt: skip
    wide: Scope | None = None
    try:
        found = choice_value(Scope, scope)
        wide = found if isinstance(found, Scope) else None
    except Unreadable as e:
        problems.append(FieldError("scope", e.code, scope, f"没有数据范围“{quoted(scope)}”",
                                   f"there is no data scope {quoted(scope)}"))  # fmt: skip
    if problems:
        raise Invalid(problems)
    return str(title), wide


def _granted(uow: UnitOfWork, permissions: Sequence[str], by: Principal) -> tuple[int, ...]:
    """Find permissions that somebody may give.

    Raises:
        NotFound: There is no such permission.
        NotPermitted: It is not held.
    """
    known = {p.code: p.id or 0 for p in uow.records.all(Permission)}
    for permission in permissions:
        if permission not in FREELY_GIVEN:
            by.need(permission)
        if permission not in known:
            raise NotFound(what="权限", id=quoted(permission))
    return tuple(sorted({known[p] for p in permissions}))
