"""The jobs of the schedule: one row for each, one conditional statement for each step."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crm_adapters.storage import types
from crm_adapters.storage.instants import words
from crm_adapters.storage.rows import mapper
from crm_adapters.storage.session import Session
from crm_adapters.storage.tables import job_wish
from crm_domain.model import ScheduledJob


def _begin(on_sqlite: bool) -> Any:
    """Begin a job: whoever races for it meets on its row, where the conditions decide."""
    text = """
        INSERT INTO scheduled_job AS job (name, slot, leased_until, fence, started_at)
        VALUES (:name, coalesce(:slot, {now}), {lease}, 1, {now})
        ON CONFLICT (name) DO UPDATE
        SET slot = excluded.slot, leased_until = {lease}, fence = job.fence + 1,
            started_at = {now}, finished_at = NULL, result = NULL, error = NULL
        WHERE (job.leased_until IS NULL OR job.leased_until <= {now}
               OR job.started_at > {future})
        AND (job.slot < excluded.slot OR job.slot > {future}
             OR (job.slot = excluded.slot AND job.finished_at IS NULL))
        RETURNING fence"""
    return sa.text(text.format(**words(on_sqlite))).bindparams(
        sa.bindparam("slot", type_=types.Moment())
    )


def _finish(on_sqlite: bool) -> Any:
    """End a run; asked twice in one statement, PostgreSQL's clock would tell two moments."""
    text = """
        UPDATE scheduled_job SET leased_until = NULL, finished_at = ended.at,
            result = :result, error = :error,
            succeeded_at = CASE WHEN :well THEN ended.at ELSE succeeded_at END
        FROM (SELECT {now} AS at) AS ended
        WHERE name = :name AND fence = :fence AND finished_at IS NULL"""
    return sa.text(text.format(**words(on_sqlite))).bindparams(
        sa.bindparam("result", type_=types.Json(dict[str, Any])),
        sa.bindparam("well", type_=sa.Boolean),
    )


def _fail(on_sqlite: bool) -> Any:
    text = """
        UPDATE scheduled_job SET error = :error, leased_until = {lease}
        WHERE name = :name AND fence = :fence AND finished_at IS NULL"""
    return sa.text(text.format(**words(on_sqlite)))


def _renew(on_sqlite: bool) -> Any:
    text = """
        UPDATE scheduled_job SET leased_until = {lease}
        WHERE name = :name AND fence = :fence AND finished_at IS NULL"""
    return sa.text(text.format(**words(on_sqlite)))


def _ask(on_sqlite: bool) -> Any:
    text = """
        INSERT INTO job_wish (name, asked_at, fence)
        VALUES (:name, {now},
                coalesce((SELECT fence FROM scheduled_job WHERE name = :name), 0))
        ON CONFLICT (name) DO UPDATE SET fence = excluded.fence"""
    name = sa.bindparam("name", type_=sa.String)
    return sa.text(text.format(**words(on_sqlite))).bindparams(name)


def _fulfil(_: bool) -> Any:
    """Forget what was asked for before the run that has ended."""
    return sa.text("DELETE FROM job_wish WHERE name = :name AND fence < :fence")


class SqlSchedule:
    """Implements the port ``Schedule``."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._m = mapper(ScheduledJob)

    def begin(self, name: str, slot: datetime | None, seconds: float) -> int | None:
        """Begin a job for a slot, unless somebody runs it or the slot has been run."""
        rows = self._session.rows(_begin, name=name, slot=slot, seconds=seconds)
        return int(rows[0][0]) if rows else None

    def ask(self, name: str) -> None:
        """Say that a job is to be run as soon as may be; asked twice is asked once."""
        self._session.changes(_ask, name=name)

    def asked(self) -> Mapping[str, datetime]:
        """Tell the jobs that were asked for and not run to an end since, and since when."""
        found = self._session.run(sa.select(job_wish.c.name, job_wish.c.asked_at))
        return {one.name: one.asked_at for one in found}

    def renew(self, name: str, fence: int, seconds: float) -> bool:
        """Go on keeping others away from a job; False when it is not this run's any more."""
        return bool(self._session.changes(_renew, name=name, fence=fence, seconds=seconds))

    def finish(
        self, name: str, fence: int, *, result: Mapping[str, int] | None = None,
        error: str | None = None, again: float | None = None,
    ) -> bool:  # fmt: skip
        """Write how a run ended; False when another took the job over meanwhile."""
        which = {"name": name, "fence": fence, "error": error and error[:500]}
        if again is not None:
            return bool(self._session.changes(_fail, seconds=again, **which))
        ended = self._session.changes(_finish, result=result, well=error is None, **which)
        if ended:
            self._session.changes(_fulfil, name=name, fence=fence)
        return bool(ended)

    def all(self) -> tuple[ScheduledJob, ...]:
        """Read the jobs that ever ran, by name."""
        chosen = self._m.select().order_by(self._m.column("name"))
        return self._m.records(self._session, self._session.run(chosen))
