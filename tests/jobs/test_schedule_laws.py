"""The schedule: each slot once, whoever runs it, whoever dies, whatever the clocks say.

Nights go by without sleeping: the clocks are given, and where a lease must end, it is ended in the
database, as if its time had passed.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
import sqlalchemy as sa

from crm_adapters import open_crm
from crm_adapters.jobs import actors
from crm_adapters.jobs.watchdog import TimeOver, Watchdog
from crm_adapters.metrics import Metrics
from crm_adapters.storage.schedule import SqlSchedule
from crm_domain import SYSTEM, Crm
from crm_domain.errors import DatabaseBusy, JobRunning, NotFound, NotPermitted, SweepStopped
from crm_domain.model import AuditEntry, Event, Notice, ScheduledJob
from crm_domain.ports import Checked, Query, Settings
from crm_domain.testing.clock import FixedClock
from crm_domain.usecases import access, notices, pool, schedule, sweep
from make import World

NIGHTS = int(os.environ.get("CRM_TEST_NIGHTS", "100"))
LONG_AGO = datetime(2020, 1, 1, 2, tzinfo=UTC)
"""10:00 in Shanghai. In the past of every database's own clock, so that slots are believed."""


class OnTime:
    """A storage whose clock is the given one; all else is the storage's own."""

    def __init__(self, storage: Any, clock: FixedClock) -> None:
        self._storage, self.clock = storage, clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(LONG_AGO)


@pytest.fixture
def night(url: str, clock: FixedClock) -> Any:
    """Open a CRM on which nothing but the sweep is scheduled, at 00:05."""
    off = Settings(cron_deliver="", cron_warn="", cron_remind="", cron_tidy="", cron_check="",
                   cron_imports="",
                   sweep_max_share=1.0)  # fmt: skip
    with open_crm(url, clock=clock, settings=off) as crm:
        yield attrs.evolve(crm, storage=OnTime(crm.storage, clock))


def row(crm: Crm, name: str = "sweep") -> ScheduledJob:
    with crm.unit_of_work(read_only=True) as uow:
        return next(r for r in uow.schedule.all() if r.name == name)


def let_leases_end(crm: Crm) -> None:
    """Let the time of all leases pass."""
    with crm.storage.engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE scheduled_job SET leased_until = started_at"
                    " WHERE leased_until IS NOT NULL")
        )  # fmt: skip


class Killed(BaseException):
    """What ends a scheduler as kill -9 would: it writes nothing any more."""


def nothing(where: str) -> None:
    """Let everybody live."""


def counted(
    monkeypatch: pytest.MonkeyPatch, die: Callable[[str], None] = nothing
) -> Counter[datetime]:
    """Count the sweeps by slot; each may be killed before, within or after its work."""
    runs: Counter[datetime] = Counter()
    job = schedule.JOBS["sweep"]
    finish = SqlSchedule.finish

    def run(crm: Crm) -> Any:
        die("before")
        done = job.run(attrs.evolve(crm, storage=Mortal(crm.storage, die)))
        runs[row(crm).slot] += 1
        die("after")
        return done

    def dead(self: SqlSchedule, name: str, fence: int, **how: Any) -> bool:
        if how.get("error") == Killed.__name__:
            raise Killed
        return finish(self, name, fence, **how)

    monkeypatch.setitem(schedule.JOBS, "sweep", attrs.evolve(job, run=run))
    monkeypatch.setattr(SqlSchedule, "finish", dead)
    return runs


class Mortal(OnTime):
    """A storage whose transactions may be the last that their scheduler makes.

    It dies before it commits, so that nothing of that transaction is there.
    """

    def __init__(self, storage: Any, die: Callable[[str], None]) -> None:
        super().__init__(storage, storage.clock)
        self._die = die

    @contextmanager
    def unit_of_work(self, read_only: bool = False, wait: bool = True) -> Iterator[Any]:
        with self._storage.unit_of_work(read_only=read_only, wait=wait) as uow:
            yield uow
            if not read_only:
                self._die("within")


def at_once(n: int, crm: Crm) -> list[schedule.Run]:
    """Let n schedulers look at the same moment; who is killed, is gone."""

    def one(_: int) -> tuple[schedule.Run, ...]:
        try:
            return schedule.tick(crm, by=SYSTEM)
        except Killed:
            return ()

    with ThreadPoolExecutor(n) as threads:
        return [run for found in threads.map(one, range(n)) for run in found]


# -- a night like any other -------------------------------------------------------------------


def test_a_slot_is_run_once_when_its_time_has_come(night: Crm, clock: FixedClock) -> None:
    """Not before, and not again when somebody looks later."""
    schedule.tick(night, by=SYSTEM)
    clock.set(datetime(2020, 1, 1, 16, 4, 59, tzinfo=UTC))
    assert schedule.tick(night, by=SYSTEM) == ()
    clock.advance(timedelta(seconds=1))
    [run] = schedule.tick(night, by=SYSTEM)
    assert (run.name, run.result, run.error, run.taken_over) == (
        "sweep", {"released": 0}, None, False,
    )  # fmt: skip
    clock.advance(timedelta(hours=3))
    assert schedule.tick(night, by=SYSTEM) == ()
    assert row(night).slot == datetime(2020, 1, 1, 16, 5, tzinfo=UTC)


def test_missed_nights_are_made_up_for_once(night: Crm, clock: FixedClock) -> None:
    """Whoever was away for three nights sweeps once; the pool rule needs no more."""
    world = World(night, clock)
    schedule.tick(night, by=SYSTEM)
    customer = world.customer(world.a)
    clock.advance(timedelta(days=20))
    [run] = schedule.tick(night, by=SYSTEM)
    assert run.result == {"released": 1}
    assert schedule.tick(night, by=SYSTEM) == ()
    assert pool.public_customers(night, by=world.b).items[0].id == customer.id


def test_a_job_without_an_expression_is_off(night: Crm, clock: FixedClock) -> None:
    """It has no slot; by hand it runs all the same."""
    listed = {j.name: j for j in schedule.list_jobs(night, by=SYSTEM)}
    assert listed["warn"].next_at is None and listed["warn"].cron == ""
    assert str(listed["sweep"].next_at) == "2020-01-02 00:05:00+08:00"
    assert schedule.run_due(night, "warn", by=SYSTEM) is None
    assert schedule.run_job(night, "warn", by=SYSTEM).result == {"notices": 0}


def test_every_job_of_the_schedule_runs(url: str, clock: FixedClock) -> None:
    """All that is declared works, and tells numbers."""
    with open_crm(url, clock=clock, settings=Settings()) as opened:
        crm = attrs.evolve(opened, storage=OnTime(opened.storage, clock))
        runs = {r.name: r for r in schedule.tick(crm, by=SYSTEM)}
        assert runs.keys() == schedule.JOBS.keys()
        told = {name for run in runs.values() for name in run.result or {}}
        assert told == schedule.COUNTED.keys() - {"earlier", "woken"}
        for run in runs.values():
            assert run.error is None
            assert all(type(n) is int for n in (run.result or {}).values())


# -- by hand ----------------------------------------------------------------------------------


def by_real_clocks(night: Crm) -> Crm:
    """Give the same CRM by the clocks of here and now."""
    real = night.storage._storage
    return attrs.evolve(night, storage=real, clock=real.clock)


def test_a_run_by_hand_makes_up_for_a_missed_slot(night: Crm, clock: FixedClock) -> None:
    """What was just done need not be done again; and it stands in the audit log."""
    real = by_real_clocks(night)
    assert schedule.run_job(real, "sweep", by=SYSTEM).error is None
    assert schedule.tick(real, by=SYSTEM) == ()
    with night.unit_of_work(read_only=True) as uow:
        [entry] = uow.records.all(AuditEntry, action="run_job")
    assert entry.after == {"name": "sweep"}


def test_a_run_by_hand_waits_for_nobody(night: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at once are refused, whoever the other is."""
    sweep = schedule.JOBS["sweep"]

    def again(crm: Crm) -> Any:
        with pytest.raises(JobRunning):
            schedule.run_job(crm, "sweep", by=SYSTEM)
        assert schedule.run_due(crm, "sweep", by=SYSTEM) is None
        return {"released": 0}

    monkeypatch.setitem(schedule.JOBS, "sweep", attrs.evolve(sweep, run=again))
    assert schedule.run_job(night, "sweep", by=SYSTEM).error is None


def test_a_job_that_was_asked_for_is_run_by_whoever_looks_next(
    night: Crm,
) -> None:
    """Once, whatever the schedule says of it, also where it is off; and the log tells who asked."""
    crm = by_real_clocks(night)
    schedule.tick(crm, by=SYSTEM)
    for name in ("sweep", "warn"):
        schedule.ask_job(crm, name, by=SYSTEM)
        time.sleep(0.01)
        assert schedule.due_jobs(crm, by=SYSTEM) == (name,)
        listed = {j.name: j.asked_at for j in schedule.list_jobs(crm, by=SYSTEM)}
        assert [n for n, at in listed.items() if at is not None] == [name]
        assert [run.name for run in schedule.tick(crm, by=SYSTEM)] == [name]
        assert schedule.tick(crm, by=SYSTEM) == schedule.due_jobs(crm, by=SYSTEM) == ()
    with crm.unit_of_work(read_only=True) as uow:
        entries = uow.records.all(AuditEntry, action="run_job")
    assert [e.after for e in entries] == [{"name": "sweep"}, {"name": "warn"}]


def test_what_was_asked_for_outlives_its_worker(night: Crm) -> None:
    """One that is killed in it leaves it to the next, also where the schedule has no slot left."""
    crm = by_real_clocks(night)
    schedule.tick(crm, by=SYSTEM)
    for name in ("sweep", "warn"):
        schedule.ask_job(crm, name, by=SYSTEM)
        time.sleep(0.01)
        with crm.unit_of_work() as uow:
            assert uow.schedule.begin(name, None, 0.05)
        assert schedule.due_jobs(crm, by=SYSTEM) == ()
        time.sleep(0.1)
        assert schedule.due_jobs(crm, by=SYSTEM) == (name,)
        assert [run.name for run in schedule.tick(crm, by=SYSTEM)] == [name]
        assert schedule.due_jobs(crm, by=SYSTEM) == ()


def test_one_wish_is_one_run_whoever_looks_at_once(night: Crm) -> None:
    """Who comes when another has just ended it finds nothing left to do."""
    crm = by_real_clocks(night)
    schedule.tick(crm, by=SYSTEM)
    for _ in range(5):
        schedule.ask_job(crm, "sweep", by=SYSTEM)
        time.sleep(0.01)
        assert len(at_once(4, crm)) == 1


def test_what_is_asked_for_while_it_runs_runs_once_more(night: Crm) -> None:
    """Afterwards: the run that was going on may have looked already."""
    crm = by_real_clocks(night)
    schedule.tick(crm, by=SYSTEM)
    with crm.unit_of_work() as uow:
        fence = uow.schedule.begin("sweep", None, 600) or 0
    schedule.ask_job(crm, "sweep", by=SYSTEM)
    assert schedule.due_jobs(crm, by=SYSTEM) == schedule.tick(crm, by=SYSTEM) == ()
    with crm.unit_of_work() as uow:
        uow.schedule.finish("sweep", fence)
    time.sleep(0.01)  # SQLite's clock counts milliseconds, and no two runs begin within one.
    assert [run.name for run in schedule.tick(crm, by=SYSTEM)] == ["sweep"]


def test_only_administrators_run_jobs(night: Crm, clock: FixedClock) -> None:
    """And what is no job is not found."""
    world = World(night, clock)
    for act in (
        lambda by: schedule.list_jobs(night, by=by),
        lambda by: schedule.due_jobs(night, by=by),
        lambda by: schedule.late_jobs(night, by=by),
        lambda by: schedule.tick(night, by=by),
        lambda by: schedule.run_job(night, "sweep", by=by),
        lambda by: schedule.ask_job(night, "sweep", by=by),
        lambda by: schedule.run_due(night, "sweep", by=by),
    ):
        with pytest.raises(NotPermitted):
            act(world.manager)
    access.create_user(night, {"username": "root", "roles": ["administrator"]}, by=SYSTEM)
    root = access.principal_for(night, username="root")
    assert schedule.run_job(night, "sweep", by=root).error is None
    for run in (schedule.run_job, schedule.ask_job):
        with pytest.raises(NotFound):
            run(night, "nightly", by=SYSTEM)


# -- what goes wrong --------------------------------------------------------------------------


def failing(error: BaseException) -> Any:
    def run(_: Crm) -> Any:
        raise error

    return run


def test_a_job_that_is_refused_is_over_until_its_next_slot(
    night: Crm, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep that stopped asks for a person, who reads why in the list of jobs."""
    stopped = SweepStopped(reason_zh="太多。", reason_en="too many.")
    sweep = attrs.evolve(schedule.JOBS["sweep"], run=failing(stopped))
    monkeypatch.setitem(schedule.JOBS, "sweep", sweep)
    [run] = schedule.tick(night, by=SYSTEM)
    assert run.error is not None and run.error.startswith("sweep_stopped: ")
    let_leases_end(night)
    assert schedule.tick(night, by=SYSTEM) == ()
    clock.advance(timedelta(days=1))
    assert len(schedule.tick(night, by=SYSTEM)) == 1


@pytest.mark.parametrize("error", [DatabaseBusy(), RuntimeError("电话 13800138000")])
def test_a_job_that_breaks_is_tried_again_half_a_minute_later(
    night: Crm, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Not at once; the others go on; and what the error says stays out of the row."""
    sweep = schedule.JOBS["sweep"]
    with monkeypatch.context() as broken:
        broken.setitem(schedule.JOBS, "sweep", attrs.evolve(sweep, run=failing(error)))
        [run] = schedule.tick(night, by=SYSTEM)
    assert run.error and "138" not in run.error and row(night).error == run.error
    assert schedule.tick(night, by=SYSTEM) == ()
    let_leases_end(night)
    [run] = schedule.tick(night, by=SYSTEM)
    assert run.taken_over and run.error is None and row(night).error is None


def test_a_job_that_is_stopped_from_outside_says_so_and_is_tried_again(
    night: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a worker, when its time is over: the list of jobs must not say that it still runs."""
    job = schedule.JOBS["sweep"]
    with monkeypatch.context() as broken:
        stopped = attrs.evolve(job, run=failing(TimeOver()))
        broken.setitem(schedule.JOBS, "sweep", stopped)
        with pytest.raises(TimeOver):
            schedule.tick(night, by=SYSTEM)
    assert row(night).error == "TimeOver" and row(night).finished_at is None
    assert schedule.tick(night, by=SYSTEM) == ()
    let_leases_end(night)
    [run] = schedule.tick(night, by=SYSTEM)
    assert run.error is None and row(night).error is None


def test_a_job_is_kept_as_long_as_it_runs_and_free_soon_when_it_does_not(
    night: Crm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it may take: its lease is short, and renewed while somebody is at it."""
    monkeypatch.setattr(schedule, "LEASE", 0.8)
    job = schedule.JOBS["sweep"]
    others: list[schedule.Run] = []

    def slow(crm: Crm) -> Any:
        time.sleep(1.6)
        others.extend(schedule.tick(crm, by=SYSTEM))
        return {"released": 7}

    with monkeypatch.context() as slowly:
        slowly.setitem(schedule.JOBS, "sweep", attrs.evolve(job, run=slow))
        [run] = schedule.tick(night, by=SYSTEM)
    assert (others, run.kept, row(night).result) == ([], True, {"released": 7})
    # Whoever dies renews nothing any more.
    with night.unit_of_work() as uow:
        uow.schedule.begin("sweep", None, schedule.LEASE)
    with pytest.raises(JobRunning):
        schedule.run_job(night, "sweep", by=SYSTEM)
    time.sleep(0.9)
    assert schedule.run_job(night, "sweep", by=SYSTEM).error is None


def test_nobody_renews_when_a_job_has_ended(night: Crm) -> None:
    """Its thread ends with it."""
    schedule.tick(night, by=SYSTEM)
    assert "crm-lease" not in [t.name for t in threading.enumerate()]


def test_a_schedule_that_stands_still_is_told_of(night: Crm, clock: FixedClock) -> None:
    """Ten minutes after a slot that nobody ran, or did not run to its end."""
    assert schedule.late_jobs(night, by=SYSTEM) == ()
    schedule.tick(night, by=SYSTEM)
    clock.set(datetime(2020, 1, 1, 16, 14, tzinfo=UTC))
    assert schedule.late_jobs(night, by=SYSTEM) == ()
    clock.advance(timedelta(minutes=2))
    assert schedule.late_jobs(night, by=SYSTEM) == ("sweep",)
    clock.advance(timedelta(days=3))
    assert schedule.late_jobs(night, by=SYSTEM) == ("sweep",)
    schedule.tick(night, by=SYSTEM)
    assert schedule.late_jobs(night, by=SYSTEM) == ()
    often = attrs.evolve(night, settings=attrs.evolve(night.settings, cron_sweep="* * * * *"))
    schedule.tick(often, by=SYSTEM)
    clock.advance(timedelta(minutes=9))
    assert schedule.late_jobs(often, by=SYSTEM) == ()
    schedule.tick(often, by=SYSTEM)
    clock.advance(timedelta(minutes=12))
    assert schedule.late_jobs(often, by=SYSTEM) == ("sweep",)


def test_a_schedule_that_nobody_ever_kept_is_told_of(night: Crm, clock: FixedClock) -> None:
    """A day after the first thing that was done: until then it may be yet to be set up."""
    access.create_user(night, {"username": "root", "roles": ["administrator"]}, by=SYSTEM)
    clock.advance(timedelta(hours=23))
    assert schedule.late_jobs(night, by=SYSTEM) == ()
    clock.advance(timedelta(hours=2))
    assert schedule.late_jobs(night, by=SYSTEM) == ("sweep",)
    schedule.tick(night, by=SYSTEM)
    assert schedule.late_jobs(night, by=SYSTEM) == ()


@pytest.mark.parametrize("ending", [False, True])
def test_a_job_over_its_limit_waits_for_its_next_slot_and_not_where_its_process_ends(
    night: Crm, monkeypatch: pytest.MonkeyPatch, ending: bool
) -> None:
    """To begin again at once would take as long again; who had no time to end it is another."""
    job = schedule.JOBS["sweep"]
    begun: list[int] = []

    def run(_: Crm) -> Any:
        begun.append(1)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            time.sleep(0.01)

    monkeypatch.setitem(schedule.JOBS, "sweep", attrs.evolve(job, run=run))
    monkeypatch.setitem(actors.SECONDS, "sweep", 1)  # type: ignore[arg-type]
    dog = Watchdog()
    # Asked first before it begins, and then when its time is over.
    desk = actors.Desk(night, Metrics(), dog, lambda: ending and bool(begun))
    work = actors.silent(desk.observed("sweep", lambda: desk.run_due("sweep")))
    work()
    found = row(night)
    assert (found.error or "").startswith("TimeOver" if ending else "job_too_long: ")
    let_leases_end(night)
    work()
    assert len(begun) == 1
    assert schedule.due_jobs(night, by=SYSTEM) == (("sweep",) if ending else ())
    dog.close()


def test_a_database_that_is_broken_is_an_error_of_the_check(night: Crm) -> None:
    """Somebody must see it in the list of jobs."""
    storage = OnTime(night.storage, night.storage.clock)
    storage.check = lambda: (Checked(code="two_open", zh="", en="", count=3),)  # type: ignore[attr-defined]
    run = schedule.run_job(attrs.evolve(night, storage=storage), "check", by=SYSTEM)
    assert run.error is not None and "two_open 3" in run.error


def test_a_slow_scheduler_is_fenced_off(night: Crm, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told that another took over, and the row keeps what the other wrote."""
    sweep = schedule.JOBS["sweep"]
    others: list[schedule.Run] = []

    def slow(crm: Crm) -> Any:
        monkeypatch.setitem(schedule.JOBS, "sweep", sweep)
        let_leases_end(crm)
        others.extend(schedule.tick(crm, by=SYSTEM))
        return {"released": 99}

    monkeypatch.setitem(schedule.JOBS, "sweep", attrs.evolve(sweep, run=slow))
    [old] = schedule.tick(night, by=SYSTEM)
    assert not old.kept
    assert [(o.kept, o.taken_over) for o in others] == [(True, True)]
    assert row(night).result == {"released": 0}


# -- clocks that jump -------------------------------------------------------------------------


def test_a_scheduler_whose_clock_is_fast_runs_nothing_early(night: Crm, clock: FixedClock) -> None:
    """The earlier of both clocks counts: its own, and the database's."""
    schedule.tick(night, by=SYSTEM)
    fast = FixedClock(clock())
    fast.advance(timedelta(days=7300))
    early = attrs.evolve(night, clock=fast)
    assert schedule.tick(early, by=SYSTEM) == ()
    assert schedule.due_jobs(early, by=SYSTEM) == ()


def test_a_sweep_by_a_clock_that_jumped_is_stopped(night: Crm, clock: FixedClock) -> None:
    """The guard sees it, by the share of customers or by the other clock; nobody loses any."""
    world = World(night, clock)
    kept = [world.customer(world.a).id for _ in range(25)]
    schedule.tick(night, by=SYSTEM)
    guarded = attrs.evolve(night, settings=attrs.evolve(night.settings, sweep_max_share=0.5))
    # Its own clock is 20 years ahead, and somebody runs the job by hand.
    fast = FixedClock(clock() + timedelta(days=7300))
    run = schedule.run_job(attrs.evolve(guarded, clock=fast), "sweep", by=SYSTEM)
    assert run.error is not None and run.error.startswith("sweep_stopped")
    # Both clocks are 5 years ahead, as on one machine.
    clock.advance(timedelta(days=1825))
    with night.storage.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM scheduled_job"))
    [run] = schedule.tick(guarded, by=SYSTEM)
    assert run.error is not None and run.error.startswith("sweep_stopped")
    with night.unit_of_work(read_only=True) as uow:
        assert len(uow.records.all(Notice, event=Event.EXPIRED)) == 0
        assert [uow.customers.get(n).owner_id for n in kept] == [world.a.employee_id] * 25  # type: ignore[union-attr, arg-type]


def test_without_the_guard_the_same_sweep_takes_everybody(night: Crm, clock: FixedClock) -> None:
    """The negative control of the test before."""
    world = World(night, clock)
    for _ in range(25):
        world.customer(world.a)
    clock.advance(timedelta(days=1825))
    assert pool.sweep_pool(night, by=SYSTEM, guard=False).released == 25


# -- a hundred nights -------------------------------------------------------------------------


def live_through(
    crm: Crm, clock: FixedClock, world: World, chance: random.Random, rate: float
) -> None:
    """Let the nights pass: 2 to 4 schedulers each, some are killed, some nights nobody is there."""
    people = (world.a, world.b, world.c)
    for _ in range(NIGHTS):
        for person in people:
            if chance.random() < 0.3:
                world.customer(person)
        clock.advance(timedelta(days=1))
        if chance.random() < 0.1:
            continue  # Nobody was there: the next night makes up for it.
        for _ in range(chance.randint(1, 3)):
            at_once(chance.randint(2, 4), crm)
            if chance.random() < rate:
                let_leases_end(crm)
    clock.advance(timedelta(days=30))
    for _ in range(50):
        at_once(2, crm)
        let_leases_end(crm)


def test_a_hundred_nights_with_kills_expire_each_customer_once(
    night: Crm, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, within or after their work: what was cut off is made up for, by the same slot or by a
    later one; and only what was killed after its work repeats."""
    chance = random.Random(20)
    world = World(night, clock)
    killed: Counter[str] = Counter()

    def die(where: str) -> None:
        if chance.random() < 0.15:
            killed[where] += 1
            raise Killed

    # So that there are several transactions of one sweep to die between.
    monkeypatch.setattr(sweep, "SWEEP_BATCH", 2)
    runs = counted(monkeypatch, die)
    live_through(night, clock, world, chance, rate=0.5)

    assert killed["before"] > 3 and killed["within"] > 3 and killed["after"] > 3
    last = row(night)
    assert last.finished_at is not None and last.error is None
    assert last.slot == night.cron.latest("5 0 * * *", clock().astimezone(night.settings.zone))
    assert len(runs) > NIGHTS * 0.6
    assert runs.total() - len(runs) <= killed["after"]
    with night.unit_of_work(read_only=True) as uow:
        told = uow.records.all(Notice, event=Event.EXPIRED)
    assert len({n.idempotency_key for n in told}) == len(told)
    everyone = pool.public_customers(night, Query(limit=10_000), by=SYSTEM).items
    assert everyone and all(c.owner_id is None for c in everyone)
    for customer in everyone:
        with night.unit_of_work(read_only=True) as uow:
            assert [int(a.status) for a in uow.customers.history(customer.id or 0)] == [3]


def test_without_kills_each_slot_runs_exactly_once(
    night: Crm, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many schedulers look at once."""
    runs = counted(monkeypatch)
    live_through(night, clock, World(night, clock), random.Random(1), rate=0)
    assert len(runs) > NIGHTS * 0.6
    assert set(runs.values()) == {1}


def test_without_the_lease_a_slot_runs_twice(
    night: Crm, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: whoever comes finds nothing of whoever came before."""

    def begin(self: SqlSchedule, name: str, slot: datetime | None, seconds: float) -> int | None:
        self._session.run(sa.text("DELETE FROM scheduled_job"))
        return real(self, name, slot, seconds)

    real = SqlSchedule.begin
    monkeypatch.setattr(SqlSchedule, "begin", begin)
    runs = counted(monkeypatch)
    for _ in range(20):
        clock.advance(timedelta(days=1))
        at_once(4, night)
    assert max(runs.values()) > 1


def test_a_delivery_by_the_schedule_sends_what_nobody_was_woken_for(
    url: str, clock: FixedClock
) -> None:
    """Without any worker the schedule alone delivers."""
    with open_crm(url, clock=clock, settings=Settings(channels="console")) as opened:
        crm = attrs.evolve(opened, storage=OnTime(opened.storage, clock))
        schedule.tick(crm, by=SYSTEM)
        world = World(crm, clock)
        world.customer(world.a)
        clock.advance(timedelta(minutes=1))
        runs = {r.name: r for r in schedule.tick(crm, by=SYSTEM)}
        assert (runs["deliver"].result or {})["sent"] == 1
        assert notices.deliver_due(crm, by=SYSTEM).sent == 0
