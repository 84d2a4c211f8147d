"""List pages walk an index: nothing is sorted to find the first fifty of a million."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from crm_adapters.storage import customers
from crm_adapters.storage.unit_of_work import SqlStorage
from crm_domain import SYSTEM, Query
from crm_domain.usecases import intake, pool
from make import World

LISTS: dict[str, Any] = {
    "newest first": lambda w, after: intake.list_customers(
        w.crm, Query(limit=1, after=after), by=SYSTEM),
    "by number": lambda w, after: intake.list_customers(
        w.crm, Query(limit=1, sort="id", after=after), by=SYSTEM),
    "by name": lambda w, after: intake.list_customers(
        w.crm, Query(limit=1, sort="name", after=after), by=SYSTEM),
    "the pool": lambda w, after: pool.public_customers(
        w.crm, Query(limit=1, after=after), by=SYSTEM),
    "the pool by name": lambda w, after: pool.public_customers(
        w.crm, Query(limit=1, sort="name", after=after), by=SYSTEM),
}  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_a_page_is_found_without_sorting(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the first nor a later one, where the planner may choose."""
    # given
    monkeypatch.setattr(customers, "FEW", 1)
    for _ in range(3):
        world.customer()
    storage = world.crm.storage
    assert isinstance(storage, SqlStorage)
    seen: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if "FROM customer JOIN ownership" in statement:
            seen.append((statement, parameters))

    sa.event.listen(storage.reader, "before_cursor_execute", note)
    # when
    first = LISTS[name](world, None)
    LISTS[name](world, first.next)
    sa.event.remove(storage.reader, "before_cursor_execute", note)
    # then
    assert len(seen) == 2
    for statement, parameters in seen:
        assert "sort" not in plan(storage.reader, statement, parameters).lower()


def test_a_pool_of_few_is_looked_up(world: World) -> None:
    """Walking all customers to find the few that are public would take long."""
    world.customer()
    storage = world.crm.storage
    assert isinstance(storage, SqlStorage)
    seen: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if "FROM customer JOIN ownership" in statement:
            seen.append((statement, parameters))

    sa.event.listen(storage.reader, "before_cursor_execute", note)
    pool.public_customers(world.crm, by=SYSTEM)
    sa.event.remove(storage.reader, "before_cursor_execute", note)
    [(statement, _)] = seen
    assert "+customer.id" not in statement


def plan(engine: sa.Engine, statement: str, parameters: Any) -> str:
    """Explain a statement where sorting is the last resort, however small the tables are."""
    sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        if not sqlite:
            for way in ("sort", "seqscan", "bitmapscan", "hashjoin", "mergejoin"):
                connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
        explain = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "
        rows = connection.exec_driver_sql(explain + statement, parameters)
        return "\n".join(str(r[-1]).replace("TEMP B-TREE FOR ORDER BY", "SORT") for r in rows)
