"""Intake and rotation (spec sections 3 and 7): who gets the next new customer, and why."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from typing import Any

import attrs
import pytest

from crm_adapters import open_crm
from crm_domain import SYSTEM
from crm_domain.errors import (
    BadPlan,
    CrmError,
    DatabaseBusy,
    Duplicate,
    Invalid,
    NotAssignable,
    NotFound,
    NotPermitted,
)
from crm_domain.model import AssignmentMethod, AuditEntry, Department, Employee, Event
from crm_domain.model.fields import changed
from crm_domain.ports import Query, Settings
from crm_domain.rules.access import Principal
from crm_domain.testing.clock import FixedClock
from crm_domain.usecases import access, assignment, giving, imports, intake, pool, records
from make import World, phone
from steps import login, told
from strategies import local


def plan(world: World, *rows: tuple[Principal, int, int]) -> None:
    """Set the plan: who, how many turns in a cycle, and the weight."""
    entries = [{"employee_id": p.employee_id, "quota": q, "weight": w} for p, q, w in rows]
    assignment.set_rotation(world.crm, entries, by=SYSTEM)


def deal(world: World, n: int) -> str:
    """Register n customers and tell who got them: a, b, c, or - for the pool."""
    letters = {world.a.employee_id: "a", world.b.employee_id: "b", world.c.employee_id: "c"}
    return "".join(letters.get(world.dealt().owner_id, "-") for _ in range(n))


def ahead(world: World, n: int) -> str:
    letters = {world.a.employee_id: "a", world.b.employee_id: "b", world.c.employee_id: "c"}
    return "".join(letters[i] for i in assignment.upcoming(world.crm, n, by=SYSTEM))


def change(world: World, who: Principal, **fields: Any) -> None:
    employee = records.get_record(world.crm, Employee, who.employee_id or 0, by=SYSTEM)
    records.save_record(world.crm, changed(employee, **fields), by=SYSTEM)


def why(world: World, number: int | None) -> str:
    return assignment.history(world.crm, number or 0, by=SYSTEM)[0].explanation


def turns(world: World, numbers: Sequence[int | None]) -> list[tuple[int | None, int | None]]:
    found = [assignment.history(world.crm, n or 0, by=SYSTEM)[0] for n in numbers]
    return [(a.cycle, a.position) for a in found]


# -- the order --------------------------------------------------------------------------------


def test_weight_decides_the_order_and_quota_the_share(world: World) -> None:
    """The example of the specification: weights 10/5/1 and quotas 3/1/2 give a b c a c a."""
    plan(world, (world.a, 3, 10), (world.b, 1, 5), (world.c, 2, 1))
    assignment.reset_rotation(world.crm, by=SYSTEM)
    assert deal(world, 12) == "abcaca" * 2


def test_what_is_shown_ahead_is_what_happens(world: World) -> None:
    """The next consultants that the page lists are the ones who get the next customers."""
    plan(world, (world.a, 3, 10), (world.b, 1, 5), (world.c, 2, 1))
    for _ in range(5):
        expected = ahead(world, 7)
        assert deal(world, 3) == expected[:3]
    shown = assignment.show_rotation(world.crm, by=SYSTEM)
    assert (shown.length, shown.pending) == (6, False)
    assert [e[2] for e in shown.entries] == [3, 1, 2]


def test_looking_ahead_uses_no_turn(world: World) -> None:
    """Asking again and again changes nothing."""
    assert {ahead(world, 4) for _ in range(3)} == {"abca"}
    assert deal(world, 4) == "abca"


def test_the_smooth_strategy_gives_the_same_shares(url: str, clock: FixedClock) -> None:
    """Interleaved evenly, over one cycle everybody gets the quota."""
    with open_crm(url, clock=clock, settings=Settings(rotation_strategy="smooth")) as crm:
        world = World(crm, clock, rotation=False)
        plan(world, (world.a, 3, 10), (world.b, 1, 5), (world.c, 2, 1))
        dealt = deal(world, 12)
    assert dealt[:6] == dealt[6:] != "abcaca"
    assert Counter(dealt) == {"a": 6, "b": 2, "c": 4}


def test_the_position_survives_a_restart(url: str, clock: FixedClock) -> None:
    """Whoever opens the database next goes on where the last one stopped."""
    with open_crm(url, clock=clock) as crm:
        world = World(crm, clock)
        first = deal(world, 2)
    with open_crm(url, clock=clock) as crm:
        world.crm = crm
        assert first + deal(world, 2) == "abca"


def test_two_processes_share_one_rotation(url: str, clock: FixedClock) -> None:
    """Two who have the database open take turns of the same cycle, and see each other's changes."""
    with open_crm(url, clock=clock) as one, open_crm(url, clock=clock) as other:
        world = World(one, clock)
        found = ""
        for crm in (one, other) * 2:
            world.crm = crm
            found += deal(world, 1)
        assert found == "abca"
        world.crm = one
        change(world, world.b, on_duty=False)
        world.crm = other
        assert deal(world, 2) == "ca"


def test_every_assignment_says_its_turn(world: World) -> None:
    """Cycle and position are kept, one after the other, and told in words."""
    customers = [world.dealt().id for _ in range(4)]
    [(cycle, _), *_] = places = turns(world, customers)
    assert cycle is not None
    assert places == [(cycle, 0), (cycle, 1), (cycle, 2), (cycle + 1, 0)]
    assert f"第{cycle + 1}轮第1位" in why(world, customers[3])


def test_many_who_deal_at_once_use_each_turn_once(world: World) -> None:
    """None is used twice and none is skipped, also when every third customer is refused."""
    # given
    known = world.customer()
    plan(world, (world.a, 2, 3), (world.b, 1, 2), (world.c, 1, 1))
    assignment.reset_rotation(world.crm, by=SYSTEM)

    def register(i: int) -> int | None:
        typed = {"name": "王", "phone": known.phone if i % 3 == 0 else phone()}
        try:
            return intake.register_customer(world.crm, typed, by=SYSTEM).id
        except Duplicate:
            return None

    # when
    with ThreadPoolExecutor(4) as threads:
        made = [n for n in threads.map(register, range(48)) if n]
    # then
    assert len(made) == 32
    places = sorted(turns(world, made))
    first = places[0][0] or 0
    assert places == [(first + i // 4, i % 4) for i in range(32)]
    owners = Counter(intake.get_customer(world.crm, n, by=SYSTEM).owner_id for n in made)
    assert owners == {world.a.employee_id: 16, world.b.employee_id: 8, world.c.employee_id: 8}


# -- changes of the plan ----------------------------------------------------------------------


def test_a_changed_plan_waits_for_the_next_cycle(world: World) -> None:
    """The running cycle ends as it began, and the page says that a change is waiting."""
    # given
    assert deal(world, 1) == "a"
    # when
    plan(world, (world.c, 2, 9), (world.a, 1, 1))
    # then
    assert assignment.show_rotation(world.crm, by=SYSTEM).pending
    assert ahead(world, 6) == "bc" + "cac" + "c"
    assert deal(world, 6) == "bc" + "cac" + "c"
    assert not assignment.show_rotation(world.crm, by=SYSTEM).pending


def test_the_last_of_several_changes_counts(world: World) -> None:
    """What was planned and changed again before the cycle's end never runs."""
    deal(world, 1)
    plan(world, (world.b, 1, 1))
    plan(world, (world.c, 1, 1))
    assert deal(world, 4) == "bc" + "cc"


def test_a_reset_begins_a_new_cycle_now(world: World) -> None:
    """The rest of the running cycle is dropped, and no place of it is ever used."""
    # given
    assert deal(world, 1) == "a"
    plan(world, (world.c, 1, 9), (world.a, 1, 1))
    # when
    assignment.reset_rotation(world.crm, by=SYSTEM)
    # then
    assert deal(world, 3) == "cac"


def test_the_first_plan_acts_at_once(url: str, clock: FixedClock) -> None:
    """A new school has no running cycle to wait for, also after customers came in vain."""
    with open_crm(url, clock=clock) as crm:
        world = World(crm, clock, rotation=False)
        assert deal(world, 1) == "-"
        plan(world, (world.b, 1, 1))
        assert deal(world, 2) == "bb"


def test_quota_zero_takes_no_part(world: World) -> None:
    """Nor does an inactive entry."""
    entries = [
        {"employee_id": world.a.employee_id, "quota": 0, "weight": 9},
        {"employee_id": world.b.employee_id, "quota": 1, "weight": 5},
        {"employee_id": world.c.employee_id, "quota": 5, "weight": 7, "active": False},
    ]
    assignment.set_rotation(world.crm, entries, by=SYSTEM)
    assignment.reset_rotation(world.crm, by=SYSTEM)
    assert deal(world, 3) == "bbb"


@pytest.mark.parametrize(
    "entries",
    [[{"employee_id": 404}], [{"quota": 1}], [{"employee_id": 1, "quota": -1}],
     [{"employee_id": 1}, {"employee_id": 1}], [{"employee_id": 1, "quota": "x"}],
     [{"employee_id": 1, "weight": 10**9}]],
)  # fmt: skip
def test_a_bad_plan_is_refused_whole(world: World, entries: list[dict[str, Any]]) -> None:
    """The plan that was there stays."""
    before = assignment.show_rotation(world.crm, by=SYSTEM)
    with pytest.raises(BadPlan):
        assignment.set_rotation(world.crm, entries, by=SYSTEM)
    assert assignment.show_rotation(world.crm, by=SYSTEM) == before


# -- who is not there -------------------------------------------------------------------------

ABSENT = [
    ({"on_duty": False}, "不在岗"),
    ({"leave": ((date(2026, 11, 1), date(2026, 11, 1)),)}, "请假"),
    ({"left_on": date(2026, 11, 1)}, "已离职"),
]


@pytest.mark.parametrize(("fields", "reason"), ABSENT)
def test_who_is_absent_is_passed_over_at_once(
    world: World, fields: dict[str, Any], reason: str
) -> None:
    """The turn is used up, and the assignment of the next one says who was passed over and why."""
    # given
    change(world, world.b, **fields)
    # when
    first, second = world.dealt(), world.dealt()
    # then
    assert [first.owner_id, second.owner_id] == [world.a.employee_id, world.c.employee_id]
    assert "顺延" not in why(world, first.id)
    assert f"韩梅梅（{reason}）" in why(world, second.id)
    assert [p for _, p in turns(world, [first.id, second.id])] == [0, 2]


def test_a_disabled_employee_is_passed_over_at_once(world: World) -> None:
    """The account ends in the middle of a cycle, and so do the turns."""
    assert deal(world, 1) == "a"
    access.set_active(world.crm, login(world.crm, world.b), False, by=SYSTEM)
    number = world.dealt().id
    assert "韩梅梅（无可用账号）" in why(world, number)
    access.set_active(world.crm, login(world.crm, world.b), True, by=SYSTEM)
    assert deal(world, 3) == "abc"


def test_who_may_not_claim_gets_no_turn(world: World) -> None:
    """Whose role no longer sells is passed over from the next turn on."""
    access.set_roles(world.crm, login(world.crm, world.a), ["teacher"], by=SYSTEM)
    assert deal(world, 2) == "bc"


def test_leave_is_of_local_days(world: World) -> None:
    """Both days included: back at midnight after the last one."""
    change(world, world.a, leave=((date(2026, 11, 2), date(2026, 11, 3)),))
    found = []
    for moment in (
        local(date(2026, 11, 1), 23, 59, 59), local(date(2026, 11, 2)),
        local(date(2026, 11, 3), 23, 59, 59), local(date(2026, 11, 4)),
    ):  # fmt: skip
        world.clock.set(moment)
        assignment.reset_rotation(world.crm, by=SYSTEM)
        found.append(deal(world, 1))
    assert found == ["a", "b", "b", "a"]


def test_no_flood_meets_who_returns(world: World) -> None:
    """Missed turns are gone; the shares go on as before."""
    change(world, world.a, on_duty=False)
    assert deal(world, 4) == "bcbc"
    change(world, world.a, on_duty=True)
    assert deal(world, 6) == "abcabc"


def test_who_is_at_the_limit_is_passed_over(url: str, clock: FixedClock) -> None:
    """Until a customer less is owned; whatever fell due counts no more."""
    with open_crm(url, clock=clock, settings=Settings(max_owned=1)) as crm:
        world = World(crm, clock)
        assert deal(world, 4) == "abc-"
        clock.set(local(date(2026, 11, 5)))
        number = world.dealt().id or 0
        assert assignment.history(crm, number, by=SYSTEM)[0].consultant_id == world.a.employee_id
        assert deal(world, 3) == "bc-"


def test_an_import_counts_what_it_dealt_itself(url: str, clock: FixedClock) -> None:
    """Within one batch nobody gets more than the limit."""
    with open_crm(url, clock=clock, settings=Settings(max_owned=2)) as crm:
        world = World(crm, clock)
        report = imports.import_file(crm, _sheet(8), file_name="x.csv", by=SYSTEM)
    assert (dict(report.dealt), report.pooled) == ({"李雷": 2, "韩梅梅": 2, "王强": 2}, 2)
    assert world.a.employee_id


# -- nobody there -----------------------------------------------------------------------------


def test_when_nobody_is_there_the_customer_is_in_the_pool(world: World) -> None:
    """It is saved, everybody may claim it, the managers are told, and no turn is lost."""
    # given
    for who in (world.a, world.b, world.c):
        change(world, who, on_duty=False)
    # when
    customer = world.dealt()
    # then
    assert customer.owner_id is None
    assert assignment.history(world.crm, customer.id or 0, by=SYSTEM) == ()
    assert [c.id for c in pool.public_customers(world.crm, by=world.a)] == [customer.id]
    [notice] = told(world.crm, Event.NOBODY)
    assert notice.recipient_id == world.manager.employee_id
    for who in (world.a, world.b, world.c):
        change(world, who, on_duty=True)
    assert deal(world, 3) == "abc"


def test_an_import_tells_the_managers_once(world: World) -> None:
    """Once per batch, with how many, and not once for each customer."""
    for who in (world.a, world.b, world.c):
        change(world, who, on_duty=False)
    report = imports.import_file(world.crm, _sheet(5), file_name="x.csv", by=SYSTEM)
    assert (report.accepted, report.pooled) == (5, 5)
    [notice] = told(world.crm, Event.NOBODY)
    assert "5 位" in notice.body


# -- one customer -----------------------------------------------------------------------------


def test_a_new_customer_commits_with_turn_assignment_and_notice(world: World) -> None:
    """All of it is there together."""
    # when
    customer = world.dealt(name="孙悟空")
    # then
    [made] = assignment.history(world.crm, customer.id or 0, by=SYSTEM)
    assert (made.consultant_id, made.method) == (world.a.employee_id, AssignmentMethod.ROTATION)
    assert made.started_at == customer.received_at == world.clock()
    [notice] = told(world.crm, Event.ASSIGNED)
    assert (notice.recipient_id, notice.about) == (world.a.employee_id, f"customer:{customer.id}")
    assert "孙悟空" in notice.body
    assert customer.phone not in f"{notice.subject}{notice.body}"


def test_all_problems_are_told_at_once(world: World) -> None:
    """Each with its field, and what was typed."""
    typed = {"name": "", "phone": "12", "qq": "abc", "gender": "?", "source": "梦里", "x": 1,
             "consulted_on": "2026-13-01", "owner_id": 1}  # fmt: skip
    with pytest.raises(Invalid) as refused:
        intake.register_customer(world.crm, typed, by=SYSTEM)
    assert {p.path for p in refused.value.problems} == set(typed)
    assert all(p.zh and p.en for p in refused.value.problems)


def test_a_customer_needs_one_contact(world: World) -> None:
    """A phone number, QQ or WeChat; any one will do."""
    for contact in ({"phone": phone()}, {"qq": "123456"}, {"wechat": "sun_wukong"}):
        made = intake.register_customer(world.crm, {"name": "孙", **contact}, by=SYSTEM)
        assert made.id
    with pytest.raises(Invalid) as refused:
        intake.register_customer(world.crm, {"name": "孙", "phone": " "}, by=SYSTEM)
    assert [p.code for p in refused.value.problems] == ["no_contact"]


@pytest.mark.parametrize("name", ["phone", "qq", "wechat"])
def test_a_known_contact_is_refused(world: World, name: str) -> None:
    """However it is written; the refusal names the field, and neither owner nor number."""
    # given
    known = {"phone": "13800138000", "qq": "2233445566", "wechat": "sun_wukong"}
    typed = {"phone": "+86 138-0013-8000", "qq": " 2233445566 ", "wechat": " Sun_Wukong "}
    intake.register_customer(world.crm, {"name": "孙", **known}, by=SYSTEM)
    # when
    with pytest.raises(Duplicate) as refused:
        again = {"name": "悟", "phone": phone(), name: typed[name]}
        intake.register_customer(world.crm, again, by=SYSTEM)
    # then
    assert refused.value.fields == (name,)
    assert len(intake.list_customers(world.crm, by=SYSTEM)) == 1


def test_editing_into_a_known_contact_is_refused(world: World) -> None:
    """The other customer keeps it, and nothing of the edit is written."""
    known, other = world.customer(world.a), world.customer(world.a)
    with pytest.raises(Duplicate) as refused:
        typed = {"phone": known.phone, "company": "甲"}
        intake.edit_customer(world.crm, other.id or 0, typed, version=1, by=world.a)
    assert refused.value.fields == ("phone",)
    found = intake.get_customer(world.crm, other.id or 0, by=world.a)
    assert (found.phone, found.company, found.version) == (other.phone, None, 1)


def test_a_customer_that_cannot_be_saved_costs_no_turn(world: World) -> None:
    """Wrong values, a known contact, an unknown course: the next one gets the turn."""
    # given
    known = world.customer()
    assert deal(world, 1) == "a"
    refused: list[dict[str, Any]] = [
        {"name": ""}, {"phone": known.phone}, {"courses": [404]}, {"school_id": 404},
        {"referred_by_id": 404},
    ]  # fmt: skip
    # when
    for values in refused:
        with pytest.raises(CrmError):
            intake.register_customer(
                world.crm, {"name": "孙", "phone": phone(), **values}, by=SYSTEM
            )
    # then
    assert len(told(world.crm, Event.ASSIGNED)) == 1
    places = turns(world, [world.dealt().id for _ in range(2)])
    assert [p for _, p in places] == [1, 2]


def test_who_referred_is_seen_or_refused_as_if_there_were_none(world: World) -> None:
    """Another's, one put away and one that is not there are refused alike, new and edited."""
    own, other = world.customer(world.a), world.customer(world.b)
    pooled, gone = world.customer(), 987_654
    reception = world.person("前台", "consultant")
    blind = attrs.evolve(reception, permissions=frozenset({"customer:add"}))

    def refuse(number: int, by: Principal, act: str = "enter") -> tuple[str, str]:
        with pytest.raises(NotFound) as refused:
            if act == "enter":
                typed = {"name": "孙", "phone": phone(), "referred_by_id": number}
                intake.register_customer(world.crm, typed, by=by)
            else:
                intake.edit_customer(world.crm, own.id or 0, {"referred_by_id": number},
                                     version=1, by=by)  # fmt: skip
        return refused.value.message("zh").replace(str(number), "N"), refused.value.code

    answers = {refuse(n, world.a, act) for n in (other.id or 0, gone) for act in ("enter", "edit")}
    answers |= {refuse(own.id or 0, blind), refuse(gone, blind)}
    assert len(answers) == 1
    for seen in (own, pooled):
        typed = {"name": "孙", "phone": phone(), "referred_by_id": seen.id}
        assert intake.register_customer(world.crm, typed, by=world.a).referred_by_id == seen.id


def test_who_referred_may_be_anothers_by_now(world: World) -> None:
    """What was written once stays when something else is changed."""
    first, own = world.customer(world.b), world.customer(world.a)
    intake.edit_customer(
        world.crm, own.id or 0, {"referred_by_id": first.id}, version=1, by=world.manager
    )
    typed = {"company": "甲", "referred_by_id": first.id}
    found = intake.edit_customer(world.crm, own.id or 0, typed, version=2, by=world.a)
    assert (found.company, found.referred_by_id) == ("甲", first.id)


def test_a_named_consultant_costs_no_turn(world: World) -> None:
    """Method manual; the rotation goes on as if nothing had been."""
    named = world.customer(world.c)
    [made] = assignment.history(world.crm, named.id or 0, by=SYSTEM)
    assert (made.method, made.cycle, made.position) == (AssignmentMethod.MANUAL, None, None)
    assert deal(world, 3) == "abc"


def test_into_the_pool_costs_no_turn(world: World) -> None:
    """Nobody is told, and everybody may claim it."""
    customer = world.customer()
    assert (customer.owner_id, told(world.crm, Event.ASSIGNED)) == (None, [])
    assert deal(world, 1) == "a"


def test_consultants_enter_for_themselves_only_if_a_setting_allows(
    url: str, clock: FixedClock
) -> None:
    """Otherwise one's own customers come from the rotation, the pool or a manager."""
    typed = {"name": "孙", "phone": phone()}
    with open_crm(url, clock=clock) as crm:
        world = World(crm, clock)
        with pytest.raises(NotPermitted):
            intake.register_customer(crm, typed, consultant_id=world.b.employee_id, by=world.b)
    with open_crm(url, clock=clock, settings=Settings(assign_oneself=True)) as crm:
        with pytest.raises(NotPermitted):
            intake.register_customer(crm, typed, consultant_id=world.a.employee_id, by=world.b)
        made = intake.register_customer(crm, typed, consultant_id=world.b.employee_id, by=world.b)
    assert made.owner_id == world.b.employee_id


# -- giving by hand ---------------------------------------------------------------------------


def test_a_manager_gives_pool_customers_in_turn(world: World) -> None:
    """In bulk; each one succeeds or is refused alone, and no turn is used."""
    # given
    pooled = [world.customer().id or 0 for _ in range(3)]
    private = world.customer(world.c).id or 0
    to = [world.a.employee_id or 0, world.b.employee_id or 0]
    # when
    found = assignment.assign_customers(world.crm, [*pooled, private, 404], to, by=world.manager)
    # then
    assert found.done == tuple(pooled)
    assert [(n, type(e)) for n, e in found.refused] == [(private, NotAssignable), (404, NotFound)]
    owners = [intake.get_customer(world.crm, n, by=SYSTEM).owner_id for n in pooled]
    assert owners == [to[0], to[1], to[0]]
    assert deal(world, 1) == "a"


def test_giving_to_nobody_is_refused(world: World) -> None:
    """A bulk action without a consultant says so."""
    number = world.customer().id or 0
    with pytest.raises(CrmError):
        assignment.assign_customers(world.crm, [number], [], by=world.manager)
    world.customer(world.a)
    with pytest.raises(CrmError):
        assignment.hand_over(world.crm, world.a.employee_id or 0, [], by=world.manager)


def test_an_overdue_customer_is_given_as_a_public_one(world: World) -> None:
    """Before any sweep; its old assignment is closed with the limit that passed."""
    number = world.customer(world.a).id or 0
    world.clock.set(local(date(2026, 11, 5)))
    assignment.assign_customer(world.crm, number, world.b.employee_id or 0, by=world.manager)
    found = assignment.history(world.crm, number, by=SYSTEM)
    assert [(a.consultant_id, int(a.status)) for a in found] == [
        (world.a.employee_id, 3), (world.b.employee_id, 1)
    ]  # fmt: skip


def test_a_transfer_closes_as_transferred(world: World) -> None:
    """Both are told, and the new owner has the full limits; a transfer to the owner is refused."""
    # given
    number = world.customer(world.a).id or 0
    world.clock.advance(timedelta(days=2))
    # when
    made = assignment.transfer_customer(
        world.crm, number, world.b.employee_id or 0, reason="换组", by=world.manager
    )
    # then
    former, _ = assignment.history(world.crm, number, by=SYSTEM)
    assert (int(former.status), former.ended_at) == (6, made.started_at)
    assert (made.method, made.memo) == (AssignmentMethod.TRANSFER, "换组")
    assert intake.get_customer(world.crm, number, by=world.b).due_on == date(2026, 11, 7)
    recipients = {n.recipient_id for n in told(world.crm, Event.TRANSFERRED)}
    assert recipients == {world.a.employee_id, world.b.employee_id}
    with pytest.raises(NotAssignable):
        assignment.transfer_customer(world.crm, number, world.b.employee_id or 0, by=world.manager)


def test_nothing_is_given_to_who_does_not_sell(world: World) -> None:
    """Neither to who has left, nor to a disabled account, nor to a manager."""
    pooled, mine = world.customer().id or 0, world.customer(world.a).id or 0
    access.set_active(world.crm, login(world.crm, world.b), False, by=SYSTEM)
    change(world, world.c, left_on=date(2026, 11, 1))
    for who in (world.b, world.c, world.manager):
        to = who.employee_id or 0
        for act in (
            lambda t=to: assignment.assign_customer(world.crm, pooled, t, by=world.manager),
            lambda t=to: assignment.transfer_customer(world.crm, mine, t, by=world.manager),
            lambda t=to: intake.register_customer(
                world.crm, {"name": "孙", "phone": phone()}, consultant_id=t, by=world.manager
            ),
        ):
            with pytest.raises(NotAssignable):
                act()


def test_a_handover_moves_all_private_customers(world: World) -> None:
    """What has fallen due stays in the pool."""
    # given
    old = world.customer(world.a).id
    world.clock.set(local(date(2026, 11, 5)))
    kept = [world.customer(world.a).id for _ in range(3)]
    to = [world.b.employee_id or 0, world.c.employee_id or 0]
    # when
    found = assignment.hand_over(world.crm, world.a.employee_id or 0, to, by=world.manager)
    # then
    assert (sorted(found.done), found.refused) == (sorted(n or 0 for n in kept), ())
    owners = Counter(c.owner_id for c in intake.list_customers(world.crm, by=world.manager))
    assert owners == {to[0]: 2, to[1]: 1}
    assert [c.id for c in pool.public_customers(world.crm, by=world.b)] == [old]


def test_a_bulk_action_tells_everybody_once(world: World) -> None:
    """New owners and former ones, by name or by number; the log has a line for each customer."""
    # given
    mine = [world.customer(world.a, name=f"客户{i}").id or 0 for i in range(60)]
    to = [world.b.employee_id or 0]
    # when
    found = assignment.hand_over(world.crm, world.a.employee_id or 0, to, by=world.manager)
    # then
    assert sorted(found.done) == mine
    lost, received = told(world.crm, Event.TRANSFERRED)
    assert (lost.recipient_id, received.recipient_id) == (world.a.employee_id, to[0])
    assert "60 位" in lost.body and "60 位" in received.subject
    query = Query(where={"action": "transfer"}, limit=100)
    with world.crm.unit_of_work(read_only=True) as uow:
        entries = uow.records.page(AuditEntry, query).items
    assert sorted(e.record_id or 0 for e in entries) == mine
    for number in (mine[0], mine[-1]):
        former, now = assignment.history(world.crm, number, by=SYSTEM)
        assert (int(former.status), former.ended_at) == (6, now.started_at)
        assert (now.consultant_id, now.method) == (to[0], AssignmentMethod.TRANSFER)


def test_who_is_named_twice_is_given_once(world: World) -> None:
    """The second time it is not in the pool any more."""
    number = world.customer().id or 0
    to = [world.a.employee_id or 0, world.b.employee_id or 0]
    found = assignment.assign_customers(world.crm, [number, number], to, by=world.manager)
    assert (found.done, [n for n, _ in found.refused]) == ((number,), [number])
    assert [a.consultant_id for a in assignment.history(world.crm, number, by=SYSTEM)] == to[:1]


def test_a_private_customer_out_of_reach_is_not_there_to_assign(world: World) -> None:
    """The refusal does not tell that it exists."""
    other = records.save_record(world.crm, Department(code=900, title="二部"), by=SYSTEM)
    stranger = world.person("外人", department_id=other.id)
    number = world.customer(stranger).id or 0
    with pytest.raises(NotFound):
        assignment.assign_customer(world.crm, number, world.a.employee_id or 0, by=world.manager)


# -- many -------------------------------------------------------------------------------------


def _sheet(n: int) -> bytes:
    return "\n".join(["姓名,手机", *(f"客户{i},{phone()}" for i in range(n))]).encode()


def test_an_import_deals_as_if_entered_one_by_one(world: World) -> None:
    """In the order of the file, and each consultant gets one notice."""
    # given
    plan(world, (world.a, 3, 10), (world.b, 1, 5), (world.c, 2, 1))
    assignment.reset_rotation(world.crm, by=SYSTEM)
    expected = assignment.upcoming(world.crm, 14, by=SYSTEM)
    # when
    report = imports.import_file(world.crm, _sheet(12), file_name="名单.csv", by=SYSTEM)
    # then
    assert report.accepted == 12
    page = intake.list_customers(world.crm, Query(sort="import_row", limit=20), by=SYSTEM)
    assert tuple(c.owner_id for c in page) == expected[:12]
    recipients = [n.recipient_id for n in told(world.crm, Event.ASSIGNED)]
    assert sorted(recipients) == sorted({world.a.employee_id, world.b.employee_id,
                                         world.c.employee_id})  # fmt: skip
    assert tuple(world.dealt().owner_id for _ in range(2)) == expected[12:]


def test_a_clock_put_back_deals_nobody_before_the_entry(world: World) -> None:
    """The moment of the entry is the earliest at which somebody receives the customer."""
    moments = iter([world.clock() + timedelta(hours=1)])

    def jumping() -> datetime:
        return next(moments, world.clock())

    world.crm = attrs.evolve(world.crm, clock=jumping)
    customer = world.dealt()
    assert customer.created_at is not None
    assert customer.received_at == customer.created_at == world.clock() + timedelta(hours=1)


def test_what_was_given_before_the_database_went_away_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And who was not reached is refused by number; where nobody was, the error comes up."""
    numbers = [world.customer().id or 0 for _ in range(5)]
    to = [world.a.employee_id or 0]
    monkeypatch.setattr(giving, "BATCH", 2)
    real, calls = giving.give_batch, iter([None, None, DatabaseBusy()])

    def give(*arguments: Any) -> Any:
        if (error := next(calls)) is not None:
            raise error
        return real(*arguments)

    monkeypatch.setattr(giving, "give_batch", give)
    found = assignment.assign_customers(world.crm, numbers, to, by=world.manager)
    assert found.done == tuple(numbers[:4])
    assert [(n, e.code) for n, e in found.refused] == [(numbers[4], "database_busy")]
    assert len(told(world.crm, Event.ASSIGNED)) >= 1
    calls = iter([DatabaseBusy()])
    with pytest.raises(DatabaseBusy):
        assignment.assign_customers(world.crm, numbers[4:], to, by=world.manager)
