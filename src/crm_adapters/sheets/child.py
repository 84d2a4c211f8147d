"""What runs in the process that ``reading`` starts for one file.

It takes a line of JSON and the bytes of the file from standard input, and answers with lines of
JSON. Whatever the file does to it, memory exhausted or the process aborted by the parser, happens
to nobody else. It imports as little as possible, because it is started for every file.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from math import ceil, isfinite
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from crm_adapters.sheets import delimited
from crm_adapters.sheets.guard import Refused, check_position, check_workbook

if TYPE_CHECKING:
    from crm_adapters.sheets.limits import Limits

_BLOCK = 1 << 18
_OUT_OF_MEMORY = 3
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class _Answer:
    """Sends sheets to the parent, block by block, so that it can work while we read on."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.cells = 0
        self.bytes = 0

    def sheet(self, name: str, first: int, left: int, width: int, rows: Iterable[Any]) -> None:
        """Send one sheet without the blank rows at its start and end.

        Args:
            name: What it is called.
            first: The number of the first row given.
            left: How many empty columns stand left of the first column given.
            width: How many columns it has, empty ones on the left included.
            rows: The values of its rows.
        """
        self.say({"sheet": name, "width": width})
        padding = [None] * left
        block: list[str] = []
        moments: list[list[Any]] = []
        size = blank = 0
        started = False
        start = first
        for number, row in enumerate(rows, first):
            cells = padding + self._plain(row, left, number, moments)
            if _is_blank(cells):
                blank += 1
                continue
            if not started:
                started, start, blank = True, number, 0
            block.extend(["[]"] * blank)
            blank = 0
            text = _encode(cells)
            block.append(text)
            size += len(text)
            if size > _BLOCK:
                self._rows(start, block, moments)
                start, block, moments, size = number + 1, [], [], 0
        self._rows(start, block, moments)

    def say(self, message: dict[str, Any]) -> None:
        """Send one line."""
        self._send(_encode(message))

    def _rows(self, first: int, rows: list[str], moments: list[list[Any]]) -> None:
        if rows:
            text = f'{{"first":{first},"rows":[{",".join(rows)}],"moments":{_encode(moments)}}}'
            self._send(text)

    def _send(self, text: str) -> None:
        line = text.encode() + b"\n"
        self.bytes += len(line)
        if self.bytes > self.limits.text_bytes:
            raise Refused("too_many_cells", cells=self.limits.cells)
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()

    def _plain(self, row: Iterable[Any], left: int, number: int, moments: list[list[Any]]) -> Any:
        """Make the values of a row plain; moments, which JSON lacks, are sent beside the rows."""
        cells: list[Any] = []
        add = cells.append
        longest = self.limits.cell_characters
        for value in row:
            kind = type(value)
            if kind is str:
                if len(value) > longest:
                    raise Refused("cell_too_long", characters=longest)
                add(value or None)
            elif kind is float:
                add(int(value) if value.is_integer() else value if isfinite(value) else None)
            elif kind is bool or kind is int or value is None:
                add(value)
            elif kind is timedelta:
                # Beyond 24 hours ([h]:mm) it is no time of day; keep it as the user sees it.
                minutes, seconds = divmod(round(value.total_seconds()), 60)
                add(f"{minutes // 60}:{minutes % 60:02}:{seconds:02}")
            else:
                moments.append([number, left + len(cells), _moment(value).isoformat()])
                # Anything that is not blank; the parent puts the moment here.
                add(0)
        return cells

    def area(self, rows: int, columns: int) -> None:
        """Refuse when the sheets so far come to more cells than allowed."""
        self.cells += rows * columns
        if self.cells > self.limits.cells:
            raise Refused("too_many_cells", cells=self.limits.cells)


def _is_blank(cells: list[Any]) -> bool:
    # A loop, because nearly always the first value answers, and any() costs several times as much.
    for value in cells:
        if value is not None and (type(value) is not str or not value.isspace()):
            return False
    return True


def _moment(value: date | datetime | time) -> date | time:
    """Round to the second, which is what a fraction of a day in a float is good for."""
    if isinstance(value, datetime):
        if value.microsecond >= 500_000:
            value += timedelta(seconds=1)
        value = value.replace(microsecond=0)
        return value if value.time() != time() else value.date()
    return value.replace(microsecond=0) if isinstance(value, time) else value


def _read_xlsx(content: bytes, limits: Limits, answer: _Answer) -> None:
    from python_calamine import (
        CalamineError,
        CalamineWorkbook,
        SheetTypeEnum,
        SheetVisibleEnum,
    )

    file = io.BytesIO(content)
    check_workbook(file, limits)
    file.seek(0)
    try:
        with CalamineWorkbook.from_object(file) as workbook:
            shown = [
                sheet.name
                for sheet in workbook.sheets_metadata
                if sheet.visible == SheetVisibleEnum.Visible
                and sheet.typ == SheetTypeEnum.WorkSheet
            ]
            if not shown:
                raise Refused("no_sheet" if workbook.sheets_metadata else "damaged")
            for name in shown:
                sheet = workbook.get_sheet_by_name(name)
                (top, left), (bottom, right) = sheet.start or (0, 0), sheet.end or (-1, -1)
                check_position(bottom + 1, right + 1, limits)
                answer.area(bottom + 1 - top, right + 1)
                # iter_rows gives the empty rows above the first one too, but only the columns
                # from the first that is used.
                answer.sheet(name, 1, left, right + 1, sheet.iter_rows())
    except CalamineError as error:
        raise Refused("damaged") from error


def _read_csv(content: bytes, limits: Limits, answer: _Answer, name: str) -> None:
    rows = delimited.read_rows(content, limits)
    width = max((len(row) for row in rows), default=0)
    answer.area(len(rows), width)
    answer.sheet(name, 1, 0, width, rows)


def _confine(limits: Limits) -> None:
    """Limit our own memory and processor time where the platform can."""
    try:
        import resource
    except ImportError:  # Windows: the parent's clock has to do.
        return
    for what, most in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, ceil(limits.seconds)),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (most, hard))


@contextlib.contextmanager
def _out_of_memory_ends() -> Iterator[None]:
    try:
        yield
    except MemoryError:
        # No tidying up: that would need memory as well.
        os._exit(_OUT_OF_MEMORY)


def main() -> None:
    """Answer one request."""
    source = sys.stdin.buffer
    request = json.loads(source.readline())
    limits = cast("Limits", SimpleNamespace(**request["limits"]))
    answer = _Answer(limits)
    import python_calamine  # noqa: F401 - if this fails, the file is not to blame

    answer.say({"ready": True})
    with _out_of_memory_ends():
        _confine(limits)
        content = source.read()
        try:
            if request["kind"] == "csv":
                _read_csv(content, limits, answer, request["name"])
            else:
                _read_xlsx(content, limits, answer)
        except Refused as refused:
            # Past the limit of text there must still be room to say so.
            answer.bytes = 0
            answer.say({"refused": refused.code, "facts": refused.facts})
        else:
            answer.say({"end": True})
