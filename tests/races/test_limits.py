"""What one transaction counts or reads, others must not change under it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from crm_adapters import open_crm
from crm_adapters.storage.customers import SqlCustomers
from crm_adapters.storage.ownership import SqlOwnership
from crm_adapters.storage.tables import ownership
from crm_domain import SYSTEM, Crm
from crm_domain.errors import ClaimRefused
from crm_domain.model import Customer
from crm_domain.model.fields import changed
from crm_domain.ports import Settings
from crm_domain.testing.clock import FixedClock
from crm_domain.usecases import assignment, intake, pool
from make import World

LIMITS = {"claims a day": {"max_claims_per_day": 3}, "owned": {"max_owned": 3}}


def won_at_once(crm: Crm, world: World, n: int = 8) -> int:
    """Let one consultant claim n customers at the same moment; count what was won."""
    numbers = [world.customer().id or 0 for _ in range(n)]
    barrier = threading.Barrier(n)

    def claim(number: int) -> bool:
        barrier.wait(30)
        try:
            pool.claim_customer(crm, number, by=world.a)
        except ClaimRefused:
            return False
        return True

    with ThreadPoolExecutor(n) as threads:
        return sum(threads.map(claim, numbers))


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_of_claims_holds_however_many_at_once(
    url: str, clock: FixedClock, limit: str
) -> None:
    """The claims of one consultant are counted one after the other."""
    with open_crm(url, clock=clock, settings=Settings(**LIMITS[limit])) as crm:
        assert won_at_once(crm, World(crm, clock)) == 3


def test_control_claims_counted_at_once_pass_the_limit(
    fresh_url: Callable[[str], str], clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the lock on the claimant more are won, on PostgreSQL; SQLite has one writer."""
    count = SqlOwnership.claims_since

    def slowly(self: SqlOwnership, *arguments: Any) -> int:
        found = count(self, *arguments)
        time.sleep(0.05)
        return found

    monkeypatch.setattr(SqlOwnership, "claims_since", slowly)
    monkeypatch.setattr(SqlOwnership, "in_turn", lambda *_: None)
    settings = Settings(max_claims_per_day=3)
    with open_crm(fresh_url("postgresql"), clock=clock, settings=settings) as crm:
        assert won_at_once(crm, World(crm, clock)) > 3


def owned_after_turns_and_claims(crm: Crm, world: World, n: int = 8) -> int:
    """Let one consultant claim while the rotation deals to nobody else; count what is owned."""
    assert world.a.employee_id is not None
    plan = [{"employee_id": world.a.employee_id, "quota": 1}]
    assignment.set_rotation(crm, plan, by=SYSTEM)
    assignment.reset_rotation(crm, by=SYSTEM)
    numbers = [world.customer().id or 0 for _ in range(n // 2)]
    barrier = threading.Barrier(n)

    def act(i: int) -> None:
        barrier.wait(30)
        if i % 2:
            world.dealt()
            return
        with suppress(ClaimRefused):
            pool.claim_customer(crm, numbers[i // 2], by=world.a)

    with ThreadPoolExecutor(n) as threads:
        list(threads.map(act, range(n)))
    with crm.unit_of_work(read_only=True) as uow:
        return uow.ownership.load([world.a.employee_id], crm.today())[world.a.employee_id]


def test_turns_and_claims_together_keep_to_the_limit(url: str, clock: FixedClock) -> None:
    """What the rotation gives counts as what was claimed does."""
    with open_crm(url, clock=clock, settings=Settings(max_owned=3)) as crm:
        assert owned_after_turns_and_claims(crm, World(crm, clock)) == 3


def test_control_turns_that_count_beside_claims_pass_the_limit(
    fresh_url: Callable[[str], str], clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the locks on the consultants more are owned, on PostgreSQL."""
    count = SqlOwnership.load

    def slowly(self: SqlOwnership, *arguments: Any) -> dict[int, int]:
        found = count(self, *arguments)
        time.sleep(0.05)
        return found

    monkeypatch.setattr(SqlOwnership, "load", slowly)
    monkeypatch.setattr(SqlOwnership, "in_turn", lambda *_: None)
    with open_crm(fresh_url("postgresql"), clock=clock, settings=Settings(max_owned=3)) as crm:
        assert owned_after_turns_and_claims(crm, World(crm, clock)) > 3


def name_after_waiting(crm: Crm, world: World) -> str:
    """Tell the name that somebody reads who waited for a customer while it was renamed."""
    number = world.customer(world.a, name="旧名").id or 0
    waiting = threading.Event()
    seen: list[str] = []

    def read() -> None:
        with crm.unit_of_work() as uow:
            waiting.set()
            locked = uow.customers.lock(number)
            seen.append(locked.name if locked else "")

    with crm.unit_of_work() as uow:
        customer = uow.customers.lock(number)
        assert customer is not None
        thread = threading.Thread(target=read)
        thread.start()
        # On SQLite the other one waits for its turn to write before it begins.
        waiting.wait(0.5)
        time.sleep(0.2)
        uow.customers.save(changed(customer, name="新名"))
    thread.join(30)
    assert intake.get_customer(crm, number, by=SYSTEM).name == "新名"
    return seen[0]


def test_whoever_waits_for_a_customer_reads_it_as_it_is_then(crm: Crm, world: World) -> None:
    """The name of now beside the owner of now, although the wait began before the change."""
    assert name_after_waiting(crm, world) == "新名"


def test_control_one_statement_that_locks_and_reads_gives_the_name_of_before(
    fresh_url: Callable[[str], str], clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL only the row that is locked is read again after the wait."""

    def lock_many(self: SqlCustomers, ids: Sequence[int]) -> tuple[Customer, ...]:
        chosen = self._m.select().where(ownership.c.customer_id.in_(ids))
        return self._read(chosen.with_for_update(of=ownership))

    monkeypatch.setattr(SqlCustomers, "lock_many", lock_many)
    with open_crm(fresh_url("postgresql"), clock=clock) as crm:
        assert name_after_waiting(crm, World(crm, clock)) == "旧名"
