"""Who has a customer, and giving customers to consultants by hand; the rotation stands beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import attrs

from crm_domain.errors import CrmError, NotAssignable, NotFound
from crm_domain.model import (
    Assignment,
    AssignmentMethod,
    AssignmentStatus,
    Customer,
    CustomerStatus,
    Event,
)
from crm_domain.model.fields import changed
from crm_domain.ports import Crm, MyCustomer, NewAssignment, Page, Query, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.rules.pool import PoolPolicy, dated, is_public
from crm_domain.usecases._common import (
    audit,
    holds,
    kept_of_nobody,
    locked_customer,
    may_read,
    moment,
    notices,
    policy,
    reach_of,
    said,
)
from crm_domain.usecases._owning import (
    check_consultant,
    close_open,
    farewell,
    owned_by,
    pooled,
    refuse_private,
)
from crm_domain.usecases.rotation import (
    Rotation,
    reset_rotation,
    set_rotation,
    show_rotation,
    upcoming,
)

__all__ = [
    "Bulk", "Rotation", "assign_customer", "assign_customers", "current", "hand_over", "history",
    "lock_customer", "my_customers", "reset_rotation", "set_rotation", "show_rotation",
    "transfer_customer", "upcoming",
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
        query: May search, and filter by ``status``.
        by: Who asks; needs ``customer:view`` and an employee.

    Raises:
        NotPermitted: Without the permission.
    """
    by.need("customer:view")
    if by.employee_id is None:
        return Page(items=())
    with crm.unit_of_work(read_only=True) as uow:
        return uow.customers.mine(by.employee_id, query or Query(), crm.today())


# -- giving by hand ---------------------------------------------------------------------------


def assign_customer(
    crm: Crm, customer_id: int, consultant_id: int, *, memo: str | None = None, by: Principal
) -> Assignment:
    """Give a public customer to a consultant (分配). Uses no turn.

    Raises:
        Invalid: The memo is too long, or no text.
        NotAssignable: The customer is private, locked or enrolled, or the consultant not active.
        NotFound: There is no such customer or employee within one's reach.
        NotPermitted: Without ``customer:assign``.
    """
    by.need("customer:assign")
    memo = said(Assignment, "memo", memo, "memo")
    with crm.unit_of_work() as uow:
        rules = policy(crm, uow)
        customer = locked_customer(uow, customer_id)
        now = moment(crm, customer)
        if not is_public(customer, crm.day(now)):
            refuse_private(customer)
        made = _give(crm, uow, rules, customer, consultant_id, now, by, AssignmentMethod.MANUAL,
                     AssignmentStatus.NO_FOLLOW_UP, memo)  # fmt: skip
    crm.jobs.wake("deliver_due")
    return made


def transfer_customer(
    crm: Crm, customer_id: int, consultant_id: int, *, reason: str = "", by: Principal
) -> Assignment:
    """Move a private customer to another consultant (转移).

    Raises:
        Invalid: The reason is too long, or no text.
        NotAssignable: Nobody owns the customer, it has enrolled, it is the consultant's already,
            or the consultant is not active.
        NotFound: There is no such customer or employee within one's reach.
        NotPermitted: Without ``customer:transfer``.
    """
    by.need("customer:transfer")
    why = said(Assignment, "memo", reason, "reason")
    with crm.unit_of_work() as uow:
        rules = policy(crm, uow)
        customer = locked_customer(uow, customer_id)
        now = moment(crm, customer)
        if not holds(uow, customer, by, crm.day(now)):
            raise NotFound(what="客户", id=customer_id)
        if customer.status is CustomerStatus.ENROLLED:
            refuse_private(customer)
        if customer.owner_id == consultant_id:
            raise NotAssignable(reason_zh="客户已归该顾问。", reason_en="it is theirs already.")
        made = _give(crm, uow, rules, customer, consultant_id, now, by, AssignmentMethod.TRANSFER,
                     AssignmentStatus.TRANSFERRED, why)  # fmt: skip
    crm.jobs.wake("deliver_due")
    return made


def _give(
    crm: Crm, uow: UnitOfWork, rules: PoolPolicy, customer: Customer, consultant_id: int,
    now: datetime, by: Principal, method: AssignmentMethod, ending: AssignmentStatus,
    memo: str | None,
) -> Assignment:  # fmt: skip
    """Close what is open and make somebody the owner."""
    consultant = check_consultant(crm, uow, consultant_id, now, by)
    close_open(uow, customer, now, ending)
    owned = owned_by(customer, consultant_id, now)
    verb = "转移" if method is AssignmentMethod.TRANSFER else "手动分配"
    explanation = f"由 {by.title} {verb}" + (f"：{memo}" if memo else "")
    uow.customers.open([
        NewAssignment(customer=dated(owned, rules), method=method,
                      explanation=explanation[:500], memo=memo, by_id=by.user_id)
    ])  # fmt: skip
    made = uow.customers.history(customer.id or 0)[-1]
    moved = method is AssignmentMethod.TRANSFER
    event = Event.TRANSFERRED if moved else Event.ASSIGNED
    lost = Event.TRANSFERRED if moved else Event.EXPIRED
    uow.notices.add(
        farewell(crm, customer, lost, now)
        + notices(crm, event, consultant_id, "您有一位新客户", f"{customer.name}（{explanation}）",
                about=f"customer:{customer.id}", key=f"{event}:{made.id}", now=now)
    )  # fmt: skip
    audit(uow, by, now, str(method), "Customer", customer.id,
          {"owner_id": customer.owner_id}, {"owner_id": consultant.id})  # fmt: skip
    return made


@attrs.frozen(kw_only=True)
class Bulk:
    """What became of each customer of a bulk action."""

    done: tuple[int, ...]
    refused: tuple[tuple[int, CrmError], ...]


def assign_customers(
    crm: Crm, customer_ids: Sequence[int], consultant_ids: Sequence[int], *, by: Principal
) -> Bulk:
    """Give public customers to consultants in turn; each customer succeeds or is refused alone.

    Raises:
        NotAssignable: No consultant is named.
        NotPermitted: Without ``customer:assign``.
    """
    by.need("customer:assign")
    return _bulk(
        customer_ids, consultant_ids, lambda n, to: assign_customer(crm, n, to, by=by)
    )  # fmt: skip


def hand_over(
    crm: Crm, from_id: int, to_ids: Sequence[int], *, reason: str = "", by: Principal
) -> Bulk:
    """Move all private customers of a consultant to others in turn (离职交接).

    Raises:
        NotAssignable: No consultant is named.
        NotPermitted: Without ``customer:transfer``.
    """
    by.need("customer:transfer")
    ids: list[int] = []
    query = Query(where={"owner_id": from_id}, limit=10_000, sort="id")
    with crm.unit_of_work(read_only=True) as uow:
        while True:
            page = uow.customers.page(query, reach_of(by), crm.today(), pooled_too=False)
            ids += [c.id or 0 for c in page if c.status is CustomerStatus.NOT_ENROLLED]
            if page.next is None:
                break
            query = attrs.evolve(query, after=page.next)
    why = reason or "交接"
    return _bulk(
        ids, to_ids, lambda n, to: transfer_customer(crm, n, to, reason=why, by=by)
    )  # fmt: skip


def _bulk(ids: Sequence[int], to_ids: Sequence[int], act: Callable[[int, int], Any]) -> Bulk:
    if not to_ids:
        raise NotAssignable(reason_zh="请选择顾问。", reason_en="no consultant is named.")
    done, refused = [], []
    for i, number in enumerate(ids):
        try:
            act(number, to_ids[i % len(to_ids)])
        except CrmError as e:
            refused.append((number, e))
        else:
            done.append(number)
    return Bulk(done=tuple(done), refused=tuple(refused))


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

    Raises:
        Invalid: The reason is too long, or no text.
        NotAssignable: No reason is given.
        NotFound: There is no such customer within one's reach.
        NotPermitted: Without the permission.
    """
    by.need("customer:lock")
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
        if public:
            # Its owner had lost it already, and a lock must not give it back.
            close_open(uow, customer, now, AssignmentStatus.NO_FOLLOW_UP)
            uow.notices.add(farewell(crm, customer, Event.EXPIRED, now))
            customer = pooled(customer)
        after = changed(customer, locked=locked, lock_reason=why if locked else None)
        after = dated(after, rules)
        uow.customers.keep(after)
        audit(uow, by, now, "lock" if locked else "unlock", "Customer", customer_id,
              {"locked": customer.locked, "lock_reason": customer.lock_reason},
              {"locked": locked, "lock_reason": after.lock_reason})  # fmt: skip
        return after
