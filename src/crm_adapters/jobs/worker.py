"""The processes of ``crm worker`` and ``crm scheduler``: started, watched over, replaced, ended."""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from crm_adapters.jobs.watchdog import end_process
from crm_adapters.logs import log_to_stderr
from crm_adapters.metrics import FOLDER, Metrics, of_all_processes, serve
from crm_domain.ports import Crm

log = logging.getLogger(__name__)
LOOK = 2.0
"""Seconds between two looks of a worker into the database."""
PATIENCE = 35.0
"""Seconds after which a process that does not end is killed; its leases end by themselves. Longer
than `crew.DRAIN`, so that a process that works as it should ends by itself."""
POLL = 0.2
HEALTHY = 1.0
"""Seconds that a process has been ready before its end is not taken for a failed start."""
LONGEST_PAUSE = 30.0
READY = "CRM_READY_FD"
"""Where a child says that it works: the number of an open file of its own."""


@contextmanager
def _asked_to_stop() -> Iterator[threading.Event]:
    """Give a mark that SIGTERM and SIGINT set."""
    stop = threading.Event()
    before = {s: signal.signal(s, lambda *_: stop.set()) for s in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# -- one process ------------------------------------------------------------------------------


def run_alone(
    crm: Crm, *, threads: int = 4, as_json: bool = False, port: int | None = None,
    host: str = "127.0.0.1",
) -> None:  # fmt: skip
    """Run workers and schedule in this process until it is asked to stop.

    Calls that do not return long after their time end the process with `watchdog.STUCK`.

    Args:
        crm: An open CRM. If it wakes workers elsewhere, it goes on doing so.
        threads: How many jobs run at a time.
        as_json: Whether logs are JSON lines.
        port: Where Prometheus is answered; None is nowhere.
        host: The address of that port.
    """
    from crm_adapters.jobs.inprocess import embedded

    log_to_stderr(as_json=as_json)
    metrics = Metrics()
    with ExitStack() as ending:
        stop = ending.enter_context(_asked_to_stop())
        if port is not None:
            ending.enter_context(serve(metrics.registry, crm, port, host))
        # Whoever started this process starts it again.
        with embedded(crm, threads=threads, seconds=LOOK, metrics=metrics, bite=end_process):
            log.info("ready")
            stop.wait()
            log.info("ending")


def run_child(threads: int, *, as_json: bool) -> None:
    """Work off what Redis wakes for, and look for more, until asked to stop or left alone.

    Args:
        threads: How many jobs run at a time.
        as_json: Whether logs are JSON lines.
    """
    from crm_adapters import open_crm
    from crm_adapters.jobs.broker import close_broker, make_broker
    from crm_adapters.jobs.crew import Crew

    log_to_stderr(as_json=as_json)
    with _asked_to_stop() as stop, open_crm() as crm:
        threading.Thread(target=_left_alone, args=(stop,), daemon=True).start()
        broker = make_broker(crm.settings.redis_url)
        crew = Crew(crm, broker, threads=threads, seconds=LOOK, bite=end_process)
        _say_ready()
        log.info("ready")
        stop.wait()
        log.info("ending")
        crew.close()
        close_broker(broker)


def _say_ready() -> None:
    """Tell the supervisor that this child works."""
    number = os.environ.pop(READY, "")
    if number:
        os.close(int(number))


def _left_alone(stop: threading.Event) -> None:
    """End when the supervisor is gone: it holds the other end of our standard input."""
    # Not through `sys.stdin`, whose lock this thread would hold while the process ends.
    while os.read(0, 1024):
        pass
    stop.set()


# -- several ----------------------------------------------------------------------------------


class _Place:
    """Where one child works, and when the next may begin."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._failures = 0
        self._start()

    def _start(self) -> None:
        self._ready_at: float | None = None
        self._again: float | None = None
        self._ready, theirs = os.pipe()
        try:
            self.process = subprocess.Popen(  # noqa: S603 - ours
                self._command, stdin=subprocess.PIPE, pass_fds=[theirs],
                env={**os.environ, READY: str(theirs)},
            )  # fmt: skip
        finally:
            os.close(theirs)

    def look(self) -> None:
        """Replace a child that has ended; after the second that failed at its start, later."""
        now = time.monotonic()
        status = self.process.poll()
        if status is None:
            self._listen(now)
            return
        if self._again is None:
            self._again = now + self._pause(now)
            log.warning("worker %d ended with %d", self.process.pid, status)
            self._end()
        if now >= self._again:
            self._start()

    def _listen(self, now: float) -> None:
        """Note when the child began to work: it closes its end then, as it does when it ends."""
        if self._ready_at is None and select.select([self._ready], [], [], 0)[0]:
            self._ready_at = now

    def _pause(self, now: float) -> float:
        """Tell how long to wait before the next child; one that fails once is replaced at once."""
        healthy = self._ready_at is not None and now - self._ready_at >= HEALTHY
        self._failures = 0 if healthy else self._failures + 1
        return 0.0 if self._failures < 2 else min(2.0 ** (self._failures - 2), LONGEST_PAUSE)

    def stop(self) -> None:
        """Ask the child to end."""
        if self.process.poll() is None:
            self.process.terminate()

    def wait(self, until: float) -> None:
        """Wait for the child, and kill it when the time is over."""
        try:
            self.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("worker %d did not end in time", self.process.pid)
            self.process.kill()
            self.process.wait()
        self._end()

    def _end(self) -> None:
        if self.process.stdin is not None and not self.process.stdin.closed:
            self.process.stdin.close()
            os.close(self._ready)


def supervise(
    processes: int, threads: int, *, as_json: bool = False, port: int | None = None,
    host: str = "127.0.0.1",
) -> None:  # fmt: skip
    """Keep worker processes alive until asked to stop; then let them finish what they are at.

    The children are new processes, never copies of this one, and open a CRM of their own.

    Args:
        processes: How many.
        threads: How many jobs each runs at a time.
        as_json: Whether logs are JSON lines.
        port: Where Prometheus is answered for all of them; None is nowhere.
        host: The address of that port.
    """
    from crm_adapters import open_crm

    log_to_stderr(as_json=as_json)
    with ExitStack() as ending:
        stop = ending.enter_context(_asked_to_stop())
        if port is not None:
            folder = ending.enter_context(tempfile.TemporaryDirectory(prefix="crm-metrics-"))
            # The library looks for it when it is imported: here below, and in the children.
            os.environ[FOLDER] = folder
            ending.callback(os.environ.pop, FOLDER, None)
            crm = ending.enter_context(open_crm())
            ending.enter_context(serve(of_all_processes(), crm, port, host))
        command = [sys.executable, "-m", "crm_adapters.jobs.child", str(threads)]
        places = [_Place([*command, *["--json"][: int(as_json)]]) for _ in range(processes)]
        log.info("%d workers", len(places))
        while not stop.wait(POLL):
            for place in places:
                place.look()
        until = time.monotonic() + PATIENCE
        for place in places:
            place.stop()
        for place in places:
            place.wait(until)
