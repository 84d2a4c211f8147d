"""What workers do when they are woken: one use case each, with nothing but numbers for arguments.

All of it may be done twice or too often: the database decides what is left to do.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from crm_adapters.jobs.broker import QUEUE
from crm_adapters.jobs.watchdog import TimeOver, Watchdog
from crm_adapters.logs import job_named
from crm_domain.errors import DeliveryFailed, JobTooLong
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
SHARE = 0.45
"""Of a lease, that a channel has for one message. What began in the first two fifths of the lease
has failed then, and that is written, before another takes the message."""
MERCY = 0.05
"""Of a lease, in which a channel has to come back after that."""
LEAST = 5.0
"""Seconds that a channel has at least for one message, however short the lease."""
LEAST_MERCY = 1.0
"""Seconds that it has at least to come back."""


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

    def deliver(self, channel: str, replace: Callable[[], object] | None = None) -> bool:
        """Send what is due on one channel.

        Args:
            channel: Its name.
            replace: Puts another thread in the place of this one, when the channel does not come
                back; its message has failed then.
        """
        # Taking them writes, and on SQLite whoever writes waits for all others.
        if channel not in notices.due_channels(self.crm, by=SYSTEM):
            return False
        hold = notices.Hold()
        done = notices.deliver_due(
            self._limited(channel, partial(self._let_go, hold, replace)), channel=channel,
            seconds=schedule.DELIVERING, stopping=self.stopping, hold=hold, by=SYSTEM,
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
        done = schedule.run_due(self.crm, name, run=self._ended_in_time(name, run), by=SYSTEM)
        if done is not None and done.taken_over:
            self.metrics.taken_over(name)
        if done is not None and done.error:
            # What it says may name people; it stands in the list of jobs.
            raise JobFailed(done.error.partition(":")[0])
        return done is not None

    def _ended_in_time(
        self, name: str, run: Callable[[Crm], schedule.Result] | None
    ) -> Callable[[Crm], schedule.Result]:
        """Give a job that fails where it is stopped because it takes too long.

        To begin it again at once would take as long; when the process ends it is another matter.
        """

        def limited(crm: Crm) -> schedule.Result:
            try:
                return (run or schedule.JOBS[name].run)(crm)
            except TimeOver as e:
                if self.stopping():
                    raise
                raise JobTooLong(seconds=SECONDS[name]) from e

        return limited

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

    def _let_go(
        self, hold: notices.Hold, replace: Callable[[], object] | None, error: DeliveryFailed
    ) -> bool:
        """Give up the message whose channel does not come back, and whoever waits for it."""
        waits = True
        try:
            waits = notices.let_go(self.crm, hold, error, by=SYSTEM)
        finally:
            if waits and replace is not None:
                replace()
        return waits

    def _limited(self, channel: str, stuck: Callable[[DeliveryFailed], object]) -> Crm:
        """Give the same CRM, whose channel has less than half of a lease for each message."""
        notifier = self.crm.notifiers.get(channel)
        if notifier is None:
            return self.crm
        lease = self.crm.settings.lease_seconds
        limited = Limited(
            notifier, max(lease * SHARE, LEAST), max(lease * MERCY, LEAST_MERCY), self.watchdog,
            stuck,
        )  # fmt: skip
        return attrs.evolve(self.crm, notifiers={**self.crm.notifiers, channel: limited})


class Limited:
    """A channel that fails when it takes too long for one message."""

    def __init__(
        self, notifier: Notifier, seconds: float, mercy: float, watchdog: Watchdog,
        stuck: Callable[[DeliveryFailed], object],
    ) -> None:  # fmt: skip
        """Take a channel.

        Args:
            notifier: The channel.
            seconds: That it has for each message.
            mercy: Seconds that it has to come back after these.
            watchdog: Who looks.
            stuck: Called with the failure when it does not.
        """
        self._notifier, self._seconds, self._mercy = notifier, seconds, mercy
        self._watchdog, self._stuck = watchdog, stuck

    def send(self, notice: Notice, employee: Employee) -> str | None:
        """Send, or fail when it takes too long.

        Raises:
            DeliveryFailed: The channel says so, or does not answer.
        """
        what = f"the channel {self._notifier.name} with notice {notice.id}"
        begun = time.monotonic()
        told: Callable[[], bool] = bool
        try:
            with self._watchdog.watching(
                what, self._seconds, lambda: self._stuck(_no_answer(begun)), mercy=self._mercy
            ) as told:
                return self._notifier.send(notice, employee)
        except TimeOver as e:
            if not told():  # The time of all that this thread does is over.
                raise
            raise _no_answer(begun) from e
        except (SystemExit, KeyboardInterrupt, GeneratorExit) as e:
            # Nobody ends a process from a thread of it; a channel that tries has failed.
            raise DeliveryFailed(f"the channel raised {type(e).__name__}") from e

    def __getattr__(self, name: str) -> Any:
        return getattr(self._notifier, name)


def _no_answer(begun: float) -> DeliveryFailed:
    return DeliveryFailed(f"no answer within {time.monotonic() - begun:.0f} s")
