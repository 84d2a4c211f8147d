"""Plain records: departments, employees, courses and all that has no rules of its own."""

from __future__ import annotations

from typing import Any, TypeVar

from crm_domain.errors import FieldError, GuardedField, Invalid, NotFound
from crm_domain.model import Employee, about, specs
from crm_domain.parsing import Unreadable, field_value
from crm_domain.ports import Crm, Page, Query
from crm_domain.rules.access import Principal
from crm_domain.usecases._common import audit, reach_of

T = TypeVar("T")


def _plain(cls: type[Any]) -> str:
    """Give the table's name, or refuse a record with rules of its own.

    Raises:
        GuardedField: The record has its own use cases.
    """
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
        NotFound: There is none with this id, or a reference points to nothing.
        NotPermitted: Without the permission.
    """
    cls = type(record)
    by.need(f"{_plain(cls)}:edit")
    record = _checked(record)
    with crm.unit_of_work() as uow:
        now = crm.now()
        number = getattr(record, "id", None)
        before = None if number is None else uow.records.get(cls, number)
        if number is not None and before is None:
            raise NotFound(what=about(cls).zh, id=number)
        _refuse_guarded(before, record)
        saved = uow.records.add(record) if before is None else uow.records.save(record)
        if cls is Employee:
            uow.turns.people_changed()
        action = "create" if before is None else "update"
        audit(uow, by, now, action, cls.__name__, getattr(saved, "id", None), before, saved)
        return saved


def get_record(crm: Crm, cls: type[T], id: int, *, by: Principal) -> T:
    """Read a plain record.

    Raises:
        NotFound: There is none.
        NotPermitted: Without ``<table>:view``.
    """
    by.need(f"{_plain(cls)}:view")
    with crm.unit_of_work(read_only=True) as uow:
        record = uow.records.get(cls, id)
        if record is None:
            raise NotFound(what=about(cls).zh, id=id)
        return record


def list_records(crm: Crm, cls: type[T], query: Query | None = None, *, by: Principal) -> Page[T]:
    """Read one page of plain records.

    Raises:
        Invalid: The query names what is not there.
        NotPermitted: Without ``<table>:view``.
    """
    by.need(f"{_plain(cls)}:view")
    with crm.unit_of_work(read_only=True) as uow:
        return uow.records.page(cls, query or Query(), reach_of(by))


def remove_record(crm: Crm, cls: type[Any], id: int, *, by: Principal) -> None:
    """Remove a plain record that nothing refers to.

    Raises:
        InUse: Others refer to it.
        NotFound: There is none.
        NotPermitted: Without ``<table>:edit``.
    """
    by.need(f"{_plain(cls)}:edit")
    with crm.unit_of_work() as uow:
        now = crm.now()
        before = uow.records.get(cls, id)
        uow.records.remove(cls, id)
        audit(uow, by, now, "remove", cls.__name__, id, before, None)


def _checked(record: T) -> T:
    """Read every value as its field would, so that what code passes in is as sound as a form's."""
    problems: list[FieldError] = []
    found: dict[str, Any] = {}
    for name, spec in specs(type(record)).items():
        value = getattr(record, name)
        if spec.kind in ("key", "version", "json"):
            found[name] = value
            continue
        try:
            found[name] = field_value(spec, value)
        except Unreadable as e:
            problems.append(FieldError(name, e.code, value, f"{spec.zh}“{value}”{e.zh}",
                                       f"{spec.en} {value!r} {e.en}"))  # fmt: skip
            continue
        if found[name] is None and not spec.optional:
            problems.append(FieldError(name, "missing", None, f"请填写“{spec.zh}”",
                                       f"{spec.en} is missing"))  # fmt: skip
    if problems:
        raise Invalid(problems)
    return type(record)(**found)


def _refuse_guarded(before: Any, after: Any) -> None:
    for name, spec in specs(type(after)).items():
        if spec.guarded and spec.kind != "version":
            was = spec.default if before is None else getattr(before, name)
            if getattr(after, name) != was:
                raise GuardedField(field=spec.zh)
