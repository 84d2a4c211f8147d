"""Leases: who is at something, and until when, by the clock of the database that all share."""

from __future__ import annotations

SET_BACK = 600
"""Seconds that a clock may be set back without a lease being taken for one of the future."""


def words(on_sqlite: bool) -> dict[str, str]:
    """Give the database's own time and what is reckoned from it, in its words.

    Args:
        on_sqlite: Which of the two databases.

    Returns:
        ``now``; ``lease``, which is the parameter ``seconds`` later; ``future``, before which no
        honest clock is.
    """
    if on_sqlite:
        now = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000"
        later = f"{now} + CAST(%s * 1000000 AS INTEGER)"
    else:
        now, later = "clock_timestamp()", "clock_timestamp() + make_interval(secs => %s)"
    return {"now": now, "lease": later % ":seconds", "future": later % SET_BACK}
