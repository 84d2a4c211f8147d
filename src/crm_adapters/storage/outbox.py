"""Notices on their way: the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter

import sqlalchemy as sa

from crm_adapters.storage.belonging import read_within
from crm_adapters.storage.listing import paged
from crm_adapters.storage.rows import mapper
from crm_adapters.storage.session import COPY_FROM, Session
from crm_adapters.storage.tables import notice
from crm_domain.model import Notice, NoticeStatus
from crm_domain.model.fields import changed
from crm_domain.parsing import record_number
from crm_domain.ports import Page, Query, Reach

WAITING = (NoticeStatus.PENDING, NoticeStatus.FAILED)

_OUTCOME = ("status", "next_attempt_at", "error", "provider_id", "sent_at")
_outcome = attrgetter(*_OUTCOME)


class SqlNotices:
    """Implements the port ``Notices``."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._m = mapper(Notice)

    def add(self, notices: Sequence[Notice]) -> None:
        """Write notices; one whose idempotency key is there already is left out."""
        if len(notices) >= COPY_FROM:
            self.add_new(notices)
            return
        for one in notices:
            self._session.later(notice, self._m.write[1:], self._row(one)[1:],
                                tail=" ON CONFLICT DO NOTHING")  # fmt: skip

    def add_new(self, notices: Sequence[Notice]) -> int:
        """The same, and count those that were not there."""
        if not notices:
            return 0
        ids = self._session.next_ids(notice, len(notices))
        rows = [self._row(changed(n, id=i)) for n, i in zip(notices, ids, strict=True)]
        return len(self._session.insert_new(notice, self._m.write, rows))

    def _row(self, one: Notice) -> tuple[object, ...]:
        return self._m.values(changed(one, next_attempt_at=one.next_attempt_at or one.created_at))

    def lease(self, now: datetime, until: datetime, limit: int) -> tuple[Notice, ...]:
        """Take due notices for sending: count the attempt and keep others away until then."""
        c = notice.c
        due = (
            sa.select(c.id)
            .where(c.status.in_(WAITING), c.next_attempt_at <= now)
            .order_by(c.next_attempt_at, c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        ids = list(self._session.run(due).scalars())
        self._session.run(
            sa.update(notice).where(self._session.among(c.id, ids))
            .values(attempts=c.attempts + 1, next_attempt_at=until)
        )  # fmt: skip
        chosen = self._m.select().where(self._session.among(c.id, ids)).order_by(c.id)
        return self._m.records(self._session, self._session.run(chosen))

    def settle(self, notices: Sequence[Notice]) -> frozenset[int]:
        """Write what became of leased notices, as far as they are still leased to the caller."""
        ours = self._still_ours(notices)
        self._session.update(notice, "id", _OUTCOME, [(*_outcome(n), n.id) for n in ours])
        return frozenset(n.id or 0 for n in ours)

    def give_back(self, notices: Sequence[Notice], at: datetime) -> None:
        """Let leased notices that were not tried be due at a moment; their attempt counts not."""
        rows = [(n.attempts - 1, at, n.id) for n in self._still_ours(notices)]
        self._session.update(notice, "id", ("attempts", "next_attempt_at"), rows)

    def _still_ours(self, notices: Sequence[Notice]) -> list[Notice]:
        """Lock those of some leased notices that nobody took over: the attempts are the fence."""
        c = notice.c
        ids = sorted(n.id or 0 for n in notices)
        chosen = (
            sa.select(c.id, c.attempts)
            .where(self._session.among(c.id, ids), c.status.in_(WAITING))
            .order_by(c.id)
            .with_for_update()
        )
        held = {row.id: row.attempts for row in self._session.run(chosen)}
        return [n for n in notices if held.get(n.id) == n.attempts]

    def resend(self, id: int, now: datetime) -> bool:
        """Make a dead or failed notice pending again."""
        if record_number(id) is None:
            return False
        c = notice.c
        done = self._session.run(
            sa.update(notice)
            .where(c.id == id, c.status.in_((NoticeStatus.DEAD, NoticeStatus.FAILED)))
            .values(status=NoticeStatus.PENDING, attempts=0, next_attempt_at=now, error=None)
        )
        return bool(done.rowcount)

    def cancel(self, about: str) -> int:
        """Cancel the notices about a record that were not sent yet, and count them."""
        c = notice.c
        done = self._session.run(
            sa.update(notice).where(c.about == about, c.status.in_(WAITING))
            .values(status=NoticeStatus.CANCELLED)
        )  # fmt: skip
        return int(done.rowcount)

    def page(
        self, query: Query, status: NoticeStatus | None = None, reach: Reach | None = None
    ) -> Page[Notice]:
        """Read one page, the newest first, of those to people within the reach."""
        _, theirs = read_within(Notice, reach)
        statement = self._m.select().where(*theirs)
        if status is not None:
            statement = statement.where(notice.c.status == status)
        return paged(self._session, self._m, statement, query)
