"""Plain records: departments, employees, courses and all that has no rules of its own."""

from __future__ import annotations

from typing import Any, TypeVar

from crm_domain.errors import FieldError, GuardedField, Invalid, NotFound, ScopeTooWide
from crm_domain.model import RECORDS, Employee, Scope, about, specs
from crm_domain.parsing import quoted, read_field, record_number
from crm_domain.ports import Crm, Page, Query, Reach
from crm_domain.rules.access import Principal
from crm_domain.usecases._common import audit, reach_of
from crm_domain.usecases._rights import administrators, refuse_lockout

T = TypeVar("T")


def _plain(cls: type[Any]) -> str:
    """Give the table's name, or refuse a record with rules of its own.

    Raises:
        GuardedField: The record has its own use cases.
        Invalid: It is no record at all.
    """
    if cls not in RECORDS.values():
        raise Invalid([FieldError("", "no_record", None, "这不是一条记录", "this is no record")])
    if not about(cls).plain:
        raise GuardedField(field=about(cls).zh)
    return about(cls).table


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
        Invalid: A value does not fit its field.
        EditConflict: Somebody changed it since.
        Duplicate: A unique field has the value already.
        GuardedField: The record, or the field, changes by a use case of its own.
        ScopeTooWide: Whoever does not see all changes the own department.
        LastAdministrator: The employee who leaves is the last who manages users and roles.
        NotFound: There is none with this id, or a reference points to nothing; or the record is,
            or would be, nobody's within one's reach.
        NotPermitted: Without the permission.
    """
    cls = type(record)
    by.need(f"{_plain(cls)}:edit")
    record = _checked(record)
    with crm.unit_of_work() as uow:
        if cls is Employee:
            # First: whoever deals a turn locks the rotation before it reads the people.
            uow.turns.people_changed()
        now = crm.now()
        number = getattr(record, "id", None)
        before = None if number is None else uow.records.get(cls, number)
        if number is not None and before is None:
            raise NotFound(what=about(cls).zh, id=number)
        _refuse_guarded(before, record)
        _refuse_own_move(before, record, by)
        managers = administrators(crm, uow, now) if cls is Employee else frozenset()
        write = uow.records.add if before is None else uow.records.save
        saved = write(record, reach_of(by))
        refuse_lockout(crm, uow, managers, now, by)
        action = "create" if before is None else "update"
        audit(uow, by, now, action, cls.__name__, getattr(saved, "id", None), before, saved)
        return saved


def get_record(crm: Crm, cls: type[T], id: int, *, by: Principal) -> T:
    """Read a plain record within one's reach, or one that all may read.

    The contact data of an employee is told to whoever has the employee within reach, or holds
    ``employee:edit``; to others it is None.

    Raises:
        GuardedField: The record has its own use cases.
        NotFound: There is none within reach.
        NotPermitted: Without ``<table>:view``.
    """
    by.need(f"{_plain(cls)}:view")
    with crm.unit_of_work(read_only=True) as uow:
        record = uow.records.get(cls, id, _reading(cls, by))
        if record is None:
            raise NotFound(what=about(cls).zh, id=quoted(id))
        return record


def list_records(crm: Crm, cls: type[T], query: Query | None = None, *, by: Principal) -> Page[T]:
    """Read one page of the plain records that `get_record` would give.

    Raises:
        GuardedField: The record has its own use cases.
        Invalid: The query names what is not there.
        NotPermitted: Without ``<table>:view``.
    """
    by.need(f"{_plain(cls)}:view")
    with crm.unit_of_work(read_only=True) as uow:
        return uow.records.page(cls, query or Query(), _reading(cls, by))


def _reading(cls: type[Any], by: Principal) -> Reach | None:
    """Tell how far somebody reads: who keeps what all may read, reads all of it."""
    keeps = about(cls).shared and by.may(f"{about(cls).table}:edit")
    return None if keeps else reach_of(by)


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


def _refuse_own_move(before: Any, after: Any, by: Principal) -> None:
    """Refuse to move oneself: whose reach goes by the department could widen it so.

    Raises:
        ScopeTooWide: One's own department would change.
    """
    own = isinstance(before, Employee) and before.id == by.employee_id
    if own and by.scope is not Scope.ALL and before.department_id != after.department_id:
        raise ScopeTooWide(scope_zh=Scope.ALL.zh, scope_en=Scope.ALL.en)


def _refuse_guarded(before: Any, after: Any) -> None:
    for name, spec in specs(type(after)).items():
        if spec.guarded and spec.kind != "version":
            was = spec.default if before is None else getattr(before, name)
            if getattr(after, name) != was:
                raise GuardedField(field=spec.zh)
