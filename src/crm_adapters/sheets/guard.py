"""The first wall: what is this file, and is it safe to hand to a parser?

It refuses with a code and facts; ``reading`` turns them into sentences. Only the standard library
is imported here, because the reading child must start fast. The scan is a filter by compiled
expressions, not a parser, and a crafted file may slip through it: the second wall is that the
parser runs in a process of its own with limited memory and time.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

if TYPE_CHECKING:
    from crm_adapters.sheets.limits import Limits

Kind = Literal["xlsx", "csv"]

_CHUNK = 1 << 18
_RATIO_FROM = 10_000_000
_BYTES_PER_CHARACTER = 10
"""The longest way to write one character is a reference such as ``&#x1F600;``."""

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_DOCUMENTS = (b"%PDF", b"{\\rtf")
_MARKUP = re.compile(
    rb"\s*<(?:!doctype|!--|\?xml|html|head|meta|body|style|table|div|workbook)\b", re.IGNORECASE
)
_TEXT_ENDINGS = frozenset({"csv", "tsv", "tab", "txt", ""})
_SHEET_ENDINGS = frozenset({"xlsx", "xlsm", "xls", "xlsb", "xltx", "et", "ods"})

_DECLARATION = re.compile(rb"<!(?!--|\[CDATA\[)")
_FILLED_CELL = re.compile(rb"<(?:[\w.-]+:)?c\s([^<>]*)(?<!/)>(?!</)")
_REFERENCE = re.compile(rb"(?<!\S)r\s*=\s*[\"']([A-Za-z]{1,9})([0-9]{1,9})[\"']")


class Refused(Exception):
    """A file was not accepted, for a reason with a stable code."""

    def __init__(self, code: str, **facts: Any) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts


def recognise(content: bytes, ending: str, limits: Limits) -> Kind:
    """Tell from the first bytes how a file must be read.

    Args:
        content: The bytes of the file.
        ending: What follows the last point of its name, in lower case; "" for none.
        limits: How large it may be.

    Returns:
        "xlsx" or "csv".

    Raises:
        Refused: Empty, too large, or of another kind.
    """
    if not content.strip(b"\0 \r\n\t"):
        raise Refused("empty")
    if len(content) > limits.file_bytes:
        raise Refused("file_too_large", megabytes=limits.file_bytes // 1_000_000)
    if content.startswith(_OLE):
        # An encrypted .xlsx is wrapped into the container of the old formats.
        raise Refused("encrypted" if _ENCRYPTED in content else "old_format")
    if content.startswith(_ZIP):
        return "xlsx"
    # Without byte order mark and zeros, so that UTF-16 is recognised as well.
    start = content[:1024].removeprefix(b"\xef\xbb\xbf").lstrip(b"\xff\xfe").replace(b"\0", b"")
    if _MARKUP.match(start):
        raise Refused("markup")
    if start.startswith(_DOCUMENTS):
        raise Refused("not_a_sheet")
    if ending not in _TEXT_ENDINGS:
        text = b"\0" not in content[:4096] and ending in _SHEET_ENDINGS
        raise Refused("text_named_as_workbook" if text else "not_a_sheet")
    return "csv"


def check_workbook(file: BinaryIO, limits: Limits) -> None:
    """Look through a zip for everything that would make a parser of .xlsx suffer.

    Args:
        file: The workbook; its position is moved.
        limits: How large it may be.

    Raises:
        Refused: Not a workbook, damaged, dangerous or larger than the limits.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            _check_directory(archive.infolist(), limits)
            left = limits.unpacked_bytes
            for part in archive.infolist():
                if _is_scanned(part.filename):
                    left = _scan(archive, part, left, limits)
    except (zipfile.BadZipFile, zlib.error, struct.error) as error:
        raise Refused("damaged") from error
    except (EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise Refused("damaged") from error


def _check_directory(parts: list[zipfile.ZipInfo], limits: Limits) -> None:
    names = [part.filename.replace("\\", "/").lower() for part in parts]
    if "content.xml" in names:
        raise Refused("open_document")
    if "xl/workbook.bin" in names:
        raise Refused("binary_workbook")
    if not any(name.startswith("xl/") for name in names):
        raise Refused("not_a_sheet")
    # Nothing is ever unpacked to disk; but who writes such names does not mean well.
    if any(name.startswith("/") or ".." in name.split("/") or ":" in name for name in names):
        raise Refused("dangerous")
    if any(part.flag_bits & 0x1 for part in parts):
        raise Refused("encrypted")
    if "[content_types].xml" not in names or len(set(names)) < len(names):
        raise Refused("damaged")
    unpacked = sum(part.file_size for part in parts)
    if unpacked > limits.unpacked_bytes or len(parts) > limits.parts:
        raise _too_much_inside(limits)
    for part in parts:
        ratio = part.file_size / max(part.compress_size, 1)
        if part.file_size > _RATIO_FROM and ratio > limits.ratio:
            raise _too_much_inside(limits)


def _is_scanned(name: str) -> bool:
    """Whether a part is XML that a reader may look at; Power Query's data, for one, is not."""
    lower = name.lower()
    return lower.endswith((".xml", ".rels")) and not lower.startswith("customxml/")


def _scan(archive: zipfile.ZipFile, part: zipfile.ZipInfo, left: int, limits: Limits) -> int:
    """Scan one part and return how many unpacked bytes the others may have."""
    suspicious = _suspicious_reference(limits)
    for data in _whole_tags(archive, part, left, limits):
        # A zero byte means UTF-16, in which the expressions below would see nothing.
        if b"\0" in data or _DECLARATION.search(data):
            raise Refused("dangerous")
        if suspicious.search(data):
            _check_cells(data, limits)
    return left - part.file_size


def _whole_tags(
    archive: zipfile.ZipFile, part: zipfile.ZipInfo, left: int, limits: Limits
) -> Iterator[bytes]:
    """Unpack piece by piece; each piece but the last ends before a ``<``."""
    declared = part.file_size
    # zipfile stops at the size that the directory declares, other unpackers do not. With a larger
    # one it reads on to the real end, where the checksum then gives a lie away.
    part.file_size = left + 2 * _CHUNK
    longest = limits.cell_characters * _BYTES_PER_CHARACTER
    size = 0
    rest = b""
    with archive.open(part) as stream:
        while chunk := stream.read(_CHUNK):
            size += len(chunk)
            if size > left:
                raise _too_much_inside(limits)
            data = rest + chunk
            end = data.rfind(b"<")
            if len(data) - end > longest:
                raise Refused("cell_too_long", characters=limits.cell_characters)
            yield data[: max(end, 0)]
            rest = data[max(end, 0) :]
    part.file_size = size
    if size != declared:
        raise Refused("damaged")
    yield rest


def _suspicious_reference(limits: Limits) -> re.Pattern[bytes]:
    """Build a fast filter that finds every reference beyond the limits, and some before them."""
    letters, digits = _letters(limits.columns), str(limits.rows)
    first = letters[0]
    column = rf"[A-Za-z]{{{len(letters) + 1}}}"
    column += rf"|[{first}-Z{first.lower()}-z][A-Za-z]{{{len(letters) - 1}}}"
    row = rf"\d{{{len(digits) + 1}}}|[{digits[0]}-9]\d{{{len(digits) - 1}}}"
    return re.compile(rf"r=[\"'](?:{column}|[A-Za-z]{{0,{len(letters)}}}(?:{row}))".encode())


def _check_cells(data: bytes, limits: Limits) -> None:
    # Only cells with something inside count: programs that format whole columns and rows write
    # a million empty ones, which a reader skips.
    for cell in _FILLED_CELL.finditer(data):
        reference = _REFERENCE.search(cell[1])
        if reference is None:
            continue
        column, row = _number(reference[1]), int(reference[2])
        check_position(row, column, limits)


def check_position(row: int, column: int, limits: Limits) -> None:
    """Refuse a cell with content beyond the limits.

    Args:
        row: Counted from 1.
        column: Counted from 1.
        limits: How far cells may be.

    Raises:
        Refused: Too far; the fact ``cell`` names it as in ``XFD1048576``.
    """
    cell = f"{_letters(column)}{row}"
    if column > limits.columns:
        raise Refused("too_many_columns", cell=cell, columns=limits.columns)
    if row > limits.rows:
        raise Refused("too_many_rows", cell=cell, rows=limits.rows)


def _too_much_inside(limits: Limits) -> Refused:
    return Refused("unpacks_too_large", megabytes=limits.unpacked_bytes // 1_000_000)


def _letters(number: int) -> str:
    """Write a column's number as letters: 1 is A, 28 is AB."""
    text = ""
    while number:
        number, digit = divmod(number - 1, 26)
        text = chr(ord("A") + digit) + text
    return text


def _number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - ord("A") + 1
    return number
