"""A page made in this very process, to see where its time goes."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from crm_domain import Settings
from crm_web.asgi import application
from crm_web.endpoint import _respond

from .databases import Database


class Inside:
    """Ours without a server; a context manager."""

    def __init__(self, database: Database, token: str) -> None:
        self._crm: Any = database.crm(settings=Settings(channels="console", hosts="*"))
        self._site = application(self._crm).state.site
        self._screens = {screen.path: screen for screen in self._site.screens}
        self._token = token

    def get(self, address: str, **headers: str) -> Response:
        """Answer as the server would, in this thread."""
        path, _, query = address.partition("?")
        told = {"cookie": f"crm={self._token}", "host": "localhost", **headers}
        scope = {
            "type": "http", "method": "GET", "path": path, "query_string": query.encode(),
            "headers": [(k.encode(), v.encode()) for k, v in told.items()], "scheme": "http",
            "server": ("localhost", 80), "client": ("127.0.0.1", 1), "path_params": {},
            "root_path": "", "state": {"request_id": "0"},
        }  # fmt: skip
        found = _respond(self._site, self._screens[path], Request(scope), FormData(),
                         read=True)  # fmt: skip
        assert found.status_code == 200, (address, found.status_code)
        return found

    def timed(self, address: str, **headers: str) -> float:
        """Answer, and tell how many milliseconds it took."""
        start = time.perf_counter()
        self.get(address, **headers)
        return (time.perf_counter() - start) * 1000

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._crm.close()
