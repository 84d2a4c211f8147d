"""What people were told, and what is still to be told; delivering it stands beside."""

from __future__ import annotations

import attrs

from crm_domain.errors import FieldError, Invalid, NotFound
from crm_domain.model import Event, Notice, NoticeStatus
from crm_domain.ports import Backlog, Crm, Page, Query
from crm_domain.rules.access import Principal
from crm_domain.usecases._common import audit, bad_channel, reach_of
from crm_domain.usecases.delivering import Delivery, Hold, deliver_due, due_channels, let_go

__all__ = [
    "Delivery", "Hold", "backlog", "deliver_due", "due_channels", "let_go", "list_notices",
    "resend", "resend_many",
]  # fmt: skip
RESENDABLE = (NoticeStatus.DEAD, NoticeStatus.FAILED)


def list_notices(
    crm: Crm, query: Query | None = None, *, status: NoticeStatus | None = None, by: Principal
) -> Page[Notice]:
    """Read one page of notices to people within one's reach; without ``notice:view`` one's own.

    Raises:
        Invalid: The query names what is not there, or there is no such status.
        NotPermitted: Without the permission and without an employee.
    """
    query = query or Query()
    if status is not None and not isinstance(status, NoticeStatus):
        raise Invalid([FieldError("status", "unknown_choice", status, f"没有状态“{status}”",
                                  f"there is no status {status}")])  # fmt: skip
    if not by.may("notice:view"):
        if by.employee_id is None:
            by.need("notice:view")
        query = attrs.evolve(query, where={**query.where, "recipient_id": by.employee_id})
    with crm.unit_of_work(read_only=True) as uow:
        return uow.notices.page(query, status, reach_of(by))


def resend(crm: Crm, notice_id: int, *, by: Principal) -> None:
    """Put a dead or failed notice to somebody within one's reach back to be sent at once.

    Raises:
        NotFound: There is no such notice within reach, or it needs no resending: it was sent, is
            being sent, or has expired.
        NotPermitted: Without ``notice:deliver``.
    """
    by.need("notice:deliver")
    with crm.unit_of_work() as uow:
        now = crm.now()
        lasts = crm.settings.lease_seconds
        if not uow.notices.resend(
            now, lasts, ids=[notice_id], statuses=RESENDABLE, reach=reach_of(by)
        ):
            raise NotFound(what="待重发的通知", id=notice_id)
        audit(uow, by, now, "resend", "Notice", notice_id, None, {"count": 1})
    crm.jobs.wake("deliver_due")


def resend_many(
    crm: Crm, *, status: NoticeStatus | None = NoticeStatus.DEAD, channel: str | None = None,
    event: Event | None = None, by: Principal,
) -> int:  # fmt: skip
    """Put all notices to people within one's reach back to be sent at once that were not sent.

    Args:
        crm: The CRM.
        status: Dead or failed ones; None is both.
        channel: Only those of this channel, which may be there no more; None is any.
        event: Only those of this event; None is any.
        by: Who asks; needs ``notice:deliver``.

    Returns:
        How many. Those that are being sent right now and those that have expired are left out.

    Raises:
        Invalid: With every problem: a status that cannot be sent again, no such event or channel.
        NotPermitted: Without the permission.
    """
    by.need("notice:deliver")
    _refuse_filter(status, channel, event)
    with crm.unit_of_work() as uow:
        now = crm.now()
        statuses = RESENDABLE if status is None else (status,)
        count = uow.notices.resend(
            now, crm.settings.lease_seconds, statuses=statuses, channel=channel, event=event,
            reach=reach_of(by),
        )  # fmt: skip
        what = {"status": status, "channel": channel, "event": event, "count": count}
        audit(uow, by, now, "resend", "Notice", None, None, what)
    if count:
        crm.jobs.wake("deliver_due")
    return count


def _refuse_filter(status: object, channel: object, event: object) -> None:
    problems: list[FieldError] = []
    if status is not None and status not in RESENDABLE:
        problems.append(FieldError("status", "unknown_choice", status, "只能重发失败或待重试的",
                                   "only dead or failed ones can be sent again"))  # fmt: skip
    problems += bad_channel(channel)
    if event is not None and not isinstance(event, Event):
        problems.append(FieldError("event", "unknown_choice", event, f"没有事件“{event}”",
                                   f"there is no event {event}"))  # fmt: skip
    if problems:
        raise Invalid(problems)


def backlog(crm: Crm, *, by: Principal) -> Backlog:
    """Count what stands in the outbox for people within one's reach and was not sent.

    Raises:
        NotPermitted: Without ``notice:view``.
    """
    by.need("notice:view")
    with crm.unit_of_work(read_only=True) as uow:
        return uow.notices.backlog(crm.now(), reach_of(by))
