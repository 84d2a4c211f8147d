"""What the schedule needs: a row for each job, and somebody who reads cron expressions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from crm_domain.model import ScheduledJob


class Schedule(Protocol):
    """The jobs of the schedule. Leases go by the clock of the database, the one that all share."""

    def begin(self, name: str, slot: datetime | None, seconds: float) -> int | None:
        """Begin a job for a slot, unless somebody runs it or the slot has been run.

        A slot that was begun and not ended may be begun again when its lease is over; one before
        the latest is past. A slot or lease that lies well in the future was given by a clock that
        has been set back since, and counts for nothing.

        Args:
            name: The job.
            slot: The moment of the schedule; None is the present one.
            seconds: For how long nobody else may begin it.

        Returns:
            The fence that `finish` takes, or None when it is not to be run.
        """
        ...

    def ask(self, name: str) -> None:
        """Say that a job is to be run as soon as may be; asked twice is asked once.

        The end of a run that begins from now on, for whatever slot, fulfils that.
        """
        ...

    def asked(self) -> Mapping[str, datetime]:
        """Tell the jobs that were asked for and not run to an end since, and since when."""
        ...

    def renew(self, name: str, fence: int, seconds: float) -> bool:
        """Go on keeping others away from a job that is running.

        Args:
            name: The job.
            fence: What `begin` gave.
            seconds: For how long from now on nobody else may begin it.

        Returns:
            False when another took the job over meanwhile, or the run has ended.
        """
        ...

    def finish(
        self, name: str, fence: int, *, result: Mapping[str, int] | None = None,
        error: str | None = None, again: float | None = None,
    ) -> bool:  # fmt: skip
        """Write how a run ended.

        Args:
            name: The job.
            fence: What `begin` gave.
            result: What was done, as numbers by name.
            error: Why it failed.
            again: Seconds after which the slot is to be run once more; None is never.

        Returns:
            False when another took the job over meanwhile; then nothing was written.
        """
        ...

    def all(self) -> tuple[ScheduledJob, ...]:
        """Read the jobs that ever ran, by name."""
        ...


class Cron(Protocol):
    """Reads cron expressions of five fields, as Debian's cron does."""

    def latest(self, expression: str, at: datetime) -> datetime | None:
        """Tell the latest slot that is not after a moment, in its time zone; None if never."""
        ...

    def following(self, expression: str, at: datetime) -> datetime | None:
        """Tell the first slot after a moment, in its time zone; None if never."""
        ...
