"""Text with delimiters (.csv), as people save it: any of three encodings and three delimiters."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

from crm_adapters.sheets.guard import Refused, check_position

if TYPE_CHECKING:
    from crm_adapters.sheets.limits import Limits

_DELIMITERS = ",;\t"
_SAMPLE = 1 << 16
_END = "\x1a end of file \x1a"
_CONTROLS = {code: None for code in range(32) if chr(code) not in "\t\n\r\v\f\x1a"}


def read_rows(content: bytes, limits: Limits) -> list[list[str]]:
    """Read all records of a file; a record with line breaks inside quotes is one row.

    Args:
        content: The bytes of the file.
        limits: How large it may be.

    Returns:
        The records as text; a blank line is an empty list.

    Raises:
        Refused: Not text, damaged, or larger than the limits.
    """
    text = decode(content)
    # Safe to set here: the child, which alone reads files, parses nothing else.
    csv.field_size_limit(limits.cell_characters)
    # A quote that is never closed swallows the rest of the file without a complaint. A last line
    # of our own, which must come back alone, gives it away.
    lines = chain(io.StringIO(text, newline=""), [_END])
    rows: list[list[str]] = []
    try:
        for row in csv.reader(lines, delimiter=_delimiter(text)):
            if row != [_END] and any(row[limits.columns :] if len(rows) < limits.rows else row):
                check_position(len(rows) + 1, len(row), limits)
            rows.append(row[: limits.columns])
    except csv.Error as error:
        if "field larger" in str(error):
            raise Refused("cell_too_long", characters=limits.cell_characters) from error
        raise Refused("damaged") from error
    if rows.pop() != [_END]:
        raise Refused("open_quote", row=len(rows) + 1)
    return rows


def decode(content: bytes) -> str:
    """Decode by the byte order mark, else as UTF-8, else as GB 18030, each strictly.

    Args:
        content: The bytes of the file.

    Returns:
        The text without byte order mark.

    Raises:
        Refused: In none of these encodings, or not text at all.
    """
    text = None
    for encoding in _encodings(content):
        try:
            text = content.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    if text is None:
        raise Refused("not_text" if b"\0" in content else "unknown_encoding")
    sample = text[:_SAMPLE]
    if "\0" in text or len(sample) - len(sample.translate(_CONTROLS)) > len(sample) // 100:
        raise Refused("not_text")
    return text


def _encodings(content: bytes) -> tuple[str, ...]:
    if content.startswith(codecs.BOM_UTF8):
        return ("utf-8-sig",)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ("utf-16",)
    return ("utf-8", "gb18030")


def _delimiter(text: str) -> str:
    """Choose the delimiter by which the most records of the start have equally many fields."""
    sample = text[:_SAMPLE]
    best, delimiter = (0, 0), ","
    for candidate in _DELIMITERS:
        try:
            rows = list(csv.reader(io.StringIO(sample, newline=""), delimiter=candidate))
        except csv.Error:
            continue
        # The last record may be cut.
        records = [row for row in (rows[:-1] if len(text) > _SAMPLE else rows) if any(row)]
        widths = Counter(len(row) for row in records if len(row) > 1)
        # A tab in one cell of a file with a single column makes no delimiter.
        if 2 * widths.total() > len(records):
            width, records_with_it = widths.most_common(1)[0]
            if (records_with_it, width) > best:
                best, delimiter = (records_with_it, width), candidate
    return delimiter
