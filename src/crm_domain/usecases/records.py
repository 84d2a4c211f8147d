"""Plain records: departments, employees, courses and all that has no rules of its own.

What no rule is about is read and changed here of some other records, too, as of students:
`About.listed` and `About.changes` say so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from crm_domain.errors import (
    FieldError,
    GuardedField,
    Invalid,
    Language,
    NotFound,
)
from crm_domain.model import (
    RECORDS,
    Customer,
    Department,
    Employee,
    Permission,
    Role,
    Scope,
    User,
    about,
    specs,
)
from crm_domain.model.fields import About, changed
from crm_domain.parsing import parse_fields, quoted, read_field, record_number
from crm_domain.ports import MOST, Crm, Page, Query, Reach, Tally, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.rules.titles import paths, title
from crm_domain.usecases._common import audit, reach_of
from crm_domain.usecases._rights import (
    administrators,
    refuse_circle,
    refuse_hiring_and_firing,
    refuse_leaving,
    refuse_lockout,
)
from crm_domain.usecases.intake import list_customers

T = TypeVar("T")
SEES: dict[type[Any], tuple[str, ...]] = {
    Customer: ("customer:view",), User: ("user:manage", "employee:view"),
    Role: ("role:manage", "user:manage"), Permission: ("role:manage",),
}  # fmt: skip
"""Which permissions, any of them, let somebody read the titles of records that are not plain."""
MANY = 1000
"""So many customers are asked for at once."""
LONGEST_LIST = 1000
"""So many suggestions are given at most."""


def _known(cls: type[Any]) -> About:
    """Tell about a record, or refuse what is none.

    Raises:
        Invalid: It is no record at all.
    """
    if cls not in RECORDS.values():
        raise Invalid([FieldError("", "no_record", None, "这不是一条记录", "this is no record")])
    return about(cls)


def _plain(cls: type[Any]) -> str:
    """Give the table's name, or refuse a record with rules of its own.

    Raises:
        GuardedField: The record has its own use cases.
    """
    if not _known(cls).plain:
        raise GuardedField(field=about(cls).zh)
    return about(cls).table


def _listed(cls: type[Any]) -> str:
    """Give the table's name, or refuse a record that its own use cases read.

    Raises:
        GuardedField: The record has its own use cases.
    """
    if not _known(cls).listed:
        raise GuardedField(field=about(cls).zh)
    return about(cls).table


def _changeable(cls: type[Any], names: Iterable[str]) -> str:
    """Give the table's name, or refuse fields that change by a use case of their own.

    Raises:
        GuardedField: The record, or one of the fields, changes by a use case of its own.
    """
    described = _known(cls)
    if described.plain:
        return described.table
    for name in names if described.changes else ("",):
        if name != "version" and name not in described.changes:
            spec = specs(cls).get(name)
            raise GuardedField(field=spec.zh if spec else described.zh)
    return described.table


def save_record(crm: Crm, record: T, *, by: Principal) -> T:
    """Write a plain record: a new one, or one that was read before.

    Args:
        crm: The CRM.
        record: Without an id it is new. With one it replaces what is there, if ``version`` is
            still the one that was read.
        by: Who asks; needs ``<table>:edit``.

    Returns:
        The record with its number and version.

    Raises:
        Invalid: A value does not fit its field, or a department would hang from itself.
        EditConflict: Somebody changed it since.
        Duplicate: A unique field has the value already.
        GuardedField: The record, or the field, changes by a use case of its own.
        LastAdministrator: The employee who leaves, today or later, is the last who manages all
            users and roles.
        NotFound: There is none with this id, or a reference points to nothing.
        NotPermitted: Without the permission; or an employee with an account moves or leaves, and
            one may not manage that account.
        ScopeTooWide: One's own view would become wider, or the account reaches further; or the
            department that one's reach begins with would hang elsewhere.
    """
    by.need(f"{_plain(type(record))}:edit")
    return _written(crm, record, by)


def _written(crm: Crm, record: T, by: Principal) -> T:
    """Write what somebody may write."""
    cls = type(record)
    record = _checked(record)
    with crm.unit_of_work() as uow:
        if cls in (Employee, Department):
            # First: whoever deals a turn locks the rotation before it reads the people; and two who
            # hang departments from each other at once would make a circle.
            uow.turns.people_changed()
        now = crm.now()
        number = getattr(record, "id", None)
        before = None if number is None else uow.records.get(cls, number)
        if number is not None and before is None:
            raise NotFound(what=about(cls).zh, id=number)
        _refuse_guarded(before, record)
        if isinstance(record, Employee) and isinstance(before, Employee):
            refuse_hiring_and_firing(uow, before, record, by)
        if isinstance(record, Department) and isinstance(before, Department):
            refuse_leaving(before, record, by)
            refuse_circle(uow, record)
        managers = administrators(crm, uow, now) if cls is Employee else ()
        write = uow.records.add if before is None else uow.records.save
        saved = write(record, reach_of(by))
        refuse_lockout(crm, uow, managers, now, by)
        action = "create" if before is None else "update"
        audit(uow, by, now, action, cls.__name__, getattr(saved, "id", None), before, saved)
        return saved


def write_record(
    crm: Crm, cls: type[Any], id: int | None, values: Mapping[str, Any], *, by: Principal
) -> int:
    """Write what was typed as a plain record: a new one, or changes of one that is there.

    Of records with rules of their own it changes what `About.changes` says.

    Args:
        crm: The CRM.
        cls: The kind of record.
        id: Its number; None makes a new one.
        values: What was typed, by field; fields that are not named stay as they are. With
            ``version`` the record must still be the one that was read.
        by: Who asks; needs ``<table>:edit``.

    Returns:
        The record's number.

    Raises:
        Invalid: With every problem.
        EditConflict: Somebody changed it since.
        Duplicate: A unique field has the value already.
        GuardedField: The record, or a field, changes by a use case of its own.
        LastAdministrator: The employee who leaves is the last who manages all users and roles.
        NotFound: There is none with this number, or a reference points to nothing.
        NotPermitted: Without the permission.
    """
    by.need(f"{_plain(cls) if id is None else _changeable(cls, values)}:edit")
    found, problems = parse_fields(cls, values, partial=id is not None, zone=crm.settings.zone)
    if problems:
        raise Invalid(problems)
    if id is None:
        found.pop("version", None)
        return int(_written(crm, cls(**found), by).id)
    with crm.unit_of_work(read_only=True) as uow:
        before = uow.records.get(cls, id) if record_number(id) is not None else None
    if before is None:
        raise NotFound(what=about(cls).zh, id=quoted(id))
    return int(_written(crm, changed(before, **found), by).id)


def get_record(crm: Crm, cls: type[T], id: int, *, by: Principal) -> T:
    """Read a plain record within one's reach, or one that all may read.

    The contact data of an employee is told to whoever has the employee within reach, or holds
    ``employee:edit``; to others it is None.

    Raises:
        GuardedField: The record has its own use cases.
        NotFound: There is none within reach.
        NotPermitted: Without ``<table>:view``.
    """
    by.need(f"{_listed(cls)}:view")
    with crm.unit_of_work(read_only=True) as uow:
        record = uow.records.get(cls, id, _reading(cls, by))
        if record is None:
            raise NotFound(what=about(cls).zh, id=quoted(id))
        return record


def list_records(crm: Crm, cls: type[T], query: Query | None = None, *, by: Principal) -> Page[T]:
    """Read one page of the plain records that `get_record` would give.

    A search finds what any of their texts holds or what they are called, in large letters or small;
    secrets and ways to reach people are not searched.

    Raises:
        GuardedField: The record has its own use cases.
        Invalid: The query names what is not there.
        NotPermitted: Without ``<table>:view``.
    """
    by.need(f"{_listed(cls)}:view")
    with crm.unit_of_work(read_only=True) as uow:
        return uow.records.page(cls, query or Query(), _reading(cls, by))


def _reading(cls: type[Any], by: Principal) -> Reach | None:
    """Tell how far somebody reads: who keeps what all may read, reads all of it."""
    keeps = about(cls).shared and by.may(f"{about(cls).table}:edit")
    return None if keeps else reach_of(by)


def tally_records(
    crm: Crm, cls: type[Any], query: Query | None = None, facets: Sequence[str] = (), *,
    most: int = MOST, by: Principal,
) -> Tally:  # fmt: skip
    """Count the plain records that `list_records` would give, and the values of some fields.

    Args:
        crm: The CRM.
        cls: The kind of record.
        query: What is asked; its limit and its page mark do not matter.
        facets: Fields whose values are counted: choices, flags, references.
        most: So many are counted at most; of more the tally says that there are more.
        by: Who asks; needs ``<table>:view``.

    Raises:
        GuardedField: The record has its own use cases.
        Invalid: The query or a facet names what is not there.
        NotPermitted: Without the permission.
    """
    by.need(f"{_listed(cls)}:view")
    with crm.unit_of_work(read_only=True) as uow:
        return uow.records.tally(cls, query or Query(), facets, _reading(cls, by), most=most)


def titles(
    crm: Crm, cls: type[Any], ids: Iterable[int | None], *, language: Language | None = None,
    by: Principal,
) -> dict[int, str]:  # fmt: skip
    """Tell what records are called that others refer to, all by one statement.

    Args:
        crm: The CRM.
        cls: The kind of record: a plain one, or ``Customer``, ``User``, ``Role``, ``Permission``.
        ids: Their numbers; None is passed over.
        language: Of the titles, and of words in them such as 第3期; None is what ``by`` reads.
        by: Who asks. What the principal may not view is left out: all without ``<table>:view``,
            customers and plain records out of reach. An account is named by its employee, and by
            its username to whoever holds ``user:manage`` and has it within reach; out of reach
            only to whoever may view employees.

    Returns:
        The titles by number.

    Raises:
        GuardedField: Records of this kind have no titles.
    """
    wanted = sorted({n for n in ids if n is not None and record_number(n) is not None})
    if not any(map(by.may, _seeing(cls))) or not wanted:
        return {}
    if cls is Customer:
        parts = [wanted[i : i + MANY] for i in range(0, len(wanted), MANY)]
        asked = [Query(where={"id": part}, limit=MANY) for part in parts]
        return {n: name for query in asked for n, name in _customers(crm, query, by).items()}
    with crm.unit_of_work(read_only=True) as uow:
        if _narrowly(cls, by):
            parts = [wanted[i : i + MANY] for i in range(0, len(wanted), MANY)]
            named = [_accounts(uow, by, MANY, ids=part) for part in parts]
            return {n: called for some in named for n, called in some.items()}
        found = uow.records.look_up(cls, _title_paths(cls, by), ids=wanted, reach=_reading(cls, by))
        return _titled(cls, found, language or _read_by(by))


def suggest(
    crm: Crm, cls: type[Any], text: str, limit: int = 10, *, language: Language | None = None,
    by: Principal,
) -> dict[int, str]:  # fmt: skip
    """Find records by a part of their titles, for whoever picks one while typing.

    Args:
        crm: The CRM.
        cls: As for `titles`.
        text: Words, each of which must be found; of customers what a search finds. Without any,
            the first ones.
        limit: So many at most, 1 to 1,000.
        language: As for `titles`.
        by: Who asks; needs what `titles` asks for.

    Returns:
        The titles by number, in their order.

    Raises:
        GuardedField: Records of this kind have no titles.
        Invalid: The text is none.
        NotPermitted: Without the permission.
    """
    needed = _seeing(cls)
    if not any(map(by.may, needed)):
        by.need(needed[0])
    query = Query(search=text, limit=max(1, min(limit, LONGEST_LIST)))
    if cls is Customer:
        return _customers(crm, query if text.strip() else Query(limit=query.limit), by)
    with crm.unit_of_work(read_only=True) as uow:
        if _narrowly(cls, by):
            return _accounts(uow, by, query.limit, text=text)
        found = uow.records.look_up(
            cls,
            _title_paths(cls, by),
            words=text.split(),
            limit=query.limit,
            reach=_reading(cls, by),
        )
        return _titled(cls, found, language or _read_by(by))


def _read_by(by: Principal) -> Language:
    return "en" if by.language == "en" else "zh"


def _seeing(cls: type[Any]) -> tuple[str, ...]:
    return SEES[cls] if cls in SEES else (f"{_listed(cls)}:view",)


def _customers(crm: Crm, query: Query, by: Principal) -> dict[int, str]:
    return {c.id or 0: c.name for c in list_customers(crm, query, by=by)}


def _title_paths(cls: type[Any], by: Principal) -> tuple[str, ...]:
    if cls is not User:
        return paths(cls)
    return ("employee_id.name", "username") if by.may("user:manage") else ("employee_id.name",)


def _narrowly(cls: type[Any], by: Principal) -> bool:
    """Whether usernames are told, but not of all accounts."""
    return cls is User and by.may("user:manage") and by.scope is not Scope.ALL


def _accounts(
    uow: UnitOfWork, by: Principal, limit: int, *, ids: Sequence[int] | None = None, text: str = ""
) -> dict[int, str]:
    """Tell what accounts are called to whoever manages those within a reach.

    The username is read, and searched, of these alone; of others the employee's name, if one may
    view employees.
    """
    near = Query(search=text, limit=limit, where={} if ids is None else {"id": ids})
    managed = [user.id or 0 for user in uow.directory.accounts(near, reach_of(by))]
    found: dict[int, tuple[Any, ...]] = {}
    if by.may("employee:view"):
        found |= uow.records.look_up(
            User, ("employee_id.name",), ids=ids, words=text.split(), limit=limit
        )
    found |= uow.records.look_up(User, ("employee_id.name", "username"), ids=managed)
    named = _titled(User, found, _read_by(by))
    return dict(sorted(named.items(), key=lambda one: (one[1], one[0]))[:limit])


def _titled(
    cls: type[Any], found: dict[int, tuple[Any, ...]], language: Language
) -> dict[int, str]:
    if cls is User:
        return {
            n: called for n, values in found.items() if (called := next(filter(None, values), ""))
        }
    return {number: title(cls, values, language) for number, values in found.items()}


def remove_record(crm: Crm, cls: type[Any], id: int, *, by: Principal) -> None:
    """Remove a plain record that nothing refers to.

    Raises:
        GuardedField: The record has its own use cases.
        InUse: Others refer to it.
        NotFound: There is none within one's reach.
        NotPermitted: Without ``<table>:edit``.
    """
    by.need(f"{_plain(cls)}:edit")
    with crm.unit_of_work() as uow:
        if cls is Employee:
            uow.turns.people_changed()
        now = crm.now()
        before = uow.records.get(cls, id)
        if before is None:
            raise NotFound(what=about(cls).zh, id=quoted(id))
        uow.records.remove(cls, id, reach_of(by))
        audit(uow, by, now, "remove", cls.__name__, id, before, None)


def _checked(record: T) -> T:
    """Read every value as its field would, so that what code passes in is as sound as a form's."""
    problems: list[FieldError] = []
    found: dict[str, Any] = {}
    for name, spec in specs(type(record)).items():
        value = getattr(record, name)
        if spec.kind == "key":
            found[name] = value
            if value is not None and record_number(value) is None:
                raise NotFound(what=about(type(record)).zh, id=quoted(value))
            continue
        found[name], problem = read_field(spec, value)
        if problem is not None:
            problems.append(problem)
    if problems:
        raise Invalid(problems)
    return type(record)(**found)


def _refuse_guarded(before: Any, after: Any) -> None:
    for name, spec in specs(type(after)).items():
        if spec.guarded and spec.kind != "version":
            was = spec.default if before is None else getattr(before, name)
            if getattr(after, name) != was:
                raise GuardedField(field=spec.zh)
