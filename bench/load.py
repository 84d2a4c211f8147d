"""Fills a database set by set, without its indexes, and puts these back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import attrs

from crm_domain import SYSTEM
from crm_domain.model import Department, Employee
from crm_domain.rules.rotation import Entry, rounds
from crm_domain.usecases import access, assignment, records

from .data import WIDE, Held, held, people
from .databases import Database, Servers

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ASSIGNMENT = ("id", "customer_id", "consultant_id", "started_at", "ended_at", "status",
              "limit_days", "method", "cycle", "position", "explanation")  # fmt: skip
OWNERSHIP = ("customer_id", "owner_id", "assignment_id", "last_consultant_id", "received_at",
             "last_contacted_at", "status", "locked", "due_on", "due_status", "due_days",
             "warn_on")  # fmt: skip


@attrs.frozen
class World:
    """A database to copy from, and what is known about it."""

    database: Database
    size: int
    consultants: tuple[int, ...]
    ring: tuple[int, ...]
    """The employee of each place of a cycle."""


def make_world(servers: Servers, engine: str, size: int, staff: int = 200) -> World:
    """Make a school with customers in every state, the rotation where it would be by then."""
    database = servers.fresh(engine)
    with database.crm() as crm:
        department = records.save_record(crm, Department(code=1, title="销售部"), by=SYSTEM)
        ids = []
        for i in range(staff):
            one = Employee(name=f"顾问{i + 1:03d}", department_id=department.id)
            saved = records.save_record(crm, one, by=SYSTEM)
            values = {"username": f"user{i + 1}", "employee_id": saved.id, "roles": ["consultant"]}
            access.create_user(crm, values, by=SYSTEM)
            ids.append(saved.id or 0)
        plan = [{"employee_id": n, "quota": 1 + n % 3, "weight": n % 7} for n in ids]
        assignment.set_rotation(crm, plan, by=SYSTEM)
    ring = tuple(rounds([Entry(p["employee_id"], p["quota"], p["weight"]) for p in plan]))
    world = World(database, size, tuple(ids), ring)
    _fill(world)
    return world


def plain(database: Database, rows: Iterable[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    """Give rows as the driver takes them."""
    if not database.on_sqlite:
        yield from map(tuple, rows)
        return
    for row in rows:
        yield tuple(
            (v - _EPOCH) // timedelta(microseconds=1) if isinstance(v, datetime)
            else v.isoformat() if isinstance(v, date)
            else v
            for v in row
        )  # fmt: skip


def put(
    connection: Any, database: Database, table: str, columns: Sequence[str], rows: Iterable[Any]
) -> None:
    """Write many rows: COPY on PostgreSQL."""
    names = ", ".join(columns)
    if database.on_sqlite:
        signs = ", ".join("?" * len(columns))
        connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({signs})", rows)
        return
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _fill(world: World) -> None:
    database, size = world.database, world.size
    connection = database.raw()
    restore = _bare(connection, database)
    rows = ((i + 1, *row) for i, row in enumerate(people(0, size)))
    put(connection, database, "customer", ("id", *WIDE), plain(database, rows))
    assignments, ownerships = _owned(world)
    put(connection, database, "assignment", ASSIGNMENT, plain(database, assignments))
    put(connection, database, "ownership", OWNERSHIP, plain(database, ownerships))
    _point(connection, world, len(assignments))
    if database.on_sqlite:
        connection.execute("INSERT INTO customer_search(customer_search) VALUES ('rebuild')")
        connection.execute("COMMIT")
    for statement in restore:
        connection.execute(statement)
    connection.execute("ANALYZE" if database.on_sqlite else "VACUUM ANALYZE")
    connection.close()
    database.settle()


def _owned(world: World) -> tuple[list[Any], list[Any]]:
    assignments: list[Any] = []
    ownerships: list[Any] = []
    length = len(world.ring)
    flag = 0 if world.database.on_sqlite else False
    for i in range(world.size):
        h, number = held(i), i + 1
        if h.kind == "new":
            ownerships.append((number, None, None, None, None, None, "not_enrolled", flag,
                               h.due_on, None, None, None))  # fmt: skip
            continue
        turn = len(assignments)
        place = turn % length
        consultant = world.ring[place]
        open_now = h.kind in ("due", "live")
        assignments.append((turn + 1, number, consultant, h.received_at, *_end(h), "rotation",
                            1 + turn // length, place, "轮转"))  # fmt: skip
        hot = (h.received_at, h.contacted_at) if open_now else (None, None)
        ownerships.append((
            number, consultant if open_now else None, turn + 1, consultant, *hot,
            "enrolled" if h.kind == "enrolled" else "not_enrolled", flag, h.due_on, h.due_status,
            h.due_days, h.due_on - timedelta(days=1) if open_now else None,
        ))  # fmt: skip
    return assignments, ownerships


def _end(h: Held) -> tuple[datetime | None, int, int | None]:
    if h.kind == "enrolled":
        return h.received_at + timedelta(days=9), 2, None
    if h.kind == "ended":
        return h.received_at + timedelta(days=4), 3, 3
    return None, 1, None


def _point(connection: Any, world: World, turns: int) -> None:
    """Put the cursor, and the sequences, behind what was written."""
    length = len(world.ring)
    if turns:
        connection.execute(
            f"UPDATE turn_cursor SET cycle = {1 + (turns - 1) // length},"
            f" position = {(turns - 1) % length + 1}"
        )
    if not world.database.on_sqlite:
        for table in ("customer", "assignment"):
            connection.execute(
                f"SELECT setval('{table}_id_seq', (SELECT coalesce(max(id), 1) FROM {table}))"
            )


def _bare(connection: Any, database: Database) -> list[str]:
    """Take away what slows loading down; give the statements that put it back."""
    tables = "('customer', 'assignment', 'ownership')"
    if database.on_sqlite:
        for pragma in ("synchronous=OFF", "foreign_keys=OFF", "cache_size=-500000"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        found = connection.execute(
            f"SELECT type, name, sql FROM sqlite_master WHERE tbl_name IN {tables}"
            " AND sql IS NOT NULL AND type IN ('index', 'trigger')"
        ).fetchall()
        for what, name, _ in found:
            connection.execute(f"DROP {what} {name}")
        return [sql for _, _, sql in found]
    connection.execute("SET session_replication_role = replica")
    connection.execute("SET synchronous_commit = off")
    connection.execute("SET maintenance_work_mem = '512MB'")
    found = connection.execute(
        "SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i"
        " JOIN pg_class c ON c.oid = i.indrelid"
        f" WHERE c.relname IN {tables} AND NOT EXISTS"
        " (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)"
    ).fetchall()
    for name, _ in found:
        connection.execute(f"DROP INDEX {name}")
    return [definition for _, definition in found]
