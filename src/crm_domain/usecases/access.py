"""Accounts, roles and rights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from crm_domain.errors import FieldError, Invalid, NotFound
from crm_domain.model import Employee, Role, User
from crm_domain.model.fields import changed
from crm_domain.parsing import parse_fields, quoted, storable
from crm_domain.ports import Crm, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.usecases._common import audit, reach_of
from crm_domain.usecases._rights import (
    administrators,
    principal_of,
    refuse_beyond,
    refuse_lockout,
    refuse_stronger,
    wanted_roles,
)
from crm_domain.usecases._roles import set_role, synchronise

__all__ = [
    "PASSWORD", "Account", "change_password", "create_user", "list_accounts", "principal_for",
    "set_active", "set_password", "set_role", "set_roles", "sign_in", "synchronise",
]  # fmt: skip

PASSWORD = (8, 128)
"""The shortest and the longest password (OWASP ASVS 5.0, 6.2.1 and 6.2.9)."""


def create_user(crm: Crm, values: Mapping[str, Any], *, by: Principal) -> User:
    """Make a login account.

    Args:
        crm: The CRM.
        values: ``username``, ``password``, ``roles`` (codes, titles or numbers), and
            ``employee_id`` or ``student_id``.
        by: Who asks; needs ``user:manage``, and all that the roles hold.

    Returns:
        The account, with its number.

    Raises:
        Invalid: With every problem.
        Duplicate: The username is taken, or the employee has an account already.
        NotFound: There is no such employee or student.
        NotPermitted: Without the permission, or for a role that holds more than oneself.
        ScopeTooWide: A role reaches further than one's own scope.
    """
    by.need("user:manage")
    given: Any = dict(values) if isinstance(values, Mapping) else values
    password, wanted = None, ()
    if isinstance(given, dict):
        password, wanted = given.pop("password", None), given.pop("roles", ())
    fields, problems = parse_fields(User, given)
    problems += [] if password is None else _password_problems(password)
    hashed = None if problems or password is None else crm.passwords.hash(password)
    with crm.unit_of_work() as uow:
        # First: whoever deals a turn locks the rotation before it reads the people.
        uow.turns.people_changed()
        now = crm.now()
        roles: tuple[int, ...] = ()
        try:
            roles = wanted_roles(uow, wanted)
        except Invalid as e:
            problems += e.problems
        if problems:
            raise Invalid(problems)
        refuse_beyond(uow, roles, by)
        user = uow.records.add(User(**fields, roles=roles, password_hash=hashed, created_at=now))
        audit(uow, by, now, "create", "User", user.id, None, user)
        return user


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


def list_accounts(crm: Crm, *, by: Principal) -> tuple[Account, ...]:
    """Tell the accounts of the employees within one's reach; who sees all, all accounts.

    Raises:
        NotPermitted: Without ``user:manage``.
    """
    by.need("user:manage")
    with crm.unit_of_work(read_only=True) as uow:
        roles = {r.id: r for r in uow.records.all(Role)}
        names = {e.id: e.name for e in uow.records.all(Employee)}
        return tuple(
            Account(
                id=u.id or 0, username=u.username, employee_id=u.employee_id,
                student_id=u.student_id, name=names.get(u.employee_id),
                roles=tuple(roles[n] for n in u.roles if n in roles), active=u.active,
                has_password=u.password_hash is not None,
            )
            for u in uow.records.all(User)
            if uow.directory.in_reach(u.employee_id, reach_of(by))
        )  # fmt: skip


def set_active(crm: Crm, username: str, active: bool, *, by: Principal) -> User:
    """Enable or disable an account; it takes effect at the next request and the next turn.

    Raises:
        EditConflict: Somebody changed the account at the same moment.
        Invalid: It is neither yes nor no.
        LastAdministrator: Nobody would be left who manages users and roles.
        NotFound: There is no such account.
        NotPermitted: Without ``user:manage``, or for an account that holds more than oneself.
        ScopeTooWide: The account reaches further than one's own scope.
    """
    by.need("user:manage")
    if not isinstance(active, bool):
        raise Invalid([FieldError("active", "bad_flag", None, "请填“是”或“否”",
                                  "it is neither yes nor no")])  # fmt: skip
    with crm.unit_of_work() as uow:
        uow.turns.people_changed()
        user = _account(uow, username)
        return _change(crm, uow, user, changed(user, active=active), by)


def set_roles(crm: Crm, username: str, roles: Sequence[str | int], *, by: Principal) -> User:
    """Give an account other roles; it takes effect at the next request.

    Raises:
        EditConflict: Somebody changed the account at the same moment.
        Invalid: There is no such role.
        LastAdministrator: Nobody would be left who manages users and roles.
        NotFound: There is no such account.
        NotPermitted: Without ``user:manage``, or for an account or a role that holds more than
            oneself.
        ScopeTooWide: The account or the role reaches further than one's own scope.
    """
    by.need("user:manage")
    with crm.unit_of_work() as uow:
        uow.turns.people_changed()
        user = _account(uow, username)
        found = wanted_roles(uow, roles)
        refuse_beyond(uow, found, by)
        return _change(crm, uow, user, changed(user, roles=found), by)


def _change(crm: Crm, uow: UnitOfWork, user: User, after: User, by: Principal) -> User:
    refuse_stronger(uow, user, by)
    now = crm.now()
    managers = administrators(crm, uow, now)
    saved = uow.records.save(after)
    refuse_lockout(crm, uow, managers, now, by)
    audit(uow, by, now, "update", "User", user.id, user, saved)
    return saved


def set_password(crm: Crm, username: str, password: str, *, by: Principal) -> User:
    """Give an account a password; the one before does not open it any more.

    Args:
        crm: The CRM.
        username: Whose account.
        password: The password, of 8 to 128 characters.
        by: Who asks; needs ``user:manage``, and all that the account may do.

    Returns:
        The account.

    Raises:
        EditConflict: Somebody changed the account at the same moment.
        Invalid: The password is too short or too long.
        NotFound: There is no such account.
        NotPermitted: Without the permission, or for an account that holds more than oneself.
        ScopeTooWide: The account reaches further than one's own scope.
    """
    by.need("user:manage")
    hashed = _hashed(crm, password, "password")
    with crm.unit_of_work() as uow:
        now = crm.now()
        user = _account(uow, username)
        refuse_stronger(uow, user, by)
        saved = uow.records.save(changed(user, password_hash=hashed))
        audit(uow, by, now, "set_password", "User", user.id)
        return saved


def change_password(crm: Crm, old: str, new: str, *, by: Principal) -> User:
    """Change one's own password.

    Args:
        crm: The CRM.
        old: The present password.
        new: The new one, of 8 to 128 characters.
        by: Who asks; needs an account.

    Returns:
        The account.

    Raises:
        Invalid: The present password is not right, or the new one is too short or too long.
        EditConflict: The account was changed meanwhile.
        NotFound: Whoever asks has no enabled account.
    """
    with crm.unit_of_work(read_only=True) as uow:
        user = None if by.user_id is None else uow.records.get(User, by.user_id)
    if user is None or not user.active:
        raise NotFound(what="用户", id=by.name)
    if not _fits(crm, old, user):
        raise Invalid([FieldError("old", "wrong_password", None, "当前密码不正确",
                                  "the present password is not right")])  # fmt: skip
    hashed = _hashed(crm, new, "new")
    with crm.unit_of_work() as uow:
        now = crm.now()
        saved = uow.records.save(changed(user, password_hash=hashed))
        audit(uow, by, now, "change_password", "User", user.id)
        return saved


def principal_for(crm: Crm, *, username: str) -> Principal:
    """Tell who acts under a username, with the rights of this moment.

    Ask again for every request: a changed role or a disabled account then takes effect at once.

    Raises:
        NotFound: There is no such account, it is disabled, or its employee has left.
    """
    with crm.unit_of_work(read_only=True) as uow:
        user = _account(uow, username)
        return principal_of(crm, uow, user)


def sign_in(crm: Crm, username: str, password: str) -> Principal:
    """Tell who acts, once the password fits.

    Raises:
        NotFound: The account or the password is not right; which of the two is not said.
    """
    with crm.unit_of_work(read_only=True) as uow:
        user = _found(uow, username)
    if not _fits(crm, password, user):
        raise NotFound(what="用户", id=quoted(username))
    return principal_for(crm, username=username)


def _found(uow: UnitOfWork, username: Any) -> User | None:
    usable = isinstance(username, str) and storable(username)
    return uow.records.find(User, username=username) if usable else None


def _account(uow: UnitOfWork, username: Any) -> User:
    user = _found(uow, username)
    if user is None:
        raise NotFound(what="用户", id=quoted(username))
    return user


def _fits(crm: Crm, password: Any, user: User | None) -> bool:
    """Whether a password opens an account; takes as long when there is no account."""
    typed = password if isinstance(password, str) and len(password) <= PASSWORD[1] else ""
    return crm.passwords.verify(typed, user.password_hash if user else None)


def _hashed(crm: Crm, password: Any, path: str) -> str:
    if problems := _password_problems(password, path):
        raise Invalid(problems)
    return crm.passwords.hash(password)


def _password_problems(password: Any, path: str = "password") -> list[FieldError]:
    low, high = PASSWORD
    if isinstance(password, str) and low <= len(password) <= high:
        return []
    return [
        FieldError(path, "bad_password", None, f"密码须为 {low} 至 {high} 个字符",
                   f"a password has {low} to {high} characters")
    ]  # fmt: skip
