"""Cron expressions, read by cronsim."""

from __future__ import annotations

from datetime import datetime, timedelta

MOMENT = timedelta(microseconds=1)


class CronExpressions:
    """Implements the port ``Cron``."""

    def latest(self, expression: str, at: datetime) -> datetime | None:
        """Tell the latest slot that is not after a moment, in its time zone; None if never."""
        # Going back, cronsim leaves out the moment that it starts from.
        return _next(expression, at + MOMENT, reverse=True)

    def following(self, expression: str, at: datetime) -> datetime | None:
        """Tell the first slot after a moment, in its time zone; None if never."""
        return _next(expression, at, reverse=False)


def check_cron(expression: str) -> None:
    """Refuse what is no cron expression of five fields.

    Raises:
        ValueError: With what is wrong.
    """
    from cronsim import CronSim, CronSimError

    if len(expression.split()) != 5:
        raise ValueError("Wrong number of fields")
    try:
        CronSim(expression, datetime(2026, 1, 1))
    except CronSimError as e:
        raise ValueError(str(e)) from e


def _next(expression: str, at: datetime, *, reverse: bool) -> datetime | None:
    from cronsim import CronSim

    found: datetime | None = next(CronSim(expression, at, reverse=reverse), None)
    return found
