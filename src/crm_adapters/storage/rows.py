"""Records to rows and back, by the order of their fields."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, Generic, TypeVar

import attrs
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from crm_adapters.storage.session import Session
from crm_adapters.storage.tables import LINKS, TABLES, customer, ownership
from crm_domain.model import Customer, specs
from crm_domain.model.fields import changed

T = TypeVar("T")


@attrs.frozen
class Mapper(Generic[T]):
    """How one kind of record is kept."""

    cls: type[T]
    table: sa.Table
    source: sa.FromClause
    """Where it is read from: the table, or the table with the ownership beside it."""
    read: tuple[sa.ColumnElement[Any], ...]
    """The columns in the order of the record's fields, links left out."""
    names: tuple[str, ...]
    write: tuple[str, ...]
    """The fields that are columns of the table, ``id`` first."""
    links: tuple[str, ...]

    def column(self, name: str) -> sa.ColumnElement[Any]:
        """Give the column of a field."""
        return self.read[self.names.index(name)]

    def select(self) -> sa.Select[Any]:
        """Select the record's columns."""
        return sa.select(*self.read).select_from(self.source)

    def values(self, record: T) -> tuple[Any, ...]:
        """Give the row of a record, ``id`` first."""
        found: tuple[Any, ...] = _getter(self.write)(record)
        return found

    def records(self, session: Session, rows: Iterable[Sequence[Any]]) -> tuple[T, ...]:
        """Make records of rows; the links are read with one statement for each kind."""
        cls: Any = self.cls
        make = _maker(cls, self.names)
        found = [make(*row) for row in rows]
        for field in self.links:
            found = self._linked(session, field, found)
        return tuple(found)

    def _linked(self, session: Session, field: str, records: list[T]) -> list[T]:
        table = LINKS[self.cls.__name__, field]
        by_id: dict[int, list[int]] = {}
        ids = [getattr(r, "id") for r in records]  # noqa: B009 - T is any record
        for part in chunks(ids, 5000):
            given = json.dumps(part) if session.on_sqlite else part
            for left, right in session.rows(_links_of(table), ids=given):
                by_id.setdefault(left, []).append(right)
        if not by_id:
            return records
        return [
            changed(r, **{field: tuple(by_id[i])}) if (i := getattr(r, "id")) in by_id else r  # noqa: B009
            for r in records
        ]

    def link(self, session: Session, records: Sequence[T], *, fresh: bool = False) -> None:
        """Write the links of records."""
        for field in self.links:
            table = LINKS[self.cls.__name__, field]
            ids = [getattr(r, "id") for r in records]  # noqa: B009
            if not fresh:
                session.run(sa.delete(table).where(session.among(table.c.left_id, ids)))
            rows = [(i, n) for i, r in zip(ids, records, strict=True)
                    for n in dict.fromkeys(getattr(r, field))]  # fmt: skip
            session.insert(table, ("left_id", "right_id"), rows)


def chunks(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    """Cut a sequence into parts of at most ``size``."""
    return (items[i : i + size] for i in range(0, len(items), size))


@cache
def _links_of(table: sa.Table) -> Callable[[bool], Any]:
    """Give the function that builds the statement for the links of some records."""
    c = table.c

    def build(on_sqlite: bool) -> Any:
        if on_sqlite:
            listed = sa.func.json_each(sa.bindparam("ids", type_=sa.Text)).table_valued("value")
            among: Any = c.left_id.in_(sa.select(listed.c.value))
        else:
            among = c.left_id == sa.any_(sa.bindparam("ids", type_=ARRAY(c.left_id.type)))
        return sa.select(table).where(among).order_by(c.right_id)

    return build


@cache
def _maker(cls: type[Any], names: tuple[str, ...]) -> Callable[..., Any]:
    """Write the function that makes a record of a row, by the order of its values."""
    given = ", ".join(names)
    told = ", ".join(f"{n}={n}" for n in names)
    made: Callable[..., Any] = eval(f"lambda {given}: cls({told})", {"cls": cls})  # noqa: S307 - our own names
    return made


@cache
def _getter(names: tuple[str, ...]) -> Any:
    return attrgetter(*names)


_MAPPERS: dict[type[Any], Mapper[Any]] = {}


def mapper(cls: type[T]) -> Mapper[T]:
    """Give the mapper of a record class."""
    found = _MAPPERS.get(cls)
    if found is None:
        found = _MAPPERS[cls] = _make(cls)
    return found


def _make(cls: type[T]) -> Mapper[T]:
    fields = specs(cls)
    table = TABLES[cls.__name__]
    plain = [s for s in fields.values() if s.kind != "references"]
    source: sa.FromClause = table
    if cls is Customer:
        source = customer.join(ownership, ownership.c.customer_id == customer.c.id)
    return Mapper(
        cls=cls,
        table=table,
        source=source,
        read=tuple((ownership if s.hot else table).c[s.name] for s in plain),
        names=tuple(s.name for s in plain),
        write=tuple(s.name for s in plain if not s.hot),
        links=tuple(s.name for s in fields.values() if s.kind == "references"),
    )
