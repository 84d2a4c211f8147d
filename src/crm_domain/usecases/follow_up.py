"""What was said to a customer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta, tzinfo
from typing import Any

import attrs

from crm_domain.errors import FieldError, Invalid, NotFound, NotOwner
from crm_domain.model import CustomerStatus, Employee, Event, FollowUp
from crm_domain.model.fields import changed
from crm_domain.parsing import parse_fields
from crm_domain.ports import MOST, Crm, Page, Query, Tally
from crm_domain.rules.access import Principal
from crm_domain.rules.pool import dated, is_public, still_agreed
from crm_domain.rules.wording import Words, counted, named
from crm_domain.usecases._common import (
    audit,
    may_read,
    moment,
    notices,
    now_of,
    policy,
    reach_of,
    start_of_day,
)

MOVED = ("last_contacted_at", "next_contact_at", "intention")
MAY_TYPE = ("at", "channel", "intention", "note", "next_contact_at")


def log_follow_up(
    crm: Crm, customer_id: int, values: Mapping[str, Any], *, by: Principal
) -> FollowUp:
    """Log a contact with one's own customer; the limit without contact begins again.

    Args:
        crm: The CRM.
        customer_id: The customer.
        values: ``note``, and if known ``intention``, ``next_contact_at``, ``channel`` and ``at``
            (now, unless the contact was earlier; never in the future). Without ``next_contact_at``
            an appointment of a later day stays; an empty one removes it.
        by: Who asks; needs ``customer:follow_up`` and must own the customer now.

    Raises:
        Invalid: With every problem.
        NotOwner: For anybody else, also for the owner whose customer has fallen due.
        NotPermitted: Without the permission.
    """
    by.need("customer:follow_up")
    found, problems = _read(values, crm.settings.zone)
    if problems:
        raise Invalid(problems)
    with crm.unit_of_work() as uow:
        rules = policy(crm, uow)
        customer = uow.customers.lock(customer_id)
        now = crm.now()
        today = crm.day(now)
        if customer is None or customer.owner_id is None or customer.owner_id != by.employee_id:
            raise NotOwner
        if is_public(customer, today) or customer.status is CustomerStatus.ENROLLED:
            raise NotOwner
        latest = moment(crm, customer)
        at = found.pop("at", None) or latest
        if at > latest:
            raise _bad_moment("in_future", at, "跟进时间不能晚于现在", "cannot be in the future")
        if customer.received_at is not None and at < customer.received_at:
            raise _bad_moment("too_early", at, "跟进时间不能早于接单", "was before it became yours")
        after = changed(
            customer,
            last_contacted_at=max(at, customer.last_contacted_at or at),
            next_contact_at=found.get("next_contact_at")
            if "next_contact_at" in values
            else still_agreed(customer, at, crm.settings.zone),
            intention=found.get("intention") or customer.intention,
        )
        uow.ownership.keep(dated(after, rules))
        made = uow.records.add(
            FollowUp(customer_id=customer_id, consultant_id=customer.owner_id, at=at,
                     assignment_id=customer.assignment_id, **found)
        )  # fmt: skip
        # What was said stands in the follow-up, which never changes; here is what it changed.
        was, is_ = ({n: getattr(c, n) for n in MOVED} for c in (customer, after))
        audit(uow, by, now, "follow_up", "Customer", customer_id, was, is_)
        return made


def _bad_moment(code: str, at: Any, zh: str, en: str) -> Invalid:
    return Invalid([FieldError("at", code, at, zh, f"the follow-up {en}")])


def _read(values: Mapping[str, Any], zone: tzinfo) -> tuple[dict[str, Any], list[FieldError]]:
    found, problems = parse_fields(FollowUp, values, partial=True, zone=zone)
    for name in values if isinstance(values, Mapping) else ():
        if name not in MAY_TYPE and name in found:
            problems.append(FieldError(name, "unknown_field", None, f"不能填写“{name}”",
                                       f"{name} cannot be given"))  # fmt: skip
    if not found.get("note") and not any(p.path == "note" for p in problems):
        problems.append(
            FieldError("note", "missing", None, "请填写跟进内容", "the note is missing")
        )
    return {n: v for n, v in found.items() if v is not None}, problems


def remind_contacts(crm: Crm, *, by: Principal) -> int:
    """Tell owners whom they meant to contact by today, once a day each, and count the notices.

    It is a job of the night like the sweep, and shares its permission.

    Raises:
        NotPermitted: Without ``pool:sweep``.
    """
    by.need("pool:sweep")
    with crm.unit_of_work() as uow:
        now = crm.now()
        today = crm.day(now)
        end = start_of_day(crm, today + timedelta(days=1))
        written = uow.notices.add_new([
            notice
            for owner, (n, names) in uow.falling_due.to_contact(end, today).items()
            for notice in notices(
                crm, Event.CONTACT_DUE, owner,
                Words(f"今天有 {n} 位客户待联系", f"{counted(n, 'customer')} to contact today"),
                Words("、".join(names) + ("等" if n > len(names) else "") + "约定的联系时间已到。",
                      f"The time agreed for {named(names, n)} has come."),
                about=f"employee:{owner}", key=f"contact_due:{owner}:{today}", now=now,
            )
        ])  # fmt: skip
    if written:
        crm.jobs.wake("deliver_due")
    return written


def list_follow_ups(crm: Crm, query: Query | None = None, *, by: Principal) -> Page[FollowUp]:
    """Read one page of the follow-ups of consultants within one's reach, the newest first.

    Of a customer that is out of reach by now neither the note, nor the intention, nor the next
    contact is told.

    Raises:
        Invalid: The query names what is not there.
        NotPermitted: Without ``customer:view``.
    """
    by.need("customer:view")
    with crm.unit_of_work(read_only=True) as uow:
        return uow.work.page(FollowUp, query or Query(), reach_of(by), now_of(crm))


def tally_follow_ups(
    crm: Crm, query: Query | None = None, facets: Sequence[str] = (), *, most: int = MOST,
    by: Principal,
) -> Tally:  # fmt: skip
    """Count the follow-ups that `list_follow_ups` would give, and the values of some fields.

    Raises:
        Invalid: The query or a facet names what is not there.
        NotPermitted: Without ``customer:view``.
    """
    by.need("customer:view")
    with crm.unit_of_work(read_only=True) as uow:
        return uow.work.tally(FollowUp, query or Query(), reach_of(by), now_of(crm), facets,
                              most=most)  # fmt: skip


@attrs.frozen(kw_only=True)
class Contact:
    """One follow-up as a person reads it."""

    follow_up: FollowUp
    consultant_name: str


def timeline(crm: Crm, customer_id: int, *, by: Principal) -> tuple[Contact, ...]:
    """Read what was said to a customer within one's reach, the oldest first.

    Raises:
        NotFound: It is not theirs.
        NotPermitted: Without ``customer:view``.
    """
    by.need("customer:view")
    with crm.unit_of_work(read_only=True) as uow:
        customer = uow.customers.get(customer_id)
        if not may_read(uow, customer, by, crm.today()):
            raise NotFound(what="客户", id=customer_id)
        found = uow.customers.follow_ups(customer_id)
        people = uow.records.among(Employee, sorted({f.consultant_id for f in found}))
        names = {e.id: e.name for e in people}
        return tuple(Contact(follow_up=f, consultant_name=names[f.consultant_id]) for f in found)
