"""What every Storage keeps to, ours or a plugin's.

Subclass ``StorageContract`` in a test module and give it a fixture ``crm``: a `Crm` on a new,
prepared database, whose clock may stand still. Every test begins with an empty school.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

from crm_domain.errors import Duplicate, EditConflict, InUse, NotFound
from crm_domain.model import (
    Assignment,
    AssignmentMethod,
    AssignmentStatus,
    AuditEntry,
    Course,
    Customer,
    Department,
    Employee,
    Permission,
    PoolRule,
    Role,
    RotationEntry,
    Scope,
    User,
)
from crm_domain.model.fields import changed
from crm_domain.ports import HAS_PASSWORD, Closing, Crm, Query, Reach, UnitOfWork
from crm_domain.rules.pool import ALWAYS, NEVER, shown
from crm_domain.rules.rotation import Cursor
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
    history_of,
    owned,
    read,
    refusal,
    together,
)
from crm_domain.testing.storage_counts import CountsPart
from crm_domain.testing.storage_forms import FormsPart
from crm_domain.testing.storage_imports import ImportsPart
from crm_domain.testing.storage_lists import ListsPart
from crm_domain.testing.storage_outbox import OutboxPart
from crm_domain.testing.storage_sign_ins import SignInsPart


def _arranged(uow: UnitOfWork) -> tuple[int, int]:
    """Tell the first consultant of the plan and the days of the first rule."""
    _, roster = uow.turns.peek()
    [rule] = uow.pool_rules().rules
    return roster.next_plan[0].employee_id, rule.contact_days


class StorageContract(ListsPart, CountsPart, OutboxPart, ImportsPart, SignInsPart, FormsPart):
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
                uow.ownership.open([begun(owned(saved, consultant))], fresh=True)
                uow.notices.add([a_notice(consultant)])
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
                    uow.notices.add([a_notice(person), a_notice(999_999, "k2")])
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
            uow.ownership.open([begun(owned(saved, consultant))], fresh=True)
            uow.notices.add([a_notice(consultant)])
            uow.audit(AuditEntry(at=NOW, action="x", record="Course"))
            found = uow.customers.get(saved.id or 0)
            assert found is not None
            assert found.owner_id == consultant
            assert len(uow.customers.history(saved.id or 0)) == 1
            assert len(uow.notices.page(Query())) == 1
            assert len(uow.records.all(AuditEntry)) == 1

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
            uow.ownership.publish([c for c in saved if c is not None])
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
                    uow.ownership.publish([saved])
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
            uow.ownership.keep(changed(before, locked=True, due_on=NEVER))
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

    def test_accounts_are_told_and_counted_within_a_reach(self, crm: Crm) -> None:
        """Of the employees within it; of nobody's only to whoever sees all."""
        with crm.unit_of_work() as uow:
            place = uow.records.add(Department(code=1, title="部")).id
        me, mate, far, bare = (
            employee(crm, name=name, department_id=d)
            for name, d in (("甲", place), ("乙", place), ("丙", None), ("丁", place))
        )
        with crm.unit_of_work() as uow:
            role = uow.records.add(Role(title="角色", scope=Scope.OWN)).id or 0
            for name, who, roles, hashed in (
                ("c-me", me, (role,), "x"), ("b-mate", mate, (role,), None),
                ("a-far", far, (), None), ("program", None, (role,), None),
            ):  # fmt: skip
                uow.records.add(
                    User(username=name, employee_id=who, roles=roles, password_hash=hashed)
                )
        told = {
            Scope.OWN: (["c-me"], 1, {}),
            Scope.DEPARTMENT: (["b-mate", "c-me"], 2, {bare: "丁"}),
            Scope.ALL: (["a-far", "b-mate", "c-me", "program"], 3, {bare: "丁"}),
        }
        for scope, (names, having, without) in told.items():
            reach = Reach(scope=scope, employee_id=me, department_id=place)
            with crm.unit_of_work(read_only=True) as uow:
                directory = uow.directory
                assert [u.username for u in directory.accounts(Query(), reach)] == names
                assert directory.role_counts(reach) == {role: having}
                assert directory.without_account(reach, 9) == without
                tally = directory.tally_accounts(Query(), [HAS_PASSWORD], reach)
                assert (tally.total, tally.by[HAS_PASSWORD].get(True)) == (len(names), 1)
        whole = Reach(scope=Scope.ALL)
        for query, names in (
            (Query(search="乙"), ["b-mate"]), (Query(search="C-M"), ["c-me"]),
            (Query(where={HAS_PASSWORD: True}), ["c-me"]),
            (Query(where={"roles": role}, sort="-username"), ["program", "c-me", "b-mate"]),
        ):  # fmt: skip
            with crm.unit_of_work(read_only=True) as uow:
                assert [u.username for u in uow.directory.accounts(query, whole)] == names
                assert uow.directory.tally_accounts(query, (), whole).total == len(names)

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
                    return uow.ownership.win(new, expected, TODAY)

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
                    uow.ownership.close(Closing(expected.assignment_id, lapsed, NOW, 3))
                return uow.ownership.win(begun(owned(expected, second)), expected, today)

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
            assert uow.falling_due.overdue_counts(DUE) == {(first, 3): 2, (second, 3): 1}
            assert {e.customer_id for e in uow.falling_due.overdue(DUE, 10)} == {*due, other}
            [taken] = uow.falling_due.sweep(DUE, NOW, 2)
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
        assert read(crm, lambda uow: uow.falling_due.overdue_counts(DUE)) == {(second, 3): 1}

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
            found = read(crm, lambda uow: uow.ownership.load([first, second], day))
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
