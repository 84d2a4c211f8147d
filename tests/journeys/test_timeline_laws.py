"""The timeline of a customer: all that happened, newest first, for whoever may know it."""

from __future__ import annotations

from datetime import date
from typing import Any

import attrs
import pytest

from crm_domain import SYSTEM
from crm_domain.errors import Invalid, NotFound, NotPermitted
from crm_domain.model import Assignment, AuditEntry, HappeningKind, Payment
from crm_domain.ports import Query
from crm_domain.rules.access import Principal
from crm_domain.usecases import assignment, follow_up, intake, payments, pool
from crm_domain.usecases.timeline import TimelineEvent, timeline
from make import World, phone
from steps import on


def read(world: World, number: int, by: Principal, **query: Any) -> list[TimelineEvent]:
    """Read all pages, three events each."""
    asked = Query(limit=3, **query)
    found: list[TimelineEvent] = []
    while True:
        page = timeline(world.crm, number, asked, by=by)
        found += list(page)
        if page.next is None:
            return found
        asked = attrs.evolve(asked, after=page.next)


@pytest.fixture
def number(world: World) -> int:
    """A customer with a past: pool, claim, follow-up, payment, edit, transfer."""
    customer = world.customer(name="王芳")
    n = customer.id or 0
    world.clock.set(on(1, 11))
    pool.claim_customer(world.crm, n, by=world.a)
    world.clock.set(on(1, 12))
    follow_up.log_follow_up(world.crm, n, {"note": "来过"}, by=world.a)
    world.clock.set(on(1, 13))
    paid = payments.record_payment(
        world.crm, {"customer_id": n, "kind": "deposit", "amount": 100,
                    "paid_on": date(2026, 11, 1)}, by=world.a,
    )  # fmt: skip
    payments.reject_payment(world.crm, paid.id or 0, reason="错", by=SYSTEM)
    world.clock.set(on(1, 14))
    version = intake.get_customer(world.crm, n, by=world.a).version
    intake.edit_customer(
        world.crm, n, {"company": "甲公司", "phone": phone()}, version=version, by=world.a
    )
    world.clock.set(on(2, 9))
    assignment.transfer_customer(world.crm, n, world.b.employee_id or 0, by=world.manager)
    return n


def test_everything_stands_in_one_stream(world: World, number: int) -> None:
    """Each event once, page by page, the newest first, with who and when."""
    events = read(world, number, world.b)
    kinds = [str(e.kind) for e in events]
    assert sorted(set(kinds)) == sorted(k.value for k in HappeningKind)
    assert [e.at for e in events] == sorted((e.at for e in events), reverse=True)
    assert len({(e.kind, e.record.id) for e in events}) == len(events)
    by_kind = {e.kind: e for e in reversed(events)}
    begun = [e for e in events if e.kind is HappeningKind.BEGUN]
    assert [(e.by_name, e.person_name, e.at) for e in begun] == [
        ("赵敏", "韩梅梅", on(2, 9)), ("李雷", "李雷", on(1, 11)),
    ]  # fmt: skip
    ended = by_kind[HappeningKind.ENDED]
    assert isinstance(ended.record, Assignment)
    assert (ended.at, ended.person_name, int(ended.record.status)) == (on(2, 9), "李雷", 6)
    assert by_kind[HappeningKind.FOLLOW_UP].by_name == "李雷"
    settled = by_kind[HappeningKind.SETTLED]
    assert isinstance(settled.record, Payment)
    assert (settled.by_name, settled.record.status) == (None, "rejected")
    told = {e.person_name for e in events if e.kind is HappeningKind.NOTICE}
    assert told == {"李雷", "韩梅梅"}


def test_a_change_says_before_and_after_but_no_contact(world: World, number: int) -> None:
    """Field by field; of a phone number only that it changed."""
    changes = read(world, number, world.b, where={"kind": "change"})
    [edit] = [e.record for e in changes if getattr(e.record, "action", "") == "update"]
    assert isinstance(edit, AuditEntry)
    assert edit.before is not None
    assert edit.after is not None
    assert (edit.before["company"], edit.after["company"]) == (None, "甲公司")
    assert "138" not in repr([e.record for e in changes])
    # What a claim or a follow-up changed, another event tells already.
    assert {getattr(e.record, "action", "") for e in changes} == {"create", "transfer", "update"}


def test_the_stream_is_filtered_by_kind_and_time(world: World, number: int) -> None:
    """Nothing else can be asked for."""
    whole = read(world, number, world.b)
    some = ["begun", "ended"]
    assert read(world, number, world.b, where={"kind": some}) == [
        e for e in whole if e.kind in some
    ]
    low, high = on(1, 12), on(1, 13)
    assert read(world, number, world.b, ranges={"at": (low, high)}) == [
        e for e in whole if low <= e.at <= high
    ]
    for query in (
        Query(where={"note": "x"}), Query(search="x"), Query(sort="at"), Query(after="x"),
        Query(where={"kind": "x"}), Query(ranges={"at": ("x", None)}), Query(ranges={"id": (1, 2)}),
    ):  # fmt: skip
        with pytest.raises(Invalid):
            timeline(world.crm, number, query, by=world.b)


def test_the_stream_is_for_whom_the_history_is(world: World, number: int) -> None:
    """Not for the former owner, not for a colleague, and not for who lost it at midnight."""
    for by in (world.a, world.c):
        with pytest.raises(NotFound):
            timeline(world.crm, number, by=by)
    assert read(world, number, world.manager)
    with pytest.raises(NotFound):
        timeline(world.crm, 10**30, by=SYSTEM)
    with pytest.raises(NotPermitted):
        timeline(world.crm, number, by=Principal(name="x", employee_id=world.b.employee_id))
    world.clock.set(on(6))
    with pytest.raises(NotFound):
        timeline(world.crm, number, by=world.b)
    with pytest.raises(NotFound):
        assignment.history(world.crm, number, by=world.b)


def test_what_fell_due_ended_at_that_midnight(world: World, number: int) -> None:
    """Whoever sees all reads it before any sweep has run."""
    world.clock.set(on(8, 9))
    ended = read(world, number, SYSTEM, where={"kind": "ended"})
    assert [e.at for e in ended] == [on(6), on(2, 9)]
