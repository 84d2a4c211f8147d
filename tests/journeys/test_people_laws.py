"""Roles, accounts and what they come to, as their pages change them (spec section 10)."""

from __future__ import annotations

from typing import Any

import pytest

from crm_domain import SYSTEM
from crm_domain.errors import (
    BuiltIn,
    Duplicate,
    EditConflict,
    InUse,
    Invalid,
    LastAdministrator,
    NotFound,
    NotPermitted,
    ScopeTooWide,
    SignedOut,
)
from crm_domain.model import Department, Role, Scope, User
from crm_domain.rules.access import Principal
from crm_domain.usecases import access, records, sessions
from make import World
from steps import login


@pytest.fixture
def keeper(world: World) -> Principal:
    """Make somebody who manages roles and users and sees one department."""
    access.set_role(
        world.crm, "主任", permissions=["role:manage", "user:manage", "customer:view"],
        scope=Scope.DEPARTMENT, by=SYSTEM,
    )  # fmt: skip
    return world.person("主任", "主任")


# -- roles ------------------------------------------------------------------------------------


def test_a_role_is_made_edited_listed_and_removed(world: World) -> None:
    """What is not named stays; both titles are kept."""
    crm, boss = world.crm, world.person("管理", "administrator")
    made = access.add_role(
        crm, {"title": "前台", "title_en": "Front desk", "scope": "全部",
              "permissions": ["customer:add", "customer:add"]}, by=boss,
    )  # fmt: skip
    edited = access.edit_role(crm, made.id or 0, {"title": "接待"}, version=made.version, by=boss)
    assert (edited.title, edited.title_en, edited.scope) == ("接待", "Front desk", Scope.ALL)
    [row] = [r for r in access.list_roles(crm, by=boss) if r.role.title == "接待"]
    assert (row.permissions, row.accounts) == (("customer:add",), 0)
    with pytest.raises(EditConflict):
        access.edit_role(crm, "接待", {"scope": "own"}, version=made.version, by=boss)
    with pytest.raises(Duplicate):
        access.add_role(crm, {"title": "接待"}, by=boss)
    access.remove_role(crm, "接待", version=edited.version, by=boss)
    with pytest.raises(NotFound):
        access.edit_role(crm, "接待", {}, by=boss)


def test_a_role_that_somebody_has_or_that_is_built_in_stays(world: World) -> None:
    """The accounts would lose rights unseen, and the next start would bring it back."""
    boss = world.person("管理", "administrator")
    made = access.add_role(world.crm, {"title": "前台"}, by=boss)
    world.person("小", "前台")
    with pytest.raises(InUse):
        access.remove_role(world.crm, made.id or 0, by=boss)
    with pytest.raises(BuiltIn):
        access.remove_role(world.crm, "teacher", by=boss)


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"title": "", "scope": "everywhere", "permissions": ["no:such"]},
         [("permissions", "unknown_permission"), ("scope", "unknown_choice"),
          ("title", "missing")]),
        ({"title": "x", "code": "x", "other": 1}, [("code", "unknown_field"),
                                                   ("other", "unknown_field")]),
        ({"title": "x" * 61, "permissions": "customer:view"}, [("permissions", "bad_permissions"),
                                                               ("title", "too_long")]),
        ({}, [("title", "missing")]),
        (7, [("", "no_mapping")]),
    ],
)  # fmt: skip
def test_a_bad_role_is_refused_with_every_problem(
    world: World, values: Any, wrong: list[tuple[str, str]]
) -> None:
    """And none is made."""
    with pytest.raises(Invalid) as refused:
        access.add_role(world.crm, values, by=SYSTEM)
    assert sorted((p.path, p.code) for p in refused.value.problems) == wrong
    with world.crm.unit_of_work(read_only=True) as uow:
        assert len(uow.records.all(Role)) == 6


def test_nobody_lifts_a_role_beyond_oneself(world: World, keeper: Principal) -> None:
    """Neither its permissions nor its scope; nor is a mightier role edited or removed."""
    crm = world.crm
    with pytest.raises(ScopeTooWide):
        access.add_role(crm, {"title": "x", "scope": "all"}, by=keeper)
    with pytest.raises(NotPermitted):
        access.add_role(crm, {"title": "x", "permissions": ["pool:sweep"]}, by=keeper)
    for act in (lambda: access.edit_role(crm, "administrator", {"title": "x"}, by=keeper),
                lambda: access.remove_role(crm, "administrator", by=keeper),
                lambda: access.edit_role(crm, "主任", {"permissions": ["audit:view"]}, by=keeper),
                lambda: access.list_roles(crm, by=world.a)):  # fmt: skip
        with pytest.raises(NotPermitted):
            act()


def test_the_administrators_role_is_not_emptied(world: World) -> None:
    """Somebody must be left to put things right."""
    boss = world.person("管理", "administrator")
    with pytest.raises(LastAdministrator):
        access.edit_role(world.crm, "administrator", {"permissions": ["user:manage"]}, by=boss)


# -- accounts ---------------------------------------------------------------------------------


def test_an_account_is_changed_as_a_whole(world: World) -> None:
    """E-mail, roles, employee, activity; a session ends with the account."""
    crm, boss = world.crm, world.person("管理", "administrator")
    name = login(crm, world.a)
    access.set_password(crm, name, "correct horse", by=SYSTEM)
    token, _ = sessions.sign_in(crm, name, "correct horse")
    seen = access.get_account(crm, name, by=boss)
    saved = access.update_user(
        crm, name, {"email": "li@example.com", "roles": ["teacher"]}, version=seen.version, by=boss
    )
    assert (saved.email, sessions.resume(crm, token).principal.may("lesson:edit")) == (
        "li@example.com", True,
    )  # fmt: skip
    with pytest.raises(EditConflict):
        access.update_user(crm, name, {"email": None}, version=seen.version, by=boss)
    access.update_user(crm, name, {"active": False}, by=boss)
    access.update_user(crm, name, {"active": True}, by=boss)
    with pytest.raises(SignedOut):
        sessions.resume(crm, token)


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"roles": ["no"], "active": "maybe", "username": "x", "password": "y"},
         ["active", "password", "roles", "username"]),
        ({"password_hash": "x", "created_at": None, "id": 1},
         ["created_at", "id", "password_hash"]),
        ({"employee_id": "x", "email": "x" * 121}, ["email", "employee_id"]),
        ([], [""]),
    ],
)  # fmt: skip
def test_a_bad_account_is_refused_with_every_problem(
    world: World, values: Any, wrong: list[str]
) -> None:
    """And nothing is changed."""
    name = login(world.crm, world.a)
    before = access.get_account(world.crm, name, by=SYSTEM)
    with pytest.raises(Invalid) as refused:
        access.update_user(world.crm, name, values, by=SYSTEM)
    assert sorted(p.path for p in refused.value.problems) == wrong
    assert access.get_account(world.crm, name, by=SYSTEM) == before


def test_nobody_reaches_further_by_tying_an_account_to_another_employee(
    world: World, keeper: Principal
) -> None:
    """The scope follows the employee's department, so only those within reach can be tied."""
    far = records.save_record(world.crm, Department(code=99, title="远"), by=SYSTEM)
    other = world.person("远方", "student", department_id=far.id)
    access.update_user(world.crm, login(world.crm, other), {"employee_id": None}, by=SYSTEM)
    for who in (keeper, world.person("小", "student")):
        with pytest.raises(NotFound):
            access.update_user(
                world.crm, login(world.crm, who), {"employee_id": other.employee_id}, by=keeper
            )
    with pytest.raises(Duplicate):
        access.update_user(
            world.crm, login(world.crm, other), {"employee_id": world.a.employee_id}, by=SYSTEM
        )


def test_one_chooses_the_own_language(world: World) -> None:
    """It is in the principal from the next request on."""
    name = login(world.crm, world.a)
    for language in ("en", "en", "zh", None):
        access.set_language(world.crm, language, by=world.a)
        assert access.principal_for(world.crm, username=name).language == language
    for odd in ("fr", 7, "\ud800"):
        with pytest.raises(Invalid):
            access.set_language(world.crm, odd, by=world.a)  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        access.set_language(world.crm, "en", by=SYSTEM)


# -- effective rights -------------------------------------------------------------------------


def test_effective_rights_are_those_of_the_principal_with_their_reasons(world: World) -> None:
    """Each permission with the roles that give it, the scope with what it covers."""
    crm = world.crm
    below = records.save_record(
        crm, Department(code=77, title="销售二部", parent_id=world.department.id), by=SYSTEM
    )
    world.person("下", department_id=below.id)
    records.save_record(crm, Department(code=78, title="旁"), by=SYSTEM)
    name = login(crm, world.manager)
    access.set_roles(crm, name, ["sales_manager", "consultant"], by=SYSTEM)
    found = access.effective(crm, name, by=SYSTEM)
    principal = access.principal_for(crm, username=name)
    assert {g.permission.code for g in found.permissions} == principal.permissions
    given = {g.permission.code: [r.code for r in g.roles] for g in found.permissions}
    assert sorted(given["customer:view"]) == ["consultant", "sales_manager"]
    assert given["customer:claim"] == ["consultant"]
    assert found.scope is principal.scope is Scope.DEPARTMENT_AND_BELOW
    assert [r.code for r in found.scope_from] == ["sales_manager"]
    assert found.departments == ("销售部", "销售二部")
    assert found.people == 5


def test_one_sees_the_own_rights_and_a_clerk_those_within_reach(
    world: World, keeper: Principal
) -> None:
    """Whoever manages no users sees nobody else's."""
    own = access.effective(world.crm, by=world.a)
    assert own.account.username == login(world.crm, world.a)
    assert (own.scope, own.departments, own.people) == (Scope.OWN, (), 1)
    with pytest.raises(NotPermitted):
        access.effective(world.crm, login(world.crm, world.b), by=world.a)
    assert access.effective(world.crm, login(world.crm, world.b), by=keeper).people == 1
    far = world.person("远", "student", department_id=None)
    for read in (access.effective, access.get_account):
        with pytest.raises(NotFound):
            read(world.crm, login(world.crm, far), by=keeper)
    with world.crm.unit_of_work(read_only=True) as uow:
        assert uow.records.get(User, far.user_id or 0)
