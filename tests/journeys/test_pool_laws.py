"""The pool (spec section 4): who is in it, from when on, and what the sweep adds."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import attrs
import pytest

from crm_domain import SYSTEM
from crm_domain.errors import (
    CrmError,
    CustomerLocked,
    Invalid,
    NotFound,
    NotOwner,
    SweepStopped,
)
from crm_domain.model import Course, Customer, Event, Intention, PoolRule, School
from crm_domain.parsing import parse_fields
from crm_domain.ports import Query
from crm_domain.rules.access import Principal
from crm_domain.rules.pool import Calendar, dated, is_public
from crm_domain.usecases import (
    assignment,
    follow_up,
    intake,
    payments,
    pool,
    pool_rules,
    records,
    schedule,
    sweep,
)
from crm_domain.usecases._common import policy
from make import World
from steps import TICK, enrol, on, told


def ids(page: Any) -> list[int]:
    return [c.id for c in page]


def in_pool(world: World) -> list[int]:
    return ids(pool.public_customers(world.crm, by=world.c))


def pay(world: World, customer: Customer, by: Principal | None = None) -> int:
    typed = {"customer_id": customer.id, "kind": "deposit", "amount": Decimal(100),
             "paid_on": crm_day(world)}  # fmt: skip
    payment = payments.record_payment(world.crm, typed, by=by or world.a)
    return payment.id or 0


def crm_day(world: World) -> date:
    return world.crm.today()


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


# -- the sweep --------------------------------------------------------------------------------


def _actions(world: World) -> list[Callable[[random.Random, Customer], Any]]:
    people = (world.a, world.b, world.c)

    def follow(chance: random.Random, c: Customer) -> None:
        follow_up.log_follow_up(world.crm, c.id or 0, {"note": "x", "intention": "within_1_week"},
                                by=chance.choice(people))  # fmt: skip

    def claim(chance: random.Random, c: Customer) -> None:
        pool.claim_customer(world.crm, c.id or 0, by=chance.choice(people))

    def release(chance: random.Random, c: Customer) -> None:
        pool.release_customer(world.crm, c.id or 0, by=chance.choice(people))

    def lock(chance: random.Random, c: Customer) -> None:
        pool_state = chance.random() < 0.5
        assignment.lock_customer(world.crm, c.id or 0, reason="重点", locked=pool_state,
                                 by=world.manager)  # fmt: skip

    def pending(chance: random.Random, c: Customer) -> None:
        pay(world, c, by=chance.choice(people))

    def transfer(chance: random.Random, c: Customer) -> None:
        to = chance.choice(people).employee_id or 0
        assignment.transfer_customer(world.crm, c.id or 0, to, by=world.manager)

    return [follow, follow, follow, claim, release, lock, pending, transfer]


def _a_random_past(world: World, chance: random.Random) -> list[Customer]:
    people = (world.a, world.b, world.c, None)
    customers = [world.customer(chance.choice(people), name=n) for n in "赵钱孙李周吴郑王"]
    actions = _actions(world)
    for _ in range(24):
        world.clock.advance(timedelta(hours=chance.randint(1, 16)))
        try:
            chance.choice(actions)(chance, chance.choice(customers))
        except CrmError:
            continue
    for customer in chance.sample(customers, 2):
        with world.crm.unit_of_work(read_only=True) as uow:
            now = uow.customers.get(customer.id or 0)
        if now is not None and now.owner_id is not None and not now.locked:
            enrol(world, customer)
    return customers


def _answers(world: World, customers: list[Customer]) -> dict[str, Any]:
    """Ask everything that people may read, as everybody."""
    crm, found = world.crm, {}

    def ask(name: str, question: Callable[[], Any]) -> None:
        try:
            found[name] = question()
        except CrmError as e:
            found[name] = repr(e)

    everybody = {"a": world.a, "b": world.b, "c": world.c, "manager": world.manager,
                 "system": SYSTEM, "finance": FINANCE}  # fmt: skip
    for who, by in everybody.items():
        ask(f"{who} pool", lambda by=by: list(pool.public_customers(crm, by=by)))
        for query in QUERIES:
            ask(f"{who} {query}", lambda by=by, q=query: list(
                intake.list_customers(crm, q, by=by)))  # fmt: skip
        for status in (None, 1, 2, 3, 4, 5):
            where = {} if status is None else {"status": status}
            ask(f"{who} mine {status}", lambda by=by, w=where: [
                changed_row(r) for r in assignment.my_customers(crm, Query(where=w), by=by)
            ])  # fmt: skip
        for c in customers:
            number = c.id or 0
            ask(f"{who} get {number}", lambda by=by, n=number: intake.get_customer(crm, n, by=by))
            ask(f"{who} timeline {number}",
                lambda by=by, n=number: follow_up.timeline(crm, n, by=by))  # fmt: skip
            contact = {"phone": c.phone}
            ask(f"{who} similar {number}",
                lambda by=by, v=contact: intake.find_duplicates(crm, v, by=by))  # fmt: skip
            if by is not SYSTEM and by is not FINANCE:
                # The history of the stored assignments is what a sweep writes.
                ask(f"{who} history {number}",
                    lambda by=by, n=number: assignment.history(crm, n, by=by))  # fmt: skip
    return found


FINANCE = Principal(name="finance", permissions=frozenset({"customer:view", "pool:view"}),
                    scope=SYSTEM.scope)  # fmt: skip
QUERIES = (
    Query(), Query(sort="-received_at"), Query(sort="due_on"), Query(where={"owner_id": None}),
    Query(where={"due_status": 3}), Query(search="赵"),
    Query(ranges={"last_contacted_at": (on(1), on(30))}),
)  # fmt: skip


def changed_row(row: Any) -> Any:
    """Leave out when it ended: that moment is the sweep's own."""
    return {n: getattr(row, n) for n in type(row).__slots__ if n not in ("ended_at", "__weakref__")}


@pytest.mark.parametrize("seed", range(5))
def test_a_sweep_changes_no_answer(world: World, seed: int) -> None:
    """Whatever happened before, every read answers the same before and after the sweep."""
    # given
    chance = random.Random(seed)
    customers = _a_random_past(world, chance)
    released = 0
    for _ in range(4):
        world.clock.advance(timedelta(hours=chance.randint(12, 72)))
        before = _answers(world, customers)
        # when
        released += pool.sweep_pool(world.crm, by=SYSTEM).released
        # then
        after = _answers(world, customers)
        assert {n: (v, after[n]) for n, v in before.items() if v != after[n]} == {}
    assert released


def test_sweeping_again_changes_nothing(world: World) -> None:
    """A second sweep of the same moment releases nobody and tells nobody."""
    # given
    world.customer(world.a)
    world.clock.set(on(5))
    assert pool.sweep_pool(world.crm, by=SYSTEM).released == 1
    # when
    again = pool.sweep_pool(world.crm, by=SYSTEM)
    # then
    assert (again.released, dict(again.by_status)) == (0, {})
    assert len(told(world.crm, Event.EXPIRED)) == 1


def test_a_dry_run_lists_what_the_sweep_takes(world: World) -> None:
    """It names the customers of tonight, changes nothing, and the sweep then takes just them."""
    # given
    doomed = {world.customer(world.a).id, world.customer(world.b).id}
    world.customer()
    world.clock.set(on(4, 12))
    world.customer(world.c)
    # when
    tonight = pool.sweep_pool(world.crm, dry_run=True, at=on(5), by=SYSTEM)
    # then
    assert {e.customer_id for e in tonight.customers} == doomed
    assert in_pool(world) != sorted(doomed)
    world.clock.set(on(5))
    assert pool.sweep_pool(world.crm, by=SYSTEM).by_owner == tonight.by_owner
    with pytest.raises(Invalid):
        pool.sweep_pool(world.crm, at=on(6), by=SYSTEM)


def test_a_former_owner_gets_one_notice(world: World) -> None:
    """The sweep tells each owner once, however many customers went, and nobody else."""
    # given
    for _ in range(3):
        world.customer(world.a)
    world.customer(world.b)
    # when
    world.clock.set(on(5))
    pool.sweep_pool(world.crm, by=SYSTEM)
    # then
    expired = told(world.crm, Event.EXPIRED)
    assert [n.recipient_id for n in expired] == [world.a.employee_id, world.b.employee_id]
    assert "3 位" in expired[0].subject
    assert "1 位" in expired[1].subject


@pytest.mark.parametrize("batch", [1, 2, 3, 4])
def test_an_owner_is_told_once_however_small_the_batches(
    world: World, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """Nobody is cut in two, and what each is told adds up to what was released."""
    # given
    monkeypatch.setattr(sweep, "SWEEP_BATCH", batch)
    for owner in (world.a, world.b, world.c, world.a, world.b, world.a):
        world.customer(owner)
    # when
    world.clock.set(on(5))
    done = pool.sweep_pool(world.crm, by=SYSTEM)
    # then
    owners = [p.employee_id for p in (world.a, world.b, world.c)]
    assert done.by_owner == dict(zip(owners, (3, 2, 1), strict=True))
    assert [(n.recipient_id, n.subject[:3]) for n in told(world.crm, Event.EXPIRED)] == [
        (owners[0], "3 位"), (owners[1], "2 位"), (owners[2], "1 位"),
    ]  # fmt: skip


def test_a_sweep_that_was_cut_off_counts_nobody_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one tells what it took itself, in notices and result, and what went before."""
    # given: whoever sweeps dies after the first transaction, and an owner loses two more
    monkeypatch.setattr(sweep, "SWEEP_BATCH", 1)
    for owner in (world.a, world.a, world.a, world.b, world.b):
        world.customer(owner)
    world.clock.set(on(5))
    real = sweep.audit

    def dies(uow: Any, by: Any, at: Any, action: str, *more: Any) -> None:
        real(uow, by, at, action, *more)
        monkeypatch.setattr(sweep, "audit", killed)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "audit", dies)
    with pytest.raises(KeyboardInterrupt):
        pool.sweep_pool(world.crm, by=SYSTEM)
    monkeypatch.setattr(sweep, "audit", real)
    # when
    world.clock.set(on(5, 1))
    on_time = attrs.evolve(world.crm, storage=Between(world.crm.storage, lambda: None))
    second = schedule.JOBS["sweep"].run(on_time)
    third = pool.sweep_pool(world.crm, by=SYSTEM)
    # then
    assert second == {"released": 2, "earlier": 3}
    assert (third.released, third.earlier) == (0, 5)
    assert [n.subject[:3] for n in told(world.crm, Event.EXPIRED)] == ["3 位", "2 位"]
    assert pool.sweep_pool(world.crm, dry_run=True, by=SYSTEM).earlier == 0


def test_a_missed_night_is_caught_up(world: World) -> None:
    """A sweep that comes days late takes everything, and is no reason to stop."""
    world.customer(world.a)
    world.clock.set(on(20))
    assert pool.sweep_pool(world.crm, by=SYSTEM).released == 1


def test_an_implausible_sweep_stops_and_changes_nothing(world: World) -> None:
    """A guarded sweep that would take more than half of all, and more than 20, asks first."""
    # given
    for _ in range(21):
        world.customer(world.a)
    world.clock.set(on(5))
    # when
    with pytest.raises(SweepStopped):
        pool.sweep_pool(world.crm, guard=True, by=SYSTEM)
    # then
    assert pool.sweep_pool(world.crm, dry_run=True, by=SYSTEM).released == 21
    assert pool.sweep_pool(world.crm, by=SYSTEM).released == 21


class Between:
    """A storage on which something is done between the guard's look and the release."""

    def __init__(self, storage: Any, act: Callable[[], object]) -> None:
        self._storage, self._act = storage, act

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def clock(self) -> datetime:
        """Tell the time of the test; the guard asks for it when it has counted."""
        self._act()
        return on(5, 1)


@pytest.mark.parametrize(("batch", "before"), [(50_000, 0), (1, 1)])
def test_rules_that_change_meanwhile_pass_no_guard(
    world: World, monkeypatch: pytest.MonkeyPatch, batch: int, before: int
) -> None:
    """No more is released than the guard lets pass; what would go beyond stays as a whole."""
    # given: one who is overdue, and more than half of all who are not
    monkeypatch.setattr(sweep, "SWEEP_BATCH", batch)
    world.customer(world.a)
    world.clock.set(on(2))
    for _ in range(24):
        world.customer(world.b)
    world.clock.set(on(5, 1))
    strict = [{"contact_days": 1}]
    change = partial(pool_rules.set_pool_rules, world.crm, strict, by=SYSTEM)
    hasty = attrs.evolve(world.crm, storage=Between(world.crm.storage, change))
    # when
    with pytest.raises(SweepStopped) as stopped:
        pool.sweep_pool(hasty, guard=True, by=SYSTEM)
    # then
    assert str(before) in stopped.value.message("zh")
    assert pool.sweep_pool(world.crm, dry_run=True, by=SYSTEM).released == 25 - before
    # when nothing changes meanwhile, as much as the guard has let pass is released
    few = attrs.evolve(world.crm, storage=Between(world.crm.storage, lambda: None),
                       settings=attrs.evolve(world.crm.settings, sweep_max_share=1.0))  # fmt: skip
    assert pool.sweep_pool(few, guard=True, by=SYSTEM).released == 25 - before


def test_a_guarded_sweep_stops_when_the_clocks_differ(world: World) -> None:
    """A clock far from the database's own releases nobody."""
    world.customer(world.a)
    world.clock.advance(timedelta(days=4000))
    with pytest.raises(SweepStopped):
        pool.sweep_pool(world.crm, guard=True, by=SYSTEM)
    assert pool.sweep_pool(world.crm, dry_run=True, by=SYSTEM).released == 1


# -- warnings ---------------------------------------------------------------------------------


def test_an_owner_is_warned_once_for_each_deadline(world: World) -> None:
    """One day ahead and once; a follow-up makes a new deadline with a warning of its own."""
    # given
    customer = world.customer(world.a)
    world.clock.set(on(4) - TICK)
    assert pool.warn_owners(world.crm, by=SYSTEM) == 0
    # when
    world.clock.set(on(4))
    counts = [pool.warn_owners(world.crm, by=SYSTEM) for _ in range(2)]
    follow_up.log_follow_up(world.crm, customer.id or 0, {"note": "x"}, by=world.a)
    counts.append(pool.warn_owners(world.crm, by=SYSTEM))
    world.clock.set(on(7))
    counts += [pool.warn_owners(world.crm, by=SYSTEM) for _ in range(2)]
    # then
    assert counts == [1, 0, 0, 1, 0]
    warned = told(world.crm, Event.EXPIRING)
    assert {n.recipient_id for n in warned} == {world.a.employee_id}
    assert "11月5日" in warned[0].body
    assert "11月8日" in warned[1].body


def test_whoever_loses_many_is_warned_once_a_day_of_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to 20 each has a warning; more have one, from owner to owner in small transactions."""
    # given
    monkeypatch.setattr(sweep, "OWNERS", 1)
    for who, n in ((world.a, 20), (world.b, 21), (world.c, 2)):
        for _ in range(n):
            world.customer(who)
    # when
    world.clock.set(on(4, 9))
    counts = [pool.warn_owners(world.crm, by=SYSTEM) for _ in range(2)]
    # then
    assert counts == [20 + 1 + 2, 0]
    warned = Counter(n.recipient_id for n in told(world.crm, Event.EXPIRING))
    assert warned == {world.a.employee_id: 20, world.b.employee_id: 1, world.c.employee_id: 2}
    [many] = [n for n in told(world.crm, Event.EXPIRING) if n.recipient_id == world.b.employee_id]
    assert "21 位" in many.subject and "21 位" in many.body and "11月5日" in many.body
    assert many.expires_at == on(5)


def test_many_are_warned_of_again_the_next_day(world: World) -> None:
    """As long as they are many and not yet lost."""
    pool_rules.set_pool_rules(world.crm, [{"warning_days": 2}], by=SYSTEM)
    for _ in range(21):
        world.customer(world.a)
    counts = []
    for day in (3, 4, 5):
        world.clock.set(on(day, 9))
        counts.append(pool.warn_owners(world.crm, by=SYSTEM))
    assert counts == [1, 1, 0]


def test_nobody_is_warned_of_what_is_lost_already(world: World) -> None:
    """A warning that comes too late is not written."""
    world.customer(world.a)
    world.clock.set(on(5))
    assert pool.warn_owners(world.crm, by=SYSTEM) == 0


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


# -- the rules --------------------------------------------------------------------------------


def test_changing_a_limit_dates_the_customers_anew(world: World) -> None:
    """A dry run counts who would become public and changes nothing; saving makes just them so."""
    # given
    first, second = world.customer(world.a), world.customer(world.b)
    world.clock.set(on(3, 12))
    follow_up.log_follow_up(world.crm, second.id or 0, {"note": "x"}, by=world.b)
    shorter = [{"contact_days": 1, "closing_days": 15}]
    # when
    would = pool_rules.set_pool_rules(world.crm, shorter, dry_run=True, by=SYSTEM)
    # then
    assert (would, in_pool(world)) == (1, [])
    assert pool_rules.set_pool_rules(world.crm, shorter, by=SYSTEM) == 1
    assert in_pool(world) == [first.id]
    world.clock.set(on(5))
    assert in_pool(world) == [second.id, first.id]


def test_a_dry_run_counts_just_whom_the_rules_would_release(world: World) -> None:
    """Counted by set as they are dated one by one, whatever the rules and the customers are."""
    # given
    crm, chance = world.crm, random.Random(20261101)
    # Most are private by the present rule.
    pool_rules.set_pool_rules(crm, [{"contact_days": 12, "closing_days": 16}], by=SYSTEM)
    schools = [records.save_record(crm, School(title=t), by=SYSTEM).id for t in "东西"]
    courses = [records.save_record(crm, Course(title=t), by=SYSTEM).id for t in "甲乙丙"]
    sources, intentions = (None, "baidu", "seo"), (None, "no_plan", "within_1_week")

    def moment() -> datetime:
        edge = chance.choice([-TICK, timedelta(), TICK, timedelta(hours=chance.randrange(24))])
        return on(chance.randint(1, 18)) + edge

    for n in range(60):
        chosen = chance.sample(courses, chance.randrange(3))
        made = world.customer(
            (world.a, world.b, None)[n % 3], source=chance.choice(sources), courses=chosen,
            school_id=chance.choice([None, *schools]),
        )  # fmt: skip
        received = moment()
        if made.owner_id is not None:
            held = attrs.evolve(
                made, received_at=received, last_contacted_at=max(received, moment()),
                dated_anew_at=chance.choice([None, None, moment()]),
                payment_pending_on=chance.choice([None, None, moment().date()]),
                intention=Intention(i) if (i := chance.choice(intentions)) else None,
                locked=n % 10 == 0,
            )  # fmt: skip
            with crm.unit_of_work() as uow:
                uow.ownership.keep(dated(held, policy(crm, uow)))
    world.clock.set(on(19, 12))
    with crm.unit_of_work(read_only=True) as uow:
        everybody = uow.ownership.owned_after(0, 1000, lock=False)
        present = policy(crm, uow)
    today, found = crm.today(), set()
    for _ in range(40):
        rules = [
            {"school_id": chance.choice([None, None, *schools]),
             "course_id": chance.choice([None, None, *courses]),
             "source": chance.choice(sources), "intention": chance.choice(intentions),
             "contact_days": chance.randrange(9), "closing_days": chance.randrange(30),
             "working_days": chance.choice([True, False])}
            for _ in range(chance.randrange(4))
        ]  # fmt: skip
        holidays = {on(d).date(): chance.choice([True, False]) for d in range(1, 18, 3)}
        read = tuple(PoolRule(**parse_fields(PoolRule, {"position": i, **r})[0])
                     for i, r in enumerate(rules))  # fmt: skip
        new = attrs.evolve(present, rules=read, calendar=Calendar(holidays))
        expected = sum(
            is_public(dated(c, new), today) for c in everybody if not is_public(c, today)
        )
        # when / then
        told = pool_rules.set_pool_rules(crm, rules, holidays=holidays, dry_run=True, by=SYSTEM)
        assert told == expected, rules
        found.add(told)
    assert len(found) > 5


def test_a_longer_limit_does_not_give_a_lost_customer_back(world: World) -> None:
    """What is public stays public, whether a sweep has run or not."""
    # given
    customer = world.customer(world.a)
    world.clock.set(on(5))
    # when
    pool_rules.set_pool_rules(world.crm, [{"contact_days": 30, "closing_days": 60}], by=SYSTEM)
    # then
    assert in_pool(world) == [customer.id]


def test_editing_does_not_give_a_lost_customer_back(world: World) -> None:
    """A change that would bring another rule into force changes nothing for who lost it."""
    # given
    rules = [{"source": "referral", "contact_days": 30, "closing_days": 60}, {}]
    pool_rules.set_pool_rules(world.crm, rules, by=SYSTEM)
    customer = world.customer(world.a)
    world.clock.set(on(5))
    # when
    intake.edit_customer(world.crm, customer.id or 0, {"source": "referral"}, version=1, by=SYSTEM)
    # then
    assert in_pool(world) == [customer.id]


def test_the_first_rule_that_fits_applies(world: World) -> None:
    """Rules are asked in order; the last one fits everybody."""
    # given
    rules = [{"source": "referral", "contact_days": 1}, {"contact_days": 5}]
    pool_rules.set_pool_rules(world.crm, rules, by=SYSTEM)
    referred, other = world.customer(world.a, source="内部转介绍"), world.customer(world.a)
    # when / then
    world.clock.set(on(3))
    assert in_pool(world) == [referred.id]
    world.clock.set(on(7) - TICK)
    assert in_pool(world) == [referred.id]
    world.clock.set(on(7))
    assert in_pool(world) == [other.id, referred.id]


def test_a_rule_may_count_working_days(world: World) -> None:
    """Weekends and holidays do not count, and a working Saturday (调休) does."""
    # given: the 1st is a Sunday; the 4th is a holiday and the 7th, a Saturday, is worked
    holidays = {date(2026, 11, 4): False, date(2026, 11, 7): True}
    rule = {"contact_days": 3, "working_days": True}
    pool_rules.set_pool_rules(world.crm, [rule], holidays=holidays, by=SYSTEM)
    # when: working days after the 1st are the 2nd, 3rd, 5th, 6th
    customer = world.customer(world.a)
    # then
    world.clock.set(on(6) - TICK)
    assert in_pool(world) == []
    world.clock.set(on(6))
    assert in_pool(world) == [customer.id]
    late = world.customer(world.b)
    world.clock.set(on(11) - TICK)
    assert late.id not in in_pool(world)
    world.clock.set(on(11))
    assert late.id in in_pool(world)


def test_rules_with_mistakes_are_refused_with_all_of_them(world: World) -> None:
    """Nothing is saved, and each mistake says in which rule it is."""
    wrong = [{"contact_days": -1}, {"closing_days": "x"}, {"source": "nowhere"}]
    with pytest.raises(Invalid) as refused:
        pool_rules.set_pool_rules(world.crm, wrong, by=SYSTEM)
    paths = {p.path for p in refused.value.problems}
    assert paths == {"0.contact_days", "1.closing_days", "2.source"}


@pytest.mark.parametrize(
    "wrong",
    [None, "x", [None], ["x"], [3], [{"contact_days": 10**30}], [{"position": "x"}],
     [{"position": 0}, {"position": 0}]],
)  # fmt: skip
def test_rules_that_are_none_are_refused(world: World, wrong: Any) -> None:
    """And what holds stays."""
    with pytest.raises(CrmError):
        pool_rules.set_pool_rules(world.crm, wrong, by=SYSTEM)
    assert pool_rules.set_pool_rules(world.crm, [{}], dry_run=True, by=SYSTEM) == 0


@pytest.mark.parametrize("wrong", [{"2026-11-04": True}, {date(2026, 11, 4): "yes"}, [1], "x"])
def test_holidays_are_days(world: World, wrong: Any) -> None:
    """Each with whether it is a working day."""
    with pytest.raises(Invalid):
        pool_rules.set_pool_rules(world.crm, [{}], holidays=wrong, by=SYSTEM)


def test_a_dry_run_of_rules_waits_for_nobody_and_changes_nothing(world: World) -> None:
    """It answers while somebody holds a customer, and tells what the change then does."""
    # given
    numbers = [world.customer(world.a).id for _ in range(3)]
    world.clock.set(on(3))
    # when
    with world.crm.unit_of_work() as uow:
        uow.customers.lock(numbers[0] or 0)
        told = pool_rules.set_pool_rules(
            world.crm, [{"contact_days": 1}], dry_run=True, by=SYSTEM
        )  # fmt: skip
    # then
    assert told == 3
    assert in_pool(world) == []
    assert pool_rules.set_pool_rules(world.crm, [{"contact_days": 1}], by=SYSTEM) == 3
    assert sorted(in_pool(world)) == numbers


def test_many_customers_are_dated_anew_by_set(world: World) -> None:
    """As many as travel in arrays, each with its own dates."""
    # given
    numbers = [world.customer(world.a).id for _ in range(60)]
    for number in numbers[:30]:
        world.clock.advance(timedelta(minutes=1))
        follow_up.log_follow_up(world.crm, number or 0, {"note": "电话"}, by=world.a)
    # when
    pool_rules.set_pool_rules(world.crm, [{"contact_days": 5, "closing_days": 4}], by=SYSTEM)
    # then
    world.clock.set(on(6) - TICK)
    assert in_pool(world) == []
    world.clock.set(on(6))
    assert len(in_pool(world)) == 50
    released = pool.sweep_pool(world.crm, by=SYSTEM)
    assert dict(released.by_status) == {4: 60}
