"""Employees and students of a sheet: few, dealt to nobody, and taken in all at once or not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from crm_domain.errors import DatabaseBusy, Duplicate
from crm_domain.model import CustomerStatus, Employee, ImportRun, Student
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
    return [uow.records.add(g.record) for g in good]


def _students(
    crm: Crm, uow: UnitOfWork, run: ImportRun, good: Sequence[Good], now: datetime, by: Principal
) -> list[Student]:
    """Write customers who enrolled before, owned by nobody, and what they are as students."""
    rules = policy(crm, uow)
    saved = uow.customers.add([
        changed(g.record.customer, import_id=run.id, import_row=g.row, created_at=now,
                created_by_id=by.user_id)
        for g in good
    ])  # fmt: skip
    customers = [s for s in saved if s is not None]
    if len(customers) < len(good):
        raise Duplicate(what="客户", field="联系方式", value="", fields=())
    enrolled = [changed(c, status=CustomerStatus.ENROLLED) for c in customers]
    uow.customers.publish([dated(c, rules) for c in enrolled])
    return [
        uow.records.add(changed(g.record.student, customer_id=c.id or 0))
        for g, c in zip(good, customers, strict=True)
    ]
