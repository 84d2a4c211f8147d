"""My customers (spec section 6): what a consultant sees of the own ones, present and former."""

from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest

from crm_domain import SYSTEM
from crm_domain.errors import Invalid, NotFound, NotOwner, NotPermitted
from crm_domain.ports import Query
from crm_domain.rules.access import Principal
from crm_domain.usecases import assignment, follow_up, intake, pool
from make import World
from steps import enrol, on


def rows(world: World, by: Principal, **query: Any) -> list[tuple[str, int]]:
    page = assignment.my_customers(world.crm, Query(**query), by=by)
    return [(r.name, int(r.status)) for r in page]


def contact(world: World, number: int | None, **typed: Any) -> None:
    follow_up.log_follow_up(world.crm, number or 0, {"note": "x", **typed}, by=world.a)


def test_following_first_by_next_contact_then_ended_then_won(world: World) -> None:
    """The next due contact stands at the top, those without one after it, the won ones last."""
    # given
    won = world.customer(world.a, name="成单")
    released = world.customer(world.a, name="放弃")
    world.customer(world.a, name="过期")
    plain = world.customer(world.a, name="无约")
    late, soon = world.customer(world.a, name="后约"), world.customer(world.a, name="先约")
    contact(world, late.id, next_contact_at=on(9, 9))
    contact(world, soon.id, next_contact_at=on(8, 9))
    enrol(world, won)
    pool.release_customer(world.crm, released.id or 0, by=world.a)
    world.clock.set(on(4, 12))
    contact(world, plain.id)
    contact(world, late.id, next_contact_at=on(9, 9))
    contact(world, soon.id, next_contact_at=on(8, 9))
    # when
    world.clock.set(on(5))
    # then
    expected = [("先约", 1), ("后约", 1), ("无约", 1), ("过期", 3), ("放弃", 5), ("成单", 2)]
    assert rows(world, world.a) == expected
    pool.sweep_pool(world.crm, by=SYSTEM)
    assert rows(world, world.a) == expected


def test_the_order_of_the_ended_does_not_wait_for_the_sweep(world: World) -> None:
    """An appointment with a customer that was lost moves its row no more."""
    # given
    first, second = world.customer(world.a, name="甲"), world.customer(world.a, name="乙")
    contact(world, first.id, next_contact_at=on(2))
    contact(world, second.id)
    # when
    world.clock.set(on(5))
    before = rows(world, world.a)
    pool.sweep_pool(world.crm, by=SYSTEM)
    # then
    assert before == rows(world, world.a) == [("乙", 3), ("甲", 3)]


@pytest.mark.parametrize("swept", [False, True])
def test_an_overdue_customer_shows_as_expired(world: World, swept: bool) -> None:
    """By status, label and filter, before the sweep as after it, and without contact data."""
    # given
    customer = world.customer(world.a, qq="1000001", wechat="wang_fang")
    contact(world, customer.id, intention="within_1_week", next_contact_at=on(9))
    # when
    world.clock.set(on(5))
    if swept:
        pool.sweep_pool(world.crm, by=SYSTEM)
    # then
    [row] = assignment.my_customers(world.crm, by=world.a)
    assert (row.name, int(row.status), row.status_label) == ("王芳", 3, "3天未跟进")
    assert (row.started_at, row.due_on, row.owned) == (customer.received_at, None, False)
    hidden = (row.phone, row.qq, row.wechat, row.intention, row.last_contacted_at,
              row.next_contact_at)  # fmt: skip
    assert hidden == (None,) * 6
    assert rows(world, world.a, where={"status": 3}) == [("王芳", 3)]
    assert rows(world, world.a, where={"status": 1}) == []


def test_the_own_rows_have_everything(world: World) -> None:
    """Contact data, the next contact and the day it would be lost."""
    customer = world.customer(world.a, qq="1000001")
    contact(world, customer.id, next_contact_at=on(3))
    [row] = assignment.my_customers(world.crm, by=world.a)
    assert (row.phone, row.qq, row.owned) == (customer.phone, "1000001", True)
    assert (row.next_contact_at, row.due_on) == (on(3), date(2026, 11, 5))


def test_a_won_customer_stays_in_full(world: World) -> None:
    """Who won it keeps seeing it."""
    customer = world.customer(world.a)
    enrol(world, customer)
    world.clock.set(on(30))
    [row] = assignment.my_customers(world.crm, by=world.a)
    assert (int(row.status), row.phone, row.owned, row.due_on) == (2, customer.phone, True, None)


@pytest.mark.parametrize("taking", ["claim", "assign"])
def test_the_former_owner_keeps_the_row_until_somebody_else_owns_it(
    world: World, taking: str
) -> None:
    """Then it is gone from one book and in the other's."""
    # given
    number = world.customer(world.a).id or 0
    world.clock.set(on(5))
    assert rows(world, world.a) == [("王芳", 3)]
    # when
    if taking == "claim":
        pool.claim_customer(world.crm, number, by=world.b)
    else:
        to = world.b.employee_id or 0
        assignment.assign_customer(world.crm, number, to, by=world.manager)
    # then
    assert rows(world, world.a) == []
    assert rows(world, world.b) == [("王芳", 1)]


def test_a_transferred_customer_is_gone_at_once(world: World) -> None:
    """Somebody else owns it."""
    number = world.customer(world.a).id or 0
    to = world.b.employee_id or 0
    assignment.transfer_customer(world.crm, number, to, by=world.manager)
    assert (rows(world, world.a), rows(world, world.b)) == ([], [("王芳", 1)])


@pytest.mark.parametrize("ending", ["expired", "swept", "released"])
def test_the_former_owner_has_no_link(world: World, ending: str) -> None:
    """The page is not found and a follow-up is refused, though the pool lists the customer."""
    # given
    number = world.customer(world.a).id or 0
    if ending == "released":
        pool.release_customer(world.crm, number, by=world.a)
    else:
        world.clock.set(on(5))
    if ending == "swept":
        pool.sweep_pool(world.crm, by=SYSTEM)
    # when / then
    with pytest.raises(NotFound):
        intake.get_customer(world.crm, number, by=world.a)
    with pytest.raises(NotOwner):
        contact(world, number)
    assert [c.id for c in pool.public_customers(world.crm, by=world.a)] == [number]
    assert intake.get_customer(world.crm, number, by=world.b).id == number


def test_one_row_for_each_customer(world: World) -> None:
    """Of several periods with the same customer, the latest counts."""
    # given
    number = world.customer(world.a).id or 0
    world.clock.set(on(5))
    pool.claim_customer(world.crm, number, by=world.b)
    world.clock.set(on(9))
    # when
    pool.claim_customer(world.crm, number, by=world.a)
    # then
    [row] = assignment.my_customers(world.crm, by=world.a)
    assert (int(row.status), row.started_at) == (1, on(9))


def test_search_and_pages_see_every_row_once(world: World) -> None:
    """Page by page in the order of the whole."""
    # given
    for i, name in enumerate("赵钱孙李周吴郑王"):
        number = world.customer(world.a, name=name).id
        contact(world, number, next_contact_at=on(2) + timedelta(hours=i % 3))
    whole = rows(world, world.a)
    # when
    found: list[tuple[str, int]] = []
    after = None
    while True:
        page = assignment.my_customers(world.crm, Query(limit=3, after=after), by=world.a)
        found += [(r.name, int(r.status)) for r in page]
        after = page.next
        if after is None:
            break
    # then
    assert found == whole
    assert len(whole) == 8
    assert rows(world, world.a, search="孙") == rows(world, world.a, search="sun") == [("孙", 1)]


@pytest.mark.parametrize("where", [{"status": 9}, {"status": "x"}, {"name": "王芳"}])
def test_a_filter_that_is_not_there_is_refused(world: World, where: dict[str, Any]) -> None:
    """Nothing is silently left out of what was asked."""
    with pytest.raises(Invalid):
        assignment.my_customers(world.crm, Query(where=where), by=world.a)


def test_several_statuses_may_be_asked_for(world: World) -> None:
    """Any of them fits."""
    released = world.customer(world.a)
    pool.release_customer(world.crm, released.id or 0, by=world.a)
    world.customer(world.a, name="孙")
    assert rows(world, world.a, where={"status": [1, 5]}) == [("孙", 1), ("王芳", 5)]
    assert rows(world, world.a, where={"status": [5, 6]}) == [("王芳", 5)]


def test_only_consultants_have_a_book(world: World) -> None:
    """The program itself owns nothing, and without the permission nobody looks."""
    world.customer(world.a)
    assert list(assignment.my_customers(world.crm, by=SYSTEM)) == []
    with pytest.raises(NotPermitted):
        assignment.my_customers(world.crm, by=Principal(name="x", employee_id=1))


# -- filters, tabs and counts -----------------------------------------------------------------


def book(world: World) -> None:
    """Fill the book of ``world.a``, and stand at noon of the fourth of November."""
    won, released = world.customer(world.a, name="成单"), world.customer(world.a, name="放弃")
    late = world.customer(world.a, name="明天约")
    enrol(world, won)
    contact(world, released.id, intention="within_1_week", next_contact_at=on(2))
    pool.release_customer(world.crm, released.id or 0, by=world.a)
    locked = world.customer(world.a, name="锁定")
    assignment.lock_customer(world.crm, locked.id or 0, reason="x", by=world.manager)
    contact(world, locked.id, next_contact_at=on(4, 23))
    expired = world.customer(world.a, name="过期")
    contact(world, expired.id, intention="within_1_week", next_contact_at=on(9))
    plain = world.customer(world.a, name="无约")
    world.clock.set(on(2, 12))
    contact(world, plain.id, intention="no_plan")
    contact(world, late.id, next_contact_at=on(5), intention="within_1_week")
    today = world.customer(world.a, name="今天约")
    contact(world, today.id, next_contact_at=on(3, 9), intention="within_1_week")
    world.customer(world.b, name="别人")
    world.clock.set(on(5, 12))


def test_the_tabs_are_queries(world: World) -> None:
    """Due by the end of today, lost within days, and followed; an expired one is in none."""
    book(world)
    tabs = assignment.my_tabs(world.crm)

    def names(**query: Any) -> list[str]:
        return [name for name, _ in rows(world, world.a, **query)]

    assert names(ranges=tabs["due"].ranges) == ["今天约", "锁定", "明天约"]
    assert names(ranges=tabs["expiring"].ranges) == ["今天约", "明天约", "无约"]
    assert names(where=tabs["following"].where) == ["今天约", "锁定", "明天约", "无约"]
    assert names(ranges={"next_contact_at": (on(4), on(4, 23))}) == ["锁定"]
    assert names(ranges={"due_on": (date(2026, 11, 1), None)}) == ["今天约", "明天约", "无约"]
    assert names(ranges={"ended_at": (on(1), None)}) == ["放弃", "成单"]
    world.clock.set(on(4, 12))
    assert names(ranges=assignment.my_tabs(world.crm)["expiring"].ranges) == ["过期"]
    three = assignment.my_tabs(world.crm, days=3)["expiring"].ranges
    assert names(ranges=three) == ["今天约", "明天约", "过期", "无约"]


def test_a_filter_tells_nothing_that_the_row_hides(world: World) -> None:
    """Of what one gave back or lost, neither intention nor appointment can be asked for."""
    book(world)
    near = {"intention": "within_1_week"}
    assert rows(world, world.a, where=near) == [("今天约", 1), ("明天约", 1)]
    hidden = rows(world, world.a, where={"intention": None}, search="放弃")
    assert hidden == [("放弃", 5)]
    assert rows(world, world.a, ranges={"next_contact_at": (on(8), None)}) == []


QUERIES: list[dict[str, Any]] = [
    {}, {"where": {"status": 1}}, {"where": {"status": [3, 5]}}, {"search": "约"},
    {"where": {"intention": "within_1_week"}}, {"where": {"intention": ["no_plan", None]}},
    {"where": {"status": 1, "intention": "within_1_week"}},
    {"ranges": {"next_contact_at": (None, on(5, 23))}},
    {"ranges": {"due_on": (None, date(2026, 11, 6))}, "where": {"status": 3}},
]  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
def test_the_counts_are_those_of_the_list(world: World, query: dict[str, Any]) -> None:
    """Of all rows, of each status and intention, and of each tab."""
    book(world)
    tally = assignment.tally_mine(
        world.crm, Query(**query), ["status", "intention", "tab"], by=world.a
    )

    def page(**more: Any) -> Any:
        return assignment.my_customers(world.crm, Query(**more), by=world.a)

    def counted(name: str) -> dict[Any, int]:
        where = {n: v for n, v in query.get("where", {}).items() if n != name}
        return dict(Counter(getattr(r, name) for r in page(**query | {"where": where})))

    assert (tally.total, tally.exact) == (len(page(**query)), True)
    assert tally.by["status"] == counted("status")
    assert tally.by["intention"] == counted("intention")
    where = {n: v for n, v in query.get("where", {}).items() if n != "status"}
    expected = {
        name: len(page(search=query.get("search"), ranges=tab.ranges, where=where | tab.where))
        for name, tab in assignment.my_tabs(world.crm).items()
    }
    assert tally.by["tab"] == expected


def test_the_counts_are_refused_as_the_list_is(world: World) -> None:
    """The same permission, the same fields."""
    with pytest.raises(NotPermitted):
        assignment.tally_mine(world.crm, by=Principal(name="x", employee_id=1))
    for query in (Query(where={"name": "x"}), Query(ranges={"phone": (None, "1")}),
                  Query(sort="status"), Query(where={"status": 9})):  # fmt: skip
        with pytest.raises(Invalid):
            assignment.tally_mine(world.crm, query, by=world.a)
        with pytest.raises(Invalid):
            assignment.my_customers(world.crm, query, by=world.a)
    with pytest.raises(Invalid):
        assignment.tally_mine(world.crm, None, ["phone"], by=world.a)
    nothing = assignment.tally_mine(world.crm, None, ["status"], by=SYSTEM)
    assert (nothing.total, nothing.by) == (0, {"status": {}})
