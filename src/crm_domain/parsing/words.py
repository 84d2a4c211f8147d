"""What was typed, as text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any


class Unreadable(Exception):
    """A value could not be read as what the field holds."""

    def __init__(self, code: str, zh: str, en: str) -> None:
        self.code, self.zh, self.en = code, zh, en
        super().__init__(en)


_BLANKS = " \t\r\n\v\f\u00a0\u200b\u200e\u200f\u202a\u202c\u2060\u3000\ufeff"

_WIDE = {c: unicodedata.normalize("NFKC", chr(c)) for c in range(0xFF01, 0xFF5F)}
_WIDE |= {0x3000: " ", 0x00A0: " "}


_UNUSABLE = re.compile("[\0\ud800-\udfff]")
"""What no database takes: the null character, and halves of characters."""


def storable(text: str) -> bool:
    """Whether a database takes a text."""
    return _UNUSABLE.search(text) is None


def quoted(value: Any) -> str:
    """Give what was typed for a message: short, and whatever it is."""
    try:
        text = str(value)
    except ValueError:  # Python refuses to write out integers of thousands of digits.
        return "…"
    return text if len(text) <= 60 else text[:59] + "…"


def kept(value: Any, longest: int) -> str | None:
    """Give what another program said as text that a database takes, whatever it is; or None."""
    try:
        text = str(value)[:longest]
    except Exception:  # whatever it is, it says nothing
        return None
    return _UNUSABLE.sub("\ufffd", text).strip() or None


def bad_text() -> Unreadable:
    """The refusal of text that cannot be kept."""
    return Unreadable("bad_text", "含有无法保存的字符", "holds an unusable character")


def tidy(value: Any) -> str | None:
    """Turn a value into text: full-width forms narrowed, blanks around it removed, empty is None.

    A whole number of a spreadsheet (``13800138000.0``) is read as its digits.
    """
    if value is None:
        return None
    text = _written(value)
    if not text.isascii():
        text = _narrow(text)
    text = text.strip(_BLANKS)
    return text or None


def _narrow(text: str) -> str:
    return text.translate(_WIDE)


def keep_text(value: Any) -> str | None:
    """Turn a value into text as it was typed, but for the blanks around it; empty is None."""
    return None if value is None else _written(value).strip(_BLANKS) or None


def _written(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | Mapping | list | tuple | set | frozenset):
        raise bad_text()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        return str(value)
    except ValueError as e:  # Python refuses to write out integers of thousands of digits.
        raise bad_text() from e
