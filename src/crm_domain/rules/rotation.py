"""Who gets the next new customer (spec section 3).

Weight decides the order, quota alone decides the share. A strategy lays one cycle out; `rotation`
repeats it for ever; `deal` walks it from a cursor, passing over whoever is absent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count

import attrs


@attrs.frozen
class Entry:
    """One consultant's place in a plan."""

    employee_id: int
    quota: int
    """Turns in one cycle; 0 takes part in none."""
    weight: int = 0
    """The higher, the earlier in the cycle; ties go to the smaller employee id."""
    active: bool = True


Strategy = Callable[[Sequence[Entry]], Iterator[int]]
"""Lays out one cycle: entries in, the employee id of each place out, lazily."""


def _taking_part(entries: Sequence[Entry]) -> list[Entry]:
    found = [e for e in entries if e.active and e.quota >= 1]
    return sorted(found, key=lambda e: (-e.weight, e.employee_id))


def rounds(entries: Sequence[Entry]) -> Iterator[int]:
    """Lay out one cycle in rounds: in round r everybody with r < quota takes one place."""
    order = _taking_part(entries)
    for r in count():
        order = [e for e in order if r < e.quota]
        if not order:
            return
        for entry in order:
            yield entry.employee_id


def smooth(entries: Sequence[Entry]) -> Iterator[int]:
    """Lay out one cycle with the same shares, spread as evenly as can be.

    The smooth weighted round robin of nginx: each place goes to whoever is furthest behind the
    share that the quota gives.
    """
    order = _taking_part(entries)
    total = sum(e.quota for e in order)
    credit = {e.employee_id: 0 for e in order}
    for _ in range(total):
        for e in order:
            credit[e.employee_id] += e.quota
        chosen = max(order, key=lambda e: credit[e.employee_id])
        credit[chosen.employee_id] -= total
        yield chosen.employee_id


STRATEGIES: dict[str, Strategy] = {"rounds": rounds, "smooth": smooth}
"""The strategies that come with the core; plugins may give more (``crm_rotation_strategies``)."""


def rotation(
    entries: Sequence[Entry], position: int = 0, strategy: Strategy = rounds
) -> Iterator[int]:
    """Yield the consultants from a position on, cycle after cycle, for ever.

    This is the rule where nobody is absent and the plan stays (spec section 3). `deal` walks the
    same cycles with absences, and across a change of the plan; tests hold one against the other.

    Args:
        entries: The plan.
        position: Turns to leave out first, counted from the beginning of a cycle.
        strategy: How a cycle is laid out.

    Yields:
        Employee ids; nothing at all when nobody takes part.
    """
    cycle = tuple(strategy(entries))
    if not cycle:
        return
    for place in count(position):
        yield cycle[place % len(cycle)]


@attrs.frozen
class Cursor:
    """Where the rotation stands: the next turn is ``position`` of ``cycle``."""

    cycle: int
    position: int
    """Counted from 0. It may equal the cycle's length: the next turn then begins a new cycle."""


@attrs.frozen
class PassedOver:
    """A turn that nobody could take."""

    employee_id: int
    reason: str
    """A stable code: ``off_duty``, ``on_leave``, ``left``, ``no_account``, ``at_limit``."""


@attrs.frozen
class Turn:
    """One place of the rotation that was taken."""

    employee_id: int
    cycle: int
    position: int
    passed_over: tuple[PassedOver, ...] = ()


def deal(
    cursor: Cursor,
    running: Sequence[int],
    following: Sequence[int],
    n: int,
    absence: Callable[[int, Mapping[int, int]], str | None],
) -> tuple[list[Turn], Cursor]:
    """Deal n turns from a cursor.

    Args:
        cursor: Where the rotation stands.
        running: The cycle that is running, laid out.
        following: The cycle that comes next, laid out (another one when the plan was changed).
        n: How many turns are wanted.
        absence: Tells why an employee cannot take a customer now (None: can), given how many this
            call has dealt to each.

    Returns:
        The turns, fewer than n when a whole cycle passed over everybody, and where the rotation
        stands afterwards. A vain search leaves the cursor where it was.
    """
    turns: list[Turn] = []
    dealt: dict[int, int] = {}
    cycles = {cursor.cycle: running}
    for _ in range(n):
        lane = cycles.get(cursor.cycle, following)
        turn = _next_turn(cursor, lane, following, lambda e: absence(e, dealt))
        if turn is None:
            break
        turns.append(turn)
        dealt[turn.employee_id] = dealt.get(turn.employee_id, 0) + 1
        cursor = Cursor(turn.cycle, turn.position + 1)
    return turns, cursor


def _next_turn(
    cursor: Cursor,
    lane: Sequence[int],
    following: Sequence[int],
    absence: Callable[[int], str | None],
) -> Turn | None:
    cycle, position = cursor.cycle, cursor.position
    passed: list[PassedOver] = []
    # Everybody has been asked after the rest of this cycle and the whole of the following one.
    for _ in range(max(0, len(lane) - position) + len(following)):
        if position >= len(lane):
            cycle, position, lane = cycle + 1, 0, following
        reason = absence(lane[position])
        if reason is None:
            return Turn(lane[position], cycle, position, tuple(passed))
        passed.append(PassedOver(lane[position], reason))
        position += 1
    return None
