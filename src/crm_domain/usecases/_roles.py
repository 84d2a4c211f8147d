"""Roles and permissions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from crm_domain.errors import BuiltIn, EditConflict, FieldError, Invalid, NotFound, ScopeTooWide
from crm_domain.model import Permission, Role, Scope, specs
from crm_domain.model.fields import changed
from crm_domain.parsing import Unreadable, choice_value, parse_fields, quoted, read_field
from crm_domain.ports import Crm, UnitOfWork
from crm_domain.rules.access import Principal, union
from crm_domain.usecases._common import audit, reach_of, refuse_stale
from crm_domain.usecases._rights import (
    FREELY_GIVEN,
    administrators,
    may_give,
    refuse_beyond,
    refuse_lockout,
    words_of_roles,
)


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
        LastAdministrator: Nobody would be left who manages all users and roles.
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
        if role is None and version is not None:
            raise NotFound(what="角色", id=quoted(title))
        if role is None:
            new = Role(title=title, permissions=ids, scope=wide or Scope.OWN)
        else:
            refuse_stale("角色", version, role.version)
            new = changed(role, permissions=ids, scope=wide or role.scope)
        return _keep(crm, uow, role, new, now, by)


@attrs.frozen(kw_only=True)
class RoleSummary:
    """A role as its page shows it."""

    role: Role
    permissions: tuple[str, ...]
    """The codes."""
    accounts: int
    """How many within the reach of whoever asks have it."""
    givable: bool
    """Whether whoever asks may give and change it: it neither holds nor reaches more."""


def list_roles(crm: Crm, *, by: Principal) -> tuple[RoleSummary, ...]:
    """Tell all roles with their permissions, and how many accounts within one's reach have each.

    Raises:
        NotPermitted: With neither ``role:manage`` nor ``user:manage``.
    """
    if not by.may("user:manage"):
        by.need("role:manage")
    with crm.unit_of_work(read_only=True) as uow:
        codes = {p.id: p.code for p in uow.records.all(Permission)}
        counts = uow.directory.role_counts(reach_of(by))
        found = []
        for role in uow.records.all(Role):
            held = tuple(sorted(codes[n] for n in role.permissions))
            found.append(RoleSummary(
                role=role, permissions=held, accounts=counts.get(role.id or 0, 0),
                givable=may_give(by, held, role.scope),
            ))  # fmt: skip
        return tuple(found)


def add_role(crm: Crm, values: Mapping[str, Any], *, by: Principal) -> Role:
    """Make a role of the school's own.

    Args:
        crm: The CRM.
        values: ``title``, and if wanted ``title_en``, ``scope`` and ``permissions`` (codes).
        by: Who asks; needs ``role:manage``, and all that the role gets.

    Returns:
        The role, with its number.

    Raises:
        Duplicate: Another role has the title.
        Invalid: With every problem.
        NotPermitted: Without the permission, or for a permission that is not held.
        ScopeTooWide: The role would reach further than one's own scope.
    """
    by.need("role:manage")
    fields, codes, problems = _typed(values, partial=False)
    with crm.unit_of_work() as uow:
        uow.turns.people_changed()
        now = crm.now()
        ids, unknown = _numbers(uow, codes or ())
        if problems + unknown:
            raise Invalid(problems + unknown)
        _granted(uow, codes or (), by)
        return _keep(crm, uow, None, Role(**fields, permissions=ids), now, by)


def edit_role(
    crm: Crm, role: int | str, values: Mapping[str, Any], *, version: int | None = None,
    by: Principal,
) -> Role:  # fmt: skip
    """Change what a role is called, what it may do, and how far it reaches.

    Args:
        crm: The CRM.
        role: Its number, code or title.
        values: Any of ``title``, ``title_en``, ``scope`` and ``permissions`` (all, by code).
        version: The version that was read; None does not look at it.
        by: Who asks; needs ``role:manage``, and all that the role has and gets.

    Returns:
        The role.

    Raises:
        Duplicate: Another role has the title.
        EditConflict: Somebody changed it since.
        Invalid: With every problem.
        LastAdministrator: Nobody would be left who manages all users and roles.
        NotFound: There is no such role.
        NotPermitted: Without the permission, or for a permission that is not held.
        ScopeTooWide: The role reaches, or would reach, further than one's own scope.
    """
    by.need("role:manage")
    fields, codes, problems = _typed(values, partial=True)
    with crm.unit_of_work() as uow:
        uow.turns.people_changed()
        now = crm.now()
        before = _role(uow, role)
        if version is not None and version != before.version:
            raise EditConflict(what="角色", seen=version, version=before.version)
        if codes is not None:
            fields["permissions"], unknown = _numbers(uow, codes)
            problems += unknown
        if problems:
            raise Invalid(problems)
        _granted(uow, codes or (), by)
        return _keep(crm, uow, before, changed(before, **fields), now, by)


def remove_role(
    crm: Crm, role: int | str, *, version: int | None = None, by: Principal
) -> None:  # fmt: skip
    """Remove a role of the school's own that no account has.

    Args:
        crm: The CRM.
        role: Its number or title.
        version: The version that was read; None does not look at it.
        by: Who asks; needs ``role:manage``, and all that the role has.

    Raises:
        BuiltIn: It is one of the program's.
        EditConflict: Somebody changed it since.
        InUse: An account has it.
        NotFound: There is no such role.
        NotPermitted: Without the permission, or the role holds more than oneself.
        ScopeTooWide: The role reaches further than one's own scope.
    """
    by.need("role:manage")
    with crm.unit_of_work() as uow:
        uow.turns.people_changed()
        now = crm.now()
        before = _role(uow, role)
        refuse_beyond(uow, [before.id or 0], by)
        if before.code is not None:
            raise BuiltIn(what="角色")
        if version is not None and version != before.version:
            raise EditConflict(what="角色", seen=version, version=before.version)
        uow.records.remove(Role, before.id or 0)
        audit(uow, by, now, "remove", "Role", before.id, before, None)


def _keep(
    crm: Crm, uow: UnitOfWork, before: Role | None, new: Role, now: datetime, by: Principal
) -> Role:
    managers = administrators(crm, uow, now)
    if before is not None:
        refuse_beyond(uow, [before.id or 0], by)
    if union([new.scope, by.scope]) is not by.scope:
        raise ScopeTooWide(scope_zh=new.scope.zh, scope_en=new.scope.en)
    saved = uow.records.add(new) if before is None else uow.records.save(new)
    refuse_lockout(crm, uow, managers, now, by)
    action = "create" if before is None else "update"
    audit(uow, by, now, action, "Role", saved.id, before, saved)
    return saved


def _role(uow: UnitOfWork, role: int | str) -> Role:
    number = words_of_roles(uow).get(role) if isinstance(role, str | int) else None
    found = None if number is None else uow.records.get(Role, number)
    if found is None:
        raise NotFound(what="角色", id=quoted(role))
    return found


def _typed(
    values: Any, *, partial: bool
) -> tuple[dict[str, Any], Sequence[str] | None, list[FieldError]]:
    """Read what was typed of a role; permissions by code, None when they are not named."""
    given: Any = dict(values) if isinstance(values, Mapping) else values
    codes, problems = None, []
    if isinstance(given, dict):
        if "permissions" in given:
            codes = given.pop("permissions")
            listed = isinstance(codes, list | tuple | set | frozenset)
            if not listed or not all(isinstance(c, str) for c in codes):
                codes = None
                problems.append(FieldError("permissions", "bad_permissions", None,
                                           "权限须为权限代码的列表",
                                           "the permissions must be a list of codes"))  # fmt: skip
        if "code" in given:
            problems.append(FieldError("code", "unknown_field", None, "代码不能修改",
                                       "the code is not changed"))  # fmt: skip
            given.pop("code")
    fields, wrong = parse_fields(Role, given, partial=partial)
    fields.pop("version", None)
    return fields, codes, problems + wrong


def _numbers(
    uow: UnitOfWork, codes: Sequence[str]
) -> tuple[tuple[int, ...], list[FieldError]]:  # fmt: skip
    known = {p.code: p.id or 0 for p in uow.records.all(Permission)}
    unknown = [
        FieldError("permissions", "unknown_permission", c, f"没有权限“{quoted(c)}”",
                   f"there is no permission {quoted(c)}")
        for c in codes if c not in known
    ]  # fmt: skip
    return tuple(sorted({known[c] for c in codes if c in known})), unknown


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
