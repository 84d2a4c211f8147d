"""List pages walk an index: nothing is sorted to find the first fifty of a million."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from crm_adapters.storage import finding, pages
from crm_adapters.storage.unit_of_work import SqlStorage
from crm_domain import SYSTEM, Query
from crm_domain.rules.access import Principal
from crm_domain.usecases import (
    assignment,
    audit_log,
    figures,
    inbox,
    intake,
    notices,
    pool,
    timeline,
)
from make import World

Read = Callable[[World, Query], Any]
LISTED: Read = lambda w, query: intake.list_customers(w.crm, query, by=SYSTEM)  # noqa: E731
POOLED: Read = lambda w, query: pool.public_customers(w.crm, query, by=SYSTEM)  # noqa: E731
LISTS: dict[str, tuple[Read, Query]] = {
    "newest first": (LISTED, Query()),
    "by number": (LISTED, Query(sort="id")),
    "by name": (LISTED, Query(sort="name")),
    "filtered": (LISTED, Query(where={"status": "not_enrolled", "source": [None, "baidu"]})),
    "of one owner": (LISTED, Query(where={"owner_id": 1})),
    "of one owner, as an address asks": (LISTED, Query(where={"owner_id": ["1"]})),
    "the pool of one who had them": (POOLED, Query(where={"last_consultant_id": ["1"]})),
    "the own": (lambda w, query: intake.list_customers(w.crm, query, by=w.a), Query()),
    "the department's": (
        lambda w, query: intake.list_customers(w.crm, query, by=w.manager), Query()),
    "the pool": (POOLED, Query()),
    "the pool by name": (POOLED, Query(sort="name")),
    "the pool by day": (POOLED, Query(sort="due_on")),
    "a search for many": (LISTED, Query(search="王")),
    "a search in the pool": (POOLED, Query(search="王")),
}  # fmt: skip


def read_by(
    world: World, read: Callable[[], Any], of: str = "customer.archived_at IS NULL"
) -> list[tuple[str, Any]]:
    """Read, and give the statements that chose customers, with their parameters."""
    storage = world.crm.storage
    assert isinstance(storage, SqlStorage)
    seen: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if of in statement:
            seen.append((statement, parameters))

    sa.event.listen(storage.reader, "before_cursor_execute", note)
    try:
        read()
    finally:
        sa.event.remove(storage.reader, "before_cursor_execute", note)
    return seen


@pytest.mark.parametrize("name", LISTS)
def test_a_page_is_found_without_sorting(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the first nor a later one, where many fit and the planner may choose."""
    # given
    monkeypatch.setattr(finding, "FEW", 0)
    monkeypatch.setattr(pages, "FEW", 0)
    for owner in (None, world.a, None, world.a):
        world.customer(owner)
        pool.release_customer(world.crm, world.customer(world.a).id or 0, by=world.a)
    read, query = LISTS[name]
    storage = world.crm.storage
    assert isinstance(storage, SqlStorage)
    for field, wish in query.where.items():
        if field in ("owner_id", "last_consultant_id"):
            number = world.a.employee_id
            query = Query(where={field: number if wish == 1 else [str(number)]})

    def both() -> None:
        first = read(world, Query(where=query.where, search=query.search, sort=query.sort, limit=1))
        assert first.next is not None
        read(world, Query(where=query.where, search=query.search, sort=query.sort, limit=1,
                          after=first.next))  # fmt: skip

    # when
    seen = read_by(world, both)
    # then
    assert len(seen) == 2
    for statement, parameters in seen:
        assert "sort" not in plan(storage.reader, statement, parameters).lower()


@pytest.mark.parametrize(("read", "name"), [(LISTED, "owner_id"), (POOLED, "last_consultant_id")])
@pytest.mark.parametrize("written", [lambda n: str(n), lambda n: [str(n)], lambda n: (n,)])
def test_one_consultant_is_found_by_the_index_however_it_is_written(
    world: World, read: Read, name: str, written: Callable[[int], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Addresses give lists of texts, programs give numbers: both begin with the consultant's."""
    monkeypatch.setattr(pages, "FEW", 0)
    world.customer()
    number = world.a.employee_id or 0
    storage = world.crm.storage
    assert isinstance(storage, SqlStorage)
    [(statement, parameters)] = read_by(
        world, lambda: read(world, Query(where={name: written(number)}))
    )
    found = plan(storage.reader, statement, parameters)
    assert "last_consultant" in found, found
    if name == "owner_id":
        plainly = read_by(world, lambda: read(world, Query(where={name: number})))
        assert plainly == [(statement, parameters)]


def test_a_pool_of_few_is_looked_up(world: World) -> None:
    """Walking all customers to find the few that are public would take long."""
    world.customer()
    [(statement, _)] = read_by(world, lambda: POOLED(world, Query()))
    assert "+customer.id" not in statement


def test_a_rare_word_is_looked_up_in_the_index(world: World) -> None:
    """Walking a million rows for a rare name would take a second."""
    world.customer(name="龘靐")
    storage = world.crm.storage
    assert isinstance(storage, SqlStorage)
    [(statement, parameters)] = read_by(world, lambda: LISTED(world, Query(search="龘靐")))
    found = plan(storage.reader, statement, parameters, sorting=True)
    assert "ix_customer_search" in found or "customer_search VIRTUAL TABLE INDEX" in found


def test_hits_are_gathered_before_they_are_sorted_by_name(world: World) -> None:
    """Walking by name would take long: whoever is called Wang comes last."""
    world.customer()
    storage = world.crm.storage
    assert isinstance(storage, SqlStorage)
    query = Query(search="王", sort="name")
    [(statement, parameters)] = read_by(world, lambda: LISTED(world, query))
    assert "ix_customer_pinyin" not in plan(storage.reader, statement, parameters)


MONTH = date(2026, 11, 1), date(2026, 11, 30)
COUNTED: dict[str, tuple[Callable[[World], Any], tuple[str, ...]]] = {
    "my tabs": (
        lambda w: assignment.tally_mine(w.crm, None, ["tab"], by=w.a), ("ownership", "assignment")),
    "my figures": (
        lambda w: figures.my_figures(w.crm, by=w.a), ("assignment",)),
    "the team's figures": (
        lambda w: figures.team_figures(w.crm, *MONTH, by=w.manager),
        ("ownership", "assignment", "follow_up", "payment")),
    "the school's figures": (
        lambda w: figures.team_figures(w.crm, *MONTH, by=SYSTEM),
        ("ownership", "assignment", "follow_up", "payment")),
    "a timeline": (
        lambda w: timeline.timeline(w.crm, 1, by=SYSTEM),
        ("assignment", "follow_up", "payment", "notice", "audit_entry")),
    "the log of a day": (
        lambda w: audit_log.list_entries(
            w.crm, Query(ranges={"at": (w.clock(), w.clock())}), by=SYSTEM), ("audit_entry",)),
    "the log of somebody": (
        lambda w: audit_log.list_entries(w.crm, Query(where={"by_id": 1}), by=SYSTEM),
        ("audit_entry",)),
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTED)
def test_what_is_counted_is_found_by_an_index(world: World, name: str) -> None:
    """None of the tables that grow is read through, however many consultants there are."""
    for owner in (None, world.a, world.b):
        world.customer(owner)
    read, tables = COUNTED[name]
    storage = world.crm.storage
    assert isinstance(storage, SqlStorage)
    seen = read_by(world, lambda: read(world), of="SELECT")
    assert seen
    for statement, parameters in seen:
        found = plan(storage.reader, statement, parameters, sorting=True)
        for table in tables:
            # A walk along an index has a condition on it, or is ended by a limit.
            whole = (f"SCAN {table}\n", f"SCAN {table} USING COVERING", f"Seq Scan on {table} ")
            assert not any(w in f"{found}\n" for w in whole), f"{statement}\n{found}"


@pytest.mark.parametrize("most", [2, 3])
def test_counting_ends_at_its_bound(world: World, most: int) -> None:
    """The limit stands inside of what is counted."""
    world.customer()
    seen = read_by(
        world, lambda: intake.tally_customers(world.crm, None, ["source"], most=most, by=SYSTEM)
    )
    [(statement, _)] = seen
    inside = statement.index("LIMIT"), statement.index("count(*)")
    assert inside[0] < inside[1]


NAMES = ("王芳", "王强", "李雷", "René", "Ö_ne", "周王", "Wang", "安")
QUERIES = (
    Query(), Query(sort="name"), Query(sort="-due_on"), Query(sort="received_at"),
    Query(search="王"), Query(search="王", sort="name"), Query(search="wang"),
    Query(search="rene"), Query(search="ené"), Query(search="1390"), Query(search="王 1390"),
    Query(search="13900000002"), Query(search="%"), Query(search="龘"),
    Query(where={"source": ["baidu", None]}), Query(where={"owner_id": 1}, search="王"),
    Query(where={"owner_id": [1, 2, None]}), Query(where={"last_consultant_id": 1}),
)  # fmt: skip


def viewers(world: World) -> dict[str, Callable[[Query], Any]]:
    """Give all who read lists, each with other rights."""
    finance = world.person("钱进", "finance")

    def listed(by: Principal) -> Callable[[Query], Any]:
        return lambda query: intake.list_customers(world.crm, query, by=by)

    return {
        "all": listed(SYSTEM), "own": listed(world.a), "department": listed(world.manager),
        "finance": listed(finance),
        "pool": lambda query: pool.public_customers(world.crm, query, by=world.b),
    }  # fmt: skip


def test_the_way_to_a_page_changes_no_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether few or many are expected, everybody reads the same, page by page."""
    # given
    for i, name in enumerate(NAMES * 2):
        owner = (None, world.a, world.b)[i % 3]
        lost = world.customer(owner, name=name, phone=f"139{i:08d}", source=("baidu", "seo")[i % 2])
        if i % 5 == 1 and owner is not None:
            pool.release_customer(world.crm, lost.id or 0, by=owner)

    def answers(few: int) -> dict[str, list[Any]]:
        monkeypatch.setattr(finding, "FEW", few)
        monkeypatch.setattr(pages, "FEW", few)
        found: dict[str, list[Any]] = {}
        for viewer, read in viewers(world).items():
            for query in QUERIES:
                if query.where.get("owner_id") == 1:
                    query = Query(where={"owner_id": world.a.employee_id}, search=query.search)
                found[f"{viewer} {query}"] = _pages(read, query)
        return found

    # when
    many, few = answers(0), answers(5000)
    # then
    assert {q for q in many if many[q] != few[q]} == set()
    assert sum(map(bool, few.values())) > len(few) / 2


def _pages(read: Callable[[Query], Any], query: Query) -> list[Any]:
    found, mark = [], None
    while True:
        page = read(Query(search=query.search, where=query.where, sort=query.sort, limit=3,
                          after=mark))  # fmt: skip
        found += list(page)
        mark = page.next
        if mark is None:
            return found


OUTBOX: dict[str, tuple[Callable[[World], Any], str, str]] = {
    "the due are taken": (
        lambda w: notices.deliver_due(w.crm, channel="inapp", by=SYSTEM),
        "SELECT id FROM notice", "ix_notice_waiting",
    ),
    "the channels with something due are found": (
        lambda w: notices.due_channels(w.crm, by=SYSTEM), "WHERE EXISTS", "ix_notice_waiting"
    ),
    "the backlog is counted": (
        lambda w: notices.backlog(w.crm, by=SYSTEM), "UNION ALL", "ix_notice_waiting"
    ),
    "the dead are counted": (
        lambda w: notices.backlog(w.crm, by=SYSTEM), "UNION ALL", "ix_notice_dead"
    ),
    "the unread are counted": (
        lambda w: inbox.count_unread(w.crm, by=w.a), "count(*)", "ix_notice_unread"
    ),
    "an inbox is read": (
        lambda w: inbox.list_messages(w.crm, by=w.a), "notice.recipient_id =", "ix_notice_inbox"
    ),
    "the unread are read": (
        lambda w: inbox.list_messages(w.crm, unread_only=True, by=w.a), "notice.read_at IS NULL",
        "ix_notice_unread",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OUTBOX)
def test_the_outbox_is_found_by_its_small_indexes(world: World, name: str) -> None:
    """However many notices were sent, none of them is looked at, and nothing is sorted."""
    act, words, index = OUTBOX[name]
    storage = world.crm.storage
    assert isinstance(storage, SqlStorage)
    seen: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if words in statement and "notice" in statement:
            given = tuple(parameters) if isinstance(parameters, list) else parameters
            seen.append((statement, given))

    for engine in (storage.reader, storage.engine):
        sa.event.listen(engine, "before_cursor_execute", note)
    act(world)
    for engine in (storage.reader, storage.engine):
        sa.event.remove(engine, "before_cursor_execute", note)
    statement, parameters = seen[0]
    found = plan(storage.engine, statement, parameters)
    assert index in found
    assert "sort" not in found.lower()


def test_old_notices_are_found_by_their_numbers(world: World) -> None:
    """In windows of so many, however many there are; no index is kept for it alone."""
    storage = world.crm.storage
    assert isinstance(storage, SqlStorage)
    seen: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if "FROM notice" in statement:
            seen.append((statement, parameters))

    world.customer(world.a)
    sa.event.listen(storage.engine, "before_cursor_execute", note)
    with world.crm.unit_of_work() as uow:
        later = world.clock() + timedelta(days=1)
        uow.notices.remove_old(later, later, after=0, limit=10)
        uow.imports.remove_files(world.clock(), 10)
    sa.event.remove(storage.engine, "before_cursor_execute", note)
    assert len(seen) == 2
    for statement, parameters in seen:
        found = plan(storage.engine, statement, parameters)
        assert "pk_notice" in found or "INTEGER PRIMARY KEY" in found


def plan(engine: sa.Engine, statement: str, parameters: Any, *, sorting: bool = False) -> str:
    """Explain a statement where sorting is the last resort, however small the tables are."""
    sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        if not sqlite:
            ways = ["seqscan", "hashjoin", "mergejoin"]
            for way in ways if sorting else [*ways, "sort", "bitmapscan"]:
                connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
        explain = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "
        parameters = tuple(parameters) if isinstance(parameters, list) else parameters
        rows = connection.exec_driver_sql(explain + statement, parameters)
        return "\n".join(str(r[-1]).replace("TEMP B-TREE FOR ORDER BY", "SORT") for r in rows)


RARE: dict[str, tuple[str, str]] = {
    "locked": ("true", "ix_ownership_locked"),
    "intention": ("within_1_month", "ix_ownership_intention"),
    "source": ("seo", "ix_customer_source"),
    "education": ("college", "ix_customer_education"),
    "school_id": ("1", "ix_customer_school_id"),
}


@pytest.mark.parametrize("name", RARE)
def test_a_filter_that_nobody_fits_is_answered_by_an_index(world: World, name: str) -> None:
    """Walking a million customers to find none would take a second; so would counting them."""
    storage = world.crm.storage
    assert isinstance(storage, SqlStorage)
    world.customer()
    wish, index = RARE[name]
    query = Query(where={name: [wish]})
    for read in (
        lambda: LISTED(world, query),
        lambda: intake.tally_customers(world.crm, query, by=SYSTEM),
    ):
        for statement, parameters in read_by(world, read):
            assert index in plan(storage.reader, statement, parameters)
