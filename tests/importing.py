"""What tests of imports that workers run have in common: sheets, workers, and how they die."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa

from crm_domain import SYSTEM, Crm
from crm_domain.model import Customer, ImportRun, ImportStatus
from crm_domain.rules.access import Principal
from crm_domain.usecases import consistency, imports
from make import phone

RUNNING, PAUSED, FAILED = ImportStatus.RUNNING, ImportStatus.PAUSED, ImportStatus.FAILED
DONE, CHECKED, REVERTED = ImportStatus.DONE, ImportStatus.CHECKED, ImportStatus.REVERTED


class Wakes:
    """A job queue that remembers what was woken."""

    def __init__(self) -> None:
        self.woken: list[tuple[str, dict[str, Any]]] = []

    def wake(self, job: str, **arguments: Any) -> None:
        self.woken.append((job, arguments))

    def close(self) -> None:
        pass


def people(n: int) -> bytes:
    """Write a .csv of so many new customers."""
    return "\n".join(["姓名,手机", *(f"客户{i},{phone()}" for i in range(n))]).encode()


def checked(crm: Crm, content: bytes, by: Principal = SYSTEM, **wish: Any) -> int:
    return imports.check_import(crm, content, file_name="x.csv", by=by, **wish).id


def started(crm: Crm, content: bytes, by: Principal = SYSTEM, **wish: Any) -> int:
    number = checked(crm, content, by, **wish)
    imports.start_import(crm, number, by=by)
    return number


def run_of(crm: Crm, number: int) -> ImportRun:
    with crm.unit_of_work(read_only=True) as uow:
        run = uow.records.get(ImportRun, number)
    assert run is not None
    return run


def taken_in(crm: Crm, number: int) -> list[Customer]:
    with crm.unit_of_work(read_only=True) as uow:
        found = uow.records.all(Customer, import_id=number)
    return sorted(found, key=lambda c: c.import_row or 0)


def work(crm: Crm, number: int, batches: int | None = None) -> imports.ImportProgress | None:
    """Be a worker: run an import, for some batches or to its end."""
    asked = count()

    def stopping() -> bool:
        # Asked before the first batch, and after each.
        return next(asked) == batches

    return imports.run_started(crm, number, stopping=stopping, by=SYSTEM)


class Killed(BaseException):
    """What ends a worker as kill -9 would: no use case of ours catches it."""


def killed(crm: Crm, number: int, batches: int) -> None:
    """Be a worker that is killed after some batches; its lease stays."""
    seen = 0

    def ask() -> bool:
        nonlocal seen
        seen += 1
        if seen > batches:
            raise Killed
        return False

    with pytest.raises(Killed):
        imports.run_started(crm, number, stopping=ask, by=SYSTEM)


def let_leases_end(crm: Crm) -> None:
    """Let the time of all leases pass."""
    with crm.storage.engine.begin() as connection:  # type: ignore[attr-defined]
        connection.execute(
            sa.text("UPDATE import_run SET leased_until = created_at"
                    " WHERE leased_until IS NOT NULL")
        )  # fmt: skip


def sound(crm: Crm) -> None:
    """No invariant of the database is broken."""
    assert [c for c in consistency.check_database(crm, by=SYSTEM) if c.count] == []
