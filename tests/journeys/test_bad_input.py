"""Whatever a caller passes in, the answer is a refusal by name, never the error of a driver."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from crm_domain import SYSTEM, Query
from crm_domain.errors import CrmError, Invalid, UnreadableSheet
from crm_domain.usecases import (
    assignment,
    follow_up,
    imports,
    intake,
    notices,
    payments,
    pool,
)
from make import World

NUMBERS: tuple[Any, ...] = (0, -1, 10**30, 2**63, "abc", "1", True, 1.5, None, [1], {}, "\x00")
TEXTS: tuple[Any, ...] = ("a\x00b", "\ud800", "x" * 100_000)
Act = Callable[[World, Any], object]

BY_NUMBER: dict[str, Act] = {
    "claim": lambda w, n: pool.claim_customer(w.crm, n, by=w.b),
    "release": lambda w, n: pool.release_customer(w.crm, n, by=w.a),
    "follow up": lambda w, n: follow_up.log_follow_up(w.crm, n, {"note": "x"}, by=w.a),
    "timeline": lambda w, n: follow_up.timeline(w.crm, n, by=w.a),
    "current": lambda w, n: assignment.current(w.crm, n, by=w.a),
    "history": lambda w, n: assignment.history(w.crm, n, by=SYSTEM),
    "assign": lambda w, n: assignment.assign_customer(w.crm, n, w.b.employee_id or 0, by=SYSTEM),
    "assign to": lambda w, n: assignment.assign_customer(w.crm, pooled(w), n, by=SYSTEM),
    "transfer": lambda w, n: assignment.transfer_customer(w.crm, n, 1, by=SYSTEM),
    "transfer to": lambda w, n: assignment.transfer_customer(w.crm, owned(w), n, by=SYSTEM),
    "lock": lambda w, n: assignment.lock_customer(w.crm, n, reason="x", by=SYSTEM),
    "get": lambda w, n: intake.get_customer(w.crm, n, by=SYSTEM),
    "edit": lambda w, n: intake.edit_customer(w.crm, n, {}, version=1, by=SYSTEM),
    "reject": lambda w, n: payments.reject_payment(w.crm, n, reason="x", by=SYSTEM),
    "resend": lambda w, n: notices.resend(w.crm, n, by=SYSTEM),
}
BY_TEXT: dict[str, Act] = {
    "release": lambda w, t: pool.release_customer(w.crm, owned(w), reason=t, by=w.a),
    "assign": lambda w, t: assignment.assign_customer(
        w.crm, pooled(w), w.b.employee_id or 0, memo=t, by=SYSTEM),
    "transfer": lambda w, t: assignment.transfer_customer(
        w.crm, owned(w), w.b.employee_id or 0, reason=t, by=SYSTEM),
    "lock": lambda w, t: assignment.lock_customer(w.crm, owned(w), reason=t, by=SYSTEM),
    "name": lambda w, t: intake.register_customer(w.crm, {"name": t, "qq": "123456"}, by=SYSTEM),
    "memo": lambda w, t: intake.edit_customer(w.crm, owned(w), {"memo": t}, version=1, by=SYSTEM),
    "note": lambda w, t: follow_up.log_follow_up(w.crm, owned(w), {"note": t}, by=w.a),
    "search": lambda w, t: intake.list_customers(w.crm, Query(search=t), by=SYSTEM),
    "sort": lambda w, t: intake.list_customers(w.crm, Query(sort=t), by=SYSTEM),
    "mark": lambda w, t: intake.list_customers(w.crm, Query(after=t), by=SYSTEM),
    "filter": lambda w, t: intake.list_customers(w.crm, Query(where={t: t}), by=SYSTEM),
}  # fmt: skip
ODD: dict[str, Act] = {
    "limit 0": lambda w, _: Query(limit=0),
    "limit True": lambda w, _: Query(limit=True),
    "limit text": lambda w, _: Query(limit="9"),  # type: ignore[arg-type]
    "where a list": lambda w, _: Query(where=[1]),  # type: ignore[arg-type]
    "one end": lambda w, _: Query(ranges={"id": (1,)}),  # type: ignore[dict-item]
    "range of text": lambda w, _: listed(w, Query(ranges={"id": ("a", "b")})),
    "range of lists": lambda w, _: listed(w, Query(ranges={"created_at": ([], {})})),
    "id too large": lambda w, _: listed(w, Query(where={"id": 10**30})),
    "too many ids": lambda w, _: listed(w, Query(where={"id": list(range(70_000))})),
    "a list in a list": lambda w, _: listed(w, Query(where={"source": [["baidu"]]})),
    "a mark of numbers": lambda w, _: listed(w, Query(after="WzFd", sort="name")),
    "a mark too large": lambda w, _: listed(w, Query(after="WzFlMzBd")),
    "a mark of a name": lambda w, _: listed(w, Query(after="W1tdLDFd", sort="name")),
    "a deep mark": lambda w, _: listed(w, Query(after="W1tb" * 900)),
    "mine after": lambda w, _: assignment.my_customers(w.crm, Query(after="²"), by=w.a),
    "mine sorted": lambda w, _: assignment.my_customers(w.crm, Query(sort="name"), by=w.a),
    "mine in a range": lambda w, _: assignment.my_customers(
        w.crm, Query(ranges={"id": (1, 2)}), by=w.a),
    "mine infinite": lambda w, _: assignment.my_customers(
        w.crm, Query(where={"status": float("inf")}), by=w.a),
    "no notice status": lambda w, _: notices.list_notices(w.crm, status="x", by=SYSTEM),  # type: ignore[arg-type]
    "no notices": lambda w, _: notices.deliver_due(w.crm, limit=0, by=SYSTEM),
    "a naive moment": lambda w, _: pool.sweep_pool(w.crm, at=datetime(2026, 11, 1), by=SYSTEM),
    "a day": lambda w, _: pool.sweep_pool(w.crm, at=date(2026, 11, 1), by=SYSTEM),  # type: ignore[arg-type]
    "no entry": lambda w, _: assignment.set_rotation(w.crm, ["abc"], by=SYSTEM),  # type: ignore[list-item]
    "an employee abc": lambda w, _: plan(w, employee_id="abc"),
    "an employee beyond counting": lambda w, _: plan(w, employee_id=10**30),
    "no employee": lambda w, _: plan(w, employee_id=None),
    "a text quota": lambda w, _: plan(w, quota="many"),
    "a huge quota": lambda w, _: plan(w, quota=10**30),
    "a negative quota": lambda w, _: plan(w, quota=-1),
    "a huge weight": lambda w, _: plan(w, weight=10**9),
    "active perhaps": lambda w, _: plan(w, active="perhaps"),
    "no money": lambda w, _: pay(w, amount=0),
    "less than no money": lambda w, _: pay(w, amount=-5),
    "money beyond counting": lambda w, _: pay(w, amount=Decimal(10) ** 40),
    "paid tomorrow": lambda w, _: pay(w, paid_on=date(2026, 11, 2)),
    "a follow-up of nothing": lambda w, _: follow_up.log_follow_up(w.crm, owned(w), {}, by=w.a),
    "to nobody": lambda w, _: assignment.assign_customers(w.crm, [owned(w)], [], by=SYSTEM),
}  # fmt: skip


def owned(world: World) -> int:
    return world.customer(world.a).id or 0


def pooled(world: World) -> int:
    return world.customer().id or 0


def listed(world: World, query: Query) -> object:
    return intake.list_customers(world.crm, query, by=SYSTEM)


def plan(world: World, **values: Any) -> None:
    entry = {"employee_id": world.a.employee_id, **values}
    assignment.set_rotation(world.crm, [entry], by=SYSTEM)


def pay(world: World, **values: Any) -> None:
    typed = {"customer_id": owned(world), "kind": "deposit", "amount": 5,
             "paid_on": date(2026, 11, 1)}  # fmt: skip
    payments.record_payment(world.crm, typed | values, by=world.a)


def two(world: World) -> Any:
    return [world.a.employee_id, world.b.employee_id]


def refused(world: World, act: Act, value: Any) -> str | None:
    """Do it; tell what came instead of a refusal."""
    try:
        found = act(world, value)
    except CrmError:
        return None
    except Exception as e:
        return f"{value!r:.40}: {type(e).__name__}: {e!s:.200}"
    return f"{value!r:.40} was accepted: {found!r:.80}"


V: Any = None
T: Any = "no"
WRONG_TYPE: dict[str, Callable[[World], object]] = {
    "no values of a follow-up": lambda w: follow_up.log_follow_up(w.crm, owned(w), V, by=w.a),
    "no plan": lambda w: assignment.set_rotation(w.crm, V, by=SYSTEM),
    "turns as text": lambda w: assignment.upcoming(w.crm, T, by=SYSTEM),
    "no number of turns": lambda w: assignment.show_rotation(w.crm, V, by=SYSTEM),
    "too many turns": lambda w: assignment.upcoming(w.crm, 10**7, by=SYSTEM),
    "locked by a word": lambda w: assignment.lock_customer(
        w.crm, owned(w), reason="x", locked=T, by=SYSTEM),
    "the end of time": lambda w: pool.sweep_pool(
        w.crm, dry_run=True, at=datetime.max.replace(tzinfo=UTC), by=SYSTEM),
    "customers of two": lambda w: assignment.hand_over(
        w.crm, two(w), [w.c.employee_id or 0], by=SYSTEM),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_TYPE)
def test_what_is_of_another_type_is_refused(world: World, name: str) -> None:
    """And nothing stumbles over it."""
    with pytest.raises(CrmError):
        WRONG_TYPE[name](world)


def test_a_blank_end_of_a_range_is_open(world: World) -> None:
    """As the empty box of a form."""
    number = owned(world)
    found = listed(world, Query(ranges={"id": ("", None), "created_at": (None, " ")}))
    assert [c.id for c in found.items] == [number]  # type: ignore[attr-defined]


def test_a_pipe_is_no_sheet(world: World, tmp_path: Path) -> None:
    """To open it would wait for ever for whoever writes to it."""
    os.mkfifo(tmp_path / "x.csv")
    with pytest.raises(UnreadableSheet):
        imports.check_import(world.crm, tmp_path / "x.csv", by=SYSTEM)


@pytest.mark.parametrize("name", BY_NUMBER)
def test_what_is_the_number_of_nothing_is_refused(world: World, name: str) -> None:
    """None, texts, lists, truths and what no column holds."""
    assert [w for n in NUMBERS if (w := refused(world, BY_NUMBER[name], n))] == []


@pytest.mark.parametrize("name", BY_TEXT)
def test_what_is_no_text_is_refused(world: World, name: str) -> None:
    """NUL, half a surrogate pair, a hundred thousand characters."""
    assert [w for t in TEXTS if (w := refused(world, BY_TEXT[name], t))] == []


@pytest.mark.parametrize("name", ODD)
def test_what_makes_no_sense_is_refused(world: World, name: str) -> None:
    """Each by its own error; nothing is written."""
    assert refused(world, ODD[name], None) is None


def test_the_words_for_no_are_read(world: World) -> None:
    """A plan from a form says "false" or 否, and means it."""
    for no in (False, "false", "否", 0):
        plan(world, active=no)
        shown = assignment.show_rotation(world.crm, by=SYSTEM)
        assert [e[-1] for e in shown.entries] == [False]


def test_somebody_elses_credit_is_for_finance_to_give(world: World) -> None:
    """A consultant's payment is the owner's."""
    with pytest.raises(CrmError):
        pay(world, consultant_id=world.b.employee_id)
    finance = world.person("钱进", "finance")
    typed = {"customer_id": owned(world), "kind": "deposit", "amount": 5,
             "paid_on": date(2026, 11, 1), "consultant_id": world.b.employee_id}  # fmt: skip
    assert payments.record_payment(world.crm, typed, by=finance).consultant_id == (
        world.b.employee_id
    )


@pytest.mark.parametrize("n", [-1, "x", None, 1.5, True, [1]])
def test_a_number_of_turns_is_a_number(world: World, n: Any) -> None:
    """What is none is refused by name."""
    for ask in (assignment.upcoming, assignment.show_rotation):
        with pytest.raises(Invalid) as refused:
            ask(world.crm, n, by=SYSTEM)
        assert [p.path for p in refused.value.problems] == ["n"]
