"""The log (spec section 14): who did what, of the things that happen all day as well."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from crm_domain import SYSTEM, Crm
from crm_domain.errors import Duplicate, Invalid, NotFound
from crm_domain.model import AuditEntry, Payment, Scope
from crm_domain.usecases import access, follow_up, intake, payments, pool
from make import World
from steps import counted, on


def entries(crm: Crm, action: str) -> list[AuditEntry]:
    """Read the entries of an action, the oldest first."""
    with crm.unit_of_work(read_only=True) as uow:
        return list(uow.records.all(AuditEntry, action=action))


def test_a_new_customer_is_written_down(world: World) -> None:
    """What was entered and whose it became, without contacts; a refused one leaves nothing."""
    typed = {"name": "王芳", "phone": "13800138000", "source": "baidu"}
    before = len(entries(world.crm, "create"))
    made = intake.register_customer(world.crm, typed, by=world.manager)
    [entry] = entries(world.crm, "create")[before:]
    assert (entry.record, entry.record_id, entry.by_id) == (
        "Customer", made.id, world.manager.user_id,
    )  # fmt: skip
    assert entry.after is not None
    assert (entry.after["name"], entry.after["source"]) == ("王芳", "baidu")
    assert entry.after["owner_id"] == made.owner_id
    assert "13800138000" not in repr(entry.after)
    with pytest.raises(Duplicate):
        intake.register_customer(world.crm, typed, by=world.manager)
    assert len(entries(world.crm, "create")) == before + 1


def test_a_claim_and_a_follow_up_are_written_down(world: World) -> None:
    """With what they changed."""
    number = world.customer().id or 0
    pool.claim_customer(world.crm, number, by=world.a)
    [claim] = entries(world.crm, "claim")
    assert (claim.record_id, claim.by_id) == (number, world.a.user_id)
    assert (claim.before, claim.after) == (
        {"owner_id": None}, {"owner_id": world.a.employee_id},
    )  # fmt: skip
    follow_up.log_follow_up(world.crm, number, {"note": "机密", "intention": "no_plan"}, by=world.a)
    [said] = entries(world.crm, "follow_up")
    assert said.record_id == number
    assert (said.before or {})["intention"] is None
    assert (said.after or {})["intention"] == "no_plan"
    assert "机密" not in repr(said)


def test_a_sweep_is_written_down_once_with_its_counts(world: World) -> None:
    """However many customers it took; one that takes nobody leaves no entry."""
    for owner in (world.a, world.a, world.b):
        world.customer(owner)
    pool.sweep_pool(world.crm, by=world.manager)
    assert entries(world.crm, "sweep") == []
    world.clock.set(on(5))
    pool.sweep_pool(world.crm, dry_run=True, by=world.manager)
    assert entries(world.crm, "sweep") == []
    pool.sweep_pool(world.crm, by=world.manager)
    [entry] = entries(world.crm, "sweep")
    assert entry.by_id == world.manager.user_id
    assert entry.after == {
        "day": "2026-11-05", "released": 3, "by_status": {"3": 3},
        "by_owner": {str(world.a.employee_id): 2, str(world.b.employee_id): 1},
    }  # fmt: skip


def test_the_log_rides_with_what_it_is_about(world: World, engine_name: str) -> None:
    """A registration sends one insertion more, in the batch that goes out with the commit."""
    typed: dict[str, Any] = {"name": "王芳", "phone": "13800138000"}
    n = counted(world.crm, lambda: intake.register_customer(world.crm, typed, by=SYSTEM))
    assert n <= 12, engine_name


def pay(world: World, **more: Any) -> Payment:
    """Enter a deposit."""
    typed = {"customer_id": world.customer(world.a).id, "kind": "deposit", "amount": 500,
             "paid_on": date(2026, 11, 1), **more}  # fmt: skip
    return payments.record_payment(world.crm, typed, by=world.a)


def test_a_rejection_keeps_what_was_noted(world: World) -> None:
    """The reason stands beside the note, and there must be one."""
    payment = pay(world, note="刷卡，尾号1234")
    for empty in ("", "  "):
        with pytest.raises(Invalid) as refused:
            payments.reject_payment(world.crm, payment.id or 0, reason=empty, by=SYSTEM)
        assert [p.path for p in refused.value.problems] == ["reason"]
    rejected = payments.reject_payment(world.crm, payment.id or 0, reason="未到账", by=SYSTEM)
    assert (rejected.note, rejected.reject_reason) == ("刷卡，尾号1234", "未到账")
    with world.crm.unit_of_work(read_only=True) as uow:
        assert uow.records.get(Payment, payment.id or 0) == rejected


def test_a_payment_is_rejected_within_the_reach_only(world: World) -> None:
    """Somebody who confirms payments of the own department finds no other's."""
    access.set_role(world.crm, "出纳", permissions=["payment:confirm"], scope=Scope.OWN, by=SYSTEM)
    cashier = world.person("出纳", "出纳")
    payment = pay(world)
    with pytest.raises(NotFound):
        payments.reject_payment(world.crm, payment.id or 0, reason="x", by=cashier)
    access.set_role(world.crm, "出纳", permissions=["payment:confirm"], scope=Scope.DEPARTMENT,
                    by=SYSTEM)  # fmt: skip
    cashier = access.principal_for(world.crm, username=cashier.name)
    assert payments.reject_payment(world.crm, payment.id or 0, reason="x", by=cashier)
