"""What the commands write: tables for people, JSON for programs, progress for whoever waits."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import attrs

from crm_adapters.cli.language import language, say
from crm_domain.model.fields import Choice, Spec

Progress = Callable[[int, int], None]
WIDE = 200
"""The width of tables that do not go to a terminal, where folded lines would only be in the way."""
BETWEEN = 3
"""The blanks that a column of a table takes beside its text."""


# -- for programs -----------------------------------------------------------------------------


def plain(value: Any) -> Any:
    """Turn records and what they hold into what JSON knows; secrets are left out."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal | Path):
        return str(value)
    if isinstance(value, Mapping):
        return {k if isinstance(k, str) else str(plain(k)): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if attrs.has(type(value)):
        fields = [a for a in attrs.fields(type(value)) if not _secret(a.metadata.get("crm"))]
        return {a.name: plain(getattr(value, a.name)) for a in fields}
    return value


def _secret(spec: Spec | None) -> bool:
    return spec is not None and spec.secret


def write_json(value: Any) -> None:
    """Write one JSON object on standard output."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps(plain(value), ensure_ascii=not unicode, indent=2))


# -- for people -------------------------------------------------------------------------------


def line(zh: str, en: str) -> None:
    """Write a sentence on standard output."""
    print(clean(say(zh, en)))


def hint(zh: str, en: str) -> None:
    """Write a sentence beside the answer, on standard error."""
    print(clean(say(zh, en)), file=sys.stderr)


def shown_url(url: str) -> str:
    """Give a database address without its password, wherever that stands, and without options."""
    scheme, _, rest = url.partition("://")
    place, _, options = rest.partition("?")
    if "@" in options:
        # Where a password ends that holds a question mark cannot be told.
        return f"{scheme}://…"
    login, at, where = place.rpartition("@")
    return f"{scheme}://{login.partition(':')[0]}{at}{where}" if rest else url


def clean(text: str) -> str:
    """Leave out control characters, which could command the terminal."""
    return "".join(c if c == "\n" or unicodedata.category(c) != "Cc" else " " for c in text)


def label(value: Any) -> str:
    """Say a value to a person."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return say("是", "yes") if value else say("否", "no")
    if isinstance(value, Choice):
        return value.label(language())
    said = getattr(value, "label", None)
    if isinstance(value, Enum) and callable(said):
        return str(said(language()))
    return clean(str(value))


def local(at: datetime | None, zone: ZoneInfo) -> str:
    """Say a moment in business time."""
    return "" if at is None else f"{at.astimezone(zone):%Y-%m-%d %H:%M}"


def day(on: date | None) -> str:
    """Say a day; the ends of time are nothing to people."""
    return "" if on is None or on in (date.min, date.max) else on.isoformat()


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, least: Sequence[int] = ()
) -> None:
    """Write a table on standard output; numbers stand to the right.

    Args:
        columns: The headings.
        rows: The cells.
        least: The places of the columns that are left out where the terminal is too narrow, those
            that matter least first; what stays is folded if it must be.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    listed = [list(r) for r in rows]
    if not listed:
        line("没有记录。", "Nothing found.")
        return
    cells = [[label(cell) for cell in row] for row in listed]
    narrow = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(width=None if narrow else WIDE)
    kept = _fitting([columns, *cells], list(least), console.width)
    shown = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for place in kept:
        numbers = bool(listed) and all(type(r[place]) is int or r[place] is None for r in listed)
        shown.add_column(
            Text(columns[place]), justify="right" if numbers else "left", overflow="fold"
        )
    for row in cells:
        shown.add_row(*(Text(row[place]) for place in kept))
    console.print(shown)
    if len(kept) < len(columns):
        left = say("、", ", ").join(c for n, c in enumerate(columns) if n not in kept)
        hint(f"窗口较窄，未显示：{left}；--json 给出全部。",
             f"Too narrow for: {left}; --json gives all.")  # fmt: skip


def _fitting(cells: Sequence[Sequence[str]], least: list[int], width: int) -> list[int]:
    """Tell which columns stay; one that is empty in every row is the first to go."""
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    kept = list(range(len(widths)))
    empty = [n for n in least if not any(row[n] for row in cells[1:])]
    for place in (*empty, *(n for n in least if n not in empty)):
        if sum(widths[n] + BETWEEN for n in kept) <= width:
            break
        kept.remove(place)
    return kept


def pairs(rows: Iterable[tuple[str, Any]]) -> None:
    """Write names and values on standard output, one pair a line, without the empty ones."""
    listed = [(n, label(v)) for n, v in rows]
    width = max((_width(n) for n, v in listed if v), default=0)
    for name, value in listed:
        if value:
            print(name + " " * (width - _width(name)) + "  " + value)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


@contextmanager
def progress(zh: str, en: str) -> Iterator[Progress | None]:
    """Show how far long work is, on standard error and only on a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(say(zh, en), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def confirm(zh: str, en: str) -> bool:
    """Ask on standard error; only a clear yes is one."""
    print(say(zh, en) + " [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes", "是", "好")
