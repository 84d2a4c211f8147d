"""A backup of everything, and the way back into an empty database."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from crm_adapters.storage.backup import back_up
from crm_adapters.storage.restore import restore

from .measure import Goal, Result, expect, timed
from .stage import Stage

RESTORE = Goal(bound=300)


def bench_backup(stage: Stage) -> Iterator[Result]:
    """Measure both, and count the rows that came back."""
    world = stage.world
    with tempfile.TemporaryDirectory(prefix="crm-bench-") as folder:
        file = Path(folder) / "b.zip"
        taken = [timed(lambda: back_up(world.database.address, file))]
        size = file.stat().st_size
        database = stage.servers.empty(stage.engine)
        back = [timed(lambda: restore(database.address, file))]
        [(there,)] = database.ask("SELECT count(*) FROM customer")
        expect(there == world.size, f"{there} of {world.size} customers came back")
        stage.servers.drop(database)
    note = f"once; a file of {size / 1e6:,.0f} MB"
    for work, figures, goal in (("backup", taken, Goal()), ("restore", back, RESTORE)):
        yield Result(work=f"{work} of {world.size:,} customers", engine=stage.engine, unit="s",
                     ours=figures, goal=goal, note=note)  # fmt: skip
