"""Imports that are killed and gone on with, and imports of the same file at once."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from crm_adapters import open_crm
from crm_domain import SYSTEM
from crm_domain.model import Customer, ImportProblem, ImportRun, ImportStatus
from crm_domain.ports import Settings
from crm_domain.usecases import imports
from races import crashes
from races.invariants import content, violations
from races.jobs import START, seconds
from races.launcher import Launcher

ENGINES = ("sqlite", "postgresql")
ROWS = 300
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
    assert len(told) == 3
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
    engine: str, races_url: Make
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

    with open_crm(races_url(engine), settings=Settings()) as crm, ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            pairs = [pool.submit(add, batch) for batch in (people, people[::-1])]
            assert [p.result() for p in pairs] == [2000, 2000]


class Undone(Exception):
    """Rolls back on purpose."""
