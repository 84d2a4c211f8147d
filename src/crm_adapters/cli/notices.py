"""``crm notices``."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Literal

from cyclopts import Parameter

from crm_adapters.cli.customers import read_query
from crm_adapters.cli.failures import Refused
from crm_adapters.cli.language import in_chinese, language, say
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
from crm_domain.errors import NotFound
from crm_domain.model import Event, NoticeStatus
from crm_domain.parsing import Unreadable, choice_value
from crm_domain.ports import Crm
from crm_domain.rules.access import SYSTEM
from crm_domain.rules.wording import counted, in_language

Status = Literal["pending", "sent", "failed", "dead", "cancelled", "expired"]


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
        [(n.id, local(n.created_at, zone), names.get(n.recipient_id), n.event,
          in_language(n, language()).subject, n.channel, n.status, n.attempts, n.error)
         for n in page],
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
    line(f"已发送 {done.sent}，待重试 {done.failed}，失败 {done.dead}，"
         f"已过期 {done.expired}，不接收 {done.cancelled}。",
         f"Sent {done.sent}, to be tried again {done.failed}, dead {done.dead}, "
         f"expired {done.expired}, not wanted {done.cancelled}.")  # fmt: skip
    if done.dead:
        hint("查看失败的通知：crm notices list --status dead；重发：crm notices resend --dead",
             "See the dead ones: crm notices list --status dead; "
             "send again: crm notices resend --dead")  # fmt: skip


@in_chinese("把发送失败的通知放回待发送：一条，或某个渠道、某个事件的全部。")
def resend(
    number: Annotated[
        int | None, Parameter(help=say("通知编号", "the number of the notice"))
    ] = None,
    /, *,
    dead: Annotated[
        bool, Parameter(negative="", help=say("全部发送失败的", "all that are dead"))
    ] = False,
    every: Annotated[
        bool, Parameter(name="--all", negative="",
                        help=say("全部发送失败的和待重试的", "all that are dead or failed"))
    ] = False,
    channel: Annotated[
        str | None, Parameter(help=say("只重发这个渠道的", "only those of this channel"))
    ] = None,
    event: Annotated[
        str | None, Parameter(help=say("只重发这个事件的，如 assigned",
                                       "only those of this event, such as assigned"))
    ] = None,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Put dead or failed notices back to be sent: one, or all of a channel or an event."""
    from crm_domain.usecases import notices

    if (number is not None) + dead + every != 1:
        raise Refused("须给出通知编号、--dead 或 --all 之一。",
                      "give the number of a notice, --dead or --all.", code="usage")  # fmt: skip
    if number is not None and (channel or event):
        raise Refused("--channel 和 --event 只与 --dead 或 --all 同用。",
                      "--channel and --event go with --dead or --all.", code="usage")  # fmt: skip
    if channel is not None and not channel.strip():
        raise Refused("--channel 后须为渠道名。", "--channel takes the name of a channel.",
                      code="usage")  # fmt: skip
    with opened() as crm:
        if number is not None:
            _resend_one(crm, number)
        else:
            count = notices.resend_many(
                crm, status=NoticeStatus.DEAD if dead else None, channel=channel,
                event=_event(event), by=SYSTEM,
            )  # fmt: skip
    if json:
        write_json({"id": number, "status": "pending"} if number is not None else {"count": count})
    elif number is not None:
        line(f"通知 {number} 将重新发送：crm notices deliver",
             f"The notice {number} will be sent again: crm notices deliver")  # fmt: skip
    elif count:
        line(f"{count} 条通知将重新发送：crm notices deliver",
             f"{counted(count, 'notice')} will be sent again: crm notices deliver")  # fmt: skip
    else:
        line("没有可重发的通知。", "There is no notice to be sent again.")


def _resend_one(crm: Crm, number: int) -> None:
    """Put one notice back, or say why it may not be: the operator may see them all."""
    from crm_domain.usecases import notices

    try:
        notices.resend(crm, number, by=SYSTEM)
    except NotFound as e:
        raise Refused(
            f"没有可重发的通知 {number}：不存在，或已发送、正在发送、已过期、未曾失败。"
            "查看失败的：crm notices list --status dead",
            f"there is no notice {number} to be sent again: it does not exist, was sent, is being "
            "sent, has expired or did not fail. See the dead ones: crm notices list --status dead",
            code="not_found",
        ) from e


def _event(word: str | None) -> Event | None:
    """Read an event by its code or label."""
    if word is None:
        return None
    found = None
    with suppress(Unreadable):
        found = choice_value(Event, word)
    if found is None:
        codes = say("、", ", ").join(member.value for member in Event)
        raise Refused(f"没有事件“{word}”；可选：{codes}。",
                      f"there is no event {word!r}; there are: {codes}.",
                      code="usage")  # fmt: skip
    return found  # type: ignore[return-value]
