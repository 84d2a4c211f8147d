"""``crm check`` finds what is broken: one law for each invariant, and no invariant without one.

What the database refuses is taken away first: a damaged, hand-edited or badly restored database has
lost it just so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from commands import Here
from crm_adapters import open_crm
from crm_adapters.storage import check
from crm_adapters.storage.engine import make_engine, sqlite_module
from crm_adapters.storage.guards import missing_guards, needed
from crm_domain import SYSTEM, Crm
from crm_domain.ports import Checked
from crm_domain.testing.clock import FixedClock
from crm_domain.usecases import _redating, consistency, follow_up, imports, pool, pool_rules
from make import World, start_of_november
from steps import enrol

SQLITE_ONLY = {"damage", "references"}
"""PostgreSQL looks after these itself, and has no question to ask about them."""
POSTGRESQL_ONLY = {"sequences"}
"""SQLite looks at the numbers that are there before it gives another."""
SQLITE = (
    "SELECT 'DROP ' || type || ' ' || name FROM sqlite_master WHERE type = 'trigger'"
    " OR (type = 'index' AND sql LIKE '%UNIQUE%')",
    *(  # The constraints of a table go with it alone.
        f"VALUES ('CREATE TABLE kept AS SELECT * FROM {table}'), ('DROP TABLE {table}'),"
        f" ('ALTER TABLE kept RENAME TO {table}')"
        for table in ("notice", "sign_in", "reset_link", "saved_view")
    ),
)
POSTGRESQL = (
    "SELECT 'ALTER TABLE ' || conrelid::regclass || ' DROP CONSTRAINT ' || quote_ident(conname)"
    " || ' CASCADE' FROM pg_constraint WHERE contype IN ('f', 'c', 'u', 'p') AND conrelid <> 0"
    " AND connamespace = current_schema()::regnamespace ORDER BY contype <> 'f'",
    "SELECT 'DROP INDEX ' || quote_ident(indexname) FROM pg_indexes"
    " WHERE schemaname = current_schema() AND indexdef LIKE '%UNIQUE%'",
    "SELECT 'DROP TRIGGER ' || tgname || ' ON ' || tgrelid::regclass FROM pg_trigger"
    " WHERE NOT tgisinternal",
)
"""What drops all that a database refuses by: keys, checks, unique indexes, triggers."""


class Ruin:
    """A database to break, by its bare driver, and the numbers of what is in it."""

    def __init__(self, url: str, names: dict[str, Any]) -> None:
        self.names = names
        self.sqlite = url.startswith("sqlite")
        self._connection: Any
        if self.sqlite:
            path = sa.make_url(url).database
            self._connection = sqlite_module().connect(path, isolation_level=None)
            for pragma in ("foreign_keys = OFF", "ignore_check_constraints = ON",
                           "writable_schema = ON"):  # fmt: skip
                self._connection.execute(f"PRAGMA {pragma}")
        else:
            self._connection = psycopg.connect(url, autocommit=True)

    def unguard(self) -> None:
        """Take away all that the database refuses by."""
        for question in SQLITE if self.sqlite else POSTGRESQL:
            for (statement,) in self._connection.execute(question).fetchall():
                self._connection.execute(statement)

    def do(self, statements: str) -> None:
        """Execute statements with names in braces filled in."""
        for statement in statements.split(";"):
            self._connection.execute(statement.format(**self.names))

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()


@pytest.fixture
def ruin(url: str, crm: Crm, world: World) -> Iterator[Ruin]:
    """Prepare a school in which everything is right."""
    owned = world.customer(world.a, qq="1000001", wechat="wx_1")
    other = world.dealt(qq="1000002", wechat="wx_2")
    world.clock.advance(timedelta(hours=1))
    follow_up.log_follow_up(crm, owned.id or 0, {"note": "x"}, by=world.a)
    dealt = world.dealt()
    ended = world.customer(world.b)
    pool.release_customer(crm, ended.id or 0, by=world.b)
    pool.claim_customer(crm, ended.id or 0, by=world.c)
    pool.release_customer(crm, ended.id or 0, by=world.c)
    won = world.customer(world.c)
    enrol(world, won)
    run = imports.import_file(crm, "姓名,手机\n导入,13700000001\n".encode(), file_name="x.csv",
                              to="pool", by=SYSTEM)  # fmt: skip
    made = Ruin(url, {"owned": owned.id, "other": other.id, "dealt": dealt.id, "ended": ended.id,
                      "won": won.id, "run": run.id, "a": world.a.employee_id,
                      "b": world.b.employee_id, "c": world.c.employee_id})  # fmt: skip
    yield made
    made.close()


_SIGN_IN = (
    "INSERT INTO sign_in (id, user_id, token_sha256, created_at, seen_at, expires_at)"
    " SELECT (SELECT count(*) + 1 FROM sign_in), 1, '{token}', {at}, {at}, {until} FROM notice"
)
_SIGN_INS = _SIGN_IN.format(at="min(created_at)", until="max(expires_at)", token="a" * 64)
_LINK = (
    "INSERT INTO reset_link (id, user_id, token_sha256, created_at, expires_at)"
    " SELECT (SELECT count(*) + 1 FROM reset_link), 1, 'a', min(created_at), max(expires_at)"
    " FROM notice"
)
_VIEW = (
    "INSERT INTO saved_view (id, user_id, list_name, title, query, shared, version)"
    " SELECT (SELECT count(*) + 1 FROM saved_view), 1, 'x', 'x', '', (1 = 0), 1"
)
BROKEN = {
    "two_open": "INSERT INTO assignment (id, customer_id, consultant_id, started_at, status,"
    " method, explanation) SELECT max(id) + 1, {owned}, {b}, max(started_at), 1, 'manual', ''"
    " FROM assignment",
    "owner": "UPDATE ownership SET owner_id = {b} WHERE customer_id = {owned}",
    "latest": "UPDATE ownership SET last_consultant_id = {a} WHERE customer_id = {ended}",
    "ownerless": "DELETE FROM ownership WHERE customer_id = {ended}",
    "enrolled": "UPDATE ownership SET status = 'enrolled' WHERE customer_id = {ended}",
    "due": "UPDATE ownership SET due_on = '9999-12-31' WHERE customer_id = {ended}",
    "left_over": "UPDATE ownership SET warn_on = '2026-11-04' WHERE customer_id = {ended}",
    "dates": "UPDATE ownership SET due_on = '2026-11-20' WHERE customer_id = {owned}",
    "due_reason": "UPDATE ownership SET due_days = NULL WHERE customer_id = {owned}",
    "never": "UPDATE ownership SET due_on = '2026-11-04' WHERE customer_id = {won}",
    "ended": "UPDATE assignment SET status = 5 WHERE customer_id = {dealt}",
    "periods": "UPDATE assignment SET ended_at = NULL, status = 1"
    " WHERE customer_id = {ended} AND consultant_id = {b}",
    "follow_up": "UPDATE follow_up SET consultant_id = {b}",
    "contacted": "UPDATE ownership SET last_contacted_at = received_at WHERE customer_id = {owned}",
    "turn": "UPDATE assignment SET position = 0 WHERE cycle IS NOT NULL",
    "contact_phone": "UPDATE customer SET phone = '13800138000' WHERE id IN ({owned}, {other})",
    "contact_qq": "UPDATE customer SET qq = '1000001' WHERE id IN ({owned}, {other})",
    "contact_wechat": "UPDATE customer SET wechat = 'wx_1' WHERE id IN ({owned}, {other})",
    "no_contact": "UPDATE customer SET phone = NULL, qq = NULL, wechat = NULL WHERE id = {owned}",
    "key": "UPDATE notice SET idempotency_key = 'x'",
    "notice_sent": "UPDATE notice SET status = 'sent', sent_at = NULL",
    "notice_leased": "UPDATE notice SET status = 'cancelled', leased_until = created_at",
    "notice_due": "UPDATE notice SET next_attempt_at = NULL",
    "notice_attempts": "UPDATE notice SET attempts = fence + 1",
    "notice_reason": "UPDATE notice SET status = 'dead', error = NULL",
    "notice_expired": "UPDATE notice SET status = 'expired', expires_at = NULL",
    "notice_read": "UPDATE notice SET read_at = created_at WHERE channel <> 'inapp'",
    "quiet": 'INSERT INTO notice_preference (id, employee_id, "off", quiet_from, version)'
    " VALUES (1, {a}, '{{}}', '22:00:00', 1)",
    "session": _SIGN_IN.format(at="max(created_at)", until="min(created_at)", token="a"),
    "session_token": f"{_SIGN_INS};{_SIGN_INS}",
    "link": f"{_LINK};{_LINK}",
    "menu_entry": "UPDATE permission SET url = NULL WHERE code = 'customer:view'",
    "highlight": "UPDATE permission SET parent_id = id WHERE code = 'customer:view'",
    "departments": "UPDATE department SET parent_id = id",
    "view": f"{_VIEW};{_VIEW}",
    "import": "UPDATE import_run SET accepted = 2 WHERE id = {run}",
    "partition": "UPDATE import_run SET refused = 1, data_rows = data_rows + 1 WHERE id = {run}",
    "import_state": "UPDATE import_run SET finished_at = NULL WHERE id = {run}",
    "cursor": "DELETE FROM turn_cursor",
    "cursor_behind": "UPDATE turn_cursor SET position = position - 1",
    "sequences": "SELECT setval('assignment_id_seq', 1)",
    "guards": "DROP INDEX uq_assignment_held",
    "references": "UPDATE customer SET school_id = 77 WHERE id = {owned}",
    # What the schema says of an index is changed, so that its entries do not fit any more.
    "damage": "UPDATE sqlite_master SET sql = 'CREATE INDEX ix_customer_pinyin ON customer"
    " (search, id)' WHERE name = 'ix_customer_pinyin'",
}
"""What breaks each invariant; it must be the record in braces, if there is one, that is named."""


def found(url: str) -> dict[str, tuple[str, ...]]:
    """Ask as ``crm check`` does, on a connection of one's own."""
    return {c.code: c.examples for c in asked(url) if c.count}


def asked(url: str) -> tuple[Checked, ...]:
    """Ask everything, on the day on which the school was made."""
    with open_crm(url, clock=FixedClock(start_of_november())) as crm:
        return consistency.check_database(crm, by=SYSTEM)


@pytest.mark.parametrize("code", BROKEN)
def test_a_broken_invariant_is_found(ruin: Ruin, url: str, code: str) -> None:
    """With the record that breaks it; before, only the guards were missing."""
    if code in (POSTGRESQL_ONLY if ruin.sqlite else SQLITE_ONLY):
        assert code not in codes(url)
        return
    if code not in ("guards", "damage", "references", "sequences"):
        ruin.unguard()
        assert set(found(url)) == {"guards"}
    ruin.do(BROKEN[code])
    broken = found(url)
    assert broken[code]
    named = re.search(r"(?:WHERE \w*id = |max\(id\) \+ 1, )\{(\w+)\}", BROKEN[code])
    if named and code not in ("ended", "periods", "references"):  # those name another table's row
        assert str(ruin.names[named[1]]) in broken[code]
    if code == "guards":
        assert broken == {"guards": ("uq_assignment_held",)}


Drop = tuple[set[str], str]
"""What goes, and the statements that make it go."""


def drops_of_postgresql(connection: sa.Connection) -> Iterator[Drop]:
    """Drop each constraint, index and trigger by itself."""
    constraints = connection.exec_driver_sql(
        "SELECT conname, conrelid::regclass, contype FROM pg_constraint WHERE conrelid <> 0"
        " AND connamespace = current_schema()::regnamespace AND contype IN ('f', 'c', 'u', 'p')"
        " AND conrelid <> 'alembic_version'::regclass"
    ).all()
    indexes = connection.exec_driver_sql(
        "SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE indisunique"
        " AND i.relnamespace = current_schema()::regnamespace"
        " AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.oid)"
    ).scalars().all()  # fmt: skip
    triggers = connection.exec_driver_sql(
        "SELECT tgname, tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal"
    ).all()
    columns = connection.exec_driver_sql(
        "SELECT a.attrelid::regclass || '.' || a.attname, a.attrelid::regclass, a.attname"
        " FROM pg_attribute a JOIN pg_class r ON r.oid = a.attrelid WHERE r.relkind = 'r'"
        " AND r.relnamespace = current_schema()::regnamespace AND a.attnum > 0 AND a.attnotnull"
        " AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conrelid = r.oid"
        " AND c.contype = 'p' AND a.attnum = ANY(c.conkey))"
    ).all()
    for name, table, _ in constraints:
        yield {name}, f"ALTER TABLE {table} DROP CONSTRAINT {name} CASCADE"
    for name in indexes:
        yield {name}, f"DROP INDEX {name}"
    for name, table in triggers:
        yield {name}, f"DROP TRIGGER {name} ON {table}"
        yield {name}, f"ALTER TABLE {table} DISABLE TRIGGER {name}"
    for name, table, column in columns:
        yield {name}, f'ALTER TABLE {table} ALTER "{column}" DROP NOT NULL'
    for name, table in ((n, t) for n, t, kind in constraints if kind == "f"):
        yield {name}, f"ALTER TABLE {table} DISABLE TRIGGER ALL"
    yield (
        {"ck_payment_amount"},
        "ALTER TABLE payment DROP CONSTRAINT ck_payment_amount;"
        "ALTER TABLE payment ADD CONSTRAINT ck_payment_amount CHECK (amount > 0) NOT VALID",
    )


def drops_of_sqlite(connection: sa.Connection) -> Iterator[Drop]:
    """Drop each trigger and index, take each constraint out of its table; all of a table at once.

    A column that may be empty and a table without a key come of themselves with the last.
    """
    tables = dict(
        connection.exec_driver_sql(
            "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name <> 'alembic_version'"
            " AND sql LIKE '%STRICT%'"
        ).all()
    )
    others = connection.exec_driver_sql(
        "SELECT name, type FROM sqlite_master WHERE type = 'trigger'"
        " OR (type = 'index' AND sql LIKE 'CREATE UNIQUE %')"
    ).all()
    for name, kind in others:
        yield {name}, f"DROP {kind} {name}"
    for table, words in tables.items():
        for line in words.splitlines():
            if named := re.search(r"CONSTRAINT ((?:ck|fk|uq)_\w+)", line):
                less = words.replace(line, "").replace("'", "''")
                yield (
                    {named[1]},
                    f"UPDATE sqlite_master SET sql = '{less}' WHERE name = '{table}'",
                )
        columns = connection.exec_driver_sql(
            f"SELECT name FROM pragma_table_info('{table}') WHERE \"notnull\" OR pk > 0"
        ).scalars()
        yield (
            {f"pk_{table}", *(f"{table}.{c}" for c in columns)},
            f"CREATE TABLE kept AS SELECT * FROM {table}; DROP TABLE {table};"
            f"ALTER TABLE kept RENAME TO {table}",
        )


def test_each_guard_that_is_gone_is_named(url: str, engine_name: str) -> None:
    """Keys, checks, unique indexes, triggers, and columns that must be filled, one by one."""
    drops = drops_of_sqlite if engine_name == "sqlite" else drops_of_postgresql
    engine, _ = make_engine(url)
    dropped: set[str] = set()
    with engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        if engine_name == "sqlite":
            raw.execute("PRAGMA foreign_keys = OFF")
            raw.execute("PRAGMA writable_schema = ON")
        assert missing_guards(connection) == []
        those = list(drops(connection))
        connection.rollback()
        for names, statements in those:
            connection.begin()
            for statement in statements.split(";"):
                raw.execute(statement)
            missing = set(missing_guards(connection))
            connection.rollback()
            assert names <= missing, statements
            dropped |= names
            if re.search("DROP (INDEX|TRIGGER|NOT)|UPDATE", statements):
                assert missing == names, statements
    engine.dispose()
    left = needed(engine_name) - dropped
    # On PostgreSQL the columns of a primary key are filled as long as there is one.
    assert engine_name == "postgresql" or left == set()
    assert all("." in name for name in left)


def codes(url: str) -> set[str]:
    """Name every invariant that is asked about."""
    return {c.code for c in asked(url)}


def test_no_invariant_is_without_its_test(url: str, engine_name: str) -> None:
    """A new query fails here until something above breaks it."""
    others = POSTGRESQL_ONLY if engine_name == "sqlite" else SQLITE_ONLY
    assert codes(url) == set(BROKEN) - others


def test_a_school_in_which_all_is_right_breaks_nothing(ruin: Ruin, url: str) -> None:
    """The control of all the others."""
    assert found(url) == {}


def test_dates_are_held_against_the_rules_that_they_were_made_by(
    crm: Crm, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for newer rules is dated by older ones, and who is public was lost by them."""

    def wrong() -> dict[str, int]:
        found = consistency.check_database(crm, by=SYSTEM)
        return {c.code: c.count for c in found if c.count}

    # given: one that is public, and enough for two pages, of which one is dated anew
    monkeypatch.setattr(consistency, "PAGE", 2)
    world.customer(world.a)
    world.clock.advance(timedelta(days=4))
    for _ in range(3):
        world.customer(world.b)
    assert wrong() == {}
    # when
    monkeypatch.setattr(_redating, "BATCH", 2)
    monkeypatch.setattr(_redating.time, "sleep", _die)
    with pytest.raises(Killed):
        pool_rules.set_pool_rules(crm, [{"contact_days": 5}], by=SYSTEM)
    # then
    assert wrong() == {}
    with crm.unit_of_work() as uow:
        dating = uow.turns.dating()
        assert dating is not None
        uow.turns.dated(dating, None)
    assert wrong() == {"dates": 2}


class Killed(Exception):
    """The process ends here."""


def _die(_: float) -> None:
    raise Killed


def test_the_check_changes_nothing(ruin: Ruin, url: str) -> None:
    """Each question is a read-only transaction, even where something is broken."""
    ruin.unguard()
    ruin.do(BROKEN["two_open"])
    with open_crm(url) as crm:
        before = crm.storage.check()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(check, "_QUERIES", [("x", "", "", "DELETE FROM notice RETURNING id")])
            with pytest.raises(Exception, match=r"read-?only|syntax"):
                crm.storage.check()
        assert crm.storage.check() == before


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("words", [("check",), ("db", "check")])
def test_the_command_exits_with_1_and_names_the_records(
    ruin: Ruin, url: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    """By both of its names, for people and for programs."""
    here = Here(capsys, monkeypatch, tmp_path)
    monkeypatch.setenv("CRM_DATABASE_URL", url)
    assert here.json(*words)["ok"]
    ruin.do("DROP TRIGGER assignment_no_update;" + BROKEN["ended"])
    assert not here.json(*words, status=1)["ok"]
    here.speak("zh")
    assert "✗ 分配的状态与结束时间不符" in here(*words, status=1)[0]
