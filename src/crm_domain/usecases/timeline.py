"""What happened with one customer, in one stream: the page of a customer shows it."""

from __future__ import annotations

import base64
import json
from collections.abc import Container, Sequence
from datetime import datetime
from typing import Any

import attrs

from crm_domain.errors import FieldError, Invalid, NotFound
from crm_domain.model import (
    Assignment,
    AuditEntry,
    Customer,
    FollowUp,
    HappeningKind,
    Notice,
    Payment,
    specs,
)
from crm_domain.model.fields import changed
from crm_domain.parsing import Unreadable, choice_value, moment_value, quoted, record_number
from crm_domain.ports import Crm, Happening, Page, Query, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.rules.pool import is_public
from crm_domain.usecases._common import may_read, people, start_of_day

KINDS = tuple(HappeningKind)
_BY_CODE = {str(kind): kind for kind in KINDS}
RECORDS: dict[HappeningKind, type[Any]] = {
    HappeningKind.FOLLOW_UP: FollowUp, HappeningKind.BEGUN: Assignment,
    HappeningKind.ENDED: Assignment, HappeningKind.PAID: Payment,
    HappeningKind.SETTLED: Payment, HappeningKind.NOTICE: Notice,
    HappeningKind.CHANGE: AuditEntry,
}  # fmt: skip
"""The record that tells of each kind."""
_CONTACTS = frozenset(n for n, s in specs(Customer).items() if s.contact)


@attrs.frozen(kw_only=True)
class TimelineEvent:
    """One thing that happened."""

    kind: HappeningKind
    at: datetime
    record: FollowUp | Assignment | Payment | Notice | AuditEntry
    """What tells of it. Of a change, ``before`` and ``after`` by field, never contact data."""
    by_name: str | None
    """Who did it: the consultant of a follow-up, otherwise who acted; None is the program."""
    person_name: str | None = None
    """Whom it concerns: the consultant of an assignment or a payment, who got a notice."""


def timeline(
    crm: Crm, customer_id: int, query: Query | None = None, *, by: Principal
) -> Page[TimelineEvent]:
    """Read what happened with a customer within one's reach, the newest first.

    Args:
        crm: The CRM.
        customer_id: The customer.
        query: May filter by ``kind`` (`HappeningKind`) and by a range of ``at``.
        by: Who asks; needs ``customer:view``.

    Raises:
        Invalid: The query names what is not there.
        NotFound: There is no such customer within one's reach.
        NotPermitted: Without the permission.
    """
    by.need("customer:view")
    query = query or Query()
    kinds, period, before = _kinds(query), _period(query), _place(query.after)
    with crm.unit_of_work(read_only=True) as uow:
        known = record_number(customer_id) is not None
        customer = uow.customers.get(customer_id) if known else None
        today = crm.today()
        if customer is None or not may_read(uow, customer, by, today):
            raise NotFound(what="客户", id=quoted(customer_id))
        # Who fell due counts as ended from that midnight on, whether a sweep has run or not.
        overdue = customer.owner_id is not None and is_public(customer, today)
        found = uow.work.happenings(
            customer_id, kinds, start_of_day(crm, customer.due_on) if overdue else None, period,
            query.limit + 1, before,
        )  # fmt: skip
        # Of a public customer nobody reads what was noted, but those who give it away.
        masks = is_public(customer, today) and not by.reads_hidden
        hidden = crm.settings.hidden_in_pool if masks else _CONTACTS
        events = _told(uow, found[: query.limit], hidden)
    more = len(found) > query.limit
    return Page(items=events, next=_mark(found[query.limit - 1]) if more else None)


def _refuse(name: str, zh: str, en: str) -> Invalid:
    return Invalid([FieldError(name, "bad_query", None, zh, en)])


def _kinds(query: Query) -> tuple[HappeningKind, ...]:
    for name in sorted(({*query.where} - {"kind"}) | ({*query.ranges} - {"at"})):
        raise _refuse(name, f"此列表不能按“{name}”筛选", f"this list is not filtered by {name}")
    if query.search or query.sort:
        raise _refuse("sort", "此列表有固定的顺序，不支持搜索",
                      "this list has an order of its own, and no search")  # fmt: skip
    wish = query.where.get("kind", KINDS)
    wishes = wish if isinstance(wish, list | tuple | set | frozenset) else [wish]
    try:
        found = [choice_value(HappeningKind, w) for w in wishes]
    except Unreadable as e:
        raise _refuse(
            "kind", f"没有类型“{quoted(wish)}”", f"there is no kind {quoted(wish)}"
        ) from e
    return tuple(k for k in KINDS if k in found)


def _period(query: Query) -> tuple[datetime | None, datetime | None]:
    low, high = query.ranges.get("at", (None, None))
    try:
        return moment_value(low), moment_value(high)
    except Unreadable as e:
        raise _refuse("at", f"时间{e.zh}", f"the range of at {e.en}") from e


def _mark(last: Happening) -> str:
    text = json.dumps([last.at.isoformat(), last.kind.value, last.number])
    return base64.urlsafe_b64encode(text.encode()).decode()


def _place(after: str | None) -> tuple[datetime, HappeningKind, int] | None:
    if after is None:
        return None
    try:
        at, kind, number = json.loads(base64.urlsafe_b64decode(after.encode()))
        place = datetime.fromisoformat(at), _BY_CODE[kind], record_number(number)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as e:
        raise _refuse("after", "翻页标记无效", "the page mark is not valid") from e
    if place[0].tzinfo is None or place[2] is None:
        raise _refuse("after", "翻页标记无效", "the page mark is not valid")
    return place[0], place[1], place[2]


def _told(
    uow: UnitOfWork, found: Sequence[Happening], hidden: Container[str]
) -> tuple[TimelineEvent, ...]:
    """Read the records that tell of it, each kind by one statement, and the names of people."""
    wanted: dict[type[Any], set[int]] = {}
    for one in found:
        wanted.setdefault(RECORDS[one.kind], set()).add(one.number)
    records = {cls: {r.id: r for r in uow.records.among(cls, sorted(ids))}
               for cls, ids in wanted.items()}  # fmt: skip
    told = [(one, records[RECORDS[one.kind]][one.number]) for one in found]
    acting = [_acting(one.kind, record) for one, record in told]
    concerned = [_concerned(record) for _, record in told]
    employees = {a for a, _ in acting} | {*concerned}
    staff, accounts = people(uow, employees, {u for _, u in acting})
    return tuple(
        TimelineEvent(
            kind=one.kind, at=one.at, record=_shown(record, hidden),
            by_name=staff.get(employee or 0) or accounts.get(user or 0),
            person_name=staff.get(person or 0),
        )
        for (one, record), (employee, user), person in zip(told, acting, concerned, strict=True)
    )  # fmt: skip


def _acting(kind: HappeningKind, record: Any) -> tuple[int | None, int | None]:
    """Tell who did it: an employee, or an account."""
    if kind is HappeningKind.FOLLOW_UP:
        return record.consultant_id, None
    if kind is HappeningKind.SETTLED:
        return None, record.confirmed_by_id
    if kind in (HappeningKind.BEGUN, HappeningKind.CHANGE):
        return None, record.by_id
    return None, None


def _concerned(record: Any) -> int | None:
    if isinstance(record, Notice):
        return record.recipient_id
    return getattr(record, "consultant_id", None)


def _shown(record: Any, hidden: Container[str]) -> Any:
    if isinstance(record, AuditEntry):
        return changed(
            record, before=_masked(record.before, hidden), after=_masked(record.after, hidden)
        )
    return record


def _masked(values: dict[str, Any] | None, hidden: Container[str]) -> dict[str, Any] | None:
    """Hide some fields: contact data, should anybody ever have written some down, and more."""
    if values is None:
        return None
    return {n: "•••" if n in hidden and v is not None else v for n, v in values.items()}
