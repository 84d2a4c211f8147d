"""What the use cases need to keep of messages on their way."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import attrs

from crm_domain.model import (
    Event,
    Notice,
    NoticePreference,
    NoticeStatus,
)
from crm_domain.ports.query import Page, Query
from crm_domain.ports.reach import Reach


@attrs.frozen(kw_only=True)
class Backlog:
    """What stands in the outbox and was not sent."""

    waiting: Mapping[NoticeStatus, int]
    """How many are pending, failed and dead."""
    due_since: datetime | None = None
    """Since when the oldest has been due that nobody is at; None when none is."""


class Notices(Protocol):
    """The outbox."""

    def add(self, notices: Sequence[Notice]) -> None:
        """Write notices; one whose idempotency key is there already is left out."""
        ...

    def add_new(self, notices: Sequence[Notice]) -> int:
        """The same, and count those that were not there."""
        ...

    def remove_old(
        self, before: datetime, now: datetime, *, after: int, limit: int
    ) -> tuple[int, int | None]:  # fmt: skip
        """Remove some old notices that were dealt with, going on by number.

        What waits, is dead, or stands unread in somebody's inbox is kept; so is what has not
        expired, since its key keeps it from being told again.

        Args:
            before: Those that were written before this moment.
            now: The moment of asking.
            after: Only those with a higher number.
            limit: So many are looked at.

        Returns:
            How many were removed, and where to go on; None when none of those was so old.
        """
        ...

    def due_channels(self, now: datetime, seconds: float) -> tuple[str, ...]:
        """Tell the channels on which something is due that nobody is at, changing nothing.

        Args:
            now: The moment at which it must be due.
            seconds: For how long leases are given, as for `lease`.
        """
        ...

    def lease(
        self, now: datetime, seconds: float, limit: int, channel: str
    ) -> tuple[Notice, ...]:  # fmt: skip
        """Take due notices of a channel: count the attempt and keep others away for so long.

        Leases end by the database's clock. One that ends later than any that is given now, by ten
        minutes or more, was given by a clock that has been set back since, and counts for nothing.

        Args:
            now: The moment at which they must be due.
            seconds: How long nobody else may take them.
            limit: How many at most.
            channel: By which they go out.
        """
        ...

    def settle(self, notices: Sequence[Notice]) -> frozenset[int]:
        """Write what became of leased notices, and end their leases.

        Args:
            notices: As they were leased, with status, attempts, next attempt, error and so on as
                they are now.

        Returns:
            The numbers of those that were still leased to the caller, and of those that were sent
            and that nobody had settled; another took over the rest, or they were cancelled.
        """
        ...

    def resend(
        self, now: datetime, seconds: float, *, ids: Sequence[int] | None = None,
        statuses: Collection[NoticeStatus], channel: str | None = None, event: Event | None = None,
        reach: Reach | None = None,
    ) -> int:  # fmt: skip
        """Make notices pending again, to be sent at once, and count them.

        Those that somebody is at, and those that have expired, stay as they are.

        Args:
            now: The moment.
            seconds: For how long leases are given, as for `lease`.
            ids: Which; None is all.
            statuses: Only those of these statuses; dead and failed ones can be sent again.
            channel: Only those of this channel; None is any.
            event: Only those of this event; None is any.
            reach: Only those to people within it; None is all.
        """
        ...

    def backlog(self, now: datetime, reach: Reach | None = None) -> Backlog:
        """Count what was not sent to people within the reach; None: to all."""
        ...

    def preferences(self, employee_ids: Collection[int]) -> Mapping[int, NoticePreference]:
        """Read what some employees want to be told, as far as they said."""
        ...

    def inbox(self, recipient_id: int, query: Query, *, unread_only: bool) -> Page[Notice]:
        """Read one page of somebody's messages in the program, the newest first."""
        ...

    def unread(self, recipient_id: int) -> int:
        """Count somebody's messages in the program that were not read yet."""
        ...

    def mark_read(self, recipient_id: int, ids: Sequence[int] | None, at: datetime) -> int:
        """Mark somebody's unread messages as read, these or all, and count them."""
        ...

    def cancel(self, about: str) -> int:
        """Cancel the notices about a record that were not sent yet, and count them.

        One that is being sent just now may still arrive; it stays cancelled.
        """
        ...

    def page(
        self, query: Query, status: NoticeStatus | None = None, reach: Reach | None = None
    ) -> Page[Notice]:
        """Read one page, the newest first, of those to people within the reach; None: of all."""
        ...
