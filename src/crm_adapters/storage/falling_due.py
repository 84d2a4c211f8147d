"""Who falls due: what a sweep releases, and whom owners are warned and reminded of before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from crm_adapters.storage.rows import mapper
from crm_adapters.storage.session import Session
from crm_adapters.storage.tables import LINKS, assignment, customer, ownership
from crm_domain.model import AssignmentStatus, Customer, PoolRule
from crm_domain.ports import Ended, Expiring, Losing, Released
from crm_domain.rules.pool import NEVER, RELEASED, Lapse, Lapses

NAMED = 5
"""So many customers of each owner are named when they are released, or are to be contacted."""


def _fits(rule: PoolRule) -> sa.ColumnElement[bool]:
    """Choose the customers of whom every condition of a pool rule is true."""
    link = LINKS["Customer", "courses"].c
    found: list[sa.ColumnElement[bool]] = [sa.true()]
    for column in (customer.c.school_id, customer.c.source, ownership.c.intention):
        wanted = getattr(rule, column.name)
        found += [] if wanted is None else [column == wanted]
    if rule.course_id is not None:
        has = sa.exists().where(link.left_id == customer.c.id, link.right_id == rule.course_id)
        found.append(has)
    return sa.and_(*found)


def _lapsed(one: Lapse) -> sa.ColumnElement[bool]:
    o = ownership.c
    contacted = sa.func.coalesce(o.last_contacted_at, o.received_at)
    return sa.or_(*(
        sa.and_(at < end, sa.or_(o.dated_anew_at.is_(None), o.dated_anew_at < end))
        for at, end in ((o.received_at, sa.literal(one.received_before, o.received_at.type)),
                        (contacted, sa.literal(one.contacted_before, o.received_at.type)))
    ))  # fmt: skip


class SqlFallingDue:
    """Implements the port ``FallingDue``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def _overdue(self, today: date) -> list[sa.ColumnElement[bool]]:
        return [ownership.c.owner_id.is_not(None), ownership.c.due_on <= today]

    def overdue(self, today: date, limit: int) -> tuple[Ended, ...]:
        """List whom a sweep would release, without changing anything."""
        o = ownership.c
        chosen = (
            sa.select(o.customer_id, customer.c.name, o.owner_id, o.assignment_id, o.due_status,
                      o.due_days)
            .join(customer, customer.c.id == o.customer_id)
            .where(*self._overdue(today))
            .order_by(o.owner_id, o.customer_id)
            .limit(limit)
        )  # fmt: skip
        return tuple(_ended(r) for r in self._session.run(chosen))

    def overdue_counts(self, today: date) -> dict[tuple[int, int], int]:
        """Count whom a sweep would release, by owner and by the status they would get."""
        o = ownership.c
        chosen = sa.select(o.owner_id, o.due_status, sa.func.count()).where(*self._overdue(today))
        rows = self._session.run(chosen.group_by(o.owner_id, o.due_status).order_by(o.owner_id))
        return {(owner, status): n for owner, status, n in rows}

    def lapsing(self, lapses: Lapses, today: date) -> int:
        """Count the customers, owned and private, whom other rules would make public on a day."""
        o = ownership.c
        kept = sa.and_(o.payment_pending_on.is_not(None),
                       o.payment_pending_on >= lapses.pending_before)  # fmt: skip
        lapsed = sa.case(*((_fits(one.rule), _lapsed(one)) for one in lapses.rules))
        chosen = (
            sa.select(sa.func.count())
            .select_from(mapper(Customer).source)
            .where(o.owner_id.is_not(None), o.due_on > today, o.due_on < NEVER, sa.not_(kept),
                   sa.or_(o.received_at.is_(None), lapsed))
        )  # fmt: skip
        return int(self._session.run(chosen).scalar_one())

    def owned_count(self) -> int:
        """Count the customers that somebody owns and has not won."""
        o = ownership.c
        chosen = sa.select(sa.func.count()).where(
            o.owner_id.is_not(None), o.status == "not_enrolled"
        )
        return int(self._session.run(chosen).scalar_one())

    def sweep(
        self, today: date, at: datetime, limit: int, *, from_owner: int = 0,
        to_owner: int | None = None,
    ) -> tuple[Released, ...]:  # fmt: skip
        """Release overdue customers by set, owner by owner; nobody waits for those others hold."""
        o = ownership.c
        order = (o.owner_id, o.due_on, o.customer_id)
        chosen = (
            sa.select(o.customer_id, o.owner_id, o.assignment_id, o.due_status, o.due_days,
                      o.last_contacted_at)
            .where(o.owner_id >= from_owner, o.due_on <= today)
            .order_by(*order)
            .limit(limit)
        )  # fmt: skip
        if to_owner is not None:
            chosen = chosen.where(o.owner_id <= to_owner)
        release = self._release_locked if self._session.on_sqlite else self._release_locking
        groups: dict[int, list[Any]] = {}
        for owner, *group in release(chosen, at):
            groups.setdefault(owner, []).append(group)
        some = {who: [n for g in these for n in g[3]][:NAMED] for who, these in groups.items()}
        names = self._names([number for numbers in some.values() for number in numbers])
        return tuple(
            Released(
                owner_id=owner, by_status={status: n for status, n, _, _ in these},
                first_id=min(first for _, _, first, _ in these),
                names=tuple(names[number] for number in some[owner]),
            )
            for owner, these in groups.items()
        )  # fmt: skip

    def _names(self, ids: Sequence[int]) -> dict[int, str]:
        c = customer.c
        rows = self._session.run(sa.select(c.id, c.name).where(self._session.among(c.id, ids)))
        return {number: name for number, name in rows}  # noqa: C416 - a row is no pair to mypy

    def _release_locking(self, chosen: sa.Select[Any], at: datetime) -> Iterable[Any]:
        """Lock, end and release in one statement."""
        o, a = ownership.c, assignment.c
        held = chosen.with_for_update(skip_locked=True).cte("held")
        # In the order in which the rows lie on the disk; owner by owner each page is read often.
        due = sa.select(held).order_by(held.c.customer_id).cte("due")
        ended = (
            sa.update(assignment).where(a.id == due.c.assignment_id)
            .values(status=due.c.due_status, limit_days=due.c.due_days,
                    ended_at=sa.func.greatest(due.c.last_contacted_at, at))
        ).cte("ended")  # fmt: skip
        freed = (
            sa.update(ownership).where(o.customer_id == due.c.customer_id).values(**RELEASED)
        ).cte("freed")  # fmt: skip
        some = sa.func.array_agg(due.c.customer_id)
        counted = (
            sa.select(
                due.c.owner_id,
                due.c.due_status,
                sa.func.count(),
                sa.func.min(due.c.assignment_id),
                sa.type_coerce(some, ARRAY(sa.BigInteger))[1:NAMED],
            )
            .group_by(due.c.owner_id, due.c.due_status)
            .order_by(due.c.owner_id, due.c.due_status)
        )
        # Left to itself the planner reads both tables through for each batch.
        self._session.run(sa.text("SET LOCAL enable_hashjoin = off"))
        self._session.run(sa.text("SET LOCAL enable_mergejoin = off"))
        return list(self._session.run(counted.add_cte(ended, freed)))

    def _release_locked(self, chosen: sa.Select[Any], at: datetime) -> Iterable[Any]:
        """Count, end and release one after the other: the writer is alone."""
        o, a = ownership.c, assignment.c
        due = chosen.subquery()
        ids = sa.func.json_group_array(due.c.customer_id)
        counted = sa.select(
            due.c.owner_id, due.c.due_status, sa.func.count(), sa.func.min(due.c.assignment_id), ids
        ).group_by(due.c.owner_id, due.c.due_status)
        groups = [(*row[:4], json.loads(row[4])) for row in self._session.run(counted)]
        these = self._session.among(o.customer_id, sorted(n for g in groups for n in g[4]))
        now = sa.literal(at, type_=a.ended_at.type)
        self._session.run(
            sa.update(assignment).where(a.id == o.assignment_id, these)
            .values(status=o.due_status, limit_days=o.due_days,
                    ended_at=sa.func.max(o.last_contacted_at, now))
        )  # fmt: skip
        self._session.run(sa.update(ownership).where(these).values(**RELEASED))
        return groups

    # -- warnings and reminders ----------------------------------------------------------------

    def expiring(
        self, today: date, most: int, *, after_owner: int, owners: int
    ) -> tuple[Losing, ...]:  # fmt: skip
        """Tell some owners what they will lose: what is to be warned of and not yet public."""
        o = ownership.c
        soon = (o.warn_on <= today, o.due_on > today, o.owner_id > after_owner)
        next_ones = sa.select(o.owner_id).where(*soon).distinct().order_by(o.owner_id).limit(owners)
        place = sa.func.row_number().over(
            partition_by=o.owner_id, order_by=(o.due_on, o.customer_id)
        )
        many = sa.func.count().over(partition_by=o.owner_id)
        ranked = (
            sa.select(o.owner_id, o.customer_id, o.assignment_id, o.due_on, o.due_status,
                      place.label("place"), many.label("many"))
            .where(*soon, o.owner_id.in_(next_ones))
            .subquery()
        )  # fmt: skip
        few = (
            sa.select(ranked, customer.c.name)
            .join(customer, customer.c.id == ranked.c.customer_id)
            .where(ranked.c.place <= most)
            .order_by(ranked.c.owner_id, ranked.c.place)
        )
        found: dict[int, list[Any]] = {}
        for row in self._session.run(few):
            found.setdefault(row.owner_id, []).append(row)
        return tuple(
            Losing(owner_id=owner, count=rows[0].many, first=tuple(_expiring(r) for r in rows))
            for owner, rows in found.items()
        )

    def to_contact(self, before: datetime, today: date) -> dict[int, tuple[int, tuple[str, ...]]]:
        """Find whom owners meant to contact before a moment, and have not."""
        o = ownership.c
        place = sa.func.row_number().over(
            partition_by=o.owner_id, order_by=(o.next_contact_at, o.customer_id)
        )
        many = sa.func.count().over(partition_by=o.owner_id)
        due = (
            sa.select(o.owner_id, customer.c.name, place.label("place"), many.label("many"))
            .join(customer, customer.c.id == o.customer_id)
            .where(o.owner_id.is_not(None), o.next_contact_at < before, o.due_on > today,
                   o.last_contacted_at < o.next_contact_at)
            .subquery()
        )  # fmt: skip
        few = sa.select(due).where(due.c.place <= NAMED).order_by(due.c.owner_id, due.c.place)
        found: dict[int, tuple[int, tuple[str, ...]]] = {}
        for row in self._session.run(few):
            _, names = found.get(row.owner_id, (0, ()))
            found[row.owner_id] = row.many, (*names, row.name)
        return found


def _ended(row: Any) -> Ended:
    return Ended(
        customer_id=row.customer_id, customer_name=row.name, consultant_id=row.owner_id,
        assignment_id=row.assignment_id, status=AssignmentStatus(row.due_status),
        limit_days=row.due_days,
    )  # fmt: skip


def _expiring(row: Any) -> Expiring:
    return Expiring(
        customer_id=row.customer_id, customer_name=row.name, assignment_id=row.assignment_id,
        due_on=row.due_on, status=AssignmentStatus(row.due_status),
    )  # fmt: skip
