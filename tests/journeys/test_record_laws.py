"""Plain records, and input that fits nothing: what is refused, and by what name."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_domain import SYSTEM, Crm
from crm_domain.errors import CrmError, Duplicate, EditConflict, InUse, Invalid, NotFound
from crm_domain.model import (
    RECORDS,
    Cohort,
    Course,
    Department,
    Employee,
    Lesson,
    Menu,
    School,
    about,
    specs,
)
from crm_domain.model.fields import changed
from crm_domain.usecases import access, intake, records
from make import World, phone
from steps import login
from strategies import cells

PLAIN = [c for c in RECORDS.values() if about(c).plain]
ODD_IDS = [10**30, 2**63, 2**63 - 1, 0, -1, -(2**63), "abc", "1", "a\0b", None, [1], {}, 1.5, True,
           b"1"]  # fmt: skip
HALF = "\ud800"


def problems(error: CrmError) -> list[tuple[str, str]]:
    return [(p.path, p.code) for p in error.problems] if isinstance(error, Invalid) else []


# -- leave ------------------------------------------------------------------------------------


def test_leave_is_kept_in_order_and_read_as_it_was_saved(world: World) -> None:
    """Given as a form's JSON or as days; the rotation goes on."""
    number = world.a.employee_id or 0
    before = records.get_record(world.crm, Employee, number, by=SYSTEM)
    typed: Any = [["2026-12-01", "2026-12-02"], [date(2026, 11, 1), "2026年11月2日"]]
    saved = records.save_record(world.crm, changed(before, leave=typed), by=SYSTEM)
    expected = (
        (date(2026, 11, 1), date(2026, 11, 2)), (date(2026, 12, 1), date(2026, 12, 2)),
    )  # fmt: skip
    assert saved.leave == expected
    assert records.get_record(world.crm, Employee, number, by=SYSTEM).leave == expected
    assert world.dealt().owner_id == world.b.employee_id


@pytest.mark.parametrize(
    "leave",
    [[date(2026, 11, 1)], "today", [["2026-11-02", "2026-11-01"]], 7, {"a": 1}, [[1, 2, 3]]],
)
def test_bad_leave_never_reaches_the_rotation(world: World, leave: Any) -> None:
    """It is refused, naming the field, and the next customer is dealt as before."""
    number = world.a.employee_id or 0
    before = records.get_record(world.crm, Employee, number, by=SYSTEM)
    with pytest.raises(Invalid) as refused:
        records.save_record(world.crm, changed(before, leave=leave), by=SYSTEM)
    assert [p.path for p in refused.value.problems] == ["leave"]
    assert world.dealt().owner_id == number


# -- plain records ----------------------------------------------------------------------------


def test_text_that_may_be_left_out_is_left_out(crm: Crm, world: World) -> None:
    """A title with an empty default is not missing."""
    school = records.save_record(crm, School(title="北京"), by=SYSTEM)
    course = records.save_record(crm, Course(title="Python"), by=SYSTEM)
    cohort = records.save_record(
        crm, Cohort(school_id=school.id or 0, course_id=course.id or 0, semester=1), by=SYSTEM
    )
    lesson = Lesson(cohort_id=cohort.id or 0, day_number=1, date=date(2026, 11, 1))
    assert records.save_record(crm, lesson, by=SYSTEM).title == ""


def test_an_employee_is_removed_unless_referred_to(world: World) -> None:
    """Whoever was never anybody's consultant; the rotation is told of it."""
    lone = records.save_record(world.crm, Employee(name="临时"), by=SYSTEM)
    with world.crm.unit_of_work(read_only=True) as uow:
        roster = uow.turns.peek()[1]
    records.remove_record(world.crm, Employee, lone.id or 0, by=SYSTEM)
    with world.crm.unit_of_work(read_only=True) as uow:
        assert uow.turns.peek()[1] is not roster
    with pytest.raises(InUse):
        records.remove_record(world.crm, Employee, world.a.employee_id or 0, by=SYSTEM)
    with pytest.raises(NotFound):
        records.remove_record(world.crm, Employee, lone.id or 0, by=SYSTEM)


def test_a_record_is_written_over_only_by_the_version_that_was_read(world: World) -> None:
    """Whatever stands in the place of the version."""
    odd: dict[Any, type[CrmError]] = {
        None: Invalid, "x": Invalid, True: Invalid, 2**31: Invalid, 0: EditConflict,
        -1: EditConflict, 7: EditConflict,
    }  # fmt: skip
    for version, expected in odd.items():
        with pytest.raises(expected):
            records.save_record(
                world.crm, changed(world.department, version=version, title="x"), by=SYSTEM
            )
    found = records.get_record(world.crm, Department, world.department.id or 0, by=SYSTEM)
    assert found == world.department


# -- input that fits nothing ------------------------------------------------------------------


def _numbered(world: World) -> dict[str, Callable[[Any], Any]]:
    """List what takes the number of something."""
    crm = world.crm
    return {
        "get": lambda n: records.get_record(crm, Department, n, by=SYSTEM),
        "save": lambda n: records.save_record(crm, changed(world.department, id=n), by=SYSTEM),
        "remove": lambda n: records.remove_record(crm, Department, n, by=SYSTEM),
        "remove employee": lambda n: records.remove_record(crm, Employee, n, by=SYSTEM),
        "customer": lambda n: intake.get_customer(crm, n, by=SYSTEM),
        "edit": lambda n: intake.edit_customer(crm, n, {"memo": "x"}, version=1, by=SYSTEM),
        "named": lambda n: intake.register_customer(
            crm, {"name": "甲", "phone": phone()}, consultant_id=n, by=SYSTEM),
        "principal": lambda n: access.principal_for(crm, username=n),
        "active": lambda n: access.set_active(crm, n, True, by=SYSTEM),
        "roles of": lambda n: access.set_roles(crm, n, [], by=SYSTEM),
        "password of": lambda n: access.set_password(crm, n, "k9-Mauer-Regen", by=SYSTEM),
        "sign in": lambda n: access.sign_in(crm, n, "x" * 8),
    }  # fmt: skip


@pytest.mark.parametrize("number", ODD_IDS, ids=repr)
def test_what_is_no_number_of_a_record_finds_nothing(world: World, number: Any) -> None:
    """Also where a database would turn it into one, or has no room for it."""
    for name, act in _numbered(world).items():
        if number is None and name in ("save", "named"):
            continue  # Without a number it is a new department, and nobody is named.
        try:
            act(number)
        except NotFound as refused:
            assert refused.message("zh")
        else:
            pytest.fail(f"{name} found {number!r}")


def _field(**values: Any) -> Callable[[World], Any]:
    return lambda w: intake.register_customer(
        w.crm, {"name": "甲", "phone": phone(), **values}, by=SYSTEM
    )


def _user(**values: Any) -> Callable[[World], Any]:
    return lambda w: access.create_user(w.crm, {"username": "new", **values}, by=SYSTEM)


def _employee(**values: Any) -> Callable[[World], Any]:
    return lambda w: records.save_record(w.crm, Employee(**{"name": "甲", **values}), by=SYSTEM)


def _cohort(**values: Any) -> Callable[[World], Any]:
    plain: dict[str, Any] = {"school_id": 1, "course_id": 1, "semester": 1}
    return lambda w: records.save_record(w.crm, Cohort(**plain | values), by=SYSTEM)


def _edit(values: Any, version: Any = 1) -> Callable[[World], Any]:
    return lambda w: intake.edit_customer(
        w.crm, w.customer(w.a).id or 0, values, version=version, by=SYSTEM
    )


REFUSED: list[tuple[str, Callable[[World], Any], list[tuple[str, str]]]] = [
    # text
    ("NUL in a name", _field(name="a\0b"), [("name", "bad_text")]),
    ("half a character in a memo", _field(memo=HALF), [("memo", "bad_text")]),
    ("a memo that is too long", _field(memo="x" * 2001), [("memo", "too_long")]),
    ("NUL in a phone", _field(phone="138\0"), [("phone", "bad_phone")]),
    ("NUL in a username", _user(username="a\0b"), [("username", "bad_text")]),
    ("half a character in a username", _user(username=HALF), [("username", "bad_text")]),
    ("a username that is too long", _user(username="x" * 61), [("username", "too_long")]),
    ("an e-mail that is too long", _user(email="x" * 121), [("email", "too_long")]),
    ("NUL in a title", lambda w: records.save_record(w.crm, School(title="\0"), by=SYSTEM),
     [("title", "bad_text")]),
    ("a title that is none", lambda w: records.save_record(
        w.crm, School(title=None), by=SYSTEM), [("title", "missing")]),  # type: ignore[arg-type]
    ("a title that is too long", lambda w: records.save_record(
        w.crm, School(title="x" * 61), by=SYSTEM), [("title", "too_long")]),
    ("a title that is a list", lambda w: records.save_record(
        w.crm, School(title=["x"]), by=SYSTEM), [("title", "bad_text")]),  # type: ignore[arg-type]
    ("a name of bytes", _employee(name=b"x"), [("name", "bad_text")]),
    # numbers
    ("a code for which there is no room", lambda w: records.save_record(
        w.crm, Department(code=2**31, title="x"), by=SYSTEM), [("code", "out_of_range")]),
    ("an absurd code", lambda w: records.save_record(
        w.crm, Department(code=10**5000, title="x"), by=SYSTEM), [("code", "bad_text")]),
    ("an order for which there is no room", lambda w: records.save_record(
        w.crm, Menu(title="x", position=-(2**31)), by=SYSTEM), [("position", "out_of_range")]),
    ("a department for which there is no room", _employee(department_id=10**30),
     [("department_id", "out_of_range")]),
    ("a department of words", _employee(department_id="销售"), [("department_id", "bad_number")]),
    ("a price for which there is no room", _cohort(price=Decimal(10) ** 12),
     [("price", "bad_amount")]),
    ("a price that is no number", _cohort(price=float("nan")), [("price", "bad_amount")]),
    ("teachers that are no list", _cohort(teachers={"a": 1}), [("teachers", "bad_text")]),
    ("teachers for whom there is no room", _cohort(teachers=[10**30]),
     [("teachers", "out_of_range")]),
    # other values
    ("a day that is none", _employee(left_on="2026-02-30"), [("left_on", "bad_date")]),
    ("neither yes nor no", _employee(on_duty="maybe"), [("on_duty", "bad_flag")]),
    ("nothing for yes or no", _employee(on_duty=None), [("on_duty", "missing")]),
    ("a time with an offset", lambda w: records.save_record(
        w.crm, Lesson(cohort_id=1, day_number=1, date=date(2026, 11, 1),
                      starts_at="09:00+08:00"), by=SYSTEM),  # type: ignore[arg-type]
     [("starts_at", "bad_time")]),
    # whole records
    ("no record", lambda w: records.save_record(w.crm, None, by=SYSTEM), [("", "no_record")]),
    ("no kind of record", lambda w: records.get_record(w.crm, int, 1, by=SYSTEM),
     [("", "no_record")]),
    ("a customer of nothing", lambda w: intake.register_customer(
        w.crm, None, by=SYSTEM), [("", "no_mapping"), ("", "no_contact")]),  # type: ignore[arg-type]
    ("similar to nothing", lambda w: intake.find_duplicates(
        w.crm, [1], by=SYSTEM), [("", "no_mapping")]),  # type: ignore[arg-type]
    ("a field that nobody knows", _edit({"x": 1}), [("x", "unknown_field")]),
    ("a field that is a number", _edit({7: 1}), [("7", "unknown_field")]),
    ("changes of nothing", _edit(None), [("", "no_mapping")]),
    ("no version", _edit({"memo": "x"}, None), [("version", "missing")]),
    ("a version of words", _edit({"memo": "x"}, "one"), [("version", "bad_number")]),
    ("an absurd version", _edit({"memo": "x"}, 10**30), [("version", "out_of_range")]),
    # ways
    ("somewhere", lambda w: intake.register_customer(
        w.crm, {"name": "甲", "phone": phone()}, to="nowhere", by=SYSTEM),  # type: ignore[arg-type]
     [("to", "unknown_choice")]),
    # accounts
    ("no account", lambda w: access.create_user(w.crm, None, by=SYSTEM),  # type: ignore[arg-type]
     [("", "no_mapping")]),
    ("an account of a list", lambda w: access.create_user(w.crm, [1], by=SYSTEM),  # type: ignore[arg-type]
     [("", "no_mapping")]),
    ("no username", _user(username=None), [("username", "missing")]),
    ("no roles", _user(roles=None), [("roles", "bad_roles")]),
    ("a role that is yes", _user(roles=[True]), [("roles", "unknown_role")]),
    ("a role that is a list", _user(roles=[["consultant"]]), [("roles", "unknown_role")]),
    ("a role with NUL", _user(roles=["a\0"]), [("roles", "unknown_role")]),
    ("an absurd role", _user(roles=[10**5000]), [("roles", "unknown_role")]),
    ("a password of numbers", _user(password=12345678), [("password", "bad_password")]),
    ("two mistakes", _user(username="", roles=["x"]),
     [("username", "missing"), ("roles", "unknown_role")]),
    ("roles of an account", lambda w: access.set_roles(
        w.crm, login(w.crm, w.a), 7, by=SYSTEM), [("roles", "bad_roles")]),  # type: ignore[arg-type]
    ("neither active nor not", lambda w: access.set_active(
        w.crm, login(w.crm, w.a), "maybe", by=SYSTEM), [("active", "bad_flag")]),  # type: ignore[arg-type]
]  # fmt: skip


@pytest.mark.parametrize(
    ("act", "expected"), [pytest.param(a, e, id=name) for name, a, e in REFUSED]
)
def test_what_fits_no_field_is_refused_by_name(
    world: World, act: Callable[[World], Any], expected: list[tuple[str, str]]
) -> None:
    """Never by an error of the database or of Python; and it can be said in both languages."""
    with pytest.raises(Invalid) as refused:
        act(world)
    assert problems(refused.value) == expected
    for language in ("zh", "en"):
        assert refused.value.message(language).encode("utf-8", "surrogatepass")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "act",
    [_employee(department_id=404), _employee(department_id=-1), _cohort(),
     _field(school_id=404), _field(courses=[404]), _field(referred_by_id=10**15 - 1),
     _user(employee_id=404), _user(student_id=404)],
)  # fmt: skip
def test_a_reference_to_nothing_is_not_found(world: World, act: Callable[[World], Any]) -> None:
    """The refusal of the database has a name, too."""
    with pytest.raises(NotFound):
        act(world)


def test_the_rest_of_what_was_typed_is_not_kept(world: World) -> None:
    """Whoever was refused left nothing behind."""
    for values in ({"courses": [404]}, {"school_id": 404}):
        typed = {"name": "甲", "phone": "13812345678", **values}
        with pytest.raises(NotFound):
            intake.register_customer(world.crm, typed, by=SYSTEM)
    assert intake.register_customer(
        world.crm, {"name": "甲", "phone": "13812345678"}, by=SYSTEM
    ).owner_id == world.a.employee_id  # fmt: skip


odd = st.one_of(
    cells,
    st.sampled_from([10**30, -(10**30), 2**31, 2**63, 10**5000, "\0", HALF, "x" * 10_000, b"x",
                     [], [1], {}, {"a": 1}, (None,), [["2026-11-01", "2026-11-02"]],
                     time(9), Decimal("NaN"), Decimal("1e30"), True, -1, 0]),
)  # fmt: skip


@settings(
    max_examples=int(os.environ.get("CRM_EXAMPLES", "60")),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_value_of_a_plain_record_is_saved_or_refused(crm: Crm, data: st.DataObject) -> None:
    """Whatever a program passes in ends in a record that can be read again, or in a refusal."""
    cls = data.draw(st.sampled_from(PLAIN))
    names = data.draw(st.lists(st.sampled_from(sorted(specs(cls))), unique=True, max_size=3))
    sound: dict[str, Any] = {
        n: {"number": data.draw(st.integers(-1000, 1000)), "day": date(2026, 11, 1),
            "text": data.draw(st.text("abc", min_size=1, max_size=5))}.get(s.kind, 1)
        for n, s in specs(cls).items() if not (s.optional or n == "version") and s.kind in (
            "number", "text", "day", "reference")
    }  # fmt: skip
    record = cls(**sound | {n: data.draw(odd) for n in names})
    try:
        saved = records.save_record(crm, record, by=SYSTEM)
    except CrmError as refused:
        assert refused.message("zh")
        return
    assert records.get_record(crm, cls, saved.id, by=SYSTEM) == saved


def test_a_taken_value_is_a_duplicate(crm: Crm) -> None:
    """Also when it was typed with blanks around it."""
    records.save_record(crm, Course(title="Python"), by=SYSTEM)
    with pytest.raises(Duplicate):
        records.save_record(crm, Course(title=" Python "), by=SYSTEM)


def test_contact_data_of_a_refused_customer_is_shown_as_it_was_typed(crm: Crm) -> None:
    """What is refused is quoted, shortened where it is long."""
    with pytest.raises(Invalid) as refused:
        intake.register_customer(crm, {"name": "甲", "phone": "1" * 500}, by=SYSTEM)
    assert refused.value.problems[0].value == "1" * 500
    assert len(refused.value.message("zh")) < 200
