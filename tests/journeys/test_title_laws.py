"""Titles of records by number, and suggestions while somebody types."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import sqlalchemy as sa

from crm_adapters.storage.unit_of_work import SqlStorage
from crm_domain import SYSTEM
from crm_domain.errors import GuardedField, NotPermitted
from crm_domain.model import (
    Assignment,
    Cohort,
    Course,
    Customer,
    Department,
    Employee,
    Lesson,
    Menu,
    PermissionGroup,
    Role,
    School,
    Scope,
    User,
)
from crm_domain.model.fields import changed
from crm_domain.rules.access import Principal
from crm_domain.usecases import access, pool, records
from make import World
from steps import on


def saved(world: World, record: Any) -> int:
    return records.save_record(world.crm, record, by=SYSTEM).id or 0


@pytest.fixture
def cohort(world: World) -> int:
    school, course = saved(world, School(title="北京校区")), saved(world, Course(title="Python"))
    return saved(world, Cohort(school_id=school, course_id=course, semester=3))


def test_a_record_is_called_by_its_title(world: World, cohort: int) -> None:
    """People by name, cohorts by course, school and number, in either language."""
    a, b = world.a.employee_id or 0, world.b.employee_id or 0
    lesson = saved(
        world, Lesson(cohort_id=cohort, day_number=2, date=on(1).date(), title="循环")
    )  # fmt: skip

    def titles(cls: type[Any], *ids: int | None, language: Any = "zh") -> dict[int, str]:
        return records.titles(world.crm, cls, ids, language=language, by=SYSTEM)

    assert titles(Employee, b, a, None, 404, a) == {a: "李雷", b: "韩梅梅"}
    assert titles(Department, world.department.id) == {world.department.id: "销售部"}
    assert titles(Cohort, cohort) == {cohort: "Python 北京校区 第3期"}
    assert titles(Cohort, cohort, language="en") == {cohort: "Python 北京校区 no. 3"}
    assert titles(Lesson, lesson) == {lesson: "Python 北京校区 第3期 第2天 循环"}
    assert titles(Course) == titles(Course, None, 10**30, -1) == {}
    assert titles(User, world.a.user_id) == {world.a.user_id: "李雷"}
    assert "课程顾问" in titles(Role, *range(1, 10)).values()


def test_what_has_an_english_title_is_called_by_it(world: World) -> None:
    """To whoever reads English; what has none keeps the one it has, and both are found."""
    made = access.add_role(world.crm, {"title": "前台", "permissions": []}, by=SYSTEM)
    roles = {r.role.code: r.role.id or 0 for r in access.list_roles(world.crm, by=SYSTEM)}
    consultant, own = roles["consultant"], made.id or 0
    for language, said in (("zh", "课程顾问"), ("en", "Consultant")):
        reader = attrs.evolve(SYSTEM, language=language)
        called = records.titles(world.crm, Role, [consultant, own], by=reader)
        assert called == {consultant: said, own: "前台"}
        for typed in ("课程顾问", "consultant"):
            assert records.suggest(world.crm, Role, typed, by=reader) == {consultant: said}
    english = attrs.evolve(SYSTEM, language="en")
    chinese = records.titles(world.crm, Role, [consultant], language="zh", by=english)
    assert chinese == {consultant: "课程顾问"}
    group = saved(world, PermissionGroup(title="组", title_en="Group", menu_id=_menu(world)))
    assert records.titles(world.crm, PermissionGroup, [group], by=english) == {group: "Group"}


def _menu(world: World) -> int:
    return saved(world, Menu(title="菜单"))


def test_titles_are_read_by_one_statement(world: World, cohort: int) -> None:
    """However many records, and whatever they refer to."""
    storage = world.crm.storage
    assert isinstance(storage, SqlStorage)
    seen: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        seen.append(statement)

    sa.event.listen(storage.reader, "before_cursor_execute", note)
    try:
        records.titles(world.crm, Cohort, [cohort, *range(1000)], by=SYSTEM)
    finally:
        sa.event.remove(storage.reader, "before_cursor_execute", note)
    assert len(seen) == 1


def test_titles_of_what_one_may_not_view_are_left_out(world: World, cohort: int) -> None:
    """Nothing is refused, and nothing told; suggestions are refused."""
    nobody = Principal(name="x", permissions=frozenset({"course:view"}))
    assert records.titles(world.crm, Cohort, [cohort], by=nobody) == {}
    assert records.titles(world.crm, Employee, [world.a.employee_id], by=nobody) == {}
    for cls in (Employee, Cohort, User, Role, Customer):
        with pytest.raises(NotPermitted):
            records.suggest(world.crm, cls, "李", by=nobody)
    with pytest.raises(GuardedField):
        records.titles(world.crm, Assignment, [1], by=SYSTEM)


def test_customers_out_of_reach_have_no_title(world: World) -> None:
    """Neither by number nor while typing, not even when they have just become public."""
    mine, theirs = world.customer(world.b, name="孙悟空"), world.customer(world.a, name="孙尚香")
    lost = world.customer(world.b, name="孙策")
    pool.release_customer(world.crm, lost.id or 0, by=world.b)
    ids = [mine.id, theirs.id, lost.id]
    assert records.titles(world.crm, Customer, ids, by=world.b) == {mine.id: "孙悟空"}
    assert records.suggest(world.crm, Customer, "孙", by=world.b) == {mine.id: "孙悟空"}
    assert records.suggest(world.crm, Customer, "", by=world.b) == {mine.id: "孙悟空"}
    many = [*ids, *range(10_000, 12_500)]
    assert set(records.titles(world.crm, Customer, many, by=SYSTEM)) == set(ids)


def test_usernames_are_for_those_who_manage_users(world: World) -> None:
    """An account of nobody has no title for others."""
    robot = access.create_user(world.crm, {"username": "robot"}, by=SYSTEM).id or 0
    assert records.titles(world.crm, User, [robot], by=SYSTEM) == {robot: "robot"}
    assert records.titles(world.crm, User, [robot, world.a.user_id], by=world.b) == {
        world.a.user_id: "李雷"
    }
    assert records.suggest(world.crm, User, "robot", by=world.b) == {}


@pytest.mark.parametrize("sees_staff", [True, False])
def test_usernames_out_of_reach_are_neither_told_nor_searched(
    world: World, sees_staff: bool
) -> None:
    """Of such accounts the employee's name alone, to whoever may view employees."""
    crm = world.crm
    seen = ["employee:view"] if sees_staff else []
    access.set_role(crm, "人事", permissions=["user:manage", *seen], scope=Scope.DEPARTMENT,
                    by=SYSTEM)  # fmt: skip
    head = world.person("主管", "人事")
    far = world.person("远方", department_id=None)
    robot = access.create_user(crm, {"username": "robot"}, by=SYSTEM).id or 0
    names = {world.a.user_id: "near-one", far.user_id: "far-one"}
    with crm.unit_of_work() as uow:
        for number, username in names.items():
            user = uow.records.get(User, number or 0)
            assert user is not None
            uow.records.save(changed(user, username=username))
    beyond = {far.user_id: "远方"} if sees_staff else {}
    ids = [robot, far.user_id, world.a.user_id]
    assert records.titles(crm, User, ids, by=head) == {world.a.user_id: "李雷"} | beyond
    assert records.suggest(crm, User, "-one", by=head) == {world.a.user_id: "李雷"}
    for text in ("far", "robot", "robot -"):
        assert records.suggest(crm, User, text, by=head) == {}
    assert records.suggest(crm, User, "远", by=head) == beyond
    assert robot not in records.suggest(crm, User, "", 1000, by=head)
    assert records.suggest(crm, User, "robot", by=SYSTEM) == {robot: "robot"}


def test_suggestions_hold_every_word(world: World, cohort: int) -> None:
    """Anywhere in the title, in large letters or small; signs stand for themselves."""

    def found(cls: type[Any], text: str, limit: int = 10) -> list[str]:
        return list(records.suggest(world.crm, cls, text, limit, by=SYSTEM).values())

    assert found(Cohort, "北京 pyth") == found(Cohort, "3") == ["Python 北京校区 第3期"]
    assert found(Cohort, "北京 java") == found(Employee, "%") == found(Employee, "_") == []
    assert found(Employee, "雷") == ["李雷"]
    assert len(found(Employee, "")) == 4
    assert len(found(Employee, "", limit=2)) == 2
