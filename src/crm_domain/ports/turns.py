"""What the use cases need to keep of the rotation and of the pool rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

import attrs

from crm_domain.model import (
    Employee,
    PoolRule,
    RotationEntry,
)
from crm_domain.rules.rotation import Cursor, Entry


@attrs.frozen(kw_only=True)
class Mate:
    """What the rotation must know of an employee."""

    employee: Employee
    active: bool
    """Whether an enabled account that may claim customers belongs to the employee."""


@attrs.frozen(kw_only=True)
class PoolRules:
    """What the school decided about the pool."""

    rules: tuple[PoolRule, ...]
    holidays: Mapping[date, bool]
    """Days that the calendar treats otherwise than their weekday says; True is a working day."""
    version: int
    """Counts their changes."""


@attrs.frozen(kw_only=True)
class Dating:
    """That owned customers must be dated anew, and how far it has come."""

    after: int
    """Those with a higher number are still to be dated."""
    on: date
    """The local day on which the rules changed; who was public by then stays so."""
    version: int
    """Of the rules that made it necessary."""


@attrs.frozen(kw_only=True, eq=False)
class Roster:
    """A running plan, the plan of the following cycle, and the people of both.

    It is itself as long as nothing of it changes, so what is made of it can be kept.
    """

    plan: tuple[Entry, ...]
    next_plan: tuple[Entry, ...]
    version: int
    """Of the next plan; every plan that is set has a higher one."""
    strategy: str
    next_strategy: str
    mates: Mapping[int, Mate]
    pool: PoolRules
    """The pool rules, read with the rest so that an intake needs no statement for them."""


class Turns(Protocol):
    """The rotation's cursor, shared by every process."""

    def advance(self, n: int) -> tuple[Cursor, Roster]:
        """Take n places and keep others waiting until the end of the unit of work.

        Call it as late as can be. Returns where the rotation stood before, and the roster.
        """
        ...

    def move(self, cursor: Cursor, *, new_cycle: bool) -> None:
        """Say where the rotation stands instead, after `advance`.

        Args:
            cursor: The place.
            new_cycle: Whether a cycle boundary was crossed: the next plan is then the running one.
        """
        ...

    def peek(self) -> tuple[Cursor, Roster]:
        """Tell where the rotation stands, without waiting or changing anything."""
        ...

    def set_plan(self, entries: Sequence[RotationEntry], strategy: str, at: datetime) -> None:
        """Replace the plan from the next cycle on; the first plan takes effect at once."""
        ...

    def reset(self) -> None:
        """Drop the rest of the running cycle and begin a new one with the newest plan."""
        ...

    def people_changed(self) -> None:
        """Let every process read the people anew before its next turn."""
        ...

    def begin_dating(self, on: date) -> None:
        """Say that the pool rules changed on a day, so that all owned customers are dated anew."""
        ...

    def dating(self) -> Dating | None:
        """Tell which owned customers are still to be dated anew; None: none are."""
        ...

    def dated(self, dating: Dating, after: int | None) -> None:
        """Say how far the dating has come, unless the rules changed again or another went on.

        Args:
            dating: As it was read.
            after: The number of the last customer that was dated; None: all are.
        """
        ...
