"""Choices, days, moments, numbers, amounts and the like."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal, DecimalException
from functools import cache
from typing import Any

from crm_domain.model.fields import Choice
from crm_domain.parsing.words import Unreadable, tidy

CHINA = timezone(timedelta(hours=8))

EXCEL_EPOCH = date(1899, 12, 30)

# A hyphen between words says nothing; one that ends a mark ("B-") or spans numbers ("3-5年") does.
_NOTHING_SAID = re.compile(r"[\s_]+|(?<!\d)-(?=.)|-(?=\D)")


def _key(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).replace("−", "-").strip()
    return _NOTHING_SAID.sub("", plain).casefold()


@cache
def _choices(kind: type[Choice]) -> Mapping[str, Choice]:
    found: dict[str, Choice] = {}
    for member in kind:
        for word in (member.value, member.zh, member.en, *member.aliases):
            found.setdefault(_key(word), member)
    return found


def choice_value(kind: type[Choice], value: Any) -> Choice | None:
    """Read a member of a closed list by its code, label or a usual variant of it."""
    if isinstance(value, kind):
        return value
    text = tidy(value)
    if text is None:
        return None
    found = _choices(kind).get(_key(text))
    if found is None:
        raise Unreadable("unknown_choice", "不在可选范围内", "is not one of the choices")
    return found


_DAY = re.compile(
    r"(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?(?:[T\s]+\d{1,2}:\d{2}.*)?"
)


def day_value(value: Any) -> date | None:
    """Read a calendar day: a date, ``2026-11-03``, ``2026年11月3日``, ``20261103`` or Excel's count
    of days since 1899-12-30."""
    refusal = Unreadable("bad_date", "不是有效的日期", "is not a valid date")
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = tidy(value)
    if text is None:
        return None
    try:
        if m := _DAY.fullmatch(text):
            return date(int(m[1]), int(m[2]), int(m[3]))
        if re.fullmatch(r"(19|20)\d{6}", text):
            return date(int(text[:4]), int(text[4:6]), int(text[6:]))
        if re.fullmatch(r"\d{5}(\.\d+)?", text) and not isinstance(value, bool):
            return EXCEL_EPOCH + timedelta(days=int(float(text)))
    except (ValueError, OverflowError) as e:
        raise refusal from e
    raise refusal


EARLIEST, LATEST = (
    datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 29, 23, 59, 59, 999_999, UTC),
)  # fmt: skip
"""A moment is so far from the ends of the calendar that every time zone can write it."""


def moment_value(value: Any, zone: tzinfo = CHINA) -> datetime | None:
    """Read a moment, in UTC; what was typed without an offset is meant in ``zone``."""
    if isinstance(value, datetime):
        found = value
    elif isinstance(value, date):
        found = datetime.combine(value, time())
    else:
        text = tidy(value)
        if text is None:
            return None
        try:
            found = datetime.fromisoformat(text.replace("/", "-"))
        except ValueError as e:
            raise Unreadable("bad_moment", "不是有效的时间", "is not a valid moment") from e
    try:
        read = (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except OverflowError as e:
        raise Unreadable("bad_moment", "不是有效的时间", "is not a valid moment") from e
    if not EARLIEST <= read <= LATEST:
        raise Unreadable("bad_moment", "不是有效的时间", "is not a valid moment")
    return read


def number_value(value: Any, most: int = 10**15 - 1) -> int | None:
    """Read a whole number, at most so far from zero; the default is what a reference may be."""
    text = tidy(value)
    if text is None:
        return None
    if isinstance(value, bool) or not re.fullmatch(r"[+-]?\d+", text):
        raise Unreadable("bad_number", "不是整数", "is not a whole number")
    if len(text) > 16 or abs(int(text)) > most:
        raise Unreadable("out_of_range", "超出允许的范围", "is out of range")
    return int(text)


def record_number(value: Any) -> int | None:
    """Give the number of a record, or None for what is the number of no record."""
    usable = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63
    return value if usable else None


def money_value(value: Any) -> Decimal | None:
    """Read an exact amount with at most two decimals: ``1,234.50``, ``￥800 元``."""
    text = tidy(value)
    if text is None:
        return None
    refusal = Unreadable("bad_amount", "不是有效的金额", "is not a valid amount")
    try:
        amount = Decimal(re.sub(r"[,，￥¥元\s]", "", text))
        if not amount.is_finite() or abs(amount) >= Decimal(10) ** 12:
            raise refusal
        cents = amount.quantize(Decimal("0.01"))
    except DecimalException as e:
        raise refusal from e
    if cents != amount:
        raise refusal
    return cents


_YES = {"1", "true", "yes", "on", "y", "是", "对"}

_NO = {"0", "false", "no", "off", "n", "否", "不"}


def flag_value(value: Any) -> bool | None:
    """Read yes or no: ``是``, ``否``, ``true``, ``0`` …"""
    if isinstance(value, bool):
        return value
    text = tidy(value)
    if text is None:
        return None
    if text.lower() in _YES or text.lower() in _NO:
        return text.lower() in _YES
    raise Unreadable("bad_flag", "请填“是”或“否”", "is neither yes nor no")


def references_value(value: Any) -> tuple[int, ...]:
    """Read the numbers of records, with commas or blanks between them; each counts once."""
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        value = re.split(r"[,，、;；\s]+", value.strip())
    if not isinstance(value, list | tuple | set | frozenset):
        value = [value]
    return tuple(dict.fromkeys(n for v in value if (n := number_value(v)) is not None))


def clock_value(value: Any) -> time | None:
    """Read a time of day: ``9:05`` or ``09:05:00``; one with an offset is none."""
    refusal = Unreadable("bad_time", "不是有效的时刻", "is not a time of day")
    if isinstance(value, time):
        found = value
    else:
        text = tidy(value)
        if text is None:
            return None
        try:
            found = time.fromisoformat(f"0{text}" if text[1:2] == ":" else text)
        except ValueError as e:
            raise refusal from e
    if found.tzinfo is not None:
        raise refusal
    return found


def periods_value(value: Any) -> tuple[tuple[date, date], ...]:
    """Read periods, each a first and a last day: in order, each once; nothing is no period."""
    refusal = Unreadable(
        "bad_periods", "不是有效的时段（须为若干对起止日期）", "is no list of first and last days"
    )
    if value is None or value == "":
        return ()
    if not isinstance(value, list | tuple):
        raise refusal
    found = set()
    for pair in value:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise refusal
        first, last = day_value(pair[0]), day_value(pair[1])
        if first is None or last is None or first > last:
            raise refusal
        found.add((first, last))
    return tuple(sorted(found))
