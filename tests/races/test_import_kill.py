"""Imports that are killed and gone on with, by hand or by another worker, and two at once.

``CRM_TEST_IMPORT_ROWS=200`` dies at each row of the sheet in each way; `make torture` does.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import pytest

from crm_adapters import open_crm
from crm_domain import SYSTEM
from crm_domain.model import Customer, ImportProblem, ImportRun, ImportStatus
from crm_domain.ports import Settings
from crm_domain.testing.clock import FixedClock
from crm_domain.usecases import imports
from races import crashes
from races.invariants import content, violations
from races.launcher import Launcher
from races.tasks import START, InlineReader, seconds

ENGINES = ("sqlite", "postgresql")
ROWS = 300
BACKGROUND = 200
"""Rows of the sheet of the background imports."""
DEATHS = int(os.environ.get("CRM_TEST_IMPORT_ROWS", "3"))
"""At how many rows of it a worker dies, in each way."""
Make = Callable[[str], Any]
on_both_engines = pytest.mark.parametrize(
    "engine", [pytest.param(e, marks=pytest.mark.xdist_group(f"races-{e}")) for e in ENGINES]
)


def outcome(url: str) -> tuple[list[ImportRun], Counter[int], Counter[int]]:
    """Give the imports, and how often each row was taken in and refused, over all imports."""
    with open_crm(url, settings=Settings()) as crm, crm.unit_of_work(read_only=True) as uow:
        taken = Counter(c.import_row or 0 for c in uow.records.all(Customer) if c.import_id)
        refused = Counter(p.row for p in uow.records.all(ImportProblem))
        return list(uow.records.all(ImportRun)), taken, refused


@on_both_engines
def test_an_import_killed_anywhere_is_gone_on_with_and_ends_the_same(
    engine: str, copies: Make, launcher: Launcher, memory: Path
) -> None:
    """Every row is taken in or refused once, turns and notices are those of a calm import."""
    source = copies(engine)
    world = crashes.build(source.url, memory, rows=ROWS, batch_rows=25)
    loop = crashes.Anomalies(source, launcher, memory, world, "import")
    calm = source.copy()
    assert loop.run(calm, None) == 0
    [run], taken, refused = outcome(calm)
    assert run.status is ImportStatus.DONE
    assert run.data_rows == ROWS
    assert sum(taken.values()) + sum(refused.values()) == ROWS
    assert max((taken + refused).values()) == 1
    told = [n for n in loop.after["notices"] if "导入" in n]
    # Each of three is told once, by each channel; a row does not say by which.
    assert [*Counter(told).values()] == [len(Settings().channel_names)] * 3
    problems = list(loop.problems(loop.points(loop.events // 6)[::5]))
    assert problems == []
    # Killed again and again, with a little more done each time.
    url, kills = source.copy(), 0
    while content(url) != loop.after and loop.run(url, loop.events // 3) == crashes.KILLED:
        kills += 1
        assert kills < 30
    assert violations(url) == []
    assert content(url) == loop.after
    assert kills >= 3


@on_both_engines
def test_the_same_file_imported_twice_at_once_adds_nothing_twice(
    engine: str, copies: Make, launcher: Launcher, memory: Path
) -> None:
    """Two processes share the rows between them; each row is taken in once."""
    source = copies(engine)
    world = crashes.build(source.url, memory, rows=ROWS, batch_rows=25)
    answers = together(source.url, launcher, memory, [world, world])
    assert [type(json.loads(a)) for a in answers] == [list, list], answers
    assert violations(source.url) == []
    runs, taken, _ = outcome(source.url)
    good = {i + 2 + i // 40 for i in range(ROWS) if i % 10 != 9 and i % 15 != 7}
    assert set(taken) == good
    assert max(taken.values()) == 1
    for run in runs:
        with open_crm(source.url, settings=Settings()) as crm:
            report = imports.report_import(crm, run.id or 0, by=SYSTEM)
        assert report.status is ImportStatus.DONE
        assert report.done_rows == ROWS


def together(url: str, launcher: Launcher, folder: Path, worlds: list[dict[str, Any]]) -> list[str]:
    """Import at the same moment in several processes; give what each answered."""
    begin = seconds() + 0.5
    files = [folder / f"answer{i}" for i in range(len(worlds))]
    running = [
        launcher.start("command", url=url, name="import", world=w | {"begin": begin},
                       counted=str(f))
        for w, f in zip(worlds, files, strict=True)
    ]  # fmt: skip
    assert [launcher.wait(pid) for pid in running] == [0] * len(worlds)
    return [f.read_text() for f in files]


@on_both_engines
def test_batches_with_the_same_contacts_in_opposite_order_do_not_deadlock(
    engine: str, fresh_url: Make
) -> None:
    """Of two batches at once one waits for the other, whatever the order of their rows."""
    people = [Customer(name="甲", phone=f"138{i:08d}", created_at=START) for i in range(2000)]
    meet = threading.Barrier(2)

    def add(batch: list[Customer]) -> int:
        meet.wait()
        with contextlib.suppress(Undone), crm.unit_of_work() as uow:
            added = uow.customers.add(batch)
            raise Undone
        return len([a for a in added if a is not None])

    with open_crm(fresh_url(engine), settings=Settings()) as crm, ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            pairs = [pool.submit(add, batch) for batch in (people, people[::-1])]
            assert [p.result() for p in pairs] == [2000, 2000]


class Undone(Exception):
    """Rolls back on purpose."""


# -- workers ------------------------------------------------------------------------------------


class Background:
    """An import of 200 rows that was handed to the workers, and copies of it to kill workers at."""

    def __init__(self, source: Any, launcher: Launcher, memory: Path, batch_rows: int) -> None:
        self.source, self.launcher, self.batch_rows = source, launcher, batch_rows
        self.world = crashes.build(source.url, memory, rows=BACKGROUND)
        with open_crm(source.url, clock=FixedClock(START), settings=Settings()) as crm:
            crm = attrs.evolve(crm, reader=InlineReader())
            imports.start_file(crm, Path(self.world["sheet"]), by=SYSTEM)
        calm = source.copy()
        assert self.work(calm) == 0
        self.after = content(calm)
        source.drop()

    def work(self, url: str, **more: Any) -> int:
        """Be a worker, in a process of its own; tell how it ended."""
        status = self.launcher.run("import_worker", url=url, now=self.world["now"],
                                   batch_rows=self.batch_rows, **more)  # fmt: skip
        self.source.settle(url)
        return status

    def problems(self, rows: Iterable[int], where: str, mutant: str | None = None) -> list[str]:
        """Kill a worker at each of these rows, let another take over; tell what is wrong then."""
        found = []
        for row in rows:
            at, url = f"killed when row {row} was {where}", self.source.copy()
            status = self.work(url, row=row, where=where, mutant=mutant)
            assert status == crashes.KILLED, (at, status)
            found += [f"{at}: {p}" for p in doubled_or_lost(url)]
            # The lease of the dead one is still running: the other must wait for its end.
            if self.work(url, mutant=mutant) != 0:
                found.append(f"{at}: nobody could go on")
            elif content(url) != self.after or violations(url):
                found.append(f"{at}: it ended otherwise")
            found += [f"{at}: {p}" for p in doubled_or_lost(url)]
            self.source.drop()
        return found


def doubled_or_lost(url: str) -> list[str]:
    """Compare what an import says of itself with the rows that are there."""
    [run], taken, refused = outcome(url)
    told = [] if max((taken + refused).values(), default=1) == 1 else ["a row was counted twice"]
    if (run.accepted, run.refused) != (sum(taken.values()), sum(refused.values())):
        told.append("its numbers are not those of its rows")
    if any(row >= run.next_row for row in taken + refused):
        told.append("rows beyond its place are there already")
    every = {i + 2 + i // 40 for i in range(BACKGROUND)}
    if {row for row in every if row < run.next_row} - (taken + refused).keys():
        told.append("rows before its place are lost")
    return told


WAYS = ("read", "written", "committed")


@pytest.mark.parametrize("batch_rows", [1, 30])
@on_both_engines
def test_a_worker_killed_at_any_row_is_taken_over_and_every_row_counts_once(
    engine: str, batch_rows: int, copies: Make, launcher: Launcher, memory: Path
) -> None:
    """Killed with -9 while it is at a row; a second worker ends what the first one began."""
    background = Background(copies(engine), launcher, memory, batch_rows)
    rows = [i + 2 + i // 40 for i in range(0, BACKGROUND, max(1, BACKGROUND // DEATHS))]
    for place, where in enumerate(WAYS):
        some = rows if DEATHS >= BACKGROUND else rows[place :: len(WAYS)]
        assert background.problems(some, where) == []


@pytest.mark.parametrize("mutant", ["progress_commits_alone", "progress_commits_first"])
@on_both_engines
def test_progress_that_is_written_in_another_transaction_is_found_out(
    engine: str, mutant: str, copies: Make, launcher: Launcher, memory: Path
) -> None:
    """The negative control: killed in between, rows are doubled or lost, and the test sees it."""
    background = Background(copies(engine), launcher, memory, 30)
    found = background.problems([40], "written", mutant)
    assert any("counted twice" in f or "lost" in f or "otherwise" in f for f in found), found


@on_both_engines
def test_several_workers_at_one_import_take_each_row_in_once(
    engine: str, copies: Make, launcher: Launcher, memory: Path
) -> None:
    """They come at the same moment; one is at it, the others find nothing to do."""
    background = Background(copies(engine), launcher, memory, 7)
    url = background.source.copy()
    running = [
        launcher.start("import_worker", url=url, now=background.world["now"], batch_rows=7)
        for _ in range(3)
    ]
    assert [launcher.wait(pid) for pid in running] == [0, 0, 0]
    background.source.settle(url)
    assert doubled_or_lost(url) == []
    assert violations(url) == []
    assert content(url) == background.after
