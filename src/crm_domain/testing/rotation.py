"""What every rotation strategy keeps to, ours or a plugin's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice

from crm_domain.rules.rotation import Cursor, Entry, Strategy, deal, rotation

PLANS: tuple[tuple[Entry, ...], ...] = (
    (Entry(1, 1),),
    (Entry(1, 3, 10), Entry(2, 1, 5), Entry(3, 2, 1)),
    (Entry(3, 2, 1), Entry(2, 1, 5), Entry(1, 3, 10)),
    (Entry(5, 2), Entry(4, 2), Entry(9, 2)),
    (Entry(1, 7), Entry(2, 1), Entry(3, 0), Entry(4, 5, active=False)),
    tuple(Entry(i, i % 4, -i) for i in range(1, 40)),
)
"""Plans with one and many, with ties, in any order, with entries that take no part."""
EMPTY: tuple[tuple[Entry, ...], ...] = (
    (), (Entry(1, 0),), (Entry(1, 3, active=False), Entry(2, 0, 9)),
)  # fmt: skip
"""Plans in which nobody takes part."""


def _quotas(plan: Sequence[Entry]) -> dict[int, int]:
    return {e.employee_id: e.quota for e in plan if e.active and e.quota > 0}


class RotationContract:
    """Subclass it with the fixture ``strategy``."""

    def test_one_cycle_gives_everybody_the_quota(self, strategy: Strategy) -> None:
        """Quota alone decides the share; whoever is inactive or has none takes no part."""
        for plan in PLANS:
            assert Counter(strategy(plan)) == _quotas(plan)

    def test_an_empty_plan_gives_an_empty_cycle(self, strategy: Strategy) -> None:
        """With nobody in it, it ends at once instead of failing or going on for ever."""
        for plan in EMPTY:
            assert list(strategy(plan)) == []
            assert list(rotation(plan, 3, strategy)) == []

    def test_the_same_plan_gives_the_same_cycle(self, strategy: Strategy) -> None:
        """Every process lays out the same order, in whatever order it read the entries."""
        for plan in PLANS:
            first = list(strategy(plan))
            assert list(strategy(plan)) == first
            assert list(strategy(tuple(reversed(plan)))) == first

    def test_the_highest_weight_comes_first(self, strategy: Strategy) -> None:
        """Of equal quotas the weight decides the order, and of equal weights the number."""
        assert list(strategy((Entry(1, 1, 1), Entry(2, 1, 9), Entry(3, 1, 1)))) == [2, 1, 3]

    def test_it_leaves_the_plan_as_it_is(self, strategy: Strategy) -> None:
        """It reads a list and changes nothing in it."""
        plan = list(PLANS[1])
        list(strategy(plan))
        assert plan == list(PLANS[1])

    def test_it_goes_on_from_any_position(self, strategy: Strategy) -> None:
        """The rotation from a position on is the whole rotation without what came before."""
        for plan in PLANS:
            cycle = list(strategy(plan))
            whole = list(islice(rotation(plan, 0, strategy), 3 * len(cycle)))
            assert whole == cycle * 3
            for position in range(len(cycle) + 2):
                n = len(whole) - position
                assert list(islice(rotation(plan, position, strategy), n)) == whole[position:]

    def test_it_can_be_dealt_from(self, strategy: Strategy) -> None:
        """Dealing uses each place of the cycle once and ends where it began, a cycle later."""
        for plan in PLANS:
            cycle = list(strategy(plan))
            turns, after = deal(Cursor(1, 0), cycle, cycle, 2 * len(cycle), lambda _, __: None)
            assert [t.employee_id for t in turns] == cycle * 2
            assert after == Cursor(2, len(cycle))
