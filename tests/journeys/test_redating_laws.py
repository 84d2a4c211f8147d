"""Other pool rules date customers anew in batches: people pass between, no date is a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from crm_domain import SYSTEM, Crm
from crm_domain.errors import DatabaseBusy
from crm_domain.model import Customer
from crm_domain.ports import Query
from crm_domain.rules.pool import dated
from crm_domain.usecases import _redating, follow_up, intake, pool, pool_rules
from crm_domain.usecases._common import policy
from make import World
from steps import TICK, on

LONGER = [{"contact_days": 9, "closing_days": 20}]
SHORTER = [{"contact_days": 2, "closing_days": 20}]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Date two customers at a time."""
    monkeypatch.setattr(_redating, "BATCH", 2)


def between(monkeypatch: pytest.MonkeyPatch, act: Callable[[int], object]) -> list[int]:
    """Do something after each batch, and tell after which."""
    seen: list[int] = []

    def pause(_: float) -> None:
        seen.append(len(seen))
        act(len(seen))

    monkeypatch.setattr(_redating.time, "sleep", pause)
    return seen


def wrong(crm: Crm) -> list[Customer]:
    """Find the owned customers whose dates are not those of the present rules."""
    with crm.unit_of_work() as uow:
        rules = policy(crm, uow)
        owned = uow.ownership.owned_after(0, 1000)
        assert uow.turns.dating() is None
    return [c for c in owned if dated(c, rules) != c]


def test_people_pass_between_the_batches(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """They register, follow up and are dealt customers, and all are dated by the newest rules."""
    first = [world.customer(world.a).id or 0 for _ in range(7)]

    def meanwhile(n: int) -> None:
        if n > 3:
            return
        world.customer(world.b)
        world.dealt()
        follow_up.log_follow_up(world.crm, first[n], {"note": "x"}, by=world.a)

    seen = between(monkeypatch, meanwhile)
    pool_rules.set_pool_rules(world.crm, LONGER, by=SYSTEM)
    assert len(seen) >= 3
    assert wrong(world.crm) == []


def test_rules_that_change_meanwhile_win(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was on the way goes on with them, or finds all done."""
    for _ in range(7):
        world.customer(world.a)
    changes = iter([SHORTER])

    def meanwhile(_: int) -> None:
        for rules in changes:
            pool_rules.set_pool_rules(world.crm, rules, by=SYSTEM)

    between(monkeypatch, meanwhile)
    pool_rules.set_pool_rules(world.crm, LONGER, by=SYSTEM)
    assert wrong(world.crm) == []
    world.clock.set(on(4))
    assert len(pool.public_customers(world.crm, Query(), by=SYSTEM).items) == 7


def crash(_: int) -> None:
    raise KeyboardInterrupt


def test_a_sweep_finishes_first_what_a_crash_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody loses by the old rules, after midnight, whom the new ones leave them."""
    # given
    for _ in range(7):
        world.customer(world.a)
    world.clock.set(on(5) - TICK)
    between(monkeypatch, crash)
    with pytest.raises(KeyboardInterrupt):
        pool_rules.set_pool_rules(world.crm, LONGER, by=SYSTEM)
    # when
    between(monkeypatch, lambda _: None)
    world.clock.set(on(5, 1))
    swept = pool.sweep_pool(world.crm, by=SYSTEM)
    # then
    assert swept.released == 0
    assert wrong(world.crm) == []
    world.clock.set(on(11))
    assert pool.sweep_pool(world.crm, by=SYSTEM).released == 7


def test_who_lost_a_customer_before_has_lost_it_after_a_crash(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The day on which the rules changed decides, whenever the dating is finished."""
    for _ in range(5):
        world.customer(world.a)
    world.clock.set(on(5))
    between(monkeypatch, crash)
    with pytest.raises(KeyboardInterrupt):
        pool_rules.set_pool_rules(world.crm, LONGER, by=SYSTEM)
    between(monkeypatch, lambda _: None)
    world.clock.advance(timedelta(days=1))
    assert pool.sweep_pool(world.crm, by=SYSTEM).released == 5


def test_a_busy_database_is_asked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that others hold up is tried some times, and left for the sweep at last."""
    for _ in range(5):
        world.customer(world.a)
    between(monkeypatch, lambda _: None)
    real, calls = _redating._date_batch, iter(range(1000))

    def sometimes(crm: Crm) -> Any:
        if next(calls) % 3 != 2:
            raise DatabaseBusy
        return real(crm)

    monkeypatch.setattr(_redating, "_date_batch", sometimes)
    pool_rules.set_pool_rules(world.crm, LONGER, by=SYSTEM)
    assert wrong(world.crm) == []

    def always(_: Crm) -> Any:
        raise DatabaseBusy

    monkeypatch.setattr(_redating, "_date_batch", always)
    with pytest.raises(DatabaseBusy):
        pool_rules.set_pool_rules(world.crm, SHORTER, by=SYSTEM)
    monkeypatch.setattr(_redating, "_date_batch", real)
    pool.sweep_pool(world.crm, by=SYSTEM)
    assert wrong(world.crm) == []
    assert intake.list_customers(world.crm, by=SYSTEM).items
