"""``crm notices``."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from crm_adapters.cli.customers import read_query
from crm_adapters.cli.language import in_chinese, say
from crm_adapters.cli.options import (
    acting_as,
    actor,
    as_json,
    how_many,
    names_of_employees,
    opened,
    page_mark,
)
from crm_adapters.cli.output import hint, line, local, plain, progress, table, write_json
from crm_domain.model import NoticeStatus
from crm_domain.rules.access import SYSTEM

Status = Literal["pending", "sent", "failed", "dead", "cancelled"]


@in_chinese("列出通知，最新的在前。")
def list_all(
    *,
    status: Annotated[
        Status | None, Parameter(help=say("只看这一状态", "only those of this status"))
    ] = None,
    limit: Annotated[int, how_many()] = 50,
    after: Annotated[str | None, page_mark()] = None,
    acting: Annotated[str | None, acting_as()] = None,
    json: Annotated[bool, as_json()] = False,
) -> None:
    """List notices, the newest first."""
    from crm_domain.usecases import notices

    query = read_query(None, (), limit, after)
    wanted = next((s for s in NoticeStatus if s.value == status), None)
    with opened() as crm:
        page = notices.list_notices(crm, query, status=wanted, by=actor(crm, acting))
        names, zone = names_of_employees(crm), crm.settings.zone
    if json:
        items = [plain(n) | {"recipient": names.get(n.recipient_id)} for n in page]
        write_json({"items": items, "next": page.next})
        return
    table(
        [say("编号", "No."), say("时间", "When"), say("收件人", "To"), say("事件", "Event"),
         say("标题", "Subject"), say("渠道", "Channel"), say("状态", "Status"),
         say("尝试", "Tries"), say("错误", "Error")],
        [(n.id, local(n.created_at, zone), names.get(n.recipient_id), n.event, n.subject,
          n.channel, n.status, n.attempts, n.error) for n in page],
        least=(8, 3, 5, 7),
    )  # fmt: skip
    if page.next:
        line(f"\n下一页：--after {page.next}", f"\nNext page: --after {page.next}")


@in_chinese("发送到期的通知。")
def deliver(*, json: Annotated[bool, as_json()] = False) -> None:
    """Deliver the notices that are due."""
    from crm_domain.usecases import notices

    with opened() as crm, progress("发送中", "delivering"):
        done = notices.deliver_due(crm, by=SYSTEM)
    if json:
        write_json(done)
        return
    line(f"已发送 {done.sent}，待重试 {done.failed}，失败 {done.dead}。",
         f"Sent {done.sent}, to be tried again {done.failed}, dead {done.dead}.")  # fmt: skip
    if done.dead:
        hint("查看失败的通知：crm notices list --status dead；重发：crm notices resend 编号",
             "See the dead ones: crm notices list --status dead; "
             "send again: crm notices resend NUMBER")  # fmt: skip


@in_chinese("把发送失败的通知放回待发送。")
def resend(
    number: Annotated[int, Parameter(help=say("通知编号", "the number of the notice"))],
    /, *,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Put a dead or failed notice back to be sent."""
    from crm_domain.usecases import notices

    with opened() as crm:
        notices.resend(crm, number, by=SYSTEM)
    if json:
        write_json({"id": number, "status": "pending"})
    else:
        line(f"通知 {number} 将重新发送：crm notices deliver",
             f"The notice {number} will be sent again: crm notices deliver")  # fmt: skip
