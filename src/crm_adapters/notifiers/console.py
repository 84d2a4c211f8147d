"""Notices as lines on the console, for trying things out and for logs."""

from __future__ import annotations

import logging
import sys
import unicodedata
from typing import TextIO

from crm_domain.errors import DeliveryFailed
from crm_domain.model import Employee, Notice

log = logging.getLogger(__name__)


class ConsoleNotifier:
    """Writes each notice as one line, names and all: for trials and on a terminal."""

    name = "console"

    def __init__(self, stream: TextIO | None = None) -> None:
        """Choose where to write.

        Args:
            stream: Where the lines go; None is what ``sys.stderr`` is at the time.
        """
        self._stream = stream
        self._told = False

    def address(self, employee: Employee) -> str | None:
        """Tell the name: everybody is reached here."""
        return employee.name

    def send(self, notice: Notice, employee: Employee) -> str | None:
        """Write one line.

        Raises:
            DeliveryFailed: The stream is closed or broken; passing.
        """
        parts = (notice.event.value, employee.name, notice.subject, notice.body)
        line = "notice | " + " | ".join(_one_line(p) for p in parts) + "\n"
        stream = self._stream or sys.stderr
        self._warn()
        try:
            stream.write(_writable(line, getattr(stream, "encoding", None)))
            stream.flush()
        except (OSError, ValueError) as e:
            raise DeliveryFailed("the console cannot be written to") from e
        return None

    def _warn(self) -> None:
        """Say once where a log is kept that it holds what no log should."""
        if self._stream is None and not self._told and logging.getLogger().hasHandlers():
            log.warning("the channel console prints notices, with personal data, into this log;"
                        " it is for trials: set CRM_CHANNELS without it")  # fmt: skip
        self._told = True

    def close(self) -> None:
        """Do nothing: the stream belongs to whoever gave it."""


def _one_line(text: str) -> str:
    # Control characters could forge further lines or command the terminal.
    plain = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    return " ".join(plain.split())


def _writable(line: str, encoding: str | None) -> str:
    encoding = encoding or "utf-8"
    return line.encode(encoding, "backslashreplace").decode(encoding)
