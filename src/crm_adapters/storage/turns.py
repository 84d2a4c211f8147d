"""The rotation's cursor: one row that every process shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any, Generic, TypeVar

import attrs
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from crm_adapters.storage.directory import active_employees
from crm_adapters.storage.rows import mapper
from crm_adapters.storage.session import Session
from crm_adapters.storage.tables import TABLES, assignment, rotation_plan, turn_cursor
from crm_domain.model import Employee, Holiday, PoolRule, RotationEntry
from crm_domain.ports import Dating, Mate, PoolRules, Roster
from crm_domain.rules.rotation import Cursor, Entry

T = TypeVar("T")
RULES_LOCK = 5_417_236_002
"""The advisory lock that holds the pool rules still on PostgreSQL."""


class Remembered(Generic[T]):
    """What was read last, with the versions it was read at; one for each process.

    Whoever changes it counts a version in the cursor's row up, so nothing stale is ever used.
    """

    def __init__(self) -> None:
        self._held: tuple[object, T] | None = None

    def get(self, versions: object, read: Callable[[], T]) -> T:
        """Give what was read at these versions, or read it now."""
        held = self._held
        if held is None or held[0] != versions:
            held = self._held = (versions, read())
        return held[1]


class Memory:
    """What one process remembers of the rotation."""

    def __init__(self) -> None:
        self.roster: Remembered[Roster] = Remembered()
        self.pool: Remembered[PoolRules] = Remembered()


def _advance(on_sqlite: bool) -> Any:
    """Take places, and with them the numbers of the assignments that begin."""
    c, n = turn_cursor.c, sa.bindparam("n", type_=sa.Integer)
    moved = sa.update(turn_cursor).where(c.id == 1).values(position=c.position + n)
    if on_sqlite:
        return moved.returning(*c)
    number = sa.func.nextval("assignment_id_seq")
    numbers = sa.select(number).select_from(sa.func.generate_series(1, n)).scalar_subquery()
    return moved.returning(*c, sa.func.array(numbers, type_=ARRAY(sa.BigInteger)))


def _rules_stand_still(_: bool) -> Any:
    return sa.select(sa.func.pg_advisory_xact_lock_shared(sa.literal_column(str(RULES_LOCK))))


def _rules_version(_: bool) -> Any:
    return sa.select(turn_cursor.c.rules)


class SqlTurns:
    """Implements the port ``Turns``."""

    def __init__(self, session: Session, memory: Memory) -> None:
        self._session = session
        self._memory = memory
        self._changing = False
        """Whether this unit of work counted a version up: what it reads may yet be rolled back."""

    def _remembered(self, held: Remembered[T], versions: object, read: Callable[[], T]) -> T:
        return read() if self._changing else held.get(versions, read)

    def _count_up(self, name: str) -> Any:
        self._changing = True
        c = turn_cursor.c
        return self._session.run(
            sa.update(turn_cursor).where(c.id == 1).values({name: c[name] + 1}).returning(*c)
        ).one()

    def advance(self, n: int) -> tuple[Cursor, Roster]:
        """Take n places and keep others waiting until the end of the unit of work."""
        [row] = self._session.rows(_advance, n=n)
        if not self._session.on_sqlite:
            self._session.reserve(assignment, row[-1])
        place = SimpleNamespace(**dict(zip(turn_cursor.c.keys(), row, strict=False)))
        return Cursor(place.cycle, place.position - n), self._roster(place)

    def move(self, cursor: Cursor, *, new_cycle: bool) -> None:
        """Say where the rotation stands instead, after `advance`."""
        values: dict[str, Any] = {"cycle": cursor.cycle, "position": cursor.position}
        if new_cycle:
            values["plan_version"] = turn_cursor.c.next_version
        self._session.run(sa.update(turn_cursor).where(turn_cursor.c.id == 1).values(**values))

    def peek(self) -> tuple[Cursor, Roster]:
        """Tell where the rotation stands, without waiting or changing anything."""
        row = self._session.run(sa.select(turn_cursor)).one()
        return Cursor(row.cycle, row.position), self._roster(row)

    def set_plan(self, entries: Sequence[RotationEntry], strategy: str, at: datetime) -> None:
        """Replace the plan from the next cycle on; the first plan takes effect at once."""
        row = self._count_up("people")
        newest = self._session.run(sa.select(sa.func.max(rotation_plan.c.version))).scalar_one()
        version = newest + 1
        plan = [Entry(e.employee_id, e.quota, e.weight, e.active) for e in entries]
        self._session.run(
            sa.insert(rotation_plan).values(
                version=version, entries=[attrs.astuple(e) for e in plan], strategy=strategy,
                created_at=at,
            )
        )  # fmt: skip
        values: dict[str, Any] = {"next_version": version}
        if row.plan_version == 0:
            values |= {"plan_version": version, "cycle": row.cycle + 1, "position": 0}
        self._session.run(sa.update(turn_cursor).where(turn_cursor.c.id == 1).values(**values))
        table = TABLES["RotationEntry"]
        self._session.run(sa.delete(table))
        self._session.insert(
            table, ("employee_id", "quota", "weight", "active"),
            [(e.employee_id, e.quota, e.weight, e.active) for e in entries],
        )  # fmt: skip

    def reset(self) -> None:
        """Drop the rest of the running cycle and begin a new one with the newest plan."""
        c = turn_cursor.c
        self._session.run(
            sa.update(turn_cursor).where(c.id == 1)
            .values(cycle=c.cycle + 1, position=0, plan_version=c.next_version)
        )  # fmt: skip

    def people_changed(self) -> None:
        """Let every process read the people anew before its next turn."""
        self._count_up("people")

    def pool_rules(self) -> PoolRules:
        """Read the pool rules and see to it that they do not change before the end."""
        if not self._session.on_sqlite:
            self._session.rows(_rules_stand_still)
        # A statement of its own: it sees what was written while the one before waited.
        [(version,)] = self._session.rows(_rules_version)
        return self._remembered(self._memory.pool, version, lambda: self._read_rules(version))

    def pool_rules_changing(self) -> None:
        """Wait until nobody relies on the pool rules, and keep others waiting until the end."""
        if not self._session.on_sqlite:
            self._session.run(sa.select(sa.func.pg_advisory_xact_lock(RULES_LOCK)))
        self._count_up("rules")

    def begin_dating(self, on: date) -> None:
        """Say that the pool rules changed on a day, so that all owned customers are dated anew."""
        self._session.run(
            sa.update(turn_cursor).where(turn_cursor.c.id == 1).values(dating_after=0, dating_on=on)
        )

    def dating(self) -> Dating | None:
        """Tell which owned customers are still to be dated anew; None: none are."""
        row = self._session.run(sa.select(turn_cursor)).one()
        if row.dating_after is None:
            return None
        return Dating(after=row.dating_after, on=row.dating_on, version=row.rules)

    def dated(self, dating: Dating, after: int | None) -> None:
        """Say how far the dating has come, unless the rules changed again or another went on."""
        c = turn_cursor.c
        day = dating.on if after is not None else None
        self._session.run(
            sa.update(turn_cursor)
            .where(c.id == 1, c.rules == dating.version, c.dating_after == dating.after)
            .values(dating_after=after, dating_on=day)
        )

    def _roster(self, row: Any) -> Roster:
        versions = (row.plan_version, row.next_version, row.people, row.rules)
        return self._remembered(
            self._memory.roster,
            versions,
            lambda: self._read(row.plan_version, row.next_version, row.rules),
        )

    def _read_rules(self, version: int) -> PoolRules:
        rules, holidays = mapper(PoolRule), mapper(Holiday)
        return PoolRules(
            rules=rules.records(self._session, self._session.run(rules.select())),
            holidays={
                h.on: h.working
                for h in holidays.records(self._session, self._session.run(holidays.select()))
            },
            version=version,
        )

    def _read(self, version: int, next_version: int, rules: int) -> Roster:
        p = rotation_plan.c
        chosen = sa.select(rotation_plan).where(p.version.in_([version, next_version]))
        plans = {r.version: r for r in self._session.run(chosen)}
        entries = {v: tuple(Entry(*e) for e in r.entries) for v, r in plans.items()}
        ids = {e.employee_id for plan in entries.values() for e in plan}
        m = mapper(Employee)
        people = m.records(
            self._session, self._session.run(m.select().where(m.column("id").in_(ids)))
        )
        active = set(self._session.run(active_employees("customer:claim")).scalars())
        return Roster(
            plan=entries[version], next_plan=entries[next_version], version=next_version,
            strategy=plans[version].strategy, next_strategy=plans[next_version].strategy,
            mates={e.id or 0: Mate(employee=e, active=e.id in active) for e in people},
            pool=self._read_rules(rules),
        )  # fmt: skip
