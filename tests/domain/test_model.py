"""The records and choices are those of the spec (sections 1 and 2)."""

from __future__ import annotations

import inspect
import re
from datetime import date, datetime, time
from decimal import Decimal

import attrs
import pytest

from crm_domain import model
from crm_domain.model import (
    RECORDS,
    AssignmentStatus,
    Attendance,
    Choice,
    Customer,
    CustomerStatus,
    Education,
    EnrolmentStatus,
    Experience,
    FollowUpChannel,
    Gender,
    Intention,
    PaymentKind,
    PaymentMethod,
    PaymentStatus,
    Score,
    Source,
    User,
    WorkStatus,
    about,
    specs,
)
from crm_domain.parsing import choice_value

SEED = [
    "Department",
    "Employee",
    "School",
    "Course",
    "Cohort",
    "Customer",
    "Assignment",
    "RotationEntry",
    "FollowUp",
    "Payment",
    "Student",
    "Lesson",
    "StudyRecord",
    "Menu",
    "PermissionGroup",
    "Permission",
    "Role",
    "User",
]
BESIDES = ["Enrolment", "Notice", "NoticePreference", "PoolRule"]

FIELDS = {
    "Department": "code title parent_id manager_id",
    "School": "title",
    "Course": "title",
    "Employee": "name employee_number phone email department_id wechat_openid dingtalk_user_id "
    "on_duty leave left_on",
    "Cohort": "school_id course_id semester price start_date graduate_date capacity memo teachers "
    "tutor_id",
    "Customer": "name qq phone wechat gender education graduation_school major experience "
    "work_status company salary source referred_by_id courses school_id intention memo status "
    "consulted_on created_at version owner_id received_at last_contacted_at next_contact_at "
    "locked lock_reason",
    "Assignment": "customer_id consultant_id started_at ended_at status method cycle position "
    "by_id explanation memo",
    "RotationEntry": "employee_id quota weight active",
    "FollowUp": "customer_id consultant_id at channel intention note next_contact_at",
    "Payment": "customer_id cohort_id kind amount paid_on method receipt_number turnover quote "
    "note consultant_id status confirmed_by_id confirmed_at created_at",
    "Student": "customer_id student_number wechat_openid guardian_name guardian_phone "
    "emergency_contact company location position salary welfare hired_on memo",
    "Enrolment": "student_id cohort_id joined_on left_on status reason",
    "Lesson": "cohort_id day_number date starts_at ends_at room teacher_id title summary "
    "has_homework homework_title homework_note key_points",
    "StudyRecord": "lesson_id student_id date attendance minutes_late score homework_comment note "
    "homework_file student_remark",
    "Menu": "title icon position",
    "PermissionGroup": "title menu_id position",
    "Permission": "code title url in_menu parent_id group_id",
    "Role": "title permissions scope",
    "User": "username password_hash email roles employee_id student_id active",
    "PoolRule": "position school_id course_id source intention contact_days closing_days "
    "warning_days",
    "Notice": "recipient_id subject body event about channel status attempts next_attempt_at "
    "leased_until fence expires_at provider_id error idempotency_key created_at sent_at read_at "
    "subject_en body_en",
    "NoticePreference": "employee_id off quiet_from quiet_until version",
}

UNIQUE = [
    ("Department", "code"), ("Customer", "phone"), ("Customer", "qq"), ("Customer", "wechat"),
    ("RotationEntry", "employee_id"), ("Student", "customer_id"), ("Permission", "code"),
    ("User", "username"),
]  # fmt: skip

GUARDED = [
    ("Customer", "owner_id"), ("Customer", "status"), ("Customer", "received_at"),
    ("Customer", "last_contacted_at"), ("Customer", "locked"), ("Customer", "due_on"),
    ("Payment", "status"), ("Payment", "confirmed_by_id"), ("Payment", "confirmed_at"),
    ("User", "password_hash"),
]  # fmt: skip

LABELS: dict[type[Choice], str] = {
    Gender: "男, 女",
    Education: "重点大学, 普通本科, 独立院校, 民办本科, 大专, 民办专科, 高中, 其他",
    Experience: "在校生, 应届毕业, 半年以内, 半年至一年, 一年至三年, 三年至五年, 五年以上",
    WorkStatus: "在职, 无业",
    Source: "QQ群, 内部转介绍, 官方网站, 百度推广, 360推广, 搜狗推广, 腾讯课堂, 广点通, 高校宣讲, "
    "渠道代理, 51CTO, 智汇推, 网盟, DSP, SEO, 其它",
    CustomerStatus: "已报名, 未报名",
    FollowUpChannel: "电话, 微信, QQ, 到访, 试听, 其他",
    Intention: "近期无报名计划, 2个月内报名, 1个月内报名, 2周内报名, 1周内报名, 2天内报名, "
    "已报名, 已交全款",
    PaymentKind: "订金/报名费, 学费, 转班, 退学, 退款",
    PaymentMethod: "微信, 支付宝, 转账, 现金, POS",
    PaymentStatus: "待审核, 已确认, 已驳回",
    EnrolmentStatus: "在读, 休学, 转班, 退学, 结业",
    Attendance: "签到, 请假, 迟到, 缺勤, 早退",
    Score: "A+, A, B+, B, B−, C+, C, C−, D, N/A, 抄袭, 未交",
}  # fmt: skip
ALL_CHOICES = sorted(
    (
        c
        for c in vars(model).values()
        if inspect.isclass(c) and issubclass(c, Choice) and c is not Choice
    ),
    key=lambda c: c.__name__,
)
MEMBERS = [
    pytest.param(kind, m, id=f"{kind.__name__}.{m.name}") for kind in ALL_CHOICES for m in kind
]
CHINESE = re.compile(r"[\u4e00-\u9fff]")
LATIN_IN_BOTH = {"QQ", "DSP", "SEO", "POS", "51CTO", "N/A", "微信 openid"} | {
    "A+", "A", "B+", "B", "B−", "C+", "C", "C−", "D",
}  # fmt: skip


# Records


def test_all_18_tables_of_the_seed_are_records():
    """And those that the spec adds besides them."""
    assert len(SEED) == 18
    assert {*SEED, *BESIDES} <= set(RECORDS)


@pytest.mark.parametrize(("name", "fields"), FIELDS.items(), ids=FIELDS.keys())
def test_a_record_has_every_field_of_the_spec(name, fields):
    """None was forgotten on the way from the spec to the code."""
    assert set(fields.split()) <= set(specs(RECORDS[name]))


def test_every_record_is_covered_by_the_fields_above():
    """So that the seed's tables cannot slip through the test before this one."""
    assert set(SEED) | set(BESIDES) == set(FIELDS)


@pytest.mark.parametrize("cls", RECORDS.values(), ids=RECORDS.keys())
def test_every_record_and_field_is_labelled_in_both_languages(cls):
    """Nothing on a page is named in one language only."""
    assert CHINESE.search(about(cls).zh)
    assert about(cls).en.isascii()
    for name, spec in specs(cls).items():
        assert spec.name == name
        assert CHINESE.search(spec.zh) or spec.zh in LATIN_IN_BOTH, name
        assert spec.en, name
        assert spec.en.isascii(), name


@pytest.mark.parametrize("cls", RECORDS.values(), ids=RECORDS.keys())
def test_a_fields_type_fits_its_kind(cls):
    """A moment is a datetime, a day is a date, money is a Decimal, also in a class with a field
    named ``date``."""
    types = {
        "key": int, "version": int, "number": int, "reference": int, "text": str, "flag": bool,
        "money": Decimal, "moment": datetime, "day": date, "clock": time,
    }  # fmt: skip
    for name, spec in specs(cls).items():
        if spec.kind == "choice":
            assert issubclass(spec.type, Choice), name
        elif spec.kind in types:
            assert spec.type is types[spec.kind], name


@pytest.mark.parametrize("cls", RECORDS.values(), ids=RECORDS.keys())
def test_every_reference_points_to_a_record(cls):
    """A target is written as text, so it could be misspelt."""
    for name, spec in specs(cls).items():
        assert (spec.target in RECORDS) is (spec.kind in {"reference", "references"}), name


@pytest.mark.parametrize("cls", RECORDS.values(), ids=RECORDS.keys())
def test_unique_combinations_name_fields_of_their_record(cls):
    """They are written as text, too."""
    for combination in about(cls).unique:
        assert set(combination) <= set(specs(cls))


def test_tables_are_named_once():
    """Two records in one table would overwrite each other."""
    tables = [about(cls).table for cls in RECORDS.values()]
    assert len(tables) == len(set(tables))


@pytest.mark.parametrize(("name", "field"), UNIQUE)
def test_what_the_spec_calls_unique_is_declared_unique(name, field):
    """The database is derived from this declaration."""
    assert specs(RECORDS[name])[field].unique


@pytest.mark.parametrize(
    ("name", "combination"),
    [
        ("Cohort", {"course_id", "school_id", "semester"}),
        ("Lesson", {"cohort_id", "day_number"}),
        ("StudyRecord", {"lesson_id", "student_id"}),
    ],
)
def test_what_is_unique_together_is_declared_so(name, combination):
    """A semester of a course at a school, a day of a cohort, a student in a lesson."""
    assert combination in [set(c) for c in about(RECORDS[name]).unique]


@pytest.mark.parametrize(("name", "field"), GUARDED)
def test_fields_with_rules_of_their_own_are_guarded(name, field):
    """A form cannot tunnel under the rules."""
    assert specs(RECORDS[name])[field].guarded


def test_every_hot_field_of_a_customer_is_guarded():
    """The ownership changes through named use cases only."""
    hot = {name: spec for name, spec in specs(Customer).items() if spec.hot}
    assert {"owner_id", "received_at", "last_contacted_at", "due_on", "status"} <= set(hot)
    assert all(spec.guarded for spec in hot.values())


def test_every_way_to_reach_a_person_is_marked_as_contact():
    """What is not marked is not masked."""
    contacts = {name for name, spec in specs(Customer).items() if spec.contact}
    assert contacts == {"phone", "qq", "wechat"}


def test_a_record_cannot_be_changed_in_place_nor_given_new_fields():
    """Frozen, slotted and keyword-only."""
    customer = Customer(name="张三")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        customer.name = "李四"
    with pytest.raises(AttributeError):
        object.__setattr__(customer, "nickname", "三")
    with pytest.raises(TypeError):
        Customer(1, "张三")


def test_a_new_customer_belongs_to_nobody_and_is_not_enrolled():
    """The defaults are the state before anything happened."""
    customer = Customer(name="张三")
    assert customer.owner_id is None
    assert customer.status is CustomerStatus.NOT_ENROLLED
    assert not customer.locked


def test_defaults_of_teaching_are_present_and_not_available():
    """签到 and N/A, as the spec has it."""
    fields = specs(RECORDS["StudyRecord"])
    assert fields["attendance"].default is Attendance.PRESENT
    assert fields["score"].default is Score.NOT_AVAILABLE


# Choices


@pytest.mark.parametrize(
    ("kind", "labels"), LABELS.items(), ids=lambda v: getattr(v, "__name__", "")
)
def test_choices_are_the_labels_of_the_spec_in_its_order(kind, labels):
    """No choice more, none less."""
    assert [member.zh for member in kind] == labels.split(", ")


@pytest.mark.parametrize(
    ("kind", "labels"), LABELS.items(), ids=lambda v: getattr(v, "__name__", "")
)
def test_the_labels_of_the_spec_are_all_accepted(kind, labels):
    """As typed into a sheet; and 其他 is 其它."""
    for n, label in enumerate(labels.split(", ")):
        member = list(kind)[n]
        assert choice_value(kind, label) is member
        assert choice_value(kind, label.replace("其他", "其它")) is member
        assert choice_value(kind, label.replace("其它", "其他")) is member


@pytest.mark.parametrize(("kind", "member"), MEMBERS)
def test_everything_a_choice_shows_or_stores_is_read_back_as_itself(kind, member):
    """Code, both labels and aliases, in capitals and with blanks too."""
    for word in (member.value, member.zh, member.en, *member.aliases):
        assert choice_value(kind, word) is member, word
        assert choice_value(kind, f" {word.upper()}　") is member, word
    assert choice_value(kind, member) is member
    assert kind(member.value) is member
    assert str(member) == member.value


@pytest.mark.parametrize(("kind", "member"), MEMBERS)
def test_every_choice_is_labelled_in_both_languages(kind, member):
    """Chinese and English, and no two members alike."""
    assert CHINESE.search(member.label("zh")) or member.zh in LATIN_IN_BOTH
    assert CHINESE.search(member.label("en")) is None
    assert member.label("en")
    for language in ("zh", "en"):
        assert [m.label(language) for m in kind].count(member.label(language)) == 1


def test_source_codes_are_those_of_the_spec():
    """They stand in databases and in other people's programs."""
    assert [s.value for s in Source] == [
        "qq_group",
        "referral",
        "website",
        "baidu",
        "so360",
        "sogou",
        "tencent_class",
        "tencent_ads",
        "campus_talk",
        "agent",
        "51cto",
        "zhihuitui",
        "ad_network",
        "dsp",
        "seo",
        "other",
    ]


def test_score_points_are_those_of_the_spec():
    """The three that are no numbers have none, and are never 0."""
    assert {s.value: s.points for s in Score} == {
        "A+": 100, "A": 90, "B+": 85, "B": 80, "B-": 70, "C+": 60, "C": 50, "C-": 40, "D": 0,
        "N/A": None, "COPY": None, "FAIL": None,
    }  # fmt: skip


def test_assignment_states_are_numbered_and_named_as_in_the_spec():
    """N is the limit of the rule that applied."""
    assert [(s.value, s.label("zh")) for s in AssignmentStatus] == [
        (1, "正在跟进"),
        (2, "已成单"),
        (3, "N天未跟进"),
        (4, "N天未成单"),
        (5, "主动放弃"),
        (6, "转移"),
        (7, "已撤销导入"),
    ]
    assert AssignmentStatus.NO_FOLLOW_UP.label("zh", 3) == "3天未跟进"
    assert AssignmentStatus.NOT_CLOSED.label("en", 15) == "not closed within 15 days"
    assert len({s.label("en") for s in AssignmentStatus}) == 7


def test_a_record_shows_neither_secrets_nor_contacts() -> None:
    """Records end up in logs and tracebacks; what is hidden from people is hidden there."""
    user = User(username="li", password_hash="$argon2id$x", email="li@example.com")
    customer = Customer(name="王芳", phone="13800138000")
    assert "li" in repr(user)
    assert "argon2id" not in repr(user)
    assert "example.com" not in repr(user)
    assert "13800138000" not in repr(customer)
    for cls in RECORDS.values():
        shown = {a.name for a in attrs.fields(cls) if a.repr}
        assert shown == {n for n, s in specs(cls).items() if not (s.secret or s.contact)}
