"""Who may take a public customer (spec section 5): the refusals, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta

import attrs

from crm_domain.errors import AlreadyClaimed, ClaimRefused
from crm_domain.model import Customer, CustomerStatus
from crm_domain.rules.pool import is_public


@attrs.frozen(kw_only=True)
class Claim:
    """All that decides about one claim."""

    customer: Customer
    employee_id: int
    active: bool
    """Whether the claimant is an active consultant."""
    today: date
    now: datetime
    """In the business time zone, in which refusals name days and hours."""
    owner_name: str | None = None
    last_ended_at: datetime | None = None
    """When the customer's latest assignment ended or will count as ended; None while it runs."""
    owned: int = 0
    claimed_today: int = 0
    max_owned: int | None = None
    max_claims_per_day: int | None = None
    cool_down_days: int | None = None
    """None: the last consultant may never claim; n: again after n days."""
    entered_oneself: bool = False
    """Whether the claimant entered the customer, where nobody may enter one for oneself."""


def not_active() -> ClaimRefused:
    """Refuse somebody who is no active consultant."""
    return ClaimRefused("not_active", "您目前不是在职的课程顾问。", "you are no active consultant.")


def _inactive(c: Claim) -> ClaimRefused | None:
    return None if c.active else not_active()


def _enrolled(c: Claim) -> ClaimRefused | None:
    if c.customer.status is not CustomerStatus.ENROLLED:
        return None
    return ClaimRefused("enrolled", "该客户已报名。", "the customer has enrolled.")


def _locked(c: Claim) -> ClaimRefused | None:
    if not c.customer.locked:
        return None
    return ClaimRefused("locked", "该客户已被主管锁定。", "a manager has locked the customer.")


def _private(c: Claim) -> ClaimRefused | None:
    if is_public(c.customer, c.today):
        return None
    if c.customer.owner_id == c.employee_id:
        return ClaimRefused("yours", "该客户已经是您的。", "the customer is yours already.")
    if c.owner_name is not None and c.customer.received_at is not None:
        since = c.customer.received_at.astimezone(c.now.tzinfo)
        return AlreadyClaimed(by_name=c.owner_name, at=since, by_id=c.customer.owner_id)
    return ClaimRefused("not_public", "该客户不在公海中。", "the customer is not in the pool.")


def _last_consultant(c: Claim) -> ClaimRefused | None:
    if c.customer.last_consultant_id != c.employee_id:
        return None
    if c.cool_down_days is None:
        return ClaimRefused(
            "last_consultant", "您是该客户的上一任顾问，不能再抢。",
            "you were the customer's last consultant.",
        )  # fmt: skip
    ended = c.last_ended_at or c.now
    until = ended.astimezone(c.now.tzinfo) + timedelta(days=c.cool_down_days)
    if c.now >= until:
        return None
    return ClaimRefused(
        "cool_down", f"您是上一任顾问，{until:%Y-%m-%d} 之后才能再抢。",
        f"you were the last consultant; you may claim again after {until:%Y-%m-%d}.",
    )  # fmt: skip


def _own_entry(c: Claim) -> ClaimRefused | None:
    """Refuse the way past the rotation: into the pool and out again, before anybody had it."""
    if not c.entered_oneself or c.customer.last_consultant_id is not None:
        return None
    return ClaimRefused(
        "own_entry", "该客户由您直接录入公海，须先由他人跟进过，您才能抢。",
        "you entered the customer into the pool yourself; somebody else has it first.",
    )  # fmt: skip


def _owned(c: Claim) -> ClaimRefused | None:
    if c.max_owned is None or c.owned < c.max_owned:
        return None
    return ClaimRefused(
        "max_owned", f"您名下已有 {c.owned} 位客户，上限为 {c.max_owned}。",
        f"you own {c.owned} customers; the limit is {c.max_owned}.",
    )  # fmt: skip


def _per_day(c: Claim) -> ClaimRefused | None:
    if c.max_claims_per_day is None or c.claimed_today < c.max_claims_per_day:
        return None
    return ClaimRefused(
        "max_per_day", f"您今天已抢 {c.claimed_today} 单，上限为 {c.max_claims_per_day}。",
        f"you claimed {c.claimed_today} today; the limit is {c.max_claims_per_day}.",
    )  # fmt: skip


REFUSALS: tuple[Callable[[Claim], ClaimRefused | None], ...] = (
    _inactive, _enrolled, _locked, _private, _last_consultant, _own_entry, _owned, _per_day,
)  # fmt: skip


def refusals(claim: Claim) -> Iterator[ClaimRefused]:
    """Yield, in order, every reason to refuse a claim; none means that it is allowed."""
    return (refused for rule in REFUSALS if (refused := rule(claim)) is not None)
