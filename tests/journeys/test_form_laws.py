"""A form that is sent twice has its effect once, and both answers are the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from crm_adapters import open_crm
from crm_domain import SYSTEM, Crm
from crm_domain.errors import AlreadySent, Duplicate, Invalid, NotPermitted
from crm_domain.model import Customer, Payment
from crm_domain.ports import Query
from crm_domain.rules.access import Principal
from crm_domain.testing.clock import FixedClock
from crm_domain.usecases import assignment, intake, payments, schedule
from make import World, phone

TOKEN = "one form"


def paid(customer: Customer, **more: Any) -> dict[str, Any]:
    """Type a deposit."""
    return {"customer_id": customer.id, "kind": "deposit", "amount": "500",
            "paid_on": "2026-11-01", **more}  # fmt: skip


def many(world: World) -> tuple[int, int, int]:
    """Count the payments, the customers and the turns that are used up."""
    with world.crm.unit_of_work(read_only=True) as uow:
        entered = len(uow.records.all(Payment))
    customers = len(intake.list_customers(world.crm, Query(), by=SYSTEM).items)
    return entered, customers, assignment.show_rotation(world.crm, by=SYSTEM).position


def test_the_same_form_of_a_payment_enters_one(world: World) -> None:
    """The second sending gives the payment of the first; another form enters another."""
    typed = paid(world.customer(world.a), receipt_number="R1")
    first = payments.record_payment(world.crm, typed, once=TOKEN, by=world.a)
    world.clock.advance(timedelta(hours=1))
    assert payments.record_payment(world.crm, typed, once=TOKEN, by=world.a) == first
    assert many(world)[0] == 1
    del typed["receipt_number"]
    assert payments.record_payment(world.crm, typed, once="another", by=world.a).id != first.id


def test_the_same_form_of_a_customer_enters_one_and_uses_one_turn(world: World) -> None:
    """It is no duplicate of itself, whoever has the customer by then."""
    typed = {"name": "王芳", "phone": phone()}
    first = intake.register_customer(world.crm, typed, once=TOKEN, by=world.manager)
    again = intake.register_customer(world.crm, typed, once=TOKEN, by=world.manager)
    assert again.id == first.id
    assert many(world)[1:] == (1, 1)
    with pytest.raises(Duplicate):
        intake.register_customer(world.crm, typed, once="another", by=world.manager)


def test_a_form_that_says_something_else_tells_what_it_made(world: World) -> None:
    """Nothing more is entered, and the answer does not read as if nothing had been."""
    customer = world.customer(world.a)
    first = payments.record_payment(world.crm, paid(customer), once=TOKEN, by=world.a)
    with pytest.raises(AlreadySent) as refused:
        payments.record_payment(world.crm, paid(customer, amount="600"), once=TOKEN, by=world.a)
    assert str(first.id) in refused.value.message("zh")
    assert str(first.id) in refused.value.message("en")
    typed = {"name": "王芳", "phone": phone()}
    intake.register_customer(world.crm, typed, to="pool", once=TOKEN, by=world.manager)
    with pytest.raises(AlreadySent):
        intake.register_customer(world.crm, typed, once=TOKEN, by=world.manager)
    assert many(world)[0] == 1


def test_a_form_that_was_refused_can_be_sent_again(world: World) -> None:
    """What failed is undone with its token."""
    typed = {"name": "王芳", "phone": world.customer().phone}
    with pytest.raises(Duplicate):
        intake.register_customer(world.crm, typed, once=TOKEN, by=world.manager)
    typed["phone"] = phone()
    assert intake.register_customer(world.crm, typed, once=TOKEN, by=world.manager).id


def test_a_token_is_that_of_whoever_sends_it(world: World) -> None:
    """Of another it tells nothing and stops nothing, nor does one of another kind of form."""
    typed = paid(world.customer(world.a))
    first = payments.record_payment(world.crm, typed, once=TOKEN, by=world.a)
    assert payments.record_payment(world.crm, typed, once=TOKEN, by=SYSTEM).id != first.id
    new = {"name": "王芳", "phone": phone()}
    assert intake.register_customer(world.crm, new, once=TOKEN, by=world.manager).name == "王芳"
    with pytest.raises(NotPermitted):
        payments.record_payment(world.crm, typed, once=TOKEN, by=Principal(name="x"))


@pytest.mark.parametrize("none", [None, ""])
def test_without_a_token_each_sending_counts(world: World, none: str | None) -> None:
    """Programs that send none enter as many as they send."""
    typed = paid(world.customer(world.a))
    for _ in range(2):
        payments.record_payment(world.crm, typed, once=none, by=world.a)
    assert many(world)[0] == 2


@pytest.mark.parametrize("token", ["x" * 201, 7, b"x"])
def test_a_token_that_is_none_is_refused(world: World, token: Any) -> None:
    """It would be taken for a promise that cannot be kept."""
    with pytest.raises(Invalid):
        payments.record_payment(world.crm, paid(world.customer(world.a)), once=token, by=world.a)


def test_the_night_forgets_forms_of_last_week(world: World) -> None:
    """Until then they are known, and no longer."""
    typed = paid(world.customer(world.a))
    first = payments.record_payment(world.crm, typed, once=TOKEN, by=SYSTEM)
    world.clock.advance(timedelta(days=6))
    assert (schedule.run_job(world.crm, "tidy", by=SYSTEM).result or {})["removed"] == 0
    assert payments.record_payment(world.crm, typed, once=TOKEN, by=SYSTEM).id == first.id
    world.clock.advance(timedelta(days=2))
    assert (schedule.run_job(world.crm, "tidy", by=SYSTEM).result or {})["removed"] == 1


@pytest.mark.parametrize("kind", ["payment", "customer"])
def test_two_who_send_one_form_at_once_enter_one(url: str, clock: FixedClock, kind: str) -> None:
    """Over connections of their own, as two processes of the web have them, and ten times."""
    with open_crm(url, clock=clock) as one, open_crm(url, clock=clock) as other:
        world = World(one, clock)
        customer = world.customer(world.a)
        before = many(world)
        for n in range(10):
            typed = {"name": "王芳", "phone": phone()}
            due = paid(customer, amount=str(n + 1))

            def send(crm: Crm, token: str = f"form {n}", typed: Any = typed, due: Any = due) -> Any:
                if kind == "payment":
                    return payments.record_payment(crm, due, once=token, by=world.a).id
                return intake.register_customer(crm, typed, once=token, by=world.manager).id

            first, second = at_once(lambda s=send: s(one), lambda s=send: s(other))
            assert first == second
        after = many(world)
    made = tuple(b - a for a, b in zip(before, after, strict=True))
    assert made[:2] == ((10, 0) if kind == "payment" else (0, 10))


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Do things in threads that begin at the same moment."""
    barrier = threading.Barrier(len(acts))

    def begin(act: Callable[[], Any]) -> Any:
        barrier.wait(30)
        return act()

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(begin, acts))
