"""One transaction, and how many rows get in and out of it at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from crm_adapters.storage.engine import translated

Row = Sequence[Any]
COPY_FROM = 50
"""From so many rows on, COPY is quicker than INSERT on PostgreSQL."""


@cache
def _binders(table: sa.Table, columns: tuple[str, ...], dialect: sa.Dialect) -> list[Any]:
    return [table.c[c].type.dialect_impl(dialect).bind_processor(dialect) for c in columns]


def _bound(table: sa.Table, columns: tuple[str, ...], rows: Iterable[Row], dialect: Any) -> Any:
    binders: list[Callable[[Any], Any] | None] = _binders(table, columns, dialect)
    return [
        tuple(v if b is None else b(v) for v, b in zip(row, binders, strict=True)) for row in rows
    ]


class Session:
    """The connection of one unit of work. All SQL goes through it."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.dialect = connection.dialect
        self.on_sqlite = connection.dialect.name == "sqlite"
        self._queue: list[tuple[str, tuple[Any, ...]]] = []

    def run(self, statement: Any, parameters: Any = None) -> Any:
        """Run one statement; integrity errors come out as ours."""
        self.flush()
        with translated():
            return self.connection.execute(statement, parameters)

    def _driver_run(self, statement: str, parameters: Any = None) -> Any:
        self.flush()
        return self.connection.exec_driver_sql(statement, parameters)

    def later(self, table: sa.Table, columns: tuple[str, ...], row: Row, tail: str = "") -> None:
        """Insert one row whose number nobody asks for: at the latest when the unit of work ends.

        On PostgreSQL such rows go out together, in one round trip, while other processes wait for
        the rotation; on SQLite there is no trip to save.

        Args:
            table: Where it goes.
            columns: The columns of the row.
            row: Their values.
            tail: What follows the values, such as ``ON CONFLICT DO NOTHING``.
        """
        [bound] = _bound(table, columns, [row], self.dialect)
        signs = ", ".join(["?" if self.on_sqlite else "%s"] * len(columns))
        statement = f"INSERT INTO {table.name} ({self._names(columns)}) VALUES ({signs}){tail}"
        if self.on_sqlite:
            with translated():
                self._driver_run(statement, bound)
        else:
            self._queue.append((statement, bound))

    def flush(self) -> None:
        """Send what `later` put off."""
        if not self._queue:
            return
        queue, self._queue = self._queue, []
        with self._driver(queue[0][0]) as driver, driver.pipeline(), driver.cursor() as cursor:
            for statement, bound in queue:
                cursor.execute(statement, bound)

    @contextmanager
    def _driver(self, statement: str) -> Iterator[Any]:
        """Give the driver's own connection; the engine does not see its errors, so we do."""
        wrong = self.dialect.loaded_dbapi.Error
        with translated():
            try:
                yield self.connection.connection.driver_connection
            except wrong as e:
                raise sa.exc.DBAPIError.instance(statement, None, e, wrong) from e

    def next_ids(self, table: sa.Table, n: int) -> list[int]:
        """Reserve n numbers of a table, in order.

        On SQLite the writer is alone, so the highest number tells; elsewhere the sequence does.
        """
        if self.on_sqlite:
            top = self.run(sa.select(sa.func.coalesce(sa.func.max(table.c.id), 0))).scalar_one()
            return list(range(top + 1, top + n + 1))
        statement = sa.text(f"SELECT nextval('{table.name}_id_seq') FROM generate_series(1, :n)")
        return sorted(self.run(statement, {"n": n}).scalars())

    def among(self, column: sa.ColumnElement[Any], values: Sequence[Any]) -> Any:
        """Give the condition that a column has one of many values.

        All of them travel as one parameter, so the statement is the same for any number.
        """
        if self.on_sqlite:
            listed = sa.func.json_each(json.dumps(list(values))).table_valued("value")
            return column.in_(sa.select(listed.c.value))
        return column == sa.any_(sa.literal(list(values), ARRAY(column.type)))

    def insert_one(self, table: sa.Table, columns: tuple[str, ...], row: Row) -> int:
        """Insert one row and give its number."""
        return int(self._insert_one(table, columns, row, "").scalar_one())

    def insert_one_new(self, table: sa.Table, columns: tuple[str, ...], row: Row) -> int | None:
        """Insert one row and give its number, or None when a unique index refuses it."""
        made = self._insert_one(table, columns, row, " ON CONFLICT DO NOTHING")
        number: int | None = made.scalar_one_or_none()
        return number

    def _insert_one(self, table: sa.Table, columns: tuple[str, ...], row: Row, tail: str) -> Any:
        [bound] = _bound(table, columns, [row], self.dialect)
        signs = ", ".join(["?" if self.on_sqlite else "%s"] * len(columns))
        with translated():
            return self._driver_run(
                f"INSERT INTO {table.name} ({self._names(columns)}) VALUES ({signs}){tail}"
                " RETURNING id", bound
            )  # fmt: skip

    def insert(self, table: sa.Table, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
        """Insert rows."""
        if not rows:
            return
        bound = _bound(table, columns, rows, self.dialect)
        with translated():
            if self.on_sqlite or len(rows) < COPY_FROM:
                self._each(f"INSERT INTO {table.name}", columns, bound)
            else:
                self._copy(table.name, columns, bound)

    def insert_new(
        self, table: sa.Table, columns: tuple[str, ...], rows: Sequence[Row]
    ) -> set[int]:
        """Insert rows that carry their numbers first, leaving out what a unique index refuses.

        Returns:
            The numbers of the rows that were inserted.
        """
        bound = _bound(table, columns, rows, self.dialect)
        with translated():
            if self.on_sqlite:
                self._each(f"INSERT INTO {table.name}", columns, bound, " ON CONFLICT DO NOTHING")
                first, last = bound[0][0], bound[-1][0]
                found = self.run(sa.select(table.c.id).where(table.c.id.between(first, last)))
                return set(found.scalars())
            incoming = f"incoming_{table.name}"
            self._driver_run(
                f"CREATE TEMP TABLE IF NOT EXISTS {incoming} (LIKE {table.name})"
                " ON COMMIT DELETE ROWS"
            )
            self._copy(incoming, columns, bound)
            # Two that bring the same values in opposite order would each wait for the other.
            self._driver_run(f"SELECT pg_advisory_xact_lock(hashtext('{incoming}'))")
            names = self._names(columns)
            found = self._driver_run(
                f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {incoming} ORDER BY id"
                " ON CONFLICT DO NOTHING RETURNING id"
            )
            numbers = set(found.scalars())
            self._driver_run(f"DELETE FROM {incoming}")
            return numbers

    def update(self, table: sa.Table, key: str, columns: tuple[str, ...],
               rows: Sequence[Row]) -> None:  # fmt: skip
        """Update rows by a key; each row carries the new values and then its key."""
        if not rows:
            return
        bound = _bound(table, (*columns, key), rows, self.dialect)
        if not self.on_sqlite and len(rows) >= COPY_FROM:
            self._update_set(table, key, columns, bound)
            return
        sign = "?" if self.on_sqlite else "%s"
        assignments = ", ".join(f"{self._names((c,))} = {sign}" for c in columns)
        with translated():
            self._driver_run(f"UPDATE {table.name} SET {assignments} WHERE {key} = {sign}", bound)

    def _update_set(
        self, table: sa.Table, key: str, columns: tuple[str, ...], rows: list[Any]
    ) -> None:
        """Update many rows by one statement: each column travels as one array."""
        names = (*columns, key)
        kinds = [table.c[n].type.compile(self.dialect) for n in names]
        arrays = ", ".join(f"%s::{kind}[]" for kind in kinds)
        assignments = ", ".join(f"{c} = new.{c}" for c in map(self._name, columns))
        statement = (
            f"UPDATE {table.name} SET {assignments} FROM unnest({arrays})"
            f" AS new ({self._names(names)}) WHERE {table.name}.{key} = new.{key}"
        )
        with translated():
            self._driver_run(statement, tuple(list(column) for column in zip(*rows, strict=True)))

    def _each(self, head: str, columns: tuple[str, ...], rows: list[Any], tail: str = "") -> None:
        signs = ", ".join(["?" if self.on_sqlite else "%s"] * len(columns))
        self._driver_run(f"{head} ({self._names(columns)}) VALUES ({signs}){tail}", rows)

    def _name(self, column: str) -> str:
        return self.dialect.identifier_preparer.quote(column)

    def _names(self, columns: tuple[str, ...]) -> str:
        return ", ".join(map(self._name, columns))

    def _copy(self, table: str, columns: tuple[str, ...], rows: list[Any]) -> None:
        self.flush()
        statement = f"COPY {table} ({self._names(columns)}) FROM STDIN"
        with (
            self._driver(statement) as driver,
            driver.cursor() as cursor,
            cursor.copy(statement) as copy,
        ):
            for row in rows:
                copy.write_row(row)
