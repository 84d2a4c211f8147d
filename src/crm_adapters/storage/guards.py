"""What the database refuses by, and whether it is all still there and in force.

A restored, hand-edited or damaged database may have lost a key, a check or a trigger, and nobody
notices before something has slipped through.
"""

from __future__ import annotations

import re

import sqlalchemy as sa

from crm_adapters.storage.tables import metadata
from crm_adapters.storage.triggers import STATEMENTS

_POSTGRESQL = """
    SELECT c.conname FROM pg_constraint c
    WHERE c.connamespace = current_schema()::regnamespace AND c.convalidated AND NOT EXISTS
        (SELECT 1 FROM pg_trigger t WHERE t.tgconstraint = c.oid AND t.tgenabled IN ('D', 'R'))
    UNION ALL SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
    WHERE i.relnamespace = current_schema()::regnamespace AND x.indisunique AND x.indisvalid
    UNION ALL SELECT t.tgname FROM pg_trigger t JOIN pg_class r ON r.oid = t.tgrelid
    WHERE r.relnamespace = current_schema()::regnamespace AND t.tgenabled IN ('O', 'A')
    UNION ALL SELECT r.relname || '.' || a.attname
    FROM pg_attribute a JOIN pg_class r ON r.oid = a.attrelid
    WHERE r.relnamespace = current_schema()::regnamespace AND r.relkind = 'r'
    AND a.attnotnull AND a.attnum > 0"""
"""A constraint that was never validated, or whose triggers are switched off, refuses nothing."""
_SQLITE = """
    SELECT name FROM sqlite_master
    WHERE type = 'trigger' OR (type = 'index' AND sql LIKE 'CREATE UNIQUE %')
    UNION ALL SELECT DISTINCT 'pk_' || m.name FROM sqlite_master m, pragma_table_info(m.name) c
    WHERE m.type = 'table' AND c.pk > 0
    UNION ALL SELECT m.name || '.' || c.name FROM sqlite_master m, pragma_table_info(m.name) c
    WHERE m.type = 'table' AND (c."notnull" OR c.pk > 0)"""
"""Other constraints are named in the words of their table only, and some primary keys nowhere."""
_TABLES = "SELECT sql FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL"


def missing_guards(connection: sa.Connection) -> list[str]:
    """Name the keys, checks, unique indexes and triggers that are not there or not in force.

    Columns that must be filled are named as ``table.column``.
    """
    if connection.dialect.name == "sqlite":
        there = set(connection.exec_driver_sql(_SQLITE).scalars())
        for words in connection.exec_driver_sql(_TABLES).scalars():
            there.update(re.findall(r"CONSTRAINT (\w+)", words))
    else:
        there = set(connection.exec_driver_sql(_POSTGRESQL).scalars())
    return sorted(needed(connection.dialect.name) - there)


def needed(dialect: str) -> set[str]:
    """Name all that a database of this dialect refuses by."""
    found: set[str] = set()
    for table in metadata.tables.values():
        if table.name == "alembic_version":  # Alembic's own
            continue
        found.update(str(c.name) for c in table.constraints)
        found.update(str(i.name) for i in table.indexes if i.unique)
        found.update(f"{table.name}.{c.name}" for c in table.columns if not c.nullable)
    for statement in STATEMENTS[dialect]():
        found.update(re.findall(r"^CREATE TRIGGER (\w+)", statement))
    return found
