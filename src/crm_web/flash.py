"""A word that a request leaves for the next one: what was done, said once."""

from __future__ import annotations

import base64
import json
from typing import Any

import attrs
from starlette.requests import Request
from starlette.responses import Response

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


def put(response: Response, text: str, tone: str, *, https: bool) -> None:
    """Leave a word for the next request of this browser."""
    value = json.dumps([text[:LONGEST], tone], ensure_ascii=False)
    packed = base64.urlsafe_b64encode(value.encode()).decode()
    response.set_cookie(_name(https), packed, max_age=60, httponly=True, secure=https,
                        samesite="lax")  # fmt: skip


def take(request: Request, *, https: bool) -> Flash | None:
    """Read the word that was left. It comes from the browser, so it is shown as mere text."""
    packed = request.cookies.get(_name(https))
    if not packed:
        return None
    try:
        found: Any = json.loads(base64.urlsafe_b64decode(packed.encode()))
        text, tone = found
    except (ValueError, TypeError):
        return None
    known = isinstance(text, str) and tone in TONES
    return Flash(text[:LONGEST], tone) if known else None


def forget(response: Response, *, https: bool) -> None:
    """Say a word only once."""
    response.delete_cookie(_name(https), httponly=True, secure=https, samesite="lax")
