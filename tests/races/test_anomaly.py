"""The anomaly loop: every command is killed at every database event, on both engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from races import crashes
from races.launcher import Launcher
from races.tasks import COMMANDS

ENGINES = ("sqlite", "postgresql")
STRIDES = {"sqlite": 1, "postgresql": 4}
"""A new database and a connection cost more on PostgreSQL: every fourth event and all COMMITs."""
Make = Callable[[str], Any]


@pytest.mark.parametrize(
    "engine", [pytest.param(e, marks=pytest.mark.xdist_group(f"races-{e}")) for e in ENGINES]
)
def test_a_kill_at_any_event_breaks_no_law_and_a_retry_completes(
    engine: str, copies: Make, launcher: Launcher, memory: Path
) -> None:
    """Each command is done or undone at every crash point; doing it again gives the same end."""
    source = copies(engine)
    world = crashes.build(source.url, memory)
    count, problems = 0, []
    for name in COMMANDS:
        loop = crashes.Anomalies(source, launcher, memory, world, name)
        points = loop.points(STRIDES[engine])
        problems += loop.problems(points)
        count += len(points)
    print(engine, count, "crash points")
    assert problems == []
    assert count >= 50


@pytest.mark.xdist_group("races-sqlite")
@pytest.mark.parametrize(
    ("name", "mutant"),
    [
        ("register", "turns_commit_alone"),
        ("claim", "notices_come_after_the_commit"),
        ("import", "progress_commits_alone"),
    ],
)
def test_control_a_split_transaction_is_found_at_some_event(
    name: str, mutant: str, copies: Make, launcher: Launcher, memory: Path
) -> None:
    """Where a command commits in two parts, the loop finds the crash point between them."""
    source = copies("sqlite")
    world = crashes.build(source.url, memory)
    loop = crashes.Anomalies(source, launcher, memory, world, name, mutant)
    assert next(loop.problems(loop.points()), None) is not None
