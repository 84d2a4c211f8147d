"""Both engines keep to the contract of a Storage, and the contract notices who does not."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from crm_adapters.storage import customers, directory, imports, outbox, ownership, records
from crm_domain import Crm
from crm_domain import ports as PORTS
from crm_domain.testing import (
    making,
    schedule,
    storage,
    storage_counts,
    storage_forms,
    storage_imports,
    storage_lists,
    storage_outbox,
    storage_sign_ins,
)
from crm_domain.testing.storage import StorageContract


class TestSql(StorageContract):
    """The fixture ``crm`` opens each engine in turn."""


SUITE = "".join(
    inspect.getsource(m)
    for m in (
        making,
        schedule,
        storage,
        storage_counts,
        storage_forms,
        storage_imports,
        storage_lists,
        storage_outbox,
        storage_sign_ins,
    )
)
OF_A_STORAGE = (
    PORTS.Storage, PORTS.UnitOfWork, PORTS.Records, PORTS.Customers, PORTS.Turns, PORTS.Notices,
    PORTS.Imports, PORTS.Directory, PORTS.Schedule, PORTS.SignIns, PORTS.Work,
    PORTS.Forms,
)  # fmt: skip
ELSEWHERE = {
    "close": "whoever opens a storage closes it", "cancel": "imports are archived with it",
}  # fmt: skip


@pytest.mark.parametrize("port", OF_A_STORAGE)
def test_every_method_of_a_port_is_in_its_contract(port: type[Any]) -> None:
    """A storage could leave out what no law names."""
    methods = [n for n, f in inspect.getmembers(port, inspect.isfunction) if n[0] != "_"]
    left_out = [n for n in methods if f".{n}(" not in SUITE and n not in ELSEWHERE]
    assert left_out == []


def _unmasked(page: Any) -> Any:
    return lambda *a, **k: page(*a, **k | {"masks": ()})


def _first_page_again(page: Any) -> Any:
    import attrs

    return lambda session, query, *a, **k: page(session, attrs.evolve(query, after=None), *a, **k)


def _all_but_one(write: Any) -> Any:
    return lambda self, items: write(self, list(items)[:-1])


MUTANTS: dict[str, tuple[Any, str, Callable[[Any], Any], str]] = {
    "the reach of what is read is forgotten": (
        records, "read_within", lambda f: lambda cls, _: f(cls, None),
        "test_a_reach_limits_records_by_whose_they_are"),
    "the reach of notices is forgotten": (
        outbox, "read_within", lambda f: lambda cls, _: f(cls, None),
        "test_a_reach_limits_records_by_whose_they_are"),
    "the reach of what is counted is forgotten": (
        records, "read_within", lambda f: lambda cls, _: f(cls, None),
        "test_a_reach_limits_what_is_counted_and_named"),
    "the reach of what is resent is forgotten": (
        outbox, "read_within", lambda f: lambda cls, _: f(cls, None),
        "test_a_reach_limits_what_is_resent_and_counted"),
    "the reach of what is written is forgotten": (
        records, "limits", lambda _: lambda *_: False, "test_a_reach_limits_what_is_written"),
    "everybody is within reach": (
        directory.SqlDirectory, "in_reach", lambda _: lambda *_: True,
        "test_a_reach_limits_records_by_whose_they_are"),
    "masked contacts are looked through": (
        customers, "customers_page", _unmasked, "test_masked_contacts_cannot_be_found_out"),
    "the first page comes again": (
        customers, "customers_page", _first_page_again, "test_pages_join_without_a_gap"),
    "a problem of a sheet is dropped": (
        imports.SqlImports, "add_problems", _all_but_one, "test_problems_come_by_row"),
    "a due date is dropped": (
        ownership.SqlOwnership, "redate", _all_but_one,
        "test_dating_anew_changes_the_dates_alone"),
    "a customer is not locked": (
        customers.SqlCustomers, "lock", lambda _: customers.SqlCustomers.get,
        "test_whoever_locked_a_customer_is_waited_for"),
}  # fmt: skip


# SQLite has one writer, who need not lock.
CAUGHT = [
    (name, engine) for name in MUTANTS for engine in ("sqlite", "postgresql")
    if (name, engine) != ("a customer is not locked", "sqlite")
]  # fmt: skip


@pytest.mark.parametrize(("name", "engine_name"), CAUGHT)
def test_a_storage_that_leaks_or_drops_fails(
    crm: Crm, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The law that it breaks says so."""
    place, attribute, change, law = MUTANTS[name]
    monkeypatch.setattr(place, attribute, change(getattr(place, attribute)))
    with pytest.raises((AssertionError, TypeError, KeyError)):
        getattr(StorageContract(), law)(crm)
