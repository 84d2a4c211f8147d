"""Brings a backup back into an empty database: all of it, or nothing.

PostgreSQL does it in one transaction. Foreign keys and indexes are taken away for the time and made
again from their own definitions at the end, which checks every row: some keys point in circles, and
one look-up for each key of each row takes much longer. SQLite's file is looked through beside its
place and then given its name.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from crm_adapters.storage.archive import ArchiveReader, Manifest
from crm_adapters.storage.backup import (
    DATABASE,
    copy_statement,
    kept,
    looked_through,
    parsed_url,
    private,
    tables_of,
)
from crm_adapters.storage.engine import (
    make_engine,
    sqlite_module,
    told,
    translated,
    without_hurry,
)
from crm_adapters.storage.migrations import LOCK, upgrade_on
from crm_adapters.storage.unit_of_work import HEAD
from crm_domain.errors import BackupFailed, BadSetting, NotEmpty


def restore(url: str, file: Path) -> Manifest:
    """Restore a backup as a whole or not at all.

    Args:
        url: The address of a database without tables; an SQLite file that is not there yet.
        file: What `back_up` wrote on the same engine.

    Returns:
        What was restored.

    Raises:
        BadBackup: The file is damaged, or of another revision or engine.
        NotEmpty: Something is there already.
        BadSetting: The address is not usable.
        OSError: The file cannot be read.
    """
    parsed = parsed_url(url)
    engine = parsed.get_backend_name()
    with ArchiveReader(file) as archive:
        found = archive.manifest
        if found.revision != HEAD:
            raise archive.bad(
                f"它由程序 {found.program} 备份，数据库版本为 {found.revision}，本程序需要 {HEAD}；"
                "请用当时的程序恢复，再升级。",
                f"program {found.program} made it of revision {found.revision}, and this program "
                f"needs {HEAD}; restore it with that program, then upgrade.",
            )
        if found.engine != engine:
            raise archive.bad(f"它是 {found.engine} 的备份，不能恢复到 {engine}。",
                              f"it is of {found.engine} and cannot go into {engine}.")  # fmt: skip
        if engine == "sqlite":
            _sqlite(parsed, archive)
        else:
            _postgresql(url, archive)
    return found


# -- SQLite -----------------------------------------------------------------------------------


def _sqlite(url: sa.URL, archive: ArchiveReader) -> None:
    if url.database in (None, "", ":memory:"):
        raise BadSetting(name="CRM_DATABASE_URL", reason="a temporary database keeps nothing",
                         reason_zh="临时数据库不会保留数据")  # fmt: skip
    path = Path(str(url.database))
    # A log that was left beside would be played into the restored database.
    for there in (path, *(path.with_name(path.name + s) for s in ("-wal", "-journal"))):
        if there.exists():
            raise NotEmpty(what_zh=f"{there} 已存在", what_en=f"{there} exists")
    with private(path) as (part, out):
        for block in archive.read(DATABASE):
            out.write(block)
        kept(out)
        out.close()
        _look_through(part, archive)
        _name(part, path)


def _look_through(part: Path, archive: ArchiveReader) -> None:
    found = archive.manifest
    try:
        there = looked_through(part)
        with closing(sqlite_module().connect(str(part))) as connection:
            dangling = connection.execute("PRAGMA foreign_key_check").fetchone()
    except (sqlite_module().DatabaseError, BackupFailed, ValueError) as e:
        raise archive.bad("其中的数据库已损坏。", "the database in it is damaged.") from e
    if there != (found.revision, dict(found.rows)) or dangling:
        raise archive.bad("内容与清单不符。", "what is in it is not what its manifest says.")


def _name(part: Path, path: Path) -> None:
    """Give a file its name, unless somebody took it meanwhile."""
    try:
        try:
            os.link(part, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            path.touch(0o600, exist_ok=False)  # From here on the name is ours to replace.
            part.replace(path)
    except FileExistsError as e:
        raise NotEmpty(what_zh=f"{path} 已存在", what_en=f"{path} exists") from e


# -- PostgreSQL -------------------------------------------------------------------------------

_KEYS = """
    SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid)
    FROM pg_constraint WHERE contype = 'f' AND connamespace = current_schema()::regnamespace"""
_INDEXES = """
    SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE c.relnamespace = current_schema()::regnamespace
    AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid)"""
_THERE = """
    SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace
    AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f') ORDER BY relname LIMIT 1"""


def _postgresql(url: str, archive: ArchiveReader) -> None:
    engine, _ = make_engine(url)
    try:
        with translated():
            try:
                with told(engine.dialect, "COPY"), engine.begin() as connection:
                    without_hurry(connection)
                    _whole(connection, archive)
            except (sa.exc.IntegrityError, sa.exc.DataError) as e:
                raise archive.bad(
                    "内容不合数据库的约束。", "what is in it breaks the rules of the database."
                ) from e
    finally:
        engine.dispose()


def _whole(connection: sa.Connection, archive: ArchiveReader) -> None:
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
    there = connection.exec_driver_sql(_THERE).scalar()
    if there is not None:
        raise NotEmpty(what_zh=f"已有 {there}", what_en=f"there is {there}")
    upgrade_on(connection, archive.manifest.revision)
    _fill(connection, archive)


def _fill(connection: sa.Connection, archive: ArchiveReader) -> None:
    found = archive.manifest
    tables = {f"{name}.copy": columns for name, columns in tables_of(connection).items()}
    if {name: part.columns for name, part in found.parts.items()} != tables:
        raise archive.bad("它的表与本程序的不同。", "its tables are not those of this program.")
    keys = connection.exec_driver_sql(_KEYS).all()
    for table, key, _ in keys:
        connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT {key}")
    indexes = connection.exec_driver_sql(_INDEXES).all()
    for index, _ in indexes:
        connection.exec_driver_sql(f"DROP INDEX {index}")
    driver: Any = connection.connection.driver_connection
    for name, columns in tables.items():
        table = name.removesuffix(".copy")
        connection.exec_driver_sql(f'DELETE FROM "{table}"')  # what new tables begin with
        with driver.cursor() as cursor:
            with cursor.copy(copy_statement(table, columns, "FROM STDIN")) as copy:
                for block in archive.read(name):
                    copy.write(block)
            if cursor.rowcount != found.rows.get(table):
                raise archive.bad(f"{table} 的行数不符。", f"the rows of {table} do not agree.")
    for _, definition in indexes:
        connection.exec_driver_sql(definition.replace("%", "%%"))
    for table, key, definition in keys:
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD CONSTRAINT {key} {definition}")
    for name, last in found.sequences.items():
        connection.exec_driver_sql("SELECT setval(quote_ident(%s)::regclass, %s)", (name, last))
    connection.exec_driver_sql("ANALYZE")
