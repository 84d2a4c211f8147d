"""Dealing turns to new customers: the part that single entries and imports share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from crm_domain.model import AssignmentMethod, Customer, Event, Notice
from crm_domain.model.fields import changed
from crm_domain.ports import Crm, NewAssignment, Roster, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.rules.duty import absence
from crm_domain.rules.pool import dated
from crm_domain.rules.rotation import Cursor, Strategy, Turn, deal
from crm_domain.rules.wording import Words, dealt_because, doer, why
from crm_domain.usecases._common import notices, policy
from crm_domain.usecases._owning import owned_by


def cycles(crm: Crm, roster: Roster) -> tuple[Sequence[int], Sequence[int]]:
    """Lay out the running cycle and the following one."""
    running, following = crm.strategies[roster.strategy], crm.strategies[roster.next_strategy]
    return _laid_out(roster, running, following)


@lru_cache(maxsize=4)
def _laid_out(
    roster: Roster, running: Strategy, following: Strategy
) -> tuple[Sequence[int], Sequence[int]]:
    """Lay each roster out once: a roster is itself until something about it changes."""
    first = tuple(running(roster.plan))
    if (roster.plan, running) == (roster.next_plan, following):
        return first, first
    return first, tuple(following(roster.next_plan))


def absence_now(
    crm: Crm, uow: UnitOfWork, roster: Roster, now: datetime
) -> Callable[[int, Mapping[int, int]], str | None]:
    """Give what tells why somebody cannot take a customer now, asked of few out of many."""
    today, limit = crm.day(now), crm.settings.max_owned
    load = {} if limit is None else uow.ownership.load(list(roster.mates), today)
    known: dict[int, str | None] = {}

    def reason(employee_id: int, dealt: Mapping[int, int]) -> str | None:
        if employee_id not in known:
            mate = roster.mates.get(employee_id)
            known[employee_id] = absence(mate.employee, mate.active, today) if mate else "left"
        found = known[employee_id]
        if found is None and limit is not None:
            owned = load.get(employee_id, 0) + dealt.get(employee_id, 0)
            return "at_limit" if owned >= limit else None
        return found

    return reason


def draw(crm: Crm, uow: UnitOfWork, n: int) -> tuple[list[Turn], Roster, datetime]:
    """Draw n turns for customers that are saved in this unit of work.

    Call it as the last thing that can wait: from here on other processes wait for this one. The
    clock is read after the rotation is ours, so turns and moments have the same order.

    Returns:
        The turns, fewer than n when nobody is there; the roster; and the moment.
    """
    before, roster = uow.turns.advance(n)
    if crm.settings.max_owned is not None:
        # A claim counts, too. It locks its claimant and never the rotation, so nobody waits for it
        # in a circle.
        uow.ownership.in_turn(list(roster.mates))
    now = crm.now()
    running, following = cycles(crm, roster)
    turns, after = deal(before, running, following, n, absence_now(crm, uow, roster, now))
    if after != Cursor(before.cycle, before.position + n):
        uow.turns.move(after, new_cycle=after.cycle != before.cycle)
    return turns, roster, now


def deal_out(
    crm: Crm, uow: UnitOfWork, saved: Sequence[Customer], method: AssignmentMethod, by: Principal,
) -> tuple[list[NewAssignment], list[Customer], datetime]:  # fmt: skip
    """Draw a turn for each of some saved customers, in order.

    Returns:
        What begins; the customers that nobody can take, as they go into the pool; the moment.
    """
    turns, roster, now = draw(crm, uow, len(saved))
    # A clock that was put back meanwhile must not deal a customer before it was entered.
    now = max([now, *(c.created_at for c in saved if c.created_at)])
    pool_policy = policy(crm, uow, roster.pool)
    mates = roster.mates
    names = {
        p.employee_id: mates[p.employee_id].employee.name
        for turn in turns for p in turn.passed_over if p.employee_id in mates
    }  # fmt: skip
    new = [
        NewAssignment(
            customer=dated(owned_by(customer, turn.employee_id, now), pool_policy), method=method,
            cycle=turn.cycle, position=turn.position, by_id=by.user_id,
            explanation=dealt_because(turn, names)[:500],
        )
        for customer, turn in zip(saved, turns, strict=False)
    ]  # fmt: skip
    return new, [dated(c, pool_policy) for c in saved[len(turns) :]], now


def open_new(
    crm: Crm, uow: UnitOfWork, new: NewAssignment, now: datetime, by: Principal
) -> tuple[Customer, list[Notice]]:
    """Open the assignment of a new customer; give the customer as it is now, and the notices."""
    [number] = uow.ownership.open([new], fresh=True)
    customer = changed(new.customer, assignment_id=number)
    reason = why(new.made(number), "en", doer(by))
    told = notices(
        crm, Event.ASSIGNED, customer.owner_id or 0,
        Words("您有一位新客户", "You have a new customer"),
        Words(f"{customer.name}（{new.explanation}）", f"{customer.name} ({reason})"),
        about=f"customer:{customer.id}", key=f"assigned:{number}", now=now,
    )  # fmt: skip
    return customer, told
