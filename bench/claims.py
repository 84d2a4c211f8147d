"""Many consultants claim at once: one customer, and a thousand."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import attrs

from crm_domain.errors import ClaimRefused, DatabaseBusy
from crm_domain.usecases import access, pool

from .checks import check_owners
from .clients import Crowd, Outcome, ready_crm
from .data import SEED, TODAY
from .databases import Database
from .dealing import values
from .load import plain
from .measure import Goal, Result, alternate, expect
from .profiling import profiled
from .stage import Stage

PROCESSES, THREADS = 8, 8
CLIENTS = PROCESSES * THREADS
GOAL = Goal(ratio=0.6, higher=True)
ROUNDS = 3
"""Customers that are raced for one by one in each measured run."""


def _order(targets: Sequence[int], tries: int, client: int) -> list[int]:
    """Every client goes for some of the customers, in an order of its own."""
    return random.Random(SEED + client).sample(targets, min(tries, len(targets)))


@attrs.frozen
class Ours:
    """Clients that call ``pool.claim_customer``."""

    targets: tuple[int, ...]
    tries: int

    def clients(
        self, database: Database, numbers: Sequence[int]
    ) -> tuple[list[Callable[[], Outcome]], Callable[[], None]]:
        """See `clients.Job`."""
        crm, close = ready_crm(database, len(numbers))

        def client(number: int) -> Callable[[], Outcome]:
            order = _order(self.targets, self.tries, number)
            by = access.principal_for(crm, username=f"user{number + 1}")

            def work() -> Outcome:
                won, busy, left = [], 0, list(reversed(order))
                while left:
                    # AlreadyClaimed is a ClaimRefused, too.
                    with suppress(ClaimRefused):
                        try:
                            pool.claim_customer(crm, left[-1], by=by)
                            won.append(left[-1])
                        except DatabaseBusy:
                            busy += 1
                            continue
                    left.pop()
                return Outcome(len(order), tuple(won), busy)

            return work

        return [client(n) for n in numbers], close


@attrs.frozen
class Raw:
    """Clients that claim by one statement, or on SQLite read before they lock."""

    targets: tuple[int, ...]
    tries: int
    consultants: tuple[int, ...]

    def clients(
        self, database: Database, numbers: Sequence[int]
    ) -> tuple[list[Callable[[], Outcome]], Callable[[], None]]:
        """See `clients.Job`."""
        opened: list[Any] = []

        def client(number: int) -> Callable[[], Outcome]:
            order = _order(self.targets, self.tries, number)
            connection = database.raw()
            opened.append(connection)
            claim = _sqlite if database.on_sqlite else _postgresql
            attempt = claim(connection, database, self.consultants[number])

            def work() -> Outcome:
                return Outcome(len(order), tuple(t for t in order if attempt(t)))

            return work

        def close() -> None:
            for connection in opened:
                connection.close()

        return [client(n) for n in numbers], close


def _postgresql(connection: Any, database: Database, who: int) -> Callable[[int], bool]:
    v = values(database)
    statement = (
        f"WITH won AS (UPDATE ownership SET owner_id = {who}, last_consultant_id = {who},"
        f" assignment_id = nextval('assignment_id_seq'), received_at = {v['now']},"
        f" last_contacted_at = {v['now']}, due_on = {v['due']}, due_status = 3, due_days = 3,"
        f" warn_on = {v['warn']} WHERE customer_id = %s AND due_on <= '{TODAY}'"
        f" AND last_consultant_id IS DISTINCT FROM {who}"
        " RETURNING old.owner_id AS was, old.assignment_id AS before, old.due_status,"
        " old.due_days, customer_id, ownership.assignment_id AS number),"
        " closed AS (UPDATE assignment SET status = won.due_status, limit_days = won.due_days,"
        f" ended_at = {v['now']} FROM won WHERE id = won.before AND won.was IS NOT NULL"
        # Joined below only so that the old one is closed before the new one opens.
        " RETURNING id),"
        " made AS (INSERT INTO assignment (id, customer_id, consultant_id, started_at, status,"
        f" method, explanation) SELECT number, customer_id, {who}, {v['now']}, 1, 'claim', '抢单'"
        " FROM won LEFT JOIN closed ON closed.id = won.before)"
        " INSERT INTO notice (recipient_id, subject, body, event, about, channel, status,"
        " attempts, next_attempt_at, fence, idempotency_key, created_at)"
        f" SELECT {who}, '抢单成功', '您已抢到客户。', 'claimed', 'customer:' || customer_id,"
        f" 'console', 'pending', 0, {v['now']}, 0, 'claimed:' || number || '|console|{who}',"
        f" {v['now']} FROM won"
    )
    return lambda target: connection.execute(statement, (target,)).rowcount == 1


def _sqlite(connection: Any, database: Database, who: int) -> Callable[[int], bool]:
    v, run = values(database), connection.execute
    free = f"customer_id = ? AND due_on <= '{TODAY}' AND last_consultant_id IS NOT {who}"

    def attempt(target: int) -> bool:
        if run(f"SELECT 1 FROM ownership WHERE {free}", (target,)).fetchone() is None:
            return False
        run("BEGIN IMMEDIATE")
        found = run(
            f"SELECT owner_id, assignment_id, due_status, due_days FROM ownership WHERE {free}",
            (target,),
        ).fetchone()
        if found is None:
            run("ROLLBACK")
            return False
        owner, before, status, days = found
        if owner is not None:
            run(f"UPDATE assignment SET status = ?, limit_days = ?, ended_at = {v['now']}"
                " WHERE id = ?", (status, days, before))  # fmt: skip
        [number] = run(
            "INSERT INTO assignment (customer_id, consultant_id, started_at, status, method,"
            f" explanation) VALUES (?, {who}, {v['now']}, 1, 'claim', '抢单') RETURNING id",
            (target,),
        ).fetchone()
        run(f"UPDATE ownership SET owner_id = {who}, last_consultant_id = {who}, assignment_id = ?,"
            f" received_at = {v['now']}, last_contacted_at = {v['now']}, due_on = {v['due']},"
            f" due_status = 3, due_days = 3, warn_on = {v['warn']} WHERE customer_id = ?",
            (number, target))  # fmt: skip
        run("INSERT INTO notice (recipient_id, subject, body, event, about, channel, status,"
            " attempts, next_attempt_at, fence, idempotency_key, created_at) VALUES"
            f" ({who}, '抢单成功', '您已抢到客户。', 'claimed', 'customer:' || ?, 'console',"
            f" 'pending', 0, {v['now']}, 0, 'claimed:' || ? || '|console|{who}', {v['now']})",
            (target, number))  # fmt: skip
        run("COMMIT")
        return True

    return attempt


def bench_claims(stage: Stage) -> Iterator[Result]:
    """Measure 64 clients on one customer, and on many."""
    world, sizes = stage.world, stage.sizes
    racers = world.consultants[:CLIENTS]
    with stage.copy() as database, Crowd(database, PROCESSES, THREADS) as crowd:
        each = 2 * (sizes.pairs + 1)
        free = _free(database, racers, each * (ROUNDS + sizes.targets))
        expect(len(free) == each * (ROUNDS + sizes.targets), "too few public customers")
        left = iter(free)

        def take(n: int) -> tuple[int, ...]:
            return tuple(next(left) for _ in range(n))

        busy = 0

        def race(job: Ours | Raw) -> tuple[float, int]:
            nonlocal busy
            seconds, outcomes = crowd.run(job)
            busy += sum(o.busy for o in outcomes)
            _check(database, job, outcomes)
            return seconds, sum(o.done for o in outcomes)

        def job_of(ours: bool, n: int) -> Ours | Raw:
            tries = sizes.tries
            return Ours(take(n), tries) if ours else Raw(take(n), tries, racers)

        def single(ours: bool) -> float:
            found = [race(job_of(ours, 1))[0] for _ in range(ROUNDS)]
            return sorted(found)[ROUNDS // 2] * 1000

        def mass(ours: bool) -> float:
            seconds, attempts = race(job_of(ours, sizes.targets))
            return attempts / seconds

        race(job_of(True, 1))
        race(job_of(False, 1))
        figures = alternate(sizes.pairs, lambda: single(True), lambda: single(False))
        yield Result(
            work=f"claim, {CLIENTS} clients on 1 customer", engine=stage.engine, unit="ms",
            ours=figures[0], raw=figures[1], size=sizes.customers,
            note=f"1 winner in each of {2 * ROUNDS * sizes.pairs + 2} races",
        )  # fmt: skip
        figures = alternate(sizes.pairs, lambda: mass(True), lambda: mass(False))
        check_owners(database)
        result = Result(
            work=f"claim, {CLIENTS} clients, {sizes.targets:,} customers", engine=stage.engine,
            unit="attempts/s", ours=figures[0], raw=figures[1], goal=GOAL, size=sizes.customers,
            note=f"{sizes.tries} tries each; one winner for every customer tried"
            + (f"; told to try again: {busy}" if busy else ""),
        )  # fmt: skip
        if result.met is False:
            result = attrs.evolve(
                result, profile=_profile(database, take(sizes.targets // 10)[:20])
            )
        yield result


def _free(database: Database, racers: Sequence[int], n: int) -> list[int]:
    """Choose public customers that none of the racers had last; some have an overdue owner."""
    [(today,)] = plain(database, [(TODAY,)])
    among = ", ".join(map(str, racers))
    rows = database.ask(
        f"SELECT customer_id FROM ownership WHERE due_on <= '{today}' AND"
        f" (last_consultant_id IS NULL OR last_consultant_id NOT IN ({among}))"
        f" ORDER BY customer_id LIMIT {n}"
    )
    return [number for (number,) in rows]


def _check(database: Database, job: Ours | Raw, outcomes: Sequence[Outcome]) -> None:
    targets = {t for client in range(CLIENTS) for t in _order(job.targets, job.tries, client)}
    wins = Counter(t for o in outcomes for t in o.won)
    expect(set(wins) == targets, f"{len(wins)} of {len(targets)} customers were won")
    expect(set(wins.values()) == {1}, f"{[t for t, n in wins.items() if n > 1]} were won twice")
    among = ", ".join(map(str, targets))
    [(open_now, claimed)] = database.ask(
        "SELECT count(*), count(DISTINCT customer_id) FROM assignment"
        f" WHERE status = 1 AND method = 'claim' AND customer_id IN ({among})"
    )
    expect(open_now == claimed == len(targets), f"{open_now} open claims of {len(targets)}")


def _profile(database: Database, targets: Sequence[int]) -> str:
    with database.crm() as crm:
        people = [access.principal_for(crm, username=f"user{i + 1}") for i in range(CLIENTS)]

        def work() -> None:
            for target in targets:
                for by in people:
                    with suppress(ClaimRefused):
                        pool.claim_customer(crm, target, by=by)

        return profiled(work)
