"""Students, enrolments and study records as lists: whose they are, and what may be changed."""

from __future__ import annotations

from datetime import date

import attrs
import pytest

from crm_domain import SYSTEM, Query
from crm_domain.errors import EditConflict, GuardedField, Invalid, NotFound, NotPermitted
from crm_domain.model import (
    Attendance,
    AuditEntry,
    Cohort,
    Course,
    Department,
    Enrolment,
    Lesson,
    School,
    Score,
    Student,
    StudyRecord,
)
from crm_domain.rules.access import Principal
from crm_domain.usecases import access, audit_log, records
from make import World
from steps import login

KINDS = (Student, Enrolment, StudyRecord)


@attrs.frozen
class Class:
    """A cohort with one student in it and one lesson that was kept."""

    tutor: Principal
    student: int
    enrolment: int
    lesson: int
    kept: int

    def of(self, cls: type[object]) -> int:
        """Give the number of the record of a kind."""
        return {Student: self.student, Enrolment: self.enrolment, StudyRecord: self.kept}[cls]


def taught(world: World, name: str, semester: int, tutor: Principal) -> Class:
    crm, today = world.crm, world.crm.today()
    course = next(iter(records.list_records(crm, Course, by=SYSTEM)), None)
    course = course or records.save_record(crm, Course(title="Python全栈"), by=SYSTEM)
    school = next(iter(records.list_records(crm, School, by=SYSTEM)), None)
    school = school or records.save_record(crm, School(title="北京"), by=SYSTEM)
    cohort = records.save_record(
        crm, Cohort(course_id=course.id or 0, school_id=school.id or 0, semester=semester,
                    tutor_id=tutor.employee_id), by=SYSTEM,
    )  # fmt: skip
    lesson = records.save_record(
        crm, Lesson(cohort_id=cohort.id or 0, day_number=1, date=today), by=SYSTEM
    )
    customer = world.customer(name=name)
    # Enrolling has no use case yet; this is what it will write.
    with crm.unit_of_work() as uow:
        student = uow.records.add(
            Student(customer_id=customer.id or 0, guardian_phone="13900000000")
        )
        enrolment = uow.records.add(
            Enrolment(student_id=student.id or 0, cohort_id=cohort.id or 0, joined_on=today)
        )
        kept = uow.records.add(
            StudyRecord(lesson_id=lesson.id or 0, student_id=student.id or 0, date=today)
        )
    return Class(tutor, student.id or 0, enrolment.id or 0, lesson.id or 0, kept.id or 0)


@pytest.fixture
def classes(world: World) -> tuple[Class, Class]:
    """Two teachers of two departments, each with a class."""
    far = records.save_record(world.crm, Department(code=977_001, title="二部"), by=SYSTEM)
    mine = world.person("王老师", "teacher")
    other = world.person("赵老师", "teacher", department_id=far.id)
    return taught(world, "王芳", 1, mine), taught(world, "李四光", 2, other)


@pytest.mark.parametrize("cls", KINDS)
def test_a_teacher_has_the_own_classes_and_nothing_of_others(
    world: World, classes: tuple[Class, Class], cls: type[object]
) -> None:
    """In lists, counts, by number and by title alike."""
    mine, other = classes
    found = records.list_records(world.crm, cls, by=mine.tutor)
    assert [getattr(r, "id", 0) for r in found] == [mine.of(cls)]
    assert records.tally_records(world.crm, cls, by=mine.tutor).total == 1
    assert records.get_record(world.crm, cls, mine.of(cls), by=mine.tutor) in found.items
    with pytest.raises(NotFound):
        records.get_record(world.crm, cls, other.of(cls), by=mine.tutor)
    both = [mine.of(cls), other.of(cls)]
    assert set(records.titles(world.crm, cls, both, by=mine.tutor)) == {mine.of(cls)}
    assert set(records.titles(world.crm, cls, both, by=SYSTEM)) == set(both)


def test_whoever_reaches_a_department_has_the_classes_of_its_teachers(
    world: World, classes: tuple[Class, Class]
) -> None:
    """A head of teaching: a role of one's own, with the scope of the department."""
    codes = ["student:view", "enrolment:view", "study_record:view"]
    role = access.add_role(
        world.crm, {"title": "教学主管", "permissions": codes, "scope": "department"}, by=SYSTEM
    )
    head = world.person("教学主管甲", "teacher")
    access.set_roles(world.crm, login(world.crm, head), [role.id or 0], by=SYSTEM)
    head = access.principal_for(world.crm, username=login(world.crm, head))
    for cls in KINDS:
        found = records.list_records(world.crm, cls, by=head)
        assert [getattr(r, "id", 0) for r in found] == [classes[0].of(cls)], cls


@pytest.mark.parametrize("cls", KINDS)
def test_sales_have_no_students(
    world: World, classes: tuple[Class, Class], cls: type[object]
) -> None:
    """Without the permission there is no list, no count, no title."""
    for act in (records.list_records, records.tally_records):
        with pytest.raises(NotPermitted):
            act(world.crm, cls, by=world.a)
    assert records.titles(world.crm, cls, [classes[0].of(cls)], by=world.a) == {}


@pytest.mark.parametrize("cls", KINDS)
def test_a_student_is_found_by_name(
    world: World, classes: tuple[Class, Class], cls: type[object]
) -> None:
    """Though the name stands on the customer, and only within one's reach."""
    mine, other = classes
    query = Query(search="四光")
    assert [
        getattr(r, "id", 0) for r in records.list_records(world.crm, cls, query, by=SYSTEM)
    ] == [other.of(cls)]
    assert records.tally_records(world.crm, cls, query, by=SYSTEM).total == 1
    assert not records.list_records(world.crm, cls, query, by=mine.tutor).items
    found = records.suggest(world.crm, cls, "四光", by=SYSTEM)
    assert list(found) == [other.of(cls)]
    assert "李四光" in found[other.of(cls)]


def test_a_cohort_is_found_by_its_course(world: World, classes: tuple[Class, Class]) -> None:
    """What it is called is what people type."""
    query = Query(search="python")
    assert len(records.list_records(world.crm, Cohort, query, by=SYSTEM).items) == 2
    assert not records.list_records(world.crm, Cohort, Query(search="java"), by=SYSTEM).items


def test_what_no_rule_is_about_is_changed_and_audited(
    world: World, classes: tuple[Class, Class]
) -> None:
    """Where a student works now; a mark and a lateness that were wrong."""
    mine, _ = classes
    values = {"company": "新公司", "hired_on": "2026-10-01", "version": 1}
    records.write_record(world.crm, Student, mine.student, values, by=mine.tutor)
    after = records.get_record(world.crm, Student, mine.student, by=mine.tutor)
    assert (after.company, after.hired_on, after.version) == ("新公司", date(2026, 10, 1), 2)
    values = {"attendance": "迟到", "minutes_late": "7", "score": "A", "version": 1}
    records.write_record(world.crm, StudyRecord, mine.kept, values, by=mine.tutor)
    kept = records.get_record(world.crm, StudyRecord, mine.kept, by=mine.tutor)
    assert (kept.attendance, kept.minutes_late, kept.score) == (Attendance.LATE, 7, Score.A)
    query = Query(where={"record": "StudyRecord"})
    (entry,) = [e.entry for e in audit_log.list_entries(world.crm, query, by=SYSTEM)]
    assert isinstance(entry, AuditEntry)
    assert (entry.by_id, entry.before and entry.before["score"]) == (mine.tutor.user_id, "N/A")
    with pytest.raises(EditConflict):
        records.write_record(world.crm, StudyRecord, mine.kept, values, by=mine.tutor)


@pytest.mark.parametrize(
    ("cls", "values"),
    [
        (Student, {"customer_id": 1}), (Student, {"wechat_openid": "o1"}), (Student, {"id": 9}),
        (Enrolment, {"status": "退学"}), (Enrolment, {"reason": "x"}), (Enrolment, {}),
        (StudyRecord, {"student_id": 1}), (StudyRecord, {"handed_in_at": "2026-11-01"}),
        (StudyRecord, {"nothing": 1}),
    ],
)  # fmt: skip
def test_what_a_rule_is_about_is_not(
    world: World, classes: tuple[Class, Class], cls: type[object], values: dict[str, object]
) -> None:
    """Whatever a form sends; nor is any of them made, replaced or removed like that."""
    mine, _ = classes
    number = mine.of(cls)
    before = records.get_record(world.crm, cls, number, by=SYSTEM)
    with pytest.raises(GuardedField):
        records.write_record(world.crm, cls, number, values, by=SYSTEM)
    with pytest.raises(GuardedField):
        records.write_record(world.crm, cls, None, {}, by=SYSTEM)
    with pytest.raises(GuardedField):
        records.save_record(world.crm, before, by=SYSTEM)
    with pytest.raises(GuardedField):
        records.remove_record(world.crm, cls, number, by=SYSTEM)
    assert records.get_record(world.crm, cls, number, by=SYSTEM) == before


def test_nobody_changes_what_others_teach(world: World, classes: tuple[Class, Class]) -> None:
    """It is as if it were not there."""
    mine, other = classes
    with pytest.raises(NotFound):
        records.write_record(world.crm, Student, other.student, {"memo": "x"}, by=mine.tutor)
    with pytest.raises(NotFound):
        records.write_record(world.crm, StudyRecord, other.kept, {"score": "A"}, by=mine.tutor)
    with pytest.raises(Invalid):
        records.write_record(world.crm, StudyRecord, mine.kept, {"score": "E"}, by=mine.tutor)
