"""Taking back what owners neglected, and warning them before (spec section 4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import attrs

from crm_domain.errors import FieldError, Invalid, SweepStopped
from crm_domain.model import AssignmentStatus, AuditEntry, Event, Notice
from crm_domain.ports import Crm, Ended, Expiring, Losing, Query, Released, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.rules.wording import Words, counted, named
from crm_domain.usecases._common import audit, notices, start_of_day
from crm_domain.usecases._redating import finish_dating

FURTHEST = 9000
"""The last year that can be looked at; in the last of all a day may have no morrow."""
SWEEP_BATCH = 50_000
"""Customers that a sweep releases at once; a transaction has the rest of its last owner, too."""
OWNERS = 50
"""Owners that are warned in one transaction."""
NAMED_ALONE = 20
"""Of so many customers at most an owner gets a warning each, of more one for all."""
NAMED_TOGETHER = 5
"""So many customers are named in a warning for all."""
FEW = 20
"""So many released customers are never implausible."""


@attrs.frozen(kw_only=True)
class Sweep:
    """What a sweep did, or would do."""

    released: int
    by_status: Mapping[int, int]
    """How many by the limit that passed: 3 no follow-up, 4 not closed."""
    by_owner: Mapping[int, int]
    day: date
    earlier: int = 0
    """How many sweeps of the same day had released before this one began, as one that was cut off;
    they are not among the others."""
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
        SweepStopped: The guard found the share or the clock implausible; it says what was changed.
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
        doomed = uow.falling_due.overdue_counts(today)
        listed = uow.falling_due.overdue(today, 10_000) if dry_run else ()
        # What a sweep as of another day goes on with is nobody's question.
        earlier = 0 if dry_run or today != crm.day(now) else _released_on(crm, uow, today)
        most = _guarded(crm, uow.falling_due.owned_count()) if guard else None
    if most is not None:
        _guard(crm, sum(doomed.values()), most, now)
    if dry_run:
        return _report(doomed, today, earlier, listed)
    ended = _release(crm, today, by, most) if doomed else {}
    if ended:
        crm.jobs.wake("deliver_due")
    return _report(ended, today, earlier)


def _released_on(crm: Crm, uow: UnitOfWork, day: date) -> int:
    """Tell how many the sweeps of a day have released so far, as each wrote it with what it did."""
    query = Query(
        where={"action": "sweep"}, ranges={"at": (start_of_day(crm, day), None)}, limit=10_000
    )
    entries = uow.records.page(AuditEntry, query).items
    kept = [e.after for e in entries if e.after and e.after["day"] == day.isoformat()]
    return sum(int(after["released"]) for after in kept)


def _check_moment(at: datetime, now: datetime, dry_run: bool) -> None:
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise Invalid([FieldError("at", "naive_moment", at, "时间须带时区",
                                  "the moment has no time zone")])  # fmt: skip
    if at.year > FURTHEST:
        raise Invalid([FieldError("at", "out_of_range", at, "时间过远", "the moment is too far")])
    if at > now and not dry_run:
        raise Invalid([FieldError("at", "in_future", at, "只有试算可以用将来的时间",
                                  "only a dry run may look ahead")])  # fmt: skip


def _release(
    crm: Crm, today: date, by: Principal, most: int | None
) -> Counter[tuple[int, int]]:  # fmt: skip
    """Release all overdue customers in bounded batches; each owner is told once.

    An owner is never cut in two, and each transaction tells what it did itself: whoever goes on
    where a sweep was cut off must not count again what that had told.

    Raises:
        SweepStopped: More than ``most`` are overdue by now: the rules were changed meanwhile.
    """
    ended: Counter[tuple[int, int]] = Counter()
    last = 0
    more = True
    while more:
        with crm.unit_of_work() as uow:
            now = crm.now()
            released, more = _released(uow, today, now, from_owner=last + 1)
            done = sum(r.count for r in released)
            if most is not None and ended.total() + done > most:
                # This transaction is undone, and all that is overdue stays so.
                _refuse_more(crm, most, ended.total())
            for r in released:
                uow.notices.add(_expired(crm, r, now))
            if released:
                audit(uow, by, now, "sweep", "Customer", None, None, _counted(released, today))
        for r in released:
            ended.update({(r.owner_id, status): n for status, n in r.by_status.items()})
            last = r.owner_id
    return ended


def _released(
    uow: UnitOfWork, today: date, now: datetime, *, from_owner: int
) -> tuple[list[Released], bool]:
    """Release a batch and the rest of its last owner, and tell whether there may be others."""
    released = list(uow.falling_due.sweep(today, now, SWEEP_BATCH, from_owner=from_owner))
    more = full = sum(r.count for r in released) == SWEEP_BATCH
    while full:
        last = released[-1]
        rest = uow.falling_due.sweep(
            today, now, SWEEP_BATCH, from_owner=last.owner_id, to_owner=last.owner_id
        )
        released[-1:] = [_together(last, r) for r in rest] or [last]
        full = sum(r.count for r in rest) == SWEEP_BATCH
    return released, more


def _together(some: Released, rest: Released) -> Released:
    return Released(
        owner_id=some.owner_id, by_status=Counter(some.by_status) + Counter(rest.by_status),
        first_id=min(some.first_id, rest.first_id), names=some.names,
    )  # fmt: skip


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


def _expired(crm: Crm, released: Released, now: datetime) -> list[Notice]:
    total = released.count
    names = "、".join(released.names) + ("等" if total > len(released.names) else "")
    return notices(
        crm, Event.EXPIRED, released.owner_id,
        Words(f"{total} 位客户已退回公海", f"{counted(total, 'customer')} went back to the pool"),
        Words(f"{names}（{total} 位客户）超过期限未跟进或未成单，已退回公海。",
              f"{named(released.names, total)}: past the limit for a contact or for enrolling, "
              "and back in the pool."),
        about=f"employee:{released.owner_id}", key=f"expired:{released.first_id}", now=now,
    )  # fmt: skip


def _guarded(crm: Crm, owned: int) -> int:
    """Tell how many an unattended sweep may release of those that are owned."""
    return max(FEW, int(crm.settings.sweep_max_share * owned))


def _guard(crm: Crm, doomed: int, most: int, now: datetime) -> None:
    if doomed > most:
        raise SweepStopped(
            reason_zh=f"将回收 {doomed} 位客户，超过上限 {most} 位；没有改动任何数据。",
            reason_en=f"it would release {doomed} customers, more than {most}; "
                      "nothing was changed.",
        )  # fmt: skip
    drift = abs(now - crm.storage.clock())
    if drift > timedelta(minutes=10):
        raise SweepStopped(
            reason_zh=f"程序时钟与数据库相差 {drift}；没有改动任何数据。",
            reason_en=f"the program's clock is {drift} away from the database's; "
                      "nothing was changed.",
        )  # fmt: skip


def _refuse_more(crm: Crm, most: int, released: int) -> None:
    """Stop where more fell due than the guard had let pass."""
    if released:
        crm.jobs.wake("deliver_due")
    raise SweepStopped(
        reason_zh=f"期间规则有变，将回收的客户超过上限 {most} 位；"
                  f"已回收 {released} 位，其余未改动。",
        reason_en=f"the rules changed meanwhile, and it would release more than {most} customers; "
                  f"{released} were released before, and no others.",
    )  # fmt: skip


def _report(
    counts: Mapping[tuple[int, int], int], day: date, earlier: int,
    listed: Sequence[Ended] | None = None,
) -> Sweep:  # fmt: skip
    by_status: Counter[int] = Counter()
    by_owner: Counter[int] = Counter()
    for (owner, status), n in counts.items():
        by_status[status] += n
        by_owner[owner] += n
    return Sweep(released=by_owner.total(), by_status=by_status, by_owner=by_owner, day=day,
                 earlier=earlier, dry_run=listed is not None,
                 customers=tuple(listed or ()))  # fmt: skip


def warn_owners(crm: Crm, *, by: Principal) -> int:
    """Tell owners which customers fall due soon, and count the notices.

    Of few each deadline has a notice of its own, written once. Whoever is about to lose more than
    `NAMED_ALONE` gets one for all of them, once a day.

    Raises:
        NotPermitted: Without ``pool:sweep``.
    """
    by.need("pool:sweep")
    written = last = 0
    more = True
    while more:
        with crm.unit_of_work() as uow:
            now = crm.now()
            some = uow.falling_due.expiring(
                crm.day(now), NAMED_ALONE, after_owner=last, owners=OWNERS
            )
            written += uow.notices.add_new([n for one in some for n in _warnings(crm, one, now)])
        more = len(some) == OWNERS
        last = some[-1].owner_id if some else last
    if written:
        crm.jobs.wake("deliver_due")
    return written


def _warnings(crm: Crm, losing: Losing, now: datetime) -> list[Notice]:
    if losing.count > NAMED_ALONE:
        return _many_expire(crm, losing, now)
    return [n for one in losing.first for n in _expires(crm, losing.owner_id, one, now)]


def _expires(crm: Crm, owner_id: int, one: Expiring, now: datetime) -> list[Notice]:
    idle = one.status is AssignmentStatus.NO_FOLLOW_UP
    what = Words("跟进", "Log a contact") if idle else Words("成单", "Enrol the customer")
    return notices(
        crm, Event.EXPIRING, owner_id,
        Words(f"{one.customer_name} 即将到期", f"{one.customer_name} expires soon"),
        Words(f"请在 {_said(one.due_on)}零点前{what.zh}，否则该客户将进入公海。",
              f"{what.en} before 00:00 on {one.due_on}, or it will be in the pool."),
        about=f"customer:{one.customer_id}", key=f"expiring:{one.assignment_id}:{one.due_on}",
        now=now, until=start_of_day(crm, one.due_on),
    )  # fmt: skip


def _many_expire(crm: Crm, losing: Losing, now: datetime) -> list[Notice]:
    first = losing.first[0].due_on
    names = [one.customer_name for one in losing.first[:NAMED_TOGETHER]]
    return notices(
        crm, Event.EXPIRING, losing.owner_id,
        Words(f"{losing.count} 位客户即将到期", f"{counted(losing.count, 'customer')} expire soon"),
        Words(f"{'、'.join(names)}等（{losing.count} 位客户）即将超过跟进或成单期限，最早的将于 "
              f"{_said(first)}零点进入公海。请在“我的客户”中查看并及时跟进。",
              f"{named(names, losing.count)} are close to the limit for a contact or for "
              f"enrolling; the first will be in the pool at 00:00 on {first}. "
              "Please look at “My customers”."),
        about=f"employee:{losing.owner_id}", key=f"expiring:{losing.owner_id}:on:{crm.day(now)}",
        now=now, until=start_of_day(crm, first),
    )  # fmt: skip


def _said(day: date) -> str:
    return f"{day.month}月{day.day}日"
