"""The part of the contract of a storage that is about counts, titles and the work of people."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from crm_domain.errors import Invalid
from crm_domain.model import (
    Assignment,
    AuditEntry,
    Cohort,
    Course,
    Department,
    Employee,
    FollowUp,
    HappeningKind,
    Lesson,
    School,
    Scope,
    Stage,
    User,
)
from crm_domain.ports import STAGE, Counted, Crm, Now, Period, Query, Reach
from crm_domain.testing.making import (
    DUE,
    NOW,
    TODAY,
    customer_of,
    employee,
    enter,
    read,
    refusal,
)


class CountsPart:
    """A part of ``StorageContract``."""

    def test_a_count_is_the_length_of_the_page(self, crm: Crm) -> None:
        """By reach and filter; the values of a field disregard its own filter; bounded."""
        me, other = employee(crm), employee(crm)
        for owner, source in (
            (me, "baidu"),
            (me, "seo"),
            (me, None),
            (other, "baidu"),
            (None, "seo"),
        ):
            enter(crm, owner, source=source)
        facets = ("source", "owner_id")
        for reach in (None, Reach(scope=Scope.OWN, employee_id=me)):
            for query in (Query(), Query(where={"source": "baidu"}), Query(search="王")):
                with crm.unit_of_work(read_only=True) as uow:
                    page = uow.customers.page(query, reach, TODAY, pooled_too=False)
                    tally = uow.customers.tally(query, reach, TODAY, facets, pooled_too=False)
                assert (tally.total, tally.exact) == (len(page), True)
                assert sum(tally.by["owner_id"].values()) == tally.total
        query = Query(where={"source": "seo"})
        tally = read(crm, lambda uow: uow.customers.tally(query, None, TODAY, facets, most=2))
        assert (tally.total, tally.exact, set(tally.rough)) == (2, True, {"source"})
        assert tally.by["owner_id"] == {me: 1, None: 1}
        pooled = read(crm, lambda uow: uow.customers.tally(Query(), None, TODAY, (), pool=True))
        assert pooled.total == 1

    def test_references_are_followed_by_one_question(self, crm: Crm) -> None:
        """Values of a record and of what it refers to, by number or by words."""
        with crm.unit_of_work() as uow:
            above = uow.records.add(Department(code=1, title="Sales 销售")).id or 0
            below = uow.records.add(Department(code=2, title="北京", parent_id=above)).id or 0
        paths = ("title", "parent_id.title")

        def look(**asked: Any) -> dict[int, tuple[Any, ...]]:
            return read(crm, lambda uow: uow.records.look_up(Department, paths, **asked))

        assert look(ids=[below, above, 999]) == {
            below: ("北京", "Sales 销售"), above: ("Sales 销售", None),
        }  # fmt: skip
        assert look(words=["SALES", "京"]) == {below: ("北京", "Sales 销售")}
        assert look(words=["%"]) == {}
        assert len(look(limit=1)) == 1

    def test_a_reach_limits_what_is_counted_and_named(self, crm: Crm) -> None:
        """Nothing beyond it is counted, looked up, or found by; nor are ways to reach people."""
        me = employee(crm, "李", phone="13900000001")
        other = employee(crm, "韩", phone="13900000002")
        mine, theirs = self._lessons(crm, me, other)
        reach = Reach(scope=Scope.OWN, employee_id=me)

        def look(cls: type[Any], *paths: str, **asked: Any) -> dict[int, tuple[Any, ...]]:
            return read(crm, lambda uow: uow.records.look_up(cls, paths, reach=reach, **asked))

        def tally(cls: type[Any], query: Query, *facets: str, **more: Any) -> Any:
            return read(crm, lambda uow: uow.records.tally(cls, query, facets, reach, **more))

        counted = tally(Lesson, Query(), "teacher_id")
        assert (counted.total, counted.by) == (1, {"teacher_id": {me: 1}})
        assert tally(Lesson, Query(where={"teacher_id": other})).total == 0
        assert set(look(Lesson, "title")) == {mine}
        assert look(Lesson, "title", ids=[mine, theirs]) == {mine: ("列表",)}
        assert look(Lesson, "title", words=["函数"]) == {}
        # Colleagues are named, and that is all that is told of them.
        assert look(Employee, "name", "phone") == {
            me: ("李", "13900000001"), other: ("韩", None),
        }  # fmt: skip
        assert look(Employee, "phone", words=["13900000002"]) == {}
        everybody = tally(Employee, Query(), "phone", texts=True)
        assert everybody.by["phone"] == {"13900000001": 1, None: 1}
        assert tally(Employee, Query(where={"phone": "13900000002"})).total == 0
        assert tally(Employee, Query(where={"phone": "13900000001"})).total == 1
        assert tally(Employee, Query(search="1390000")).total == 0
        refusal(Invalid, lambda: tally(Employee, Query(), "phone"))

    def _lessons(self, crm: Crm, *teachers: int) -> list[int]:
        with crm.unit_of_work() as uow:
            course = uow.records.add(Course(title="Python")).id or 0
            school = uow.records.add(School(title="北京")).id or 0
            cohort = uow.records.add(Cohort(course_id=course, school_id=school, semester=1))
            return [
                uow.records.add(
                    Lesson(cohort_id=cohort.id or 0, day_number=n, teacher_id=t, title=title,
                           date=TODAY)
                ).id or 0
                for n, (t, title) in enumerate(zip(teachers, ("列表", "函数"), strict=True), 1)
            ]  # fmt: skip

    def test_a_reach_limits_the_log(self, crm: Crm) -> None:
        """To what people within it did."""
        me, other = employee(crm), employee(crm)
        with crm.unit_of_work() as uow:
            accounts = [uow.records.add(User(username=f"u{n}", employee_id=n)).id
                        for n in (me, other)]  # fmt: skip
            for number in (*accounts, None):
                uow.audit(AuditEntry(at=NOW, by_id=number, action="x", record="Customer"))
        reach = Reach(scope=Scope.OWN, employee_id=me)
        with crm.unit_of_work(read_only=True) as uow:
            page = uow.records.page(AuditEntry, Query(), reach)
            tally = uow.records.tally(AuditEntry, Query(), ("by_id",), reach)
            whole = uow.records.tally(AuditEntry, Query(), (), Reach(scope=Scope.ALL))
        assert [e.by_id for e in page] == accounts[:1]
        assert (tally.total, tally.by["by_id"], whole.total) == (1, {accounts[0]: 1}, 3)

    def test_the_work_is_counted_as_it_is_listed(self, crm: Crm) -> None:
        """By consultant and time, and within a reach; what fell due has ended."""
        me, other = employee(crm), employee(crm)
        mine, _, lost = enter(crm, me), enter(crm, other), enter(crm, me, due=TODAY)
        with crm.unit_of_work() as uow:
            said = FollowUp(customer_id=mine, consultant_id=me, at=NOW, note="x",
                            assignment_id=customer_of(crm, mine).assignment_id)  # fmt: skip
            uow.records.add(said)
        now = Now(today=TODAY, midnight=NOW)
        period = Period(since=NOW, until=NOW)
        for reach, some in (
            (Reach(scope=Scope.OWN, employee_id=me), 2),
            (Reach(scope=Scope.ALL), 3),
        ):
            with crm.unit_of_work(read_only=True) as uow:
                page = uow.work.page(Assignment, Query(), reach, now)
                tally = uow.work.tally(Assignment, Query(), reach, now, ("status", STAGE))
                funnel = uow.work.funnel(reach, period)
                team = uow.work.team(reach, period, now, contact_by=NOW, expiring_on=DUE)
            assert len(page) == tally.total == sum(funnel.values()) == some
            assert {a.customer_id for a in page if a.ended_at == NOW} == {lost}
            assert tally.by == {"status": {1: some - 1, 3: 1}, STAGE: funnel}
            assert funnel[Stage.CONTACTED] == 1
            assert team[me] == Counted(owned=1, expiring=1, follow_ups=1, received=2, lost=1)
            assert (other in team) == (reach.scope is Scope.ALL)

    def test_what_happened_is_read_page_by_page(self, crm: Crm) -> None:
        """The newest first, each once, by kind and time."""
        me = employee(crm)
        number = enter(crm, me)
        for hours in (3, 1, 2):
            with crm.unit_of_work() as uow:
                uow.records.add(FollowUp(customer_id=number, consultant_id=me, note="x",
                                         at=NOW + timedelta(hours=hours)))  # fmt: skip
        every = tuple(HappeningKind)

        def ask(limit: int, before: Any = None, kinds: Any = every, low: Any = None) -> Any:
            return read(crm, lambda uow: uow.work.happenings(
                number, kinds, None, (low, None), limit, before))  # fmt: skip

        whole = ask(10)
        assert [h.at - NOW for h in whole] == [timedelta(hours=h) for h in (3, 2, 1, 0)]
        first = ask(2)
        last = first[-1]
        assert first + ask(2, (last.at, last.kind, last.number)) == whole
        assert ask(10, kinds=(HappeningKind.BEGUN,)) == whole[-1:]
        assert ask(10, low=NOW + timedelta(hours=2)) == whole[:2]
