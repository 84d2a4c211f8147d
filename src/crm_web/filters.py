"""The filters of a list as its page offers them: rows of values with counts, and ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from crm_domain.errors import NotPermitted
from crm_domain.model.fields import RECORDS
from crm_domain.usecases import records
from crm_web.address import FROM, TO, Address
from crm_web.context import Context, numbers
from crm_web.resource import Filter, Resource

OFFERED = 50
"""So many records a filter offers; where there are more, others are picked by typing."""


@attrs.frozen(kw_only=True)
class Value:
    """One value of a filter, as the page offers it."""

    code: str
    label: str
    count: int | None
    chosen: bool


@attrs.frozen(kw_only=True)
class FilterRow:
    """One filter, as the page offers it."""

    filter: Filter
    values: tuple[Value, ...] = ()
    low: str = ""
    high: str = ""
    active: bool = False
    more: bool = False
    """Whether there are other values than these."""

    @property
    def typed(self) -> tuple[str, ...]:
        """The names of what is typed for it: the ends of a range, or an exact value."""
        if self.filter.ranged:
            return self.filter.name + FROM, self.filter.name + TO
        return (self.filter.name,) if self.filter.kind == "exact" else ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names that it has in an address."""
        return self.typed or (self.filter.name,)


@attrs.frozen(kw_only=True)
class Pill:
    """One condition that is in force, and the address without it."""

    label: str
    said: str
    to: str


def pills_of(c: Context, rows: Sequence[FilterRow], here: Address) -> list[Pill]:
    """Give what a list is narrowed by, one condition each, as the page shows it above the rows."""
    found = []
    for row in rows:
        label = row.filter.label(c.language)
        if row.filter.ranged and row.active:
            said = f"{row.low or '…'} – {row.high or '…'}"
            found.append(Pill(label=label, said=said, to=str(here.without(*row.names))))
        found += [
            Pill(label=label, said=v.label, to=str(here.toggled(row.filter.name, v.code)))
            for v in row.values if v.chosen
        ]  # fmt: skip
    return found


def filter_rows(c: Context, resource: Resource, here: Address, tally: Any) -> list[FilterRow]:
    """Give the filters with their values and counts, but for those of which the tab disposes."""
    found = []
    fixed = here.fixed(resource, c)
    for one in resource.filters:
        if one.name in fixed.where or one.name in fixed.ranges:
            continue
        if one.ranged:
            low, high = here.get(one.name + FROM), here.get(one.name + TO)
            found.append(FilterRow(filter=one, low=low, high=high, active=bool(low or high)))
            continue
        counts = _counts(tally, one.name)
        chosen = here.all(one.name)
        counting = resource.tally is not None and one.name not in resource.uncounted
        labels, more = _labels(c, one, counts, chosen, counting=counting)
        # Where not all rows were counted, others may have other values.
        more = more or (bool(labels and one.target) and one.name in getattr(tally, "rough", ()))
        values = tuple(
            Value(code=code, label=label, chosen=code in chosen,
                  count=None if counts is None else counts.get(code, 0))
            for code, label in labels
        )  # fmt: skip
        if values or one.kind == "exact":
            found.append(FilterRow(filter=one, values=values, active=bool(chosen), more=more))
    return found


def _counts(tally: Any, name: str) -> dict[str, int] | None:
    by_value = None if tally is None else tally.by.get(name)
    return None if by_value is None else {_code(v): n for v, n in by_value.items()}


def _code(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "-" if value is None else str(getattr(value, "value", value))


def _labels(
    c: Context, one: Filter, counts: Mapping[str, int] | None, chosen: Sequence[str],
    *, counting: bool,
) -> tuple[list[tuple[str, str]], bool]:  # fmt: skip
    """Give the values of a filter by code and label, those that are chosen or that count first.

    Besides, whether there are more of them.

    Args:
        c: The request.
        one: The filter.
        counts: How many there are of each value; None while, or where, nobody counts.
        chosen: The values in the address.
        counting: Whether counts come later, and with them the records that there are.
    """
    more = False
    if one.kind == "exact":
        return [(v, v) for v in chosen], more
    if one.kind == "text":
        words, there = dict(one.choices), counts or {}
        known = sorted({*there, *chosen} - {"-"}, key=lambda v: (-there.get(v, 0), v))
        labels = [(v, c.t(*words.get(v, (v, v)))) for v in known]
    elif one.choices:
        place = 0 if c.language == "zh" else 1
        labels = [(code, words[place]) for code, words in one.choices]
    elif one.target and one.target != "Customer":
        told = counts is not None or (counting and one.kind != "references")
        labels, more = _records(c, one.target, counts or {}, chosen, told=told)
    else:
        return [], more
    if (counts or {}).get("-") or "-" in chosen:
        labels.append(("-", c.t("（空）", "(empty)")))
    return labels, more


def _records(
    c: Context, target: str, counts: Mapping[str, int], chosen: Sequence[str], *, told: bool
) -> tuple[list[tuple[str, str]], bool]:
    """Give the records that a filter offers, those that are chosen always, and if there are more.

    Args:
        c: The request.
        target: The name of their record.
        counts: How many rows refer to each.
        chosen: The numbers in the address.
        told: Whether somebody tells which there are; otherwise the first ones are offered.
    """
    cls, numbered = RECORDS[target], numbers(sorted({*counts, *chosen}))
    named = {str(n): t for n, t in records.titles(c.crm, cls, numbered, by=c.by).items()}
    if told:
        first = sorted(named, key=lambda v: (-counts.get(v, 0), named[v]))
    else:
        try:
            offered = records.suggest(c.crm, cls, "", OFFERED + 1, by=c.by)
        except NotPermitted:
            # Whoever may not look into their list may still see the rows that refer to them.
            offered = {}
        first = [str(n) for n in offered]
        named |= {str(n): t for n, t in offered.items()}
    shown = dict.fromkeys([*first[:OFFERED], *(v for v in chosen if v in named)])
    return [(v, named[v]) for v in shown], len(first) > OFFERED
