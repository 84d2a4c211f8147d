"""Hand-written SQL that deals customers by the rotation, for one or for a hundred thousand.

Turn number ``t`` counts from the beginning: it is place ``t % L`` of cycle ``t / L``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from .data import NOW, TODAY
from .databases import Database
from .load import World, plain

DUE = TODAY + timedelta(days=4)
WARN = TODAY + timedelta(days=3)
WHY = "'轮转第' || {cycle} || '轮第' || ({place} + 1) || '位'"


def advance(length: int, n: int) -> str:
    """Move the cursor on by n turns; needs no lock before, and takes none it does not keep."""
    return (
        f"UPDATE turn_cursor SET cycle = cycle + (position + {n} - 1) / {length},"
        f" position = (position + {n} - 1) % {length} + 1"
    )


def values(database: Database) -> dict[str, str]:
    """The moments and days of a run as SQL literals."""
    [(now, due, warn)] = plain(database, [(NOW, DUE, WARN)])
    if database.on_sqlite:
        return {"now": str(now), "due": f"'{due}'", "warn": f"'{warn}'", "no": "0"}
    return {"now": f"timestamptz '{now}'", "due": f"date '{due}'", "warn": f"date '{warn}'",
            "no": "false"}  # fmt: skip


def deal_set(connection: Any, world: World, database: Database, n: int, chosen: str,
             method: str) -> None:  # fmt: skip
    """Deal n customers: those of ``SELECT id FROM customer WHERE <chosen>``, by number."""
    length, v = len(world.ring), values(database)
    fresh = f"SELECT id, row_number() OVER (ORDER BY id) - 1 AS k FROM customer WHERE {chosen}"
    if database.on_sqlite:
        connection.execute(advance(length, n))
        [start] = connection.execute(
            f"SELECT cycle * {length} + position - {n} FROM turn_cursor"
        ).fetchone()
        connection.execute(
            "CREATE TEMP TABLE IF NOT EXISTS ring (place INTEGER PRIMARY KEY, who INTEGER)"
        )
        connection.executemany("INSERT OR IGNORE INTO ring VALUES (?, ?)", enumerate(world.ring))
        [top] = connection.execute("SELECT coalesce(max(id), 0) FROM assignment").fetchone()
        why = WHY.format(cycle=f"(({start} + f.k) / {length})", place=f"({start} + f.k) % {length}")
        connection.execute(
            "INSERT INTO assignment (id, customer_id, consultant_id, started_at, status, method,"
            f" cycle, position, explanation) SELECT {top} + 1 + f.k, f.id, r.who, {v['now']}, 1,"
            f" '{method}', ({start} + f.k) / {length}, r.place, {why}"
            f" FROM ({fresh}) f JOIN ring r ON r.place = ({start} + f.k) % {length} ORDER BY f.k"
        )
        connection.execute(
            "INSERT INTO ownership (customer_id, owner_id, assignment_id, last_consultant_id,"
            " received_at, last_contacted_at, status, locked, due_on, due_status, due_days,"
            f" warn_on) SELECT customer_id, consultant_id, id, consultant_id, {v['now']},"
            f" {v['now']}, 'not_enrolled', 0, {v['due']}, 3, 3, {v['warn']} FROM assignment"
            f" WHERE id > {top}"
        )
        return
    turn = "(t.start + f.k)"
    why = WHY.format(cycle=f"({turn} / {length})", place=f"{turn} % {length}")
    ring = "ARRAY[" + ",".join(map(str, world.ring)) + "]::bigint[]"
    connection.execute(
        f"WITH t AS ({advance(length, n)} RETURNING cycle::bigint * {length} + position - {n}"
        f" AS start), f AS ({fresh}), made AS ("
        "INSERT INTO assignment (customer_id, consultant_id, started_at, status, method, cycle,"
        f" position, explanation) SELECT f.id, ({ring})[{turn} % {length} + 1], {v['now']}, 1,"
        f" '{method}', {turn} / {length}, {turn} % {length}, {why} FROM f, t ORDER BY f.k"
        " RETURNING id, customer_id, consultant_id) "
        "INSERT INTO ownership (customer_id, owner_id, assignment_id, last_consultant_id,"
        " received_at, last_contacted_at, status, locked, due_on, due_status, due_days, warn_on)"
        f" SELECT customer_id, consultant_id, id, consultant_id, {v['now']}, {v['now']},"
        f" 'not_enrolled', false, {v['due']}, 3, 3, {v['warn']} FROM made"
    )


def tell(connection: Any, database: Database, since: int, about: str) -> None:
    """Write one notice to each consultant of the assignments numbered above ``since``."""
    now = values(database)["now"]
    connection.execute(
        "INSERT INTO notice (recipient_id, subject, body, event, about, channel, status, attempts,"
        " next_attempt_at, fence, idempotency_key, created_at)"
        " SELECT consultant_id, '您有 ' || count(*) || ' 位新客户', '请及时跟进。', 'assigned',"
        f" '{about}', 'console', 'pending', 0, {now}, 0,"
        f" 'assigned:{about}|console|' || consultant_id, {now}"
        f" FROM assignment WHERE id > {since} GROUP BY consultant_id"
    )
