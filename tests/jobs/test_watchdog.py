"""Time limits hold: an exception for whoever comes back to Python, the end for whoever does not."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from datetime import timedelta

import attrs
import pytest

from crm_adapters.jobs import actors, embedded
from crm_adapters.jobs import watchdog as module
from crm_adapters.jobs.watch import Watch
from crm_adapters.jobs.watchdog import TimeOver, Watchdog
from crm_domain import SYSTEM
from crm_domain.model import Event, Notice, NoticeStatus
from crm_domain.usecases import notices, schedule
from jobs.test_workers import within


@pytest.fixture
def dog():
    made = Watchdog()
    yield made
    made.close()


def busy(seconds):
    """Work in Python, which an exception ends."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.01)


def test_what_takes_too_long_is_stopped(dog):
    """Within a second of its time, and what comes behind it goes on."""
    begun = time.monotonic()
    with pytest.raises(TimeOver), dog.watching("it", 0.3):
        busy(20)
    assert time.monotonic() - begun < 5
    with dog.watching("it", 60):
        busy(1)
    assert dog.names() == ()


def test_the_limit_within_a_limit_is_the_one_that_counts(dog):
    """A channel that is stopped at one message leaves its delivery the rest of its time."""
    with dog.watching("outer", 60):
        with pytest.raises(TimeOver), dog.watching("inner", 0.3):
            busy(20)
        busy(1)
    assert dog.names() == ()


def test_what_ends_just_as_its_time_is_over_is_not_stopped_afterwards(dog):
    """The exception must not come up in what is done behind."""
    for _ in range(200):
        try:
            with dog.watching("it", 60):
                threading.Thread(target=dog.end_all).start()
        except TimeOver:
            pass
    busy(0.2)


@pytest.fixture
def deaf_calls(monkeypatch):
    """Give what begins a thread in a call that does not return; at the end it does."""
    monkeypatch.setattr(module, "MERCY", 0.5)
    ours, theirs = socket.socketpair()
    threads = []

    def begin(dog, **how):
        def wait():
            outer, inner = dog.watching("job", 0.8, **how), dog.watching("recv", 0.6, **how)
            with suppress(TimeOver), outer, inner:
                ours.recv(1)

        threads.append(threading.Thread(target=wait, daemon=True))
        threads[-1].start()

    yield begin
    theirs.close()
    for thread in threads:
        thread.join(5)
    ours.close()
    assert not any(thread.is_alive() for thread in threads)


def test_what_waits_for_ever_in_the_place_of_nobody_else_is_bitten(deaf_calls):
    """A call that does not return is not reached by an exception: the process is to end."""
    bitten = threading.Event()
    dog = Watchdog(bitten.set)
    begun = time.monotonic()
    deaf_calls(dog)
    assert bitten.wait(10) and time.monotonic() - begun > 1.1
    dog.close()


def test_who_is_replaced_costs_the_process_only_with_three_others(deaf_calls):
    """Each thread is replaced once, however many limits it is under."""
    bitten, replaced = threading.Event(), []
    dog = Watchdog(bitten.set)
    for n in range(1, module.MOST_STUCK):
        deaf_calls(dog, stuck=lambda: replaced.append(1))
        assert within(10, lambda n=n: len(replaced) == n)
    assert not bitten.wait(2) and len(replaced) == module.MOST_STUCK - 1
    deaf_calls(dog, stuck=lambda: replaced.append(1))
    assert bitten.wait(10) and len(replaced) == module.MOST_STUCK
    dog.close()


def test_who_cannot_be_replaced_ends_no_watch(deaf_calls, caplog):
    """As when the database is away just then: whoever looks goes on looking."""
    dog = Watchdog()
    deaf_calls(dog, stuck=lambda: 1 / 0)
    assert within(10, lambda: "ZeroDivisionError" in caplog.text)
    with pytest.raises(TimeOver), dog.watching("it", 0.3):
        busy(20)
    dog.close()


def test_a_thread_that_was_replaced_ends_when_it_comes_back():
    """Meanwhile another does what it should, and afterwards there is one again."""
    held, looks = threading.Event(), []

    def look():
        looks.append(threading.get_ident())
        if len(looks) == 1:
            held.wait()

    watch = Watch(look, 0.05)
    assert within(5, lambda: looks)
    watch.replace()
    assert within(5, lambda: len(looks) > 3)
    held.set()
    time.sleep(0.3)
    assert len(set(looks[-3:])) == 1 and looks[-1] != looks[0]
    assert watch.stop()


class Deaf:
    """A channel whose provider takes each message and never answers."""

    name = "deaf"

    def __init__(self):
        self._ours, self._theirs = socket.socketpair()
        self.calls = []
        self.answers = ()
        """The notices that it answers."""

    def address(self, employee):
        return "here"

    def send(self, notice, employee):
        self.calls.append(notice.idempotency_key)
        if notice.idempotency_key not in self.answers:
            self.wait()

    def wait(self):
        self._ours.recv(1)

    def hang_up(self):
        self._theirs.close()

    def close(self):
        self._ours.close()


class Slow(Deaf):
    """One that waits in Python, where an exception reaches it."""

    def wait(self):
        busy(20)


@contextmanager
def hundredfold(world, monkeypatch, channel, **how):
    """Let a process work with a channel, in which a lease is 2 s and all else to scale."""
    monkeypatch.setattr(actors, "LEAST", 0.1)
    monkeypatch.setattr(actors, "LEAST_MERCY", 0.1)
    settings = attrs.evolve(world.crm.settings, lease_seconds=2, retry_seconds=1)
    crm = attrs.evolve(
        world.crm, settings=settings, clock=world.crm.storage.clock,
        notifiers={**world.crm.notifiers, "deaf": channel},
    )  # fmt: skip
    try:
        with embedded(crm, seconds=0.1, **how) as opened:
            yield opened
            channel.hang_up()
    finally:
        channel.close()


def found(crm):
    return {n.idempotency_key: n for n in notices.list_notices(crm, by=SYSTEM)}


@pytest.mark.parametrize("kind", [Slow, Deaf])
def test_a_channel_that_never_answers_has_failed_and_rests(world, monkeypatch, kind, caplog):
    """Its message waits as any that failed does, and those behind it have lost no attempt.

    What was sent in the second before is written, so that it does not go out again.
    """
    deaf = kind()
    deaf.answers = ("deaf0", "deaf1")
    with hundredfold(world, monkeypatch, deaf) as crm:
        tell(crm, world.a.employee_id, "deaf", 6)
        assert within(20, lambda: found(crm)["deaf2"].status is NoticeStatus.FAILED)
        deaf.answers = tuple(f"deaf{i}" for i in range(6))
        after = found(crm)
        assert after["deaf2"].error.startswith("no answer within ")
        assert after["deaf1"].status is NoticeStatus.SENT
        assert crm.pauses.rests("deaf", crm.now(), timedelta(seconds=1))
        assert within(20, lambda: all(n.status is NoticeStatus.SENT for n in found(crm).values()))
    assert Counter(deaf.calls) == {f"deaf{i}": 1 + (i == 2) for i in range(6)}
    assert {n.attempts for key, n in found(world.crm).items() if key != "deaf2"} == {1}
    said = [r for r in caplog.records if r.levelname == "CRITICAL"]
    assert bool(said) == (kind is Deaf)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_one_deaf_channel_leaves_the_rest_of_the_process_at_work(world, monkeypatch):
    """For the length of ten leases: the other channels, and a job that takes a while."""
    deaf, bitten, began, ended = Deaf(), [], [], []

    def check(crm):
        began.append(1)
        busy(6)
        ended.append(1)
        return {"checks": 1}

    job = attrs.evolve(schedule.JOBS["check"], run=check)
    monkeypatch.setitem(schedule.JOBS, "check", job)
    with hundredfold(world, monkeypatch, deaf, bite=lambda: bitten.append(1)) as crm:
        tell(crm, world.a.employee_id, "deaf", 3)
        until = time.monotonic() + 20
        assert within(10, lambda: deaf.calls)
        tell(crm, world.a.employee_id, "console", 3)
        assert within(10, lambda: sent(crm) >= 3)
        assert within(20, lambda: ended)
        assert not bitten
        time.sleep(max(0.0, until - time.monotonic()))
    calls = Counter(deaf.calls)
    assert set(calls) == {"deaf0", "deaf1", "deaf2"} and max(calls.values()) <= 4
    assert len(began) == len(ended) == 1


def tell(crm, recipient, channel, n):
    """Write notices for a channel."""
    made = [
        Notice(recipient_id=recipient, subject="x", body="x", event=Event.ASSIGNED,
               channel=channel, idempotency_key=f"{channel}{i}", created_at=crm.now())
        for i in range(n)
    ]  # fmt: skip
    with crm.unit_of_work() as uow:
        uow.notices.add(made)
    crm.jobs.wake("deliver_due")


def sent(crm):
    found = notices.list_notices(crm, by=SYSTEM).items
    return sum(n.status.value == "sent" for n in found)
