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

    def page(
        self, query: Query, status: NoticeStatus | None = None, reach: Reach | None = None
    ) -> Page[Notice]:
        """Read one page, the newest first, of those to people within the reach; None: of all."""
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
        """Find the imports of a file begun in this way and not finished, the newest first."""
        ...

    def page(self, query: Query, reach: Reach, user_id: int | None) -> Page[ImportRun]:
        """Read one page, the newest first, of a user's own and of those within a reach."""
        ...

    def save(self, run: ImportRun) -> None:
        """Write how far it has come."""
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
