"""Delivery while a channel hangs, a mail server refuses us, or the database is away."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import attrs
import pytest
import sqlalchemy as sa
from test_delivery_laws import Channel, kept, let_leases_end, with_channels, write

from contracts.smtp_server import PASSWORD, Mailbox
from crm_adapters.notifiers.email import EmailNotifier
from crm_adapters.storage.engine import translated
from crm_domain import SYSTEM, Crm
from crm_domain.errors import DatabaseBusy, DeliveryFailed, Invalid
from crm_domain.model import Notice, NoticeStatus
from crm_domain.ports import Settings
from crm_domain.usecases import _settling, delivering, notices
from make import World

SECOND = timedelta(seconds=1)


def down(_: Notice) -> None:
    """Fail as a provider does that is down."""
    raise DeliveryFailed("the provider is down")


# -- channels -------------------------------------------------------------------------------------


def test_a_channel_that_is_left_alone_is_so_beyond_the_call(world: World) -> None:
    """Nobody of the process asks it before its pause is over; then one message finds out."""
    asked: list[str] = []

    def ask(notice: Notice) -> None:
        asked.append(notice.idempotency_key)
        down(notice)

    dead = Channel("dead", ask)
    crm = with_channels(world, dead, retry_seconds=30)
    write(world, 40, "dead")
    assert notices.deliver_due(crm, by=SYSTEM).failed == len(asked) == 10
    world.clock.advance(29 * SECOND)
    assert notices.due_channels(crm, by=SYSTEM) == ()
    assert notices.deliver_due(crm, channel="dead", by=SYSTEM) == notices.Delivery()
    assert len(asked) == 10
    world.clock.advance(2 * SECOND)
    assert notices.due_channels(crm, by=SYSTEM) == ("dead",)
    assert notices.deliver_due(crm, by=SYSTEM).failed == 1
    assert len(asked) == 11
    world.clock.advance(31 * SECOND)
    dead.act = lambda _: None
    assert notices.deliver_due(crm, by=SYSTEM).sent > 20


def test_a_pause_of_a_clock_set_back_since_counts_for_nothing(world: World) -> None:
    """It would leave the channel alone for years."""
    dead = Channel("dead", down)
    crm = with_channels(world, dead)
    write(world, 20, "dead")
    begun = world.clock()
    world.clock.advance(timedelta(days=1000))
    assert notices.deliver_due(crm, by=SYSTEM).failed == 10
    world.clock.set(begun)
    write(world, 1, "new", channel="dead")
    dead.act = lambda _: None
    assert notices.deliver_due(crm, by=SYSTEM).sent == 1


def test_a_channel_that_does_not_answer_is_left_alone_before_it_failed_ten_times(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a minute tells enough."""
    monkeypatch.setattr(delivering, "ENOUGH_SECONDS", 0.5)

    def wait(notice: Notice) -> None:
        time.sleep(0.3)
        down(notice)

    deaf = Channel("deaf", wait)
    crm = with_channels(world, deaf)
    write(world, 10, "deaf")
    assert notices.deliver_due(crm, by=SYSTEM).failed == 2


def test_what_failed_together_does_not_come_back_together(world: World) -> None:
    """Each waits a part of its time, and no two the same."""
    crm = with_channels(world, Channel("dead", down), retry_seconds=30)
    write(world, 10, "dead")
    assert notices.deliver_due(crm, by=SYSTEM).failed == 10
    waits = {n.next_attempt_at - world.clock() for n in kept(crm, NoticeStatus.FAILED)}  # type: ignore[operator]
    assert len(waits) > 5
    assert all(15 * SECOND <= wait <= 30 * SECOND for wait in waits)


def test_a_channel_is_given_by_its_name(world: World) -> None:
    """Anything else is refused, together with whatever else is wrong."""
    wrong: Any = {"channel": 7, "limit": 0}
    with pytest.raises(Invalid) as caught:
        notices.deliver_due(world.crm, **wrong, by=SYSTEM)
    assert [p.path for p in caught.value.problems] == ["channel", "limit"]


def test_channels_take_turns(world: World) -> None:
    """One with much to do holds up another by a batch at most."""
    order: list[str] = []
    one, other = (Channel(n, lambda n: order.append(n.channel)) for n in ("many", "other"))
    crm = with_channels(world, one, other)
    write(world, 50, "many")
    write(world, 5, "other")
    assert notices.deliver_due(crm, limit=10, by=SYSTEM).sent == 55
    assert order[:15] == ["many"] * 10 + ["other"] * 5


def test_a_channel_that_hangs_holds_up_no_other(world: World) -> None:
    """Whoever sees to another channel meanwhile neither waits nor takes what hangs."""
    free, caught = threading.Event(), threading.Event()

    def hang(_: Notice) -> None:
        caught.set()
        free.wait(30)

    hung = Channel("hung", hang)
    fine = Channel("fine")
    crm = with_channels(world, hung, fine)
    write(world, 20, "hung", "fine")
    thread = threading.Thread(
        target=notices.deliver_due, args=(crm,), kwargs={"channel": "hung", "by": SYSTEM}
    )
    thread.start()
    try:
        assert caught.wait(30)
        assert notices.deliver_due(crm, channel="fine", by=SYSTEM).sent == 20
        assert hung.arrived == []
    finally:
        free.set()
        thread.join()
    assert len(hung.arrived) == 20


def test_who_is_slower_than_a_lease_and_sends_ends_it(world: World) -> None:
    """Another has taken it over meanwhile, and is as slow; nobody begins a third time."""
    channel = Channel("console")
    crm = with_channels(world, channel)

    def overtaken(_: Notice) -> None:
        let_leases_end(crm)
        with crm.unit_of_work() as uow:
            assert uow.notices.lease(crm.now(), 60, 9, "console")

    channel.act = overtaken
    write(world, 1, "console")
    for _ in range(5):
        notices.deliver_due(crm, by=SYSTEM)
        let_leases_end(crm)
    assert len(channel.arrived) == 1
    assert len(kept(crm, NoticeStatus.SENT)) == 1


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """Run a mail server."""
    with Mailbox() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_mail_password_that_was_changed_makes_no_dead_letters(
    world: World, mailbox: Mailbox
) -> None:
    """A few find out; the rest waits untouched, and all goes out when it is set right."""
    person = world.person("韩雪", email="han.xue@school.example")
    write(world, 30, "email", recipient_id=person.employee_id or 0)

    def by(password: str) -> Crm:
        url = f"smtp://crm:{quote(password)}@127.0.0.1:{mailbox.port}"
        email = EmailNotifier(url, "crm@school.example")
        return attrs.evolve(world.crm, notifiers={"email": email}, settings=Settings())

    crm = by("old")
    assert notices.deliver_due(crm, by=SYSTEM) == notices.Delivery(failed=10)
    assert Counter(n.attempts for n in kept(crm, NoticeStatus.PENDING)) == {0: 20}
    world.clock.advance(timedelta(minutes=5))
    crm = by(PASSWORD)
    assert notices.deliver_due(crm, by=SYSTEM).sent == len(mailbox.messages) == 30
    assert len(mailbox.passwords) == 11
    crm.notifiers["email"].close()


# -- the database ---------------------------------------------------------------------------------


class Away:
    """A storage that cannot be written to for a number of times."""

    def __init__(self, storage: Any, error: BaseException) -> None:
        self.storage, self.error, self.left = storage, error, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.storage, name)

    def unit_of_work(self, *, read_only: bool = False, wait: bool = True) -> Any:
        """Begin a transaction, if the database is there."""
        if self.left and not read_only:
            self.left -= 1
            with translated():
                raise self.error
        return self.storage.unit_of_work(read_only=read_only, wait=wait)


REFUSED = sa.exc.OperationalError("", None, OSError("connection refused"))


@pytest.mark.parametrize("error", [DatabaseBusy(), REFUSED])
def test_a_database_that_is_away_for_a_moment_repeats_nothing(
    world: World, error: Exception
) -> None:
    """What became of the messages is written when it is back, and it is what did become of them."""
    away = Away(world.crm.storage, error)

    def go(notice: Notice) -> None:
        away.left = 2 if notice.idempotency_key == "console2" else 0
        if notice.idempotency_key == "console0":
            down(notice)

    channel = Channel("console", go)
    crm = attrs.evolve(with_channels(world, channel), storage=away)
    write(world, 3, "console")
    assert notices.deliver_due(crm, by=SYSTEM) == notices.Delivery(sent=2, failed=1)
    let_leases_end(world.crm)
    assert notices.deliver_due(crm, by=SYSTEM) == notices.Delivery()
    assert channel.arrived == ["console1", "console2"]


@pytest.mark.parametrize("error", [DatabaseBusy(), REFUSED])
def test_a_database_that_stays_away_makes_no_dead_letters(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whoever delivers gives up and says why; what was not sent is sent when it is back."""
    monkeypatch.setattr(_settling, "AWAY", 0.3)
    away = Away(world.crm.storage, error)

    def fail(notice: Notice) -> None:
        away.left = 10**6
        down(notice)

    channel = Channel("console", fail)
    crm = attrs.evolve(with_channels(world, channel, lease=1), storage=away)
    write(world, 1, "console")
    with pytest.raises(DatabaseBusy):
        notices.deliver_due(crm, by=SYSTEM)
    away.left, channel.act = 0, lambda _: None
    let_leases_end(world.crm)
    assert notices.deliver_due(crm, by=SYSTEM).sent == 1
    assert kept(crm, NoticeStatus.DEAD) == []


def test_a_mistake_in_writing_outcomes_is_no_database_that_is_away(world: World) -> None:
    """Nobody tries that again until the leases end; and who can write nothing sends no more."""
    away = Away(world.crm.storage, TypeError("of ours"))

    def go(_: Notice) -> None:
        away.left = 10**6

    channel = Channel("console", go)
    crm = attrs.evolve(with_channels(world, channel), storage=away)
    write(world, 30, "console")
    begun = time.monotonic()
    with pytest.raises(TypeError):
        notices.deliver_due(crm, by=SYSTEM)
    assert time.monotonic() - begun < 5
    assert len(channel.arrived) == delivering.MOST_UNWRITTEN


def test_who_is_stopped_while_outcomes_are_written_loses_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it happens, what was sent is written and the rest is given back."""
    monkeypatch.setattr(delivering, "MOST_UNWRITTEN", 3)
    away = Away(world.crm.storage, KeyboardInterrupt())

    def stop(notice: Notice) -> None:
        away.left = int(notice.idempotency_key == "console2")

    channel = Channel("console", stop)
    crm = attrs.evolve(with_channels(world, channel), storage=away)
    write(world, 10, "console")
    with pytest.raises(KeyboardInterrupt):
        notices.deliver_due(crm, by=SYSTEM)
    assert len(kept(crm, NoticeStatus.SENT)) == len(channel.arrived) == 3
    waiting = kept(crm, NoticeStatus.PENDING)
    assert Counter((n.attempts, n.leased_until) for n in waiting) == {(0, None): 7}


@contextmanager
def administrator(url: str) -> Iterator[sa.Connection]:
    """Give a connection to another database of the same server."""
    other = sa.make_url(url).set(drivername="postgresql+psycopg", database="postgres")
    engine = sa.create_engine(other, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_a_restart_of_the_server_under_delivery_repeats_nothing(url: str, world: World) -> None:
    """All connections end and none is taken for a second, as when PostgreSQL is started anew."""
    name = sa.make_url(url).database

    def allow(word: str) -> None:
        with administrator(url) as connection:
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {word}')
            connection.exec_driver_sql(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            )

    back = threading.Timer(1, allow, ["true"])

    def restart(notice: Notice) -> None:
        if notice.idempotency_key == "console10":
            allow("false")
            back.start()

    channel = Channel("console", restart)
    crm = with_channels(world, channel)
    write(world, 20, "console")
    assert notices.deliver_due(crm, by=SYSTEM).sent == 20
    back.join()
    let_leases_end(crm)
    assert notices.deliver_due(crm, by=SYSTEM) == notices.Delivery()
    assert len(channel.arrived) == len(set(channel.arrived)) == 20
