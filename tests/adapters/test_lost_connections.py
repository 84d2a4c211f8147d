"""PostgreSQL goes away: in the pool, in the middle of a unit of work, and at its end."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from crm_adapters import open_crm
from crm_adapters.storage import backup, check, engine, migrations, restore
from crm_adapters.storage.unit_of_work import SqlStorage
from crm_domain import SYSTEM, Crm
from crm_domain.errors import CrmError, DatabaseBusy
from crm_domain.model import AuditEntry, Course
from crm_domain.usecases import intake, records
from crm_domain.usecases._common import audited


def _end_connections(url: str, name: str) -> None:
    """End all connections of a CRM, as a restart of the server does, and wait until they are."""
    admin = sa.make_url(url).difference_update_query(["application_name"])
    engine = sa.create_engine(admin, isolation_level="AUTOCOMMIT")
    theirs = "FROM pg_stat_activity WHERE application_name = :name"
    with engine.connect() as connection:
        while connection.execute(sa.text(f"SELECT 1 {theirs}"), {"name": name}).all():
            connection.execute(
                sa.text(f"SELECT pg_terminate_backend(pid) {theirs}"), {"name": name}
            )
            time.sleep(0.05)
    engine.dispose()


# A file has no connection to lose.
pytestmark = pytest.mark.parametrize("engine_name", ["postgresql"])


@pytest.fixture
def postgresql_url(url: str) -> str:
    """Give the address of a PostgreSQL, under a name of its own."""
    return sa.make_url(url).update_query_dict({"application_name": "lost"}).render_as_string(
        hide_password=False
    )  # fmt: skip


def test_what_was_lost_in_the_pool_is_not_noticed(postgresql_url: str) -> None:
    """Nobody who asks after a restart of the server is refused."""
    with open_crm(postgresql_url) as crm:
        open_units = [crm.unit_of_work(read_only=True) for _ in range(3)]
        for uow in open_units:
            uow.__enter__()
            uow.records.all(Course)
        for uow in open_units:
            uow.__exit__(None, None, None)
        _end_connections(postgresql_url, "lost")
        for n in range(4):
            typed = {"name": "王芳", "phone": f"1380013800{n}"}
            assert intake.register_customer(crm, typed, by=SYSTEM).id
            assert len(list(intake.list_customers(crm, by=SYSTEM))) == n + 1


@pytest.mark.parametrize("read_only", [True, False])
def test_what_is_lost_in_the_middle_is_refused_by_name(
    postgresql_url: str, read_only: bool
) -> None:
    """Whatever comes next: a read, a write by the driver, the end; and trying again helps."""
    with open_crm(postgresql_url) as crm:

        def lose(crm: Crm, then: str) -> None:
            with crm.unit_of_work(read_only=read_only) as uow:
                uow.records.all(Course)
                if not read_only:
                    uow.turns.people_changed()
                _end_connections(postgresql_url, "lost")
                if then == "read":
                    uow.records.all(Course)
                elif then == "driver":
                    uow.pool_rules()
                elif then == "other":
                    raise KeyError("x")

        for then in ("read", "driver", "end"):
            with pytest.raises(DatabaseBusy):
                lose(crm, then)
            assert list(records.list_records(crm, Course, by=SYSTEM)) == []
        if not read_only:
            with pytest.raises(KeyError):
                lose(crm, "other")
        assert crm.storage.revision()


def _given_up(crm: Crm) -> None:
    """Do nothing in a transaction for longer than the server allows."""
    with crm.unit_of_work() as uow:
        connection: sa.Connection = uow._connection  # type: ignore[attr-defined]
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = '100ms'")
        time.sleep(0.5)
        uow.records.all(Course)


def _standing_by(crm: Crm) -> None:
    """Write to a server that takes no writes, as one does that another is about to replace."""
    with crm.unit_of_work() as uow:
        connection: sa.Connection = uow._connection  # type: ignore[attr-defined]
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        uow.turns.people_changed()


def _too_slow(crm: Crm) -> None:
    """Wait for a statement longer than the server allows."""
    with crm.unit_of_work() as uow:
        connection: sa.Connection = uow._connection  # type: ignore[attr-defined]
        connection.exec_driver_sql("SET LOCAL statement_timeout = '100ms'")
        uow._session.run(sa.text("SELECT pg_sleep(5)"))  # type: ignore[attr-defined]


@pytest.mark.parametrize("happen", [_given_up, _standing_by, _too_slow])
def test_what_passes_by_itself_is_refused_by_name(
    postgresql_url: str, happen: Callable[[Crm], None]
) -> None:
    """Though the driver takes it for an error of its own; trying again helps."""
    with open_crm(postgresql_url) as crm:
        with pytest.raises(DatabaseBusy):
            happen(crm)
        assert intake.register_customer(crm, {"name": "王芳", "qq": "12345"}, by=SYSTEM).id


def test_nobody_waits_for_hours(postgresql_url: str) -> None:
    """Neither for a server that has vanished nor for a statement; an address may say otherwise."""
    with open_crm(postgresql_url) as crm, crm.unit_of_work() as uow:
        connection: sa.Connection = uow._connection  # type: ignore[attr-defined]
        said = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
        assert {k: said[k] for k in said if k.startswith(("keep", "tcp", "connect_t"))} == {
            "connect_timeout": "5", "keepalives_idle": "10", "keepalives_interval": "5",
            "keepalives_count": "3", "tcp_user_timeout": "30000",
        }  # fmt: skip
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar_one() == "5min"
    other = sa.make_url(postgresql_url).update_query_dict({"connect_timeout": "9"})
    with open_crm(other.render_as_string(False)) as crm, crm.unit_of_work() as uow:
        connection = uow._connection  # type: ignore[attr-defined]
        said = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
        assert said["connect_timeout"] == "9"


def test_work_on_all_rows_may_take_its_time(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Migration, check, backup and restore lift the limit in their own transaction."""
    lifted: list[str] = []
    real = engine.without_hurry

    def lift(connection: sa.Connection) -> None:
        real(connection)
        lifted.append(connection.exec_driver_sql("SHOW statement_timeout").scalar_one())

    for module in (check, backup, restore, migrations):
        monkeypatch.setattr(module, "without_hurry", lift)
    storage = SqlStorage(postgresql_url)
    try:
        migrations.upgrade(storage.engine)
        assert not any(c.count for c in storage.check())
        backup.back_up(postgresql_url, tmp_path / "b.zip")
        with storage.engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
        restore.restore(postgresql_url, tmp_path / "b.zip")
    finally:
        storage.close()
    assert lifted == ["0"] * 4


def test_a_server_that_is_not_there_is_told_as_it_is(postgresql_url: str) -> None:
    """A database that the server does not have is no matter of trying again."""
    wrong = sa.make_url(postgresql_url).set(database="nowhere").render_as_string(False)
    with pytest.raises(sa.exc.OperationalError) as refused:
        SqlStorage(wrong).revision()
    assert not isinstance(refused.value, CrmError)


def test_a_server_that_is_being_started_is_waited_for(engine_name: str) -> None:
    """Nobody listens at its port in that moment, which passes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        storage = SqlStorage(f"postgresql://crm@127.0.0.1:{free.getsockname()[1]}/crm")
        with pytest.raises(DatabaseBusy), storage.unit_of_work():
            pass
        storage.close()


@pytest.mark.parametrize(
    "said",
    [
        "connection failed: SSL error: certificate verify failed",
        'connection failed: FATAL:  password authentication failed for user "crm"',
    ],
)
def test_who_is_refused_for_good_is_told_so(engine_name: str, said: str) -> None:
    """A certificate or a password does not become right by waiting."""
    with pytest.raises(sa.exc.OperationalError), engine.translated():
        raise sa.exc.OperationalError("", None, OSError(said))


def test_a_mistake_of_ours_with_the_driver_is_no_busy_database(postgresql_url: str) -> None:
    """Whoever reads the log sees where it is, and nobody tries it again."""
    with open_crm(postgresql_url) as crm, crm.unit_of_work() as uow:
        connection: sa.Connection = uow._connection  # type: ignore[attr-defined]
        cursor = connection.connection.cursor()
        cursor.close()
        with (
            pytest.raises(sa.exc.InterfaceError),
            engine.translated(),
            engine.told(connection.dialect, "SELECT 1"),
        ):
            cursor.execute("SELECT 1")


def test_what_is_lost_at_the_very_end_is_refused_by_name(postgresql_url: str) -> None:
    """Also where the last rows travel with the commit; closing adds no error of its own."""
    with open_crm(postgresql_url) as crm:
        entry = audited(SYSTEM, crm.now(), "x", "Customer", 1)
        for _ in range(3):
            with pytest.raises(DatabaseBusy), crm.unit_of_work() as uow:
                uow.audit(entry)
                _end_connections(postgresql_url, "lost")
        with crm.unit_of_work() as uow:
            uow.audit(entry)
        with crm.unit_of_work(read_only=True) as uow:
            assert len(uow.records.all(AuditEntry, action="x")) == 1
