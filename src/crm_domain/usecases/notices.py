"""Delivering what people are told. At least once: a crash may repeat a message, never lose it."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

import attrs

from crm_domain.errors import DatabaseBusy, DeliveryFailed, FieldError, Invalid, NotFound
from crm_domain.model import Employee, Event, Notice, NoticePreference, NoticeStatus
from crm_domain.model.fields import changed
from crm_domain.ports import Backlog, Crm, Page, Query
from crm_domain.rules.access import Principal
from crm_domain.rules.notifying import failed, given_back, ruled_out, sent, suspects
from crm_domain.usecases._common import audit, reach_of

log = logging.getLogger(__name__)
WAITING = (NoticeStatus.PENDING, NoticeStatus.FAILED)
ENOUGH = 10
"""So many failures in a row, and a channel is left alone."""
MOST_UNWRITTEN = 25
"""So many outcomes at most are written at once; a worker that dies repeats what it had not."""
SHARE = 0.5
"""Of a lease; what was not begun by then is given back, so that nothing is sent as it ends."""


@attrs.frozen(kw_only=True)
class Delivery:
    """What one call delivered."""

    sent: int = 0
    failed: int = 0
    """Will be tried again."""
    dead: int = 0
    """Given up; see `resend`."""
    expired: int = 0
    """Of no use any more, so not sent."""
    cancelled: int = 0
    """Not wanted by the recipient on this channel."""


@attrs.define
class _Round:
    """What one call knows while it delivers."""

    crm: Crm
    people: Mapping[int | None, Employee] = attrs.Factory(dict)
    preferences: Mapping[int, NoticePreference] = attrs.Factory(dict)
    until: float = 0.0
    """When the lease is no longer relied on, by the process's own steady clock."""
    late: int = 0
    """How many of the batch were given back because the lease was used up."""
    failures: Counter[str] = attrs.Factory(Counter)
    """How often each channel has failed in a row."""
    rested: set[int | None] = attrs.Factory(set)
    """What was given back because its channel does not work."""


def deliver_due(
    crm: Crm, *, limit: int = 500, seconds: float | None = None, by: Principal
) -> Delivery:
    """Send the notices whose time has come, until none is left.

    Attempts are counted before the call, under a lease: a worker that dies costs an attempt and a
    wait, not the message. Outcomes are written about once a second, so it may also cost a message
    that is sent twice. A notice of which they die again and again is tried apart from others, and
    given up after twice the attempts. A channel that fails ten times in a row is left alone for a
    while; it does not hold up another. What has expired, or what the recipient does not want on a
    channel, is not sent; in quiet hours it waits for their end.

    Args:
        crm: The CRM.
        limit: Notices taken at a time.
        seconds: After which no more are taken; None is never.
        by: Who asks; needs ``notice:deliver``.

    Returns:
        How many were sent, failed, are dead, expired or cancelled.

    Raises:
        Invalid: The limit is not 1 to 10,000.
        NotPermitted: Without the permission.
    """
    by.need("notice:deliver")
    if type(limit) is not int or not 1 <= limit <= 10_000:
        raise Invalid([FieldError("limit", "out_of_range", limit, "每批须为 1 到 10000 条",
                                  "1 to 10000 notices are taken at a time")])  # fmt: skip
    counts: Counter[NoticeStatus] = Counter()
    begun = time.monotonic()
    this = _Round(crm)
    more = True
    while more:
        # Before the database begins to count, so that we give up first.
        this.until = time.monotonic() + crm.settings.lease_seconds * SHARE
        with crm.unit_of_work() as uow:
            leased = uow.notices.lease(crm.now(), crm.settings.lease_seconds, limit)
            numbers = list({n.recipient_id for n in leased})
            this.people = {e.id: e for e in uow.records.among(Employee, numbers)}
            this.preferences = uow.notices.preferences(numbers)
        this.late = 0
        tries = {n.id: n.attempts for n in leased}
        known = bool(leased) and all(n.id in this.rested for n in leased)
        batch, others = _apart(crm, leased)
        for done in _outcomes(this, batch):
            # What was put off may have failed before, but not now.
            counts.update(
                n.status for n in _written(crm, done)
                if n.status not in WAITING or n.attempts == tries[n.id]
            )  # fmt: skip
        # A lease too short for even one would go on for ever, and so would a channel that is left
        # alone for less time than this takes.
        more = (
            not known
            and this.late < len(batch)
            and (len(leased) == limit or others or this.late > 0)
        )
        more = more and (seconds is None or time.monotonic() - begun < seconds)
    return Delivery(
        sent=counts[NoticeStatus.SENT], failed=counts[NoticeStatus.FAILED],
        dead=counts[NoticeStatus.DEAD], expired=counts[NoticeStatus.EXPIRED],
        cancelled=counts[NoticeStatus.CANCELLED],
    )  # fmt: skip


def _apart(crm: Crm, batch: Sequence[Notice]) -> tuple[Sequence[Notice], bool]:
    """Leave the suspects of a batch, of which one may have killed the workers before.

    Whoever dies of it then costs the others no attempt, so that they are not given up with it.

    Returns:
        What is left, and whether others were given back, to be taken again at once.
    """
    suspect = suspects(batch, crm.settings.max_attempts)
    if not suspect or len(suspect) == len(batch):
        return batch, False
    now, chosen = crm.now(), {n.id for n in suspect}
    with crm.unit_of_work() as uow:
        uow.notices.settle(
            [given_back(n, next_attempt_at=now) for n in batch if n.id not in chosen]
        )
    return suspect, True


def _written(crm: Crm, done: Sequence[Notice]) -> list[Notice]:
    """Write what became of leased notices; those that another took over are left out.

    If they cannot be written together, they are written one by one: one must not be the reason
    that the others, which were sent, go out again. The one itself does not go out again either.
    """
    try:
        with crm.unit_of_work() as uow:
            settled = uow.notices.settle(done)
    except DatabaseBusy:
        raise
    except Exception:
        if len(done) > 1:
            return [n for one in done for n in _written(crm, [one])]
        log.exception("what became of the notice %s could not be written", done[0].id)
        was_sent = done[0].status is NoticeStatus.SENT
        done = [
            changed(done[0], status=NoticeStatus.SENT if was_sent else NoticeStatus.DEAD,
                    error=None if was_sent else "the answer of its channel cannot be kept",
                    provider_id=None, next_attempt_at=None)
        ]  # fmt: skip
        with crm.unit_of_work() as uow:
            settled = uow.notices.settle(done)
    return [n for n in done if n.id in settled]


def _outcomes(this: _Round, batch: Sequence[Notice]) -> Iterator[list[Notice]]:
    """Deal with leased notices one by one, giving what became of them about once a second.

    Whoever is stopped in between, by the end of its process or by what a channel raises and nobody
    may catch, still gives what became of those before, and gives back those behind.
    """
    done: list[Notice] = []
    written = time.monotonic()
    for place, notice in enumerate(batch, start=1):
        try:
            done.append(_outcome(this, notice))
        except BaseException:
            now = this.crm.now()
            yield [*done, *(given_back(n, next_attempt_at=now) for n in batch[place:])]
            raise
        if time.monotonic() - written >= 1 or len(done) >= MOST_UNWRITTEN:
            yield done
            done, written = [], time.monotonic()
    if done:
        yield done


def _outcome(this: _Round, notice: Notice) -> Notice:
    """Tell what becomes of one leased notice: it is ruled out, left for later, or tried."""
    crm, now = this.crm, this.crm.now()
    wish = this.preferences.get(notice.recipient_id)
    decided = ruled_out(notice, wish, now, crm.settings.zone, most=crm.settings.max_attempts)
    if decided is not None:
        return decided
    if time.monotonic() >= this.until:
        this.late += 1
        return given_back(notice, next_attempt_at=now)
    if this.failures[notice.channel] >= ENOUGH:
        this.rested.add(notice.id)
        return given_back(notice, next_attempt_at=now + _first_wait(crm))
    after, broken = _attempt(crm, notice, this.people.get(notice.recipient_id))
    if broken is not None:
        this.failures[notice.channel] = this.failures[notice.channel] + 1 if broken else 0
    return after


def send_now(crm: Crm, notice: Notice, employee: Employee | None) -> Notice:
    """Try to send a notice at once, writing nothing.

    Args:
        crm: The CRM.
        notice: The notice, with this attempt counted.
        employee: Its recipient; None when there is no such person.

    Returns:
        The notice as it is then: sent, failed or dead.
    """
    return _attempt(crm, notice, employee)[0]


def _attempt(crm: Crm, notice: Notice, employee: Employee | None) -> tuple[Notice, bool | None]:
    """Try to send a notice, and tell whether its channel is broken.

    Whom a channel cannot reach says that it works. A message that the channel's own code cannot
    make says nothing about it: ten of these must not keep all others waiting.
    """
    notifier = crm.notifiers.get(notice.channel)
    try:
        if notifier is None:
            raise DeliveryFailed(f"no channel {notice.channel}", permanent=True)
        if employee is None or notifier.address(employee) is None:
            raise DeliveryFailed(f"no address on {notice.channel}", permanent=True)
        provider_id = notifier.send(notice, employee)
    except DeliveryFailed as e:
        return _failed(crm, notice, e), not getattr(e, "permanent", False)
    except Exception as e:  # a plugin's mistake must not stop the others
        log.exception("the channel %s failed with notice %s", notice.channel, notice.id)
        mistake = DeliveryFailed(f"{type(e).__name__} in {notice.channel}")
        return _failed(crm, notice, mistake), None
    return sent(notice, provider_id, crm.now()), False


def _failed(crm: Crm, notice: Notice, error: DeliveryFailed) -> Notice:
    return failed(notice, error, crm.now(), most=crm.settings.max_attempts,
                  first_wait=_first_wait(crm))  # fmt: skip


def _first_wait(crm: Crm) -> timedelta:
    return timedelta(seconds=crm.settings.retry_seconds)


def list_notices(
    crm: Crm, query: Query | None = None, *, status: NoticeStatus | None = None, by: Principal
) -> Page[Notice]:
    """Read one page of notices to people within one's reach; without ``notice:view`` one's own.

    Raises:
        Invalid: The query names what is not there, or there is no such status.
        NotPermitted: Without the permission and without an employee.
    """
    query = query or Query()
    if status is not None and not isinstance(status, NoticeStatus):
        raise Invalid([FieldError("status", "unknown_choice", status, f"没有状态“{status}”",
                                  f"there is no status {status}")])  # fmt: skip
    if not by.may("notice:view"):
        if by.employee_id is None:
            by.need("notice:view")
        query = attrs.evolve(query, where={**query.where, "recipient_id": by.employee_id})
    with crm.unit_of_work(read_only=True) as uow:
        return uow.notices.page(query, status, reach_of(by))


def resend(crm: Crm, notice_id: int, *, by: Principal) -> None:
    """Put a dead or failed notice to somebody within one's reach back to be sent at once.

    Raises:
        NotFound: There is no such notice within reach, or it needs no resending: it was sent, is
            being sent, or has expired.
        NotPermitted: Without ``notice:deliver``.
    """
    by.need("notice:deliver")
    with crm.unit_of_work() as uow:
        now = crm.now()
        if not uow.notices.resend(now, ids=[notice_id], statuses=RESENDABLE, reach=reach_of(by)):
            raise NotFound(what="待重发的通知", id=notice_id)
        audit(uow, by, now, "resend", "Notice", notice_id, None, {"count": 1})
    crm.jobs.wake("deliver_due")


RESENDABLE = (NoticeStatus.DEAD, NoticeStatus.FAILED)


def resend_many(
    crm: Crm, *, status: NoticeStatus | None = NoticeStatus.DEAD, channel: str | None = None,
    event: Event | None = None, by: Principal,
) -> int:  # fmt: skip
    """Put all notices to people within one's reach back to be sent at once that were not sent.

    Args:
        crm: The CRM.
        status: Dead or failed ones; None is both.
        channel: Only those of this channel, which may be there no more; None is any.
        event: Only those of this event; None is any.
        by: Who asks; needs ``notice:deliver``.

    Returns:
        How many. Those that are being sent right now and those that have expired are left out.

    Raises:
        Invalid: With every problem: a status that cannot be sent again, no such event or channel.
        NotPermitted: Without the permission.
    """
    by.need("notice:deliver")
    _refuse_filter(status, channel, event)
    with crm.unit_of_work() as uow:
        now = crm.now()
        statuses = RESENDABLE if status is None else (status,)
        count = uow.notices.resend(
            now, statuses=statuses, channel=channel, event=event, reach=reach_of(by)
        )
        what = {"status": status, "channel": channel, "event": event, "count": count}
        audit(uow, by, now, "resend", "Notice", None, None, what)
    if count:
        crm.jobs.wake("deliver_due")
    return count


def _refuse_filter(status: object, channel: object, event: object) -> None:
    problems = []
    if status is not None and status not in RESENDABLE:
        problems.append(FieldError("status", "unknown_choice", status, "只能重发失败或待重试的",
                                   "only dead or failed ones can be sent again"))  # fmt: skip
    if channel is not None and not isinstance(channel, str):
        problems.append(FieldError("channel", "bad_text", None, "渠道须为名称",
                                   "a channel is given by its name"))  # fmt: skip
    if event is not None and not isinstance(event, Event):
        problems.append(FieldError("event", "unknown_choice", event, f"没有事件“{event}”",
                                   f"there is no event {event}"))  # fmt: skip
    if problems:
        raise Invalid(problems)


def backlog(crm: Crm, *, by: Principal) -> Backlog:
    """Count what stands in the outbox for people within one's reach and was not sent.

    Raises:
        NotPermitted: Without ``notice:view``.
    """
    by.need("notice:view")
    with crm.unit_of_work(read_only=True) as uow:
        return uow.notices.backlog(crm.now(), reach_of(by))
