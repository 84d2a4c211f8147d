"""The work with customers: assignments, follow-ups and payments, listed and counted by reach."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, TypeVar

import attrs
import sqlalchemy as sa

from crm_adapters.storage import types
from crm_adapters.storage.counting import Countable, fields_of, tallied
from crm_adapters.storage.directory import within
from crm_adapters.storage.listing import any_of, holding, narrowed, paged
from crm_adapters.storage.pages import held_within
from crm_adapters.storage.rows import Mapper, mapper
from crm_adapters.storage.session import Session
from crm_adapters.storage.tables import (
    assignment,
    audit_entry,
    follow_up,
    notice,
    ownership,
    payment,
)
from crm_domain.model import (
    INCOME,
    LOST,
    PROMISING,
    Assignment,
    AssignmentMethod,
    AssignmentStatus,
    FollowUp,
    HappeningKind,
    Payment,
    PaymentStatus,
    Scope,
    Spec,
    Stage,
)
from crm_domain.ports import (
    MOST,
    STAGE,
    TOLD_OTHERWISE,
    Counted,
    Ends,
    Happening,
    Now,
    Page,
    Period,
    Query,
    Reach,
    Tally,
)

T = TypeVar("T", Assignment, FollowUp, Payment)
_TABLES = {Assignment: assignment, FollowUp: follow_up, Payment: payment}
_STAGE = Spec(kind="choice", zh="阶段", en="Stage", name=STAGE, type=Stage, default=None)
_KINDS = tuple(HappeningKind)


def _stage() -> Any:
    """Tell how far a customer came in the time of an assignment."""
    a, f, p = assignment.c, follow_up.c, payment.c
    said = sa.exists().where(f.customer_id == a.customer_id, f.assignment_id == a.id)
    paid = sa.exists().where(
        p.customer_id == a.customer_id, p.status != PaymentStatus.REJECTED, p.kind.in_(INCOME),
        p.created_at >= a.started_at, sa.or_(a.ended_at.is_(None), p.created_at <= a.ended_at),
    )  # fmt: skip
    found = sa.case(
        (a.status == AssignmentStatus.WON, Stage.WON.value),
        (paid, Stage.PAYING.value),
        (said.where(f.intention.in_(PROMISING)), Stage.PROMISING.value),
        (said, Stage.CONTACTED.value),
        else_=Stage.RECEIVED.value,
    )
    return sa.type_coerce(found, types.Coded(Stage))


def _ended(now: Now) -> Mapper[Assignment]:
    """Read assignments as people see them: one that fell due has ended before any sweep."""
    m, a, o = mapper(Assignment), assignment.c, ownership.c
    overdue = sa.and_(a.status == AssignmentStatus.FOLLOWING, o.due_on <= now.today)
    seen = {
        "status": sa.type_coerce(o.due_status, a.status.type),
        "ended_at": sa.literal(now.midnight, a.ended_at.type),
        "limit_days": o.due_days,
    }
    read = tuple(
        sa.case((overdue, seen[n]), else_=column) if n in seen else column
        for n, column in zip(m.names, m.read, strict=True)
    )
    source = assignment.join(ownership, o.customer_id == a.customer_id)
    return attrs.evolve(m, read=read, source=source)


def _said(reach: Reach, now: Now) -> Mapper[FollowUp]:
    """Read follow-ups; of a customer out of reach nobody reads what was said."""
    m, f = mapper(FollowUp), follow_up.c
    if reach.scope is Scope.ALL:
        return m
    held = sa.and_(*held_within(reach, now.today))
    seen = {
        "note": sa.case((held, f.note), else_=""),
        "intention": sa.case((held, f.intention)),
        "next_contact_at": sa.case((held, f.next_contact_at)),
    }
    read = tuple(seen.get(n, column) for n, column in zip(m.names, m.read, strict=True))
    source = follow_up.join(ownership, ownership.c.customer_id == f.customer_id)
    return attrs.evolve(m, read=read, source=source)


class SqlWork:
    """Implements the port ``Work``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    # -- lists -------------------------------------------------------------------------------

    def page(self, cls: type[T], query: Query, reach: Reach, now: Now) -> Page[T]:
        """Read one page, the newest first."""
        m, chosen, rest = self._choose(cls, query, reach, now)
        return paged(self._session, m, chosen, rest, chosen=True)

    def tally(self, cls: type[Any], query: Query, reach: Reach, now: Now, facets: Sequence[str], *,
              most: int = MOST) -> Tally:  # fmt: skip
        """Count what `page` would give."""

        def choose(query: Query) -> Countable:
            m, chosen, _ = self._choose(cls, query, reach, now)
            plain = fields_of(m)

            def field(name: str) -> tuple[Spec, Any]:
                staged = name == STAGE and cls is Assignment
                return (_STAGE, _stage()) if staged else plain(name)

            return Countable(chosen, m.column("id"), field)

        return tallied(self._session, choose, query, facets, most)

    def _choose(
        self, cls: type[Any], query: Query, reach: Reach, now: Now
    ) -> tuple[Mapper[Any], sa.Select[Any], Query]:
        """Choose what somebody may see and asks for."""
        m: Mapper[Any] = mapper(cls)
        if cls is Assignment:
            m = _ended(now)
        elif cls is FollowUp:
            m = _said(reach, now)
        chosen = m.select()
        if reach.scope is not Scope.ALL:
            chosen = chosen.where(_TABLES[cls].c.consultant_id.in_(within(reach)))
        if cls is Assignment and STAGE in query.where:
            chosen = chosen.where(any_of(_stage(), _STAGE, query.where[STAGE]))
            rest = {n: wish for n, wish in query.where.items() if n != STAGE}
            query = attrs.evolve(query, where=rest)
        if query.search and query.search.strip():
            chosen = chosen.where(holding(self._session, m, query.search))
        return m, narrowed(m, chosen, query, searched=True), query

    # -- counts ------------------------------------------------------------------------------

    def funnel(self, reach: Reach, period: Period) -> dict[Stage, int]:
        """Count the assignments that began in a period, by how far each came."""
        a = assignment.c
        begun = sa.select(_stage().label("stage")).where(
            a.consultant_id.in_(within(reach)), a.started_at.between(*period.ends)
        )
        found = begun.subquery()
        rows = self._session.run(
            sa.select(found.c.stage, sa.func.count()).group_by(found.c.stage)
        )  # fmt: skip
        return {stage: many for stage, many in rows}  # noqa: C416 - a row is no pair to mypy

    def team(self, reach: Reach, period: Period, now: Now, *, contact_by: datetime,
             expiring_on: date, ages: Sequence[Ends] = ()) -> dict[int, Counted]:  # fmt: skip
        """Count what the consultants within a reach own, and did in a period."""
        parts = [self._owned(reach, now, contact_by, expiring_on, ages),
                 self._begun(reach, period), self._over(reach, period),
                 self._contacts(reach, period), self._turnover(reach, period)]  # fmt: skip
        if period.since <= now.midnight <= period.until:
            parts.append(self._overdue(reach, now))
        found: dict[int, dict[str, Any]] = {}
        for part in parts:
            for row in self._session.run(part):
                number, *_ = row
                counts = found.setdefault(number, {})
                for name, many in row._mapping.items():
                    if name != "who" and many is not None:
                        counts[name] = counts.get(name, 0) + many
        names = [f"age_{i}" for i in range(len(ages))]
        return {
            number: Counted(ages=tuple(counts.pop(n, 0) for n in names), **counts)
            for number, counts in found.items()
        }

    def _owned(
        self, reach: Reach, now: Now, contact_by: datetime, expiring_on: date, ages: Sequence[Ends]
    ) -> Any:
        o = ownership.c
        return (
            sa.select(o.owner_id.label("who"), sa.func.count().label("owned"),
                      _many(o.next_contact_at <= contact_by, "due"),
                      _many(o.due_on <= expiring_on, "expiring"),
                      *(_many(_within(o.last_contacted_at, ends), f"age_{i}")
                        for i, ends in enumerate(ages)))
            .where(o.owner_id.in_(within(reach)), o.due_on > now.today)
            .group_by(o.owner_id)
        )  # fmt: skip

    def _begun(self, reach: Reach, period: Period) -> Any:
        a = assignment.c
        return (
            sa.select(a.consultant_id.label("who"), sa.func.count().label("received"),
                      _many(a.status == AssignmentStatus.WON, "converted"),
                      _many(a.method == AssignmentMethod.CLAIM, "claimed"))
            .where(a.consultant_id.in_(within(reach)), a.started_at.between(*period.ends))
            .group_by(a.consultant_id)
        )  # fmt: skip

    def _over(self, reach: Reach, period: Period) -> Any:
        a = assignment.c
        return (
            sa.select(a.consultant_id.label("who"), _many(a.status.in_(LOST), "lost"),
                      _many(a.status == AssignmentStatus.WON, "won"))
            .where(a.consultant_id.in_(within(reach)), a.ended_at.between(*period.ends))
            .group_by(a.consultant_id)
        )  # fmt: skip

    def _overdue(self, reach: Reach, now: Now) -> Any:
        o = ownership.c
        return (
            sa.select(o.owner_id.label("who"), sa.func.count().label("lost"))
            .where(o.owner_id.in_(within(reach)), o.due_on <= now.today)
            .group_by(o.owner_id)
        )  # fmt: skip

    def _contacts(self, reach: Reach, period: Period) -> Any:
        f = follow_up.c
        return (
            sa.select(f.consultant_id.label("who"), sa.func.count().label("follow_ups"))
            .where(f.consultant_id.in_(within(reach)), f.at.between(*period.ends))
            .group_by(f.consultant_id)
        )  # fmt: skip

    def _turnover(self, reach: Reach, period: Period) -> Any:
        p = payment.c
        return (
            sa.select(p.consultant_id.label("who"), sa.func.sum(p.turnover).label("turnover"))
            .where(p.consultant_id.in_(within(reach)), p.confirmed_at.between(*period.ends),
                   p.status == PaymentStatus.CONFIRMED, p.kind.in_(INCOME))
            .group_by(p.consultant_id)
        )  # fmt: skip

    # -- one customer ------------------------------------------------------------------------

    def happenings(
        self, customer_id: int, kinds: Sequence[HappeningKind], ended_at: datetime | None,
        period: tuple[datetime | None, datetime | None], limit: int,
        before: tuple[datetime, HappeningKind, int] | None,
    ) -> tuple[Happening, ...]:  # fmt: skip
        """Read what happened with a customer, the newest first."""
        arms = [
            sa.select(at.label("at"), sa.literal(_KINDS.index(kind)).label("kind"),
                      table.c.id.label("number")).where(chosen)
            for kind, table, at, chosen in _arms(customer_id, ended_at)
            if kind in kinds
        ]  # fmt: skip
        if not arms:
            return ()
        all_of_it = sa.union_all(*arms).subquery()
        at, kind, number = all_of_it.c
        statement = sa.select(all_of_it).where(at.is_not(None))
        low, high = period
        if low is not None:
            statement = statement.where(at >= low)
        if high is not None:
            statement = statement.where(at <= high)
        if before is not None:
            place = (sa.literal(before[0], at.type), _KINDS.index(before[1]), before[2])
            statement = statement.where(sa.tuple_(at, kind, number) < sa.tuple_(*place))
        statement = statement.order_by(at.desc(), kind.desc(), number.desc()).limit(limit)
        return tuple(
            Happening(at=row.at, kind=_KINDS[row.kind], number=row.number)
            for row in self._session.run(statement)
        )


def _within(column: Any, ends: Ends) -> sa.ColumnElement[bool]:
    low, high = ends
    return sa.and_(
        sa.true(), *([] if low is None else [column >= low]),
        *([] if high is None else [column <= high]),
    )  # fmt: skip


def _many(condition: Any, name: str) -> Any:
    return sa.func.count(sa.case((condition, 1))).label(name)


def _arms(customer_id: int, ended_at: datetime | None) -> list[tuple[HappeningKind, Any, Any, Any]]:
    """Tell, by kind, the table, the moment and the rows of one customer."""
    a, e, kinds = assignment.c, audit_entry.c, HappeningKind
    theirs = a.customer_id == customer_id
    paid = payment.c.customer_id == customer_id
    ended: Any = a.ended_at
    if ended_at is not None:
        ended = sa.case((a.status != AssignmentStatus.FOLLOWING, ended),
                        else_=sa.literal(ended_at, ended.type))  # fmt: skip
    return [
        (kinds.FOLLOW_UP, follow_up, follow_up.c.at, follow_up.c.customer_id == customer_id),
        (kinds.BEGUN, assignment, a.started_at, theirs),
        (kinds.ENDED, assignment, ended, theirs),
        (kinds.PAID, payment, payment.c.created_at, paid),
        (kinds.SETTLED, payment, payment.c.confirmed_at, paid),
        (kinds.NOTICE, notice, notice.c.created_at, notice.c.about == f"customer:{customer_id}"),
        (kinds.CHANGE, audit_entry, e.at,
         sa.and_(e.record == "Customer", e.record_id == customer_id,
                 e.action.not_in(TOLD_OTHERWISE))),
    ]  # fmt: skip
