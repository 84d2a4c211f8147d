"""Where the time of one run goes: to our code, to SQLAlchemy, to the driver and the database."""

from __future__ import annotations

import cProfile
import pstats
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

GROUPS = (
    ("database and driver", r"[/\\](psycopg\w*|pysqlite3)[/\\]|sqlite3\.|psycopg"),
    ("SQLAlchemy", r"[/\\]sqlalchemy[/\\]|sqlalchemy\."),
    ("reading the sheet's process", r"subprocess|posix|BufferedReader|json[/\\]|_json"),
    ("crm_adapters", r"[/\\]crm_adapters[/\\]"),
    ("crm_domain", r"[/\\]crm_domain[/\\]"),
)
LINES = 14


def profiled(work: Callable[[], Any]) -> str:
    """Run something once under cProfile and tell the most expensive lines.

    The C driver of PostgreSQL shows as the Python function that waits for the server.
    """
    profile = cProfile.Profile()
    profile.runcall(work)
    stats: dict[tuple[str, int, str], tuple[int, int, float, float, Any]]
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    whole = sum(s[2] for s in stats.values()) or 1.0
    shares: dict[str, float] = defaultdict(float)
    for place, (_, _, own, _, _) in stats.items():
        shares[_group(place)] += own
    listed = sorted(shares.items(), key=lambda s: -s[1])
    lines = [", ".join(f"{group} {own / whole:.0%}" for group, own in listed)
             + f" of {whole:.2f} s under the profiler"]  # fmt: skip
    lines.append("  calls   own s  whole s  function")
    ranked = sorted(stats.items(), key=lambda s: -s[1][2])[:LINES]
    lines += [
        f"{calls:7d} {own:7.3f} {total:8.3f}  {_short(place)}"
        for place, (_, calls, own, total, _) in ranked
    ]
    return "\n".join(lines)


def _group(place: tuple[str, int, str]) -> str:
    text = f"{place[0]} {place[2]}"
    return next((g for g, pattern in GROUPS if re.search(pattern, text)), "other Python")


def _short(place: tuple[str, int, str]) -> str:
    file, line, function = place
    if file == "~":
        return function
    return f"{'/'.join(PurePath(file).parts[-2:])}:{line} {function}"
