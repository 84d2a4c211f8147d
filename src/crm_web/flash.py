"""A word that a request leaves for the next one: what was done, said once."""

from __future__ import annotations

import base64
import json
from typing import Any

import attrs
from starlette.requests import Request
from starlette.responses import Response

from crm_web.answers import Undo

NAME = "flash"


def _name(https: bool) -> str:
    """The name of the cookie; by https the prefix binds it to this very host."""
    return f"__Host-{NAME}" if https else NAME


LONGEST = 600
"""Characters; a cookie holds 4096 bytes at most."""
TONES = ("success", "warning", "danger", "info")


@attrs.frozen
class Flash:
    """What is said, and how it looks."""

    text: str
    tone: str
    undo: Undo | None = None


def put(response: Response, text: str, tone: str, undo: Undo | None = None, *, https: bool) -> None:
    """Leave a word for the next request of this browser, and what takes back what it tells of."""
    value = json.dumps([text[:LONGEST], tone, *([undo.action, undo.ids] if undo else [])],
                       ensure_ascii=False)  # fmt: skip
    packed = base64.urlsafe_b64encode(value.encode(errors="replace")).decode()
    response.set_cookie(_name(https), packed, max_age=60, httponly=True, secure=https,
                        samesite="lax")  # fmt: skip


def left(request: Request, *, https: bool) -> bool:
    """Whether a word was left, also one that cannot be read; whatever was left is forgotten."""
    return _name(https) in request.cookies


def take(request: Request, *, https: bool) -> Flash | None:
    """Read the word that was left. It comes from the browser, so it is shown as mere text."""
    packed = request.cookies.get(_name(https))
    if not packed:
        return None
    try:
        found: Any = json.loads(base64.urlsafe_b64decode(packed.encode()))
        text, tone, *more = found
        # Half a surrogate pair is no text, and no answer could say it.
        known = isinstance(text, str) and bool(text.encode()) and tone in TONES
    except (ValueError, TypeError, RecursionError):
        return None
    return Flash(text[:LONGEST], tone, _undo(more)) if known else None


def _undo(found: list[Any]) -> Undo | None:
    """Read what may be taken back; `endpoint` shows only what is an action of this site."""
    match found:
        case [str(action), list(ids)] if all(type(n) is int and n > 0 for n in ids):
            return Undo(action, tuple(ids))
    return None


def forget(response: Response, *, https: bool) -> None:
    """Say a word only once."""
    response.delete_cookie(_name(https), httponly=True, secure=https, samesite="lax")
