"""Whose a record is, as SQL: what `About.belongs` says, within a reach."""

from __future__ import annotations

from typing import Any, TypeVar

import attrs
import sqlalchemy as sa

from crm_adapters.storage.directory import departments_within, within
from crm_adapters.storage.rows import Mapper, mapper
from crm_adapters.storage.tables import LINKS, TABLES
from crm_domain.model import RECORDS, Department, Employee, Scope, about, specs
from crm_domain.ports import Reach

T = TypeVar("T")
Condition = sa.ColumnElement[bool]


def limits(cls: type[Any], reach: Reach | None) -> bool:
    """Whether a reach says anything of a kind of record."""
    return reach is not None and reach.scope is not Scope.ALL and bool(about(cls).belongs)


def belonging(cls: type[Any], reach: Reach, table: sa.FromClause | None = None) -> Condition:
    """Give the condition that a record is the work of somebody within a reach."""
    table = TABLES[cls.__name__] if table is None else table
    return sa.or_(*(_named(cls, table, path.split("."), reach) for path in about(cls).belongs))


def _named(cls: type[Any], table: sa.FromClause, path: list[str], reach: Reach) -> Condition:
    if ":" in path[0]:
        kind, name = path[0].split(":")
        other = TABLES[kind].alias()
        named = _named(RECORDS[kind], other, path[1:], reach)
        return table.c.id.in_(sa.select(other.c[name]).where(named).correlate(None))
    spec = specs(cls)[path[0]]
    target = cls if spec.kind == "key" else RECORDS[spec.target]
    if len(path) == 1:
        these = _ends(target, reach)
    else:
        other = TABLES[target.__name__].alias()
        chosen = sa.select(other.c.id).where(_named(target, other, path[1:], reach))
        these = chosen.correlate(None)
    if spec.kind == "references":
        link = LINKS[cls.__name__, spec.name].alias()
        linked = sa.select(link.c.left_id).where(link.c.right_id.in_(these)).correlate(None)
        return table.c.id.in_(linked)
    return table.c[spec.name].in_(these)


def _ends(target: type[Any], reach: Reach) -> Any:
    if target is Employee:
        return within(reach)
    assert target is Department  # noqa: S101 - a path ends with one of the two
    return departments_within(reach)


def read_within(cls: type[T], reach: Reach | None) -> tuple[Mapper[T], list[Condition]]:
    """Tell how records are read within a reach.

    Returns:
        What reads them, contact data of others than those within the reach left out; and what
        limits them: nothing where all may read all.
    """
    m = mapper(cls)
    if reach is None or not limits(cls, reach):
        return m, []
    theirs = belonging(cls, reach)
    if not about(cls).shared:
        return m, [theirs]
    contacts = {name for name, s in specs(cls).items() if s.contact}
    read = tuple(
        sa.case((theirs, column)) if name in contacts else column
        for name, column in zip(m.names, m.read, strict=True)
    )
    return attrs.evolve(m, read=read), []
