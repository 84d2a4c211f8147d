"""What the use cases need to keep of who owns customers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Protocol

import attrs

from crm_domain.model import Assignment, AssignmentMethod, AssignmentStatus, Customer


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


@attrs.frozen
class Closing:
    """How an assignment ends."""

    assignment_id: int
    status: AssignmentStatus
    at: datetime
    limit_days: int | None = None
    """The limit that passed, where one did."""


class Ownership(Protocol):
    """Who owns which customer: one narrow row beside each, and the periods of ownership."""

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

    def in_turn(self, employee_ids: Sequence[int]) -> None:
        """Let what counts the customers of these employees happen one after the other."""
        ...

    def load(self, employee_ids: Sequence[int], today: date) -> dict[int, int]:
        """Count the customers that each of these owns and has not won; not those fallen due."""
        ...

    def claims_since(self, employee_id: int, since: datetime) -> int:
        """Count the claims of an employee since a moment."""
        ...
