"""Fairness under fire: several processes deal, fail and die while the plan is edited."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import pytest

from crm_adapters import open_crm
from crm_adapters.storage.engine import make_engine
from crm_domain.ports import Settings
from races import office
from races.invariants import drop_guards, turns_of, violations
from races.launcher import Launcher

ENGINES = ("sqlite", "postgresql")
WORKERS = 4
COMMITS = 1000
Make = Callable[[str], str]


class Run:
    """One run: the workers, who are killed now and then, and the plans that were set."""

    def __init__(self, url: str, launcher: Launcher, folder: Path) -> None:
        self.url, self.launcher, self.folder = url, launcher, folder
        self.plans: list[office.Plan] = []
        self.kills = 0
        self.logs: list[Path] = []

    def go(self, commits: int, *, kill_every: int, edit_every: int, **flags: bool) -> None:
        """Let the workers deal until so many commits were acknowledged.

        Args:
            commits: How many.
            kill_every: After so many commits a worker is killed and replaced.
            edit_every: After so many commits there is a new plan.
            flags: What else the workers are told.
        """
        dice = random.Random(7)
        with open_crm(self.url, settings=Settings()) as crm:
            people = [c.employee_id for c in office.hire(crm, 5)]
            self._edit(crm, people, dice)
            running = [self._start(flags) for _ in range(WORKERS)]
            edit = kill = 0
            # Where commits outrun this loop, it goes on until it has killed and edited enough.
            kills, plans = min(8, commits // kill_every), min(6, commits // edit_every)
            while (
                (done := self.acknowledged()) < commits
                or self.kills < kills
                or len(self.plans) < plans
            ):
                time.sleep(0.02)
                if done - edit >= edit_every:
                    edit += edit_every
                    self._edit(crm, people, dice)
                if done - kill >= kill_every:
                    kill += kill_every
                    self.launcher.kill(running.pop(dice.randrange(WORKERS)))
                    self.kills += 1
                    running.append(self._start(flags))
            for pid in running:
                self.launcher.kill(pid)

    def _edit(self, crm, people, dice) -> None:
        plan = [(e, dice.randint(0, 4), dice.randint(0, 5)) for e in people[1:]]
        plan.append((people[0], dice.randint(1, 3), 3))
        office.set_plan(crm, plan)
        self.plans.append(plan)

    def _start(self, flags: dict[str, bool]) -> int:
        log = self.folder / f"turns{len(self.logs)}.log"
        self.logs.append(log)
        name = f"w{len(self.logs)}"
        return self.launcher.start("turns", url=self.url, log=str(log), seed=name, **flags)

    def acknowledged(self) -> int:
        """Count the commits that workers were told of."""
        return sum(log.read_bytes().count(b'"made"') for log in self.logs if log.exists())

    def failed(self) -> Counter[str]:
        """Count the saves that failed, by error."""
        found = (line.get("failed") for log in self.logs for line in office.lines(log))
        return Counter(f for f in found if f)


def broken_turns(run: Run) -> list[str]:
    """Compare every cycle with the plans; name what differs."""
    engine, _ = make_engine(run.url)
    with engine.connect() as connection:
        turns = turns_of(connection)
    engine.dispose()
    cycles = [
        [(position, consultant) for _, position, consultant in group]
        for _, group in groupby(turns, key=lambda t: t[0])
    ]
    wrong: list[str] = []
    expected: Counter[int] = Counter()
    version = 0
    for i, cycle in enumerate(cycles):
        # A changed plan begins with a cycle, and an older plan never comes back.
        last = i == len(cycles) - 1
        for v in range(version, len(run.plans)):
            lane = list(enumerate(office.laid_out(run.plans[v])))
            if cycle == lane or (last and cycle == lane[: len(cycle)]):
                version = v
                expected.update(consultant for _, consultant in lane[: len(cycle)])
                break
        else:
            wrong.append(f"no plan lays out cycle {cycle}")
    counted = Counter(consultant for _, _, consultant in turns)
    if counted != expected:
        wrong.append(f"the counts are {counted}, not {expected}")
    return wrong


@pytest.mark.parametrize(
    "engine", [pytest.param(e, marks=pytest.mark.xdist_group(f"races-{e}")) for e in ENGINES]
)
def test_every_turn_is_used_once_and_none_is_lost(
    engine: str, fresh_url: Make, launcher: Launcher, memory: Path
) -> None:
    """Rollbacks, duplicates, kills and new plans move no turn: a cycle is its plan, laid out."""
    run = Run(fresh_url(engine), launcher, memory)
    run.go(COMMITS, kill_every=60, edit_every=90)
    assert violations(run.url) == []
    assert broken_turns(run) == []
    dealt = _dealt(run.url)
    # A worker that was killed may have committed once without being told.
    assert run.acknowledged() <= dealt <= run.acknowledged() + run.kills + WORKERS
    assert run.kills >= 8
    assert len(run.plans) >= 6
    assert min(run.failed()["Duplicate"], run.failed()["Spoilt"]) >= COMMITS // 20


def _dealt(url: str) -> int:
    engine, _ = make_engine(url)
    with engine.connect() as connection:
        found = len(turns_of(connection))
    engine.dispose()
    return found


@pytest.mark.parametrize(
    "engine", [pytest.param(e, marks=pytest.mark.xdist_group(f"races-{e}")) for e in ENGINES]
)
def test_control_turns_that_are_read_then_written_are_used_twice(
    engine: str, fresh_url: Make, launcher: Launcher, memory: Path
) -> None:
    """Without the guards the same test finds turns that two customers got."""
    run = Run(fresh_url(engine), launcher, memory)
    drop_guards(run.url)
    run.go(150, kill_every=999, edit_every=999, unguarded=True)
    assert any(v.startswith("a turn used twice") for v in violations(run.url))
    assert broken_turns(run) != []
