"""The public pool: who is in it, claiming and giving back; the sweep stands beside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from crm_domain.errors import (
    AlreadyClaimed,
    ClaimRefused,
    CustomerLocked,
    NotFound,
    NotOwner,
    NotPermitted,
)
from crm_domain.model import (
    Assignment,
    AssignmentMethod,
    AssignmentStatus,
    Customer,
    CustomerStatus,
    Event,
)
from crm_domain.parsing import quoted, record_number
from crm_domain.ports import MOST, Crm, NewAssignment, Page, Query, Standing, Tally, UnitOfWork
from crm_domain.rules.access import Principal, masked
from crm_domain.rules.claims import Claim, not_active, refusals
from crm_domain.rules.pool import dated, is_public
from crm_domain.rules.wording import Words
from crm_domain.usecases._common import (
    audit,
    employee_or_refuse,
    holds,
    locked_customer,
    moment,
    notices,
    policy,
    said,
    start_of_day,
)
from crm_domain.usecases._lookups import count_search, refuse_hidden
from crm_domain.usecases._owning import claim_counts, close_open, farewell, owned_by, pooled
from crm_domain.usecases.intake import seen
from crm_domain.usecases.sweep import Sweep, sweep_pool, warn_owners

__all__ = [
    "Sweep", "claim_customer", "claim_refusals", "public_customers", "release_customer",
    "sweep_pool", "tally_public", "warn_owners",
]  # fmt: skip

ENTERING = timedelta(minutes=1)
"""So long at most passes between the entry of a customer and a first owner who was named then."""


def public_customers(crm: Crm, query: Query | None = None, *, by: Principal) -> Page[Customer]:
    """Read one page of the pool, the newest number first; what the pool hides is masked.

    Raises:
        AskedTooOften: Too many contacts were searched for within an hour.
        Invalid: The query names what is not there, or what is hidden.
        NotPermitted: Without ``pool:view``.
    """
    by.need("pool:view")
    hidden = crm.settings.hidden_in_pool
    refuse_hidden(hidden, query)
    count_search(crm, query, by)
    with crm.unit_of_work(read_only=True) as uow:
        page = uow.customers.page(query or Query(), None, crm.today(), pool=True, masks=hidden)
        return Page(items=[masked(c, hidden) for c in page.items], next=page.next)


def tally_public(
    crm: Crm, query: Query | None = None, facets: Sequence[str] = (), *, most: int = MOST,
    by: Principal,
) -> Tally:  # fmt: skip
    """Count the customers that `public_customers` would give, and the values of some fields.

    Args:
        crm: The CRM.
        query: What is asked; its limit and its page mark do not matter.
        facets: Fields whose values are counted: choices, flags, references.
        most: So many are counted at most; of more the tally says that there are more.
        by: Who asks; needs ``pool:view``.

    Raises:
        AskedTooOften: Too many contacts were searched for within an hour.
        Invalid: The query or a facet names what is not there, or what is hidden.
        NotPermitted: Without the permission.
    """
    by.need("pool:view")
    hidden = crm.settings.hidden_in_pool
    refuse_hidden(hidden, query, facets)
    count_search(crm, query, by)
    with crm.unit_of_work(read_only=True) as uow:
        return uow.customers.tally(query or Query(), None, crm.today(), facets, pool=True,
                                   masks=hidden, most=most)  # fmt: skip


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
        NotFound: There is no such customer, or it never was in the pool and is not theirs to see.
        NotPermitted: Without the permission.
    """
    by.need("customer:claim")
    if by.employee_id is None:
        raise NotPermitted(permission="customer:claim")
    # Of many who race for one customer all but one learn it here, and keep nobody waiting.
    with crm.unit_of_work(read_only=True) as uow:
        _refuse(crm, uow, _standing(uow, customer_id, by.employee_id, lock=False), by)
    with crm.unit_of_work() as uow:
        rules = policy(crm, uow)
        if _limits(crm):
            uow.ownership.in_turn([by.employee_id])
        standing = _standing(uow, customer_id, by.employee_id, lock=True)
        customer = standing.customer
        now = _refuse(crm, uow, standing, by)
        owned = dated(owned_by(customer, by.employee_id, now), rules)
        close_open(uow, customer, now, AssignmentStatus.NO_FOLLOW_UP)
        new = NewAssignment(customer=owned, method=AssignmentMethod.CLAIM, by_id=by.user_id,
                            explanation=f"由 {by.title} 抢单")  # fmt: skip
        number = uow.ownership.win(new, customer, crm.day(now))
        if number is None:
            # The row lock makes this impossible; the statement would not let it through either.
            raise AlreadyClaimed(by_name="?", at=now)
        uow.notices.add(
            farewell(crm, [customer], Event.EXPIRED, now)
            + notices(crm, Event.CLAIMED, by.employee_id, Words("抢单成功", "Customer claimed"),
                      Words(f"您已抢到客户 {customer.name}。", f"{customer.name} is yours now."),
                      about=f"customer:{customer_id}", key=f"claimed:{number}", now=now)
        )  # fmt: skip
        audit(uow, by, now, "claim", "Customer", customer_id,
              {"owner_id": customer.owner_id}, {"owner_id": by.employee_id})  # fmt: skip
    crm.jobs.wake("deliver_due")
    return new.made(number)


def _standing(uow: UnitOfWork, customer_id: int, employee_id: int, *, lock: bool) -> Standing:
    found = uow.ownership.standing(customer_id, employee_id, lock=lock)
    if found is None:
        employee_or_refuse(uow, employee_id)
    if found is None or found.customer.archived_at is not None:
        raise NotFound(what="客户", id=quoted(customer_id))
    return found


def _limits(crm: Crm) -> bool:
    """Whether claims are counted: then two of one claimant must not count at once."""
    settings = crm.settings
    return settings.max_owned is not None or settings.max_claims_per_day is not None


def _refuse(crm: Crm, uow: UnitOfWork, standing: Standing, by: Principal) -> datetime:
    """Refuse a claim for the first reason there is, or tell the moment of it.

    Raises:
        ClaimRefused: With its reason.
    """
    _refuse_unseen(crm, uow, standing, by)
    customer = standing.customer
    now = moment(crm, customer)
    # A release leaves no dates on the customer, and a clock may have been put back since.
    now = max(now, standing.last_ended_at or now)
    counts = claim_counts(crm, uow, by.employee_id or 0, now)
    for refused in refusals(_claim(crm, standing, by, now, counts)):
        raise refused
    return now


def _refuse_unseen(crm: Crm, uow: UnitOfWork, standing: Standing, by: Principal) -> None:
    """Refuse another's customer that did not come from the pool and is not theirs to see.

    Otherwise numbers could be tried for which of them exist, whose they are and what became of
    them.

    Raises:
        NotFound: As of a number that nobody has.
    """
    if not is_public(standing.customer, crm.today()) and not _was_public(uow, standing):
        seen(crm, uow, standing.customer, by)


def _was_public(uow: UnitOfWork, standing: Standing) -> bool:
    """Whether the present period of ownership surely began in the pool."""
    if standing.customer.owner_id is None:
        return False
    if standing.method is AssignmentMethod.CLAIM:
        return True
    if standing.method is AssignmentMethod.TRANSFER:
        return False
    periods = uow.customers.history(standing.customer.id or 0)
    # Whoever is entered for somebody is theirs within the seconds that it takes.
    entered = standing.customer.created_at
    waited = entered is not None and bool(periods) and periods[0].started_at - entered > ENTERING
    return len(periods) > 1 or waited


def _claim(
    crm: Crm, standing: Standing, by: Principal, now: datetime, counts: tuple[int, int]
) -> Claim:  # fmt: skip
    """Gather all that decides about a claim."""
    settings, today = crm.settings, crm.day(now)
    left = standing.left_on is not None and standing.left_on <= today
    return Claim(
        customer=standing.customer, employee_id=by.employee_id or 0,
        active=standing.active and not left,
        today=today, now=now.astimezone(settings.zone), owner_name=standing.owner_name,
        last_ended_at=_last_end(crm, standing), owned=counts[0], claimed_today=counts[1],
        max_owned=settings.max_owned, max_claims_per_day=settings.max_claims_per_day,
        cool_down_days=settings.cool_down_days,
        entered_oneself=not settings.assign_oneself
        and by.user_id is not None
        and standing.customer.created_by_id == by.user_id,
    )  # fmt: skip


def claim_refusals(
    crm: Crm, customer_ids: Sequence[int], *, by: Principal
) -> dict[int, ClaimRefused]:
    """Tell before anybody presses which public customers one may not claim now, and why.

    The reasons are those of `claim_customer`, asked of the same rule; it asks again when it is
    called, for all of it may change meanwhile.

    Args:
        crm: The CRM.
        customer_ids: The customers of a page.
        by: Who would claim; needs ``customer:claim``.

    Returns:
        The first reason by number; whoever is not named may be claimed, or is not in the pool.

    Raises:
        NotPermitted: Without the permission.
    """
    by.need("customer:claim")
    ids = [n for n in customer_ids if record_number(n) is not None]
    if by.employee_id is None:
        return {n: not_active() for n in ids}
    found: dict[int, ClaimRefused] = {}
    with crm.unit_of_work(read_only=True) as uow:
        now = crm.now()
        counts = claim_counts(crm, uow, by.employee_id, now)
        for one in uow.ownership.standings(ids, by.employee_id):
            # Of others than the public nobody is told anything.
            if is_public(one.customer, crm.day(now)) and one.customer.archived_at is None:
                claim = _claim(crm, one, by, now, counts)
                if (refused := next(refusals(claim), None)) is not None:
                    found[one.customer.id or 0] = refused
    return found


def _last_end(crm: Crm, standing: Standing) -> datetime | None:
    """Tell when the latest assignment ended, or, before any sweep, fell due."""
    customer = standing.customer
    if customer.owner_id is not None:
        return start_of_day(crm, customer.due_on)
    return standing.last_ended_at


def opens_to_release(customer: Customer, *, by: Principal) -> bool:
    """Whether `release_customer` gives back a customer that somebody sees, as a list asks of rows.

    Args:
        customer: As `get_customer` or `list_customers` gives it: nobody owns a public one.
        by: Who asks; whether the principal may give back at all is not looked at.
    """
    if customer.owner_id is None or customer.status is CustomerStatus.ENROLLED:
        return False
    mine = customer.owner_id == by.employee_id
    return not customer.locked and (mine or by.may("customer:transfer"))


def release_customer(
    crm: Crm, customer_id: int, *, reason: str | None = None, by: Principal
) -> None:
    """Give a customer back to the pool (主动放弃): one's own, or as a manager a subordinate's.

    Raises:
        CustomerLocked: A manager keeps it out of the pool.
        Invalid: The reason is too long, or no text.
        NotOwner: It is not theirs now, or there is none; nobody learns here which numbers exist.
        NotPermitted: Without ``customer:release``.
    """
    by.need("customer:release")
    reason = said(Assignment, "memo", reason, "reason")
    with crm.unit_of_work() as uow:
        rules = policy(crm, uow)
        try:
            customer = locked_customer(uow, customer_id)
        except NotFound as e:
            raise NotOwner from e
        now = moment(crm, customer)
        today = crm.day(now)
        mine = customer.owner_id is not None and customer.owner_id == by.employee_id
        if is_public(customer, today) or customer.status is CustomerStatus.ENROLLED:
            raise NotOwner
        if not mine and not (by.may("customer:transfer") and holds(uow, customer, by, today)):
            raise NotOwner
        if customer.locked:
            raise CustomerLocked(id=customer_id)
        close_open(uow, customer, now, AssignmentStatus.RELEASED)
        uow.ownership.keep(dated(pooled(customer), rules))
        if not mine:
            uow.notices.add(farewell(crm, [customer], Event.TRANSFERRED, now))
        audit(uow, by, now, "release", "Customer", customer_id,
              {"owner_id": customer.owner_id}, {"owner_id": None, "reason": reason})  # fmt: skip
