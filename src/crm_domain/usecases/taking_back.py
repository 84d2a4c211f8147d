"""What was done by mistake is taken back, as long as nobody has gone on from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from crm_domain.errors import CrmError, NotFound, NotTakenBack
from crm_domain.model import AuditEntry, Customer, Payment
from crm_domain.model.fields import changed
from crm_domain.parsing import quoted, record_number
from crm_domain.ports import Crm, Page, Query, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.rules.pool import dated
from crm_domain.rules.wording import TAKEN_BACK
from crm_domain.usecases._common import (
    audit,
    holds,
    kept_of_nobody,
    locked_customer,
    moment,
    policy,
)
from crm_domain.usecases.giving import BATCH, TAKING_BACK, TRANSFER, Bulk, give_batch
from crm_domain.usecases.intake import seen_by_who_changed

TAKE_BACK = timedelta(minutes=15)
"""So long somebody may take back what they did by mistake; later it is what others count on."""
LOOK_AT = 20
"""Entries of the log in which the latest lock of a customer is looked for."""


def take_back_transfers(crm: Crm, customer_ids: Sequence[int], *, by: Principal) -> Bulk:
    """Move customers back to whom one has just moved them from (撤回转移).

    Each goes back by one more transfer, which is told and written down like any; so its limits
    begin anew. It is refused where somebody has done anything with the customer since, and what was
    taken back is not taken back again.

    Args:
        crm: The CRM.
        customer_ids: The customers.
        by: Who moved them, not more than `TAKE_BACK` ago; needs ``customer:transfer``.

    Returns:
        What was moved back, and why the rest was not.

    Raises:
        NotPermitted: Without the permission.
    """
    by.need("customer:transfer")
    done: list[int] = []
    refused: list[tuple[int, CrmError]] = []
    for start in range(0, len(customer_ids), BATCH):
        with crm.unit_of_work() as uow:
            batch = customer_ids[start : start + BATCH]
            wishes, wrong = _former_owners(crm, uow, batch, by)
            given, more = give_batch(crm, uow, wishes, TAKING_BACK, TAKEN_BACK, by)
        done += given
        refused += [*wrong, *more]
    if done:
        crm.jobs.wake("deliver_due")
    return Bulk(done=tuple(done), refused=tuple(refused))


def _former_owners(
    crm: Crm, uow: UnitOfWork, ids: Sequence[int], by: Principal
) -> tuple[list[tuple[int, int]], list[tuple[int, CrmError]]]:
    """Find to whom each customer goes back, and hold the customers still."""
    policy(crm, uow)
    known = [n for n in ids if record_number(n) is not None]
    found = {c.id or 0: c for c in uow.customers.lock_many(known)}
    now = crm.now()
    wishes: list[tuple[int, int]] = []
    refused: list[tuple[int, CrmError]] = []
    for number in dict.fromkeys(ids):
        customer = found.get(number)
        try:
            if customer is None or not holds(uow, customer, by, crm.day(now)):
                raise NotFound(what="客户", id=quoted(number))
            wishes.append((number, _former_owner(uow, customer, now, by)))
        except CrmError as e:
            refused.append((number, e))
    return wishes, refused


def _former_owner(uow: UnitOfWork, customer: Customer, now: datetime, by: Principal) -> int:
    """Tell whose a customer was before one's own transfer, if nothing came after it.

    Raises:
        NotTakenBack: Something did, or it was no transfer of one's own, or too long ago.
    """
    before, last = (None, None, *uow.customers.history(customer.id or 0))[-2:]
    mine = last is not None and (last.method, last.by_id) == (TRANSFER.method, by.user_id)
    if last is None or before is None or not mine or before.status is not TRANSFER.ending:
        raise NotTakenBack(reason_zh="最近一次变动不是您做的转移。",
                           reason_en="what was done last is no transfer of yours.")  # fmt: skip
    if now - last.started_at > TAKE_BACK:
        raise NotTakenBack(reason_zh="转移已过去太久。", reason_en="it was too long ago.")
    paid = customer.payment_pending_on is not None and any(
        p.created_at is not None and p.created_at >= last.started_at
        for p in uow.records.all(Payment, customer_id=customer.id)
    )
    if paid or customer.last_contacted_at != last.started_at:
        raise NotTakenBack(reason_zh="新的顾问已经跟进。",
                           reason_en="the new consultant has worked with them.")  # fmt: skip
    latest = next(iter(_latest(uow, customer, 1)), None)
    if latest is None or (latest.action, latest.by_id) != (TRANSFER.action, by.user_id):
        raise NotTakenBack(reason_zh="转移之后客户又有变动，或转移已撤回。",
                           reason_en="the customer was changed since, or the transfer was taken "
                                     "back already.")  # fmt: skip
    return before.consultant_id


def _latest(uow: UnitOfWork, customer: Customer, many: int) -> Page[AuditEntry]:
    """Read what was done with a customer last, the latest first."""
    where = {"record": "Customer", "record_id": customer.id}
    return uow.records.page(AuditEntry, Query(where=where, sort="-id", limit=many))


def take_back_lock(crm: Crm, customer_id: int, *, by: Principal) -> Customer:
    """Unlock a customer that one has just locked; whoever was locked before stays so.

    Args:
        crm: The CRM.
        customer_id: The customer.
        by: Who locked it, not more than `TAKE_BACK` ago; needs ``customer:lock``.

    Returns:
        The customer, as `intake.get_customer` would give it.

    Raises:
        NotFound: There is no such customer within one's reach.
        NotPermitted: Without the permission.
        NotTakenBack: It was locked before, or by somebody else since, or too long ago.
    """
    by.need("customer:lock")
    with crm.unit_of_work() as uow:
        rules = policy(crm, uow)
        customer = locked_customer(uow, customer_id)
        now = moment(crm, customer)
        if not (kept_of_nobody(customer) or holds(uow, customer, by, crm.day(now))):
            raise NotFound(what="客户", id=customer_id)
        _refuse_old_lock(uow, customer, now, by)
        after = dated(changed(customer, locked=False, lock_reason=None), rules)
        uow.ownership.keep(after)
        audit(uow, by, now, "unlock", "Customer", customer_id,
              {"locked": True, "lock_reason": customer.lock_reason},
              {"locked": False, "lock_reason": None})  # fmt: skip
        return seen_by_who_changed(crm, uow, after, by)


def _refuse_old_lock(uow: UnitOfWork, customer: Customer, now: datetime, by: Principal) -> None:
    """Refuse unless the last that was done is one's own lock of a customer that was not locked.

    Raises:
        NotTakenBack: It is not, or it was too long ago.
    """
    entries = _latest(uow, customer, LOOK_AT)
    done = next((e for e in entries if e.action in ("lock", "unlock")), None)
    # The log holds what changed: of one that was locked before the reason alone.
    began = done is not None and (done.after or {}).get("locked") is True
    if done is None or not began or done.by_id != by.user_id or not customer.locked:
        raise NotTakenBack(reason_zh="它不是您刚刚锁定的。",
                           reason_en="it is not you who has just locked it.")  # fmt: skip
    if now - done.at > TAKE_BACK:
        raise NotTakenBack(reason_zh="锁定已过去太久。", reason_en="it was too long ago.")
