"""Backups: one state, whoever writes meanwhile; and the way back, all of it or nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import stat
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crm_adapters import open_crm
from crm_adapters.storage import backup, restore
from crm_adapters.storage.archive import ArchiveReader
from crm_adapters.storage.backup import back_up
from crm_adapters.storage.engine import make_engine
from crm_adapters.storage.unit_of_work import HEAD
from crm_domain import SYSTEM, Crm
from crm_domain.errors import BadBackup, CrmError, NotEmpty
from crm_domain.testing.clock import FixedClock
from crm_domain.usecases import assignment, follow_up, imports, intake, notices, pool
from make import World, phone, start_of_november
from races.invariants import content, violations


@pytest.fixture
def empty(
    request: pytest.FixtureRequest, engine_name: str, tmp_path: Path
) -> Iterator[Callable[[], str]]:
    """Make databases without tables."""
    made: list[str] = []

    def make() -> str:
        name = f"restored{time.monotonic_ns()}"
        if engine_name == "sqlite":
            return f"sqlite:///{tmp_path / name}.db"
        server = sa.make_url(request.getfixturevalue("postgresql"))
        _admin(server, f"CREATE DATABASE {name}")
        made.append(name)
        return server.set(database=name).render_as_string(hide_password=False)

    yield make
    for name in made:
        _admin(sa.make_url(request.getfixturevalue("postgresql")),
               f"DROP DATABASE {name} WITH (FORCE)")  # fmt: skip


def _admin(server: sa.URL, statement: str) -> None:
    engine = sa.create_engine(
        server.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def broken(url: str) -> list[str]:
    """Name the invariants that do not hold: those of ``crm check``, and the laws in plain SQL."""
    with open_crm(url) as crm:
        found = [c.code for c in crm.storage.check() if c.count]
    return found + violations(url)


def rows(url: str) -> dict[str, int]:
    """Count the rows of every table that there is, but for the search index of SQLite."""
    engine, _ = make_engine(url)
    with engine.connect() as connection:
        names = [n for n in sa.inspect(connection).get_table_names() if "search" not in n]
        found = {
            n: int(connection.exec_driver_sql(f'SELECT count(*) FROM "{n}"').scalar_one())
            for n in names
        }
    engine.dispose()
    return found


def lived_in(world: World) -> None:
    """Let a school have some of everything."""
    crm = world.crm
    mine = world.customer(world.a, name="O'Neil \\N\t王\n芳", qq="1000001")
    follow_up.log_follow_up(crm, mine.id or 0, {"note": "中文，\\. 与 emoji 🙂"}, by=world.a)
    world.dealt()
    pool.release_customer(crm, world.customer(world.b).id or 0, by=world.b)
    sheet = "姓名,手机\n导入,13700000001\n坏,12\n".encode()
    imports.import_file(crm, sheet, file_name="x.csv", by=SYSTEM)
    notices.deliver_due(crm, by=SYSTEM)


# -- there and back ---------------------------------------------------------------------------


def test_what_is_restored_is_what_was_backed_up(
    url: str, world: World, empty: Callable[[], str], tmp_path: Path
) -> None:
    """Every row of every table, files of imports and the audit log too, and work goes on."""
    lived_in(world)
    made = back_up(url, tmp_path / "b.zip")
    there = empty()
    assert restore.restore(there, tmp_path / "b.zip") == made
    assert dict(made.rows) == rows(url) == rows(there)
    assert made.rows["import_file"] == 1 and made.rows["audit_entry"] > 5
    assert content(there) == content(url)
    assert broken(there) == []

    with open_crm(there, clock=world.clock) as crm:
        run = imports.list_imports(crm, by=SYSTEM).items[0]
        assert imports.rejected_rows(crm, run.id or 0, by=SYSTEM)
        before = assignment.upcoming(world.crm, 3, by=SYSTEM)
        assert assignment.upcoming(crm, 3, by=SYSTEM) == before
        newest = world.dealt().id or 0  # in the original
        again = intake.register_customer(crm, {"name": "新", "phone": phone()}, by=SYSTEM)
        assert again.id == newest, "numbers go on where they were"
        assert pool.public_customers(crm, by=SYSTEM).items
        assert "O'Neil \\N\t王\n芳" in {c.name for c in assignment.my_customers(crm, by=world.a)}
    assert broken(there) == []


def test_a_backup_is_for_its_owner_alone(url: str, crm: Crm, tmp_path: Path) -> None:
    """From its first moment: it holds the hashes of passwords."""
    seen: list[int] = []

    class Watching(backup.ArchiveWriter):
        @contextmanager
        def part(self, name: str, columns: tuple[str, ...] = ()) -> Iterator[Any]:
            files = [p for p in tmp_path.iterdir() if ".part" in p.name]
            seen.extend(stat.S_IMODE(p.stat().st_mode) for p in files)
            with super().part(name, columns) as write:
                yield write

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backup, "ArchiveWriter", Watching)
        back_up(url, tmp_path / "b.zip")
    assert [p for p in tmp_path.iterdir() if ".part" in p.name] == []
    assert seen and set(seen) == {0o600}
    assert stat.S_IMODE((tmp_path / "b.zip").stat().st_mode) == 0o600


def test_what_a_killed_backup_left_is_removed_and_in_nobodys_way(
    url: str, crm: Crm, tmp_path: Path
) -> None:
    """Once nobody has written to it for long; in a container all have one process number."""
    left, fresh, other = (
        tmp_path / name for name in (f".b.zip.{os.getpid()}.part", ".b.zip.x.part", ".c.zip.x.part")
    )
    for one in (left, fresh, other):
        one.write_bytes(b"half")
    for one in (left, other):
        os.utime(one, (time.time() - 86_400,) * 2)
    back_up(url, tmp_path / "b.zip")
    assert [p.exists() for p in (left, fresh, other)] == [False, True, True]
    assert zipfile.is_zipfile(tmp_path / "b.zip")


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("taken", [False, True])
def test_nothing_is_overwritten_where_files_have_no_second_name(
    url: str, crm: Crm, empty: Callable[[], str], tmp_path: Path, taken: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """No file system of that kind is at hand, so its answer is given by hand."""
    back_up(url, tmp_path / "b.zip")
    there = empty()
    path = Path(sa.make_url(there).database or "")

    def no_links(*_: object) -> None:
        if taken:
            path.write_bytes(b"another's")
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", no_links)
    if taken:
        with pytest.raises(NotEmpty):
            restore.restore(there, tmp_path / "b.zip")
        assert path.read_bytes() == b"another's"
    else:
        restore.restore(there, tmp_path / "b.zip")
        assert broken(there) == []
    assert [p for p in tmp_path.iterdir() if ".part" in p.name] == []


def test_a_backup_that_fails_leaves_the_old_one(
    url: str, crm: Crm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the disk is full at the end."""
    (tmp_path / "b.zip").write_bytes(b"the one of yesterday")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "kept", full)
    with pytest.raises(OSError, match="space"):
        back_up(url, tmp_path / "b.zip")
    assert (tmp_path / "b.zip").read_bytes() == b"the one of yesterday"
    assert [p for p in tmp_path.iterdir() if ".part" in p.name] == []


# -- under load -------------------------------------------------------------------------------


class Busy:
    """People who register, claim, follow up, sweep and deliver, as quickly as they can."""

    def __init__(self, url: str, world: World) -> None:
        self._ended = threading.Event()
        self.done = 0
        self.failures: list[str] = []
        clock = FixedClock(world.clock())
        self._crms = [open_crm(url, clock=clock) for _ in range(3)]
        self._clock, self._world = clock, world
        tasks = (self._register, self._claim, self._sweep)
        self._threads = [
            threading.Thread(target=self._again, args=(task, crm))
            for task, crm in zip(tasks, self._crms, strict=True)
        ]

    def _again(self, task: Callable[[Crm], None], crm: Crm) -> None:
        while not self._ended.is_set():
            try:
                task(crm)
                self.done += 1
            except CrmError:
                pass  # Others were quicker.
            except Exception as e:
                self.failures.append(repr(e))

    def _register(self, crm: Crm) -> None:
        made = intake.register_customer(crm, {"name": "忙", "phone": phone()}, by=SYSTEM)
        owner = assignment.current(crm, made.id or 0, by=SYSTEM)
        for by in (self._world.a, self._world.b, self._world.c):
            if owner is not None and by.employee_id == owner.consultant_id:
                follow_up.log_follow_up(crm, made.id or 0, {"note": "x"}, by=by)

    def _claim(self, crm: Crm) -> None:
        for customer in pool.public_customers(crm, by=self._world.a).items[:5]:
            pool.claim_customer(crm, customer.id or 0, by=self._world.a)
            pool.release_customer(crm, customer.id or 0, by=self._world.a)

    def _sweep(self, crm: Crm) -> None:
        if self.done % 3 == 0:
            self._clock.advance(timedelta(days=1))
        pool.sweep_pool(crm, by=SYSTEM)
        notices.deliver_due(crm, by=SYSTEM)

    def __enter__(self) -> Busy:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(30)
        for crm in self._crms:
            crm.close()


ROUNDS = int(os.environ.get("CRM_TEST_BACKUPS", "4"))


def test_a_backup_taken_while_people_work_is_one_state(
    url: str, world: World, empty: Callable[[], str], tmp_path: Path
) -> None:
    """Each restores to a database in which every invariant holds, and nobody waited for it."""
    for _ in range(30):
        world.customer()
    with Busy(url, world) as busy:
        for number in range(ROUNDS):
            time.sleep(0.3)
            before = busy.done
            made = back_up(url, tmp_path / f"{number}.zip")
            until = time.monotonic() + 10
            while busy.done == before and time.monotonic() < until:
                time.sleep(0.01)
            assert busy.done > before
            there = empty()
            restore.restore(there, tmp_path / f"{number}.zip")
            assert rows(there) == dict(made.rows)
            assert broken(there) == []
    assert busy.failures == [] and busy.done > 20
    assert broken(url) == []


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_without_one_snapshot_the_tables_are_of_different_moments(
    url: str, world: World, empty: Callable[[], str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The negative control: each table in a transaction of its own does not fit together."""
    monkeypatch.setattr(
        backup, "reader_of", lambda e: e.execution_options(isolation_level="READ COMMITTED")
    )

    def torn(number: int) -> bool:
        back_up(url, tmp_path / f"{number}.zip")
        there = empty()
        try:
            restore.restore(there, tmp_path / f"{number}.zip")
        except BadBackup:
            assert rows(there) == {}, "half of it was restored"
            return True
        return bool(broken(there))

    with Busy(url, world):
        assert any(torn(number) for number in range(30))


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_mere_copy_of_the_file_is_not_what_it_was(url: str, world: World, tmp_path: Path) -> None:
    """The negative control: the last work is in the log beside the file, or the file is torn."""
    path = Path(str(sa.make_url(url).database))

    def torn(number: int) -> bool:
        acknowledged = world.customer().id or 0
        copy = tmp_path / f"copy{number}.db"
        shutil.copy(path, copy)
        try:
            connection = sqlite3.connect(copy)
            [(there,)] = connection.execute("SELECT coalesce(max(id), 0) FROM customer")
            connection.close()
        except sqlite3.DatabaseError:
            return True
        return there < acknowledged or bool(broken(f"sqlite:///{copy}"))

    with Busy(url, world):
        assert any(torn(number) for number in range(30))
        # And the real one has what was acknowledged before it began.
        last = world.customer().id or 0
        back_up(url, tmp_path / "b.zip")
        restore.restore(f"sqlite:///{tmp_path}/r.db", tmp_path / "b.zip")
        assert rows(f"sqlite:///{tmp_path}/r.db")["customer"] >= last


# -- what is refused --------------------------------------------------------------------------


def state(url: str) -> object:
    """Tell what is there: whether a file, and which tables."""
    if url.startswith("sqlite"):
        return Path(str(sa.make_url(url).database)).exists()
    return rows(url)


@pytest.fixture
def made(url: str, world: World, tmp_path: Path) -> Path:
    """A backup of a school."""
    lived_in(world)
    back_up(url, tmp_path / "b.zip")
    return tmp_path / "b.zip"


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 0.95, 0.999])
def test_a_file_that_is_cut_off_is_refused(
    made: Path, empty: Callable[[], str], share: float
) -> None:
    """Wherever it ends; nothing is left in the database."""
    content = made.read_bytes()
    made.write_bytes(content[: int(len(content) * share)])
    refused(made, empty())


def test_a_file_with_a_wrong_byte_is_refused(made: Path, empty: Callable[[], str]) -> None:
    """In any part; with the name that is in the message."""
    content = made.read_bytes()
    there = empty()
    with zipfile.ZipFile(made) as archive:
        places = [i.header_offset + 80 for i in archive.infolist() if i.compress_size > 200]
    for place in places[:: max(1, len(places) // 6)]:
        made.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        refused(made, there)


def refused(path: Path, url: str) -> BadBackup:
    before = state(url)
    with pytest.raises(BadBackup) as caught:
        restore.restore(url, path)
    assert str(path) in str(caught.value) and "Nothing was restored" in str(caught.value)
    assert state(url) == before
    assert [p for p in path.parent.iterdir() if p.name.startswith(".")] == []
    return caught.value


def again(path: Path, **changes: Callable[[bytes], bytes]) -> None:
    """Write an archive anew with some parts changed; only the parts' own sums are left wrong."""
    with zipfile.ZipFile(path) as archive:
        parts = {n: archive.read(n) for n in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            change = changes.get(name.partition(".")[0])
            archive.writestr(name, change(content) if change else content)


def test_an_edited_part_is_refused(made: Path, empty: Callable[[], str], engine_name: str) -> None:
    """A whole zip whose parts are not what the manifest says."""
    name = "crm" if engine_name == "sqlite" else "assignment"
    again(made, **{name: lambda content: content[:-30] + bytes(b ^ 1 for b in content[-30:])})
    refused(made, empty())


def test_rows_that_are_missing_are_noticed(made: Path, empty: Callable[[], str]) -> None:
    """The manifest counts them."""
    again(made, manifest=lambda text: text.replace(b'"customer": ', b'"customer": 9'))
    refused(made, empty())


def test_a_backup_of_another_revision_is_refused(made: Path, empty: Callable[[], str]) -> None:
    """And says which program can take it."""
    again(made, manifest=lambda text: text.replace(b'"revision": "', b'"revision": "9'))
    assert "upgrade" in str(refused(made, empty()))


def test_a_backup_of_another_engine_is_refused(
    made: Path, empty: Callable[[], str], engine_name: str
) -> None:
    """There is no way across."""
    other = b"postgresql" if engine_name == "sqlite" else b"sqlite"
    again(made, manifest=lambda text: text.replace(f'"{engine_name}"'.encode(), b'"%s"' % other))
    assert "cannot go into" in str(refused(made, empty()))


def test_a_later_format_is_refused(made: Path, empty: Callable[[], str]) -> None:
    """Rather than read as if it were ours."""
    again(made, manifest=lambda text: text.replace(b'"format": 1', b'"format": 2'))
    assert "newer program" in str(refused(made, empty()))


@pytest.mark.parametrize("content", [b"", b"not a backup", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_backup_is_refused(
    empty: Callable[[], str], tmp_path: Path, content: bytes
) -> None:
    """A text, an empty file, an empty archive."""
    (tmp_path / "x.zip").write_bytes(content)
    refused(tmp_path / "x.zip", empty())


def test_a_database_in_use_is_never_overwritten(url: str, made: Path) -> None:
    """Restoring over it would lose what is there."""
    before = content(url)
    with pytest.raises(NotEmpty):
        restore.restore(url, made)
    assert content(url) == before


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_log_that_was_left_behind_is_not_played_into_what_is_restored(
    made: Path, tmp_path: Path
) -> None:
    """SQLite would take it for the new database's own."""
    (tmp_path / "new.db-wal").write_bytes(b"old")
    with pytest.raises(NotEmpty, match=r"new\.db-wal"):
        restore.restore(f"sqlite:///{tmp_path}/new.db", made)


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_rows_that_break_a_rule_are_refused(made: Path, empty: Callable[[], str]) -> None:
    """Keys, unique indexes and checks are made again over all rows."""

    def edited(path: Path, part: str, change: Callable[[bytes], bytes]) -> None:
        with zipfile.ZipFile(path) as archive:
            new = change(archive.read(part))
            told = json.loads(archive.read("manifest.json"))
        told["parts"][part]["sha256"] = hashlib.sha256(new).hexdigest()
        name = part.partition(".")[0]
        again(path, **{name: lambda _: new, "manifest": lambda _: json.dumps(told).encode()})

    whole = made.read_bytes()
    for part, change in {
        "ownership.copy": lambda c: c.replace(b"not_enrolled", b"who_knows"),
        "customer.copy": lambda c: c.replace(b"1\t", b"77\t", 1),
        "alembic_version.copy": lambda c: c,
    }.items():
        made.write_bytes(whole)
        edited(made, part, change)
        if part == "alembic_version.copy":
            restore.restore(empty(), made)  # The control: an edit that changes nothing goes in.
        else:
            assert "rules" in str(refused(made, empty()))


def test_the_manifest_says_what_is_in_it(made: Path, url: str) -> None:
    """Revision, rows, sums; and anybody's unzip can read it."""
    with ArchiveReader(made) as archive:
        assert archive.manifest.revision == HEAD
        assert dict(archive.manifest.rows) == rows(url)
        assert start_of_november().year <= int(archive.manifest.made_at[:4])
    with zipfile.ZipFile(made) as plain:
        assert plain.testzip() is None
