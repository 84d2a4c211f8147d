"""Access (spec section 10): who sees, who may, and what nobody gets at sideways."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import attrs
import pytest

from crm_domain import SYSTEM, Crm
from crm_domain.errors import (
    Duplicate,
    EditConflict,
    GuardedField,
    Invalid,
    NotFound,
    NotOwner,
    NotPermitted,
)
from crm_domain.model import (
    AuditEntry,
    Customer,
    CustomerStatus,
    Department,
    Employee,
    RotationEntry,
    Scope,
    User,
    specs,
)
from crm_domain.model.fields import changed
from crm_domain.ports import Query
from crm_domain.rules.access import Principal
from crm_domain.usecases import (
    access,
    assignment,
    audit_log,
    exports,
    figures,
    follow_up,
    imports,
    intake,
    notices,
    payments,
    pool,
    pool_rules,
    records,
    timeline,
)
from make import World, phone
from steps import login
from strategies import local


def names(page: Any) -> list[str]:
    return sorted(c.name for c in page)


# -- a consultant and the customers of others -------------------------------------------------


def test_a_consultant_never_sees_anothers_customer(world: World) -> None:
    """No list, search, filter, range, history or timeline tells that it is there."""
    # given
    secret = world.customer(world.a, name="欧阳娜娜", qq="2233445566", wechat="nana_ouyang")
    number = secret.id or 0
    follow_up.log_follow_up(world.crm, number, {"note": "机密"}, by=world.a)
    mine = world.customer(world.b, name="孙悟空")
    # when / then
    queries = [
        Query(), Query(search="欧阳"), Query(search="ouyang"), Query(search=secret.phone),
        Query(search="2233445566"), Query(search="nana"), Query(where={"phone": secret.phone}),
        Query(where={"owner_id": world.a.employee_id}), Query(where={"id": number}),
        Query(ranges={"id": (number, number)}), Query(sort="-name"),
        Query(where={"last_consultant_id": world.a.employee_id}),
    ]  # fmt: skip

    def found(query: Query) -> list[int | None]:
        listed = [c.id for c in intake.list_customers(world.crm, query, by=world.b)]
        searched = Query(search=query.search)
        rows = [r.customer_id for r in assignment.my_customers(world.crm, searched, by=world.b)]
        return listed + rows

    for query in queries:
        assert secret.id not in found(query)
        if "phone" not in query.where:
            public = pool.public_customers(world.crm, query, by=world.b)
            assert secret.id not in [c.id for c in public]
    assert names(intake.list_customers(world.crm, by=world.b)) == [mine.name]
    for read in (intake.get_customer, assignment.history, assignment.current, follow_up.timeline,
                 timeline.timeline):  # fmt: skip
        with pytest.raises(NotFound):
            read(world.crm, number, by=world.b)


def test_a_consultant_changes_nothing_of_anothers_customer(world: World) -> None:
    """Editing, following up, giving back and paying are refused, and nothing is written."""
    # given
    customer = world.customer(world.a)
    number = customer.id or 0
    before = intake.get_customer(world.crm, number, by=SYSTEM)
    # when
    with pytest.raises(NotFound):
        intake.edit_customer(world.crm, number, {"name": "x"}, version=1, by=world.b)
    with pytest.raises(NotOwner):
        follow_up.log_follow_up(world.crm, number, {"note": "x"}, by=world.b)
    with pytest.raises(NotOwner):
        pool.release_customer(world.crm, number, by=world.b)
    typed = {"customer_id": number, "kind": "deposit", "amount": 1, "paid_on": date(2026, 11, 1)}
    with pytest.raises(NotFound):
        payments.record_payment(world.crm, typed, by=world.b)
    # then
    assert intake.get_customer(world.crm, number, by=SYSTEM) == before
    assert follow_up.timeline(world.crm, number, by=SYSTEM) == ()


def test_a_missing_customer_and_anothers_look_the_same(world: World) -> None:
    """The refusal does not tell whether the number is somebody's."""
    number = world.customer(world.a).id or 0
    with pytest.raises(NotFound) as theirs:
        intake.get_customer(world.crm, number, by=world.b)
    with pytest.raises(NotFound) as missing:
        intake.get_customer(world.crm, number + 1000, by=world.b)
    assert theirs.value.message("zh").replace(str(number), "?") == (
        missing.value.message("zh").replace(str(number + 1000), "?")
    )


def test_a_duplicate_tells_status_and_owner_only(world: World) -> None:
    """While typing a contact, one learns whose it is, and neither name nor number."""
    # given
    customer = world.customer(world.a, name="欧阳娜娜", qq="2233445566")
    # when
    [found] = intake.find_duplicates(world.crm, {"qq": "2233445566"}, by=world.b)
    # then
    assert (found.field, found.status, found.public, found.owner_name) == (
        "qq", CustomerStatus.NOT_ENROLLED, False, "李雷"
    )  # fmt: skip
    assert customer.name not in repr(found)
    assert (customer.phone or "") not in repr(found)


def test_the_pool_cannot_be_asked_for_contact_data(world: World) -> None:
    """What is masked can be neither filtered, ranged nor sorted by, so nobody can guess it out."""
    # given
    world.customer(phone="13900001234", wechat="wang_fang")
    queries = [
        Query(where={"phone": "13900001234"}), Query(sort="wechat"), Query(sort="-phone"),
        Query(ranges={"phone": ("13900000000", "13900002000")}), Query(where={"memo": "x"}),
    ]  # fmt: skip
    # when / then
    for query in queries:
        with pytest.raises(Invalid):
            pool.public_customers(world.crm, query, by=world.b)


def test_a_public_customers_contacts_are_masked_for_who_cannot_assign(world: World) -> None:
    """Also in the lists of somebody who sees the whole school's customers, such as finance."""
    # given
    customer = world.customer()
    finance = world.person("钱多", "finance")
    # when
    [listed] = intake.list_customers(world.crm, by=finance)
    read = intake.get_customer(world.crm, customer.id or 0, by=finance)
    # then
    assert listed.phone == read.phone != customer.phone


# -- scopes -----------------------------------------------------------------------------------


@pytest.fixture
def company(world: World) -> dict[str, Principal]:
    """Put people into three departments: the world's, one below it, and one beside it."""

    def department(code: int, parent: int | None = None) -> int:
        made = Department(code=code, title=f"部门{code}", parent_id=parent)
        return records.save_record(world.crm, made, by=SYSTEM).id or 0

    below = department(9001, world.department.id)
    deeper = department(9002, below)
    beside = department(9003)
    return {
        "below": world.person("下", department_id=below),
        "deeper": world.person("深", department_id=deeper),
        "beside": world.person("旁", department_id=beside),
        "nowhere": world.person("无", department_id=None),
    }


@pytest.mark.parametrize(
    ("scope", "sees"),
    [
        (Scope.OWN, []),
        (Scope.DEPARTMENT, ["上"]),
        (Scope.DEPARTMENT_AND_BELOW, ["上", "下", "深"]),
        (Scope.ALL, ["上", "下", "旁", "无", "深"]),
    ],
)
def test_a_scope_reaches_so_far(
    world: World, company: dict[str, Principal], scope: Scope, sees: list[str]
) -> None:
    """Lists, single reads, histories and changes agree on whose customers are within reach."""
    # given
    placed = {"下": "below", "深": "deeper", "旁": "beside", "无": "nowhere"}
    owners = {"上": world.a} | {name: company[place] for name, place in placed.items()}
    customers = {n: world.customer(owner, name=n) for n, owner in owners.items()}
    access.set_role(world.crm, "范围", permissions=[
        "customer:view", "customer:edit", "customer:transfer", "customer:lock",
    ], scope=scope, by=SYSTEM)  # fmt: skip
    boss = world.person("主任", "范围")
    # when / then
    assert names(intake.list_customers(world.crm, by=boss)) == sorted(sees)
    assert intake.tally_customers(world.crm, by=boss).total == len(sees)
    assert assignment.tally_assignments(world.crm, by=boss).total == len(sees)
    for name, customer in customers.items():
        number = customer.id or 0
        acts: list[Callable[[], Any]] = [
            lambda n=number: intake.get_customer(world.crm, n, by=boss),
            lambda n=number: assignment.history(world.crm, n, by=boss),
            lambda n=number: follow_up.timeline(world.crm, n, by=boss),
            lambda n=number: timeline.timeline(world.crm, n, by=boss),
            lambda n=number: intake.edit_customer(world.crm, n, {"memo": "x"}, version=1, by=boss),
            lambda n=number: assignment.lock_customer(world.crm, n, reason="x", by=boss),
        ]
        for act in acts:
            if name in sees:
                assert act() is not None
            else:
                with pytest.raises(NotFound):
                    act()


def test_a_manager_gives_only_within_reach(world: World, company: dict[str, Principal]) -> None:
    """Neither to a consultant outside, nor a customer of one outside."""
    # given
    outside = company["beside"]
    pooled, theirs = world.customer().id or 0, world.customer(outside).id or 0
    mine = world.customer(world.a).id or 0
    # when / then
    for consultant in (outside.employee_id or 0, 404):
        with pytest.raises(NotFound):
            assignment.assign_customer(world.crm, pooled, consultant, by=world.manager)
        with pytest.raises(NotFound):
            assignment.transfer_customer(world.crm, mine, consultant, by=world.manager)
    with pytest.raises(NotFound):
        assignment.transfer_customer(world.crm, theirs, world.a.employee_id or 0, by=world.manager)
    with pytest.raises(NotOwner):
        pool.release_customer(world.crm, theirs, by=world.manager)
    assert intake.get_customer(world.crm, mine, by=world.a).owner_id == world.a.employee_id


def test_a_manager_enters_customers_for_consultants_within_reach(
    world: World, company: dict[str, Principal]
) -> None:
    """Whoever is outside, or is nobody, is not found, and the customer is not kept."""
    typed = {"name": "甲", "phone": phone()}
    for consultant in (company["beside"].employee_id, company["nowhere"].employee_id, 404):
        with pytest.raises(NotFound):
            intake.register_customer(world.crm, typed, consultant_id=consultant, by=world.manager)
    for within in (world.a, company["below"]):
        made = intake.register_customer(
            world.crm, typed | {"phone": phone()}, consultant_id=within.employee_id,
            by=world.manager,
        )  # fmt: skip
        assert made.owner_id == within.employee_id
    assert intake.register_customer(world.crm, typed, by=SYSTEM).id


def test_a_consultant_enters_customers_for_oneself_where_a_setting_allows(world: World) -> None:
    """Whatever the scope; for a colleague it needs the permission all the same."""
    typed = {"name": "甲", "phone": phone()}
    with pytest.raises(NotPermitted):
        intake.register_customer(world.crm, typed, consultant_id=world.a.employee_id, by=world.a)
    allowed = attrs.evolve(
        world.crm, settings=attrs.evolve(world.crm.settings, assign_oneself=True)
    )
    with pytest.raises(NotPermitted):
        intake.register_customer(allowed, typed, consultant_id=world.b.employee_id, by=world.a)
    made = intake.register_customer(allowed, typed, consultant_id=world.a.employee_id, by=world.a)
    assert made.owner_id == world.a.employee_id


@pytest.mark.parametrize("consultant", [True, False])
def test_who_enters_a_customer_waits_for_the_pool_rules_first(
    world: World, consultant: bool
) -> None:
    """Nothing is locked while somebody changes them, and the clock is read afterwards."""
    number = world.a.employee_id if consultant else None
    typed = {"name": "甲", "phone": phone()}
    with ThreadPoolExecutor(1) as threads:
        with world.crm.unit_of_work() as uow:
            uow.pool_rules_changing()
            entering = threads.submit(
                intake.register_customer, world.crm, typed, to="pool", consultant_id=number,
                by=SYSTEM,
            )  # fmt: skip
            time.sleep(0.5)
            [mine] = uow.customers.add(
                [Customer(name="乙", phone=typed["phone"], created_at=world.clock())]
            )
            assert mine is not None
            uow.ownership.publish([mine])
            later = world.clock() + timedelta(days=1)
            world.clock.set(later)
        with pytest.raises(Duplicate):
            entering.result(timeout=30)
        entered = intake.register_customer(
            world.crm, typed | {"phone": phone()}, to="pool", consultant_id=number, by=SYSTEM
        )
    assert entered.created_at == later
    assert entered.received_at == (later if consultant else None)


# -- rights -----------------------------------------------------------------------------------


def _use_cases(world: World) -> dict[str, tuple[str, Callable[[Crm, Principal], Any]]]:
    n = world.customer(world.a).id or 0
    e = world.a.employee_id or 0
    return {
        "get": ("customer:view", lambda c, p: intake.get_customer(c, n, by=p)),
        "list": ("customer:view", lambda c, p: intake.list_customers(c, by=p)),
        "mine": ("customer:mine", lambda c, p: assignment.my_customers(c, by=p)),
        "count": ("customer:view", lambda c, p: intake.tally_customers(c, by=p)),
        "count mine": ("customer:mine", lambda c, p: assignment.tally_mine(c, by=p)),
        "count pool": ("pool:view", lambda c, p: pool.tally_public(c, by=p)),
        "count records": ("department:view", lambda c, p: records.tally_records(
            c, Department, by=p)),
        "suggest": ("department:view", lambda c, p: records.suggest(c, Department, "", by=p)),
        "assignments": ("customer:view", lambda c, p: assignment.list_assignments(c, by=p)),
        "count assignments": ("customer:view", lambda c, p: assignment.tally_assignments(c, by=p)),
        "follow-ups": ("customer:view", lambda c, p: follow_up.list_follow_ups(c, by=p)),
        "count follow-ups": ("customer:view", lambda c, p: follow_up.tally_follow_ups(c, by=p)),
        "stream": ("customer:view", lambda c, p: timeline.timeline(c, n, by=p)),
        "my figures": ("customer:mine", lambda c, p: figures.my_figures(c, by=p)),
        "team figures": ("customer:view", lambda c, p: figures.team_figures(
            c, date(2026, 11, 1), date(2026, 11, 30), by=p)),
        "log": ("audit:view", lambda c, p: audit_log.list_entries(c, by=p)),
        "count log": ("audit:view", lambda c, p: audit_log.tally_entries(c, by=p)),
        "export log": ("audit:view", lambda c, p: audit_log.export_entries(c, by=p)),
        "history": ("customer:view", lambda c, p: assignment.history(c, n, by=p)),
        "timeline": ("customer:view", lambda c, p: follow_up.timeline(c, n, by=p)),
        "add": ("customer:add", lambda c, p: intake.register_customer(
            c, {"name": "甲", "phone": phone()}, by=p)),
        "named": ("customer:assign", lambda c, p: intake.register_customer(
            c, {"name": "甲", "phone": phone()}, consultant_id=e, by=p)),
        "similar": ("customer:add", lambda c, p: intake.find_duplicates(c, {}, by=p)),
        "edit": ("customer:edit", lambda c, p: intake.edit_customer(
            c, n, {"memo": "x"}, version=1, by=p)),
        "export": ("customer:export", lambda c, p: exports.export_customers(c, by=p)),
        "follow": ("customer:follow_up", lambda c, p: follow_up.log_follow_up(
            c, n, {"note": "x"}, by=p)),
        "claim": ("customer:claim", lambda c, p: pool.claim_customer(c, n, by=p)),
        "release": ("customer:release", lambda c, p: pool.release_customer(c, n, by=p)),
        "assign": ("customer:assign", lambda c, p: assignment.assign_customer(c, n, e, by=p)),
        "bulk": ("customer:assign", lambda c, p: assignment.assign_customers(c, [n], [e], by=p)),
        "transfer": ("customer:transfer", lambda c, p: assignment.transfer_customer(
            c, n, e, by=p)),
        "hand over": ("customer:transfer", lambda c, p: assignment.hand_over(c, e, [e], by=p)),
        "lock": ("customer:lock", lambda c, p: assignment.lock_customer(
            c, n, reason="x", by=p)),
        "pool": ("pool:view", lambda c, p: pool.public_customers(c, by=p)),
        "sweep": ("pool:sweep", lambda c, p: pool.sweep_pool(c, by=p)),
        "dry run": ("pool:sweep", lambda c, p: pool.sweep_pool(c, dry_run=True, by=p)),
        "warn": ("pool:sweep", lambda c, p: pool.warn_owners(c, by=p)),
        "rules": ("pool:rules", lambda c, p: pool_rules.set_pool_rules(c, [], by=p)),
        "save rules": ("pool:rules", lambda c, p: pool_rules.save_pool_rules(c, [], by=p)),
        "dating": ("pool:rules", lambda c, p: pool_rules.is_dating(c, by=p)),
        "date": ("pool:rules", lambda c, p: pool_rules.date_customers(c, by=p)),
        "plan": ("rotation:edit", lambda c, p: assignment.set_rotation(c, [], by=p)),
        "reset": ("rotation:edit", lambda c, p: assignment.reset_rotation(c, by=p)),
        "show": ("rotation:view", lambda c, p: assignment.show_rotation(c, by=p)),
        "upcoming": ("rotation:view", lambda c, p: assignment.upcoming(c, 3, by=p)),
        "pay": ("payment:add", lambda c, p: payments.record_payment(c, {}, by=p)),
        "reject": ("payment:confirm", lambda c, p: payments.reject_payment(
            c, 1, reason="x", by=p)),
        "deliver": ("notice:deliver", lambda c, p: notices.deliver_due(c, by=p)),
        "resend": ("notice:deliver", lambda c, p: notices.resend(c, 1, by=p)),
        "import": ("customer:import", lambda c, p: imports.import_file(
            c, b"", file_name="x.csv", by=p)),
        "template": ("customer:import", lambda c, p: imports.template(c, by=p)),
        "revert": ("customer:import", lambda c, p: imports.revert_import(c, 1, by=p)),
        "report": ("customer:import", lambda c, p: imports.report_import(c, 1, by=p)),
        "user": ("user:manage", lambda c, p: access.create_user(c, {"username": "x"}, by=p)),
        "active": ("user:manage", lambda c, p: access.set_active(c, "x", True, by=p)),
        "password": ("user:manage", lambda c, p: access.set_password(c, "x", "x" * 8, by=p)),
        "roles": ("user:manage", lambda c, p: access.set_roles(c, "x", [], by=p)),
        "role": ("role:manage", lambda c, p: access.set_role(c, "x", permissions=[], by=p)),
        "save": ("department:edit", lambda c, p: records.save_record(
            c, Department(code=1, title="x"), by=p)),
        "read": ("department:view", lambda c, p: records.get_record(c, Department, 1, by=p)),
        "records": ("department:view", lambda c, p: records.list_records(c, Department, by=p)),
        "remove": ("department:edit", lambda c, p: records.remove_record(
            c, Department, 1, by=p)),
    }  # fmt: skip


def test_every_use_case_needs_its_permission(world: World) -> None:
    """With every other permission it is refused, naming the one that is missing."""
    found = _use_cases(world)
    everything = frozenset(code for code, _ in found.values())
    for name, (code, act) in found.items():
        by = Principal(name="x", employee_id=world.a.employee_id, scope=Scope.ALL,
                       permissions=everything - {code})  # fmt: skip
        with pytest.raises(NotPermitted) as refused:
            act(world.crm, by)
        assert (name, refused.value.permission) == (name, code)


def test_whoever_holds_nothing_may_nothing(world: World) -> None:
    """Deny by default."""
    nobody = Principal(name="nobody", scope=Scope.ALL)
    for _, act in _use_cases(world).values():
        with pytest.raises(NotPermitted):
            act(world.crm, nobody)


def test_a_changed_role_counts_at_the_next_request(world: World) -> None:
    """Rights given or taken are there when the principal is asked for again."""
    # given
    assert access.principal_for(world.crm, username=login(world.crm, world.a)).may("customer:claim")
    # when
    access.set_roles(world.crm, login(world.crm, world.a), ["teacher"], by=SYSTEM)
    # then
    now = access.principal_for(world.crm, username=login(world.crm, world.a))
    assert not now.may("customer:claim")
    assert now.may("lesson:edit")
    access.set_role(world.crm, "teacher", permissions=["course:view"], scope=Scope.ALL, by=SYSTEM)
    now = access.principal_for(world.crm, username=login(world.crm, world.a))
    assert (now.permissions, now.scope) == (frozenset({"course:view"}), Scope.ALL)


def test_several_roles_add_up(world: World) -> None:
    """The permissions of all, and the widest scope."""
    access.set_roles(world.crm, login(world.crm, world.a), ["consultant", "销售主管"], by=SYSTEM)
    now = access.principal_for(world.crm, username=login(world.crm, world.a))
    assert now.may("customer:claim")
    assert now.may("customer:assign")
    assert now.scope is Scope.DEPARTMENT_AND_BELOW


def test_a_disabled_account_is_nobody_at_the_next_request(world: World) -> None:
    """Disabled, it is not found; enabled again, it is as before."""
    before = access.principal_for(world.crm, username=login(world.crm, world.a))
    access.set_active(world.crm, login(world.crm, world.a), False, by=SYSTEM)
    with pytest.raises(NotFound):
        access.principal_for(world.crm, username=login(world.crm, world.a))
    access.set_active(world.crm, login(world.crm, world.a), True, by=SYSTEM)
    assert access.principal_for(world.crm, username=login(world.crm, world.a)) == before


def test_who_has_left_is_nobody_from_that_day_on(world: World) -> None:
    """The account ends with the local day before, without anybody touching it."""
    employee = records.get_record(world.crm, Employee, world.a.employee_id or 0, by=SYSTEM)
    records.save_record(world.crm, changed(employee, left_on=date(2026, 11, 3)), by=SYSTEM)
    world.clock.set(local(date(2026, 11, 2), 23, 59))
    assert (
        access.principal_for(world.crm, username=login(world.crm, world.a)).employee_id
        == employee.id
    )
    world.clock.set(local(date(2026, 11, 3)))
    with pytest.raises(NotFound):
        access.principal_for(world.crm, username=login(world.crm, world.a))


# -- nobody lifts himself ---------------------------------------------------------------------


@pytest.fixture
def clerk(world: World) -> Principal:
    """Make somebody who manages users and sees only what is the clerk's own."""
    access.set_role(world.crm, "人事", permissions=["user:manage", "customer:view"], by=SYSTEM)
    return world.person("人事", "人事")


def test_a_clerk_gives_no_wider_rights_than_the_own(world: World, clerk: Principal) -> None:
    """Neither a new account, nor another's, nor the clerk's own gets what the clerk lacks."""
    for role in ("administrator", "sales_manager", "finance"):
        with pytest.raises(NotPermitted):
            access.create_user(world.crm, {"username": "new", "roles": [role]}, by=clerk)
        for username in (login(world.crm, clerk), login(world.crm, world.a)):
            with pytest.raises(NotPermitted):
                access.set_roles(world.crm, username, [role], by=clerk)
    assert access.principal_for(world.crm, username=login(world.crm, clerk)) == clerk
    with pytest.raises(NotFound):
        access.principal_for(world.crm, username="new")


def test_a_clerk_gives_no_wider_scope_than_the_own(world: World, clerk: Principal) -> None:
    """The same permissions over everybody's customers are wider, too."""
    access.set_role(world.crm, "总览", permissions=["customer:view"], scope=Scope.ALL, by=SYSTEM)
    with pytest.raises(NotPermitted):
        access.create_user(world.crm, {"username": "new", "roles": ["总览"]}, by=clerk)
    access.set_role(world.crm, "旁观", permissions=["customer:view"], by=SYSTEM)
    assert access.set_roles(world.crm, login(world.crm, clerk), ["旁观"], by=clerk).id


def test_a_role_gets_only_what_its_giver_holds(world: World) -> None:
    """Managing roles is no way to any permission."""
    access.set_role(world.crm, "角色", permissions=["role:manage", "course:view"], by=SYSTEM)
    keeper = world.person("角色", "角色")
    with pytest.raises(NotPermitted):
        access.set_role(world.crm, "角色", permissions=["role:manage", "user:manage"], by=keeper)
    assert access.principal_for(world.crm, username=login(world.crm, keeper)) == keeper


def test_an_administrator_arranges_the_consultants(world: World) -> None:
    """Without selling, an administrator makes consultants and keeps their role."""
    # given
    boss = world.person("管理", "administrator")
    assert not boss.may("customer:claim")
    kept = sorted(world.a.permissions - {"payment:add"})
    # when
    access.create_user(world.crm, {"username": "new", "roles": ["consultant"]}, by=boss)
    access.set_role(world.crm, "consultant", permissions=kept, by=boss)
    # then
    now = access.principal_for(world.crm, username="new")
    assert now.may("customer:claim")
    assert not now.may("payment:add")


def test_permissions_that_nobody_declared_are_not_given(world: World) -> None:
    """A mistyped code is refused instead of waiting to mean something."""
    with pytest.raises(NotFound):
        access.set_role(world.crm, "x", permissions=["customer:everything"], by=SYSTEM)


# -- fields that have their own use case ------------------------------------------------------

GUARDED = [n for n, s in specs(Customer).items() if s.guarded and s.kind != "version"]


@pytest.mark.parametrize("name", [*GUARDED, "id", "pinyin", "search", "no_such_field"])
def test_a_guarded_field_is_not_set_by_a_form(world: World, name: str) -> None:
    """Neither when a customer is entered nor when it is edited, also not by an administrator."""
    # given
    customer = world.customer(world.a)
    before = intake.get_customer(world.crm, customer.id or 0, by=SYSTEM)
    value = getattr(world.a, "employee_id", 1)
    # when
    with pytest.raises(Invalid) as entered:
        typed = {"name": "甲", "phone": phone(), name: value}
        intake.register_customer(world.crm, typed, by=SYSTEM)
    with pytest.raises(Invalid) as edited:
        intake.edit_customer(world.crm, customer.id or 0, {name: value}, version=1, by=SYSTEM)
    # then
    assert [p.path for p in entered.value.problems] == [name]
    assert [p.path for p in edited.value.problems] == [name]
    assert intake.get_customer(world.crm, customer.id or 0, by=SYSTEM) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [("password_hash", "x"), ("created_at", "2026-11-01"), ("id", 1), ("permissions", [1])],
)
def test_an_account_is_made_without_guarded_fields(world: World, name: str, value: Any) -> None:
    """A hash of one's own choice would be a password of one's own choice."""
    with pytest.raises(Invalid):
        access.create_user(world.crm, {"username": "new", name: value}, by=SYSTEM)


@pytest.mark.parametrize(
    "record",
    [Customer(name="甲", phone="13800138000"), User(username="x"), RotationEntry(employee_id=1)],
)
def test_records_with_rules_are_not_written_plainly(world: World, record: Any) -> None:
    """Customers, accounts and the plan change by their own use cases only."""
    with pytest.raises(GuardedField):
        records.save_record(world.crm, record, by=SYSTEM)
    with pytest.raises(GuardedField):
        records.remove_record(world.crm, type(record), 1, by=SYSTEM)
    with pytest.raises(GuardedField):
        records.list_records(world.crm, type(record), by=SYSTEM)


@pytest.mark.parametrize(
    "query",
    [Query(where={"password_hash": "x"}), Query(sort="password_hash"), Query(where={"x": 1}),
     Query(sort="pinyin"), Query(ranges={"search": ("a", "b")}), Query(where={"": 1})],
)  # fmt: skip
def test_a_query_names_only_fields(world: World, query: Query) -> None:
    """Columns that are no fields are refused, not passed on."""
    with pytest.raises(Invalid):
        intake.list_customers(world.crm, query, by=SYSTEM)


# -- editing ----------------------------------------------------------------------------------


def test_two_who_edit_at_once_do_not_overwrite_each_other(world: World) -> None:
    """The second is told which version is there now, and nothing of it is written."""
    # given
    customer = world.customer(world.a)
    number = customer.id or 0
    saved = intake.edit_customer(world.crm, number, {"company": "甲"}, version=1, by=world.a)
    # when
    with pytest.raises(EditConflict) as refused:
        intake.edit_customer(world.crm, number, {"company": "乙"}, version=1, by=world.manager)
    # then
    assert (refused.value.seen, refused.value.version) == (1, 2)
    found = intake.get_customer(world.crm, number, by=world.a)
    assert (found.company, found.version) == ("甲", saved.version)


def test_a_follow_up_is_no_edit_conflict(world: World) -> None:
    """Ownership and contacts move beside an open form."""
    customer = world.customer(world.a)
    follow_up.log_follow_up(world.crm, customer.id or 0, {"note": "x"}, by=world.a)
    saved = intake.edit_customer(
        world.crm, customer.id or 0, {"company": "甲"}, version=customer.version, by=world.a
    )
    assert saved.company == "甲"


def test_a_record_that_was_changed_is_not_overwritten(world: World) -> None:
    """Plain records keep to the same."""
    department = world.department
    records.save_record(world.crm, changed(department, title="甲"), by=SYSTEM)
    with pytest.raises(EditConflict):
        records.save_record(world.crm, changed(department, title="乙"), by=SYSTEM)
    found = records.get_record(world.crm, Department, department.id or 0, by=SYSTEM)
    assert found.title == "甲"


def test_a_customer_keeps_one_contact(world: World) -> None:
    """The last way to reach somebody cannot be edited away."""
    customer = world.customer(world.a)
    with pytest.raises(Invalid):
        intake.edit_customer(world.crm, customer.id or 0, {"phone": ""}, version=1, by=world.a)
    found = intake.get_customer(world.crm, customer.id or 0, by=world.a)
    assert found.phone == customer.phone


def test_every_change_is_written_down_with_who_and_what(world: World) -> None:
    """The audit log has the fields that changed; contact data stays out of it."""
    # given
    customer = world.customer(world.a)
    fresh = phone()
    # when
    typed = {"company": "甲", "phone": fresh}
    intake.edit_customer(world.crm, customer.id or 0, typed, version=1, by=world.a)
    # then
    with world.crm.unit_of_work(read_only=True) as uow:
        entry = uow.records.all(AuditEntry, record="Customer", action="update")[-1]
    assert (entry.by_id, entry.record_id, entry.at) == (
        world.a.user_id, customer.id, world.clock(),
    )  # fmt: skip
    assert entry.before is not None
    assert entry.after is not None
    assert entry.before["company"] is None
    assert entry.after["company"] == "甲"
    assert fresh not in repr(entry)
    assert (customer.phone or "") not in repr(entry)
