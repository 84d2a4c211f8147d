"""The environment becomes Settings, and what cannot be used is refused before anything starts."""

from __future__ import annotations

import os
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import attrs

from crm_domain.errors import BadSetting
from crm_domain.ports import Settings
from crm_domain.rules.access import HIDEABLE

PREFIX = "CRM_"
DATABASE_URL = "CRM_DATABASE_URL"
DEFAULT_DATABASE_URL = "sqlite:///crm.db"

_CENTURY = 36_500
_REDIS = ("redis://", "rediss://", "unix://")
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "max_owned": (0, 10**9),
    "max_claims_per_day": (0, 10**9),
    "cool_down_days": (0, _CENTURY),
    "payment_days": (0, _CENTURY),
    "batch_rows": (1, 10_000),
    "sweep_max_share": (0, 1),
    "max_attempts": (1, 1000),
    "lease_seconds": (1, 86_400),
    "session_minutes": (1, 44_640),
    "session_idle_minutes": (1, 44_640),
    "sign_in_days": (1, _CENTURY),
    "keep_notices_days": (0, _CENTURY),
    "keep_files_days": (0, _CENTURY),
    "reset_hours": (1, 744),
    "retry_seconds": (0.01, 21_600),
    "notice_days": (1, _CENTURY),
    "import_lease_seconds": (0.1, 86_400),
}


class Described(NamedTuple):
    """One setting, as the reference shows it."""

    name: str
    """The environment variable."""
    type: str
    default: str
    help: str


def database_url(environ: Mapping[str, str] | None = None) -> str:
    """Tell where the database is: ``CRM_DATABASE_URL``, or a file in the working directory.

    Args:
        environ: The environment; None is the program's own.
    """
    environ = os.environ if environ is None else environ
    return environ.get(DATABASE_URL) or DEFAULT_DATABASE_URL


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    An empty variable counts as not set, except for text: ``CRM_PLUGINS=`` means no plugins, which
    must not be taken for the default, all of them.

    Args:
        environ: The environment; None is the program's own.

    Raises:
        BadSetting: A variable holds what the setting cannot be.
    """
    environ = os.environ if environ is None else environ
    found: dict[str, Any] = {}
    for field, kind, _ in _fields():
        raw = environ.get(_variable(field.name))
        if raw is not None and (kind is str or raw.strip()):
            found[field.name] = _convert(field, kind, raw.strip())
    settings = Settings(**found)
    check(settings)
    return settings


def check(settings: Settings) -> None:
    """Refuse settings that could only fail later.

    Raises:
        BadSetting: For the first that is not usable; the value is shown unless it is secret.
    """
    _check_zone(settings.time_zone)
    _check_crons(settings)
    _check_redis(settings.redis_url)
    if settings.base_url and not settings.base_url.startswith(("http://", "https://")):
        raise _bad("base_url", "it begins with neither http:// nor https://",
                   "须以 http:// 或 https:// 开头")  # fmt: skip
    if settings.language not in ("", "zh", "en"):
        raise _bad("language", f"{settings.language!r} is neither zh nor en",
                   f"{settings.language!r} 既不是 zh 也不是 en")  # fmt: skip
    for field in sorted(settings.hidden_in_pool - HIDEABLE):
        raise _bad("pool_hidden", f"{field!r} is none of: {', '.join(sorted(HIDEABLE))}",
                   f"没有 {field!r}；可选：{'、'.join(sorted(HIDEABLE))}")  # fmt: skip
    for name, (low, high) in _BOUNDS.items():
        value = getattr(settings, name)
        if value is not None and not low <= value <= high:
            raise _bad(name, f"{value} is not between {low} and {high}",
                       f"{value} 不在 {low} 和 {high} 之间")  # fmt: skip
    _check_email(settings)


def check_names(settings: Settings, channels: Iterable[str], strategies: Iterable[str]) -> None:
    """Refuse channels and a strategy that neither the program nor a plugin provides.

    Args:
        settings: What was set.
        channels: The names of the channels that there are.
        strategies: The names of the rotation strategies that there are.

    Raises:
        BadSetting: With the names that would do.
    """
    wanted = (
        ("channels", settings.channel_names, sorted(channels)),
        ("rotation_strategy", (settings.rotation_strategy,), sorted(strategies)),
    )
    for name, chosen, known in wanted:
        for one in chosen:
            if one not in known:
                raise _bad(name, f"{one!r} is none of: {', '.join(known)}",
                           f"没有 {one!r}；可选：{'、'.join(known)}")  # fmt: skip


def describe() -> tuple[Described, ...]:
    """List all settings for the reference; the default of a secret is left out."""
    database = Described(DATABASE_URL, "text", DEFAULT_DATABASE_URL, "where the database is")
    return database, *(
        Described(
            _variable(field.name),
            _KINDS[kind].label + (", or empty" if optional else ""),
            "" if field.metadata.get("secret") else _shown(field.default),
            field.metadata["help"],
        )
        for field, kind, optional in _fields()
    )


class _Kind(NamedTuple):
    label: str
    zh: str
    read: Callable[[str], Any]


def _yes_or_no(raw: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True,
             "0": False, "false": False, "no": False, "off": False}  # fmt: skip
    if raw.lower() not in words:
        raise ValueError
    return words[raw.lower()]


_KINDS: Mapping[type, _Kind] = {
    str: _Kind("text", "文字", str),
    int: _Kind("a whole number", "整数", int),
    float: _Kind("a number", "数字", float),
    bool: _Kind("yes or no", "“是”或“否”（yes、no）", _yes_or_no),
}


def _fields() -> list[tuple[attrs.Attribute[Any], type, bool]]:
    """Each field of Settings with its plain type and whether it may be None."""
    hints = typing.get_type_hints(Settings)
    found = []
    for field in attrs.fields(Settings):
        kinds = typing.get_args(hints[field.name]) or (hints[field.name],)
        plain = next(k for k in kinds if k is not type(None))
        found.append((field, plain, type(None) in kinds))
    return found


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _bad(name: str, reason: str, reason_zh: str) -> BadSetting:
    return BadSetting(name=_variable(name), reason=reason, reason_zh=reason_zh)


def _convert(field: attrs.Attribute[Any], kind: type, raw: str) -> Any:
    label, zh, read = _KINDS[kind]
    try:
        return read(raw)
    except ValueError:
        shown = "the value" if field.metadata.get("secret") else repr(raw)
        # The cause would repeat the value, which may be secret, in a traceback.
        told = "所给的值" if field.metadata.get("secret") else repr(raw)
        raise _bad(field.name, f"{shown} is not {label}", f"{told} 不是{zh}") from None


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    return "" if default is None else str(default)


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as e:
        raise _bad("time_zone", f"there is no time zone {name!r}", f"没有时区 {name!r}") from e


def _check_crons(settings: Settings) -> None:
    # Not at the top: nothing else here needs it.
    from crm_adapters.cron import check_cron

    for field in attrs.fields(Settings):
        expression = getattr(settings, field.name)
        if field.name.startswith("cron_") and expression:
            try:
                check_cron(expression)
            except ValueError as e:
                raise _bad(field.name, f"{expression!r} is no cron expression: {e}",
                           f"{expression!r} 不是 cron 表达式（五段）") from e  # fmt: skip


def _check_redis(url: str) -> None:
    if not url:
        return
    if not url.startswith(_REDIS):
        raise _bad("redis_url", f"it begins with none of: {', '.join(_REDIS)}",
                   f"须以此开头：{'、'.join(_REDIS)}")  # fmt: skip
    if url.startswith("unix"):
        return
    # Redis's library takes what is no number for the first database, and says nothing. It is not
    # shown: of a password with a slash in it this is the end.
    number = url.partition("://")[2].partition("?")[0].partition("/")[2]
    if number and not (number.isascii() and number.isdigit()):
        raise _bad("redis_url", "what follows the host is not the number of a database; write it "
                   "as redis://:password@host:6379/0, a slash in the password as %2F",
                   "主机后面须为数据库编号，如 redis://:密码@主机:6379/0；"
                   "密码中的 / 写作 %2F")  # fmt: skip


def _check_email(settings: Settings) -> None:
    wanted = "email" in settings.channel_names
    if not settings.smtp_url:
        if wanted:
            raise _bad("smtp_url", "the channel email needs it", "邮件渠道需要它")
        return
    # Not at the top: most programs that read settings send no e-mail.
    from crm_adapters.notifiers.email import EmailNotifier

    EmailNotifier(settings.smtp_url, settings.smtp_from)
