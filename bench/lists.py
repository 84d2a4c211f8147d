"""Pages and searches over all customers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any, cast

import attrs
import sqlalchemy as sa

from crm_adapters.storage.search import pinyin_key, wanted
from crm_domain import SYSTEM, Crm, Query
from crm_domain.usecases import intake, pool

from .data import RARE, TODAY, phone
from .databases import Database
from .measure import Goal, Result, alternate, expect, timed
from .profiling import profiled
from .stage import Stage

PAGE = Goal(bound=3.5, bound_from=50_000)
SEARCH = Goal(bound=9.0, bound_from=50_000)
LIMIT = 50
PROBE = 1000
COLUMNS = (
    "c.id, c.name, c.phone, c.qq, c.wechat, c.gender, c.education, c.experience, c.source,"
    " c.consulted_on, c.created_at, c.version, o.owner_id, o.assignment_id, o.last_consultant_id,"
    " o.received_at, o.last_contacted_at, o.next_contact_at, o.intention, o.status, o.locked,"
    " o.due_on, o.due_status, o.due_days, o.warn_on"
)
FROM = "FROM customer c JOIN ownership o ON o.customer_id = c.id WHERE c.archived_at IS NULL"
NEWEST = f"ORDER BY c.id DESC LIMIT {LIMIT + 1}"
Call = Callable[[], list[int]]


@attrs.frozen
class Case:
    """One list, ours and by hand; both give the numbers of the rows."""

    work: str
    ours: Call
    raw: Call
    goal: Goal
    found: int | None = None
    """How many rows there must be, where that is known."""


def bench_lists(stage: Stage) -> Iterator[Result]:
    """Measure first and deep pages, and searches for much, little and nothing."""
    database, sizes = stage.world.database, stage.sizes
    connection = database.raw()
    try:
        with database.crm() as crm:
            for case in _cases(crm, connection, database, stage.world.size):
                yield _measure(case, crm, stage, sizes.calls)
    finally:
        connection.close()


def _measure(case: Case, crm: Crm, stage: Stage, calls: int) -> Result:
    ours, raw = case.ours(), case.raw()
    expect(ours == raw, f"{case.work}: {len(ours)} and {len(raw)} rows differ")
    if case.found is not None:
        expect(len(ours) == case.found, f"{case.work}: {len(ours)} rows, not {case.found}")
    plans = explained(crm, case.ours)
    big = stage.sizes.customers >= PAGE.bound_from

    def block(call: Call) -> float:
        """So many calls, or as many as two seconds are enough for."""
        found: list[float] = []
        while len(found) < calls and sum(found) < 2000:
            found.append(timed(call) * 1000)
        return median(found)

    figures = alternate(stage.sizes.pairs, lambda: block(case.ours), lambda: block(case.raw))
    result = Result(
        work=case.work, engine=stage.engine, unit="ms", ours=figures[0], raw=figures[1],
        goal=case.goal, size=stage.sizes.customers, note=f"{len(ours)} rows; {_index(plans)}",
        fault=fault_of(case, plans) if big else "",
    )  # fmt: skip
    if result.met is False:
        text = profiled(lambda: [case.ours() for _ in range(20)])
        result = attrs.evolve(result, profile=text + "\n" + "\n".join(plans))
    return result


def _cases(crm: Crm, connection: Any, database: Database, size: int) -> Iterator[Case]:
    def pooled(query: Query) -> list[int]:
        return [c.id for c in pool.public_customers(crm, query, by=SYSTEM)]

    def listed(query: Query) -> list[int]:
        return [c.id for c in intake.list_customers(crm, query, by=SYSTEM)]

    def run(statement: str) -> list[int]:
        if database.on_sqlite:
            # Left to itself the planner begins with the ownership and sorts.
            statement = statement.replace(" JOIN ", " CROSS JOIN ", 1)
        return [row[0] for row in connection.execute(statement).fetchall()][:LIMIT]

    def both(work: str, ours: Callable[[Query], list[int]], query: Query, statement: str,
             goal: Goal = PAGE) -> Case:  # fmt: skip
        return Case(work, lambda: ours(query), lambda: run(statement), goal)

    deep = size // 100
    public = f"AND o.due_on <= '{TODAY}'"
    # The mark of a page is what the page before gave; one row asked for gives it at any depth.
    mark = intake.list_customers(crm, Query(ranges={"id": (None, deep)}, limit=1), by=SYSTEM).next
    yield both("customers, first page", listed, Query(), f"SELECT {COLUMNS} {FROM} {NEWEST}")
    # Both sides of the join are bounded: the planner does not conclude one from the other.
    beyond = f"c.id < {deep} AND o.customer_id < {deep}"
    yield both("customers, deep page", listed, Query(after=mark),
               f"SELECT {COLUMNS} {FROM} AND {beyond} {NEWEST}")  # fmt: skip
    below = Query(ranges={"id": (None, deep)}, limit=1)
    place = pool.public_customers(crm, below, by=SYSTEM)
    beyond = f"c.id < {place[0].id} AND o.customer_id < {place[0].id}"
    yield both("pool, first page", pooled, Query(), f"SELECT {COLUMNS} {FROM} {public} {NEWEST}")
    yield both("pool, deep page", pooled, Query(after=place.next),
               f"SELECT {COLUMNS} {FROM} {public} AND {beyond} {NEWEST}")  # fmt: skip
    last = intake.list_customers(crm, Query(search="郑", sort="name", limit=1), by=SYSTEM)
    beyond = f"(c.pinyin, c.id) > ('{pinyin_key(last[0].name)}', {last[0].id})"
    yield both("customers by name, deep page", listed, Query(sort="name", after=last.next),
               f"SELECT {COLUMNS} {FROM} AND {beyond} ORDER BY c.pinyin, c.id"
               f" LIMIT {LIMIT + 1}")  # fmt: skip
    for title, term in (
        ("common surname 王", "王"), ("two characters 子涵", "子涵"), (f"rare name {RARE}", RARE),
        ("nobody 龘靐", "龘靐"), ("pinyin wangwei", "wangwei"), ("initials zzh", "zzh"),
        ("4 digits of a phone", "1388"), ("whole phone", phone(4321)),
    ):  # fmt: skip
        yield Case(
            f"search, {title}",
            lambda term=term: listed(Query(search=term)),
            lambda term=term: [row[0] for row in searched(connection, database, term)][:LIMIT],
            SEARCH,
            {RARE: len(range(77, size, 200_000)), "龘靐": 0}.get(term),
        )


def searched(
    connection: Any, database: Database, term: str, columns: str = COLUMNS, source: str = FROM
) -> list[Any]:
    """Search in two steps: few hits are fetched by number, many are met by walking backwards."""
    words = [word.readings(whole=False) for word in wanted(term)]
    if database.on_sqlite:
        wish = " AND ".join(
            "(" + " OR ".join("(" + " AND ".join(f'"{g}"' for g in r) + ")" for r in word) + ")"
            for word in words
        )
        hits = "SELECT rowid FROM customer_search WHERE customer_search MATCH ?"
        many = f"c.id IN ({hits})"
        wishes: tuple[Any, ...] = (wish,)
    else:
        test = "string_to_array({}search, ' ') @> %s::text[]"
        told = " AND ".join("(" + " OR ".join(test for _ in word) + ")" for word in words)
        hits = "SELECT id FROM customer WHERE " + told.format(*[""] * told.count("{}"))
        many = told.format(*["c."] * told.count("{}"))
        wishes = tuple(reading for word in words for reading in word)
    ids = [n for (n,) in connection.execute(f"{hits} LIMIT {PROBE + 1}", wishes).fetchall()]
    if not ids:
        return []
    if len(ids) > PROBE:
        found = connection.execute(f"SELECT {columns} {source} AND {many} {NEWEST}", wishes)
    else:
        listed = ", ".join(map(str, sorted(ids)[-LIMIT - 1 :]))
        found = connection.execute(f"SELECT {columns} {source} AND c.id IN ({listed}) {NEWEST}")
    return list(found.fetchall())


# -- plans -------------------------------------------------------------------------------------


def explained(crm: Crm, call: Call) -> list[str]:
    """Run something of ours and give the plan of each of its statements."""
    engine: sa.Engine = cast(Any, crm.storage).reader
    seen: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.startswith(("SELECT", "WITH")):
            seen.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        call()
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    plans = []
    with engine.connect() as connection:
        for statement, parameters in seen:
            if "FROM customer_courses" in statement:
                continue  # Reads and sorts the links of one page.
            rows = connection.exec_driver_sql(explain + statement, parameters).fetchall()
            plans.append("\n".join(str(row[-1]) for row in rows))
    return plans


def fault_of(case: Case, plans: list[str]) -> str:
    """Tell which plan reads or sorts all customers, if one does."""
    searching = "search" in case.work
    tables = r"(customer|ownership|assignment)\b"
    whole = [rf"Seq Scan on {tables}", rf"SCAN {tables}(?! USING)"]
    if not searching:
        # Walking from the newest on is no scan for whoever stops after a page; sorting is one.
        whole = [whole[0], r"Sort Key: \w*\.?(id|pinyin)\b", "TEMP B-TREE FOR ORDER BY"]
    for plan in plans:
        if found := re.search("|".join(whole), plan):
            return f"goes through all customers ({found[0]})"
    # Where many fit, PostgreSQL walks from the newest on until a page is full.
    walk = "|Backward using pk_customer" if case.found is None else ""
    index = r"ix_customer_search|customer_search VIRTUAL TABLE INDEX" + walk
    if searching and not any(re.search(index, p) for p in plans):
        return "does not use the search index"
    return ""


def _index(plans: list[str]) -> str:
    """Name the indexes of the plans."""
    text = "\n".join(plans)
    names = re.findall(
        r"(?:Scan(?: Backward)?(?: using| on)|USING (?:COVERING )?INDEX) ((?:ix|uq|pk)_\w+)", text
    )
    names += re.findall(r"USING (INTEGER PRIMARY KEY)|SCAN (customer_search) VIRTUAL", text)
    flat = [n for name in names for n in ([name] if isinstance(name, str) else name) if n]
    return ", ".join(dict.fromkeys(flat)) or "by row number"
