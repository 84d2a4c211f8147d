"""Counts beside lists: they tell what the pages hold, to nobody more than the pages do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_domain import SYSTEM
from crm_domain.errors import Invalid, NotPermitted
from crm_domain.model import Cohort, Course, Department, Employee, Lesson, School
from crm_domain.ports import Page, Query, Tally
from crm_domain.rules.access import Principal
from crm_domain.usecases import intake, pool, records
from make import World, phone
from steps import enrol, on

NAMES = ("王芳", "王强", "李雷", "René", "周王", "Wang", "安", "欧阳娜娜")
FACETS = ("source", "status", "owner_id", "gender", "courses", "school_id", "locked")
Read = Callable[..., Page[Any]]
Count = Callable[..., Tally]


def values(record: Any, name: str) -> tuple[Any, ...]:
    found = getattr(record, name)
    return (found or (None,)) if isinstance(found, tuple) else (found,)


def whole(read: Read, query: Query) -> list[Any]:
    found: list[Any] = []
    mark = None
    while True:
        page = read(attrs.evolve(query, limit=7, after=mark))
        found += list(page)
        mark = page.next
        if mark is None:
            return found


def expected(read: Read, query: Query, facets: tuple[str, ...]) -> dict[str, dict[Any, int]]:
    """Count by reading every page; each field without its own filter."""
    found = {}
    for name in facets:
        rest = attrs.evolve(
            query,
            where={n: v for n, v in query.where.items() if n != name},
            ranges={n: v for n, v in query.ranges.items() if n != name},
        )
        found[name] = dict(Counter(v for r in whole(read, rest) for v in values(r, name)))
    return found


@pytest.fixture
def viewers(world: World) -> dict[str, tuple[Read, Count]]:
    """Fill the school, and give all who read lists, each with other rights."""
    finance = world.person("钱进", "finance")
    courses = [records.save_record(world.crm, Course(title=t), by=SYSTEM).id for t in "甲乙"]
    for i, name in enumerate(NAMES * 2):
        owner = (None, world.a, world.b)[i % 3]
        made = world.customer(
            owner, name=name, phone=f"139{i:08d}", source=(None, "baidu", "seo")[i % 4 % 3],
            courses=courses[: i % 3], gender=(None, "男")[i % 2],
        )  # fmt: skip
        if i == 4:
            enrol(world, made)
        if i % 5 == 1 and owner is not None and i != 4:
            pool.release_customer(world.crm, made.id or 0, by=owner)
    # Some are overdue, and no sweep has run.
    world.clock.set(on(5))
    world.customer(world.a, name="新")
    world.customer(world.b, name="新王", source="baidu")

    def listed(by: Principal) -> tuple[Read, Count]:
        return (
            lambda query: intake.list_customers(world.crm, query, by=by),
            lambda query, facets: intake.tally_customers(world.crm, query, facets, by=by),
        )

    def pooled(by: Principal) -> tuple[Read, Count]:
        return (
            lambda query: pool.public_customers(world.crm, query, by=by),
            lambda query, facets: pool.tally_public(world.crm, query, facets, by=by),
        )

    return {
        "all": listed(SYSTEM), "own": listed(world.a), "department": listed(world.manager),
        "finance": listed(finance), "pool": pooled(world.b),
    }  # fmt: skip


filters = st.fixed_dictionaries({}, optional={
    "source": st.sampled_from(["baidu", None, ["baidu", None], ["seo", "baidu"], []]),
    "owner_id": st.sampled_from([1, 2, None, [1, 2], [2, None], 404]),
    "last_consultant_id": st.sampled_from([1, 2]),
    "courses": st.sampled_from([1, [2], [1, 2], [None], [1, None]]),
    "status": st.sampled_from(["enrolled", "not_enrolled"]),
    "phone": st.sampled_from(["13900000002", None]),
    "locked": st.booleans(),
})  # fmt: skip
queries = st.builds(
    Query, where=filters,
    search=st.sampled_from([None, None, "王", "wang", "1390", "13900000002", "王 1390", "%", "龘"]),
    ranges=st.sampled_from([{}, {}, {"id": (5, 20)}, {"id": (None, 9)}, {"gender": ("a", "z")}]),
    sort=st.sampled_from([None, "name", "-due_on", "phone"]),
)  # fmt: skip


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=queries, facets=st.sets(st.sampled_from(FACETS), max_size=3).map(tuple))
def test_a_count_is_the_length_of_all_pages(
    world: World, viewers: dict[str, tuple[Read, Count]], query: Query, facets: tuple[str, ...]
) -> None:
    """For everybody, whatever is asked; what a page refuses is refused to be counted, too."""
    for name, (read, count) in viewers.items():
        try:
            rows = whole(read, query)
        except Invalid:
            with pytest.raises(Invalid):
                count(query, facets)
            continue
        tally = count(query, facets)
        assert (tally.total, tally.exact, tally.rough) == (len(rows), True, frozenset()), name
        assert tally.by == expected(read, query, facets), name


def test_the_values_of_a_field_disregard_its_own_filter(world: World) -> None:
    """So that whoever chose one value sees what another would give."""
    for source, gender in (("baidu", "男"), ("baidu", "女"), ("seo", "男"), (None, "男")):
        world.customer(source=source, gender=gender)
    query = Query(where={"source": ["baidu"], "gender": "男"})
    tally = intake.tally_customers(world.crm, query, ["source", "gender"], by=SYSTEM)
    assert tally.total == 1
    assert tally.by == {
        "source": {"baidu": 1, "seo": 1, None: 1}, "gender": {"male": 1, "female": 1},
    }  # fmt: skip


def test_of_many_it_is_said_that_there_are_more(world: World) -> None:
    """The total stops at the bound; the values are of so many, and marked."""
    for source in ("baidu", "baidu", "baidu", "seo", "seo"):
        world.customer(source=source)

    def tally(most: int, **query: Any) -> Tally:
        return intake.tally_customers(
            world.crm, Query(**query), ["source", "gender"], most=most, by=SYSTEM
        )

    assert (tally(5).total, tally(5).exact, tally(5).rough) == (5, True, frozenset())
    found = tally(4)
    assert (found.total, found.exact, found.rough) == (4, False, {"source", "gender"})
    assert [sum(by.values()) for by in found.by.values()] == [4, 4]
    found = tally(4, where={"source": "seo"})
    assert (found.total, found.exact, found.rough) == (2, True, {"source"})
    assert found.by["gender"] == {None: 2}


def test_a_count_never_tells_of_anothers_customer(world: World) -> None:
    """Neither the total nor a value changes when a colleague gets one, however it is asked."""
    # given
    world.customer(world.b, name="孙悟空")
    secret = {"name": "欧阳娜娜", "qq": "2233445566", "source": "baidu", "gender": "女"}
    asked = [
        Query(), Query(search="欧阳"), Query(search="2233445566"), Query(where={"gender": "女"}),
        Query(where={"qq": "2233445566"}), Query(where={"owner_id": world.a.employee_id}),
        Query(where={"last_consultant_id": world.a.employee_id}), Query(ranges={"id": (1, None)}),
    ]  # fmt: skip

    def counts() -> list[Tally]:
        listed = [intake.tally_customers(world.crm, q, FACETS, by=world.b) for q in asked]
        pooled = [pool.tally_public(world.crm, q, FACETS, by=world.b)
                  for q in asked if "qq" not in q.where]  # fmt: skip
        return listed + pooled

    # when
    before = counts()
    world.customer(world.a, **secret)
    # then
    assert counts() == before
    own = intake.tally_customers(world.crm, by=world.a)
    assert own.total == 1


def test_a_count_tells_nothing_of_hidden_contacts(world: World) -> None:
    """In the pool, and wherever some are masked, it is refused."""
    world.customer(name="黎华", phone="13912345678")
    finance = world.person("钱进", "finance")
    for query in (Query(where={"phone": "13912345678"}), Query(sort="phone"),
                  Query(ranges={"phone": ("13900000000", "13999999999")})):  # fmt: skip
        with pytest.raises(Invalid):
            pool.tally_public(world.crm, query, by=world.b)
        with pytest.raises(Invalid):
            intake.tally_customers(world.crm, query, by=finance)
    for text in ("1391", "5678"):
        assert pool.tally_public(world.crm, Query(search=text), by=world.b).total == 0
    assert pool.tally_public(world.crm, Query(search="13912345678"), by=world.b).total == 1


@pytest.mark.parametrize("facet", ["name", "phone", "created_at", "pinyin", "nothing", "version"])
def test_only_fields_of_few_values_are_counted_by_value(world: World, facet: str) -> None:
    """Anything else is refused, not counted by guess."""
    for count in (intake.tally_customers, pool.tally_public):
        with pytest.raises(Invalid):
            count(world.crm, None, [facet], by=SYSTEM)


def test_a_count_needs_what_its_list_needs(world: World) -> None:
    """Whoever may not read the pages learns no number."""
    nobody = Principal(name="x", employee_id=world.a.employee_id)
    for count in (intake.tally_customers, pool.tally_public):
        with pytest.raises(NotPermitted):
            count(world.crm, by=nobody)
    with pytest.raises(NotPermitted):
        records.tally_records(world.crm, Department, by=nobody)


# -- plain records ----------------------------------------------------------------------------


def found(world: World, cls: type[Any], text: str) -> list[str]:
    page = records.list_records(world.crm, cls, Query(search=text, sort="id"), by=SYSTEM)
    assert records.tally_records(world.crm, cls, Query(search=text), by=SYSTEM).total == len(page)
    return [getattr(r, "title", "") or r.name for r in page]


def test_plain_records_are_found_by_what_their_texts_hold(world: World) -> None:
    """Large letters or small, anywhere, and every sign stands for itself."""
    for title in ("Python 全栈", "100% java", "C_C++", "École", "CXC"):
        records.save_record(world.crm, Course(title=title), by=SYSTEM)
    assert found(world, Course, "PYTH") == found(world, Course, " 全栈 ") == ["Python 全栈"]
    assert found(world, Course, "%") == ["100% java"]
    assert found(world, Course, "c_c") == ["C_C++"]
    assert found(world, Course, "éCOLE") == ["École"]
    assert found(world, Course, "'") == found(world, Course, "\\") == []
    assert len(found(world, Course, " ")) == 5


def test_plain_records_are_not_found_by_contacts(world: World) -> None:
    """A phone number or an e-mail address leads to nobody; the employee number does."""
    number = phone()
    world.person("孙悟空", phone=number, email="sun@example.com", employee_number="E-77")
    assert found(world, Employee, number) == found(world, Employee, "example.com") == []
    assert found(world, Employee, "e-77") == found(world, Employee, "悟空") == ["孙悟空"]


def test_plain_records_are_counted_by_value(world: World) -> None:
    """References of one and of many, filtered and searched."""
    school = records.save_record(world.crm, School(title="总部"), by=SYSTEM).id or 0
    one, two = (records.save_record(world.crm, Course(title=t), by=SYSTEM).id or 0 for t in "甲乙")
    a, b = world.a.employee_id or 0, world.b.employee_id or 0
    cohorts = [
        Cohort(school_id=school, course_id=course, semester=n, teachers=teachers)
        for n, (course, teachers) in enumerate([(one, (a, b)), (one, (a,)), (two, ())])
    ]
    for cohort in cohorts:
        saved = records.save_record(world.crm, cohort, by=SYSTEM)
    records.save_record(
        world.crm, Lesson(cohort_id=saved.id or 0, day_number=1, date=on(1).date()), by=SYSTEM
    )
    tally = records.tally_records(
        world.crm, Cohort, Query(where={"course_id": one}), ["course_id", "teachers"], by=SYSTEM
    )
    assert tally.total == 2
    assert tally.by == {"course_id": {one: 2, two: 1}, "teachers": {a: 2, b: 1}}
    lessons = records.tally_records(world.crm, Lesson, None, ["has_homework"], by=SYSTEM)
    assert lessons.by == {"has_homework": {False: 1}}
