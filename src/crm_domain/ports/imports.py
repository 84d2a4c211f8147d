"""What the use cases need to keep of imports: the file, how far it is, and what became of rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from crm_domain.model import ImportProblem, ImportRun
from crm_domain.ports.query import Page, Query
from crm_domain.ports.reach import Reach


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

    def has_file(self, id: int) -> bool:
        """Whether the file is kept still."""
        ...

    def remove_files(self, before: datetime, limit: int) -> int:
        """Remove the files of imports that ended, or were only checked, before a moment.

        Args:
            before: The moment.
            limit: So many at most. Fewer means that there are no others.
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
