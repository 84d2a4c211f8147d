"""Who works in one process: threads for each channel, imports and dates, and some for the rest.

What is slow has a thread of its own. So a mail server that does not answer holds up no other
channel, an import no notice, and neither of them the sweep; and whoever is woken for what is going
on already only says so to its thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from crm_adapters.jobs.actors import DATE, DELIVER, IMPORT, Desk, declare_actors, silent
from crm_adapters.jobs.broker import start_worker
from crm_adapters.jobs.watch import Watch
from crm_adapters.jobs.watchdog import Watchdog
from crm_adapters.metrics import Metrics
from crm_domain.ports import Crm
from crm_domain.rules.access import SYSTEM
from crm_domain.usecases import notices, schedule

if TYPE_CHECKING:
    from dramatiq import Broker

log = logging.getLogger(__name__)
DRAIN = 30.0
"""Seconds that work in progress has to end; a channel has to answer in less than half a lease."""
LAST = 1.0
"""Seconds that those have who were told to end because that time is over."""


class Crew:
    """The threads that work in one process until it is closed."""

    def __init__(
        self, crm: Crm, broker: Broker, *, threads: int, seconds: float,
        metrics: Metrics | None = None, bite: Callable[[], object] | None = None,
    ) -> None:  # fmt: skip
        """Begin to work.

        Args:
            crm: An open CRM; it stays open.
            broker: Who wakes; it stays open, too.
            threads: How many jobs of the schedule run at a time.
            seconds: Between two looks for notices and imports that nobody was woken for.
            metrics: Where runs are counted; None counts them nowhere else.
            bite: What `Watchdog` takes.
        """
        self._crm = crm
        self._ending = threading.Event()
        self._watchdog = Watchdog(bite)
        self._desk = Desk(crm, metrics or Metrics(), self._watchdog, self._ending.is_set)
        self._channels = {name: self._watch_channel(name, seconds) for name in crm.notifiers}
        self._imports = self._watch_imports(seconds)
        self._dating = self._watch_dating(seconds)
        # What the schedule wants of the two is said to their threads: so no second thread of this
        # process ever is at what they are at, and both hear that they are to stop.
        instead = {"deliver": self._deliver, "imports": self._run_imports}
        declare_actors(broker, {
            DELIVER: self._wake_channels,
            IMPORT: self._wake_imports,
            DATE: self._wake_dating,
            **{
                name: self._desk.observed(
                    name, partial(self._desk.run_due, name, instead.get(name))
                )
                for name in schedule.JOBS
            },
        })  # fmt: skip
        self._worker = start_worker(broker, threads)

    def close(self, seconds: float = DRAIN) -> None:
        """Begin nothing more, and wait for what is going on.

        What is not done by then is told to end as soon as it comes back, and named in the log: the
        process is to end then, and leases do the rest.

        Args:
            seconds: How long to wait for all of it together.
        """
        until = time.monotonic() + seconds
        self._ending.set()
        watches = [*self._channels.values(), self._imports, self._dating]
        for watch in watches:
            watch.end()
        # In a thread, because Dramatiq waits this long twice.
        stopping = threading.Thread(
            target=lambda: self._worker.stop(timeout=int(seconds * 1000)), daemon=True
        )
        stopping.start()
        ended = [watch.join(until) for watch in watches]
        stopping.join(max(0.0, until - time.monotonic()))
        if stopping.is_alive() or not all(ended):
            log.error("not ended in time: %s", ", ".join(self._watchdog.names()))
            self._watchdog.end_all()
            # Whoever was in Python gives back what it holds.
            for watch in watches:
                watch.join(until + LAST)
            stopping.join(max(0.0, until + LAST - time.monotonic()))
        self._watchdog.close()

    # -- whom to wake -------------------------------------------------------------------------

    def _wake_channels(self) -> bool:
        for watch in self._channels.values():
            watch.wake()
        return True

    def _wake_imports(self, import_id: int = 0) -> bool:
        self._imports.wake()
        return True

    def _wake_dating(self) -> bool:
        self._dating.wake()
        return True

    def _watch_channel(self, name: str, seconds: float) -> Watch:
        def replace() -> None:
            self._channels[name].replace()

        work = self._desk.observed(DELIVER, partial(self._desk.deliver, name, replace), replace)
        return Watch(silent(work), seconds, f"crm-{name}")

    def _watch_imports(self, seconds: float) -> Watch:
        work = self._desk.observed(
            IMPORT, self._desk.run_imports, lambda: self._imports.replace()
        )  # fmt: skip
        return Watch(silent(work), seconds, "crm-imports")

    def _watch_dating(self, seconds: float) -> Watch:
        work = self._desk.observed(DATE, self._desk.date_customers, lambda: self._dating.replace())
        return Watch(silent(work), seconds, "crm-dating")

    # -- what the schedule wants of them ------------------------------------------------------

    def _deliver(self, crm: Crm) -> schedule.Result:
        self._wake_channels()
        for channel in set(notices.due_channels(crm, by=SYSTEM)) - self._channels.keys():
            # There is no such channel any more: nobody sends, and they become dead at once.
            self._desk.deliver(channel)
        return {"woken": len(self._channels)}

    def _run_imports(self, crm: Crm) -> schedule.Result:
        self._imports.wake()
        return {"woken": 1}
