"""A visitor: somebody with a browser of their own, who signs in and presses things."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.testclient import TestClient

from crm_domain.usecases.sessions import csrf_token

PASSWORD = "correct horse battery"
HOST = "http://localhost"
PART = {"HX-Request": "true", "X-Part": "true"}
"""What a page sends when it wants a part of itself anew."""
FRAGMENT = {**PART, "HX-Target": "dialog-body"}
"""What a page sends when it wants a dialog."""
BOOSTED = {"HX-Request": "true", "HX-Boosted": "true"}
"""What htmx sends when it follows a plain link for the browser."""


class Visitor:
    """A browser: it keeps cookies, sends its origin, and puts the token into what it posts."""

    def __init__(
        self, app: Starlette, *, portal: Any = None, address: str = "198.51.100.7",
        base: str = HOST, **more: Any,
    ) -> None:  # fmt: skip
        """Open a browser.

        Args:
            app: The application.
            portal: The event loop that several visitors share; None is one for each request.
            address: Where the visitor is.
            base: The server as the visitor knows it.
            more: What else `TestClient` takes.
        """
        self.base = base
        self.client = TestClient(
            app, base_url=base, follow_redirects=False, client=(address, 50000), **more
        )
        self.client.portal = portal
        self.cookie = app.state.site.cookie

    @property
    def session(self) -> str:
        """The token of the session; "" without one."""
        return str(self.client.cookies.get(self.cookie) or "")

    @property
    def token(self) -> str:
        """What a form of the session carries; "" without one."""
        return csrf_token(self.session) if self.session else ""

    def sign_in(self, username: str, password: str = PASSWORD, **more: Any) -> Any:
        """Sign in as a person does, by the form."""
        answer = self.send("POST", "/sign-in", {"username": username, "password": password, **more})
        if answer.status_code == 303:
            assert self.session
        return answer

    def get(self, path: str, **headers: str) -> Any:
        """Open a page."""
        return self.client.get(path, headers=_named(headers))

    def post(self, path: str, data: Mapping[str, Any] | None = None, **headers: str) -> Any:
        """Send a form of the site, with its token and origin."""
        return self.send("POST", path, {"csrf": self.token, **(data or {})}, **headers)

    def send(
        self, method: str, path: str, data: Mapping[str, Any] | None = None, **headers: str
    ) -> Any:
        """Send a form just as it is given, from a page of the site."""
        given = {"Origin": self.base, **_named(headers)}
        return self.client.request(method, path, data=dict(data or {}), headers=given)


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    """Write names of headers as keywords can be: ``hx_request`` is ``HX-Request``."""
    return {name.replace("_", "-"): value for name, value in headers.items()}
