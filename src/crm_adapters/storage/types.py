"""How values are kept, the same on both engines.

SQLite tables are STRICT, so every type comes down to TEXT or INTEGER there. Moments are
microseconds since 1970 in UTC on SQLite (its own date types lose the offset) and ``timestamptz`` on
PostgreSQL; money is a whole number of fen.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any

import cattrs
import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class _Kept(TypeDecorator[Any]):
    """A type with one form on SQLite and another elsewhere."""

    cache_ok = True
    impl = sa.Text
    on_sqlite: type[TypeEngine[Any]] = sa.Text
    elsewhere: TypeEngine[Any] = sa.Text()

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the form."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(self.on_sqlite())
        return dialect.type_descriptor(self.elsewhere)


class Moment(_Kept):
    """An aware moment."""

    cache_ok = True
    on_sqlite = sa.Integer
    elsewhere = sa.DateTime(timezone=True)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Keep a moment."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a moment without a time zone: {value!r}")
        return (value - EPOCH) // MICROSECOND if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Give a moment back, in UTC."""
        if value is None:
            return None
        if dialect.name == "sqlite":
            return EPOCH + int(value) * MICROSECOND
        found: datetime = value.astimezone(UTC)
        return found


class Day(_Kept):
    """A calendar day; ISO text on SQLite, which sorts as days do."""

    cache_ok = True
    elsewhere = sa.Date()

    def process_bind_param(self, value: date | None, dialect: Dialect) -> Any:
        """Keep a day."""
        return value.isoformat() if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> date | None:
        """Give a day back."""
        return date.fromisoformat(value) if isinstance(value, str) else value


class Clock(_Kept):
    """A time of day."""

    cache_ok = True
    elsewhere = sa.Time()

    def process_bind_param(self, value: time | None, dialect: Dialect) -> Any:
        """Keep a time."""
        return value.isoformat() if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> time | None:
        """Give a time back."""
        return time.fromisoformat(value) if isinstance(value, str) else value


class Flag(_Kept):
    """Yes or no."""

    cache_ok = True
    on_sqlite = sa.Integer
    elsewhere = sa.Boolean()

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> Any:
        """Keep it."""
        return int(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> bool | None:
        """Give it back."""
        return None if value is None else bool(value)


class Money(_Kept):
    """An exact amount, kept in fen."""

    cache_ok = True
    on_sqlite = sa.Integer
    elsewhere = sa.BigInteger()

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Keep an amount."""
        if value is None:
            return None
        fen = value * 100
        if fen != fen.to_integral_value():
            raise ValueError(f"an amount with a fraction of a fen: {value}")
        return int(fen)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """Give an amount back."""
        return None if value is None else Decimal(value).scaleb(-2)


class Coded(_Kept):
    """A member of a closed list, kept as its code (text for a Choice, a number for an IntEnum)."""

    cache_ok = True

    def __init__(self, kind: type[Enum], numeric: bool = False) -> None:
        super().__init__()
        self.kind, self.numeric = kind, numeric

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the form."""
        if self.numeric:
            small = sa.Integer() if dialect.name == "sqlite" else sa.SmallInteger()
            return dialect.type_descriptor(small)
        return dialect.type_descriptor(sa.Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Keep a code."""
        return None if value is None else self.kind(value).value

    def result_processor(self, dialect: Dialect, coltype: Any) -> Any:
        """Give the members back by a mere look-up: a page reads hundreds."""
        return {None: None, **{member.value: member for member in self.kind}}.__getitem__


@cache
def _converter() -> cattrs.Converter:
    converter = cattrs.Converter()
    converter.register_unstructure_hook(date, lambda d: d.isoformat())
    converter.register_structure_hook(date, lambda v, _: date.fromisoformat(v))
    converter.register_unstructure_hook(datetime, lambda d: d.isoformat())
    converter.register_unstructure_hook(Decimal, str)
    return converter


class Json(_Kept):
    """A small structure, kept as JSON text."""

    cache_ok = True

    def __init__(self, shape: Any) -> None:
        super().__init__()
        self.shape = shape

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Keep it."""
        if value is None:
            return None
        return json.dumps(_converter().unstructure(value), ensure_ascii=False, default=str)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Give it back in its shape."""
        return None if value is None else _converter().structure(json.loads(value), self.shape)
