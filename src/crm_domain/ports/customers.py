"""What the use cases need to keep of customers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

import attrs

from crm_domain.model import Assignment, AssignmentStatus, Customer, FollowUp, Intention
from crm_domain.ports.query import MOST, Page, Query, Tally
from crm_domain.ports.reach import Reach
from crm_domain.rules.pool import spoken


@attrs.frozen(kw_only=True)
class MyCustomer:
    """A row of "my customers": the consultant's latest assignment of a customer."""

    customer_id: int
    name: str
    status: AssignmentStatus
    """As people see it: an overdue one shows as expired before any sweep has run."""
    status_label: str
    """In Chinese; `AssignmentStatus.label` says it in other languages, with ``limit_days``."""
    started_at: datetime
    ended_at: datetime | None
    due_on: date | None
    """The first local day on which the customer is public; None when it is not owned or never."""
    last_contacted_at: datetime | None = None
    next_contact_at: datetime | None = None
    phone: str | None = None
    qq: str | None = None
    wechat: str | None = None
    intention: Intention | None = None
    limit_days: int | None = None
    """N of the limit that passed, or that will pass first."""
    owned: bool = False
    """Whether the customer is the consultant's own now; contact data is there only then."""

    @property
    def spoken_to_at(self) -> datetime | None:
        """When the consultant last spoke to the customer; None after being handed it only."""
        return spoken(self.last_contacted_at, self.started_at)


TAB = "tab"
"""In the counts of "my customers" the field whose values are the names of tabs."""


class Customers(Protocol):
    """Customers: the wide record, and the lists of them."""

    def get(self, id: int) -> Customer | None:
        """Read one customer, archived ones included, or None."""
        ...

    def lock(self, id: int) -> Customer | None:
        """Read one customer and keep others from changing its ownership until the end."""
        ...

    def lock_many(self, ids: Sequence[int]) -> tuple[Customer, ...]:
        """The same for several, locked in the order of their numbers."""
        ...

    def page(self, query: Query, reach: Reach | None, today: date, *, pool: bool = False,
             pooled_too: bool = True, masks: Collection[str] = ()) -> Page[Customer]:  # fmt: skip
        """Read one page; an overdue customer is shown, filtered and sorted as nobody's already.

        Args:
            query: What is asked.
            reach: Whose customers; None for no limit.
            today: The local day, which decides who is public.
            pool: Only public customers (the reach then does not matter).
            pooled_too: Whether the reach includes public customers.
            masks: The fields that public customers are shown without, their contacts among them:
                then they are found by name or a whole contact only, and not at all by a filter or
                an order of these. Empty: nothing is hidden.
        """
        ...

    def tally(self, query: Query, reach: Reach | None, today: date, facets: Sequence[str], *,
              pool: bool = False, pooled_too: bool = True, masks: Collection[str] = (),
              most: int = MOST) -> Tally:  # fmt: skip
        """Count what `page` would give to whom, and the values of some fields of it.

        Args:
            query: What is asked; its limit and its page mark do not matter.
            reach: As for `page`.
            today: As for `page`.
            facets: Fields that are choices, states, flags or references, none of them hidden.
            pool: As for `page`.
            pooled_too: As for `page`.
            masks: As for `page`.
            most: So many rows are counted at most.
        """
        ...

    def mine(self, employee_id: int, query: Query, today: date) -> Page[MyCustomer]:
        """Read "my customers" of a consultant: following, then ended, won last.

        Args:
            employee_id: The consultant.
            query: May search, filter by status and intention, and by ranges of ``started_at``,
                ``ended_at``, ``next_contact_at`` and ``due_on``, each as it is shown.
            today: The local day.
        """
        ...

    def tally_mine(self, employee_id: int, query: Query, today: date, facets: Sequence[str],
                   tabs: Mapping[str, Query], *, most: int = MOST) -> Tally:  # fmt: skip
        """Count what `mine` would give.

        Args:
            employee_id: The consultant.
            query: What is asked.
            today: The local day.
            facets: ``status``, ``intention`` and `TAB`.
            tabs: What each tab holds of the own, counted under `TAB`; the query's own filter by
                status and its ranges do not matter there.
            most: So many rows are counted at most.
        """
        ...

    def add(self, customers: Sequence[Customer]) -> tuple[Customer | None, ...]:
        """Write new customers in order; None stands for each whose contact data is taken."""
        ...

    def save(self, customer: Customer) -> Customer:
        """Write a customer that was read before, its ownership excepted (see Records.save)."""
        ...

    def taken(self, contacts: Mapping[str, Iterable[str]]) -> Mapping[tuple[str, str], int | None]:
        """Tell which of these contacts somebody has, and the import that brought each customer."""
        ...

    def holders(self, contacts: Mapping[str, Iterable[str]]) -> dict[tuple[str, str], Customer]:
        """Find who has one of these contacts: by field (phone, qq, wechat) and value."""
        ...

    def history(self, customer_id: int) -> tuple[Assignment, ...]:
        """Read all assignments of a customer, the oldest first."""
        ...

    def follow_ups(self, customer_id: int) -> tuple[FollowUp, ...]:
        """Read all follow-ups of a customer, the oldest first."""
        ...
