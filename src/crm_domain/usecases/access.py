"""Accounts, roles and rights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crm_domain.errors import FieldError, Invalid, NotFound
from crm_domain.model import User
from crm_domain.model.fields import changed
from crm_domain.parsing import parse_fields, quoted
from crm_domain.ports import Crm, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.usecases._accounts import (
    Account,
    Effective,
    effective,
    get_account,
    list_accounts,
    set_language,
    tally_accounts,
    update_user,
    without_account,
)
from crm_domain.usecases._common import audit
from crm_domain.usecases._menus import (
    ArrangedGroup,
    Navigation,
    arrange_permission,
    list_permissions,
    move_entry,
    navigation,
    trail,
)
from crm_domain.usecases._passwords import (
    count_attempt,
    fits,
    hashed,
    password_problems,
    replace,
    words_near,
)
from crm_domain.usecases._resets import issue_reset, read_reset, redeem_reset
from crm_domain.usecases._rights import (
    FREELY_GIVEN,
    account_named,
    account_or_refuse,
    administrators,
    may_give,
    principal_of,
    refuse_beyond,
    refuse_foreign,
    refuse_lockout,
    refuse_stronger,
    wanted_roles,
)
from crm_domain.usecases._roles import (
    RoleSummary,
    add_role,
    edit_role,
    list_roles,
    remove_role,
    set_role,
)
from crm_domain.usecases._synchronise import synchronise

__all__ = [
    "FREELY_GIVEN", "Account", "ArrangedGroup", "Effective", "Navigation", "RoleSummary",
    "add_role", "arrange_permission", "change_password", "create_user", "edit_role", "effective",
    "get_account", "issue_reset", "list_accounts", "list_permissions", "list_roles", "may_give",
    "move_entry", "navigation", "principal_for", "read_reset", "redeem_reset", "remove_role",
    "set_active", "set_language", "set_password", "set_role", "set_roles", "sign_in",
    "synchronise", "tally_accounts", "trail", "update_user", "without_account",
]  # fmt: skip


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
        NotFound: There is no such employee or student, or not within one's reach; without an
            employee only who sees all makes one.
        NotPermitted: Without the permission, or for a role that holds more than oneself.
        ScopeTooWide: A role reaches further than one's own scope.
    """
    by.need("user:manage")
    given: Any = dict(values) if isinstance(values, Mapping) else values
    password, wanted = None, ()
    if isinstance(given, dict):
        password, wanted = given.pop("password", None), given.pop("roles", ())
    fields, problems = parse_fields(User, given)
    if password is not None:
        with crm.unit_of_work(read_only=True) as uow:
            near = words_near(uow, fields.get("username"), fields.get("employee_id"))
        problems += password_problems(password, "password", near)
    made = None if problems or password is None else crm.passwords.hash(password)
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
        refuse_foreign(uow, fields.get("employee_id"), by)
        user = uow.records.add(User(**fields, roles=roles, password_hash=made, created_at=now))
        audit(uow, by, now, "create", "User", user.id, None, user)
        return user


def set_active(crm: Crm, username: str, active: bool, *, by: Principal) -> User:
    """Enable or disable an account; it takes effect at the next request and the next turn.

    Raises:
        EditConflict: Somebody changed the account at the same moment.
        Invalid: It is neither yes nor no.
        LastAdministrator: Nobody would be left who manages all users and roles.
        NotFound: There is no such account within one's reach.
        NotPermitted: Without ``user:manage``, or for an account that holds more than oneself.
        ScopeTooWide: The account reaches further than one's own scope.
    """
    by.need("user:manage")
    if not isinstance(active, bool):
        raise Invalid([FieldError("active", "bad_flag", None, "请填“是”或“否”",
                                  "it is neither yes nor no")])  # fmt: skip
    with crm.unit_of_work() as uow:
        uow.turns.people_changed()
        user = account_or_refuse(uow, username)
        saved = _change(crm, uow, user, changed(user, active=active), by)
        if not active:
            # Otherwise they would run on when the account is enabled again.
            uow.sign_ins.end(now=crm.now(), user_id=user.id)
        return saved


def set_roles(crm: Crm, username: str, roles: Sequence[str | int], *, by: Principal) -> User:
    """Give an account other roles; it takes effect at the next request.

    Raises:
        EditConflict: Somebody changed the account at the same moment.
        Invalid: There is no such role.
        LastAdministrator: Nobody would be left who manages all users and roles.
        NotFound: There is no such account within one's reach.
        NotPermitted: Without ``user:manage``, or for an account or a role that holds more than
            oneself.
        ScopeTooWide: The account or the role reaches further than one's own scope.
    """
    by.need("user:manage")
    with crm.unit_of_work() as uow:
        uow.turns.people_changed()
        user = account_or_refuse(uow, username)
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
    """Give an account a password; the one before opens it no more, and its sessions end.

    Args:
        crm: The CRM.
        username: Whose account.
        password: The password, of 8 to 128 characters.
        by: Who asks; needs ``user:manage``, and all that the account may do.

    Returns:
        The account.

    Raises:
        ActingForAnother: Somebody else acts under the account of whoever asks.
        EditConflict: Somebody changed the account at the same moment.
        Invalid: The password is too short, too long or too easy to guess.
        NotFound: There is no such account within one's reach.
        NotPermitted: Without the permission, or for an account that holds more than oneself.
        ScopeTooWide: The account reaches further than one's own scope.
    """
    by.need("user:manage")
    by.need_oneself()
    with crm.unit_of_work(read_only=True) as uow:
        there = account_named(uow, username)
        near = words_near(uow, None, None) if there is None else _near(uow, there)
    made = hashed(crm, password, "password", near)
    with crm.unit_of_work() as uow:
        now = crm.now()
        user = account_or_refuse(uow, username)
        refuse_stronger(uow, user, by)
        saved = replace(uow, user, made, now)
        audit(uow, by, now, "set_password", "User", user.id)
        return saved


def change_password(
    crm: Crm, old: str, new: str, *, keep: int | None = None, by: Principal
) -> User:
    """Change one's own password; all other sessions end.

    Args:
        crm: The CRM.
        old: The present password.
        new: The new one, of 8 to 128 characters, and none that everybody tries first.
        keep: The session that goes on, usually the one in which this is asked for.
        by: Who asks; needs an account.

    Returns:
        The account.

    Raises:
        Invalid: The present password is not right, or the new one is too short, too long or too
            easy to guess.
        EditConflict: The account was changed meanwhile.
        NotFound: Whoever asks has no enabled account.
        ActingForAnother: Somebody else acts under the account.
        TooManyAttempts: The present password was wrong too often; one has to wait.
    """
    by.need_oneself()
    with crm.unit_of_work() as uow:
        user = None if by.user_id is None else uow.records.get(User, by.user_id)
        if user is None or not user.active:
            raise NotFound(what="用户", id=by.name)
        near = _near(uow, user)
        if problems := password_problems(new, "new", near):
            raise Invalid(problems)
        # Otherwise a session that was left open would be a way to guess the password.
        count_attempt(uow, crm.now(), f"own:{user.id}")
    if not fits(crm, old, user):
        raise Invalid([FieldError("old", "wrong_password", None, "当前密码不正确",
                                  "the present password is not right")])  # fmt: skip
    made = crm.passwords.hash(new)
    with crm.unit_of_work() as uow:
        now = crm.now()
        saved = replace(uow, user, made, now, keep=keep)
        uow.sign_ins.forgive(f"own:{user.id}", now=now, shared=False)
        audit(uow, by, now, "change_password", "User", user.id)
        return saved


def principal_for(crm: Crm, *, username: str) -> Principal:
    """Tell who acts under a username, with the rights of this moment.

    Ask again for every request: a changed role or a disabled account then takes effect at once.

    Raises:
        NotFound: There is no such account, it is disabled, or its employee has left.
    """
    with crm.unit_of_work(read_only=True) as uow:
        user = account_or_refuse(uow, username)
        return principal_of(crm, uow, user)


def sign_in(crm: Crm, username: str, password: str) -> Principal:
    """Tell who acts, once the password fits, without a session and without counting the tries.

    It is for programs that keep sessions of their own; `sessions.sign_in` does both.

    Raises:
        NotFound: The account or the password is not right; which of the two is not said.
    """
    with crm.unit_of_work(read_only=True) as uow:
        user = account_named(uow, username)
    if not fits(crm, password, user):
        raise NotFound(what="用户", id=quoted(username))
    return principal_for(crm, username=username)


def _near(uow: UnitOfWork, user: User) -> tuple[str, ...]:
    return words_near(uow, user.username, user.employee_id)
