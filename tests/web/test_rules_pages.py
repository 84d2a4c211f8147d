"""The pool's rules, the rotation and the hand-over: nothing is overwritten or done unasked."""

from __future__ import annotations

import html
import re
from typing import Any

import attrs
import pytest

from crm_domain import SYSTEM
from crm_domain.model import Menu
from crm_domain.ports import Query, Settings
from crm_domain.rules.access import Principal
from crm_domain.usecases import (
    access,
    assignment,
    audit_log,
    inbox,
    intake,
    pool_rules,
    records,
    sessions,
    views,
)
from crm_web import widgets
from make import World, phone
from steps import login
from web.conftest import Visit
from web.house import House
from web.visitor import FRAGMENT, Visitor

RULE = {"contact_days": 3, "closing_days": 15}
TYPED = {"rule": "0", "0.contact_days": "9", "0.closing_days": "30", "0.warning_days": "1"}


@pytest.fixture
def boss(world: World) -> Principal:
    """Somebody who may do everything."""
    return world.person("孙总", "administrator")


def version(visitor: Visitor, page: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', visitor.get(page).text)
    assert found is not None
    return found[1]


# -- the pool's rules ---------------------------------------------------------------------------


def test_saved_rules_date_nobody_in_the_request(
    visit: Visit, world: World, boss: Principal
) -> None:
    """They are kept at once, a worker is woken, and the page says that it is under way."""
    # given
    customer = world.customer(world.a)
    visitor, due = visit(boss), customer.due_on
    # when
    typed = TYPED | {"version": version(visitor, "/pool-rules"), "do": "save"}
    answer = visitor.post("/pool-rules", typed)
    # then
    assert answer.status_code == 303
    assert [r.contact_days for r in pool_rules.show_pool_rules(world.crm, by=SYSTEM).rules] == [9]
    assert intake.get_customer(world.crm, customer.id or 0, by=SYSTEM).due_on == due
    assert "正在按最新规则重新计算" in visitor.get("/pool-rules").text
    assert pool_rules.date_customers(world.crm, by=SYSTEM) == 0
    assert intake.get_customer(world.crm, customer.id or 0, by=SYSTEM).due_on != due
    assert "正在按最新规则重新计算" not in visitor.get("/pool-rules").text
    assert pool_rules.date_customers(world.crm, by=SYSTEM) is None


def test_a_rule_is_added_without_looking_at_any_customer(
    visit: Visit, boss: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands before the last one, which fits all; trying out is another button."""
    visitor = visit(boss)
    typed = TYPED | {"version": version(visitor, "/pool-rules")}
    looked: list[object] = []
    monkeypatch.setattr(pool_rules, "_would_become_public", lambda *given: looked.append(given))
    answer = visitor.post("/pool-rules", typed | {"do": "add"})
    assert answer.status_code == 200
    assert re.findall(r'name="\d\.contact_days" value="(\d+)"', answer.text) == ["3", "9"]
    assert not looked
    assert visitor.post("/pool-rules", typed | {"do": "try"}).status_code == 200
    assert len(looked) == 1


def test_more_rules_than_there_may_be_are_refused_and_none_is_dropped(
    visit: Visit, world: World, boss: Principal
) -> None:
    """All of them are shown again."""
    visitor = visit(boss)
    typed: dict[str, Any] = {"rule": list(map(str, range(51))), "do": "save"}
    for n in range(51):
        typed |= {f"{n}.contact_days": "3", f"{n}.closing_days": "15", f"{n}.warning_days": "1"}
    answer = visitor.post("/pool-rules", typed | {"version": version(visitor, "/pool-rules")})
    assert answer.status_code == 422
    assert "最多 50 条规则" in answer.text
    assert answer.text.count('name="rule"') == 51
    assert not pool_rules.show_pool_rules(world.crm, by=SYSTEM).rules


# -- forms that lost their version ----------------------------------------------------------------


def test_a_form_without_its_version_overwrites_nothing(
    visit: Visit, world: World, boss: Principal
) -> None:
    """It is refused by whatever page takes it, and what is there stays."""
    crm, visitor = world.crm, visit(boss)
    pool_rules.set_pool_rules(crm, [RULE], by=SYSTEM)
    role = access.add_role(crm, {"title": "前台", "permissions": ["pool:view"]}, by=SYSTEM)
    menu = records.save_record(crm, Menu(title="旧"), by=SYSTEM)
    customer = world.customer(world.a, name="旧名")
    name = login(crm, world.b)
    forms: dict[str, dict[str, Any]] = {
        "/pool-rules": TYPED | {"do": "save"},
        "/rotation/plan": {},
        f"/roles/{role.id}": {"title": "新", "scope": "own", "permissions": ["course:view"]},
        f"/menus/{menu.id}/edit": {"title": "新", "position": "1"},
        "/menus/permissions/pool:view": {"title": "新", "position": "1"},
        f"/customers/{customer.id}/edit": {"name": "新名", "phone": customer.phone},
        f"/users/of/{name}": {"email": "new@example.com"},
    }
    seen = state(world, name)
    for address, typed in forms.items():
        for lost in ({}, {"version": ""}, {"version": "x"}):
            answer = visitor.post(address, typed | lost)
            assert answer.status_code == 422, address
    assert state(world, name) == seen


def state(world: World, name: str) -> list[Any]:
    """Read what the forms would change."""
    crm = world.crm
    return [
        pool_rules.show_pool_rules(crm, by=SYSTEM).rules,
        assignment.show_rotation(crm, by=SYSTEM).entries,
        [(r.role, r.permissions) for r in access.list_roles(crm, by=SYSTEM)],
        access.list_permissions(crm, by=SYSTEM),
        list(records.list_records(crm, Menu, by=SYSTEM)),
        list(intake.list_customers(crm, by=SYSTEM)),
        access.get_account(crm, name, by=SYSTEM).email,
    ]


# -- the rotation ---------------------------------------------------------------------------------


def test_a_plan_is_saved_and_takes_effect_together(
    visit: Visit, world: World, boss: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the second half fails, the first has not happened either."""
    visitor, who = visit(boss), world.b.employee_id
    before = assignment.show_rotation(world.crm, by=SYSTEM)
    typed = {"employee_id": str(who), f"quota-{who}": "2", f"active-{who}": "true", "now": "true",
             "version": version(visitor, "/rotation")}  # fmt: skip
    with monkeypatch.context() as patched:
        from crm_domain.usecases import rotation

        patched.setattr(rotation, "_reset", fail)
        assert visitor.post("/rotation/plan", typed).status_code == 500
    assert assignment.show_rotation(world.crm, by=SYSTEM) == before
    assert visitor.post("/rotation/plan", typed).status_code == 303
    now = assignment.show_rotation(world.crm, by=SYSTEM)
    assert [line[2] for line in now.running] == [2]
    assert not now.pending
    actions = [e.entry.action for e in audit_log.list_entries(world.crm, by=SYSTEM)]
    assert {"set_rotation", "reset_rotation"} <= set(actions[:2])


def fail(*_: object) -> None:
    raise RuntimeError("in the middle")


# -- what hurts is asked first --------------------------------------------------------------------


def sure(answer: Any) -> dict[str, Any]:
    """Read the form of a question, as its button sends it."""
    assert answer.status_code == 200
    found = re.findall(r'name="(\w+)" value="([^"]*)"', answer.text)
    assert ("sure", "1") in found
    typed: dict[str, Any] = {}
    for name, value in found:
        if name != "csrf":
            typed.setdefault(name, []).append(html.unescape(value))
    return typed


def test_a_hand_over_tells_how_many_go_to_whom_before_it_is_done(
    visit: Visit, world: World
) -> None:
    """Nothing is moved until then, and what was typed comes back with the yes."""
    mine = [world.customer(world.a).id for _ in range(5)]
    visitor = visit(world.manager)
    typed = {"from_id": world.a.employee_id, "reason": "离职",
             "to_ids": [world.b.employee_id, world.c.employee_id]}  # fmt: skip
    answer = visitor.post("/hand-over", typed)
    assert "李雷 的 5 位客户将移交给：韩梅梅 3 位、王强 2 位" in answer.text
    assert owned(world, world.a) == mine
    assert visitor.post("/hand-over", sure(answer)).status_code == 303
    assert (len(owned(world, world.b)), len(owned(world, world.c))) == (3, 2)
    last = assignment.history(world.crm, mine[0] or 0, by=SYSTEM)[-1]
    assert "离职" in (last.explanation or "")
    nothing = visitor.post("/hand-over", typed)
    assert "没有可以移交的客户" in nothing.text


def owned(world: World, who: Principal) -> list[int | None]:
    query = Query(where={"owner_id": who.employee_id}, sort="id")
    return [c.id for c in intake.list_customers(world.crm, query, by=SYSTEM)]


def test_a_refused_hand_over_keeps_the_reason_and_has_its_status(
    visit: Visit, world: World
) -> None:
    """422 for what was typed wrong, 409 for what cannot be, 404 for nobody."""
    world.customer(world.a)
    visitor, a = visit(world.manager), world.a.employee_id
    for typed, status in (
        ({"from_id": a, "to_ids": [a]}, 409), ({"from_id": a}, 409),
        ({"from_id": "", "to_ids": [world.b.employee_id]}, 422),
        ({"from_id": 987654, "to_ids": [987655]}, 404),
    ):  # fmt: skip
        answer = visitor.post("/hand-over", typed | {"reason": "“去”"})
        assert answer.status_code == status
        assert 'name="reason" maxlength="200" value="“去”"' in answer.text
    long = {"from_id": a, "to_ids": [world.b.employee_id], "reason": "长" * 600}
    assert visitor.post("/hand-over", long).status_code == 422


def test_what_cannot_be_taken_back_is_asked_first(
    visit: Visit, world: World, boss: Principal
) -> None:
    """By a page or in a dialog; the question says how much it is about, and yes does it."""
    crm, visitor, other = world.crm, visit(boss), visit(world.a)
    second, name = visit(boss), login(crm, world.a)
    view = views.save_view(crm, "customers", {"title": "我的", "query": "q=1"}, by=boss)
    cycle = assignment.show_rotation(crm, by=SYSTEM).cycle
    places: dict[str, tuple[dict[str, Any], str]] = {
        "/rotation/reset": ({}, "余下的 3 个顺位"),
        "/me/sessions/end": ({"others": "1"}, "其他 1 处登录"),
        "/views/manage": ({"list": "customers", "id": view.id}, "删除视图“我的”"),
        f"/users/of/{name}": ({"do": "end", "all": "1"}, "全部 1 处登录"),
    }
    for address, (typed, said) in places.items():
        assert said in visitor.post(address, typed, **FRAGMENT).text, address
        answer = visitor.post(address, typed)
        assert said in answer.text
        places[address] = sure(answer), said
    disable = visitor.post(f"/users/of/{name}", {"do": "disable"})
    assert "停用 李雷？现有的 1 处登录" in disable.text
    # then: nothing has happened
    assert assignment.show_rotation(crm, by=SYSTEM).cycle == cycle
    assert [v.view.id for v in views.list_views(crm, "customers", by=boss)] == [view.id]
    assert (second.get("/me").status_code, other.get("/me").status_code) == (200, 200)
    # when
    for address, (typed, _) in places.items():
        assert visitor.post(address, typed).status_code == 303, address
    assert visitor.post(f"/users/of/{name}", sure(disable)).status_code == 303
    # then
    assert assignment.show_rotation(crm, by=SYSTEM).cycle == cycle + 1
    assert not views.list_views(crm, "customers", by=boss)
    assert (second.get("/me").status_code, other.get("/me").status_code) == (303, 303)
    assert not access.get_account(crm, name, by=SYSTEM).active
    assert not sessions.list_sessions(crm, name, by=SYSTEM)


# -- messages -------------------------------------------------------------------------------------


def test_a_message_that_is_opened_has_been_read(visit: Visit, world: World) -> None:
    """It leads to what it is about; another's message leads nowhere and stays as it is."""
    world.crm = attrs.evolve(world.crm, settings=Settings())
    customer = world.customer(world.a)
    visitor, other = visit(world.a), visit(world.b)
    [message] = inbox.list_messages(world.crm, by=world.a)
    assert other.post(f"/inbox/{message.id}").headers["location"] == "/inbox"
    assert inbox.count_unread(world.crm, by=world.a) == 1
    answer = visitor.post(f"/inbox/{message.id}")
    assert answer.headers["location"] == f"/customers/{customer.id}"
    assert inbox.count_unread(world.crm, by=world.a) == 0


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_what_was_typed_into_a_picker_and_not_chosen_is_said_beside_it(
    visit: Visit, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is saved as if nobody had been named, and nobody is number 0."""
    # More people than a drop-down holds.
    monkeypatch.setattr(widgets, "FEW", 1)
    boss = visit(house.world.person("孙总", "administrator"))
    before = assignment.show_rotation(house.crm, 0, by=SYSTEM)
    told, own = "请从列表中选择“员5”", house.ids["own"]
    sent: list[tuple[str, dict[str, Any]]] = [
        ("/rotation/plan", {"add": "员5", "version": str(before.version)}),
        ("/hand-over", {"from_id": "员5", "to_ids": [str(house.b.employee_id)]}),
        ("/hand-over", {"from_id": str(house.a.employee_id),
                        "to_ids": [str(house.b.employee_id), "员5"], "sure": "1"}),
        ("/customers/actions/transfer", {"ids": str(own), "to_id": "员5", "reason": "x"}),
        ("/pool/actions/assign", {"ids": str(house.ids["pool"]), "to_id": "员5"}),
        ("/customers/new", {"name": "王", "phone": phone(), "to": "named", "consultant_id": "员5"}),
    ]  # fmt: skip
    for path, form in sent:
        answer = boss.post(path, form)
        assert answer.status_code == 422, path
        assert told in answer.text, path
        assert 'value="员5"' in answer.text, path
        assert 'value="员5" checked' not in answer.text, path
    for path in ("/customers/actions/transfer", "/pool/actions/assign"):
        answer = boss.post(path, {"ids": str(own), "to_id": "", "reason": "x"})
        assert (answer.status_code, "请选择员工" in answer.text) == (422, True), path
    assert assignment.show_rotation(house.crm, 0, by=SYSTEM) == before
    found = intake.get_customer(house.crm, own, by=SYSTEM)
    assert found.owner_id == house.a.employee_id
