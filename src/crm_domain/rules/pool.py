"""When a customer becomes anybody's (spec section 4).

Everything is counted in calendar days of the business time zone, or in working days where the rule
says so. The answer is stored as ``due_on``, the first local day on which the customer is public, so
that a list, a claim, the sweep and the countdown all ask the same one comparison.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

import attrs

from crm_domain.model import AssignmentStatus, Customer, CustomerStatus, Intention, PoolRule, Source
from crm_domain.model.fields import changed

ALWAYS = date.min
"""``due_on`` of a customer without an owner: public since ever."""
NEVER = date.max
"""``due_on`` of an enrolled, locked or archived customer."""

DEFAULT_RULE = PoolRule(position=1_000_000)
"""Applies where no rule of the school fits: 3 days without contact, 15 without closing."""


@attrs.frozen
class Calendar:
    """Tells working days: Monday to Friday, unless the school's holiday table says otherwise."""

    exceptions: Mapping[date, bool] = attrs.field(factory=dict)

    def works(self, day: date) -> bool:
        """Whether it is a working day."""
        return self.exceptions.get(day, day.weekday() < 5)

    def after(self, start: date, days: int, working_days: bool) -> date:
        """Tell the first day that is more than ``days`` after ``start``."""
        if not working_days:
            return start + timedelta(days=days + 1)
        day, left = start, days + 1
        while left:
            day += timedelta(days=1)
            left -= self.works(day)
        return day

    def before(self, until: date, days: int, working_days: bool) -> date:
        """Tell the day before which a start lies more than ``days`` before ``until``.

        It is `after` read backwards: ``after(start, …) <= until`` wherever start is before it.
        """
        if not working_days:
            return until - timedelta(days=days)
        day, left = until, days + 1 - self.works(until)
        while left:
            day -= timedelta(days=1)
            left -= self.works(day)
        return day


@attrs.frozen
class PoolPolicy:
    """All that decides besides the customer itself."""

    zone: tzinfo
    rules: tuple[PoolRule, ...] = ()
    calendar: Calendar = Calendar()
    payment_days: int = 7
    """How long a pending payment keeps a customer private at most."""

    def day(self, at: datetime) -> date:
        """Tell the local day of a moment."""
        return at.astimezone(self.zone).date()


@attrs.frozen
class Due:
    """When a customer falls due, and what happens then."""

    due_on: date
    due_status: AssignmentStatus | None = None
    due_days: int | None = None
    warn_on: date | None = None


def rule_for(
    rules: Sequence[PoolRule],
    school_id: int | None,
    courses: Sequence[int],
    source: Source | None,
    intention: Intention | None,
) -> PoolRule:
    """Tell the first rule in order whose every condition fits; an empty condition fits all."""
    for rule in sorted(rules, key=lambda r: r.position):
        if (
            rule.school_id in (None, school_id)
            and (rule.course_id is None or rule.course_id in courses)
            and rule.source in (None, source)
            and rule.intention in (None, intention)
        ):
            return rule
    return DEFAULT_RULE


def due(customer: Customer, policy: PoolPolicy) -> Due:
    """Tell when a customer falls due.

    Of the two limits the one that passes first decides; when both pass on the same day, it is "not
    closed" (status 4).
    """
    if (
        customer.status is CustomerStatus.ENROLLED
        or customer.locked
        or customer.archived_at is not None
    ):
        return Due(NEVER)
    if customer.owner_id is None or customer.received_at is None:
        return Due(ALWAYS)
    rule = rule_for(
        policy.rules, customer.school_id, customer.courses, customer.source, customer.intention
    )
    received = customer.received_at
    contacted = customer.last_contacted_at or received
    if customer.dated_anew_at is not None:
        received = max(received, customer.dated_anew_at)
        contacted = max(contacted, customer.dated_anew_at)
    after = policy.calendar.after
    closing = after(policy.day(received), rule.closing_days, rule.working_days)
    contact = after(policy.day(contacted), rule.contact_days, rule.working_days)
    if closing <= contact:
        on, status, days = closing, AssignmentStatus.NOT_CLOSED, rule.closing_days
    else:
        on, status, days = contact, AssignmentStatus.NO_FOLLOW_UP, rule.contact_days
    if customer.payment_pending_on is not None:
        on = max(on, after(customer.payment_pending_on, policy.payment_days, False))
    return Due(on, status, days, on - timedelta(days=rule.warning_days))


def dated(customer: Customer, policy: PoolPolicy) -> Customer:
    """Give the customer the due dates that its present state calls for."""
    found = due(customer, policy)
    return changed(
        customer,
        due_on=found.due_on,
        due_status=None if found.due_status is None else int(found.due_status),
        due_days=found.due_days,
        warn_on=found.warn_on,
    )


@attrs.frozen
class Lapse:
    """Whom one rule makes public on a day, of those whom it applies to."""

    rule: PoolRule
    received_before: datetime
    """Whoever was received before it; or"""
    contacted_before: datetime
    """whose last contact was."""


@attrs.frozen
class Lapses:
    """Whom a policy makes public on a day, so that a storage can count them by set."""

    rules: tuple[Lapse, ...]
    """The first one whose every condition fits applies; the last fits all."""
    pending_before: date
    """A payment that waits since an earlier day keeps nobody private any more."""


def lapses(policy: PoolPolicy, today: date) -> Lapses:
    """Tell whom a policy makes public on a day: whose `due` lies on it or before."""

    def before(rule: PoolRule, days: int) -> datetime:
        day = policy.calendar.before(today, days, rule.working_days)
        return datetime.combine(day, time(), policy.zone).astimezone(UTC)

    return Lapses(
        rules=tuple(
            Lapse(rule, before(rule, rule.closing_days), before(rule, rule.contact_days))
            for rule in (*sorted(policy.rules, key=lambda r: r.position), DEFAULT_RULE)
        ),
        pending_before=policy.calendar.before(today, policy.payment_days, False),
    )


def spoken_to(customer: Customer) -> datetime | None:
    """Tell when the owner last spoke to a customer; None for one that was only handed over."""
    return spoken(customer.last_contacted_at, customer.received_at)


def spoken(last_contacted_at: datetime | None, since: datetime | None) -> datetime | None:
    """Tell when somebody last spoke to a customer who has been theirs since a moment.

    Being handed over counts as a contact for the limits, and is none.
    """
    return None if last_contacted_at == since else last_contacted_at


def still_agreed(customer: Customer, at: datetime, zone: tzinfo) -> datetime | None:
    """Tell the appointment that a contact leaves standing: one of a later day.

    Whoever speaks to the customer on the day that was agreed has kept it, at whatever hour.
    """
    agreed = customer.next_contact_at
    if agreed is None or agreed.astimezone(zone).date() <= at.astimezone(zone).date():
        return None
    return agreed


def is_public(customer: Customer, today: date) -> bool:
    """Whether anybody may claim the customer on this local day."""
    return customer.due_on <= today


def is_kept(customer: Customer, today: date) -> bool:
    """Whether somebody holds the customer: it is owned and not due, or won."""
    if customer.status is CustomerStatus.ENROLLED:
        return True
    return customer.owner_id is not None and not is_public(customer, today)


NOBODYS: dict[str, Any] = dict.fromkeys(
    ("owner_id", "received_at", "last_contacted_at", "next_contact_at", "dated_anew_at")
)
"""What goes with an owner."""
RELEASED: dict[str, Any] = NOBODYS | {
    "due_on": ALWAYS, "due_status": None, "due_days": None, "warn_on": None,
}  # fmt: skip
"""The ownership of a customer that was released, as far as it changes."""


def shown(customer: Customer, today: date) -> Customer:
    """Give the customer as people read it: an overdue one is nobody's before any sweep has run."""
    if customer.owner_id is None or not is_public(customer, today):
        return customer
    return changed(customer, **RELEASED)
