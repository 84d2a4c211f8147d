"""Time limits that hold whatever is called: an exception, another thread, the end of the process.

An exception can be raised in a thread only when it comes back to Python. Whoever waits in a system
call that never returns, as for the answer of a provider that has gone away, is not reached by it.
Another thread takes its place then; where several wait so, or nobody can take the place, the
process is to end.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs

log = logging.getLogger(__name__)
MERCY = 30.0
"""Seconds at most that a thread has to end after it was told that its time is over."""
LOOK = 0.5
"""Seconds between two looks at what is going on."""
AGAIN = 60.0
"""Seconds after which a thread that still does not come back is told of once more."""
MOST_STUCK = 4
"""So many threads that do not come back are too many for a process."""
STUCK = 70
"""The exit code of a process that ends because a call in it does not return."""


class TimeOver(BaseException):
    """The time limit of a job, or that of its process, was over."""


@attrs.define(eq=False)
class _Watched:
    name: str
    seconds: float
    thread: int
    until: float
    stuck: Callable[[], object] | None
    mercy: float
    told: bool = False
    loud: float = 0.0
    """When it is to be told of that the thread does not come back; 0 before it was told to."""
    replaced: bool = False


def end_process() -> None:
    """End this process at once: whoever supervises it starts another."""
    os._exit(STUCK)


class Watchdog:
    """A thread that looks at how long others take."""

    def __init__(self, bite: Callable[[], object] | None = None) -> None:
        """Begin to look.

        Args:
            bite: Called when `MOST_STUCK` threads do not come back long after their time, or one
                that nobody replaces; None where others use the process, so that it may not be
                ended: then the log says so every minute.
        """
        self._bite = bite
        self._lock = threading.Lock()
        self._watched: list[_Watched] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="crm-watchdog", daemon=True)
        self._thread.start()

    @contextmanager
    def watching(
        self, name: str, seconds: float, stuck: Callable[[], object] | None = None, *,
        mercy: float = MERCY,
    ) -> Iterator[Callable[[], bool]]:  # fmt: skip
        """Let what is done meanwhile in this thread take so long.

        Args:
            name: What is done, for the log.
            seconds: After which `TimeOver` is raised in this thread, as soon as it comes back to
                Python.
            stuck: Called when it has not come back some time later, to put another thread in the
                place of this one; False says that it has come back after all.
            mercy: How many seconds later, `MERCY` and as many as it had at most.

        Yields:
            Tells whether the time was over, or was ended.
        """
        one = _Watched(
            name, seconds, threading.get_ident(), time.monotonic() + seconds, stuck,
            min(mercy, MERCY, seconds),
        )  # fmt: skip
        with self._lock:
            self._watched.append(one)
        try:
            yield lambda: one.told
        finally:
            try:
                self._forget(one)
            except TimeOver:  # It came up in between, and comes once.
                self._forget(one)
                raise

    def names(self) -> tuple[str, ...]:
        """Tell what is going on."""
        with self._lock:
            return tuple(one.name for one in self._watched)

    def end_all(self) -> None:
        """Raise `TimeOver` in all that is going on, whatever its limit."""
        with self._lock:
            for one in self._watched:
                self._tell(one)

    def close(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(LOOK):
            self._look(time.monotonic())

    def _look(self, now: float) -> None:
        stuck = []
        with self._lock:
            for one in self._watched:
                if now >= one.until and not one.told:
                    self._tell(one)
                    # Counted from here, for a machine that slept meanwhile.
                    one.loud = now + one.mercy
                elif now >= one.loud > 0:
                    one.loud = now + AGAIN
                    stuck.append(one)
        for one in stuck:
            self._stuck(one, now)

    def _stuck(self, one: _Watched, now: float) -> None:
        with self._lock:
            # Limits lie within each other, and a thread has one place.
            theirs = [w for w in self._watched if w.thread == one.thread]
        if one not in theirs:
            return
        log.critical(
            "%s is in a call that does not return, %.0f s after its time of %.0f s was over",
            one.name, now - one.until, one.seconds,
        )  # fmt: skip
        if not any(w.replaced for w in theirs) and _replaced(one):
            for w in theirs:
                w.replaced = True
        with self._lock:
            lost = {w.thread for w in self._watched if w.replaced}
        if self._bite is not None and (one.stuck is None or len(lost) >= MOST_STUCK):
            self._bite()

    def _forget(self, one: _Watched) -> None:
        with self._lock:
            if one in self._watched:
                self._watched.remove(one)
            told = any(w.told for w in self._watched if w.thread == one.thread)
            if one.told and not told:
                # What was raised and has not come up must not do so behind the block.
                _take_back(one.thread)

    def _tell(self, one: _Watched) -> None:
        from dramatiq.threading import raise_thread_exception

        if not one.told:
            one.told = True
            raise_thread_exception(one.thread, TimeOver)  # type: ignore[no-untyped-call]


def _replaced(one: _Watched) -> bool:
    """Put another thread in the place of one, and tell whether that was done."""
    if one.stuck is None:
        return False
    try:
        return one.stuck() is not False
    except Exception:  # whoever looks must not stop looking
        log.exception("%s was left as it is", one.name)
        return True


def _take_back(thread: int) -> None:
    """Take back an exception that was raised in a thread and has not come up yet."""
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), None)
