"""What the use cases need to know of the work with customers: what was done, by whom, how often."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol, TypeVar

import attrs

from crm_domain.model import Assignment, FollowUp, HappeningKind, Payment, Stage
from crm_domain.ports.query import MOST, Page, Query, Tally
from crm_domain.ports.reach import Reach

T = TypeVar("T", Assignment, FollowUp, Payment)
STAGE = "stage"
"""In a query for assignments: the furthest that a customer came in that time."""


TOLD_OTHERWISE = ("claim", "follow_up")
"""Actions of the log that are no changes among the happenings: a record of their own tells."""


@attrs.frozen(kw_only=True)
class Now:
    """The moment of asking, as lists of the past need it."""

    today: date
    midnight: datetime
    """When the local day began. Whoever fell due counts as ended then, until a sweep says when."""


@attrs.frozen(kw_only=True)
class Period:
    """Two ends of a time, both included."""

    since: datetime
    until: datetime

    @property
    def ends(self) -> tuple[datetime, datetime]:
        """As a query has them."""
        return self.since, self.until


@attrs.frozen(kw_only=True)
class Happening:
    """One thing that happened with a customer."""

    kind: HappeningKind
    at: datetime
    number: int
    """Of the record that tells of it."""


@attrs.frozen(kw_only=True)
class Counted:
    """What was counted of one consultant."""

    owned: int = 0
    due: int = 0
    expiring: int = 0
    follow_ups: int = 0
    received: int = 0
    converted: int = 0
    """Of what was received in the period, what was won by now."""
    claimed: int = 0
    lost: int = 0
    won: int = 0
    turnover: Decimal = Decimal(0)
    ages: tuple[int, ...] = ()
    """Of what is owned, how much was contacted last within each of the times asked for."""


Ends = tuple[datetime | None, datetime | None]
"""The ends of a time, both included; None leaves one open."""


class Work(Protocol):
    """Assignments, follow-ups and payments of consultants within a reach, listed and counted."""

    def page(self, cls: type[T], query: Query, reach: Reach, now: Now) -> Page[T]:
        """Read one page, the newest first.

        Of assignments one that fell due is shown as ended already. Of follow-ups with customers
        that are out of reach by now nobody reads, or asks for, what was said and agreed upon.

        Args:
            cls: ``Assignment``, ``FollowUp`` or ``Payment``.
            query: What is asked; of assignments also by `STAGE`. A search is in the texts.
            reach: Whose work; what became of the customer afterwards does not matter.
            now: The moment of asking.
        """
        ...

    def tally(self, cls: type[Any], query: Query, reach: Reach, now: Now, facets: Sequence[str], *,
              most: int = MOST) -> Tally:  # fmt: skip
        """Count what `page` would give, and the values of some fields of it."""
        ...

    def funnel(self, reach: Reach, period: Period) -> dict[Stage, int]:
        """Count the assignments that began in a period, by how far each came."""
        ...

    def team(self, reach: Reach, period: Period, now: Now, *, contact_by: datetime,
             expiring_on: date, ages: Sequence[Ends] = ()) -> dict[int, Counted]:  # fmt: skip
        """Count what the consultants within a reach own, and did in a period.

        The number of statements does not depend on how many they are.

        Args:
            reach: Whose.
            period: Of the work; what is owned is counted now.
            now: The moment of asking.
            contact_by: A next contact until then is due.
            expiring_on: Who is public on this day expires soon.
            ages: Times of the last contact, by which what is owned is counted.

        Returns:
            By consultant; only those of whom anything was counted.
        """
        ...

    def happenings(
        self, customer_id: int, kinds: Sequence[HappeningKind], ended_at: datetime | None,
        period: tuple[datetime | None, datetime | None], limit: int,
        before: tuple[datetime, HappeningKind, int] | None,
    ) -> tuple[Happening, ...]:  # fmt: skip
        """Read what happened with a customer, the newest first.

        Args:
            customer_id: The customer.
            kinds: Of these kinds only.
            ended_at: When its open assignment counts as ended, because it fell due; else None.
            period: Two ends, both included; None leaves one open.
            limit: So many at most.
            before: Go on behind this one.
        """
        ...
