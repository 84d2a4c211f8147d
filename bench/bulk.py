"""A hundred thousand saved customers dealt at once, as an import deals them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import attrs

from crm_domain import SYSTEM, Crm
from crm_domain.model import AssignmentMethod, Customer, Event
from crm_domain.rules.wording import Words
from crm_domain.usecases._common import notices
from crm_domain.usecases._dealing import deal_out

from .checks import check_owners, check_turns
from .data import WIDE, people, person
from .databases import Database
from .dealing import deal_set, tell
from .load import World, plain, put
from .measure import Goal, Result, alternate, expect, timed
from .profiling import profiled
from .stage import Stage

GOAL = Goal(ratio=1.3, bound=2.5, bound_from=1_000_000)
BATCH = 1000
FIRST = 10_000_000


def _deal(crm: Crm, customers: list[Customer]) -> None:
    """Deal as ``imports.run_import`` does: a transaction for each thousand, one digest each."""
    dealt: Counter[int] = Counter()
    for start in range(0, len(customers), BATCH):
        with crm.unit_of_work() as uow:
            part = customers[start : start + BATCH]
            new, left, now = deal_out(crm, uow, part, AssignmentMethod.IMPORT, SYSTEM)
            expect(not left, "somebody was left over")
            uow.ownership.open(new, fresh=True)
            dealt.update(n.customer.owner_id or 0 for n in new)
            if start + BATCH >= len(customers):
                uow.notices.add([
                    notice
                    for who, n in dealt.items()
                    for notice in notices(
                        crm, Event.ASSIGNED, who,
                        Words(f"您有 {n} 位新客户", f"{n} new customers of yours"),
                        Words("请及时跟进。", "Please get in touch with them soon."),
                        about="import:0", key="assigned:import:0", now=now,
                    )
                ])  # fmt: skip


def _by_hand(world: World, database: Database, n: int) -> None:
    connection = database.raw()
    size = world.size
    [since] = connection.execute("SELECT coalesce(max(id), 0) FROM assignment").fetchone()
    connection.execute("BEGIN IMMEDIATE" if database.on_sqlite else "BEGIN")
    deal_set(connection, world, database, n, f"id > {size}", "import")
    tell(connection, database, since, "import:0")
    connection.execute("COMMIT")
    connection.close()


def bench_bulk(stage: Stage) -> Iterator[Result]:
    """Measure the dealing of many customers that are saved already."""
    world, n = stage.world, stage.sizes.bulk
    with stage.copy() as template:
        _save(template, world.size, n)
        customers = [
            Customer(id=world.size + 1 + i, name=who.name, phone=who.phone)
            for i in range(n)
            if (who := person(FIRST + i))
        ]

        def ours() -> float:
            with stage.copy(template) as database, database.crm() as crm:
                # The first transaction of a process reads the roster and compiles statements.
                with crm.unit_of_work(read_only=True) as uow:
                    uow.turns.peek()
                seconds = timed(lambda: _deal(crm, customers))
                _check(world, database, n)
                return seconds

        def raw() -> float:
            with stage.copy(template) as database:
                seconds = timed(lambda: _by_hand(world, database, n))
                _check(world, database, n)
                return seconds

        figures = alternate(stage.sizes.pairs, ours, raw)
        result = Result(
            work=f"bulk assignment of {n:,}", engine=stage.engine, unit="s", ours=figures[0],
            raw=figures[1], goal=GOAL, size=stage.sizes.customers,
            note=f"transactions of {BATCH:,} against one of {n:,}",
        )  # fmt: skip
        if result.met is False:
            with stage.copy(template) as database, database.crm() as crm:
                result = attrs.evolve(result, profile=profiled(lambda: _deal(crm, customers)))
        yield result


def _save(database: Database, size: int, n: int) -> None:
    connection = database.raw()
    connection.execute("BEGIN")
    rows = ((size + 1 + i, *row) for i, row in enumerate(people(FIRST, n)))
    put(connection, database, "customer", ("id", *WIDE), plain(database, rows))
    if not database.on_sqlite:
        connection.execute(f"SELECT setval('customer_id_seq', {size + n})")
    connection.execute("COMMIT")
    connection.execute("ANALYZE customer")
    connection.close()


def _check(world: World, database: Database, n: int) -> None:
    [(owned,)] = database.ask(
        f"SELECT count(*) FROM ownership WHERE customer_id > {world.size} AND owner_id IS NOT NULL"
    )
    expect(owned == n, f"{owned} of {n} were dealt")
    [(told,)] = database.ask("SELECT count(*) FROM notice")
    expect(told == min(len(world.consultants), n), f"{told} notices")
    check_turns(world, database)
    check_owners(database)
