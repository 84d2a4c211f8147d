"""Time limits hold: an exception for whoever comes back to Python, the end for whoever does not."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

import attrs
import pytest

from crm_adapters.jobs import embedded
from crm_adapters.jobs import watchdog as module
from crm_adapters.jobs.actors import LEAST
from crm_adapters.jobs.watch import Watch
from crm_adapters.jobs.watchdog import TimeOver, Watchdog
from crm_domain import SYSTEM
from crm_domain.model import Event, Notice
from crm_domain.usecases import notices
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


def test_what_waits_for_ever_is_bitten(monkeypatch):
    """A call that does not return is not reached by an exception: the process is to end."""
    monkeypatch.setattr(module, "MERCY", 0.5)
    bitten = threading.Event()
    dog = Watchdog(bitten.set)
    ours, theirs = socket.socketpair()

    def wait():
        with suppress(TimeOver), dog.watching("recv", 0.6):
            ours.recv(1)

    begun = time.monotonic()
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    assert bitten.wait(10) and time.monotonic() - begun > 1.1
    theirs.send(b"x")
    thread.join(5)
    dog.close()
    ours.close()
    theirs.close()
    assert not thread.is_alive()


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
        self.calls = 0

    def address(self, employee):
        return "here"

    def send(self, notice, employee):
        self.calls += 1
        self._ours.recv(1)

    def hang_up(self):
        self._theirs.close()

    def close(self):
        self._ours.close()


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_in_a_program_of_ones_own_a_channel_that_never_answers_is_told_of(
    world, monkeypatch, caplog
):
    """The process goes on, and so do the other channels and, with a new thread, this one."""
    monkeypatch.setattr(module, "MERCY", 0.5)
    monkeypatch.setattr("crm_adapters.jobs.actors.LEAST", 1.0)
    assert LEAST > 1
    deaf = Deaf()
    settings = attrs.evolve(world.crm.settings, lease_seconds=1)
    crm = attrs.evolve(
        world.crm, settings=settings, notifiers={**world.crm.notifiers, "deaf": deaf}
    )
    with embedded(crm, seconds=0.2) as opened:
        tell(opened, world.a.employee_id, "deaf", 2)
        assert within(20, lambda: deaf.calls >= 2)
        tell(opened, world.a.employee_id, "console", 3)
        assert within(10, lambda: sent(opened) >= 3)
        deaf.hang_up()
    deaf.close()
    assert any(r.levelname == "CRITICAL" and "deaf" in r.getMessage() for r in caplog.records)


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
