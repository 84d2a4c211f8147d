"""Accounts as their pages show and change them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from crm_domain.errors import EditConflict, FieldError, Invalid, NotFound
from crm_domain.model import Department, Employee, Permission, Role, Scope, User
from crm_domain.model.fields import changed
from crm_domain.parsing import parse_fields, quoted
from crm_domain.ports import MOST, Crm, Page, Query, Reach, Tally, UnitOfWork
from crm_domain.rules.access import Principal, union
from crm_domain.usecases._common import audit, people, reach_of
from crm_domain.usecases._rights import (
    account_or_refuse,
    administrators,
    refuse_beyond,
    refuse_foreign,
    refuse_lockout,
    refuse_out_of_reach,
    refuse_stronger,
    wanted_roles,
)

CHANGED = ("email", "employee_id", "student_id", "active")
"""What `update_user` may change, beside the roles."""


@attrs.frozen(kw_only=True)
class Account:
    """What may be told of a login account."""

    id: int
    username: str
    employee_id: int | None
    student_id: int | None
    name: str | None
    """What the employee is called."""
    roles: tuple[Role, ...]
    active: bool
    has_password: bool
    email: str | None = None
    language: str | None = None
    version: int = 1


@attrs.frozen(kw_only=True)
class Granted:
    """A permission that an account has, and the roles that give it."""

    permission: Permission
    roles: tuple[Role, ...]


@attrs.frozen(kw_only=True)
class Effective:
    """What an account may do in the end, why, and how far it reaches."""

    account: Account
    permissions: tuple[Granted, ...]
    """By code."""
    scope: Scope
    scope_from: tuple[Role, ...]
    """The roles that give the scope; none when it is merely the least."""
    departments: tuple[str, ...]
    """The titles of the departments that the scope covers as a whole."""
    people: int
    """How many employees the scope covers."""


def list_accounts(crm: Crm, query: Query | None = None, *, by: Principal) -> Page[Account]:
    """Tell one page of the accounts of the employees within one's reach; who sees all, of all.

    Args:
        crm: The CRM.
        query: May search by username and name; filter by ``roles``, ``active``, ``has_password``
            and ``employee_id``; and sort by ``username`` (as it is without) and ``name``.
        by: Who asks; needs ``user:manage``.

    Raises:
        Invalid: The query names what is not there.
        NotPermitted: Without the permission.
    """
    by.need("user:manage")
    with crm.unit_of_work(read_only=True) as uow:
        page = uow.directory.accounts(query or Query(), reach_of(by))
        roles = {r.id or 0: r for r in uow.records.all(Role)}
        names, _ = people(uow, {u.employee_id for u in page}, ())
        return Page(
            items=[_told(u, roles, names.get(u.employee_id or 0)) for u in page], next=page.next
        )


def tally_accounts(
    crm: Crm, query: Query | None = None, facets: Sequence[str] = (), *, most: int = MOST,
    by: Principal,
) -> Tally:  # fmt: skip
    """Count the accounts that `list_accounts` would give, and the values of some fields of them.

    Args:
        crm: The CRM.
        query: What is asked.
        facets: ``roles``, ``active`` and ``has_password``.
        most: So many are counted at most; of more the tally says that there are more.
        by: Who asks; needs ``user:manage``.

    Raises:
        Invalid: The query or a facet names what is not there.
        NotPermitted: Without the permission.
    """
    by.need("user:manage")
    with crm.unit_of_work(read_only=True) as uow:
        return uow.directory.tally_accounts(query or Query(), facets, reach_of(by), most=most)


def without_account(crm: Crm, *, most: int = 300, by: Principal) -> Mapping[int, str]:
    """Tell the employees within one's reach who have no account, as number and name, by name.

    Args:
        crm: The CRM.
        most: So many are told at most.
        by: Who asks; needs ``user:manage`` and ``employee:view``.

    Raises:
        NotPermitted: Without one of the permissions.
    """
    by.need("user:manage")
    by.need("employee:view")
    with crm.unit_of_work(read_only=True) as uow:
        return uow.directory.without_account(reach_of(by), most)


def get_account(crm: Crm, username: str, *, by: Principal) -> Account:
    """Tell one account: one's own, or one within reach.

    Raises:
        NotFound: There is none, or it is not within one's reach.
        NotPermitted: It is another's, without ``user:manage``.
    """
    with crm.unit_of_work(read_only=True) as uow:
        user = _readable(uow, username, by)
        roles = {r.id or 0: r for r in uow.records.all(Role)}
        return _told(user, roles, _name(uow, user))


def update_user(
    crm: Crm, username: str, values: Mapping[str, Any], *, version: int | None = None,
    by: Principal,
) -> User:  # fmt: skip
    """Change an account; it takes effect at the next request, and disabling ends its sessions.

    Args:
        crm: The CRM.
        username: Whose account.
        values: Any of ``email``, ``employee_id``, ``student_id``, ``roles`` (codes, titles or
            numbers) and ``active``.
        version: The version that was read; None does not look at it.
        by: Who asks; needs ``user:manage``, all that the account may do and all that it gets.

    Returns:
        The account.

    Raises:
        Duplicate: The employee or the student has another account.
        EditConflict: Somebody changed it since.
        Invalid: With every problem.
        LastAdministrator: Nobody would be left who manages all users and roles.
        NotFound: There is no such account, or no such employee, within one's reach.
        NotPermitted: Without the permission, or for an account or a role that holds more.
        ScopeTooWide: The account or the role reaches further than one's own scope.
    """
    by.need("user:manage")
    given: Any = dict(values) if isinstance(values, Mapping) else values
    problems, listed, wanted = [], False, None
    if isinstance(given, dict):
        listed, wanted = "roles" in given, given.pop("roles", None)
        problems = [
            FieldError(str(n), "unknown_field", None, f"“{quoted(n)}”不能在这里修改",
                       f"{quoted(n)} is not changed here")
            for n in given if n not in CHANGED
        ]  # fmt: skip
        given = {n: v for n, v in given.items() if n in CHANGED}
    fields, wrong = parse_fields(User, given, partial=True)
    problems += wrong
    with crm.unit_of_work() as uow:
        # First: whoever deals a turn locks the rotation before it reads the people.
        uow.turns.people_changed()
        now = crm.now()
        user = account_or_refuse(uow, username)
        if listed:
            try:
                fields["roles"] = wanted_roles(uow, wanted)
            except Invalid as e:
                problems += e.problems
        refuse_stronger(uow, user, by)
        if version is not None and version != user.version:
            raise EditConflict(what="用户", seen=version, version=user.version)
        if problems:
            raise Invalid(problems)
        after = changed(user, **fields)
        if after.roles != user.roles:
            refuse_beyond(uow, after.roles, by)
        if after.employee_id != user.employee_id:
            refuse_foreign(uow, after.employee_id, by)
        managers = administrators(crm, uow, now)
        saved = uow.records.save(after)
        refuse_lockout(crm, uow, managers, now, by)
        if not saved.active:
            uow.sign_ins.end(now=now, user_id=saved.id)
        audit(uow, by, now, "update", "User", user.id, user, saved)
        return saved


def set_language(crm: Crm, language: str | None, *, by: Principal) -> User:
    """Choose one's own language: ``zh``, ``en``, or None for what the browser asks for.

    Raises:
        ActingForAnother: Somebody else acts under the account.
        Invalid: There is no such language.
        NotFound: Whoever asks has no account.
    """
    by.need_oneself()
    if language not in ("zh", "en", None, ""):
        raise Invalid([FieldError("language", "unknown_choice", language, "语言须为 zh 或 en",
                                  "the language is neither zh nor en")])  # fmt: skip
    with crm.unit_of_work() as uow:
        held = None if by.user_id is None else uow.sign_ins.hold(by.user_id)
        if held is None:
            raise NotFound(what="用户", id=by.name)
        if held.language == (language or None):
            return held
        return uow.records.save(changed(held, language=language or None))


def effective(crm: Crm, username: str | None = None, *, by: Principal) -> Effective:
    """Tell what an account may do, which role gives what, and what its reach covers.

    Args:
        crm: The CRM.
        username: Whose; None is one's own.
        by: Who asks; for another's needs ``user:manage``.

    Raises:
        NotFound: There is none, or it is not within one's reach.
        NotPermitted: It is another's, without the permission.
    """
    with crm.unit_of_work(read_only=True) as uow:
        user = _readable(uow, by.name if username is None else username, by)
        every = {r.id or 0: r for r in uow.records.all(Role)}
        held = [every[n] for n in user.roles if n in every]
        permissions = sorted(uow.records.all(Permission), key=lambda p: p.code)
        scope = union(r.scope for r in held)
        employee = None if user.employee_id is None else uow.records.get(Employee, user.employee_id)
        place = employee.department_id if employee else None
        reach = Reach(scope=scope, employee_id=user.employee_id, department_id=place)
        return Effective(
            account=_told(user, every, employee.name if employee else None),
            permissions=tuple(
                Granted(permission=p, roles=giving)
                for p in permissions
                if (giving := tuple(r for r in held if p.id in r.permissions))
            ),
            scope=scope,
            scope_from=tuple(r for r in held if r.scope is scope),
            departments=_departments(uow.records.all(Department), scope, place),
            people=uow.directory.covered(reach),
        )


def _departments(
    every: tuple[Department, ...], scope: Scope, place: int | None
) -> tuple[str, ...]:  # fmt: skip
    """Name the departments that a scope covers as a whole, by number."""
    if scope is Scope.ALL:
        return tuple(d.title for d in every)
    if scope is Scope.OWN or place is None:
        return ()
    covered, more = {place}, scope is Scope.DEPARTMENT_AND_BELOW
    while more:
        below = {d.id or 0 for d in every if d.parent_id in covered} - covered
        covered |= below
        more = bool(below)
    return tuple(d.title for d in every if d.id in covered)


def _readable(uow: UnitOfWork, username: Any, by: Principal) -> User:
    """Find an account that somebody may look at."""
    if username != by.name or by.user_id is None:
        by.need("user:manage")
    user = account_or_refuse(uow, username)
    refuse_out_of_reach(uow, user, by)
    return user


def _name(uow: UnitOfWork, user: User) -> str | None:
    employee = None if user.employee_id is None else uow.records.get(Employee, user.employee_id)
    return employee.name if employee else None


def _told(user: User, roles: Mapping[int, Role], name: str | None) -> Account:
    return Account(
        id=user.id or 0, username=user.username, employee_id=user.employee_id,
        student_id=user.student_id, name=name,
        roles=tuple(roles[n] for n in user.roles if n in roles), active=user.active,
        has_password=user.password_hash is not None, email=user.email, language=user.language,
        version=user.version,
    )  # fmt: skip
