"""What a school decides, read once when a CRM is opened."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import attrs

from crm_domain.rules.access import HIDDEN


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
