"""What the office keeps: the audit log, and the notices on their way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crm_domain.model import RECORDS, AuditEntry, Notice, NoticeStatus, about
from crm_domain.ports import Crm, Page, Query
from crm_domain.rules.access import Principal
from crm_domain.usecases import audit_log, notices
from crm_web.actions import one_by_one
from crm_web.changes import LogLine, lines_of, said_changes
from crm_web.context import Context
from crm_web.look import CHANNELS, Look
from crm_web.resource import Action, Column, Filter, Labels, Outcome, Resource, column, narrowing

ACTIONS: Mapping[str, Labels] = {
    "create": ("新建", "create"), "update": ("修改", "change"), "remove": ("删除", "remove"),
    "assign": ("分配", "assign"), "claim": ("抢单", "claim"), "release": ("退回公海", "give back"),
    "transfer": ("转移", "move"), "take_back": ("撤回转移", "move back"),
    "lock": ("锁定", "lock"), "unlock": ("解锁", "unlock"),
    "import": ("导入", "import"), "revert_import": ("撤销导入", "revert an import"),
    "export": ("导出", "export"), "arrange": ("调整菜单", "arrange"),
    "set_password": ("设置密码", "set a password"),
    "change_password": ("修改密码", "change the password"),
    "issue_reset": ("发出密码链接", "issue a password link"),
    "redeem_reset": ("通过链接设置密码", "choose a password by a link"),
    "end_session": ("结束登录", "end a session"), "end_sessions": ("结束全部登录", "end sessions"),
    "reset_rotation": ("重置轮转", "reset the rotation"),
    "set_rotation": ("设置轮转", "set the rotation"),
    "set_pool_rules": ("设置公海规则", "set the pool's rules"),
    "pause_import": ("暂停导入", "pause an import"),
    "resume_import": ("继续导入", "resume an import"),
    "stop_import": ("停止导入", "stop an import"),
    "set_preferences": ("设置通知", "set notifications"),
    "run_job": ("运行任务", "run a job"), "resend": ("重发", "send again"),
    "follow_up": ("跟进", "follow up"), "sweep": ("每日回收", "sweep the pool"),
    "check_import": ("检查导入", "check an import"),
    "act_as": ("代登录", "log in as"), "act_end": ("结束代登录", "back to oneself"),
    "confirm": ("确认", "confirm"), "reject": ("驳回", "reject"),
}  # fmt: skip
"""What the log's actions are called; one that is not here is shown by its code."""


def list_log(crm: Crm, query: Query, by: Principal) -> Page[LogLine]:
    """Give one page of the log."""
    page = audit_log.list_entries(crm, query, by=by)
    return Page(next=page.next, items=lines_of(crm, page.items, by))


def _resend(c: Context, ids: Sequence[int], values: Mapping[str, str]) -> Outcome:
    return one_by_one(c, ids, lambda n: notices.resend(c.crm, n, by=c.by),
                      ("已重新排队 {n} 条通知。", "{n} notices are queued again."))  # fmt: skip


def _doer(row: Any, look: Look) -> str:
    """Say who did it, and who really did where that was another."""
    named = row.by_name or look.context.t("系统", "the program")
    if not row.acting_name:
        return str(named)
    return look.context.t("{who}（由 {acting} 代为操作）", "{who} (really {acting})").format(
        who=named, acting=row.acting_name
    )


AUDIT = Resource(
    name="audit", record=AuditEntry, words=("操作日志", "Audit log"), icon="history",
    needs="audit:view", rows=list_log,
    tally=lambda crm, query, names, by: audit_log.tally_entries(crm, query, names, by=by),
    columns=(
        column(AuditEntry, "at"),
        Column(name="by_name", words=("操作人", "By"), kind="text",
               say=_doer),
        Column(name="action", words=("操作", "Action"), kind="text",
               say=lambda row, look: look.context.t(*ACTIONS.get(row.action, (row.action,) * 2))),
        Column(name="record", words=("记录类型", "Record"), kind="text",
               say=lambda row, look: look.record(row.record)),
        Column(name="record_id", words=("编号", "No."), kind="number"),
        Column(name="changes", words=("修改内容", "Changes"), kind="changes",
               say=lambda row, look: "\n".join(f"{n}: {a} → {b}"
                                               for n, a, b in said_changes(look, row))),
    ),
    filters=(
        Filter(name="record", words=("记录类型", "Record"), kind="text",
               choices=tuple((n, (about(r).zh, about(r).en)) for n, r in RECORDS.items())),
        Filter(name="action", words=("操作", "Action"), kind="text",
               choices=tuple(ACTIONS.items())),
        narrowing(AuditEntry, "by_id"), narrowing(AuditEntry, "at"),
        Filter(name="record_id", words=("编号", "No."), kind="exact"),
    ),
    uncounted=("record_id",), export="audit:view",
)  # fmt: skip

NOTICES = Resource(
    name="notices", record=Notice, words=("通知记录", "Notices"), icon="send",
    needs="notice:view", rows=lambda crm, query, by: notices.list_notices(crm, query, by=by),
    columns=(
        column(Notice, "created_at"), column(Notice, "recipient_id", sort=False),
        column(Notice, "subject", sort=False, say=lambda row, look: look.localized(row).subject),
        column(Notice, "event"),
        column(Notice, "channel", say=lambda row, look: look.channel(row.channel)),
        column(Notice, "status", kind="badge"),
        column(Notice, "attempts"), column(Notice, "error", sort=False),
        column(Notice, "next_attempt_at", shown=False), column(Notice, "sent_at", shown=False),
        column(Notice, "provider_id", shown=False, sort=False),
        column(Notice, "about", shown=False, sort=False),
        column(Notice, "body", shown=False, sort=False,
               say=lambda row, look: look.localized(row).body),
    ),
    filters=(
        narrowing(Notice, "status"), narrowing(Notice, "event"),
        Filter(name="channel", words=("渠道", "Channel"), kind="choice",
               choices=tuple(CHANNELS.items())),
        narrowing(Notice, "recipient_id"), narrowing(Notice, "created_at"),
    ),
    export="notice:view", called=("recipient_id", "subject"),
    actions=(
        Action(
            name="resend", words=("重发", "Send again"), icon="refresh", needs="notice:deliver",
            run=_resend,
            fits=lambda row, c: row.status in (NoticeStatus.DEAD, NoticeStatus.FAILED),
            hint=("失败的通知将立即重新发送。", "What failed is sent again at once."),
        ),
    ),
)  # fmt: skip

RESOURCES = (AUDIT, NOTICES)
