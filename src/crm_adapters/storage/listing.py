"""Queries of people as SQL: filters, ranges, search, order, and keyset pages.

A page is found by where the one before ended, never by counting rows, so the last page of a million
is as quick as the first.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from crm_adapters.storage.rows import Mapper
from crm_adapters.storage.session import Session
from crm_adapters.storage.tables import LINKS, customer
from crm_domain.errors import FieldError, Invalid
from crm_domain.model import Customer, Spec, specs
from crm_domain.parsing import Unreadable, field_value
from crm_domain.ports import Page, Query

T = TypeVar("T")
WISHES = 1000
"""So many values of one field a filter may name."""


def refuse(name: str, code: str, zh: str, en: str) -> Invalid:
    """Make the refusal of one part of a query."""
    return Invalid([FieldError(name, code, None, zh, en)])


def known(cls: type[Any], name: str) -> Spec:
    """Give the field that a query names; a secret is none."""
    spec = specs(cls).get(name)
    if spec is None or spec.secret:
        raise refuse(name, "unknown_field", f"没有“{name}”这一项", f"there is no field {name}")
    return spec


def _read(spec: Spec, value: Any) -> Any:
    try:
        return field_value(spec, value)
    except Unreadable as e:
        raise refuse(spec.name, e.code, f"{spec.zh}“{value}”{e.zh}", f"{value!r} {e.en}") from e


def _conditions(
    m: Mapper[Any], query: Query, walked: Sequence[str]
) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    for name, wish in query.where.items():
        spec = known(m.cls, name)
        if spec.kind == "references":
            link, values = LINKS[m.cls.__name__, name], _values(spec, wish)
            linked = sa.exists().where(link.c.left_id == m.column("id"))
            ids = [n for v in values if v is not None for n in _read(spec, v)]
            has = linked.where(link.c.right_id.in_(ids))
            found.append(sa.or_(has, sa.not_(linked)) if None in values else has)
        else:
            column: Any = m.column(name)
            if name in walked:
                # The plus keeps SQLite from the index.
                column = sa.literal_column(f"+{column}", column.type)
            found.append(any_of(column, spec, wish))
    for name, ends in query.ranges.items():
        spec = known(m.cls, name)
        if spec.kind in ("references", "json"):
            raise refuse(name, "no_range", f"“{spec.zh}”没有大小之分",
                         f"{spec.en} has no lowest and highest value")  # fmt: skip
        found += between(m.column(name), spec, ends)
    return found


def _values(spec: Spec, wish: Any) -> list[Any]:
    many = isinstance(wish, list | tuple | set | frozenset)
    values = list(wish) if many else [wish]
    if len(values) > WISHES:
        raise refuse(spec.name, "too_many", f"最多 {WISHES} 个值", f"at most {WISHES} values")
    return values


def any_of(column: Any, spec: Spec, wish: Any) -> sa.ColumnElement[bool]:
    """Choose where a column has the value that is wished for, or one of several; None is empty."""
    read = [v if v is None else _read(spec, v) for v in _values(spec, wish)]
    given = [v for v in read if v is not None]
    found: sa.ColumnElement[bool] = column.in_(given)
    return sa.or_(found, column.is_(None)) if len(given) < len(read) else found


def between(column: Any, spec: Spec, ends: tuple[Any, Any]) -> list[sa.ColumnElement[bool]]:
    """Choose where a column lies between two ends, both included; None leaves an end open."""
    # An end that was left blank, as a form does, is open, too.
    low, high = (None if end is None else _read(spec, end) for end in ends)
    found = [] if low is None else [column >= low]
    return found if high is None else [*found, column <= high]


def holding(session: Session, m: Mapper[Any], typed: str) -> sa.ColumnElement[bool]:
    """Choose the records of which a text holds what was typed, in large letters or small.

    Secrets and ways to reach people are no texts to search in.
    """
    texts = [m.column(s.name) for s in specs(m.cls).values()
             if s.kind == "text" and not (s.secret or s.contact)]  # fmt: skip
    return any_holds(session, texts, typed.strip())


def any_holds(session: Session, texts: Sequence[Any], typed: str) -> sa.ColumnElement[bool]:
    """Choose where one of some texts holds what was typed, in large letters or small."""
    wanted = sa.literal(typed.lower(), sa.Text)
    # No pattern is made of what was typed, so none of its signs means anything else.
    within = sa.func.instr if session.on_sqlite else sa.func.strpos
    fold = sa.func.fold if session.on_sqlite else sa.func.lower
    return sa.or_(sa.false(), *(within(fold(text), wanted) > 0 for text in texts))


def asked(query: Query) -> set[str]:
    """Name the fields that a query filters or sorts by."""
    return {*query.where, *query.ranges, (query.sort or "").lstrip("-")}


def _cursor(values: Sequence[Any]) -> str:
    text = json.dumps(list(values), default=str, ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode()


def bad_mark() -> Invalid:
    """Refuse a page mark that no page gave."""
    return refuse("after", "bad_cursor", "翻页标记无效", "the page mark is not valid")


def _place(after: str, size: int) -> list[Any]:
    try:
        found = json.loads(base64.urlsafe_b64decode(after.encode()))
        # JSON can carry half a surrogate pair, which neither a database nor an answer takes.
        json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as e:
        raise bad_mark() from e
    if not isinstance(found, list) or len(found) != size:
        raise bad_mark()
    return found


def narrowed(
    m: Mapper[Any], statement: sa.Select[Any], query: Query,
    clear: sa.ColumnElement[bool] | None = None, hidden: Collection[str] = (), *,
    searched: bool = False, walked: Sequence[str] = (),
) -> sa.Select[Any]:  # fmt: skip
    """Choose what a query asks for. Pages and counts both do it here, and so agree.

    Args:
        m: The kind of record.
        statement: Selects what may be seen at all.
        query: What is asked.
        clear: Which customers are shown in full; None: all. Whoever asks by a hidden field is told
            of these only.
        hidden: The fields that the others are shown without.
        searched: Whether the search is in the statement already.
        walked: Fields whose index must not be used, because the rows are walked in their order.
    """
    if query.search and not searched:
        raise refuse("search", "no_search", "此列表不支持搜索", "this list has no search")
    statement = statement.where(*_conditions(m, query, walked))
    if clear is not None and asked(query).intersection(hidden):
        statement = statement.where(clear)
    return statement


def paged(
    session: Session, m: Mapper[T], statement: sa.Select[Any], query: Query, *,
    order: str | None = None, number: sa.ColumnElement[Any] | None = None,
    twin: sa.ColumnElement[Any] | None = None, gathered: bool = False,
    chosen: bool = False, beside: Mapping[str, tuple[Spec, Any]] | None = None,
) -> Page[T]:  # fmt: skip
    """Read one page of what a statement selects.

    Args:
        session: The transaction.
        m: The kind of record.
        statement: Selects the record's columns, with what limits it beyond the query.
        query: What is asked.
        order: The list's own order; by default the newest number first.
        number: The number as the table has it that is read first.
        twin: A column of a joined table that equals the number.
        gathered: Whether all that is chosen is gathered before it is sorted, if by more than the
            number: then no index of the order may tempt the planner to walk it.
        chosen: Whether the statement is `narrowed` to the query already.
        beside: What else it may be sorted by than the fields of the record.
    """
    statement = statement if chosen else narrowed(m, statement, query)
    wish = query.sort or order or "-id"
    down, name = wish.startswith("-"), wish.lstrip("-")
    other = (beside or {}).get(name)
    spec = known(m.cls, name) if other is None else other[0]
    if spec.kind in ("references", "json"):
        raise refuse(name, "no_order", f"不能按“{spec.zh}”排序", f"cannot sort by {spec.en}")
    if other is not None:
        sorted_by = other[1]
    else:
        sorted_by = customer.c.pinyin if m.cls is Customer and name == "name" else m.column(name)
    number = m.column("id") if number is None else number
    keys = [number] if name == "id" else [sorted_by, number]
    if query.after is not None:
        place = _place(query.after, len(keys))
        statement = statement.where(_beyond(keys, place, down, spec, sorted_by))
        if twin is not None and len(keys) == 1:
            # PostgreSQL does not conclude the bound of one side of a join from the other's.
            statement = statement.where(_beyond([twin], place, down, spec, sorted_by))
    for key in keys:
        # No index serves NULLS LAST downwards, and a number is never NULL once it is kept.
        nullable = key is sorted_by and spec.optional and name != "id"
        hidden = gathered and isinstance(key, sa.Column) and key is sorted_by and name != "id"
        shown = sa.literal_column(f"(SELECT {key})", key.type) if hidden else key
        ordered = shown.desc() if down else shown.asc()
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
    value = _read(spec, value) if spec.name != "name" else value
    if spec.name == "name" and not isinstance(value, str):
        raise bad_mark()
    if not spec.optional:
        # As a pair, because SQLite answers an OR by two indexes and a sort.
        place = [sa.literal(value, sorted_by.type), sa.literal(number, keys[1].type)]
        pair: sa.ColumnElement[bool] = compare(sa.tuple_(*keys), sa.tuple_(*place))
        return pair
    later = sa.and_(sorted_by == value, compare(keys[1], number))
    return sa.or_(compare(sorted_by, value), later, sorted_by.is_(None))


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise bad_mark()
    return value
