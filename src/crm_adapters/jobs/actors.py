"""What workers do when they are woken: one use case each, with nothing but numbers for arguments.

All of it may be done twice or too often: the database decides what is left to do.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from crm_adapters.jobs.broker import QUEUE
from crm_adapters.logs import job_named
from crm_domain.ports import Crm
from crm_domain.rules.access import SYSTEM
from crm_domain.usecases import imports, notices, pool_rules, schedule

if TYPE_CHECKING:
    from dramatiq import Broker

    from crm_adapters.metrics import Metrics

log = logging.getLogger(__name__)
Work = Callable[..., bool]
"""Does something and tells whether there was anything to do."""

DELIVER = "deliver_due"
DATE = "date_customers"
IMPORT, IMPORTS = "run_import", "run_imports"
SECONDS: Mapping[str, int] = {
    DELIVER: 600,
    DATE: 3600,
    IMPORT: 3600,
    IMPORTS: 3600,
    **{job.name: job.seconds for job in schedule.JOBS.values()},
}
"""The jobs that can be woken, with the seconds after which each is stopped."""
MARGIN = 0.9
"""A job is stopped before its lease ends and another process takes it over."""


def never() -> bool:
    """Say that nobody is to stop."""
    return False


def works(
    crm: Crm, metrics: Metrics, stopping: Callable[[], bool] = never
) -> Mapping[str, Work]:  # fmt: skip
    """Give what is done for each job, logged and counted.

    Args:
        crm: An open CRM.
        metrics: Where runs are counted.
        stopping: Whether the process is to end; an import stops after the batch under way then,
            and another worker goes on.
    """

    def deliver_due() -> bool:
        done = notices.deliver_due(crm, seconds=schedule.DELIVERING, by=SYSTEM)
        metrics.delivered(attrs.asdict(done))
        return any(attrs.astuple(done))

    dating, importing = threading.Lock(), threading.Lock()

    def date_customers() -> bool:
        return _alone(dating, lambda: pool_rules.date_customers(crm, by=SYSTEM) is not None)

    def run_import(import_id: int) -> bool:
        return _alone(importing, lambda: imports.run_started(
            crm, import_id, stopping=stopping, by=SYSTEM) is not None)  # fmt: skip

    def run_imports() -> bool:
        return _alone(importing, lambda: bool(
            imports.run_started_imports(crm, stopping=stopping, by=SYSTEM)))  # fmt: skip

    def run_due(name: str) -> bool:
        run = schedule.run_due(crm, name, by=SYSTEM)
        if run is not None and run.taken_over:
            metrics.taken_over(name)
        if run is not None and run.error:
            raise JobFailed(run.error)
        return run is not None

    plain: dict[str, Work] = {
        DELIVER: deliver_due, DATE: date_customers, IMPORT: run_import, IMPORTS: run_imports,
    }  # fmt: skip
    plain |= {name: partial(run_due, name) for name in schedule.JOBS}
    return {name: partial(_observed, name, work, metrics) for name, work in plain.items()}


def declare_actors(broker: Broker, works: Mapping[str, Work]) -> None:
    """Make an actor of each piece of work."""
    from dramatiq import actor

    for name, work in works.items():
        declared = actor(
            actor_name=name, queue_name=QUEUE, broker=broker,
            time_limit=SECONDS[name] * 1000 * MARGIN,
        )  # fmt: skip
        declared(partial(_silently, work))


def _alone(lock: threading.Lock, work: Callable[[], bool]) -> bool:
    """Do one piece of work at a time in this process; whoever looks next finds what was left.

    Imports take long and hold a whole file: several at once would leave no thread for notices.
    """
    if not lock.acquire(blocking=False):
        return False
    try:
        return work()
    finally:
        lock.release()


class JobFailed(Exception):
    """A job ended with an error, which stands in its row."""


def _silently(work: Work, **arguments: Any) -> None:
    # Nobody waits for the answer, and what failed was logged and is in the database.
    try:
        work(**arguments)
    except Exception as e:
        log.debug("left to the next look: %s", type(e).__name__)


def _observed(name: str, work: Work, metrics: Metrics, **arguments: Any) -> bool:
    begun = time.monotonic()
    with job_named(name):
        try:
            worked = work(**arguments)
        except JobFailed as e:
            log.error("failed: %s", e)
            metrics.ran(name, "failed", time.monotonic() - begun)
            raise
        except BaseException:
            log.error("failed", exc_info=True)
            metrics.ran(name, "failed", time.monotonic() - begun)
            raise
        if worked:
            log.info("done in %.3f s", time.monotonic() - begun)
            metrics.ran(name, "done", time.monotonic() - begun)
        return worked
