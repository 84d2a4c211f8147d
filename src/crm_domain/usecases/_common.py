"""What several use cases share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from crm_domain.errors import EditConflict, FieldError, Invalid, NoEmployee, NotFound
from crm_domain.model import (
    AuditEntry,
    Customer,
    CustomerStatus,
    Employee,
    Event,
    Notice,
    Scope,
    User,
    specs,
)
from crm_domain.parsing import Unreadable, field_value, quoted, record_number
from crm_domain.ports import Crm, Now, PoolRules, Reach, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.rules.duty import has_left
from crm_domain.rules.notifying import lasts_until
from crm_domain.rules.pool import Calendar, PoolPolicy, is_kept
from crm_domain.rules.wording import Words, counted

Stopping = Callable[[], bool]
"""Tells whether whoever works in the background is to end."""


def never() -> bool:
    """Say that nobody is to end."""
    return False


def reach_of(by: Principal) -> Reach:
    """Tell whose records somebody may see."""
    return Reach(scope=by.scope, employee_id=by.employee_id, department_id=by.department_id)


def policy(crm: Crm, uow: UnitOfWork, pool: PoolRules | None = None) -> PoolPolicy:
    """Tell what decides when customers become public; the rules are read unless they are given.

    Call it before any customer is locked: whoever changes the rules locks in this order, too.
    """
    pool = pool or uow.pool_rules()
    return PoolPolicy(
        zone=crm.settings.zone, rules=pool.rules, calendar=Calendar(pool.holidays),
        payment_days=crm.settings.payment_days,
    )  # fmt: skip


def holds(uow: UnitOfWork, customer: Customer, by: Principal, today: date) -> bool:
    """Whether a customer is within somebody's reach as an owner's: private, or won."""
    if not is_kept(customer, today):
        return False
    won = customer.status is CustomerStatus.ENROLLED
    return uow.directory.in_reach(
        customer.last_consultant_id if won else customer.owner_id, reach_of(by)
    )


def may_read(uow: UnitOfWork, customer: Customer | None, by: Principal, today: date) -> bool:
    """Whether somebody may read what happened with a customer: whoever sees all, or holds it."""
    if customer is None or customer.archived_at is not None:
        return False
    return by.scope is Scope.ALL or holds(uow, customer, by, today)


def kept_of_nobody(customer: Customer) -> bool:
    """Whether a manager locked a customer in the pool: nobody's, and not to be claimed."""
    won = customer.status is CustomerStatus.ENROLLED
    return customer.locked and customer.owner_id is None and not won


def locked_customer(uow: UnitOfWork, customer_id: int) -> Customer:
    """Read a customer for changing its ownership.

    Raises:
        NotFound: There is none, or it is archived.
    """
    known = record_number(customer_id) is not None
    customer = uow.customers.lock(customer_id) if known else None
    if customer is None or customer.archived_at is not None:
        raise NotFound(what="客户", id=quoted(customer_id))
    return customer


def refuse_stale(what: str, seen: int | None, present: int) -> None:
    """Refuse to overwrite what was not read; None overwrites whatever is there.

    Raises:
        EditConflict: Another version is there now.
    """
    if seen is not None and seen != present:
        raise EditConflict(what=what, seen=quoted(seen), version=present)


def said(record: type[Any], name: str, value: str | None, path: str) -> str | None:
    """Read what somebody gives as a reason, as the field that keeps it would.

    Raises:
        Invalid: It is too long, or no text.
    """
    try:
        found: str | None = field_value(specs(record)[name], value)
    except Unreadable as e:
        raise Invalid([FieldError(path, e.code, value, e.zh, f"{path} {e.en}")]) from e
    return found


def bad_channel(channel: object) -> list[FieldError]:
    """Tell what is wrong with the name of a channel; None is any, and one may be there no more."""
    if channel is None or isinstance(channel, str):
        return []
    return [FieldError("channel", "bad_text", None, "渠道须为名称",
                       "a channel is given by its name")]  # fmt: skip


def moment(crm: Crm, customer: Customer) -> datetime:
    """Tell the present moment for a locked customer: never before what was written last."""
    return latest(crm.now(), customer)


def earlier_now(crm: Crm) -> datetime:
    """Tell the earlier of the program's clock and the database's."""
    return min(crm.now(), crm.storage.clock())


def start_of_day(crm: Crm, day: date) -> datetime:
    """Tell the first moment of a local day."""
    return datetime.combine(day, time(), crm.settings.zone).astimezone(UTC)


def end_of_day(crm: Crm, day: date) -> datetime:
    """Tell the last moment of a local day."""
    return start_of_day(crm, day + timedelta(days=1)) - timedelta(microseconds=1)


def now_of(crm: Crm) -> Now:
    """Tell the moment of asking, as lists of the past need it."""
    today = crm.today()
    return Now(today=today, midnight=start_of_day(crm, today))


def people(
    uow: UnitOfWork, employee_ids: Iterable[int | None], user_ids: Iterable[int | None]
) -> tuple[dict[int, str], dict[int, str]]:
    """Tell what people are called: employees, and accounts (by their employee, if they have one).

    Returns:
        Two dictionaries by number.
    """
    staff = sorted({n for n in employee_ids if n is not None})
    accounts = sorted({n for n in user_ids if n is not None})
    named = uow.records.look_up(Employee, ("name",), ids=staff) if staff else {}
    found = (
        uow.records.look_up(User, ("employee_id.name", "username"), ids=accounts)
        if accounts
        else {}
    )
    return (
        {n: name for n, (name,) in named.items()},
        {n: person or username for n, (person, username) in found.items()},
    )


def latest(now: datetime, customer: Customer) -> datetime:
    """Tell a moment that is not before what was written last of a customer.

    A clock that was put back must not make one ownership begin before the one before it ended.
    """
    return max(now, customer.received_at or now, customer.last_contacted_at or now)


def employee_of(by: Principal) -> int:
    """Tell whose messages and wishes are one's own.

    Raises:
        NoEmployee: The account belongs to nobody who works here.
    """
    if by.employee_id is None:
        raise NoEmployee
    return by.employee_id


def employee_or_refuse(uow: UnitOfWork, employee_id: int | None) -> Employee:
    """Read an employee.

    Raises:
        NotFound: There is none.
    """
    employee = None if employee_id is None else uow.records.get(Employee, employee_id)
    if employee is None:
        raise NotFound(what="员工", id=quoted(employee_id))
    return employee


def notices(
    crm: Crm, event: Event, recipient_id: int, subject: Words, body: Words, *, about: str,
    key: str, now: datetime, until: datetime | None = None,
) -> list[Notice]:  # fmt: skip
    """Make the notices of one event to one person, one for each channel.

    Args:
        crm: The CRM, whose settings name the channels.
        event: What happened.
        recipient_id: The employee.
        subject: The title.
        body: The text.
        about: What it is about, as ``customer:17``.
        key: Names this event once and for all; makes a repetition harmless.
        now: The moment.
        until: From when it is of no use any more; None is as for others of its event.
    """
    until = until or lasts_until(event, now, crm.settings.notice_days)
    return [
        Notice(
            recipient_id=recipient_id, subject=subject.zh, body=body.zh, subject_en=subject.en,
            body_en=body.en, event=event, about=about, channel=channel,
            idempotency_key=f"{key}|{channel}|{recipient_id}", created_at=now, expires_at=until,
        )
        for channel in crm.settings.channel_names
    ]  # fmt: skip


def tell_managers(
    crm: Crm, uow: UnitOfWork, count: int, *, about: str, key: str, now: datetime
) -> list[Notice]:
    """Make the notices to all sales managers that nobody could take new customers."""
    subject = Words("无人可分配", "Nobody could take new customers")
    body = Words(
        f"有 {count} 位新客户无人可分配，已放入公海。请检查轮转名单与在岗情况。",
        f"Nobody could take {counted(count, 'new customer')}, now in the pool. "
        "Please look at the rotation and at who is on duty.",
    )
    return [
        n
        for manager in uow.directory.with_permission("customer:assign")
        if not has_left(manager, crm.day(now))
        for n in notices(crm, Event.NOBODY, manager.id or 0, subject, body, about=about, key=key,
                         now=now)
    ]  # fmt: skip


def audited(
    by: Principal, at: datetime, action: str, record: str, record_id: int | None,
    before: Any = None, after: Any = None,
) -> AuditEntry:  # fmt: skip
    """Say who changed what; of two records only what differs."""
    was, now = _differences(before, after)
    return AuditEntry(at=at, by_id=by.user_id, acting_id=by.acting_id, action=action,
                      record=record, record_id=record_id, before=was, after=now)  # fmt: skip


def audit(
    uow: UnitOfWork, by: Principal, at: datetime, action: str, record: str,
    record_id: int | None, before: Any = None, after: Any = None,
) -> None:  # fmt: skip
    """Write down who changed what; of two records only what differs."""
    uow.audit(audited(by, at, action, record, record_id, before, after))


def given(record: Any) -> dict[str, Any]:
    """Give what a new record says, for the log: the fields that are not as they are by default."""
    found = _shown(record) or {}
    return {n: v for n, v in found.items() if v != specs(type(record))[n].default}


def _differences(before: Any, after: Any) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    left, right = _shown(before), _shown(after)
    if left is None or right is None:
        return left, right
    names = [n for n in {**left, **right} if left.get(n) != right.get(n)]
    return {n: left.get(n) for n in names}, {n: right.get(n) for n in names}


def _shown(record: Any) -> dict[str, Any] | None:
    """Give a record's fields as they may be written down; contact data and secrets stay out."""
    if record is None or isinstance(record, dict):
        return record
    found = {}
    for name, spec in specs(type(record)).items():
        value = getattr(record, name)
        hidden = spec.secret or spec.contact
        found[name] = "•••" if hidden and value is not None else value
    return found
