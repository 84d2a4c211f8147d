"""Many clients at once: threads in processes, started together and answering together."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Protocol, Self

import attrs

from crm_domain import Crm
from crm_domain.errors import DatabaseBusy

from .databases import Database


@attrs.frozen
class Outcome:
    """What one client did."""

    done: int
    won: tuple[int, ...] = ()
    busy: int = 0
    """Times that it was told to try again, because the database was locked for too long."""
    errors: tuple[str, ...] = ()
    end: float = 0.0


def told_busy(error: Exception) -> bool:
    """Whether a database asks for another try, in our words or in SQLite's."""
    return isinstance(error, DatabaseBusy) or "database is locked" in str(error)


class Job(Protocol):
    """Work for a client; is sent to its process."""

    def clients(
        self, database: Database, numbers: Sequence[int]
    ) -> tuple[list[Callable[[], Outcome]], Callable[[], None]]:
        """Open what the clients of one process need; give their work, and what closes it."""
        ...


@cache
def _crm(database: Database) -> Crm:
    return database.crm()


def ready_crm(database: Database, clients: int) -> tuple[Crm, Callable[[], None]]:
    """Give this process's CRM with a connection for each client, and what closes them."""
    crm = _crm(database)
    with ExitStack() as opened:
        for _ in range(clients):
            opened.enter_context(crm.unit_of_work(read_only=True)).turns.peek()
    return crm, crm.storage.close


def _serve(pipe: Connection, database: Database, numbers: Sequence[int]) -> None:
    while (job := pipe.recv()) is not None:
        try:
            work, close = job.clients(database, numbers)
        except Exception as e:
            pipe.send(repr(e))
            continue
        pipe.send("ready")
        start = pipe.recv()
        outcomes: list[Outcome | None] = [None] * len(work)

        def one(i: int, act: Callable[[], Outcome], start: float = start,
                outcomes: list[Outcome | None] = outcomes) -> None:  # fmt: skip
            time.sleep(max(0.0, start - time.monotonic()))
            try:
                found = act()
            except Exception as e:
                found = Outcome(0, errors=(f"{e!r} {e.__cause__ or ''}",))
            outcomes[i] = attrs.evolve(found, end=time.monotonic())

        threads = [threading.Thread(target=one, args=a) for a in enumerate(work)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        close()
        pipe.send(outcomes)


class Crowd:
    """Clients that wait for work; a context manager."""

    def __init__(self, database: Database, processes: int, threads: int) -> None:
        self.size = processes * threads
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["bench.intake", "bench.claims"])
        self._pipes: list[Connection] = []
        self._processes: list[Any] = []
        for i in range(processes):
            ours, theirs = context.Pipe()
            numbers = range(i * threads, (i + 1) * threads)
            process = context.Process(target=_serve, args=(theirs, database, numbers), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for pipe in self._pipes:
            pipe.send(None)
        for process in self._processes:
            process.join(10)

    def run(self, job: Job) -> tuple[float, list[Outcome]]:
        """Let all clients work at once; give the seconds until the last one was done.

        Raises:
            RuntimeError: A client could not begin, or failed.
        """
        for pipe in self._pipes:
            pipe.send(job)
        answers = {pipe.recv() for pipe in self._pipes}
        if answers != {"ready"}:
            raise RuntimeError(f"clients could not begin: {answers}")
        start = time.monotonic() + 0.05
        for pipe in self._pipes:
            pipe.send(start)
        outcomes: list[Outcome] = [o for pipe in self._pipes for o in pipe.recv()]
        if failed := [e for o in outcomes for e in o.errors]:
            raise RuntimeError(f"{len(failed)} clients failed: {failed[0]}")
        return max(o.end for o in outcomes) - start, outcomes
