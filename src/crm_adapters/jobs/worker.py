"""The processes of ``crm worker`` and ``crm scheduler``: started, watched over, replaced, ended."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from crm_adapters.logs import log_to_stderr
from crm_adapters.metrics import FOLDER, Metrics, of_all_processes, serve
from crm_domain.ports import Crm

log = logging.getLogger(__name__)
LOOK = 2.0
"""Seconds between two looks of a worker into the database."""
DRAIN = 15.0
"""Seconds that work in progress has to end when a process is to end."""
PATIENCE = 20.0
"""Seconds after which a process that does not end is killed; its leases end by themselves."""
POLL = 0.2
HEALTHY = 5.0
"""Seconds after which a process that ends has not failed at its start."""
LONGEST_PAUSE = 30.0


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
    with _asked_to_stop() as stop:
        if port is not None:
            serve(metrics.registry, crm, port, host)
        with embedded(crm, threads=threads, seconds=LOOK, metrics=metrics):
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
    from crm_adapters.jobs.actors import DATE, DELIVER, IMPORTS, declare_actors, works
    from crm_adapters.jobs.broker import close_broker, make_broker, start_worker
    from crm_adapters.jobs.watch import Watch

    log_to_stderr(as_json=as_json)
    with _asked_to_stop() as stop, open_crm() as crm:
        threading.Thread(target=_left_alone, args=(stop,), daemon=True).start()
        broker = make_broker(crm.settings.redis_url)
        work = works(crm, Metrics(), stop.is_set)
        declare_actors(broker, work)
        worker = start_worker(broker, threads)
        # Imports take long, and notices should not wait for them.
        watches = [Watch(work[job], LOOK) for job in (DELIVER, IMPORTS, DATE)]
        log.info("ready")
        stop.wait()
        log.info("ending")
        for watch in watches:
            watch.stop(DRAIN)
        worker.stop(timeout=int(DRAIN * 1000))
        close_broker(broker)


def _left_alone(stop: threading.Event) -> None:
    """End when the supervisor is gone: it holds the other end of our standard input."""
    sys.stdin.buffer.read()
    stop.set()


# -- several ----------------------------------------------------------------------------------


class _Place:
    """Where one child works, and when the next may begin."""

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._pause = 0.0
        self._again: float | None = None
        self._start()

    def _start(self) -> None:
        self._begun, self._again = time.monotonic(), None
        self.process = subprocess.Popen(self._command, stdin=subprocess.PIPE)  # noqa: S603 - ours

    def look(self) -> None:
        """Replace a child that has ended; one that fails at its start, after a pause."""
        status, now = self.process.poll(), time.monotonic()
        if status is None:
            return
        if self._again is None:
            failed = status > 0 and now - self._begun < HEALTHY
            self._pause = min(2 * self._pause or 1.0, LONGEST_PAUSE) if failed else 0.0
            self._again = now + self._pause
            log.warning("worker %d ended with %d", self.process.pid, status)
            self._end()
        if now >= self._again:
            self._start()

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
        if self.process.stdin is not None:
            self.process.stdin.close()


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
            serve(of_all_processes(), ending.enter_context(open_crm()), port, host)
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
