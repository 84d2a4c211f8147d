"""Logs for machines and for people, without personal data.

What an error says may hold what somebody typed or what the database was given, so only its type and
the places in the code are written. Our own messages name records by number.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

_job: ContextVar[dict[str, str] | None] = ContextVar("crm_job", default=None)


@contextmanager
def job_named(name: str) -> Iterator[None]:
    """Give every message that is logged meanwhile the job's name, and a number for this run."""
    token = _job.set({"job": name, "run": uuid.uuid4().hex[:12]})
    try:
        yield
    finally:
        _job.reset(token)


class _Safe(logging.Formatter):
    """Writes of an error its type and the places in the code."""

    def formatException(
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | Any
    ) -> str:
        """Leave out what the error says."""
        kind, _, trace = ei
        places = []
        while trace is not None:
            code = trace.tb_frame.f_code
            places.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_name}")
            trace = trace.tb_next
        return " < ".join([getattr(kind, "__name__", "?"), *reversed(places)])


class JsonLines(_Safe):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a message."""
        found: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(), "logger": record.name, "pid": os.getpid(),
            **(_job.get() or {}), "message": record.getMessage(),
        }  # fmt: skip
        if record.exc_info:
            found["error"] = self.formatException(record.exc_info)
        return json.dumps(found, ensure_ascii=False)


class Lines(_Safe):
    """One line for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a message."""
        job = _job.get()
        parts = [f"{datetime.now():%H:%M:%S}", record.levelname.lower(), job["job"] if job else "-"]
        text = " ".join([*parts, " ".join(record.getMessage().split())])
        return f"{text}: {self.formatException(record.exc_info)}" if record.exc_info else text


def log_to_stderr(*, as_json: bool) -> None:
    """Let the whole program log to standard error.

    Args:
        as_json: One JSON object a line, instead of lines for people.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else Lines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in ("crm_adapters", "crm_domain", "crm_web"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
        logger.setLevel(logging.INFO)
