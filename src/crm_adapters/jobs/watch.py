"""Looking for work every few seconds, whoever was woken or not."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)


class Watch:
    """A thread that looks again and again; an error costs one look."""

    def __init__(self, look: Callable[[], object], seconds: float) -> None:
        """Begin to look.

        Args:
            look: Called in the thread, first at once.
            seconds: Between two looks.
        """
        self._look, self._seconds = look, seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="crm-watch", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Look no more, and wait for a look that is going on."""
        self._ended.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._look()
            except Exception:
                log.exception("looking for work failed")
            self._ended.wait(self._seconds)
