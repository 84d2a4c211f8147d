"""Any record: read, write, remove, with optimistic locking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from crm_adapters.storage.belonging import belonging, limits, read_within
from crm_adapters.storage.listing import paged
from crm_adapters.storage.rows import mapper
from crm_adapters.storage.session import Session
from crm_domain.errors import Duplicate, EditConflict, InUse, NotFound
from crm_domain.model import about, specs
from crm_domain.model.fields import changed
from crm_domain.parsing import record_number
from crm_domain.ports import Page, Query, Reach

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
        m, theirs = read_within(cls, reach)
        return paged(self._session, m, m.select().where(*theirs), query)

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


def _told(error: Duplicate, record: Any) -> Duplicate:
    """Say which value was taken."""
    cls = type(record)
    names = error.facts["fields"]
    value = "、".join(str(getattr(record, n)) for n in names if not specs(cls)[n].secret)
    return Duplicate(**error.facts | {"value": value})
