"""What the worker processes do. Each job ends by itself, is killed, or kills itself."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import sqlalchemy as sa

from crm_adapters import open_crm
from crm_domain import SYSTEM, Crm
from crm_domain.errors import ClaimRefused, CrmError, Duplicate, NotFound, NotOwner
from crm_domain.model import ImportRun, ImportStatus
from crm_domain.ports import Settings
from crm_domain.ports.sheets import Row, Sheet
from crm_domain.rules.access import Principal
from crm_domain.testing.clock import FixedClock
from crm_domain.usecases import _import_work, access, follow_up, imports, intake, pool
from races import mutants

START = datetime(2026, 11, 1, 2, 0, tzinfo=UTC)


def seconds() -> float:
    """Tell the seconds of a clock that all processes of this machine share."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


@attrs.frozen
class VirtualClock:
    """A clock that runs faster, shared by giving every process the same zero."""

    zero: float
    days_per_second: float

    def at(self, moment: float) -> datetime:
        """Tell what it shows at a moment of `seconds`."""
        return START + timedelta(days=(moment - self.zero) * self.days_per_second)

    def __call__(self) -> datetime:
        """Tell the moment."""
        return self.at(seconds())


class Log:
    """Lines of JSON that survive the death of their writer."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, **line: Any) -> None:
        """Write one line."""
        os.write(self._file, (json.dumps(line) + "\n").encode())


def warm_up() -> None:
    """Load all that is loaded when it is first used, and leave nothing open."""
    import sqlalchemy.dialects.postgresql.psycopg  # noqa: F401

    with open_crm("sqlite://", clock=FixedClock(START), settings=Settings(), migrate=True) as crm:
        crm = attrs.evolve(crm, reader=InlineReader())
        values = {"name": "王芳", "phone": "13800000000"}
        intake.register_customer(crm, values, to="pool", by=SYSTEM)
        intake.register_customer(crm, values | {"phone": "13800000001"}, by=SYSTEM)
        sheet = "姓名,手机\n李雷,13800000002\n".encode()
        imports.import_file(crm, sheet, file_name="客户.csv", by=SYSTEM)
        pool.sweep_pool(crm, by=SYSTEM)


# -- the stress -----------------------------------------------------------------------------------


class Consultants:
    """Some consultants at work: they claim, follow up, give back, enter, and somebody sweeps."""

    def __init__(self, crm: Crm, log: Log, dice: random.Random, me: list[Principal]) -> None:
        self.crm, self.log, self.dice, self.me = crm, log, dice, me
        self.mine: list[tuple[int, Principal]] = []

    def act(self, name: str, customers: list[int]) -> None:
        """Do one thing and log how it began and how it ended."""
        by, customer = self.dice.choice(self.me), self.dice.choice(customers)
        if name in ("follow_up", "release") and self.mine and self.dice.random() < 0.8:
            customer, by = self.dice.choice(self.mine[-6:])
        number = f"{os.getpid()}-{time.monotonic_ns()}"
        self.log.write(op=number, kind=name, by=by.employee_id, customer=customer, begun=seconds())
        try:
            answer: dict[str, Any] = {"ok": True} | getattr(self, name)(by, customer, number)
        except (ClaimRefused, NotFound, NotOwner):
            answer = {"ok": False}
        except Exception as e:
            answer = {"error": f"{type(e).__name__}: {e} / {e.__cause__}"}
        self.log.write(op=number, ended=seconds(), **answer)

    def claim(self, by: Principal, customer: int, _: str) -> dict[str, Any]:
        """Claim a customer."""
        made = pool.claim_customer(self.crm, customer, by=by)
        self.mine.append((customer, by))
        return {"assignment": made.id}

    def follow_up(self, by: Principal, customer: int, number: str) -> dict[str, Any]:
        """Log a contact that carries the number of the operation."""
        follow_up.log_follow_up(self.crm, customer, {"note": number}, by=by)
        return {}

    def release(self, by: Principal, customer: int, number: str) -> dict[str, Any]:
        """Give a customer back with the number of the operation as the reason."""
        pool.release_customer(self.crm, customer, reason=number, by=by)
        return {}

    def register(self, _: Principal, __: int, number: str) -> dict[str, Any]:
        """Enter a customer whose WeChat is the number of the operation."""
        values = {"name": "赵新", "wechat": f"wx{number}"}
        return {"customer": intake.register_customer(self.crm, values, by=SYSTEM).id}

    def read(self, _: Principal, customer: int, __: str) -> dict[str, Any]:
        """Read who owns a customer."""
        with self.crm.unit_of_work(read_only=True) as uow:
            found = uow.customers.get(customer)
        assert found is not None
        return {"saw": [found.owner_id, found.last_consultant_id]}

    def sweep(self, _: Principal, __: int, ___: str) -> dict[str, Any]:
        """Take back what is overdue."""
        return {"released": pool.sweep_pool(self.crm, by=SYSTEM).released}


ACTS = {"claim": 40, "follow_up": 25, "read": 12, "release": 8, "register": 5, "sweep": 5}


def stress(
    url: str, log: str, seed: str, zero: float, speed: float, until: float, customers: list[int],
    me: list[str], unguarded: bool = False,
) -> None:  # fmt: skip
    """Work until the time is over."""
    if unguarded:
        mutants.claims_are_checked_then_done()
    dice = random.Random(seed)
    with open_crm(url, clock=VirtualClock(zero, speed), settings=Settings()) as crm:
        people = [access.principal_for(crm, username=name) for name in me]
        work = Consultants(crm, Log(log), dice, people)
        while seconds() < until:
            work.act(dice.choices(list(ACTS), list(ACTS.values()))[0], customers)


# -- turns ----------------------------------------------------------------------------------------


class Spoilt(Exception):
    """A save that fails after the turn was drawn."""


def turns(url: str, log: str, seed: str, unguarded: bool = False) -> None:
    """Register customers until killed; one in ten is a duplicate, one in ten fails at the end.

    Args:
        url: The database.
        log: Tells of each commit that was acknowledged.
        seed: Names this worker.
        unguarded: Whether turns are drawn by reading, then writing.
    """
    if unguarded:
        mutants.turns_are_read_then_written()
    dice = random.Random(seed)
    spoil = mutants.spoil_notices(Spoilt)
    written = Log(log)
    with open_crm(url, settings=Settings()) as crm:
        for typed in count(1):
            luck = dice.random()
            known = luck < 0.1 and typed > 1
            wechat = f"wx{seed}_{typed - 1 if known else typed}"
            spoil.on = 0.1 <= luck < 0.2
            try:
                intake.register_customer(crm, {"name": "周转", "wechat": wechat}, by=SYSTEM)
            except (Duplicate, Spoilt) as e:
                written.write(failed=type(e).__name__)
            else:
                written.write(made=wechat)


# -- crashes --------------------------------------------------------------------------------------


class InlineReader:
    """Reads .csv in this process: the reader's own process is not what is tested here."""

    max_bytes = 20_000_000

    def read(self, content: bytes, file_name: str) -> tuple[Sheet, ...]:
        """Read the only sheet."""
        lines = csv.reader(io.StringIO(content.decode()))
        rows = tuple(Row(i, tuple(c or None for c in line)) for i, line in enumerate(lines, 1))
        return (Sheet(file_name, rows),)


class DeathAt:
    """Kills this process at the k-th database event, or only counts them."""

    def __init__(self, engine: sa.Engine, k: int | None) -> None:
        self.k, self.seen = k, 0
        self.commits: list[int] = []
        sa.event.listen(engine, "before_cursor_execute", lambda *_: self.event())
        sa.event.listen(engine, "begin", lambda *_: self.event())
        commit = engine.dialect.do_commit

        def do_commit(connection: Any) -> None:
            self.event()
            commit(connection)
            self.event()
            self.commits += [self.seen - 1, self.seen]

        engine.dialect.do_commit = do_commit

    def event(self) -> None:
        """Count one event."""
        self.seen += 1
        if self.seen == self.k:
            os.kill(os.getpid(), signal.SIGKILL)


def _register(crm: Crm, _: dict[str, Any]) -> None:
    intake.register_customer(crm, {"name": "新客", "phone": "13900000001"}, by=SYSTEM)


def _claim(crm: Crm, world: dict[str, Any]) -> None:
    pool.claim_customer(crm, world["pooled"], by=world["people"]["a"])


def _claim_overdue(crm: Crm, world: dict[str, Any]) -> None:
    pool.claim_customer(crm, world["overdue"], by=world["people"]["c"])


def _follow_up(crm: Crm, world: dict[str, Any]) -> None:
    follow_up.log_follow_up(crm, world["fresh"], {"note": "电话"}, by=world["people"]["b"])


def _release(crm: Crm, world: dict[str, Any]) -> None:
    pool.release_customer(crm, world["fresh"], reason="不合适", by=world["people"]["b"])


def _sweep(crm: Crm, _: dict[str, Any]) -> None:
    pool.sweep_pool(crm, by=SYSTEM)


def _import(crm: Crm, world: dict[str, Any]) -> None:
    imports.import_file(crm, Path(world["sheet"]), by=SYSTEM)


COMMANDS: dict[str, Callable[[Crm, dict[str, Any]], None]] = {
    "register": _register, "claim": _claim, "claim_overdue": _claim_overdue,
    "follow_up": _follow_up, "release": _release, "sweep": _sweep, "import": _import,
}  # fmt: skip


def command(
    url: str, name: str, world: dict[str, Any], k: int | None = None, counted: str | None = None,
    mutant: str | None = None,
) -> None:  # fmt: skip
    """Run one command and die at its k-th database event.

    Args:
        url: The database.
        name: One of `COMMANDS`.
        world: What the database was made with.
        k: At which event; None: at none.
        counted: A file that is told the number of events and which of them are around a COMMIT.
        mutant: A function of `mutants` that breaks something first.
    """
    if mutant:
        getattr(mutants, mutant)()
    settings = Settings(batch_rows=world.get("batch_rows", 1000))
    clock = FixedClock(datetime.fromisoformat(world["now"]))
    with open_crm(url, clock=clock, settings=settings) as crm:
        crm = attrs.evolve(crm, reader=InlineReader())
        people = {n: access.principal_for(crm, username=world[n]) for n in "abc"}
        world = world | {"people": people}
        death = DeathAt(crm.storage.engine, k)  # type: ignore[attr-defined]
        begin = world.get("begin")
        if begin:
            time.sleep(max(0.0, begin - seconds()))
        try:
            COMMANDS[name](crm, world)
        except CrmError as e:
            if counted is None:
                raise
            Path(counted).write_text(f"{type(e).__name__}: {e} / {e.__cause__}")
        else:
            if counted is not None:
                Path(counted).write_text(json.dumps([death.seen, death.commits]))


# -- imports in the background --------------------------------------------------------------------


def _die_at_row(row: int, where: str) -> None:
    """Kill this process when a row of the sheet is read, or its batch is written or committed."""
    from crm_adapters.storage.imports import SqlImports
    from crm_adapters.storage.session import Session
    from crm_domain.usecases._import_rows import SheetRows

    seen = {"read": False}
    real_read, real_renew, real_commit = SheetRows._read, SqlImports.renew, Session.commit

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def read(self: SheetRows, one: Row) -> Any:
        if one.number == row:
            if where == "read":
                die()
            seen["read"] = True
        return real_read(self, one)

    def renew(self: SqlImports, *arguments: Any) -> bool:
        if seen["read"] and where == "written":
            die()
        return real_renew(self, *arguments)

    def commit(self: Session) -> None:
        real_commit(self)
        if seen["read"] and where == "committed":
            die()

    SheetRows._read = read  # type: ignore[method-assign]
    SqlImports.renew = renew  # type: ignore[method-assign]
    Session.commit = commit  # type: ignore[method-assign]


def import_worker(
    url: str, now: str, batch_rows: int, row: int | None = None, where: str = "read",
    mutant: str | None = None, patience: float = 120.0,
) -> None:  # fmt: skip
    """Be a worker that looks for imports until none runs any more, or that is killed at a row.

    Args:
        url: The database.
        now: The moment.
        batch_rows: Rows of a batch.
        row: The row of the sheet at which to die; None: at none.
        where: When it is ``read``, or its batch ``written`` or ``committed``.
        mutant: A function of `mutants` that breaks something first.
        patience: Seconds after which it is an error that an import still runs.
    """
    if mutant:
        getattr(mutants, mutant)()
    if row is not None:
        _die_at_row(row, where)
    # Nobody else waits for the writer here.
    _import_work.BREATH = 0.0
    settings = Settings(batch_rows=batch_rows, import_lease_seconds=IMPORT_LEASE)
    clock = FixedClock(datetime.fromisoformat(now))
    until = seconds() + patience
    with open_crm(url, clock=clock, settings=settings) as crm:
        crm = attrs.evolve(crm, reader=InlineReader())
        while True:
            imports.run_started_imports(crm, by=SYSTEM)
            with crm.unit_of_work(read_only=True) as uow:
                if not uow.records.all(ImportRun, status=ImportStatus.RUNNING):
                    return
            if seconds() > until:
                raise TimeoutError
            time.sleep(0.01)


IMPORT_LEASE = 0.3
"""Seconds."""
JOBS: dict[str, Callable[..., None]] = {
    "stress": stress, "turns": turns, "command": command, "import_worker": import_worker,
}  # fmt: skip
