"""The home page: who is shown what, and that each number is what the list behind it holds."""

from __future__ import annotations

import html
import re
from decimal import Decimal

import attrs
import pytest

from crm_domain import SYSTEM
from crm_domain.model import Customer, PaymentStatus
from crm_domain.model.fields import changed
from crm_domain.usecases import access, assignment, figures, follow_up, payments, pool
from make import World
from steps import enrol, on
from web.conftest import Visit
from web.house import ROLES
from web.visitor import Visitor

NUMBER = re.compile(r'<a href="(/[^"]+)">(¥?[\d,.]+[%+]?)</a>')


@pytest.fixture
def working(world: World) -> World:
    """Give the school some days of work, of which something is in every table."""
    won, lost = world.customer(world.a), world.customer(world.a)
    enrol(world, won)
    assignment.transfer_customer(world.crm, lost.id or 0, world.b.employee_id or 0, by=SYSTEM)
    for day in (1, 2, 3):
        world.clock.set(on(day, 12))
        found = world.customer(world.a)
        assignment.lock_customer(world.crm, found.id or 0, reason="x", by=SYSTEM)
        follow_up.log_follow_up(world.crm, found.id or 0, {"note": "x"}, by=world.a)
    world.clock.set(on(6, 9))
    world.customer(world.a)
    return world


def paid(world: World, customer: Customer) -> None:
    """Write a payment, and what a confirmation writes of it."""
    typed = {"customer_id": customer.id, "kind": "deposit", "amount": 100,
             "paid_on": world.crm.today(), "turnover": Decimal("19800.50")}  # fmt: skip
    payment = payments.record_payment(world.crm, typed, by=world.a)
    confirmed = changed(payment, status=PaymentStatus.CONFIRMED, confirmed_at=world.clock())
    with world.crm.unit_of_work() as uow:
        uow.records.save(confirmed)


def rows(visitor: Visitor, address: str) -> int:
    """Count what a list holds, by its pages."""
    path, _, asked = address.partition("?")
    found, after = 0, f"{path}.json?{asked}&size=20"
    while after:
        page = visitor.get(after).json()
        found, after = found + len(page["items"]), page["next"]
    return found


def turnover(visitor: Visitor, address: str) -> Decimal:
    """Add up the turnover of the payments in a list."""
    path, _, asked = address.partition("?")
    page = visitor.get(f"{path}.json?{asked}&size=200").json()
    assert page["next"] is None
    return sum((Decimal(row["turnover"] or 0) for row in page["items"]), Decimal())


def test_each_number_leads_to_the_list_that_it_counts(working: World, visit: Visit) -> None:
    """As many rows as the number says, on all pages; a share leads to the part of the whole."""
    visitor = visit(working.manager)
    text = visitor.get("/?since=2026-11-01&until=2026-11-30").text
    numbers = [(html.unescape(to), said) for to, said in NUMBER.findall(text)]
    counted = {(to, said) for to, said in numbers if "¥" not in said}
    shares = {said for _, said in counted if "%" in said}
    for to, said in counted:
        if "%" not in said:
            assert rows(visitor, to) == int(Decimal(said.replace(",", ""))), to
    team = figures.team_figures(working.crm, on(1).date(), on(30).date(), by=working.manager)
    assert team.conversion == 1 / 7
    assert shares == {"17%", "0%", "14%"}
    parts = {to for to, said in counted if "%" in said}
    assert sorted(rows(visitor, to) for to in parts) == [0, 1, 1]
    ages = [to for to, _ in counted if "last_contacted_at" in to]
    assert sum(rows(visitor, to) for to in ages) == rows(visitor, "/customers?status=not_enrolled")


@pytest.mark.parametrize("who", ["a", "b", "manager", *ROLES, "leading"])
def test_every_number_of_every_home_page_is_the_total_of_its_list(
    working: World, visit: Visit, who: str
) -> None:
    """Whoever looks, with a past that does not count: as many rows, and the page says so, too."""
    world = working
    for day in (7, 33):
        world.clock.set(on(day, 9))
        paid(world, world.customer(world.a))
    for by, name in ((world.a, "新月甲"), (world.b, "新月乙")):
        fresh = world.customer(by, name=name)
        typed = {"note": "x", "intention": "within_1_week", "next_contact_at": on(34, 9)}
        follow_up.log_follow_up(world.crm, fresh.id or 0, typed, by=by)
    world.customer(world.a, name="将到期")
    enrol(world, world.customer(world.a, name="本月成单"))
    pool.claim_customer(world.crm, world.customer(name="再抢").id or 0, by=world.b)
    world.clock.set(on(36, 9))
    if who == "leading":
        role = access.add_role(world.crm, {"title": "带队", "scope": "department",
                                           "permissions": ["customer:mine", "customer:view"]},
                               by=SYSTEM)  # fmt: skip
        access.set_roles(world.crm, world.a.name, [role.id or 0], by=SYSTEM)
    known = {"a": world.a, "b": world.b, "manager": world.manager, "leading": world.a}
    visitor = visit(known[who] if who in known else world.person("某人", who))
    text = visitor.get("/").text
    numbers = {(html.unescape(to), said) for to, said in NUMBER.findall(text)}
    numbers = {one for one in numbers if one[0] != "/jobs"}
    # Those who neither sell nor lead have no numbers.
    assert bool(numbers) is (who not in ("teacher", "student"))
    for to, said in sorted(numbers):
        if "%" in said:
            assert visitor.get(to).status_code == 200, to
        elif "¥" in said:
            assert turnover(visitor, to) == Decimal(said.strip("¥").replace(",", "")), to
        else:
            many = int(said.replace(",", ""))
            assert rows(visitor, to) == many, to
            path, _, asked = to.partition("?")
            if path == "/notices":
                continue  # Its list counts nothing.
            counted = visitor.get(f"{path}/facets?{asked}").text
            total = re.search(r'id="total"[^>]*>共 ([\d,]+) 条', counted)
            assert total is not None, to
            assert int(total[1].replace(",", "")) == many, to
    if who in ("a", "b"):
        assert {"/my/customers?tab=due", "/my/customers?tab=expiring"} < {to for to, _ in numbers}


@pytest.mark.parametrize(
    "asked",
    [
        "since=0001-01-01&until=0001-01-01", "since=9999-12-31&until=9999-12-31",
        "since=0001-01-01&until=9999-12-31", "since=2026-11-30&until=2026-11-01",
    ],
)  # fmt: skip
def test_a_period_that_is_none_is_refused_in_the_page(
    working: World, visit: Visit, asked: str
) -> None:
    """422 with a word; the rest of the day is there."""
    answer = visit(working.manager).get(f"/?{asked}")
    assert answer.status_code == 422
    assert "日期" in answer.text
    assert "各顾问" not in answer.text


def test_home_is_there_for_whoever_has_customers_and_sees_no_others(
    working: World, visit: Visit
) -> None:
    """A role with one's own customers alone is shown the own day, and no team."""
    role = access.add_role(
        working.crm, {"title": "只看自己", "permissions": ["customer:mine"]}, by=SYSTEM
    )
    name = working.a.name
    access.set_roles(working.crm, name, [role.id or 0], by=SYSTEM)
    visitor = visit(attrs.evolve(working.a, permissions=frozenset({"customer:mine"})))
    answer = visitor.get("/")
    assert answer.status_code == 200
    assert "正在跟进" in answer.text
    assert "各顾问" not in answer.text
    assert visitor.get("/my/customers").status_code == 200
    assert visitor.get("/customers").status_code == 403


def test_a_consultant_reads_the_own_work_and_not_the_teams(working: World, visit: Visit) -> None:
    """The table of the team is for whoever leads one; a list that is linked may be opened."""
    visitor = visit(working.a)
    text = visitor.get("/").text
    assert "各顾问" not in text
    for to, said in NUMBER.findall(text):
        assert rows(visitor, html.unescape(to)) == int(said), to


def test_who_runs_the_program_is_told_what_stands_still(world: World, visit: Visit) -> None:
    """A number for notices and one for jobs, each with its page; none of it for consultants."""
    text = visit(world.person("管理员", "administrator")).get("/").text
    assert '<a href="/notices?status=dead">0</a>' in text
    assert '<a href="/jobs">0</a>' in text
    for word in ("发送失败的通知", "出错或延误的任务"):
        assert word in text
        assert word not in visit(world.a).get("/").text


def test_an_appointment_that_has_passed_is_marked(world: World, visit: Visit) -> None:
    """One of later today is not; and a countdown says what it counts down to."""
    late, later = world.customer(world.a, name="已过"), world.customer(world.a, name="未到")
    for one, hour in ((late, 11), (later, 15)):
        typed = {"note": "x", "next_contact_at": on(1, hour)}
        follow_up.log_follow_up(world.crm, one.id or 0, typed, by=world.a)
    world.clock.set(on(1, 12))
    text = visit(world.a).get("/").text
    assert text.count("已过约定时间 ") == 1
    assert text.count("约定 ") == 1
    assert "公海：" in text
