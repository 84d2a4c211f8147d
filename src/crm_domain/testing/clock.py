"""A clock that stands still until it is told otherwise."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta


class FixedClock:
    """Answers the moment it was set to; safe to share between threads."""

    def __init__(self, moment: datetime) -> None:
        """Set it for the first time.

        Args:
            moment: An aware moment.

        Raises:
            ValueError: The moment is naive.
        """
        self._lock = threading.Lock()
        self._moment = _aware(moment)

    def __call__(self) -> datetime:
        """Tell the moment."""
        with self._lock:
            return self._moment

    def set(self, moment: datetime) -> None:
        """Move it to another moment, earlier or later.

        Raises:
            ValueError: The moment is naive.
        """
        with self._lock:
            self._moment = _aware(moment)

    def advance(self, by: timedelta) -> datetime:
        """Move it on.

        Args:
            by: How far; negative is back.

        Returns:
            What it shows now.
        """
        with self._lock:
            self._moment += by
            return self._moment


def _aware(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise ValueError(f"{moment} has no time zone")
    return moment
