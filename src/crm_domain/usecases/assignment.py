"""Who has a customer. Giving customers away and the rotation stand beside, and are named here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from crm_domain.errors import FieldError, Invalid, NotAssignable, NotFound, NotLocked
from crm_domain.model import Assignment, AssignmentStatus, Customer, Event
from crm_domain.model.fields import changed
from crm_domain.ports import MOST, TAB, Crm, MyCustomer, Page, Query, Tally
from crm_domain.rules.access import Principal
from crm_domain.rules.pool import dated, is_public
from crm_domain.usecases._common import (
    audit,
    end_of_day,
    holds,
    kept_of_nobody,
    locked_customer,
    may_read,
    moment,
    now_of,
    policy,
    reach_of,
    said,
)
from crm_domain.usecases._owning import close_open, farewell, pooled
from crm_domain.usecases.giving import (
    Bulk,
    assign_customer,
    assign_customers,
    find_receivers,
    hand_over,
    transfer_customer,
    transfer_customers,
)
from crm_domain.usecases.intake import seen_by_who_changed
from crm_domain.usecases.rotation import (
    Rotation,
    reset_rotation,
    set_rotation,
    show_rotation,
    upcoming,
)
from crm_domain.usecases.taking_back import take_back_lock, take_back_transfers

__all__ = [
    "Bulk", "Rotation", "assign_customer", "assign_customers", "current", "find_receivers",
    "hand_over", "history",
    "list_assignments", "lock_customer", "my_customers", "my_tabs", "reset_rotation",
    "set_rotation", "show_rotation", "take_back_lock", "take_back_transfers", "tally_assignments",
    "tally_mine", "transfer_customer", "transfer_customers", "upcoming",
]  # fmt: skip

# -- reading ----------------------------------------------------------------------------------


def current(crm: Crm, customer_id: int, *, by: Principal) -> Assignment | None:
    """Read the stored open assignment of a customer, or None.

    It stays what it is until a sweep or a claim closes it.

    Raises:
        NotFound: There is no such customer within one's reach.
        NotPermitted: Without ``customer:view``.
    """
    found = [a for a in history(crm, customer_id, by=by) if a.ended_at is None]
    return found[0] if found else None


def history(crm: Crm, customer_id: int, *, by: Principal) -> tuple[Assignment, ...]:
    """Read all assignments of a customer, the oldest first.

    Raises:
        NotFound: There is no such customer within one's reach.
        NotPermitted: Without ``customer:view``.
    """
    by.need("customer:view")
    with crm.unit_of_work(read_only=True) as uow:
        customer = uow.customers.get(customer_id)
        if not may_read(uow, customer, by, crm.today()):
            raise NotFound(what="客户", id=customer_id)
        return uow.customers.history(customer_id)


def my_customers(crm: Crm, query: Query | None = None, *, by: Principal) -> Page[MyCustomer]:
    """Read "my customers": following first, then expired and given back, won last.

    Args:
        crm: The CRM.
        query: May search, filter by ``status`` and ``intention``, and by ranges of
            ``next_contact_at``, ``due_on``, ``started_at`` and ``ended_at``.
        by: Who asks; needs ``customer:mine`` and an employee.

    Raises:
        Invalid: The query names what is not there.
        NotPermitted: Without the permission.
    """
    by.need("customer:mine")
    if by.employee_id is None:
        return Page(items=())
    with crm.unit_of_work(read_only=True) as uow:
        return uow.customers.mine(by.employee_id, query or Query(), crm.today())


EXPIRING_DAYS = 1
"""A customer expires soon if it is public tomorrow; so the pool's own rule warns."""


def my_tabs(crm: Crm, *, days: int = EXPIRING_DAYS) -> dict[str, Query]:
    """Give what the tabs of "my customers" ask.

    Args:
        crm: The CRM.
        days: Of ``expiring``: the customer will be public within so many days.

    Returns:
        By name: ``due`` (to be contacted by the end of today, or overdue for it), ``expiring`` and
        ``following``.
    """
    now = crm.now()
    return {
        "due": Query(ranges={"next_contact_at": (None, end_of_day(crm, crm.day(now)))}),
        "expiring": Query(ranges={"due_on": (None, crm.day(now) + timedelta(days=days))}),
        "following": Query(where={"status": AssignmentStatus.FOLLOWING}),
    }


def tally_mine(
    crm: Crm, query: Query | None = None, facets: Sequence[str] = (), *,
    days: int = EXPIRING_DAYS, most: int = MOST, by: Principal,
) -> Tally:  # fmt: skip
    """Count the rows that `my_customers` would give, and their values.

    Args:
        crm: The CRM.
        query: What is asked; its limit and its page mark do not matter.
        facets: ``status``, ``intention``, and ``tab`` for what each of `my_tabs` holds, whatever
            status and ranges the query names.
        days: Of the tab ``expiring``.
        most: So many are counted at most; of more the tally says that there are more.
        by: Who asks; needs ``customer:mine`` and an employee.

    Raises:
        Invalid: The query or a facet names what is not there.
        NotPermitted: Without the permission.
    """
    by.need("customer:mine")
    if by.employee_id is None:
        return Tally(total=0, by={name: {} for name in facets})
    tabs = my_tabs(crm, days=days) if TAB in facets else {}
    with crm.unit_of_work(read_only=True) as uow:
        return uow.customers.tally_mine(by.employee_id, query or Query(), crm.today(), facets, tabs,
                                        most=most)  # fmt: skip


def list_assignments(crm: Crm, query: Query | None = None, *, by: Principal) -> Page[Assignment]:
    """Read one page of the assignments of consultants within one's reach, the newest first.

    What became of the customer afterwards does not matter, so that the past adds up. One that fell
    due is shown as ended, at the midnight before, until a sweep or a claim writes it.

    Args:
        crm: The CRM.
        query: Filters by any field, and by ``stage``: how far the customer came in that time
            (`Stage`; ``Stage.PAYING.onwards`` are those that paid, or were won).
        by: Who asks.

    Raises:
        Invalid: The query names what is not there.
        NotPermitted: Without ``customer:view``.
    """
    by.need("customer:view")
    with crm.unit_of_work(read_only=True) as uow:
        return uow.work.page(Assignment, query or Query(), reach_of(by), now_of(crm))


def tally_assignments(
    crm: Crm, query: Query | None = None, facets: Sequence[str] = (), *, most: int = MOST,
    by: Principal,
) -> Tally:  # fmt: skip
    """Count the assignments that `list_assignments` would give, and the values of some fields.

    Raises:
        Invalid: The query or a facet names what is not there.
        NotPermitted: Without ``customer:view``.
    """
    by.need("customer:view")
    with crm.unit_of_work(read_only=True) as uow:
        return uow.work.tally(Assignment, query or Query(), reach_of(by), now_of(crm), facets,
                              most=most)  # fmt: skip


# -- holding still ---------------------------------------------------------------------------


def lock_customer(
    crm: Crm, customer_id: int, *, reason: str, locked: bool = True, by: Principal
) -> Customer:
    """Keep a customer out of the pool, or let it fall due again (``locked=False``).

    Args:
        crm: The CRM.
        customer_id: Whose limits are stopped.
        reason: Why; it is shown.
        locked: Whether it shall be locked.
        by: Who asks; needs ``customer:lock``.

    Returns:
        The customer, as `intake.get_customer` would give it: masked where it is public.

    Raises:
        Invalid: The reason is too long, or no text; or ``locked`` is neither yes nor no.
        NotAssignable: No reason is given.
        NotFound: There is no such customer within one's reach.
        NotLocked: There is no lock to be taken away.
        NotPermitted: Without the permission.
    """
    by.need("customer:lock")
    if not isinstance(locked, bool):
        raise Invalid([FieldError("locked", "bad_flag", None, "请填“是”或“否”",
                                  "it is neither yes nor no")])  # fmt: skip
    why = said(Customer, "lock_reason", reason, "reason")
    if locked and not why:
        raise NotAssignable(reason_zh="请说明锁定原因。", reason_en="say why it is locked.")
    with crm.unit_of_work() as uow:
        rules = policy(crm, uow)
        customer = locked_customer(uow, customer_id)
        now = moment(crm, customer)
        public = is_public(customer, crm.day(now))
        if not (public or kept_of_nobody(customer) or holds(uow, customer, by, crm.day(now))):
            raise NotFound(what="客户", id=customer_id)
        if not locked and not customer.locked:
            raise NotLocked(id=customer_id)
        if public:
            # Its owner had lost it already, and a lock must not give it back.
            close_open(uow, customer, now, AssignmentStatus.NO_FOLLOW_UP)
            uow.notices.add(farewell(crm, [customer], Event.EXPIRED, now))
            customer = pooled(customer)
        after = changed(customer, locked=locked, lock_reason=why if locked else None)
        after = dated(after, rules)
        uow.ownership.keep(after)
        audit(uow, by, now, "lock" if locked else "unlock", "Customer", customer_id,
              {"locked": customer.locked, "lock_reason": customer.lock_reason},
              {"locked": locked, "lock_reason": after.lock_reason})  # fmt: skip
        return seen_by_who_changed(crm, uow, after, by)
