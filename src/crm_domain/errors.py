"""Every refusal by name.

An error is a fact in the past tense. Its docstring is the English message and ``zh`` the Chinese
one, both templates over the keyword arguments that the error was raised with; what a caller must
decide on is an attribute.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, ClassVar, Literal

import attrs

Language = Literal["zh", "en"]


@attrs.frozen
class FieldError:
    """One problem with one value: which field, what kind, and what was typed."""

    path: str
    """The field's name (``phone``), or ``""`` when the problem is the whole record's."""
    code: str
    """A stable code: ``missing``, ``bad_phone``, ``unknown_choice``, ``no_contact`` …"""
    value: Any = None
    """What was typed, as it was typed."""
    zh: str = ""
    en: str = ""

    def message(self, language: Language = "zh") -> str:
        """Say the problem to a person."""
        return self.zh if language == "zh" else self.en


class CrmError(Exception):
    """Something was refused."""

    zh: ClassVar[str] = "操作被拒绝。"
    code: ClassVar[str] = "refused"

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        super().__init__(self.message("en"))

    def __getattr__(self, name: str) -> Any:
        """Let a fact be read as an attribute, as in ``error.by_name``."""
        facts: dict[str, Any] = self.__dict__.get("facts", {})
        if name in facts:
            return facts[name]
        raise AttributeError(name)

    def __reduce__(self) -> Any:
        return (_rebuild, (type(self), self.facts))

    def message(self, language: Language = "zh") -> str:
        """Say to a person what happened and what to do."""
        template = self.zh if language == "zh" else self.__doc__ or ""
        facts = {name: _said(name, fact, language) for name, fact in self.facts.items()}
        return " ".join(template.strip().split("\n\n")[0].format(**facts).split())


TERMS: dict[str, str] = {
    "引用的记录": "record that is referred to",
    "待审核的缴费记录": "payment that waits for confirmation",
    "待重发的通知": "notice that failed and could be sent again",
    "联系方式": "contact",
    "轮转": "rotation plan",
}
"""What records and fields are called in English, by their Chinese name; the records fill it.

Errors name records and fields in Chinese, as the staff does; both names are declared once. Those
above are names of no record or field.
"""


def _said(name: str, fact: Any, language: Language) -> Any:
    """Say a fact in the language of the message: a choice by its label, a record by its name."""
    label = getattr(fact, "label", None)
    if isinstance(fact, Enum) and callable(label):
        return label(language)
    return _english(fact) if language == "en" and name in ("what", "field") else fact


def _english(words: Any) -> str:
    return ", ".join(TERMS.get(w, w) for w in str(words).split("、"))


def _rebuild(cls: type[CrmError], facts: dict[str, Any]) -> CrmError:
    return cls(**facts)


class NotPermitted(CrmError):
    """This needs the permission {permission}, which you do not have."""

    zh = "没有权限：此操作需要“{permission}”。"
    code = "not_permitted"


class NoEmployee(NotPermitted):
    """Your account belongs to no employee, so it has neither messages nor wishes of its own."""

    zh = "您的账号没有对应的员工，没有自己的消息和通知设置。"
    code = "no_employee"


class ScopeTooWide(NotPermitted):
    """Nobody gives or changes rights that reach further ({scope_en}) than their own."""

    zh = "不能授予或改动范围大于自己的权限（{scope_zh}）。"
    code = "scope_too_wide"


class TooManyRows(CrmError):
    """An .xlsx holds {most} rows, and these are more. Filter further, or export them as .csv."""

    zh = "xlsx 文件最多 {most} 行，符合条件的超出了。请进一步筛选，或导出为 csv。"
    code = "too_many_rows"


class ExportsRunning(CrmError):
    """Other exports are running; try again in a minute."""

    zh = "其他导出正在进行，请一分钟后再试。"
    code = "exports_running"
    retry_after = 60


class LastAdministrator(CrmError):
    """Nobody would be left who manages all users and roles, so nothing was changed.
    Give these rights to somebody else first."""

    zh = "这样就没有人能管理全部用户和角色了，没有改动任何数据。请先把这些权限交给他人。"
    code = "last_administrator"


class NotFound(CrmError):
    """There is no such {what} ({id}), or it is not yours to see."""

    zh = "找不到该{what}（{id}），或您无权查看。"
    code = "not_found"


class NotOwner(CrmError):
    """This customer is not yours now, so nothing was recorded."""

    zh = "该客户现在不归您所有，没有记录任何内容。"
    code = "not_owner"


class SignInRefused(CrmError):
    """The username or the password is not right."""

    zh = "用户名或密码不正确。"
    code = "sign_in_refused"


class TooManyAttempts(CrmError):
    """Too many attempts failed; the next one is possible in {retry_after} seconds."""

    zh = "失败次数过多，请在 {retry_after} 秒后再试。"
    code = "too_many_attempts"


class AskedTooOften(TooManyAttempts):
    """Too many contacts were asked for; ask again in {retry_after} seconds, or ask a manager."""

    zh = "查询的联系方式过多，请在 {retry_after} 秒后再试，或请主管处理。"
    code = "asked_too_often"


class SignedOut(CrmError):
    """You are not signed in, or no longer. Sign in again."""

    zh = "您尚未登录，或登录已失效，请重新登录。"
    code = "signed_out"


class ActingForAnother(CrmError):
    """This is left to {person}: you are acting in their name. Go back to your own session first."""

    zh = "您正在代 {person} 操作，此项只能由本人进行。请先回到自己的登录。"
    code = "acting_for_another"


class NotActing(CrmError):
    """You act in your own name already."""

    zh = "您现在就是以自己的身份操作。"
    code = "not_acting"


class LinkNotValid(CrmError):
    """This link was used, has run out or was replaced by a newer one. Ask for a new one."""

    zh = "该链接已使用、已过期或已被新的链接取代，请重新索取。"
    code = "link_not_valid"


class Invalid(CrmError):
    """The input was not accepted: {summary}"""

    zh = "输入有误：{summary}"
    code = "invalid"

    def __init__(self, problems: Sequence[FieldError]) -> None:
        self.problems = tuple(problems)
        super().__init__(summary="; ".join(p.message("en") for p in problems))

    def __reduce__(self) -> Any:
        return (Invalid, (self.problems,))

    def message(self, language: Language = "zh") -> str:
        """List all the problems in one sentence each."""
        joint = "；" if language == "zh" else "; "
        text = joint.join(p.message(language) for p in self.problems)
        return f"输入有误：{text}" if language == "zh" else f"The input was not accepted: {text}"


class Duplicate(CrmError):
    """Another {what} already has this {field}: {value}."""

    zh = "已有{what}使用该{field}：{value}。"
    code = "duplicate"


class AlreadySent(CrmError):
    """This form was sent before and made {what} no. {id}. It says something else now, which was
    not entered."""

    zh = "此表单之前已提交，已登记为{what}（编号 {id}）；现在的内容与当时不同，未再登记。"
    code = "already_sent"


class EditConflict(CrmError):
    """Somebody changed this {what} since you read it (version {seen}, now {version}).
    Read it again, then repeat your change."""

    zh = "该{what}已被他人修改（您看到的是第 {seen} 版，现为第 {version} 版）。请重新读取后再改。"
    code = "edit_conflict"


class GuardedField(CrmError):
    """{field} changes only through its own operation, not by editing the record."""

    zh = "“{field}”只能通过专门的操作修改，不能直接编辑。"
    code = "guarded_field"


class InUse(CrmError):
    """This {what} is still referred to by other records, so it was not removed."""

    zh = "仍有其他记录引用该{what}，未能删除。"
    code = "in_use"


class BuiltIn(CrmError):
    """This {what} is built in, so it was not removed."""

    zh = "该{what}是系统自带的，不能删除。"
    code = "built_in"


class ClaimRefused(CrmError):
    """The claim was refused: {reason_en}"""

    zh = "抢单被拒绝：{reason_zh}"
    code = "claim_refused"

    def __init__(self, reason: str, reason_zh: str, reason_en: str, **facts: Any) -> None:
        super().__init__(reason=reason, reason_zh=reason_zh, reason_en=reason_en, **facts)


class AlreadyClaimed(ClaimRefused):
    """Too late: {by_name} got this customer at {at:%Y-%m-%d %H:%M}."""

    zh = "来晚了：该客户已于 {at:%Y-%m-%d %H:%M} 归 {by_name} 所有。"
    code = "already_claimed"

    def __init__(self, **facts: Any) -> None:
        super().__init__(
            **{"reason": "already_claimed", "reason_zh": "已被抢走", "reason_en": "too late"}
            | facts
        )


class NotAssignable(CrmError):
    """This customer cannot be given to that consultant: {reason_en}"""

    zh = "不能把该客户分配给这位顾问：{reason_zh}"
    code = "not_assignable"


class NotLocked(CrmError):
    """The customer {id} is not locked."""

    zh = "该客户（{id}）没有锁定。"
    code = "not_locked"


class NotReceiving(NotAssignable):
    """{who} can be given no customers: {reason_en}"""

    zh = "{who} 不能接收客户：{reason_zh}"
    code = "not_receiving"


class NotTakenBack(CrmError):
    """This cannot be taken back any more: {reason_en}"""

    zh = "不能撤回：{reason_zh}"
    code = "not_taken_back"


class CustomerLocked(CrmError):
    """The customer {id} is locked and stays where it is; unlock it first."""

    zh = "客户 {id} 已锁定，保持不变；请先解除锁定。"
    code = "customer_locked"


class BadPlan(CrmError):
    """The rotation plan was not accepted: {reason_en}"""

    zh = "轮转方案无效：{reason_zh}"
    code = "bad_plan"


class SweepStopped(CrmError):
    """The sweep stopped: {reason_en} Look, then confirm it by hand."""

    zh = "回收已停止：{reason_zh}请核实后手动确认。"
    code = "sweep_stopped"


class UnreadableSheet(CrmError):
    """The file {file} could not be read as a sheet: {reason_en}"""

    zh = "无法读取表格文件 {file}：{reason_zh}"
    code = "unreadable_sheet"

    @property
    def passing(self) -> bool:
        """Whether a machine with less to do may read the very same file."""
        return bool(self.facts.get("reason") == "too_heavy")


class NoHeader(CrmError):
    """No row with the column headings was found in {file}; at least 姓名 and one of 手机, QQ,
    微信 are needed. `crm import template` writes a sheet to start from."""

    zh = (
        "在 {file} 中找不到表头；至少需要“姓名”和“手机、QQ、微信”之一。"
        "crm import template 可生成空白模板。"
    )
    code = "no_header"


class NotRevertible(CrmError):
    """The import {id} cannot be reverted: {reason_en}"""

    zh = "导入 {id} 不能撤销：{reason_zh}"
    code = "not_revertible"


class FileRemoved(CrmError):
    """The file of the import {id} is kept no more (CRM_KEEP_FILES_DAYS), only what it took in."""

    zh = "导入 {id} 的文件已过保存期（CRM_KEEP_FILES_DAYS），不再保存；只保留其导入结果。"
    code = "file_removed"


class ImportBusy(CrmError):
    """The import {id} is {status}; this step is not possible now. {todo_en}"""

    zh = "导入 {id} 当前状态为“{status}”，不能执行此步骤。{todo_zh}"
    code = "import_busy"


class RightsWithdrawn(CrmError):
    """{name} started the import {id} and may not go on with it now: {reason_en} Whoever may import
    can resume it, and does so in their own name."""

    zh = "导入 {id} 由 {name} 启动，但其现在无权继续：{reason_zh}有权限的人可以用自己的名义继续。"
    code = "rights_withdrawn"


class SheetChanged(CrmError):
    """The file of the import {id} is read otherwise than when it was checked, so it does not go on.
    Revert it and import the file anew."""

    zh = "导入 {id} 的文件读出的内容与检查时不同，无法继续。请撤销后重新导入该文件。"
    code = "sheet_changed"


class ImportStuck(CrmError):
    """The import {id} was begun {attempts} times without getting on. The logs of the workers say
    why; when that is put right, resume it."""

    zh = "导入 {id} 已尝试 {attempts} 次仍无进展。请查看后台日志，解决后再继续。"
    code = "import_stuck"


class JobRunning(CrmError):
    """The job {name} is being run by another process."""

    zh = "任务 {name} 正由另一个进程执行。"
    code = "job_running"


class JobTooLong(CrmError):
    """The job was stopped after {seconds} seconds: it takes too long."""

    zh = "任务耗时过长，{seconds} 秒后被停止。"
    code = "job_too_long"


class Inconsistent(CrmError):
    """The database is not consistent: {codes}. `crm db check` tells more."""

    zh = "数据库不一致：{codes}。详见 crm db check。"
    code = "inconsistent"


class DeliveryFailed(CrmError):
    """The message could not be delivered: {reason}"""

    zh = "消息发送失败：{reason}"
    code = "delivery_failed"

    def __init__(self, reason: str, *, permanent: bool = False, retry_after: float | None = None):
        self.permanent = permanent
        """Whether another try would fail just the same."""
        self.retry_after = retry_after
        """Seconds that the provider asked to wait, or None."""
        super().__init__(reason=reason)

    def __reduce__(self) -> Any:
        return (_failed, (self.facts["reason"], self.permanent, self.retry_after))


def _failed(reason: str, permanent: bool, retry_after: float | None) -> DeliveryFailed:
    return DeliveryFailed(reason, permanent=permanent, retry_after=retry_after)


class WrongRevision(CrmError):
    """The database is at revision {found}, this program needs {needed}. {hint}"""

    zh = "数据库版本为 {found}，本程序需要 {needed}。{hint_zh}"
    code = "wrong_revision"


class DatabaseBusy(CrmError):
    """The database did not answer in time; nothing was changed. Try again."""

    zh = "数据库没有及时应答，没有改动任何数据，请稍后重试。"
    code = "database_busy"


class BackupFailed(CrmError):
    """The backup was not made: {reason_en}"""

    zh = "没有备份成功：{reason_zh}"
    code = "backup_failed"


class BadBackup(CrmError):
    """The backup {file} cannot be used: {reason_en} Nothing was restored."""

    zh = "备份 {file} 不可用：{reason_zh}没有恢复任何数据。"
    code = "bad_backup"


class NotEmpty(CrmError):
    """The database is not empty: {what_en}. Restore into a new one; nothing was changed."""

    zh = "数据库不是空的：{what_zh}。请恢复到一个新的数据库；没有改动任何数据。"
    code = "not_empty"


class ExtraMissing(CrmError):
    """This needs libraries that are not installed: pip install 'school-crm[{extra}]'"""

    zh = "缺少所需的库，请安装：pip install 'school-crm[{extra}]'"
    code = "extra_missing"


class BadSetting(CrmError):
    """The setting {name} is not usable: {reason}"""

    zh = "设置 {name} 不可用：{reason_zh}"
    code = "bad_setting"

    def __init__(self, *, name: str, reason: str, reason_zh: str | None = None) -> None:
        super().__init__(name=name, reason=reason, reason_zh=reason_zh or reason)
