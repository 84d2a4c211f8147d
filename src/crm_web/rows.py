"""The rows of a list: all that match, what they are called, and their values as plain words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from crm_domain.errors import GuardedField
from crm_domain.model.fields import RECORDS
from crm_domain.ports import Query
from crm_domain.usecases import records
from crm_web.context import Context
from crm_web.look import Look
from crm_web.resource import Column, Resource

WALK = 2000
"""Rows that are read at a time where all are wanted."""


def pages(resource: Resource, c: Context, query: Query) -> Iterator[Sequence[Any]]:
    """Read all rows that match, page by page."""
    query = attrs.evolve(query, limit=WALK, after=None)
    while True:
        page = resource.rows(c.crm, query, c.by)
        yield page.items
        if page.next is None:
            return
        query = attrs.evolve(query, after=page.next)


def part(resource: Resource, c: Context, query: Query, most: int) -> tuple[list[Any], str | None]:
    """Read so many rows from a mark on, and give the mark behind them; None where no more are."""
    found: list[Any] = []
    while True:
        page = resource.rows(c.crm, attrs.evolve(query, limit=min(WALK, most - len(found))), c.by)
        found += page.items
        if page.next is None or len(found) >= most:
            return found, page.next
        query = attrs.evolve(query, after=page.next)


def titles_of(
    c: Context, columns: Iterable[Column], rows: Iterable[Any]
) -> dict[str, dict[int, str]]:
    """Find what the records are called that rows refer to: one question for each kind."""
    wanted: dict[str, set[int]] = {}
    for column in columns:
        if column.target:
            numbers = wanted.setdefault(column.target, set())
            for row in rows:
                value = column.of(row)
                numbers.update(value if isinstance(value, tuple) else [value] if value else [])
    return {
        target: dict(records.titles(c.crm, RECORDS[target], sorted(numbers), by=c.by))
        for target, numbers in wanted.items()
        if numbers
    }


def cell(look: Look, column: Column, row: Any, titles: Mapping[str, Mapping[int, str]]) -> Any:
    """Write one value as text or a plain value, as a sheet or a bare table has it."""
    if column.say is not None:
        return column.say(row, look)
    value = column.of(row)
    if value is None:
        return None
    if column.target:
        known = titles.get(column.target, {})
        many = value if isinstance(value, tuple) else (value,)
        return look.listed(known.get(n, str(n)) for n in many)
    match column.kind:
        case "moment" | "agreed" | "ago":
            return look.moment(value)
        case "day" | "due":
            return look.day(value)
        case "clock":
            return f"{value:%H:%M}"
        case "flag":
            return look.context.t("是", "yes") if value else look.context.t("否", "no")
        case "choice" | "state" | "badge":
            return look.choice(value)
        case "money":
            return str(value)
    return value if isinstance(value, int | float | str) else str(value)


def called(resource: Resource, c: Context, ids: Sequence[int]) -> dict[int, str]:
    """Tell what rows are called, as far as somebody may know; of others it tells nothing."""
    if not ids:
        return {}
    try:
        return records.titles(c.crm, resource.record, ids, language=c.language, by=c.by)
    except GuardedField:
        pass
    if not resource.called:
        return {}
    page = resource.rows(c.crm, Query(where={"id": list(ids)}, limit=len(ids)), c.by)
    columns = [one for one in resource.columns if one.name in resource.called]
    titles = titles_of(c, columns, page.items)
    look = Look(c)
    return {
        getattr(row, resource.key): " ".join(
            str(said) for one in columns if (said := cell(look, one, row, titles)) is not None
        )
        for row in page.items
    }
