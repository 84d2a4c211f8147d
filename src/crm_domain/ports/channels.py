"""What a process remembers of channels that fail."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

import attrs


@attrs.define(eq=False)
class Pauses:
    """Which channels are left alone, and until when; kept by the process, and by no database.

    A channel whose pause is over is tried with one message: it rests again at the first failure,
    and is as good as new at the first that it takes.
    """

    _failed: dict[str, tuple[int, float]] = attrs.field(factory=dict)
    """How often each has failed in a row, and how many seconds that took."""
    _until: dict[str, datetime] = attrs.field(factory=dict)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, repr=False)

    def rests(self, channel: str, now: datetime, longest: timedelta) -> bool:
        """Whether a channel is left alone.

        Args:
            channel: Its name.
            now: The moment.
            longest: How long a pause is; one that would last longer was written by a clock that
                has been set back since, and counts for nothing.
        """
        until = self._until.get(channel)
        return until is not None and now < until <= now + longest

    def worked(self, channel: str) -> None:
        """Note that a channel took a message."""
        with self._lock:
            self._failed.pop(channel, None)
            self._until.pop(channel, None)

    def failed(self, channel: str, seconds: float) -> tuple[int, float]:
        """Note that a channel failed.

        Args:
            channel: Its name.
            seconds: How long that took.

        Returns:
            How often it has failed in a row, and how many seconds that took together.
        """
        with self._lock:
            times, lost = self._failed.get(channel, (0, 0.0))
            self._failed[channel] = times + 1, lost + seconds
            return self._failed[channel]

    def pause(self, channel: str, until: datetime) -> None:
        """Leave a channel alone for a while."""
        with self._lock:
            self._until[channel] = until
