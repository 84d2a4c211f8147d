"""What no constraint can say: history never changes; and the search index of each database.

PostgreSQL searches the grams of ``customer.search`` with a GIN index; SQLite with an FTS5 table
that triggers keep in step.
"""

from __future__ import annotations

_IDENTITY = ("customer_id", "consultant_id", "started_at", "method", "cycle", "position", "by_id")
"""What a period of ownership began with."""
HISTORY = {
    "assignment": " OR ".join(
        ["OLD.ended_at IS NOT NULL", *(f"NEW.{c} IS DISTINCT FROM OLD.{c}" for c in _IDENTITY)]
    ),
    "follow_up": None,
    "audit_entry": None,
}
"""Table, and which updates of it are refused (SQL over OLD and NEW); None: all."""


def sqlite() -> list[str]:
    """Give the statements for SQLite."""
    found = [
        "CREATE VIRTUAL TABLE customer_search USING fts5"
        "(search, content='customer', content_rowid='id', detail=none,"
        " tokenize=\"unicode61 remove_diacritics 0 tokenchars '#='\")",
        "CREATE TRIGGER customer_search_insert AFTER INSERT ON customer BEGIN"
        " INSERT INTO customer_search(rowid, search) VALUES (NEW.id, NEW.search); END",
        "CREATE TRIGGER customer_search_delete AFTER DELETE ON customer BEGIN"
        " INSERT INTO customer_search(customer_search, rowid, search)"
        " VALUES ('delete', OLD.id, OLD.search); END",
        "CREATE TRIGGER customer_search_update AFTER UPDATE OF search ON customer"
        " WHEN OLD.search <> NEW.search BEGIN"
        " INSERT INTO customer_search(customer_search, rowid, search)"
        " VALUES ('delete', OLD.id, OLD.search);"
        " INSERT INTO customer_search(rowid, search) VALUES (NEW.id, NEW.search); END",
    ]
    for table, when in HISTORY.items():
        condition = f" WHEN {when}" if when else ""
        refusal = f"SELECT RAISE(ABORT, 'history of {table} never changes')"
        found += [
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}{condition}"
            f" BEGIN {refusal}; END",
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} BEGIN {refusal}; END",
        ]
    return found


def postgresql() -> list[str]:
    """Give the statements for PostgreSQL."""
    found = [
        "CREATE INDEX ix_customer_search ON customer USING gin (string_to_array(search, ' '))",
        "CREATE FUNCTION crm_refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION 'history of % never changes', TG_TABLE_NAME"
        " USING ERRCODE = 'restrict_violation'; END$$",
    ]
    for table, when in HISTORY.items():
        condition = f" WHEN ({when})" if when else ""
        found += [
            f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} FOR EACH ROW{condition}"
            " EXECUTE FUNCTION crm_refuse()",
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} FOR EACH ROW"
            " EXECUTE FUNCTION crm_refuse()",
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION crm_refuse()",
        ]
    return found


STATEMENTS = {"sqlite": sqlite, "postgresql": postgresql}
