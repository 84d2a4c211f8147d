"""What a screen answers; `endpoint` makes a response of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO, Literal

import attrs

Tone = Literal["success", "warning", "danger", "info"]


@attrs.frozen(kw_only=True)
class Cookie:
    """A cookie of this site, kept until the browser closes or for a while."""

    name: str
    value: str
    """"" takes it away."""
    secure: bool = False
    seconds: int | None = None


@attrs.frozen(kw_only=True)
class Page:
    """A template with what stands in it."""

    template: str
    data: Mapping[str, Any] = attrs.field(factory=dict)
    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=dict)
    cookies: tuple[Cookie, ...] = ()
    part: bool = False
    """Whether it is put into a page that stays, so that it has no menu and no word to say."""


@attrs.frozen(kw_only=True)
class Nothing:
    """Nothing to be shown; a page that is there already hears of it by the headers."""

    headers: Mapping[str, str] = attrs.field(factory=dict)
    cookies: tuple[Cookie, ...] = ()


@attrs.frozen
class Undo:
    """What takes back what was just done."""

    action: str
    """Its address, without the first slash."""
    ids: tuple[int, ...]
    """The rows that it was done to."""


@attrs.frozen(kw_only=True)
class Redirect:
    """Go on elsewhere, always by GET, with a word about what was done."""

    to: str
    said: str | None = None
    tone: Tone = "success"
    undo: Undo | None = None
    """What may be taken back, by a button beside the word."""
    cookies: tuple[Cookie, ...] = ()


@attrs.frozen(kw_only=True)
class Download:
    """A file."""

    content: bytes | BinaryIO
    """A file is sent from its beginning, and closed."""
    name: str
    """With its ending; may be Chinese."""
    type: str


@attrs.frozen(kw_only=True)
class Json:
    """Plain data."""

    data: Any
    status: int = 200


Answer = Page | Nothing | Redirect | Download | Json
