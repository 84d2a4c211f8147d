"""What the contract of a storage writes and asks: people, customers, notices."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any, TypeVar

from crm_domain.errors import CrmError
from crm_domain.model import Assignment, AssignmentMethod, Customer, Employee, Event, Notice
from crm_domain.model.fields import changed
from crm_domain.ports import Crm, NewAssignment, UnitOfWork

T = TypeVar("T")
NOW = datetime(2026, 11, 1, 2, tzinfo=UTC)
TODAY = date(2026, 11, 1)
DUE = date(2026, 11, 5)
_numbers = count(1)


def refusal(expected: type[CrmError], act: Callable[[], object]) -> CrmError:
    """Do what must be refused, and give the refusal."""
    try:
        act()
    except expected as error:
        return error
    raise AssertionError(f"it should have been refused with {expected.__name__}")


def employee(crm: Crm, name: str = "李雷", **values: Any) -> int:
    """Write an employee and tell the number."""
    with crm.unit_of_work() as uow:
        return uow.records.add(Employee(name=name, **values)).id or 0


def a_customer(**values: Any) -> Customer:
    """Make a customer whose phone number no other has."""
    typed = {"name": "王芳", "phone": f"139{next(_numbers):08d}", "created_at": NOW, **values}
    return Customer(**typed)


def owned(customer: Customer, by: int, at: datetime = NOW, due: date = DUE) -> Customer:
    """Give the customer as somebody's, due on a day."""
    return changed(
        customer, owner_id=by, last_consultant_id=by, received_at=at, last_contacted_at=at,
        due_on=due, due_status=3, due_days=3, warn_on=due - timedelta(days=1),
    )  # fmt: skip


def begun(customer: Customer, method: AssignmentMethod = AssignmentMethod.MANUAL, **more: Any) -> (
    NewAssignment
):  # fmt: skip
    """Make the period of ownership that a customer's owner begins."""
    return NewAssignment(customer=customer, method=method, explanation="", **more)


def enter(crm: Crm, owner: int | None = None, due: date = DUE, **values: Any) -> int:
    """Write a customer, into the pool or for an owner, and tell its number."""
    with crm.unit_of_work() as uow:
        [saved] = uow.customers.add([a_customer(**values)])
        assert saved is not None
        if owner is None:
            uow.ownership.publish([saved])
        else:
            uow.ownership.open([begun(owned(saved, owner, due=due))], fresh=True)
        return saved.id or 0


def read(crm: Crm, question: Callable[[UnitOfWork], T]) -> T:
    """Ask in a unit of work that only reads."""
    with crm.unit_of_work(read_only=True) as uow:
        return question(uow)


def customer_of(crm: Crm, number: int) -> Customer:
    """Read a customer that is there."""
    found = read(crm, lambda uow: uow.customers.get(number))
    assert found is not None
    return found


def history_of(crm: Crm, number: int) -> tuple[Assignment, ...]:
    """Read the assignments of a customer."""
    return read(crm, lambda uow: uow.customers.history(number))


def together(n: int, act: Callable[[int], T]) -> list[T]:
    """Do something in n threads that begin at the same moment."""
    barrier = threading.Barrier(n)

    def begin(i: int) -> T:
        barrier.wait(30)
        return act(i)

    with ThreadPoolExecutor(n) as threads:
        return list(threads.map(begin, range(n)))


def a_notice(recipient: int, key: str = "k") -> Notice:
    """Make a notice to somebody."""
    return Notice(
        recipient_id=recipient, subject="x", body="x", event=Event.ASSIGNED, about="customer:1",
        channel="console", idempotency_key=key, created_at=NOW,
    )  # fmt: skip
