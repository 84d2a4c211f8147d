"""What was done by mistake is taken back as far as nobody has gone on from it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from crm_domain import SYSTEM
from crm_domain.errors import CrmError, NotFound, NotPermitted, NotReceiving, NotTakenBack
from crm_domain.model import AssignmentStatus, Department
from crm_domain.testing.clock import FixedClock
from crm_domain.usecases import access, assignment, follow_up, intake, payments, records
from crm_domain.usecases.taking_back import TAKE_BACK
from make import World
from steps import enrol, login


def moved(world: World, to: int | None = None) -> int:
    """Move a customer of 李雷 to 韩梅梅, or somebody else."""
    number = world.customer(world.a).id or 0
    target = to or world.b.employee_id or 0
    assignment.transfer_customers(world.crm, [number], [target], by=world.manager)
    return number


def refusal(world: World, *ids: int) -> list[CrmError]:
    """Try to take back and give why not."""
    found = assignment.take_back_transfers(world.crm, ids, by=world.manager)
    assert not found.done
    return [e for _, e in found.refused]


def owner(world: World, number: int) -> int | None:
    return intake.get_customer(world.crm, number, by=SYSTEM).owner_id


def test_each_customer_goes_back_to_whose_it_was(world: World, clock: FixedClock) -> None:
    """One more transfer each: the history tells all three, and everybody is told."""
    first, second = world.customer(world.a).id or 0, world.customer(world.b).id or 0
    clock.advance(timedelta(hours=1))
    assignment.transfer_customers(world.crm, [first, second], [world.c.employee_id or 0],
                                  by=world.manager)  # fmt: skip
    found = assignment.take_back_transfers(world.crm, [first, second, first], by=world.manager)
    assert found.done == (first, second)
    assert owner(world, first) == world.a.employee_id
    assert owner(world, second) == world.b.employee_id
    told = assignment.history(world.crm, first, by=SYSTEM)
    assert [a.status for a in told] == [
        AssignmentStatus.TRANSFERRED, AssignmentStatus.TRANSFERRED, AssignmentStatus.FOLLOWING,
    ]  # fmt: skip
    assert intake.get_customer(world.crm, first, by=SYSTEM).received_at == clock()


def test_a_taken_back_transfer_is_not_taken_back_again(world: World) -> None:
    """The second press is refused, and moves it forth no more; a new transfer is taken back."""
    number = moved(world)
    for _ in range(2):
        assignment.take_back_transfers(world.crm, [number], by=world.manager)
        for _ in range(2):
            [error] = refusal(world, number)
            assert isinstance(error, NotTakenBack)
            assert owner(world, number) == world.a.employee_id
        assignment.transfer_customers(world.crm, [number], [world.b.employee_id or 0],
                                      by=world.manager)  # fmt: skip


def test_two_who_take_back_at_once_take_back_once(world: World) -> None:
    """One is refused, and the customer stays with whose it was."""
    for _ in range(3):
        number = moved(world)

        def press(_: int, number: int = number) -> int:
            return len(assignment.take_back_transfers(world.crm, [number], by=world.manager).done)

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(press, range(2))) == [0, 1]
        assert owner(world, number) == world.a.employee_id


@pytest.mark.parametrize(
    "since", ["follow-up", "payment", "moved on", "too long", "won", "edit", "lock", "own edit"]
)
def test_nothing_is_taken_back_from_whoever_went_on(
    world: World, clock: FixedClock, since: str
) -> None:
    """Work of the new owner, another transfer, a sale or a quarter of an hour is the end of it."""
    number = moved(world)
    clock.advance(timedelta(minutes=1))
    if since == "follow-up":
        follow_up.log_follow_up(world.crm, number, {"note": "谈过"}, by=world.b)
    elif since == "payment":
        payments.record_payment(
            world.crm, {"customer_id": number, "kind": "deposit", "amount": 1,
                        "paid_on": world.crm.today()}, by=world.b)  # fmt: skip
    elif since == "moved on":
        boss = world.person("孙总", "administrator")
        assignment.transfer_customers(world.crm, [number], [world.c.employee_id or 0], by=boss)
    elif since in ("edit", "own edit"):
        by = world.b if since == "edit" else world.manager
        seen = intake.get_customer(world.crm, number, by=by).version
        intake.edit_customer(world.crm, number, {"company": "新"}, version=seen, by=by)
    elif since == "lock":
        assignment.lock_customer(world.crm, number, reason="盘点", by=world.manager)
    elif since == "won":
        enrol(world, intake.get_customer(world.crm, number, by=SYSTEM))
    else:
        clock.advance(TAKE_BACK)
    [error] = refusal(world, number)
    assert isinstance(error, NotTakenBack)


def test_what_others_moved_is_theirs_to_take_back(world: World) -> None:
    """And a customer that nobody moved was not moved."""
    number = world.customer(world.a).id or 0
    other = world.person("孙总", "administrator")
    assignment.transfer_customers(world.crm, [number], [world.b.employee_id or 0], by=other)
    errors = refusal(world, number, world.customer(world.a).id or 0)
    assert [type(e) for e in errors] == [NotTakenBack, NotTakenBack]


def test_nobody_gets_back_what_they_may_not_have(world: World) -> None:
    """Whose account was disabled meanwhile receives nothing."""
    number = moved(world)
    access.set_active(world.crm, login(world.crm, world.a), False, by=SYSTEM)
    [error] = refusal(world, number)
    assert isinstance(error, NotReceiving)
    assert owner(world, number) == world.b.employee_id


def test_out_of_reach_is_as_if_there_were_none(world: World) -> None:
    """Neither a stranger's customer nor a number that nobody has."""
    far = records.save_record(world.crm, Department(code=777_777, title="二部"), by=SYSTEM)
    stranger = world.person("外人", department_id=far.id)
    theirs = world.customer(stranger).id or 0
    errors = refusal(world, theirs, 987_654, 0)
    assert [type(e) for e in errors] == [NotFound] * 3
    for number in (theirs, 987_654, world.customer().id or 0):
        with pytest.raises(NotFound):
            assignment.take_back_lock(world.crm, number, by=world.manager)


def test_taking_back_needs_the_permission_of_what_is_taken_back(world: World) -> None:
    """A consultant takes nothing back."""
    number = moved(world)
    with pytest.raises(NotPermitted):
        assignment.take_back_transfers(world.crm, [number], by=world.b)
    with pytest.raises(NotPermitted):
        assignment.take_back_lock(world.crm, number, by=world.b)


def test_a_lock_of_ones_own_is_taken_back(world: World) -> None:
    """The customer falls due again as before."""
    customer = world.customer(world.a)
    number = customer.id or 0
    assignment.lock_customer(world.crm, number, reason="盘点", by=world.manager)
    after = assignment.take_back_lock(world.crm, number, by=world.manager)
    assert not after.locked
    assert after.lock_reason is None
    assert after.due_on == customer.due_on


@pytest.mark.parametrize("since", ["locked before", "another", "unlocked", "too long"])
def test_a_lock_that_is_not_just_ones_own_stays(
    world: World, clock: FixedClock, since: str
) -> None:
    """What was locked before stays locked, and so does what somebody else locked since."""
    number = world.customer(world.a).id or 0
    boss = world.person("孙总", "administrator")
    if since == "locked before":
        assignment.lock_customer(world.crm, number, reason="早", by=boss)
    assignment.lock_customer(world.crm, number, reason="盘点", by=world.manager)
    if since == "another":
        assignment.lock_customer(world.crm, number, reason="晚", by=boss)
    elif since == "unlocked":
        assignment.lock_customer(world.crm, number, reason="", locked=False, by=boss)
    elif since == "too long":
        clock.advance(TAKE_BACK + timedelta(seconds=1))
    with pytest.raises(NotTakenBack):
        assignment.take_back_lock(world.crm, number, by=world.manager)
    kept = intake.get_customer(world.crm, number, by=SYSTEM).locked
    assert kept is (since != "unlocked")
