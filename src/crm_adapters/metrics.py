"""What is counted, as Prometheus reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crm_domain.errors import ExtraMissing

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where several processes keep what they count, so that one of them can tell all of it."""


class Metrics:
    """Runs of jobs. No label holds anything but the name of a job."""

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

    def ran(self, job: str, outcome: str, seconds: float) -> None:
        """Count a run: ``done`` or ``failed``."""
        self._runs.labels(job, outcome).inc()
        self._seconds.labels(job).observe(seconds)

    def taken_over(self, job: str) -> None:
        """Count a run whose slot was begun before and never ended."""
        self._takeovers.labels(job).inc()


def of_all_processes() -> CollectorRegistry:
    """Give what all processes counted that share the folder of this one."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.multiprocess import MultiProcessCollector

    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def serve(registry: CollectorRegistry, port: int, host: str = "127.0.0.1") -> None:
    """Answer Prometheus on a port, in a thread, until the program ends."""
    from prometheus_client import start_http_server

    start_http_server(port, host, registry=registry)
