"""Fast databases and a launcher of workers for the race tests."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

from races.launcher import Launcher


@pytest.fixture(scope="session")
def launcher() -> Iterator[Launcher]:
    """Start what starts the workers."""
    with Launcher() as running:
        yield running


class Copies:
    """A database and copies of it, made when its makers have closed it."""

    def __init__(self, url: str, folder: Path, server: str | None) -> None:
        self.url, self._folder = url, folder
        self._numbers = count(1)
        self._made: list[str] = []
        self._admin = None
        if server is not None:
            address = sa.make_url(server).set(drivername="postgresql+psycopg")
            self._admin = sa.create_engine(address, isolation_level="AUTOCOMMIT")

    def copy(self) -> str:
        """Make a copy and give its address."""
        if self._admin is None:
            path = self._folder / f"copy{next(self._numbers)}.db"
            shutil.copy(str(sa.make_url(self.url).database), path)
            return f"sqlite:///{path}"
        source = sa.make_url(self.url)
        name = f"{source.database}_{next(self._numbers)}"
        self._do(f"CREATE DATABASE {name} TEMPLATE {source.database} STRATEGY FILE_COPY")
        self._made.append(name)
        return source.set(database=name).render_as_string(hide_password=False)

    def settle(self, url: str) -> None:
        """Wait until the server has noticed that a client is dead."""
        if self._admin is None:
            return
        name = sa.make_url(url).database
        until = time.monotonic() + 10
        while self._do(f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'"):
            assert time.monotonic() < until, "a backend outlives its client"
            time.sleep(0.005)

    def drop(self) -> None:
        """Remove the copies."""
        for name in self._made:
            self._do(f"DROP DATABASE {name} WITH (FORCE)")
        self._made.clear()

    def _do(self, statement: str) -> int:
        assert self._admin is not None
        with self._admin.connect() as connection:
            found = connection.exec_driver_sql(statement)
            return int(found.scalar_one()) if found.returns_rows else 0

    def close(self) -> None:
        """Let go of the server."""
        self.drop()
        if self._admin is not None:
            self._admin.dispose()


@pytest.fixture
def copies(
    request: pytest.FixtureRequest, fresh_url: Callable[[str], str], memory: Path
) -> Iterator[Callable[[str], Copies]]:
    """Make a fresh database that can be copied, by the name of an engine."""
    made: list[Copies] = []

    def make(engine: str) -> Copies:
        server = None if engine == "sqlite" else request.getfixturevalue("postgresql")
        made.append(Copies(fresh_url(engine), memory, server))
        return made[-1]

    yield make
    for one in made:
        one.close()
