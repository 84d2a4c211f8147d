"""Writes sheets for users, in which no cell is ever a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from itertools import chain, islice, zip_longest
from math import isfinite
from typing import TYPE_CHECKING, Any, BinaryIO
from unicodedata import east_asian_width

import attrs

from crm_domain.ports.sheets import Cell, Table

if TYPE_CHECKING:
    from openpyxl import Workbook

_WriteOnlySheet = Any
"""What the stubs of openpyxl know too little about."""

_FORMULA_SIGNS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_SIGNS = (*_FORMULA_SIGNS, "\t", "\r", "\n")
"""What makes a spreadsheet program take text for a formula (OWASP, CSV injection)."""
_MISTAKEN = (*_SIGNS, "#")
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_LONGEST = 32_767
_EXACT = 10**15
"""Excel keeps 15 digits of a number; longer ones are written as text."""
_FIRST_DATE = date(1900, 1, 1)
_INLINE_CHOICES = 253
_CHOICES_SHEET = "_choices"
_LAST_ROW = 1_048_576
_SAMPLE = 200
_WIDTHS = (8, 50)


@attrs.frozen
class SheetWriterAdapter:
    """Writes .xlsx by openpyxl, row by row whatever the size, and .csv."""

    def write_xlsx(self, tables: Sequence[Table]) -> bytes:
        """Write a workbook with one sheet for each table.

        Args:
            tables: What to write, in this order; none gives one empty sheet.

        Returns:
            The bytes of the file.
        """
        file = io.BytesIO()
        self.save_xlsx(tables, file)
        return file.getvalue()

    def save_xlsx(self, tables: Sequence[Table], file: BinaryIO) -> None:
        """Write a workbook into a file; what is asked for is not held in memory.

        Args:
            tables: As for `write_xlsx`.
            file: What can be written and gone back in.
        """
        from openpyxl import Workbook

        # Write-only also for small tables: one way to write is easier to trust than two, and the
        # memory that it takes does not grow with the rows.
        book = Workbook(write_only=True)
        lists = _Lists()
        taken: set[str] = {_CHOICES_SHEET}
        for table in tables or [Table("Sheet1", (), ())]:
            sheet = book.create_sheet(_title(table.name, taken))
            _write_table(sheet, table, lists)
        lists.write(book)
        book.save(file)

    def write_csv(self, table: Table) -> bytes:
        """Write one table as UTF-8 with a byte order mark; drop-downs and notes are left out.

        Args:
            table: What to write.

        Returns:
            The bytes of the file.
        """
        file = io.BytesIO()
        self.save_csv(table, file)
        return file.getvalue()

    def save_csv(self, table: Table, file: BinaryIO) -> None:
        """Write one table into a file, as `write_csv` does.

        Args:
            table: What to write.
            file: What can be written.
        """
        text = io.TextIOWrapper(file, "utf-8-sig", newline="", write_through=True)
        writer = csv.writer(text)
        for row in chain([table.headings], table.rows):
            writer.writerow([_disarmed(value) for value in row])
        text.detach()


class _Lists:
    """The values of drop-downs; those too long for their cell's rule go onto a hidden sheet."""

    def __init__(self) -> None:
        self._long: list[list[str]] = []

    def formula(self, values: Sequence[str]) -> str:
        """Give what a validation rule must say to offer these values."""
        texts = [clean(value) for value in values]
        joined = ",".join(texts)
        if len(joined) <= _INLINE_CHOICES and not any(set(t) & set(',"\n') for t in texts):
            return f'"{joined}"'
        from openpyxl.utils import get_column_letter

        if texts not in self._long:
            self._long.append(texts)
        letter = get_column_letter(self._long.index(texts) + 1)
        return f"'{_CHOICES_SHEET}'!${letter}$1:${letter}${len(texts)}"

    def write(self, book: Workbook) -> None:
        """Write the hidden sheet if there is need of one."""
        if not self._long:
            return
        sheet = book.create_sheet(_CHOICES_SHEET)
        sheet.sheet_state = "hidden"
        for values in zip_longest(*self._long):
            sheet.append(_row(sheet, values, frozenset()))


def _row(sheet: _WriteOnlySheet, values: Iterable[Cell], text: frozenset[int]) -> list[Any]:
    """Turn the values of a row into what openpyxl writes as it is meant.

    Args:
        sheet: Where the row will stand.
        values: Its values.
        text: The columns formatted as text, counted from 0.

    Returns:
        Values that openpyxl takes for what they are, and cells for those it would not.
    """
    from openpyxl.cell.cell import WriteOnlyCell

    cells: list[Any] = []
    for index, value in enumerate(values):
        as_text = index in text
        plain = _writable(value, as_text)
        if isinstance(plain, str) and (as_text or plain.startswith(_MISTAKEN)):
            cell: Any = WriteOnlyCell(sheet, plain)
            # After the value, for openpyxl makes "=..." a formula and "#N/A" an error.
            cell.data_type = "s"
            if as_text:
                cell.number_format = "@"
            if plain.startswith(_SIGNS):
                cell.quotePrefix = True
            cells.append(cell)
        else:
            cells.append(plain)
    return cells


def _write_table(sheet: _WriteOnlySheet, table: Table, lists: _Lists) -> None:
    from openpyxl.cell.cell import WriteOnlyCell
    from openpyxl.comments import Comment
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    rows = iter(table.rows)
    sample = list(islice(rows, _SAMPLE))
    # Everything about columns must be said before the first row.
    sheet.freeze_panes = "A2"
    text = frozenset(i for i, heading in enumerate(table.headings) if heading in table.text)
    headings: list[Any] = []
    for index, heading in enumerate(table.headings):
        letter = get_column_letter(index + 1)
        values = [row[index] for row in sample if index < len(row)]
        sheet.column_dimensions[letter].width = _width([heading, *values])
        if index in text:
            sheet.column_dimensions[letter].number_format = "@"
        if choices := table.choices.get(heading):
            # A warning, not a stop: the import tells what is wrong with a value, Excel does not.
            rule = DataValidation("list", lists.formula(choices), errorStyle="warning")
            rule.allowBlank = rule.showErrorMessage = True
            rule.add(f"{letter}2:{letter}{_LAST_ROW}")
            sheet.data_validations.append(rule)
        cell: Any = WriteOnlyCell(sheet, clean(heading))
        cell.data_type = "s"
        cell.font = Font(bold=True)
        cell.quotePrefix = heading.startswith(_SIGNS)
        if note := table.notes.get(heading):
            cell.comment = Comment(clean(note), "CRM", height=120, width=240)
        headings.append(cell)
    sheet.append(headings)
    for row in chain(sample, rows):
        sheet.append(_row(sheet, row, text))


def clean(text: str) -> str:
    """Make text fit for a cell.

    Args:
        text: Any text.

    Returns:
        The text with U+FFFD for each character that XML forbids, one kind of line break, and no
        longer than Excel allows.
    """
    text = _ILLEGAL.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _writable(value: Cell, as_text: bool) -> Cell:
    if value is None or value == "":
        return None
    if as_text and not isinstance(value, str):
        value = _as_typed(value)
    if isinstance(value, str):
        # Excel takes _x0041_ in a file for the letter A; the escape is ECMA-376, 22.9.2.19.
        return _ESCAPE.sub("_x005F_", clean(value))
    if isinstance(value, float) and not isfinite(value):
        return None
    if isinstance(value, int | float) and abs(value) >= _EXACT:
        return _as_typed(value)
    if isinstance(value, datetime) and value.tzinfo:
        # A sheet knows no zones. Whoever fills a table has chosen the clock to show.
        value = value.replace(tzinfo=None)
    if isinstance(value, date):
        day = value.date() if isinstance(value, datetime) else value
        return value if day >= _FIRST_DATE else _as_typed(value)
    return value


def _as_typed(value: Cell) -> str:
    """Write a value as a person would type it; also the one way in which CSV has it."""
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ", "seconds")
    return str(value)


def _disarmed(value: Cell) -> str:
    if not isinstance(value, str):
        return _as_typed(value)
    text = clean(value)
    # Some programs trim before they look.
    armed = text.startswith(_SIGNS) or text.lstrip().startswith(_FORMULA_SIGNS)
    return f"'{text}" if armed else text


def _width(values: Iterable[Cell]) -> int:
    """Guess the width of a column, in characters as Excel counts them; Chinese ones are two."""
    longest = 0
    for value in values:
        lines = _as_typed(value).splitlines() or [""]
        wide = max(sum(2 if east_asian_width(c) in "WF" else 1 for c in x[:60]) for x in lines)
        longest = max(longest, wide)
    return min(max(longest + 2, _WIDTHS[0]), _WIDTHS[1])


def _title(name: str, taken: set[str]) -> str:
    """Make a name that Excel accepts for a sheet, and that no other sheet has."""
    base = re.sub(r"[\[\]:*?/\\]", " ", clean(name).replace("\n", " ")).strip(" '")[:31] or "Sheet"
    title, number = base, 1
    while title.lower() in taken:
        number += 1
        title = f"{base[:27]} {number}"
    taken.add(title.lower())
    return title
