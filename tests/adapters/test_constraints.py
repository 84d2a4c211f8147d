"""What the database alone must refuse, whatever program writes to it, and what it must accept.

Every statement is executed as plain SQL against a prepared school and committed, because the
deferred constraints speak at the commit.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from crm_adapters.storage.engine import make_engine
from crm_adapters.storage.tables import TABLES as RECORD_TABLES
from crm_adapters.storage.tables import ownership
from crm_adapters.storage.types import EPOCH
from crm_domain import SYSTEM, Crm
from crm_domain.model import RECORDS, AuditEntry, specs
from crm_domain.usecases import follow_up, imports, pool
from make import World, start_of_november
from steps import enrol, login

NOW = start_of_november()


class Sql:
    """A connection of one's own to the database of the prepared school, and its numbers."""

    def __init__(self, engine: sa.Engine, names: dict[str, Any]) -> None:
        self.engine, self.names = engine, names
        self.sqlite = engine.dialect.name == "sqlite"

    def at(self, moment: datetime) -> str:
        """Write a moment as the engine keeps it."""
        if self.sqlite:
            return str((moment - EPOCH) // timedelta(microseconds=1))
        return f"TIMESTAMPTZ '{moment.isoformat()}'"

    def commit(self, text: str) -> None:
        """Execute statements, with names in braces filled in, and commit them together."""
        yes, no = ("1", "0") if self.sqlite else ("true", "false")
        moments = {"now": self.at(NOW), "later": self.at(NOW + timedelta(hours=1)),
                   "before": self.at(NOW - timedelta(hours=1))}  # fmt: skip
        with self.engine.connect() as connection, connection.begin():
            for statement in text.split(";"):
                if statement.strip():
                    filled = statement.format(**self.names, **moments, yes=yes, no=no)
                    connection.exec_driver_sql(filled.replace("%", "%%"))

    def dump(self) -> list[Any]:
        """Read everything that the statements are about."""
        with self.engine.connect() as connection:
            return [
                tuple(row)
                for table in TABLES
                for row in connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY 1, 2")
            ]


TABLES = ("assignment", "ownership", "customer", "follow_up", "audit_entry", "notice",
          "notice_preference",
          "turn_cursor", "rotation_entry", "rotation_plan", "import_run", "payment", "pool_rule",
          "holiday", "account", "employee", "department", "sign_in", "reset_link", "permission",
          "list_preference")  # fmt: skip


@pytest.fixture
def sql(url: str, crm: Crm, world: World) -> Iterator[Sql]:
    """Prepare a customer each that is owned, dealt, pooled, given back, locked, won, imported."""
    owned = world.customer(world.a, name="占有", qq="1000001", wechat="owned_wx")
    dealt = world.dealt(name="轮转")
    pooled = world.customer(name="公海")
    ended = world.customer(world.b, name="退回")
    pool.release_customer(crm, ended.id or 0, by=world.b)
    won = world.customer(world.c, name="成单")
    enrol(world, won)
    follow_up.log_follow_up(crm, owned.id or 0, {"note": "x"}, by=world.a)
    sheet = "姓名,手机\n导入,13700000001\n".encode()
    run = imports.import_file(crm, sheet, file_name="x.csv", to="pool", by=SYSTEM)
    engine, _ = make_engine(url)
    with engine.connect() as connection:

        def one(query: str) -> Any:
            return connection.exec_driver_sql(query).scalar_one()

        names = {
            "owned": owned.id, "dealt": dealt.id, "pooled": pooled.id, "ended": ended.id,
            "won": won.id, "run": run.id, "a": world.a.employee_id, "b": world.b.employee_id,
            "c": world.c.employee_id, "user": world.a.user_id, "phone": owned.phone,
            "department": world.department.id, "code": world.department.code,
            "username": login(crm, world.a),
            "open": one(f"SELECT assignment_id FROM ownership WHERE customer_id = {owned.id}"),
            "turn": one(f"SELECT assignment_id FROM ownership WHERE customer_id = {dealt.id}"),
            "closed": one(f"SELECT assignment_id FROM ownership WHERE customer_id = {ended.id}"),
            "imported": one(f"SELECT id FROM customer WHERE import_id = {run.id}"),
            "free": one("SELECT max(id) + 100 FROM assignment"),
        }  # fmt: skip
    yield Sql(engine, names)
    engine.dispose()


ASSIGN = ("INSERT INTO assignment (id, customer_id, consultant_id, started_at, ended_at, status,"
          " method, cycle, position, explanation) VALUES ({free}, ")  # fmt: skip
CUSTOMER = "INSERT INTO customer (name, phone, qq, wechat, version, pinyin, search, archived_at"
OWN = ("UPDATE ownership SET owner_id = {a}, last_consultant_id = {a}, assignment_id = {free},"
       " received_at = {now}, last_contacted_at = {now}, due_on = '2026-11-05', due_status = 3,"
       " due_days = 3, warn_on = '2026-11-04' WHERE customer_id = ")  # fmt: skip
POOL = ("UPDATE ownership SET owner_id = NULL, received_at = NULL, last_contacted_at = NULL,"
        " due_on = '0001-01-01', due_status = NULL, due_days = NULL, warn_on = NULL"
        " WHERE customer_id = ")  # fmt: skip
NOTICE = ("INSERT INTO notice (recipient_id, subject, body, event, channel, status, attempts,"
          " idempotency_key, created_at, fence, next_attempt_at) VALUES ")  # fmt: skip
ONE = "UPDATE notice SET {} WHERE id = (SELECT min(id) FROM notice)"
"""A notice that waits to be sent."""

WISHES = ("INSERT INTO notice_preference (employee_id, off, quiet_from, quiet_until, version)"
          " VALUES ")  # fmt: skip

SIGN_IN = ("INSERT INTO sign_in (user_id, token_sha256, created_at, seen_at, expires_at, ended_at)"
           " VALUES ({user}, ")  # fmt: skip
FINGERPRINT = "'" + "a" * 64 + "'"
LINK = "INSERT INTO reset_link (user_id, token_sha256, created_at, expires_at) VALUES ({user}, "
PREFERENCE = ("INSERT INTO list_preference (user_id, list_name, columns, density, page_size)"
              " VALUES ({user}, 'customers', '[]', ")  # fmt: skip

ILLEGAL = {
    # -- signing in, menus, lists
    "a session whose token is no fingerprint": SIGN_IN + "'x', {now}, {now}, {later}, NULL)",
    "a session that ends before it begins": SIGN_IN
    + FINGERPRINT + ", {now}, {now}, {later}, {before})",
    "a session that was seen before it began": SIGN_IN
    + FINGERPRINT + ", {now}, {before}, {later}, NULL)",
    "a session that never ran": SIGN_IN + FINGERPRINT + ", {now}, {now}, {now}, NULL)",
    "two sessions of one token": SIGN_IN + FINGERPRINT + ", {now}, {now}, {later}, NULL);"
    + SIGN_IN + FINGERPRINT + ", {now}, {now}, {later}, NULL)",
    "two links of one account": LINK + FINGERPRINT + ", {now}, {later});"
    + LINK + FINGERPRINT.replace("a", "b") + ", {now}, {later})",
    "a link that was never usable": LINK + FINGERPRINT + ", {now}, {now})",
    "a menu entry that leads nowhere": (
        "UPDATE permission SET in_menu = {yes} WHERE code = 'customer:edit'"
    ),
    "a permission that hangs from itself": (
        "UPDATE permission SET parent_id = id WHERE code = 'pool:view'"
    ),
    "a page of a million rows": PREFERENCE + "'compact', 1000000)",
    "a density that there is not": PREFERENCE + "'tight', 50)",
    "two preferences of one list": PREFERENCE + "'compact', 50);" + PREFERENCE + "'compact', 50)",
    # -- who owns whom
    "a second open assignment": ASSIGN
    + "{owned}, {a}, {now}, NULL, 1, 'manual', NULL, NULL, '')",
    "a second open assignment of another consultant": ASSIGN
    + "{owned}, {b}, {now}, NULL, 1, 'claim', NULL, NULL, '')",
    "the open assignment goes to another consultant alone": (
        "UPDATE assignment SET consultant_id = {b} WHERE id = {open}"
    ),
    "the owner changes alone": (
        "UPDATE ownership SET owner_id = {b}, last_consultant_id = {b} WHERE customer_id = {owned}"
    ),
    "an owner who is not the last consultant": (
        "UPDATE ownership SET last_consultant_id = {b} WHERE customer_id = {owned}"
    ),
    "an owner without an assignment": (
        "UPDATE ownership SET assignment_id = NULL WHERE customer_id = {owned}"
    ),
    "an owner with the assignment of another customer": (
        "UPDATE ownership SET assignment_id = {turn} WHERE customer_id = {owned}"
    ),
    "an owner with a closed assignment": (
        "UPDATE assignment SET status = 5, ended_at = {later} WHERE id = {open}"
    ),
    "an owner with an assignment that is not there": (
        "UPDATE ownership SET assignment_id = {free} WHERE customer_id = {owned}"
    ),
    "an owner who is no employee": (
        "UPDATE ownership SET owner_id = 999, last_consultant_id = 999 WHERE customer_id = {owned}"
    ),
    "an owner since never": "UPDATE ownership SET received_at = NULL WHERE customer_id = {owned}",
    "an owner who never had contact": (
        "UPDATE ownership SET last_contacted_at = NULL WHERE customer_id = {owned}"
    ),
    "an open assignment of a pooled customer": ASSIGN
    + "{pooled}, {a}, {now}, NULL, 1, 'manual', NULL, NULL, '')",
    "an open assignment that the owner's row does not know": POOL + "{owned}",
    "a pooled customer owned without an assignment": OWN.replace("{free}", "NULL") + "{pooled}",
    "the ownership row deleted under an open assignment": (
        "DELETE FROM ownership WHERE customer_id = {owned}"
    ),
    "a second ownership row": (
        "INSERT INTO ownership SELECT * FROM ownership WHERE customer_id = {pooled}"
    ),
    "ownership of a customer that is not there": (
        "UPDATE ownership SET customer_id = 999 WHERE customer_id = {pooled}"
    ),
    # -- when it is public
    "enrolled but public": (
        "UPDATE ownership SET due_on = '2026-11-05' WHERE customer_id = {won}"
    ),
    "enrolled and always public": (
        "UPDATE ownership SET due_on = '0001-01-01' WHERE customer_id = {won}"
    ),
    "enrolled by its status alone": (
        "UPDATE ownership SET status = 'enrolled' WHERE customer_id = {owned}"
    ),
    "locked but public": "UPDATE ownership SET locked = {yes} WHERE customer_id = {owned}",
    "locked but in the pool": "UPDATE ownership SET locked = {yes} WHERE customer_id = {pooled}",
    "pooled but private until a day": (
        "UPDATE ownership SET due_on = '2026-11-05' WHERE customer_id = {pooled}"
    ),
    "due for no reason that there is": (
        "UPDATE ownership SET due_status = 5 WHERE customer_id = {owned}"
    ),
    "due for no reason": "UPDATE ownership SET due_status = NULL WHERE customer_id = {owned}",
    "due after no number of days": (
        "UPDATE ownership SET due_days = NULL WHERE customer_id = {owned}"
    ),
    "a pooled customer whose latest assignment is not there": (
        "UPDATE ownership SET assignment_id = {free} WHERE customer_id = {ended}"
    ),
    "a follow-up of an assignment that is not there": (
        "INSERT INTO follow_up (customer_id, consultant_id, assignment_id, at, channel, note)"
        " VALUES ({owned}, {a}, {free}, {now}, 'phone', 'x')"
    ),
    "a rule that ended before it began": (
        "INSERT INTO pool_rule (position, contact_days, closing_days, warning_days, working_days,"
        " version) VALUES (99, -1, 15, 1, {no}, 1)"
    ),
    "a cohort for fewer than nobody": "INSERT INTO cohort (school_id, course_id, semester, price,"
    " capacity, version) VALUES (1, 1, 1, 0, -1, 1)",
    "no due date": "UPDATE ownership SET due_on = NULL WHERE customer_id = {owned}",
    # -- contacts
    "a phone number twice": CUSTOMER + ") VALUES ('x', '{phone}', NULL, NULL, 1, '', '', NULL)",
    "a QQ number twice": CUSTOMER + ") VALUES ('x', NULL, '1000001', NULL, 1, '', '', NULL)",
    "a WeChat id twice": CUSTOMER + ") VALUES ('x', NULL, NULL, 'owned_wx', 1, '', '', NULL)",
    "a phone number taken by an edit": (
        "UPDATE customer SET phone = '{phone}' WHERE id = {pooled}"
    ),
    "a customer without a contact": CUSTOMER + ") VALUES ('x', NULL, NULL, NULL, 1, '', '', NULL)",
    "the last contact taken away": "UPDATE customer SET phone = NULL WHERE id = {pooled}",
    "a customer without a name": CUSTOMER + ") VALUES (NULL, '1', NULL, NULL, 1, '', '', NULL)",
    # -- assignments
    "ended before it started": (
        "UPDATE assignment SET status = 5, ended_at = {before} WHERE id = {open};" + POOL
        + "{owned}"
    ),
    "ended but following": "UPDATE assignment SET ended_at = {later} WHERE id = {open}",
    "not ended but won": "UPDATE assignment SET status = 2 WHERE id = {open}",
    "a closed assignment changes": "UPDATE assignment SET memo = 'x' WHERE id = {closed}",
    "a closed assignment opens again": (
        "UPDATE assignment SET status = 1, ended_at = NULL WHERE id = {closed}"
    ),
    "a closed assignment is deleted": (
        "UPDATE ownership SET assignment_id = NULL WHERE customer_id = {ended};"
        " DELETE FROM assignment WHERE id = {closed}"
    ),
    "an open assignment is deleted": POOL + "{owned}; DELETE FROM assignment WHERE id = {open}",
    "an unknown status": "UPDATE assignment SET status = 8, ended_at = {later} WHERE id = {open}",
    "an unknown method": "UPDATE assignment SET method = 'gift' WHERE id = {open}",
    "an assignment of nobody": ASSIGN
    + "{pooled}, NULL, {now}, {later}, 5, 'manual', NULL, NULL, '')",
    "an assignment of a customer that is not there": ASSIGN
    + "999, {a}, {now}, {later}, 5, 'manual', NULL, NULL, '')",
    "an open assignment begins at another moment": (
        "UPDATE assignment SET started_at = {before} WHERE id = {open}"
    ),
    "an open assignment was made otherwise": (
        "UPDATE assignment SET method = 'claim' WHERE id = {open}"
    ),
    "an open assignment of another turn": (
        "UPDATE assignment SET cycle = 99, position = 1 WHERE id = {turn}"
    ),
    "a turn without a place": ASSIGN
    + "{pooled}, {a}, {now}, {later}, 5, 'rotation', 9, NULL, '')",
    "a rotation without a turn": ASSIGN
    + "{pooled}, {a}, {now}, {later}, 5, 'rotation', NULL, NULL, '')",
    "a claim with a turn": ASSIGN + "{pooled}, {a}, {now}, {later}, 5, 'claim', 9, 1, '')",
    # -- the rotation
    "one turn twice": (
        "INSERT INTO assignment (id, customer_id, consultant_id, started_at, ended_at, status,"
        " method, cycle, position, explanation) SELECT {free}, {pooled}, consultant_id,"
        " started_at, {later}, 5, method, cycle, position, '' FROM assignment WHERE id = {turn}"
    ),
    "a second cursor": (
        "INSERT INTO turn_cursor (id, cycle, position, plan_version, next_version, people, rules)"
        " VALUES (2, 0, 0, 0, 0, 0, 0)"
    ),
    "a cursor before the beginning": "UPDATE turn_cursor SET position = -1",
    "a cursor in a plan that is not there": "UPDATE turn_cursor SET plan_version = 99",
    "the running plan is deleted": "DELETE FROM rotation_plan",
    "a negative quota": "UPDATE rotation_entry SET quota = -1",
    "a consultant twice in the plan": (
        "INSERT INTO rotation_entry (employee_id, quota, weight, active) VALUES ({a}, 1, 1, {yes})"
    ),
    # -- history
    "a follow-up changes": "UPDATE follow_up SET note = 'y'",
    "a follow-up is deleted": "DELETE FROM follow_up",
    "an audit entry changes": "UPDATE audit_entry SET by_id = NULL",
    "an audit entry is deleted": "DELETE FROM audit_entry",
    "a customer with a history is deleted": "DELETE FROM customer WHERE id = {owned}",
    "an employee with customers is deleted": "DELETE FROM employee WHERE id = {a}",
    # -- imports and payments
    "an import to nowhere": "UPDATE import_run SET mode = 'everywhere' WHERE id = {run}",
    "an import to nobody": "UPDATE import_run SET mode = 'consultant' WHERE id = {run}",
    "an import of the pool to somebody": (
        "UPDATE import_run SET consultant_id = {a} WHERE id = {run}"
    ),
    "an import of more rows than there are": (
        "UPDATE import_run SET refused = refused + 1 WHERE id = {run}"
    ),
    "an import done that lacks a row": (
        "UPDATE import_run SET accepted = accepted - 1 WHERE id = {run}"
    ),
    "an import done before its last row": "UPDATE import_run SET next_row = 1 WHERE id = {run}",
    "an import checked that took rows in": (
        "UPDATE import_run SET status = 'checked', finished_at = NULL WHERE id = {run}"
    ),
    "an import done at no moment": "UPDATE import_run SET finished_at = NULL WHERE id = {run}",
    "an import paused and finished": "UPDATE import_run SET status = 'paused' WHERE id = {run}",
    "an import failed for no reason": (
        "UPDATE import_run SET status = 'failed', finished_at = NULL WHERE id = {run}"
    ),
    "an import done with an error": "UPDATE import_run SET error = '{{}}' WHERE id = {run}",
    "an import done that somebody is at": (
        "UPDATE import_run SET leased_until = {later} WHERE id = {run}"
    ),
    "an import started by somebody at no moment": (
        "UPDATE import_run SET started_by_id = {user} WHERE id = {run}"
    ),
    "an import begun by more workers than took it": (
        "UPDATE import_run SET attempts = fence + 1 WHERE id = {run}"
    ),
    "a payment of nothing": (
        "INSERT INTO payment (customer_id, kind, amount, paid_on, status, created_at, version)"
        " VALUES ({owned}, 'deposit', 0, '2026-11-01', 'pending', {now}, 1)"
    ),
    # -- codes and the rest
    "an unknown customer status": (
        "UPDATE ownership SET status = 'maybe' WHERE customer_id = {owned}"
    ),
    "an unknown source": "UPDATE customer SET source = 'dream' WHERE id = {owned}",
    "an unknown gender": "UPDATE customer SET gender = '男' WHERE id = {owned}",
    "an unknown intention": (
        "UPDATE ownership SET intention = 'soon' WHERE customer_id = {owned}"
    ),
    "an unknown notice status": NOTICE
    + "({a}, 'x', 'x', 'assigned', 'console', 'lost', 0, 'k', {now}, 0, {now})",
    "an unknown event": NOTICE
    + "({a}, 'x', 'x', 'party', 'console', 'pending', 0, 'k', {now}, 0, {now})",
    "an idempotency key twice": (
        NOTICE + "({a}, 'x', 'x', 'assigned', 'console', 'pending', 0, 'k', {now}, 0, {now});"
        + NOTICE + "({b}, 'y', 'y', 'claimed', 'email', 'pending', 0, 'k', {now}, 0, {now})"
    ),
    "a notice to nobody": NOTICE
    + "(999, 'x', 'x', 'assigned', 'console', 'pending', 0, 'k', {now}, 0, {now})",
    "an attempt without a lease": ONE.format("attempts = 1"),
    "fewer than no attempts": ONE.format("attempts = -1"),
    "a notice that waits for no moment": ONE.format("next_attempt_at = NULL"),
    "sent at no time": ONE.format("status = 'sent'"),
    "a time of sending, and not sent": ONE.format("sent_at = {now}"),
    "a lease on a notice that was sent": ONE.format(
        "status = 'sent', sent_at = {now}, leased_until = {later}"
    ),
    "a lease on a cancelled notice": ONE.format("status = 'cancelled', leased_until = {later}"),
    "dead for no reason": ONE.format("status = 'dead'"),
    "expired without an end": ONE.format("status = 'expired', expires_at = NULL"),
    "read, though it went to the console": ONE.format("channel = 'console', read_at = {now}"),
    "wishes of somebody twice": WISHES
    + "({a}, '{{}}', NULL, NULL, 1), ({a}, '{{}}', NULL, NULL, 1)",
    "wishes of nobody": WISHES + "(999, '{{}}', NULL, NULL, 1)",
    "quiet hours without an end": WISHES + "({a}, '{{}}', '22:00:00', NULL, 1)",
    "quiet hours that never end": WISHES + "({a}, '{{}}', '22:00:00', '22:00:00', 1)",
    "an import row twice": (
        "UPDATE customer SET import_id = {run}, import_row = (SELECT import_row FROM customer"
        " WHERE id = {imported}) WHERE id = {pooled}"
    ),
    "a department code twice": "INSERT INTO department (code, title, version) VALUES "
    "({code}, 'x', 1)",
    "a username twice": (
        "INSERT INTO account (username, active, version) VALUES ('{username}', {yes}, 1)"
    ),
    "a second account of an employee": (
        "INSERT INTO account (username, employee_id, active, version)"
        " VALUES ('other', {a}, {yes}, 1)"
    ),
    "two pool rules in one place": (
        "INSERT INTO pool_rule (position, contact_days, closing_days, warning_days, working_days,"
        " version) VALUES (0, 3, 15, 1, {no}, 1), (0, 3, 15, 1, {no}, 1)"
    ),
    "a holiday twice": (
        'INSERT INTO holiday ("on", working, title) VALUES'
        " ('2026-11-04', {no}, ''), ('2026-11-04', {yes}, '')"
    ),
    "an unknown payment status": (
        "INSERT INTO payment (customer_id, kind, amount, paid_on, status, version)"
        " VALUES ({owned}, 'deposit', 100, '2026-11-01', 'lost', 1)"
    ),
}  # fmt: skip

LEGAL = {
    "an import paused by an error": (
        "UPDATE import_run SET status = 'paused', error = '{{}}', finished_at = NULL"
        " WHERE id = {run}"
    ),
    "an import that somebody is at": (
        "UPDATE import_run SET status = 'running', finished_at = NULL, started_at = {now},"
        " started_by_id = {user}, leased_until = {later}, fence = 1, attempts = 1 WHERE id = {run}"
    ),
    "a claim of a pooled customer": ASSIGN
    + "{pooled}, {a}, {now}, NULL, 1, 'claim', NULL, NULL, '');" + OWN + "{pooled}",
    "owner first, then the assignment": OWN + "{pooled};" + ASSIGN
    + "{pooled}, {a}, {now}, NULL, 1, 'claim', NULL, NULL, '')",
    "a sweep": "UPDATE assignment SET status = 3, limit_days = 3, ended_at = {later}"
    " WHERE id = {open};" + POOL + "{owned}",
    "a transfer": "UPDATE assignment SET status = 6, ended_at = {later} WHERE id = {open};"
    + ASSIGN + "{owned}, {b}, {later}, NULL, 1, 'transfer', NULL, NULL, '');"
    + OWN.replace("{a}", "{b}") + "{owned}",
    "a claim of what was given back": ASSIGN
    + "{ended}, {a}, {now}, NULL, 1, 'claim', NULL, NULL, '');" + OWN + "{ended}",
    "a lock": "UPDATE ownership SET locked = {yes}, due_on = '9999-12-31'"
    " WHERE customer_id = {owned}",
    "an enrolment": "UPDATE assignment SET status = 2, ended_at = {later} WHERE id = {open};"
    + POOL.replace("0001-01-01", "9999-12-31").replace("SET ", "SET status = 'enrolled', ")
    + "{owned}",
    "a follow-up": "UPDATE ownership SET last_contacted_at = {later}, due_on = '2026-11-06'"
    " WHERE customer_id = {owned}",
    "an archived customer frees its contacts": "UPDATE customer SET archived_at = {now} WHERE id ="
    " {owned};" + CUSTOMER + ") VALUES ('x', '{phone}', NULL, NULL, 1, '', '', NULL)",
    "an ended assignment of the same day": ASSIGN
    + "{pooled}, {a}, {now}, {now}, 5, 'manual', NULL, NULL, '')",
    "a notice that is sent": ONE.format(
        "status = 'sent', sent_at = {now}, attempts = 1, fence = 1"
    ),
    "a notice that is leased": ONE.format("attempts = 1, fence = 1, leased_until = {later}"),
    "a message that is read": ONE.format("channel = 'inapp', read_at = {now}"),
    "a notice that expires": ONE.format("status = 'expired', expires_at = {now}"),
    "quiet hours over midnight": WISHES + "({a}, '{{}}', '22:00:00', '07:00:00', 1)",
    "the next turn": ASSIGN + "{pooled}, {b}, {now}, {later}, 5, 'rotation', 999, 0, '')",
}  # fmt: skip


def test_there_are_enough_of_them() -> None:
    """The table does not shrink unnoticed."""
    assert len(ILLEGAL) >= 60
    assert len(LEGAL) >= 10


def test_the_database_alone_refuses_what_is_illegal(sql: Sql) -> None:
    """Each statement fails with an integrity error, at the latest at its commit, and leaves all."""
    before = sql.dump()
    accepted, otherwise = [], {}
    for name, text in ILLEGAL.items():
        try:
            sql.commit(text)
        except sa.exc.IntegrityError:
            continue
        except sa.exc.DBAPIError as e:
            otherwise[name] = str(e)
        else:
            accepted.append(name)
    assert accepted == []
    assert otherwise == {}
    assert sql.dump() == before


@pytest.mark.parametrize("table", ["assignment", "follow_up", "audit_entry"])
def test_history_is_not_emptied(sql: Sql, table: str) -> None:
    """Not by TRUNCATE either, which looks at no row."""
    before = sql.dump()
    statement = "DELETE FROM {t}" if sql.sqlite else "TRUNCATE {t} CASCADE"
    with pytest.raises(sa.exc.IntegrityError):
        sql.commit(statement.replace("{t}", table))
    assert sql.dump() == before


@pytest.mark.parametrize("name", LEGAL)
def test_the_database_accepts_what_is_legal(sql: Sql, name: str) -> None:
    """The refusals are no accident of the prepared school: the true transitions go through."""
    before = sql.dump()
    sql.commit(LEGAL[name])
    assert sql.dump() != before


def test_days_are_kept_as_days(sql: Sql) -> None:
    """The limits of the calendar that the constraints name are those of the program."""
    with sql.engine.connect() as connection:
        found = connection.exec_driver_sql(
            f"SELECT due_on FROM ownership WHERE customer_id = {sql.names['pooled']}"
        ).scalar_one()
    assert str(found) == date.min.isoformat() == "0001-01-01"


def test_every_reference_is_guarded() -> None:
    """Each field that is a reference by its description has a foreign key of its own or a wider."""
    for cls in RECORDS.values():
        for name, spec in specs(cls).items():
            if spec.kind == "reference":
                table = ownership if spec.hot else RECORD_TABLES[cls.__name__]
                assert table.c[name].foreign_keys, (cls.__name__, name)


def test_the_log_takes_the_highest_number(crm: Crm) -> None:
    """Numbers of records are 64 bits wide, in the log as well."""
    entry = AuditEntry(at=NOW, action="x", record="Customer", record_id=2**40)
    with crm.unit_of_work() as uow:
        uow.audit(entry)
    with crm.unit_of_work(read_only=True) as uow:
        assert uow.records.all(AuditEntry, record_id=2**40)
