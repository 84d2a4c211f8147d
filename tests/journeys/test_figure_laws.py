"""Figures of the home pages: every number is what its list holds."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import attrs
import pytest
import sqlalchemy as sa

from crm_adapters.storage.unit_of_work import SqlStorage
from crm_domain import SYSTEM, Crm
from crm_domain.errors import Invalid, NotPermitted
from crm_domain.model import (
    Customer,
    Department,
    NoticeStatus,
    Payment,
    PaymentStatus,
    Scope,
    Stage,
)
from crm_domain.model.fields import changed
from crm_domain.ports import Query
from crm_domain.rules.access import Principal
from crm_domain.usecases import (
    access,
    assignment,
    figures,
    follow_up,
    notices,
    payments,
    pool,
    records,
    schedule,
)
from make import World
from steps import enrol, on

NOVEMBER = date(2026, 11, 1), date(2026, 11, 30)


def rows(crm: Crm, figure: figures.Figure, by: Principal) -> list[Any]:
    """Ask the list of a figure for all its pages."""
    module, _, name = (figure.list or "").partition(".")
    ask = getattr(importlib.import_module(f"crm_domain.usecases.{module}"), name)
    query = attrs.evolve(figure.query or Query(), limit=3)
    found: list[Any] = []
    while True:
        page = ask(crm, query, by=by)
        found += list(page)
        if page.next is None:
            return found
        query = attrs.evolve(query, after=page.next)


def figures_in(thing: Any) -> Iterator[tuple[str, figures.Figure]]:
    """Find all figures in what a use case gave."""
    for name in (a.name for a in attrs.fields(type(thing))):
        value = getattr(thing, name)
        if isinstance(value, figures.Figure):
            yield name, value
        elif isinstance(value, dict):
            yield from ((str(k), v) for k, v in value.items())
        elif isinstance(value, tuple):
            for i, one in enumerate(value):
                if isinstance(one, figures.Figure):
                    yield f"{name}[{i}]", one
                else:
                    yield from ((f"{one.name}: {n}", f) for n, f in figures_in(one))


def check(crm: Crm, thing: Any, by: Principal) -> int:
    """Compare every figure with its list, and count those that are not nothing."""
    some = 0
    for name, figure in figures_in(thing):
        if figure.list is None:
            continue
        found = rows(crm, figure, by)
        value = len(found)
        if figure.adds:
            value = sum((getattr(r, figure.adds) or Decimal(0) for r in found), Decimal(0))
        assert figure.value == value, name
        some += bool(value)
    return some


def pay(world: World, customer: Customer, by: Principal, **values: Any) -> Payment:
    typed = {"customer_id": customer.id, "kind": "deposit", "amount": 100,
             "paid_on": date(2026, 11, 1), **values}  # fmt: skip
    return payments.record_payment(world.crm, typed, by=by)


def confirm(world: World, payment: Payment) -> None:
    """Write what a confirmation writes of a payment."""
    with world.crm.unit_of_work() as uow:
        uow.records.save(
            changed(payment, status=PaymentStatus.CONFIRMED, confirmed_at=world.clock())
        )


def say(world: World, customer: Customer, by: Principal, **typed: Any) -> None:
    follow_up.log_follow_up(world.crm, customer.id or 0, {"note": "x", **typed}, by=by)


@pytest.fixture
def busy(world: World) -> World:
    """Give the school ten days of work: everything that is counted happens to somebody."""
    crm, a, b = world.crm, world.a, world.b
    won = world.customer(a, name="成单")
    say(world, won, a, intention="within_1_week")
    confirm(world, pay(world, won, a, turnover=Decimal("19800.50")))
    refund = pay(world, won, a, kind="refund", turnover=5)
    confirm(world, refund)
    given_back = world.customer(a, name="放弃")
    pool.release_customer(crm, given_back.id or 0, by=a)
    claimed = world.customer(name="抢单")
    world.customer(name="公海")
    pool.claim_customer(crm, claimed.id or 0, by=b)
    enrol(world, won)
    moved = world.customer(b, name="转移")
    say(world, moved, b, intention="no_plan")
    assignment.transfer_customer(crm, moved.id or 0, a.employee_id or 0, by=world.manager)
    world.customer(b, name="过期")
    world.clock.set(on(5, 9))
    pool.sweep_pool(crm, by=SYSTEM)
    paying, hoped = world.customer(a, name="缴费"), world.customer(b, name="有意向")
    pay(world, paying, a)
    say(world, hoped, b, intention="within_2_days", next_contact_at=on(8))
    world.customer(a, name="无人管")
    world.clock.set(on(8, 9))
    fresh = world.customer(a, name="新")
    say(world, fresh, a, next_contact_at=on(9, 9))
    say(world, hoped, b, next_contact_at=on(8, 20))
    # One fell due at midnight, and no sweep has run.
    world.clock.set(on(9, 9))
    return world


def test_every_figure_of_a_consultant_is_what_its_list_holds(busy: World) -> None:
    """Today's contacts, what expires, what is owned and won, and the pool."""
    for by in (busy.a, busy.b, busy.c):
        mine = figures.my_figures(busy.crm, by=by)
        check(busy.crm, mine, by)
    mine = figures.my_figures(busy.crm, days=3, by=busy.a)
    assert check(busy.crm, mine, busy.a) == 5
    assert (mine.due.value, mine.owned.value, mine.won.value) == (1, 2, 1)
    assert mine.claims_left is None


def test_every_figure_of_a_team_is_what_its_list_holds(busy: World) -> None:
    """The funnel, and all numbers of all consultants, for everybody who looks, in any period."""
    days = [date(2026, 11, 1), date(2026, 11, 9), date(2026, 12, 1)]
    for by in (busy.manager, busy.a, SYSTEM):
        for since, until in [NOVEMBER, *((day, day) for day in days)]:
            team = figures.team_figures(busy.crm, since, until, days=3, by=by)
            some = check(busy.crm, team, by)
            assert some > (15 if by is not busy.a and (since, until) == NOVEMBER else -1)


def test_the_funnel_narrows(busy: World) -> None:
    """Whoever won has paid, hoped, been contacted and been received."""
    funnel = figures.team_figures(busy.crm, *NOVEMBER, by=busy.manager).funnel
    counts = [funnel[stage].value for stage in Stage]
    assert counts == sorted(counts, reverse=True)
    assert counts == [10, 5, 3, 2, 1]


def test_the_table_tells_what_each_one_did(busy: World) -> None:
    """By name; who has nothing stands there with nothing."""
    team = figures.team_figures(busy.crm, *NOVEMBER, by=busy.manager)

    def table(name: str) -> dict[str, Any]:
        [one] = [c for c in team.consultants if c.name == name]
        return {n: f.value for n, f in figures_in(one) if f.value}

    assert table("李雷") == {
        "owned": 2, "due": 1, "follow_ups": 2, "received": 6, "lost": 3, "won": 1,
        "turnover": Decimal("19800.50"), "converted": 1, "ages[0]": 1, "ages[1]": 1,
    }  # fmt: skip
    assert table("韩梅梅") == {
        "owned": 1, "due": 1, "follow_ups": 3, "received": 4, "claimed": 1, "lost": 2,
        "ages[0]": 1,
    }  # fmt: skip
    assert table("王强") == {}
    assert [c.name for c in team.leaderboard] == ["李雷"]


def test_conversion_is_what_was_won_of_what_was_received(busy: World) -> None:
    """Of the very same customers, so it is never more than all; of nothing there is none."""
    team = figures.team_figures(busy.crm, *NOVEMBER, by=busy.manager)
    shares = {c.name: (c.converted.value, c.received.value, c.conversion) for c in team.consultants}
    assert shares == {"李雷": (1, 6, 1 / 6), "韩梅梅": (0, 4, 0.0), "王强": (0, 0, None)}
    assert team.conversion == 1 / 10
    # What is won later counts for the time in which it was received.
    late = busy.customer(busy.c)
    busy.clock.set(on(30, 9) + timedelta(days=2))
    assignment.assign_customer(busy.crm, late.id or 0, busy.c.employee_id or 0, by=SYSTEM)
    enrol(busy, late)
    december = figures.team_figures(
        busy.crm, date(2026, 12, 1), date(2026, 12, 31), by=busy.manager
    )
    assert december.conversion == 1.0
    check(busy.crm, december, busy.manager)


def test_what_is_owned_ages_by_days_since_the_last_contact(world: World) -> None:
    """By local days: at midnight everything grows a day older; being received is a contact."""
    crm = world.crm
    for day in (1, 2, 5, 8, 9, 13, 14, 17):
        world.clock.set(on(day, 23))
        found = world.customer(world.a)
        assignment.lock_customer(crm, found.id or 0, reason="x", by=SYSTEM)
        say(world, found, world.a)

    fresh = world.customer(world.a)
    assignment.lock_customer(crm, fresh.id or 0, reason="x", by=SYSTEM)

    def ages() -> list[int]:
        team = figures.team_figures(crm, *NOVEMBER, by=world.manager)
        check(crm, team, world.manager)
        [one] = [c for c in team.consultants if c.name == "李雷"]
        assert sum(f.value for f in one.ages) == one.owned.value
        return [int(f.value) for f in one.ages]

    assert ages() == [3, 1, 4, 1]
    world.clock.set(on(18, 0))
    assert ages() == [2, 2, 3, 2]


def test_what_fell_due_is_lost_before_any_sweep(busy: World) -> None:
    """The sweep changes no number of the day."""
    before = figures.team_figures(busy.crm, *NOVEMBER, by=busy.manager)
    pool.sweep_pool(busy.crm, by=SYSTEM)
    assert figures.team_figures(busy.crm, *NOVEMBER, by=busy.manager) == before


def test_nobody_sees_figures_beyond_the_own_reach(busy: World) -> None:
    """A consultant the own, a manager the department and those below, not those beside."""
    below, beside = (
        records.save_record(busy.crm, Department(code=c, title=str(c), parent_id=p), by=SYSTEM)
        for c, p in ((9101, busy.department.id), (9102, None))
    )
    inside = busy.person("下", department_id=below.id)
    outside = busy.person("旁", department_id=beside.id)
    for who in (inside, outside):
        say(busy, busy.customer(who), who)

    def seen(by: Principal) -> set[str]:
        team = figures.team_figures(busy.crm, *NOVEMBER, by=by)
        check(busy.crm, team, by)
        return {c.name for c in team.consultants}

    assert seen(busy.a) == {"李雷"}
    assert seen(busy.manager) == {"李雷", "韩梅梅", "王强", "下"}
    assert seen(outside) == {"旁"}
    assert seen(SYSTEM) == {"李雷", "韩梅梅", "王强", "下", "旁"}


def statements(world: World, by: Principal) -> int:
    storage = world.crm.storage
    assert isinstance(storage, SqlStorage)
    seen: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        seen.append(statement)

    sa.event.listen(storage.reader, "before_cursor_execute", note)
    try:
        figures.team_figures(world.crm, *NOVEMBER, by=by)
    finally:
        sa.event.remove(storage.reader, "before_cursor_execute", note)
    return len(seen)


def test_a_bigger_team_takes_no_more_statements(world: World) -> None:
    """Everything is counted by sets."""
    world.customer(world.a)
    before = statements(world, world.manager)
    for i in range(10):
        world.customer(world.person(f"新人{i}"))
    assert statements(world, world.manager) == before <= 10


def test_the_claims_left_are_those_the_limits_allow(world: World) -> None:
    """By day and by what is owned; nobody has fewer than none."""
    for _ in range(4):
        world.customer()

    def left(**limits: Any) -> Any:
        crm = attrs.evolve(world.crm, settings=attrs.evolve(world.crm.settings, **limits))
        return figures.my_figures(crm, by=world.b).claims_left

    pooled = list(pool.public_customers(world.crm, by=world.b))
    pool.claim_customer(world.crm, pooled[0].id or 0, by=world.b)
    assert left() is None
    assert left(max_claims_per_day=3).value == 2
    assert left(max_claims_per_day=3, max_owned=2).value == 1
    assert left(max_owned=0).value == 0
    limited = attrs.evolve(
        world.crm, settings=attrs.evolve(world.crm.settings, max_claims_per_day=1)
    )
    idle = attrs.evolve(world.b, permissions=world.b.permissions - {"customer:claim"})
    assert figures.my_figures(limited, by=idle).claims_left is None


def test_figures_are_for_who_sees_customers(world: World) -> None:
    """And the pool's for who sees the pool."""
    nobody = Principal(name="x", employee_id=world.a.employee_id)
    with pytest.raises(NotPermitted):
        figures.my_figures(world.crm, by=nobody)
    with pytest.raises(NotPermitted):
        figures.team_figures(world.crm, *NOVEMBER, by=nobody)
    owner = attrs.evolve(nobody, permissions=frozenset({"customer:mine"}))
    assert figures.my_figures(world.crm, by=owner).pool is None
    with pytest.raises(NotPermitted):
        figures.team_figures(world.crm, *NOVEMBER, by=owner)
    viewer = attrs.evolve(nobody, permissions=frozenset({"customer:view"}))
    with pytest.raises(NotPermitted):
        figures.my_figures(world.crm, by=viewer)
    assert figures.my_figures(world.crm, by=SYSTEM).owned.value == 0
    wrong: Any
    for wrong in (
        (NOVEMBER[1], NOVEMBER[0]),
        ("2026-11-01", NOVEMBER[1]),
        (None, None),
        (date.min, date.min),
        (date.max, date.max),
        (date.min, date.max),
    ):
        with pytest.raises(Invalid):
            figures.team_figures(world.crm, *wrong, by=SYSTEM)


# -- the lists of the past --------------------------------------------------------------------


def test_what_was_said_to_anothers_customer_stays_hidden(world: World) -> None:
    """Whoever lost one reads in the own follow-ups when, but no longer what, nor asks for it."""
    customer = world.customer(world.a)
    say(world, customer, world.a, note="机密", intention="within_1_week")
    number = world.b.employee_id or 0

    def read(by: Principal, **query: Any) -> list[tuple[str, Any]]:
        page = follow_up.list_follow_ups(world.crm, Query(**query), by=by)
        assert follow_up.tally_follow_ups(world.crm, Query(**query), by=by).total == len(page)
        return [(f.note, f.intention) for f in page]

    assert read(world.a, search="机密") == [("机密", "within_1_week")]
    assignment.transfer_customer(world.crm, customer.id or 0, number, by=world.manager)
    assert read(world.a) == [("", None)]
    assert read(world.a, search="机密") == read(world.a, where={"intention": "within_1_week"}) == []
    assert read(world.b) == []
    assert read(world.manager) == [("机密", "within_1_week")]


def test_the_lists_of_the_past_need_their_permissions(world: World) -> None:
    """Payments one of their own, whether one enters or confirms them; never another's."""
    pay(world, world.customer(world.a), world.a)
    assert len(payments.list_payments(world.crm, by=world.a)) == 1
    assert len(payments.list_payments(world.crm, by=world.b)) == 0
    assert payments.tally_payments(world.crm, by=world.b).total == 0
    assert assignment.tally_assignments(world.crm, None, ["stage"], by=world.a).by == {
        "stage": {Stage.PAYING: 1}
    }
    nobody = Principal(name="x", employee_id=world.a.employee_id, scope=Scope.ALL)
    for ask in (
        payments.list_payments, payments.tally_payments, assignment.list_assignments,
        assignment.tally_assignments, follow_up.list_follow_ups, follow_up.tally_follow_ups,
    ):  # fmt: skip
        with pytest.raises(NotPermitted):
            ask(world.crm, by=nobody)
    access.set_role(world.crm, "核", permissions=["payment:view"], scope=Scope.ALL, by=SYSTEM)
    assert len(payments.list_payments(world.crm, by=world.person("核", "核"))) == 1


def test_what_stands_still_is_counted_for_whoever_runs_the_program(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Notices that were given up, as many as their list holds, and jobs that failed or are late."""
    crm, runs = world.crm, attrs.evolve(world.manager, permissions=frozenset({"notice:view"}))
    found = figures.office_figures(crm, by=SYSTEM)
    assert (found.dead, found.jobs) == (
        figures.Figure(value=0, list="notices.list_notices",
                       query=Query(where={"status": NoticeStatus.DEAD})),
        figures.Figure(value=0),
    )  # fmt: skip
    world.customer(world.a)
    [told, *_] = list(notices.list_notices(crm, by=SYSTEM))
    with crm.unit_of_work() as uow:
        uow.records.save(changed(told, status=NoticeStatus.DEAD, error="no such number"))

    def fail(_: Crm) -> dict[str, int]:
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setitem(schedule.JOBS, "warn", attrs.evolve(schedule.JOBS["warn"], run=fail))
        assert schedule.run_job(crm, "warn", by=SYSTEM).error
    found = figures.office_figures(crm, by=SYSTEM)
    assert check(crm, found, SYSTEM) == 1
    assert found.jobs is not None and found.jobs.value == 1
    found = figures.office_figures(crm, by=runs)
    assert found.jobs is None and found.dead is not None
    assert figures.office_figures(crm, by=world.a) == figures.OfficeFigures(dead=None, jobs=None)
