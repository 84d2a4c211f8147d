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
from crm_adapters.storage.tables import TABLES, assignment, ownership
from crm_domain.model import Assignment, Customer, specs
from crm_domain.parsing import record_number
from crm_domain.ports import Closing, NewAssignment, Standing

HOT = tuple(s.name for s in specs(Customer).values() if s.hot)
_HELD = HOT.index("assignment_id")
DUE = ("due_on", "due_status", "due_days", "warn_on")
_WRITTEN = mapper(Assignment).write


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


def hold(session: Session, chosen: sa.Select[Any]) -> list[int]:
    """Lock the ownership of some customers, given by number; read them afterwards.

    One statement that locks and reads would give, after it waited, the owner of now and the name of
    before. SQLite has one writer, who need not lock.
    """
    return list(session.run(chosen.with_for_update()).scalars())


class SqlOwnership:
    """Implements the port ``Ownership``."""

    def __init__(self, session: Session) -> None:
        self._session = session

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
        ids = hold(self._session, chosen) if lock else list(self._session.run(chosen).scalars())
        found = m.select().where(self._session.among(o.customer_id, ids)).order_by(o.customer_id)
        return m.records(self._session, self._session.run(found))

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
