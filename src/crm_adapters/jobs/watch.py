"""Looking for work every few seconds, and at once when somebody says that there is some."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)


class Watch:
    """A thread that looks again and again; an error costs one look."""

    def __init__(self, look: Callable[[], object], seconds: float, name: str = "crm-watch") -> None:
        """Begin to look.

        Args:
            look: Called in the thread, first at once.
            seconds: Between two looks.
            name: Of the thread.
        """
        self._look, self._seconds, self._name = look, seconds, name
        self._ended, self._woken = threading.Event(), threading.Event()
        self._begin()

    def wake(self) -> None:
        """Look at once; what is said during a look is looked for after it."""
        self._woken.set()

    def replace(self) -> None:
        """Leave the present thread to itself, which does not come back, and begin another."""
        if not self._ended.is_set():
            self._begin()

    def end(self) -> None:
        """Look no more, without waiting for a look that is going on."""
        self._ended.set()
        self._woken.set()

    def join(self, until: float) -> bool:
        """Wait for a look that is going on, and tell whether it has ended.

        Args:
            until: When waiting is over, by the steady clock.
        """
        self._thread.join(max(0.0, until - time.monotonic()))
        return not self._thread.is_alive()

    def stop(self, timeout: float = 10.0) -> bool:
        """Look no more, wait for a look that is going on, and tell whether it has ended."""
        self.end()
        return self.join(time.monotonic() + timeout)

    def _begin(self) -> None:
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.is_set() and threading.current_thread() is self._thread:
            # In this order: what is said from here on is looked for once more.
            self._woken.clear()
            try:
                self._look()
            except BaseException:
                # Also what would end a process: here it would end this thread alone, unseen.
                log.exception("looking for work failed")
            self._woken.wait(self._seconds)
