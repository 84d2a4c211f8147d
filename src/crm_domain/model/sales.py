"""Prospects, who owns them, and what was said to them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum

from crm_domain.errors import Language
from crm_domain.model.fields import (
    Choice,
    choice,
    day,
    flag,
    key,
    moment,
    money,
    number,
    record,
    reference,
    references,
    state,
    text,
    version,
)


class Gender(Choice):
    """Gender."""

    MALE = "male", "男", "male", "男性", "先生", "m"
    FEMALE = "female", "女", "female", "女性", "女士", "f"


class Education(Choice):
    """The highest degree, as the school sorts them."""

    KEY_UNIVERSITY = "key_university", "重点大学", "key university", "985", "211"
    UNIVERSITY = "university", "普通本科", "university", "本科"
    INDEPENDENT_COLLEGE = "independent_college", "独立院校", "independent college", "独立学院"
    PRIVATE_UNIVERSITY = "private_university", "民办本科", "private university"
    COLLEGE = "college", "大专", "college", "专科"
    PRIVATE_COLLEGE = "private_college", "民办专科", "private college"
    HIGH_SCHOOL = "high_school", "高中", "high school"
    OTHER = "other", "其他", "other", "其它"


class Experience(Choice):
    """Working experience."""

    STUDENT = "student", "在校生", "student"
    GRADUATE = "graduate", "应届毕业", "fresh graduate", "应届", "应届毕业生"
    HALF_YEAR = "half_year", "半年以内", "up to half a year"
    ONE_YEAR = "one_year", "半年至一年", "half a year to one year"
    THREE_YEARS = "three_years", "一年至三年", "one to three years", "1至3年", "1-3年"
    FIVE_YEARS = "five_years", "三年至五年", "three to five years", "3至5年", "3-5年"
    LONGER = "longer", "五年以上", "more than five years", "5年以上"


class WorkStatus(Choice):
    """Whether somebody has work."""

    EMPLOYED = "employed", "在职", "employed"
    UNEMPLOYED = "unemployed", "无业", "unemployed", "待业"


class Source(Choice):
    """How the customer heard of the school."""

    QQ_GROUP = "qq_group", "QQ群", "QQ group"
    REFERRAL = "referral", "内部转介绍", "referral", "转介绍"
    WEBSITE = "website", "官方网站", "website", "官网"
    BAIDU = "baidu", "百度推广", "Baidu", "百度"
    SO360 = "so360", "360推广", "360", "360"
    SOGOU = "sogou", "搜狗推广", "Sogou", "搜狗"
    TENCENT_CLASS = "tencent_class", "腾讯课堂", "Tencent Class"
    TENCENT_ADS = "tencent_ads", "广点通", "Tencent Ads"
    CAMPUS_TALK = "campus_talk", "高校宣讲", "campus talk"
    AGENT = "agent", "渠道代理", "agent"
    CTO51 = "51cto", "51CTO", "51CTO"
    ZHIHUITUI = "zhihuitui", "智汇推", "Zhihuitui"
    AD_NETWORK = "ad_network", "网盟", "ad network"
    DSP = "dsp", "DSP", "DSP"
    SEO = "seo", "SEO", "SEO"
    OTHER = "other", "其它", "other", "其他"


class Intention(Choice):
    """How near the customer is to enrolling."""

    NO_PLAN = "no_plan", "近期无报名计划", "no plan for now"
    WITHIN_2_MONTHS = "within_2_months", "2个月内报名", "within 2 months", "两个月内报名"
    WITHIN_1_MONTH = "within_1_month", "1个月内报名", "within 1 month", "一个月内报名"
    WITHIN_2_WEEKS = "within_2_weeks", "2周内报名", "within 2 weeks", "两周内报名"
    WITHIN_1_WEEK = "within_1_week", "1周内报名", "within 1 week", "一周内报名"
    WITHIN_2_DAYS = "within_2_days", "2天内报名", "within 2 days", "两天内报名"
    ENROLLED = "enrolled", "已报名", "enrolled"
    PAID_IN_FULL = "paid_in_full", "已交全款", "paid in full"


class CustomerStatus(Choice):
    """Whether the customer is a student of the school."""

    ENROLLED = "enrolled", "已报名", "enrolled"
    NOT_ENROLLED = "not_enrolled", "未报名", "not enrolled"


class FollowUpChannel(Choice):
    """How the customer was met."""

    PHONE = "phone", "电话", "phone"
    WECHAT = "wechat", "微信", "WeChat"
    QQ = "qq", "QQ", "QQ"
    VISIT = "visit", "到访", "visit"
    TRIAL = "trial", "试听", "trial lesson"
    OTHER = "other", "其他", "other", "其它"


class AssignmentMethod(Choice):
    """How a customer came to a consultant."""

    ROTATION = "rotation", "自动分配", "rotation"
    CLAIM = "claim", "抢单", "claim"
    MANUAL = "manual", "手动分配", "manual"
    IMPORT = "import", "批量导入", "import"
    TRANSFER = "transfer", "转移", "transfer"


class AssignmentStatus(IntEnum):
    """What became of one period of ownership."""

    FOLLOWING = 1
    WON = 2
    NO_FOLLOW_UP = 3
    NOT_CLOSED = 4
    RELEASED = 5
    TRANSFERRED = 6
    IMPORT_REVERTED = 7

    def label(self, language: Language = "zh", days: int | None = None) -> str:
        """Say the status to a person; ``days`` is the limit of the pool rule that applied."""
        n = "N" if days is None else str(days)
        zh, en = {
            1: ("正在跟进", "following"),
            2: ("已成单", "won"),
            3: (f"{n}天未跟进", f"no follow-up for {n} days"),
            4: (f"{n}天未成单", f"not closed within {n} days"),
            5: ("主动放弃", "given back"),
            6: ("转移", "transferred"),
            7: ("已撤销导入", "import reverted"),
        }[self.value]
        return zh if language == "zh" else en


LOST = (AssignmentStatus.NO_FOLLOW_UP, AssignmentStatus.NOT_CLOSED, AssignmentStatus.RELEASED)
"""How an owner loses a customer: it falls to the pool, or is given back to it."""


class Stage(Choice):
    """How far a customer came in the time of one assignment: each stage includes those before."""

    RECEIVED = "received", "已接单", "received"
    CONTACTED = "contacted", "已跟进", "contacted"
    PROMISING = "promising", "有意向", "promising"
    PAYING = "paying", "已缴费", "paying"
    WON = "won", "已成单", "won"

    @property
    def onwards(self) -> tuple[Stage, ...]:
        """This stage and those that include it."""
        return tuple(Stage)[tuple(Stage).index(self) :]


PROMISING = (
    Intention.WITHIN_1_MONTH, Intention.WITHIN_2_WEEKS, Intention.WITHIN_1_WEEK,
    Intention.WITHIN_2_DAYS, Intention.ENROLLED, Intention.PAID_IN_FULL,
)  # fmt: skip
"""The intentions that let one hope: within a month, or nearer."""


@record("customer", "客户", "Customer", plain=False)
class Customer:
    """A person the school hopes to teach.

    The fields marked *hot* are the ownership: they change all day, live in a narrow table of their
    own and only through named use cases.
    """

    id: int | None = key(default=None)
    name: str = text("姓名", "Name", length=60)
    phone: str | None = text("手机", "Phone", length=20, default=None, unique=True, contact=True)
    qq: str | None = text("QQ", "QQ", length=15, default=None, unique=True, contact=True)
    wechat: str | None = text("微信", "WeChat", length=40, default=None, unique=True, contact=True)
    gender: Gender | None = choice("性别", "Gender", default=None)
    education: Education | None = choice("学历", "Education", default=None)
    graduation_school: str | None = text("毕业院校", "Graduated from", length=100, default=None)
    major: str | None = text("专业", "Major", length=100, default=None)
    experience: Experience | None = choice("工作经验", "Experience", default=None)
    work_status: WorkStatus | None = choice("工作状态", "Work", default=None)
    company: str | None = text("公司", "Company", length=100, default=None)
    salary: str | None = text("薪资", "Salary", length=60, default=None)
    source: Source | None = choice("来源", "Source", default=None)
    referred_by_id: int | None = reference("介绍人", "Referred by", "Customer", default=None)
    courses: tuple[int, ...] = references("咨询课程", "Courses of interest", "Course", default=())
    school_id: int | None = reference("意向校区", "School of interest", "School", default=None)
    memo: str | None = text("备注", "Memo", length=2000, default=None)
    consulted_on: date | None = day("咨询日期", "First enquiry", default=None)
    import_id: int | None = reference("导入批次", "Import", "ImportRun", default=None, guarded=True)
    import_row: int | None = number("导入行号", "Row in import", default=None, guarded=True)
    created_by_id: int | None = reference(
        "录入人", "Entered by", "User", default=None, guarded=True
    )
    created_at: datetime | None = moment("录入时间", "Entered", default=None, guarded=True)
    archived_at: datetime | None = moment("归档时间", "Archived", default=None, guarded=True)
    version: int = version(default=1)

    owner_id: int | None = reference(
        "课程顾问", "Owner", "Employee", default=None, guarded=True, hot=True
    )
    assignment_id: int | None = reference(
        "最近分配", "Latest assignment", "Assignment", default=None, guarded=True, hot=True
    )
    """The customer's latest assignment, open or ended; None before the first."""
    last_consultant_id: int | None = reference(
        "上一顾问", "Last consultant", "Employee", default=None, guarded=True, hot=True
    )
    """The consultant of the latest assignment."""
    received_at: datetime | None = moment(
        "接单时间", "Received", default=None, guarded=True, hot=True
    )
    last_contacted_at: datetime | None = moment(
        "最后跟进", "Last contact", default=None, guarded=True, hot=True
    )
    next_contact_at: datetime | None = moment(
        "下次联系", "Next contact", default=None, guarded=True, hot=True
    )
    intention: Intention | None = choice("意向", "Intention", default=None, guarded=True, hot=True)
    status: CustomerStatus = choice(
        "状态", "Status", default=CustomerStatus.NOT_ENROLLED, guarded=True, hot=True
    )
    locked: bool = flag("锁定", "Locked", guarded=True, hot=True, default=False)
    lock_reason: str | None = text(
        "锁定原因", "Reason", length=200, default=None, guarded=True, hot=True
    )
    payment_pending_on: date | None = day(
        "缴费待审核", "Payment pending since", default=None, guarded=True, hot=True
    )
    dated_anew_at: datetime | None = moment(
        "重新计时", "Dated anew", default=None, guarded=True, hot=True
    )
    """When a rejected payment made both limits begin again; None otherwise."""
    due_on: date = day("到期日", "Public from", default=date.min, guarded=True, hot=True)
    """The local day from which the customer is public (``rules/pool.py`` computes it)."""
    due_status: int | None = number(
        "到期状态", "Will then be", default=None, guarded=True, hot=True
    )
    """The status that the assignment will then get: 3 or 4; None when it never falls due."""
    due_days: int | None = number("期限天数", "Limit in days", default=None, guarded=True, hot=True)
    warn_on: date | None = day("提醒日", "Warn on", default=None, guarded=True, hot=True)
    """The local day from which the owner is warned of ``due_on``."""


@record("assignment", "客户分配", "Assignment", plain=False)
class Assignment:
    """One period of ownership."""

    id: int | None = key(default=None)
    customer_id: int = reference("客户", "Customer", "Customer")
    consultant_id: int = reference("课程顾问", "Consultant", "Employee")
    started_at: datetime = moment("接单时间", "From")
    ended_at: datetime | None = moment("结束时间", "Until", default=None)
    status: AssignmentStatus = state("状态", "Status", default=AssignmentStatus.FOLLOWING)
    limit_days: int | None = number("期限天数", "Limit in days", default=None)
    """N of the limit that ended it (status 3 and 4)."""
    method: AssignmentMethod = choice("方式", "Method")
    cycle: int | None = number("轮次", "Cycle", default=None)
    position: int | None = number("顺位", "Position", default=None)
    by_id: int | None = reference("操作人", "By", "User", default=None)
    explanation: str = text("原因", "Why", length=500, default="")
    memo: str | None = text("备注", "Memo", length=500, default=None)


@record("rotation_entry", "销售权重和数量", "Rotation entry", plain=False)
class RotationEntry:
    """A consultant's place in the plan that was set last."""

    id: int | None = key(default=None)
    employee_id: int = reference("课程顾问", "Consultant", "Employee", unique=True)
    quota: int = number("数量", "Quota", default=1)
    weight: int = number("权重", "Weight", default=0)
    active: bool = flag("启用", "Active", default=True)


@record("follow_up", "跟进记录", "Follow-up", plain=False)
class FollowUp:
    """One contact with a customer."""

    id: int | None = key(default=None)
    customer_id: int = reference("客户", "Customer", "Customer")
    consultant_id: int = reference("课程顾问", "Consultant", "Employee")
    assignment_id: int | None = reference("分配", "Assignment", "Assignment", default=None)
    at: datetime = moment("跟进时间", "When")
    channel: FollowUpChannel = choice("方式", "Channel", default=FollowUpChannel.PHONE)
    intention: Intention | None = choice("意向", "Intention", default=None)
    note: str = text("内容", "Note", length=5000)
    next_contact_at: datetime | None = moment("下次联系", "Next contact", default=None)


class PaymentKind(Choice):
    """What a payment is for."""

    DEPOSIT = "deposit", "订金/报名费", "deposit", "订金", "报名费", "定金"
    TUITION = "tuition", "学费", "tuition"
    TRANSFER = "transfer", "转班", "change of cohort"
    WITHDRAWAL = "withdrawal", "退学", "withdrawal"
    REFUND = "refund", "退款", "refund"


class PaymentMethod(Choice):
    """How it was paid."""

    WECHAT = "wechat", "微信", "WeChat"
    ALIPAY = "alipay", "支付宝", "Alipay"
    BANK = "bank", "转账", "bank transfer"
    CASH = "cash", "现金", "cash"
    POS = "pos", "POS", "POS"


class PaymentStatus(Choice):
    """Whether finance has seen the money."""

    PENDING = "pending", "待审核", "pending"
    CONFIRMED = "confirmed", "已确认", "confirmed"
    REJECTED = "rejected", "已驳回", "rejected"


@record("payment", "缴费记录", "Payment", plain=False)
class Payment:
    """Money that came in or went back."""

    id: int | None = key(default=None)
    customer_id: int = reference("客户", "Customer", "Customer")
    cohort_id: int | None = reference("班级", "Cohort", "Cohort", default=None)
    kind: PaymentKind = choice("类型", "Kind")
    amount: Decimal = money("金额", "Amount")
    paid_on: date = day("缴费日期", "Paid on")
    method: PaymentMethod | None = choice("支付方式", "Method", default=None)
    receipt_number: str | None = text("收据编号", "Receipt", length=40, default=None, unique=True)
    turnover: Decimal | None = money("成交金额", "Turnover", default=None)
    quote: Decimal | None = money("报价", "Quote", default=None)
    note: str | None = text("备注", "Note", length=500, default=None)
    consultant_id: int | None = reference("业绩归属", "Credit to", "Employee", default=None)
    status: PaymentStatus = choice("状态", "Status", default=PaymentStatus.PENDING, guarded=True)
    confirmed_by_id: int | None = reference(
        "审核人", "Confirmed by", "User", default=None, guarded=True
    )
    confirmed_at: datetime | None = moment("审核时间", "Confirmed", default=None, guarded=True)
    reject_reason: str | None = text(
        "驳回原因", "Rejected because", length=500, default=None, guarded=True
    )
    created_at: datetime | None = moment("创建时间", "Created", default=None, guarded=True)
    version: int = version(default=1)


INCOME = (PaymentKind.DEPOSIT, PaymentKind.TUITION, PaymentKind.TRANSFER)
"""The kinds of payments that come in; the others go back."""


@record("pool_rule", "公海规则", "Pool rule", plain=False)
class PoolRule:
    """When a neglected customer becomes public. The first in order that fits applies."""

    id: int | None = key(default=None)
    position: int = number("顺序", "Order", unique=True)
    school_id: int | None = reference("校区", "School", "School", default=None)
    course_id: int | None = reference("课程", "Course", "Course", default=None)
    source: Source | None = choice("来源", "Source", default=None)
    intention: Intention | None = choice("意向", "Intention", default=None)
    contact_days: int = number("未跟进天数", "Days without contact", default=3)
    closing_days: int = number("未成单天数", "Days without closing", default=15)
    warning_days: int = number("提前提醒天数", "Days of warning", default=1)
    working_days: bool = flag("按工作日", "Count working days", default=False)
    version: int = version(default=1)


@record("holiday", "节假日", "Holiday", plain=False)
class Holiday:
    """A day that the calendar treats otherwise than its weekday says (调休 included)."""

    id: int | None = key(default=None)
    on: date = day("日期", "Day", unique=True)
    working: bool = flag("上班", "Working day", default=False)
    title: str = text("名称", "Title", length=60, default="")
