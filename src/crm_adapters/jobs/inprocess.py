"""Everything in one process: workers, schedule and delivery, beside whatever else it does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs

from crm_adapters.jobs import OutboxOnly
from crm_adapters.jobs.actors import SECONDS
from crm_adapters.jobs.broker import make_broker
from crm_adapters.jobs.crew import DRAIN, Crew
from crm_adapters.jobs.queue import DramatiqQueue
from crm_adapters.jobs.watch import Watch
from crm_adapters.metrics import Metrics
from crm_domain.ports import Crm, JobQueue
from crm_domain.rules.access import SYSTEM
from crm_domain.usecases import schedule

AGAIN = 60.0
"""Seconds after which a job that is still due is handed over once more."""


class Ticker:
    """Hands the jobs that are due to the workers of this process."""

    def __init__(self, crm: Crm, queue: JobQueue) -> None:
        self._crm, self._queue = crm, queue
        self._sent: dict[str, float] = {}

    def look(self) -> None:
        """Hand over what is due."""
        now = time.monotonic()
        due = schedule.due_jobs(self._crm, by=SYSTEM)
        self._sent = {name: at for name, at in self._sent.items() if name in due}
        for name in due:
            if now - self._sent.get(name, -AGAIN) >= AGAIN:
                self._sent[name] = now
                self._queue.wake(name)


@contextmanager
def embedded(
    crm: Crm, *, threads: int = 4, seconds: float = 2.0, metrics: Metrics | None = None,
    bite: Callable[[], object] | None = None,
) -> Iterator[Crm]:  # fmt: skip
    """Run workers and schedule in this process while the block lasts.

    Args:
        crm: An open CRM; it stays open. If it wakes workers elsewhere, it goes on doing so.
        threads: How many jobs of the schedule run at a time, beside a thread for each channel, one
            for imports and one that dates customers anew.
        seconds: Between two looks for what is due.
        metrics: Where runs are counted; None counts them nowhere else.
        bite: Called when several calls do not return long after their time is over, as to end the
            process; None says so in the log. Another thread takes the place of each that waits.

    Yields:
        The CRM to use meanwhile: what it writes wakes the workers here.

    Raises:
        ExtraMissing: Without the extra ``jobs``.
    """
    broker = make_broker(None)
    queue = DramatiqQueue(broker, SECONDS)
    if isinstance(crm.jobs, OutboxOnly):
        crm = attrs.evolve(crm, jobs=queue)
    crew = Crew(crm, broker, threads=threads, seconds=seconds, metrics=metrics, bite=bite)
    ticker = Watch(Ticker(crm, queue).look, seconds, "crm-schedule")
    try:
        yield crm
    finally:
        until = time.monotonic() + DRAIN
        ticker.end()
        crew.close()
        ticker.join(until)
        queue.close()
