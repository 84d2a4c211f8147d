"""Whether a notice is sent, and when: what is of use, what people want, when they want quiet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta, tzinfo
from typing import Any

from crm_domain.errors import DeliveryFailed
from crm_domain.model import Event, Notice, NoticePreference, NoticeStatus, specs
from crm_domain.model.fields import changed
from crm_domain.parsing import kept

INAPP = "inapp"
"""The channel of messages in the program itself: always wanted and never loud."""
WAITING = (NoticeStatus.PENDING, NoticeStatus.FAILED)
"""What is still to be sent, for the first time or again."""
LONGEST_WAIT = timedelta(hours=6)
LONGEST_ASKED = timedelta(days=1)
"""So long at most is waited because a provider asks for it; more is a mistake, or no number."""
TOLD = tuple(e for e in Event if e is not Event.TEST)
"""What people are told of without having asked."""
ALONE = 4
"""So many tries at least are made apart from others before a suspect is given up."""
ID_LENGTH = specs(Notice)["provider_id"].length or 0
ERROR_LENGTH = specs(Notice)["error"].length or 0
REMINDER_LASTS = timedelta(days=1)
"""A reminder is of no use when the next day's comes."""


def lasts_until(event: Event, now: datetime, days: int | None) -> datetime | None:
    """Tell from when a notice is of no use any more, if nothing else is known of it.

    Args:
        event: What it tells.
        now: When it is written.
        days: After how many days news are old; None is never.
    """
    if event is Event.CONTACT_DUE:
        return now + REMINDER_LASTS
    return None if days is None else now + timedelta(days=days)


def is_wanted(preference: NoticePreference | None, event: Event, channel: str) -> bool:
    """Whether somebody wants to be told of an event by a channel."""
    if preference is None or channel == INAPP:
        return True
    return channel not in preference.off.get(event.value, ())


def quiet_until(
    preference: NoticePreference | None, channel: str, now: datetime, zone: tzinfo
) -> datetime | None:
    """Tell when the quiet hours end that somebody has now on a channel; None outside them.

    Args:
        preference: What they said; None is nothing.
        channel: The channel.
        now: The moment.
        zone: The business time zone.
    """
    if preference is None or channel == INAPP:
        return None
    begin, end = preference.quiet_from, preference.quiet_until
    if begin is None or end is None:
        return None
    local = now.astimezone(zone)
    # Without its fold: an hour that comes twice is quiet both times.
    at = local.time().replace(fold=0)
    days = _days_left(at, begin, end)
    if days is None:
        return None
    day = local.date() + timedelta(days=days)
    found = datetime.combine(day, end, zone).replace(fold=local.fold).astimezone(now.tzinfo)
    return found if found > now else None


def _days_left(at: time, begin: time, end: time) -> int | None:
    """Tell in how many days the quiet hours end at a time of day; None outside them."""
    if begin < end:
        return 0 if begin <= at < end else None
    if at >= begin:
        return 1
    return 0 if at < end else None


def is_suspect(notice: Notice, most: int) -> bool:
    """Whether a leased notice may be what kills the workers: so often nobody told how it went.

    Args:
        notice: As it was leased; the attempt is counted.
        most: After so many attempts a notice is given up, if somebody lives to write that.
    """
    return notice.attempts > most


def suspects(batch: Sequence[Notice], most: int) -> tuple[Notice, ...]:
    """Choose those of a leased batch that are to be tried apart from the rest.

    The more attempts, the fewer at a time: an eighth of the batch, an eighth of that, and at last
    one alone. So thousands that merely happened to be at hand when workers died go on quickly, and
    the one of which they die is soon found.

    Args:
        batch: As they were leased.
        most: After so many attempts a notice is suspect.

    Returns:
        The most suspect; nothing when none is.
    """
    worst = max((n.attempts for n in batch), default=0)
    if worst <= most:
        return ()
    size = max(1, len(batch) // 8 ** min(worst - most, 10))
    return tuple(n for n in batch if n.attempts == worst)[:size]


def ruled_out(
    notice: Notice, preference: NoticePreference | None, now: datetime, zone: tzinfo, *, most: int
) -> Notice | None:
    """Tell what becomes of a leased notice that is not to be sent now, without an attempt counted.

    Args:
        notice: As it was leased.
        preference: What its recipient wants; None is everything, at any time.
        now: The moment.
        zone: The business time zone.
        most: After so many attempts it is dead; after twice as many, and four more at least, also
            when nobody lived to write what came of them.

    Returns:
        The notice expired, cancelled, given up or put off; None when it is to be sent.
    """
    enough = most + max(most, ALONE)
    if is_suspect(notice, enough):
        return given_back(notice, status=NoticeStatus.DEAD, error=f"no outcome of {enough} tries")
    if notice.expires_at is not None and notice.expires_at <= now:
        return given_back(notice, status=NoticeStatus.EXPIRED)
    if not is_wanted(preference, notice.event, notice.channel):
        reason = f"{notice.event.value}: not wanted on {notice.channel}"
        return given_back(notice, status=NoticeStatus.CANCELLED, error=reason)
    until = quiet_until(preference, notice.channel, now, zone)
    return None if until is None else given_back(notice, next_attempt_at=until)


def given_back(notice: Notice, **changes: object) -> Notice:
    """Give a leased notice as if it had not been tried, with some fields changed."""
    return changed(notice, attempts=notice.attempts - 1, **changes)


def sent(notice: Notice, provider_id: Any, now: datetime) -> Notice:
    """Tell what becomes of a notice that was sent.

    Args:
        notice: As it was leased.
        provider_id: What the channel answered; a number or an id too long is kept as far as it
            can be, for what is sent is sent.
        now: The moment.
    """
    number = None if provider_id is None else kept(provider_id, ID_LENGTH)
    return changed(notice, status=NoticeStatus.SENT, provider_id=number, sent_at=now, error=None)


def failed(
    notice: Notice, error: DeliveryFailed, now: datetime, *, most: int, first_wait: timedelta,
    jitter: float,
) -> Notice:  # fmt: skip
    """Tell what becomes of a notice that could not be sent: tried again, or given up.

    Args:
        notice: As it was leased; the attempt is counted.
        error: Why.
        now: The moment.
        most: After so many attempts it is dead.
        first_wait: How long after the first attempt the second comes.
        jitter: What part of a wait is really waited, so that not all come back at once.
    """
    # A stranger's kind of failure may lack what ours has.
    said: dict[str, Any] = {**vars(error), **vars(error).get("facts", {})}
    over = bool(said.get("permanent")) or notice.attempts >= most
    return changed(
        notice, status=NoticeStatus.DEAD if over else NoticeStatus.FAILED,
        error=kept(said.get("reason", ""), ERROR_LENGTH) or type(error).__name__,
        next_attempt_at=now + _wait(notice.attempts, first_wait, jitter, said.get("retry_after")),
    )  # fmt: skip


def _wait(attempts: int, first: timedelta, jitter: float, retry_after: Any) -> timedelta:
    """Wait twice as long after each failure.

    What a provider asks for is heard as far as it is a number, and no longer than a day.
    """
    wait = min(first * 2.0 ** min(attempts - 1, 20), LONGEST_WAIT) * jitter
    if isinstance(retry_after, int | float) and retry_after > 0:
        wait = max(wait, timedelta(seconds=min(retry_after, LONGEST_ASKED.total_seconds())))
    return wait


def wanted_matrix(
    preference: NoticePreference | None, channels: tuple[str, ...]
) -> Mapping[Event, Mapping[str, bool]]:
    """Tell for each event by which channels somebody wants to be told of it."""
    return {e: {c: is_wanted(preference, e, c) for c in channels} for e in TOLD}
