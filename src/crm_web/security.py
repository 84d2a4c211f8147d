"""What holds for every request and every answer, whoever made it: hosts, origins, headers."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
CSP = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:",
    "font-src 'self'", "connect-src 'self'", "form-action 'self'", "base-uri 'none'",
    "frame-ancestors 'none'", "object-src 'none'", "manifest-src 'self'",
))  # fmt: skip
"""What a page may load (reliability.md section 5): nothing inline, nothing from elsewhere."""
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
ABOVE = {
    "HX-Retarget": "#flash", "HX-Reswap": "innerHTML", "HX-Reselect": ".alert",
    "HX-Push-Url": "false",
}  # fmt: skip
"""What tells htmx to say something above a page that stays."""
A_YEAR = 31_536_000
LONGEST_PATH = 200
"""Characters of a path that are written down."""


class Guard:
    """Refuses strange hosts and other sites' forms; gives every answer its headers and a number."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], https: bool) -> None:
        """Wrap an application.

        Args:
            app: What answers.
            hosts: The names this server is reached by, without ports; ``*`` is any.
            https: Whether people reach it by https, also if a proxy speaks http to it.
        """
        self._app, self._hosts, self._https = app, frozenset(hosts), https

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        number = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = number
        begun, status, answered = time.monotonic(), 500, False

        async def answer(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], True
                self._dress(MutableHeaders(scope=message), number)
            await send(message)

        headers = Headers(scope=scope)
        try:
            refused = self._refusal(scope, headers, number)
            await (refused or self._app)(scope, receive, answer)
        except Exception:
            # What answers further out knows no headers and writes down what the error says.
            log.exception("request %s failed", number)
            if not answered:
                told = _told(headers, number, 500, "程序出错了，请稍后重试。",
                             "Something went wrong; try again later.")  # fmt: skip
                await told(scope, receive, answer)
            # An answer that has begun stays without its end, and the server breaks it off.
        finally:
            log.info("%s %s %d %.0f ms %s", scope["method"], _impersonal(scope), status,
                     (time.monotonic() - begun) * 1000, number)  # fmt: skip

    def _refusal(self, scope: Scope, headers: Headers, number: str) -> Response | None:
        host = headers.get("host", "")
        if "*" not in self._hosts and _name(host) not in self._hosts:
            return _told(headers, number, 400, "此服务器不以该名称提供服务，见 CRM_HOSTS。",
                         "This server is not known by that name; see CRM_HOSTS.")  # fmt: skip
        if scope["method"] not in SAFE and not _same_origin(headers, host, self._https):
            return _told(headers, number, 403, "请求来自其他网站，已拒绝。",
                         "This request came from another site and was refused.")  # fmt: skip
        return None

    def _dress(self, headers: MutableHeaders, number: str) -> None:
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        headers.setdefault("Cache-Control", "no-store")
        headers["X-Request-Id"] = number
        if self._https:
            headers.setdefault("Strict-Transport-Security", f"max-age={A_YEAR}")


def _told(headers: Headers, number: str, status: int, zh: str, en: str) -> Response:
    """Say why nothing is answered: in both languages, as nobody knows yet who asks.

    What htmx asks for is put above the page that is there, instead of into it.
    """
    said = f"{zh} {en} ({number})"
    if headers.get("hx-request") != "true":
        return PlainTextResponse(f"{said}\n", status_code=status)
    shown = f'<div class="alert alert-danger" role="alert">{said}</div>'
    return HTMLResponse(shown, status_code=status, headers=ABOVE)


def _impersonal(scope: Scope) -> str:
    """Give the path as it may be written down: no query, no body, no text that stands in it.

    What people type may name people, and a one-time link is a secret; numbers of records may stay.
    """
    path: str = scope["path"]
    if "endpoint" not in scope:
        # No screen has said which part of it is somebody's text; a one-time link with a slash too
        # many is as secret as without.
        first, slash, rest = path[1:].partition("/")
        path = f"/{first}{slash}{'…' if rest else ''}"
    for name, value in scope.get("path_params", {}).items():
        if isinstance(value, str) and value:
            path = path.replace(value, f"{{{name}}}")
    return path if len(path) <= LONGEST_PATH else path[:LONGEST_PATH] + "…"


def _name(host: str) -> str:
    """Give a host without its port: ``[::1]:8000`` is ``[::1]``."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()


def _same_origin(headers: Headers, host: str, https: bool) -> bool:
    """Whether a request that changes something comes from a page of ours.

    Browsers say so in ``Sec-Fetch-Site``, older ones in ``Origin``; without either it is refused.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    try:
        origin = urlsplit(headers.get("origin", ""))
    except ValueError:
        return False
    # What came by http may have been written by anybody on the way.
    schemes = ("https",) if https else ("http", "https")
    return origin.scheme in schemes and origin.netloc.lower() == host.lower()
