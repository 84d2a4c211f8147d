"""The audit log: who changed what, read, counted and exported; never changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

import attrs

from crm_domain.errors import FieldError, Invalid, Language
from crm_domain.model import RECORDS, AuditEntry, Scope, about, specs
from crm_domain.model.fields import changed
from crm_domain.ports import MOST, Crm, Page, Query, Table, Tally, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.usecases._common import audit, people, reach_of
from crm_domain.usecases.exports import PAGE, Form, asked_for, refuse_unknown

WHERE = frozenset({"record", "record_id", "action", "by_id", "acting_id"})
FACETS = ("record", "action", "by_id")
COLUMNS = ("at", "by_id", "action", "record", "record_id", "before", "after", "acting_id")


@attrs.frozen(kw_only=True)
class Entry:
    """One entry as a person reads it."""

    entry: AuditEntry
    by_name: str | None
    """Who did it: the employee, or the account without one; None is the program."""
    acting_name: str | None = None
    """Who really did it, in that one's name; None where nobody else did."""


def list_entries(crm: Crm, query: Query | None = None, *, by: Principal) -> Page[Entry]:
    """Read one page of the audit log, the newest first: of what people within one's reach did.

    Of a customer out of reach it is told that something was done, and not what.

    Args:
        crm: The CRM.
        query: May filter by ``record`` (the class: ``Customer``), ``record_id``, ``action``,
            ``by_id`` and ``acting_id``, and by a range of ``at``; sorted by ``at``.
        by: Who asks; needs ``audit:view``.

    Raises:
        Invalid: The query names what is not there.
        NotPermitted: Without the permission.
    """
    by.need("audit:view")
    query = _checked(query)
    with crm.unit_of_work(read_only=True) as uow:
        page = uow.records.page(AuditEntry, query, reach_of(by))
        items = _withheld(uow, page.items, crm.today(), by)
        return Page(items=_named(uow, items), next=page.next)


def tally_entries(
    crm: Crm, query: Query | None = None, facets: Sequence[str] = (), *, most: int = MOST,
    by: Principal,
) -> Tally:  # fmt: skip
    """Count the entries that `list_entries` would give, and their values.

    Args:
        crm: The CRM.
        query: What is asked.
        facets: ``record``, ``action`` and ``by_id``.
        most: So many are counted at most; of more the tally says that there are more.
        by: Who asks; needs ``audit:view``.

    Raises:
        Invalid: The query or a facet names what is not there.
        NotPermitted: Without the permission.
    """
    by.need("audit:view")
    query = _checked(query)
    for name in facets:
        refuse_unknown("facets", name, FACETS)
    with crm.unit_of_work(read_only=True) as uow:
        return uow.records.tally(AuditEntry, query, facets, reach_of(by), most=most, texts=True)


def export_entries(
    crm: Crm, query: Query | None = None, *, form: Form = "xlsx", language: Language = "zh",
    by: Principal,
) -> bytes:  # fmt: skip
    """Write the entries that fit a query, all of them, as a sheet; that is written down, too.

    Args:
        crm: The CRM.
        query: Which; its limit and its page mark do not matter.
        form: ``xlsx`` or ``csv``.
        language: Of the headings.
        by: Who asks; needs ``audit:view``.

    Returns:
        The bytes of the file, in which no text is a formula.

    Raises:
        Invalid: The query names what is not there, or the form or language is none of these.
        NotPermitted: Without the permission.
    """
    by.need("audit:view")
    query = _checked(query)
    refuse_unknown("form", form, ("xlsx", "csv"))
    refuse_unknown("language", language, ("zh", "en"))
    rows = _Rows(crm, query, language, by)
    headings = [specs(AuditEntry)[n].label(language) for n in COLUMNS]
    title = about(AuditEntry).zh if language == "zh" else about(AuditEntry).en
    table = Table(title, headings, rows, text=frozenset(headings))
    content = crm.writer.write_csv(table) if form == "csv" else crm.writer.write_xlsx([table])
    with crm.unit_of_work() as uow:
        audit(uow, by, crm.now(), "export", "AuditEntry", None, None,
              asked_for(query) | {"rows": rows.count})  # fmt: skip
    return content


def _checked(query: Query | None) -> Query:
    """Refuse what the log is not asked by, and put it into its order.

    Raises:
        Invalid: The query names something else.
    """
    query = query or Query()
    wrong = sorted({*query.where} - WHERE | {*query.ranges} - {"at"})
    if (query.sort or "at").lstrip("-") not in ("at", "id"):
        wrong.append("sort")
    if query.search:
        wrong.append("search")
    if wrong:
        raise Invalid([FieldError(n, "unknown_field", None, f"日志不能按“{n}”查询",
                                  f"the log is not asked by {n}") for n in wrong])  # fmt: skip
    return attrs.evolve(query, sort=query.sort or "-at")


def _withheld(
    uow: UnitOfWork, entries: Sequence[AuditEntry], today: date, by: Principal
) -> Sequence[AuditEntry]:
    """Leave out what entries say of customers out of reach."""
    if by.scope is Scope.ALL:
        return entries
    named = [e.record_id if e.record == "Customer" else None for e in entries]
    ids = sorted({n for n in named if n is not None})
    held: set[int | None] = {None}
    for part in (ids[i : i + PAGE] for i in range(0, len(ids), PAGE)):
        asked = Query(where={"id": part}, limit=PAGE)
        held |= {c.id for c in uow.customers.page(asked, reach_of(by), today, pooled_too=False)}
    return [
        e if n in held else changed(e, before=None, after=None)
        for e, n in zip(entries, named, strict=True)
    ]


def _named(uow: UnitOfWork, entries: Sequence[AuditEntry]) -> tuple[Entry, ...]:
    _, accounts = people(uow, (), {n for e in entries for n in (e.by_id, e.acting_id)})
    return tuple(
        Entry(
            entry=e, by_name=accounts.get(e.by_id or 0),
            acting_name=accounts.get(e.acting_id or 0),
        )
        for e in entries
    )  # fmt: skip


class _Rows:
    """The rows of an export, read page by page while they are written, and counted."""

    def __init__(self, crm: Crm, query: Query, language: Language, by: Principal) -> None:
        self._crm, self._by, self._language = crm, by, language
        self._query = attrs.evolve(query, limit=PAGE, after=None)
        self.count = 0

    def __iter__(self) -> Iterator[list[Any]]:
        query: Query | None = self._query
        while query is not None:
            page = list_entries(self._crm, query, by=self._by)
            for one in page:
                self.count += 1
                yield [self._cell(one, name) for name in COLUMNS]
            query = None if page.next is None else attrs.evolve(query, after=page.next)

    def _cell(self, one: Entry, name: str) -> Any:
        value: Any = getattr(one.entry, name)
        if name == "by_id":
            return one.by_name or ("系统" if self._language == "zh" else "system")
        if name == "acting_id":
            return one.acting_name
        if isinstance(value, datetime):
            return f"{value.astimezone(self._crm.settings.zone):%Y-%m-%d %H:%M:%S}"
        if name == "record":
            known = RECORDS.get(value)
            return value if known is None or self._language == "en" else about(known).zh
        if isinstance(value, dict):
            return json.dumps(value, ensure_ascii=False, default=str)
        return None if value is None else str(value)
