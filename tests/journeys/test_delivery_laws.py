"""Delivery (spec section 11): at least once, and nobody waits for a channel that is dead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import attrs
import pytest

from crm_domain import SYSTEM, Crm
from crm_domain.errors import DeliveryFailed
from crm_domain.model import Employee, Event, Notice, NoticeStatus
from crm_domain.ports import Query, Settings
from crm_domain.usecases import notices
from make import World


class Channel:
    """Sends by calling a function, and remembers what arrived."""

    def __init__(self, name: str, act: Callable[[Notice], None] = lambda _: None) -> None:
        self.name, self.act = name, act
        self.arrived: list[str] = []

    def address(self, employee: Employee) -> str | None:
        """Everybody is reached."""
        return employee.name

    def send(self, notice: Notice, employee: Employee) -> str | None:
        """Send, or fail as the function does."""
        self.act(notice)
        self.arrived.append(notice.idempotency_key)
        return None

    def close(self) -> None:
        """Nothing is held."""


def with_channels(world: World, *channels: Channel, lease: int = 60) -> Crm:
    """Give the CRM of the world with these channels."""
    return attrs.evolve(
        world.crm, notifiers={c.name: c for c in channels}, settings=Settings(lease_seconds=lease)
    )


def write(world: World, n: int, *channels: str) -> None:
    """Write n notices for each channel."""
    with world.crm.unit_of_work() as uow:
        uow.notices.add([
            Notice(recipient_id=world.a.employee_id or 0, subject="x", body="x",
                   event=Event.ASSIGNED, channel=channel, idempotency_key=f"{channel}{i}",
                   created_at=world.clock())
            for i in range(n) for channel in channels
        ])  # fmt: skip


def kept(crm: Crm, status: NoticeStatus) -> list[Notice]:
    """Read the notices of a status."""
    return list(notices.list_notices(crm, Query(limit=1000), status=status, by=SYSTEM))


def test_a_worker_that_dies_loses_nothing(world: World) -> None:
    """What it held goes out when its lease has run out; what it sent may go out twice."""
    left = iter(range(7))

    def die(_: Notice) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    channel = Channel("console", die)
    crm = with_channels(world, channel)
    write(world, 20, "console")
    with pytest.raises(KeyboardInterrupt):
        notices.deliver_due(crm, by=SYSTEM)
    assert notices.deliver_due(crm, by=SYSTEM).sent == 0
    channel.act = lambda _: None
    world.clock.advance(timedelta(seconds=61))
    assert notices.deliver_due(crm, by=SYSTEM).sent == 20
    copies = Counter(channel.arrived)
    assert len(copies) == 20
    assert sum(copies.values()) == 27


def test_a_dead_channel_is_left_alone_and_holds_up_nobody(world: World) -> None:
    """Ten failures tell enough; the rest waits without having cost an attempt."""

    def fail(_: Notice) -> None:
        raise DeliveryFailed("the provider is down")

    dead, fine = Channel("dead", fail), Channel("fine")
    crm = with_channels(world, dead, fine)
    write(world, 30, "dead", "fine")
    found = notices.deliver_due(crm, limit=7, by=SYSTEM)
    assert (found.sent, found.failed) == (30, 10)
    attempts = Counter(n.attempts for n in kept(crm, NoticeStatus.PENDING))
    assert attempts == {0: 20}
    dead.act = lambda _: None
    world.clock.advance(timedelta(minutes=5))
    assert notices.deliver_due(crm, by=SYSTEM).sent == 30


def test_whom_a_channel_cannot_reach_does_not_stop_it(world: World) -> None:
    """Permanent failures are dead at once, however many, and others still go out."""

    def refuse(notice: Notice) -> None:
        if int(notice.idempotency_key.removeprefix("console")) < 15:
            raise DeliveryFailed("no such number", permanent=True)

    crm = with_channels(world, Channel("console", refuse))
    write(world, 20, "console")
    found = notices.deliver_due(crm, by=SYSTEM)
    assert (found.sent, found.failed, found.dead) == (5, 0, 15)
    assert {n.attempts for n in kept(crm, NoticeStatus.DEAD)} == {1}


def test_a_lease_that_ends_costs_the_rest_no_attempt(world: World) -> None:
    """What a slow channel leaves is given back, and taken again by the same call."""
    channel = Channel("console", lambda _: world.clock.advance(timedelta(seconds=20)))
    crm = with_channels(world, channel, lease=60)
    write(world, 10, "console")
    assert notices.deliver_due(crm, limit=10, by=SYSTEM).sent == 10
    assert {n.attempts for n in kept(crm, NoticeStatus.SENT)} == {1}
    assert len(channel.arrived) == len(set(channel.arrived)) == 10


def test_a_channel_too_slow_for_the_lease_ends_the_call(world: World) -> None:
    """Each attempt outlasts its lease; whoever takes over settles, and the call comes to an end."""
    channel = Channel("console", lambda _: world.clock.advance(timedelta(seconds=90)))
    crm = with_channels(world, channel, lease=60)
    write(world, 3, "console")
    assert notices.deliver_due(crm, by=SYSTEM).sent == 3
    assert len(channel.arrived) == 3
