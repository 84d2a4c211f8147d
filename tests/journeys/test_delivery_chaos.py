"""A provider that fails 11 in 100, in all the ways there are, and messages that nobody can send.

Each guard of the delivery has its negative control: without it the same run finds what is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import attrs
import pytest
from test_delivery_laws import Channel, Killed, Mortal, kept, let_leases_end, with_channels, write

from crm_domain import SYSTEM, Crm
from crm_domain.errors import DeliveryFailed
from crm_domain.model import Employee, Notice, NoticeStatus
from crm_domain.usecases import notices
from jobs.provider import fate
from make import World
from races import mutants

MANY = 300
POISON = 5
TRIES = 4
ASKED = timedelta(minutes=20)
ENDS = {"poison": NoticeStatus.DEAD, "refused": NoticeStatus.DEAD}


class Provider(Channel):
    """Fails as `jobs.provider.fate` says, each time in the first of the tries it is given."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__("email")
        self.now = now
        self.calls: dict[str, list[datetime]] = {}

    def send(self, notice: Notice, employee: Employee) -> str | None:
        """Send, or fail."""
        key = notice.idempotency_key
        calls = self.calls.setdefault(key, [])
        calls.append(self.now())
        match fate(key), len(calls):
            case ("poison", _):
                raise KeyError("a template without an end")
            case ("refused", _):
                raise DeliveryFailed("no such address", permanent=True)
            case ("passing", 1 | 2):
                raise DeliveryFailed("500")
            case ("busy", 1):
                raise DeliveryFailed("429", retry_after=ASKED.total_seconds())
            case ("silent", 1):
                self.arrived.append(key)
                raise DeliveryFailed("no answer in 5 seconds")
        self.arrived.append(key)
        return None


def problems(world: World) -> Iterator[str]:
    """Deliver until nothing waits, and tell which laws were broken."""
    provider, fine = Provider(world.clock), Channel("fine")
    crm = with_channels(world, provider, fine, max_attempts=TRIES)
    write(world, MANY, "email", "fine")
    write(world, POISON, "poison", channel="email")
    notices.deliver_due(crm, limit=50, by=SYSTEM)
    if len(fine.arrived) != MANY:
        yield "another channel was held up"
    for _ in range(40):
        world.clock.advance(timedelta(minutes=5))
        notices.deliver_due(crm, limit=50, by=SYSTEM)
    yield from told_wrong(crm, provider)


def told_wrong(crm: Crm, provider: Provider) -> Iterator[str]:
    """Compare what is written with what arrived."""
    copies = Counter(provider.arrived)
    for status in NoticeStatus:
        for n in kept(crm, status):
            kind = fate(n.idempotency_key) if n.channel == "email" else "fine"
            if n.channel == "email" and (status is NoticeStatus.SENT) != (
                n.idempotency_key in copies
            ):
                yield f"{status} and yet it is not so"
            if status is not ENDS.get(kind, NoticeStatus.SENT):
                yield f"{kind} ended as {status}"
            if kind == "poison" and n.attempts != TRIES:
                yield "poison was not tried as often as anything else"
            if kind == "refused" and n.attempts != 1:
                yield "what was refused for good was tried again"
    if any(n > 1 for key, n in copies.items() if fate(key) != "silent"):
        yield "sent twice without need"
    for key, (first, *more) in provider.calls.items():
        if fate(key) == "busy" and more and more[0] < first + ASKED:
            yield "sooner than the provider asked"


def test_each_message_ends_as_its_provider_lets_it(world: World) -> None:
    """All that can be sent is sent, once; what cannot is given up; nothing waits for it."""
    assert {fate(f"email{i}") for i in range(MANY)} == {
        "fine", "passing", "busy", "silent", "refused",
    }  # fmt: skip
    assert sorted(set(problems(world))) == []


@pytest.mark.parametrize(
    ("mutant", "found"),
    [
        (mutants.nothing_is_given_up, "poison ended as failed"),
        (mutants.refusals_are_tried_again, "what was refused for good was tried again"),
        (mutants.a_failure_is_the_end, "passing ended as dead"),
        (mutants.providers_are_not_heard, "sooner than the provider asked"),
        (mutants.failures_count_as_sent, "sent and yet it is not so"),
        (mutants.a_channel_holds_up_all, "another channel was held up"),
    ],
)
@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_control_without_a_guard_it_is_noticed(
    world: World, monkeypatch: pytest.MonkeyPatch, mutant: Callable[..., None], found: str
) -> None:
    """Each guard taken out breaks its law."""
    mutant(monkeypatch)
    assert found in set(problems(world))


def deaths(crm: Crm, storage: Mortal) -> int:
    """Let workers die and be replaced until nothing waits; count them, 100 at most."""
    died = 0
    while died < 100:
        try:
            notices.deliver_due(crm, by=SYSTEM)
        except Killed:
            died += 1
            storage.dead = False
            let_leases_end(crm)
        else:
            break
    return died


def killer(world: World) -> tuple[Crm, Mortal]:
    """Give a channel on which one message of twenty kills whoever sends it."""
    storage = Mortal(world.crm.storage)

    def die(notice: Notice) -> None:
        if notice.idempotency_key == "console5":
            storage.kill()

    crm = with_channels(world, Channel("console", die), max_attempts=TRIES)
    write(world, 20, "console")
    return attrs.evolve(crm, storage=storage), storage


def test_a_message_that_kills_whoever_sends_it_is_given_up(world: World) -> None:
    """Of nothing else: the others are sent, though they were at hand each time somebody died."""
    crm, storage = killer(world)
    assert deaths(crm, storage) == 2 * TRIES
    [dead] = kept(crm, NoticeStatus.DEAD)
    assert (dead.idempotency_key, dead.attempts) == ("console5", 2 * TRIES)
    assert len(kept(crm, NoticeStatus.SENT)) == 19


@pytest.mark.parametrize(
    ("mutant", "dead"),
    [(mutants.nobody_is_suspected, 0), (mutants.suspects_are_not_alone, 20)],
)
@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_control_a_message_that_kills_goes_on_or_takes_others_along(
    world: World, monkeypatch: pytest.MonkeyPatch, mutant: Callable[..., None], dead: int
) -> None:
    """They die for ever when nobody suspects it; all at hand are given up when it is not alone."""
    mutant(monkeypatch)
    crm, storage = killer(world)
    died = deaths(crm, storage)
    assert (died == 100) is (dead == 0)
    assert len(kept(crm, NoticeStatus.DEAD)) == dead
