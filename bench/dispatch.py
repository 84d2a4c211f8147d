"""Telling people: notices written down, and brought to a channel that does nothing.

Beside it, on the same Redis and in the same run, what others would do: one message for each
notice, with Dramatiq and with Celery. Their messages stand in Redis alone and their tasks touch no
database, while ours writes each notice and what became of it; so the ratios are in their favour.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path

import attrs

from crm_adapters.jobs.actors import DELIVER
from crm_adapters.jobs.broker import close_broker, make_broker
from crm_adapters.jobs.crew import Crew
from crm_adapters.jobs.queue import DramatiqQueue
from crm_domain import SYSTEM, Crm, Settings
from crm_domain.model import Department, Employee, Event, Notice
from crm_domain.rules.wording import Words
from crm_domain.usecases import notices as delivery
from crm_domain.usecases import records
from crm_domain.usecases._common import notices

from .databases import Database
from .measure import Goal, Result, expect, say, timed
from .profiling import profiled
from .stage import Stage
from .valkey import Valkey

CONSULTANTS = 200
ASSIGNMENTS = 100_000
BULK = Goal(bound=0.5)
DISPATCH = Goal(bound=20_000, higher=True)
PART = Goal(ratio=0.1)
PEER = Goal(ratio=10, higher=True)
THREADS = 8
"""Of the others' workers."""
LOOK = 2.0


class Nowhere:
    """A channel that does nothing."""

    name = "nowhere"

    def address(self, employee: Employee) -> str:
        """Everybody can be reached."""
        return "here"

    def send(self, notice: Notice, employee: Employee) -> str | None:
        """Do nothing."""
        return None

    def close(self) -> None:
        """Hold nothing."""


def bench_dispatch(stage: Stage) -> Iterator[Result]:
    """Measure writing and delivering notices."""
    n, pairs = stage.sizes.notices, stage.sizes.pairs
    database = stage.servers.fresh(stage.engine)
    with Valkey() as redis, closing(_crm(database, redis)) as crm:
        people = _people(crm)
        queue = crm.jobs
        assert isinstance(queue, DramatiqQueue)
        single: list[float] = []
        digests, sent = [], []
        peers: dict[str, list[tuple[float, float]]] = {}
        for number in range(pairs):
            digests.append(timed(lambda k=number: _digests(crm, people, k)))
            _settled(crm, database, queue)
            single.append(n / timed(lambda k=number: _each(crm, people, n, k)))
            sent.append(n / timed(lambda: _settled(crm, database, queue)))
            for name in ("dramatiq", "celery"):
                if find_spec(name) is None:
                    say(f"  {name} is not installed: make bench installs it")
                    continue
                peers.setdefault(name, []).append(_peer(name, redis, stage.sizes.messages))
        profile = profiled(lambda: _alone(crm, people, n))
        _checked(database, n * (pairs + 1) + CONSULTANTS * pairs)
    stage.servers.drop(database)
    yield Result(
        work="notices of 100,000 assignments written", engine=stage.engine, unit="s", ours=digests,
        goal=BULK, note=f"one digest for each of {CONSULTANTS} consultants, and one wake",
    )  # fmt: skip
    enqueued = {name: [pair[0] for pair in rates] for name, rates in peers.items()}
    worked = {name: [pair[1] for pair in rates] for name, rates in peers.items()}
    for name, rates in enqueued.items():
        yield Result(
            work=f"notices of 100,000 assignments written, beside {name}", engine=stage.engine,
            unit="s", ours=digests, raw=[ASSIGNMENTS / rate for rate in rates], goal=PART,
            note=f"raw is a message for each, reckoned from {stage.sizes.messages:,} with {name}",
        )  # fmt: skip
    yield from _beside("notices written one by one", stage, single, enqueued, PEER, profile, Goal())
    yield from _beside("notices dispatched", stage, sent, worked, PEER, profile, DISPATCH)


def _beside(
    work: str, stage: Stage, ours: Sequence[float], peers: dict[str, list[float]], goal: Goal,
    profile: str, alone: Goal,
) -> Iterator[Result]:  # fmt: skip
    n = stage.sizes.notices
    yield Result(work=work, engine=stage.engine, unit="notices/s", ours=ours, goal=alone,
                 note=f"{n:,}, one process", profile=profile)  # fmt: skip
    for name, figures in peers.items():
        yield Result(
            work=f"{work}, beside {name}", engine=stage.engine, unit="notices/s", ours=ours,
            raw=figures, goal=goal, profile=profile,
            note=f"raw is {name}, {stage.sizes.messages:,} messages, {THREADS} threads, no"
            " database",
        )  # fmt: skip


# -- ours -------------------------------------------------------------------------------------


def _crm(database: Database, redis: Valkey) -> Crm:
    crm = database.crm(settings=Settings(redis_url=redis.url))
    settings = attrs.evolve(crm.settings, channels="nowhere")
    return attrs.evolve(crm, settings=settings, notifiers={"nowhere": Nowhere()})


def _people(crm: Crm) -> list[int]:
    department = records.save_record(crm, Department(code=1, title="销售部"), by=SYSTEM)
    return [
        records.save_record(
            crm, Employee(name=f"顾问{i}", department_id=department.id), by=SYSTEM
        ).id
        or 0
        for i in range(CONSULTANTS)
    ]


def _made(crm: Crm, to: int, key: str) -> list[Notice]:
    subject = Words("您有一位新客户", "A new customer of yours")
    body = Words("王芳（轮转第1轮第1位）", "Wang Fang (round 1, place 1)")
    return notices(crm, Event.ASSIGNED, to, subject, body, about=f"bench:{key}",
                   key=f"bench:{key}", now=crm.now())  # fmt: skip


def _digests(crm: Crm, people: Sequence[int], round_: int) -> None:
    """Write what an import of a hundred thousand writes, and wake the workers."""
    with crm.unit_of_work() as uow:
        uow.notices.add([
            one
            for who in people
            for one in _made(crm, who, f"digest:{round_}:{who}")
        ])  # fmt: skip
    crm.jobs.wake(DELIVER)


def _each(crm: Crm, people: Sequence[int], n: int, round_: object) -> None:
    """Write one notice for each of n assignments, a thousand in a transaction."""
    for first in range(0, n, 1000):
        with crm.unit_of_work() as uow:
            uow.notices.add([
                one
                for i in range(first, min(first + 1000, n))
                for one in _made(crm, people[i % len(people)], f"{round_}:{i}")
            ])  # fmt: skip


def _settled(crm: Crm, database: Database, queue: DramatiqQueue) -> None:
    """Wake a worker over Redis and wait until it has delivered everything."""
    broker = make_broker(crm.settings.redis_url)
    # One thread is at a channel, however many there are for the schedule.
    crew = Crew(crm, broker, threads=1, seconds=LOOK)
    try:
        queue.wake(DELIVER)
        while _waiting(database):
            time.sleep(0.1)  # Asking often would take from the worker what is measured.
    finally:
        crew.close()
        close_broker(broker)


def _waiting(database: Database) -> bool:
    return bool(database.ask("SELECT 1 FROM notice WHERE status IN ('pending', 'failed') LIMIT 1"))


def _alone(crm: Crm, people: Sequence[int], n: int) -> None:
    _each(crm, people, n, "profile")
    delivery.deliver_due(crm, by=SYSTEM)


def _checked(database: Database, n: int) -> None:
    [(sent,)] = database.ask("SELECT count(*) FROM notice WHERE status = 'sent'")
    expect(sent == n, f"{sent} of {n} notices were sent")


# -- the others -------------------------------------------------------------------------------


@contextmanager
def _process(command: Sequence[str], redis: Valkey, n: int) -> Iterator[None]:
    environ = os.environ | {"BENCH_REDIS": redis.url, "BENCH_MESSAGES": str(n)}
    process = subprocess.Popen(command, env=environ, cwd=Path(__file__).parents[1],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


COMMANDS: dict[str, Callable[[], list[str]]] = {
    "dramatiq": lambda: [sys.executable, "-m", "dramatiq", "bench.peer_dramatiq", "--processes",
                         "1", "--threads", str(THREADS)],
    "celery": lambda: [sys.executable, "-m", "celery", "-A", "bench.peer_celery", "worker",
                       "--pool", "threads", "--concurrency", str(THREADS), "--without-gossip",
                       "--without-mingle", "--loglevel", "ERROR"],
}  # fmt: skip


def _peer(name: str, redis: Valkey, n: int) -> tuple[float, float]:
    """Enqueue n messages, then start a worker; the rates of both, start-up left out."""
    redis.client().flushall()
    done = subprocess.run(
        [sys.executable, "-m", f"bench.peer_{name}"], check=True, capture_output=True, text=True,
        cwd=Path(__file__).parents[1],
        env=os.environ | {"BENCH_REDIS": redis.url, "BENCH_MESSAGES": str(n)},
    )  # fmt: skip
    enqueued = n / float(done.stdout.split()[-1])
    with _process(COMMANDS[name](), redis, n):
        until = time.monotonic() + 300
        while redis.client().get("bench:last") is None:
            expect(time.monotonic() < until, f"{name} did not finish")
            time.sleep(0.05)
    first, last = (float(redis.client().get(f"bench:{k}")) for k in ("first", "last"))
    redis.client().flushall()
    return enqueued, n / (last - first)
