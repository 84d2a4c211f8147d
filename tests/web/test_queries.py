"""How many statements a page takes: as many for five hundred rows as for ten."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from starlette.applications import Starlette

from crm_domain import SYSTEM
from crm_domain.model import Cohort, Course, Department, Employee, Lesson, School
from crm_domain.ports import Query
from crm_domain.rules.access import Principal
from crm_domain.usecases import access, follow_up, intake, records, views
from make import phone
from web.conftest import Visit
from web.house import House, filled

FEW, MANY = 10, 500
MOST = 24
"""Statements of one request, those of the session and the menu among them."""
BEGUN = ("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA", "SET ")


@contextmanager
def counted() -> Iterator[list[str]]:
    """Gather the statements that any engine runs."""
    found: list[str] = []

    def note(conn: object, cursor: object, statement: str, *more: object) -> None:
        if not statement.lstrip().upper().startswith(BEGUN):
            found.append(statement)

    sa.event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sa.event.remove(Engine, "before_cursor_execute", note)


def grow(house: House, owner: Principal, until: int, since: int) -> None:
    """Make more of everything that lists show."""
    crm = house.crm
    for n in range(since, until):
        made = intake.register_customer(
            crm, {"name": f"客户{n}", "phone": phone(), "source": "baidu"},
            consultant_id=owner.employee_id, by=SYSTEM,
        )  # fmt: skip
        follow_up.log_follow_up(crm, made.id or 0, {"note": f"第{n}次"}, by=owner)
        intake.register_customer(crm, {"name": f"公海{n}", "phone": phone()}, to="pool", by=SYSTEM)
    for n in range(since, min(until, 120)):
        course = records.save_record(crm, Course(title=f"课程{n}"), by=SYSTEM)
        school = records.save_record(crm, School(title=f"校区{n}"), by=SYSTEM)
        part = records.save_record(crm, Department(code=50_000 + n, title=f"部门{n}"), by=SYSTEM)
        person = Employee(name=f"员工{n}", department_id=part.id or 0)
        teacher = records.save_record(crm, person, by=SYSTEM)
        cohort = records.save_record(
            crm, Cohort(course_id=course.id or 0, school_id=school.id or 0, semester=n,
                        tutor_id=teacher.id, teachers=(teacher.id or 0,)), by=SYSTEM)  # fmt: skip
        lesson = Lesson(cohort_id=cohort.id or 0, day_number=1, date=crm.today(),
                        teacher_id=teacher.id)  # fmt: skip
        records.save_record(crm, lesson, by=SYSTEM)
        views.save_view(crm, "customers", {"title": f"视图{n}", "query": "q=1"}, by=owner)


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("scope", ["own", "department", "department_and_below", "all"])
def test_accounts_take_no_more_the_more_there_are(visit: Visit, house: House, scope: str) -> None:
    """Their list, its counts, its file, and the pages of one and of a role, whoever asks."""
    crm, codes = house.crm, ["user:manage", "role:manage", "employee:view", "audit:view"]
    role = access.add_role(
        crm, {"title": "人事", "permissions": codes, "scope": scope}, by=SYSTEM
    )  # fmt: skip
    me = visit(house.world.person("人事", "人事"))
    [own] = access.list_accounts(crm, Query(search="人事"), by=SYSTEM)
    paths = ("/users?size=200", "/users.json?size=200", "/users/facets", "/users.csv",
             "/users?sort=-name", f"/users?roles={role.id}", "/users/new",
             f"/users/of/{own.username}", "/roles", f"/roles/{role.id}")  # fmt: skip
    taken: dict[str, list[int]] = {path: [] for path in paths}
    for since, until in ((0, FEW), (FEW, 150)):
        for n in range(since, until):
            house.world.person(f"同事{n}", ("consultant", "teacher")[n % 2])
        for path in paths:
            me.get(path)
            with counted() as statements:
                answer = me.get(path)
            assert answer.status_code == 200, path
            taken[path].append(len(statements))
    shown = len(me.get("/users.json?size=200").json()["items"])
    assert (shown > 150) is (scope != "own")
    more = {path: counts for path, counts in taken.items() if counts[1] > counts[0]}
    assert not more
    assert not {path: many for path, (_, many) in taken.items() if many > MOST}


KINDS_OF_RECORDS = 12
"""The log names what its entries are about, by one question for each kind."""


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_no_page_asks_more_the_more_there_is(
    visit: Visit, app: Starlette, house: House, everything: Principal
) -> None:
    """Every page takes the same few statements for ten rows and for five hundred."""
    me, wrong = visit(everything), []
    paths = {
        filled(house, s.path, {"token": "x"}): s.path
        for s in app.state.site.screens
        if "GET" in s.methods
    }
    asked = {path: "?size=200" for path in paths if "." not in path and "{" not in paths[path]}
    taken: dict[str, list[int]] = {path: [] for path in paths}
    for since, until in ((0, FEW), (FEW, MANY)):
        grow(house, everything, until, since)
        for path in paths:
            # The first request fills what is kept for a while.
            me.get(path)
            with counted() as statements:
                answer = me.get(path + asked.get(path, ""))
            assert answer.status_code < 500, path
            taken[path].append(len(statements))
    assert me.get("/customers?size=200").text.count("<tr>") > 150
    for path, (few, many) in taken.items():
        # A file reads 2,000 rows at a time, which both sizes fit in.
        more = KINDS_OF_RECORDS if path.startswith("/audit.") else 1
        if many > few + more:
            wrong.append(f"{path}: {few} statements for {FEW} rows, {many} for {MANY}")
        if many > MOST:
            wrong.append(f"{path}: {many} statements, more than {MOST}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_statements_are_really_counted(house: House) -> None:
    """One record that is read by number is one statement."""
    with counted() as statements:
        records.get_record(house.crm, Department, house.far.id or 0, by=SYSTEM)
    assert len(statements) == 1
