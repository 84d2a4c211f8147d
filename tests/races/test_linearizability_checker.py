"""The checker itself: it accepts what is legal and rejects what is not."""

from datetime import UTC, datetime, timedelta

import pytest

from races.linearizability import NEVER, Call, Op, Register, linearizable, step

START = datetime(2026, 11, 1, 2, tzinfo=UTC)
POOLED = Register()


def at(days: float) -> datetime:
    """Give a moment so many days after the start."""
    return START + timedelta(days=days)


def claimed(by: int, days: float = 0) -> Op:
    """A claim that was won."""
    return Op("claim", by, at=at(days))


def refused(kind: str, by: int, first: float = 0, last: float = 0) -> Op:
    """Something that was refused."""
    return Op(kind, by, ok=False, between=(at(first), at(last)))


def read(owner: int | None, last: int | None) -> Op:
    """A read."""
    return Op("read", saw=(owner, last))


LEGAL = {
    "one of two claims at once wins": [
        Call(0, 5, claimed(1)), Call(1, 4, refused("claim", 2)), Call(6, 7, read(1, 1)),
    ],
    "a refusal may be ordered before the claim that began later": [
        Call(0, 9, refused("follow_up", 1)), Call(1, 2, claimed(1)),
        Call(3, 4, Op("follow_up", 1, at=at(0))),
    ],
    "an unanswered claim may have happened": [
        Call(0, NEVER, claimed(1)), Call(5, 6, refused("claim", 2)), Call(7, 8, read(1, 1)),
    ],
    "an unanswered claim may never have happened": [
        Call(0, NEVER, claimed(1)), Call(5, 6, read(None, None)), Call(7, 8, claimed(2)),
    ],
    "claimed, expired, claimed by another": [
        Call(0, 1, claimed(1)), Call(2, 5, Op("expire", at=at(4))),
        Call(3, 6, refused("claim", 1, 4, 4)), Call(6, 7, claimed(2, 4)),
    ],
    "given back, and the last consultant may not claim": [
        Call(0, 1, claimed(1)), Call(2, 3, Op("release", 1, at=at(0))),
        Call(4, 5, read(None, 1)), Call(6, 7, refused("claim", 1)), Call(8, 9, claimed(2)),
    ],
}  # fmt: skip
ILLEGAL = {
    "two claims won": [Call(0, 5, claimed(1)), Call(1, 4, claimed(2))],
    "a read after the answer misses the claim": [
        Call(0, 1, claimed(1)), Call(2, 3, read(None, None)),
    ],
    "a read goes back in time": [
        Call(0, 9, claimed(1)), Call(1, 2, read(1, 1)), Call(3, 4, read(None, None)),
    ],
    "a follow-up by who does not own": [
        Call(0, 1, claimed(1)), Call(2, 3, Op("follow_up", 2, at=at(0))),
    ],
    "the last consultant claims again": [
        Call(0, 1, claimed(1)), Call(2, 3, Op("release", 1, at=at(0))), Call(4, 5, claimed(1)),
    ],
    "refused although it was free": [Call(0, 1, refused("claim", 1)), Call(2, 3, claimed(2))],
    "taken back a day too early": [
        Call(0, 1, claimed(1)), Call(2, 3, Op("expire", at=at(3))),
    ],
    "a follow-up was forgotten": [
        Call(0, 1, claimed(1)), Call(2, 3, Op("follow_up", 1, at=at(3))),
        Call(4, 5, Op("expire", at=at(4))),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", LEGAL)
def test_a_legal_history_is_accepted(name: str) -> None:
    """Some order of the calls explains all answers."""
    assert linearizable(LEGAL[name], POOLED, step)


@pytest.mark.parametrize("name", ILLEGAL)
def test_an_illegal_history_is_rejected(name: str) -> None:
    """No order of the calls explains all answers."""
    assert not linearizable(ILLEGAL[name], POOLED, step)


def test_the_memo_keeps_many_overlapping_calls_cheap() -> None:
    """A dozen refusals at once, which have 12! orders, are searched by their sets."""
    history = [Call(i, 100 + i, refused("claim", i % 3 + 2)) for i in range(12)]
    history += [Call(50, 51, read(1, 1)), Call(200, 201, read(None, None))]
    assert not linearizable(history, Register(1, 1, START.date(), START.date()), step)
