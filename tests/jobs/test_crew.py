"""What is slow in one process holds up nothing else in it: each channel and imports are apart."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import attrs
import pytest

from crm_adapters.jobs import embedded
from crm_domain import SYSTEM
from crm_domain.model import Event, Notice, NoticeStatus
from crm_domain.usecases import _import_work, imports, notices, schedule
from jobs.test_workers import QUIET, within

OFF = {name.removeprefix("CRM_").lower(): "" for name in QUIET}


class Slow:
    """A channel whose provider takes its time."""

    name = "slow"

    def __init__(self, seconds=1.0):
        self.seconds, self.at_once, self.most, self.sent = seconds, 0, 0, 0
        self._lock = threading.Lock()

    def address(self, employee):
        return "here"

    def send(self, notice, employee):
        with self._lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        time.sleep(self.seconds)
        with self._lock:
            self.at_once -= 1
            self.sent += 1

    def close(self):
        pass


class Quick(Slow):
    """A channel that answers at once, and notes how long each notice had waited."""

    name = "quick"

    def __init__(self, crm):
        super().__init__()
        self._crm, self.waited = crm, []

    def send(self, notice, employee):
        self.waited.append((self._crm.now() - notice.created_at).total_seconds())


@contextmanager
def at_work(world, *channels, threads=1, **settings):
    """Let one process work, with the thread that is left to the schedule."""
    given = attrs.evolve(world.crm.settings, **{**OFF, **settings})
    crm = attrs.evolve(
        world.crm, settings=given, clock=world.crm.storage.clock,
        notifiers={**world.crm.notifiers, **{c.name: c for c in channels}},
    )  # fmt: skip
    with embedded(crm, threads=threads, seconds=0.5) as opened:
        yield opened


def tell(crm, recipient, channel, n):
    """Write notices for a channel, and wake the workers."""
    made = [
        Notice(recipient_id=recipient, subject="x", body="x", event=Event.ASSIGNED,
               channel=channel, idempotency_key=f"{channel}{time.monotonic()}{i}",
               created_at=crm.now())
        for i in range(n)
    ]  # fmt: skip
    with crm.unit_of_work() as uow:
        uow.notices.add(made)
    crm.jobs.wake("deliver_due")


def sheet(first, rows):
    lines = "\n".join(f"客户{i},139{i:08d}" for i in range(first, first + rows))
    return f"姓名,手机\n{lines}".encode()


def ran(crm, name):
    return next(j.last for j in schedule.list_jobs(crm, by=SYSTEM) if j.name == name)


def test_a_slow_channel_holds_up_no_other_and_neither_sweep_nor_imports(world):
    """One process with one thread for the schedule: the others go on as if it were not there."""
    slow, quick = Slow(seconds=1.0), Quick(world.crm)
    quick._crm = attrs.evolve(world.crm, clock=world.crm.storage.clock)
    with at_work(world, slow, quick, cron_sweep="5 0 * * *") as crm:
        tell(crm, world.a.employee_id, "slow", 60)
        assert within(10, lambda: slow.at_once == 1)
        begun = time.monotonic()
        started = imports.start_file(crm, sheet(0, 20), file_name="x.csv", by=world.a)
        for _ in range(10):
            tell(crm, world.a.employee_id, "quick", 2)
            time.sleep(0.1)
        assert within(20, lambda: len(quick.waited) == 20)
        assert within(20, lambda: ran(crm, "sweep") and ran(crm, "sweep").finished_at)
        assert within(20, lambda: imports.progress(
            crm, started.id, by=world.a).status.value == "done")  # fmt: skip
        # All of that while the first channel had hardly begun.
        assert slow.sent < 40 and time.monotonic() - begun < 40
    assert sorted(quick.waited)[18] < 5
    assert slow.most == 1


@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_channel_that_would_end_the_process_has_failed(world, raised):
    """Its thread goes on: the next message is sent, and the first one tried again."""

    class Ending(Slow):
        name = "ending"

        def send(self, notice, employee):
            self.sent += 1
            if self.sent == 1:
                raise raised

    ending = Ending()
    with at_work(world, ending, retry_seconds=1) as crm:
        tell(crm, world.a.employee_id, "ending", 3)
        assert within(20, lambda: notices.backlog(
            crm, by=SYSTEM).waiting.get(NoticeStatus.PENDING, 0) == 0)  # fmt: skip
        assert within(20, lambda: ending.sent == 4)


def test_whoever_closes_a_process_leaves_nobody_in_a_channel(world):
    """Its caller may close the CRM at once; what was begun is written, the rest is free."""
    slow = Slow(seconds=0.2)
    with at_work(world, slow) as crm:
        tell(crm, world.a.employee_id, "slow", 100)
        assert within(10, lambda: slow.sent > 2)
        begun = time.monotonic()
    assert time.monotonic() - begun < 8
    assert slow.at_once == 0
    time.sleep(0.5)
    with world.crm.unit_of_work(read_only=True) as uow:
        found = uow.records.all(Notice, channel="slow")
    assert sum(n.status is NoticeStatus.SENT for n in found) == slow.sent < 100
    assert not any(n.attempts for n in found if n.status is not NoticeStatus.SENT)
    names = [t.name for t in threading.enumerate() if t.name.startswith("crm-")]
    assert names == []


def test_one_import_at_a_time_whoever_wants_it(world, monkeypatch):
    """Two were started, and the schedule wants imports, too: they are run one after the other."""
    at_once, most = [], []
    run_started = _import_work.run_started

    def watched(crm, import_id, **how):
        at_once.append(import_id)
        most.append(len(at_once))
        try:
            return run_started(crm, import_id, **how)
        finally:
            at_once.remove(import_id)

    monkeypatch.setattr(_import_work, "run_started", watched)
    small = attrs.evolve(
        world.crm, settings=attrs.evolve(world.crm.settings, batch_rows=2)
    )  # fmt: skip
    two = [
        imports.start_file(small, sheet(100 * i, 60), file_name="x.csv", by=world.a).id
        for i in (1, 2)
    ]
    with at_work(world, threads=4, batch_rows=2, cron_imports="* * * * *") as crm:
        for number in two:
            crm.jobs.wake("run_import", import_id=number)
        assert within(40, lambda: all(
            imports.progress(crm, n, by=world.a).status.value == "done" for n in two))  # fmt: skip
        assert within(20, lambda: ran(crm, "imports") and ran(crm, "imports").finished_at)
    assert max(most) == 1
    assert ran(world.crm, "imports").result == {"woken": 1}


def test_what_waits_for_a_channel_that_is_there_no_more_is_given_up(world):
    """By the schedule, so that it does not wait for ever."""
    with at_work(world, cron_deliver="* * * * *") as crm:
        tell(crm, world.a.employee_id, "telex", 3)
        with world.crm.storage.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM scheduled_job")
        assert within(20, lambda: notices.backlog(
            crm, by=SYSTEM).waiting[NoticeStatus.DEAD] == 3)  # fmt: skip


def test_a_failed_job_is_logged_by_its_kind_and_not_by_what_it_says(world, caplog, monkeypatch):
    """What an error says may be the name of a customer; the list of jobs has it whole."""
    from crm_domain.errors import SweepStopped

    def refuse(crm):
        raise SweepStopped(reason_zh="王芳", reason_en="Wang Fang")

    job = schedule.JOBS["sweep"]
    monkeypatch.setitem(schedule.JOBS, "sweep", attrs.evolve(job, run=refuse))
    with at_work(world, cron_sweep="5 0 * * *") as crm:
        assert within(20, lambda: ran(crm, "sweep") and ran(crm, "sweep").error)
    assert "Wang Fang" in ran(world.crm, "sweep").error
    said = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert said == ["failed: sweep_stopped"]


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_without_the_mark_an_embedded_delivery_goes_on(world, monkeypatch):
    """The negative control of closing: a delivery that is not told to stop is not ended in time."""
    monkeypatch.setattr("crm_adapters.jobs.actors.notices.deliver_due", deaf_delivery)
    slow = Slow(seconds=0.2)
    with at_work(world, slow) as crm:
        tell(crm, world.a.employee_id, "slow", 30)
        assert within(10, lambda: slow.sent > 2)
        stood = slow.sent
    assert slow.sent - stood > 1


real_delivery = notices.deliver_due


def deaf_delivery(crm, *, stopping, **how):
    """Deliver as before there was a mark."""
    return real_delivery(crm, **how)
