"""The lists behind the figures: assignments, follow-ups, payments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from crm_domain.model import (
    Assignment,
    AssignmentStatus,
    FollowUp,
    Payment,
    PaymentStatus,
    Spec,
    Stage,
)
from crm_domain.ports import STAGE
from crm_domain.usecases import assignment, follow_up, payments
from crm_web.actions import one_by_one
from crm_web.context import ONCE, Context, beside
from crm_web.look import Look
from crm_web.resource import Action, Filter, Form, Outcome, Resource, column, narrowing


def said_status(row: Any, look: Look) -> str:
    """Say the status of an assignment with the limit that passed: 3天未跟进."""
    status: AssignmentStatus = row.status
    return status.label(look.language, row.limit_days)


ASSIGNMENTS = Resource(
    name="assignments", record=Assignment, words=("客户分配", "Assignments"), icon="history",
    needs="customer:view",
    rows=lambda crm, query, by: assignment.list_assignments(crm, query, by=by),
    tally=lambda crm, query, names, by: assignment.tally_assignments(crm, query, names, by=by),
    columns=(
        column(Assignment, "customer_id"), column(Assignment, "consultant_id"),
        column(Assignment, "status", kind="badge", say=said_status), column(Assignment, "method"),
        column(Assignment, "started_at"), column(Assignment, "ended_at"),
        column(Assignment, "explanation", sort=False, say=lambda row, look: look.why(row)),
        column(Assignment, "memo", shown=False),
    ),
    filters=(
        narrowing(Assignment, "status"), narrowing(Assignment, "method"),
        Filter(name=STAGE, words=("进展", "Stage"), kind="choice",
               choices=tuple((s.value, (s.zh, s.en)) for s in Stage)),
        narrowing(Assignment, "consultant_id"), narrowing(Assignment, "started_at"),
        narrowing(Assignment, "ended_at"),
    ),
    search=("原因、说明", "Reason, note"), uncounted=(STAGE,), export="customer:export",
)  # fmt: skip

FOLLOW_UPS = Resource(
    name="follow-ups", record=FollowUp, words=("跟进记录", "Follow-ups"), icon="message",
    needs="customer:view",
    rows=lambda crm, query, by: follow_up.list_follow_ups(crm, query, by=by),
    tally=lambda crm, query, names, by: follow_up.tally_follow_ups(crm, query, names, by=by),
    columns=(
        column(FollowUp, "customer_id"), column(FollowUp, "consultant_id"), column(FollowUp, "at"),
        column(FollowUp, "channel"), column(FollowUp, "intention", kind="badge"),
        column(FollowUp, "note", sort=False), column(FollowUp, "next_contact_at"),
    ),
    filters=(
        narrowing(FollowUp, "channel"), narrowing(FollowUp, "intention"),
        narrowing(FollowUp, "consultant_id"), narrowing(FollowUp, "at"),
    ),
    search=("内容", "Note"), export="customer:export",
)  # fmt: skip

ENTERED = ("customer_id", "cohort_id", "kind", "amount", "paid_on", "method", "receipt_number",
           "turnover", "quote", "consultant_id", "note")  # fmt: skip


def _enter(c: Context, id: int | None, values: Mapping[str, Any], version: int | None) -> int:
    typed = {name: value for name, value in values.items() if value is not None}
    with beside("customer_id", typed.get("customer_id")):
        return payments.record_payment(c.crm, typed, once=c.one(ONCE), by=c.by).id or 0


def _reject(c: Context, ids: Sequence[int], values: Mapping[str, str]) -> Outcome:
    return one_by_one(
        c, ids, lambda n: payments.reject_payment(c.crm, n, reason=values["reason"], by=c.by),
        ("已驳回 {n} 笔。", "{n} payments were rejected."),
    )  # fmt: skip


REJECT = Action(
    name="reject", words=("驳回", "Reject"), icon="x", needs="payment:confirm", run=_reject,
    danger=True, fits=lambda row, c: row.status is PaymentStatus.PENDING,
    fields=(Spec(kind="text", name="reason", zh="原因", en="Reason", length=200,
                 default=attrs.NOTHING),),
)  # fmt: skip

PAYMENTS = Resource(
    name="payments", record=Payment, words=("缴费记录", "Payments"), icon="coin",
    needs="payment:view",
    rows=lambda crm, query, by: payments.list_payments(crm, query, by=by),
    tally=lambda crm, query, names, by: payments.tally_payments(crm, query, names, by=by),
    columns=tuple(
        column(Payment, name, shown=name not in ("quote", "note", "cohort_id", "receipt_number"))
        for name in ("customer_id", "kind", "amount", "paid_on", "status", "method",
                     "consultant_id", "turnover", "confirmed_at", "cohort_id", "quote",
                     "receipt_number", "note")
    ),
    filters=tuple(
        narrowing(Payment, name)
        for name in ("status", "kind", "method", "consultant_id", "paid_on", "confirmed_at")
    ),
    form=Form(fields=ENTERED, save=_enter, add="payment:add", edit=None, once=True),
    actions=(REJECT,), called=("customer_id", "amount"), export="payment:export",
)  # fmt: skip

RESOURCES = (ASSIGNMENTS, FOLLOW_UPS, PAYMENTS)
