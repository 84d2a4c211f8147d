"""Waking workers without ever waiting for them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from crm_adapters.jobs.broker import QUEUE, close_broker, waiting

if TYPE_CHECKING:
    from dramatiq import Broker

log = logging.getLogger(__name__)
GATHER = 0.05
"""Seconds in which wakes for the same thing become one message."""
MOST = 1000
"""Wakes that are kept while the broker does not answer; the database knows of the rest."""
FULL = 1000
"""Messages that wait at the broker, when no more is sent: nobody works them off, and whoever comes
looks into the database first."""
LAST = 2.0
"""Seconds that closing waits for what is still to be sent."""


class DramatiqQueue:
    """Implements the port ``JobQueue``: a thread of its own sends, so that nobody waits for Redis.

    A wake may be lost, as when Redis is away: workers look for work themselves, too.
    """

    def __init__(self, broker: Broker, jobs: Collection[str]) -> None:
        """Take a broker.

        Args:
            broker: Where to send to; it is closed with the queue.
            jobs: The jobs that workers know; a wake for any other is left out.
        """
        self._broker, self._jobs = broker, frozenset(jobs)
        self._pending: dict[tuple[str, tuple[tuple[str, int | str], ...]], None] = {}
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = self._away = False

    def wake(self, job: str, **arguments: int | str) -> None:
        """Say that there is something to do; losing this loses no work."""
        if job not in self._jobs:
            log.warning("nobody knows the job %s", job)
            return
        with self._lock:
            if self._closed or len(self._pending) >= MOST:
                return
            self._pending[job, tuple(sorted(arguments.items()))] = None
            if self._thread is None:
                self._start()
        self._changed.set()

    def close(self) -> None:
        """Send what is left, without waiting long, and let go of the broker."""
        with self._lock:
            thread, self._thread, self._closed = self._thread, None, True
        self._changed.set()
        if thread is not None:
            thread.join(LAST)
        close_broker(self._broker)

    def _start(self) -> None:
        thread = threading.Thread(target=self._send, name="crm-wake", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the program is ending
            return
        self._thread = thread

    def _send(self) -> None:
        while not self._closed:
            self._changed.wait()
            if not self._closed:
                time.sleep(GATHER)
            # In this order: what is added from here on sets the mark again.
            self._changed.clear()
            self._send_all(self._taken())
        # What came while that was sent.
        self._send_all(self._taken())

    def _taken(self) -> list[tuple[str, tuple[tuple[str, int | str], ...]]]:
        with self._lock:
            pending, self._pending = self._pending, {}
        return list(pending)

    def _send_all(self, wakes: list[tuple[str, tuple[tuple[str, int | str], ...]]]) -> None:
        from dramatiq import Message

        try:
            if not wakes or waiting(self._broker) >= FULL:
                return
            for job, arguments in wakes:
                message: Message[None] = Message(
                    queue_name=QUEUE, actor_name=job, args=(), kwargs=dict(arguments), options={}
                )
                self._broker.enqueue(message)
        except Exception as e:
            if not self._away:
                log.warning("the workers cannot be woken: %s", type(e).__name__)
            self._away = True
        else:
            self._away = False
