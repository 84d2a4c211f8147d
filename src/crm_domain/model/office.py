"""What the office keeps: messages to people, imports, and who changed what."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

from crm_domain.model.fields import (
    Choice,
    choice,
    clock,
    json,
    key,
    moment,
    number,
    record,
    reference,
    text,
    version,
)


class NoticeStatus(Choice):
    """Where a notice is on its way."""

    PENDING = "pending", "待发送", "pending"
    SENT = "sent", "已发送", "sent"
    FAILED = "failed", "待重试", "failed, will be tried again"
    DEAD = "dead", "发送失败", "dead"
    CANCELLED = "cancelled", "已取消", "cancelled"
    EXPIRED = "expired", "已过期", "no longer of use, so not sent"


class Event(Choice):
    """What people are told of."""

    ASSIGNED = "assigned", "新客户", "customer assigned"
    CLAIMED = "claimed", "抢单成功", "customer claimed"
    EXPIRING = "expiring", "即将到期", "expiring soon"
    EXPIRED = "expired", "已到期", "expired"
    TRANSFERRED = "transferred", "客户转移", "customer transferred"
    CONTACT_DUE = "contact_due", "待联系", "next contact due"
    PAYMENT_CONFIRMED = "payment_confirmed", "缴费已确认", "payment confirmed"
    IMPORT_FINISHED = "import_finished", "导入完成", "import finished"
    NOBODY = "nobody", "无人可分配", "nobody in the rotation"
    TEST = "test", "测试", "a test of a channel"


@record("notice", "通知", "Notice", plain=False, belongs=("recipient_id",))
class Notice:
    """A message to a member of staff, with its delivery state (the outbox)."""

    id: int | None = key(default=None)
    recipient_id: int = reference("收件人", "To", "Employee")
    subject: str = text("标题", "Subject", length=200)
    body: str = text("内容", "Body", length=4000)
    event: Event = choice("事件", "Event")
    about: str | None = text("相关记录", "About", length=60, default=None)
    """``customer:17``, ``import:3`` …"""
    channel: str = text("渠道", "Channel", length=30)
    status: NoticeStatus = choice("状态", "Status", default=NoticeStatus.PENDING)
    attempts: int = number("尝试次数", "Attempts", default=0)
    next_attempt_at: datetime | None = moment("下次尝试", "Next attempt", default=None)
    leased_until: datetime | None = moment("租约至", "Leased until", default=None)
    """Until when nobody else may send it, by the database's clock; None when nobody is at it."""
    fence: int = number("轮次", "Fence", default=0)
    """Counts the leases and is never set back, so that who lost one cannot end another's."""
    expires_at: datetime | None = moment("过期时间", "Expires", default=None)
    """From when it is of no use any more and is not sent; None is never."""
    provider_id: str | None = text("服务商编号", "Provider's id", length=120, default=None)
    error: str | None = text("错误", "Error", length=500, default=None)
    idempotency_key: str = text("幂等键", "Idempotency key", length=200, unique=True)
    created_at: datetime = moment("创建时间", "Created")
    sent_at: datetime | None = moment("发送时间", "Sent", default=None)
    read_at: datetime | None = moment("已读时间", "Read", default=None)
    """When the recipient read it; only of messages in the program itself."""
    subject_en: str | None = text("英文标题", "Subject in English", length=200, default=None)
    """None in what was written before English was; then the Chinese words are all there is."""
    body_en: str | None = text("英文内容", "Body in English", length=4000, default=None)


@record("notice_preference", "通知偏好", "Notice preference", plain=False)
class NoticePreference:
    """What an employee wants to be told, by which channels and at which times of day."""

    id: int | None = key(default=None)
    employee_id: int = reference("员工", "Employee", "Employee", unique=True)
    off: dict[str, tuple[str, ...]] = json("不接收的渠道", "Channels not wanted")
    """The channels that are not wanted, by the code of the event; all others are."""
    quiet_from: time | None = clock("免打扰开始", "Quiet from", default=None)
    """A time of day in the business time zone; later than the end, it spans midnight."""
    quiet_until: time | None = clock("免打扰结束", "Quiet until", default=None)
    version: int = version(default=1)


class HappeningKind(Choice):
    """What can happen with a customer."""

    FOLLOW_UP = "follow_up", "跟进", "follow-up"
    BEGUN = "begun", "接单", "assignment began"
    ENDED = "ended", "分配结束", "assignment ended"
    PAID = "paid", "登记缴费", "payment entered"
    SETTLED = "settled", "缴费审核", "payment confirmed or rejected"
    NOTICE = "notice", "通知", "notice"
    CHANGE = "change", "修改", "change"


class ImportStatus(Choice):
    """How far an import has come."""

    CHECKED = "checked", "已检查", "checked"
    RUNNING = "running", "进行中", "running"
    PAUSED = "paused", "已暂停", "paused"
    FAILED = "failed", "已停止", "stopped by an error"
    DONE = "done", "已完成", "done"
    REVERTED = "reverted", "已撤销", "reverted"


@record("import_run", "导入", "Import", plain=False)
class ImportRun:
    """One sheet on its way into the database."""

    id: int | None = key(default=None)
    file_name: str = text("文件名", "File", length=200)
    sha256: str = text("指纹", "Fingerprint", length=64)
    record: str = text("内容", "Of", length=20, default="Customer")
    """The kind of record that the rows are."""
    mode: str = text("分配方式", "Assigned by", length=20, default="rotation")
    consultant_id: int | None = reference("指定顾问", "Consultant", "Employee", default=None)
    status: ImportStatus = choice("状态", "Status", default=ImportStatus.CHECKED)
    next_row: int = number("下一行", "Next row", default=1)
    """The first row of the sheet that has not been dealt with."""
    last_row: int = number("末行", "Last row", default=0)
    data_rows: int = number("数据行", "Rows", default=0)
    blank_rows: int = number("空行", "Blank rows", default=0)
    accepted: int = number("已导入", "Accepted", default=0)
    refused: int = number("未导入", "Refused", default=0)
    """Rows that were not taken in, duplicates too; each has its problem."""
    warnings: tuple[str, ...] = json("警告", "Warnings", default=())
    by_id: int | None = reference("操作人", "By", "User", default=None)
    created_at: datetime = moment("创建时间", "Created")
    started_at: datetime | None = moment("启动时间", "Started", default=None)
    """When it was handed to the workers; None as long as only its maker runs it."""
    started_by_id: int | None = reference("启动人", "Started by", "User", default=None)
    """In whose name workers take rows in; None is the program itself."""
    error: dict[str, Any] | None = json("停止原因", "Stopped because", default=None)
    """Why it stopped by itself: ``code``, and what to tell people in ``zh`` and ``en``."""
    leased_until: datetime | None = moment("租约至", "Leased until", default=None)
    """Until when workers take it that somebody is at it, by the database's clock."""
    fence: int = number("轮次", "Fence", default=0)
    """Counts the workers that took it, so that one that lost its lease stops."""
    attempts: int = number("尝试次数", "Attempts", default=0)
    """How many workers took it since a batch was last ended."""
    finished_at: datetime | None = moment("完成时间", "Finished", default=None)


@record("import_problem", "导入问题", "Import problem", plain=False)
class ImportProblem:
    """Why one row of a sheet was not taken in."""

    id: int | None = key(default=None)
    import_id: int = reference("导入", "Import", "ImportRun")
    row: int = number("行号", "Row")
    column: str = text("列", "Column", length=60, default="")
    code: str = text("原因代码", "Code", length=40)
    message: str = text("原因", "Reason", length=300)
    value: str | None = text("原值", "Value", length=200, default=None)


@record(
    "audit_entry", "操作日志", "Audit entry", plain=False, belongs=("by_id.employee_id",)
)  # fmt: skip
class AuditEntry:
    """Who changed what; never changed itself."""

    id: int | None = key(default=None)
    at: datetime = moment("时间", "When")
    by_id: int | None = reference("操作人", "By", "User", default=None)
    acting_id: int | None = reference("实际操作人", "Really by", "User", default=None)
    """Who did it in the name of ``by_id``, where that was another."""
    action: str = text("操作", "Action", length=60)
    record: str = text("记录类型", "Record", length=60)
    record_id: int | None = number("记录编号", "Record no.", default=None)
    before: dict[str, Any] | None = json("修改前", "Before", default=None)
    after: dict[str, Any] | None = json("修改后", "After", default=None)
