"""Visitors of a web server: each keeps its connection and asks again as soon as it is answered."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Self

import attrs

from .measure import Wrong, expect

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)


@attrs.frozen
class Answer:
    """What a server answered."""

    status: int
    head: bytes
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


@attrs.frozen
class Block:
    """What one block of requests took."""

    times: tuple[float, ...]
    """Milliseconds of each answer."""
    seconds: float
    spent: float = 0.0
    """Seconds of processor time that the server's processes took; load does not touch it."""

    @property
    def cpu(self) -> float:
        """Milliseconds of the server's processor time for each request."""
        return self.spent / len(self.times) * 1000

    @property
    def p50(self) -> float:
        """The median."""
        return median(self.times)

    @property
    def p95(self) -> float:
        """What one of twenty answers takes longer than."""
        ordered = sorted(self.times)
        return ordered[min(len(ordered) * 95 // 100, len(ordered) - 1)]

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.times) / self.seconds


@attrs.frozen
class Door:
    """How a server is reached, and as whom."""

    port: int
    headers: Mapping[str, str] = attrs.Factory(dict)

    def asking(self, address: str, **more: str) -> bytes:
        """Write a request."""
        headers = {"Host": "localhost", "Accept": "text/html", "Accept-Language": "zh-CN,zh;q=0.9",
                   **self.headers, **more}  # fmt: skip
        told = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"GET {address} HTTP/1.1\r\n{told}\r\n".encode()


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> Answer:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    found = LENGTH.search(head)
    if found is None:
        raise Wrong(f"an answer without its length: {head[:200]!r}")
    body = await reader.readexactly(int(found[1]))
    return Answer(int(head.split(b" ", 2)[1]), head, body)


def ask(door: Door, address: str, **headers: str) -> Answer:
    """Ask once."""

    async def once() -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port, limit=2**24)
        try:
            return await _ask(reader, writer, door.asking(address, **headers))
        finally:
            writer.close()

    return asyncio.run(once())


def visit(
    door: Door, address: str, *, clients: int, most: int, seconds: float, **headers: str
) -> Block:
    """Ask for one page by several clients at once.

    Args:
        door: The server.
        address: What is asked for.
        clients: How many ask at once.
        most: So many requests are enough.
        seconds: No request begins later.
        headers: Sent with each request.
    """
    request = door.asking(address, **headers)
    times: list[float] = []

    async def one(until: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port, limit=2**24)
        while len(times) < most and time.perf_counter() < until:
            start = time.perf_counter()
            found = await _ask(reader, writer, request)
            times.append((time.perf_counter() - start) * 1000)
            expect(found.status == 200, f"{address} answered {found.status}")
        writer.close()

    async def all_() -> float:
        start = time.perf_counter()
        await asyncio.gather(*(one(start + seconds) for _ in range(clients)))
        return time.perf_counter() - start

    return Block(seconds=asyncio.run(all_()), times=tuple(times))


class Server:
    """A server in a process of its own; a context manager."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._process = subprocess.Popen(
            [part.format(port=self.port) for part in command], env=dict(environ),
            cwd=Path(__file__).parents[1], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until = time.monotonic() + 60
        while True:
            with socket.socket() as door:
                if door.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self._process.poll() is not None or time.monotonic() > until:
                raise Wrong(f"{command[1:4]} did not start")
            time.sleep(0.05)

    def memory(self) -> float:
        """Tell the megabytes of the process and its children that are in memory now.

        What several of them share counts once for each.
        """
        every = [self._process.pid, *_children(self._process.pid)]
        return sum(_resident(pid) for pid in every) / 2**20

    def spent(self) -> tuple[float, float]:
        """Tell the seconds of processor time that the process and its children took so far.

        By their threads to the nanosecond, as far as these live, and in all, in steps of ten
        milliseconds.
        """
        every = [self._process.pid, *_children(self._process.pid)]
        ticks = sum(_ticks(pid) for pid in every) / os.sysconf("SC_CLK_TCK")
        return sum(_nanoseconds(pid) for pid in every) / 1e9, ticks

    def spent_since(self, before: tuple[float, float]) -> float:
        """Tell the seconds since; those of threads that ended meanwhile are in the rougher one."""
        exact, whole = (now - then for now, then in zip(self.spent(), before, strict=True))
        return exact if abs(exact - whole) < 0.03 + 0.1 * whole else whole

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(n) for n in found.read_text().split()] if found.exists() else []


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _nanoseconds(pid: int) -> int:
    found = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # It ended this moment.
            found += int((thread / "schedstat").read_text().split()[0])
    return found


def _resident(pid: int) -> int:
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * 4096
