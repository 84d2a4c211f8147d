"""Taking back what owners neglected, and warning them before (spec section 4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from datetime import time as midnight
from typing import Any

import attrs

from crm_domain.errors import FieldError, Invalid, SweepStopped
from crm_domain.model import AssignmentStatus, Customer, Event, Notice
from crm_domain.ports import Crm, Ended, Released
from crm_domain.rules.access import Principal
from crm_domain.usecases._common import audit, notices
from crm_domain.usecases._redating import finish_dating

FURTHEST = 9000
"""The last year that can be looked at; in the last of all a day may have no morrow."""
SWEEP_BATCH = 50_000
"""Customers that a sweep releases in one transaction."""


@attrs.frozen(kw_only=True)
class Sweep:
    """What a sweep did, or would do."""

    released: int
    by_status: Mapping[int, int]
    """How many by the limit that passed: 3 no follow-up, 4 not closed."""
    by_owner: Mapping[int, int]
    day: date
    dry_run: bool = False
    customers: Sequence[Ended] = ()
    """Whom it would take; only of a dry run, 10,000 at most."""


def sweep_pool(
    crm: Crm, *, by: Principal, dry_run: bool = False, guard: bool = False,
    at: datetime | None = None,
) -> Sweep:  # fmt: skip
    """Take back what owners neglected (每日回收). Running it again changes nothing more.

    Args:
        crm: The CRM.
        by: Who asks; needs ``pool:sweep``.
        dry_run: Only tell whom it would take.
        guard: Stop before an implausible sweep, as the daily schedule does.
        at: Sweep as if it were this moment, never one in the future unless it is a dry run.

    Returns:
        What it did.

    Raises:
        SweepStopped: The guard found the share or the clock implausible; nothing was changed.
        Invalid: The moment lies in the future.
        NotPermitted: Without the permission.
    """
    by.need("pool:sweep")
    now = crm.now()
    if at is not None:
        _check_moment(at, now, dry_run)
    today = crm.day(at or now)
    with crm.unit_of_work(read_only=True) as uow:
        waiting = not dry_run and uow.turns.dating() is not None
    if waiting:
        # Whom the newest rules leave their customers must not lose them by older ones.
        finish_dating(crm)
    with crm.unit_of_work(read_only=True) as uow:
        doomed = uow.customers.overdue_counts(today)
        listed = uow.customers.overdue(today, 10_000) if dry_run else ()
        if guard:
            _guard(crm, sum(doomed.values()), uow.customers.owned_count(), now)
    if dry_run:
        return _report(doomed, today, listed)
    ended = _release(crm, today, by) if doomed else {}
    if ended:
        crm.jobs.wake("deliver_due")
    return _report(ended, today)


def _check_moment(at: datetime, now: datetime, dry_run: bool) -> None:
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise Invalid([FieldError("at", "naive_moment", at, "时间须带时区",
                                  "the moment has no time zone")])  # fmt: skip
    if at.year > FURTHEST:
        raise Invalid([FieldError("at", "out_of_range", at, "时间过远", "the moment is too far")])
    if at > now and not dry_run:
        raise Invalid([FieldError("at", "in_future", at, "只有试算可以用将来的时间",
                                  "only a dry run may look ahead")])  # fmt: skip


def _release(crm: Crm, today: date, by: Principal) -> Counter[tuple[int, int]]:
    """Release all overdue customers in bounded batches; each owner is told once."""
    ended: Counter[tuple[int, int]] = Counter()
    told = last = 0
    more = True
    while more:
        with crm.unit_of_work() as uow:
            now = crm.now()
            released = uow.customers.sweep(today, now, SWEEP_BATCH, from_owner=last)
            more = sum(r.count for r in released) == SWEEP_BATCH
            for r in released:
                if r.owner_id == told:
                    continue
                # Of the last one there may be more than this transaction took.
                cut = more and r is released[-1]
                left = uow.customers.overdue_counts(today, r.owner_id) if cut else {}
                uow.notices.add(_expired(crm, r, r.count + sum(left.values()), now))
            if released:
                audit(uow, by, now, "sweep", "Customer", None, None, _counted(released, today))
        for r in released:
            ended.update({(r.owner_id, status): n for status, n in r.by_status.items()})
            told = last = r.owner_id
    return ended


def _counted(released: Sequence[Released], today: date) -> dict[str, Any]:
    """Say what one transaction of a sweep did, as the log keeps it."""
    by_status: Counter[int] = Counter()
    for r in released:
        by_status.update(r.by_status)
    return {
        "day": today, "released": by_status.total(),
        "by_status": {str(status): n for status, n in by_status.items()},
        "by_owner": {str(r.owner_id): r.count for r in released},
    }  # fmt: skip


def _expired(crm: Crm, released: Released, total: int, now: datetime) -> list[Notice]:
    names = "、".join(released.names) + ("等" if total > len(released.names) else "")
    return notices(
        crm, Event.EXPIRED, released.owner_id, f"{total} 位客户已退回公海",
        f"{names}（{total} 位客户）超过期限未跟进或未成单，已退回公海。",
        about=f"employee:{released.owner_id}", key=f"expired:{released.first_id}", now=now,
    )  # fmt: skip


def _guard(crm: Crm, doomed: int, owned: int, now: datetime) -> None:
    share = doomed / owned if owned else 0
    if doomed > 20 and share > crm.settings.sweep_max_share:
        raise SweepStopped(
            reason_zh=f"将回收 {doomed} 位客户，占全部在跟客户的 {share:.0%}。",
            reason_en=f"it would release {doomed} customers, {share:.0%} of all owned ones.",
        )
    drift = abs(now - crm.storage.clock())
    if drift > timedelta(minutes=10):
        raise SweepStopped(
            reason_zh=f"程序时钟与数据库相差 {drift}。",
            reason_en=f"the program's clock is {drift} away from the database's.",
        )


def _report(
    counts: Mapping[tuple[int, int], int], day: date, listed: Sequence[Ended] | None = None
) -> Sweep:
    by_status: Counter[int] = Counter()
    by_owner: Counter[int] = Counter()
    for (owner, status), n in counts.items():
        by_status[status] += n
        by_owner[owner] += n
    return Sweep(released=by_owner.total(), by_status=by_status, by_owner=by_owner, day=day,
                 dry_run=listed is not None, customers=tuple(listed or ()))  # fmt: skip


def _expiring(crm: Crm, customer: Customer, now: datetime) -> list[Notice]:
    day = f"{customer.due_on.month}月{customer.due_on.day}日"
    what = "跟进" if customer.due_status == AssignmentStatus.NO_FOLLOW_UP else "成单"
    return notices(
        crm, Event.EXPIRING, customer.owner_id or 0, f"{customer.name} 即将到期",
        f"请在 {day}零点前{what}，否则该客户将进入公海。",
        about=f"customer:{customer.id}",
        key=f"expiring:{customer.assignment_id}:{customer.due_on}", now=now,
        # From then on it is public, and no warning helps.
        until=datetime.combine(customer.due_on, midnight(), crm.settings.zone),
    )  # fmt: skip


def warn_owners(crm: Crm, *, by: Principal) -> int:
    """Tell owners which customers fall due soon, once for each deadline, and count the notices.

    Raises:
        NotPermitted: Without ``pool:sweep``.
    """
    by.need("pool:sweep")
    with crm.unit_of_work() as uow:
        now = crm.now()
        written = uow.notices.add_new(
            [n for c in uow.customers.expiring(crm.day(now)) for n in _expiring(crm, c, now)]
        )
    if written:
        crm.jobs.wake("deliver_due")
    return written
