"""What the use cases need of customers whose day comes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Protocol

import attrs

from crm_domain.model import AssignmentStatus
from crm_domain.rules.pool import Lapses


@attrs.frozen(kw_only=True)
class Ended:
    """A period of ownership that a sweep ended."""

    customer_id: int
    customer_name: str
    consultant_id: int
    assignment_id: int
    status: AssignmentStatus
    limit_days: int | None


@attrs.frozen(kw_only=True)
class Released:
    """What a sweep took of one owner."""

    owner_id: int
    by_status: Mapping[int, int]
    first_id: int
    """The lowest number of an assignment that ended."""
    names: tuple[str, ...]
    """A few of the customers."""

    @property
    def count(self) -> int:
        """How many."""
        return sum(self.by_status.values())


@attrs.frozen(kw_only=True)
class Expiring:
    """A customer that will be public soon."""

    customer_id: int
    customer_name: str
    assignment_id: int
    due_on: date
    """The first local day on which it is public."""
    status: AssignmentStatus
    """Which limit passes then."""


@attrs.frozen(kw_only=True)
class Losing:
    """What one owner will lose soon."""

    owner_id: int
    count: int
    first: tuple[Expiring, ...]
    """Those that go first, as many as were asked for."""


class FallingDue(Protocol):
    """All customers whose day comes, whoever owns them."""

    def overdue(self, today: date, limit: int) -> tuple[Ended, ...]:
        """List whom a sweep would release, without changing anything."""
        ...

    def overdue_counts(self, today: date) -> dict[tuple[int, int], int]:
        """Count whom a sweep would release, by owner and by the status they would get."""
        ...

    def lapsing(self, lapses: Lapses, today: date) -> int:
        """Count the customers, owned and private, whom other rules would make public on a day.

        Args:
            lapses: Whom these rules make public; it agrees with `rules.pool.dated`.
            today: The local day.
        """
        ...

    def owned_count(self) -> int:
        """Count the customers that somebody owns and has not won."""
        ...

    def sweep(
        self, today: date, at: datetime, limit: int, *, from_owner: int = 0,
        to_owner: int | None = None,
    ) -> tuple[Released, ...]:  # fmt: skip
        """Release overdue customers by set, owner by owner; those that others hold are left out.

        Args:
            today: Whoever fell due by this day is overdue.
            at: The moment; no period ends before the last contact.
            limit: So many customers at most. Fewer released means that nobody is left.
            from_owner: Go on with this owner.
            to_owner: Go no further than this owner; None is to the last.
        """
        ...

    def expiring(
        self, today: date, most: int, *, after_owner: int, owners: int
    ) -> tuple[Losing, ...]:  # fmt: skip
        """Tell some owners what they will lose: what is to be warned of and not yet public.

        Args:
            today: The local day.
            most: So many customers of each owner are read at most; all are counted.
            after_owner: Only owners with a higher number, the lowest first.
            owners: So many owners at most. Fewer means that there are no others.
        """
        ...

    def to_contact(self, before: datetime, today: date) -> dict[int, tuple[int, tuple[str, ...]]]:
        """Find whom owners meant to contact before a moment, and have not.

        Args:
            before: The end of the local day.
            today: The local day; customers that are public on it are nobody's any more.

        Returns:
            By owner: how many, and the names of a few, the earliest first.
        """
        ...
