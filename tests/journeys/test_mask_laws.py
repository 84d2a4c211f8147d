"""What a mask hides (spec section 6) is hidden in every answer, and nobody overwrites it unseen."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any

import pytest

from crm_domain import SYSTEM, usecases
from crm_domain.errors import Invalid
from crm_domain.model import Customer
from crm_domain.rules.access import Principal
from crm_domain.usecases import assignment, intake
from make import World, phone

SECRETS = {"phone": "13911119999", "wechat": "wx_wangfang", "memo": "丈夫不同意"}


def pooled(world: World) -> Customer:
    """Make a public customer with something to hide."""
    return world.customer(**SECRETS)


def locked(world: World) -> Customer:
    """Make a customer that a manager keeps out of the pool, and that is nobody's."""
    customer = pooled(world)
    assignment.lock_customer(world.crm, customer.id or 0, reason="x", by=SYSTEM)
    return customer


def edited(w: World, c: Customer, by: Principal) -> Customer:
    """Change nothing."""
    return intake.edit_customer(w.crm, c.id or 0, {}, version=c.version, by=by)


def kept(w: World, c: Customer, by: Principal, on: bool = True) -> Customer:
    """Lock or unlock."""
    return assignment.lock_customer(w.crm, c.id or 0, reason="x", locked=on, by=by)


ANSWERS: dict[str, tuple[str, Callable[[World, Principal], Customer]]] = {
    "get": ("get_customer", lambda w, p: intake.get_customer(w.crm, pooled(w).id or 0, by=p)),
    "form": (
        "customer_to_edit",
        lambda w, p: intake.customer_to_edit(w.crm, pooled(w).id or 0, by=p),
    ),
    "lock taken back": (
        "take_back_lock",
        lambda w, p: assignment.take_back_lock(w.crm, kept(w, pooled(w), p).id or 0, by=p),
    ),
    "edit": ("edit_customer", lambda w, p: edited(w, pooled(w), p)),
    "lock": ("lock_customer", lambda w, p: kept(w, pooled(w), p)),
    "unlock": ("lock_customer", lambda w, p: kept(w, locked(w), p, on=False)),
}
OWN_WORDS = {"register_customer", "read_customer"}
"""Answer with what was typed by whoever asks."""
WITHIN = {"locked_customer", "seen", "seen_by_who_changed"}
"""Are no use cases: others build on them."""


@pytest.mark.parametrize("answer", ANSWERS)
def test_no_answer_shows_a_manager_what_the_pool_hides(world: World, answer: str) -> None:
    """Also of what one has just changed; the same fields as in the list of the pool."""
    shown = ANSWERS[answer][1](world, world.manager)
    assert (shown.phone, shown.wechat, shown.memo) == ("139****9999", "wx_****fang", None)


def test_each_use_case_that_gives_a_customer_is_looked_at() -> None:
    """One that is added later has to stand in the table above."""
    found = set()
    for module in pkgutil.iter_modules(usecases.__path__):
        if not module.name.startswith("_"):
            names = vars(importlib.import_module(f"crm_domain.usecases.{module.name}"))
            found |= {n for n, f in names.items() if inspect.isfunction(f) and not n.startswith("_")
                      and f.__annotations__.get("return") == "Customer"}  # fmt: skip
    assert found - OWN_WORDS - WITHIN - {"masked", "owned_by", "pooled", "dated", "shown"} == {
        use_case for use_case, _ in ANSWERS.values()
    }


@pytest.mark.parametrize("who", ["owner", "administrator"])
def test_who_sees_a_customer_clearly_is_answered_clearly(world: World, who: str) -> None:
    """An owner of the own, and who assigns and sees all."""
    owner = who == "owner"
    customer = world.customer(world.a if owner else None, **SECRETS)
    shown = edited(world, customer, world.a if owner else SYSTEM)
    assert (shown.phone, shown.memo) == ("13911119999", "丈夫不同意")


@pytest.mark.parametrize(
    "typed",
    [{"memo": ""}, {"memo": "x"}, {"memo": SECRETS["memo"]}, {"phone": ""},
     {"phone": SECRETS["phone"]}, {"wechat": "wx_other_one"}],
)  # fmt: skip
def test_what_one_cannot_see_cannot_be_overwritten(world: World, typed: dict[str, Any]) -> None:
    """Nor guessed: the right value is refused as any other."""
    customer = pooled(world)
    number = customer.id or 0
    if typed == {"memo": ""}:
        # As a form sends back what it was shown.
        intake.edit_customer(world.crm, number, typed | {"major": "法语"}, version=1,
                             by=world.manager)  # fmt: skip
    else:
        with pytest.raises(Invalid) as caught:
            intake.edit_customer(world.crm, number, typed, version=1, by=world.manager)
        assert [p.code for p in caught.value.problems] == ["hidden_field"]
    after = intake.get_customer(world.crm, number, by=SYSTEM)
    assert {n: getattr(after, n) for n in SECRETS} == SECRETS


def test_a_manager_keeps_the_pool_in_order_all_the_same(world: World) -> None:
    """What the mask does not hide is changed, and a way to reach somebody may be added."""
    customer = pooled(world)
    typed = {"name": "王方", "major": "法语", "qq": "123456"}
    intake.edit_customer(world.crm, customer.id or 0, typed, version=1, by=world.manager)
    after = intake.get_customer(world.crm, customer.id or 0, by=SYSTEM)
    assert (after.name, after.major, after.qq) == ("王方", "法语", "123456")
    mine = world.customer(world.a)
    intake.edit_customer(world.crm, mine.id or 0, {"phone": phone(), "memo": "x"}, version=1,
                         by=world.manager)  # fmt: skip
