"""Engines for both databases, and the errors of both in our words."""

from __future__ import annotations

import os
import re
import select
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import sqlalchemy as sa

from crm_adapters.storage.tables import LINKS
from crm_domain.errors import (
    BadSetting,
    CrmError,
    DatabaseBusy,
    Duplicate,
    FieldError,
    InUse,
    Invalid,
    NotFound,
)
from crm_domain.model import RECORDS, about, specs

SAFE_SQLITE = (3, 51, 3)
"""Older builds may corrupt a database when two connections reset the WAL at once."""

PATIENCE = 30
"""Seconds that whoever writes into SQLite waits for whoever does."""
AT_ONCE = "crm_at_once"
"""The option of a connection that does not wait."""


def sqlite_module() -> ModuleType:
    """Give the newest SQLite there is: the one of the ``pysqlite3`` wheel, else Python's own."""
    import sqlite3

    try:
        from pysqlite3 import dbapi2
    except ImportError:
        return sqlite3
    module: ModuleType = dbapi2
    return module if module.sqlite_version_info >= sqlite3.sqlite_version_info else sqlite3


def make_engine(url: str) -> tuple[sa.Engine, Path | None]:
    """Make an engine for a database address.

    Args:
        url: ``sqlite:///crm.db``, ``sqlite://`` (a private temporary file) or ``postgresql://…``.

    Returns:
        The engine, and the temporary file to remove at the end, if there is one.

    Raises:
        BadSetting: The address names no database that we can use.
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as e:
        raise BadSetting(name="CRM_DATABASE_URL", reason="not a database address",
                         reason_zh="不是数据库地址") from e  # fmt: skip
    if parsed.get_backend_name() == "postgresql":
        return _postgresql(parsed), None
    if parsed.get_backend_name() != "sqlite":
        kind = parsed.get_backend_name()
        raise BadSetting(
            name="CRM_DATABASE_URL",
            reason=f"{kind} is not supported; use sqlite:/// or postgresql://",
            reason_zh=f"不支持 {kind}；请用 sqlite:/// 或 postgresql://",
        )
    temporary = None
    if parsed.database in (None, "", ":memory:"):
        handle, name = tempfile.mkstemp(prefix="crm-", suffix=".db")
        os.close(handle)
        temporary = Path(name)
        parsed = parsed.set(database=name)
    elif not Path(str(parsed.database)).absolute().parent.is_dir():
        raise BadSetting(
            name="CRM_DATABASE_URL", reason=f"the folder of {parsed.database} does not exist",
            reason_zh=f"{parsed.database} 所在的文件夹不存在",
        )  # fmt: skip
    return _sqlite(parsed), temporary


_CONNECTION = {
    "options": "-c lock_timeout=10s -c timezone=UTC -c idle_in_transaction_session_timeout=120s"
               " -c statement_timeout=300s",
    # A computer that vanishes says nothing: without these it is waited for two hours.
    "connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}  # fmt: skip
"""How connections to PostgreSQL are made; what stands in its address is left as it is."""


def without_hurry(connection: sa.Connection) -> None:
    """Let statements take as long as they need until the transaction ends: for work on all rows."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")


def _postgresql(url: sa.URL) -> sa.Engine:
    said = {name: value for name, value in _CONNECTION.items() if name not in url.query}
    try:
        engine = sa.create_engine(
            url.set(drivername="postgresql+psycopg"),
            isolation_level="READ COMMITTED", pool_size=10, max_overflow=20,
            connect_args=said,
        )  # fmt: skip
    except ImportError as e:
        install = "pip install 'school-crm[postgres]'"
        raise BadSetting(
            name="CRM_DATABASE_URL", reason=f"PostgreSQL needs its driver: {install}",
            reason_zh=f"PostgreSQL 需要驱动程序：{install}",
        ) from e  # fmt: skip

    @sa.event.listens_for(engine, "checkout")
    def _alive(raw: Any, *_: Any) -> None:
        # An idle connection has nothing to say but that the server ends it. Asking the socket
        # costs no round trip; whoever restarts the server ends all connections at once.
        if raw.closed or select.select([raw.fileno()], [], [], 0)[0]:
            raise sa.exc.InvalidatePoolError

    return engine


def _sqlite(url: sa.URL, *, read_only: bool = False) -> sa.Engine:
    engine = sa.create_engine(
        url, module=sqlite_module(), connect_args={"timeout": PATIENCE, "check_same_thread": False},
        poolclass=sa.pool.QueuePool, pool_size=10, max_overflow=20,
    )  # fmt: skip
    # Many read at once, and each connection keeps a cache of its own (in kibibytes).
    cache = 16_384 if read_only else 65_536
    # Set once for each connection: setting it again makes SQLite compile every statement anew.
    pragmas = ["journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF",
               f"cache_size=-{cache}", f"query_only={int(read_only)}"]  # fmt: skip
    # A transaction that read first could not become a writing one once another wrote.
    begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        # The driver stops guessing where transactions begin; "_begin" below says it.
        connection.isolation_level = None
        # What SQLite calls lower knows the letters of English only.
        connection.create_function("fold", 1, _fold, deterministic=True)
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        raw: Any = connection.connection.driver_connection
        at_once = connection.get_execution_options().get(AT_ONCE, False)
        with told(engine.dialect, begin):
            try:
                if at_once:
                    raw.execute("PRAGMA busy_timeout=0")
                raw.execute(begin)
            finally:
                if at_once:
                    raw.execute(f"PRAGMA busy_timeout={PATIENCE * 1000}")

    return engine


def _fold(text: str | None) -> str | None:
    return None if text is None else text.lower()


def reader_of(engine: sa.Engine) -> sa.Engine:
    """Give an engine on the same database whose transactions see one state and cannot write."""
    if engine.dialect.name == "sqlite":
        return _sqlite(engine.url, read_only=True)
    return engine.execution_options(postgresql_readonly=True, isolation_level="REPEATABLE READ")


@contextmanager
def told(dialect: Any, statement: str) -> Iterator[None]:
    """Give the errors of a driver that is used past the engine as the engine would."""
    wrong = dialect.loaded_dbapi.Error
    try:
        yield
    except wrong as e:
        raise sa.exc.DBAPIError.instance(statement, None, e, wrong) from e


_LOST = re.compile(
    r"terminating connection|server closed|lost synchronization|could not receive|could not send"
    r"|SSL (?:connection has been closed|SYSCALL)"
    r"|connection (?:is|was|has been)? ?(?:closed|lost|reset|broken|bad|timed out)"
    r"|consuming input failed|sending (?:query|data).* failed|starting up|shutting down"
    r"|connection refused|timeout expired|no route to host|network is unreachable"
    r"|not (?:currently |yet )?accepting connections|too many clients",
    re.IGNORECASE,
)
"""What says that there is no connection at the moment; whoever is refused for good says otherwise,
as by a password or a certificate."""
_IN_THE_WAY = re.compile(
    r"locked|busy|lock timeout|deadlock|canceling statement", re.IGNORECASE
)  # fmt: skip
"""What says that others were in the way."""


_AWAY = {
    "25P03",  # the server ended a transaction in which nothing was done for too long
    "25006",  # it is a standby, as in the moments when another takes over
}
"""States of PostgreSQL that are no error of an operation, though the driver files them there."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn the errors of a driver into ours, once, at the border."""
    try:
        yield
    except sa.exc.IntegrityError as e:
        raise _integrity(e) from e
    except sa.exc.OperationalError as e:
        if _is_lost(e) or _IN_THE_WAY.search(str(e.orig)):
            raise DatabaseBusy from e
        raise
    except (sa.exc.InternalError, sa.exc.InterfaceError) as e:
        # A cursor that is closed, for one, is a mistake of ours, which no second try mends.
        if _is_lost(e) or getattr(e.orig, "sqlstate", None) in _AWAY:
            raise DatabaseBusy from e
        raise
    except (sa.exc.TimeoutError, sa.exc.PendingRollbackError) as e:
        # The pool is exhausted; or the connection was lost and the engine has noticed before us.
        raise DatabaseBusy from e
    except (sa.exc.DataError, OverflowError, UnicodeEncodeError) as e:
        # What reaches a driver should have been read as a field before; this is the last fence.
        raise Invalid([FieldError("", "bad_value", None, "有值无法存入数据库",
                                  "a value does not fit into the database")]) from e  # fmt: skip


def _is_lost(error: sa.exc.DBAPIError) -> bool:
    return error.connection_invalidated or bool(_LOST.search(str(error.orig)))


def _integrity(error: sa.exc.IntegrityError) -> CrmError | sa.exc.IntegrityError:
    text = str(error.orig)
    table, columns = _place(error.orig, text)
    missing = bool(re.search(r"foreign key", text, re.I))
    link = next((key for key, t in LINKS.items() if t.name == table), None)
    if link is not None:
        table, columns = about(RECORDS[link[0]]).table, {link[1]}
    record = next((c for c in RECORDS.values() if about(c).table == table), None)
    if record is None:
        # SQLite names no table. Without a statement it is a commit, which no input makes fail.
        told = missing and not table and error.statement is not None
        return NotFound(what="引用的记录", id="?") if told else error
    labels = {name: spec for name, spec in specs(record).items() if name in columns}
    if re.search(r"unique", text, re.I) and labels:
        return Duplicate(
            what=about(record).zh, field="、".join(s.zh for s in labels.values()),
            value="", fields=tuple(labels),
        )  # fmt: skip
    if missing:
        if re.search(r"update or delete", text):
            return InUse(what=about(record).zh)
        return NotFound(what="、".join(s.zh for s in labels.values()) or about(record).zh, id="?")
    return error


def _place(cause: Any, text: str) -> tuple[str, set[str]]:
    """Tell the table and the columns that a refusal is about."""
    diagnosis = getattr(cause, "diag", None)
    if diagnosis is not None:
        table = diagnosis.table_name or ""
        rest = (diagnosis.constraint_name or "").partition(f"_{table}_")[2]
        names = {n for n in _columns(table) if re.search(rf"(^|_){n}(_|$)", rest)}
        return table, {max(names, key=len)} if len(names) > 1 and rest in names else names
    places = re.findall(r"(\w+)\.(\w+)", text.partition(":")[2])
    return (places[0][0] if places else ""), {column for _, column in places}


def _columns(table: str) -> list[str]:
    return [n for c in RECORDS.values() if about(c).table == table for n in specs(c)]
