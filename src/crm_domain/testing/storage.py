"""What every Storage keeps to, ours or a plugin's.

Subclass ``StorageContract`` in a test module and give it a fixture ``crm``: a `Crm` on a new,
prepared database, whose clock may stand still. Every test begins with an empty school.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any, TypeVar

from crm_domain.errors import CrmError, Duplicate, EditConflict, InUse, NotFound
from crm_domain.model import (
    Assignment,
    AssignmentMethod,
    AssignmentStatus,
    AuditEntry,
    Course,
    Customer,
    Department,
    Employee,
    Event,
    FollowUp,
    HappeningKind,
    Menu,
    Notice,
    NoticeStatus,
    Permission,
    PermissionGroup,
    PoolRule,
    ResetLink,
    Role,
    RotationEntry,
    SavedView,
    Scope,
    SignIn,
    Stage,
    User,
)
from crm_domain.model.fields import changed
from crm_domain.ports import (
    STAGE,
    Closing,
    Counted,
    Crm,
    NewAssignment,
    Now,
    Period,
    Query,
    Reach,
    UnitOfWork,
)
from crm_domain.rules.pool import ALWAYS, NEVER, shown
from crm_domain.rules.rotation import Cursor

T = TypeVar("T")
NOW = datetime(2026, 11, 1, 2, tzinfo=UTC)
TODAY = date(2026, 11, 1)
DUE = date(2026, 11, 5)
_numbers = count(1)


def refusal(expected: type[CrmError], act: Callable[[], object]) -> CrmError:
    """Do what must be refused, and give the refusal."""
    try:
        act()
    except expected as error:
        return error
    raise AssertionError(f"it should have been refused with {expected.__name__}")


def employee(crm: Crm, name: str = "李雷", **values: Any) -> int:
    """Write an employee and tell the number."""
    with crm.unit_of_work() as uow:
        return uow.records.add(Employee(name=name, **values)).id or 0


def a_customer(**values: Any) -> Customer:
    """Make a customer whose phone number no other has."""
    typed = {"name": "王芳", "phone": f"139{next(_numbers):08d}", "created_at": NOW, **values}
    return Customer(**typed)


def owned(customer: Customer, by: int, at: datetime = NOW, due: date = DUE) -> Customer:
    """Give the customer as somebody's, due on a day."""
    return changed(
        customer, owner_id=by, last_consultant_id=by, received_at=at, last_contacted_at=at,
        due_on=due, due_status=3, due_days=3, warn_on=due - timedelta(days=1),
    )  # fmt: skip


def begun(customer: Customer, method: AssignmentMethod = AssignmentMethod.MANUAL, **more: Any) -> (
    NewAssignment
):  # fmt: skip
    """Make the period of ownership that a customer's owner begins."""
    return NewAssignment(customer=customer, method=method, explanation="", **more)


def enter(crm: Crm, owner: int | None = None, due: date = DUE, **values: Any) -> int:
    """Write a customer, into the pool or for an owner, and tell its number."""
    with crm.unit_of_work() as uow:
        [saved] = uow.customers.add([a_customer(**values)])
        assert saved is not None
        if owner is None:
            uow.customers.publish([saved])
        else:
            uow.customers.open([begun(owned(saved, owner, due=due))], fresh=True)
        return saved.id or 0


def read(crm: Crm, question: Callable[[UnitOfWork], T]) -> T:
    """Ask in a unit of work that only reads."""
    with crm.unit_of_work(read_only=True) as uow:
        return question(uow)


def customer_of(crm: Crm, number: int) -> Customer:
    """Read a customer that is there."""
    found = read(crm, lambda uow: uow.customers.get(number))
    assert found is not None
    return found


def history_of(crm: Crm, number: int) -> tuple[Assignment, ...]:
    """Read the assignments of a customer."""
    return read(crm, lambda uow: uow.customers.history(number))


def together(n: int, act: Callable[[int], T]) -> list[T]:
    """Do something in n threads that begin at the same moment."""
    barrier = threading.Barrier(n)

    def begin(i: int) -> T:
        barrier.wait(30)
        return act(i)

    with ThreadPoolExecutor(n) as threads:
        return list(threads.map(begin, range(n)))


def _arranged(uow: UnitOfWork) -> tuple[int, int]:
    """Tell the first consultant of the plan and the days of the first rule."""
    _, roster = uow.turns.peek()
    [rule] = uow.pool_rules().rules
    return roster.next_plan[0].employee_id, rule.contact_days


class StorageContract:
    """Subclass it with the fixture ``crm``."""

    # -- a unit of work ----------------------------------------------------------------------

    def test_a_unit_of_work_commits_when_it_ends(self, crm: Crm) -> None:
        """What it wrote, others read."""
        number = employee(crm)
        found = read(crm, lambda uow: uow.records.get(Employee, number))
        assert found == Employee(id=number, name="李雷")

    def test_a_unit_of_work_that_raises_leaves_nothing(self, crm: Crm) -> None:
        """Neither records, nor customers, nor turns, nor notices, nor the log."""
        consultant = employee(crm)
        before = read(crm, lambda uow: uow.turns.peek())

        def fail() -> None:
            with crm.unit_of_work() as uow:
                uow.records.add(Course(title="Python"))
                [saved] = uow.customers.add([a_customer(name="孙")])
                assert saved is not None
                uow.turns.advance(1)
                uow.customers.open([begun(owned(saved, consultant))], fresh=True)
                uow.notices.add([_notice(consultant)])
                uow.audit(AuditEntry(at=NOW, action="x", record="Course"))
                raise NotFound(what="x", id=1)

        refusal(NotFound, fail)
        with crm.unit_of_work(read_only=True) as uow:
            assert uow.records.all(Course) == ()
            assert list(uow.customers.page(Query(), None, TODAY)) == []
            assert uow.records.all(Assignment) == ()
            assert list(uow.notices.page(Query())) == []
            assert uow.records.all(AuditEntry) == ()
            assert uow.turns.peek() == before

    def test_what_fails_at_the_end_leaves_nothing(self, crm: Crm) -> None:
        """Neither rows nor a transaction that the next unit of work would find itself in."""
        person = employee(crm)
        for _ in range(3):
            try:
                with crm.unit_of_work() as uow:
                    uow.notices.add([_notice(person), _notice(999_999, "k2")])
                raise AssertionError("a notice to nobody was kept")
            except NotFound:
                pass
            assert read(crm, lambda uow: uow.notices.page(Query()).items) == ()
            with crm.unit_of_work() as uow:
                uow.turns.people_changed()

    def test_a_unit_of_work_reads_what_it_wrote(self, crm: Crm) -> None:
        """Also what an adapter would rather send later."""
        consultant = employee(crm)
        with crm.unit_of_work() as uow:
            [saved] = uow.customers.add([a_customer()])
            assert saved is not None
            uow.customers.open([begun(owned(saved, consultant))], fresh=True)
            uow.notices.add([_notice(consultant)])
            uow.audit(AuditEntry(at=NOW, action="x", record="Course"))
            found = uow.customers.get(saved.id or 0)
            assert found is not None
            assert found.owner_id == consultant
            assert len(uow.customers.history(saved.id or 0)) == 1
            assert len(uow.notices.page(Query())) == 1
            assert len(uow.records.all(AuditEntry)) == 1

    def test_the_clock_is_aware(self, crm: Crm) -> None:
        """The database tells a moment, not a wall clock."""
        assert crm.storage.clock().utcoffset() is not None

    def test_it_knows_its_revision(self, crm: Crm) -> None:
        """A prepared database has one, and preparing it again is no change."""
        before = crm.storage.revision()
        assert before is not None
        crm.storage.prepare(False)
        crm.storage.prepare(True)
        assert crm.storage.revision() == before

    # -- records -----------------------------------------------------------------------------

    def test_a_record_comes_back_as_it_was(self, crm: Crm) -> None:
        """Texts of any script, days, structures, yes and no, and the empty ones."""
        leave = ((date(2026, 11, 2), date(2026, 11, 3)),)
        made = Employee(name="𠮷野 é'\"%;--", on_duty=False, leave=leave, email=None)
        with crm.unit_of_work() as uow:
            saved = uow.records.add(made)
        assert saved == changed(made, id=saved.id)
        assert read(crm, lambda uow: uow.records.get(Employee, saved.id or 0)) == saved

    def test_moments_come_back_to_the_microsecond(self, crm: Crm) -> None:
        """In UTC, whatever the offset they were given in."""
        moment = datetime(2026, 11, 1, 23, 59, 59, 999_999, tzinfo=UTC)
        number = enter(crm, created_at=moment)
        found = customer_of(crm, number).created_at
        assert found == moment
        assert found is not None
        assert found.utcoffset() == timedelta(0)

    def test_a_record_that_was_changed_is_not_overwritten(self, crm: Crm) -> None:
        """Saving needs the version that was read, and raises it."""
        with crm.unit_of_work() as uow:
            first = uow.records.add(Course(title="Python"))
            second = uow.records.save(changed(first, title="Java"))
        assert second.version == first.version + 1

        def save() -> None:
            with crm.unit_of_work() as uow:
                uow.records.save(changed(first, title="Go"))

        error = refusal(EditConflict, save)
        assert (error.seen, error.version) == (first.version, second.version)
        assert read(crm, lambda uow: uow.records.all(Course)) == (second,)

    def test_a_unique_value_is_there_once(self, crm: Crm) -> None:
        """The refusal names the field and the value."""

        def add() -> None:
            with crm.unit_of_work() as uow:
                uow.records.add(Course(title="Python"))

        add()
        error = refusal(Duplicate, add)
        assert (error.fields, error.value) == (("title",), "Python")

    def test_a_reference_points_to_something(self, crm: Crm) -> None:
        """Neither a field nor a list refers to what is not there."""

        def add(record: Any) -> Callable[[], None]:
            def act() -> None:
                with crm.unit_of_work() as uow:
                    uow.records.add(record)

            return act

        refusal(NotFound, add(Employee(name="x", department_id=404)))

        def link() -> None:
            with crm.unit_of_work() as uow:
                uow.customers.add([a_customer(courses=(404,))])

        refusal(NotFound, link)

    def test_what_is_referred_to_is_not_removed(self, crm: Crm) -> None:
        """What nothing refers to is; what is not there is not found."""
        with crm.unit_of_work() as uow:
            department = uow.records.add(Department(code=1, title="销售部")).id or 0
        number = employee(crm, department_id=department)

        def remove(cls: type[Any], id: int) -> Callable[[], None]:
            def act() -> None:
                with crm.unit_of_work() as uow:
                    uow.records.remove(cls, id)

            return act

        refusal(InUse, remove(Department, department))
        remove(Employee, number)()
        remove(Department, department)()
        refusal(NotFound, remove(Department, department))

    # -- customers ---------------------------------------------------------------------------

    def test_a_contact_is_one_customers(self, crm: Crm) -> None:
        """None stands for each customer whose contact is taken, within one call as well."""
        first = a_customer(phone="13800138000")
        same = [a_customer(phone="13800138000"), a_customer(), a_customer(phone=None, qq="10001"),
                a_customer(qq="10001")]  # fmt: skip
        with crm.unit_of_work() as uow:
            [saved] = uow.customers.add([first])
            again = uow.customers.add(same)
        assert saved is not None
        assert [c is not None for c in again] == [False, True, True, False]

    def test_a_contact_is_one_customers_however_many_are_added(self, crm: Crm) -> None:
        """The quick way that an adapter has for many rows keeps to the same."""
        many = [a_customer() for _ in range(120)]
        many[70] = changed(many[70], phone=many[3].phone)
        with crm.unit_of_work() as uow:
            saved = uow.customers.add(many)
            uow.customers.publish([c for c in saved if c is not None])
        assert [i for i, c in enumerate(saved) if c is None] == [70]
        numbers = [c.id or 0 for c in saved if c is not None]
        assert numbers == sorted(set(numbers))
        assert len(read(crm, lambda uow: uow.customers.page(Query(limit=500), None, TODAY))) == 119

    def test_two_who_add_one_contact_at_once(self, crm: Crm) -> None:
        """One of them does; the others learn that it is taken."""

        def add(_: int) -> bool:
            with crm.unit_of_work() as uow:
                [saved] = uow.customers.add([a_customer(phone="13800138000")])
                if saved is not None:
                    uow.customers.publish([saved])
                return saved is not None

        assert sorted(together(4, add)) == [False, False, False, True]

    def test_contacts_tell_their_holder(self, crm: Crm) -> None:
        """By field and value; what nobody has is left out."""
        number = enter(crm, phone="13800138000", qq="10001")
        asked = {"phone": ["13800138000", "13900139000"], "qq": ["10001"], "wechat": ["nobody"]}
        found = read(crm, lambda uow: uow.customers.holders(asked))
        assert {k: c.id for k, c in found.items()} == {
            ("phone", "13800138000"): number, ("qq", "10001"): number,
        }  # fmt: skip

    def test_saving_a_customer_leaves_the_ownership(self, crm: Crm) -> None:
        """What moved meanwhile beside an open form is not written back."""
        consultant = employee(crm)
        number = enter(crm, consultant)
        before = customer_of(crm, number)
        with crm.unit_of_work() as uow:
            uow.customers.keep(changed(before, locked=True, due_on=NEVER))
        with crm.unit_of_work() as uow:
            uow.customers.save(changed(before, company="甲"))
        after = customer_of(crm, number)
        assert (after.company, after.locked, after.owner_id) == ("甲", True, consultant)

        def save() -> None:
            with crm.unit_of_work() as uow:
                uow.customers.save(changed(before, company="乙"))

        refusal(EditConflict, save)

    def test_a_reach_limits_what_a_list_shows(self, crm: Crm) -> None:
        """Own, department, department and below, all; the pool is nobody's."""
        with crm.unit_of_work() as uow:
            above = uow.records.add(Department(code=1, title="上")).id or 0
            below = uow.records.add(Department(code=2, title="下", parent_id=above)).id or 0
        me, mate, under = (employee(crm, department_id=d) for d in (above, above, below))
        other = employee(crm)
        numbers = [enter(crm, who) for who in (me, mate, under, other)]
        enter(crm)

        def seen(scope: Scope) -> list[int | None]:
            reach = Reach(scope=scope, employee_id=me, department_id=above)
            query = Query(sort="id", where={"owner_id": [me, mate, under, other]})
            page = read(crm, lambda uow: uow.customers.page(query, reach, TODAY, pooled_too=False))
            return [c.id for c in page]

        assert seen(Scope.OWN) == numbers[:1]
        assert seen(Scope.DEPARTMENT) == numbers[:2]
        assert seen(Scope.DEPARTMENT_AND_BELOW) == numbers[:3]
        assert seen(Scope.ALL) == numbers

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

    # -- people and their rights -------------------------------------------------------------

    def test_rights_come_from_the_roles_of_an_enabled_account(self, crm: Crm) -> None:
        """Several roles add up; a disabled account, or none, holds nothing."""
        at_work, disabled, bare = (employee(crm) for _ in range(3))
        left = employee(crm, left_on=TODAY)
        with crm.unit_of_work() as uow:
            codes = [
                uow.records.add(Permission(code=f"contract:{n}", title="权限")).id or 0
                for n in range(2)
            ]
            roles = [
                uow.records.add(Role(title=f"角色{n}", permissions=(code,), scope=scope)).id or 0
                for n, (code, scope) in enumerate(zip(codes, (Scope.OWN, Scope.ALL), strict=True))
            ]
            all_roles = tuple(roles)
            made = [
                uow.records.add(user)
                for user in (
                    User(username="both", employee_id=at_work, roles=all_roles),
                    User(username="off", employee_id=disabled, roles=all_roles, active=False),
                    User(username="left", employee_id=left, roles=all_roles),
                    User(username="one", roles=all_roles[:1]),
                )
            ]
            accounts = {user.username: user.id for user in made}
        with crm.unit_of_work(read_only=True) as uow:
            directory, first, both = uow.directory, "contract:0", ("contract:0", "contract:1")
            assert directory.rights(roles) == (frozenset(both), (Scope.OWN, Scope.ALL))
            assert directory.rights([]) == (frozenset(), ())
            assert [e.id for e in directory.with_permission(first)] == [at_work, left]
            holders = [n for n in (at_work, disabled, bare, 404) if directory.holds(n, first)]
            assert holders == [at_work]
            assert not directory.holds(at_work, "contract:2")
            assert directory.accounts_with(both, TODAY) == {accounts["both"]}
            earlier = TODAY - timedelta(days=1)
            assert directory.accounts_with(both, earlier) == {accounts["both"], accounts["left"]}
            assert accounts["one"] in directory.accounts_with([first], TODAY)

    # -- ownership ---------------------------------------------------------------------------

    def test_opening_makes_the_owner(self, crm: Crm) -> None:
        """The assignment and the customer tell the same; one assignment is open."""
        consultant = employee(crm)
        number = enter(crm, consultant)
        [made] = history_of(crm, number)
        found = customer_of(crm, number)
        assert (made.consultant_id, made.status) == (consultant, AssignmentStatus.FOLLOWING)
        assert (found.owner_id, found.assignment_id) == (consultant, made.id)
        assert made.started_at == found.received_at == NOW

    def test_of_many_who_claim_at_once_one_wins(self, crm: Crm) -> None:
        """One conditional statement decides, though all of them read the customer before."""
        people = [employee(crm, f"顾问{i}") for i in range(6)]
        for _ in range(3):
            number = enter(crm)
            expected = customer_of(crm, number)

            def claim(i: int, expected: Customer = expected) -> int | None:
                with crm.unit_of_work() as uow:
                    new = begun(owned(expected, people[i]), AssignmentMethod.CLAIM)
                    return uow.customers.win(new, expected, TODAY)

            outcomes = together(len(people), claim)
            [winner] = [i for i, won in enumerate(outcomes) if won is not None]
            [made] = history_of(crm, number)
            assert (made.id, made.consultant_id) == (outcomes[winner], people[winner])
            assert customer_of(crm, number).owner_id == people[winner]

    def test_nobody_wins_a_private_customer(self, crm: Crm) -> None:
        """Until the day on which it is due; and not by what was read before another change."""
        first, second = employee(crm), employee(crm)
        number = enter(crm, first)
        expected = customer_of(crm, number)

        def win(expected: Customer, today: date) -> int | None:
            with crm.unit_of_work() as uow:
                if today >= DUE and expected.assignment_id is not None:
                    lapsed = AssignmentStatus.NO_FOLLOW_UP
                    uow.customers.close(Closing(expected.assignment_id, lapsed, NOW, 3))
                return uow.customers.win(begun(owned(expected, second)), expected, today)

        assert win(expected, DUE - timedelta(days=1)) is None
        assert customer_of(crm, number).owner_id == first
        assert win(expected, DUE) is not None
        assert customer_of(crm, number).owner_id == second
        statuses = [int(a.status) for a in history_of(crm, number)]
        assert statuses == [3, 1]

    def test_a_sweep_releases_what_is_due(self, crm: Crm) -> None:
        """By owner, with the status that was dated, and nothing else."""
        first, second = employee(crm), employee(crm)
        due = [enter(crm, first), enter(crm, first)]
        late = enter(crm, first, due=DUE + timedelta(days=1))
        other = enter(crm, second)
        with crm.unit_of_work() as uow:
            assert uow.customers.overdue_counts(DUE) == {(first, 3): 2, (second, 3): 1}
            assert {e.customer_id for e in uow.customers.overdue(DUE, 10)} == {*due, other}
            [taken] = uow.customers.sweep(DUE, NOW, 2)
            assert (taken.owner_id, taken.by_status, len(taken.names)) == (first, {3: 2}, 2)
            assert taken.first_id == min(a.id or 0 for n in due for a in history_of(crm, n))
        for number in due:
            found = customer_of(crm, number)
            assert (found.owner_id, found.due_on, found.last_consultant_id) == (
                None, ALWAYS, first,
            )  # fmt: skip
            [ended] = history_of(crm, number)
            assert (int(ended.status), ended.limit_days, ended.ended_at) == (3, 3, NOW)
        assert customer_of(crm, late).owner_id == first
        assert read(crm, lambda uow: uow.customers.overdue_counts(DUE)) == {(second, 3): 1}

    def test_lists_show_the_overdue_as_nobodys(self, crm: Crm) -> None:
        """Before any sweep, in what they show, filter and sort by."""
        consultant = employee(crm)
        overdue, private = enter(crm, consultant), enter(crm, consultant, due=NEVER)

        def listed(query: Query, *, pool: bool = False) -> list[Customer]:
            return list(read(crm, lambda uow: uow.customers.page(query, None, DUE, pool=pool)))

        assert listed(Query(), pool=True) == [shown(customer_of(crm, overdue), DUE)]
        assert [c.id for c in listed(Query(where={"owner_id": None}))] == [overdue]
        assert [c.id for c in listed(Query(where={"owner_id": consultant}))] == [private]
        assert [c.id for c in listed(Query(sort="due_on"))] == [overdue, private]
        assert [c.id for c in listed(Query(sort="received_at"))] == [private, overdue]

    def test_a_load_counts_what_is_owned_now(self, crm: Crm) -> None:
        """What has fallen due counts no more."""
        first, second = employee(crm), employee(crm)
        enter(crm, first)
        enter(crm, first, due=NEVER)

        def load(day: date) -> int:
            found = read(crm, lambda uow: uow.customers.load([first, second], day))
            return found.get(first, 0) + 100 * found.get(second, 0)

        assert (load(TODAY), load(DUE)) == (2, 1)

    # -- turns -------------------------------------------------------------------------------

    def test_turns_are_drawn_once_by_however_many(self, crm: Crm) -> None:
        """Every place once, none skipped; what was rolled back is drawn again."""
        people = [employee(crm, f"顾问{i}") for i in range(3)]
        with crm.unit_of_work() as uow:
            uow.turns.set_plan([RotationEntry(employee_id=p) for p in people], "rounds", NOW)
        first, _ = read(crm, lambda uow: uow.turns.peek())

        def draw(i: int) -> list[int]:
            found = []
            for n in range(6):
                try:
                    with crm.unit_of_work() as uow:
                        before, _ = uow.turns.advance(1 + n % 2)
                        if (i + n) % 3 == 0:
                            raise NotFound(what="x", id=n)
                except NotFound:
                    continue
                found += [before.position + k for k in range(1 + n % 2)]
            return found

        drawn = sorted(p for part in together(4, draw) for p in part)
        assert drawn == list(range(first.position, first.position + len(drawn)))
        after, _ = read(crm, lambda uow: uow.turns.peek())
        assert after == Cursor(first.cycle, first.position + len(drawn))

    def test_a_new_plan_waits_for_the_boundary(self, crm: Crm) -> None:
        """Until then both plans are told; the first one of all begins at once."""
        first, second = employee(crm), employee(crm)

        def plan(who: int) -> None:
            with crm.unit_of_work() as uow:
                uow.turns.set_plan([RotationEntry(employee_id=who)], "rounds", NOW)

        def plans() -> tuple[list[int], list[int]]:
            _, roster = read(crm, lambda uow: uow.turns.peek())
            return ([e.employee_id for e in roster.plan],
                    [e.employee_id for e in roster.next_plan])  # fmt: skip

        plan(first)
        assert plans() == ([first], [first])
        plan(second)
        assert plans() == ([first], [second])
        with crm.unit_of_work() as uow:
            before, _ = uow.turns.advance(1)
            uow.turns.move(Cursor(before.cycle + 1, 1), new_cycle=True)
        assert plans() == ([second], [second])

    def test_a_reset_begins_a_new_cycle(self, crm: Crm) -> None:
        """With the newest plan, at its first place."""
        first, second = employee(crm), employee(crm)
        for who in (first, second):
            with crm.unit_of_work() as uow:
                uow.turns.set_plan([RotationEntry(employee_id=who)], "rounds", NOW)
        before, _ = read(crm, lambda uow: uow.turns.peek())
        with crm.unit_of_work() as uow:
            uow.turns.reset()
        after, roster = read(crm, lambda uow: uow.turns.peek())
        assert after == Cursor(before.cycle + 1, 0)
        assert [e.employee_id for e in roster.plan] == [second]

    def test_who_changed_is_seen_at_the_next_turn(self, crm: Crm) -> None:
        """Nothing that was remembered outlives ``people_changed``."""
        number = employee(crm)
        with crm.unit_of_work() as uow:
            uow.turns.set_plan([RotationEntry(employee_id=number)], "rounds", NOW)
        _, roster = read(crm, lambda uow: uow.turns.peek())
        assert roster.mates[number].employee.on_duty
        with crm.unit_of_work() as uow:
            uow.records.save(changed(roster.mates[number].employee, on_duty=False))
            uow.turns.people_changed()
        _, roster = read(crm, lambda uow: uow.turns.peek())
        assert not roster.mates[number].employee.on_duty

    def test_what_was_rolled_back_is_not_remembered(self, crm: Crm) -> None:
        """A plan and rules that never came to be decide nothing, not even in the same process."""
        ghost, real = employee(crm, "李"), employee(crm, "赵")

        def arrange(consultant: int, days: int, *, fail: bool) -> tuple[int, int]:
            with crm.unit_of_work() as uow:
                uow.pool_rules_changing()
                for rule in uow.records.all(PoolRule):
                    uow.records.remove(PoolRule, rule.id or 0)
                uow.records.add(PoolRule(position=0, contact_days=days))
                uow.turns.set_plan([RotationEntry(employee_id=consultant)], "rounds", NOW)
                found = _arranged(uow)
                if fail:
                    raise NotFound(what="x", id=0)
                return found

        refusal(NotFound, lambda: arrange(ghost, 7, fail=True))
        assert arrange(real, 9, fail=False) == (real, 9)
        assert read(crm, _arranged) == (real, 9)

    # -- the outbox --------------------------------------------------------------------------

    def test_a_key_is_written_once(self, crm: Crm) -> None:
        """By whichever way, and however often."""
        number = employee(crm)
        with crm.unit_of_work() as uow:
            uow.notices.add([_notice(number, "k"), _notice(number, "k")])
        with crm.unit_of_work() as uow:
            assert uow.notices.add_new([_notice(number, "k"), _notice(number, "l")]) == 1
        assert len(read(crm, lambda uow: uow.notices.page(Query()))) == 2

    def test_a_notice_is_leased_to_one(self, crm: Crm) -> None:
        """Of many who ask at once, each gets others; the attempt is counted."""
        number = employee(crm)
        with crm.unit_of_work() as uow:
            uow.notices.add([_notice(number, f"k{i}") for i in range(12)])

        def lease(_: int) -> list[int]:
            with crm.unit_of_work() as uow:
                found = uow.notices.lease(NOW, 60, 4)
                assert all((n.attempts, n.fence) == (1, 1) for n in found)
                assert all(n.leased_until is not None for n in found)
                return [n.id or 0 for n in found]

        leased = [n for part in together(4, lease) for n in part]
        assert len(leased) == len(set(leased))
        with crm.unit_of_work() as uow:
            rest = [n.id for n in uow.notices.lease(NOW, 60, 100)]
        assert len({*leased, *rest}) == 12 == len(leased) + len(rest)

    def test_a_lease_ends_by_the_database_s_own_clock(self, crm: Crm) -> None:
        """Whatever the clock of the program says, of which the lease knows nothing."""
        number = employee(crm)
        with crm.unit_of_work() as uow:
            uow.notices.add([_notice(number)])
        with crm.unit_of_work() as uow:
            assert len(uow.notices.lease(NOW, 0.4, 100)) == 1
        with crm.unit_of_work() as uow:
            assert uow.notices.lease(NOW + timedelta(days=1), 0.4, 100) == ()
        time.sleep(0.5)
        with crm.unit_of_work() as uow:
            [again] = uow.notices.lease(NOW, 60, 100)
        assert (again.attempts, again.fence) == (2, 2)

    def test_a_lease_of_a_clock_set_back_since_counts_for_nothing(self, crm: Crm) -> None:
        """It would keep the notice for years; one that is a little long is believed."""
        number = employee(crm)
        with crm.unit_of_work() as uow:
            uow.notices.add([_notice(number)])
        with crm.unit_of_work() as uow:
            assert len(uow.notices.lease(NOW, 700, 1)) == 1
        with crm.unit_of_work() as uow:
            assert uow.notices.lease(NOW, 200, 1) == ()
            assert len(uow.notices.lease(NOW, 60, 1)) == 1

    def test_only_the_present_lease_settles(self, crm: Crm) -> None:
        """Who was taken over, comes too late."""
        number = employee(crm)
        late, present = self._taken_over(crm, number)
        with crm.unit_of_work() as uow:
            assert not uow.notices.settle([changed(late, status=NoticeStatus.DEAD, error="x")])
            assert not uow.notices.settle([changed(late, attempts=0, next_attempt_at=NOW)])
            assert uow.notices.settle([_sent(present)]) == {present.id}
            assert not uow.notices.settle([changed(present, status=NoticeStatus.DEAD, error="x")])
            assert not _resent(uow, present)

    def test_a_resent_notice_is_another_s(self, crm: Crm) -> None:
        """Resending begins to count anew, and yet who held it before does not settle it."""
        number = employee(crm)
        with crm.unit_of_work() as uow:
            uow.notices.add([_notice(number)])
        with crm.unit_of_work() as uow:
            [first] = uow.notices.lease(NOW, 60, 1)
            assert not _resent(uow, first)
            uow.notices.settle([changed(first, status=NoticeStatus.FAILED, next_attempt_at=NOW)])
        with crm.unit_of_work() as uow:
            assert _resent(uow, first)
        with crm.unit_of_work() as uow:
            [second] = uow.notices.lease(NOW, 60, 1)
        assert (second.attempts, first.attempts) == (1, 1)
        with crm.unit_of_work() as uow:
            assert not uow.notices.settle([_sent(first)])
            assert uow.notices.settle([_sent(second)]) == {second.id}

    def test_what_was_not_tried_is_given_back(self, crm: Crm) -> None:
        """Due at the moment given, and without the attempt that the lease counted."""
        number = employee(crm)
        with crm.unit_of_work() as uow:
            uow.notices.add([_notice(number, f"k{i}") for i in range(3)])
        with crm.unit_of_work() as uow:
            sent, *rest = uow.notices.lease(NOW, 60, 3)
            uow.notices.settle([changed(n, attempts=0, next_attempt_at=NOW) for n in rest])
        with crm.unit_of_work() as uow:
            again = uow.notices.lease(NOW, 60, 3)
        assert {(n.id, n.attempts, n.fence) for n in again} == {(n.id, 1, 2) for n in rest}
        with crm.unit_of_work() as uow:
            assert uow.notices.settle([_sent(sent)]) == {sent.id}

    def test_a_cancelled_notice_is_not_settled(self, crm: Crm) -> None:
        """Its lease ends with it, and whoever held it writes nothing over that."""
        number = employee(crm)
        with crm.unit_of_work() as uow:
            uow.notices.add([_notice(number)])
        with crm.unit_of_work() as uow:
            [held] = uow.notices.lease(NOW, 60, 1)
            assert uow.notices.cancel("customer:1") == 1
            assert not uow.notices.settle([_sent(held)])
        [kept] = read(crm, lambda uow: uow.notices.page(Query())).items
        assert (kept.status, kept.leased_until) == (NoticeStatus.CANCELLED, None)

    def test_many_are_resent_by_what_they_are(self, crm: Crm) -> None:
        """By status, channel, event and number; not what was sent or has expired."""
        number = employee(crm)
        over = _notice(number, "k9")
        with crm.unit_of_work() as uow:
            uow.notices.add([_notice(number, f"k{i}") for i in range(3)])
            uow.notices.add([changed(over, expires_at=NOW + timedelta(hours=1))])
        with crm.unit_of_work() as uow:
            sent, *others = uow.notices.lease(NOW, 60, 9)
            uow.notices.settle(
                [_sent(sent)]
                + [changed(n, status=NoticeStatus.DEAD, error="x") for n in others[1:]]
                + [changed(others[0], status=NoticeStatus.FAILED, error="x")]
            )
        every = (NoticeStatus.DEAD, NoticeStatus.FAILED, NoticeStatus.SENT)

        def resent(**only: Any) -> int:
            with crm.unit_of_work() as uow:
                return uow.notices.resend(NOW, **{"statuses": every} | only)

        assert resent(channel="pigeon") == resent(event=Event.NOBODY) == resent(ids=[]) == 0
        assert resent(statuses=[NoticeStatus.FAILED], event=Event.ASSIGNED, channel="console") == 1
        with crm.unit_of_work() as uow:
            assert uow.notices.resend(NOW + timedelta(hours=1), statuses=every) == 1
        assert resent() == 1
        kept = read(crm, lambda uow: uow.notices.page(Query())).items
        assert sorted(n.status.value for n in kept) == ["pending"] * 3 + ["sent"]
        assert {n.error for n in kept} == {None}

    def test_the_backlog_is_counted(self, crm: Crm) -> None:
        """What waits by its status, what is dead, and since when the oldest has been due."""
        number = employee(crm)
        assert read(crm, lambda uow: uow.notices.backlog(NOW)).due_since is None
        with crm.unit_of_work() as uow:
            uow.notices.add([_notice(number, f"k{i}") for i in range(4)])
        with crm.unit_of_work() as uow:
            sent, dead, failed = uow.notices.lease(NOW, 60, 3)
            hour = NOW + timedelta(hours=1)
            uow.notices.settle([
                _sent(sent), changed(dead, status=NoticeStatus.DEAD, error="x"),
                changed(failed, status=NoticeStatus.FAILED, next_attempt_at=hour),
            ])  # fmt: skip
        found = read(crm, lambda uow: uow.notices.backlog(NOW))
        assert {s.value: n for s, n in found.waiting.items()} == {
            "pending": 1, "failed": 1, "dead": 1,
        }  # fmt: skip
        assert found.due_since == NOW
        assert read(crm, lambda uow: uow.notices.backlog(NOW - timedelta(1))).due_since is None
        with crm.unit_of_work() as uow:
            uow.notices.lease(NOW, 60, 9)
        assert read(crm, lambda uow: uow.notices.backlog(hour)).due_since == hour

    def test_an_inbox_holds_one_s_own_messages(self, crm: Crm) -> None:
        """Nobody reads or marks another's, and what went out by other channels is not in it."""
        one, other = employee(crm), employee(crm)
        with crm.unit_of_work() as uow:
            uow.notices.add(
                [changed(_notice(p, f"k{p}{i}"), channel="inapp")
                 for p in (one, other) for i in range(3)] + [_notice(one, "c")]
            )  # fmt: skip
        with crm.unit_of_work() as uow:
            mine = uow.notices.inbox(one, Query(), unread_only=False).items
            assert uow.notices.unread(one) == 3 == len(mine)
            assert uow.notices.mark_read(other, [n.id or 0 for n in mine], NOW) == 0
            assert uow.notices.mark_read(one, [mine[0].id or 0], NOW) == 1
            assert uow.notices.mark_read(one, [mine[0].id or 0], NOW + timedelta(1)) == 0
            assert uow.notices.unread(one) == 2
            unread = uow.notices.inbox(one, Query(), unread_only=True).items
            assert [n.id for n in unread] == [n.id for n in mine[1:]]
            assert uow.notices.mark_read(one, None, NOW) == 2
            assert (uow.notices.unread(one), uow.notices.unread(other)) == (0, 3)
            assert {n.read_at for n in uow.notices.inbox(one, Query(), unread_only=False)} == {NOW}

    def test_a_session_is_read_with_the_rights_of_the_moment(self, crm: Crm) -> None:
        """Neither expired, nor idle, nor ended, nor of a disabled account."""
        with crm.unit_of_work() as uow:
            rights = [uow.records.add(Permission(code=f"x:{n}", title=n)).id or 0 for n in "ab"]
            roles = [
                uow.records.add(Role(title=t, permissions=tuple(held), scope=scope)).id or 0
                for t, held, scope in (("r", rights, Scope.OWN), ("s", rights[:1], Scope.ALL))
            ]
            user = uow.records.add(User(username="li", roles=tuple(roles)))
            uow.records.add(a_session(user.id or 0))
        asked: dict[str, Any] = {"now": NOW, "idle_since": NOW - timedelta(hours=1), "today": TODAY}

        def resumed(**other: Any) -> Any:
            return read(crm, lambda uow: uow.sign_ins.resume("a" * 64, **{**asked, **other}))

        found = resumed()
        assert (found.username, found.permissions) == ("li", {"x:a", "x:b"})
        assert sorted(found.scopes) == sorted([Scope.OWN, Scope.ALL])
        assert resumed(now=NOW + timedelta(hours=12)) is None
        assert resumed(idle_since=NOW) is None
        assert read(crm, lambda uow: uow.sign_ins.resume("b" * 64, **asked)) is None
        with crm.unit_of_work() as uow:
            assert uow.sign_ins.end(now=NOW, user_id=user.id, keep=found.id) == 0
            assert uow.sign_ins.end(now=NOW - timedelta(days=1), id=found.id) == 1
            assert uow.sign_ins.end(now=NOW, id=found.id) == 0
        assert resumed() is None

    def test_a_session_tells_whether_the_menu_is_another(self, crm: Crm) -> None:
        """Whatever is added, changed or removed, and in whatever order."""
        with crm.unit_of_work() as uow:
            user = uow.records.add(User(username="li"))
            uow.records.add(a_session(user.id or 0))
        seen = []

        def look() -> None:
            found = read(crm, lambda uow: uow.sign_ins.resume(
                "a" * 64, now=NOW, idle_since=NOW - timedelta(hours=1), today=TODAY))  # fmt: skip
            assert found is not None
            seen.append(found.arranged)

        look()
        with crm.unit_of_work() as uow:
            menu = uow.records.add(Menu(title="m"))
        look()
        with crm.unit_of_work() as uow:
            group = uow.records.add(PermissionGroup(title="g", menu_id=menu.id))
            made = uow.records.add(Permission(code="x:a", title="a", group_id=group.id))
        look()
        with crm.unit_of_work() as uow:
            uow.records.save(changed(made, group_id=None))
        look()
        with crm.unit_of_work() as uow:
            uow.records.remove(PermissionGroup, group.id or 0)
            uow.records.add(PermissionGroup(title="h", menu_id=menu.id))
        look()
        assert len(set(seen)) == 5
        look()
        assert seen[-1] == seen[-2]

    def test_a_snapshot_shows_one_state_until_its_thread_writes(self, crm: Crm) -> None:
        """What others write meanwhile is not seen, what one writes oneself is."""

        def names() -> list[str]:
            return read(crm, lambda uow: [e.name for e in uow.records.all(Employee)])

        def others_add(name: str) -> None:
            with ThreadPoolExecutor(1) as other:
                other.submit(employee, crm, name).result()

        employee(crm, "a")
        with crm.snapshot():
            assert names() == ["a"]
            others_add("b")
            with crm.snapshot():
                assert names() == ["a"]
            assert names() == ["a"]
            employee(crm, "c")
            assert names() == ["a", "b", "c"]
            others_add("d")
            with suppress(ZeroDivisionError), crm.unit_of_work(read_only=True):
                raise ZeroDivisionError
            assert names() == ["a", "b", "c", "d"]
        others_add("e")
        assert names() == ["a", "b", "c", "d", "e"]

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

    def test_tries_are_counted_and_forgiven(self, crm: Crm) -> None:
        """Of many at once no more pass than are free."""

        def attempt(_: int) -> bool:
            with crm.unit_of_work() as uow:
                return uow.sign_ins.attempt("k", now=NOW, free=3) is None

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(attempt, range(8))) == 3
        with crm.unit_of_work() as uow:
            free_at = uow.sign_ins.attempt("k", now=NOW, free=3)
            assert free_at is not None
            assert free_at > NOW
            uow.sign_ins.forgive("k", now=NOW, shared=True)
            assert uow.sign_ins.attempt("k", now=NOW, free=3) is None
            uow.sign_ins.forgive("k", now=NOW, shared=False)
            assert uow.sign_ins.attempt("k", now=NOW, free=2) is None

    def test_a_link_is_used_once(self, crm: Crm) -> None:
        """And a new one takes the place of the old."""
        with crm.unit_of_work() as uow:
            user = uow.records.add(User(username="li")).id or 0
            for mark in "ab":
                uow.sign_ins.issue(
                    ResetLink(user_id=user, token_sha256=mark * 64, created_at=NOW,
                              expires_at=NOW + timedelta(hours=1))
                )  # fmt: skip

        def redeem(mark: str) -> int | None:
            with crm.unit_of_work() as uow:
                return uow.sign_ins.redeem(mark * 64, now=NOW)

        with ThreadPoolExecutor(4) as pool:
            used = list(pool.map(redeem, "aabbbb"))
        assert [u for u in used if u is not None] == [user]
        assert read(crm, lambda uow: uow.sign_ins.link("b" * 64, now=NOW)) is None

    def _taken_over(self, crm: Crm, number: int) -> tuple[Notice, Notice]:
        """Lease a notice, let the lease end, and lease it again."""
        with crm.unit_of_work() as uow:
            uow.notices.add([_notice(number)])
        with crm.unit_of_work() as uow:
            [late] = uow.notices.lease(NOW, 0.05, 1)
        time.sleep(0.1)
        with crm.unit_of_work() as uow:
            [present] = uow.notices.lease(NOW, 60, 1)
        return late, present


def _sent(one: Notice) -> Notice:
    return changed(one, status=NoticeStatus.SENT, sent_at=NOW)


def _resent(uow: UnitOfWork, one: Notice) -> int:
    statuses = (NoticeStatus.DEAD, NoticeStatus.FAILED)
    return uow.notices.resend(NOW, ids=[one.id or 0], statuses=statuses)


def a_session(user_id: int) -> SignIn:
    """Make a session that begins now."""
    return SignIn(user_id=user_id, token_sha256="a" * 64, created_at=NOW, seen_at=NOW,
                  expires_at=NOW + timedelta(hours=12))  # fmt: skip


def _notice(recipient: int, key: str = "k") -> Notice:
    return Notice(
        recipient_id=recipient, subject="x", body="x", event=Event.ASSIGNED, about="customer:1",
        channel="console", idempotency_key=key, created_at=NOW,
    )  # fmt: skip
