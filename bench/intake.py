"""Customers one by one: saved, given a turn, an owner and a notice, each in its transaction."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import attrs

from crm_domain import SYSTEM
from crm_domain.errors import DatabaseBusy
from crm_domain.usecases import intake

from .checks import check_owners, check_turns
from .clients import Crowd, Outcome, ready_crm, told_busy
from .data import FIELDS, WIDE, person, wide
from .databases import Database
from .dealing import WHY, advance, values
from .load import World, plain
from .measure import Goal, Result, alternate, expect
from .profiling import profiled
from .stage import Stage

GOAL = Goal(ratio=0.7, higher=True)
CLIENTS = ((1, 1), (1, 8), (32, 1))
"""Processes, and threads in each."""
BOUNDS = {("postgresql", 1): 1400.0, ("postgresql", 32): 1600.0}
"""Transactions a second that are asked for."""
FIRST = 20_000_000
"""The persons from here on are in no database yet."""


def _person_numbers(turn: int, client: int) -> Iterator[int]:
    return count(FIRST + (turn * 64 + client) * 100_000)


@attrs.frozen
class Ours:
    """Clients that call ``intake.register_customer``."""

    turn: int
    seconds: float

    def clients(
        self, database: Database, numbers: Sequence[int]
    ) -> tuple[list[Callable[[], Outcome]], Callable[[], None]]:
        """See `clients.Job`."""
        crm, close = ready_crm(database, len(numbers))

        def client(number: int) -> Callable[[], Outcome]:
            people = _person_numbers(self.turn, number)

            def work() -> Outcome:
                done, busy, end = 0, 0, time.monotonic() + self.seconds
                while time.monotonic() < end:
                    who = person(next(people))
                    typed = {f: v for f in FIELDS if (v := getattr(who, f)) is not None}
                    try:
                        intake.register_customer(crm, typed, by=SYSTEM)
                        done += 1
                    except DatabaseBusy:
                        busy += 1
                return Outcome(done, busy=busy)

            return work

        return [client(n) for n in numbers], close


@attrs.frozen
class Raw:
    """Clients that write the same by hand, search grams made beforehand."""

    turn: int
    seconds: float
    ring: tuple[int, ...]
    ahead: int
    """Rows made before the clock runs, for each client."""

    def clients(
        self, database: Database, numbers: Sequence[int]
    ) -> tuple[list[Callable[[], Outcome]], Callable[[], None]]:
        """See `clients.Job`."""
        opened: list[Any] = []

        def client(number: int) -> Callable[[], Outcome]:
            people = _person_numbers(self.turn, number)
            connection = database.raw()
            opened.append(connection)
            ready = list(plain(database, (wide(next(people)) for _ in range(self.ahead))))
            save = _saver(connection, database, self.ring)

            def work() -> Outcome:
                done, busy, end = 0, 0, time.monotonic() + self.seconds
                while time.monotonic() < end:
                    if done < len(ready):
                        row = ready[done]
                    else:
                        [row] = plain(database, [wide(next(people))])
                    try:
                        save(row)
                        done += 1
                    except Exception as e:
                        if not told_busy(e):
                            raise
                        busy += 1
                return Outcome(done, busy=busy)

            return work

        def close() -> None:
            for connection in opened:
                connection.close()

        return [client(n) for n in numbers], close


def _saver(
    connection: Any, database: Database, ring: tuple[int, ...]
) -> Callable[[tuple[Any, ...]], None]:
    if database.on_sqlite:
        return _sqlite(connection, database, ring)
    v, length = values(database), len(ring)
    places = "'{" + ",".join(map(str, ring)) + "}'::bigint[]"
    why = WHY.format(cycle="t.cycle", place="t.place")
    signs = ", ".join(["%s"] * len(WIDE))
    statement = (
        f"WITH c AS (INSERT INTO customer ({', '.join(WIDE)}) VALUES ({signs})"
        " ON CONFLICT DO NOTHING RETURNING id, name), "
        # The cursor is moved only when there is a customer, and after it was written.
        f"t AS ({advance(length, 1).replace('%', '%%')} FROM c"
        " RETURNING cycle, position - 1 AS place, c.id, c.name), "
        "a AS (INSERT INTO assignment (customer_id, consultant_id, started_at, status, method,"
        f" cycle, position, explanation) SELECT t.id, ({places})[t.place + 1], {v['now']}, 1,"
        f" 'rotation', t.cycle, t.place, {why} FROM t"
        " RETURNING id, customer_id, consultant_id, explanation), "
        "o AS (INSERT INTO ownership (customer_id, owner_id, assignment_id, last_consultant_id,"
        " received_at, last_contacted_at, status, locked, due_on, due_status, due_days, warn_on)"
        f" SELECT customer_id, consultant_id, id, consultant_id, {v['now']}, {v['now']},"
        f" 'not_enrolled', false, {v['due']}, 3, 3, {v['warn']} FROM a) "
        "INSERT INTO notice (recipient_id, subject, body, event, about, channel, status, attempts,"
        " next_attempt_at, fence, idempotency_key, created_at)"
        " SELECT a.consultant_id, '您有一位新客户', t.name || '（' || a.explanation || '）',"
        f" 'assigned', 'customer:' || t.id, 'console', 'pending', 0, {v['now']}, 0,"
        f" 'registered:' || t.id || '|console|' || a.consultant_id, {v['now']} FROM a, t"
    )

    def save(row: tuple[Any, ...]) -> None:
        connection.execute(statement, row)

    return save


def _sqlite(
    connection: Any, database: Database, ring: tuple[int, ...]
) -> Callable[[tuple[Any, ...]], None]:
    v, length = values(database), len(ring)
    customer = (f"INSERT INTO customer ({', '.join(WIDE)}) VALUES ({', '.join('?' * len(WIDE))})"
                " ON CONFLICT DO NOTHING RETURNING id")  # fmt: skip
    turn = f"{advance(length, 1)} RETURNING cycle, position - 1"
    assignment = (
        "INSERT INTO assignment (customer_id, consultant_id, started_at, status, method, cycle,"
        f" position, explanation) VALUES (?, ?, {v['now']}, 1, 'rotation', ?, ?, ?) RETURNING id"
    )
    ownership = (
        "INSERT INTO ownership (customer_id, owner_id, assignment_id, last_consultant_id,"
        " received_at, last_contacted_at, status, locked, due_on, due_status, due_days, warn_on)"
        f" VALUES (?1, ?2, ?3, ?2, {v['now']}, {v['now']}, 'not_enrolled', 0, {v['due']}, 3, 3,"
        f" {v['warn']})"
    )
    notice = (
        "INSERT INTO notice (recipient_id, subject, body, event, about, channel, status, attempts,"
        " next_attempt_at, fence, idempotency_key, created_at) VALUES (?, '您有一位新客户', ?,"
        f" 'assigned', ?, 'console', 'pending', 0, {v['now']}, 0, ?, {v['now']})"
    )
    run = connection.execute

    def save(row: tuple[Any, ...]) -> None:
        run("BEGIN IMMEDIATE")
        [number] = run(customer, row).fetchone()
        cycle, place = run(turn).fetchone()
        who, why = ring[place], f"轮转第{cycle}轮第{place + 1}位"
        [made] = run(assignment, (number, who, cycle, place, why)).fetchone()
        run(ownership, (number, who, made))
        run(notice, (who, f"{row[0]}（{why}）", f"customer:{number}",
                     f"registered:{number}|console|{who}"))  # fmt: skip
        run("COMMIT")

    return save


def _state(database: Database) -> tuple[int, ...]:
    tables = ("customer", "ownership", "assignment", "notice")
    return tuple(int(database.ask(f"SELECT count(*) FROM {t}")[0][0]) for t in tables)


def bench_intake(stage: Stage) -> Iterator[Result]:
    """Measure intake by 1, 8 and 32 clients."""
    world, sizes = stage.world, stage.sizes
    turns, profile = count(), ""
    with stage.copy() as database:
        for processes, threads in CLIENTS:
            clients = processes * threads
            with Crowd(database, processes, threads) as crowd:
                # Once for nothing: the first statement of a process is no measure of the others.
                for job in _jobs(next(turns), 0.1, world, clients):
                    crowd.run(job)

                busy: Counter[type] = Counter()

                def one(job: Any, crowd: Crowd = crowd, busy: Counter[type] = busy) -> float:
                    before = _state(database)
                    seconds, outcomes = crowd.run(job)
                    done = sum(o.done for o in outcomes)
                    busy[type(job)] += sum(o.busy for o in outcomes)
                    grown = {b - a for a, b in zip(before, _state(database), strict=True)}
                    expect(grown == {done}, f"{done} registered, but the tables grew by {grown}")
                    return done / seconds

                ours, raw = alternate(
                    sizes.pairs,
                    lambda one=one, n=clients: one(
                        _jobs(next(turns), sizes.seconds, world, n)[0]
                    ),
                    lambda one=one, n=clients: one(
                        _jobs(next(turns), sizes.seconds, world, n)[1]
                    ),
                )  # fmt: skip
            check_turns(world, database)
            check_owners(database)
            bound = BOUNDS.get((stage.engine, clients))
            goal = attrs.evolve(GOAL, bound=bound, bound_from=1_000_000)
            result = Result(
                work=f"intake, {clients} client{'s' if clients > 1 else ''}", engine=stage.engine,
                unit="tx/s", ours=ours, raw=raw, goal=goal, size=sizes.customers,
                note=f"{processes} process{'es' if processes > 1 else ''} × {threads}"
                f" thread{'s' if threads > 1 else ''}{_busy(busy)}",
            )  # fmt: skip
            if result.met is False:
                profile = profile or _profile(database, next(turns))
                result = attrs.evolve(result, profile=profile)
            yield result


def _busy(busy: Counter[type]) -> str:
    return f"; told to try again: ours {busy[Ours]}, raw {busy[Raw]}" if busy.total() else ""


def _jobs(turn: int, seconds: float, world: World, clients: int) -> tuple[Ours, Raw]:
    ahead = int(seconds * 8000 / clients) + 50
    return Ours(2 * turn, seconds), Raw(2 * turn + 1, seconds, world.ring, ahead)


def _profile(database: Database, turn: int) -> str:
    with database.crm() as crm:
        people = _person_numbers(2 * turn, 0)

        def work(n: int) -> None:
            for _ in range(n):
                who = person(next(people))
                typed = {f: v for f in FIELDS if (v := getattr(who, f)) is not None}
                intake.register_customer(crm, typed, by=SYSTEM)

        work(20)
        return profiled(lambda: work(500))
