"""The statements that make all tables, as the records describe them today."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from crm_adapters.storage.tables import metadata
from crm_adapters.storage.triggers import STATEMENTS

SEEDS = (
    "INSERT INTO rotation_plan (version, entries, strategy, created_at)"
    " VALUES (0, '[]', 'rounds', {epoch})",
    "INSERT INTO turn_cursor (id, cycle, position, plan_version, next_version, people,"
    " rules)"
    " VALUES (1, 0, 0, 0, 0, 0, 0)",
)
_EPOCH = {"sqlite": "0", "postgresql": "'1970-01-01T00:00:00Z'"}


def _ordered(lines: list[str]) -> str:
    """Put the constraints of a table, which come in any order, into one."""
    names = [i for i, line in enumerate(lines) if line.startswith("\tCONSTRAINT")]
    if names:
        first, last = names[0], names[-1] + 1
        kept = sorted(line.rstrip(",") for line in lines[first:last])
        lines[first:last] = [f"{line}," for line in kept[:-1]] + kept[-1:]
    return "\n".join(lines)


def statements(dialect: str) -> list[str]:
    """Give the statements for a dialect (``sqlite`` or ``postgresql``), in order."""
    found: list[str] = []

    def note(statement: Any, *_: Any, **__: Any) -> None:
        text = str(statement.compile(dialect=engine.dialect))
        found.append(_ordered([line.rstrip() for line in text.strip().splitlines()]))

    scheme = {"sqlite": "sqlite://", "postgresql": "postgresql+psycopg://"}[dialect]
    engine = sa.create_mock_engine(scheme, note)
    kept = [t for t in metadata.sorted_tables if t.name != "alembic_version"]
    keys = [c for t in kept for c in t.foreign_key_constraints]
    for key in keys:
        # PostgreSQL's turn marks what it adds late, and SQLite's would then leave it out.
        key._create_rule = None
    metadata.create_all(engine, tables=kept, checkfirst=False)
    # Indexes and late constraints come in any order, from sets; here they get one.
    tables = [s for s in found if s.startswith("CREATE TABLE")]
    found = tables + sorted(s for s in found if not s.startswith("CREATE TABLE"))
    found += STATEMENTS[dialect]()
    return found + [s.format(epoch=_EPOCH[dialect]) for s in SEEDS]
