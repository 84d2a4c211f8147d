"""Delivering what people are told. At least once: a crash may repeat a message, never lose it."""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import attrs

from crm_domain.errors import DeliveryFailed, FieldError, Invalid, NotFound
from crm_domain.model import Employee, Notice, NoticeStatus
from crm_domain.model.fields import changed
from crm_domain.ports import Crm, Page, Query
from crm_domain.rules.access import Principal
from crm_domain.usecases._common import reach_of

log = logging.getLogger(__name__)
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(hours=6)
ENOUGH = 10
"""So many failures in a row, and a channel is left alone."""


@attrs.frozen(kw_only=True)
class Delivery:
    """What one call delivered."""

    sent: int = 0
    failed: int = 0
    """Will be tried again."""
    dead: int = 0
    """Given up; see `resend`."""


def deliver_due(crm: Crm, *, limit: int = 500, by: Principal) -> Delivery:
    """Send the notices whose time has come, until none is left.

    Attempts are counted before the call, under a lease: a worker that dies costs an attempt and a
    wait, not the message. Outcomes are written about once a second, so it may also cost a message
    that is sent twice. A channel that fails ten times in a row is left alone for a while; it does
    not hold up another.

    Args:
        crm: The CRM.
        limit: Notices taken at a time.
        by: Who asks; needs ``notice:deliver``.

    Returns:
        How many were sent, failed and are dead.

    Raises:
        Invalid: The limit is not 1 to 10,000.
        NotPermitted: Without the permission.
    """
    by.need("notice:deliver")
    if type(limit) is not int or not 1 <= limit <= 10_000:
        raise Invalid([FieldError("limit", "out_of_range", limit, "每批须为 1 到 10000 条",
                                  "1 to 10000 notices are taken at a time")])  # fmt: skip
    counts: Counter[NoticeStatus] = Counter()
    failures: Counter[str] = Counter()
    more = True
    while more:
        with crm.unit_of_work() as uow:
            now = crm.now()
            until = now + timedelta(seconds=crm.settings.lease_seconds)
            batch = uow.notices.lease(now, until, limit)
            numbers = list({n.recipient_id for n in batch})
            people = {e.id: e for e in uow.records.among(Employee, numbers)}
        late: list[Notice] = []
        resting: list[Notice] = []
        for done in _deliver(crm, batch, people, until, failures, late, resting):
            with crm.unit_of_work() as uow:
                settled = uow.notices.settle(done)
            counts.update(n.status for n in done if n.id in settled)
        if late or resting:
            with crm.unit_of_work() as uow:
                now = crm.now()
                uow.notices.give_back(late, now)
                uow.notices.give_back(resting, now + FIRST_WAIT)
        # A lease too short for even one would go on for ever.
        more = len(late) < len(batch) and (len(batch) == limit or bool(late))
    return Delivery(
        sent=counts[NoticeStatus.SENT], failed=counts[NoticeStatus.FAILED],
        dead=counts[NoticeStatus.DEAD],
    )  # fmt: skip


def _deliver(
    crm: Crm, batch: Sequence[Notice], people: Mapping[int | None, Employee], until: datetime,
    failures: Counter[str], late: list[Notice], resting: list[Notice],
) -> Iterator[list[Notice]]:  # fmt: skip
    """Send leased notices, giving what became of them about once a second.

    Args:
        crm: The CRM.
        batch: The notices.
        people: Their recipients by number.
        until: When the lease ends; others may have what is left then.
        failures: How often each channel has failed in a row.
        late: Gets those that could not be tried before the lease ended.
        resting: Gets those of channels that do not work.
    """
    done: list[Notice] = []
    written = time.monotonic()
    for notice in batch:
        if crm.now() >= until:
            late.append(notice)
            continue
        if failures[notice.channel] >= ENOUGH:
            resting.append(notice)
            continue
        after = _send(crm, notice, people.get(notice.recipient_id))
        # Whom a channel cannot reach says nothing about the channel.
        failed = after.status is NoticeStatus.FAILED
        failures[notice.channel] = failures[notice.channel] + 1 if failed else 0
        done.append(after)
        if time.monotonic() - written >= 1:
            yield done
            done, written = [], time.monotonic()
    if done:
        yield done


def _send(crm: Crm, notice: Notice, employee: Employee | None) -> Notice:
    notifier = crm.notifiers.get(notice.channel)
    try:
        if notifier is None:
            raise DeliveryFailed(f"no channel {notice.channel}", permanent=True)
        if employee is None or notifier.address(employee) is None:
            raise DeliveryFailed(f"no address on {notice.channel}", permanent=True)
        provider_id = notifier.send(notice, employee)
    except DeliveryFailed as e:
        return _failed(crm, notice, e)
    except Exception as e:  # a plugin's mistake must not stop the others
        log.exception("the channel %s failed with notice %s", notice.channel, notice.id)
        return _failed(crm, notice, DeliveryFailed(f"{type(e).__name__} in {notice.channel}"))
    return changed(
        notice, status=NoticeStatus.SENT, provider_id=provider_id, sent_at=crm.now(), error=None
    )


def _failed(crm: Crm, notice: Notice, error: DeliveryFailed) -> Notice:
    over = error.permanent or notice.attempts >= crm.settings.max_attempts
    return changed(
        notice, status=NoticeStatus.DEAD if over else NoticeStatus.FAILED,
        error=str(error.facts["reason"])[:500],
        next_attempt_at=_next_attempt(crm.now(), notice.attempts, error.retry_after),
    )  # fmt: skip


def _next_attempt(now: datetime, attempts: int, retry_after: float | None) -> datetime:
    """Wait twice as long after each failure, with jitter so that not all come back at once."""
    wait = min(FIRST_WAIT * 2.0 ** min(attempts - 1, 20), LONGEST_WAIT)
    wait = wait * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
    if retry_after is not None:
        wait = max(wait, timedelta(seconds=retry_after))
    return now + wait


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
    """Put a dead or failed notice back to be sent at once.

    Raises:
        NotFound: There is no such notice, or it needs no resending.
        NotPermitted: Without ``notice:deliver``.
    """
    by.need("notice:deliver")
    with crm.unit_of_work() as uow:
        if not uow.notices.resend(notice_id, crm.now()):
            raise NotFound(what="待重发的通知", id=notice_id)
    crm.jobs.wake("deliver_due")
