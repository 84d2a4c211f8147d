"""Any record: read, write, remove, with optimistic locking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

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

T = TypeVar("T")


class SqlRecords:
    """Implements the port ``Records``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, cls: type[T], id: int, reach: Reach | None = None) -> T | None:
        """Read one record as far as the reach allows, or None."""
        if record_number(id) is None:
            return None
        m, theirs = read_within(cls, reach)
        found = self._session.run(m.select().where(m.column("id") == id, *theirs))
        return next(iter(m.records(self._session, found)), None)

    def find(self, cls: type[T], **fields: Any) -> T | None:
        """Read the one record with these values, or None."""
        found = self.all(cls, **fields)
        return found[0] if found else None

    def among(self, cls: type[T], ids: Sequence[int]) -> tuple[T, ...]:
        """Read the records with these numbers, as far as they are there."""
        m = mapper(cls)
        chosen = m.select().where(self._session.among(m.column("id"), list(ids)))
        return m.records(self._session, self._session.run(chosen.order_by(m.column("id"))))

    def all(self, cls: type[T], **fields: Any) -> tuple[T, ...]:
        """Read all records with these values, by number."""
        m = mapper(cls)
        statement = m.select().order_by(m.column("id"))
        for name, value in fields.items():
            statement = statement.where(m.column(name) == value)
        return m.records(self._session, self._session.run(statement))

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
            chosen = chosen.where(holding(self._session, m, query.search))
        return m, narrowed(m, chosen, query, searched=True)

    def look_up(
        self, cls: type[Any], paths: Sequence[str], *, ids: Sequence[int] | None = None,
        words: Sequence[str] = (), limit: int = MOST, reach: Reach | None = None,
    ) -> dict[int, tuple[Any, ...]]:  # fmt: skip
        """Read a few values of many records by one statement."""
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


def _told(error: Duplicate, record: Any) -> Duplicate:
    """Say which value was taken."""
    cls = type(record)
    names = error.facts["fields"]
    value = "、".join(str(getattr(record, n)) for n in names if not specs(cls)[n].secret)
    return Duplicate(**error.facts | {"value": value})
