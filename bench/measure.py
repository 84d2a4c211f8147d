"""Two ways to do the same work, one after the other, several times over."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import attrs


class Wrong(Exception):
    """What was measured did not do its work rightly; its figure is worth nothing."""


def expect(condition: object, complaint: str) -> None:
    """Refuse figures of work that was not done.

    Raises:
        Wrong: The condition does not hold.
    """
    if not condition:
        raise Wrong(complaint)


@attrs.frozen
class Goal:
    """What a figure is held against: the ratio to hand-written SQL, and perhaps a bound."""

    ratio: float | None = None
    bound: float | None = None
    """In the unit of the figure."""
    higher: bool = False
    """Whether more is better, as with rates."""
    bound_from: int = 0
    """The bound counts from this size of the database on."""

    def says(self, unit: str) -> str:
        """Say it in a few signs."""
        sign = "≥" if self.higher else "≤"
        parts = [f"{sign} {self.ratio:g}x"] if self.ratio is not None else []
        parts += [f"{sign} {self.bound:g} {unit}"] if self.bound is not None else []
        return ", ".join(parts) or "-"

    def met(self, ratio: float | None, figure: float, size: int) -> bool | None:
        """Whether it is reached; None where there is no goal."""
        asked = []
        if self.ratio is not None and ratio is not None:
            asked.append(ratio >= self.ratio if self.higher else ratio <= self.ratio)
        if self.bound is not None and size >= self.bound_from:
            asked.append(figure >= self.bound if self.higher else figure <= self.bound)
        return all(asked) if asked else None


@attrs.frozen(kw_only=True)
class Result:
    """One line of the table."""

    work: str
    engine: str
    unit: str
    ours: Sequence[float]
    raw: Sequence[float] = ()
    goal: Goal = Goal()
    size: int = 0
    note: str = ""
    profile: str = ""
    fault: str = ""
    """What is wrong with how it is done, whatever the figure."""
    more: Mapping[str, Mapping[str, float]] | None = None
    """Of a page: the p50, p95 and rate of each server. Such lines have a table of their own."""

    @property
    def ratios(self) -> list[float]:
        """Ours to raw, pair by pair."""
        return [a / b for a, b in zip(self.ours, self.raw, strict=False)]

    @property
    def ratio(self) -> float | None:
        """The median of the ratios."""
        return median(self.ratios) if self.raw else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached."""
        return False if self.fault else self.goal.met(self.ratio, median(self.ours), self.size)


def alternate(
    pairs: int, ours: Callable[[], float], raw: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """Measure A B A B …; each call does the work once and gives its figure."""
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(pairs):
        for figures, work in zip(found, (ours, raw), strict=True):
            figures.append(work())
    return found


def timed(work: Callable[[], Any]) -> float:
    """Tell how many seconds a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def say(text: str) -> None:
    """Tell whoever waits how far it is."""
    print(text, file=sys.stderr, flush=True)
