"""Any record: read, write, remove, with optimistic locking."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from crm_adapters.storage.belonging import belonging, limits, read_within
from crm_adapters.storage.counting import Countable, fields_of, tallied
from crm_adapters.storage.listing import any_holds, holding, narrowed, paged
from crm_adapters.storage.rows import Mapper, mapper
from crm_adapters.storage.session import Session
from crm_adapters.storage.tables import TABLES
from crm_domain.errors import Duplicate, EditConflict, InUse, NotFound
from crm_domain.model import RECORDS, about, specs
from crm_domain.model.fields import changed
from crm_domain.parsing import record_number
from crm_domain.ports import MOST, Page, Query, Reach, Tally
from crm_domain.rules.titles import paths as titled_by

T = TypeVar("T")


class SqlRecords:
    """Implements the port ``Records``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, cls: type[T], id: int, reach: Reach | None = None) -> T | None:
        """Read one record as far as the reach allows, or None."""
        if record_number(id) is None:
            return None
        if not limits(cls, reach):
            return self.find(cls, id=id)
        m, theirs = read_within(cls, reach)
        found = self._session.run(m.select().where(m.column("id") == id, *theirs))
        return next(iter(m.records(self._session, found)), None)

    def find(self, cls: type[T], **fields: Any) -> T | None:
        """Read the one record with these values, or None."""
        found = self.all(cls, **fields)
        return found[0] if found else None

    def among(self, cls: type[T], ids: Sequence[int]) -> tuple[T, ...]:
        """Read the records with these numbers, as far as they are there."""
        kind: Any = cls
        rows = self._session.rows(_among(kind), ids=_listed(self._session, ids))
        return mapper(cls).records(self._session, rows)

    def all(self, cls: type[T], **fields: Any) -> tuple[T, ...]:
        """Read all records with these values, by number."""
        kind: Any = cls
        build = _with(kind, tuple((name, value is None) for name, value in fields.items()))
        given = {name: value for name, value in fields.items() if value is not None}
        return mapper(cls).records(self._session, self._session.rows(build, **given))

    def page(self, cls: type[T], query: Query, reach: Reach | None = None) -> Page[T]:
        """Read one page of what the query and the reach allow."""
        m, chosen = self._chosen(cls, query, reach)
        return paged(self._session, m, chosen, query, chosen=True)

    def tally(self, cls: type[T], query: Query, facets: Sequence[str], reach: Reach | None = None,
              *, most: int = MOST, texts: bool = False) -> Tally:  # fmt: skip
        """Count what `page` would give, and the values of some fields of it."""

        def choose(query: Query) -> Countable:
            m, chosen = self._chosen(cls, query, reach)
            return Countable(chosen, m.column("id"), fields_of(m, texts))

        return tallied(self._session, choose, query, facets, most)

    def _chosen(
        self, cls: type[T], query: Query, reach: Reach | None
    ) -> tuple[Mapper[T], sa.Select[Any]]:
        m, theirs = read_within(cls, reach)
        chosen = m.select().where(*theirs)
        if query.search and query.search.strip():
            texts = holding(self._session, m, query.search)
            chosen = chosen.where(sa.or_(texts, self._called(m, query.search, reach)))
        return m, narrowed(m, chosen, query, searched=True)

    def _called(self, m: Mapper[T], typed: str, reach: Reach | None) -> sa.ColumnElement[bool]:
        """Choose the records that are called what was typed, by what they refer to."""
        far = [path for path in titled_by(m.cls) if "." in path]
        if not far:
            return sa.false()
        table = TABLES[m.cls.__name__].alias()
        source, columns = _followed(m.cls, table, far, reach)
        texts = [sa.cast(c, sa.Text) for c in columns]
        chosen = sa.select(table.c.id).select_from(source)
        return m.column("id").in_(chosen.where(any_holds(self._session, texts, typed.strip())))

    def look_up(
        self, cls: type[Any], paths: Sequence[str], *, ids: Sequence[int] | None = None,
        words: Sequence[str] = (), limit: int = MOST, reach: Reach | None = None,
    ) -> dict[int, tuple[Any, ...]]:  # fmt: skip
        """Read a few values of many records by one statement."""
        kind: Any = cls
        if not words and not any(limits(one, reach) for one in _read_by(kind, tuple(paths))):
            given = {} if ids is None else {"ids": _listed(self._session, ids)}
            build = _looking_up(kind, tuple(paths), ids is not None)
            read = self._session.rows(build, most=limit, **given)
            return {row[0]: tuple(row[1:]) for row in read}
        table = TABLES[cls.__name__].alias()
        source, columns = _followed(cls, table, paths, reach)
        chosen = sa.select(table.c.id, *columns).select_from(source)
        chosen = chosen.where(*_readable(cls, table, reach))
        if ids is not None:
            chosen = chosen.where(self._session.among(table.c.id, list(ids)))
        texts = [sa.cast(c, sa.Text) for c in columns]
        for word in words:
            chosen = chosen.where(any_holds(self._session, texts, word))
        rows = self._session.run(chosen.order_by(*columns, table.c.id).limit(limit))
        return {row[0]: tuple(row[1:]) for row in rows}

    def add(self, record: T, reach: Reach | None = None) -> T:
        """Write a new record and give it back with its number."""
        m = mapper(type(record))
        row = dict(zip(m.write, m.values(record), strict=True))
        row.pop("id")
        try:
            number = self._session.run(
                sa.insert(m.table).values(**row).returning(m.table.c.id)
            ).scalar_one()
        except Duplicate as e:
            raise _told(e, record) from e
        made = changed(record, id=number)
        m.link(self._session, [made], fresh=True)
        self._refuse_beyond(type(record), number, reach)
        return made

    def save(self, record: T, reach: Reach | None = None) -> T:
        """Write a record that was read before and give it back with its new version."""
        m = mapper(type(record))
        row = dict(zip(m.write, m.values(record), strict=True))
        number = row.pop("id")
        self._refuse_beyond(type(record), number, reach)
        where = [m.table.c.id == number]
        seen = row.get("version")
        if seen is not None:
            where.append(m.table.c.version == seen)
            row["version"] = seen + 1
        try:
            done = self._session.run(sa.update(m.table).where(*where).values(**row)).rowcount
        except Duplicate as e:
            raise _told(e, record) from e
        if not done:
            present = self.get(type(record), number)
            if present is None:
                raise NotFound(what=about(type(record)).zh, id=number)
            raise EditConflict(
                what=about(type(record)).zh, seen=seen, version=getattr(present, "version", "?")
            )
        saved = record if seen is None else changed(record, version=seen + 1)
        m.link(self._session, [saved])
        self._refuse_beyond(type(record), number, reach)
        return saved

    def _refuse_beyond(self, cls: type[Any], id: int, reach: Reach | None) -> None:
        """Refuse what is not the work of anybody within the reach, as if it were not there."""
        if reach is None or not limits(cls, reach):
            return
        table = mapper(cls).table
        chosen = sa.select(table.c.id).where(table.c.id == id, belonging(cls, reach))
        if self._session.run(chosen).first() is None:
            raise NotFound(what=about(cls).zh, id=id)

    def remove(self, cls: type[Any], id: int, reach: Reach | None = None) -> None:
        """Remove a record."""
        self._refuse_beyond(cls, id, reach)
        table = mapper(cls).table
        try:
            done = self._session.run(sa.delete(table).where(table.c.id == id)).rowcount
        except (NotFound, InUse, sa.exc.IntegrityError) as e:
            # SQLite does not say whether the missing end of a reference is here or there, and
            # PostgreSQL names the record that refers.
            raise InUse(what=about(cls).zh) from e
        if not done:
            raise NotFound(what=about(cls).zh, id=id)


def _readable(cls: type[Any], table: Any, reach: Reach | None) -> list[Any]:
    """Give what limits the rows of a table that are read within a reach."""
    if reach is None or not limits(cls, reach) or about(cls).shared:
        return []
    return [belonging(cls, reach, table)]


def _told_within(cls: type[Any], table: Any, name: str, reach: Reach | None) -> Any:
    """Give a column as far as it is told within a reach: of others no way to reach them."""
    column = table.c[name]
    if reach is None or not limits(cls, reach) or not specs(cls)[name].contact:
        return column
    return sa.case((belonging(cls, reach, table), column))


def _followed(
    cls: type[Any], table: Any, paths: Sequence[str], reach: Reach | None
) -> tuple[Any, list[Any]]:
    """Join what paths refer to, each once, and give the columns that they end in."""
    source, columns = table, []
    joined: dict[str, tuple[type[Any], Any]] = {"": (cls, table)}
    for path in paths:
        *steps, last = path.split(".")
        place = ""
        for step in steps:
            here, there = joined[place], f"{place}.{step}"
            if there not in joined:
                target = RECORDS[specs(here[0])[step].target]
                other = TABLES[target.__name__].alias()
                on = sa.and_(other.c.id == here[1].c[step], *_readable(target, other, reach))
                source = source.outerjoin(other, on)
                joined[there] = target, other
            place = there
        columns.append(_told_within(*joined[place], last, reach))
    return source, columns


# -- statements that are built once -------------------------------------------------------------


def _listed(session: Session, ids: Sequence[int]) -> Any:
    """Give numbers as one parameter."""
    return json.dumps(list(ids)) if session.on_sqlite else list(ids)


def _in_list(column: sa.ColumnElement[Any], on_sqlite: bool) -> sa.ColumnElement[bool]:
    """Choose the numbers of the parameter ``ids``."""
    if on_sqlite:
        listed = sa.func.json_each(sa.bindparam("ids", type_=sa.Text)).table_valued("value")
        return column.in_(sa.select(listed.c.value))
    return column == sa.any_(sa.bindparam("ids", type_=ARRAY(column.type)))


@cache
def _among(cls: type[Any]) -> Callable[[bool], Any]:
    m = mapper(cls)
    number = m.column("id")
    return lambda on_sqlite: m.select().where(_in_list(number, on_sqlite)).order_by(number)


@cache
def _with(cls: type[Any], fields: tuple[tuple[str, bool], ...]) -> Callable[[bool], Any]:
    """Build the search for some values; of each field it is known whether it is to be empty."""
    m = mapper(cls)

    def build(on_sqlite: bool) -> Any:
        statement = m.select().order_by(m.column("id"))
        for name, empty in fields:
            column = m.column(name)
            wish = sa.bindparam(name, type_=column.type)
            statement = statement.where(column.is_(None) if empty else column == wish)
        return statement

    return build


@cache
def _read_by(cls: type[Any], paths: tuple[str, ...]) -> frozenset[type[Any]]:
    """Tell which kinds of record are read when paths are followed."""
    found = {cls}
    for path in paths:
        here = cls
        for step in path.split(".")[:-1]:
            here = RECORDS[specs(here)[step].target]
            found.add(here)
    return frozenset(found)


@cache
def _looking_up(cls: type[Any], paths: tuple[str, ...], some: bool) -> Callable[[bool], Any]:
    def build(on_sqlite: bool) -> Any:
        table = TABLES[cls.__name__].alias()
        source, columns = _followed(cls, table, paths, None)
        chosen = sa.select(table.c.id, *columns).select_from(source)
        if some:
            chosen = chosen.where(_in_list(table.c.id, on_sqlite))
        most = sa.bindparam("most", type_=sa.Integer)
        return chosen.order_by(*columns, table.c.id).limit(most)

    return build


def _told(error: Duplicate, record: Any) -> Duplicate:
    """Say which value was taken."""
    cls = type(record)
    names = error.facts["fields"]
    value = "、".join(str(getattr(record, n)) for n in names if not specs(cls)[n].secret)
    return Duplicate(**error.facts | {"value": value})
