"""Employees and students of a sheet: few, dealt to nobody, and taken in all at once or not."""

from __future__ import annotations

from collections.abc import Container, Sequence
from datetime import datetime
from typing import Any

from crm_domain.errors import DatabaseBusy, Duplicate
from crm_domain.model import Customer, CustomerStatus, Employee, ImportRun, Student, specs
from crm_domain.model.fields import changed
from crm_domain.ports import Crm, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.rules.pool import dated
from crm_domain.usecases._common import audited, policy
from crm_domain.usecases._import_rows import Good

EDITED = {"Employee": "employee:edit", "Student": "student:edit"}
"""What somebody must be allowed, beside importing."""


def take_people(
    crm: Crm, uow: UnitOfWork, run: ImportRun, good: Sequence[Good], now: datetime, by: Principal
) -> None:
    """Write what the rows of a locked import became.

    Raises:
        DatabaseBusy: Somebody else saved one of them meanwhile; looked at again, the row is told.
    """
    try:
        if run.record == "Employee":
            made: Sequence[Employee | Student] = _employees(uow, good)
        else:
            made = _students(crm, uow, run, good, now, by)
    except Duplicate as e:
        raise DatabaseBusy from e
    uow.audit(*(audited(by, now, "create", run.record, one.id, None, one) for one in made))


def _employees(uow: UnitOfWork, good: Sequence[Good]) -> list[Employee]:
    # First: whoever deals a turn locks the rotation before it reads the people.
    uow.turns.people_changed()
    return [uow.records.add(Employee(**g.values)) for g in good]


def _students(
    crm: Crm, uow: UnitOfWork, run: ImportRun, good: Sequence[Good], now: datetime, by: Principal
) -> list[Student]:
    """Write customers who enrolled before, owned by nobody, and what they are as students."""
    rules, own = policy(crm, uow), specs(Student)
    saved = uow.customers.add([
        Customer(**_but(g, own), import_id=run.id, import_row=g.row, created_at=now,
                 created_by_id=by.user_id)
        for g in good
    ])  # fmt: skip
    customers = [s for s in saved if s is not None]
    if len(customers) < len(good):
        raise Duplicate(what="客户", field="联系方式", value="", fields=())
    enrolled = [changed(c, status=CustomerStatus.ENROLLED) for c in customers]
    uow.ownership.publish([dated(c, rules) for c in enrolled])
    return [
        uow.records.add(Student(customer_id=c.id or 0, **_but(g, _but(g, own))))
        for g, c in zip(good, customers, strict=True)
    ]


def _but(good: Good, names: Container[str]) -> dict[str, Any]:
    return {name: value for name, value in good.values.items() if name not in names}
