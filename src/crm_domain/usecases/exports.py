"""Customers as a sheet, with the columns that an import understands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, BinaryIO, Literal, get_args

import attrs

from crm_domain.errors import FieldError, Invalid, Language, TooManyRows
from crm_domain.model import Course, Customer, Employee, School, specs
from crm_domain.model.fields import Choice
from crm_domain.ports import Crm, Query, Table
from crm_domain.rules.access import Principal, mask
from crm_domain.rules.layout import SYNONYMS
from crm_domain.rules.pool import spoken_to
from crm_domain.usecases._common import audit
from crm_domain.usecases.intake import list_customers

Form = Literal["xlsx", "csv"]
BESIDE = ("owner_id", "status", "intention", "received_at", "last_contacted_at",
          "next_contact_at", "due_on", "created_at")  # fmt: skip
"""What an export says beyond the columns that an import understands."""
COLUMNS = (*SYNONYMS, *BESIDE)
PAGE = 2000
MOST_ROWS = 2**20 - 1
"""So many rows an .xlsx holds below its headings."""
TOLD = 500
"""After so many rows whoever waits is told again."""


def export_customers(
    crm: Crm, query: Query | None = None, *, form: Form = "xlsx", language: Language = "zh",
    told: Callable[[int], None] | None = None, by: Principal,
) -> bytes:  # fmt: skip
    """Write the customers within one's reach that fit a query, all of them, as a sheet.

    What is exported, by whom and how many, is written down in the audit log.

    Args:
        crm: The CRM.
        query: Which, and in what order; its limit and its page mark do not matter.
        form: ``xlsx`` or ``csv``.
        language: Of the headings and choices; an import understands both.
        told: Called with the number of rows now and then, and at the end.
        by: Who asks; needs ``customer:export`` and ``customer:view``.

    Returns:
        The bytes of the file.

    Raises:
        Invalid: The query names what is not there, or the form or language is none of these.
        NotPermitted: Without one of the permissions.
    """
    by.need("customer:export")
    by.need("customer:view")
    refuse_unknown("form", form, get_args(Form))
    refuse_unknown("language", language, get_args(Language))
    rows = _Rows(crm, query or Query(), language, told, by)
    fields = [specs(Customer)[n] for n in COLUMNS]
    table = Table(
        "客户" if language == "zh" else "Customers", [s.label(language) for s in fields], rows,
        text=frozenset(s.label(language) for s in fields if s.contact),
    )  # fmt: skip
    content = crm.writer.write_csv(table) if form == "csv" else crm.writer.write_xlsx([table])
    if told is not None:
        told(rows.count)
    with crm.unit_of_work() as uow:
        audit(uow, by, crm.now(), "export", "Customer", None, None,
              asked_for(query or Query()) | {"rows": rows.count})  # fmt: skip
    return content


def export_rows(
    crm: Crm, record: str, name: str, headings: Sequence[str], rows: Iterable[Sequence[Any]],
    query: Query, file: BinaryIO, *, needs: str, form: Form = "xlsx", text: Sequence[str] = (),
    by: Principal,
) -> int:  # fmt: skip
    """Write the rows of a list as a sheet into a file, and write down that it was done.

    The rows are somebody's answer to a list's use case, which has checked the reach; no cell of the
    file is ever a formula.

    Args:
        crm: The CRM.
        record: The name of the record, for the audit log.
        name: What the sheet is called.
        headings: Of the columns.
        rows: The cells, row by row; read while they are written.
        query: What was asked, for the audit log.
        file: Where it is written; it can be gone back in.
        needs: The permission to let these rows leave the house.
        form: ``xlsx`` or ``csv``.
        text: The headings of columns that are kept as text, so that long numbers stay as typed.
        by: Who asks; needs that permission.

    Returns:
        How many rows were written.

    Raises:
        Invalid: The form is none of these, or what the list refuses.
        NotPermitted: Without the permission.
        TooManyRows: More than an .xlsx holds.
    """
    by.need(needs)
    refuse_unknown("form", form, get_args(Form))
    counted = _Counted(rows, MOST_ROWS if form == "xlsx" else None)
    table = Table(name, headings, counted, text=frozenset(text))
    if form == "csv":
        crm.writer.save_csv(table, file)
    else:
        crm.writer.save_xlsx([table], file)
    with crm.unit_of_work() as uow:
        audit(uow, by, crm.now(), "export", record, None, None,
              asked_for(query) | {"rows": counted.count})  # fmt: skip
    return counted.count


class _Counted:
    """Rows that are counted while they are written, and refused where they are too many."""

    def __init__(self, rows: Iterable[Sequence[Any]], most: int | None) -> None:
        self._rows, self._most = rows, most
        self.count = 0

    def __iter__(self) -> Iterator[Sequence[Any]]:
        for row in self._rows:
            if self.count == self._most:
                raise TooManyRows(most=self._most)
            self.count += 1
            yield row


def refuse_unknown(name: str, value: Any, known: tuple[Any, ...]) -> None:
    """Refuse what is none of a few words.

    Raises:
        Invalid: Naming them.
    """
    if value not in known:
        raise Invalid([FieldError(name, "unknown_choice", value, f"只能是 {'、'.join(known)}",
                                  f"it must be {' or '.join(known)}")])  # fmt: skip


def asked_for(query: Query) -> dict[str, Any]:
    """Give the filter as it may be written down: contact data stays out of the audit log."""
    contacts = {n for n, s in specs(Customer).items() if s.contact}
    search = query.search
    if search is not None and (sum(c.isdigit() for c in search) >= 5 or search.isascii()):
        search = mask(search)
    found: dict[str, Any] = {"search": search, "sort": query.sort}
    for part, filters in (("where", query.where), ("ranges", query.ranges)):
        found[part] = {n: "•••" if n in contacts else _said(v) for n, v in filters.items()} or None
    return {n: v for n, v in found.items() if v is not None}


def _said(value: Any) -> Any:
    many = isinstance(value, list | tuple | set | frozenset)
    return [str(v) for v in value] if many else value if value is None else str(value)


class _Rows:
    """The rows of an export, read page by page while they are written, and counted."""

    def __init__(
        self, crm: Crm, query: Query, language: Language, told: Callable[[int], None] | None,
        by: Principal,
    ) -> None:  # fmt: skip
        self._crm, self._query, self._language, self._by = crm, query, language, by
        self._told = told
        self.count = 0
        with crm.unit_of_work(read_only=True) as uow:
            self._titles: dict[str, dict[int | None, str]] = {
                "courses": {c.id: c.title for c in uow.records.all(Course)},
                "school_id": {s.id: s.title for s in uow.records.all(School)},
                "owner_id": {e.id: e.name for e in uow.records.all(Employee)},
            }

    def __iter__(self) -> Iterator[list[Any]]:
        for customer in self._customers():
            self.count += 1
            if self._told is not None and self.count % TOLD == 0:
                self._told(self.count)
            yield [self._cell(customer, name) for name in COLUMNS]

    def _customers(self) -> Iterator[Customer]:
        query = attrs.evolve(self._query, limit=PAGE, after=None)
        while True:
            page = list_customers(self._crm, query, by=self._by)
            yield from page.items
            if page.next is None:
                return
            query = attrs.evolve(query, after=page.next)

    def _cell(self, customer: Customer, name: str) -> Any:
        value: Any = getattr(customer, name)
        if name == "last_contacted_at":
            value = spoken_to(customer)
        if name == "courses":
            return "、".join(self._titles[name].get(n, str(n)) for n in value)
        if name in self._titles:
            return self._titles[name].get(value)
        if isinstance(value, Choice):
            return value.label(self._language)
        if isinstance(value, datetime):
            return f"{value.astimezone(self._crm.settings.zone):%Y-%m-%d %H:%M}"
        if name == "due_on":
            return None if value in (date.min, date.max) else value.isoformat()
        return value
