"""Our own linearizability checker (Wing and Gong, with Lowe's memo), and the model it checks.

A history is what clients saw: calls that overlap in real time, each with what it answered. It is
linearizable when every call can be given one instant between its beginning and its end such that
the answers are those of one customer's register in which the calls happen one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

S = TypeVar("S")
NEVER = float("inf")
"""The end of a call that was never answered: it may have happened later, or not at all."""


class Call(NamedTuple):
    """One call as its client saw it."""

    begun: float
    ended: float
    op: Any


def linearizable(
    history: Sequence[Call], initial: S, step: Callable[[S, Any], S | None]
) -> bool:  # fmt: skip
    """Whether some order of the calls explains all answers.

    Args:
        history: The calls.
        initial: The state at the beginning; states must be hashable.
        step: Gives the state after an operation, None when its answer is impossible in that state.
    """
    events = sorted(
        [(c.begun, 0, i) for i, c in enumerate(history)]
        + [(c.ended, 1, i) for i, c in enumerate(history) if c.ended != NEVER]
    )
    # A linked list of the events that are not placed yet; -1 is its head.
    n = len(events)
    after = {**{e: e + 1 for e in range(-1, n)}, n: n}
    before = {e: e - 1 for e in range(n + 1)}
    end_of = {i: e for e, (_, ended, i) in enumerate(events) if ended}

    def lift(e: int) -> None:
        after[before[e]], before[after[e]] = after[e], before[e]

    def put_back(e: int) -> None:
        after[before[e]] = before[after[e]] = e

    state, placed, unanswered = initial, 0, len(end_of)
    seen: set[tuple[int, S]] = set()
    taken: list[tuple[int, S]] = []
    e = after[-1]
    while unanswered:
        ended, i = (True, -1) if e == n else (bool(events[e][1]), events[e][2])
        if not ended:
            following = step(state, history[i].op)
            key = (placed | 1 << i, following)
            if following is not None and key not in seen:
                seen.add(key)  # type: ignore[arg-type]
                taken.append((e, state))
                state, placed = following, placed | 1 << i
                lift(e)
                if i in end_of:
                    lift(end_of[i])
                    unanswered -= 1
                e = after[-1]
            else:
                e = after[e]
            continue
        # A call that is not placed ends here, so one placed before it was placed wrongly.
        if not taken:
            return False
        e, state = taken.pop()
        i = events[e][2]
        placed &= ~(1 << i)
        if i in end_of:
            put_back(end_of[i])
            unanswered += 1
        put_back(e)
        e = after[e]
    return True


# -- the register of one customer ---------------------------------------------------------------


class Register(NamedTuple):
    """What decides about one customer."""

    owner: int | None = None
    last: int | None = None
    received: date | None = None
    contacted: date | None = None

    def public(self, day: date) -> bool:
        """Whether anybody may claim on a day: 3 days without contact, or 15 without closing."""
        if self.owner is None or self.received is None or self.contacted is None:
            return True
        return day > self.received + timedelta(15) or day > self.contacted + timedelta(3)


ABSENT = Register(owner=-1)
"""A customer that is not entered yet."""


class Op(NamedTuple):
    """An operation on one customer with its answer."""

    kind: str
    """``register``, ``claim``, ``follow_up``, ``release``, ``expire`` or ``read``."""
    by: int | None = None
    ok: bool = True
    at: datetime | None = None
    """The moment at which it took effect, of one that did."""
    between: tuple[datetime, datetime] | None = None
    """The clock at the beginning and the end of one that was refused."""
    saw: tuple[int | None, int | None] | None = None
    """Owner and last consultant as a read saw them."""


def _day(at: datetime | None) -> date:
    assert at is not None
    return (at + timedelta(hours=8)).date()


def step(state: Register, op: Op) -> Register | None:
    """The law of one customer: an independent statement of spec sections 4 and 5."""
    if op.kind == "register":
        day = _day(op.at)
        return Register(op.by, op.by, day, day) if state == ABSENT else None
    if state == ABSENT:
        return None
    if op.kind == "read":
        return state if op.saw == (state.owner, state.last) else None
    if op.ok:
        return _done(state, op)
    first, last = (_day(at) for at in op.between or ())
    if op.kind == "claim":
        refusable = not state.public(first) or state.last == op.by
    else:
        refusable = state.owner != op.by or state.public(last)
    return state if refusable else None


def _done(state: Register, op: Op) -> Register | None:
    day = _day(op.at)
    if op.kind == "claim":
        allowed = state.public(day) and state.last != op.by
        return Register(op.by, op.by, day, day) if allowed else None
    if op.kind == "expire":
        return Register(None, state.last) if state.owner and state.public(day) else None
    if state.owner != op.by or state.public(day):
        return None
    if op.kind == "release":
        return Register(None, state.last)
    assert op.kind == "follow_up" and state.contacted
    return state._replace(contacted=max(state.contacted, day))
