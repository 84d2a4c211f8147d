"""What is asked of a list, and one page of the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import attrs

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Query:
    """One question to a list.

    ``Query(where={"source": ["baidu", "seo"]}, search="zhang", sort="-received_at", limit=20)``
    """

    search: str | None = None
    """Part of a name, its pinyin or initials, or of a phone number, QQ or WeChat."""
    where: Mapping[str, Any] = attrs.field(factory=dict)
    """By field: the value, or several of which any fits; fields add up. None fits the empty."""
    ranges: Mapping[str, tuple[Any, Any]] = attrs.field(factory=dict)
    """By field: lowest and highest value, both included; None leaves an end open."""
    sort: str | None = None
    """A field, with ``-`` before it for the highest first; None is the list's own order."""
    limit: int = attrs.field(default=50, validator=attrs.validators.in_(range(1, 10_001)))
    after: str | None = None
    """The ``next`` of the page before."""


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
