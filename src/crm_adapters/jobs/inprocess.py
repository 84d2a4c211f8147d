"""Everything in one process: workers, schedule and delivery, beside whatever else it does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from crm_adapters.jobs import OutboxOnly
from crm_adapters.jobs.actors import DATE, DELIVER, IMPORT, SECONDS, declare_actors, works
from crm_adapters.jobs.broker import make_broker, start_worker
from crm_adapters.jobs.queue import DramatiqQueue
from crm_adapters.jobs.watch import Watch
from crm_adapters.metrics import Metrics
from crm_domain.ports import Crm, JobQueue
from crm_domain.rules.access import SYSTEM
from crm_domain.usecases import imports, pool_rules, schedule

DRAIN = 15.0
"""Seconds that work in progress has to end."""
AGAIN = 60.0
"""Seconds after which a job that is still due is handed over once more."""


class Ticker:
    """Hands the jobs that are due to the workers of this process."""

    def __init__(self, crm: Crm, queue: JobQueue) -> None:
        self._crm, self._queue = crm, queue
        self._sent: dict[str, float] = {}

    def look(self) -> None:
        """Hand over what is due, and see to what nobody was woken for: notices, imports, dates."""
        now = time.monotonic()
        self._queue.wake(DELIVER)
        if pool_rules.is_dating(self._crm, by=SYSTEM):
            self._queue.wake(DATE)
        for number in imports.started_imports(self._crm, by=SYSTEM):
            self._queue.wake(IMPORT, import_id=number)
        due = schedule.due_jobs(self._crm, by=SYSTEM)
        self._sent = {name: at for name, at in self._sent.items() if name in due}
        for name in due:
            if now - self._sent.get(name, -AGAIN) >= AGAIN:
                self._sent[name] = now
                self._queue.wake(name)


@contextmanager
def embedded(
    crm: Crm, *, threads: int = 4, seconds: float = 2.0, metrics: Metrics | None = None
) -> Iterator[Crm]:
    """Run workers and schedule in this process while the block lasts.

    Args:
        crm: An open CRM; it stays open. If it wakes workers elsewhere, it goes on doing so.
        threads: How many jobs run at a time.
        seconds: Between two looks for what is due.
        metrics: Where runs are counted; None counts them nowhere else.

    Yields:
        The CRM to use meanwhile: what it writes wakes the workers here.

    Raises:
        ExtraMissing: Without the extra ``jobs``.
    """
    broker = make_broker(None)
    queue = DramatiqQueue(broker, SECONDS)
    if isinstance(crm.jobs, OutboxOnly):
        crm = attrs.evolve(crm, jobs=queue)
    ending = threading.Event()
    declare_actors(broker, works(crm, metrics or Metrics(), ending.is_set))
    worker = start_worker(broker, threads)
    watch = Watch(Ticker(crm, queue).look, seconds)
    try:
        yield crm
    finally:
        ending.set()
        watch.stop()
        worker.stop(timeout=int(DRAIN * 1000))
        queue.close()
