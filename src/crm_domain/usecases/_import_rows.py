"""The rows of an imported sheet as records, or as why not; what is only warned of."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

import attrs

from crm_domain.errors import FieldError
from crm_domain.model import (
    Course,
    Department,
    School,
    Spec,
    about,
)
from crm_domain.parsing import CONTACTS, Unreadable, field_value
from crm_domain.ports import Row, Sheet, UnitOfWork
from crm_domain.rules.layout import FORMS, HEADER_WITHIN, Layout, find_layout

ORDER = ("name", *CONTACTS)
"""These are looked at first: a row counts once, under its first problem."""
TOTALS = frozenset({"合计", "小计", "总计"})
"""What stands in place of a name in a row that adds up those above."""
_SHOWN = 60
"""So much of what was typed is shown in a sentence, which must not lose its end."""
_UNUSABLE = re.compile("[\0\ud800-\udfff]")

TITLED: dict[str, type[Any]] = {
    "courses": Course, "school_id": School, "department_id": Department,
}  # fmt: skip
"""What cells name by title; an unknown one is only warned of."""
COLUMN = "未识别的列"
"""How the warning of a column begins, which is of the sheet and not of a row."""
Titles = tuple[tuple[int, ...], tuple[str, ...]]
"""The numbers of the records that a cell names, and the warnings of what is not there."""


Unique = tuple[str, Any]
"""A field and its value."""


@attrs.frozen
class Good:
    """A row that can be taken in."""

    row: int
    values: Mapping[str, Any]
    """By field."""
    unique: tuple[Unique, ...]
    """What nobody else may have."""
    cells: tuple[Any, ...]
    warnings: tuple[str, ...] = ()
    """What it is taken in without."""


@attrs.frozen
class Bad:
    """A row that cannot."""

    row: int
    problem: FieldError
    column: str


@attrs.define
class SheetRows:
    """The data rows of the sheet that holds the people."""

    record: str
    """A key of `FORMS`."""
    layout: Layout
    rows: Sequence[Row]
    """From below the header to the last row that is not blank."""
    _readers: list[tuple[int, str, Callable[[Any], Any]]]
    _titles: list[tuple[int, str, Callable[[Any], Titles]]]

    @property
    def data_rows(self) -> int:
        """How many rows are not blank."""
        return len(self.rows) - self.blank_rows

    @property
    def blank_rows(self) -> int:
        """How many blank rows lie between."""
        return sum(r.blank for r in self.rows)

    @property
    def contacts(self) -> int:
        """How many ways to reach somebody it holds, readable or not."""
        places = [i for i, name in self.layout.columns.items() if name in CONTACTS]
        return sum(
            i < len(row.cells) and row.cells[i] not in (None, "")
            for row in self.rows for i in places
        )  # fmt: skip

    @property
    def last(self) -> int:
        """The number of the last row."""
        return self.rows[-1].number if self.rows else 0

    @property
    def unknown(self) -> tuple[str, ...]:
        """Warn of the columns that are not understood."""
        return tuple(f"{COLUMN}“{shown(h)}”已忽略" for h in self.layout.unknown)

    def beyond(self, number: int, limit: int) -> list[Row]:
        """Give up to ``limit`` data rows from a row number on."""
        found: list[Row] = []
        # Rows are numbered upwards, with gaps in a .csv.
        first = bisect_left(self.rows, number, key=attrgetter("number"))
        for row in self.rows[first:]:
            if len(found) == limit:
                break
            if not row.blank:
                found.append(row)
        return found

    def read(self, rows: Sequence[Row]) -> Iterator[Good | Bad]:
        """Read rows one by one."""
        for row in rows:
            yield self._read(row)

    def _read(self, row: Row) -> Good | Bad:
        values: dict[str, Any] = {}
        cells = row.cells
        width = len(cells)
        for column, name, reader in self._readers:
            cell = cells[column] if column < width else None
            if cell is None:
                value = None
            else:
                try:
                    value = reader(cell)
                except Unreadable as e:
                    return self._bad(row, name, e.code, cell, e.zh, e.en)
            if value is None:
                if name == "name":
                    return self._bad(row, name, "no_name", cell, "为空", "is empty")
            else:
                values[name] = value
        unique = tuple([(n, values[n]) for n in self.layout.form.unique if n in values])
        if not unique and re.sub(r"[\s:：]+", "", values["name"]) in TOTALS:
            return self._bad(row, "name", "total_row", values["name"], "是合计行，不是客户",
                             "adds up other rows and is no customer")  # fmt: skip
        for group in self.layout.form.asked[1:]:
            if not any(n in values for n in group):
                problem = FieldError("", "no_contact", None, "手机、QQ、微信均未填写",
                                     "has neither phone, QQ nor WeChat")  # fmt: skip
                return Bad(row.number, problem, "")
        warnings: tuple[str, ...] = ()
        for column, name, titles in self._titles:
            if column < width and cells[column] is not None:
                found, unknown = titles(cells[column])
                warnings += unknown
                if found:
                    values[name] = found if name == "courses" else found[0]
        return Good(row.number, values, unique, cells, warnings)

    def _bad(self, row: Row, name: str, code: str, value: Any, zh: str, en: str) -> Bad:
        heading = self.layout.headings[name]
        typed = "" if value is None else f"“{shown(value)}”"
        problem = FieldError(name, code, value, f"{heading}{typed}{zh}", f"{heading} {typed} {en}")
        return Bad(row.number, problem, heading)


def find_rows(
    uow: UnitOfWork, sheets: Sequence[Sheet], file_name: str, record: str = "Customer"
) -> SheetRows:
    """Find the people in the sheets of a file.

    Args:
        uow: The unit of work, to ask for what cells name by title.
        sheets: The sheets.
        file_name: What the user calls the file, for the refusal.
        record: A key of `FORMS`.

    Raises:
        NoHeader: No row looks like a header.
    """
    tops = ((s.name, [r.cells for r in s.rows[:HEADER_WITHIN]]) for s in sheets)
    number, layout = find_layout(tops, file_name, FORMS[record])
    columns = layout.columns.items()
    special = {name: _finder(uow, cls) for name, cls in TITLED.items()
               if name in layout.headings}  # fmt: skip
    fields = layout.form.fields
    readers = [(c, name, _reader(fields[name])) for c, name in columns if name not in special]
    first = {name: i for i, name in enumerate(ORDER)}
    readers.sort(key=lambda r: (first.get(r[1], len(first)), r[0]))
    titles = [(column, name, special[name]) for column, name in columns if name in special]
    return SheetRows(record, layout, sheets[number].rows[layout.header + 1 :], readers, titles)


def _finder(uow: UnitOfWork, cls: type[Any]) -> Callable[[Any], Titles]:
    known: dict[str, int] = {}
    twice: set[str] = set()
    for one in uow.records.all(cls):
        title = one.title.casefold()
        twice |= {title} & known.keys()
        known[title] = one.id or 0
    # Two departments of one title are none that a cell could mean.
    clear = {title: number for title, number in known.items() if title not in twice}
    return _remembered(lambda value: _find_titles(value, clear, about(cls).zh))


def _reader(spec: Spec) -> Callable[[Any], Any]:
    if spec.name in CONTACTS:
        return CONTACTS[spec.name]
    read = lambda value: field_value(spec, value)  # noqa: E731
    return _remembered(read) if spec.kind in ("choice", "day") else read


def _remembered(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Read each distinct value of a column once; most columns have few."""
    known: dict[Any, Any] = {}

    def reader(value: Any) -> Any:
        if value not in known:
            if len(known) > 10_000:
                known.clear()
            known[value] = read(value)
        return known[value]

    return reader


def _find_titles(value: Any, known: Mapping[str, int], what: str) -> Titles:
    """Find records by their titles; an unknown one is a warning, not a refusal."""
    texts = [t for t in map(str.strip, re.split(r"[,，、;；/|\n]+", str(value))) if t]
    found = [known.get(t.casefold()) for t in texts]
    unknown = [t for t, number in zip(texts, found, strict=True) if number is None]
    return (
        tuple(dict.fromkeys(n for n in found if n is not None)),
        tuple(dict.fromkeys(f"未知的{what}“{shown(t)}”已忽略" for t in unknown)),
    )


def shown(value: Any) -> str:
    """Write what was typed as it may stand in a sentence that is kept."""
    text = usable(str(value))
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def usable(text: str) -> str:
    """Replace what no database takes: the null character, and halves of characters."""
    return _UNUSABLE.sub("\ufffd", text)
