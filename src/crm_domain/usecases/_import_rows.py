"""The rows of an imported sheet as customers, or as why not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs

from crm_domain.errors import FieldError
from crm_domain.model import Course, Customer, ImportProblem, School, specs
from crm_domain.parsing import CONTACTS, Unreadable, field_value
from crm_domain.ports import Row, Sheet, UnitOfWork
from crm_domain.rules.layout import Layout, find_layout

ORDER = ("name", *CONTACTS)
"""These are looked at first: a row counts once, under its first problem."""


@attrs.frozen
class Good:
    """A row that can be taken in."""

    row: int
    customer: Customer
    cells: tuple[Any, ...]


@attrs.frozen
class Bad:
    """A row that cannot."""

    row: int
    problem: FieldError
    column: str


@attrs.define
class SheetRows:
    """The data rows of the sheet that holds the customers."""

    layout: Layout
    rows: tuple[Row, ...]
    """From below the header to the last row that is not blank."""
    warnings: Counter[str]
    _readers: list[tuple[int, str, Callable[[Any], Any]]]

    @property
    def data_rows(self) -> int:
        """How many rows are not blank."""
        return len(self.rows) - self.blank_rows

    @property
    def blank_rows(self) -> int:
        """How many blank rows lie between."""
        return sum(r.blank for r in self.rows)

    @property
    def last(self) -> int:
        """The number of the last row."""
        return self.rows[-1].number if self.rows else 0

    def beyond(self, number: int, limit: int) -> list[Row]:
        """Give up to ``limit`` data rows from a row number on."""
        found: list[Row] = []
        for row in self.rows[self._place(number) :]:
            if len(found) == limit:
                break
            if not row.blank:
                found.append(row)
        return found

    def _place(self, number: int) -> int:
        """Tell where a row number stands; rows are numbered upwards, with gaps in a .csv."""
        low, high = 0, len(self.rows)
        while low < high:
            middle = (low + high) // 2
            if self.rows[middle].number < number:
                low = middle + 1
            else:
                high = middle
        return low

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
        if not any(n in values for n in CONTACTS):
            problem = FieldError("", "no_contact", None, "手机、QQ、微信均未填写",
                                 "has neither phone, QQ nor WeChat")  # fmt: skip
            return Bad(row.number, problem, "")
        return Good(row.number, Customer(**values), cells)

    def _bad(self, row: Row, name: str, code: str, value: Any, zh: str, en: str) -> Bad:
        heading = self.layout.headings[name]
        shown = "" if value is None else f"“{value}”"
        problem = FieldError(name, code, value, f"{heading}{shown}{zh}", f"{heading} {shown} {en}")
        return Bad(row.number, problem, heading)


def find_rows(uow: UnitOfWork, sheets: Sequence[Sheet], file_name: str) -> SheetRows:
    """Find the customers in the sheets of a file.

    Raises:
        NoHeader: No row looks like a header.
    """
    number, layout = find_layout(
        ((s.name, [r.cells for r in s.rows]) for s in sheets), file_name
    )  # fmt: skip
    warnings: Counter[str] = Counter({f"未识别的列“{h}”已忽略": 1 for h in layout.unknown})
    courses = {c.title.casefold(): c.id or 0 for c in uow.records.all(Course)}
    schools = {s.title.casefold(): s.id or 0 for s in uow.records.all(School)}
    special: dict[str, Callable[[Any], Any]] = {
        "courses": _remembered(lambda v: _titles(v, courses, "课程", warnings)),
        "school_id": _remembered(
            lambda v: next(iter(_titles(v, schools, "校区", warnings) or ()), None)
        ),
    }
    readers = [
        (column, name, special.get(name) or _reader(name))
        for column, name in layout.columns.items()
    ]
    first = {name: i for i, name in enumerate(ORDER)}
    readers.sort(key=lambda r: (first.get(r[1], len(first)), r[0]))
    return SheetRows(layout, sheets[number].rows[layout.header + 1 :], warnings, readers)


def _reader(name: str) -> Callable[[Any], Any]:
    spec = specs(Customer)[name]
    if name in CONTACTS:
        return CONTACTS[name]
    read = lambda value: field_value(spec, value)  # noqa: E731
    return _remembered(read) if spec.kind == "choice" else read


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


def _titles(
    value: Any, known: dict[str, int], what: str, warnings: Counter[str]
) -> tuple[int, ...]:
    """Find records by their titles; an unknown one is a warning, not a refusal."""
    found: list[int] = []
    for title in re.split(r"[,，、;；/|\n]+", str(value)):
        text = title.strip()
        number = known.get(text.casefold())
        if number is not None:
            found.append(number)
        elif text:
            warnings[f"未知的{what}“{text[:60]}”已忽略"] += 1
    return tuple(dict.fromkeys(found))


IN_FILE, IN_DATABASE = "duplicate_in_file", "duplicate_in_database"


def sort_out(
    uow: UnitOfWork, rows: SheetRows, part: Sequence[Any], import_id: int,
    known: set[tuple[str, str]],
) -> tuple[list[Good], list[Bad]]:  # fmt: skip
    """Sort rows into those to take in and those not, in the order of the file.

    Args:
        uow: The unit of work, to ask for customers that are there already.
        rows: The sheet.
        part: The rows.
        import_id: A contact taken by a customer of this very import is a duplicate in the file.
        known: The contacts accepted before; those accepted now are added.
    """
    read = list(rows.read(part))
    contacts: dict[str, list[str]] = {n: [] for n in CONTACTS}
    for item in read:
        if isinstance(item, Good):
            for kind, value in _contacts(item.customer):
                contacts[kind].append(value)
    holders = uow.customers.holders(contacts)
    good: list[Good] = []
    bad: list[Bad] = []
    for item in read:
        if isinstance(item, Bad):
            bad.append(item)
            continue
        mine = _contacts(item.customer)
        taken = next((c for c in mine if c in holders), None)
        ours = taken is not None and holders[taken].import_id == import_id
        again = next((c for c in mine if c in known), None)
        if taken is not None and not ours:
            bad.append(duplicate(rows, item, taken[0], IN_DATABASE))
        elif again is not None or taken is not None:
            bad.append(duplicate(rows, item, (again or taken or ("",))[0], IN_FILE))
        else:
            known.update(mine)
            good.append(item)
    return good, bad


def _contacts(customer: Customer) -> list[tuple[str, str]]:
    return [(n, v) for n in CONTACTS if (v := getattr(customer, n))]


def duplicate(rows: SheetRows, good: Good, kind: str, code: str) -> Bad:
    """Say which contact of a row somebody has already, as it was typed."""
    heading = rows.layout.headings.get(kind, "")
    value = next((good.cells[c] for c, n in rows.layout.columns.items() if n == kind), "")
    where = ("与文件中前面的行重复", "stands in an earlier row") if code == IN_FILE else (
        "已有客户使用", "is another customer's")  # fmt: skip
    problem = FieldError(kind, code, value, f"{heading}“{value}”{where[0]}",
                         f"{heading} {value} {where[1]}")  # fmt: skip
    return Bad(good.row, problem, heading)


def as_problem(import_id: int, bad: Bad) -> ImportProblem:
    value = bad.problem.value
    return ImportProblem(
        import_id=import_id, row=bad.row, column=bad.column[:60], code=bad.problem.code,
        message=bad.problem.zh[:300], value=None if value is None else str(value)[:200],
    )  # fmt: skip
