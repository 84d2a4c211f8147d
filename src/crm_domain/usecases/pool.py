"""The public pool: who is in it, claiming, giving back, and the sweep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

import attrs

from crm_domain.errors import (
    AlreadyClaimed,
    FieldError,
    Invalid,
    NotAssignable,
    NotFound,
    NotOwner,
    NotPermitted,
    SweepStopped,
)
from crm_domain.model import (
    Assignment,
    AssignmentMethod,
    AssignmentStatus,
    Customer,
    CustomerStatus,
    Employee,
    Event,
    Notice,
)
from crm_domain.ports import Crm, Ended, NewAssignment, Page, Query, UnitOfWork
from crm_domain.rules.access import HIDDEN, Principal, masked
from crm_domain.rules.claims import Claim, refusals
from crm_domain.rules.duty import has_left
from crm_domain.rules.pool import dated, is_public
from crm_domain.usecases._common import (
    audit,
    employee_or_refuse,
    holds,
    locked_customer,
    moment,
    notices,
    policy,
)
from crm_domain.usecases._owning import close_open, farewell, owned_by, pooled


def public_customers(crm: Crm, query: Query | None = None, *, by: Principal) -> Page[Customer]:
    """Read one page of the pool, the newest number first; contact data is masked.

    Raises:
        Invalid: The query names what is not there, or what is hidden.
        NotPermitted: Without ``pool:view``.
    """
    by.need("pool:view")
    _refuse_hidden(query or Query())
    with crm.unit_of_work(read_only=True) as uow:
        page = uow.customers.page(query or Query(), None, crm.today(), pool=True)
        return Page(items=[masked(c) for c in page.items], next=page.next)


def _refuse_hidden(query: Query) -> None:
    """Refuse to filter or sort by what is hidden: whoever asks often enough would know it."""
    asked = {*query.where, *query.ranges, (query.sort or "").lstrip("-")}
    if hidden := sorted(asked & HIDDEN):
        raise Invalid([FieldError(n, "hidden_field", None, "公海中不能按联系方式筛选或排序",
                                  f"the pool cannot be asked by {n}") for n in hidden])  # fmt: skip


def claim_customer(crm: Crm, customer_id: int, *, by: Principal) -> Assignment:
    """Claim a public customer (抢单): the first one wins, everybody else is told why not.

    Args:
        crm: The CRM.
        customer_id: The customer.
        by: Who claims; needs ``customer:claim`` and an employee.

    Returns:
        The new assignment.

    Raises:
        AlreadyClaimed: Somebody was quicker: ``by_name`` at ``at``.
        ClaimRefused: With its ``reason``.
        NotFound: There is no such customer.
        NotPermitted: Without the permission.
    """
    by.need("customer:claim")
    if by.employee_id is None:
        raise NotPermitted(permission="customer:claim")
    with crm.unit_of_work() as uow:
        rules = policy(crm, uow)
        customer = locked_customer(uow, customer_id)
        now = moment(crm, customer)
        claim = _claim(crm, uow, customer, by.employee_id, now)
        for refused in refusals(claim):
            raise refused
        owned = dated(owned_by(customer, by.employee_id, now), rules)
        close_open(uow, customer, now, AssignmentStatus.NO_FOLLOW_UP)
        number = uow.customers.win(
            NewAssignment(customer=owned, method=AssignmentMethod.CLAIM, by_id=by.user_id,
                          explanation=f"由 {by.title} 抢单"), customer, crm.day(now),
        )  # fmt: skip
        if number is None:
            # The row lock makes this impossible; the statement would not let it through either.
            raise AlreadyClaimed(by_name="?", at=now)
        uow.notices.add(
            farewell(crm, customer, Event.EXPIRED, now)
            + notices(crm, Event.CLAIMED, by.employee_id, "抢单成功",
                    f"您已抢到客户 {customer.name}。", about=f"customer:{customer_id}",
                    key=f"claimed:{number}", now=now)
        )  # fmt: skip
        made = uow.records.get(Assignment, number)
    crm.jobs.wake("deliver_due")
    if made is None:
        raise NotFound(what="分配", id=number)
    return made


def _claim(crm: Crm, uow: UnitOfWork, customer: Customer, employee_id: int, now: datetime) -> Claim:
    settings, today = crm.settings, crm.day(now)
    midnight = datetime.combine(today, time(), settings.zone).astimezone(UTC)
    owner = None
    if customer.owner_id is not None and not is_public(customer, today):
        owner = uow.records.get(Employee, customer.owner_id)
    claimant = employee_or_refuse(uow, employee_id)
    active = {e.id for e in uow.directory.with_permission("customer:claim")}
    present = not has_left(claimant, today)
    limited = settings.max_owned is not None
    counted = settings.max_claims_per_day is not None
    return Claim(
        customer=customer, employee_id=employee_id, active=present and employee_id in active,
        today=today, now=now.astimezone(settings.zone), owner_name=owner.name if owner else None,
        last_ended_at=_last_end(crm, uow, customer),
        owned=uow.customers.load([employee_id], today).get(employee_id, 0) if limited else 0,
        claimed_today=uow.customers.claims_since(employee_id, midnight) if counted else 0,
        max_owned=settings.max_owned, max_claims_per_day=settings.max_claims_per_day,
        cool_down_days=settings.cool_down_days,
    )  # fmt: skip


def _last_end(crm: Crm, uow: UnitOfWork, customer: Customer) -> datetime | None:
    """Tell when the latest assignment ended, or, before any sweep, fell due."""
    if crm.settings.cool_down_days is None or customer.assignment_id is None:
        return None
    if customer.owner_id is not None:
        return datetime.combine(customer.due_on, time(), crm.settings.zone).astimezone(UTC)
    last = uow.records.get(Assignment, customer.assignment_id)
    return last.ended_at if last else None


def release_customer(
    crm: Crm, customer_id: int, *, reason: str | None = None, by: Principal
) -> None:
    """Give a customer back to the pool (主动放弃): one's own, or as a manager a subordinate's.

    Raises:
        NotOwner: It is not theirs now.
        NotAssignable: It is locked.
        NotPermitted: Without ``customer:release``.
    """
    by.need("customer:release")
    with crm.unit_of_work() as uow:
        rules = policy(crm, uow)
        customer = locked_customer(uow, customer_id)
        now = moment(crm, customer)
        mine = customer.owner_id is not None and customer.owner_id == by.employee_id
        if is_public(customer, crm.day(now)) or customer.status is CustomerStatus.ENROLLED:
            raise NotOwner
        if not mine and not (by.may("customer:transfer") and holds(crm, uow, customer, by)):
            raise NotOwner
        if customer.locked:
            raise NotAssignable(reason_zh="该客户已锁定。", reason_en="the customer is locked.")
        close_open(uow, customer, now, AssignmentStatus.RELEASED)
        uow.customers.keep(dated(pooled(customer), rules))
        audit(uow, by, now, "release", "Customer", customer_id,
              {"owner_id": customer.owner_id}, {"owner_id": None, "reason": reason})  # fmt: skip


# -- the sweep --------------------------------------------------------------------------------


SWEEP_BATCH = 10_000
"""Customers of one owner that a sweep releases in one transaction."""


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
    if at is not None and at > now and not dry_run:
        raise Invalid([FieldError("at", "in_future", at, "只有试算可以用将来的时间",
                                  "only a dry run may look ahead")])  # fmt: skip
    today = crm.day(at or now)
    with crm.unit_of_work(read_only=True) as uow:
        doomed = uow.customers.overdue_counts(today)
        listed = uow.customers.overdue(today, 10_000) if dry_run else ()
        if guard:
            _guard(crm, sum(doomed.values()), uow.customers.owned_count(), now)
    if dry_run:
        return _report(doomed, today, listed)
    ended: Counter[tuple[int, int]] = Counter()
    for owner in sorted({owner for owner, _ in doomed}):
        ended += _sweep_owner(crm, owner, today)
    if ended:
        crm.jobs.wake("deliver_due")
    return _report(ended, today)


def _sweep_owner(crm: Crm, owner: int, today: date) -> Counter[tuple[int, int]]:
    """Release one owner's overdue customers in bounded batches; the first one tells the owner."""
    ended: Counter[tuple[int, int]] = Counter()
    while True:
        with crm.unit_of_work() as uow:
            counts = {} if ended else uow.customers.overdue_counts(today)
            total = sum(n for (theirs, _), n in counts.items() if theirs == owner)
            batch = uow.customers.lock_overdue(owner, today, SWEEP_BATCH)
            now = crm.now()
            uow.customers.end(batch, now)
            if batch and not ended:
                uow.notices.add(_expired(crm, owner, batch, total, now))
        ended += Counter((e.consultant_id, int(e.status)) for e in batch)
        if len(batch) < SWEEP_BATCH:
            return ended


def _expired(
    crm: Crm, owner: int, batch: Sequence[Ended], total: int, now: datetime
) -> list[Notice]:
    names = "、".join(e.customer_name for e in batch[:5]) + ("等" if total > 5 else "")
    return notices(
        crm, Event.EXPIRED, owner, f"{total} 位客户已退回公海",
        f"{names} {total} 位客户超过期限未跟进或未成单，已退回公海。",
        about=f"employee:{owner}", key=f"expired:{batch[0].assignment_id}", now=now,
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
    what = "跟进" if customer.due_status == AssignmentStatus.NO_FOLLOW_UP else "成单"
    return notices(
        crm, Event.EXPIRING, customer.owner_id or 0, f"{customer.name} 即将到期",
        f"请在 {customer.due_on:%m月%d日} 零点前{what}，否则该客户将进入公海。",
        about=f"customer:{customer.id}",
        key=f"expiring:{customer.assignment_id}:{customer.due_on}", now=now,
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
