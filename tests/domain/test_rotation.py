"""Weight decides the order, quota the share, and no turn is lost (spec section 3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_domain.rules.rotation import (
    STRATEGIES,
    Cursor,
    Entry,
    PassedOver,
    Turn,
    deal,
    rotation,
    rounds,
    smooth,
)
from strategies import entries

A, B, C = 1, 2, 3
EXAMPLE = (Entry(A, 3, 10), Entry(B, 1, 5), Entry(C, 2, 1))
START = Cursor(1, 0)


def everybody(_employee: int, _dealt: Mapping[int, int]) -> str | None:
    return None


def without(*absent: int):
    return lambda employee, _dealt: "on_leave" if employee in absent else None


def ids(turns: Sequence[Turn]) -> list[int]:
    return [turn.employee_id for turn in turns]


def by_hand(plan: Sequence[Entry]) -> list[int]:
    """Lay one cycle out the slow way: pick the best remaining entry, round by round."""
    left = {e.employee_id: e.quota for e in plan if e.active}
    weight = {e.employee_id: e.weight for e in plan}
    cycle: list[int] = []
    while any(n > 0 for n in left.values()):
        waiting = [e for e, n in left.items() if n > 0]
        while waiting:
            best = waiting[0]
            for e in waiting:
                if weight[e] > weight[best] or (weight[e] == weight[best] and e < best):
                    best = e
            waiting.remove(best)
            cycle.append(best)
            left[best] -= 1
    return cycle


# The layout of one cycle


def test_weights_decide_the_order_and_quotas_the_share():
    """The example of the spec: weights 10/5/1 with quotas 3/1/2 give a b c a c a."""
    assert list(rounds(EXAMPLE)) == [A, B, C, A, C, A]


def test_the_order_in_which_entries_are_given_does_not_matter():
    """A plan is a set: its layout depends on weights and ids alone."""
    assert list(rounds(EXAMPLE[::-1])) == [A, B, C, A, C, A]


def test_equal_weights_go_by_the_smallest_employee_id():
    """Ties are broken by the employee's id, as numbers."""
    plan = [Entry(10, 1), Entry(9, 2), Entry(100, 1)]
    assert list(rounds(plan)) == [9, 10, 100, 9]


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES.keys())
def test_quota_zero_and_inactive_entries_take_no_part(strategy):
    """Who has no quota or is inactive gets no place, whatever the weight."""
    plan = [Entry(A, 0, 99), Entry(B, 5, 98, active=False), Entry(C, 2, 1)]
    assert list(strategy(plan)) == [C, C]


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES.keys())
@pytest.mark.parametrize("plan", [(), (Entry(A, 0),), (Entry(A, 3, active=False),)])
def test_a_plan_of_nobody_lays_out_nothing(strategy, plan):
    """No entry that takes part means an empty cycle, not an endless one."""
    assert list(strategy(plan)) == []


@given(entries())
def test_rounds_agrees_with_the_rule_carried_out_by_hand(plan):
    """The lazy layout equals the spec's rounds, written out with plain lists."""
    assert list(rounds(plan)) == by_hand(plan)


@given(entries())
def test_smooth_gives_the_same_shares_as_rounds(plan):
    """The strategies differ in the order of a cycle only."""
    assert Counter(smooth(plan)) == Counter(rounds(plan))


def unevenness(cycle: Sequence[int]) -> int:
    """Tell how far anybody's count ever is from the exact share, in turns times the length."""
    share, seen, worst = Counter(cycle), Counter(), 0
    for n, employee in enumerate(cycle, 1):
        seen[employee] += 1
        worst = max(worst, *(abs(seen[e] * len(cycle) - n * share[e]) for e in share))
    return worst


def longest_wait(cycle: Sequence[int]) -> int:
    """Tell how many places anybody has at most from one turn to the next, cycle after cycle."""
    twice = [*cycle, *cycle]
    return max(twice.index(e, at + 1) - at for at, e in enumerate(cycle))


@given(entries(min_size=1))
def test_smooth_is_spread_at_least_as_evenly_as_rounds(plan):
    """Nobody is further from the exact share, nor waits longer than the longest wait of rounds."""
    one, other = list(smooth(plan)), list(rounds(plan))
    if one:
        assert unevenness(one) <= unevenness(other)
        assert longest_wait(one) <= longest_wait(other)


def test_smooth_interleaves_where_rounds_bunches():
    """With quotas 4 and 2 the big one gets no four turns in a row."""
    plan = [Entry(A, 4, 2), Entry(B, 2, 1)]
    assert list(rounds(plan)) == [A, B, A, B, A, A]
    assert list(smooth(plan)) == [A, B, A, A, B, A]


# The endless rotation


def test_the_rotation_repeats_its_cycle_for_ever():
    """It is lazy and infinite, and every cycle is the same."""
    first = list(islice(rotation(EXAMPLE), 6_000))
    assert first == [A, B, C, A, C, A] * 1_000


@given(entries(), st.integers(0, 100))
def test_a_rotation_begins_at_any_position(plan, position):
    """Starting at a position is the same as leaving out the turns before it."""
    assert list(islice(rotation(plan, position), 20)) == list(
        islice(rotation(plan), position, position + 20)
    )


def test_a_rotation_of_nobody_ends_at_once():
    """An empty plan yields nothing instead of searching for ever."""
    assert next(rotation([Entry(A, 0)]), None) is None


def test_a_rotation_takes_any_strategy():
    """How a cycle is laid out can be chosen."""
    backwards = rotation(EXAMPLE, strategy=lambda plan: reversed(list(rounds(plan))))
    assert list(islice(backwards, 7)) == [A, C, A, C, B, A, A]


# Dealing turns


def test_dealing_walks_the_cycle_and_begins_it_again():
    """Eight turns are the cycle and the first two places of the next one."""
    lane = list(rounds(EXAMPLE))
    turns, cursor = deal(START, lane, lane, 8, everybody)
    assert ids(turns) == [A, B, C, A, C, A, A, B]
    assert [(t.cycle, t.position) for t in turns[4:]] == [(1, 4), (1, 5), (2, 0), (2, 1)]
    assert cursor == Cursor(2, 2)


@given(entries(), st.integers(1, 9), st.integers(0, 40))
def test_everybody_present_gets_what_the_rotation_says(plan, cycle, n):
    """Dealing with nobody absent is the pure iterator with cycle and position noted."""
    lane = list(rounds(plan))
    turns, _ = deal(Cursor(cycle, 0), lane, lane, n, everybody)
    assert ids(turns) == list(islice(rotation(plan), n))


def one_by_one(cursor: Cursor, running, following, batches: Sequence[int], limit, absent):
    """Deal batches as a school does: what was dealt counts, the plan changes at the boundary."""
    all_turns: list[Turn] = []
    begun = cursor.cycle
    for n in batches:
        had = Counter(ids(all_turns))

        def absence(e, dealt, had=had):
            if e in absent:
                return "on_leave"
            return "at_limit" if had[e] + dealt.get(e, 0) >= limit.get(e, 10**9) else None

        lane = running if cursor.cycle == begun else following
        turns, cursor = deal(cursor, lane, following, n, absence)
        all_turns += turns
    return all_turns, cursor


@given(
    running=entries(),
    following=entries(),
    batches=st.lists(st.integers(0, 7), max_size=6),
    absent=st.sets(st.integers(1, 30), max_size=4),
    limit=st.dictionaries(st.integers(1, 30), st.integers(0, 6), max_size=10),
    data=st.data(),
)
def test_turns_dealt_one_by_one_and_in_batches_are_the_same(
    running, following, batches, absent, limit, data
):
    """However many are drawn at once, the same customers go to the same consultants."""
    lane, then = list(rounds(running)), list(rounds(following))
    start = Cursor(4, data.draw(st.integers(0, len(lane))))
    single = one_by_one(start, lane, then, [1] * sum(batches), limit, absent)
    batched = one_by_one(start, lane, then, batches, limit, absent)
    assert batched == single


def model(cursor: Cursor, running, following, n, absent):
    """Write the places of the running cycle and many following ones in a row and cross them off."""
    row = [(cursor.cycle, p, e) for p, e in enumerate(running)][cursor.position :]
    for cycle in range(cursor.cycle + 1, cursor.cycle + n + 3):
        row += [(cycle, p, e) for p, e in enumerate(following)]
    turns, skipped = [], []
    for cycle, position, e in row:
        if len(turns) == n:
            break
        if e in absent:
            skipped.append(PassedOver(e, "on_leave"))
        else:
            turns.append(Turn(e, cycle, position, tuple(skipped)))
            skipped = []
    return turns


@given(
    running=entries(),
    following=entries(),
    n=st.integers(0, 25),
    absent=st.sets(st.integers(1, 30), max_size=12),
    data=st.data(),
)
def test_dealing_agrees_with_a_row_of_places_crossed_off(running, following, n, absent, data):
    """Turns, explanations and the cursor are those of a list on paper."""
    lane, then = list(rounds(running)), list(rounds(following))
    start = Cursor(4, data.draw(st.integers(0, len(lane))))
    turns, cursor = deal(start, lane, then, n, without(*absent))
    assert turns == model(start, lane, then, n, absent)
    last = turns[-1] if turns else None
    assert cursor == (Cursor(last.cycle, last.position + 1) if last else start)


@given(entries(min_size=1), st.integers(0, 60), st.sets(st.integers(1, 30), max_size=4))
def test_every_place_is_used_exactly_once(plan, n, absent):
    """Taken and passed-over turns together are the places in order, none twice, none left out."""
    lane = list(rounds(plan))
    turns, _ = deal(START, lane, lane, n, without(*absent))
    used = [e for t in turns for e in (*(p.employee_id for p in t.passed_over), t.employee_id)]
    assert used == list(islice(rotation(plan), len(used)))
    places = [(t.cycle, t.position) for t in turns]
    assert places == sorted(set(places))


def test_a_changed_plan_takes_effect_at_the_next_cycle_boundary():
    """The running cycle is finished as it was laid out; the next one is the new plan's."""
    old, new = [A, B, C, A, C, A], [C, B]
    turns, cursor = deal(Cursor(5, 4), old, new, 5, everybody)
    assert [(t.cycle, t.position, t.employee_id) for t in turns] == [
        (5, 4, C), (5, 5, A), (6, 0, C), (6, 1, B), (7, 0, C),
    ]  # fmt: skip
    assert cursor == Cursor(7, 1)


def test_a_cursor_at_the_end_of_its_cycle_begins_the_next_one():
    """The end of a cycle is no place of its own, also when the next cycle is a shorter one."""
    turns, cursor = deal(Cursor(5, 6), [A, B, C, A, C, A], [B], 1, everybody)
    assert turns == [Turn(B, 6, 0)]
    assert cursor == Cursor(6, 1)


def test_a_plan_emptied_of_everybody_still_finishes_its_running_cycle():
    """The last places are dealt, then there is nobody."""
    turns, cursor = deal(Cursor(5, 1), [A, B, C], [], 9, everybody)
    assert ids(turns) == [B, C]
    assert cursor == Cursor(5, 3)


def test_somebody_absent_is_passed_over_and_the_assignment_can_say_so():
    """The turn goes to the next in order, with who was passed over and why."""
    turns, cursor = deal(START, [A, B, C], [A, B, C], 2, without(A, B))
    assert turns == [
        Turn(C, 1, 2, (PassedOver(A, "on_leave"), PassedOver(B, "on_leave"))),
        Turn(C, 2, 2, (PassedOver(A, "on_leave"), PassedOver(B, "on_leave"))),
    ]
    assert cursor == Cursor(2, 3)


def test_there_is_no_flood_when_somebody_returns():
    """Turns passed over are used up: back at work, one gets one's plain share."""
    lane = [A, B]
    away, cursor = deal(START, lane, lane, 10, without(A))
    back, _ = deal(cursor, lane, lane, 10, everybody)
    assert ids(away) == [B] * 10
    assert Counter(ids(back)) == {A: 5, B: 5}


def test_a_limit_reached_within_a_batch_passes_over_at_once():
    """What this very batch has dealt counts for the limit."""
    lane = [A, B]

    def two_for_a(e, dealt):
        return "at_limit" if e == A and dealt.get(A, 0) >= 2 else None

    turns, _ = deal(START, lane, lane, 5, two_for_a)
    assert ids(turns) == [A, B, A, B, B]
    assert turns[-1].passed_over == (PassedOver(A, "at_limit"),)


@given(st.integers(0, 6), st.integers(1, 5))
def test_nobody_available_leaves_the_cursor_unchanged(position, n):
    """A vain search costs no turn, wherever in the cycle it began."""
    lane = [A, B, C, A, C, A]
    start = Cursor(3, position)
    assert deal(start, lane, lane, n, without(A, B, C)) == ([], start)


def test_fewer_turns_come_back_when_everybody_reaches_the_limit():
    """The batch gets what there is, and the cursor stands behind the last turn taken."""
    lane = [A, B, B]
    turns, cursor = deal(
        START, lane, lane, 9, lambda e, dealt: "at_limit" if dealt.get(e, 0) >= 2 else None
    )
    assert ids(turns) == [A, B, B, A]
    assert cursor == Cursor(2, 1)


def test_the_only_one_present_is_found_behind_the_whole_next_cycle():
    """Everybody of the coming cycle is asked before it is said that nobody is there."""
    turns, _ = deal(Cursor(1, 0), [A, A], [A, B, C], 1, without(A, B))
    assert [(t.cycle, t.position, t.employee_id) for t in turns] == [(2, 2, C)]
    assert len(turns[0].passed_over) == 4


@pytest.mark.parametrize("n", [0, 5])
def test_an_empty_plan_deals_nothing(n):
    """No plan means no turns and a cursor that stays."""
    assert deal(START, [], [], n, everybody) == ([], START)


def test_no_turns_asked_for_are_no_turns_dealt():
    """Zero customers move nothing."""
    assert deal(Cursor(2, 1), [A, B], [A, B], 0, everybody) == ([], Cursor(2, 1))
