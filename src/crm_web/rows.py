"""The rows of a list: all that match, and what the records are called that they refer to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from crm_domain.model.fields import RECORDS
from crm_domain.ports import Query
from crm_domain.usecases import records
from crm_web.context import Context
from crm_web.resource import Column, Resource

WALK = 2000
"""Rows that are read at a time where all are wanted."""


def walk(resource: Resource, c: Context, query: Query) -> Iterator[Any]:
    """Read all rows that match, page by page."""
    query = attrs.evolve(query, limit=WALK, after=None)
    while True:
        page = resource.rows(c.crm, query, c.by)
        yield from page.items
        if page.next is None:
            return
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
