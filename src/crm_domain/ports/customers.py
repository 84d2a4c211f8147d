"""What the use cases need to keep of customers and of who owns them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

import attrs

from crm_domain.model import (
    Assignment,
    AssignmentMethod,
    AssignmentStatus,
    Customer,
    FollowUp,
    Intention,
)
from crm_domain.ports.query import MOST, Page, Query, Tally
from crm_domain.ports.reach import Reach
from crm_domain.rules.pool import Lapses, spoken


@attrs.frozen(kw_only=True)
class NewAssignment:
    """A period of ownership that begins now."""

    customer: Customer
    """With owner, dates and due dates as they shall be."""
    method: AssignmentMethod
    explanation: str
    cycle: int | None = None
    position: int | None = None
    memo: str | None = None
    by_id: int | None = None

    def made(self, number: int) -> Assignment:
        """Give it as it is kept, under a number."""
        return Assignment(
            id=number, customer_id=self.customer.id or 0, consultant_id=self.customer.owner_id or 0,
            started_at=self.customer.received_at or datetime.min, method=self.method,
            cycle=self.cycle, position=self.position, by_id=self.by_id,
            explanation=self.explanation, memo=self.memo,
        )  # fmt: skip


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
class Standing:
    """How a customer and somebody who would claim it stand to each other."""

    customer: Customer
    """Without its courses."""
    owner_name: str | None
    last_ended_at: datetime | None
    """When its latest period of ownership ended."""
    method: AssignmentMethod | None
    """How its latest period of ownership came about."""
    active: bool
    """Whether the claimant has an enabled account that may claim."""
    left_on: date | None
    """When the claimant leaves, or left."""


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


@attrs.frozen
class Closing:
    """How an assignment ends."""

    assignment_id: int
    status: AssignmentStatus
    at: datetime
    limit_days: int | None = None
    """The limit that passed, where one did."""


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
    """Customers and who owns them: the wide record and the narrow ownership beside it."""

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

    def publish(self, customers: Sequence[Customer]) -> None:
        """Write the ownership of new customers that nobody owns yet."""
        ...

    def open(self, new: Sequence[NewAssignment], *, fresh: bool = False) -> tuple[int, ...]:
        """Begin periods of ownership and make their consultants the owners.

        Args:
            new: What begins; the customers are locked or new.
            fresh: Whether the customers were added in this unit of work and have no ownership yet.

        Returns:
            The numbers of the assignments.
        """
        ...

    def standing(self, id: int, employee_id: int, *, lock: bool) -> Standing | None:
        """Read all that decides whether an employee may claim a customer; None without either.

        Args:
            id: The customer.
            employee_id: Who would claim it.
            lock: Whether to keep others from changing the ownership until the end.
        """
        ...

    def standings(self, ids: Sequence[int], employee_id: int) -> tuple[Standing, ...]:
        """Read the same of several customers by one statement, without locking them."""
        ...

    def win(self, new: NewAssignment, expected: Customer, today: date) -> int | None:
        """Make a public customer the claimant's in one conditional statement.

        Args:
            new: What begins, with the customer's owner and dates as they shall be.
            expected: The customer as it was read.
            today: The local day on which it must be public.

        Returns:
            The number of the assignment; None when the customer was not public any more or
            somebody was quicker, and then nothing happened.
        """
        ...

    def close(self, *endings: Closing) -> None:
        """End assignments."""
        ...

    def keep(self, customer: Customer) -> None:
        """Write the ownership of a locked customer as it shall be."""
        ...

    def redate(self, customers: Iterable[Customer]) -> int:
        """Write the due dates of customers and answer how many."""
        ...

    def owned_after(self, id: int, limit: int, *, lock: bool = True) -> tuple[Customer, ...]:
        """Read owned customers by number, from beyond ``id`` on, and lock them."""
        ...

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

    def in_turn(self, employee_ids: Sequence[int]) -> None:
        """Let what counts the customers of these employees happen one after the other."""
        ...

    def load(self, employee_ids: Sequence[int], today: date) -> dict[int, int]:
        """Count the customers that each of these owns and has not won; not those fallen due."""
        ...

    def claims_since(self, employee_id: int, since: datetime) -> int:
        """Count the claims of an employee since a moment."""
        ...

    def history(self, customer_id: int) -> tuple[Assignment, ...]:
        """Read all assignments of a customer, the oldest first."""
        ...

    def follow_ups(self, customer_id: int) -> tuple[FollowUp, ...]:
        """Read all follow-ups of a customer, the oldest first."""
        ...
