"""What was typed, as text."""

from __future__ import annotations

import unicodedata
from typing import Any


class Unreadable(Exception):
    """A value could not be read as what the field holds."""

    def __init__(self, code: str, zh: str, en: str) -> None:
        self.code, self.zh, self.en = code, zh, en
        super().__init__(en)


_BLANKS = " \t\r\n\v\f\u00a0\u200b\u200e\u200f\u202a\u202c\u2060\u3000\ufeff"

_WIDE = {c: unicodedata.normalize("NFKC", chr(c)) for c in range(0xFF01, 0xFF5F)}
_WIDE |= {0x3000: " ", 0x00A0: " "}


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
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        return value if isinstance(value, str) else str(value)
    except ValueError as e:  # Python refuses to write out integers of thousands of digits.
        raise Unreadable("bad_text", "含有无法保存的字符", "holds an unusable character") from e
