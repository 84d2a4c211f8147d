"""Backups of both databases, also while they are in use: one state, in one file.

PostgreSQL is read by ``COPY`` in one transaction at REPEATABLE READ, so that all tables show the
same moment and no program of PostgreSQL's own is needed. SQLite copies itself by ``VACUUM INTO``.
Copying the file of a database that is in use, or one table after another in transactions of their
own, gives a state that never was.
"""

from __future__ import annotations

import glob
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa

from crm_adapters.storage.archive import BLOCK, ArchiveWriter, Manifest
from crm_adapters.storage.engine import (
    make_engine,
    reader_of,
    sqlite_module,
    told,
    translated,
    without_hurry,
)
from crm_domain import __version__
from crm_domain.errors import BackupFailed, BadSetting

DATABASE = "crm.db"
"""The part that is a whole SQLite database."""


ABANDONED = 12 * 3600
"""Seconds after which a file that nobody wrote to was left by a program that was killed."""


def back_up(url: str, out: Path) -> Manifest:
    """Write a backup as a whole or not at all; only its owner may read it.

    Args:
        url: The address of the database, at any revision.
        out: The file. Replaced if it exists.

    Returns:
        What is in it.

    Raises:
        BackupFailed: With what to do.
        BadSetting: The address is not usable.
    """
    parsed = parsed_url(url)
    work = _sqlite if parsed.get_backend_name() == "sqlite" else _postgresql
    with private(out) as (part, file):
        with ArchiveWriter(file) as archive:
            manifest = archive.finish(work(parsed, archive, out))
        kept(file)
        file.close()
        part.replace(out)
    _kept_name(out)
    return manifest


def parsed_url(url: str) -> sa.URL:
    """Read the address of a database.

    Raises:
        BadSetting: It is none.
    """
    try:
        return sa.make_url(url)
    except sa.exc.ArgumentError as e:
        raise BadSetting(name="CRM_DATABASE_URL", reason="not a database address",
                         reason_zh="不是数据库地址") from e  # fmt: skip


@contextmanager
def private(beside: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """Make a file beside another that from its first moment only its owner may read.

    Its name is no other's, also where each program has the same process number. At the end it is
    removed, unless it got another name; a program that is killed leaves it, and the next one to
    come by long after removes it.
    """
    folder, prefix, suffix = beside.absolute().parent, f".{beside.name}.", ".part"
    for left in folder.glob(f"{glob.escape(prefix)}*{suffix}"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > ABANDONED:
                left.unlink()
    number, name = tempfile.mkstemp(suffix, prefix, folder)
    try:
        with os.fdopen(number, "wb") as file:
            yield Path(name), file
    finally:
        Path(name).unlink(missing_ok=True)


def kept(file: IO[bytes]) -> None:
    """Wait until what was written would survive a power cut."""
    file.flush()
    os.fsync(file.fileno())


def _kept_name(path: Path) -> None:
    folder = os.open(path.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _manifest(engine: str, revision: str, **more: Any) -> Manifest:
    at = datetime.now().astimezone().isoformat(timespec="seconds")
    return Manifest(engine=engine, revision=revision, program=__version__, made_at=at, **more)


# -- SQLite -----------------------------------------------------------------------------------


def _sqlite(url: sa.URL, archive: ArchiveWriter, beside: Path) -> Manifest:
    path = Path(str(url.database))
    if not path.is_file():
        raise BackupFailed(reason_zh=f"数据库 {path} 不存在。",
                           reason_en=f"there is no database {path}.")  # fmt: skip
    # An empty file is what it may write into, and this one has its mode already.
    with private(beside) as (whole, file):
        file.close()
        with closing(sqlite_module().connect(_read_only(path), uri=True)) as connection:
            # Takes one consistent state, also while others write; leaves no free pages behind.
            connection.execute("VACUUM INTO ?", (str(whole),))
        revision, rows = looked_through(whole)
        with archive.part(DATABASE) as write, whole.open("rb") as copy:
            while block := copy.read(BLOCK):
                write(block)
    return _manifest("sqlite", revision, rows=rows)


def _read_only(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=ro"


def looked_through(path: Path) -> tuple[str, dict[str, int]]:
    """Look a whole SQLite database through.

    Returns:
        Its revision, and its rows by table.

    Raises:
        BackupFailed: It is damaged.
    """
    with closing(sqlite_module().connect(_read_only(path), uri=True)) as copy:
        [(verdict,)] = copy.execute("PRAGMA integrity_check(1)").fetchall()
        if verdict != "ok":
            raise BackupFailed(reason_zh=f"副本已损坏：{verdict}。",
                               reason_en=f"the copy is damaged: {verdict}.")  # fmt: skip
        # Neither the search index, which is made from the customers, nor SQLite's own tables.
        names = copy.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE '%VIRTUAL%'"
            r" AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name NOT LIKE 'customer\_search%'"
            r" ESCAPE '\' ORDER BY name"
        ).fetchall()
        rows = {n: copy.execute(f'SELECT count(*) FROM "{n}"').fetchone()[0] for (n,) in names}
        [(revision,)] = copy.execute("SELECT version_num FROM alembic_version").fetchall()
    return revision, rows


# -- PostgreSQL -------------------------------------------------------------------------------

TABLES = """
    SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
    AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    GROUP BY c.relname ORDER BY c.relname"""
"""All tables with the columns that can be written."""


def _postgresql(url: sa.URL, archive: ArchiveWriter, _: Path) -> Manifest:
    engine, _temporary = make_engine(url.render_as_string(hide_password=False))
    try:
        with translated(), told(engine.dialect, "COPY"):
            with engine.connect() as connection:
                tables = tables_of(connection)
            if "alembic_version" not in tables:
                raise BackupFailed(reason_zh="数据库是空的。", reason_en="the database is empty.")
            with reader_of(engine).connect() as connection, connection.begin():
                without_hurry(connection)
                return _copied(connection, tables, archive)
    finally:
        engine.dispose()


def tables_of(connection: sa.Connection) -> dict[str, tuple[str, ...]]:
    """Read all tables with the columns that can be written."""
    return {name: tuple(columns) for name, columns in connection.exec_driver_sql(TABLES)}


def copy_statement(table: str, columns: tuple[str, ...], way: str) -> str:
    """Write ``COPY`` for a table: ``TO STDOUT`` or ``FROM STDIN``."""
    quoted = ", ".join(f'"{column}"' for column in columns)
    return f'COPY "{table}" ({quoted}) {way}'


def _copied(
    connection: sa.Connection, tables: dict[str, tuple[str, ...]], archive: ArchiveWriter
) -> Manifest:
    # The state is that of the first query; by then nobody can change the tables themselves.
    quoted = ", ".join(f'"{name}"' for name in tables)
    connection.exec_driver_sql(f"LOCK TABLE {quoted} IN ACCESS SHARE MODE")
    revision = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
    driver: Any = connection.connection.driver_connection
    rows = {}
    for name, columns in tables.items():
        with archive.part(f"{name}.copy", columns) as write, driver.cursor() as cursor:
            with cursor.copy(copy_statement(name, columns, "TO STDOUT")) as copy:
                for block in copy:
                    write(bytes(block))
            rows[name] = cursor.rowcount
    # Sequences know no transactions: read last, they have passed every number that was copied.
    sequences = connection.exec_driver_sql(
        "SELECT sequencename, last_value FROM pg_sequences"
        " WHERE schemaname = current_schema() AND last_value IS NOT NULL"
    )
    last = {str(name): int(number) for name, number in sequences}
    return _manifest("postgresql", str(revision), rows=rows, sequences=last)
