"""The data scope beyond customers (spec section 10): people, lessons, cohorts, notices."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import attrs
import pytest

from crm_domain import SYSTEM
from crm_domain.errors import Invalid, NotFound, NotPermitted, ScopeTooWide
from crm_domain.model import (
    Cohort,
    Course,
    Department,
    Employee,
    Lesson,
    NoticeStatus,
    School,
    Scope,
)
from crm_domain.model.fields import changed
from crm_domain.ports import Query
from crm_domain.rules.access import Principal
from crm_domain.usecases import access, audit_log, notices, pool, records
from make import World

CONTACTS: dict[str, str] = {
    "phone": "13800138000", "email": "li@example.com", "wechat_openid": "openid-li",
    "dingtalk_user_id": "ding-li",
}  # fmt: skip


def known(employee: Employee) -> dict[str, str | None]:
    return {name: getattr(employee, name) for name in CONTACTS}


@pytest.fixture
def colleague(world: World) -> Employee:
    """Give 李雷 every way to be reached."""
    before = records.get_record(world.crm, Employee, world.a.employee_id or 0, by=SYSTEM)
    return records.save_record(world.crm, changed(before, **CONTACTS), by=SYSTEM)


@pytest.fixture
def beside(world: World) -> Department:
    """Make a department beside the world's."""
    return records.save_record(world.crm, Department(code=777, title="教务部"), by=SYSTEM)


# -- people -----------------------------------------------------------------------------------


def test_a_colleagues_contacts_are_not_told_beyond_the_reach(
    world: World, colleague: Employee
) -> None:
    """The name and the department are; contacts to oneself, to who reaches and who keeps them."""
    number = colleague.id or 0
    access.set_role(world.crm, "人事", permissions=["employee:view", "employee:edit"], by=SYSTEM)
    clerk = world.person("人事", "人事")
    for by, sees in ((world.b, False), (world.a, True), (world.manager, True), (clerk, True)):
        read = records.get_record(world.crm, Employee, number, by=by)
        [listed] = [e for e in records.list_records(world.crm, Employee, by=by) if e.id == number]
        assert read == listed
        assert (read.name, read.department_id) == ("李雷", world.department.id)
        assert known(read) == (CONTACTS if sees else dict.fromkeys(CONTACTS))


def test_a_colleagues_contacts_cannot_be_guessed(world: World, colleague: Employee) -> None:
    """Neither by a filter, nor a range, nor an order, nor the mark of a page."""
    for name, value in CONTACTS.items():
        for query in (Query(where={name: value}), Query(ranges={name: (value, value)})):
            assert list(records.list_records(world.crm, Employee, query, by=world.b)) == []
            [found] = records.list_records(world.crm, Employee, query, by=world.manager)
            assert found.id == colleague.id
        for sort in (name, f"-{name}"):
            walked: list[int | None] = []
            after = None
            while True:
                asked = Query(sort=sort, limit=1, after=after)
                page = records.list_records(world.crm, Employee, asked, by=world.b)
                walked += [e.id for e in page]
                if (after := page.next) is None:
                    break
            # All are empty to whoever asks, so the numbers alone make the order.
            assert walked == sorted(walked, reverse=sort.startswith("-"))  # type: ignore[type-var]
            assert len(walked) == 4


def test_people_are_edited_within_the_reach_only(world: World, beside: Department) -> None:
    """Beyond it nobody is found, and nobody is put there or moves there."""
    access.set_role(world.crm, "组长", permissions=["employee:view", "employee:edit"],
                    scope=Scope.DEPARTMENT, by=SYSTEM)  # fmt: skip
    head = world.person("组长", "组长")
    stranger = records.save_record(
        world.crm, Employee(name="外人", department_id=beside.id), by=SYSTEM
    )
    near = records.get_record(world.crm, Employee, world.a.employee_id or 0, by=head)
    refused: list[Callable[[], Any]] = [
        lambda: records.save_record(world.crm, changed(stranger, name="x"), by=head),
        lambda: records.save_record(
            world.crm, changed(stranger, department_id=world.department.id), by=head),
        lambda: records.remove_record(world.crm, Employee, stranger.id or 0, by=head),
        lambda: records.save_record(
            world.crm, Employee(name="新人", department_id=beside.id), by=head),
        lambda: records.save_record(world.crm, Employee(name="新人"), by=head),
    ]  # fmt: skip
    before = list(records.list_records(world.crm, Employee, by=SYSTEM))
    for act in refused:
        with pytest.raises(NotFound):
            act()
    # To move somebody ends what their account sees, which needs the right to manage accounts.
    with pytest.raises(NotPermitted):
        records.save_record(world.crm, changed(near, department_id=beside.id), by=head)
    assert list(records.list_records(world.crm, Employee, by=SYSTEM)) == before
    records.save_record(world.crm, changed(near, name="李磊"), by=head)
    fresh = Employee(name="新人", department_id=world.department.id)
    made = records.save_record(world.crm, fresh, by=head)
    records.remove_record(world.crm, Employee, made.id or 0, by=head)


def test_nobody_widens_the_own_reach_by_moving(world: World, beside: Department) -> None:
    """The own department is changed by somebody who sees all."""
    access.set_role(world.crm, "组长", permissions=["employee:view", "employee:edit"],
                    scope=Scope.DEPARTMENT, by=SYSTEM)  # fmt: skip
    head = world.person("组长", "组长")
    mine = records.get_record(world.crm, Employee, head.employee_id or 0, by=head)
    with pytest.raises(ScopeTooWide):
        records.save_record(world.crm, changed(mine, department_id=beside.id), by=head)
    records.save_record(world.crm, changed(mine, phone="13900139000"), by=head)
    records.save_record(world.crm, changed(mine, version=2, department_id=beside.id), by=SYSTEM)


def test_departments_are_seen_by_all_and_edited_within_the_reach(
    world: World, beside: Department
) -> None:
    """One's own and those below; or the one that is led."""
    access.set_role(world.crm, "总监", permissions=["department:view", "department:edit"],
                    scope=Scope.DEPARTMENT_AND_BELOW, by=SYSTEM)  # fmt: skip
    head = world.person("总监", "总监")
    seen = [d.id for d in records.list_records(world.crm, Department, by=head)]
    assert sorted(n or 0 for n in seen) == sorted([world.department.id or 0, beside.id or 0])
    with pytest.raises(NotFound):
        records.save_record(world.crm, changed(beside, title="x"), by=head)
    with pytest.raises(NotFound):
        records.save_record(world.crm, Department(code=778, title="x"), by=head)
    with pytest.raises(NotFound):
        records.remove_record(world.crm, Department, beside.id or 0, by=head)
    below = Department(code=778, title="x", parent_id=world.department.id)
    below = records.save_record(world.crm, below, by=head)
    records.remove_record(world.crm, Department, below.id or 0, by=head)
    led = records.save_record(world.crm, changed(beside, manager_id=head.employee_id), by=SYSTEM)
    assert records.save_record(world.crm, changed(led, title="y"), by=head).title == "y"


def test_no_department_hangs_from_itself(world: World, beside: Department) -> None:
    """However far up, whoever asks: nobody above would see its people."""
    below = records.save_record(
        world.crm, changed(beside, parent_id=world.department.id), by=SYSTEM
    )
    for parent in (world.department.id, below.id):
        with pytest.raises(Invalid, match="itself"):
            records.save_record(world.crm, changed(world.department, parent_id=parent), by=SYSTEM)


def test_nobody_moves_the_own_department_away_from_those_above(
    world: World, beside: Department
) -> None:
    """They would no longer see its people; what is below is moved within."""
    access.set_role(world.crm, "总监", permissions=["department:edit"],
                    scope=Scope.DEPARTMENT_AND_BELOW, by=SYSTEM)  # fmt: skip
    head, number = world.person("总监", "总监"), world.department.id
    hung = changed(world.department, parent_id=beside.id)
    hung = records.save_record(world.crm, hung, by=SYSTEM)
    with pytest.raises(ScopeTooWide):
        records.save_record(world.crm, changed(hung, parent_id=None), by=head)
    below = [records.save_record(world.crm, Department(code=n, title=f"{n}", parent_id=number),
                                 by=head) for n in (778, 779)]  # fmt: skip
    moved = changed(below[0], parent_id=below[1].id)
    moved = records.save_record(world.crm, moved, by=head)
    with pytest.raises(NotFound):
        records.save_record(world.crm, changed(moved, parent_id=None), by=head)


# -- teaching ---------------------------------------------------------------------------------


class Classes:
    """Two teachers, a tutor, and a cohort with a lesson for each teacher."""

    def __init__(self, world: World) -> None:
        crm = world.crm
        self.mine, self.other, self.tutor = (
            world.person(name, "teacher") for name in ("孔子", "孟子", "荀子")
        )
        school = records.save_record(crm, School(title="北京"), by=SYSTEM).id or 0
        course = records.save_record(crm, Course(title="Python"), by=SYSTEM).id or 0

        def cohort(semester: int, teacher: Principal, tutor: Principal | None = None) -> Cohort:
            made = Cohort(
                school_id=school, course_id=course, semester=semester, price=Decimal(1),
                teachers=(teacher.employee_id or 0,), tutor_id=tutor and tutor.employee_id,
            )  # fmt: skip
            return records.save_record(crm, made, by=SYSTEM)

        def lesson(cohort: Cohort, day: int, teacher: Principal | None) -> Lesson:
            made = Lesson(cohort_id=cohort.id or 0, day_number=day, date=date(2026, 11, day),
                          teacher_id=teacher and teacher.employee_id)  # fmt: skip
            return records.save_record(crm, made, by=SYSTEM)

        self.cohort, self.theirs = cohort(1, self.mine, self.tutor), cohort(2, self.other)
        self.own = lesson(self.cohort, 1, self.mine)
        self.of_cohort = lesson(self.cohort, 2, self.other)
        self.stood_in = lesson(self.theirs, 1, self.mine)
        self.foreign = lesson(self.theirs, 2, self.other)
        self.nobodys = lesson(self.theirs, 3, None)


@pytest.fixture
def classes(world: World) -> Classes:
    """Make the classes."""
    return Classes(world)


def test_a_teacher_keeps_the_own_lessons_and_those_of_the_own_cohorts(
    world: World, classes: Classes
) -> None:
    """Also a tutor; others are not listed, not found, not changed and not removed."""
    k = classes
    reached = {
        k.mine: [k.own, k.of_cohort, k.stood_in],
        k.tutor: [k.own, k.of_cohort],
        k.other: [k.of_cohort, k.stood_in, k.foreign, k.nobodys],
    }
    everything = [k.own, k.of_cohort, k.stood_in, k.foreign, k.nobodys]
    for by, theirs in reached.items():
        listed = records.list_records(world.crm, Lesson, Query(sort="id"), by=by)
        assert list(listed) == theirs
        for lesson in everything:
            number = lesson.id or 0
            if lesson in theirs:
                assert records.get_record(world.crm, Lesson, number, by=by) == lesson
                continue
            with pytest.raises(NotFound):
                records.get_record(world.crm, Lesson, number, by=by)
            with pytest.raises(NotFound):
                records.save_record(world.crm, changed(lesson, title="x"), by=by)
            taken = changed(lesson, teacher_id=by.employee_id)
            with pytest.raises(NotFound):
                records.save_record(world.crm, taken, by=by)
            with pytest.raises(NotFound):
                records.remove_record(world.crm, Lesson, number, by=by)
    kept = records.list_records(world.crm, Lesson, Query(sort="id"), by=SYSTEM)
    assert list(kept) == everything
    saved = records.save_record(world.crm, changed(k.own, title="x"), by=k.mine)
    assert saved.title == "x"
    records.remove_record(world.crm, Lesson, k.of_cohort.id or 0, by=k.mine)


def test_a_teacher_makes_no_lesson_for_anothers_cohort(world: World, classes: Classes) -> None:
    """Unless it is the teacher's own lesson; and gives none away into one."""
    made = Lesson(cohort_id=classes.theirs.id or 0, day_number=9, date=date(2026, 11, 9))
    with pytest.raises(NotFound):
        records.save_record(world.crm, made, by=classes.mine)
    moved = changed(classes.of_cohort, cohort_id=classes.theirs.id, day_number=9)
    with pytest.raises(NotFound):
        records.save_record(world.crm, moved, by=classes.mine)
    within = changed(made, cohort_id=classes.cohort.id)
    assert records.save_record(world.crm, within, by=classes.mine).id


def test_cohorts_are_seen_by_all_and_edited_by_whose_they_are(
    world: World, classes: Classes
) -> None:
    """The teachers' and the tutor's, or those of somebody within reach."""
    access.set_role(world.crm, "老师", permissions=["cohort:view", "cohort:edit"], by=SYSTEM)
    mine = access.principal_for(world.crm, username=classes.mine.name)
    seen = records.list_records(world.crm, Cohort, Query(sort="id"), by=mine)
    assert list(seen) == [classes.cohort, classes.theirs]
    with pytest.raises(NotFound):
        records.save_record(world.crm, changed(classes.theirs, memo="x"), by=mine)
    assert records.save_record(world.crm, changed(classes.cohort, memo="x"), by=mine).memo == "x"


# -- notices ----------------------------------------------------------------------------------


def test_notices_of_others_are_read_within_the_reach_only(world: World, beside: Department) -> None:
    """A manager reads those of the own department; a consultant the own."""
    stranger = world.person("外人", department_id=beside.id)
    secret = world.customer(stranger, name="机密客户")
    mine = world.customer(world.a, name="本部客户")
    for by, expected in (
        (SYSTEM, {secret.name, mine.name}), (world.manager, {mine.name}), (world.a, {mine.name}),
        (world.b, set()), (stranger, {secret.name}),
    ):  # fmt: skip
        bodies = "".join(n.body for n in notices.list_notices(world.crm, by=by))
        assert {name for name in (secret.name, mine.name) if name in bodies} == expected
    narrow = Query(where={"recipient_id": stranger.employee_id})
    assert list(notices.list_notices(world.crm, narrow, by=world.manager)) == []


def test_notices_are_counted_and_sent_again_within_the_reach_only(
    world: World, beside: Department
) -> None:
    """What stands in the outbox for others is neither told nor touched."""
    stranger = world.person("外人", department_id=beside.id)
    world.customer(stranger)
    world.customer(world.a)
    for by, some in ((SYSTEM, 2), (world.manager, 1)):
        assert notices.backlog(world.crm, by=by).waiting[NoticeStatus.PENDING] == some
    broken = attrs.evolve(world.crm, notifiers={})
    while notices.backlog(world.crm, by=SYSTEM).waiting[NoticeStatus.DEAD] < 2:
        notices.deliver_due(broken, by=SYSTEM)
        world.clock.advance(timedelta(days=1))
    access.set_role(world.crm, "值班", permissions=["notice:view", "notice:deliver"],
                    scope=Scope.DEPARTMENT, by=SYSTEM)  # fmt: skip
    clerk = world.person("值班", "值班")
    [theirs] = notices.list_notices(
        world.crm, Query(where={"recipient_id": stranger.employee_id}), by=SYSTEM
    )
    with pytest.raises(NotFound):
        notices.resend(world.crm, theirs.id or 0, by=clerk)
    assert notices.resend_many(world.crm, by=clerk) == 1
    assert notices.resend_many(world.crm, by=clerk) == 0
    assert notices.resend_many(world.crm, by=SYSTEM) == 1


# -- counts, titles, the log ------------------------------------------------------------------


def test_counts_and_titles_end_where_the_reach_does(world: World, classes: Classes) -> None:
    """Another's lessons are neither counted nor named, and colleagues are named to all."""
    mine = {classes.own.id, classes.of_cohort.id, classes.stood_in.id}
    every = [n.id for n in records.list_records(world.crm, Lesson, by=SYSTEM)]
    tally = records.tally_records(world.crm, Lesson, facets=["teacher_id"], by=classes.mine)
    assert tally.total == len(mine) == sum(tally.by["teacher_id"].values())
    assert set(records.titles(world.crm, Lesson, every, by=classes.mine)) == mine
    assert set(records.suggest(world.crm, Lesson, "", 100, by=classes.mine)) == mine
    assert set(records.titles(world.crm, Lesson, every, by=SYSTEM)) == set(every)
    number = world.a.employee_id or 0
    assert records.titles(world.crm, Employee, [number], by=world.b) == {number: "李雷"}
    assert number in records.suggest(world.crm, Employee, "李", by=world.b)


def test_contacts_are_not_counted_out(world: World, colleague: Employee) -> None:
    """A count by a filter tells as much as a list."""
    for name, value in CONTACTS.items():
        for query in (Query(where={name: value}), Query(ranges={name: (value, value)})):
            counts = [records.tally_records(world.crm, Employee, query, by=by).total
                      for by in (world.b, world.manager)]  # fmt: skip
            assert counts == [0, 1]
        assert records.suggest(world.crm, Employee, value, by=world.b) == {}


def test_what_was_typed_is_written_within_the_reach_only(
    world: World, colleague: Employee, beside: Department
) -> None:
    """And what is not told to somebody is not lost when they save."""
    access.set_role(world.crm, "组长", permissions=["employee:view", "employee:edit"],
                    scope=Scope.DEPARTMENT, by=SYSTEM)  # fmt: skip
    head = world.person("组长", "组长")
    stranger = world.person("外人", department_id=beside.id)
    with pytest.raises(NotFound):
        records.write_record(
            world.crm, Employee, stranger.employee_id, {"name": "x"}, by=head
        )  # fmt: skip
    number = records.write_record(world.crm, Employee, colleague.id, {"name": "李磊"}, by=head)
    kept = records.get_record(world.crm, Employee, number, by=SYSTEM)
    assert (kept.name, known(kept)) == ("李磊", CONTACTS)


def test_the_log_tells_nothing_of_customers_out_of_reach(world: World, beside: Department) -> None:
    """It is of what people within the reach did; what stood in a customer is for who holds it."""
    access.set_role(
        world.crm, "审计", permissions=["audit:view"], scope=Scope.DEPARTMENT, by=SYSTEM
    )
    auditor = world.person("审计", "审计")
    stranger = world.person("外人", department_id=beside.id)
    ours, lost = world.customer(), world.customer()
    for customer in (ours, lost):
        pool.claim_customer(world.crm, customer.id or 0, by=world.a)
    pool.release_customer(world.crm, lost.id or 0, by=world.a)
    pool.claim_customer(world.crm, lost.id or 0, by=stranger)
    found = audit_log.list_entries(world.crm, by=auditor)
    told = {(e.entry.record_id, e.by_name, e.entry.after is None) for e in found}
    assert told == {(ours.id, "李雷", False), (lost.id, "李雷", True)}
    assert audit_log.tally_entries(world.crm, by=auditor).total == len(found)
    assert "外人" in {e.by_name for e in audit_log.list_entries(world.crm, by=SYSTEM)}
