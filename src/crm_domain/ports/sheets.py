"""Spreadsheets: cells in, cells out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from typing import BinaryIO, Protocol

import attrs

Cell = str | int | float | bool | date | datetime | time | None
"""One value of a sheet. An empty cell is None; a whole number is an int, also where the file holds
``13800138000.0``; a formula is its value; text that looks like a formula stays text."""


@attrs.frozen
class Row:
    """One row with the number that the user sees beside it."""

    number: int
    """Counted from 1, as in the spreadsheet program or the text editor."""
    cells: tuple[Cell, ...]

    @property
    def blank(self) -> bool:
        """Whether nothing but white space stands in the row."""
        return all(c is None or (isinstance(c, str) and not c.strip()) for c in self.cells)


@attrs.frozen
class Sheet:
    """One sheet of a file."""

    name: str
    rows: Sequence[Row]
    """Made when they are asked for, if the file is large; they can be gone through again.

    From the first row to the last that is not blank; blank rows between them included."""


class SheetReader(Protocol):
    """Reads a file that a user sent; trusts nothing in it."""

    @property
    def max_bytes(self) -> int:
        """The largest file that it reads; nobody need take in more of one."""
        ...

    def read(self, content: bytes, file_name: str) -> tuple[Sheet, ...]:
        """Read all sheets of an .xlsx or .csv file.

        Args:
            content: The bytes of the file.
            file_name: What the user calls it; its ending is a hint only.

        Returns:
            The visible sheets in the order of the file; a .csv has one, named after the file.

        Raises:
            UnreadableSheet: Not a spreadsheet, damaged, encrypted, or larger than the limits, in
                bounded time and memory whatever the file is.
        """
        ...


@attrs.frozen
class Table:
    """A sheet to be written."""

    name: str
    headings: Sequence[str]
    rows: Iterable[Sequence[Cell]]
    choices: Mapping[str, Sequence[str]] = attrs.field(factory=dict)
    """By heading: the values offered as a drop-down in the cells below it."""
    notes: Mapping[str, str] = attrs.field(factory=dict)
    """By heading: an explanation shown when the heading is pointed at."""
    text: frozenset[str] = frozenset()
    """Headings whose column is formatted as text, so that long numbers stay as typed."""


class SheetWriter(Protocol):
    """Writes files for users; no cell of them is ever a formula."""

    def write_xlsx(self, tables: Sequence[Table]) -> bytes:
        """Write a workbook with one sheet for each table."""
        ...

    def write_csv(self, table: Table) -> bytes:
        """Write one table as UTF-8 with a byte order mark, as Excel expects it."""
        ...

    def save_xlsx(self, tables: Sequence[Table], file: BinaryIO) -> None:
        """Write a workbook into a file, row by row."""
        ...

    def save_csv(self, table: Table, file: BinaryIO) -> None:
        """Write one table as `write_csv` does, into a file, row by row."""
        ...
