"""What is asked of a list, and one page of the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import attrs

from crm_domain.errors import FieldError, Invalid

T = TypeVar("T")


MOST = 10_000
"""So many rows are counted; of more it is said that there are more."""
LONGEST = 4000
"""Characters of a search, an order or a page mark."""


def _text(value: Any) -> bool:
    return value is None or (
        isinstance(value, str)
        and len(value) <= LONGEST
        and all(c.isprintable() or c.isspace() for c in value)
    )


def _named(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


def _ends(value: Any) -> bool:
    return _named(value) and all(
        isinstance(v, tuple | list) and len(v) == 2 for v in value.values()
    )


_SHAPES: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("search", _text, "a text without control characters"),
    ("where", _named, "values by the name of a field"),
    ("ranges", _ends, "two ends by the name of a field"),
    ("sort", _text, "the name of a field"),
    ("limit", lambda n: type(n) is int and 1 <= n <= 10_000, "1 to 10000"),
    ("after", _text, "the mark that a page gave"),
)


@attrs.frozen(kw_only=True)
class Query:
    """One question to a list.

    ``Query(where={"source": ["baidu", "seo"]}, search="zhang", sort="-received_at", limit=20)``

    Raises:
        Invalid: A part has not its shape; what it names is read by the list that is asked.
    """

    search: str | None = None
    """Of customers part of a name, its pinyin or initials, or of a phone number, QQ or WeChat; of
    plain records part of any of their texts."""
    where: Mapping[str, Any] = attrs.field(factory=dict)
    """By field: the value, or several of which any fits; fields add up. None fits the empty."""
    ranges: Mapping[str, tuple[Any, Any]] = attrs.field(factory=dict)
    """By field: lowest and highest value, both included; None leaves an end open."""
    sort: str | None = None
    """A field, with ``-`` before it for the highest first; None is the list's own order."""
    limit: int = 50
    """Rows of a page, 1 to 10,000."""
    after: str | None = None
    """The ``next`` of the page before."""

    def __attrs_post_init__(self) -> None:
        wrong = [
            FieldError(name, "bad_query", None, f"查询条件 {name} 的写法不对", f"{name}: {why}")
            for name, fits, why in _SHAPES
            if not fits(getattr(self, name))
        ]
        if wrong:
            raise Invalid(wrong)


@attrs.frozen(kw_only=True)
class Page(Generic[T]):
    """One page of a list. It can be looped over like the items it holds."""

    items: Sequence[T]
    next: str | None = None
    """Ask with ``after=`` this for the page that follows; None at the end."""

    def __iter__(self) -> Any:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> T:
        return self.items[index]


@attrs.frozen(kw_only=True)
class Tally:
    """How many fit a query, and how many of them have which value."""

    total: int
    """The rows of all pages together; `MOST` where there are more."""
    exact: bool = True
    """Whether these are all; otherwise it is to be read as "10000+"."""
    by: Mapping[str, Mapping[Any, int]] = attrs.field(factory=dict)
    """By field and value, those that fit the search and all filters but the field's own: choosing
    another value of a field would give so many. None counts those that have none."""
    rough: frozenset[str] = frozenset()
    """The fields whose counts are of some `MOST` rows only, because there are more."""
