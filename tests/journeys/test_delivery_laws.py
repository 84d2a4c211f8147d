"""Delivery (spec section 11): at least once, and nobody waits for a channel that is dead."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest
import sqlalchemy as sa

from crm_domain import SYSTEM, Crm
from crm_domain.errors import DeliveryFailed, Invalid, NotFound, NotPermitted
from crm_domain.model import AuditEntry, Employee, Event, Notice, NoticeStatus
from crm_domain.ports import Query, Settings
from crm_domain.usecases import _sending, delivering, follow_up, intake, notices, sweep
from make import World
from steps import on, told

WEEK = timedelta(days=7)


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


def with_channels(world: World, *channels: Channel, lease: int = 60, **settings: Any) -> Crm:
    """Give the CRM of the world with these channels."""
    return attrs.evolve(
        world.crm, notifiers={c.name: c for c in channels},
        settings=Settings(lease_seconds=lease, **settings),
    )  # fmt: skip


class Killed(BaseException):
    """The process is gone."""


class Mortal:
    """A storage that writes nothing any more for a process that was killed."""

    def __init__(self, storage: Any) -> None:
        self.storage, self.dead = storage, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.storage, name)

    def unit_of_work(self, *, read_only: bool = False, wait: bool = True) -> Any:
        """Begin a transaction, if the process lives."""
        if self.dead:
            raise Killed
        return self.storage.unit_of_work(read_only=read_only, wait=wait)

    def kill(self) -> None:
        """Kill the process as SIGKILL does: what it has not written yet stays unwritten."""
        self.dead = True
        raise Killed


def let_leases_end(crm: Crm) -> None:
    """Let the time of all leases pass, by the database's clock."""
    storage: Any = crm.storage
    with storage.engine.begin() as connection:
        connection.execute(sa.text("UPDATE notice SET leased_until = created_at"
                                   " WHERE leased_until IS NOT NULL"))  # fmt: skip


def write(world: World, n: int, *channels: str, **fields: Any) -> None:
    """Write n notices for each channel."""
    usual = {"recipient_id": world.a.employee_id or 0, "event": Event.ASSIGNED}
    with world.crm.unit_of_work() as uow:
        uow.notices.add([
            Notice(subject="x", body="x", idempotency_key=f"{channel}{i}",
                   created_at=world.clock(), **usual | {"channel": channel} | fields)
            for i in range(n) for channel in channels
        ])  # fmt: skip


def kept(crm: Crm, status: NoticeStatus) -> list[Notice]:
    """Read the notices of a status."""
    return list(notices.list_notices(crm, Query(limit=1000), status=status, by=SYSTEM))


def test_a_worker_that_dies_loses_nothing(world: World) -> None:
    """What it held goes out when its lease has run out; what it sent may go out twice."""
    left = iter(range(7))
    storage = Mortal(world.crm.storage)

    def die(_: Notice) -> None:
        if next(left, None) is None:
            storage.kill()

    channel = Channel("console", die)
    crm = with_channels(world, channel)
    write(world, 20, "console")
    with pytest.raises(Killed):
        notices.deliver_due(attrs.evolve(crm, storage=storage), by=SYSTEM)
    assert notices.deliver_due(crm, by=SYSTEM).sent == 0
    channel.act = lambda _: None
    world.clock.advance(timedelta(days=1))
    assert notices.deliver_due(crm, by=SYSTEM).sent == 0, "the lease is the database's"
    let_leases_end(crm)
    assert notices.deliver_due(crm, by=SYSTEM).sent == 20
    copies = Counter(channel.arrived)
    assert len(copies) == 20
    assert sum(copies.values()) == 27


@pytest.mark.parametrize("unwritten", [delivering.MOST_UNWRITTEN, 10_000])
def test_a_death_repeats_no_more_than_was_not_written(
    world: World, monkeypatch: pytest.MonkeyPatch, unwritten: int
) -> None:
    """A few of the 130 that were sent; with the negative control, where nothing was written."""
    monkeypatch.setattr(delivering, "MOST_UNWRITTEN", unwritten)
    left = iter(range(130))
    storage = Mortal(world.crm.storage)

    def die(_: Notice) -> None:
        if next(left, None) is None:
            storage.kill()

    channel = Channel("console", die)
    crm = with_channels(world, channel)
    write(world, 200, "console")
    with pytest.raises(Killed):
        notices.deliver_due(attrs.evolve(crm, storage=storage), by=SYSTEM)
    let_leases_end(crm)
    channel.act = lambda _: None
    notices.deliver_due(crm, by=SYSTEM)
    assert len(set(channel.arrived)) == 200
    few = len(channel.arrived) - 200 <= delivering.MOST_UNWRITTEN == 25
    assert few is (unwritten == 25)


def odd(reason: Any = "x", **answers: Any) -> Callable[[], Any]:
    """Fail with an answer that no provider should give."""

    def fail() -> Any:
        raise DeliveryFailed(reason, **answers)

    return fail


class Bare(DeliveryFailed):
    """A stranger's failure that says nothing of itself."""

    def __init__(self) -> None:
        pass


class Mute:
    """Cannot be written out."""

    def __str__(self) -> str:
        raise KeyError("x")


def bare() -> Any:
    """Fail and say nothing."""
    raise Bare


ODD: dict[str, Callable[[], Any]] = {
    "far too late": odd(retry_after=1e11),
    "later than numbers go": odd(retry_after=10**400),
    "at no time": odd(retry_after=float("nan")),
    "never": odd(retry_after=float("inf")),
    "before": odd(retry_after=-1e11),
    "at some time": odd(retry_after="soon"),
    "an error with a null": odd("a\0b"),
    "an error with half a character": odd("a\ud800b", permanent=True),
    "a long error": odd("x" * 10_000),
    "an error that is none": odd({"code": 1}),
    "an error of a stranger": bare,
    "a long id": lambda: "p" * 300,
    "an id with a null": lambda: "a\0b",
    "an id with half a character": lambda: "a\ud800b",
    "an id of another type": lambda: {"id": 1},
    "an id that cannot be written out": Mute,
}


@pytest.mark.parametrize("answer", ODD)
def test_no_answer_of_a_channel_makes_others_go_out_again(world: World, answer: str) -> None:
    """However odd: it is kept as far as it can be, and each message has its own outcome."""
    said: dict[str, Any] = {}

    class Odd(Channel):
        def send(self, notice: Notice, employee: Employee) -> str | None:
            super().send(notice, employee)
            done = ODD[answer]() if notice.idempotency_key == "console1" else None
            return said.setdefault("id", done) if done else None

    channel = Odd("console")
    crm = with_channels(world, channel)
    write(world, 3, "console")
    found = notices.deliver_due(crm, by=SYSTEM)
    assert (found.sent, found.failed + found.dead) in {(3, 0), (2, 1)}
    let_leases_end(crm)
    assert notices.deliver_due(crm, by=SYSTEM) == notices.Delivery()
    assert channel.arrived == ["console0", "console1", "console2"]
    waits = [n.next_attempt_at for n in kept(crm, NoticeStatus.FAILED)]
    assert all(w and w <= world.clock() + timedelta(days=1) for w in waits)


@pytest.mark.parametrize("stop", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_whoever_is_stopped_writes_what_became_of_the_rest(
    world: World, stop: type[BaseException]
) -> None:
    """What was sent does not go out again; what was not begun waits for nobody's lease."""

    def end(notice: Notice) -> None:
        if notice.idempotency_key == "console2":
            raise stop

    channel = Channel("console", end)
    crm = with_channels(world, channel)
    write(world, 5, "console")
    with pytest.raises(stop):
        notices.deliver_due(crm, by=SYSTEM)
    assert {n.attempts for n in kept(crm, NoticeStatus.SENT)} == {1}
    assert notices.deliver_due(crm, by=SYSTEM).sent == 2
    assert channel.arrived == ["console0", "console1", "console3", "console4"]
    assert [n.attempts for n in kept(crm, NoticeStatus.PENDING)] == [1]


def test_an_outcome_that_cannot_be_written_is_that_of_one_message(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others of its second are written, and it does not go out again."""

    def careless(notice: Notice, provider_id: Any, now: datetime) -> Notice:
        return attrs.evolve(notice, status=NoticeStatus.SENT, provider_id=provider_id, sent_at=now)

    class Odd(Channel):
        def send(self, notice: Notice, employee: Employee) -> str | None:
            super().send(notice, employee)
            return "a\ud800b" if notice.idempotency_key == "console1" else "fine"

    monkeypatch.setattr(_sending, "sent", careless)
    channel = Odd("console")
    crm = with_channels(world, channel)
    write(world, 3, "console")
    assert notices.deliver_due(crm, by=SYSTEM).sent == 3
    let_leases_end(crm)
    assert notices.deliver_due(crm, by=SYSTEM) == notices.Delivery()
    assert len(channel.arrived) == 3


def test_an_outcome_that_the_database_refuses_is_that_of_one_message(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that fulfils no check of the table: the others are written at once, and it comes up.

    Whatever is wrong there, no more is sent before somebody knows.
    """

    def careless(notice: Notice, provider_id: Any, now: datetime) -> Notice:
        at = None if notice.idempotency_key == "console1" else now
        return attrs.evolve(notice, status=NoticeStatus.SENT, sent_at=at)

    monkeypatch.setattr(_sending, "sent", careless)
    channel = Channel("console")
    crm = with_channels(world, channel)
    write(world, 3, "console")
    begun = time.monotonic()
    with pytest.raises(sa.exc.IntegrityError):
        notices.deliver_due(crm, by=SYSTEM)
    assert time.monotonic() - begun < 5
    assert len(kept(crm, NoticeStatus.SENT)) == 2
    let_leases_end(crm)
    monkeypatch.undo()
    assert notices.deliver_due(crm, by=SYSTEM).sent == 1
    assert Counter(channel.arrived) == {"console0": 1, "console1": 2, "console2": 1}


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


def test_a_channel_left_alone_for_a_moment_only_ends_the_call(world: World) -> None:
    """What comes round again in the same call is left to the next one."""

    def fail(_: Notice) -> None:
        raise DeliveryFailed("the provider is down")

    crm = with_channels(world, Channel("dead", fail), retry_seconds=0.01)
    crm = attrs.evolve(
        crm, clock=lambda: world.clock.advance(timedelta(seconds=1)) or world.clock()
    )
    write(world, 30, "dead")
    assert notices.deliver_due(crm, limit=7, by=SYSTEM).failed == 10


def test_messages_that_cannot_be_made_stop_no_channel(world: World) -> None:
    """Though they come first, and however many they are."""

    def make(notice: Notice) -> None:
        if int(notice.idempotency_key.removeprefix("console")) < 15:
            raise KeyError("a template without an end")

    crm = with_channels(world, Channel("console", make))
    write(world, 20, "console")
    found = notices.deliver_due(crm, by=SYSTEM)
    assert (found.sent, found.failed) == (5, 15)


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
    channel = Channel("console", lambda _: time.sleep(0.2))
    crm = with_channels(world, channel, lease=1)
    write(world, 8, "console")
    assert notices.deliver_due(crm, limit=8, by=SYSTEM).sent == 8
    assert {(n.attempts, n.leased_until) for n in kept(crm, NoticeStatus.SENT)} == {(1, None)}
    assert len(channel.arrived) == len(set(channel.arrived)) == 8


def test_a_channel_too_slow_for_the_lease_ends_the_call(world: World) -> None:
    """Each attempt outlasts what is relied on of its lease, and the call comes to an end."""
    channel = Channel("console", lambda _: time.sleep(0.6))
    crm = with_channels(world, channel, lease=1)
    write(world, 3, "console")
    assert notices.deliver_due(crm, by=SYSTEM).sent == 3
    assert len(channel.arrived) == 3


def test_a_call_takes_no_more_than_its_time(world: World) -> None:
    """What is left is due for the next one, with no attempt counted."""
    slow = {"console14"}
    channel = Channel("console", lambda n: time.sleep(2.1 * (n.idempotency_key in slow)))
    crm = with_channels(world, channel)
    write(world, 30, "console")
    assert notices.deliver_due(crm, limit=10, seconds=2, by=SYSTEM).sent == 20
    assert {n.attempts for n in kept(crm, NoticeStatus.PENDING)} == {0}


def test_a_call_may_see_to_one_channel_only(world: World) -> None:
    """What waits on others stays as it is, with no attempt counted and nobody at it."""
    one, other = Channel("one"), Channel("other")
    crm = with_channels(world, one, other)
    write(world, 12, "one", "other")
    assert notices.due_channels(crm, by=SYSTEM) == ("one", "other")
    assert notices.deliver_due(crm, limit=5, channel="one", by=SYSTEM).sent == 12
    assert (len(one.arrived), len(other.arrived)) == (12, 0)
    waiting = kept(crm, NoticeStatus.PENDING)
    assert {(n.channel, n.attempts, n.leased_until) for n in waiting} == {("other", 0, None)}
    assert notices.due_channels(crm, by=SYSTEM) == ("other",)
    assert notices.deliver_due(crm, channel="none", by=SYSTEM) == notices.Delivery()


def test_what_somebody_is_at_is_due_for_nobody_else(world: World) -> None:
    """And what is not due yet is for nobody at all."""
    seen: list[tuple[str, ...]] = []
    channel = Channel("one", lambda _: seen.append(notices.due_channels(crm, by=SYSTEM)))
    crm = with_channels(world, channel)
    write(world, 2, "one", "gone")
    assert notices.deliver_due(crm, channel="one", by=SYSTEM).sent == 2
    assert seen == [("gone",), ("gone",)]
    assert notices.deliver_due(crm, channel="gone", by=SYSTEM).dead == 2
    write(world, 1, "late", channel="one", next_attempt_at=world.clock() + timedelta(hours=1))
    assert notices.due_channels(crm, by=SYSTEM) == ()
    with pytest.raises(NotPermitted):
        notices.due_channels(crm, by=world.a)


def test_whoever_is_to_end_sends_no_more_and_gives_back_the_rest(world: World) -> None:
    """At once, without an attempt; what was sent is written."""
    channel = Channel("console")
    crm = with_channels(world, channel, Channel("other"))
    write(world, 50, "console", "other")

    def stopping() -> bool:
        return len(channel.arrived) >= 7

    done = notices.deliver_due(crm, limit=20, stopping=stopping, by=SYSTEM)
    assert done == notices.Delivery(sent=7)
    assert len(kept(crm, NoticeStatus.SENT)) == 7
    waiting = kept(crm, NoticeStatus.PENDING)
    assert {(n.attempts, n.leased_until) for n in waiting} == {(0, None)}
    assert notices.deliver_due(crm, by=SYSTEM).sent == 93


def test_whoever_is_to_end_takes_no_further_batch(world: World) -> None:
    """It is asked between two batches as well as between two messages."""
    channel = Channel("console")
    crm = with_channels(world, channel)
    write(world, 50, "console")
    asked = iter([False] * 11)
    done = notices.deliver_due(
        crm, limit=10, stopping=lambda: next(asked, True), by=SYSTEM
    )  # fmt: skip
    assert done.sent == len(channel.arrived) == 10
    assert {n.fence for n in kept(crm, NoticeStatus.PENDING)} == {0}


def test_what_is_of_no_use_any_more_is_not_sent(world: World) -> None:
    """Not in its last moment either; it ends by itself, which nobody has to look into."""
    channel = Channel("console")
    crm = with_channels(world, channel)
    end = world.clock() + timedelta(hours=1)
    write(world, 3, "console", expires_at=end)
    world.clock.set(end - timedelta(microseconds=1))
    assert notices.deliver_due(crm, limit=1, by=SYSTEM).sent == 3
    write(world, 2, "fine", expires_at=end)
    world.clock.set(end)
    done = notices.deliver_due(crm, by=SYSTEM)
    assert (done.sent, done.dead, done.expired) == (0, 0, 2)
    assert len(channel.arrived) == 3
    assert {(n.attempts, n.sent_at) for n in kept(crm, NoticeStatus.EXPIRED)} == {(0, None)}


def test_what_expires_between_two_tries_is_not_tried_again(world: World) -> None:
    """It does not become a dead letter either."""

    def fail(_: Notice) -> None:
        raise DeliveryFailed("the provider is down")

    crm = with_channels(world, Channel("console", fail))
    write(world, 1, "console", expires_at=world.clock() + timedelta(seconds=40))
    assert notices.deliver_due(crm, by=SYSTEM).failed == 1
    world.clock.advance(timedelta(minutes=1))
    assert notices.deliver_due(crm, by=SYSTEM) == notices.Delivery(expired=1)


def test_each_notice_lasts_as_long_as_it_is_of_use(world: World) -> None:
    """A warning until the customer is public, a reminder for a day, news for a week."""
    customer = world.customer(world.a)
    assert customer.due_on is not None
    public = on(customer.due_on.day)
    assert told(world.crm, Event.ASSIGNED)[0].expires_at == world.clock() + WEEK
    follow_up.log_follow_up(
        world.crm, customer.id or 0, {"note": "x", "next_contact_at": on(2, 9)}, by=world.a
    )
    world.clock.set(on(2, 8))
    follow_up.remind_contacts(world.crm, by=SYSTEM)
    reminder = told(world.crm, Event.CONTACT_DUE)[0]
    assert reminder.expires_at == on(3, 8)
    world.clock.set(public - timedelta(hours=10))
    sweep.warn_owners(world.crm, by=SYSTEM)
    warning = told(world.crm, Event.EXPIRING)[0]
    assert warning.expires_at == public


@pytest.mark.parametrize("days", [None, 2])
def test_news_last_as_long_as_the_school_says(world: World, days: int | None) -> None:
    """For ever, too."""
    crm = attrs.evolve(world.crm, settings=Settings(notice_days=days))
    intake.register_customer(crm, {"name": "王芳", "qq": "12345"}, by=SYSTEM)
    expected = days and world.clock() + timedelta(days=days)
    assert {n.expires_at for n in told(crm, Event.ASSIGNED)} == {expected}


# -- dead letters ---------------------------------------------------------------------------------


def doomed(world: World) -> Crm:
    """Give a CRM whose notices on two channels are dead, and on one will be tried again."""

    def refuse(notice: Notice) -> None:
        raise DeliveryFailed("no", permanent=notice.channel != "c")

    crm = with_channels(world, *(Channel(n, refuse) for n in "abc"))
    write(world, 3, "a", "b", "c")
    assert notices.deliver_due(crm, by=SYSTEM) == notices.Delivery(dead=6, failed=3)
    return crm


def test_dead_letters_are_sent_again_by_what_they_are(world: World) -> None:
    """All of a channel or an event at once; the audit log says who did it and how many it were."""
    crm = doomed(world)
    assert notices.resend_many(crm, channel="a", by=SYSTEM) == 3
    assert notices.resend_many(crm, event=Event.NOBODY, by=SYSTEM) == 0
    assert notices.resend_many(crm, by=SYSTEM) == 3
    assert notices.resend_many(crm, status=None, by=SYSTEM) == 3
    assert {n.attempts for n in kept(crm, NoticeStatus.PENDING)} == {0}
    with crm.unit_of_work(read_only=True) as uow:
        entries = uow.records.all(AuditEntry, action="resend")
    assert [(e.after or {})["count"] for e in entries] == [3, 0, 3, 3]
    assert (entries[0].after or {})["channel"] == "a"


def test_what_is_being_sent_is_not_resent_beside(world: World) -> None:
    """One that failed and is tried again right now would go out twice."""
    seen: list[int] = []
    crm = doomed(world)
    world.clock.advance(timedelta(hours=1))
    busy = Channel("c", lambda _: seen.append(notices.resend_many(crm, status=None, by=SYSTEM)))
    assert notices.deliver_due(attrs.evolve(crm, notifiers={"c": busy}), by=SYSTEM).sent == 3
    assert seen == [6, 0, 0]


def test_one_letter_is_resent_by_its_number(world: World) -> None:
    """Once; then it waits to be sent, as one that was never tried."""
    crm = doomed(world)
    number = kept(crm, NoticeStatus.DEAD)[0].id or 0
    notices.resend(crm, number, by=SYSTEM)
    for wrong in (number, 10**6, -1):
        with pytest.raises(NotFound):
            notices.resend(crm, wrong, by=SYSTEM)


def test_a_filter_that_makes_no_sense_is_refused_with_all_that_is_wrong(world: World) -> None:
    """And nobody resends without the permission."""
    wrong: Any = {"status": NoticeStatus.SENT, "channel": 7, "event": "party"}
    with pytest.raises(Invalid) as caught:
        notices.resend_many(world.crm, **wrong, by=SYSTEM)
    assert [p.path for p in caught.value.problems] == ["status", "channel", "event"]
    with pytest.raises(NotPermitted):
        notices.resend_many(world.crm, by=world.a)
    with pytest.raises(NotPermitted):
        notices.backlog(world.crm, by=world.a)


def test_the_backlog_tells_what_waits(world: World) -> None:
    """By status, and since when."""
    crm = doomed(world)
    found = notices.backlog(crm, by=world.manager)
    assert {s.value: n for s, n in found.waiting.items()} == {"pending": 0, "failed": 3, "dead": 6}
    assert found.due_since is None
    world.clock.advance(timedelta(minutes=2))
    due = notices.backlog(crm, by=SYSTEM).due_since
    assert due is not None
    assert timedelta(minutes=1) < world.clock() - due < timedelta(minutes=2)
