"""The filters of a list as its page offers them: rows of values with counts, and ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from crm_domain.model.fields import RECORDS
from crm_domain.usecases import records
from crm_web.address import Address
from crm_web.context import Context, numbers
from crm_web.resource import Filter, Resource


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


def filter_rows(c: Context, resource: Resource, here: Address, tally: Any) -> list[FilterRow]:
    """Give the filters with their values and counts."""
    found = []
    for one in resource.filters:
        if one.ranged:
            low, high = here.get(f"{one.name}.from"), here.get(f"{one.name}.to")
            found.append(FilterRow(filter=one, low=low, high=high, active=bool(low or high)))
            continue
        counts = _counts(tally, one.name)
        chosen = here.all(one.name)
        labels = _labels(c, one, counts, chosen)
        values = tuple(
            Value(code=code, label=label, chosen=code in chosen,
                  count=None if counts is None else counts.get(code, 0))
            for code, label in labels
        )  # fmt: skip
        if values:
            found.append(FilterRow(filter=one, values=values, active=bool(chosen)))
    return found


def _counts(tally: Any, name: str) -> dict[str, int] | None:
    by_value = None if tally is None else tally.by.get(name)
    return None if by_value is None else {_code(v): n for v, n in by_value.items()}


def _code(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "-" if value is None else str(getattr(value, "value", value))


def _labels(
    c: Context, one: Filter, counts: Mapping[str, int] | None, chosen: Sequence[str]
) -> list[tuple[str, str]]:
    """Give the values of a filter by code and label, those that are chosen or that count first."""
    if one.kind == "exact":
        return [(v, v) for v in chosen]
    if one.kind == "text":
        words, there = dict(one.choices), counts or {}
        known = sorted({*there, *chosen} - {"-"}, key=lambda v: (-there.get(v, 0), v))
        labels = [(v, c.t(*words.get(v, (v, v)))) for v in known]
    elif one.choices:
        place = 0 if c.language == "zh" else 1
        labels = [(code, words[place]) for code, words in one.choices]
    elif one.target and one.target != "Customer":
        cls = RECORDS[one.target]
        numbered = numbers(sorted({*(counts or {}), *chosen}))
        if counts is None and one.kind == "references":
            labels = [(str(n), t) for n, t in records.suggest(c.crm, cls, "", 50, by=c.by).items()]
        else:
            named = records.titles(c.crm, cls, numbered, by=c.by)
            labels = [(str(n), t) for n, t in named.items()]
            labels.sort(key=lambda pair: (-(counts or {}).get(pair[0], 0), pair[1]))
    else:
        return []
    if (counts or {}).get("-") or "-" in chosen:
        labels.append(("-", c.t("（空）", "(empty)")))
    return labels
