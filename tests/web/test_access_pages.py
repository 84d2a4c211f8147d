"""Accounts, roles and menus in the browser: what is shown, what is refused, what acts at once."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from crm_domain import SYSTEM
from crm_domain.errors import NotFound
from crm_domain.model import Department, Employee, Menu, Scope
from crm_domain.rules.access import Principal
from crm_domain.usecases import access, records, sessions
from make import World
from steps import login
from web.conftest import Visit
from web.visitor import FRAGMENT, PASSWORD

PAGES = (
    "/users", "/users/facets", "/users/new", "/roles", "/roles/new", "/roles/1", "/menus",
    "/menus/permissions/customer:claim", "/permission_groups", "/menus/1/edit",
)  # fmt: skip
LINK = re.compile(r'value="(http://localhost/reset/[\w-]+)"')


@pytest.fixture
def boss(world: World) -> Principal:
    """Somebody who may do everything."""
    return world.person("孙总", "administrator")


@pytest.fixture
def head(world: World) -> Principal:
    """Somebody who manages the accounts of one department, and sees no other."""
    access.add_role(world.crm, {
        "title": "部门人事", "scope": "department",
        "permissions": ["user:manage", "employee:view", "customer:view"],
    }, by=SYSTEM)  # fmt: skip
    return world.person("钱主任", "部门人事")


def elsewhere(world: World, name: str = "冯娟") -> Principal:
    """Make a consultant of another department."""
    other = records.save_record(world.crm, Department(code=9001, title="北京校区"), by=SYSTEM)
    access.add_role(world.crm, {"title": "见习", "permissions": ["customer:view"]}, by=SYSTEM)
    return world.person(name, "见习", department_id=other.id)


def roles_of(world: World, username: str) -> list[str]:
    return [r.title for r in access.get_account(world.crm, username, by=SYSTEM).roles]


def number(world: World, title: str) -> int:
    """Tell the number of a role."""
    found = access.list_roles(world.crm, by=SYSTEM)
    return next(r.role.id or 0 for r in found if r.role.title == title)


def form(world: World, username: str, **more: object) -> dict[str, object]:
    """Give what the form of an account sends when nothing is touched but what is named."""
    known = access.get_account(world.crm, username, by=SYSTEM)
    found: dict[str, object] = {
        "version": known.version, "employee_id": known.employee_id or "", "active": "true",
        "roles": [r.id for r in known.roles],
    }  # fmt: skip
    return found | more


# -- both languages ---------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_of_access_is_there_in_both_languages(
    visit: Visit, world: World, boss: Principal, language: str
) -> None:
    """For an administrator each page answers, in the chosen language."""
    access.set_language(world.crm, language, by=boss)
    visitor = visit(boss)
    for path in (*PAGES, f"/users/of/{login(world.crm, world.a)}"):
        answer = visitor.get(path)
        assert answer.status_code == 200, path
        if path != "/users/facets":
            assert f'<html lang="{"zh-CN" if language == "zh" else "en"}"' in answer.text


def test_pages_of_access_are_closed_to_whoever_does_not_manage(visit: Visit, world: World) -> None:
    """A consultant is refused each of them, by address and by form."""
    visitor, name = visit(world.a), login(world.crm, world.b)
    for path in (*PAGES, f"/users/of/{name}", "/users.json", "/users.csv"):
        assert visitor.get(path).status_code == 403, path
    for path in (f"/users/of/{name}", "/users/new", "/roles/1", "/roles/1/remove", "/menus/move"):
        assert visitor.post(path, {"do": "link"}).status_code == 403, path


# -- accounts ---------------------------------------------------------------------------------


def test_a_new_account_comes_with_a_link_that_is_shown_once_and_opens_it(
    visit: Visit, world: World, boss: Principal
) -> None:
    """The link has the whole address, sets the password once, and stands on no later page."""
    # given
    visitor = visit(boss)
    employee = records.save_record(world.crm, Employee(name="郑新"), by=SYSTEM)
    typed = {"username": "xin", "employee_id": employee.id, "roles": [number(world, "课程顾问")]}
    # when
    made = visitor.post("/users/new", typed)
    # then
    assert made.status_code == 200
    assert made.headers["cache-control"] == "no-store"
    (link,) = LINK.findall(made.text)
    assert f'data-copy="{link}"' in made.text
    assert link not in visitor.get("/users/of/xin").text
    visitor.post(link.removeprefix("http://localhost"), {"new": PASSWORD, "repeated": PASSWORD})
    assert visit().sign_in("xin").status_code == 303
    assert roles_of(world, "xin") == ["课程顾问"]


def test_what_was_typed_is_kept_beside_what_is_wrong(
    visit: Visit, world: World, boss: Principal
) -> None:
    """A username that is taken is said beside its field; the ticked roles stay ticked."""
    visitor, role = visit(boss), number(world, "老师")
    typed = {"username": login(world.crm, world.a), "email": "a@b.cn", "roles": [role]}
    answer = visitor.post("/users/new", typed)
    assert answer.status_code == 409
    assert 'aria-describedby="f-username-e"' in answer.text
    assert 'value="a@b.cn"' in answer.text
    assert re.search(rf'value="{role}" data-was="" checked', answer.text)


def test_names_are_shown_as_text_whatever_they_hold(
    visit: Visit, world: World, boss: Principal
) -> None:
    """A name with markup, a very long one and one that an address must quote are only names."""
    visitor = visit(boss)
    bad = "<script>alert(1)</script>"
    person = world.person(bad)
    odd = "a/b?c#d 好"
    access.create_user(world.crm, {"username": odd, "roles": []}, by=SYSTEM)
    for path in ("/users", f"/users/of/{login(world.crm, person)}", "/users/new"):
        assert bad not in visitor.get(path).text
    assert f'href="/users/of/{quote(odd, safe="")}"' in visitor.get("/users").text
    answer = visitor.get(f"/users/of/{quote(odd, safe='')}")
    assert answer.status_code == 200
    assert odd in answer.text


def test_accounts_are_found_by_name_role_and_state(
    visit: Visit, world: World, boss: Principal
) -> None:
    """Search, filters and their counts agree; each count leaves its own filter out."""
    visitor = visit(boss)
    access.set_active(world.crm, login(world.crm, world.c), False, by=SYSTEM)

    def names(query: str) -> set[str]:
        return {row["name"] for row in visitor.get(f"/users.json?{query}").json()["items"]}

    role = number(world, "课程顾问")
    assert names(f"roles={role}") == {"李雷", "韩梅梅", "王强"}
    assert names(f"roles={role}&active=false") == {"王强"}
    assert names("q=韩") == {"韩梅梅"}
    assert names("q=nobody") == set()
    assert names("sort=-name&size=20") >= {"李雷", "孙总"}
    facets = visitor.get(f"/users/facets?active=false&roles={role}").text
    assert re.search(r"否<small>1</small>", facets)
    assert re.search(r"是<small>2</small>", facets)


def test_the_page_of_an_account_tells_which_role_gives_what_and_what_it_reaches(
    visit: Visit, world: World, boss: Principal
) -> None:
    """Each permission stands with its roles, the scope with the role and with what it covers."""
    text = visit(boss).get(f"/users/of/{login(world.crm, world.manager)}").text
    shown = re.sub(r"<[^>]+>|\s+", " ", text)
    assert re.search(r"分配客户\s+销售主管", shown)
    assert re.search(r"数据范围\s+本部门及下级\s+销售主管", shown)
    assert re.search(r"覆盖员工\s+5 人", shown)
    assert re.search(r"覆盖部门\s+销售部", shown)


def test_an_account_may_be_named_as_an_address_of_ours(
    visit: Visit, world: World, boss: Principal
) -> None:
    """Its page opens from the list, whatever else there is below the list's own address."""
    visitor = visit(boss)
    for name in ("new", "facets", "columns", "of/new"):
        access.create_user(world.crm, {"username": name, "roles": []}, by=SYSTEM)
        to = f"/users/of/{quote(name, safe='')}"
        assert f'href="{to}"' in visitor.get("/users").text
        assert f"<title>{name} " in visitor.get(to).text


def test_roles_count_the_accounts_within_reach(visit: Visit, world: World, head: Principal) -> None:
    """Whoever manages one department is not told how many hold a role elsewhere."""
    elsewhere(world)
    found = {r.role.title: r.accounts for r in access.list_roles(world.crm, by=head)}
    assert (found["见习"], found["课程顾问"], found["部门人事"]) == (0, 3, 1)
    assert visit(head).get("/users/new").status_code == 200


def test_other_roles_act_at_the_next_request(visit: Visit, world: World, boss: Principal) -> None:
    """Whoever is signed in may open at once what a new role gives, and no more what it gave."""
    visitor, name = visit(world.a), login(world.crm, world.a)
    assert visitor.get("/audit").status_code == 403
    answer = visit(boss).post(
        f"/users/of/{name}", form(world, name, roles=[number(world, "管理员")])
    )  # fmt: skip
    assert answer.status_code == 303
    assert visitor.get("/audit").status_code == 200
    assert visitor.get("/my/customers").status_code == 403


def test_of_two_who_change_an_account_the_later_is_told_and_sees_what_differs(
    visit: Visit, world: World, boss: Principal
) -> None:
    """What was typed stays, what is stored by now is named, and saving again has its way."""
    # given
    visitor, name = visit(boss), login(world.crm, world.a)
    mine = form(world, name, roles=[number(world, "老师")], email="mine@example.com")
    access.update_user(world.crm, name, {"email": "theirs@example.com"}, by=SYSTEM)
    # when
    answer = visitor.post(f"/users/of/{name}", mine)
    # then
    assert answer.status_code == 409
    assert 'value="mine@example.com"' in answer.text
    assert "现在已是：theirs@example.com" in re.sub(r"</?div[^>]*>", "", answer.text)
    version = re.search(r'name="version" value="(\d+)"', answer.text)
    assert version is not None
    again = visitor.post(f"/users/of/{name}", mine | {"version": version[1]})
    assert again.status_code == 303
    assert roles_of(world, name) == ["老师"]


def test_running_sessions_are_ended_one_by_one_and_all(
    visit: Visit, world: World, boss: Principal
) -> None:
    """The next request of an ended session asks to sign in; another's session is not ended so."""
    # given
    visitor, name = visit(boss), login(world.crm, world.a)
    first, second, third = visit(world.a), visit(), visit(world.b)
    second.sign_in(name)
    running = sessions.list_sessions(world.crm, name, by=boss)
    (foreign,) = sessions.list_sessions(world.crm, login(world.crm, world.b), by=boss)
    # when / then: a number of somebody else's does nothing on this page
    visitor.post(f"/users/of/{name}", {"do": "end", "id": foreign.id})
    assert third.get("/me").status_code == 200
    visitor.post(f"/users/of/{name}", {"do": "end", "id": min(s.id for s in running)})
    assert (first.get("/me").status_code, second.get("/me").status_code) == (303, 200)
    visitor.post(f"/users/of/{name}", {"do": "end", "all": "1", "sure": "1"})
    assert second.get("/me").status_code == 303


def test_a_disabled_account_is_out_at_once_and_comes_back_without_its_sessions(
    visit: Visit, world: World, boss: Principal
) -> None:
    """Enabled again, it has to sign in."""
    visitor, theirs, name = visit(boss), visit(world.a), login(world.crm, world.a)
    assert visitor.post(f"/users/of/{name}", {"do": "disable", "sure": "1"}).status_code == 303
    assert theirs.get("/me").status_code == 303
    visitor.post(f"/users/of/{name}", {"do": "enable"})
    assert theirs.get("/me").status_code == 303
    assert theirs.sign_in(name).status_code == 303


def test_whoever_logs_in_as_another_is_asked_first_told_on_every_page_and_gets_back(
    visit: Visit, world: World, boss: Principal
) -> None:
    """The pages are the other's; the way back leads to the account that one came from."""
    visitor, there = visit(boss), f"/users/of/{login(world.crm, world.a)}"
    owner = visit(world.a)
    assert 'name="do" value="act"' in visitor.get(there).text
    asked = visitor.post(there, {"do": "act"})
    assert "以 李雷 的身份登录" in asked.text
    assert visitor.get("/roles").status_code == 200
    before = visitor.session
    answer = visitor.post(there, {"do": "act", "sure": "1"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert visitor.session != before
    assert visitor.get("/roles").status_code == 403
    for path in ("/", "/my/customers", "/me", "/customers/new"):
        text = visitor.get(path).text
        assert "您（孙总）正以 李雷 的身份操作" in text, path
        assert 'action="/acting/end"' in text, path
    typed = {"old": PASSWORD, "new": "another secret", "repeated": "another secret"}
    answer = visitor.post("/me/password", typed)
    assert (answer.status_code, "只能由本人进行" in answer.text) == (409, True)
    assert "由 孙总 代登录" in owner.get("/me/sessions").text
    answer = visitor.post("/acting/end")
    assert (answer.status_code, answer.headers["location"]) == (303, there)
    text = visitor.get(there).text
    assert 'id="acting"' not in text
    assert visitor.get("/roles").status_code == 200
    assert visitor.post("/acting/end").status_code == 409
    log = visitor.get("/audit").text
    assert "李雷（由 孙总 代为操作）" in log
    assert all(word in log for word in ("代登录", "结束代登录"))


def test_nobody_logs_in_as_whoever_may_do_more_or_as_oneself(
    visit: Visit, world: World, boss: Principal, head: Principal
) -> None:
    """Neither is offered, nor taken."""
    visitor = visit(head)
    for who in (world.manager, head):
        there = f"/users/of/{login(world.crm, who)}"
        assert 'value="act"' not in visitor.get(there).text
        before = visitor.session
        assert visitor.post(there, {"do": "act", "sure": "1"}).status_code in (403, 404)
        assert visitor.session == before
    other = world.person("周总", "administrator")
    visitor = visit(boss)
    visitor.post(f"/users/of/{login(world.crm, other)}", {"do": "act", "sure": "1"})
    there = f"/users/of/{login(world.crm, world.a)}"
    assert 'value="act"' not in visitor.get(there).text
    assert visitor.post(there, {"do": "act", "sure": "1"}).status_code == 409


def test_the_last_administrator_is_not_lost_by_a_form(
    visit: Visit, world: World, boss: Principal
) -> None:
    """Neither other roles nor disabling take the last one away; the page says why."""
    visitor, name = visit(boss), login(world.crm, boss)
    answer = visitor.post(f"/users/of/{name}", form(world, name, roles=[number(world, "老师")]))
    assert answer.status_code == 409
    assert roles_of(world, name) == ["管理员"]
    visitor.post(f"/users/of/{name}", {"do": "disable", "sure": "1"})
    assert access.get_account(world.crm, name, by=SYSTEM).active


# -- other people's accounts ------------------------------------------------------------------


def test_a_manager_of_a_department_neither_sees_nor_changes_accounts_of_another(
    visit: Visit, world: World, head: Principal
) -> None:
    """Not in the list, its counts or its export, and by address as if there were none."""
    # given
    foreign = elsewhere(world)
    visitor, name = visit(head), login(world.crm, foreign)
    before = access.get_account(world.crm, name, by=SYSTEM)
    # then
    for path in ("/users", "/users.json", "/users.csv", "/users/facets"):
        answer = visitor.get(path)
        assert answer.status_code == 200
        assert "冯娟" not in answer.text and name not in answer.text, path
    assert visitor.get(f"/users/of/{name}").status_code == 404
    assert visitor.get("/users/of/no-such-name").status_code == 404
    for do in ("link", "enable", "disable", "end", "save"):
        typed = {"do": do, "all": "1", "email": "me@example.com", "active": "true"}
        assert visitor.post(f"/users/of/{name}", typed).status_code == 404, do
    assert access.get_account(world.crm, name, by=SYSTEM) == before


def test_no_account_is_tied_to_an_employee_out_of_reach(
    visit: Visit, world: World, head: Principal
) -> None:
    """Neither a new one nor one that is changed: it would see what is that employee's."""
    # given
    there = records.save_record(
        world.crm, Department(code=9002, title="上海校区"), by=SYSTEM
    )  # fmt: skip
    foreign = records.save_record(
        world.crm, Employee(name="褚远", department_id=there.id), by=SYSTEM
    )  # fmt: skip
    visitor = visit(head)
    # when
    answer = visitor.post("/users/new", {"username": "spy", "employee_id": foreign.id})
    # then
    assert answer.status_code == 422
    assert 'aria-describedby="f-employee_id-e"' in answer.text
    with pytest.raises(NotFound):
        access.get_account(world.crm, "spy", by=SYSTEM)


def test_nobody_lifts_an_account_above_himself(visit: Visit, world: World, head: Principal) -> None:
    """A role that holds more is refused and not offered; the page of a mightier one only tells."""
    # given
    visitor, own = visit(head), login(world.crm, head)
    role, mightier = number(world, "管理员"), login(world.crm, world.manager)
    # when / then: oneself, and a new account
    answer = visitor.post(f"/users/of/{own}", form(world, own, roles=[role]))
    assert answer.status_code == 403
    assert visitor.post("/users/new", {"username": "tool", "roles": [role]}).status_code == 403
    assert roles_of(world, own) == ["部门人事"]
    assert re.search(rf'value="{role}" data-was="" disabled', visitor.get("/users/new").text)
    # a mightier one: looked at, no more
    page = visitor.get(f"/users/of/{mightier}")
    assert page.status_code == 200
    assert 'value="link"' not in page.text and 'name="version"' not in page.text
    for do in ("link", "disable", "end", "save"):
        answer = visitor.post(f"/users/of/{mightier}", {"do": do, "all": "1", "version": "1"})
        assert answer.status_code in (403, 409), do
    assert access.get_account(world.crm, mightier, by=SYSTEM).active


# -- roles ------------------------------------------------------------------------------------


def test_a_role_is_made_changed_and_removed(visit: Visit, world: World, boss: Principal) -> None:
    """Its page keeps titles in both languages, scope and permissions; the list counts them."""
    # given
    visitor = visit(boss)
    typed = {"title": "教务", "title_en": "Office", "scope": "department"}
    made = visitor.post("/roles/new", typed | {"permissions": ["course:view", "course:edit"]})
    to = made.headers["location"]
    # when
    page = visitor.get(to).text
    assert re.search(r'value="course:view" data-was="1" checked', page)
    wider = {"permissions": ["course:view"], "scope": "all", "version": "1"}
    answer = visitor.post(to, typed | wider)
    # then
    assert answer.status_code == 303
    found = {r.role.title: r for r in access.list_roles(world.crm, by=SYSTEM)}["教务"]
    assert (found.permissions, found.role.scope) == (("course:view",), Scope.ALL)
    assert "教务" in visitor.get("/roles").text
    assert visitor.get(f"{to}/remove", **FRAGMENT).status_code == 200
    assert visitor.post(f"{to}/remove").headers["location"] == "/roles"
    assert visitor.get(to).status_code == 404


def test_a_role_in_use_or_built_in_stays(visit: Visit, world: World, boss: Principal) -> None:
    """Removing it is a conflict, and nothing changes."""
    visitor = visit(boss)
    access.add_role(world.crm, {"title": "兼职"}, by=SYSTEM)
    world.person("兼职", "兼职")
    for title in ("兼职", "课程顾问"):
        answer = visitor.post(f"/roles/{number(world, title)}/remove")
        assert answer.status_code == 409
    assert number(world, "兼职")


def test_of_two_who_change_a_role_the_later_sees_which_permissions_differ(
    visit: Visit, world: World, boss: Principal
) -> None:
    """Each that differs is marked with what it is by now."""
    visitor, id = visit(boss), number(world, "老师")
    before = {r.role.id: r for r in access.list_roles(world.crm, by=SYSTEM)}[id]
    access.edit_role(world.crm, id, {"permissions": ["course:view"]}, by=SYSTEM)
    answer = visitor.post(f"/roles/{id}", {
        "title": "老师", "title_en": "Teacher", "scope": "own", "version": before.role.version,
        "permissions": ["course:view", "school:view"],
    })  # fmt: skip
    assert answer.status_code == 409
    assert re.search(r'value="school:view" data-was="" checked', answer.text)
    assert len(re.findall("现在已是：", answer.text)) == 1


def test_nobody_gives_a_permission_or_a_scope_that_he_does_not_have(
    visit: Visit, world: World
) -> None:
    """Neither to a new role nor to one's own, and a role that holds more cannot be changed."""
    # given
    access.add_role(world.crm, {
        "title": "权限员", "scope": "department", "permissions": ["role:manage", "customer:view"],
    }, by=SYSTEM)  # fmt: skip
    keeper = world.person("权限员", "权限员")
    visitor, own = visit(keeper), number(world, "权限员")
    typed = {"title": "更多", "scope": "own", "permissions": ["customer:export"]}
    # when / then
    assert visitor.post("/roles/new", typed).status_code == 403
    wide = {"title": "更宽", "scope": "all", "permissions": ["customer:view"]}
    answer = visitor.post("/roles/new", wide)
    assert answer.status_code == 403
    assert 'value="更宽"' in answer.text
    lifted = {"title": "权限员", "scope": "department",
              "permissions": ["role:manage", "customer:view", "user:manage"]}  # fmt: skip
    assert visitor.post(f"/roles/{own}", lifted | {"version": "1"}).status_code == 403
    admin = number(world, "管理员")
    page = visitor.get(f"/roles/{admin}")
    assert "<fieldset disabled>" in page.text
    assert visitor.post(f"/roles/{admin}", typed | {"version": "1"}).status_code == 403
    # who may not give a permission is not offered it
    assert re.search(r'value="customer:export" data-was="" disabled',
                     visitor.get("/roles/new").text)  # fmt: skip


# -- the menu ---------------------------------------------------------------------------------


def test_the_menu_is_arranged_and_everybody_sees_it_so(
    visit: Visit, world: World, boss: Principal
) -> None:
    """A permission gets another name and group; a menu moves down; a consultant sees both."""
    # given
    visitor, theirs = visit(boss), visit(world.a)
    groups = access.list_permissions(world.crm, by=SYSTEM)
    pool = next(g.group for g in groups if g.group and g.group.code == "pool")
    mine = next(p for g in groups for p in g.permissions if p.code == "customer:mine")
    # when
    dialog = visitor.get("/menus/permissions/customer:mine", **FRAGMENT)
    assert "<html" not in dialog.text
    answer = visitor.post("/menus/permissions/customer:mine", {
        "title": "手上客户", "title_en": "In hand", "group_id": pool.id, "position": "0",
        "in_menu": "true", "version": mine.version,
    })  # fmt: skip
    # then
    assert answer.status_code == 303
    assert "手上客户" in theirs.get("/").text
    again = visitor.post("/menus/permissions/customer:mine", {
        "title": "迟到", "title_en": "", "group_id": pool.id, "position": "0",
        "version": mine.version,
    })  # fmt: skip
    assert again.status_code == 409
    assert "迟到" in again.text and "手上客户" in again.text


def test_menus_groups_and_permissions_move_by_one_place(
    visit: Visit, world: World, boss: Principal
) -> None:
    """Down and up again is where it stood; the first moves no further up."""
    visitor = visit(boss)

    def order() -> list[tuple[str, str]]:
        return [
            (g.group.title if g.group else "", p.code)
            for g in access.list_permissions(world.crm, by=SYSTEM)
            for p in g.permissions
        ]

    at_first = order()
    menu = next(g.menu for g in access.list_permissions(world.crm, by=SYSTEM) if g.menu)
    for kind, which in (("menu", str(menu.id)), ("permission", "customer:mine")):
        visitor.post("/menus/move", {"kind": kind, "which": which, "to": "up"})
        assert order() == at_first
        visitor.post("/menus/move", {"kind": kind, "which": which, "to": "down"})
        assert order() != at_first
        visitor.post("/menus/move", {"kind": kind, "which": which, "to": "up"})
        assert order() == at_first
    for kind, which in (("menu", "999"), ("group", "x"), ("permission", "no:such"), ("x", "1")):
        answer = visitor.post("/menus/move", {"kind": kind, "which": which, "to": "up"})
        assert answer.status_code == 404


def test_a_new_menu_is_made_and_an_unknown_permission_is_none(
    visit: Visit, world: World, boss: Principal
) -> None:
    """Menus are plain records with a form of their own."""
    visitor = visit(boss)
    made = visitor.post("/menus/new?back=/menus", {"title": "报表", "position": "99"})
    assert made.headers["location"] == "/menus"
    assert "报表" in visitor.get("/menus").text
    with world.crm.unit_of_work(read_only=True) as uow:
        assert uow.records.find(Menu, title="报表") is not None
    assert visitor.get("/menus/permissions/no:such").status_code == 404


def test_a_page_without_an_entry_highlights_its_parents_and_says_where_it_stands(
    visit: Visit, world: World, boss: Principal
) -> None:
    """Entering a customer belongs to the list of customers, a role's page to the roles."""
    visitor = visit(boss)

    def place(path: str) -> tuple[list[str], list[str]]:
        text = visitor.get(path).text
        trail = re.search(r'<ol class="breadcrumb.*?</ol>', text, re.S)
        steps = re.findall(r"<li[^>]*>(.*?)</li>", trail[0] if trail else "", re.S)
        lit = re.findall(r'<li class="nav-item active"><a class="nav-link" href="([^"]+)"', text)
        return lit, [re.sub(r"<[^>]+>", "", s).strip() for s in steps]

    assert place("/customers/new")[0] == ["/customers"]
    assert place("/assignments")[0] == ["/customers"]
    assert place("/roles/1") == (["/roles"], ["系统", "账号与权限", "角色与权限", "课程顾问"])
    assert place("/plugins")[0] == ["/roles"]
    assert place("/users") == (["/users"], ["系统", "账号与权限", "用户管理"])
    assert place("/me") == ([], [])
