"""Payments, as far as the pool needs them: a pending one keeps a customer private for a while."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from crm_domain.errors import FieldError, Invalid, NotFound
from crm_domain.model import Customer, Payment, PaymentStatus
from crm_domain.model.fields import changed
from crm_domain.parsing import parse_fields
from crm_domain.ports import MOST, Crm, Page, Query, Tally, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.rules.pool import PoolPolicy, dated, is_public
from crm_domain.usecases._common import (
    audit,
    holds,
    locked_customer,
    now_of,
    policy,
    reach_of,
    said,
)
from crm_domain.usecases._forms import form_of, keep_made, made_before


def record_payment(
    crm: Crm, values: Mapping[str, Any], *, once: str | None = None, by: Principal
) -> Payment:
    """Enter a payment, pending until finance confirms it.

    Args:
        crm: The CRM.
        values: What was typed, by field of Payment.
        once: The token of the form, any text that is used for no other. The same form sent again
            enters nothing more and gives the payment that it made.
        by: Who asks; needs ``payment:add`` and the customer within reach. The credit is the
            owner's; ``payment:confirm`` is needed to give it to anybody else.

    Raises:
        AlreadySent: A form with this token entered something else.
        Invalid: With every problem.
        Duplicate: The receipt number is taken.
        NotFound: There is no such customer within one's reach.
        NotPermitted: Without the permission.
    """
    by.need("payment:add")
    found, problems = parse_fields(Payment, values)
    problems += _implausible(found, crm.today())
    if problems:
        raise Invalid(problems)
    form = form_of(once, Payment, found, by)
    with crm.unit_of_work() as uow:
        if (made := made_before(uow, form, crm.now())) is not None:
            return _made(uow, made)
        rules = policy(crm, uow)
        customer = locked_customer(uow, found["customer_id"])
        now = crm.now()
        if not holds(uow, customer, by, crm.day(now)):
            raise NotFound(what="客户", id=customer.id)
        credit = found.setdefault("consultant_id", customer.owner_id)
        if credit != customer.owner_id:
            by.need("payment:confirm")
        payment = uow.records.add(Payment(**found, created_at=now))
        # Each protects for days of its own, and this one is the latest.
        _keep(uow, rules, changed(customer, payment_pending_on=crm.day(now)))
        audit(uow, by, now, "create", "Payment", payment.id, None, payment)
        keep_made(uow, form, payment.id)
        return payment


def _made(uow: UnitOfWork, number: int) -> Payment:
    payment = uow.records.get(Payment, number)
    if payment is None:
        raise NotFound(what="缴费记录", id=number)
    return payment


def _implausible(found: Mapping[str, Any], today: date) -> list[FieldError]:
    problems = []
    if found.get("amount", 1) <= 0:
        problems.append(FieldError("amount", "not_positive", found["amount"], "金额须大于零",
                                   "the amount must be above zero"))  # fmt: skip
    if found.get("paid_on", today) > today:
        problems.append(FieldError("paid_on", "in_future", found["paid_on"], "缴费日期不能晚于今天",
                                   "the day of payment lies in the future"))  # fmt: skip
    return problems


def reject_payment(crm: Crm, payment_id: int, *, reason: str, by: Principal) -> Payment:
    """Reject a pending payment; the limits of a customer that has an owner begin anew.

    Others that are pending go on protecting the customer, each from its own day.

    What was noted of the payment stays beside the reason.

    Raises:
        Invalid: The reason is missing, too long, or no text.
        NotFound: There is no such pending payment within one's reach.
        NotPermitted: Without ``payment:confirm``.
    """
    by.need("payment:confirm")
    why = said(Payment, "reject_reason", reason, "reason")
    if not why:
        raise Invalid([FieldError("reason", "missing", None, "请说明驳回原因",
                                  "say why it is rejected")])  # fmt: skip
    with crm.unit_of_work() as uow:
        payment = uow.records.get(Payment, payment_id)
        if payment is None:
            raise NotFound(what="缴费记录", id=payment_id)
        rules = policy(crm, uow)
        customer = locked_customer(uow, payment.customer_id)
        now = crm.now()
        payment = uow.records.get(Payment, payment_id)
        theirs = payment is not None and uow.directory.in_reach(payment.consultant_id, reach_of(by))
        if payment is None or not theirs or payment.status is not PaymentStatus.PENDING:
            raise NotFound(what="待审核的缴费记录", id=payment_id)
        rejected = uow.records.save(
            changed(payment, status=PaymentStatus.REJECTED, confirmed_at=now,
                    confirmed_by_id=by.user_id, reject_reason=why)
        )  # fmt: skip
        waiting = [
            p
            for p in uow.records.all(Payment, customer_id=customer.id)
            if p.status is PaymentStatus.PENDING
        ]
        since = max((crm.day(p.created_at or now) for p in waiting), default=None)
        after = changed(customer, payment_pending_on=since)
        if is_public(customer, crm.day(now)):
            # Its owner had lost it already, and a rejection must not give it back.
            uow.ownership.keep(after)
        else:
            anew = customer.owner_id is not None
            _keep(uow, rules, changed(after, dated_anew_at=now) if anew else after)
        audit(uow, by, now, "reject", "Payment", payment_id, payment, rejected)
        return rejected


def _keep(uow: UnitOfWork, rules: PoolPolicy, customer: Customer) -> None:
    uow.ownership.keep(dated(customer, rules))


def list_payments(crm: Crm, query: Query | None = None, *, by: Principal) -> Page[Payment]:
    """Read one page of the payments that are credited to whoever is within one's reach.

    Raises:
        Invalid: The query names what is not there.
        NotPermitted: Without ``payment:view``.
    """
    by.need("payment:view")
    with crm.unit_of_work(read_only=True) as uow:
        return uow.work.page(Payment, query or Query(), reach_of(by), now_of(crm))


def tally_payments(
    crm: Crm, query: Query | None = None, facets: Sequence[str] = (), *, most: int = MOST,
    by: Principal,
) -> Tally:  # fmt: skip
    """Count the payments that `list_payments` would give, and the values of some fields of them.

    Raises:
        Invalid: The query or a facet names what is not there.
        NotPermitted: Without ``payment:view``.
    """
    by.need("payment:view")
    with crm.unit_of_work(read_only=True) as uow:
        return uow.work.tally(Payment, query or Query(), reach_of(by), now_of(crm), facets,
                              most=most)  # fmt: skip
