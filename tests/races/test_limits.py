"""What one transaction counts or reads, others must not change under it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from crm_adapters import open_crm
from crm_adapters.storage.ownership import SqlOwnership
from crm_domain import SYSTEM, Crm
from crm_domain.errors import ClaimRefused
from crm_domain.model.fields import changed
from crm_domain.ports import Settings
from crm_domain.testing.clock import FixedClock
from crm_domain.usecases import intake, pool
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
    monkeypatch.setattr(SqlOwnership, "claims_in_turn", lambda *_: None)
    settings = Settings(max_claims_per_day=3)
    with open_crm(fresh_url("postgresql"), clock=clock, settings=settings) as crm:
        assert won_at_once(crm, World(crm, clock)) > 3


def test_whoever_waits_for_a_customer_reads_it_as_it_is_then(crm: Crm, world: World) -> None:
    """The name of now beside the owner of now, although the wait began before the change."""
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
    assert seen == ["新名"]
    assert intake.get_customer(crm, number, by=SYSTEM).name == "新名"
