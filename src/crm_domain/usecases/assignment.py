"""The rotation, and giving customers to consultants by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from crm_domain.errors import BadPlan, CrmError, NotAssignable, NotFound
from crm_domain.model import (
    Assignment,
    AssignmentMethod,
    AssignmentStatus,
    Customer,
    CustomerStatus,
    Employee,
    Event,
    RotationEntry,
    Scope,
)
from crm_domain.model.fields import changed
from crm_domain.ports import Crm, MyCustomer, NewAssignment, Page, Query, Roster, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.rules.pool import PoolPolicy, dated, is_public
from crm_domain.rules.rotation import Cursor, deal
from crm_domain.usecases._common import (
    audit,
    holds,
    kept_of_nobody,
    locked_customer,
    moment,
    notices,
    policy,
    reach_of,
)
from crm_domain.usecases._dealing import absence_now, cycles
from crm_domain.usecases._owning import (
    check_consultant,
    close_open,
    farewell,
    owned_by,
    pooled,
    refuse_private,
)

# -- the rotation -----------------------------------------------------------------------------


def set_rotation(crm: Crm, entries: Sequence[Mapping[str, Any]], *, by: Principal) -> None:
    """Replace the whole plan, from the next cycle on; the first plan takes effect at once.

    Args:
        crm: The CRM.
        entries: For each consultant ``employee_id``, ``quota`` (turns per cycle), ``weight`` (the
            higher, the earlier) and, if not True, ``active``.
        by: Who asks; needs ``rotation:edit``.

    Raises:
        BadPlan: An employee is unknown or named twice, or a quota is negative.
        NotPermitted: Without the permission.
    """
    by.need("rotation:edit")
    plan = [_entry(e) for e in entries]
    ids = [e.employee_id for e in plan]
    if len(set(ids)) < len(ids):
        raise BadPlan(reason_zh="同一顾问出现了两次。", reason_en="a consultant is named twice.")
    with crm.unit_of_work() as uow:
        now = crm.now()
        for number in ids:
            if uow.records.get(Employee, number) is None:
                raise BadPlan(reason_zh=f"没有员工 {number}。", reason_en=f"no employee {number}.")
        uow.turns.set_plan(plan, crm.settings.rotation_strategy, now)
        after = {"entries": [[e.employee_id, e.quota, e.weight, e.active] for e in plan]}
        audit(uow, by, now, "set_rotation", "RotationEntry", None, None, after)


def _entry(values: Mapping[str, Any]) -> RotationEntry:
    try:
        entry = RotationEntry(
            employee_id=int(values["employee_id"]), quota=int(values.get("quota", 1)),
            weight=int(values.get("weight", 0)), active=bool(values.get("active", True)),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as e:
        raise BadPlan(reason_zh=f"无法读取 {dict(values)}。", reason_en=f"bad entry: {e}.") from e
    if not 0 <= entry.quota <= 1000 or abs(entry.weight) > 1_000_000:
        raise BadPlan(reason_zh="数量须在 0 到 1000 之间。", reason_en="quota must be 0 to 1000.")
    return entry


def reset_rotation(crm: Crm, *, by: Principal) -> None:
    """Drop the rest of the running cycle and begin a new one with the newest plan.

    Raises:
        NotPermitted: Without ``rotation:edit``.
    """
    by.need("rotation:edit")
    with crm.unit_of_work() as uow:
        uow.turns.reset()
        audit(uow, by, crm.now(), "reset_rotation", "RotationEntry", None)


@attrs.frozen(kw_only=True)
class Rotation:
    """Where the rotation stands."""

    cycle: int
    position: int
    """Places of the running cycle that are used up."""
    length: int
    """Places of the running cycle."""
    entries: tuple[tuple[int, str, int, int, bool], ...]
    """The newest plan: employee, name, quota, weight, active."""
    pending: bool
    """Whether the newest plan waits for the next cycle."""
    upcoming: tuple[int, ...]
    """The employees of the next turns."""


def show_rotation(crm: Crm, n: int = 20, *, by: Principal) -> Rotation:
    """Tell the plan, the position and the next n turns.

    Raises:
        NotPermitted: Without ``rotation:view``.
    """
    by.need("rotation:view")
    with crm.unit_of_work(read_only=True) as uow:
        cursor, roster = uow.turns.peek()
        running, _ = cycles(crm, roster)
        mates = roster.mates
        return Rotation(
            cycle=cursor.cycle, position=cursor.position, length=len(running),
            entries=tuple(
                (e.employee_id, mates[e.employee_id].employee.name, e.quota, e.weight, e.active)
                for e in roster.next_plan
            ),
            pending=(roster.plan, roster.strategy) != (roster.next_plan, roster.next_strategy),
            upcoming=_upcoming(crm, uow, cursor, roster, n),
        )  # fmt: skip


def upcoming(crm: Crm, n: int, *, by: Principal) -> tuple[int, ...]:
    """Tell the employees of the next n turns, as things stand now.

    Raises:
        NotPermitted: Without ``rotation:view``.
    """
    by.need("rotation:view")
    with crm.unit_of_work(read_only=True) as uow:
        cursor, roster = uow.turns.peek()
        return _upcoming(crm, uow, cursor, roster, n)


def _upcoming(crm: Crm, uow: UnitOfWork, cursor: Cursor, roster: Roster, n: int) -> tuple[int, ...]:
    running, following = cycles(crm, roster)
    turns, _ = deal(cursor, running, following, n, absence_now(crm, uow, roster, crm.now()))
    return tuple(t.employee_id for t in turns)


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
        if customer is None or not (_sees_all(by) or holds(crm, uow, customer, by)):
            raise NotFound(what="客户", id=customer_id)
        return uow.customers.history(customer_id)


def _sees_all(by: Principal) -> bool:
    return by.scope is Scope.ALL


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
        NotAssignable: The customer is private, locked or enrolled, or the consultant not active.
        NotFound: There is no such customer or employee within one's reach.
        NotPermitted: Without ``customer:assign``.
    """
    by.need("customer:assign")
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
        NotAssignable: Nobody owns the customer, it has enrolled, it is the consultant's already,
            or the consultant is not active.
        NotFound: There is no such customer or employee within one's reach.
        NotPermitted: Without ``customer:transfer``.
    """
    by.need("customer:transfer")
    with crm.unit_of_work() as uow:
        rules = policy(crm, uow)
        customer = locked_customer(uow, customer_id)
        now = moment(crm, customer)
        if not holds(crm, uow, customer, by):
            raise NotFound(what="客户", id=customer_id)
        if customer.status is CustomerStatus.ENROLLED:
            refuse_private(customer)
        if customer.owner_id == consultant_id:
            raise NotAssignable(reason_zh="客户已归该顾问。", reason_en="it is theirs already.")
        made = _give(crm, uow, rules, customer, consultant_id, now, by, AssignmentMethod.TRANSFER,
                     AssignmentStatus.TRANSFERRED, reason or None)  # fmt: skip
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
    with crm.unit_of_work(read_only=True) as uow:
        query = Query(where={"owner_id": from_id}, limit=10_000, sort="id")
        page = uow.customers.page(query, reach_of(by), crm.today(), pooled_too=False)
        ids = [c.id or 0 for c in page.items if c.status is CustomerStatus.NOT_ENROLLED]
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
        NotAssignable: No reason is given.
        NotFound: There is no such customer within one's reach.
        NotPermitted: Without the permission.
    """
    by.need("customer:lock")
    if locked and not reason.strip():
        raise NotAssignable(reason_zh="请说明锁定原因。", reason_en="say why it is locked.")
    with crm.unit_of_work() as uow:
        rules = policy(crm, uow)
        customer = locked_customer(uow, customer_id)
        now = moment(crm, customer)
        public = is_public(customer, crm.day(now))
        if not (public or kept_of_nobody(customer) or holds(crm, uow, customer, by)):
            raise NotFound(what="客户", id=customer_id)
        if public:
            # Its owner had lost it already, and a lock must not give it back.
            close_open(uow, customer, now, AssignmentStatus.NO_FOLLOW_UP)
            customer = pooled(customer)
        after = changed(customer, locked=locked, lock_reason=reason[:200] if locked else None)
        after = dated(after, rules)
        uow.customers.keep(after)
        audit(uow, by, now, "lock" if locked else "unlock", "Customer", customer_id,
              {"locked": customer.locked, "lock_reason": customer.lock_reason},
              {"locked": locked, "lock_reason": after.lock_reason})  # fmt: skip
        return after
