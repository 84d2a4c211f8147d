"""What the use cases need to keep of messages and of imports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from crm_domain.model import (
    ImportProblem,
    ImportRun,
    Notice,
    NoticeStatus,
)
from crm_domain.ports.query import Page, Query
from crm_domain.ports.reach import Reach


class Notices(Protocol):
    """The outbox."""

    def add(self, notices: Sequence[Notice]) -> None:
        """Write notices; one whose idempotency key is there already is left out."""
        ...

    def add_new(self, notices: Sequence[Notice]) -> int:
        """The same, and count those that were not there."""
        ...

    def lease(self, now: datetime, until: datetime, limit: int) -> tuple[Notice, ...]:
        """Take due notices for sending: count the attempt and keep others away until then."""
        ...

    def settle(self, notices: Sequence[Notice]) -> frozenset[int]:
        """Write what became of leased notices.

        Returns:
            The numbers of those that were still leased to the caller; another took over the rest.
        """
        ...

    def give_back(self, notices: Sequence[Notice], at: datetime) -> None:
        """Let leased notices that were not tried be due at a moment; their attempt counts not."""
        ...

    def resend(self, id: int, now: datetime) -> bool:
        """Make a dead or failed notice pending again."""
        ...

    def cancel(self, about: str) -> int:
        """Cancel the notices about a record that were not sent yet, and count them."""
        ...

    def page(self, query: Query, status: NoticeStatus | None = None) -> Page[Notice]:
        """Read one page, the newest first."""
        ...


class Imports(Protocol):
    """Imports: the file, how far it has come, and its problems."""

    def add(self, run: ImportRun, content: bytes) -> ImportRun:
        """Write a new import with its file."""
        ...

    def lock(self, id: int) -> ImportRun | None:
        """Read one and keep others from going on with it until the end."""
        ...

    def content(self, id: int) -> bytes:
        """Read the file."""
        ...

    def unfinished(
        self, sha256: str, mode: str, consultant_id: int | None
    ) -> tuple[ImportRun, ...]:
        """Find the imports of a file begun in this way and not finished, the newest first.

        Paused and failed ones are among them; one that was only checked has not begun.
        """
        ...

    def page(self, query: Query, reach: Reach, user_id: int | None) -> Page[ImportRun]:
        """Read one page, the newest first, of a user's own and of those within a reach."""
        ...

    def save(self, run: ImportRun) -> None:
        """Write how far a locked import has come.

        Its lease is left to `lease`, `renew` and `let_go`, but ends with it when it runs no more.
        """
        ...

    def waiting(self, seconds: float) -> tuple[int, ...]:
        """Find the imports that were handed to the workers and that nobody is at, the oldest first.

        Args:
            seconds: For how long leases are given; one that ends much later was given by a clock
                that has been set back since, and counts for nothing.
        """
        ...

    def lease(self, id: int, seconds: float) -> int | None:
        """Take one that waits, and count the attempt.

        Leases go by the clock of the database, the one that all share. One whose batch is under way
        is not to be had, whatever its lease says.

        Returns:
            The fence, which `renew` and `let_go` take; None when it does not wait.
        """
        ...

    def renew(self, id: int, fence: int, seconds: float) -> bool:
        """Keep others away from a running import from now on for so many seconds.

        Returns:
            False when it runs no more, or another took it over.
        """
        ...

    def let_go(self, id: int, fence: int, *, at_once: bool) -> None:
        """Give an import back that nothing is wrong with; the attempt does not count.

        Args:
            id: The import.
            fence: What `lease` gave; another's import is left alone.
            at_once: Whether others may take it now, or when the lease ends.
        """
        ...

    def add_problems(self, problems: Sequence[ImportProblem]) -> None:
        """Write why rows were not taken in."""
        ...

    def problems(self, import_id: int) -> tuple[ImportProblem, ...]:
        """Read them by row."""
        ...

    def dealt(self, import_id: int) -> dict[int | None, int]:
        """Count the import's customers by the consultant it gave them to; None is the pool."""
        ...

    def hold(self, import_id: int) -> None:
        """Keep others from changing the ownership of the import's customers until the end."""
        ...

    def touched(self, import_id: int) -> int:
        """Count the import's customers that somebody has worked on since."""
        ...

    def archive(self, import_id: int, at: datetime) -> int:
        """Archive the customers of an import and count them.

        Their assignments end, and notices about them that were not sent yet are cancelled.
        """
        ...
