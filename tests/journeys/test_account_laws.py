"""Accounts, roles and passwords (spec section 10): nobody lifts himself, nobody is locked out."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import attrs
import pytest

from crm_domain import SYSTEM, Crm
from crm_domain.errors import (
    EditConflict,
    Invalid,
    LastAdministrator,
    NotFound,
    NotPermitted,
    ScopeTooWide,
)
from crm_domain.model import AuditEntry, Department, Employee, Role, Scope, User
from crm_domain.model.fields import changed
from crm_domain.ports import Query
from crm_domain.rules.access import Declared, Principal
from crm_domain.usecases import access, records, sessions
from make import World
from steps import login

SECRET = "correct horse"
OTHER = "battery staple"


@pytest.fixture
def clerk(world: World) -> Principal:
    """Make somebody who manages users and sees only what is the clerk's own."""
    access.set_role(world.crm, "人事", permissions=["user:manage", "customer:view"], by=SYSTEM)
    return world.person("人事", "人事")


@pytest.fixture
def head(world: World) -> Principal:
    """Make somebody who manages the users of the department."""
    access.set_role(world.crm, "人事主管", permissions=["user:manage", "customer:view"],
                    scope=Scope.DEPARTMENT, by=SYSTEM)  # fmt: skip
    return world.person("主管", "人事主管")


# -- passwords --------------------------------------------------------------------------------


def test_a_password_that_is_set_opens_the_account(world: World) -> None:
    """From then on only the new one does, and the audit log has who and whose, not the secret."""
    # given
    boss, name = world.person("管理", "administrator"), login(world.crm, world.manager)
    access.set_password(world.crm, name, SECRET, by=boss)
    assert access.sign_in(world.crm, name, SECRET) == world.manager
    # when
    access.set_password(world.crm, name, OTHER, by=boss)
    # then
    with pytest.raises(NotFound):
        access.sign_in(world.crm, name, SECRET)
    assert access.sign_in(world.crm, name, OTHER) == world.manager
    with world.crm.unit_of_work(read_only=True) as uow:
        entries = uow.records.all(AuditEntry, action="set_password")
        user = uow.records.get(User, world.manager.user_id or 0)
    assert [(e.by_id, e.record_id) for e in entries] == [(boss.user_id, world.manager.user_id)] * 2
    assert user is not None
    assert user.password_hash is not None
    for secret in (SECRET, OTHER, user.password_hash):
        assert secret not in repr(entries)


def test_one_changes_the_own_password_by_giving_the_old_one(world: World) -> None:
    """Without it nothing changes; no permission is needed."""
    # given
    name = login(world.crm, world.a)
    access.set_password(world.crm, name, SECRET, by=SYSTEM)
    # when / then
    for wrong in ("wrong horse", "", None, 7):
        with pytest.raises(Invalid) as refused:
            access.change_password(world.crm, wrong, OTHER, by=world.a)  # type: ignore[arg-type]
        assert [(p.path, p.code) for p in refused.value.problems] == [("old", "wrong_password")]
    with pytest.raises(Invalid) as refused:
        access.change_password(world.crm, SECRET, "short", by=world.a)
    assert [p.path for p in refused.value.problems] == ["new"]
    assert access.sign_in(world.crm, name, SECRET) == world.a
    access.change_password(world.crm, SECRET, OTHER, by=world.a)
    assert access.sign_in(world.crm, name, OTHER) == world.a
    with world.crm.unit_of_work(read_only=True) as uow:
        [entry] = uow.records.all(AuditEntry, action="change_password")
    assert (entry.by_id, entry.record_id) == (world.a.user_id, world.a.user_id)
    assert OTHER not in repr(entry)


def test_who_has_no_account_or_no_password_changes_none(world: World) -> None:
    """The program itself, a disabled account, and one that was never given a password."""
    with pytest.raises(NotFound):
        access.change_password(world.crm, SECRET, OTHER, by=SYSTEM)
    with pytest.raises(Invalid):
        access.change_password(world.crm, SECRET, OTHER, by=world.a)
    access.set_password(world.crm, login(world.crm, world.a), SECRET, by=SYSTEM)
    access.set_active(world.crm, login(world.crm, world.a), False, by=SYSTEM)
    with pytest.raises(NotFound):
        access.change_password(world.crm, SECRET, OTHER, by=world.a)


@pytest.mark.parametrize("password", ["1234567", "x" * 129, "", None, 12345678, ["x" * 8]])
def test_a_password_has_8_to_128_characters(world: World, password: object) -> None:
    """Anything else is refused, naming the field."""
    with pytest.raises(Invalid) as refused:
        access.set_password(world.crm, login(world.crm, world.a), password, by=SYSTEM)  # type: ignore[arg-type]
    assert [(p.path, p.code) for p in refused.value.problems] == [("password", "bad_password")]


def test_nobody_sets_the_password_of_an_account_that_holds_more(
    world: World, head: Principal
) -> None:
    """It would be a way to sign in as an administrator."""
    boss = world.person("管理", "administrator")
    access.set_password(world.crm, login(world.crm, boss), SECRET, by=SYSTEM)
    with pytest.raises(NotPermitted):
        access.set_password(world.crm, login(world.crm, boss), OTHER, by=head)
    assert access.sign_in(world.crm, login(world.crm, boss), SECRET) == boss
    with pytest.raises(NotFound):
        access.set_password(world.crm, "nobody", OTHER, by=head)


# -- scopes -----------------------------------------------------------------------------------


@pytest.fixture
def keeper(world: World) -> Principal:
    """Make somebody who manages roles and users and sees one department."""
    access.set_role(
        world.crm, "主任", permissions=["role:manage", "user:manage", "customer:view"],
        scope=Scope.DEPARTMENT, by=SYSTEM,
    )  # fmt: skip
    return world.person("主任", "主任")


WIDER = [Scope.DEPARTMENT_AND_BELOW, Scope.ALL, "all", "全部"]


@pytest.mark.parametrize("scope", WIDER)
def test_nobody_makes_a_role_reach_further_than_oneself(
    world: World, keeper: Principal, scope: Any
) -> None:
    """Neither the own role, nor another's, nor a new one; managing roles is no exception."""
    held = ["role:manage", "user:manage", "customer:view"]
    access.set_role(world.crm, "旁观", permissions=["customer:view"], by=SYSTEM)
    for name in ("主任", "旁观", "新的"):
        with pytest.raises(ScopeTooWide):
            access.set_role(world.crm, name, permissions=held, scope=scope, by=keeper)
    assert access.principal_for(world.crm, username=login(world.crm, keeper)) == keeper
    made = access.set_role(world.crm, "旁观", permissions=held, scope=Scope.DEPARTMENT, by=keeper)
    assert made.scope is Scope.DEPARTMENT


def test_managing_roles_gives_nobody_a_wider_scope(world: World, keeper: Principal) -> None:
    """Not by way of an account that gets a role which is there already."""
    access.set_role(world.crm, "总览", permissions=["customer:view"], scope=Scope.ALL, by=SYSTEM)
    with pytest.raises(ScopeTooWide):
        access.create_user(world.crm, {"username": "new", "roles": ["总览"]}, by=keeper)
    for who in (keeper, world.a):
        with pytest.raises(NotPermitted):
            access.set_roles(world.crm, login(world.crm, who), ["总览"], by=keeper)


def test_who_reaches_everything_gives_any_scope(world: World) -> None:
    """An administrator does."""
    boss = world.person("管理", "administrator")
    for scope in Scope:
        made = access.set_role(world.crm, "x", permissions=["course:view"], scope=scope, by=boss)
        assert made.scope is scope
    assert access.create_user(world.crm, {"username": "new", "roles": ["x"]}, by=boss).id


# -- nobody disarms those who hold more -------------------------------------------------------


def test_nobody_changes_an_account_that_holds_more(world: World, head: Principal) -> None:
    """Whether by its permissions or by its scope; roles, activity and password alike."""
    access.set_role(world.crm, "总览", permissions=["customer:view"], scope=Scope.ALL, by=SYSTEM)
    mighty = [world.person("管理", "administrator"), world.person("远", "总览"), world.a]
    acts: list[Callable[[str], Any]] = [
        lambda name: access.set_active(world.crm, name, False, by=head),
        lambda name: access.set_roles(world.crm, name, [], by=head),
        lambda name: access.set_password(world.crm, name, SECRET, by=head),
    ]
    for who in mighty:
        name = login(world.crm, who)
        for act in acts:
            with pytest.raises(NotPermitted):
                act(name)
        assert access.principal_for(world.crm, username=name) == who


def test_a_clerk_changes_an_account_that_holds_no_more(world: World, head: Principal) -> None:
    """That is what managing users is for; what is freely given does not count."""
    access.set_role(world.crm, "旁观", permissions=["customer:view", "customer:claim"], by=SYSTEM)
    name = login(world.crm, world.person("小", "旁观"))
    assert not access.set_active(world.crm, name, False, by=head).active
    assert access.set_active(world.crm, name, True, by=head).active
    assert access.set_password(world.crm, name, SECRET, by=head).id
    assert access.set_roles(world.crm, name, [], by=head).roles == ()


def test_who_manages_users_reaches_those_one_sees(world: World, head: Principal) -> None:
    """Another department's account is not there, whatever is done, nor one without an employee."""
    crm = world.crm
    other = records.save_record(crm, Department(code=901, title="二部"), by=SYSTEM)
    access.set_role(crm, "旁观", permissions=["customer:view"], by=SYSTEM)
    away = world.person("远", "旁观", department_id=other.id)
    access.create_user(crm, {"username": "robot", "roles": ["旁观"]}, by=SYSTEM)
    access.set_password(crm, login(crm, away), SECRET, by=SYSTEM)
    token, _ = sessions.sign_in(crm, login(crm, away), SECRET)
    session = sessions.resume(crm, token).id
    for name in (login(crm, away), "robot"):
        acts: list[Callable[[], Any]] = [
            lambda n=name: access.set_password(crm, n, OTHER, by=head),
            lambda n=name: access.set_active(crm, n, False, by=head),
            lambda n=name: access.set_roles(crm, n, [], by=head),
            lambda n=name: access.update_user(crm, n, {"active": False}, by=head),
            lambda n=name: access.issue_reset(crm, n, by=head),
            lambda n=name: sessions.list_sessions(crm, n, by=head),
            lambda n=name: sessions.end_other_sessions(crm, username=n, by=head),
        ]
        for act in acts:
            with pytest.raises(NotFound):
                act()
    with pytest.raises(NotFound):
        sessions.end_session(crm, session, by=head)
    assert access.principal_for(crm, username=login(crm, away)) == away
    assert sessions.resume(crm, token).principal == away


def test_who_manages_users_makes_accounts_for_those_one_sees(world: World, head: Principal) -> None:
    """For nobody else, and for nobody at all; nor is an account moved out of reach or into it."""
    crm = world.crm
    other = records.save_record(crm, Department(code=902, title="二部"), by=SYSTEM)
    here = records.save_record(
        crm, Employee(name="近", department_id=world.department.id), by=SYSTEM
    )
    away = records.save_record(crm, Employee(name="远", department_id=other.id), by=SYSTEM)
    for number in (away.id, None, 404):
        with pytest.raises(NotFound):
            access.create_user(crm, {"username": "new", "employee_id": number}, by=head)
    made = access.create_user(crm, {"username": "new", "employee_id": here.id}, by=head)
    assert made.employee_id == here.id
    for number in (away.id, None):
        with pytest.raises(NotFound):
            access.update_user(crm, "new", {"employee_id": number}, by=head)


def test_one_narrows_oneself(world: World, clerk: Principal) -> None:
    """Also after one's own rights became more than the principal at hand says."""
    stale = clerk
    access.set_role(
        world.crm, "人事", permissions=["user:manage", "customer:view", "course:edit"], by=SYSTEM
    )
    assert access.set_roles(world.crm, login(world.crm, clerk), [], by=stale).roles == ()


def test_nobody_changes_a_role_that_holds_more(world: World, keeper: Principal) -> None:
    """To strip the administrators' role would disarm all of them at once."""
    for name in ("administrator", "管理员", "sales_manager"):
        with pytest.raises(NotPermitted):
            access.set_role(world.crm, name, permissions=["customer:view"], by=keeper)


@pytest.fixture
def host(world: World) -> Principal:
    """Make somebody who keeps the employees' records, and sees the own department."""
    access.set_role(world.crm, "考勤", permissions=["employee:edit", "customer:view"],
                    scope=Scope.DEPARTMENT, by=SYSTEM)  # fmt: skip
    return world.person("考勤", "考勤")


def moved(world: World, who: Principal, by: Principal, **values: Any) -> None:
    """Change what an employee's record says."""
    employee = records.get_record(world.crm, Employee, who.employee_id or 0, by=SYSTEM)
    records.save_record(world.crm, changed(employee, **values), by=by)


def test_who_keeps_records_widens_no_view(world: World, host: Principal) -> None:
    """Not the own by moving, whatever is held; whoever sees all has nothing to widen."""
    crm = world.crm
    other = records.save_record(crm, Department(code=903, title="二部"), by=SYSTEM)
    with pytest.raises(ScopeTooWide):
        moved(world, host, host, department_id=other.id)
    access.set_role(crm, "考勤", permissions=["employee:edit", "customer:view", "user:manage"],
                    scope=Scope.DEPARTMENT, by=SYSTEM)  # fmt: skip
    with pytest.raises(ScopeTooWide):
        moved(world, host, access.principal_for(crm, username=login(crm, host)),
              department_id=other.id)  # fmt: skip
    moved(world, host, SYSTEM, department_id=other.id)
    boss = world.person("管理", "administrator")
    moved(world, boss, boss, department_id=other.id)


@pytest.mark.parametrize("values", [{"left_on": date(2026, 11, 1)}, {"department_id": None}])
def test_who_keeps_records_ends_nobodys_account(
    world: World, host: Principal, values: dict[str, Any]
) -> None:
    """To leave or to move is as much as to be disabled: it needs what that needs."""
    crm = world.crm
    boss = world.person("管理", "administrator")
    for who in (boss, world.manager, world.a):
        with pytest.raises(NotPermitted):
            moved(world, who, host, **values)
    # One without an account is nobody's view, and other facts are no rights.
    plain = records.save_record(
        crm, Employee(name="门卫", department_id=world.department.id), by=SYSTEM
    )
    records.save_record(crm, changed(plain, left_on=date(2026, 11, 1)), by=host)
    moved(world, world.a, host, employee_number="A1")
    # With the right to manage accounts, as far as it goes.
    access.set_role(crm, "旁观", permissions=["customer:view"], by=SYSTEM)
    small = world.person("小", "旁观")
    access.set_role(crm, "考勤", permissions=["employee:edit", "customer:view", "user:manage"],
                    scope=Scope.DEPARTMENT, by=SYSTEM)  # fmt: skip
    now = access.principal_for(crm, username=login(crm, host))
    moved(world, small, now, left_on=date(2026, 11, 1))
    with pytest.raises(NotPermitted):
        moved(world, boss, now, **values)


# -- nobody is locked out ---------------------------------------------------------------------


def _ways_out(crm: Crm, boss: Principal) -> list[Callable[[Principal], Any]]:
    """List all that takes the administrators' rights from an administrator."""
    name = login(crm, boss)
    with crm.unit_of_work(read_only=True) as uow:
        employee = uow.records.get(Employee, boss.employee_id or 0)
    assert employee is not None
    left, leaving = (changed(employee, left_on=date(2026, 11, n)) for n in (1, 2))
    return [
        lambda by: access.set_role(crm, "administrator", permissions=["user:manage"], by=by),
        lambda by: access.set_role(crm, "管理员", permissions=["role:manage"], by=by),
        lambda by: access.set_active(crm, name, False, by=by),
        lambda by: access.set_roles(crm, name, ["consultant"], by=by),
        lambda by: access.set_roles(crm, name, [], by=by),
        lambda by: records.save_record(crm, leaving, by=by),
        lambda by: records.save_record(crm, left, by=by),
    ]


def test_the_last_administrator_stays(world: World) -> None:
    """Neither disabled, nor stripped, nor by way of the role; a disabled colleague is no help."""
    # given
    boss = world.person("管理", "administrator")
    other = world.person("副手", "administrator")
    gone = world.person("前任", "administrator")
    access.set_active(world.crm, login(world.crm, other), False, by=boss)
    employee = records.get_record(world.crm, Employee, gone.employee_id or 0, by=SYSTEM)
    records.save_record(world.crm, changed(employee, left_on=date(2026, 10, 31)), by=boss)
    # when / then
    for act in _ways_out(world.crm, boss):
        with pytest.raises(LastAdministrator) as refused:
            act(boss)
        assert "管理" in refused.value.message("zh")
        assert access.principal_for(world.crm, username=login(world.crm, boss)) == boss


def test_the_last_who_reaches_all_stays(world: World) -> None:
    """Somebody who manages a department is no help: nobody could put the wider scope back."""
    # given
    crm, boss = world.crm, world.person("管理", "administrator")
    part = access.add_role(crm, {"title": "部门管理", "permissions": ["role:manage", "user:manage"],
                                 "scope": "department_and_below"}, by=boss)  # fmt: skip
    name = login(crm, boss)
    access.set_roles(crm, login(crm, world.manager), [part.id or 0], by=boss)
    ways = [
        *_ways_out(crm, boss),
        lambda by: access.edit_role(crm, "administrator", {"scope": "own"}, by=by),
        lambda by: access.edit_role(crm, "administrator", {"scope": "department_and_below"}, by=by),
        lambda by: access.set_roles(crm, name, [part.id or 0], by=by),
        lambda by: access.update_user(crm, name, {"roles": [part.id]}, by=by),
        lambda by: access.update_user(crm, name, {"active": False}, by=by),
    ]
    # when / then
    for act in ways:
        with pytest.raises(LastAdministrator):
            act(boss)
        assert access.principal_for(crm, username=name) == boss
    # Rights and reach may come of two roles.
    far = access.add_role(crm, {"title": "全部", "scope": "all"}, by=boss)
    access.set_roles(crm, login(crm, world.manager), [part.id or 0, far.id or 0], by=boss)
    assert access.set_roles(crm, name, [part.id or 0], by=boss).roles == (part.id,)


def test_one_of_two_administrators_goes(world: World) -> None:
    """The other one is enough; then that one is the last."""
    boss, other = world.person("管理", "administrator"), world.person("副手", "administrator")
    access.set_active(world.crm, login(world.crm, boss), False, by=boss)
    with pytest.raises(LastAdministrator):
        access.set_roles(world.crm, login(world.crm, other), [], by=other)


def test_an_administrator_who_leaves_soon_stays_one_until_then(world: World) -> None:
    """Neither disabled while nobody else is there, nor in the way of other changes."""
    boss = world.person("管理", "administrator")
    employee = records.get_record(world.crm, Employee, boss.employee_id or 0, by=SYSTEM)
    records.save_record(world.crm, changed(employee, left_on=date(2026, 11, 5)), by=SYSTEM)
    with pytest.raises(LastAdministrator):
        access.set_active(world.crm, login(world.crm, boss), False, by=boss)
    assert not access.set_active(world.crm, login(world.crm, world.a), False, by=boss).active


def test_the_operators_own_command_line_locks_out_whom_it_wants(world: World) -> None:
    """It needs no account to put things right again."""
    boss = world.person("管理", "administrator")
    for act in _ways_out(world.crm, boss)[2:-1]:
        act(SYSTEM)


def test_a_school_that_never_had_an_administrator_goes_on(world: World, clerk: Principal) -> None:
    """What was not there cannot be lost."""
    access.set_roles(world.crm, login(world.crm, clerk), [], by=clerk)


# -- roles ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "permissions", "scope", "path"),
    [
        (None, [], None, "title"), ("", [], None, "title"), (" ", [], None, "title"),
        (7, [], None, "title"), ("x" * 61, [], None, "title"), ("a\0b", [], None, "title"),
        ("\ud800", [], None, "title"), ("x", None, None, "permissions"),
        ("x", "course:view", None, "permissions"), ("x", [7], None, "permissions"),
        ("x", [["a"]], None, "permissions"), ("x", [], "everywhere", "scope"),
        ("x", [], 7, "scope"), ("x", [], [1], "scope"),
    ],
)  # fmt: skip
def test_a_role_is_described_in_full_and_in_words(
    world: World, code: Any, permissions: Any, scope: Any, path: str
) -> None:
    """Anything else is refused, naming what is wrong, and no role is made."""
    with pytest.raises(Invalid) as refused:
        access.set_role(world.crm, code, permissions=permissions, scope=scope, by=SYSTEM)
    assert [p.path for p in refused.value.problems] == [path]
    with world.crm.unit_of_work(read_only=True) as uow:
        assert len(uow.records.all(Role)) == 6


def test_a_role_has_each_permission_once(world: World) -> None:
    """However often it was named."""
    made = access.set_role(world.crm, "x", permissions=["course:view"] * 3, by=SYSTEM)
    assert len(made.permissions) == 1


def test_administrators_hold_what_plugins_declare(world: World) -> None:
    """Otherwise nobody could give it to anybody; what they gave up later stays given up."""
    declared = [Declared("fee:see", "查看费用", "see fees")]
    access.synchronise(world.crm, declared)
    boss = world.person("管理", "administrator")
    assert boss.may("fee:see")
    assert not world.a.may("fee:see")
    kept = sorted(boss.permissions - {"fee:see"})
    access.set_role(world.crm, "administrator", permissions=kept, by=boss)
    access.synchronise(world.crm, declared)
    assert not access.principal_for(world.crm, username=login(world.crm, boss)).may("fee:see")


# -- at the same moment -----------------------------------------------------------------------


def _acts_on_people(world: World) -> dict[str, tuple[Any, Callable[[], Any]]]:
    """List what changes people, with the record that it writes."""
    crm, name = world.crm, login(world.crm, world.a)
    lone = records.save_record(crm, Employee(name="临时"), by=SYSTEM)
    with crm.unit_of_work(read_only=True) as uow:
        user, role = uow.records.find(User, username=name), uow.records.find(Role, code="teacher")
    return {
        "save": (lone, lambda: records.save_record(
            crm, changed(lone, employee_number="7"), by=SYSTEM)),
        "remove": (lone, lambda: records.remove_record(crm, Employee, lone.id or 0, by=SYSTEM)),
        "active": (user, lambda: access.set_active(crm, name, False, by=SYSTEM)),
        "roles": (user, lambda: access.set_roles(crm, name, ["teacher"], by=SYSTEM)),
        "role": (role, lambda: access.set_role(
            crm, "teacher", permissions=["customer:view"], by=SYSTEM)),
    }  # fmt: skip


@pytest.mark.parametrize("what", ["save", "remove", "active", "roles", "role"])
def test_whoever_changes_people_waits_for_the_rotation_with_empty_hands(
    world: World, what: str
) -> None:
    """Who deals a turn can write any of these records meanwhile: neither waits for the other."""
    written, act = _acts_on_people(world)[what]
    with ThreadPoolExecutor(1) as pool:
        with world.crm.unit_of_work() as uow:
            uow.turns.advance(1)
            done = pool.submit(act)
            time.sleep(0.5)
            uow.records.save(written)
        if what == "save":
            with pytest.raises(EditConflict):
                done.result(timeout=30)
        else:
            done.result(timeout=30)


def test_two_administrators_who_disable_each_other_at_once_do_not_lock_all_out(
    world: World,
) -> None:
    """One of them is the last by then."""
    pair = [world.person("管理", "administrator"), world.person("副手", "administrator")]
    names = [login(world.crm, who) for who in pair]

    def disable(n: int) -> bool:
        try:
            access.set_active(world.crm, names[1 - n], False, by=pair[n])
        except LastAdministrator:
            return False
        return True

    for _ in range(5):
        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(disable, [0, 1])) == [False, True]
        for name in names:
            access.set_active(world.crm, name, True, by=SYSTEM)


# -- who has an account ----------------------------------------------------------------------------


def words_of(crm: Crm) -> dict[str | None, int]:
    """Give the numbers of the built-in roles by their codes."""
    return {r.role.code: r.role.id or 0 for r in access.list_roles(crm, by=SYSTEM)}


def test_accounts_are_paged_searched_and_counted_by_the_database(
    world: World, clerk: Principal
) -> None:
    """Page by page in each order, each account once; the counts are of the same accounts."""
    crm, boss = world.crm, world.person("管理", "administrator")
    access.set_password(crm, login(crm, world.a), SECRET, by=SYSTEM)
    access.set_active(crm, login(crm, world.c), False, by=SYSTEM)
    # Names that are empty, and a name of an address of ours.
    access.create_user(crm, {"username": "new", "roles": ["teacher"]}, by=SYSTEM)
    access.create_user(crm, {"username": "zz", "roles": []}, by=SYSTEM)
    for by in (SYSTEM, boss, clerk):
        every = [a.username for a in access.list_accounts(crm, Query(limit=10_000), by=by)]
        assert every == sorted(every)
        assert access.tally_accounts(crm, by=by).total == len(every)
        for sort in ("username", "-username", "name", "-name"):
            found, query = [], Query(limit=2, sort=sort)
            while True:
                page = access.list_accounts(crm, query, by=by)
                found += [a.username for a in page]
                if page.next is None:
                    break
                query = attrs.evolve(query, after=page.next)
            assert sorted(found) == every, sort
    assert {"new", "zz"} <= set(every := [a.username for a in access.list_accounts(crm, by=boss)])
    asked = {
        "search": Query(search="李 USER"), "off": Query(where={"active": ["false"]}),
        "open": Query(where={"has_password": ["true"]}),
    }  # fmt: skip
    consultant = words_of(crm)["consultant"]
    asked["role"] = Query(where={"roles": [str(consultant)]})
    names = {k: {a.name for a in access.list_accounts(crm, q, by=boss)} for k, q in asked.items()}
    assert names == {"search": {"李雷"}, "role": {"李雷", "韩梅梅", "王强"}, "off": {"王强"},
                     "open": {"李雷"}}  # fmt: skip
    tally = access.tally_accounts(
        crm, Query(where={"active": [False], "roles": [consultant]}),
        ["roles", "active", "has_password"], by=boss,
    )  # fmt: skip
    assert tally.total == 1
    assert tally.by["active"] == {True: 2, False: 1}
    assert tally.by["has_password"] == {False: 1}
    assert tally.by["roles"] == {consultant: 1}
    counted = {r.role.code: r.accounts for r in access.list_roles(crm, by=boss)}
    assert (counted["consultant"], counted["teacher"]) == (3, 1)
    with pytest.raises(Invalid):
        access.list_accounts(crm, Query(where={"password_hash": ["x"]}), by=boss)


def test_what_is_told_of_accounts_ends_with_the_reach(world: World, clerk: Principal) -> None:
    """Of those beyond it neither a row, nor a count, nor that a role is held."""
    crm = world.crm
    [own] = access.list_accounts(crm, by=clerk)
    assert access.list_accounts(crm, Query(search=login(crm, world.a)), by=clerk).items == []
    tally = access.tally_accounts(crm, facets=["roles"], by=clerk)
    assert tally.total == 1
    assert tally.by["roles"] == {r.id: 1 for r in own.roles}
    held = {r.role.id: r.accounts for r in access.list_roles(crm, by=clerk)}
    assert {n: many for n, many in held.items() if many} == {r.id: 1 for r in own.roles}


def test_who_has_no_account_is_told_by_name_and_within_reach(world: World) -> None:
    """All of them to whoever sees all; with one that is made, one fewer."""
    crm, boss = world.crm, world.person("管理", "administrator")
    far = records.save_record(crm, Department(code=7001, title="远方"), by=SYSTEM)
    near = records.save_record(
        crm, Employee(name="乙新", department_id=world.department.id), by=SYSTEM
    )
    away = records.save_record(crm, Employee(name="甲新", department_id=far.id), by=SYSTEM)
    there = access.without_account(crm, by=boss)
    assert {near.id: "乙新", away.id: "甲新"}.items() <= there.items()
    assert world.a.employee_id not in there
    access.add_role(crm, {"title": "部门人事", "scope": "department",
                          "permissions": ["user:manage", "employee:view"]}, by=SYSTEM)  # fmt: skip
    head = world.person("主任", "部门人事")
    assert access.without_account(crm, by=head) == {near.id: "乙新"}
    assert len(access.without_account(crm, most=1, by=boss)) == 1
    access.create_user(crm, {"username": "yi", "employee_id": near.id, "roles": []}, by=head)
    assert access.without_account(crm, by=head) == {}


def test_accounts_are_listed_without_their_secrets(world: World, clerk: Principal) -> None:
    """All to whoever sees all, the clerk's own to the clerk, none without the permission."""
    access.set_password(world.crm, login(world.crm, world.a), SECRET, by=SYSTEM)
    listed = {a.employee_id: a for a in access.list_accounts(world.crm, by=SYSTEM)}
    account = listed[world.a.employee_id]
    assert (account.name, account.active, account.has_password) == ("李雷", True, True)
    assert [r.code for r in account.roles] == ["consultant"]
    assert not listed[world.b.employee_id].has_password
    assert "argon2" not in repr(listed)
    assert [a.name for a in access.list_accounts(world.crm, by=clerk)] == ["人事"]
    with pytest.raises(NotPermitted):
        access.list_accounts(world.crm, by=world.a)
