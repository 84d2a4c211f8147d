"""What is counted, as Prometheus reads it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from crm_domain.errors import BadSetting, ExtraMissing
from crm_domain.ports import Crm
from crm_domain.rules.access import SYSTEM
from crm_domain.usecases import notices, schedule

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Metric

log = logging.getLogger(__name__)

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where several processes keep what they count, so that one of them can tell all of it."""


class Metrics:
    """Runs of jobs and what became of notices. No label holds anything but the name of a job, of a
    channel or a status."""

    def __init__(self) -> None:
        """Begin to count.

        Raises:
            ExtraMissing: Without the extra ``jobs``.
        """
        try:
            from prometheus_client import CollectorRegistry, Counter, Histogram
        except ImportError as e:
            raise ExtraMissing(extra="jobs") from e
        self.registry = CollectorRegistry()
        self._runs = Counter("crm_job_runs", "Runs of jobs that found something to do",
                             ["job", "outcome"], registry=self.registry)  # fmt: skip
        self._seconds = Histogram("crm_job_seconds", "How long runs took", ["job"],
                                  buckets=(0.01, 0.1, 0.5, 1, 5, 10, 60, 300, 900, 3600),
                                  registry=self.registry)  # fmt: skip
        self._takeovers = Counter("crm_job_takeovers", "Runs that another process had begun",
                                  ["job"], registry=self.registry)  # fmt: skip
        self._notices = Counter("crm_notices", "Notices that were dealt with",
                                ["channel", "outcome"], registry=self.registry)  # fmt: skip

    def ran(self, job: str, outcome: str, seconds: float) -> None:
        """Count a run: ``done`` or ``failed``."""
        self._runs.labels(job, outcome).inc()
        self._seconds.labels(job).observe(seconds)

    def taken_over(self, job: str) -> None:
        """Count a run whose slot was begun before and never ended."""
        self._takeovers.labels(job).inc()

    def delivered(self, channel: str, outcomes: Mapping[str, int]) -> None:
        """Count notices of a channel by what became of them: ``sent``, ``failed``, ``dead`` …"""
        for outcome, n in outcomes.items():
            if n:
                self._notices.labels(channel, outcome).inc(n)


class Standing:
    """What waits in the outbox, and when each job last went well, read from the database whenever
    Prometheus asks."""

    def __init__(self, crm: Crm) -> None:
        """Take an open CRM; it stays open."""
        self._crm = crm

    def describe(self) -> tuple[()]:
        """Say nothing: otherwise the library would ask the database when this is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Give the gauges; none when the database does not answer, so that the rest is told."""
        from prometheus_client.core import GaugeMetricFamily

        try:
            found = notices.backlog(self._crm, by=SYSTEM)
            jobs = schedule.list_jobs(self._crm, by=SYSTEM)
        except Exception as e:
            log.warning("the outbox cannot be counted: %s", type(e).__name__)
            return
        waiting = GaugeMetricFamily("crm_outbox_notices", "Notices that were not sent",
                                    labels=["status"])  # fmt: skip
        for status, n in found.waiting.items():
            waiting.add_metric([status.value], n)
        yield waiting
        age = self._crm.now() - found.due_since if found.due_since else None
        yield GaugeMetricFamily("crm_outbox_oldest_due_seconds",
                                "How long the oldest has been due that nobody is at",
                                value=age.total_seconds() if age else 0.0)  # fmt: skip
        well = GaugeMetricFamily("crm_job_last_success_timestamp_seconds",
                                 "When the job last ended well", labels=["job"])  # fmt: skip
        for job in jobs:
            if job.last and job.last.succeeded_at:
                well.add_metric([job.name], job.last.succeeded_at.timestamp())
        yield well


def of_all_processes() -> CollectorRegistry:
    """Give what all processes counted that share the folder of this one."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


@contextmanager
def serve(
    registry: CollectorRegistry, crm: Crm, port: int, host: str = "127.0.0.1"
) -> Iterator[None]:
    """Answer Prometheus on a port, in a thread, while the block lasts.

    Args:
        registry: What was counted.
        crm: An open CRM, whose outbox and schedule are looked at each time.
        port: The port.
        host: The address of that port.

    Raises:
        BadSetting: The port cannot be had, as when another program has it.
    """
    from prometheus_client import start_http_server

    standing = Standing(crm)
    registry.register(standing)
    try:
        server, thread = start_http_server(port, host, registry=registry)
    except OSError as e:
        raise BadSetting(name="--metrics-port", reason=f"{host}:{port}: {e.strerror}",
                         reason_zh=f"{host}:{port} 无法监听：{e.strerror}") from e  # fmt: skip
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        registry.unregister(standing)
