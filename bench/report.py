"""The figures as a table, as JSON and as a page."""

from __future__ import annotations

import json
import os
import platform
import textwrap
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import attrs

from .measure import Result
from .stage import Sizes

FOLDER = Path(__file__).parent
HEADINGS = ("work", "engine", "ours", "raw", "ratio (min–max)", "goal", "met")
LIBRARIES = ("sqlalchemy", "psycopg", "pysqlite3", "python-calamine", "attrs")


def figure(value: float, unit: str) -> str:
    """Write a figure with as many digits as it is good for."""
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


Listed = Mapping[str, Any]
"""A result as it stands in ``results.json``."""


def listed(r: Result) -> Listed:
    """Give a result as it is kept."""
    return {
        "work": r.work, "engine": r.engine, "unit": r.unit, "ours": list(r.ours),
        "raw": list(r.raw), "ratios": r.ratios, "goal": r.goal.says(r.unit), "met": r.met,
        "note": r.note, "fault": r.fault, "profile": r.profile,
        **({} if r.more is None else {"more": r.more}),
    }  # fmt: skip


def row(result: Listed) -> tuple[str, ...]:
    """Write a result as a row of the table."""
    ratios, unit = result["ratios"], result["unit"]
    spread = "-"
    if ratios:
        spread = f"{median(ratios):.2f}x ({min(ratios):.2f}–{max(ratios):.2f})"
    return (
        result["work"], result["engine"], figure(median(result["ours"]), unit),
        figure(median(result["raw"]), unit) if result["raw"] else "-", spread,
        result["goal"], {True: "yes", False: "MISSED", None: "-"}[result["met"]],
    )  # fmt: skip


def table(results: Sequence[Result]) -> str:
    """Write all results as a table for a terminal."""
    rows = [HEADINGS, *(row(listed(r)) for r in results)]
    widths = [max(_width(r[i]) for r in rows) for i in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(c + " " * (w - _width(c)) for c, w in zip(r, widths, strict=True)).rstrip()
        for r in rows
    )


def _width(text: str) -> int:
    """Count columns; a Chinese character takes two."""
    return sum(2 if "\u2e80" <= c <= "\uffef" else 1 for c in text)


def machine() -> dict[str, Any]:
    """Tell what the figures were measured on."""
    return {
        "cores": os.cpu_count(),
        "load": [round(x, 2) for x in os.getloadavg()],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }


def write(
    results: Sequence[Result], sizes: Sizes, engines: Mapping[str, str], quick: bool, add: bool
) -> None:
    """Write ``results.json`` and ``RESULTS.md``.

    Args:
        results: What was measured.
        sizes: How much.
        engines: The versions of the engines.
        quick: Whether it was a small run.
        add: Whether figures of an earlier run that were not measured again are kept, with its date.
    """
    path = FOLDER / "results.json"
    told = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "sizes": attrs.asdict(sizes),
        "engines": dict(engines),
        "machine": machine(),
    }
    new = [listed(r) for r in results]
    if add:
        before = json.loads(path.read_text("utf-8"))
        again = {(r["work"], r["engine"]) for r in new}
        kept = [r for r in before.pop("results") if (r["work"], r["engine"]) not in again]
        new = [dict(r) | {"date": told["date"], "machine": told["machine"]} for r in new]
        told, new = before, [*kept, *new]
    text = json.dumps({**told, "results": new}, ensure_ascii=False, indent=1)
    path.write_text(text + "\n", "utf-8")
    (FOLDER / "RESULTS.md").write_text(_page(new, told), "utf-8")


def _remark(result: Listed) -> str:
    later = ""
    if "date" in result:
        later = f"measured {result['date'][:10]} at load {result['machine']['load'][0]}"
    return "; ".join(filter(None, (result["note"], result["fault"], later)))


WEB = (
    "page", "engine", "visitors", "ours p50 / p95", "bare p50 / p95", "Django p50 / p95",
    "processor ms: ours, bare, Django", "requests/s: ours, bare, Django", "ours to bare",
    "Django to ours", "goals met",
)  # fmt: skip


def _web(results: Sequence[Listed]) -> list[str]:
    """Write the pages as a table of their own: a line for each page, engine and crowd."""
    if not results:
        return []
    lines = ["", "## List pages over HTTP", "", *textwrap.wrap(ABOUT_WEB, 100), "",
             "| " + " | ".join(WEB) + " |", "|" + "---|" * len(WEB)]  # fmt: skip
    found: dict[tuple[str, str], list[Listed]] = {}
    for r in results:
        work = r["work"].removeprefix("page: ").removesuffix(", beside Django admin")
        found.setdefault((work, r["engine"]), []).append(r)
    for (work, engine), both in found.items():
        name, _, crowd = work.rpartition(", ")
        more = both[0]["more"]
        servers = [more.get(n) for n in ("ours", "bare", "Django admin")]
        times = [f"{s['p50']:.3g} / {s['p95']:.3g} ms" if s else "-" for s in servers]
        spent = ", ".join(f"{s['cpu']:.3g}" if s and s.get("cpu") else "-" for s in servers)
        rates = ", ".join(f"{s['rate']:.3g}" if s else "-" for s in servers)
        beside = {"Django" in r["work"]: r["ratios"] for r in both}
        bare, django = beside.get(False) or [], beside.get(True) or []
        alone = both[0]["unit"] == "ms"
        django = [1 / x if alone else x for x in django]
        bare = [x if alone else 1 / x for x in bare]
        met = [f"{r['goal']}: {'yes' if r['met'] else 'MISSED'}"
               for r in both if r["met"] is not None]  # fmt: skip
        lines.append("| " + " | ".join((
            name, engine, crowd.partition(" ")[0], *times, spent, rates, _times(bare),
            _times(django), "; ".join(met) or "-",
        )) + " |")  # fmt: skip
    return lines


ABOUT_WEB = (
    "One process with one worker each, asked by one visitor and by twenty over connections that"
    " stay open. Bare is a hand-written statement and a table of the same rows, with nobody signed"
    " in and no frame; Django admin stands on the same rows in a table of its own with an index on"
    " each filter, on the same PostgreSQL, without the second count. Ratios are medians of the"
    " pairs: of times with one visitor, of rates with twenty. Processor time is that of the web"
    " process for each request, which load does not change."
)


def _times(ratios: Sequence[float]) -> str:
    return f"{median(ratios):.3g}x" if ratios else "-"


def _page(results: Sequence[Listed], told: Mapping[str, Any]) -> str:
    about = told["machine"]
    head = [
        "# Figures",
        "",
        f"Measured {told['date']} by `python -m bench{' --quick' if told['quick'] else ''}` on"
        f" {about['cores']} cores ({about['system']}, load {about['load'][0]} at the end),"
        f" Python {about['python']}, {', '.join(told['engines'].values())};"
        f" {', '.join(f'{n} {about[n]}' for n in LIBRARIES)}.",
        f"{told['sizes']['customers']:,} customers, {told['sizes']['pairs']} pairs. A ratio is ours"
        " to hand-written SQL, or to the other queue that the line names, pair by pair; figures are"
        " medians.",
        "",
        "| " + " | ".join((*HEADINGS, "")) + " |",
        "|" + "---|" * (len(HEADINGS) + 1),
    ]
    head += ["| " + " | ".join((*row(r), _remark(r))) + " |" for r in results if not r.get("more")]
    head += _web([r for r in results if r.get("more")])
    missed = [r for r in results if r["met"] is False]
    if missed:
        head += ["", "## What misses its goal, and where its time goes", ""]
    for r in missed:
        head += [f"### {r['work']}, {r['engine']}", "", "```",
                 *textwrap.dedent(r["profile"]).splitlines(), "```", ""]  # fmt: skip
    return "\n".join(head).rstrip() + "\n"
