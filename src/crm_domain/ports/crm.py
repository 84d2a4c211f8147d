"""What an embedder holds, and the small ports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import date, datetime
from types import TracebackType
from typing import Protocol, Self

import attrs

from crm_domain.errors import Language
from crm_domain.model import Employee, Notice
from crm_domain.ports.channels import Pauses
from crm_domain.ports.schedule import Cron
from crm_domain.ports.settings import Settings
from crm_domain.ports.sheets import SheetReader, SheetWriter
from crm_domain.ports.storage import Storage, UnitOfWork
from crm_domain.rules.rotation import Strategy

Clock = Callable[[], datetime]
"""Answers the present moment, aware."""


class Notifier(Protocol):
    """A channel that messages go out by."""

    name: str
    """The stable name that notices and settings use: ``console``, ``email`` …"""

    def address(self, employee: Employee) -> str | None:
        """Tell where an employee is reached on this channel, or None."""
        ...

    def send(self, notice: Notice, employee: Employee) -> str | None:
        """Send one notice, whose subject and body are in the recipient's language.

        Returns:
            The provider's id of the message, if it gives one.

        Raises:
            DeliveryFailed: With whether it is permanent, and how long to wait.
        """
        ...

    def close(self) -> None:
        """Let go of connections; may be called more than once."""
        ...


class JobQueue(Protocol):
    """Wakes whoever does the work. The database is the queue of record."""

    def wake(self, job: str, **arguments: int | str) -> None:
        """Say that there is something to do; losing this loses no work."""
        ...

    def close(self) -> None:
        """Let go of connections; may be called more than once."""
        ...


class PasswordHasher(Protocol):
    """Turns passwords into what may be stored."""

    def hash(self, password: str) -> str:
        """Hash a password.

        Raises:
            TooManyAttempts: Too many hash at the moment.
        """
        ...

    def verify(self, password: str, hashed: str | None) -> bool:
        """Whether the password fits; takes as long when there is no hash.

        Raises:
            TooManyAttempts: Too many sign in at the moment.
        """
        ...

    def outdated(self, hashed: str) -> bool:
        """Whether a hash was made with other parameters than those of today."""
        ...


@attrs.frozen(kw_only=True)
class Loaded:
    """A plugin that was found, and what became of it."""

    name: str
    version: str = ""
    hooks: tuple[str, ...] = ()
    error: str | None = None
    """What went wrong, in English."""
    error_zh: str | None = None
    """The same in Chinese; what the plugin itself says is in its own language."""


@attrs.frozen(kw_only=True)
class Crm:
    """All ports, bound. Use it as a context manager, or close it yourself."""

    storage: Storage
    clock: Clock
    settings: Settings
    notifiers: Mapping[str, Notifier]
    jobs: JobQueue
    reader: SheetReader
    writer: SheetWriter
    passwords: PasswordHasher
    strategies: Mapping[str, Strategy]
    cron: Cron
    plugins: Sequence[Loaded] = ()
    pauses: Pauses = attrs.field(factory=Pauses, repr=False)
    """Of the channels that fail, as this process knows them."""

    def unit_of_work(self, *, read_only: bool = False, wait: bool = True) -> UnitOfWork:
        """Begin a transaction: ``with crm.unit_of_work() as uow:``."""
        return self.storage.unit_of_work(read_only=read_only, wait=wait)

    def snapshot(self) -> AbstractContextManager[None]:
        """Let all reading of this thread see one state, in one transaction: as for one page."""
        return self.storage.snapshot()

    def now(self) -> datetime:
        """Tell the present moment, aware."""
        return self.clock()

    def day(self, at: datetime) -> date:
        """Tell the local day of a moment."""
        return at.astimezone(self.settings.zone).date()

    def today(self) -> date:
        """Tell the local day."""
        return self.day(self.now())

    @property
    def language(self) -> Language:
        """The language of messages to nobody in particular."""
        return "en" if self.settings.language == "en" else "zh"

    def close(self) -> None:
        """Let go of the database, of the job queue and of the channels' connections."""
        with ExitStack() as closing:
            closing.callback(self.storage.close)
            closing.callback(self.jobs.close)
            for notifier in self.notifiers.values():
                closing.callback(notifier.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
