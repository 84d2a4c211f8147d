"""What is done to rows: parts of many, refusals by name, and what takes it back."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from json import dumps
from typing import Any

import attrs
import pytest

from crm_domain import SYSTEM
from crm_domain.ports import Query
from crm_domain.usecases import assignment, audit_log, intake, payments
from crm_web import actions, pages, resources
from crm_web.app import make_app
from crm_web.resource import Resource
from make import World
from web.conftest import Visit
from web.visitor import FRAGMENT, Visitor


@pytest.fixture
def engine_name() -> str:
    """What is shown is the same on every engine; the laws below it are tried on both."""
    return "sqlite"


def small(world: World, visit: Visit, who: Any, most: int = 2) -> Visitor:
    """Open a browser where each action takes only a few rows at a time."""
    made = [
        attrs.evolve(r, actions=tuple(attrs.evolve(a, most=most) for a in r.actions))
        if isinstance(r, Resource) else r
        for r in resources.resources()
    ]  # fmt: skip
    me = visit(who)
    few = Visitor(make_app(world.crm, [*pages.screens(), *made]), portal=me.client.portal)
    few.client.cookies = me.client.cookies
    return few


def hidden(text: str) -> dict[str, Any]:
    """Read the hidden values of the form that goes on with the rest."""
    found: dict[str, Any] = {}
    begin = re.search(r'<form method="post" action="/[^"]+/actions/', text)
    assert begin is not None
    form = text[begin.start() : text.index("</form>", begin.start())]
    for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form):
        found.setdefault(name, []).append(value)
    return {n: v for n, v in found.items() if n != "csrf"}


def locked(world: World) -> list[str]:
    """Name the customers that were locked, each as often as it was."""
    entries = audit_log.list_entries(world.crm, Query(where={"action": "lock"}), by=SYSTEM)
    names = {c.id: c.name for c in intake.list_customers(world.crm, by=SYSTEM)}
    return sorted(names[e.entry.record_id] for e in entries)


def test_all_that_match_are_done_in_parts_and_none_twice(world: World, visit: Visit) -> None:
    """An action that leaves its rows in the filter goes on behind the last of them."""
    for n in range(5):
        world.customer(world.a, name=f"客户{n}")
    me = small(world, visit, world.manager)
    shown = me.get("/customers/actions/lock?all=1&state=").text
    assert "<strong>2</strong>" in shown
    assert "其余 3 条" in shown
    first = me.post("/customers/actions/lock", {"all": "1", "reason": "盘点"})
    assert "已锁定 2 位客户" in first.text
    assert "还剩 3 条没有处理" in first.text
    # Somebody who comes meanwhile was not meant.
    world.customer(world.a, name="新来")
    second = me.post("/customers/actions/lock", hidden(first.text))
    assert "还剩 1 条没有处理" in second.text
    last = me.post("/customers/actions/lock", hidden(second.text))
    assert last.status_code == 303
    assert locked(world) == [f"客户{n}" for n in range(5)]


def test_a_list_that_moves_its_rows_goes_on_by_number(world: World, visit: Visit) -> None:
    """Giving back puts rows behind others in one's own list; still each is given back once."""
    for n in range(5):
        world.customer(world.a, name=f"客户{n}")
    me = small(world, visit, world.a)
    answer = me.post("/my/customers/actions/release", {"all": "1"})
    for left in (3, 1):
        assert f"还剩 {left} 条没有处理" in answer.text
        assert "没有成功" not in answer.text
        answer = me.post("/my/customers/actions/release", hidden(answer.text))
    assert answer.status_code == 303
    assert not intake.list_customers(
        world.crm, Query(where={"owner_id": world.a.employee_id}), by=SYSTEM
    ).items


def test_more_than_are_ticked_at_a_time_go_on_too(world: World, visit: Visit) -> None:
    """What was ticked beyond the bound is not forgotten."""
    ids = [world.customer(world.a).id for _ in range(3)]
    me = small(world, visit, world.manager)
    first = me.post("/customers/actions/lock", {"ids": ids, "reason": "盘点"})
    assert "还剩 1 条没有处理" in first.text
    assert me.post("/customers/actions/lock", hidden(first.text)).status_code == 303
    assert len(locked(world)) == 3


def test_what_is_left_is_counted_so_far_only(
    world: World, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of very many it says that there are more; the form only counts, as the list does."""
    for _ in range(6):
        world.customer(world.a)
    monkeypatch.setattr(actions, "AHEAD", 2)
    me = small(world, visit, world.manager)
    with monkeypatch.context() as unread:
        unread.setattr(actions, "part", None)
        assert "其余 4 条" in me.get("/customers/actions/lock?all=1").text
    answer = me.post("/customers/actions/lock", {"all": "1", "reason": "盘点"})
    assert "还剩 2+ 条没有处理" in answer.text


def test_row_by_row_takes_a_thousand_and_by_set_ten_thousand() -> None:
    """So that no request runs for minutes; whoever declares an action gets the smaller bound."""
    for resource in resources.resources():
        for action in getattr(resource, "actions", ()):
            by_set = action.name in ("transfer", "assign")
            assert action.most == (10_000 if by_set else 1_000), action.name


# -- refusals ----------------------------------------------------------------------------------


def test_refused_rows_are_named_as_people_know_them(world: World, visit: Visit) -> None:
    """By their names as far as one may know them; of strangers the number stays."""
    far = world.person("外人", department_id=None)
    mine, theirs = world.customer(world.a, name="王小明"), world.customer(far, name="别人家")
    answer = visit(world.manager).post(
        "/customers/actions/lock/undo", {"ids": [mine.id, theirs.id, 987_654]}
    )
    assert "<td>王小明</td>" in answer.text
    assert f"<td>#{theirs.id}</td>" in answer.text
    assert "<td>#987654</td>" in answer.text
    assert "别人家" not in answer.text


def test_a_refused_payment_is_named_by_customer_and_amount(world: World, visit: Visit) -> None:
    """What has no title is named by the columns that its list says."""
    who = world.customer(world.a, name="王小明")
    paid = payments.record_payment(
        world.crm, {"customer_id": who.id, "kind": "deposit", "amount": 5, "paid_on": "2026-11-01"},
        by=SYSTEM,
    )  # fmt: skip
    me = visit(world.person("钱会计", "finance"))
    form = {"ids": paid.id, "reason": "错账"}
    assert me.post("/payments/actions/reject", form).status_code == 303
    assert re.search(r"<td>王小明 5(\.00)?</td>", me.post("/payments/actions/reject", form).text)


def test_more_refusals_than_are_shown_are_counted(
    world: World, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody takes the end of the table for the end of the refusals."""
    monkeypatch.setattr(actions, "SHOWN", 2)
    ids = [world.customer(world.a).id for _ in range(5)]
    text = visit(world.manager).post("/customers/actions/lock/undo", {"ids": ids}).text
    assert "以下 5 条没有成功" in text
    assert text.count("<td>王芳</td>") == 2
    assert "另有 3 条没有成功" in text


@pytest.mark.parametrize("form", [{"ids": [1, 2]}, {"all": "1"}])
def test_what_is_for_one_row_is_refused_for_many(
    world: World, visit: Visit, form: dict[str, Any]
) -> None:
    """Nothing takes the first of them in silence."""
    ids = [world.customer().id for _ in range(2)]
    sent = {**form, **({"ids": ids} if "ids" in form else {})}
    answer = visit(world.a).post("/pool/actions/claim", sent)
    assert answer.status_code == 422
    assert "一次只能对一条" in answer.text
    assert all(intake.get_customer(world.crm, n or 0, by=SYSTEM).owner_id is None for n in ids)


# -- undo --------------------------------------------------------------------------------------


def pressed(me: Visitor, answer: Any) -> Any:
    """Follow an answer and press the button that takes back what it says."""
    page = me.get(answer.headers["location"]).text
    action = re.search(r'action="(/customers/actions/\w+/undo)"', page)
    assert action is not None, "undo is offered"
    ids = re.findall(r'name="ids" value="(\d+)"><button', page)
    return me.post(action[1], {"ids": ids, "back": "/customers"})


def owners(world: World, ids: Sequence[Any]) -> list[int | None]:
    return [intake.get_customer(world.crm, n, by=SYSTEM).owner_id for n in ids]


def test_a_transfer_is_taken_back_by_one_press(world: World, visit: Visit) -> None:
    """The word above the list has the button; everybody gets back whose they were."""
    ids = [world.customer(world.a).id, world.customer(world.b).id]
    me = visit(world.manager)
    form = {"ids": ids[:1], "to_id": world.c.employee_id}
    answer = me.post("/customers/actions/transfer", form)
    assert owners(world, ids) == [world.c.employee_id, world.b.employee_id]
    again = pressed(me, answer)
    assert again.status_code == 303
    assert owners(world, ids) == [world.a.employee_id, world.b.employee_id]


def test_a_lock_is_taken_back_by_one_press(world: World, visit: Visit) -> None:
    """And whoever may not lock is offered nothing."""
    number = world.customer(world.a).id or 0
    me = visit(world.manager)
    answer = me.post("/customers/actions/lock", {"ids": number, "reason": "盘点"})
    assert pressed(me, answer).status_code == 303
    assert not intake.get_customer(world.crm, number, by=SYSTEM).locked


@pytest.mark.parametrize("action", ["release", "unlock"])
def test_what_is_not_safe_to_take_back_is_not_offered(
    world: World, visit: Visit, action: str
) -> None:
    """Somebody else may have claimed the customer by then."""
    number = world.customer(world.a).id or 0
    if action == "unlock":
        assignment.lock_customer(world.crm, number, reason="x", by=SYSTEM)
    me = visit(world.manager)
    answer = me.post(f"/customers/actions/{action}", {"ids": number, "reason": "x"})
    assert answer.status_code == 303
    assert "/undo" not in me.get(answer.headers["location"]).text


def test_many_rows_are_taken_back_from_the_outcome(
    world: World, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a cookie holds are shown with the button in the dialog."""
    monkeypatch.setattr(actions, "UNDONE_AT_ONCE", 1)
    ids = [world.customer(world.a).id for _ in range(2)]
    me = visit(world.manager)
    answer = me.client.post(
        "/customers/actions/lock", data={"csrf": me.token, "ids": ids, "reason": "盘点"},
        headers={"Origin": me.base, **FRAGMENT},
    )  # fmt: skip
    assert answer.status_code == 200
    assert 'action="/customers/actions/lock/undo"' in answer.text


def test_a_cookie_offers_only_what_takes_something_back(world: World, visit: Visit) -> None:
    """Whoever writes one leads nobody to another form."""
    me = visit(world.manager)
    for action in ("customers/actions/lock/undo", "pool-rules", "customers/actions/release",
                   "/evil.example"):  # fmt: skip
        packed = urlsafe_b64encode(dumps(["哦", "info", action, [1]]).encode()).decode()
        page = me.get("/customers", cookie=f"{me.cookie}={me.session}; flash={packed}").text
        assert "哦" in page
        offered = f'<form class="d-inline" method="post" action="/{action}">' in page
        assert offered is action.endswith("/undo")


def test_a_program_is_told_no_end_of_time(world: World, visit: Visit) -> None:
    """Who never becomes public has no day for it."""
    number = world.customer(world.a).id
    me = visit(world.manager)
    me.post("/customers/actions/lock", {"ids": number, "reason": "盘点"})
    [row] = me.get("/customers.json").json()["items"]
    assert row["due_on"] is None
