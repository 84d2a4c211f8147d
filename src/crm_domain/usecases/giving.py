"""Giving customers to consultants by hand: assign, transfer, hand over; one or many at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime

import attrs

from crm_domain.errors import CrmError, DatabaseBusy, NotAssignable, NotFound, NotReceiving
from crm_domain.model import (
    Assignment,
    AssignmentMethod,
    AssignmentStatus,
    Customer,
    CustomerStatus,
    Event,
    Notice,
)
from crm_domain.parsing import quoted, record_number
from crm_domain.ports import Closing, Crm, NewAssignment, Query, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.rules.duty import has_left
from crm_domain.rules.pool import dated, is_public
from crm_domain.rules.wording import HANDING_OVER, Words, doer, given_because
from crm_domain.usecases._common import (
    audited,
    holds,
    kept_of_nobody,
    latest,
    notices,
    policy,
    reach_of,
    said,
)
from crm_domain.usecases._owning import (
    check_consultant,
    closing,
    farewell,
    owned_by,
    refuse_private,
    some,
)

GIVING = ("customer:assign", "customer:transfer", "rotation:edit")
"""Whoever may do any of this picks among those who may be given customers."""
BATCH = 5000
"""Customers that change hands in one transaction."""


@attrs.frozen(kw_only=True)
class Bulk:
    """What became of each customer of a bulk action."""

    done: tuple[int, ...]
    refused: tuple[tuple[int, CrmError], ...]


@attrs.frozen(kw_only=True)
class _Way:
    """One way to give customers away."""

    method: AssignmentMethod
    verb: str
    ending: AssignmentStatus
    """How what was open before ends."""
    told: Event
    """What the new owner is told."""
    lost: Event
    """What the former owner is told."""
    action: str
    """What the log calls it."""


ASSIGN = _Way(
    method=AssignmentMethod.MANUAL, verb="手动分配", ending=AssignmentStatus.NO_FOLLOW_UP,
    told=Event.ASSIGNED, lost=Event.EXPIRED, action="assign",
)  # fmt: skip
TRANSFER = _Way(
    method=AssignmentMethod.TRANSFER, verb="转移", ending=AssignmentStatus.TRANSFERRED,
    told=Event.TRANSFERRED, lost=Event.TRANSFERRED, action="transfer",
)  # fmt: skip
TAKING_BACK = attrs.evolve(TRANSFER, action="take_back")
"""A transfer like any, but for the log: it is not taken back itself."""


@attrs.frozen
class _Gift:
    """A customer as it was, and what begins."""

    before: Customer
    new: NewAssignment
    closing: Closing | None

    @property
    def to(self) -> int:
        """Whose it is now."""
        return self.new.customer.owner_id or 0


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
    return _give_one(crm, customer_id, consultant_id, ASSIGN, memo, by)


def assign_customers(
    crm: Crm, customer_ids: Sequence[int], consultant_ids: Sequence[int], *,
    memo: str | None = None, by: Principal,
) -> Bulk:  # fmt: skip
    """Give public customers to consultants in turn; each customer succeeds or is refused alone.

    Every consultant gets one notice for each 5,000 customers, not one for each customer.

    Raises:
        Invalid: The memo is too long, or no text.
        NotAssignable: No consultant is named.
        NotPermitted: Without ``customer:assign``.
    """
    by.need("customer:assign")
    memo = said(Assignment, "memo", memo, "memo")
    return _give(crm, _in_turn(customer_ids, consultant_ids), ASSIGN, memo, by)


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
    return _give_one(crm, customer_id, consultant_id, TRANSFER, why, by)


def transfer_customers(
    crm: Crm, customer_ids: Sequence[int], consultant_ids: Sequence[int], *, reason: str = "",
    by: Principal,
) -> Bulk:  # fmt: skip
    """Move private customers to others in turn; each customer succeeds or is refused alone.

    Raises:
        Invalid: The reason is too long, or no text.
        NotAssignable: No consultant is named.
        NotFound: What names the consultant is no number of anybody.
        NotPermitted: Without ``customer:transfer``.
    """
    by.need("customer:transfer")
    why = said(Assignment, "memo", reason, "reason")
    return _give(crm, _in_turn(customer_ids, consultant_ids), TRANSFER, why, by)


def hand_over(
    crm: Crm, from_id: int, to_ids: Sequence[int], *, reason: str = "", dry_run: bool = False,
    by: Principal,
) -> Bulk:  # fmt: skip
    """Move all private customers of a consultant to others in turn (离职交接).

    Whoever can be given nothing is refused before anything is moved.

    Args:
        crm: The CRM.
        from_id: The employee whose customers they are.
        to_ids: The employees to whom they go: the first customer to the first, and so on in turn.
        reason: Why; both sides read it.
        dry_run: Only tell which customers would be moved, in the order of their turns.
        by: Who asks; needs ``customer:transfer``.

    Raises:
        Invalid: The reason is too long, or no text.
        NotAssignable: No consultant is named.
        NotFound: There is no such employee within one's reach.
        NotPermitted: Without ``customer:transfer``.
        NotReceiving: Somebody named left, has no enabled account that sells, or has them already.
    """
    by.need("customer:transfer")
    why = said(Assignment, "memo", reason, "reason") or HANDING_OVER
    if record_number(from_id) is None:
        raise NotFound(what="员工", id=quoted(from_id))
    ids: list[int] = []
    query = Query(where={"owner_id": from_id}, limit=10_000, sort="id")
    with crm.unit_of_work(read_only=True) as uow:
        _refuse_receivers(crm, uow, from_id, to_ids, by)
        while True:
            page = uow.customers.page(query, reach_of(by), crm.today(), pooled_too=False)
            ids += [c.id or 0 for c in page if c.status is CustomerStatus.NOT_ENROLLED]
            if page.next is None:
                break
            query = attrs.evolve(query, after=page.next)
    wishes = _in_turn(ids, to_ids)
    return Bulk(done=tuple(ids), refused=()) if dry_run else _give(crm, wishes, TRANSFER, why, by)


def find_receivers(
    crm: Crm, text: str = "", limit: int = 10, *, by: Principal
) -> dict[int, str]:  # fmt: skip
    """Find the consultants within one's reach who may be given customers, for whoever picks one.

    Args:
        crm: The CRM.
        text: Words, each of which must be found in the name, in large letters or small.
        limit: So many at most.
        by: Who asks; needs ``customer:assign``, ``customer:transfer`` or ``rotation:edit``.

    Returns:
        Their names by number, in the order of the names.

    Raises:
        NotPermitted: Without any of these permissions.
    """
    if not any(map(by.may, GIVING)):
        by.need(GIVING[0])
    words = text.casefold().split()
    with crm.unit_of_work(read_only=True) as uow:
        today = crm.today()
        found = uow.directory.with_permission("customer:claim", reach_of(by))
        there = [e for e in found if not has_left(e, today)]
    fitting = [e for e in there if all(word in e.name.casefold() for word in words)]
    fitting.sort(key=lambda e: (e.name, e.id))
    return {e.id or 0: e.name for e in fitting[: max(1, limit)]}


def _refuse_receivers(
    crm: Crm, uow: UnitOfWork, from_id: int, to_ids: Sequence[int], by: Principal
) -> None:
    """Refuse once what would be refused for each customer."""
    now = crm.now()

    def check(to: int) -> None:
        consultant = check_consultant(crm, uow, to, now, by)
        if to == from_id:
            raise NotReceiving(who=consultant.name, reason="theirs",
                               reason_zh="这些客户本来就归其所有。",
                               reason_en="the customers are theirs already.")  # fmt: skip

    for to in to_ids:
        _check_once({}, to, check)


def _in_turn(ids: Sequence[int], to_ids: Sequence[int]) -> list[tuple[int, int]]:
    if not to_ids:
        raise NotAssignable(reason_zh="请选择顾问。", reason_en="no consultant is named.")
    return [(n, to_ids[i % len(to_ids)]) for i, n in enumerate(ids)]


def _give_one(
    crm: Crm, customer_id: int, consultant_id: int, way: _Way, memo: str | None, by: Principal
) -> Assignment:
    with crm.unit_of_work() as uow:
        given, refused = give_batch(crm, uow, [(customer_id, consultant_id)], way, memo, by)
        if refused:
            raise refused[0][1]
        made = uow.customers.history(given[0])[-1]
    crm.jobs.wake("deliver_due")
    return made


def _give(
    crm: Crm, wishes: Sequence[tuple[int, int]], way: _Way, memo: str | None, by: Principal
) -> Bulk:
    done: list[int] = []
    refused: list[tuple[int, CrmError]] = []
    for start in range(0, len(wishes), BATCH):
        try:
            with crm.unit_of_work() as uow:
                batch = wishes[start : start + BATCH]
                given, wrong = give_batch(crm, uow, batch, way, memo, by)
        except DatabaseBusy as e:
            if not start:
                raise
            # What was given before is told, and so are those that were not reached.
            refused += [(n, e) for n, _ in wishes[start:]]
            break
        done += given
        refused += wrong
    if done:
        crm.jobs.wake("deliver_due")
    return Bulk(done=tuple(done), refused=tuple(refused))


def give_batch(
    crm: Crm, uow: UnitOfWork, wishes: Sequence[tuple[int, int]], way: _Way, memo: str | None,
    by: Principal,
) -> tuple[list[int], list[tuple[int, CrmError]]]:  # fmt: skip
    """Close what is open and make others the owners, by set."""
    rules = policy(crm, uow)
    numbers = [n for n, _ in wishes if record_number(n) is not None]
    found = {c.id or 0: c for c in uow.customers.lock_many(numbers)}
    now = crm.now()
    consultants: dict[int, CrmError | None] = {}
    explanation = Words(
        f"由 {by.title} {way.verb}" + (f"：{memo}" if memo else ""),
        given_because(way.method, memo, doer(by)),
    )
    gifts: list[_Gift] = []
    refused: list[tuple[int, CrmError]] = []
    for number, to in wishes:
        try:
            # Whoever is named twice is somebody's by then.
            customer = None if record_number(number) is None else found.pop(number, None)
            if customer is None or customer.archived_at is not None:
                raise NotFound(what="客户", id=number)
            _check(uow, way, customer, to, by, crm.day(now))
            _check_once(consultants, to, lambda t: check_consultant(crm, uow, t, now, by))
        except CrmError as e:
            refused.append((number, e))
            continue
        at = latest(now, customer)
        new = NewAssignment(
            customer=dated(owned_by(customer, to, at), rules), method=way.method,
            explanation=explanation.zh[:500], memo=memo, by_id=by.user_id,
        )  # fmt: skip
        gifts.append(_Gift(customer, new, closing(customer, at, way.ending)))
    uow.ownership.close(*(g.closing for g in gifts if g.closing))
    made = uow.ownership.open([g.new for g in gifts])
    uow.notices.add(_told(crm, gifts, made, way, explanation, now))
    uow.audit(*(
        audited(by, now, way.action, "Customer", g.before.id,
                {"owner_id": g.before.owner_id}, {"owner_id": g.to})
        for g in gifts
    ))  # fmt: skip
    return [g.before.id or 0 for g in gifts], refused


def _check(
    uow: UnitOfWork, way: _Way, customer: Customer, to: int, by: Principal, today: date
) -> None:
    """Refuse what this way does not give away."""
    if way is ASSIGN and is_public(customer, today):
        return
    if not holds(uow, customer, by, today) and not (way is ASSIGN and kept_of_nobody(customer)):
        raise NotFound(what="客户", id=customer.id)
    if way is ASSIGN or customer.status is CustomerStatus.ENROLLED:
        refuse_private(customer)
    if customer.owner_id == to:
        raise NotAssignable(reason_zh="客户已归该顾问。", reason_en="it is theirs already.")


def _check_once(known: dict[int, CrmError | None], to: int, check: Callable[[int], object]) -> None:
    if record_number(to) is None:
        raise NotFound(what="员工", id=to)
    if to not in known:
        known[to] = None
        try:
            check(to)
        except CrmError as e:
            known[to] = e
    if error := known[to]:
        raise error


def _told(
    crm: Crm, gifts: Sequence[_Gift], made: Sequence[int], way: _Way, explanation: Words,
    now: datetime,
) -> list[Notice]:  # fmt: skip
    """Tell everybody concerned once, however many customers it is about."""
    received: dict[int, list[tuple[Customer, int]]] = {}
    lost: dict[int, list[tuple[Customer, int]]] = {}
    for gift, number in zip(gifts, made, strict=True):
        received.setdefault(gift.to, []).append((gift.before, number))
        if gift.before.owner_id is not None:
            lost.setdefault(gift.before.owner_id, []).append((gift.before, number))
    found: list[Notice] = []
    for those in lost.values():
        found += farewell(crm, [c for c, _ in those], way.lost, now)
    for to, those in received.items():
        (first, number), n, whom = those[0], len(those), some(c for c, _ in those)
        found += notices(
            crm, way.told, to,
            Words("您有一位新客户", "You have a new customer")
            if n == 1
            else Words(f"您有 {n} 位新客户", f"You have {n} new customers"),
            Words(f"{whom.zh}（{explanation.zh}）", f"{whom.en} ({explanation.en})"),
            about=f"customer:{first.id}" if n == 1 else f"employee:{to}",
            key=f"{way.told}:{number}", now=now,
        )  # fmt: skip
    return found
