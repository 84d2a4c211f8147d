"""What workers do when they are woken: one use case each, with nothing but numbers for arguments.

All of it may be done twice or too often: the database decides what is left to do.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from crm_adapters.jobs.broker import QUEUE
from crm_adapters.jobs.watchdog import TimeOver, Watchdog
from crm_adapters.logs import job_named
from crm_domain.model import Employee, Notice
from crm_domain.ports import Crm, Notifier
from crm_domain.rules.access import SYSTEM
from crm_domain.usecases import imports, notices, pool_rules, schedule

if TYPE_CHECKING:
    from dramatiq import Broker

    from crm_adapters.metrics import Metrics

log = logging.getLogger(__name__)
Work = Callable[..., bool]
"""Does something and tells whether there was anything to do."""

DELIVER = "deliver_due"
IMPORT = "run_import"
DATE = "date_customers"
SECONDS: Mapping[str, int] = {
    DELIVER: 600,
    IMPORT: 3600,
    DATE: 3600,
    **{job.name: job.seconds for job in schedule.JOBS.values()},
}
"""The jobs that can be woken, with the seconds after which each is stopped."""
LEAST = 5.0
"""Seconds that a channel has at least for one message, however short the lease."""


def declare_actors(broker: Broker, works: Mapping[str, Work]) -> None:
    """Make an actor of each piece of work."""
    from dramatiq import actor

    for name, work in works.items():
        actor(actor_name=name, queue_name=QUEUE, broker=broker)(silent(work))


def silent(work: Work) -> Callable[..., None]:
    """Do something for which nobody waits: what failed was logged and is in the database."""

    def quietly(**arguments: Any) -> None:
        try:
            work(**arguments)
        except (Exception, TimeOver) as e:
            log.debug("left to the next look: %s", type(e).__name__)

    return quietly


class JobFailed(Exception):
    """A job ended with an error, which stands in its row."""


@attrs.frozen
class Desk:
    """Does work within its time, and tells the log and whoever counts how it went."""

    crm: Crm
    metrics: Metrics
    watchdog: Watchdog
    stopping: Callable[[], bool]
    """Whether the process is to end: nothing more is begun then."""

    def deliver(self, channel: str, stuck: Callable[[], object] | None = None) -> bool:
        """Send what is due on one channel; `stuck` is called when it does not come back."""
        # Taking them writes, and on SQLite whoever writes waits for all others.
        if channel not in notices.due_channels(self.crm, by=SYSTEM):
            return False
        done = notices.deliver_due(
            self._limited(channel, stuck), seconds=schedule.DELIVERING, channel=channel,
            stopping=self.stopping, by=SYSTEM,
        )  # fmt: skip
        self.metrics.delivered(channel, attrs.asdict(done))
        return any(attrs.astuple(done))

    def run_imports(self) -> bool:
        """Run the imports that nobody is at, one after another."""
        return bool(imports.run_started_imports(self.crm, stopping=self.stopping, by=SYSTEM))

    def date_customers(self) -> bool:
        """Date the customers that wait for it since the pool rules were changed."""
        done = pool_rules.date_customers(self.crm, stopping=self.stopping, by=SYSTEM)
        return done is not None

    def run_due(self, name: str, run: Callable[[Crm], schedule.Result] | None = None) -> bool:
        """Run a job of the schedule, unless that has been done."""
        if self.stopping():
            return False
        done = schedule.run_due(self.crm, name, run=run, by=SYSTEM)
        if done is not None and done.taken_over:
            self.metrics.taken_over(name)
        if done is not None and done.error:
            # What it says may name people; it stands in the list of jobs.
            raise JobFailed(done.error.partition(":")[0])
        return done is not None

    def observed(self, name: str, work: Work, stuck: Callable[[], object] | None = None) -> Work:
        """Give the same work, logged, counted, and stopped when its time is over.

        Args:
            name: The job.
            work: What is done.
            stuck: Called when it does not come back long after its time.
        """

        def watched(**arguments: Any) -> bool:
            begun = time.monotonic()
            with job_named(name):
                try:
                    with self.watchdog.watching(name, SECONDS[name], stuck):
                        worked = work(**arguments)
                except JobFailed as e:
                    log.error("failed: %s", e)
                    self.metrics.ran(name, "failed", time.monotonic() - begun)
                    raise
                except BaseException:
                    log.error("failed", exc_info=True)
                    self.metrics.ran(name, "failed", time.monotonic() - begun)
                    raise
                if worked:
                    log.info("done in %.3f s", time.monotonic() - begun)
                    self.metrics.ran(name, "done", time.monotonic() - begun)
                return worked

        return watched

    def _limited(self, channel: str, stuck: Callable[[], object] | None) -> Crm:
        """Give the same CRM, whose channel has the time of a lease for each message."""
        seconds = max(float(self.crm.settings.lease_seconds), LEAST)
        notifier = self.crm.notifiers.get(channel)
        if notifier is None:
            return self.crm
        limited = Limited(notifier, seconds, self.watchdog, stuck)
        return attrs.evolve(self.crm, notifiers={**self.crm.notifiers, channel: limited})


class Limited:
    """A channel that is stopped when it takes too long for one message."""

    def __init__(
        self, notifier: Notifier, seconds: float, watchdog: Watchdog,
        stuck: Callable[[], object] | None = None,
    ) -> None:  # fmt: skip
        """Take a channel, the seconds it has for each message, and whom to tell if it is stuck."""
        self._notifier, self._seconds = notifier, seconds
        self._watchdog, self._stuck = watchdog, stuck

    def send(self, notice: Notice, employee: Employee) -> str | None:
        """Send, or be stopped; whoever takes the notice next tries again."""
        what = f"the channel {self._notifier.name} with notice {notice.id}"
        with self._watchdog.watching(what, self._seconds, self._stuck):
            return self._notifier.send(notice, employee)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._notifier, name)
