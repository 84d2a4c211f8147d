"""How many rows a query chooses, and how many of them have which value.

Never more than so many rows are counted, so that a list of a million answers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import sqlalchemy as sa

from crm_adapters.storage.listing import known, refuse
from crm_adapters.storage.rows import Mapper
from crm_adapters.storage.session import Session
from crm_adapters.storage.tables import LINKS
from crm_domain.model import Spec
from crm_domain.ports import Query, Tally

FACETS = ("choice", "state", "flag", "reference", "references")
"""The kinds of fields that have few values."""


@attrs.frozen
class Countable:
    """What a query chooses, ready to be counted."""

    statement: sa.Select[Any]
    number: sa.ColumnElement[Any]
    """What numbers the rows."""
    field: Callable[[str], tuple[Spec, Any]]
    """Gives what is known of a field, and its column, or the table of its links."""


def fields_of(m: Mapper[Any], texts: bool = False) -> Callable[[str], tuple[Spec, Any]]:
    """Give the fields of a record that are counted by value; texts only where there are few."""
    kinds = (*FACETS, "text") if texts else FACETS

    def field(name: str) -> tuple[Spec, Any]:
        spec = known(m.cls, name)
        if spec.kind not in kinds:
            raise refuse(name, "no_facet", f"不能按“{spec.zh}”计数",
                         f"{spec.en} is not counted by value")  # fmt: skip
        many = spec.kind == "references"
        return spec, LINKS[m.cls.__name__, name] if many else m.column(name)

    return field


def tallied(
    session: Session, choose: Callable[[Query], Countable], query: Query, facets: Sequence[str],
    most: int,
) -> Tally:  # fmt: skip
    """Count what a query chooses, and the values of some fields of it.

    The counts of a field disregard the filter of that field: each such field is one statement more.

    Args:
        session: The transaction.
        choose: Gives what a query chooses, as the list would.
        query: What is asked.
        facets: The fields.
        most: So many rows are counted at most.
    """
    facets = tuple(dict.fromkeys(facets))
    filtered = [n for n in facets if n in query.where or n in query.ranges]
    free = [n for n in facets if n not in filtered]
    total, by = _counts(session, choose(query), free, most)
    rough = set(free) if total > most else set()
    for name in filtered:
        rest = attrs.evolve(query, where=_but(query.where, name), ranges=_but(query.ranges, name))
        many, its = _counts(session, choose(rest), [name], most)
        by |= its
        rough |= {name} if many > most else set()
    return Tally(total=min(total, most), exact=total <= most, by={n: by[n] for n in facets},
                 rough=frozenset(rough))  # fmt: skip


def _but(filters: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {n: wish for n, wish in filters.items() if n != name}


def _counts(
    session: Session, chosen: Countable, facets: Sequence[str], most: int
) -> tuple[int, dict[str, dict[Any, int]]]:
    """Count by one statement: all, and by each field; one more than ``most`` tells of more."""
    fields = [chosen.field(name) for name in facets]
    shown = [c.label(f"of_{s.name}") for s, c in fields if s.kind != "references"]
    found = (
        chosen.statement.with_only_columns(
            chosen.number.label("id"), *shown, maintain_column_froms=True
        )
        .limit(most + 1)
        .cte("found")
    )
    first = sa.select(found).limit(most).cte("first")
    nothing = sa.cast(sa.null(), sa.Text)
    parts = [sa.select(sa.literal("", sa.Text).label("facet"), nothing.label("value"),
                       sa.func.count().label("many")).select_from(found)]  # fmt: skip
    for spec, column in fields:
        if spec.kind == "references":
            source: Any = first.outerjoin(column, column.c.left_id == first.c.id)
            value = sa.cast(column.c.right_id, sa.Text)
        else:
            source, value = first, sa.cast(first.c[f"of_{spec.name}"], sa.Text)
        parts.append(sa.select(sa.literal(spec.name, sa.Text), value, sa.func.count())
                     .select_from(source).group_by(value))  # fmt: skip
    known_as = {s.name: s for s, _ in fields}
    by: dict[str, dict[Any, int]] = {name: {} for name in known_as}
    total = 0
    for name, text, many in session.run(sa.union_all(*parts)):
        if name:
            by[name][_value(known_as[name], text)] = many
        else:
            total = many
    return total, by


def _value(spec: Spec, text: str | None) -> Any:
    if text is None:
        return None
    if spec.kind == "choice":
        return spec.type(text)
    if spec.kind == "text":
        return text
    if spec.kind == "flag":
        return text in ("1", "true")
    return spec.type(int(text)) if spec.kind == "state" else int(text)
