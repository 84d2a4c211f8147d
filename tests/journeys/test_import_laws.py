"""Imports (spec section 7): who may see and do what, resuming, reverting, files of any kind."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event as Signal
from typing import Any

import attrs
import pytest
import sqlalchemy as sa

from crm_adapters.sheets import Limits, SafeSheetReader
from crm_adapters.storage.customers import SqlCustomers
from crm_adapters.storage.imports import SqlImports
from crm_adapters.storage.ownership import SqlOwnership
from crm_domain import SYSTEM, Crm
from crm_domain.errors import (
    CrmError,
    DatabaseBusy,
    ImportBusy,
    Invalid,
    NotAssignable,
    NotFound,
    NotPermitted,
    NotRevertible,
    UnreadableSheet,
)
from crm_domain.model import (
    Course,
    Customer,
    Department,
    Employee,
    Event,
    ImportRun,
    ImportStatus,
    NoticeStatus,
    School,
)
from crm_domain.model.fields import changed
from crm_domain.ports import Query, Settings
from crm_domain.rules.access import Principal
from crm_domain.usecases import access, follow_up, imports, intake, pool, records
from make import World, phone
from steps import login, on, told


class Stopped(Exception):
    """Ends an import where a crash could."""


def stop_after(rows: int) -> Callable[[int, int], None]:
    """Give a progress that ends the import after some rows of the sheet."""

    def progress(done: int, _: int) -> None:
        if done > rows:
            raise Stopped

    return progress


def sheet(*rows: str, heading: str = "姓名,手机") -> bytes:
    """Write a .csv."""
    return "\n".join([heading, *rows]).encode()


def people(n: int) -> bytes:
    """Write a .csv of so many new customers."""
    return sheet(*(f"客户{i},{phone()}" for i in range(n)))


@pytest.fixture
def small(world: World) -> Crm:
    """Give the CRM of the world with batches of three rows."""
    world.crm = attrs.evolve(world.crm, settings=Settings(batch_rows=3, channels="console"))
    return world.crm


@pytest.fixture
def branch(world: World) -> Department:
    """Make a second department."""
    return records.save_record(world.crm, Department(code=9999, title="分校"), by=SYSTEM)


def interrupted(crm: Crm, content: bytes, rows: int, *, by: Principal = SYSTEM, **wish: Any) -> int:
    """Begin an import, let it stop, and tell its number."""
    with pytest.raises(Stopped):
        imports.import_file(
            crm, content, file_name="x.csv", progress=stop_after(rows), by=by, **wish
        )
    return imports.list_imports(crm, by=SYSTEM)[0].id or 0


def taken_in(crm: Crm, number: int) -> list[Customer]:
    """Read the customers of an import in the order of the file, archived ones included."""
    with crm.unit_of_work(read_only=True) as uow:
        found = uow.records.all(Customer, import_id=number)
    return sorted(found, key=lambda c: c.import_row or 0)


def run_of(crm: Crm, number: int) -> ImportRun:
    with crm.unit_of_work(read_only=True) as uow:
        run = uow.records.get(ImportRun, number)
    assert run is not None
    return run


# -- whose imports ------------------------------------------------------------------------------


def test_an_import_is_seen_by_its_maker_and_by_whom_the_maker_reports_to(
    world: World, branch: Department
) -> None:
    """Everybody else is told that there is no such import, whatever is asked of it."""
    # given
    crm = world.crm
    stranger = world.person("外校主管", "sales_manager", department_id=branch.id)
    number = imports.check_import(crm, people(2), file_name="x.csv", by=world.a).id
    acts: list[Callable[[Principal], Any]] = [
        lambda p: imports.report_import(crm, number, by=p),
        lambda p: imports.rejected_rows(crm, number, by=p),
        lambda p: imports.run_import(crm, number, by=p),
        lambda p: imports.revert_import(crm, number, by=p),
    ]
    # then
    for act in acts:
        for other in (stranger, world.b):
            with pytest.raises(NotFound):
                act(other)
    for act, by in zip(acts, (world.a, world.manager, world.a, SYSTEM), strict=True):
        act(by)


def test_the_imports_of_the_program_itself_are_not_those_of_a_department(world: World) -> None:
    """Nobody made them, so only whoever sees all sees them; a principal without account neither."""
    number = imports.check_import(world.crm, people(1), file_name="x.csv", by=SYSTEM).id
    nameless = attrs.evolve(world.a, user_id=None, employee_id=None)
    for by in (world.manager, world.a, nameless):
        with pytest.raises(NotFound):
            imports.report_import(world.crm, number, by=by)
        assert list(imports.list_imports(world.crm, by=by)) == []
    assert imports.report_import(world.crm, number, by=SYSTEM).id == number


def test_the_list_of_imports_ends_where_the_reach_ends(world: World, branch: Department) -> None:
    """The newest first, page by page: the own ones, the department's, or all."""
    # given
    crm = world.crm
    stranger = world.person("外校主管", "sales_manager", department_id=branch.id)
    makers = [world.a, world.b, stranger, world.manager, SYSTEM, world.a]
    a1, b, s, m, p, a2 = (
        imports.check_import(crm, people(1), file_name="x.csv", by=by).id for by in makers
    )

    def seen(by: Principal, **query: Any) -> list[int | None]:
        return [r.id for r in imports.list_imports(crm, Query(**query), by=by)]

    # then
    assert seen(world.a) == [a2, a1]
    assert seen(world.b) == [b]
    assert seen(world.manager) == [a2, m, b, a1]
    assert seen(stranger) == [s]
    assert seen(SYSTEM) == [a2, p, m, s, b, a1]
    assert seen(world.manager, where={"by_id": world.a.user_id}) == [a2, a1]
    first = imports.list_imports(crm, Query(limit=3), by=world.manager)
    second = imports.list_imports(crm, Query(limit=3, after=first.next), by=world.manager)
    assert [r.id for r in (*first, *second)] == [a2, m, b, a1]
    teacher = world.person("老师", "teacher")
    with pytest.raises(NotPermitted):
        imports.list_imports(crm, by=teacher)


# -- going on -----------------------------------------------------------------------------------


def test_a_file_is_gone_on_with_by_whom_it_was_begun(world: World, small: Crm) -> None:
    """Whoever does not see the unfinished import begins an own one; whoever sees it goes on."""
    # given
    content = people(9)
    begun = interrupted(small, content, 4, by=world.a)
    assert run_of(small, begun).status is ImportStatus.RUNNING
    # when
    others = imports.import_file(small, content, file_name="x.csv", by=world.b)
    went_on = imports.import_file(small, content, file_name="x.csv", by=world.manager)
    # then
    assert others.id != begun
    assert went_on.id == begun
    assert (others.accepted, others.duplicate_in_database) == (6, 3)
    assert (went_on.accepted, went_on.duplicate_in_database) == (3, 6)
    assert run_of(small, begun).by_id == world.a.user_id


def test_a_file_is_gone_on_with_in_the_way_it_was_begun(world: World, small: Crm) -> None:
    """A wish for another way is a new run; the unfinished one is still there to be ended."""
    # given
    content = people(9)
    begun = interrupted(small, content, 4, to="pool")
    # when
    dealt = imports.import_file(small, content, file_name="x.csv", by=SYSTEM)
    given = interrupted(
        small, people(9), 4, to="consultant", consultant_id=world.a.employee_id or 0
    )
    # then
    assert dealt.id != begun
    assert (sum(dealt.dealt.values()), dealt.pooled) == (6, 0)
    same = imports.import_file(small, content, file_name="x.csv", to="pool", by=SYSTEM)
    assert (same.id, same.pooled, same.status) == (begun, 3, ImportStatus.DONE)
    assert given not in (begun, dealt.id)


def test_a_file_for_one_consultant_is_not_gone_on_with_for_another(
    world: World, small: Crm
) -> None:
    """The consultant belongs to the way in which an import was begun."""
    content = people(6)
    wish = {"to": "consultant", "consultant_id": world.a.employee_id}
    begun = interrupted(small, content, 2, **wish)
    other = imports.import_file(
        small, content, file_name="x.csv", to="consultant", consultant_id=world.b.employee_id,
        by=SYSTEM,
    )  # fmt: skip
    assert other.id != begun
    assert dict(other.dealt) == {"韩梅梅": 3}
    same = imports.import_file(small, content, file_name="x.csv", by=SYSTEM, **wish)
    assert (same.id, dict(same.dealt)) == (begun, {"李雷": 3})


def test_an_import_that_stopped_before_its_end_tells_everybody_once(
    world: World, small: Crm
) -> None:
    """All rows are in, nobody is told; the next run only ends it, and another one does nothing."""
    # given
    number = interrupted(small, people(6), 6)
    stopped = run_of(small, number)
    assert (stopped.status, stopped.accepted) == (ImportStatus.RUNNING, 6)
    assert told(small, Event.ASSIGNED) == []
    # when
    for _ in range(2):
        report = imports.run_import(small, number, by=SYSTEM)
        # then
        assert (report.status, report.accepted) == (ImportStatus.DONE, 6)
        found = Counter(n.recipient_id for n in told(small, Event.ASSIGNED))
        assert found == {p.employee_id: 1 for p in (world.a, world.b, world.c)}


def test_nobody_waits_for_an_import_that_has_its_turns(world: World, small: Crm) -> None:
    """After the turns are drawn only assignments and owners are written before the commit."""
    statements: list[str] = []
    engine = small.storage.engine  # type: ignore[attr-defined]

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        statements.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    sa.event.listen(engine, "commit", lambda _: statements.append("COMMIT"))
    content = sheet(*(f"客户{i},{phone()}" for i in range(6)), "错,12", "又错,34")
    imports.import_file(small, content, file_name="x.csv", by=SYSTEM)
    written = re.compile(r"(INSERT INTO|UPDATE|DELETE FROM) (\w+)")
    tables: list[set[str]] = []
    drawn = False
    for statement in statements:
        verb = written.match(statement)
        if verb and verb[2] == "turn_cursor" and not drawn:
            drawn = True
            tables.append(set())
        elif statement == "COMMIT":
            drawn = False
        elif drawn and verb:
            tables[-1].add(verb[2])
    assert [t - {"turn_cursor"} for t in tables] == [{"assignment", "ownership"}] * 2


def test_moments_are_read_after_what_they_wait_for(world: World) -> None:
    """A named consultant received nothing before the customers were written."""
    real = SqlCustomers.add

    def slow(self: SqlCustomers, customers: Any) -> Any:
        world.clock.advance(timedelta(minutes=5))
        return real(self, customers)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqlCustomers, "add", slow)
        report = imports.import_file(
            world.crm, people(2), file_name="x.csv", to="consultant",
            consultant_id=world.a.employee_id, by=SYSTEM,
        )  # fmt: skip
    for customer in taken_in(world.crm, report.id):
        assert (customer.received_at or customer.created_at) == world.clock()
        assert customer.created_at < world.clock()


# -- a named consultant -------------------------------------------------------------------------


def test_only_who_assigns_customers_imports_for_a_consultant(world: World, small: Crm) -> None:
    """Asked at the check, at the import, and again of whoever runs or goes on with it."""
    wish = {"to": "consultant", "consultant_id": world.b.employee_id}
    for act in (imports.check_import, imports.import_file):
        with pytest.raises(NotPermitted):
            act(small, people(2), file_name="x.csv", by=world.b, **wish)  # type: ignore[operator]
    number = interrupted(small, people(6), 2, by=world.manager, **wish)
    access.set_roles(small, login(small, world.manager), ["consultant"], by=SYSTEM)
    demoted = access.principal_for(small, username=login(small, world.manager))
    with pytest.raises(NotPermitted):
        imports.run_import(small, number, by=demoted)
    assert len(taken_in(small, number)) == 3


def test_a_consultant_out_of_reach_gets_nothing(
    world: World, small: Crm, branch: Department
) -> None:
    """Neither at the check nor later: who moved to another department is not found."""
    stranger = world.person("外校", department_id=branch.id)
    with pytest.raises(NotFound):
        imports.check_import(small, people(2), file_name="x.csv", to="consultant",
                             consultant_id=stranger.employee_id, by=world.manager)  # fmt: skip
    number = interrupted(small, people(6), 2, by=world.manager, to="consultant",
                         consultant_id=world.b.employee_id)  # fmt: skip
    _change(world, world.b, department_id=branch.id)
    with pytest.raises(NotFound):
        imports.run_import(small, number, by=world.manager)
    assert len(taken_in(small, number)) == 3
    assert imports.run_import(small, number, by=SYSTEM).accepted == 6


def test_a_consultant_who_left_meanwhile_gets_no_more(world: World, small: Crm) -> None:
    """What was taken in before stays, and can be taken back."""
    number = interrupted(small, people(6), 2, to="consultant", consultant_id=world.b.employee_id)
    _change(world, world.b, left_on=on(1).date())
    with pytest.raises(NotAssignable):
        imports.run_import(small, number, by=SYSTEM)
    assert imports.revert_import(small, number, by=SYSTEM) == 3


def _change(world: World, who: Principal, **fields: Any) -> None:
    employee = records.get_record(world.crm, Employee, who.employee_id or 0, by=SYSTEM)
    records.save_record(world.crm, changed(employee, **fields), by=SYSTEM)


@pytest.mark.parametrize(
    ("wish", "path", "code"),
    [({"to": "manual"}, "to", "unknown_choice"), ({"to": ""}, "to", "unknown_choice"),
     ({"to": "consultant"}, "consultant_id", "missing"),
     ({"consultant_id": 1}, "consultant_id", "not_wanted"),
     ({"to": "pool", "consultant_id": 1}, "consultant_id", "not_wanted")],
)  # fmt: skip
def test_a_way_of_dealing_that_makes_no_sense_is_refused(
    world: World, wish: dict[str, Any], path: str, code: str
) -> None:
    """With what would be allowed, in both languages, and nothing is kept."""
    for act in (imports.check_import, imports.import_file):
        with pytest.raises(Invalid) as refused:
            act(world.crm, people(1), file_name="x.csv", by=SYSTEM, **wish)  # type: ignore[operator]
        [problem] = refused.value.problems
        assert (problem.path, problem.code) == (path, code)
        if path == "to":
            for mode in ("rotation", "pool", "consultant"):
                assert mode in problem.zh
                assert mode in problem.en
    assert list(imports.list_imports(world.crm, by=SYSTEM)) == []


# -- files --------------------------------------------------------------------------------------


def test_the_wall_for_files_is_that_of_the_reader(world: World, tmp_path: Path) -> None:
    """Another reader, another wall; what is larger is not read to its end."""
    world.crm = attrs.evolve(world.crm, reader=SafeSheetReader(limits=Limits(file_bytes=100)))
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    small.write_bytes(people(2))
    large.write_bytes(people(50))
    assert imports.import_file(world.crm, small, by=SYSTEM).accepted == 2
    with pytest.raises(UnreadableSheet) as refused:
        imports.import_file(world.crm, large, by=SYSTEM)
    assert refused.value.reason == "file_too_large"


@pytest.mark.parametrize("act", [imports.check_import, imports.import_file])
def test_a_file_that_cannot_be_read_is_refused_clearly(
    world: World, tmp_path: Path, act: Callable[..., Any]
) -> None:
    """Missing, a folder, a name that no system knows, too large: in words, never as it came."""
    # given
    huge = tmp_path / "huge.xlsx"
    with huge.open("wb") as file:
        file.truncate(Limits().file_bytes * 500)
    files: dict[str, Any] = {
        "no_file": [tmp_path / "no.xlsx", str(tmp_path / "no" / "no.xlsx")],
        "folder": [tmp_path],
        "unreadable": [
            tmp_path / "a\0b.xlsx",
            tmp_path / ("长" * 300),
            huge / "x.xlsx",
            "/proc/self/mem",
        ],
        "file_too_large": [huge, b"x" * (Limits().file_bytes + 1)],
    }
    for reason, sources in files.items():
        for source in sources:
            # when
            with pytest.raises(UnreadableSheet) as refused:
                act(world.crm, source, by=SYSTEM)
            # then
            assert refused.value.reason == reason, source
            assert refused.value.message("zh") != refused.value.message("en")
            assert "\0" not in refused.value.message("zh")
    assert list(imports.list_imports(world.crm, by=SYSTEM)) == []


@contextmanager
def like_anybody() -> Iterator[None]:
    """Go without the rights of root, who may read everything."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_file_of_somebody_else_is_refused_clearly(world: World, tmp_path: Path) -> None:
    """Without the right to read it."""
    path = tmp_path / "x.csv"
    path.write_bytes(people(1))
    path.chmod(0)
    with like_anybody(), pytest.raises(UnreadableSheet) as refused:
        imports.check_import(world.crm, path, by=SYSTEM)
    assert refused.value.reason == "no_access"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [("名单.csv", "名单.csv"), ("a\0b.csv", "ab.csv"), ("x\ud800y.csv", "xy.csv"),
     ("../../etc/名单.csv", "名单.csv"), ("C:\\用户\\名单.csv", "名单.csv"),
     ("名\n单\u202e.csv", "名单.csv"), ("{name}.csv", "{name}.csv"),
     ("长." * 300 + "csv", ("长." * 300 + "csv")[-200:])],
)  # fmt: skip
def test_a_file_may_be_called_anything(world: World, typed: str, kept: str) -> None:
    """The name is kept without folders and without what nobody can see, and the import runs."""
    number = imports.check_import(world.crm, people(2), file_name=typed, by=SYSTEM).id
    report = imports.run_import(world.crm, number, by=SYSTEM)
    assert (report.file_name, report.accepted) == (kept, 2)
    assert all(kept[-20:] in n.body for n in told(world.crm, Event.ASSIGNED))


def test_a_path_may_be_called_anything(world: World, tmp_path: Path) -> None:
    """Also what the file system holds in no encoding that we know."""
    path = tmp_path / os.fsdecode(b"\xff\xfe\xe4.csv")
    path.write_bytes(people(1))
    assert imports.import_file(world.crm, path, by=SYSTEM).file_name == ".csv"


class Cells:
    """Reads whatever cells a test wants, also such as no file of ours holds."""

    max_bytes = 1000

    def __init__(self, *rows: tuple[Any, ...]) -> None:
        self.rows = rows

    def read(self, content: bytes, file_name: str) -> Any:
        """Give the only sheet."""
        from crm_domain.ports import Row, Sheet

        return (Sheet("客户", tuple(Row(i, r) for i, r in enumerate(self.rows, 1))),)


def test_text_that_no_database_takes_is_a_problem_of_its_row(world: World) -> None:
    """In names, contacts, headings and courses; the other rows go in, and a report can be had."""
    # given
    reader = Cells(
        ("姓名", "手机", "课程", "性别", "坏\0\ud800栏"),
        ("王\0芳", phone(), None, None, None),
        ("王芳", "1\0\ud800", None, None, "x"),
        ("王芳", phone(), None, "\0" * 70_000, None),
        ("王芳", phone(), "课\0\udfff", None, None),
    )
    crm = attrs.evolve(world.crm, reader=reader)
    # when
    checked = imports.check_import(crm, b"x", by=SYSTEM)
    report = imports.run_import(crm, checked.id, by=SYSTEM)
    # then
    assert report.accepted == checked.accepted == 1
    assert report.rejected == checked.rejected
    assert sum(report.rejected.values()) == 3
    assert report.warnings == checked.warnings
    assert len(report.warnings) == 2
    assert all("\0" not in p.message and len(p.message) < 100 for p in report.problems)
    assert imports.rejected_rows(crm, report.id, by=SYSTEM)[:2] == b"PK"


# -- what is told of the rows -------------------------------------------------------------------


def _with_titles(n: int) -> bytes:
    """Write customers with courses and schools that are there, or not, and a strange column."""
    courses = ("Python", "量子计算", "量子计算、Go", "Python;炼金", "")
    rows = [f"客户{i},{phone()},{courses[i % 5]},{'火星' if i % 4 == 0 else '总校'},{i}"
            for i in range(n)]  # fmt: skip
    rows[7:7] = ["错,12,占星,火星,", rows[2]]
    return sheet(*rows, heading="姓名,手机,课程,校区,星座")


def _expected(n: int) -> dict[str, int]:
    found = Counter({"未识别的列“星座”已忽略": 1})
    for i in range(n):
        found["未知的课程“量子计算”已忽略"] += i % 5 in (1, 2)
        found["未知的课程“Go”已忽略"] += i % 5 == 2
        found["未知的课程“炼金”已忽略"] += i % 5 == 3
        found["未知的校区“火星”已忽略"] += i % 4 == 0
    return +found


def _counted(report: imports.ImportReport) -> dict[str, int]:
    found = {}
    for text in report.warnings:
        plain, _, n = text.partition("（")
        found[plain] = int(n.removesuffix(" 行）") or 0) if n else 1
    return found


@pytest.fixture
def catalogue(world: World) -> Iterator[None]:
    records.save_record(world.crm, Course(title="Python"), by=SYSTEM)
    records.save_record(world.crm, School(title="总校"), by=SYSTEM)
    return


@pytest.mark.usefixtures("catalogue")
def test_warnings_count_the_rows_taken_in(small: Crm) -> None:
    """The same in the check, the run and every later report; columns first, then by rows."""
    content = _with_titles(20)
    checked = imports.check_import(small, content, file_name="x.csv", by=SYSTEM)
    report = imports.run_import(small, checked.id, by=SYSTEM)
    assert _counted(checked) == _expected(20)
    assert report.warnings == checked.warnings
    assert imports.run_import(small, checked.id, by=SYSTEM).warnings == checked.warnings
    assert report.warnings[:2] == ("未识别的列“星座”已忽略", "未知的课程“量子计算”已忽略（8 行）")


@pytest.mark.usefixtures("catalogue")
def test_a_resumed_import_warns_of_every_row_once(world: World, small: Crm) -> None:
    """What stood in the rows before the crash is not lost, also when it is put right meanwhile."""
    number = interrupted(small, _with_titles(20), 12)
    seen = _counted(imports.report_import(small, number, by=SYSTEM))
    again = attrs.evolve(small, settings=Settings(batch_rows=7, channels="console"))
    report = imports.run_import(again, number, by=SYSTEM)
    assert _counted(report) == _expected(20)
    assert 0 < seen["未知的课程“量子计算”已忽略"] < 8

    number = interrupted(small, _with_titles(20), 12)
    seen = _counted(imports.report_import(small, number, by=SYSTEM))
    records.save_record(world.crm, Course(title="量子计算"), by=SYSTEM)
    after = _counted(imports.run_import(small, number, by=SYSTEM))
    assert after["未知的课程“量子计算”已忽略"] == seen["未知的课程“量子计算”已忽略"]
    assert after["未知的校区“火星”已忽略"] == 5


@pytest.mark.usefixtures("catalogue")
def test_a_batch_that_is_taken_again_counts_once(small: Crm) -> None:
    """Its warnings, its customers and its problems."""
    busy, real = iter([DatabaseBusy(), DatabaseBusy()]), SqlImports.save

    def save(self: SqlImports, run: ImportRun) -> None:
        real(self, run)
        for error in busy:
            raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqlImports, "save", save)
        report = imports.import_file(small, _with_titles(20), file_name="x.csv", by=SYSTEM)
    assert (report.accepted, report.rejected) == (20, {"bad_phone": 1})
    assert _counted(report) == _expected(20)


def test_a_thousand_unknown_titles_are_told_in_short(world: World) -> None:
    """The commonest of them; the sheet goes in."""
    rows = [f"客户{i},{phone()},课{i}" for i in range(1100)]
    content = sheet(*rows, *(f"某{i},{phone()},炼金" for i in range(3)), heading="姓名,手机,课程")
    report = imports.import_file(world.crm, content, file_name="x.csv", by=SYSTEM)
    assert (report.accepted, len(report.warnings)) == (1103, 50)


def test_a_row_saved_by_somebody_else_meanwhile_is_told_like_any_duplicate(
    world: World, engine_name: str
) -> None:
    """With the contact that is taken, as it was typed, and the heading above it."""
    # given
    taken, free = phone(), phone()
    content = sheet(
        f"李四,,{taken[:3]}-{taken[3:]}", f"王五,wx_mine,{free}", heading="姓名,微信,联系电话"
    )
    real = SqlCustomers.add

    def add(self: SqlCustomers, customers: Any) -> Any:
        patch.undo()
        rival = Customer(name="捷足", phone=taken, created_at=world.clock())
        if engine_name == "sqlite":  # Its only writer is this very import.
            SqlOwnership(self._session).publish([c for c in real(self, [rival]) if c])
        else:
            intake.register_customer(world.crm, {"name": "捷足", "phone": taken}, by=SYSTEM)
        return real(self, customers)

    # when
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqlCustomers, "add", add)
        report = imports.import_file(world.crm, content, file_name="x.csv", to="pool", by=SYSTEM)
    # then
    assert (report.accepted, report.duplicate_in_database) == (1, 1)
    [problem] = report.problems
    typed = f"{taken[:3]}-{taken[3:]}"
    assert (problem.row, problem.column, problem.value) == (2, "联系电话", typed)
    assert problem.message == f"联系电话“{typed}”已有客户使用"


def test_a_long_cell_does_not_hide_what_is_wrong_with_it(world: World) -> None:
    """The sentence keeps its end; the value is there in full as far as it is kept."""
    content = sheet("长" * 500 + "," + phone())
    report = imports.import_file(world.crm, content, file_name="x.csv", by=SYSTEM)
    [problem] = report.problems
    assert problem.message.endswith("不能超过 60 个字符")
    assert len(problem.value or "") == 200


@pytest.mark.parametrize("name", ["合计", "小计", " 总 计：", "合计:"])
def test_a_row_that_adds_up_others_is_no_customer(world: World, name: str) -> None:
    """It is refused as what it is; with a contact it is a person of a strange name."""
    content = sheet(f"王芳,{phone()}", f"{name},", f"{name},{phone()}", "无名,")
    report = imports.import_file(world.crm, content, file_name="x.csv", by=SYSTEM)
    assert (report.accepted, dict(report.rejected)) == (2, {"total_row": 1, "no_contact": 1})


def test_a_report_tells_what_the_import_dealt_and_not_what_came_after(world: World) -> None:
    """Whoever claims a customer of the pool was not given it by the import."""
    report = imports.import_file(world.crm, people(2), file_name="x.csv", to="pool", by=SYSTEM)
    customer = taken_in(world.crm, report.id)[0]
    pool.claim_customer(world.crm, customer.id or 0, by=world.a)
    after = imports.report_import(world.crm, report.id, by=SYSTEM)
    assert (dict(after.dealt), after.pooled) == ({}, 2)


# -- taking back --------------------------------------------------------------------------------


def test_a_running_import_is_taken_back_and_stops(world: World, small: Crm) -> None:
    """Whatever it took in is archived, and whoever runs it is told; its contacts are free."""
    # given
    content = people(60)
    begun, archived = Signal(), Signal()

    def progress(done: int, _: int) -> None:
        if done > 10:
            begun.set()
            archived.wait(0.05)

    # when
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(
            imports.import_file, small, content, file_name="x.csv", progress=progress, by=world.a
        )
        assert begun.wait(30)
        number = imports.list_imports(small, by=SYSTEM)[0].id or 0
        count = imports.revert_import(small, number, by=world.manager)
        archived.set()
        error = running.exception(30)
    # then
    assert isinstance(error, ImportBusy)
    customers = taken_in(small, number)
    assert 3 <= count == len(customers) < 60
    assert all(c.archived_at is not None and c.owner_id is None for c in customers)
    assert run_of(small, number).status is ImportStatus.REVERTED
    assert told(small, Event.ASSIGNED) == []
    with pytest.raises(ImportBusy):
        imports.run_import(small, number, by=world.a)
    with pytest.raises(NotRevertible):
        imports.revert_import(small, number, by=world.a)
    assert imports.import_file(small, content, file_name="x.csv", by=world.a).accepted == 60


def test_an_import_somebody_worked_on_is_not_taken_back(world: World, small: Crm) -> None:
    """Running or done: one follow-up is enough, and everything stays."""
    number = interrupted(small, people(6), 2)
    mine = next(c for c in taken_in(small, number) if c.owner_id == world.a.employee_id)
    follow_up.log_follow_up(small, mine.id or 0, {"note": "通过电话"}, by=world.a)
    for _ in range(2):
        with pytest.raises(NotRevertible) as refused:
            imports.revert_import(small, number, by=SYSTEM)
        assert "1" in str(refused.value)
        imports.run_import(small, number, by=SYSTEM)
    assert all(c.archived_at is None for c in taken_in(small, number))


def test_taking_back_cancels_what_was_not_said_yet(world: World) -> None:
    """Of the import and of each of its customers; what is about others goes out."""
    # given
    report = imports.import_file(world.crm, people(3), file_name="x.csv", by=SYSTEM)
    other = world.customer(world.a)
    world.clock.set(on(4, 9))
    assert pool.warn_owners(world.crm, by=SYSTEM) == 4
    # when
    assert imports.revert_import(world.crm, report.id, by=SYSTEM) == 3
    # then
    notices = [*told(world.crm, Event.ASSIGNED), *told(world.crm, Event.EXPIRING)]
    waiting = {n.about for n in notices if n.status is NoticeStatus.PENDING}
    assert waiting == {f"customer:{other.id}"}
    assert len([n for n in notices if n.status is NoticeStatus.CANCELLED]) == 6


def test_taking_back_races_with_who_works_on_a_customer(world: World) -> None:
    """Either the follow-up is there and the import stays, or it is gone and nobody follows up."""
    for _ in range(8):
        report = imports.import_file(world.crm, people(3), file_name="x.csv", by=SYSTEM)
        mine = next(c for c in taken_in(world.crm, report.id) if c.owner_id == world.a.employee_id)

        def work(number: int = mine.id or 0) -> bool:
            try:
                follow_up.log_follow_up(world.crm, number, {"note": "电话"}, by=world.a)
            except CrmError:
                return False
            return True

        def revert(number: int = report.id) -> bool:
            try:
                imports.revert_import(world.crm, number, by=SYSTEM)
            except NotRevertible:
                return False
            return True

        with ThreadPoolExecutor(2) as threads:
            worked, reverted = [threads.submit(act) for act in (work, revert)]
        assert worked.result() != reverted.result()
        [after] = [c for c in taken_in(world.crm, report.id) if c.id == mine.id]
        assert (after.archived_at is not None) == reverted.result()
        assert (after.owner_id is None) == reverted.result()
