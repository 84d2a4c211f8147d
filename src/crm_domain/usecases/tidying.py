"""Removing what nobody needs any more, in small transactions; work goes on beside it."""

from __future__ import annotations

from datetime import timedelta

from crm_domain.ports import Crm
from crm_domain.rules.access import Principal
from crm_domain.usecases._common import earlier_now

NOTICES = 5000
"""Notices that are looked at in one transaction."""
FILES = 20
"""Files of imports that are removed in one; each may have many megabytes."""


def remove_notices(crm: Crm, *, by: Principal) -> int:
    """Remove old notices that were sent, have expired or were not wanted.

    Messages in the program that nobody has read yet are kept, and so is what is still to be sent or
    was given up. The log of changes and the history of customers tell what had happened.

    Args:
        crm: The CRM; its setting ``keep_notices_days`` says how long they are kept, 0 for ever.
        by: Who asks; needs ``job:run``.

    Returns:
        How many were removed.

    Raises:
        NotPermitted: Without the permission.
    """
    by.need("job:run")
    days = crm.settings.keep_notices_days
    # One that is fast would remove what nobody brings back.
    now, removed = earlier_now(crm), 0
    before = now - timedelta(days=days)
    place: int | None = 0 if days else None
    while place is not None:
        with crm.unit_of_work() as uow:
            some, place = uow.notices.remove_old(before, now, after=place, limit=NOTICES)
        removed += some
    return removed


def remove_files(crm: Crm, *, by: Principal) -> int:
    """Remove the files of imports that ended long ago, or were checked then and never begun.

    The report stays, with the reason of each row, and so does all that reverting needs; only the
    workbook of rejected rows cannot be made any more. One that was only checked must be brought
    anew to be run; one that stands still in the middle keeps its file.

    Args:
        crm: The CRM; its setting ``keep_files_days`` says how long they are kept, 0 for ever.
        by: Who asks; needs ``job:run``.

    Returns:
        How many were removed.

    Raises:
        NotPermitted: Without the permission.
    """
    by.need("job:run")
    days = crm.settings.keep_files_days
    before, removed = earlier_now(crm) - timedelta(days=days), 0
    more = days > 0
    while more:
        with crm.unit_of_work() as uow:
            some = uow.imports.remove_files(before, FILES)
        removed += some
        more = some == FILES
    return removed
