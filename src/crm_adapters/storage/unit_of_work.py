"""One transaction on one connection, and the storage that opens them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from crm_adapters.storage.customers import SqlCustomers
from crm_adapters.storage.directory import SqlDirectory
from crm_adapters.storage.engine import AT_ONCE, make_engine, reader_of, translated
from crm_adapters.storage.falling_due import SqlFallingDue
from crm_adapters.storage.forms import SqlForms
from crm_adapters.storage.imports import SqlImports
from crm_adapters.storage.outbox import SqlNotices
from crm_adapters.storage.ownership import SqlOwnership
from crm_adapters.storage.records import SqlRecords
from crm_adapters.storage.rows import mapper
from crm_adapters.storage.schedule import SqlSchedule
from crm_adapters.storage.session import Session
from crm_adapters.storage.sign_ins import SqlSignIns
from crm_adapters.storage.turns import Memory, SqlTurns
from crm_adapters.storage.work import SqlWork
from crm_domain.errors import DatabaseBusy, WrongRevision
from crm_domain.model import AuditEntry
from crm_domain.ports import Checked, PoolRules

HEAD = "0003"
"""The revision of the tables that this program works on."""


class SqlUnitOfWork:
    """Implements the port ``UnitOfWork``: begin, then commit, or roll back on any error."""

    def __init__(self, engine: sa.Engine, memory: Memory, read_only: bool) -> None:
        self._engine, self._memory, self._read_only = engine, memory, read_only

    def __enter__(self) -> Self:
        with translated():
            connection = self._engine.connect()
            try:
                connection.begin()
            except BaseException:
                connection.close()
                raise
        self._connection = connection
        session = Session(connection)
        self._session = session
        self.records = SqlRecords(session)
        self.customers = SqlCustomers(session)
        self.ownership = SqlOwnership(session)
        self.falling_due = SqlFallingDue(session)
        self.turns = SqlTurns(session, self._memory)
        self.notices = SqlNotices(session)
        self.imports = SqlImports(session)
        self.schedule = SqlSchedule(session)
        self.sign_ins = SqlSignIns(session)
        self.forms = SqlForms(session)
        self.work = SqlWork(session)
        self.directory = SqlDirectory(session)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._read_only:
                # Nothing was written; a rollback would make the driver forget what it prepared.
                with translated():
                    self._connection.commit()
            elif kind is None:
                self._session.commit()
            else:
                # Where the connection is lost, so is what it did, and the error tells why.
                with suppress(sa.exc.DBAPIError):
                    self._connection.rollback()
        finally:
            # Closing rolls back, which a connection that is lost refuses once more: of whatever was
            # wrong before that tells nothing new.
            with translated() if kind is None else suppress(sa.exc.DBAPIError):
                self._connection.close()

    def pool_rules(self) -> PoolRules:
        """Read the pool rules and see to it that they do not change before the end."""
        return self.turns.pool_rules()

    def pool_rules_changing(self) -> None:
        """Wait until nobody relies on the pool rules, and keep others waiting until the end."""
        self.turns.pool_rules_changing()

    def audit(self, *entries: AuditEntry) -> None:
        """Write down who changed what."""
        m = mapper(AuditEntry)
        rows = [m.values(entry)[1:] for entry in entries]
        if len(rows) == 1:
            self._session.later(m.table, m.write[1:], rows[0])
        else:
            self._session.insert(m.table, m.write[1:], rows)


class _Snapshot(SqlUnitOfWork):
    """The one transaction in which a thread reads for a while; begun when it first reads."""

    def __init__(self, engine: sa.Engine, memory: Memory) -> None:
        super().__init__(engine, memory, read_only=True)
        self._entered = 0
        self._open = False

    def __enter__(self) -> Self:
        if not self._open:
            super().__enter__()
            self._open = True
        self._entered += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._entered -= 1
        if kind is not None:
            # The database may have given the transaction up.
            self.end()

    def end(self) -> None:
        """End the transaction, unless somebody reads in it; whoever reads next begins another."""
        if self._open and not self._entered:
            self._open = False
            # All was read; that the connection was lost since takes nothing from it.
            with suppress(DatabaseBusy):
                super().__exit__(None, None, None)


class SqlStorage:
    """Implements the port ``Storage`` on SQLite and PostgreSQL."""

    def __init__(self, url: str) -> None:
        self.engine, self._temporary = make_engine(url)
        self.reader = reader_of(self.engine)
        self._hasty = self.engine.execution_options(**{AT_ONCE: True})
        self._memory = Memory()
        self._of_thread = threading.local()

    def unit_of_work(self, *, read_only: bool = False, wait: bool = True) -> SqlUnitOfWork:
        """Begin one."""
        snapshot: _Snapshot | None = getattr(self._of_thread, "snapshot", None)
        if snapshot is not None and read_only:
            return snapshot
        if snapshot is not None:
            # What is written now must be seen by what is read after.
            snapshot.end()
        engine = self.reader if read_only else self.engine
        if not (wait or read_only):
            engine = self._hasty
        return SqlUnitOfWork(engine, self._memory, read_only)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all reading of this thread see one state of the database; the port says more."""
        if getattr(self._of_thread, "snapshot", None) is not None:
            yield
            return
        snapshot = self._of_thread.snapshot = _Snapshot(self.reader, self._memory)
        try:
            yield
        finally:
            self._of_thread.snapshot = None
            snapshot.end()

    @property
    def one_writer(self) -> bool:
        """Whether everybody who writes waits for everybody else who does."""
        return self.engine.dialect.name == "sqlite"

    def clock(self) -> datetime:
        """Tell the database's own time."""
        if self.engine.dialect.name == "sqlite":
            return datetime.now(UTC)
        with translated(), self.engine.connect() as connection:
            found: datetime = connection.execute(sa.text("SELECT clock_timestamp()")).scalar_one()
        return found.astimezone(UTC)

    def check(self) -> tuple[Checked, ...]:
        """Check the invariants, changing nothing; one that counts nothing has passed."""
        from crm_adapters.storage.check import check_invariants

        return check_invariants(self.reader)

    def revision(self) -> str | None:
        """Tell the revision of the tables; None for an empty database."""
        with translated(), self.reader.connect() as connection:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            found = connection.execute(sa.text("SELECT version_num FROM alembic_version"))
            return found.scalar_one_or_none()

    def prepare(self, migrate: bool) -> None:
        """See to it that the tables are those this program works on.

        Args:
            migrate: Whether to bring them there; otherwise another revision is refused.

        Raises:
            WrongRevision: With what to do.
        """
        if migrate:
            from crm_adapters.storage.migrations import upgrade

            upgrade(self.engine)
        found = self.revision()
        if found == HEAD:
            return
        hint, hint_zh = "Run `crm db upgrade`.", "请先运行 crm db upgrade。"
        if found is None:
            hint, hint_zh = "Run `crm init`.", "请先运行 crm init。"
        elif found > HEAD:
            hint, hint_zh = "Upgrade the program.", "请升级本程序。"
        raise WrongRevision(found=found or "-", needed=HEAD, hint=hint, hint_zh=hint_zh)

    def close(self) -> None:
        """Let go of the database; a temporary one is removed."""
        self.reader.dispose()
        self.engine.dispose()
        if self._temporary is not None:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self._temporary}{suffix}").unlink(missing_ok=True)


def open_storage(url: str) -> SqlStorage:
    """Open a database by its address.

    Raises:
        BadSetting: The address is not usable.
    """
    return SqlStorage(url)
