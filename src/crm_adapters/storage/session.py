"""One transaction, and how many rows get in and out of it at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from crm_adapters.storage.engine import told, translated

Row = Sequence[Any]
_DIALECTS: dict[tuple[str, str], sa.Dialect] = {}
"""One for each kind of database: statements are built once for all databases of the kind, and no
database that was closed is kept for the sake of them."""
COPY_FROM = 50
"""From so many rows on, COPY is quicker than INSERT on PostgreSQL."""


Columns = tuple[str, ...]


@cache
def _binders(table: sa.Table, columns: Columns, dialect: sa.Dialect) -> list[tuple[int, Any]]:
    """Tell which values of a row must be turned into what the driver takes."""
    found = [table.c[c].type.dialect_impl(dialect).bind_processor(dialect) for c in columns]
    return [(place, binder) for place, binder in enumerate(found) if binder is not None]


def _bound(
    table: sa.Table, columns: Columns, rows: Iterable[Row], dialect: Any
) -> list[Sequence[Any]]:
    binders = _binders(table, columns, dialect)
    found: list[Sequence[Any]] = []
    for row in rows:
        values = list(row)
        for place, binder in binders:
            values[place] = binder(values[place])
        found.append(values)
    return found


@cache
def _insertion(table: str, columns: Columns, tail: str, dialect: sa.Dialect) -> str:
    sign = "?" if dialect.name == "sqlite" else "%s"
    quote = dialect.identifier_preparer.quote
    return (
        f"INSERT INTO {table} ({', '.join(map(quote, columns))})"
        f" VALUES ({', '.join([sign] * len(columns))}){tail}"
    )


class Prepared:
    """A statement that is built once for each process, and then only given its parameters.

    Building a statement and reading its rows by SQLAlchemy takes several times as long as the
    database takes for one row by its key; here the driver does both.
    """

    def __init__(self, statement: Any, dialect: Any) -> None:
        compiled = statement.compile(dialect=dialect)
        self.text = str(compiled)
        self._names: Sequence[str] = compiled.positiontup or ()
        self._fixed: dict[str, Any] = compiled.construct_params(_check=False)
        self._binders: Mapping[str, Any] = compiled._bind_processors
        readers = [c.type._cached_result_processor(dialect, None)
                   for c in getattr(statement, "exported_columns", ())]  # fmt: skip
        self.readers = [(place, r) for place, r in enumerate(readers) if r is not None]

    def parameters(self, given: Mapping[str, Any]) -> Any:
        """Give the parameters as the driver takes them."""
        values = {**self._fixed, **given}
        for name, binder in self._binders.items():
            values[name] = binder(values[name])
        return [values[name] for name in self._names] if self._names else values


@cache
def _prepared(build: Callable[[bool], Any], dialect: Any) -> Prepared:
    return Prepared(build(dialect.name == "sqlite"), dialect)


class Session:
    """The connection of one unit of work. All SQL goes through it."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        own = connection.dialect
        self.dialect = _DIALECTS.setdefault((own.name, own.driver), own)
        self.on_sqlite = own.name == "sqlite"
        self._raw: Any = connection.connection.driver_connection
        self._queue: list[tuple[str, Sequence[Any]]] = []
        self._reserved: dict[sa.Table, list[int]] = {}

    def run(self, statement: Any, parameters: Any = None) -> Any:
        """Run one statement; integrity errors come out as ours."""
        self.flush()
        with translated():
            return self.connection.execute(statement, parameters)

    def rows(self, build: Callable[[bool], Any], **parameters: Any) -> list[Sequence[Any]]:
        """Run a statement that is built once.

        Args:
            build: Makes the statement, with named parameters; told whether it is for SQLite.
            parameters: By name.

        Returns:
            The rows.
        """
        prepared = _prepared(build, self.dialect)
        found: list[Sequence[Any]] = self._send(prepared, parameters).fetchall()
        if not prepared.readers:
            return found
        read: list[Sequence[Any]] = []
        for row in found:
            values = list(row)
            for place, reader in prepared.readers:
                values[place] = reader(values[place])
            read.append(values)
        return read

    def changes(self, build: Callable[[bool], Any], **parameters: Any) -> int:
        """Run a statement that is built once and changes rows; count them."""
        return int(self._send(_prepared(build, self.dialect), parameters).rowcount)

    def _send(self, prepared: Prepared, parameters: Mapping[str, Any]) -> Any:
        with translated():
            return self._driver_run(prepared.text, prepared.parameters(parameters))

    def _driver_run(self, statement: str, parameters: Any = ()) -> Any:
        """Run one statement by the driver."""
        self.flush()
        with self._driver(statement, parameters) as driver:
            return driver.execute(statement, parameters)

    def _driver_run_each(self, statement: str, rows: Sequence[Any]) -> None:
        """Run one statement by the driver for each of many rows."""
        self.flush()
        with self._driver(statement, rows) as driver:
            driver.cursor().executemany(statement, rows)

    def later(self, table: sa.Table, columns: Columns, row: Row, tail: str = "") -> None:
        """Insert one row whose number nobody asks for: at the latest when the unit of work ends.

        On PostgreSQL such rows go out together with the commit, in one round trip, while other
        processes wait for the rotation; on SQLite there is no trip to save.

        Args:
            table: Where it goes.
            columns: The columns of the row.
            row: Their values.
            tail: What follows the values, such as ``ON CONFLICT DO NOTHING``.
        """
        with translated():
            [bound] = _bound(table, columns, [row], self.dialect)
        statement = _insertion(table.name, columns, tail, self.dialect)
        if self.on_sqlite:
            self._driver_run(statement, bound)
        else:
            self._queue.append((statement, bound))

    def flush(self) -> None:
        """Send what `later` put off."""
        if self._queue:
            self._send_queue(lambda: None)

    def commit(self) -> None:
        """Send what `later` put off, and end the transaction."""
        if not self._queue:
            with translated():
                self.connection.commit()
            return
        try:
            self._send_queue(self.connection.commit)
        except BaseException:
            # The engine takes a commit that failed for an end, but this one was never reached.
            with suppress(self.dialect.loaded_dbapi.Error):
                self._raw.rollback()
            raise

    def _send_queue(self, then: Callable[[], None]) -> None:
        queue, self._queue = self._queue, []
        for statement, bound in queue[1:]:
            self._announce(statement, bound)
        with self._driver(*queue[0]) as driver, driver.pipeline(), driver.cursor() as cursor:
            for statement, bound in queue:
                cursor.execute(statement, bound)
            then()

    @contextmanager
    def _driver(self, statement: str, parameters: Any = ()) -> Iterator[Any]:
        """Give the driver's own connection; the engine sees neither statement nor errors."""
        self._announce(statement, parameters)
        with translated(), told(self.dialect, statement):
            yield self._raw

    def _announce(self, statement: str, parameters: Any) -> None:
        """Tell whoever listens to the engine of a statement that goes past it."""
        if self.connection._has_events or self.connection.engine._has_events:
            self.connection.dispatch.before_cursor_execute(
                self.connection, None, statement, parameters, None, False
            )

    def reserve(self, table: sa.Table, ids: Sequence[int]) -> None:
        """Keep numbers of a table that came with another statement for `next_ids`."""
        self._reserved[table] = list(ids)

    def next_ids(self, table: sa.Table, n: int) -> list[int]:
        """Reserve n numbers of a table, in order.

        On SQLite the writer is alone, so the highest number tells; elsewhere the sequence does.
        """
        reserved = self._reserved.get(table, [])
        if len(reserved) >= n:
            self._reserved[table] = reserved[n:]
            return reserved[:n]
        if self.on_sqlite:
            [top] = self._driver_run(f"SELECT coalesce(max(id), 0) FROM {table.name}").fetchone()
            return list(range(top + 1, top + n + 1))
        statement = f"SELECT nextval('{table.name}_id_seq') FROM generate_series(1, %s)"
        return sorted(number for (number,) in self._driver_run(statement, [n]))

    def among(self, column: sa.ColumnElement[Any], values: Sequence[Any]) -> Any:
        """Give the condition that a column has one of many values.

        All of them travel as one parameter, so the statement is the same for any number.
        """
        if self.on_sqlite:
            listed = sa.func.json_each(json.dumps(list(values))).table_valued("value")
            return column.in_(sa.select(listed.c.value))
        return column == sa.any_(sa.literal(list(values), ARRAY(column.type)))

    def insert_one_new(self, table: sa.Table, columns: Columns, row: Row) -> int | None:
        """Insert one row and give its number, or None when a unique index refuses it."""
        with translated():
            [bound] = _bound(table, columns, [row], self.dialect)
        tail = " ON CONFLICT DO NOTHING RETURNING id"
        made = self._driver_run(_insertion(table.name, columns, tail, self.dialect), bound)
        found = made.fetchone()
        return None if found is None else int(found[0])

    def insert(self, table: sa.Table, columns: Columns, rows: Sequence[Row]) -> None:
        """Insert rows."""
        if not rows:
            return
        bound = _bound(table, columns, rows, self.dialect)
        with translated():
            if self.on_sqlite or len(rows) < COPY_FROM:
                self._each(table, columns, bound)
            else:
                self._copy(table.name, columns, bound)

    def insert_new(self, table: sa.Table, columns: Columns, rows: Sequence[Row]) -> set[int]:
        """Insert rows that carry their numbers first, leaving out what a unique index refuses.

        Returns:
            The numbers of the rows that were inserted.
        """
        bound = _bound(table, columns, rows, self.dialect)
        with translated():
            if self.on_sqlite:
                self._each(table, columns, bound, " ON CONFLICT DO NOTHING")
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
            numbers = {number for (number,) in found}
            self._driver_run(f"DELETE FROM {incoming}")
            return numbers

    def update(self, table: sa.Table, key: str, columns: Columns,
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
            self._driver_run_each(
                f"UPDATE {table.name} SET {assignments} WHERE {key} = {sign}", bound
            )

    def _update_set(self, table: sa.Table, key: str, columns: Columns, rows: list[Any]) -> None:
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

    def _each(self, table: sa.Table, columns: Columns, rows: list[Any], tail: str = "") -> None:
        self._driver_run_each(_insertion(table.name, columns, tail, self.dialect), rows)

    def _name(self, column: str) -> str:
        return self.dialect.identifier_preparer.quote(column)

    def _names(self, columns: Columns) -> str:
        return ", ".join(map(self._name, columns))

    def _copy(self, table: str, columns: Columns, rows: list[Any]) -> None:
        self.flush()
        statement = f"COPY {table} ({self._names(columns)}) FROM STDIN"
        with (
            self._driver(statement) as driver,
            driver.cursor() as cursor,
            cursor.copy(statement) as copy,
        ):
            for row in rows:
                copy.write_row(row)
