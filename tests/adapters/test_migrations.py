"""Migrations make the tables that the records describe, once, whoever asks and however often."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crm_adapters import open_crm
from crm_adapters.storage import migrations, schema
from crm_adapters.storage.engine import make_engine
from crm_adapters.storage.unit_of_work import HEAD
from crm_domain import SYSTEM
from crm_domain.errors import DatabaseBusy, WrongRevision
from crm_domain.model import Permission, Role
from crm_domain.rules.wording import in_language
from crm_domain.testing.clock import FixedClock
from crm_domain.usecases import inbox, notices
from engines import ENGINES, named
from make import World

_numbers = count(1)
SNAPSHOTS = Path(schema.__file__).parent


@pytest.fixture
def empty(request: pytest.FixtureRequest, engine_name: str, tmp_path: Path) -> Iterator[Any]:
    """Give the addresses of databases that nobody has touched."""
    made: list[str] = []
    admin: sa.Engine | None = None

    def make() -> str:
        nonlocal admin
        number = next(_numbers)
        if engine_name == "sqlite":
            return f"sqlite:///{tmp_path / f'empty{number}.db'}"
        server = request.getfixturevalue("postgresql")
        address = sa.make_url(server).set(drivername="postgresql+psycopg")
        admin = admin or sa.create_engine(address, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE empty{number}")
        made.append(f"empty{number}")
        return named(server, made[-1])

    yield make
    if admin is not None:
        with admin.connect() as connection:
            for name in made:
                connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        admin.dispose()


CATALOGUE = (
    "SELECT table_name, column_name, ordinal_position, data_type, is_nullable, column_default,"
    " character_maximum_length, identity_generation, generation_expression"
    " FROM information_schema.columns WHERE table_schema = 'public'",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), condeferrable,"
    " condeferred FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
    "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    "SELECT proname, pg_get_functiondef(oid) FROM pg_proc"
    " WHERE pronamespace = 'public'::regnamespace",
    "SELECT sequencename, data_type::text, start_value, increment_by FROM pg_sequences",
)

VERSION = "alembic_version"


def described(engine: sa.Engine) -> list[str]:
    """Read what a database says of its own tables, Alembic's own one left out."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            queries: tuple[str, ...] = ("SELECT type, name, tbl_name, sql FROM sqlite_master",)
        else:
            queries = CATALOGUE
        found = [str(tuple(r)) for q in queries for r in connection.exec_driver_sql(q)]
    # SQLite writes a column that was added later behind another, on its line.
    return sorted(" ".join(f.replace("\\n\\t", " ").split()) for f in found if VERSION not in f)


def first_rows(engine: sa.Engine) -> list[Any]:
    """Read the rows that every database has from the start."""
    with engine.connect() as connection:
        return [
            tuple(r)
            for table in ("rotation_plan", "turn_cursor")
            for r in connection.exec_driver_sql(f"SELECT * FROM {table}")
        ]


def test_migrations_make_what_the_records_describe(empty: Any) -> None:
    """Tables, columns, constraints, indexes, triggers and first rows are the same either way."""
    # given
    migrated, _ = make_engine(empty())
    direct, _ = make_engine(empty())
    # when
    migrations.upgrade(migrated)
    with direct.begin() as connection:
        for statement in schema.statements(direct.dialect.name):
            connection.exec_driver_sql(statement.replace("%", "%%"))
    # then
    assert described(migrated) == described(direct)
    assert first_rows(migrated) == first_rows(direct)
    assert len(described(migrated)) > 100
    migrated.dispose()
    direct.dispose()


def test_upgrading_again_changes_nothing(empty: Any) -> None:
    """Neither the tables nor what an administrator arranged in them."""
    # given
    url = empty()
    for _ in range(2):
        open_crm(url, migrate=True).close()
    engine, _ = make_engine(url)
    before = described(engine)
    with open_crm(url) as crm, crm.unit_of_work() as uow:
        [role] = uow.records.all(Role, code="teacher")
        uow.records.save(type(role)(id=role.id, code=role.code, title="教员", version=1))
        permissions = len(uow.records.all(Permission))
    # when
    open_crm(url, migrate=True).close()
    # then
    assert described(engine) == before
    with open_crm(url) as crm, crm.unit_of_work(read_only=True) as uow:
        [role] = uow.records.all(Role, code="teacher")
        assert (role.title, role.permissions) == ("教员", ())
        assert len(uow.records.all(Permission)) == permissions
    engine.dispose()


def test_threads_that_upgrade_different_databases_do_not_mix_them_up(empty: Any) -> None:
    """The tool keeps what it upgrades in names of its own, which all threads share."""
    # given
    engines = [make_engine(empty())[0] for _ in range(6)]
    # when
    with ThreadPoolExecutor(len(engines)) as pool:
        list(pool.map(migrations.upgrade, engines))
    # then
    assert len({tuple(described(engine)) for engine in engines}) == 1
    assert len(described(engines[0])) > 100
    for engine in engines:
        engine.dispose()


@pytest.mark.parametrize("dialect", ENGINES)
def test_a_change_of_the_tables_is_seen_in_review(dialect: str) -> None:
    """The snapshot beside the code has the statements of today."""
    path = SNAPSHOTS / f"schema.{dialect}.sql"
    written = "".join(f"{s};;\n" for s in schema.statements(dialect))
    again = f"python -m crm_adapters.storage.migrations.freeze {dialect} > {path}"
    assert path.read_text("utf-8") == written, f"look at the change, then write it anew:\n{again}"


@pytest.mark.parametrize(
    ("revision", "hint"), [("0000", "crm db upgrade"), ("9999", "Upgrade the program")]
)
def test_another_revision_is_refused_with_what_to_do(url: str, revision: str, hint: str) -> None:
    """An older database is to be upgraded, a newer one asks for a newer program."""
    # given
    engine, _ = make_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE alembic_version SET version_num = '{revision}'"))
    engine.dispose()
    # when
    with pytest.raises(WrongRevision) as refused:
        open_crm(url)
    # then
    assert (refused.value.found, refused.value.needed) == (revision, HEAD)
    assert hint in refused.value.message("en")
    assert refused.value.hint_zh in refused.value.message("zh")


def test_notices_of_before_english_keep_their_chinese_words(empty: Any, clock: FixedClock) -> None:
    """A database with the first tables and what stood in them is upgraded, and works."""
    # given
    url = empty()
    engine, _ = make_engine(url)
    migrations.upgrade(engine, "0001")
    with engine.begin() as connection:
        flag, at = ("1", "0") if engine.dialect.name == "sqlite" else ("true", "now()")
        connection.exec_driver_sql(
            f"INSERT INTO employee (name, on_duty, leave, version) VALUES ('x', {flag}, '[]', 1)"
        )
        connection.exec_driver_sql(
            "INSERT INTO notice (recipient_id, subject, body, event, channel, status, attempts,"
            " fence, next_attempt_at, idempotency_key, created_at)"
            " SELECT id, '您好', '再见', 'test', 'inapp', 'pending', 0, 0,"
            f" {at}, 'k', {at} FROM employee"
        )
    engine.dispose()
    # when
    with pytest.raises(WrongRevision):
        open_crm(url)
    with open_crm(url, migrate=True, clock=clock) as crm:
        [old] = list(notices.list_notices(crm, by=SYSTEM))
        world = World(crm, clock)
        world.dealt()
        [*_, new] = inbox.list_messages(crm, by=world.a)
    # then
    assert (old.subject_en, old.body_en) == (None, None)
    assert in_language(old, "en") == old
    assert in_language(new, "en").subject == "You have a new customer"


def test_an_upgrade_does_not_keep_everybody_waiting_for_one(
    empty: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads a table that changes is waited for a little; the next try does it."""
    monkeypatch.setattr(migrations, "PATIENCE", "100ms")
    engine, _ = make_engine(empty())
    migrations.upgrade(engine, "0001")
    if engine.dialect.name == "postgresql":
        with engine.connect() as reader:
            reader.exec_driver_sql("SELECT * FROM notice")
            with pytest.raises(DatabaseBusy):
                migrations.upgrade(engine)
    migrations.upgrade(engine)
    engine.dispose()


def test_an_empty_database_is_refused_with_what_to_do(empty: Any) -> None:
    """Opening makes no tables unless it is asked to."""
    url = empty()
    with pytest.raises(WrongRevision) as refused:
        open_crm(url)
    assert "crm init" in refused.value.message("en")
    engine, _ = make_engine(url)
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()


def test_a_failed_migration_leaves_nothing(empty: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All or nothing: a crash in the middle leaves a database that can be begun anew."""
    # given
    url = empty()
    engine, _ = make_engine(url)
    made = 0

    @sa.event.listens_for(engine, "before_cursor_execute")
    def _fail(*arguments: Any) -> None:
        nonlocal made
        made += "CREATE TABLE" in arguments[2]
        if made == 12:
            raise RuntimeError("the power went out")

    # when
    with pytest.raises(RuntimeError):
        migrations.upgrade(engine)
    # then
    sa.event.remove(engine, "before_cursor_execute", _fail)
    assert sa.inspect(engine).get_table_names() == []
    migrations.upgrade(engine)
    assert "customer" in sa.inspect(engine).get_table_names()
    engine.dispose()


def _migrate(url: str, barrier: Any, outcomes: Any) -> None:
    barrier.wait()
    try:
        open_crm(url, migrate=True).close()
    except Exception as e:
        outcomes.put(repr(e))
    else:
        outcomes.put("done")


def test_two_processes_may_migrate_at_once(empty: Any, clock: FixedClock) -> None:
    """One of them does it, the other waits, and both find a database that works."""
    # given
    url = empty()
    fresh = multiprocessing.get_context("spawn")
    barrier, outcomes = fresh.Barrier(2), fresh.Queue()
    both = [fresh.Process(target=_migrate, args=(url, barrier, outcomes)) for _ in range(2)]
    # when
    for process in both:
        process.start()
    told = [outcomes.get(timeout=60) for _ in both]
    for process in both:
        process.join(60)
    # then
    assert told == ["done", "done"]
    with open_crm(url, clock=clock) as crm:
        world = World(crm, clock)
        assert world.dealt().owner_id == world.a.employee_id


def test_the_statements_are_the_same_in_any_order() -> None:
    """What is told for one engine does not depend on what was asked before."""
    first = {dialect: schema.statements(dialect) for dialect in ENGINES}
    again = {dialect: schema.statements(dialect) for dialect in reversed(ENGINES)}
    assert again == first
