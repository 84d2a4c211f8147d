"""Queries of people as SQL: filters, ranges, search, order, and keyset pages.

A page is found by where the one before ended, never by counting rows, so the last page of a million
is as quick as the first.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from crm_adapters.storage.rows import Mapper
from crm_adapters.storage.search import wanted
from crm_adapters.storage.session import Session
from crm_adapters.storage.tables import LINKS, customer
from crm_domain.errors import FieldError, Invalid
from crm_domain.model import AssignmentStatus, Customer, Spec, specs
from crm_domain.parsing import Unreadable, field_value
from crm_domain.ports import Page, Query

T = TypeVar("T")
PROBE = 1000
"""Up to so many hits a search is answered from the index alone; beyond it, rows are walked."""


def _refuse(name: str, code: str, zh: str, en: str) -> Invalid:
    return Invalid([FieldError(name, code, None, zh, en)])


def _spec(cls: type[Any], name: str) -> Spec:
    spec = specs(cls).get(name)
    if spec is None or spec.secret:
        raise _refuse(name, "unknown_field", f"没有“{name}”这一项", f"there is no field {name}")
    return spec


def _read(spec: Spec, value: Any) -> Any:
    try:
        return field_value(spec, value)
    except Unreadable as e:
        raise _refuse(spec.name, e.code, f"{spec.zh}“{value}”{e.zh}", f"{value!r} {e.en}") from e


def _conditions(m: Mapper[Any], query: Query) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    for name, wish in query.where.items():
        spec = _spec(m.cls, name)
        many = isinstance(wish, list | tuple | set | frozenset)
        values: Sequence[Any] = list(wish) if many else [wish]
        if spec.kind == "references":
            link = LINKS[m.cls.__name__, name]
            ids = [n for v in values for n in _read(spec, v)]
            found.append(sa.exists().where(link.c.left_id == m.column("id"),
                                           link.c.right_id.in_(ids)))  # fmt: skip
            continue
        column = m.column(name)
        read = [v if v is None else _read(spec, v) for v in values]
        given = [v for v in read if v is not None]
        any_of = column.in_(given)
        found.append(sa.or_(any_of, column.is_(None)) if len(given) < len(read) else any_of)
    for name, (low, high) in query.ranges.items():
        spec = _spec(m.cls, name)
        if low is not None:
            found.append(m.column(name) >= _read(spec, low))
        if high is not None:
            found.append(m.column(name) <= _read(spec, high))
    return found


def matches(session: Session, search: str) -> sa.ColumnElement[bool]:
    """Give the condition that a customer is found by a search.

    Few hits are named one by one: left to itself the planner would walk the whole table backwards
    for a rare name.
    """
    grams = wanted(search)
    if not grams:
        return sa.false()
    if session.on_sqlite:
        phrase = " AND ".join('"' + g.replace('"', "") + '"' for g in grams)
        hits = sa.text("SELECT rowid FROM customer_search WHERE customer_search MATCH :phrase")
        probe = sa.text(f"{hits.text} LIMIT {PROBE + 1}").bindparams(phrase=phrase)
        ids = list(session.run(probe).scalars())
        many: Any = customer.c.id.in_(hits.bindparams(phrase=phrase).columns(rowid=sa.Integer))
    else:
        # Written out, because only the very expression of the index is found in it.
        many = sa.literal_column("string_to_array(customer.search, ' ')", ARRAY(sa.Text)).contains(
            sa.cast(grams, ARRAY(sa.Text))
        )
        ids = list(session.run(sa.select(customer.c.id).where(many).limit(PROBE + 1)).scalars())
    return customer.c.id.in_(ids) if len(ids) <= PROBE else many


def wanted_statuses(query: Query) -> list[int] | None:
    """Read the filter of "my customers", which knows nothing but the status of an assignment."""
    for name in query.where:
        if name != "status":
            raise _refuse(name, "unknown_field", f"没有“{name}”这一项", f"there is no field {name}")
    wish = query.where.get("status")
    if wish is None:
        return None
    many = wish if isinstance(wish, list | tuple | set | frozenset) else [wish]
    try:
        return [int(AssignmentStatus(int(w))) for w in many]
    except (TypeError, ValueError) as e:
        raise _refuse("status", "unknown_choice", f"没有状态“{wish}”", f"no status {wish}") from e


def _cursor(values: Sequence[Any]) -> str:
    text = json.dumps(list(values), default=str, ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode()


def _place(after: str, size: int) -> list[Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(after.encode()))
    except ValueError as e:
        raise _refuse("after", "bad_cursor", "翻页标记无效", "the page mark is not valid") from e
    if not isinstance(found, list) or len(found) != size:
        raise _refuse("after", "bad_cursor", "翻页标记无效", "the page mark is not valid")
    return found


def paged(
    session: Session, m: Mapper[T], statement: sa.Select[Any], query: Query, *,
    order: str | None = None,
) -> Page[T]:  # fmt: skip
    """Read one page of what a statement selects.

    Args:
        session: The transaction.
        m: The kind of record.
        statement: Selects the record's columns, with what limits it beyond the query.
        query: What is asked.
        order: The list's own order; by default the newest number first.
    """
    statement = statement.where(*_conditions(m, query))
    if query.search:
        if m.cls is not Customer:
            raise _refuse("search", "no_search", "此列表不支持搜索", "this list has no search")
        statement = statement.where(matches(session, query.search))
    wish = query.sort or order or "-id"
    down, name = wish.startswith("-"), wish.lstrip("-")
    spec = _spec(m.cls, name)
    if spec.kind in ("references", "json"):
        raise _refuse(name, "no_order", f"不能按“{spec.zh}”排序", f"cannot sort by {spec.en}")
    sorted_by = customer.c.pinyin if m.cls is Customer and name == "name" else m.column(name)
    number = m.column("id")
    keys = [number] if name == "id" else [sorted_by, number]
    if query.after is not None:
        statement = statement.where(
            _beyond(keys, _place(query.after, len(keys)), down, spec, sorted_by)
        )
    for key in keys:
        nullable = key is sorted_by and spec.optional
        ordered = key.desc() if down else key.asc()
        statement = statement.order_by(ordered.nulls_last() if nullable else ordered)
    extra = [] if name == "id" else [sorted_by.label("sorted_by")]
    rows = list(session.run(statement.add_columns(*extra).limit(query.limit + 1)))
    more, rows = len(rows) > query.limit, rows[: query.limit]
    width = len(m.read)
    items = m.records(session, [r[:width] for r in rows])
    if not more:
        return Page(items=items)
    last = rows[-1]
    end = [last[m.names.index("id")]]
    return Page(items=items, next=_cursor([_plain(v) for v in last[width:]] + end))


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else getattr(value, "value", value)


def _beyond(
    keys: list[Any], place: list[Any], down: bool, spec: Spec, sorted_by: Any
) -> sa.ColumnElement[bool]:
    compare: Callable[[Any, Any], Any] = (lambda a, b: a < b) if down else (lambda a, b: a > b)
    if len(keys) == 1:
        found: sa.ColumnElement[bool] = compare(keys[0], _number(place[0]))
        return found
    value, number = place[0], _number(place[1])
    if value is None:
        return sa.and_(sorted_by.is_(None), compare(keys[1], number))
    if spec.name != "name":
        value = _read(spec, value)
    later = sa.and_(sorted_by == value, compare(keys[1], number))
    beyond = sa.or_(compare(sorted_by, value), later)
    return sa.or_(beyond, sorted_by.is_(None)) if spec.optional else beyond


def _number(value: Any) -> int:
    if not isinstance(value, int):
        raise _refuse("after", "bad_cursor", "翻页标记无效", "the page mark is not valid")
    return value
