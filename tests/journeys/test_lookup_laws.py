"""A masked contact is not found out by asking often (spec sections 6 and 7)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from crm_domain import SYSTEM
from crm_domain.errors import AskedTooOften, Duplicate, TooManyAttempts
from crm_domain.model import AuditEntry
from crm_domain.ports import Query
from crm_domain.rules.access import Principal
from crm_domain.rules.throttle import CONTACTS_ASKED, may_be_contact
from crm_domain.usecases import _lookups, imports, intake, pool
from make import World


def sheet(*phones: str) -> bytes:
    """Make a sheet of people with these numbers."""
    return "\n".join(["姓名,手机", *(f"王{i},{p}" for i, p in enumerate(phones))]).encode()


def checked(world: World, by: Principal, *phones: str) -> imports.ImportReport:
    """Ask what an import would do."""
    return imports.check_import(world.crm, sheet(*phones), file_name="x.csv", by=by)


def entered(world: World, by: Principal) -> None:
    """Enter somebody with a number that another has, and be refused."""
    with suppress(Duplicate):
        intake.register_customer(world.crm, {"name": "试", "phone": NUMBER}, to="pool", by=by)
        raise AssertionError


def changed(world: World, by: Principal) -> None:
    """Give an own customer that number, and be refused."""
    own = world.customer(world.a if by is world.manager else by)
    with suppress(Duplicate):
        intake.edit_customer(world.crm, own.id or 0, {"phone": NUMBER}, version=1, by=by)
        raise AssertionError


NUMBER = "13900000001"
_OTHERS = count()
ASKING: dict[str, Callable[[World, Principal], Any]] = {
    "while typing": lambda w, p: intake.find_duplicates(w.crm, {"phone": NUMBER}, by=p),
    "the pool": lambda w, p: pool.public_customers(w.crm, Query(search=NUMBER), by=p),
    "the pool's count": lambda w, p: pool.tally_public(w.crm, Query(search=NUMBER), by=p),
    "a sheet": lambda w, p: checked(w, p, NUMBER),
    "a sheet taken in": lambda w, p: imports.import_file(
        w.crm, sheet(NUMBER), file_name="x.csv", by=p
    ),
    "a sheet for the workers": lambda w, p: imports.start_file(
        w.crm, sheet(NUMBER) + str(next(_OTHERS)).encode(), file_name="x.csv", by=p
    ),
    "entering": entered,
    "changing": changed,
}


@pytest.mark.parametrize("way", ASKING)
def test_somebody_asks_for_so_many_contacts_in_an_hour(
    world: World, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """By all ways together; then one waits. A colleague is counted apart, a manager not at all."""
    monkeypatch.setattr(_lookups, "CONTACTS_ASKED", 5)
    world.customer(phone=NUMBER)
    for _ in range(4):
        intake.find_duplicates(world.crm, {"qq": "123456"}, by=world.a)
    ask = ASKING[way]
    ask(world, world.a)
    world.clock.advance(timedelta(minutes=20))
    with pytest.raises(AskedTooOften) as refused:
        ask(world, world.a)
    assert isinstance(refused.value, TooManyAttempts)
    assert refused.value.retry_after == 40 * 60
    ask(world, world.b)
    for _ in range(7):
        ask(world, world.manager)
    world.clock.advance(timedelta(minutes=40))
    ask(world, world.a)


def test_a_sheet_of_guesses_is_refused_as_a_whole(world: World) -> None:
    """And says nothing; whoever gives customers away checks sheets of any length."""
    guesses = [f"138{n:08d}" for n in range(CONTACTS_ASKED + 1)]
    with pytest.raises(AskedTooOften):
        checked(world, world.a, *guesses)
    assert checked(world, world.a, *guesses[:-1]).accepted == CONTACTS_ASKED
    with pytest.raises(AskedTooOften):
        checked(world, world.a, guesses[-1])
    assert checked(world, world.manager, *guesses).accepted == CONTACTS_ASKED + 1


def test_who_checks_a_sheet_is_written_down(world: World) -> None:
    """With how much was asked, and nothing of what."""
    checked(world, world.a, NUMBER, "13900000002")
    with world.crm.unit_of_work(read_only=True) as uow:
        [entry] = uow.records.all(AuditEntry, action="check_import")
    assert (entry.by_id, (entry.after or {})["contacts"]) == (world.a.user_id, 2)
    assert NUMBER not in repr(entry)


def test_names_are_searched_as_often_as_one_likes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do the own customers count, nor a clock that was put back for long."""
    monkeypatch.setattr(_lookups, "CONTACTS_ASKED", 1)
    for search in ("王芳", "wang", "1390", None):
        for _ in range(3):
            pool.public_customers(world.crm, Query(search=search), by=world.a)
    for _ in range(3):
        intake.list_customers(world.crm, Query(search=NUMBER), by=world.a)
    ASKING["the pool"](world, world.a)
    world.clock.set(world.clock() - timedelta(days=2))
    ASKING["the pool"](world, world.a)


def test_who_sees_all_but_no_contacts_is_counted_in_the_list(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finance finds masked customers there."""
    monkeypatch.setattr(_lookups, "CONTACTS_ASKED", 1)
    finance = world.person("财务", "finance")
    intake.list_customers(world.crm, Query(search=NUMBER), by=finance)
    with pytest.raises(AskedTooOften):
        intake.tally_customers(world.crm, Query(search=NUMBER), by=finance)
    intake.list_customers(world.crm, Query(search=NUMBER), by=SYSTEM)


@pytest.mark.parametrize(
    ("search", "counts"),
    [("13900000001", True), ("139 0000 0001", False), ("wx_wang", True), ("王芳", False),
     ("139-0000-0001", True),
     ("１３９００００", True), ("王 12345", True), ("", False), (None, False),
     ("wang", False)],
)  # fmt: skip
def test_what_may_be_a_contact(search: str | None, counts: bool) -> None:
    """A word of at least as many letters and digits as the shortest QQ number."""
    assert may_be_contact(search) is counts
