"""Imports: the file, how far it has come, its problems, and taking it back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crm_adapters.storage.directory import within
from crm_adapters.storage.instants import words
from crm_adapters.storage.listing import paged
from crm_adapters.storage.outbox import cancel
from crm_adapters.storage.records import SqlRecords
from crm_adapters.storage.rows import chunks, mapper
from crm_adapters.storage.session import Session
from crm_adapters.storage.tables import (
    TABLES,
    assignment,
    customer,
    follow_up,
    import_file,
    import_problem,
    import_run,
    ownership,
)
from crm_domain.errors import FileRemoved
from crm_domain.model import (
    AssignmentMethod,
    AssignmentStatus,
    CustomerStatus,
    ImportProblem,
    ImportRun,
    ImportStatus,
    Scope,
)
from crm_domain.ports import Page, Query, Reach
from crm_domain.rules.pool import NEVER, RELEASED

BEGUN = (ImportStatus.RUNNING, ImportStatus.PAUSED, ImportStatus.FAILED)
"""Begun and not ended."""
_FREE = """status = 'running' AND started_at IS NOT NULL AND (leased_until IS NULL
    OR leased_until <= {now} OR leased_until > {endless})"""
"""Handed to the workers, and nobody is at it."""


def _waiting(on_sqlite: bool) -> Any:
    text = f"SELECT id FROM import_run WHERE {_FREE} ORDER BY started_at, id"
    return sa.text(text.format(**words(on_sqlite)))


def _lease(on_sqlite: bool) -> Any:
    """Take an import, unless its row is locked: whoever is in a batch needs no lease."""
    skip = "" if on_sqlite else " FOR UPDATE SKIP LOCKED"
    text = f"""
        UPDATE import_run SET leased_until = {{lease}}, fence = fence + 1, attempts = attempts + 1
        WHERE id = (SELECT id FROM import_run WHERE id = :id AND {_FREE}{skip})
        RETURNING fence"""
    return sa.text(text.format(**words(on_sqlite)))


_OURS = " WHERE id = :id AND fence = :fence AND status = 'running'"


def _renew(on_sqlite: bool) -> Any:
    return sa.text(f"UPDATE import_run SET leased_until = {words(on_sqlite)['lease']}" + _OURS)


def _give_back(on_sqlite: bool) -> Any:
    # Never below none: a batch that ended meanwhile has forgotten all attempts.
    return sa.text(
        "UPDATE import_run SET attempts = CASE WHEN attempts > 0 THEN attempts - 1 ELSE 0 END"
        + _OURS
    )


def _end_lease(on_sqlite: bool) -> Any:
    return sa.text("UPDATE import_run SET leased_until = NULL" + _OURS)


class SqlImports:
    """Implements the port ``Imports``."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._m = mapper(ImportRun)

    def add(self, run: ImportRun, content: bytes) -> ImportRun:
        """Write a new import with its file."""
        made = SqlRecords(self._session).add(run)
        self._session.run(sa.insert(import_file).values(import_id=made.id, content=content))
        return made

    def lock(self, id: int) -> ImportRun | None:
        """Read one and keep others from going on with it until the end."""
        chosen = self._m.select().where(import_run.c.id == id).with_for_update(of=import_run)
        found = self._m.records(self._session, self._session.run(chosen))
        return found[0] if found else None

    def content(self, id: int) -> bytes:
        """Read the file."""
        chosen = sa.select(import_file.c.content).where(import_file.c.import_id == id)
        found = self._session.run(chosen).scalar_one_or_none()
        if found is None:
            raise FileRemoved(id=id)
        return bytes(found)

    def has_file(self, id: int) -> bool:
        """Whether the file is kept still."""
        chosen = sa.select(import_file.c.import_id).where(import_file.c.import_id == id)
        return self._session.run(chosen).first() is not None

    def remove_files(self, before: datetime, limit: int) -> int:
        """Remove the files of imports that ended, or were only checked, before a moment."""
        f, r = import_file.c, import_run.c
        only_checked = sa.and_(r.status == ImportStatus.CHECKED, r.created_at < before)
        old = (
            sa.select(f.import_id)
            .join(import_run, r.id == f.import_id)
            .where(sa.or_(r.finished_at < before, only_checked))
            .order_by(f.import_id)
            .limit(limit)
            # Whoever starts one at this moment finds its file, or is told that it is gone.
            .with_for_update(of=import_run, skip_locked=True)
        )
        return int(self._session.run(sa.delete(import_file).where(f.import_id.in_(old))).rowcount)

    def unfinished(
        self, sha256: str, mode: str, consultant_id: int | None
    ) -> tuple[ImportRun, ...]:
        """Find the imports of a file begun in this way and not finished, the newest first."""
        c = import_run.c
        chosen = self._m.select().where(
            c.sha256 == sha256, c.status.in_(BEGUN), c.mode == mode,
            c.consultant_id.is_not_distinct_from(consultant_id),
        )  # fmt: skip
        return self._m.records(self._session, self._session.run(chosen.order_by(c.id.desc())))

    def page(self, query: Query, reach: Reach, user_id: int | None) -> Page[ImportRun]:
        """Read one page, the newest first, of a user's own and of those within a reach."""
        statement, c, u = self._m.select(), import_run.c, TABLES["User"].c
        if reach.scope is not Scope.ALL:
            theirs = sa.select(u.id).where(u.employee_id.in_(within(reach)))
            own = c.by_id == (user_id or 0)
            statement = statement.where(sa.or_(own, c.by_id.in_(theirs)))
        return paged(self._session, self._m, statement, query)

    def save(self, run: ImportRun) -> None:
        """Write how far a locked import has come; its lease ends when it runs no more."""
        row = dict(zip(self._m.write, self._m.values(run), strict=True))
        number = row.pop("id")
        # Both are written by the database's clock and by whoever takes an import over.
        del row["leased_until"], row["fence"]
        if run.status is not ImportStatus.RUNNING:
            row["leased_until"] = None
        self._session.run(sa.update(import_run).where(import_run.c.id == number).values(**row))

    def waiting(self, seconds: float) -> tuple[int, ...]:
        """Find the imports that were handed to the workers and that nobody is at."""
        return tuple(int(row[0]) for row in self._session.rows(_waiting, seconds=seconds))

    def lease(self, id: int, seconds: float) -> int | None:
        """Take one that waits, and count the attempt; None when it does not wait."""
        rows = self._session.rows(_lease, id=id, seconds=seconds)
        return int(rows[0][0]) if rows else None

    def renew(self, id: int, fence: int, seconds: float) -> bool:
        """Keep others away from a running import; False when it runs no more or is another's."""
        return bool(self._session.changes(_renew, id=id, fence=fence, seconds=seconds))

    def let_go(self, id: int, fence: int, *, at_once: bool) -> None:
        """Give an import back that nothing is wrong with; the attempt does not count."""
        self._session.changes(_give_back, id=id, fence=fence)
        if at_once:
            self._session.changes(_end_lease, id=id, fence=fence)

    def add_problems(self, problems: Sequence[ImportProblem]) -> None:
        """Write why rows were not taken in."""
        m = mapper(ImportProblem)
        self._session.insert(import_problem, m.write[1:], [m.values(p)[1:] for p in problems])

    def problems(self, import_id: int) -> tuple[ImportProblem, ...]:
        """Read them by row."""
        m = mapper(ImportProblem)
        c = import_problem.c
        chosen = m.select().where(c.import_id == import_id).order_by(c.row, c.id)
        return m.records(self._session, self._session.run(chosen))

    def dealt(self, import_id: int) -> dict[int | None, int]:
        """Count the import's customers by the consultant it gave them to; None is the pool."""
        a, c = assignment.c, customer.c
        given = sa.and_(a.customer_id == c.id, a.method == AssignmentMethod.IMPORT)
        chosen = (
            sa.select(a.consultant_id, sa.func.count())
            .select_from(customer.outerjoin(assignment, given))
            .where(c.import_id == import_id)
            .group_by(a.consultant_id)
            .order_by(a.consultant_id)
        )
        return {row[0]: row[1] for row in self._session.run(chosen)}

    def hold(self, import_id: int) -> None:
        """Lock the ownership of the import's customers in the order of their numbers."""
        chosen = (
            sa.select(ownership.c.customer_id).join(customer)
            .where(customer.c.import_id == import_id).order_by(ownership.c.customer_id)
        )  # fmt: skip
        self._session.run(chosen.with_for_update(of=ownership)).all()

    def touched(self, import_id: int) -> int:
        """Count the import's customers that somebody has worked on since.

        Worked on: changed, followed up, locked, enrolled or paying, or moved to somebody else.
        """
        a, c, o, f = assignment.c, customer.c, ownership.c, follow_up.c
        paid = TABLES["Payment"].c
        worked = sa.or_(
            c.version > 1,
            o.locked == sa.literal(True, o.locked.type),
            o.status == CustomerStatus.ENROLLED,
            o.payment_pending_on.is_not(None),
            sa.exists().where(f.customer_id == c.id),
            sa.exists().where(paid.customer_id == c.id),
            sa.exists().where(a.customer_id == c.id, a.ended_at.is_not(None)),
            sa.exists().where(a.customer_id == c.id, a.method != AssignmentMethod.IMPORT),
        )
        chosen = (
            sa.select(sa.func.count()).select_from(customer.join(ownership))
            .where(c.import_id == import_id, worked)
        )  # fmt: skip
        return int(self._session.run(chosen).scalar_one())

    def archive(self, import_id: int, at: datetime) -> int:
        """Archive the customers of an import and count them."""
        a, c, o = assignment.c, customer.c, ownership.c
        ids = list(self._session.run(sa.select(c.id).where(c.import_id == import_id)).scalars())
        # By numbers: right after an import the planner knows too little of it to join well.
        for part in chunks(ids, 5000):
            self._session.run(
                sa.update(assignment)
                .where(self._session.among(a.customer_id, part), a.ended_at.is_(None))
                .values(status=AssignmentStatus.IMPORT_REVERTED, ended_at=at)
            )
            self._session.run(
                sa.update(ownership).where(self._session.among(o.customer_id, part))
                .values(**RELEASED | {"due_on": NEVER})
            )  # fmt: skip
            cancel(self._session, [f"customer:{i}" for i in part])
        done = self._session.run(
            sa.update(customer).where(c.import_id == import_id, c.archived_at.is_(None))
            .values(archived_at=at, version=c.version + 1)
        )  # fmt: skip
        return int(done.rowcount)
