"""The whole state of a list stands in its address, and every link of the page is made of it.

``/customers?q=wang&source=baidu&source=seo&received_at.from=2026-11-01&sort=-received_at`` asks for
a word, two values of which either fits, the beginning of a range, and an order.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, tzinfo
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import attrs

from crm_domain.ports import Query
from crm_web.resource import Filter, Resource, Tab

if TYPE_CHECKING:
    from crm_web.context import Context

SEARCH, SORT, AFTER, SIZE, TAB = "q", "sort", "after", "size", "tab"
FROM, TO = ".from", ".to"
NOTHING = "-"
"""The value that stands for an empty field."""
PLACE = frozenset({AFTER})
"""What a new filter makes meaningless."""
SIZES = (20, 50, 100, 200)
MOST = 2000
"""Values that an address may ask for."""


@attrs.frozen
class Address:
    """A list's address: its path and all that is asked of it."""

    path: str
    items: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, path: str, text: str) -> Address:
        """Read what stands behind the question mark; empty values say nothing."""
        try:
            pairs = parse_qsl(text, max_num_fields=MOST)
        except ValueError:
            # Nobody ticks so many values; what is left says at least that something was asked.
            pairs = parse_qsl("&".join(text.split("&", MOST)[:MOST]))
        return cls(path, tuple((name, value) for name, value in pairs if value.strip()))

    def get(self, name: str, default: str = "") -> str:
        """Give the last value of a name."""
        return next((v for n, v in reversed(self.items) if n == name), default)

    def all(self, name: str) -> tuple[str, ...]:
        """Give all values of a name."""
        return tuple(v for n, v in self.items if n == name)

    def has(self, name: str, value: str) -> bool:
        """Whether a name has a value."""
        return (name, value) in self.items

    def __str__(self) -> str:
        return self.path + (f"?{self.text}" if self.items else "")

    @property
    def text(self) -> str:
        """What stands behind the question mark."""
        return urlencode(self.items)

    # -- other addresses, for links ---------------------------------------------------------

    def at(self, path: str) -> Address:
        """Ask the same elsewhere, as for an export."""
        return Address(path, self.items)

    def without(self, *names: str, keep_place: bool = False) -> Address:
        """Ask without some names; other rows begin at the first page."""
        gone = {*names} if keep_place else {*names, *PLACE}
        return Address(self.path, tuple(i for i in self.items if i[0] not in gone))

    def with_(self, **values: str | int | None) -> Address:
        """Ask with other values; None leaves a name out."""
        kept = self.without(*values)
        more = [(n, str(v)) for n, v in values.items() if v is not None]
        return Address(self.path, (*kept.items, *more))

    def toggled(self, name: str, value: str) -> Address:
        """Ask with a value added, or left out where it is there."""
        kept = tuple(i for i in self.items if i[0] not in PLACE and i != (name, value))
        return Address(self.path, kept if self.has(name, value) else (*kept, (name, value)))

    def sorted_by(self, name: str) -> Address:
        """Ask in the order of a column: upwards, then downwards, then as the list is."""
        turns: Mapping[str, str | None] = {name: f"-{name}", f"-{name}": None}
        return self.with_(sort=turns.get(self.get(SORT), name))

    # -- what is asked ----------------------------------------------------------------------

    def tab(self, resource: Resource) -> Tab | None:
        """Tell which tab of a list is open: the one that is named, or the first."""
        named = (tab for tab in resource.tabs if tab.name == self.get(TAB))
        return next(named, resource.tabs[0] if resource.tabs else None)

    def fixed(self, resource: Resource, c: Context) -> Query:
        """Give what the open tab asks, which no filter asks otherwise."""
        tab = self.tab(resource)
        return Query() if tab is None or tab.query is None else tab.query(c)

    def query(self, resource: Resource, c: Context, size: int | None = None) -> Query:
        """Give what is asked of a list; what the list refuses it names.

        Only names that the resource declares are asked for: the address bar is no way to hidden
        fields. A tab is asked by its name, so that "today" is still today in a bookmark of last
        week; what it asks is not asked otherwise by a filter.

        Args:
            resource: The list.
            c: The request.
            size: Rows of a page where the address does not say; None is the list's own choice.
        """
        fixed, zone = self.fixed(resource, c), c.crm.settings.zone
        where: dict[str, Any] = dict(fixed.where)
        ranges: dict[str, tuple[Any, Any]] = dict(fixed.ranges)
        for filter_ in resource.filters:
            if filter_.name in fixed.where or filter_.name in fixed.ranges:
                continue
            if filter_.ranged:
                low, high = self.get(filter_.name + FROM), self.get(filter_.name + TO)
                if low or high:
                    ranges[filter_.name] = (_end(filter_, low, time.min, zone),
                                            _end(filter_, high, time.max, zone))  # fmt: skip
            elif values := self.all(filter_.name):
                where[filter_.name] = [_value(v) for v in values]
        sort = self.get(SORT) or None
        known = {column.name for column in resource.columns if column.sort}
        wished = self.get(SIZE)
        return Query(
            search=(self.get(SEARCH) or None) if resource.search else fixed.search,
            where=where, ranges=ranges,
            sort=sort if sort and sort.lstrip("-") in known else fixed.sort,
            limit=int(wished) if wished in map(str, SIZES) else size or resource.size,
            after=self.get(AFTER) or None,
        )  # fmt: skip


def _value(value: str) -> Any:
    return None if value == NOTHING else value


def _end(filter_: Filter, typed: str, at: time, zone: tzinfo) -> Any:
    """Give an end of a range; a day stands for its first or its last moment."""
    if not typed or filter_.kind != "moment":
        return typed or None
    try:
        return datetime.combine(date.fromisoformat(typed), at, zone)
    except ValueError:
        # Not a day: a moment, or something that the list refuses by name.
        return typed


def asked(query: Query, zone: tzinfo) -> str:
    """Write what a query asks as an address has it: the way back from `Address.query`."""
    items: list[tuple[str, str]] = [(SEARCH, query.search)] if query.search else []
    for name, wish in query.where.items():
        many = wish if isinstance(wish, list | tuple | set | frozenset) else (wish,)
        items += [(name, _written(v, zone)) for v in many]
    for name, (low, high) in query.ranges.items():
        items += [(name + end, _written(v, zone)) for end, v in ((FROM, low), (TO, high))
                  if v is not None]  # fmt: skip
    if query.sort:
        items.append((SORT, query.sort))
    return urlencode(items)


def _written(value: Any, zone: tzinfo) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        local = value.astimezone(zone)
        whole = local.time() in (time.min, time.max)
        return str(local.date()) if whole else local.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    # A choice is its code, a state its number.
    return str(int(value)) if isinstance(value, int) else str(getattr(value, "value", value))
