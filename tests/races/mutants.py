"""What the product would be without its guards: the race tests must notice each of these."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from crm_adapters.storage import outbox, ownership
from crm_adapters.storage.customers import SqlCustomers
from crm_adapters.storage.outbox import SqlNotices
from crm_adapters.storage.ownership import HOT, SqlOwnership
from crm_adapters.storage.session import Session
from crm_adapters.storage.tables import turn_cursor
from crm_adapters.storage.turns import SqlTurns
from crm_domain.errors import DeliveryFailed
from crm_domain.model import Customer, NoticeStatus
from crm_domain.model.fields import changed
from crm_domain.ports import NewAssignment
from crm_domain.rules import claims, notifying
from crm_domain.rules import pool as rules_pool
from crm_domain.rules.rotation import Cursor
from crm_domain.usecases import _dealing, _sending, delivering, notices


def _let_others_in(session: Session) -> None:
    """End the transaction in the middle, so that whatever was locked is locked no more."""
    session.connection.commit()
    if session.on_sqlite:
        driver: Any = session.connection.connection.driver_connection
        driver.execute("PRAGMA foreign_keys=OFF")
    time.sleep(random.uniform(0, 0.004))
    session.connection.begin()


def claims_are_checked_then_done() -> None:
    """Read without a lock, and let whoever checked win without a condition."""

    def lock_many(self: SqlCustomers, ids: Sequence[int]) -> tuple[Customer, ...]:
        found = tuple(c for i in sorted(set(ids)) if (c := self.get(i)) is not None)
        _let_others_in(self._session)
        return found

    def standing(self: SqlOwnership, id: int, employee_id: int, *, lock: bool) -> Any:
        found = real(self, id, employee_id, lock=False)
        if lock:
            _let_others_in(self._session)
        return found

    def win(self: SqlOwnership, new: NewAssignment, *_: Any) -> int:
        session = self._session
        [number] = session.next_ids(ownership.assignment, 1)
        one = new.customer
        row = ownership._assignment(new, number)
        session.insert(ownership.assignment, ownership._WRITTEN, [row])
        values = dict(zip(HOT, ownership._hot(one), strict=True)) | {"assignment_id": number}
        table = ownership.ownership
        session.run(sa.update(table).where(table.c.customer_id == one.id).values(values))
        return number

    real = SqlOwnership.standing
    SqlOwnership.standing = standing  # type: ignore[method-assign]
    SqlCustomers.lock_many = lock_many  # type: ignore[method-assign]
    SqlOwnership.win = win  # type: ignore[method-assign]


def turns_are_read_then_written() -> None:
    """Draw turns by reading where the rotation stands and writing where it stands next."""

    def advance(self: SqlTurns, n: int) -> Any:
        row = self._session.run(sa.select(turn_cursor)).one()
        _let_others_in(self._session)
        moved = sa.update(turn_cursor).values(position=row.position + n, cycle=row.cycle)
        self._session.run(moved)
        return Cursor(row.cycle, row.position), self._roster(row)

    SqlTurns.advance = advance  # type: ignore[method-assign]


def turns_commit_alone() -> None:
    """Draw the turn in a transaction of its own."""
    real = SqlTurns.advance

    def advance(self: SqlTurns, n: int) -> Any:
        drawn = real(self, n)
        self._session.connection.commit()
        self._session.connection.begin()
        return drawn

    SqlTurns.advance = advance  # type: ignore[method-assign]


def notices_come_after_the_commit() -> None:
    """Write the notices when the fact they tell is committed already."""
    real = SqlNotices.add

    def add(self: SqlNotices, notices: Any) -> int:
        self._session.connection.commit()
        self._session.connection.begin()
        return real(self, notices)

    SqlNotices.add = add  # type: ignore[method-assign]


def progress_commits_alone() -> None:
    """Write how far an import has come only after its rows are committed."""
    from crm_adapters.storage.imports import SqlImports

    real = SqlImports.save

    def save(self: SqlImports, run: Any) -> None:
        self._session.connection.commit()
        self._session.connection.begin()
        real(self, run)

    SqlImports.save = save  # type: ignore[method-assign]


def progress_commits_first() -> None:
    """Write how far an import has come, and commit that, before its rows are dealt."""
    from crm_adapters.storage.imports import SqlImports

    real = SqlImports.save

    def save(self: SqlImports, run: Any) -> None:
        real(self, run)
        self._session.connection.commit()
        self._session.connection.begin()

    SqlImports.save = save  # type: ignore[method-assign]


class Switch:
    """Whether the next save fails."""

    on = False


def spoil_notices(error: Callable[[], BaseException]) -> Switch:
    """Let saves fail at their last statement, while the switch is on."""
    switch, real = Switch(), SqlNotices.add

    def add(self: SqlNotices, notices: Any) -> int:
        if switch.on:
            raise error()
        return real(self, notices)

    SqlNotices.add = add  # type: ignore[method-assign]
    return switch


# -- mistakes in the rules, for the state machine -----------------------------------------------


def last_consultants_may_claim(patch: pytest.MonkeyPatch) -> None:
    """Forget that whoever let a customer go may not claim it."""
    without = tuple(r for r in claims.REFUSALS if r.__name__ != "_last_consultant")
    patch.setattr(claims, "REFUSALS", without)


def a_day_too_long(patch: pytest.MonkeyPatch) -> None:
    """Count the day on which the limit ends twice."""
    patch.setattr(
        rules_pool.Calendar, "after", lambda _, start, days, __: start + timedelta(days + 2)
    )


def the_absent_are_dealt_to(patch: pytest.MonkeyPatch) -> None:
    """Ask nobody whether they are there."""
    patch.setattr(_dealing, "absence", lambda *_: None)


# -- delivery without its guards ------------------------------------------------------------------


def _failing(patch: pytest.MonkeyPatch, change: Callable[..., Any]) -> None:
    """Change what becomes of a notice that could not be sent."""
    real = notifying.failed

    def failed(
        notice: Any, error: Any, now: Any, *, most: int, first_wait: Any, jitter: float
    ) -> Any:
        return change(partial(real, jitter=jitter), notice, error, now, most, first_wait)

    patch.setattr(_sending, "failed", failed)


def nothing_is_given_up(patch: pytest.MonkeyPatch) -> None:
    """Try for ever what fails in passing."""
    _failing(patch, lambda real, n, e, now, most, wait: real(n, e, now, most=9999, first_wait=wait))
    patch.setattr(delivering, "ruled_out", lambda *_, **__: None)


def refusals_are_tried_again(patch: pytest.MonkeyPatch) -> None:
    """Take a permanent failure for a passing one."""

    def change(real: Any, n: Any, e: DeliveryFailed, now: Any, most: int, wait: Any) -> Any:
        passing = DeliveryFailed(e.facts["reason"], retry_after=e.retry_after)
        return real(n, passing, now, most=most, first_wait=wait)

    _failing(patch, change)


def a_failure_is_the_end(patch: pytest.MonkeyPatch) -> None:
    """Give up at the first failure."""
    _failing(patch, lambda real, n, e, now, most, wait: real(n, e, now, most=1, first_wait=wait))


def providers_are_not_heard(patch: pytest.MonkeyPatch) -> None:
    """Come back sooner than the provider asked."""

    def change(real: Any, n: Any, e: DeliveryFailed, now: Any, most: int, wait: Any) -> Any:
        deaf = DeliveryFailed(e.facts["reason"], permanent=e.permanent)
        return real(n, deaf, now, most=most, first_wait=wait)

    _failing(patch, change)


def failures_count_as_sent(patch: pytest.MonkeyPatch) -> None:
    """Write that it was sent, whatever the provider says."""

    def change(_: Any, n: Any, __: Any, now: Any, ___: int, ____: Any) -> Any:
        return changed(n, status=NoticeStatus.SENT, sent_at=now)

    _failing(patch, change)


def a_channel_holds_up_all(patch: pytest.MonkeyPatch) -> None:
    """Stop at the first failure, whoever waits behind it."""
    real = delivering._outcome

    def outcome(*given: Any) -> Any:
        after = real(*given)
        if after.status is NoticeStatus.FAILED:
            raise KeyboardInterrupt
        return after

    def deliver(*given: Any, **options: Any) -> Any:
        try:
            return whole(*given, **options)
        except KeyboardInterrupt:
            return None

    whole = notices.deliver_due
    patch.setattr(delivering, "_outcome", outcome)
    patch.setattr(notices, "deliver_due", deliver)


def nobody_is_suspected(patch: pytest.MonkeyPatch) -> None:
    """Count attempts and never look at them unless somebody lives to tell how they went."""
    patch.setattr(notifying, "is_suspect", lambda *_: False)
    patch.setattr(delivering, "suspects", lambda *_: ())


def suspects_are_not_alone(patch: pytest.MonkeyPatch) -> None:
    """Give up what was tried too often, together with all that happened to be at hand."""
    patch.setattr(delivering, "suspects", lambda *_: ())


def leases_keep_nobody_away() -> None:
    """Take what is due, whoever else is at it: every lease is over."""
    real = outbox.words

    def words(on_sqlite: bool) -> Any:
        endless = "9000000000000000000" if on_sqlite else "CAST('infinity' AS TIMESTAMPTZ)"
        return {**real(on_sqlite), "now": endless}

    outbox.words = words


def sent_is_written_before_it_is_sent() -> None:
    """Write that a notice was sent when it is taken, and send it afterwards."""
    real = SqlNotices.lease

    def lease(self: SqlNotices, *given: Any) -> Any:
        found = real(self, *given)
        self.settle([changed(n, status=NoticeStatus.SENT, sent_at=n.created_at) for n in found])
        return found

    SqlNotices.lease = lease  # type: ignore[method-assign]
