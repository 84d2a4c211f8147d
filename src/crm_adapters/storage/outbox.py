"""Notices on their way: the outbox."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from crm_adapters.storage import types
from crm_adapters.storage.belonging import read_within
from crm_adapters.storage.instants import words
from crm_adapters.storage.listing import paged
from crm_adapters.storage.rows import mapper
from crm_adapters.storage.session import COPY_FROM, Session
from crm_adapters.storage.tables import notice, notice_preference
from crm_domain.model import Event, Notice, NoticePreference, NoticeStatus
from crm_domain.model.fields import changed
from crm_domain.parsing import record_number
from crm_domain.ports import Backlog, Page, Query, Reach
from crm_domain.rules.notifying import INAPP, WAITING

DEALT_WITH = (NoticeStatus.SENT, NoticeStatus.EXPIRED, NoticeStatus.CANCELLED)
"""Nobody has to do anything any more; what is dead waits for somebody who looks."""

_OUTCOME = ("status", "attempts", "next_attempt_at", "error", "provider_id", "sent_at")
_outcome = attrgetter(*_OUTCOME)


def _lease(on_sqlite: bool) -> Any:
    """Take what is due on a channel and what nobody is at, in one statement.

    On PostgreSQL the numbers are gathered once, into an array: the planner may run a subquery more
    than once, and each time skip what it has locked itself.
    """
    due = """
        SELECT id FROM notice
        WHERE status IN ('pending', 'failed') AND channel = :channel AND next_attempt_at <= :at
        AND (leased_until IS NULL OR leased_until <= {now} OR leased_until > {endless})
        ORDER BY next_attempt_at, id LIMIT :most"""
    chosen = f"IN ({due})" if on_sqlite else f"= ANY(ARRAY({due} FOR UPDATE SKIP LOCKED))"
    columns = mapper(Notice).read
    text = f"""
        UPDATE notice SET attempts = attempts + 1, fence = fence + 1, leased_until = {{lease}}
        WHERE id {chosen} RETURNING {", ".join(c.name for c in columns)}"""
    return (
        sa.text(text.format(**words(on_sqlite)))
        .bindparams(sa.bindparam("at", type_=types.Moment()))
        .columns(*columns)
    )


_CHANNELS = """
    WITH RECURSIVE waiting (channel) AS (
        SELECT min(channel) FROM notice WHERE status IN ('pending', 'failed')
        UNION ALL SELECT (SELECT min(channel) FROM notice
        WHERE status IN ('pending', 'failed') AND channel > waiting.channel)
        FROM waiting WHERE channel IS NOT NULL)"""
"""The channels on which something waits: one look into the index for each, however much waits."""


def _due_channels(on_sqlite: bool) -> Any:
    text = f"""{_CHANNELS}
        SELECT channel FROM waiting WHERE EXISTS (SELECT 1 FROM notice
        WHERE status IN ('pending', 'failed') AND channel = waiting.channel
        AND next_attempt_at <= :at
        AND (leased_until IS NULL OR leased_until <= {{now}} OR leased_until > {{endless}}))"""
    return (
        sa.text(text.format(**words(on_sqlite)))
        .bindparams(sa.bindparam("at", type_=types.Moment()))
        .columns(notice.c.channel)
    )


def _backlog(on_sqlite: bool) -> Any:
    """Count by two small indexes, however many were sent; the first of a channel is its oldest."""
    text = f"""{_CHANNELS}
        SELECT status, count(*) AS n, CAST(NULL AS {{moment}}) AS since FROM notice
        WHERE status IN ('pending', 'failed') GROUP BY status
        UNION ALL SELECT 'dead', count(*), NULL FROM notice WHERE status = 'dead'
        UNION ALL SELECT NULL, 0, min((SELECT next_attempt_at FROM notice
        WHERE status IN ('pending', 'failed') AND channel = waiting.channel
        AND next_attempt_at <= :at AND (leased_until IS NULL OR leased_until <= {{now}})
        ORDER BY next_attempt_at LIMIT 1)) FROM waiting"""
    kind = "INTEGER" if on_sqlite else "TIMESTAMPTZ"
    c = notice.c
    return (
        sa.text(text.format(moment=kind, **words(on_sqlite)))
        .bindparams(sa.bindparam("at", type_=types.Moment()))
        .columns(c.status, sa.column("n", sa.Integer), sa.column("since", types.Moment()))
    )


def cancel(session: Session, about: Sequence[str]) -> int:
    """Cancel the notices about some records that were not sent yet, and count them."""
    c = notice.c
    done = session.run(
        sa.update(notice).where(session.among(c.about, about), c.status.in_(WAITING))
        .values(status=NoticeStatus.CANCELLED, fence=c.fence + 1, leased_until=None)
    )  # fmt: skip
    return int(done.rowcount)


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

    def due_channels(self, now: datetime, seconds: float) -> tuple[str, ...]:
        """Tell the channels on which something is due that nobody is at."""
        rows = self._session.rows(_due_channels, at=now, seconds=seconds)
        return tuple(sorted(channel for (channel,) in rows))

    def lease(
        self, now: datetime, seconds: float, limit: int, channel: str
    ) -> tuple[Notice, ...]:  # fmt: skip
        """Take due notices of a channel: count the attempt and keep others away for so long."""
        rows = self._session.rows(_lease, at=now, seconds=seconds, most=limit, channel=channel)
        found = self._m.records(self._session, rows)
        return tuple(sorted(found, key=attrgetter("id")))

    def settle(self, notices: Sequence[Notice]) -> frozenset[int]:
        """Write what became of leased notices, as far as they are still leased to the caller."""
        ours = self._still_ours(notices)
        self._session.update(notice, "id", (*_OUTCOME, "leased_until"),
                             [(*_outcome(n), None, n.id) for n in ours])  # fmt: skip
        return frozenset(n.id or 0 for n in ours)

    def _still_ours(self, notices: Sequence[Notice]) -> list[Notice]:
        """Lock those of some leased notices that nobody took over, as the fence tells.

        And those that were sent by somebody who was too slow, as long as nobody has settled them.
        """
        c = notice.c
        ids = sorted(n.id or 0 for n in notices)
        chosen = (
            sa.select(c.id, c.fence)
            .where(self._session.among(c.id, ids), c.status.in_(WAITING))
            .order_by(c.id)
            .with_for_update()
        )
        held = {row.id: row.fence for row in self._session.run(chosen)}
        # That it was sent is a fact, whoever is at it now; all else is for the holder to say.
        return [
            n for n in notices
            if n.id in held and (n.status is NoticeStatus.SENT or held[n.id] == n.fence)
        ]  # fmt: skip

    def resend(
        self, now: datetime, seconds: float, *, ids: Sequence[int] | None = None,
        statuses: Collection[NoticeStatus], channel: str | None = None, event: Event | None = None,
        reach: Reach | None = None,
    ) -> int:  # fmt: skip
        """Make notices pending again, to be sent at once, and count them."""
        c = notice.c
        wanted = [
            *read_within(Notice, reach)[1],
            c.status.in_(s for s in statuses if s in (NoticeStatus.DEAD, NoticeStatus.FAILED)),
            sa.or_(self._nobody_is_at(), self._is_endless(seconds)),
            sa.or_(c.expires_at.is_(None), c.expires_at > now),
        ]
        if ids is not None:
            wanted.append(self._session.among(c.id, [i for i in ids if record_number(i)]))
        wanted += [] if channel is None else [c.channel == channel]
        wanted += [] if event is None else [c.event == event]
        done = self._session.run(
            sa.update(notice).where(*wanted)
            .values(status=NoticeStatus.PENDING, attempts=0, fence=c.fence + 1,
                    next_attempt_at=now, error=None, leased_until=None)
        )  # fmt: skip
        return int(done.rowcount)

    def _nobody_is_at(self) -> sa.ColumnElement[bool]:
        over = sa.literal_column(words(self._session.on_sqlite)["now"], types.Moment())
        until = notice.c.leased_until
        return sa.or_(until.is_(None), until <= over)

    def _is_endless(self, seconds: float) -> sa.TextClause:
        """Whether a lease was given by a clock that has been set back since."""
        endless = words(self._session.on_sqlite)["endless"]
        return sa.text(f"leased_until > {endless}").bindparams(seconds=seconds)

    def backlog(self, now: datetime, reach: Reach | None = None) -> Backlog:
        """Count what was not sent to people within the reach."""
        _, theirs = read_within(Notice, reach)
        rows = self._part(now, theirs) if theirs else self._session.rows(_backlog, at=now)
        waiting = dict.fromkeys((*WAITING, NoticeStatus.DEAD), 0)
        waiting |= {status: n for status, n, _ in rows if status is not None}
        return Backlog(waiting=waiting, due_since=next(s for status, _, s in rows if not status))

    def _part(self, now: datetime, theirs: list[sa.ColumnElement[bool]]) -> list[Any]:
        """Count as `_backlog` does, only what fulfils a condition."""
        c = notice.c
        left = (sa.select(c.status, sa.func.count(), sa.null())
                .where(c.status.in_([*WAITING, NoticeStatus.DEAD]), *theirs)
                .group_by(c.status))  # fmt: skip
        first = sa.select(sa.func.min(c.next_attempt_at)).where(
            c.status.in_(WAITING), c.next_attempt_at <= now, self._nobody_is_at(), *theirs
        )
        since = self._session.run(first).scalar_one()
        return [*self._session.run(left), (None, 0, since)]

    def preferences(self, employee_ids: Collection[int]) -> Mapping[int, NoticePreference]:
        """Read what some employees want to be told, as far as they said."""
        m = mapper(NoticePreference)
        c = notice_preference.c
        chosen = m.select().where(self._session.among(c.employee_id, sorted(employee_ids)))
        return {p.employee_id: p for p in m.records(self._session, self._session.run(chosen))}

    def cancel(self, about: str) -> int:
        """Cancel the notices about a record that were not sent yet, and count them."""
        return cancel(self._session, [about])

    def page(
        self, query: Query, status: NoticeStatus | None = None, reach: Reach | None = None
    ) -> Page[Notice]:
        """Read one page, the newest first, of those to people within the reach."""
        _, theirs = read_within(Notice, reach)
        statement = self._m.select().where(*theirs)
        if status is not None:
            statement = statement.where(notice.c.status == status)
        return paged(self._session, self._m, statement, query)

    def remove_old(
        self, before: datetime, now: datetime, *, after: int, limit: int
    ) -> tuple[int, int | None]:  # fmt: skip
        """Remove some old notices that were dealt with, going on by number.

        By number, since notices are written in the order of time: that needs no index of its own.
        """
        c = notice.c
        some = sa.select(c.id, c.created_at).where(c.id > after).order_by(c.id).limit(limit)
        seen = some.subquery()
        last, first_at = self._session.run(
            sa.select(sa.func.max(seen.c.id), sa.func.min(seen.c.created_at))
        ).one()
        # What seems to come from the future was written by a clock that ran ahead.
        if last is None or before <= first_at <= now:
            return 0, None
        old = sa.delete(notice).where(
            c.id > after, c.id <= last, c.created_at < before, c.status.in_(DEALT_WITH),
            sa.or_(c.expires_at.is_(None), c.expires_at < now),
            sa.or_(c.channel != INAPP, c.read_at.is_not(None)),
        )  # fmt: skip
        return int(self._session.run(old).rowcount), int(last)

    # -- messages in the program itself ---------------------------------------------------------

    def inbox(self, recipient_id: int, query: Query, *, unread_only: bool) -> Page[Notice]:
        """Read one page of somebody's messages in the program, the newest first."""
        statement = self._m.select().where(*_own(recipient_id, unread_only))
        return paged(self._session, self._m, statement, query)

    def unread(self, recipient_id: int) -> int:
        """Count somebody's messages in the program that were not read yet."""
        [(count,)] = self._session.rows(_unread, recipient=recipient_id)
        return int(count)

    def mark_read(self, recipient_id: int, ids: Sequence[int] | None, at: datetime) -> int:
        """Mark somebody's unread messages as read, these or all, and count them."""
        wanted = list(_own(recipient_id, True))
        if ids is not None:
            wanted.append(self._session.among(notice.c.id, [i for i in ids if record_number(i)]))
        done = self._session.run(sa.update(notice).where(*wanted).values(read_at=at))
        return int(done.rowcount)


def _unread(on_sqlite: bool) -> Any:
    own = _own(sa.bindparam("recipient", type_=sa.Integer), True)
    return sa.select(sa.func.count()).select_from(notice).where(*own)


def _own(recipient_id: Any, unread_only: bool) -> tuple[sa.ColumnElement[bool], ...]:
    """Give the conditions of somebody's messages.

    The channel is written out, so that the planner sees the condition of the partial indexes.
    """
    c = notice.c
    own = (c.channel == sa.literal_column(f"'{INAPP}'"), c.recipient_id == recipient_id)
    return (*own, c.read_at.is_(None)) if unread_only else own
