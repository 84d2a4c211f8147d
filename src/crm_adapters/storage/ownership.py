"""Who owns a customer. Every change meets on the one narrow row of ``ownership``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from operator import attrgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from crm_adapters.storage.directory import active_employees
from crm_adapters.storage.rows import mapper
from crm_adapters.storage.session import Session
from crm_adapters.storage.tables import LINKS, TABLES, assignment, customer, ownership
from crm_domain.model import Assignment, AssignmentStatus, Customer, PoolRule, specs
from crm_domain.parsing import record_number
from crm_domain.ports import Closing, Ended, Expiring, Losing, NewAssignment, Released, Standing
from crm_domain.rules.pool import ALWAYS, NEVER, Lapse, Lapses

HOT = tuple(s.name for s in specs(Customer).values() if s.hot)
_HELD = HOT.index("assignment_id")
DUE = ("due_on", "due_status", "due_days", "warn_on")
NAMED = 5
"""So many customers of each owner are named when they are released."""
_WRITTEN = mapper(Assignment).write
POOLED: dict[str, Any] = {
    "owner_id": None, "received_at": None, "last_contacted_at": None, "next_contact_at": None,
    "dated_anew_at": None, "due_on": ALWAYS, "due_status": None, "due_days": None, "warn_on": None,
}  # fmt: skip
"""The ownership of a customer that was released, as far as it changes."""


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


def _lock_one(_: bool) -> Any:
    o = ownership.c
    chosen = sa.select(o.customer_id).where(
        o.customer_id == sa.bindparam("id", type_=o.owner_id.type)
    )
    return chosen.with_for_update()


def _standing(_: bool) -> Any:
    o = ownership.c
    return _standings().where(o.customer_id == sa.bindparam("id", type_=o.customer_id.type))


def _standings() -> Any:
    o, a, owner = ownership.c, assignment.c, TABLES["Employee"].alias("owner")
    claimant = TABLES["Employee"].alias("claimant")
    number = sa.bindparam("employee", type_=claimant.c.id.type)
    m = mapper(Customer)
    active = active_employees("customer:claim").where(TABLES["Employee"].c.id == number).exists()
    return sa.select(
        *m.read, owner.c.name, a.ended_at, a.method, active, claimant.c.left_on
    ).select_from(
        m.source.join(claimant, claimant.c.id == number)
        .outerjoin(owner, owner.c.id == o.owner_id)
        .outerjoin(assignment, a.id == o.assignment_id)
    )


def _several(on_sqlite: bool) -> Any:
    number = ownership.c.customer_id
    ids: Any = sa.any_(sa.bindparam("ids", type_=ARRAY(number.type)))
    if on_sqlite:
        listed = sa.func.json_each(sa.bindparam("ids", type_=sa.Text)).table_valued("value")
        return _standings().where(number.in_(sa.select(listed.c.value)))
    return _standings().where(number == ids)


def _stands(row: Sequence[Any]) -> Standing:
    m = mapper(Customer)
    owner_name, last_ended_at, method, active, left_on = row[len(m.names) :]
    return Standing(
        customer=Customer(**dict(zip(m.names, row, strict=False))), owner_name=owner_name,
        last_ended_at=last_ended_at, method=method, active=bool(active), left_on=left_on,
    )  # fmt: skip


def _win(on_sqlite: bool) -> Any:
    o = ownership.c
    values: dict[str, Any] = {name: sa.bindparam(f"new_{name}", type_=o[name].type) for name in HOT}
    if not on_sqlite:
        values["assignment_id"] = sa.func.nextval("assignment_id_seq")
    expected = sa.bindparam("expected", type_=o.assignment_id.type)
    return (
        sa.update(ownership)
        .where(
            o.customer_id == sa.bindparam("id", type_=o.customer_id.type),
            o.due_on <= sa.bindparam("today", type_=o.due_on.type),
            o.assignment_id.is_not_distinct_from(expected),
        )
        .values(values)
        .returning(o.assignment_id)
    )


_hot: Callable[[Customer], tuple[Any, ...]] = attrgetter(*HOT)


def _assignment(new: NewAssignment, number: int) -> tuple[Any, ...]:
    return mapper(Assignment).values(new.made(number))


class SqlOwnership:
    """The part of the port ``Customers`` that is about ownership."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def _hold(self, chosen: sa.Select[Any]) -> list[int]:
        """Lock the ownership of some customers, given by number; read them afterwards.

        One statement that locks and reads would give, after it waited, the owner of now and the
        name of before. SQLite has one writer, who need not lock.
        """
        return list(self._session.run(chosen.with_for_update()).scalars())

    def publish(self, customers: Sequence[Customer]) -> None:
        """Write the ownership of new customers that nobody owns yet."""
        self._insert([(*_hot(c), c.id) for c in customers])

    def _insert(self, rows: list[tuple[Any, ...]]) -> None:
        if len(rows) == 1:
            self._session.later(ownership, (*HOT, "customer_id"), rows[0])
        else:
            self._session.insert(ownership, (*HOT, "customer_id"), rows)

    def open(self, new: Sequence[NewAssignment], *, fresh: bool = False) -> tuple[int, ...]:
        """Begin periods of ownership and make their consultants the owners."""
        ids = self._session.next_ids(assignment, len(new)) if new else []
        rows = [_assignment(n, i) for n, i in zip(new, ids, strict=True)]
        if len(rows) == 1:
            self._session.later(assignment, _WRITTEN, rows[0])
        else:
            self._session.insert(assignment, _WRITTEN, rows)
        owned = []
        for one, number in zip((n.customer for n in new), ids, strict=True):
            hot = list(_hot(one))
            hot[_HELD] = number
            owned.append((*hot, one.id))
        if fresh:
            self._insert(owned)
        else:
            self._session.update(ownership, "customer_id", HOT, owned)
        return tuple(ids)

    def standing(self, id: int, employee_id: int, *, lock: bool) -> Standing | None:
        """Read all that decides whether an employee may claim a customer; None without either."""
        if record_number(id) is None:
            return None
        if lock and not self._session.on_sqlite:
            self._session.rows(_lock_one, id=id)
        rows = self._session.rows(_standing, id=id, employee=employee_id)
        return next(map(_stands, rows), None)

    def standings(self, ids: Sequence[int], employee_id: int) -> tuple[Standing, ...]:
        """Read the same of several customers by one statement, without locking them."""
        given = json.dumps(list(ids)) if self._session.on_sqlite else list(ids)
        rows = self._session.rows(_several, ids=given, employee=employee_id)
        return tuple(map(_stands, rows))

    def win(self, new: NewAssignment, expected: Customer, today: date) -> int | None:
        """Make a public customer the claimant's in one conditional statement."""
        one = new.customer
        values = {f"new_{name}": getattr(one, name) for name in HOT}
        if self._session.on_sqlite:
            [values["new_assignment_id"]] = self._session.next_ids(assignment, 1)
        won = self._session.rows(
            _win, id=one.id, today=today, expected=expected.assignment_id, **values
        )
        for (number,) in won:
            self._session.later(assignment, _WRITTEN, _assignment(new, number))
            return int(number)
        return None

    def close(self, *endings: Closing) -> None:
        """End assignments."""
        rows = [(e.status, e.at, e.limit_days, e.assignment_id) for e in endings]
        self._session.update(assignment, "id", ("status", "ended_at", "limit_days"), rows)

    def keep(self, one: Customer) -> None:
        """Write the ownership of a locked customer as it shall be."""
        self._session.update(ownership, "customer_id", HOT, [(*_hot(one), one.id)])

    def redate(self, customers: Iterable[Customer]) -> int:
        """Write the due dates of customers and answer how many."""
        rows = [(*(getattr(c, n) for n in DUE), c.id) for c in customers]
        self._session.update(ownership, "customer_id", DUE, rows)
        return len(rows)

    def owned_after(self, id: int, limit: int, *, lock: bool = True) -> tuple[Customer, ...]:
        """Read owned customers by number, and lock them for dating them anew."""
        m, o = mapper(Customer), ownership.c
        chosen = sa.select(o.customer_id).where(o.customer_id > id, o.owner_id.is_not(None))
        chosen = chosen.order_by(o.customer_id).limit(limit)
        ids = self._hold(chosen) if lock else list(self._session.run(chosen).scalars())
        found = m.select().where(self._session.among(o.customer_id, ids)).order_by(o.customer_id)
        return m.records(self._session, self._session.run(found))

    # -- the sweep ---------------------------------------------------------------------------

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
            sa.update(ownership).where(o.customer_id == due.c.customer_id).values(**POOLED)
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
        self._session.run(sa.update(ownership).where(these).values(**POOLED))
        return groups

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

    # -- limits ------------------------------------------------------------------------------

    def in_turn(self, employee_ids: Sequence[int]) -> None:
        """Let what counts the customers of these employees happen one after the other."""
        if self._session.on_sqlite:
            return
        employee = TABLES["Employee"].c
        those = self._session.among(employee.id, list(employee_ids))
        chosen = sa.select(employee.id).where(those).order_by(employee.id)
        self._session.run(chosen.with_for_update(key_share=True)).all()

    def load(self, employee_ids: Sequence[int], today: date) -> dict[int, int]:
        """Count the customers that each of these owns and has not won; not those fallen due."""
        o = ownership.c
        chosen = sa.select(o.owner_id, sa.func.count()).where(
            o.owner_id.in_(employee_ids), o.status == "not_enrolled", o.due_on > today
        )
        rows = self._session.run(chosen.group_by(o.owner_id))
        return {owner: n for owner, n in rows if owner is not None}

    def claims_since(self, employee_id: int, since: datetime) -> int:
        """Count the claims of an employee since a moment."""
        a = assignment.c
        chosen = sa.select(sa.func.count()).where(
            a.consultant_id == employee_id, a.started_at >= since, a.method == "claim"
        )
        return int(self._session.run(chosen).scalar_one())


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
