"""The nightly sweep (spec section 4): what it adds, when it stops, whom it warned before."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import attrs
import pytest

from crm_domain import SYSTEM
from crm_domain.errors import (
    CrmError,
    Invalid,
    SweepStopped,
)
from crm_domain.model import Customer, Event
from crm_domain.ports import Query
from crm_domain.rules.access import Principal
from crm_domain.usecases import (
    assignment,
    follow_up,
    intake,
    pool,
    pool_rules,
    schedule,
    sweep,
)
from make import World
from steps import TICK, enrol, in_pool, on, pay, told


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
