"""Whether a notice is sent, and when (spec section 11)."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_domain.errors import DeliveryFailed
from crm_domain.model import Event, Notice, NoticePreference, NoticeStatus
from crm_domain.model.fields import changed
from crm_domain.rules import notifying
from crm_domain.rules.notifying import failed, is_wanted, lasts_until, quiet_until, ruled_out

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 11, 3, 12, tzinfo=SHANGHAI)
SECOND = timedelta(seconds=1)


def leased(**fields: object) -> Notice:
    """Make a notice that is being dealt with for the second time."""
    made = Notice(
        id=1, recipient_id=1, subject="x", body="x", event=Event.ASSIGNED, channel="email",
        idempotency_key="k", created_at=NOON, attempts=2, fence=3,
    )  # fmt: skip
    return changed(made, **fields)


def wishes(begin: str = "22:00", end: str = "07:30", **off: tuple[str, ...]) -> NoticePreference:
    """Make what somebody said."""
    return NoticePreference(
        employee_id=1, off=dict(off), quiet_from=time.fromisoformat(begin),
        quiet_until=time.fromisoformat(end),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("begin", "end", "at", "until"),
    [
        ("22:00", "07:30", "11-03 21:59:59", None),
        ("22:00", "07:30", "11-03 22:00:00", "11-04 07:30:00"),
        ("22:00", "07:30", "11-03 23:59:59", "11-04 07:30:00"),
        ("22:00", "07:30", "11-04 00:00:00", "11-04 07:30:00"),
        ("22:00", "07:30", "11-04 07:29:59", "11-04 07:30:00"),
        ("22:00", "07:30", "11-04 07:30:00", None),
        ("12:00", "13:00", "11-03 11:59:59", None),
        ("12:00", "13:00", "11-03 12:00:00", "11-03 13:00:00"),
        ("12:00", "13:00", "11-03 13:00:00", None),
        ("22:00", "00:00", "11-03 23:00:00", "11-04 00:00:00"),
        ("00:00", "07:00", "11-03 00:00:00", "11-03 07:00:00"),
        ("22:00", "07:30", "12-31 23:00:00", "01-01 07:30:00"),
    ],
)
def test_quiet_hours_end_at_their_time_of_day(
    begin: str, end: str, at: str, until: str | None
) -> None:
    """Their first moment is quiet and the last is not; they may span midnight and New Year."""

    def moment(text: str) -> datetime:
        year = 2027 if text.startswith("01") else 2026
        return datetime.fromisoformat(f"{year}-{text}").replace(tzinfo=SHANGHAI)

    found = quiet_until(wishes(begin, end), "email", moment(at).astimezone(UTC), SHANGHAI)
    assert found == (until and moment(until))


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)),
    st.times(), st.times(),
    st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe"]),
)  # fmt: skip
def test_quiet_hours_always_end(now: datetime, begin: time, end: time, name: str) -> None:
    """Later than now, within a day and an hour, and at their end it is quiet no more."""
    zone = ZoneInfo(name)
    said = NoticePreference(employee_id=1, off={}, quiet_from=begin, quiet_until=end)
    until = quiet_until(said, "email", now, zone)
    if begin == end or until is None:
        return
    assert now < until <= now + timedelta(hours=25)
    assert quiet_until(said, "email", until, zone) is None


def test_the_program_itself_is_always_wanted_and_never_loud() -> None:
    """Whatever somebody said."""
    said = wishes("12:00", "13:00", assigned=("inapp", "email"))
    assert is_wanted(said, Event.ASSIGNED, "inapp")
    assert not is_wanted(said, Event.ASSIGNED, "email")
    assert is_wanted(said, Event.CLAIMED, "email")
    assert is_wanted(None, Event.ASSIGNED, "email")
    assert ruled_out(leased(channel="inapp"), said, NOON, SHANGHAI, most=4) is None


def test_what_is_not_sent_costs_no_attempt() -> None:
    """Expired comes before unwanted, and both before quiet."""
    quiet = wishes("12:00", "13:00")
    unwanted = wishes("12:00", "13:00", assigned=("email",))
    old = leased(expires_at=NOON)
    for notice, said, status in (
        (old, unwanted, NoticeStatus.EXPIRED),
        (leased(), unwanted, NoticeStatus.CANCELLED),
        (leased(), quiet, NoticeStatus.PENDING),
    ):
        found = ruled_out(notice, said, NOON, SHANGHAI, most=4)
        assert found is not None
        assert (found.status, found.attempts, found.fence) == (status, 1, 3)
    put_off = ruled_out(leased(), quiet, NOON, SHANGHAI, most=4)
    assert put_off is not None
    assert put_off.next_attempt_at == NOON + timedelta(hours=1)
    cancelled = ruled_out(leased(), unwanted, NOON, SHANGHAI, most=4)
    assert cancelled is not None
    assert cancelled.error == "assigned: not wanted on email"
    assert ruled_out(old, None, NOON - timedelta(microseconds=1), SHANGHAI, most=4) is None


def test_what_nobody_lived_to_tell_of_is_given_up() -> None:
    """After twice the attempts, and not before."""
    assert ruled_out(leased(attempts=8), None, NOON, SHANGHAI, most=4) is None
    found = ruled_out(leased(attempts=9), None, NOON, SHANGHAI, most=4)
    assert found is not None
    assert (found.status, found.attempts, found.error) == (
        NoticeStatus.DEAD, 8, "no outcome of 8 tries",
    )  # fmt: skip


def test_suspects_are_tried_in_ever_smaller_groups() -> None:
    """The worst first; nobody is suspect who has not had more attempts than are allowed."""
    batch = [leased(id=i, attempts=4) for i in range(640)]
    assert notifying.suspects(batch, 4) == ()
    for attempts, size in ((5, 80), (6, 10), (7, 1), (8, 1)):
        worse = [changed(n, attempts=attempts) for n in batch[100:]]
        assert notifying.suspects([*batch[:100], *worse], 4) == tuple(worse[:size])
    assert notifying.suspects([], 4) == ()


def test_a_reminder_lasts_a_day_and_news_as_many_as_are_set() -> None:
    """None is for ever; a reminder is replaced by the next day's all the same."""
    assert lasts_until(Event.CONTACT_DUE, NOON, None) == NOON + timedelta(days=1)
    assert lasts_until(Event.ASSIGNED, NOON, 7) == NOON + timedelta(days=7)
    assert lasts_until(Event.ASSIGNED, NOON, None) is None


def test_each_failure_doubles_the_wait_up_to_the_longest() -> None:
    """Of which the part is waited that is given; never sooner than the provider asked."""

    def waited(attempts: int, retry_after: float | None = None, jitter: float = 1) -> timedelta:
        error = DeliveryFailed("busy", retry_after=retry_after)
        after = failed(
            leased(attempts=attempts), error, NOON, most=99, first_wait=SECOND, jitter=jitter
        )
        assert (after.status, after.next_attempt_at) != (NoticeStatus.DEAD, None)
        assert after.next_attempt_at is not None
        return after.next_attempt_at - NOON

    for attempts in range(1, 12):
        whole = SECOND * 2 ** (attempts - 1)
        assert (waited(attempts), waited(attempts, jitter=0.5)) == (whole, whole / 2)
    assert waited(90) <= notifying.LONGEST_WAIT
    assert waited(1, retry_after=60) == timedelta(seconds=60)


def test_a_notice_is_given_up_for_good_reason() -> None:
    """When another try would not help, or when there were enough."""
    passing, lasting = DeliveryFailed("busy"), DeliveryFailed("no", permanent=True)
    for attempts, error, status in (
        (3, passing, NoticeStatus.FAILED), (4, passing, NoticeStatus.DEAD),
        (1, lasting, NoticeStatus.DEAD),
    ):  # fmt: skip
        after = failed(leased(attempts=attempts), error, NOON, most=4, first_wait=SECOND, jitter=1)
        assert after.status is status
        assert after.error == error.facts["reason"]
    assert failed(leased(), DeliveryFailed(""), NOON, most=4, first_wait=SECOND, jitter=1).error
