"""Steps that several journeys take: moments of November, an enrolment, what people were told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from crm_adapters.storage.unit_of_work import SqlStorage
from crm_domain import SYSTEM, Crm
from crm_domain.model import AssignmentStatus, Customer, CustomerStatus, Event, Notice, User
from crm_domain.model.fields import changed
from crm_domain.ports import Closing, Query
from crm_domain.rules.access import Principal
from crm_domain.rules.pool import dated
from crm_domain.usecases import notices, payments, pool
from crm_domain.usecases._common import policy
from crm_domain.usecases._owning import pooled
from make import World
from strategies import local

TICK = timedelta(microseconds=1)


def on(day: int, hour: int = 0) -> datetime:
    """Tell a moment of a local day in November; days beyond the 30th go on into December."""
    return local(date(2026, 11, 1) + timedelta(days=day - 1), hour)


def told(crm: Crm, event: Event) -> list[Notice]:
    """Read the notices of an event, the oldest first."""
    page = notices.list_notices(crm, Query(where={"event": event}, sort="id"), by=SYSTEM)
    return list(page)


def enrol(world: World, customer: Customer) -> None:
    """Write what an enrolment writes: the assignment is won, nobody owns the customer."""
    with world.crm.unit_of_work() as uow:
        locked = uow.customers.lock(customer.id or 0)
        assert locked is not None
        assert locked.assignment_id is not None
        uow.ownership.close(Closing(locked.assignment_id, AssignmentStatus.WON, world.clock()))
        won = changed(pooled(locked), status=CustomerStatus.ENROLLED)
        uow.ownership.keep(dated(won, policy(world.crm, uow)))


def pay(world: World, customer: Customer, by: Principal | None = None) -> int:
    """Enter a deposit of a hundred yuan, and tell its number."""
    typed = {"customer_id": customer.id, "kind": "deposit", "amount": Decimal(100),
             "paid_on": world.crm.today()}  # fmt: skip
    return payments.record_payment(world.crm, typed, by=by or world.a).id or 0


def ids(page: Any) -> list[int]:
    """Give the numbers of records."""
    return [c.id for c in page]


def in_pool(world: World) -> list[int]:
    """Give the numbers of who is in the pool."""
    return ids(pool.public_customers(world.crm, by=world.c))


def login(crm: Crm, who: Principal) -> str:
    """Tell the username of somebody's account."""
    with crm.unit_of_work(read_only=True) as uow:
        user = uow.records.get(User, who.user_id or 0)
    assert user is not None
    return user.username


def counted(crm: Crm, act: Callable[[], object]) -> int:
    """Do something and count the statements that the database was sent for writing."""
    storage = crm.storage
    assert isinstance(storage, SqlStorage)
    seen: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        seen.append(statement)

    sa.event.listen(storage.engine, "before_cursor_execute", note)
    try:
        act()
    finally:
        sa.event.remove(storage.engine, "before_cursor_execute", note)
    return len(seen)
