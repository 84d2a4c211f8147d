"""``python -m bench [names…] [--quick] [--engine sqlite|postgresql]``."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import attrs

from . import report
from .backup import bench_backup
from .bulk import bench_bulk
from .claims import bench_claims
from .databases import Servers
from .dispatch import bench_dispatch
from .importing import bench_import
from .intake import bench_intake
from .lists import bench_lists
from .measure import Result, Wrong, say
from .pages import bench_pages
from .stage import FULL, QUICK, Sizes, Stage
from .sweep import bench_sweep

BENCHES: dict[str, Callable[[Stage], Iterator[Result]]] = {
    "lists": bench_lists, "intake": bench_intake, "bulk": bench_bulk, "import": bench_import,
    "sweep": bench_sweep, "claims": bench_claims, "dispatch": bench_dispatch,
    "backup": bench_backup, "pages": bench_pages,
}  # fmt: skip
ENGINES = ("sqlite", "postgresql")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 means that something did its work wrongly."""
    wish = _wishes().parse_args(arguments)
    # So that the server that was started ends with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    names = wish.names or list(BENCHES)
    engines = [wish.engine] if wish.engine else list(ENGINES)
    sizes = _sizes(wish)
    results: list[Result] = []
    wrong = []
    with Servers() as servers:
        for engine in engines:
            stage = Stage(servers, engine, sizes)
            for name in names:
                say(f"{engine}: {name}")
                start = time.perf_counter()
                try:
                    for result in BENCHES[name](stage):
                        say("  " + "  ".join(report.row(report.listed(result))))
                        results.append(result)
                        if result.fault:
                            wrong.append(f"{engine}: {result.work} {result.fault}")
                except Wrong as e:
                    wrong.append(f"{engine}: {name}: {e}")
                    say(f"  WRONG: {e}")
                say(f"  {time.perf_counter() - start:.0f} s")
            if stage.made is not None:
                servers.drop(stage.made)
        versions = {engine: servers.version(engine) for engine in engines}
    print(report.table(results))
    for result in results:
        if result.met is False:
            print(f"\n{result.work}, {result.engine}: {result.profile}")
    if not wish.dry:
        report.write(results, sizes, versions, wish.quick, wish.add)
    for complaint in wrong:
        print(f"\nWRONG: {complaint}", file=sys.stderr)
    return 1 if wrong else 0


def _wishes() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHES], metavar="names",
                        help=f"what to measure: {', '.join(BENCHES)}; all by default")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="small, under two minutes")
    parser.add_argument("--engine", choices=ENGINES, help="only this one")
    parser.add_argument("--customers", type=int, help="how many there are, in hundreds")
    parser.add_argument("--pairs", type=int, help="how often each way is measured")
    parser.add_argument("--add", action="store_true", help="keep the figures of other works")
    parser.add_argument("--dry", action="store_true", help="write no files")
    return parser


def _sizes(wish: argparse.Namespace) -> Sizes:
    sizes = QUICK if wish.quick else FULL
    given = {n: v for n in ("customers", "pairs") if (v := getattr(wish, n)) is not None}
    return attrs.evolve(sizes, **given)


if __name__ == "__main__":
    sys.exit(main())
