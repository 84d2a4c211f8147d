"""What an embedder holds, and the small ports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import date, datetime
from types import TracebackType
from typing import Protocol, Self
from zoneinfo import ZoneInfo

import attrs

from crm_domain.errors import Language
from crm_domain.model import Employee, Notice
from crm_domain.ports.channels import Pauses
from crm_domain.ports.schedule import Cron
from crm_domain.ports.sheets import SheetReader, SheetWriter
from crm_domain.ports.storage import Storage, UnitOfWork
from crm_domain.rules.access import HIDDEN
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
class Settings:
    """What a school decides for itself. Every field can be set as ``CRM_<NAME>``."""

    time_zone: str = attrs.field(
        default="Asia/Shanghai", metadata={"help": "the business time zone; days are counted in it"}
    )
    language: str = attrs.field(
        default="", metadata={"help": "zh or en; empty follows the locale of the program"}
    )
    rotation_strategy: str = attrs.field(
        default="rounds",
        metadata={"help": "how a cycle is laid out: rounds, smooth, or a plugin's"},
    )
    max_owned: int | None = attrs.field(
        default=None, metadata={"help": "customers a consultant may own at once; empty: no limit"}
    )
    max_claims_per_day: int | None = attrs.field(
        default=None, metadata={"help": "claims of a consultant in a day; empty: no limit"}
    )
    cool_down_days: int | None = attrs.field(
        default=None,
        metadata={"help": "days until the last consultant may claim again; empty: never"},
    )
    payment_days: int = attrs.field(
        default=7, metadata={"help": "days that a pending payment keeps a customer private at most"}
    )
    pool_hidden: str = attrs.field(
        default="",
        metadata={
            "help": "fields that the pool hides besides contacts and memo, as company,salary"
        },
    )
    assign_oneself: bool = attrs.field(
        default=False, metadata={"help": "whether consultants may enter customers for themselves"}
    )
    channels: str = attrs.field(
        default="inapp,console",
        metadata={"help": "channels that notices go out by, with commas between"},
    )
    batch_rows: int = attrs.field(
        default=1000, metadata={"help": "rows of a sheet that an import takes in one transaction"}
    )
    sweep_max_share: float = attrs.field(
        default=0.5,
        metadata={"help": "a scheduled sweep stops when it would release more than this"},
    )
    max_attempts: int = attrs.field(
        default=12, metadata={"help": "tries to deliver a notice before it is dead"}
    )
    retry_seconds: float = attrs.field(
        default=30.0,
        metadata={"help": "seconds until a notice is tried again; twice as long after each try"},
    )
    lease_seconds: int = attrs.field(
        default=60, metadata={"help": "seconds after which another worker takes over a notice"}
    )
    session_minutes: int = attrs.field(
        default=720, metadata={"help": "minutes after which one has to sign in again at the latest"}
    )
    session_idle_minutes: int = attrs.field(
        default=180, metadata={"help": "minutes without activity that end a session"}
    )
    sign_in_days: int = attrs.field(
        default=90,
        metadata={"help": "days that ended sign-ins are kept, and their devices recognised"},
    )
    keep_notices_days: int = attrs.field(
        default=365,
        metadata={
            "help": "days that notices are kept which were sent, expired or not wanted; 0: for ever"
        },
    )
    keep_files_days: int = attrs.field(
        default=90,
        metadata={"help": "days that the file of an import is kept after its end; 0: for ever"},
    )
    reset_hours: int = attrs.field(
        default=24, metadata={"help": "hours that a link for choosing a password can be used"}
    )
    notice_days: int | None = attrs.field(
        default=7,
        metadata={"help": "days after which a notice is too old to be sent; empty: never"},
    )
    import_lease_seconds: float = attrs.field(
        default=10.0,
        metadata={"help": "seconds after which another worker takes over an import"},
    )
    smtp_url: str = attrs.field(
        default="",
        repr=False,
        metadata={"help": "smtp://user:password@host:587 for e-mail", "secret": True},
    )
    smtp_from: str = attrs.field(default="", metadata={"help": "the sender's address of e-mails"})
    redis_url: str = attrs.field(
        default="",
        repr=False,
        metadata={
            "help": "redis://:password@host:6379/0 wakes the workers; empty: they look themselves",
            "secret": True,
        },
    )
    cron_deliver: str = attrs.field(
        default="* * * * *",
        metadata={"help": "when notices are delivered that no worker was woken for"},
    )
    cron_sweep: str = attrs.field(default="5 0 * * *", metadata={"help": "when the pool is swept"})
    cron_warn: str = attrs.field(
        default="0 9 * * *", metadata={"help": "when owners are warned of customers falling due"}
    )
    cron_remind: str = attrs.field(
        default="30 8 * * *", metadata={"help": "when consultants are reminded of next contacts"}
    )
    cron_tidy: str = attrs.field(
        default="45 3 * * *",
        metadata={"help": "when old sign-ins, forms, notices and files are removed"},
    )
    cron_imports: str = attrs.field(
        default="* * * * *",
        metadata={"help": "when imports are run that no worker was woken for"},
    )
    cron_check: str = attrs.field(
        default="30 3 * * *", metadata={"help": "when the database is checked"}
    )
    base_url: str = attrs.field(
        default="",
        metadata={"help": "how people reach the web pages, as https://crm.example.com"},
    )
    hosts: str = attrs.field(
        default="localhost,127.0.0.1,[::1]",
        metadata={"help": "names that web requests may be for, with commas; * is any"},
    )
    plugins: str = attrs.field(
        default="*", metadata={"help": "names of plugins that may load, with commas; * is all"}
    )
    plugins_strict: bool = attrs.field(
        default=False, metadata={"help": "whether a plugin that fails to load stops the program"}
    )

    @property
    def zone(self) -> ZoneInfo:
        """The business time zone."""
        return ZoneInfo(self.time_zone)

    @property
    def hidden_in_pool(self) -> frozenset[str]:
        """The fields of public customers that only those who give customers away read."""
        return HIDDEN.union(n.strip() for n in self.pool_hidden.split(",") if n.strip())

    @property
    def channel_names(self) -> tuple[str, ...]:
        """The channels by name."""
        return tuple(c.strip() for c in self.channels.split(",") if c.strip())


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
