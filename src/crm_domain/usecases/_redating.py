"""Dating customers anew after the pool rules changed: in batches that others pass between.

How far it has come stands in the database, with the day on which the rules changed. So whoever goes
on with it, in another process or after a crash, dates by the newest rules and as of that day.
"""

from __future__ import annotations

import time

from crm_domain.errors import DatabaseBusy
from crm_domain.ports import Crm
from crm_domain.rules.pool import dated, is_public
from crm_domain.usecases._common import Stopping, never, policy

BATCH = 1000
"""Customers that are dated in one transaction."""
PAUSE = 0.05
"""Seconds between two batches, in which whoever waits for the one writer of SQLite comes on."""
TRIES = 5


def finish_dating(crm: Crm, stopping: Stopping = never) -> int:
    """Date those who wait for it, and count the private ones who become public by it.

    Args:
        crm: The CRM.
        stopping: Whether to leave the rest to others after the batch under way.

    Raises:
        DatabaseBusy: Others held customers for long; the next sweep, or the next change of the
            rules, goes on from there.
    """
    became, done, busy = 0, False, 0
    while not done and not stopping():
        try:
            n, done = _date_batch(crm)
            became, busy = became + n, 0
        except DatabaseBusy:
            busy += 1
            if busy == TRIES:
                raise
        if not done:
            time.sleep(PAUSE)
    return became


def _date_batch(crm: Crm) -> tuple[int, bool]:
    with crm.unit_of_work() as uow:
        # They stand still until the end: no customer is dated by rules that another has replaced.
        rules = policy(crm, uow)
        dating = uow.turns.dating()
        if dating is None:
            return 0, True
        batch = uow.ownership.owned_after(dating.after, BATCH)
        # Who lost a customer at midnight has lost it, whether a sweep has run or not.
        pairs = [(c, c if is_public(c, dating.on) else dated(c, rules)) for c in batch]
        uow.ownership.redate(after for before, after in pairs if before != after)
        done = len(batch) < BATCH
        uow.turns.dated(dating, None if done else batch[-1].id)
        became = sum(is_public(b, dating.on) and not is_public(a, dating.on) for a, b in pairs)
        return became, done
