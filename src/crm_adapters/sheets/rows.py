"""The rows of a large sheet, kept as the text that the reading child sent.

As cells a permitted file takes twenty times its size: 4.7 million short texts are 400 MB. As text
it takes little more than the file, and a block of it is quickly read again.
"""

from __future__ import annotations

import json
import zlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from typing import Any, overload

from crm_domain.ports.sheets import Cell, Row

KEPT = 4
"""So many blocks are kept as rows: whoever looks for a row by its number comes back to few."""


class Blocks:
    """The blocks of one sheet, in order."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._packed: list[bytes] = []
        self._starts: list[int] = []
        """The place of the first row of each block."""
        self.count = 0
        """Rows of all blocks."""
        self._rows: OrderedDict[int, list[Row]] = OrderedDict()

    def add(self, line: bytes, message: dict[str, Any]) -> None:
        """Keep a block, as the line that said it; what it says is read once to be sure."""
        self._starts.append(self.count)
        self.count += len(self._made(message))
        self._packed.append(zlib.compress(line, 1))

    def _made(self, message: dict[str, Any]) -> list[Row]:
        first = message["first"]
        block: list[list[Cell]] = message["rows"]
        for number, column, text in message["moments"]:
            block[number - first][column] = _moment(text)
        width = self._width
        return [
            Row(number, (*cells, *(None,) * (width - len(cells))))
            for number, cells in enumerate(block, first)
        ]

    def block(self, number: int) -> list[Row]:
        """Give the rows of a block."""
        found = self._rows.get(number)
        if found is None:
            found = self._made(json.loads(zlib.decompress(self._packed[number])))
            self._rows[number] = found
            if len(self._rows) > KEPT:
                self._rows.popitem(last=False)
        self._rows.move_to_end(number)
        return found

    def row(self, place: int) -> Row:
        """Give the row at a place."""
        number = bisect_right(self._starts, place) - 1
        return self.block(number)[place - self._starts[number]]


class LazyRows(Sequence[Row]):
    """A part of a sheet's rows, made when they are asked for."""

    def __init__(self, blocks: Blocks, places: range) -> None:
        self._blocks, self._places = blocks, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> Row: ...
    @overload
    def __getitem__(self, at: slice) -> LazyRows: ...
    def __getitem__(self, at: int | slice) -> Row | LazyRows:
        if isinstance(at, slice):
            return LazyRows(self._blocks, self._places[at])
        return self._blocks.row(self._places[at])

    def __iter__(self) -> Iterator[Row]:
        return map(self._blocks.row, self._places)


def _moment(text: str) -> date | datetime | time:
    if "T" in text:
        return datetime.fromisoformat(text)
    return time.fromisoformat(text) if ":" in text else date.fromisoformat(text)
