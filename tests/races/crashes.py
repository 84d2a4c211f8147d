"""A small world to crash in, and the anomaly loop: kill at the first event, the second, the third.

The method is SQLite's: the command is run again and again, dying one database event later each
time, until it survives. After each death the laws must hold, and doing it again must lead where a
run without a death leads.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from crm_adapters import open_crm
from crm_domain import SYSTEM
from crm_domain.ports import Settings
from crm_domain.testing.clock import FixedClock
from crm_domain.usecases import intake
from races import office
from races.invariants import content, violations
from races.launcher import Launcher
from races.tasks import START

KILLED = -9


class Copies(Protocol):
    """A database that can be copied."""

    url: str

    def copy(self) -> str:
        """Make a copy."""
        ...

    def settle(self, url: str) -> None:
        """Wait until dead clients are noticed."""
        ...

    def drop(self) -> None:
        """Remove the copies."""
        ...


def write_sheet(path: Path, rows: int, *, mark: int = 0) -> Path:
    """Write a .csv: every 10th row repeats a phone, every 15th has a bad one, some are blank."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["姓名", "手机", "微信"])
        for i in range(rows):
            phone = f"137{mark:02d}{(i - 1 if i % 10 == 9 else i):06d}"
            writer.writerow([f"学员{i}", "12" if i % 15 == 7 else phone, f"wx_row_{mark}_{i}"])
            if i % 40 == 39:
                writer.writerow([])
    return path


def build(url: str, folder: Path, *, rows: int = 16, batch_rows: int = 8) -> dict[str, Any]:
    """Fill a database with people, the pool, private and overdue customers; tell what is where."""
    clock = FixedClock(START)
    with open_crm(url, clock=clock, settings=Settings()) as crm:
        a, b, c = office.hire(crm, 3)
        office.set_plan(crm, [(a.employee_id, 1, 2), (b.employee_id, 2, 1), (c.employee_id, 1, 0)])

        def customer(name: str, owner: office.Consultant | None = None) -> int:
            to = {"to": "pool"} if owner is None else {"consultant_id": owner.employee_id}
            typed = {"name": name, "qq": str(20_000 + len(name) * 31 + ord(name[0]))}
            made = intake.register_customer(crm, typed, by=SYSTEM, **to)  # type: ignore[arg-type]
            return made.id or 0

        overdue = customer("逾期", a)
        for i in range(2):
            customer("甲" * (i + 2), a), customer("乙" * (i + 2), b)
        clock.advance(timedelta(days=5))
        pooled, fresh = customer("公海"), customer("在跟", b)
        sheet = write_sheet(folder / "客户.csv", rows)
    return {
        "now": clock().isoformat(), "a": a.username, "b": b.username, "c": c.username,
        "overdue": overdue, "pooled": pooled, "fresh": fresh, "sheet": str(sheet),
        "batch_rows": batch_rows,
    }  # fmt: skip


MANY_STEPS = ("sweep", "import")
"""Commands of several transactions: they stop half-way and are gone on with."""


class Anomalies:
    """The loop for one command in one world."""

    def __init__(self, copies: Copies, launcher: Launcher, folder: Path, world: dict[str, Any],
                 name: str, mutant: str | None = None) -> None:  # fmt: skip
        self.copies, self.launcher, self.folder = copies, launcher, folder
        self.world, self.name, self.mutant = world, name, mutant
        self.before = content(copies.url)
        self._retried: list[dict[str, list[str]]] = []
        self._url: str | None = None
        url = copies.copy()
        counted = folder / f"{name}.count"
        assert self.run(url, None, counted=str(counted)) == 0
        self.after = content(url)
        self.events, self.commits = json.loads(counted.read_text())
        self.copies.drop()
        assert self.after != self.before

    def run(self, url: str, k: int | None, **more: Any) -> int:
        """Run the command in a process of its own."""
        status = self.launcher.run("command", url=url, name=self.name, world=self.world, k=k,
                                   mutant=self.mutant, **more)  # fmt: skip
        self.copies.settle(url)
        return status

    def points(self, stride: int = 1) -> list[int]:
        """Choose every so-many-th event, and all around a COMMIT."""
        return sorted({*range(1, self.events + 1, stride), *self.commits})

    def problems(self, points: Iterable[int]) -> Iterator[str]:
        """Die at each of these events; tell what is wrong afterwards."""
        for k in points:
            yield from self.problems_at(k)
        self.copies.drop()

    def problems_at(self, k: int) -> Iterator[str]:
        """Die at one event; tell what is wrong then, or after doing it again."""
        where = f"{self.name} killed at {k} of {self.events}"
        url = self._url or self.copies.copy()
        assert self.run(url, k) == KILLED, where
        yield from (f"{where}: {v}" for v in violations(url))
        found = content(url)
        # A death that left nothing behind leaves the copy fit for the next one.
        self._url = url if found == self.before else None
        if self.name not in MANY_STEPS and found not in (self.before, self.after):
            yield f"{where}: neither done nor undone"
        # Where two deaths leave the same, doing it again does the same.
        if found != self.after and found not in self._retried:
            self._retried.append(found)
            self._url = None
            if self.run(url, None) != 0:
                yield f"{where}: the retry failed"
            yield from (f"{where}, retried: {v}" for v in violations(url))
            again = content(url)
            yield from (
                f"{where}: {part} differ after the retry"
                for part in again if again[part] != self.after[part]
            )  # fmt: skip
        if self._url is None:
            self.copies.drop()
