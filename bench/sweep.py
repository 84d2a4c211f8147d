"""The daily sweep: whom the owners neglected goes back into the pool."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import attrs

from crm_domain import SYSTEM
from crm_domain.usecases import pool

from .checks import check_owners
from .data import NOW, TODAY
from .databases import Database
from .load import World, plain
from .measure import Goal, Result, alternate, expect, timed
from .profiling import profiled
from .stage import Stage

GOAL = Goal(ratio=1.3, bound=5.0, bound_from=1_000_000)
NOTHING = Goal(bound=0.1)
BATCH = 10_000
POOL = (
    "owner_id = NULL, received_at = NULL, last_contacted_at = NULL, next_contact_at = NULL,"
    " dated_anew_at = NULL, due_on = {always}, due_status = NULL, due_days = NULL, warn_on = NULL"
)


def _by_hand(database: Database) -> None:
    """Release ten thousand at a time, each time in a transaction; the notices by one statement.

    In the order of the customers' numbers, because that is how the rows lie on the disk.
    """
    connection = database.raw()
    [(now, today, always)] = plain(database, [(NOW, TODAY, date.min)])
    pooled = POOL.format(always=f"'{always}'")
    overdue = f"owner_id IS NOT NULL AND due_on <= '{today}'"
    moment = str(now) if database.on_sqlite else f"timestamptz '{now}'"
    _tell(connection, database, overdue, moment)
    release = _sqlite if database.on_sqlite else _postgresql
    if not database.on_sqlite:
        # Left to itself the planner reads both tables through for every ten thousand rows.
        connection.execute("SET enable_hashjoin = off")
        connection.execute("SET enable_mergejoin = off")
    done, last = BATCH, 0
    while done == BATCH:
        done, last = release(connection, f"{overdue} AND customer_id > {last}", pooled, moment)
    connection.close()


def _tell(connection: Any, database: Database, overdue: str, now: str) -> None:
    joined = "group_concat(c.name, '、')" if database.on_sqlite else "string_agg(c.name, '、')"
    connection.execute(
        "INSERT INTO notice (recipient_id, subject, body, event, about, channel, status, attempts,"
        " next_attempt_at, fence, idempotency_key, created_at)"
        f" SELECT owner_id, n || ' 位客户已退回公海', {joined} || ' 等 ' || n || ' 位客户。',"
        f" 'expired', 'employee:' || owner_id, 'console', 'pending', 0, {now}, 0,"
        f" 'expired:' || min(assignment_id) || '|console|' || owner_id, {now}"
        " FROM (SELECT owner_id, customer_id, assignment_id, count(*) OVER (PARTITION BY owner_id)"
        " AS n, row_number() OVER (PARTITION BY owner_id ORDER BY customer_id) AS k"
        f" FROM ownership WHERE {overdue}) o JOIN customer c ON c.id = o.customer_id"
        " WHERE k <= 5 GROUP BY owner_id, n"
    )


def _postgresql(connection: Any, overdue: str, pooled: str, now: str) -> tuple[int, int]:
    done, last = connection.execute(
        "WITH o AS (SELECT customer_id, assignment_id, due_status, due_days, last_contacted_at"
        f" FROM ownership WHERE {overdue} ORDER BY customer_id LIMIT {BATCH}"
        " FOR UPDATE SKIP LOCKED),"
        " a AS (UPDATE assignment SET status = o.due_status, limit_days = o.due_days,"
        f" ended_at = greatest(o.last_contacted_at, {now}) FROM o"
        " WHERE assignment.id = o.assignment_id),"
        f" p AS (UPDATE ownership SET {pooled} FROM o WHERE ownership.customer_id = o.customer_id"
        " RETURNING o.customer_id)"
        " SELECT count(*), max(customer_id) FROM p"
    ).fetchone()
    return done, last or 0


def _sqlite(connection: Any, overdue: str, pooled: str, now: str) -> tuple[int, int]:
    connection.execute("BEGIN IMMEDIATE")
    done, last = connection.execute(
        "SELECT count(*), max(customer_id) FROM (SELECT customer_id FROM ownership"
        f" WHERE {overdue} ORDER BY customer_id LIMIT {BATCH})"
    ).fetchone()
    chosen = f"{overdue} AND customer_id <= {last or 0}"
    connection.execute(
        "UPDATE assignment SET status = o.due_status, limit_days = o.due_days,"
        f" ended_at = max(o.last_contacted_at, {now}) FROM (SELECT assignment_id, due_status,"
        f" due_days, last_contacted_at FROM ownership WHERE {chosen}) o"
        " WHERE assignment.id = o.assignment_id"
    )
    connection.execute(f"UPDATE ownership SET {pooled} WHERE {chosen}")
    connection.execute("COMMIT")
    return done, last or 0


def bench_sweep(stage: Stage) -> Iterator[Result]:
    """Measure a sweep that has much to do, and one that has nothing."""
    world = stage.world
    doomed = world.size // 5
    idle: list[float] = []

    def ours() -> float:
        with stage.copy() as database, database.crm() as crm:
            found: list[pool.Sweep] = []
            seconds = timed(lambda: found.append(pool.sweep_pool(crm, by=SYSTEM)))
            expect(found[0].released == doomed, f"{found[0].released} released, not {doomed}")
            _check(world, database, doomed)
            idle.append(timed(lambda: found.append(pool.sweep_pool(crm, by=SYSTEM))))
            expect(found[1].released == 0, "the second sweep released somebody")
            return seconds

    def raw() -> float:
        with stage.copy() as database:
            seconds = timed(lambda: _by_hand(database))
            _check(world, database, doomed)
            return seconds

    figures = alternate(stage.sizes.pairs, ours, raw)
    result = Result(
        work=f"sweep of {doomed:,}", engine=stage.engine, unit="s", ours=figures[0],
        raw=figures[1], goal=GOAL, size=stage.sizes.customers,
        note=f"by owner, against {BATCH:,} at a time",
    )  # fmt: skip
    if result.met is False:
        with stage.copy() as database, database.crm() as crm:
            text = profiled(lambda: pool.sweep_pool(crm, by=SYSTEM))
        result = attrs.evolve(result, profile=text)
    yield result
    yield Result(work="sweep when nothing expires", engine=stage.engine, unit="s", ours=idle,
                 goal=NOTHING, size=stage.sizes.customers)  # fmt: skip


def _due_owners(world: World) -> set[int]:
    overdue = f"owner_id IS NOT NULL AND due_on <= '{TODAY}'"
    rows = world.database.ask(f"SELECT DISTINCT owner_id FROM ownership WHERE {overdue}")
    return {owner for (owner,) in rows}


def _check(world: World, database: Database, doomed: int) -> None:
    [(left,)] = database.ask("SELECT count(*) FROM ownership WHERE owner_id IS NOT NULL")
    expect(left == world.size // 4, f"{left} are owned, not {world.size // 4}")
    rows = database.ask("SELECT status, count(*) FROM assignment GROUP BY status")
    expect(sum(n for s, n in rows if s in (3, 4)) == doomed + world.size * 15 // 100,
           f"the assignments ended as {rows}")  # fmt: skip
    [(told,)] = database.ask("SELECT count(*) FROM notice WHERE event = 'expired'")
    owners = len(_due_owners(world))
    expect(told == owners, f"{told} of {owners} owners were told")
    check_owners(database)
