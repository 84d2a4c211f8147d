"""Employees and students from sheets (spec section 7: "imported the same way")."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import openpyxl
import pytest

from crm_domain import SYSTEM, Crm
from crm_domain.errors import CrmError, Invalid, NotPermitted, NotRevertible
from crm_domain.model import (
    CustomerStatus,
    Department,
    Employee,
    Event,
    ImportStatus,
    Scope,
    Student,
)
from crm_domain.ports import Query
from crm_domain.rules.access import Principal
from crm_domain.usecases import _import_run, assignment, imports, intake, pool, records
from make import World, phone
from steps import told

STAFF = "员工姓名,工号,手机,部门,离职日期"
LEARNERS = "姓名,手机,学号,监护人,家长电话,就业公司,校区"


def sheet(heading: str, *rows: str) -> bytes:
    """Write a .csv."""
    return "\n".join([heading, *rows]).encode()


def take(crm: Crm, record: str, content: bytes, by: Principal = SYSTEM) -> imports.ImportReport:
    """Check, run and report."""
    return imports.import_file(crm, content, file_name="x.csv", record=record, by=by)


def outcome(report: imports.ImportReport) -> dict[int, str]:
    """Tell why rows were not taken in, by the number of the row."""
    return {p.row: p.code for p in report.problems}


def test_employees_come_from_a_sheet(world: World) -> None:
    """With their department by its name; what is unknown is warned of, not refused."""
    sales = records.save_record(world.crm, Department(code=9001, title="市场一部"), by=SYSTEM)
    before = len(list(records.list_records(world.crm, Employee, by=SYSTEM)))
    number = phone()
    han = f"韩梅梅,E100,{number[:3]}-{number[3:]},市场一部,"
    report = take(world.crm, "Employee", sheet(STAFF, han, "李明,E101,,没有这个部,2026-10-31"))
    assert (report.record, report.status, report.accepted) == ("Employee", ImportStatus.DONE, 2)
    assert report.warnings == ("未知的部门“没有这个部”已忽略",)
    assert (report.dealt, report.pooled) == ({}, 0)
    found = {e.employee_number: e for e in records.list_records(world.crm, Employee, by=SYSTEM)}
    assert len(found) >= 2
    made = found["E100"]
    assert (made.name, made.phone, made.department_id) == ("韩梅梅", number, sales.id)
    assert str(found["E101"].left_on) == "2026-10-31"
    assert len(list(records.list_records(world.crm, Employee, by=SYSTEM))) == before + 2


def test_each_row_counts_once_and_a_second_time_adds_nothing(world: World) -> None:
    """Duplicates by number or phone, in the file and against the database; totals; no name."""
    number = phone()
    content = sheet(
        STAFF, f"韩梅梅,E100,{number},,", "李明,E100,,,", f"王强,E102,+86 {number},,", ",E103,,,",
        "赵六,E104,12,,", "合计,,,,", "孙七,,,,",
    )  # fmt: skip
    report = take(world.crm, "Employee", content)
    assert outcome(report) == {
        3: "duplicate_in_file", 4: "duplicate_in_file", 5: "no_name", 6: "bad_phone",
        7: "total_row",
    }  # fmt: skip
    assert (report.accepted, report.done_rows) == (2, report.data_rows)
    again = take(world.crm, "Employee", sheet(STAFF, f"韩梅梅,E100,{number},,"))
    assert outcome(again) == {2: "duplicate_in_database"}
    assert "已有员工使用" in again.problems[0].message


def test_students_come_as_customers_who_enrolled(world: World) -> None:
    """Owned by nobody, not in the pool, without a turn, a notice or a deadline."""
    turns = assignment.upcoming(world.crm, 5, by=SYSTEM)
    one, two = phone(), phone()
    report = take(world.crm, "Student", sheet(
        LEARNERS, f"陈静,{one},S001,陈父,{two},字节跳动,", f"周杰,{phone()},S002,,,,",
    ))  # fmt: skip
    assert (report.record, report.accepted, report.pooled) == ("Student", 2, 0)
    assert assignment.upcoming(world.crm, 5, by=SYSTEM) == turns
    found = intake.list_customers(world.crm, Query(search="陈静"), by=SYSTEM)[0]
    assert (found.status, found.owner_id, found.phone) == (CustomerStatus.ENROLLED, None, one)
    assert not list(pool.public_customers(world.crm, Query(search="陈静"), by=SYSTEM))
    with world.crm.unit_of_work(read_only=True) as uow:
        student = uow.records.find(Student, student_number="S001")
    assert student is not None
    assert (student.customer_id, student.guardian_name) == (found.id, "陈父")
    assert (student.guardian_phone, student.company) == (two, "字节跳动")
    assert told(world.crm, Event.ASSIGNED) == []
    assert all(not c.count for c in world.crm.storage.check())


def test_whom_somebody_has_as_a_customer_is_no_new_student(world: World) -> None:
    """A contact of a customer, and a number of a student, are duplicates; nothing is changed."""
    known = world.customer()
    take(world.crm, "Student", sheet(LEARNERS, f"陈静,{phone()},S001,,,,"))
    report = take(world.crm, "Student", sheet(
        LEARNERS, f"某某,{known.phone},S009,,,,", f"别人,{phone()},S001,,,,", "谁,,S010,,,,",
        f"新人,{phone()},S011,,,,", f"重号,{phone()},S011,,,,",
    ))  # fmt: skip
    assert outcome(report) == {
        2: "duplicate_in_database", 3: "duplicate_in_database", 4: "no_contact",
        6: "duplicate_in_file",
    }  # fmt: skip
    assert report.accepted == 1
    assert intake.get_customer(world.crm, known.id or 0, by=SYSTEM) == known


@pytest.mark.parametrize("record", ["Employee", "Student"])
def test_a_preview_writes_nobody(world: World, record: str) -> None:
    """It tells the same as the run that follows, and the run ends once."""
    content = sheet("姓名,手机", f"甲,{phone()}", "乙,12", f"丙,{phone()}")
    preview = imports.check_import(world.crm, content, file_name="x.csv", record=record, by=SYSTEM)
    assert (preview.status, preview.accepted) == (ImportStatus.CHECKED, 2)
    assert not list(intake.list_customers(world.crm, Query(search="甲"), by=SYSTEM))
    again = imports.report_import(world.crm, preview.id, by=SYSTEM)
    assert (again.accepted, again.problems) == (preview.accepted, preview.problems)
    rejected = imports.rejected_rows(world.crm, preview.id, by=SYSTEM)
    assert openpyxl.load_workbook(io.BytesIO(rejected)).active.max_row == 2
    for _ in range(2):
        done = imports.run_import(world.crm, preview.id, by=SYSTEM)
        assert (done.status, done.accepted) == (ImportStatus.DONE, 2)


def test_what_such_an_import_brought_stays(world: World) -> None:
    """Reverting would archive people who are there; it is refused by name."""
    for record in ("Employee", "Student"):
        report = take(world.crm, record, sheet("姓名,手机", f"甲,{phone()}"))
        with pytest.raises(NotRevertible):
            imports.revert_import(world.crm, report.id, by=SYSTEM)


def test_who_may_not_edit_them_may_not_import_them(world: World) -> None:
    """Importing customers is not enough; and nobody is dealt employees."""
    clerk = Principal(user_id=None, employee_id=None, department_id=None, scope=Scope.ALL,
                      permissions=frozenset({"customer:import"}), name="文员")  # fmt: skip
    for record in ("Employee", "Student"):
        with pytest.raises(NotPermitted):
            take(world.crm, record, sheet("姓名,手机", f"甲,{phone()}"), by=clerk)
        with pytest.raises(Invalid):
            imports.import_file(world.crm, sheet("姓名,手机", f"甲,{phone()}"), file_name="x.csv",
                                record=record, to="pool", by=SYSTEM)  # fmt: skip
    with pytest.raises(Invalid):
        take(world.crm, "Department", sheet("姓名,手机", "甲,1"))


def test_more_than_one_transaction_should_hold_are_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is kept; customers have no such wall."""
    monkeypatch.setattr(_import_run, "MOST_PEOPLE", 2)
    content = sheet("姓名,手机", *(f"甲{i},{phone()}" for i in range(3)))
    for record in ("Employee", "Student"):
        with pytest.raises(Invalid):
            take(world.crm, record, content)
    assert list(imports.list_imports(world.crm, by=SYSTEM)) == []
    assert take(world.crm, "Customer", content).accepted == 3


def test_two_at_once_bring_nobody_twice(world: World) -> None:
    """Each row is taken in by one of them; the other tells it as a duplicate."""
    content = sheet(LEARNERS, *(f"学员{i},{phone()},N{i},,,," for i in range(20)))

    def act(i: int) -> imports.ImportReport | CrmError:
        try:
            return imports.import_file(world.crm, content, file_name=f"{i}.csv", record="Student",
                                       by=SYSTEM)  # fmt: skip
        except CrmError as e:
            return e

    with ThreadPoolExecutor(2) as threads:
        reports = list(threads.map(act, range(2)))
    assert all(isinstance(r, imports.ImportReport) for r in reports), reports
    assert sorted(r.accepted for r in reports if isinstance(r, imports.ImportReport)) == [0, 20]
    assert all(not c.count for c in world.crm.storage.check())


@pytest.mark.parametrize("record", ["Customer", "Employee", "Student"])
def test_a_template_filled_in_is_understood(world: World, record: str) -> None:
    """Every column of it, by its own label."""
    book = openpyxl.load_workbook(io.BytesIO(imports.template(world.crm, record=record, by=SYSTEM)))
    page = book.worksheets[0]
    headings = [c.value for c in page[1]]
    page.append(["赵一" if h == "姓名" else phone() if h == "手机" else None for h in headings])
    out = io.BytesIO()
    book.save(out)
    report = imports.import_file(world.crm, out.getvalue(), file_name="t.xlsx", record=record,
                                 by=SYSTEM)  # fmt: skip
    assert (report.accepted, report.warnings) == (1, ())
