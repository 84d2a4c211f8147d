"""Writing what became of messages, so that none that was sent goes out again."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from crm_domain.errors import DatabaseBusy
from crm_domain.model import Notice, NoticeStatus
from crm_domain.model.fields import changed
from crm_domain.ports import Crm

log = logging.getLogger(__name__)
AWAY = 5.0
"""Seconds that are waited for the database at least, before outcomes are given up."""


def settled(crm: Crm, done: Sequence[Notice], until: float) -> frozenset[int]:
    """Write what became of leased notices, and give the numbers of those that were still ours.

    If they cannot be written together, they are written one by one: one must not be the reason
    that the others, which were sent, go out again. The one itself does not go out again either.
    Where not even that can be written, the error comes up, when all others are: whoever cannot
    write what became of messages must send no more.
    """
    try:
        return patiently(crm, done, until)
    except DatabaseBusy:
        raise
    except Exception:
        log.exception("what became of %d notices could not be written together", len(done))
    found: set[int] = set()
    broken: Exception | None = None
    for one in done:
        try:
            found |= _settled_plainly(crm, one, until)
        except DatabaseBusy:
            raise
        except Exception as e:
            broken = broken or e
    if broken is not None:
        raise broken
    return frozenset(found)


def _settled_plainly(crm: Crm, one: Notice, until: float) -> frozenset[int]:
    """Write what became of one notice, without what its channel said if that is what is wrong."""
    try:
        return patiently(crm, [one], until)
    except DatabaseBusy:
        raise
    except Exception:
        log.exception("what became of the notice %s could not be written", one.id)
    was_sent = one.status is NoticeStatus.SENT
    plain = changed(
        one, status=NoticeStatus.SENT if was_sent else NoticeStatus.DEAD,
        error=None if was_sent else "the answer of its channel cannot be kept",
        provider_id=None, next_attempt_at=None,
    )  # fmt: skip
    return patiently(crm, [plain], until)


def patiently(crm: Crm, done: Sequence[Notice], until: float) -> frozenset[int]:
    """Settle notices, and try again while the database is away: what was sent would go out again.

    Settling twice changes nothing, so it may be tried as long as the leases last, and a little
    longer, for what was sent is believed from whoever held it last.
    """
    until = max(until, time.monotonic() + AWAY)
    pause = 0.05
    while True:
        try:
            with crm.unit_of_work() as uow:
                return uow.notices.settle(done)
        except DatabaseBusy:
            if time.monotonic() + pause >= until:
                raise
            log.warning("outcomes are not written yet: the database is away")
        time.sleep(pause)
        pause = min(2 * pause, 2.0)
