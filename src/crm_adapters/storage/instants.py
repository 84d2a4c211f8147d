"""The database's own time, in the words of each engine.

Leases are given and end by it, so that the clocks of the processes need not agree.
"""

from __future__ import annotations

from collections.abc import Mapping

SET_BACK = 600
"""Seconds that a clock may be set back without anybody taking over what is still leased."""


def words(on_sqlite: bool) -> Mapping[str, str]:
    """Give the present moment and what is reckoned from it.

    Returns:
        ``now``; ``lease``, which is ``:seconds`` later; ``future``, from when on nothing is
        believed that is said to have happened; and ``endless``, from when on no lease of
        ``:seconds`` is believed, because only a clock that was set back since can have given it.
    """
    if on_sqlite:
        now = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000"
        later = f"{now} + CAST(%s * 1000000 AS INTEGER)"
    else:
        now, later = "clock_timestamp()", "clock_timestamp() + make_interval(secs => %s)"
    return {
        "now": now, "lease": later % ":seconds", "future": later % SET_BACK,
        "endless": later % f"(:seconds + {SET_BACK})",
    }  # fmt: skip
