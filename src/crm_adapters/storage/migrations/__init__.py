"""Brings a database to the newest revision, one process at a time."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from crm_adapters.storage.engine import translated, without_hurry

_ONE_AT_A_TIME = threading.Lock()
"""Alembic keeps what it upgrades in names of its module: two threads would mix up their databases.
"""
LOCK = 5_417_236_001
"""Any number, as long as no other program takes the same advisory lock in this database."""

PATIENCE = "5s"
"""For a table that somebody uses."""


def config() -> Any:
    """Give Alembic's configuration, without a file of its own."""
    from alembic.config import Config

    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    return made


def upgrade(engine: sa.Engine, revision: str = "head") -> None:
    """Bring a database to a revision, all or nothing.

    Others who want the same wait: on SQLite for the one writer, on PostgreSQL for a lock. For those
    who use a table that changes it waits a little only, since all who come later wait behind it.

    Raises:
        DatabaseBusy: Somebody used a table all the while, such as a backup.
    """
    with translated(), engine.begin() as connection:
        without_hurry(connection)
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE}'")
        upgrade_on(connection, revision)


def upgrade_on(connection: sa.Connection, revision: str = "head") -> None:
    """Do it in a transaction that the caller began and ends."""
    from alembic import command

    made = config()
    made.attributes["connection"] = connection
    with _ONE_AT_A_TIME:
        command.upgrade(made, revision)
