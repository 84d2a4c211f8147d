"""What changes hands: how a locked customer becomes somebody's or nobody's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime

from crm_domain.errors import NotAssignable, NotFound, NotReceiving
from crm_domain.model import (
    AssignmentStatus,
    Customer,
    CustomerStatus,
    Employee,
    Event,
    Notice,
    User,
)
from crm_domain.model.fields import changed
from crm_domain.ports import Closing, Crm, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.rules.duty import has_left
from crm_domain.rules.pool import NOBODYS
from crm_domain.rules.wording import Words, counted, named
from crm_domain.usecases._common import employee_or_refuse, notices, reach_of, start_of_day


def refuse_private(customer: Customer) -> None:
    """Say why a customer is not there to be given away."""
    if customer.status is CustomerStatus.ENROLLED:
        raise NotAssignable(reason_zh="该客户已报名。", reason_en="the customer has enrolled.")
    if customer.locked:
        raise NotAssignable(reason_zh="该客户已锁定。", reason_en="the customer is locked.")
    raise NotAssignable(
        reason_zh="该客户不在公海中，请用转移。", reason_en="it is not in the pool; transfer it."
    )


def owned_by(customer: Customer, consultant_id: int, now: datetime) -> Customer:
    """Give the customer as somebody's from now on; both dates begin again."""
    return changed(
        customer, owner_id=consultant_id, last_consultant_id=consultant_id, received_at=now,
        last_contacted_at=now, next_contact_at=None, dated_anew_at=None,
    )  # fmt: skip


def pooled(customer: Customer) -> Customer:
    """Give the customer as nobody's."""
    return changed(customer, **NOBODYS)


def closing(customer: Customer, now: datetime, ending: AssignmentStatus) -> Closing | None:
    """Tell how a customer's open assignment ends; an overdue one by the limit that passed."""
    if customer.owner_id is None or customer.assignment_id is None:
        return None
    if ending is AssignmentStatus.NO_FOLLOW_UP and customer.due_status is not None:
        status = AssignmentStatus(customer.due_status)
        return Closing(customer.assignment_id, status, now, customer.due_days)
    return Closing(customer.assignment_id, ending, now)


def close_open(
    uow: UnitOfWork, customer: Customer, now: datetime, ending: AssignmentStatus
) -> None:
    """Close a locked customer's open assignment."""
    if (end := closing(customer, now, ending)) is not None:
        uow.ownership.close(end)


def check_consultant(
    crm: Crm, uow: UnitOfWork, consultant_id: int, now: datetime, by: Principal
) -> Employee:
    """Read a consultant who may get a customer now.

    Raises:
        NotFound: There is no such employee within one's reach.
        NotReceiving: The consultant left or has no enabled account that sells; ``reason`` is
            ``left``, ``no_account``, ``disabled`` or ``no_permission``.
    """
    consultant = employee_or_refuse(uow, consultant_id)
    if not uow.directory.in_reach(consultant_id, reach_of(by)):
        raise NotFound(what="员工", id=consultant_id)
    reason = _hindrance(uow, consultant, crm.day(now))
    if reason is not None:
        zh, en = HINDRANCES[reason]
        raise NotReceiving(who=consultant.name, reason=reason, reason_zh=zh, reason_en=en)
    return consultant


HINDRANCES = {
    "left": ("已离职。", "they have left."),
    "no_account": ("没有登录账号。", "they have no account."),
    "disabled": ("登录账号已停用。", "their account is disabled."),
    "no_permission": ("账号没有抢单权限，不是课程顾问。",
                      "their account may not claim customers, so they are no consultant."),
}  # fmt: skip
"""Why somebody can never be given customers, as things stand."""


def _hindrance(uow: UnitOfWork, consultant: Employee, today: date) -> str | None:
    number = consultant.id or 0
    if has_left(consultant, today):
        return "left"
    if uow.directory.holds(number, "customer:claim"):
        return None
    account = uow.records.find(User, employee_id=number)
    if account is None:
        return "no_account"
    return "no_permission" if account.active else "disabled"


def some(customers: Iterable[Customer]) -> Words:
    """Name the first customers of several."""
    names = [c.name for c in customers]
    more = f" 等 {len(names)} 位客户" if len(names) > 5 else ""
    return Words("、".join(names[:5]) + more, named(names[:5], len(names)))


def farewell(crm: Crm, customers: Sequence[Customer], event: Event, now: datetime) -> list[Notice]:
    """Make the notices to whoever loses customers here and now, before any sweep told them.

    Args:
        crm: The CRM.
        customers: One owner's or nobody's, as they were before.
        event: ``EXPIRED`` where a limit had passed, ``TRANSFERRED`` where somebody moved them.
        now: The moment.
    """
    first = customers[0]
    if first.owner_id is None:
        return []
    expired, n, whom = event is Event.EXPIRED, len(customers), some(customers)
    subject = (
        Words("客户已到期", f"{counted(n, 'customer')} expired")
        if expired
        else Words("客户已转移", f"{counted(n, 'customer')} transferred")
    )
    why = (
        Words("超过期限，已归他人", "past the limit, and now somebody else's")
        if expired
        else Words("已转给他人或收回公海", "given to somebody else, or back in the pool")
    )
    about = f"customer:{first.id}" if n == 1 else f"employee:{first.owner_id}"
    return notices(
        crm, event, first.owner_id, subject,
        Words(f"客户 {whom.zh} {why.zh}。", f"{whom.en}: {why.en}."),
        about=about, key=f"lost:{first.assignment_id}", now=now,
    )  # fmt: skip


def claim_counts(crm: Crm, uow: UnitOfWork, employee_id: int, now: datetime) -> tuple[int, int]:
    """Count what an employee owns and claimed today, each only where a setting limits it."""
    settings, today = crm.settings, crm.day(now)
    owned = claimed = 0
    if settings.max_owned is not None:
        owned = uow.ownership.load([employee_id], today).get(employee_id, 0)
    if settings.max_claims_per_day is not None:
        claimed = uow.ownership.claims_since(employee_id, start_of_day(crm, today))
    return owned, claimed
