"""The pool (spec section 4): who is in it, and from when on."""

from datetime import date, timedelta
from typing import Any

import pytest

from crm_domain import SYSTEM
from crm_domain.errors import (
    CustomerLocked,
    Invalid,
    NotFound,
    NotOwner,
)
from crm_domain.model import Event, Scope
from crm_domain.rules.access import Principal
from crm_domain.usecases import (
    assignment,
    follow_up,
    intake,
    payments,
    pool,
)
from make import World
from steps import TICK, enrol, ids, in_pool, on, pay, told

# -- midnight ---------------------------------------------------------------------------------


BOUNDARIES = [
    # (received, last contact or None, the first public day, the status that it then gets)
    (on(1, 10), None, 5, 3),
    (on(1) - TICK, None, 4, 3),
    (on(1), None, 5, 3),
    (on(2) - TICK, None, 5, 3),
    (on(1, 10), on(1, 23), 5, 3),
    (on(1, 10), on(2) - TICK, 5, 3),
    (on(1, 10), on(2), 6, 3),
    (on(1, 10), on(12), 16, 3),
    (on(1, 10), on(13) - TICK, 16, 3),
    # The 17th by both limits: not closed goes before not followed up.
    (on(1, 10), on(13), 17, 4),
    (on(1, 10), on(16, 12), 17, 4),
    (on(1) - TICK, on(15, 12), 16, 4),
]


@pytest.mark.parametrize(("received", "contact", "day", "status"), BOUNDARIES)
def test_public_begins_at_local_midnight(
    world: World, received: Any, contact: Any, day: int, status: int
) -> None:
    """Private to the last microsecond of the day before, public at 00:00, with the right status."""
    # given
    world.clock.set(received)
    customer = world.customer(world.a)
    if contact is not None:
        # Whoever keeps in touch every day keeps the customer until the last contact.
        at = received
        while at < contact:
            at = min(at + timedelta(days=1), contact)
            world.clock.set(at)
            follow_up.log_follow_up(world.crm, customer.id or 0, {"note": "电话"}, by=world.a)
    # when / then
    world.clock.set(on(day) - TICK)
    assert in_pool(world) == []
    assert intake.get_customer(world.crm, customer.id or 0, by=world.a).phone == customer.phone
    world.clock.set(on(day))
    assert in_pool(world) == [customer.id]
    assert pool.sweep_pool(world.crm, by=SYSTEM).by_status == {status: 1}
    [ended] = assignment.history(world.crm, customer.id or 0, by=SYSTEM)
    assert (int(ended.status), ended.limit_days) == (status, {3: 3, 4: 15}[status])


def test_at_midnight_the_old_owner_has_lost_the_customer(world: World) -> None:
    """Before any sweep, the former owner neither reads nor edits nor follows up; others see it."""
    # given
    customer = world.customer(world.a)
    number = customer.id or 0
    # when
    world.clock.set(on(5))
    # then
    with pytest.raises(NotFound):
        intake.get_customer(world.crm, number, by=world.a)
    with pytest.raises(NotFound):
        intake.edit_customer(world.crm, number, {"memo": "x"}, version=1, by=world.a)
    with pytest.raises(NotOwner):
        follow_up.log_follow_up(world.crm, number, {"note": "x"}, by=world.a)
    with pytest.raises(NotFound):
        follow_up.timeline(world.crm, number, by=world.a)
    with pytest.raises(NotFound):
        assignment.history(world.crm, number, by=world.a)
    with pytest.raises(NotOwner):
        pool.release_customer(world.crm, number, by=world.a)
    with pytest.raises(NotFound):
        pay(world, customer)
    assert ids(intake.list_customers(world.crm, by=world.a)) == []
    seen = intake.get_customer(world.crm, number, by=world.b)
    assert "****" in (seen.phone or "")


def test_at_midnight_anybody_else_may_claim(world: World) -> None:
    """No sweep is needed: the claim itself closes the overdue assignment."""
    # given
    customer = world.customer(world.a)
    world.clock.set(on(5) - TICK)
    with pytest.raises(NotFound):
        pool.claim_customer(world.crm, customer.id or 0, by=world.b)
    # when
    world.clock.set(on(5))
    pool.claim_customer(world.crm, customer.id or 0, by=world.b)
    # then
    former, present = assignment.history(world.crm, customer.id or 0, by=SYSTEM)
    assert (former.consultant_id, int(former.status)) == (world.a.employee_id, 3)
    assert former.ended_at == present.started_at == on(5)
    assert (present.consultant_id, int(present.status)) == (world.b.employee_id, 1)


def test_the_open_assignment_stays_until_a_sweep(world: World) -> None:
    """What is stored is left as it is: ``current`` still tells the overdue assignment."""
    # given
    customer = world.customer(world.a)
    world.clock.set(on(5))
    assert assignment.current(world.crm, customer.id or 0, by=SYSTEM) is not None
    # when
    pool.sweep_pool(world.crm, by=SYSTEM)
    # then
    assert assignment.current(world.crm, customer.id or 0, by=SYSTEM) is None


def test_a_follow_up_never_moves_the_last_contact_back(world: World) -> None:
    """A contact that is noted down late changes no deadline that is further off already."""
    # given
    customer = world.customer(world.a)
    world.clock.set(on(4, 12))
    follow_up.log_follow_up(world.crm, customer.id or 0, {"note": "来电"}, by=world.a)
    # when
    late = {"note": "早些时候", "at": on(2, 12)}
    follow_up.log_follow_up(world.crm, customer.id or 0, late, by=world.a)
    # then
    found = intake.get_customer(world.crm, customer.id or 0, by=world.a)
    assert (found.last_contacted_at, found.due_on) == (on(4, 12), date(2026, 11, 8))


def test_a_follow_up_in_the_future_is_refused(world: World) -> None:
    """Nobody keeps a customer by promising a contact."""
    customer = world.customer(world.a)
    ahead = {"note": "明天打电话", "at": world.clock() + TICK}
    with pytest.raises(Invalid):
        follow_up.log_follow_up(world.crm, customer.id or 0, ahead, by=world.a)


def test_who_has_no_employee_opens_whom_nobody_had(world: World) -> None:
    """No former owner is nobody in particular; who had the customer last does not open it."""
    fresh, lost = world.customer(), world.customer(world.a)
    pool.release_customer(world.crm, lost.id or 0, by=world.a)
    reads = frozenset({"customer:view", "pool:view"})
    alone = Principal(name="alone", permissions=reads, scope=Scope.OWN)
    for one in (fresh, lost):
        seen = intake.get_customer(world.crm, one.id or 0, by=alone)
        assert "****" in (seen.phone or "")
    with pytest.raises(NotFound):
        intake.get_customer(world.crm, lost.id or 0, by=world.a)


# -- locked, enrolled, paying -----------------------------------------------------------------


def test_a_locked_customer_never_becomes_public(world: World) -> None:
    """Neither the pool nor the sweep takes it; unlocked, its own dates count again."""
    # given
    customer = world.customer(world.a)
    number = customer.id or 0
    assignment.lock_customer(world.crm, number, reason="老板的朋友", by=world.manager)
    # when
    world.clock.set(on(25))
    # then
    assert in_pool(world) == []
    assert pool.sweep_pool(world.crm, by=SYSTEM).released == 0
    assert intake.get_customer(world.crm, number, by=world.a).lock_reason == "老板的朋友"
    with pytest.raises(CustomerLocked):
        pool.release_customer(world.crm, number, by=world.a)
    assignment.lock_customer(world.crm, number, reason="", locked=False, by=world.manager)
    assert in_pool(world) == [number]


def test_a_lock_does_not_give_an_overdue_customer_back(world: World) -> None:
    """Who lost the customer at midnight has lost it, whatever a manager locks afterwards."""
    # given
    customer = world.customer(world.a)
    world.clock.set(on(5))
    # when
    assignment.lock_customer(world.crm, customer.id or 0, reason="重点", by=world.manager)
    # then
    assert ids(intake.list_customers(world.crm, by=world.a)) == []
    with pytest.raises(NotFound):
        pool.claim_customer(world.crm, customer.id or 0, by=world.b)


def test_whoever_loses_a_customer_here_and_now_is_told(world: World) -> None:
    """By the lock of an overdue one, or by a manager who gives it back; not who gives it back."""
    # given
    overdue = world.customer(world.a, name="过期")
    world.clock.set(on(5))
    taken, given = world.customer(world.b, name="收回"), world.customer(world.c, name="放弃")
    # when
    assignment.lock_customer(world.crm, overdue.id or 0, reason="重点", by=world.manager)
    pool.release_customer(world.crm, taken.id or 0, reason="换人", by=world.manager)
    pool.release_customer(world.crm, given.id or 0, by=world.c)
    # then
    [expired] = told(world.crm, Event.EXPIRED)
    [moved] = told(world.crm, Event.TRANSFERRED)
    assert (expired.recipient_id, moved.recipient_id) == (world.a.employee_id, world.b.employee_id)
    assert "过期" in expired.body
    assert "收回" in moved.body


def test_a_locked_customer_of_nobody_can_be_unlocked(world: World) -> None:
    """What a manager locked in the pool, the manager can put back into it."""
    # given
    customer = world.customer()
    assignment.lock_customer(world.crm, customer.id or 0, reason="重点", by=world.manager)
    assert in_pool(world) == []
    # when
    assignment.lock_customer(world.crm, customer.id or 0, reason="", locked=False,
                             by=world.manager)  # fmt: skip
    # then
    assert in_pool(world) == [customer.id]


def test_an_enrolled_customer_is_never_public(world: World) -> None:
    """The last consultant keeps seeing it, nobody may claim it, and no sweep takes it."""
    # given
    customer = world.customer(world.a)
    enrol(world, customer)
    # when
    world.clock.set(on(30))
    # then
    assert in_pool(world) == []
    assert pool.sweep_pool(world.crm, by=SYSTEM).released == 0
    assert intake.get_customer(world.crm, customer.id or 0, by=world.a).phone == customer.phone
    with pytest.raises(NotFound):
        pool.claim_customer(world.crm, customer.id or 0, by=world.b)


def test_a_pending_payment_keeps_a_customer_for_a_week(world: World) -> None:
    """Private through the seventh day after it was entered, public from the midnight after."""
    # given
    customer = world.customer(world.a)
    world.clock.set(on(4, 12))
    pay(world, customer)
    # when / then
    world.clock.set(on(12) - TICK)
    assert in_pool(world) == []
    world.clock.set(on(12))
    assert in_pool(world) == [customer.id]
    assert pool.sweep_pool(world.crm, by=SYSTEM).by_status == {3: 1}


def test_each_pending_payment_protects_for_a_week_of_its_own(world: World) -> None:
    """The one that was entered last protects longest."""
    # given
    customer = world.customer(world.a)
    world.clock.set(on(4, 12))
    pay(world, customer)
    world.clock.set(on(10, 12))
    pay(world, customer)
    # when / then
    world.clock.set(on(18) - TICK)
    assert in_pool(world) == []
    world.clock.set(on(18))
    assert in_pool(world) == [customer.id]


@pytest.mark.parametrize(("rejected", "public"), [(0, 16), (1, 13)])
def test_a_rejection_leaves_the_protection_of_the_other_payment(
    world: World, rejected: int, public: int
) -> None:
    """Entered on the 2nd and the 8th, and one of them rejected on the 9th, which dates anew."""
    # given
    customer = world.customer(world.a)
    waiting = []
    for day in (2, 8):
        world.clock.set(on(day, 12))
        waiting.append(pay(world, customer))
    world.clock.set(on(9, 12))
    # when
    payments.reject_payment(world.crm, waiting[rejected], reason="未到账", by=SYSTEM)
    # then
    world.clock.set(on(public) - TICK)
    assert in_pool(world) == []
    assert intake.get_customer(world.crm, customer.id or 0, by=world.a).phone == customer.phone
    world.clock.set(on(public))
    assert in_pool(world) == [customer.id]


def test_the_payment_of_a_new_owner_protects(world: World) -> None:
    """Though that of the former one was never handled."""
    # given
    customer = world.customer(world.a)
    pay(world, customer)
    world.clock.set(on(9, 12))
    pool.claim_customer(world.crm, customer.id or 0, by=world.b)
    world.clock.set(on(12, 12))
    # when
    pay(world, customer, by=world.b)
    # then
    world.clock.set(on(20) - TICK)
    assert in_pool(world) == []
    world.clock.set(on(20))
    assert in_pool(world) == [customer.id]


def test_a_rejected_payment_dates_the_customer_anew(world: World) -> None:
    """Both limits begin again on the day of the rejection."""
    # given
    customer = world.customer(world.a)
    world.clock.set(on(4, 12))
    payment = pay(world, customer)
    world.clock.set(on(10, 12))
    # when
    payments.reject_payment(world.crm, payment, reason="未到账", by=SYSTEM)
    # then
    world.clock.set(on(14) - TICK)
    assert in_pool(world) == []
    world.clock.set(on(14))
    assert in_pool(world) == [customer.id]


def test_a_late_rejection_does_not_give_a_lost_customer_back(world: World) -> None:
    """Who lost the customer after the week has lost it, whether a sweep has run or not."""
    # given
    customer = world.customer(world.a)
    payment = pay(world, customer)
    world.clock.set(on(12))
    assert in_pool(world) == [customer.id]
    # when
    payments.reject_payment(world.crm, payment, reason="未到账", by=SYSTEM)
    # then
    assert in_pool(world) == [customer.id]
