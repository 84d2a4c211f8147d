"""The rights of an account, and what nobody may do with rights: give more than is held, disarm the
mightier, lock all out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from crm_domain.errors import FieldError, Invalid, LastAdministrator, NotFound, ScopeTooWide
from crm_domain.model import Department, Employee, Role, Scope, User
from crm_domain.parsing import quoted, storable
from crm_domain.ports import Crm, UnitOfWork
from crm_domain.rules.access import SYSTEM, Principal, union
from crm_domain.rules.duty import has_left
from crm_domain.usecases._common import reach_of

FREELY_GIVEN = frozenset({"customer:claim", "customer:mine"})
"""May be given without being held: an administrator, who does not sell, makes consultants."""

MANAGING = ("role:manage", "user:manage")
"""Whoever holds both, and sees all, can put right what went wrong with accounts and roles."""


def principal_of(crm: Crm, uow: UnitOfWork, user: User) -> Principal:
    """Tell who acts under an account, with the rights of this moment.

    Raises:
        NotFound: It is disabled, or its employee has left.
    """
    employee = None if user.employee_id is None else uow.records.get(Employee, user.employee_id)
    gone = employee is not None and has_left(employee, crm.today())
    if gone or not user.active:
        raise NotFound(what="用户", id=quoted(user.username))
    codes, scopes = uow.directory.rights(user.roles)
    return Principal(
        name=user.username, person=employee.name if employee else None,
        user_id=user.id, employee_id=user.employee_id,
        department_id=employee.department_id if employee else None,
        permissions=codes, scope=union(scopes), language=user.language,
    )  # fmt: skip


def may_give(by: Principal, permissions: Iterable[str], scope: Scope | None = None) -> bool:
    """Whether somebody may give permissions and a scope: none that is not held, none that is wider.

    Args:
        by: Who would give them.
        permissions: The codes.
        scope: How far they reach; None asks for the permissions alone.
    """
    held = all(code in FREELY_GIVEN or by.may(code) for code in permissions)
    return held and (scope is None or union((scope, by.scope)) is by.scope)


def refuse_beyond(uow: UnitOfWork, role_ids: Sequence[int], by: Principal) -> None:
    """Refuse to touch what goes beyond one's own rights, as roles give it.

    Raises:
        NotPermitted: The roles hold a permission that is not held.
        ScopeTooWide: They reach further.
    """
    codes, scopes = uow.directory.rights(role_ids)
    for code in sorted(codes - FREELY_GIVEN):
        by.need(code)
    widest = union([*scopes, by.scope])
    if widest is not by.scope:
        raise ScopeTooWide(scope_zh=widest.zh, scope_en=widest.en)


def refuse_stronger(uow: UnitOfWork, user: User, by: Principal) -> None:
    """Refuse to change another's account that is out of reach, or may do more than oneself.

    Raises:
        NotFound: It is out of reach.
        NotPermitted: It holds a permission that is not held.
        ScopeTooWide: It reaches further.
    """
    refuse_out_of_reach(uow, user, by)
    if user.id != by.user_id:
        refuse_beyond(uow, user.roles, by)


def account_named(uow: UnitOfWork, username: Any) -> User | None:
    """Find an account by what was given for its name, whatever that is."""
    usable = isinstance(username, str) and storable(username)
    return uow.records.find(User, username=username) if usable else None


def account_or_refuse(uow: UnitOfWork, username: Any) -> User:
    """Give an account by its name.

    Raises:
        NotFound: There is none.
    """
    user = account_named(uow, username)
    if user is None:
        raise NotFound(what="用户", id=quoted(username))
    return user


def refuse_foreign(uow: UnitOfWork, employee_id: int | None, by: Principal) -> None:
    """Refuse to tie an account to an employee beyond one's reach: it would see what is theirs.

    To none either, where that would take it out of one's reach.

    Raises:
        NotFound: The employee is not within one's reach.
    """
    if not uow.directory.in_reach(employee_id, reach_of(by)):
        raise NotFound(what="员工", id=quoted(employee_id), fields=("employee_id",))


def refuse_out_of_reach(uow: UnitOfWork, user: User, by: Principal) -> None:
    """Refuse to touch another's account whose employee is not within one's reach.

    An account without an employee is within the reach of whoever sees all. It looks like one that
    is not there, as in `list_accounts`.

    Raises:
        NotFound: It is out of reach.
    """
    if user.id != by.user_id and not uow.directory.in_reach(user.employee_id, reach_of(by)):
        raise NotFound(what="用户", id=quoted(user.username))


Managers = tuple[frozenset[int], ...]
"""Accounts that manage all users and roles: who may sign in now, and of whom it is not known that
they leave on a day to come."""


def administrators(crm: Crm, uow: UnitOfWork, now: datetime) -> Managers:
    """Find the accounts that manage users and roles, and see all.

    Whoever sees less can neither reach every account nor give back a scope that is wider.
    """
    wide = {role.id for role in uow.records.all(Role) if role.scope is Scope.ALL}

    def on(day: date) -> frozenset[int]:
        found = uow.records.among(User, sorted(uow.directory.accounts_with(MANAGING, day)))
        return frozenset(user.id or 0 for user in found if wide.intersection(user.roles))

    return tuple(on(day) for day in (crm.day(now), date.max))


def refuse_circle(uow: UnitOfWork, after: Department) -> None:
    """Refuse a department that would hang from itself: nobody above would see its people.

    Raises:
        Invalid: Its parent is itself, or hangs from it.
    """
    parents = {d.id: d.parent_id for d in uow.records.all(Department)}
    at, steps = after.parent_id, 0
    while at is not None and steps <= len(parents):
        if at == after.id:
            raise Invalid([FieldError("parent_id", "circle", after.parent_id,
                                      "不能归属于自己或自己的下级",
                                      "it would hang from itself")])  # fmt: skip
        at, steps = parents.get(at), steps + 1


def refuse_leaving(before: Department, after: Department, by: Principal) -> None:
    """Refuse to hang a department elsewhere that one's own reach begins with.

    Those above it would no longer see its people. Departments below it are moved within the reach,
    which the storage looks after.

    Raises:
        ScopeTooWide: It is one's own department or one that is led, and somebody else sees all.
    """
    top = before.id == by.department_id or (
        before.manager_id is not None and before.manager_id == by.employee_id
    )
    if by.scope is not Scope.ALL and top and before.parent_id != after.parent_id:
        raise ScopeTooWide(scope_zh=Scope.ALL.zh, scope_en=Scope.ALL.en)


def refuse_hiring_and_firing(
    uow: UnitOfWork, before: Employee, after: Employee, by: Principal
) -> None:
    """Refuse what an employee's record would do to rights, without the right to do that.

    Where somebody belongs says what is seen by whoever sees a department, and who has left may not
    sign in any more. Whoever sees all may do both, and whoever manages the account behind.

    Raises:
        NotFound: The account behind is out of one's reach.
        NotPermitted: Without ``user:manage``, or the account holds more than oneself.
        ScopeTooWide: It reaches further, or one's own view would become wider.
    """
    if by.scope is Scope.ALL:
        return
    moved = before.department_id != after.department_id
    if moved and before.id == by.employee_id:
        raise ScopeTooWide(scope_zh=Scope.ALL.zh, scope_en=Scope.ALL.en)
    account = uow.records.find(User, employee_id=before.id)
    if account is not None and (moved or before.left_on != after.left_on):
        by.need("user:manage")
        refuse_stronger(uow, account, by)


def refuse_lockout(
    crm: Crm, uow: UnitOfWork, before: Managers, now: datetime, by: Principal
) -> None:
    """Refuse a change that leaves no administrator where there was one; the program itself may.

    Neither today nor on a day to come, as far as it is known who leaves then.

    Args:
        crm: The CRM.
        uow: The unit of work that made the change.
        before: The `administrators` before it.
        now: The moment.
        by: Who asks.

    Raises:
        LastAdministrator: Nobody would be left.
    """
    if by is SYSTEM or not any(before):
        return
    for was, left in zip(before, administrators(crm, uow, now), strict=True):
        if was and not left:
            raise LastAdministrator


def wanted_roles(uow: UnitOfWork, wanted: Any) -> tuple[int, ...]:
    """Read roles by code, title or number: a sequence, or a text with commas between them.

    Raises:
        Invalid: With every word that names no role.
    """
    if isinstance(wanted, str):
        wanted = [w for w in wanted.replace("，", ",").split(",") if w.strip()]
    if not isinstance(wanted, list | tuple | set | frozenset):
        raise Invalid([FieldError("roles", "bad_roles", None, "角色须为列表",
                                  "the roles must be a list")])  # fmt: skip
    words = words_of_roles(uow)
    found: dict[int, None] = {}
    problems = []
    for word in wanted:
        known = isinstance(word, str | int) and not isinstance(word, bool)
        number = words.get(word.strip() if isinstance(word, str) else word) if known else None
        if number is None:
            problems.append(FieldError("roles", "unknown_role", word, f"没有角色“{quoted(word)}”",
                                       f"there is no role {quoted(word)}"))  # fmt: skip
        else:
            found[number] = None
    if problems:
        raise Invalid(problems)
    return tuple(found)


def words_of_roles(uow: UnitOfWork) -> Mapping[Any, int]:
    """Give the numbers of all roles by code, title and number."""
    words: dict[Any, int] = {}
    for role in uow.records.all(Role):
        for word in (role.code, role.title, role.id):
            if word is not None:
                words.setdefault(word, role.id or 0)
    return words
