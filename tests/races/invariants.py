"""The laws of section 2 of the design, asked of the database by plain SQL and nothing of ours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import sqlalchemy as sa

from crm_adapters.storage.engine import make_engine

LAWS = {
    "two open assignments": """
        SELECT customer_id, count(*) FROM assignment WHERE status = 1
        GROUP BY customer_id HAVING count(*) > 1""",
    "an open assignment whose consultant is not the owner": """
        SELECT a.id FROM assignment a LEFT JOIN ownership o ON o.customer_id = a.customer_id
        WHERE a.status = 1 AND (o.owner_id IS NULL OR o.owner_id <> a.consultant_id
                                OR o.assignment_id <> a.id)""",
    "an owner without an open assignment": """
        SELECT o.customer_id FROM ownership o WHERE o.owner_id IS NOT NULL AND NOT EXISTS
        (SELECT 1 FROM assignment a WHERE a.id = o.assignment_id AND a.status = 1
         AND a.customer_id = o.customer_id AND a.consultant_id = o.owner_id)""",
    "a customer without an ownership": """
        SELECT c.id FROM customer c LEFT JOIN ownership o ON o.customer_id = c.id
        WHERE o.customer_id IS NULL""",
    "the last consultant is another": """
        SELECT o.customer_id FROM ownership o JOIN assignment a ON a.customer_id = o.customer_id
        WHERE NOT EXISTS (SELECT 1 FROM assignment b
                          WHERE b.customer_id = a.customer_id AND b.id > a.id)
        AND (o.last_consultant_id IS NULL OR o.last_consultant_id <> a.consultant_id
             OR o.assignment_id <> a.id)""",
    "periods that overlap": """
        SELECT a.id, b.id FROM assignment a JOIN assignment b ON b.customer_id = a.customer_id
        AND b.id > a.id WHERE a.ended_at IS NULL OR a.ended_at > b.started_at
        OR a.started_at > b.started_at""",
    "a turn used twice": """
        SELECT cycle, position, count(*) FROM assignment WHERE cycle IS NOT NULL
        GROUP BY cycle, position HAVING count(*) > 1""",
    "a follow-up outside its assignment": """
        SELECT f.id FROM follow_up f LEFT JOIN assignment a ON a.id = f.assignment_id
        WHERE a.id IS NULL OR a.customer_id <> f.customer_id OR a.consultant_id <> f.consultant_id
        OR f.at < a.started_at OR f.at > a.ended_at""",
    "a contact that the ownership does not know": """
        SELECT f.id FROM follow_up f JOIN ownership o ON o.assignment_id = f.assignment_id
        WHERE o.owner_id IS NOT NULL AND o.last_contacted_at < f.at""",
    "a contact that two customers have": """
        SELECT phone FROM customer WHERE archived_at IS NULL AND phone IS NOT NULL
        GROUP BY phone HAVING count(*) > 1""",
}


def violations(url: str, *, passed_over: bool = False) -> list[str]:
    """Name every law that the database breaks, with what breaks it.

    Args:
        url: The database.
        passed_over: Whether absent consultants may have left gaps between the turns.
    """
    engine, _ = make_engine(url)
    try:
        with engine.connect() as connection:
            found = [
                f"{law}: {rows[:5]}"
                for law, statement in LAWS.items()
                if (rows := [tuple(r) for r in connection.execute(sa.text(statement))])
            ]
            found += [] if passed_over else _skipped(connection)
            found += _untold(connection)
    finally:
        engine.dispose()
    return found


def _skipped(connection: sa.Connection) -> Iterator[str]:
    """Name the turns that were lost: every cycle begins at 0 and has no hole, nor have they."""
    turns = turns_of(connection)
    cycles: dict[int, list[int]] = {}
    for cycle, position, _ in turns:
        cycles.setdefault(cycle, []).append(position)
    for cycle, positions in cycles.items():
        if sorted(set(positions)) != list(range(len(set(positions)))):
            yield f"turns skipped in cycle {cycle}: {positions}"
    if any(b != a + 1 for a, b in pairwise(sorted(cycles))):
        yield f"cycles skipped: {sorted(cycles)}"
    stands = connection.execute(sa.text("SELECT cycle, position FROM turn_cursor")).one()
    if turns and tuple(stands) != (turns[-1][0], turns[-1][1] + 1):
        yield f"the cursor stands at {tuple(stands)} after {turns[-1]}"


def _untold(connection: sa.Connection) -> Iterator[str]:
    """Compare facts and notices: each new owner is told once, and of nothing that is not so."""
    facts = connection.execute(
        sa.text(
            "SELECT customer_id, consultant_id FROM assignment"
            " WHERE method IN ('rotation', 'claim', 'manual')"
        )
    )
    told = connection.execute(
        sa.text(
            "SELECT about, recipient_id, idempotency_key, channel FROM notice"
            " WHERE event IN ('assigned', 'claimed') AND about LIKE 'customer:%'"
        )
    )
    expected = Counter((f"customer:{customer}", owner) for customer, owner in facts)
    # Of one event there is a notice for each channel.
    events = {(about, to, key.replace(f"|{channel}|", "|")) for about, to, key, channel in told}
    written = Counter((about, to) for about, to, _ in events)
    if missing := expected - written:
        yield f"new owners who were not told: {sorted(missing)[:5]}"
    if extra := written - expected:
        yield f"notices about nothing, or twice: {sorted(extra)[:5]}"


def turns_of(connection: sa.Connection) -> Sequence[tuple[int, int, int]]:
    """Read all turns in order: cycle, position, consultant."""
    chosen = sa.text(
        "SELECT cycle, position, consultant_id FROM assignment WHERE cycle IS NOT NULL"
        " ORDER BY cycle, position, id"
    )
    return [(r[0], r[1], r[2]) for r in connection.execute(chosen)]


CONTENT = {
    "customers": """
        SELECT c.name, c.phone, c.qq, c.wechat, c.version, o.owner_id, o.last_consultant_id,
        o.received_at, o.last_contacted_at, o.due_on, o.due_status, o.status
        FROM customer c LEFT JOIN ownership o ON o.customer_id = c.id""",
    "assignments": """
        SELECT c.name, c.phone, c.qq, a.consultant_id, a.started_at, a.ended_at, a.status,
        a.method, a.cycle, a.position, a.limit_days, a.explanation
        FROM assignment a JOIN customer c ON c.id = a.customer_id""",
    "follow-ups": """
        SELECT c.name, c.phone, f.consultant_id, f.at, f.note
        FROM follow_up f JOIN customer c ON c.id = f.customer_id""",
    "notices": "SELECT recipient_id, subject, body, event, status, created_at FROM notice",
    "audit": "SELECT action, record FROM audit_entry WHERE action NOT IN ('create')",
    "imports": """
        SELECT file_name, status, data_rows, next_row, accepted FROM import_run
        WHERE status <> 'checked'""",
    "problems": """
        SELECT p."row", p.code FROM import_problem p JOIN import_run r ON r.id = p.import_id""",
    "rotation": "SELECT cycle, position FROM turn_cursor",
}


def content(url: str) -> dict[str, list[str]]:
    """Give all that matters of a database, without the numbers that a crash may use up."""
    engine, _ = make_engine(url)
    try:
        with engine.connect() as connection:
            return {
                name: sorted(repr(tuple(row)) for row in connection.execute(sa.text(statement)))
                for name, statement in CONTENT.items()
            }
    finally:
        engine.dispose()


def drop_guards(url: str) -> None:
    """Drop what the database itself refuses: the unique indexes and the circle of keys."""
    engine, _ = make_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX uq_assignment_held")
        connection.exec_driver_sql("DROP INDEX uq_assignment_turn")
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("ALTER TABLE ownership DROP CONSTRAINT fk_ownership_held")
            connection.exec_driver_sql("ALTER TABLE assignment DROP CONSTRAINT fk_assignment_owner")
            connection.exec_driver_sql("DROP TRIGGER assignment_no_update ON assignment")
        else:
            connection.exec_driver_sql("DROP TRIGGER assignment_no_update")
    engine.dispose()
