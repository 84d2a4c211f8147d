"""Claiming (spec section 5): who may, who may not and why, and what a claim leaves behind."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from datetime import date, timedelta
from typing import Any

import pytest

from crm_adapters import open_crm
from crm_domain import SYSTEM
from crm_domain.errors import AlreadyClaimed, ClaimRefused, CrmError, NotFound, NotPermitted
from crm_domain.model import AssignmentMethod, Employee, Event
from crm_domain.model.fields import changed
from crm_domain.ports import Settings
from crm_domain.testing.clock import FixedClock
from crm_domain.usecases import access, assignment, follow_up, intake, pool, records
from make import World
from steps import enrol, login, on, told
from web.test_queries import counted


def history(world: World, number: int | None) -> list[tuple[int | None, int]]:
    found = assignment.history(world.crm, number or 0, by=SYSTEM)
    return [(a.consultant_id, int(a.status)) for a in found]


def refusal(world: World, number: int | None, by: Any) -> str:
    """Try to claim, and tell why not, as it was told beforehand; nothing may have changed."""
    beforehand = pool.claim_refusals(world.crm, [number or 0], by=by)
    before = history(world, number), intake.get_customer(world.crm, number or 0, by=SYSTEM)
    notices = len(told(world.crm, Event.CLAIMED))
    with pytest.raises(ClaimRefused) as refused:
        pool.claim_customer(world.crm, number or 0, by=by)
    after = history(world, number), intake.get_customer(world.crm, number or 0, by=SYSTEM)
    assert (after, len(told(world.crm, Event.CLAIMED))) == (before, notices)
    assert refused.value.message("zh") != refused.value.message("en")
    reason: str = refused.value.reason
    # Of what is not in the pool nothing is told.
    told_of = reason not in ("already_claimed", "yours", "enrolled", "locked")
    expected = {number: refused.value.message("zh")} if told_of else {}
    assert {n: e.message("zh") for n, e in beforehand.items()} == expected
    return reason


def not_found(world: World, number: int | None, by: Any) -> None:
    """Try to claim what one may not even know of; it answers as a number that nobody has."""
    said = []
    for tried in (number or 0, 987_654):
        with pytest.raises(NotFound) as refused:
            pool.claim_customer(world.crm, tried, by=by)
        said.append(str(refused.value).replace(str(tried), "…"))
    assert said[0] == said[1]
    assert pool.claim_refusals(world.crm, [number or 0], by=by) == {}


@pytest.fixture
def school(
    url: str, clock: FixedClock
) -> Iterator[Callable[..., Any]]:  # fmt: skip
    """Open the database under settings of one's own, with a world in it."""

    @contextmanager
    def opened(**settings: Any) -> Iterator[World]:
        with open_crm(url, clock=clock, settings=Settings(**settings)) as crm:
            yield World(crm, clock)

    yield opened


# -- what a claim does ------------------------------------------------------------------------


def test_a_claim_begins_after_the_release_before_it_whatever_the_clock_says(world: World) -> None:
    """A clock that was put back must not make two ownerships overlap."""
    # given
    customer = world.customer(world.a)
    world.clock.advance(timedelta(days=1))
    pool.release_customer(world.crm, customer.id or 0, by=world.a)
    released = world.clock()
    # when
    world.clock.set(released - timedelta(hours=20))
    made = pool.claim_customer(world.crm, customer.id or 0, by=world.b)
    # then
    assert made.started_at == released
    before = assignment.history(world.crm, customer.id or 0, by=SYSTEM)[0]
    assert before.ended_at == released


def test_a_claim_makes_the_customer_the_claimants(world: World) -> None:
    """Owner, both dates, the assignment and the notice are written together."""
    # given
    number = world.customer().id or 0
    world.clock.advance(timedelta(hours=1))
    # when
    made = pool.claim_customer(world.crm, number, by=world.b)
    # then
    found = intake.get_customer(world.crm, number, by=world.b)
    assert (found.owner_id, found.assignment_id) == (world.b.employee_id, made.id)
    assert found.received_at == found.last_contacted_at == made.started_at == world.clock()
    assert (found.due_on, found.due_status) == (date(2026, 11, 5), 3)
    assert (made.method, made.ended_at, made.cycle) == (AssignmentMethod.CLAIM, None, None)
    assert made.by_id == world.b.user_id
    [notice] = told(world.crm, Event.CLAIMED)
    assert (notice.recipient_id, notice.about) == (world.b.employee_id, f"customer:{number}")


def test_contact_data_is_masked_until_claimed(world: World) -> None:
    """The claimant reads in full what was hidden before."""
    # given
    customer = world.customer(wechat="wang_fang", memo="家住徐汇")
    before = intake.get_customer(world.crm, customer.id or 0, by=world.b)
    assert customer.phone not in repr(before)
    assert "wang_fang" not in repr(before)
    assert "徐汇" not in repr(before)
    # when
    pool.claim_customer(world.crm, customer.id or 0, by=world.b)
    # then
    after = intake.get_customer(world.crm, customer.id or 0, by=world.b)
    assert (after.phone, after.wechat, after.memo) == (customer.phone, "wang_fang", "家住徐汇")


@pytest.mark.parametrize(("contacts", "day", "status"), [((), 5, 3), ((4, 7, 10, 13, 16), 17, 4)])
def test_claiming_an_overdue_customer_closes_its_assignment(
    world: World, contacts: tuple[int, ...], day: int, status: int
) -> None:
    """Without a sweep, the claim writes what the sweep would have: 3 or 4, and the limit's days."""
    # given
    number = world.customer(world.a).id or 0
    for contact in contacts:
        world.clock.set(on(contact, 12))
        follow_up.log_follow_up(world.crm, number, {"note": "x"}, by=world.a)
    world.clock.set(on(day))
    # when
    pool.claim_customer(world.crm, number, by=world.b)
    # then
    assert history(world, number) == [(world.a.employee_id, status), (world.b.employee_id, 1)]
    ended = assignment.history(world.crm, number, by=SYSTEM)[0]
    assert ended.limit_days == {3: 3, 4: 15}[status]
    assert pool.sweep_pool(world.crm, by=SYSTEM).released == 0


def test_a_claim_begins_both_limits_anew(world: World) -> None:
    """The new owner has the full time, however long the customer was there before."""
    # given
    number = world.customer(world.a).id or 0
    world.clock.set(on(5))
    pool.claim_customer(world.crm, number, by=world.b)
    # when / then
    world.clock.set(on(9) - timedelta(microseconds=1))
    assert refusal(world, number, world.c) == "already_claimed"
    world.clock.set(on(9))
    pool.claim_customer(world.crm, number, by=world.c)


# -- who is refused ---------------------------------------------------------------------------


def test_the_second_claimant_is_told_who_was_first(world: World) -> None:
    """``AlreadyClaimed`` names the owner and the moment, in the school's own time."""
    # given
    number = world.customer().id or 0
    pool.claim_customer(world.crm, number, by=world.a)
    # when
    with pytest.raises(AlreadyClaimed) as refused:
        pool.claim_customer(world.crm, number, by=world.b)
    # then
    assert (refused.value.by_name, refused.value.at) == ("李雷", world.clock())
    assert "10:00" in refused.value.message("zh")
    assert history(world, number) == [(world.a.employee_id, 1)]


def test_ones_own_customer_cannot_be_claimed(world: World) -> None:
    """Claiming one's own would begin the limits anew."""
    number = world.customer(world.a).id
    assert refusal(world, number, world.a) == "yours"


@pytest.mark.parametrize("swept", [False, True])
def test_the_last_consultant_cannot_claim_it_back(world: World, swept: bool) -> None:
    """Neither before the sweep nor after it."""
    number = world.customer(world.a).id
    world.clock.set(on(5))
    if swept:
        pool.sweep_pool(world.crm, by=SYSTEM)
    assert refusal(world, number, world.a) == "last_consultant"


def test_who_gave_it_back_cannot_claim_it(world: World) -> None:
    """Giving back is no way to begin the limits anew."""
    number = world.customer(world.a).id or 0
    pool.release_customer(world.crm, number, by=world.a)
    assert refusal(world, number, world.a) == "last_consultant"
    assert history(world, number) == [(world.a.employee_id, 5)]


def test_a_consultant_before_the_last_may_claim(world: World) -> None:
    """Only the consultant of the last assignment is barred."""
    # given
    number = world.customer(world.a).id or 0
    world.clock.set(on(5))
    pool.claim_customer(world.crm, number, by=world.b)
    world.clock.set(on(9))
    # when
    pool.claim_customer(world.crm, number, by=world.a)
    # then
    assert [s for _, s in history(world, number)] == [3, 3, 1]


@pytest.mark.parametrize("swept", [False, True])
def test_a_cool_down_lets_the_last_consultant_claim_later(school: Any, swept: bool) -> None:
    """With n days set, the bar ends n days after the assignment did, swept at once or not."""
    with school(cool_down_days=2) as world:
        # given
        number = world.customer(world.a).id or 0
        world.clock.set(on(5))
        if swept:
            pool.sweep_pool(world.crm, by=SYSTEM)
        # when / then
        world.clock.set(on(7) - timedelta(microseconds=1))
        assert refusal(world, number, world.a) == "cool_down"
        world.clock.set(on(7))
        pool.claim_customer(world.crm, number, by=world.a)


def test_the_limit_of_owned_customers_holds(school: Any) -> None:
    """At the limit a claim is refused; one customer less, and it is allowed."""
    with school(max_owned=2) as world:
        # given
        mine = [world.customer(world.a).id or 0 for _ in range(2)]
        number = world.customer().id or 0
        # when / then
        assert refusal(world, number, world.a) == "max_owned"
        pool.release_customer(world.crm, mine[0], by=world.a)
        pool.claim_customer(world.crm, number, by=world.a)


@pytest.mark.parametrize("swept", [False, True])
def test_a_lost_customer_does_not_count_as_owned(school: Any, swept: bool) -> None:
    """What fell due at midnight makes room at midnight, not when the sweep comes."""
    with school(max_owned=1) as world:
        # given
        world.customer(world.a)
        world.clock.set(on(5))
        number = world.customer().id or 0
        # when
        if swept:
            pool.sweep_pool(world.crm, by=SYSTEM)
        # then
        pool.claim_customer(world.crm, number, by=world.a)


def test_a_won_customer_does_not_count_as_owned(school: Any) -> None:
    """Winning makes room."""
    with school(max_owned=1) as world:
        enrol(world, world.customer(world.a))
        pool.claim_customer(world.crm, world.customer().id or 0, by=world.a)


def test_the_limit_of_claims_a_day_holds(school: Any) -> None:
    """It counts claims only, and begins again at local midnight."""
    with school(max_claims_per_day=1) as world:
        # given
        world.customer(world.a)
        first, second = (world.customer().id or 0 for _ in range(2))
        world.clock.set(on(2) - timedelta(microseconds=1))
        pool.claim_customer(world.crm, first, by=world.a)
        # when / then
        assert refusal(world, second, world.a) == "max_per_day"
        world.clock.set(on(2))
        pool.claim_customer(world.crm, second, by=world.a)


def test_a_locked_and_an_enrolled_customer_are_refused(world: World) -> None:
    """The one with its reason, for whoever saw it in the pool; the other is not found."""
    locked, enrolled = world.customer(), world.customer()
    for one in (locked, enrolled):
        pool.claim_customer(world.crm, one.id or 0, by=world.a)
    assignment.lock_customer(world.crm, locked.id or 0, reason="重点", by=world.manager)
    enrol(world, enrolled)
    world.clock.set(on(30))
    assert refusal(world, locked.id, world.b) == "locked"
    not_found(world, enrolled.id, world.b)


def test_who_has_left_cannot_claim(world: World) -> None:
    """An employee who leaves is no active consultant from that day on."""
    # given
    number = world.customer().id
    with world.crm.unit_of_work() as uow:
        employee = uow.records.get(Employee, world.a.employee_id or 0)
    left = changed(employee, left_on=date(2026, 11, 2))
    records.save_record(world.crm, left, by=SYSTEM)
    # when / then
    world.clock.set(on(2))
    assert refusal(world, number, world.a) == "not_active"


def test_a_disabled_account_cannot_claim(world: World) -> None:
    """Also not with the rights that were read before it was disabled."""
    number = world.customer().id
    access.set_active(world.crm, login(world.crm, world.a), False, by=SYSTEM)
    assert refusal(world, number, world.a) == "not_active"


def test_without_the_permission_nobody_claims(world: World) -> None:
    """A manager does not sell, and the program itself is no consultant."""
    number = world.customer().id or 0
    for by in (world.manager, SYSTEM):
        with pytest.raises(NotPermitted):
            pool.claim_customer(world.crm, number, by=by)
    assert history(world, number) == []


def test_a_customer_that_is_not_there_cannot_be_claimed(world: World) -> None:
    """A number that nobody has is not found."""
    with pytest.raises(NotFound):
        pool.claim_customer(world.crm, 404, by=world.a)


# -- races ------------------------------------------------------------------------------------


def test_of_many_claimants_one_wins(world: World) -> None:
    """Whoever loses is told who was quicker, and the history shows one claim."""
    # given
    people = [world.a, world.b, world.c, *(world.person(f"顾问{n}") for n in range(3))]
    numbers = [world.customer().id or 0 for _ in range(4)]

    def attempt(job: tuple[int, Any]) -> Any:
        number, by = job
        try:
            return pool.claim_customer(world.crm, number, by=by).consultant_id
        except CrmError as e:
            return type(e)

    # when
    with ThreadPoolExecutor(6) as threads:
        jobs = [(n, p) for n in numbers for p in people]
        outcomes = list(threads.map(attempt, jobs))
    # then
    for i, number in enumerate(numbers):
        mine = outcomes[i * len(people) : (i + 1) * len(people)]
        [winner] = [o for o in mine if isinstance(o, int)]
        assert {o for o in mine if o != winner} == {AlreadyClaimed}
        assert history(world, number) == [(winner, 1)]
    assert len(told(world.crm, Event.CLAIMED)) == len(numbers)


def test_what_may_be_claimed_is_told_beforehand_by_as_many_statements_for_many(
    school: Any,
) -> None:
    """Nothing is said of whoever may be claimed; a page of customers is one question."""
    with school(cool_down_days=3, max_owned=50, max_claims_per_day=50) as world:
        lost = [world.customer(world.a).id for _ in range(5)]
        for number in lost:
            pool.release_customer(world.crm, number or 0, by=world.a)
        ids = [
            *lost,
            *(world.customer().id for _ in range(20)),
            world.customer(world.b).id,
            987_654,
        ]
        taken = []
        for part in (ids[:1], ids):
            with counted() as statements:
                told = pool.claim_refusals(world.crm, [n or 0 for n in part], by=world.a)
            taken.append(len(statements))
        assert {e.reason for e in told.values()} == {"cool_down"}
        assert set(told) == set(lost)
        assert taken[0] == taken[1]
        assert pool.claim_refusals(world.crm, [n or 0 for n in lost], by=world.b) == {}
        pool.claim_customer(world.crm, lost[0] or 0, by=world.b)


def test_an_account_without_an_employee_is_told_beforehand(world: World) -> None:
    """It may hold the permission and is no consultant all the same."""
    number = world.customer().id or 0
    assert pool.claim_refusals(world.crm, [number], by=SYSTEM)[number].reason == "not_active"


# -- what claims give away, and the way past the rotation -------------------------------------


def test_a_number_tried_by_a_claim_tells_nothing_of_what_never_was_public(world: World) -> None:
    """Of another's customer nobody learns the owner, unless it came out of the pool."""
    dealt, handed = (world.customer(world.a).id or 0 for _ in range(2))
    assignment.transfer_customer(world.crm, handed, world.c.employee_id or 0, by=world.manager)
    for number in (dealt, handed):
        not_found(world, number, world.b)
    assert refusal(world, dealt, world.a) == "yours"
    given_first = world.customer().id or 0
    world.clock.advance(timedelta(minutes=2))
    assignment.assign_customer(world.crm, given_first, world.a.employee_id or 0, by=world.manager)
    claimed = world.customer().id or 0
    pool.claim_customer(world.crm, claimed, by=world.a)
    given = world.customer(world.c).id or 0
    pool.release_customer(world.crm, given, by=world.c)
    assignment.assign_customer(world.crm, given, world.a.employee_id or 0, by=world.manager)
    for number in (claimed, given, given_first):
        with pytest.raises(AlreadyClaimed, match=world.a.title):
            pool.claim_customer(world.crm, number, by=world.b)


def test_the_pool_is_no_way_past_the_rotation(
    school: Callable[..., AbstractContextManager[World]],
) -> None:
    """Whoever enters a customer into the pool is not its first owner, unless a setting allows."""
    typed = {"name": "王芳", "phone": "13912345678"}
    with school() as world:
        number = intake.register_customer(world.crm, typed, to="pool", by=world.a).id or 0
        assert refusal(world, number, world.a) == "own_entry"
        pool.claim_customer(world.crm, number, by=world.b)
        pool.release_customer(world.crm, number, by=world.b)
        pool.claim_customer(world.crm, number, by=world.a)
    with school(assign_oneself=True) as world:
        typed["phone"] = "13912345679"
        number = intake.register_customer(world.crm, typed, to="pool", by=world.a).id or 0
        pool.claim_customer(world.crm, number, by=world.a)
