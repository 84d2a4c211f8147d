"""The part of the contract of a storage that is about lists, reach, limits and locks."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, timedelta
from functools import partial

from crm_domain.errors import Invalid, NotFound
from crm_domain.model import (
    AssignmentMethod,
    Course,
    Customer,
    Department,
    Employee,
    FollowUp,
    Notice,
    PoolRule,
    SavedView,
    Scope,
    Source,
    User,
)
from crm_domain.model.fields import changed
from crm_domain.ports import MOST, TAB, Crm, MyCustomer, Page, Query, Reach, Tally
from crm_domain.rules.access import HIDDEN
from crm_domain.rules.pool import NEVER, PoolPolicy, lapses
from crm_domain.testing.making import (
    DUE,
    NOW,
    TODAY,
    a_customer,
    a_notice,
    begun,
    customer_of,
    employee,
    enter,
    owned,
    read,
    refusal,
    together,
)

AGO = TODAY - timedelta(days=1)


def listed(crm: Crm, query: Query) -> Page[Customer]:
    """Read a page of all customers."""
    return read(crm, lambda uow: uow.customers.page(query, None, TODAY))


class ListsPart:
    """A part of ``StorageContract``."""

    # -- pages -------------------------------------------------------------------------------

    def test_pages_join_without_a_gap(self, crm: Crm) -> None:
        """Each row once, in the order of the whole, by any field, up and down, empty ones last."""
        for i in range(9):
            enter(crm, company=None if i % 4 == 0 else f"公司{i % 3}")
        for sort in ("id", "-id", "name", "company", "-company"):
            whole = [c.id for c in listed(crm, Query(sort=sort, limit=100))]
            walked: list[int | None] = []
            mark: str | None = None
            for _ in range(10):
                page = listed(crm, Query(sort=sort, limit=2, after=mark))
                assert len(page) <= 2
                walked += [c.id for c in page]
                mark = page.next
                if mark is None:
                    break
            assert walked == whole
            assert len(set(walked)) == 9
        names = [c.company for c in listed(crm, Query(sort="-company"))]
        assert names == sorted((n for n in names if n), reverse=True) + [None] * 3

    def test_a_mark_that_no_page_gave_is_refused(self, crm: Crm) -> None:
        """By name, and without an answer."""
        for mark in ("x", "bm90IG9uZQ==", "W10="):
            refusal(Invalid, partial(listed, crm, Query(after=mark)))

    def test_filters_add_up_and_values_are_alternatives(self, crm: Crm) -> None:
        """None fits the empty, also among several, and in a list of references."""
        with crm.unit_of_work() as uow:
            course = uow.records.add(Course(title="Python")).id or 0
        plain = enter(crm)
        both = enter(crm, company="甲", courses=(course,))
        one = enter(crm, company="乙")

        def found(**where: object) -> list[int | None]:
            query = Query(where=where, sort="id")
            return [c.id for c in read(crm, lambda uow: uow.customers.page(query, None, TODAY))]

        assert found(company=["甲", "乙"]) == [both, one]
        assert found(company=[None, "甲"]) == [plain, both]
        assert found(company=["甲", "乙"], courses=[course]) == [both]
        assert found(courses=None) == [plain, one]
        ranged = Query(ranges={"id": (both, one)}, sort="id")
        page = read(crm, lambda uow: uow.customers.page(ranged, None, TODAY))
        assert [c.id for c in page] == [both, one]
        for wrong in (Query(where={"nothing": 1}), Query(ranges={"courses": (1, 2)})):
            refusal(Invalid, partial(listed, crm, wrong))

    def test_a_search_finds_by_name_and_contact(self, crm: Crm) -> None:
        """Characters, pinyin, initials, a piece of a number; what was edited away no more."""
        number = enter(crm, name="欧阳娜娜", phone="13912345678", wechat="nana_ouyang")
        enter(crm, name="王芳")

        def found(text: str) -> list[int | None]:
            query = Query(search=text)
            return [c.id for c in read(crm, lambda uow: uow.customers.page(query, None, TODAY))]

        for text in ("欧阳", "ouyang", "oynn", "1234567", "nana_ouyang"):
            assert found(text) == [number], text
        assert found("没有此人") == []
        with crm.unit_of_work() as uow:
            uow.customers.save(changed(customer_of(crm, number), name="李雷", wechat=None))
        assert (found("欧阳"), found("nana"), found("李雷")) == ([], [], [number])

    def test_masked_contacts_cannot_be_found_out(self, crm: Crm) -> None:
        """Of the public: by a whole contact or the name, not by a piece, a filter or an order."""
        number = enter(crm, phone="13912345678", memo="机密", source=Source.SEO)

        def found(query: Query, *, pool: bool, masks: Collection[str] = HIDDEN) -> list[int | None]:
            page = read(
                crm, lambda uow: uow.customers.page(query, None, TODAY, pool=pool, masks=masks)
            )
            return [c.id for c in page]

        for pool in (True, False):
            assert found(Query(search="13912345678"), pool=pool) == [number]
            assert found(Query(search="1391234"), pool=pool, masks=()) == [number]
            hidden = [
                Query(search="1391234"), Query(where={"phone": "13912345678"}),
                Query(where={"memo": "机密"}), Query(ranges={"phone": ("13900000000", None)}),
                Query(sort="phone"),
            ]  # fmt: skip
            for query in hidden:
                assert found(query, pool=pool) == [], query
            # What a school hides besides is hidden as well.
            for query in (Query(where={"source": "seo"}), Query(sort="source")):
                assert found(query, pool=pool) == [number]
                assert found(query, pool=pool, masks=HIDDEN | {"source"}) == [], query

    # -- reach of plain records --------------------------------------------------------------

    def test_a_reach_limits_records_by_whose_they_are(self, crm: Crm) -> None:
        """Notices by their recipient; people are seen by all, beyond it without their contacts."""
        with crm.unit_of_work() as uow:
            above = uow.records.add(Department(code=1, title="上")).id or 0
            below = uow.records.add(Department(code=2, title="下", parent_id=above)).id or 0
        typed = {"phone": "13800138000", "email": "x@example.com"}
        me, under, other = (
            employee(crm, department_id=d, **typed) for d in (above, below, None)
        )  # fmt: skip
        with crm.unit_of_work() as uow:
            uow.notices.add([a_notice(who, f"k{who}") for who in (me, under, other)])
        reached = {
            Scope.OWN: {me}, Scope.DEPARTMENT: {me}, Scope.DEPARTMENT_AND_BELOW: {me, under},
            Scope.ALL: {me, under, other},
        }  # fmt: skip
        for scope, expected in reached.items():
            reach = Reach(scope=scope, employee_id=me, department_id=above)
            with crm.unit_of_work(read_only=True) as uow:
                assert {n.recipient_id for n in uow.notices.page(Query(), None, reach)} == expected
                notices = uow.records.page(Notice, Query(), reach)
                assert {n.recipient_id for n in notices} == expected
                people = uow.records.page(Employee, Query(), reach)
                assert {e.id for e in people} == {me, under, other}
                assert {e.id for e in people if e.phone and e.email} == expected
                found = uow.records.page(Employee, Query(where={"phone": typed["phone"]}), reach)
                assert {e.id for e in found} == expected
                for who in (me, under, other):
                    one = uow.records.get(Employee, who, reach)
                    assert one is not None
                    assert (one.phone is not None) == (who in expected)
                    assert uow.directory.in_reach(who, reach) == (who in expected)
                assert uow.directory.in_reach(None, reach) == (scope is Scope.ALL)

    def test_a_reach_limits_what_is_written(self, crm: Crm) -> None:
        """Neither what is beyond it is changed, nor is anything put there."""
        me, other = employee(crm), employee(crm)
        reach = Reach(scope=Scope.OWN, employee_id=me)
        mine = read(crm, lambda uow: uow.records.get(Employee, me))
        theirs = read(crm, lambda uow: uow.records.get(Employee, other))
        assert mine is not None
        assert theirs is not None

        def save(record: Employee) -> None:
            with crm.unit_of_work() as uow:
                uow.records.save(changed(record, name="x"), reach)

        def add() -> None:
            with crm.unit_of_work() as uow:
                uow.records.add(Employee(name="new"), reach)

        def remove() -> None:
            with crm.unit_of_work() as uow:
                uow.records.remove(Employee, other, reach)

        save(mine)
        refusal(NotFound, lambda: save(theirs))
        refusal(NotFound, add)
        refusal(NotFound, remove)
        names = [e.name for e in read(crm, lambda uow: uow.records.all(Employee))]
        assert names == ["x", "李雷"]

    def test_those_within_a_reach_are_counted(self, crm: Crm) -> None:
        """Oneself, and whoever works in the department, or below it."""
        with crm.unit_of_work() as uow:
            above = uow.records.add(Department(code=1, title="上")).id
            below = uow.records.add(Department(code=2, title="下", parent_id=above)).id
        me = employee(crm, department_id=above)
        for place in (above, below, None):
            employee(crm, department_id=place)
        for scope, some in (
            (Scope.OWN, 1), (Scope.DEPARTMENT, 2), (Scope.DEPARTMENT_AND_BELOW, 3), (Scope.ALL, 4),
        ):  # fmt: skip
            reach = Reach(scope=scope, employee_id=me, department_id=above)
            with crm.unit_of_work(read_only=True) as uow:
                assert uow.directory.covered(reach) == some

    def test_records_are_found_by_values_and_numbers(self, crm: Crm) -> None:
        """As far as they are there."""
        first, second = employee(crm, "甲"), employee(crm, "乙")
        with crm.unit_of_work(read_only=True) as uow:
            found = uow.records.find(Employee, name="乙")
            assert found is not None
            assert found.id == second
            assert uow.records.find(Employee, name="丙") is None
            among = uow.records.among(Employee, [second, 404, first])
            assert [e.id for e in among] == [first, second]
            assert uow.records.find(User, username="nobody") is None

    # -- customers and their owners ----------------------------------------------------------

    def test_locked_customers_come_by_number(self, crm: Crm) -> None:
        """With what was written last; one who is not there is left out."""
        consultant = employee(crm)
        numbers = [enter(crm, consultant) for _ in range(3)]
        with crm.unit_of_work() as uow:
            found = uow.customers.lock_many([numbers[2], numbers[0], 99_999])
            assert [c.id for c in found] == [numbers[0], numbers[2]]
            assert uow.customers.lock(numbers[1]) == customer_of(crm, numbers[1])
            assert uow.customers.lock(99_999) is None

    def test_whoever_locked_a_customer_is_waited_for(self, crm: Crm) -> None:
        """Of many who read, add and write nobody writes over another."""
        number = enter(crm, employee(crm))

        def lengthen(_: int) -> None:
            with crm.unit_of_work() as uow:
                one = uow.customers.lock(number)
                assert one is not None
                days = (one.due_days or 0) + 1
                uow.ownership.redate([changed(one, due_days=days)])

        before = customer_of(crm, number).due_days or 0
        together(6, lengthen)
        assert customer_of(crm, number).due_days == before + 6

    def test_owned_customers_are_walked_by_number(self, crm: Crm) -> None:
        """From beyond one on, so many at a time; those of nobody are left out."""
        consultant = employee(crm)
        first, _, second, third = (enter(crm, w) for w in (consultant, None, *[consultant] * 2))
        for lock in (True, False):
            with crm.unit_of_work() as uow:
                assert [c.id for c in uow.ownership.owned_after(0, 2, lock=lock)] == [first, second]
                assert [c.id for c in uow.ownership.owned_after(second, 9, lock=lock)] == [third]
        assert read(crm, lambda uow: uow.falling_due.owned_count()) == 3

    def test_those_whom_other_rules_would_release_are_counted(self, crm: Crm) -> None:
        """By the first rule that fits, of who is owned and private; a late payment keeps some."""
        consultant = employee(crm)
        enter(crm)
        for source, owner in ((Source.SEO, consultant), (None, consultant), (None, None)):
            enter(crm, owner, source=source)
        paying = enter(crm, consultant)
        with crm.unit_of_work() as uow:
            uow.ownership.keep(changed(customer_of(crm, paying), payment_pending_on=TODAY))

        def counted(contact_days: int, today: date = TODAY) -> int:
            seo = PoolRule(position=1, source=Source.SEO, contact_days=contact_days)
            policy = PoolPolicy(zone=UTC, rules=(seo, PoolRule(position=2, contact_days=9)))
            found = lapses(policy, today)
            return read(crm, lambda uow: uow.falling_due.lapsing(found, TODAY))

        later = TODAY + timedelta(days=3)
        assert [counted(days, later) for days in (2, 3)] == [1, 0]
        assert counted(9, TODAY + timedelta(days=10)) == 3
        assert counted(9, TODAY + timedelta(days=7)) == 0
        enter(crm, consultant, due=TODAY)
        assert counted(2, later) == 1

    def test_dating_anew_changes_the_dates_alone(self, crm: Crm) -> None:
        """Of as many as are given; and it is told how many."""
        consultant = employee(crm)
        numbers = [enter(crm, consultant) for _ in range(60)]
        with crm.unit_of_work() as uow:
            those = uow.customers.lock_many(numbers[1:])
            after = [changed(c, due_on=NEVER, warn_on=None) for c in those]
            assert uow.ownership.redate(after) == 59
        assert customer_of(crm, numbers[0]).due_on == DUE
        assert [customer_of(crm, n) for n in numbers[1:]] == after

    def test_how_far_a_dating_has_come_is_kept(self, crm: Crm) -> None:
        """Another change of the rules begins anew, and who is late moves nothing."""
        with crm.unit_of_work() as uow:
            assert uow.turns.dating() is None
            uow.pool_rules_changing()
            uow.turns.begin_dating(TODAY)
        first = read(crm, lambda uow: uow.turns.dating())
        assert first is not None
        assert (first.after, first.on) == (0, TODAY)
        with crm.unit_of_work() as uow:
            uow.turns.dated(first, 17)
            uow.turns.dated(first, None)
        moved = read(crm, lambda uow: uow.turns.dating())
        assert moved is not None
        assert moved.after == 17
        with crm.unit_of_work() as uow:
            uow.pool_rules_changing()
            uow.turns.begin_dating(DUE)
        with crm.unit_of_work() as uow:
            uow.turns.dated(moved, None)
        again = read(crm, lambda uow: uow.turns.dating())
        assert again is not None
        assert (again.after, again.on) == (0, DUE)
        with crm.unit_of_work() as uow:
            uow.turns.dated(again, None)
            assert uow.turns.dating() is None

    def test_taken_contacts_tell_the_import(self, crm: Crm) -> None:
        """By field and value; what nobody has is left out."""
        enter(crm, phone="13800138000", qq="10001")
        asked = {"phone": ["13800138000", "13900139000"], "qq": ["10001"], "wechat": ["x"]}
        found = read(crm, lambda uow: uow.customers.taken(asked))
        assert dict(found) == {("phone", "13800138000"): None, ("qq", "10001"): None}

    def test_a_standing_tells_customer_and_claimant(self, crm: Crm) -> None:
        """The owner's name, and whether the claimant may claim; None without either."""
        consultant, claimant = employee(crm, "韩梅梅"), employee(crm, left_on=DUE)
        number = enter(crm, consultant)
        for lock in (False, True):
            with crm.unit_of_work() as uow:
                found = uow.ownership.standing(number, claimant, lock=lock)
                assert found is not None
                assert found.customer == changed(customer_of(crm, number), courses=())
                assert (found.owner_name, found.left_on) == ("韩梅梅", DUE)
                assert not found.active
                assert uow.ownership.standing(99_999, claimant, lock=lock) is None
                assert uow.ownership.standing(number, 99_999, lock=lock) is None

    def test_several_standings_are_each_as_alone(self, crm: Crm) -> None:
        """Those of customers that are not there are left out."""
        consultant, claimant = employee(crm), employee(crm)
        numbers = [enter(crm, consultant), enter(crm, None), 99_999]
        with crm.unit_of_work() as uow:
            found = {s.customer.id: s for s in uow.ownership.standings(numbers, claimant)}
            alone = {n: uow.ownership.standing(n, claimant, lock=False) for n in numbers[:2]}
            assert found == alone
            assert uow.ownership.standings([], claimant) == ()
            assert uow.ownership.standings(numbers, 99_999) == ()

    def test_my_customers_are_those_i_had_last(self, crm: Crm) -> None:
        """In full while they are mine; of what fell due no contacts; of others' nothing."""
        me, other = employee(crm), employee(crm)
        running = enter(crm, me, due=NEVER, name="在跟", phone="13911112222")
        overdue = enter(crm, me, name="到期", phone="13933334444")
        enter(crm, other, name="别人的")

        def mine(query: Query) -> Page[MyCustomer]:
            return read(crm, lambda uow: uow.customers.mine(me, query, DUE))

        rows = read(crm, lambda uow: uow.customers.mine(me, Query(), DUE)).items
        assert [(r.customer_id, int(r.status), r.owned) for r in rows] == [
            (running, 1, True), (overdue, 3, False),
        ]  # fmt: skip
        assert (rows[0].phone, rows[1].phone) == ("13911112222", None)
        assert len(mine(Query(where={"status": 3}))) == 1
        assert len(mine(Query(search="1391111"))) == 1
        assert len(mine(Query(search="1393333"))) == 0
        assert len(mine(Query(search="别人"))) == 0
        first = mine(Query(limit=1))
        assert first.next is not None
        assert len(mine(Query(limit=1, after=first.next))) == 1

    def test_my_customers_are_counted_as_they_are_listed(self, crm: Crm) -> None:
        """By state and interest, and by tab whatever the query filters by."""
        me, other = employee(crm), employee(crm)
        soon = DUE + timedelta(days=1)
        for owner, due in ((me, NEVER), (me, soon), (me, DUE), (other, NEVER)):
            enter(crm, owner, due=due)
        tabs = {"own": Query(), "ending": Query(ranges={"due_on": (None, soon)})}

        def tally(query: Query, most: int = MOST) -> Tally:
            return read(crm, lambda uow: uow.customers.tally_mine(
                me, query, DUE, ("status", TAB), tabs, most=most))  # fmt: skip

        for query, some in ((Query(), 3), (Query(where={"status": 3}), 1)):
            with crm.unit_of_work(read_only=True) as uow:
                page = uow.customers.mine(me, query, DUE)
            counted = tally(query)
            assert (counted.total, counted.exact) == (some, True) == (len(page), True)
            assert counted.by["status"] == {1: 2, 3: 1}
            assert counted.by[TAB] == {"own": 2, "ending": 1}
        assert (tally(Query(), most=2).total, tally(Query(), most=2).exact) == (2, False)

    def test_owners_are_told_of_what_is_due_soon(self, crm: Crm) -> None:
        """From the day of the warning on, until the day itself."""
        consultant = employee(crm)
        number = enter(crm, consultant)
        enter(crm, consultant, due=NEVER)

        def expiring(day: date) -> list[int]:
            found = read(crm, lambda uow: uow.falling_due.expiring(day, 9, after_owner=0, owners=9))
            return [one.customer_id for losing in found for one in losing.first]

        days = [DUE - timedelta(days=n) for n in (2, 1, 0)]
        assert [expiring(d) for d in days] == [[], [number], []]

    def test_what_is_due_soon_is_read_owner_by_owner(self, crm: Crm) -> None:
        """So many owners, so many customers of each, the first due first; all are counted."""
        one, other = employee(crm), employee(crm)
        later = enter(crm, one, due=DUE + timedelta(days=1))
        first = enter(crm, one)
        alone = enter(crm, other)

        day = DUE - timedelta(days=1)
        with crm.unit_of_work() as uow:
            uow.ownership.redate(changed(c, warn_on=day) for c in uow.customers.lock_many([later]))

        def told(after: int) -> list[tuple[int, int, list[int]]]:
            found = read(
                crm, lambda uow: uow.falling_due.expiring(day, 1, after_owner=after, owners=1)
            )
            return [(f.owner_id, f.count, [c.customer_id for c in f.first]) for f in found]

        assert told(0) == [(one, 2, [first])]
        assert told(one) == [(other, 1, [alone])]
        assert told(other) == []

    def test_owners_are_told_whom_they_meant_to_contact(self, crm: Crm) -> None:
        """Those whose moment has come and who were not contacted since."""
        consultant = employee(crm)
        numbers = [enter(crm, consultant, name=n) for n in ("甲", "乙", "丙")]
        soon = NOW + timedelta(hours=1)
        with crm.unit_of_work() as uow:
            first, second, _ = uow.customers.lock_many(numbers)
            uow.ownership.keep(changed(first, next_contact_at=soon))
            uow.ownership.keep(changed(second, next_contact_at=NOW - timedelta(hours=1)))
        later = NOW + timedelta(hours=2)
        found = read(crm, lambda uow: uow.falling_due.to_contact(later, TODAY))
        assert found == {consultant: (1, ("甲",))}
        assert read(crm, lambda uow: uow.falling_due.to_contact(NOW, TODAY)) == {}

    def test_claims_are_counted(self, crm: Crm) -> None:
        """Those of one employee since a moment; what was dealt is no claim."""
        me, other = employee(crm), employee(crm)
        with crm.unit_of_work() as uow:
            uow.ownership.in_turn([me, other])
            for who, method in ((me, AssignmentMethod.CLAIM), (other, AssignmentMethod.CLAIM),
                                (me, AssignmentMethod.MANUAL)):  # fmt: skip
                [saved] = uow.customers.add([a_customer()])
                assert saved is not None
                uow.ownership.open([begun(owned(saved, who), method)], fresh=True)
            assert uow.ownership.claims_since(me, NOW) == 1
            assert uow.ownership.claims_since(me, NOW + timedelta(seconds=1)) == 0

    def test_follow_ups_come_oldest_first(self, crm: Crm) -> None:
        """Those of the customer only."""
        consultant = employee(crm)
        number, other = enter(crm, consultant), enter(crm, consultant)
        with crm.unit_of_work() as uow:
            for who, note in ((number, "a"), (other, "b"), (number, "c")):
                uow.records.add(FollowUp(customer_id=who, consultant_id=consultant, at=NOW,
                                         note=note))  # fmt: skip
        found = read(crm, lambda uow: uow.customers.follow_ups(number))
        assert [f.note for f in found] == ["a", "c"]

    def test_views_are_the_own_and_those_shared(self, crm: Crm) -> None:
        """By title, with who saved each: the employee, or else the account."""
        with crm.unit_of_work() as uow:
            li = uow.records.add(Employee(name="李雷"))
            one = uow.records.add(User(username="li", employee_id=li.id))
            two = uow.records.add(User(username="admin"))
            for user, title, shared, name in (
                (one, "b", True, "customers"), (one, "a", False, "customers"),
                (one, "c", True, "pool"), (two, "d", True, "customers"),
            ):  # fmt: skip
                uow.records.add(SavedView(user_id=user.id or 0, list_name=name, title=title,
                                          query="", shared=shared, created_at=NOW))  # fmt: skip

        def shown(user: User) -> list[tuple[str, str]]:
            found = read(crm, lambda uow: uow.directory.views("customers", user.id or 0))
            return [(view.title, who) for view, who in found]

        assert shown(one) == [("a", "李雷"), ("b", "李雷"), ("d", "admin")]
        assert shown(two) == [("b", "李雷"), ("d", "admin")]

    def test_a_sound_database_passes_its_check(self, crm: Crm) -> None:
        """Each invariant is named, and none is broken by what is legal."""
        consultant = employee(crm)
        enter(crm, consultant)
        enter(crm)
        checked = crm.storage.check()
        assert checked
        assert all(c.code and c.zh and c.en for c in checked)
        assert [c for c in checked if c.count] == []
