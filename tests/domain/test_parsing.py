"""What people type becomes field values, or problems that say what is wrong (spec section 7)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crm_domain.model import (
    RECORDS,
    Assignment,
    AssignmentStatus,
    Cohort,
    Customer,
    Education,
    Employee,
    Experience,
    Holiday,
    Lesson,
    Payment,
    PoolRule,
    Score,
    Source,
    User,
    specs,
)
from crm_domain.parsing import (
    CONTACTS,
    Unreadable,
    choice_value,
    day_value,
    field_value,
    keep_text,
    moment_value,
    parse_fields,
    phone_number,
    qq_number,
    tidy,
    wechat_id,
)
from strategies import cells

BLANKS = [None, "", "   ", "\t\n", "　", "\u00a0", "\ufeff", "\u200b"]


def refusal(read, value: Any) -> str:
    """Tell the code of the refusal."""
    with pytest.raises(Unreadable) as refused:
        read(value)
    assert refused.value.zh
    assert refused.value.en
    return refused.value.code


# Phones


@pytest.mark.parametrize(
    "typed",
    [
        "13800138000",
        "+86 138-0013-8000",
        "+8613800138000",
        "0086 13800138000",
        "008613800138000",
        "86 138 0013 8000",
        "86-138-0013-8000",
        "（+86）13800138000",
        "１３８００１３８０００",
        "１３８－００１３－８０００",
        "138.0013.8000",
        "138·0013·8000",
        " 13800138000\t",
        "　13800138000　",
        "\u202a13800138000\u202c",
        "\ufeff13800138000",
        "13800138000.0",
        "138٠٠١٣٨٠٠٠",
        "１３８٠٠１３８٠٠٠",
        13800138000,
        13800138000.0,
        Decimal("13800138000"),
    ],
)
def test_a_mainland_mobile_has_one_normal_form(typed):
    """However it is written, the same person is found again."""
    assert phone_number(typed) == "13800138000"


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("86-180-1053-5797", "18010535797"),
        ("010-62345678", "01062345678"),
        ("(010) 6234 5678", "01062345678"),
        ("+86 10 6234 5678", "01062345678"),
        ("+86 010 62345678", "01062345678"),
        ("0755-2345 6789", "075523456789"),
        ("400-810-8888", "4008108888"),
        ("+49 30 1234567", "+49301234567"),
        ("0049 30 1234567", "+49301234567"),
        ("+1 (650) 253-0000", "+16502530000"),
        ("+852 6123 4567", "+85261234567"),
        ("+44 20 7031 3000", "+442070313000"),
    ],
)
def test_landlines_keep_their_national_form_and_foreign_numbers_the_international(typed, normal):
    """A mainland number stands as it is dialled at home, any other as in E.164."""
    assert phone_number(typed) == normal


@pytest.mark.parametrize(
    "typed",
    [
        "1380O138000",
        "12345",
        "无",
        "10000000000",
        "12000000000",
        "138001380001",
        "1380013800",
        "+86+13800138000",
        "+86 128 0013 8000",
        "010-1234567",
        "13800138000/13900139000",
        "13800138000 转 12",
        "13800138000x5",
        "tel:13800138000",
        "-",
        "+",
        "()",
        True,
        0,
        1.5,
        float("nan"),
        float("inf"),
        10**5000,
        "9" * 50,
    ],
    ids=lambda v: repr(v) if not isinstance(v, int) else "int",
)
def test_what_is_no_valid_number_is_refused(typed):
    """Also what is possible by its length but assigned to nobody."""
    assert refusal(phone_number, typed) in {"bad_phone", "bad_text"}


@pytest.mark.parametrize("read", CONTACTS.values(), ids=CONTACTS.keys())
@pytest.mark.parametrize("blank", BLANKS)
def test_a_blank_contact_is_none_and_no_problem(read, blank):
    """Nothing typed is nothing wrong; whether one contact is needed is another rule."""
    assert read(blank) is None


def by_the_library(text: str) -> str | None:
    """Ask phonenumbers alone, without any short cut."""
    try:
        number = phonenumbers.parse(text, "CN")
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    form = phonenumbers.PhoneNumberFormat
    national = phonenumbers.format_number(number, form.NATIONAL)
    return "".join(c for c in national if c.isdigit())


@given(st.from_regex(r"1[0-9]{10}", fullmatch=True))
@example("13800138000")
@example("10000000000")
@example("17951138001")
def test_the_fast_path_for_mainland_mobiles_agrees_with_the_library(digits):
    """The short cut accepts and refuses exactly what the library does."""
    try:
        found = phone_number(digits)
    except Unreadable:
        found = None
    assert found == by_the_library(digits)


# QQ and WeChat


@pytest.mark.parametrize(
    ("typed", "normal"),
    [
        ("12345", "12345"),
        ("１２３４５", "12345"),
        ("123 456 789", "123456789"),
        ("QQ: 123456", "123456"),
        ("qq：123456", "123456"),
        (123456.0, "123456"),
        ("123456.0", "123456"),
        (123456, "123456"),
        ("123456789012", "123456789012"),
    ],
)
def test_a_qq_number_has_one_normal_form(typed, normal):
    """Digits only, as they are typed into QQ."""
    assert qq_number(typed) == normal


@pytest.mark.parametrize(
    "typed", ["1234", "01234", "1234567890123", "abc", "无", "12345a", "1٣٤٥٦", True, 1.5]
)
def test_what_is_no_qq_number_is_refused(typed):
    """5 to 12 ASCII digits, the first not 0."""
    assert refusal(qq_number, typed) == "bad_qq"


@pytest.mark.parametrize(
    ("typed", "normal"),
    [("WXID_Abc-1", "wxid_abc-1"), (" ｗｘ＿１２ ", "wx_12"), ("13800138000", "13800138000")],
)
def test_a_wechat_id_is_compared_without_regard_to_case(typed, normal):
    """Two spellings of one id are one customer."""
    assert wechat_id(typed) == normal


@pytest.mark.parametrize("typed", ["ab", "微信号", "a b c", "a" * 41, "无", "a/b/c"])
def test_what_is_no_wechat_id_is_refused(typed):
    """Chinese notes like 无 are no ids."""
    assert refusal(wechat_id, typed) == "bad_wechat"


# Choices


@pytest.mark.parametrize(
    ("kind", "typed", "member"),
    [
        (Source, "其他", Source.OTHER),
        (Source, "其它", Source.OTHER),
        (Education, "其他", Education.OTHER),
        (Education, "其它", Education.OTHER),
        (Source, "ＱＱ群", Source.QQ_GROUP),
        (Source, "qq 群", Source.QQ_GROUP),
        (Source, "QQ-Group", Source.QQ_GROUP),
        (Source, "qq_group", Source.QQ_GROUP),
        (Source, "51cto", Source.CTO51),
        (Source, " 百度 ", Source.BAIDU),
        (Experience, "1-3年", Experience.THREE_YEARS),
        (Experience, "１－３年", Experience.THREE_YEARS),
        (Experience, "1−3年", Experience.THREE_YEARS),
        (Score, "B", Score.B),
        (Score, "b", Score.B),
        (Score, "B-", Score.B_MINUS),
        (Score, "b-", Score.B_MINUS),
        (Score, "B -", Score.B_MINUS),
        (Score, "B−", Score.B_MINUS),
        (Score, "Ｂ－", Score.B_MINUS),
        (Score, "c+", Score.C_PLUS),
        (Score, "抄袭", Score.COPIED),
        (Score, "n/a", Score.NOT_AVAILABLE),
    ],
)
def test_a_choice_is_read_in_its_usual_variants(kind, typed, member):
    """Width, case, blanks and the usual other word do not matter; a minus does."""
    assert choice_value(kind, typed) is member


@pytest.mark.parametrize(
    ("kind", "typed"),
    [
        (Source, "抖音"),
        (Source, "_"),
        (Source, "-"),
        (Experience, "13年"),
        (Experience, "35年"),
        (Score, "A-"),
        (Score, "E"),
        (Score, 100),
        (Score, True),
    ],
)
def test_an_unknown_choice_is_refused_rather_than_guessed(kind, typed):
    """13 years of experience are not 1-3, and A- is not A."""
    assert refusal(lambda v: choice_value(kind, v), typed) == "unknown_choice"


@pytest.mark.parametrize("blank", BLANKS)
def test_a_blank_choice_is_none(blank):
    """An empty cell chooses nothing."""
    assert choice_value(Source, blank) is None


# Days and moments


@pytest.mark.parametrize(
    "typed",
    [
        "2026-11-03",
        "2026-11-3",
        "2026/11/3",
        "2026.11.03",
        "2026年11月3日",
        "2026年11月03",
        "2026 年 11 月 3 日",
        "２０２６年１１月３日",
        "20261103",
        "2026-11-03 10:30:00",
        "2026-11-03T10:30",
        46329,
        46329.0,
        46329.75,
        "46329",
        20261103,
        date(2026, 11, 3),
        datetime(2026, 11, 3, 23, 59),
    ],
)
def test_a_day_is_read_as_people_and_spreadsheets_write_it(typed):
    """Text in Chinese or international order, or Excel's count of days."""
    assert day_value(typed) == date(2026, 11, 3)
    assert type(day_value(typed)) is date


@pytest.mark.parametrize(
    "typed",
    ["2026-02-30", "2026-13-01", "2026年11月", "11-03", "明天", "20261301", "0000-01-01", True, -1,
     float("nan"), float("inf"), 10**5000, "1" * 30],
    ids=lambda v: "int" if isinstance(v, int) else repr(v),
)  # fmt: skip
def test_what_is_no_day_is_refused(typed):
    """A day that does not exist is not moved to one that does."""
    assert refusal(day_value, typed) in {"bad_date", "bad_text"}


@given(st.dates(date(1990, 1, 1), date(2099, 12, 31)))
def test_excel_counts_days_from_the_end_of_1899(day):
    """The serial number of a day is read back as that day."""
    serial = (day - date(1899, 12, 30)).days
    assert day_value(serial) == day_value(str(serial)) == day_value(float(serial) + 0.5) == day


def test_a_moment_without_an_offset_is_meant_in_local_time():
    """Staff write their own clock; what is kept is UTC."""
    found = moment_value("2026-11-03 08:30")
    assert found == datetime(2026, 11, 3, 0, 30, tzinfo=UTC)
    assert found.utcoffset() == timedelta(0)
    assert moment_value("2026/11/03 08:30") == found
    assert moment_value("2026-11-03T00:30Z") == found
    assert moment_value(datetime(2026, 11, 3, 8, 30)) == found
    assert moment_value("2026-11-03 09:30", timezone(timedelta(hours=9))) == found


def test_a_day_given_for_a_moment_is_its_local_midnight():
    """A date cell in a column of moments."""
    assert moment_value(date(2026, 11, 3)) == datetime(2026, 11, 2, 16, tzinfo=UTC)


@pytest.mark.parametrize("typed", ["soon", "2026-02-30 10:00", "25:00", True, datetime.min, 0.5])
def test_what_is_no_moment_is_refused(typed):
    """Also one that has no place in UTC."""
    assert refusal(moment_value, typed) == "bad_moment"


# Money, numbers, flags, clocks, references


def typed_as(cls: type, field: str):
    spec = specs(cls)[field]
    return lambda value: field_value(spec, value)


@pytest.mark.parametrize(
    ("typed", "amount"),
    [
        ("1234.5", "1234.50"),
        ("1,234.50", "1234.50"),
        ("￥1，234元", "1234.00"),
        ("¥ 99", "99.00"),
        ("１２３", "123.00"),
        (12800, "12800.00"),
        (12800.0, "12800.00"),
        (0.1, "0.10"),
        (Decimal("3.30"), "3.30"),
    ],
)
def test_money_is_exact_to_the_cent(typed, amount):
    """Always two decimals, never a binary fraction."""
    found = typed_as(Payment, "amount")(typed)
    assert isinstance(found, Decimal)
    assert str(found) == amount


@pytest.mark.parametrize(
    "typed",
    ["12.345", "abc", "nan", "inf", "sNaN", "1e400", "1e-400", "1e999999999", "1000000000000", "--",
     "元", True, float("nan"), 0.1 + 0.2],
)  # fmt: skip
def test_what_is_no_amount_is_refused_and_never_rounded(typed):
    """A third decimal is a typing error, not something to round away."""
    assert refusal(typed_as(Payment, "amount"), typed) == "bad_amount"


@pytest.mark.parametrize(
    ("typed", "flag"),
    [
        ("是", True),
        ("否", False),
        ("TRUE", True),
        ("no", False),
        (1.0, True),
        (0, False),
        (True, True),
    ],
)
def test_a_flag_is_read_as_people_write_it(typed, flag):
    """是 and 否, yes and no, 1 and 0."""
    assert typed_as(PoolRule, "working_days")(typed) is flag


@pytest.mark.parametrize("typed", ["也许", 2, "10", -1.0])
def test_what_is_neither_yes_nor_no_is_refused(typed):
    """Truthiness is not an answer."""
    assert refusal(typed_as(PoolRule, "working_days"), typed) == "bad_flag"


@pytest.mark.parametrize(("typed", "number"), [("12", 12), (" １２ ", 12), (12.0, 12), ("-3", -3)])
def test_a_number_is_whole(typed, number):
    """Written by people or kept as a float by a spreadsheet."""
    assert typed_as(Cohort, "capacity")(typed) == number


@pytest.mark.parametrize("typed", ["1.5", 1.5, "十二", "²", True, float("inf")])
def test_what_is_no_whole_number_is_refused(typed):
    """Nothing is cut off to make it fit."""
    assert refusal(typed_as(Cohort, "capacity"), typed) == "bad_number"


@pytest.mark.parametrize("typed", [2**31, -(2**31), "2147483648", "1" * 5000, 1e300, 10**30])
def test_a_number_beyond_its_column_is_refused(typed):
    """The largest that fits is read; a reference has room for more."""
    assert refusal(typed_as(Cohort, "capacity"), typed) == "out_of_range"
    assert typed_as(Cohort, "capacity")(2**31 - 1) == 2**31 - 1
    assert typed_as(Cohort, "tutor_id")(10**15 - 1) == 10**15 - 1
    assert refusal(typed_as(Cohort, "tutor_id"), 10**15) == "out_of_range"


@pytest.mark.parametrize("typed", [["a"], ("a",), {"a": 1}, {"a"}, b"a"])
def test_text_is_no_structure(typed):
    """What a program passed in by mistake is not written down as Python would show it."""
    for field in ("name", "phone", "source", "consulted_on"):
        assert refusal(typed_as(Customer, field), typed) == "bad_text"


def test_leave_is_read_as_pairs_of_days_in_order_each_once():
    """As JSON has them, or as a program gives them; nothing is no leave."""
    read = typed_as(Employee, "leave")
    first, second = (date(2026, 11, 2), date(2026, 11, 3)), (date(2026, 12, 1), date(2026, 12, 1))
    typed = [["2026-12-01", "2026-12-01"], ("2026-11-02", "2026年11月3日"), first]
    assert read(typed) == (first, second)
    assert read(None) == read("") == read([]) == ()


@pytest.mark.parametrize(
    "typed",
    ["2026-11-02", [date(2026, 11, 2)], [["2026-11-02"]], [["2026-11-03", "2026-11-02"]],
     [["2026-11-02", None]], {"a": 1}, 7, True, [[]], [None], ["ab"], [["x", "y"]],
     [["2026-11-02", "2026-11-03", "2026-11-04"]], [[["2026-11-02"], "2026-11-03"]]],
)  # fmt: skip
def test_what_is_no_leave_is_refused(typed):
    """The rotation reads it at every turn, so nothing else may ever be kept."""
    assert refusal(typed_as(Employee, "leave"), typed) in {"bad_periods", "bad_date", "bad_text"}


def test_references_are_numbers_each_once_in_order():
    """From a form's several values, or one text."""
    read = typed_as(Customer, "courses")
    assert read("3, 1；3、2") == read(["3", 1, 3.0, "2"]) == (3, 1, 2)
    assert read("") == read(None) == read([]) == ()
    assert refusal(read, "3,x") == "bad_number"


def test_a_time_of_day_is_read():
    """As a form's time field sends it."""
    read = typed_as(Lesson, "starts_at")
    assert read("09:30") == read(time(9, 30)) == time(9, 30)
    assert refusal(read, "25:00") == "bad_time"
    assert refusal(read, "09:30+08:00") == refusal(read, time(9, tzinfo=UTC)) == "bad_time"


def test_a_state_is_read_by_its_number():
    """An unknown number is an unknown choice."""
    read = typed_as(Assignment, "status")
    assert read("3") is AssignmentStatus.NO_FOLLOW_UP
    assert refusal(read, 8) == "unknown_choice"


# Text


def test_text_is_kept_as_it_was_typed_but_for_the_blanks_around_it():
    """Full-width characters in a name or a memo are nobody's to correct."""
    assert keep_text("　（张三）Ａ ") == "（张三）Ａ"
    assert keep_text(12.0) == "12"
    assert tidy("　（张三）Ａ ") == "(张三)A"


def test_text_longer_than_its_field_is_refused_and_never_cut():
    """The limit itself still fits."""
    read = typed_as(Customer, "name")
    assert read("张" * 60) == "张" * 60
    assert refusal(read, "张" * 61) == "too_long"


@pytest.mark.parametrize("typed", ["a\0b", "a\ud800", "\udfff"])
def test_text_that_no_database_takes_is_refused(typed):
    """The null character and halves of characters."""
    assert refusal(typed_as(Customer, "name"), typed) == "bad_text"


# A whole record


@pytest.mark.parametrize("values", [None, [], "name=x", 7, [("name", "x")]])
def test_values_come_by_field_name(values):
    """Anything else is one problem of the whole record."""
    assert codes(parse_fields(Customer, values)[1]) == {("", "no_mapping")}


def test_a_field_that_nobody_knows_is_named_as_text():
    """Whatever stood in its place."""
    problems = parse_fields(Customer, {7: "x", None: "y", "x": "z"}, partial=True)[1]
    assert {p.path for p in problems} == {"7", "None", "x"}
    assert {p.code for p in problems} == {"unknown_field"}


def codes(problems) -> set[tuple[str, str]]:
    return {(p.path, p.code) for p in problems}


def test_all_problems_are_told_at_once():
    """Nobody should have to send a form five times to learn five mistakes."""
    found, problems = parse_fields(
        Customer,
        {
            "name": "周八",
            "phone": "1380O138000",
            "qq": "无",
            "source": "抖音",
            "consulted_on": "2026-02-30",
            "company": "某公司",
            "owner_id": 3,
            "nickname": "小八",
        },
    )
    assert codes(problems) == {
        ("phone", "bad_phone"),
        ("qq", "bad_qq"),
        ("source", "unknown_choice"),
        ("consulted_on", "bad_date"),
        ("owner_id", "guarded_field"),
        ("nickname", "unknown_field"),
    }
    assert found == {"name": "周八", "company": "某公司"}
    phone = next(p for p in problems if p.path == "phone")
    assert phone.value == "1380O138000"
    assert "手机" in phone.message("zh")
    assert "Phone" in phone.message("en")


def test_a_message_about_a_very_long_value_stays_short():
    """A pasted book is not sent back three times."""
    (problem,) = parse_fields(Customer, {"name": "张" * 100_000})[1]
    assert len(problem.zh) < 200
    assert len(problem.en) < 200
    assert len(parse_fields(Customer, {"name": "a", "courses": 10**5000})[1]) == 1


@pytest.mark.parametrize(
    "field", [name for name, spec in specs(Customer).items() if spec.guarded and name != "version"]
)
def test_guarded_fields_are_refused_and_never_silently_dropped(field):
    """Owner, status and dates change through their own use cases, whatever a form sends."""
    found, problems = parse_fields(Customer, {"name": "周八", field: "1"})
    assert codes(problems) == {(field, "guarded_field")}
    assert field not in found


@pytest.mark.parametrize("field", ["id", "nickname", "", "__class__"])
def test_unknown_fields_are_refused(field):
    """Also the record's own number, which the storage gives."""
    assert codes(parse_fields(Customer, {"name": "周八", field: 1})[1]) == {
        (field, "unknown_field")
    }


def test_the_version_that_was_seen_may_be_sent_along():
    """It is how two people do not overwrite each other."""
    assert parse_fields(Customer, {"version": "4"}, partial=True) == ({"version": 4}, [])


def test_a_secret_is_never_repeated_in_a_problem():
    """A password that was refused does not land in a log."""
    _, problems = parse_fields(User, {"username": "u", "password_hash": "hunter2"})
    assert codes(problems) == {("password_hash", "guarded_field")}
    assert "hunter2" not in repr(problems)


def test_a_required_field_that_is_blank_or_not_there_is_missing():
    """A name of blanks is no name."""
    assert codes(parse_fields(Customer, {})[1]) == {("name", "missing")}
    assert codes(parse_fields(Customer, {"name": " 　"})[1]) == {("name", "missing")}


def test_a_partial_change_misses_nothing_that_it_does_not_name():
    """What is named and blank is still missing."""
    assert parse_fields(Customer, {"company": ""}, partial=True) == ({"company": None}, [])
    assert codes(parse_fields(Customer, {"name": ""}, partial=True)[1]) == {("name", "missing")}


def test_an_empty_box_of_a_text_that_may_be_empty_is_empty_text():
    """A lesson without a title yet can be sent as the form shows it."""
    found, problems = parse_fields(Holiday, {"on": "2026-10-01", "title": ""})
    assert (found, problems) == ({"on": date(2026, 10, 1), "title": ""}, [])


def test_a_phone_of_the_staff_is_normalised_like_a_customers():
    """The same person is the same number in every table."""
    found, _ = parse_fields(Employee, {"name": "a", "phone": "138-0013-8000"})
    assert found["phone"] == "13800138000"


# Laws over everything anybody could type

EVERY_FIELD = [
    pytest.param(spec, id=f"{cls.__name__}.{name}")
    for cls in (Customer, Payment, Lesson, PoolRule, Assignment)
    for name, spec in specs(cls).items()
    if spec.kind != "json"
]
ONE_OF_EACH_KIND = list(
    {
        (p.values[0].kind, p.values[0].contact and p.values[0].name): p.values[0]
        for p in EVERY_FIELD
    }.values()
)


@given(st.sampled_from(ONE_OF_EACH_KIND), cells)
@example(specs(Customer)["phone"], 10**5000)
@example(specs(Payment)["amount"], "1e999999999")
@example(specs(Customer)["received_at"], datetime.max.replace(tzinfo=timezone(-timedelta(hours=8))))
def test_reading_any_value_gives_a_value_or_unreadable_and_nothing_else(spec, value):
    """Whatever stands in a cell, an import goes on to the next row."""
    try:
        found = field_value(spec, value)
    except Unreadable as e:
        assert e.code.isascii()
        assert e.zh
        assert e.en
        return
    kinds = {"references": tuple, "number": int, "version": int, "key": int, "reference": int}
    assert found is None or isinstance(found, kinds.get(spec.kind, spec.type))


@given(st.sampled_from(ONE_OF_EACH_KIND), cells)
def test_reading_what_was_read_changes_nothing(spec, value):
    """Normalising is idempotent, so a stored value can be sent back as it is."""
    try:
        found = field_value(spec, value)
    except Unreadable:
        return
    assert field_value(spec, found) == found


contact_texts = st.one_of(
    st.from_regex(r"(\+86|0086|86)?[ -]?1[3-9][0-9][ -]?[0-9]{4}[ -]?[0-9]{4}", fullmatch=True),
    st.from_regex(r"0[1-9][0-9]{1,2}-?[2-8][0-9]{6,7}", fullmatch=True),
    st.from_regex(r"\+[1-9][0-9]{6,13}", fullmatch=True),
    st.from_regex(r"[0-9]{5,12}", fullmatch=True),
    st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{5,19}", fullmatch=True),
)


@given(st.sampled_from(sorted(CONTACTS)), contact_texts)
@example("phone", "400-810-8888")
def test_the_normal_form_of_a_contact_is_its_own_normal_form(contact, text):
    """Duplicates are found by comparing normal forms, so there may be only one."""
    read = CONTACTS[contact]
    try:
        normal = read(text)
    except Unreadable:
        return
    assert read(normal) == normal
    assert len(normal) <= specs(Customer)[contact].length
    assert read(f" {normal}　") == normal


@given(
    st.sampled_from(sorted(RECORDS)),
    st.dictionaries(st.text(max_size=8), cells, max_size=3),
    st.data(),
)
def test_reading_a_whole_record_never_raises(name, more, data):
    """Every value ends among the values or among the problems, none is lost."""
    cls = RECORDS[name]
    fields = data.draw(st.lists(st.sampled_from(sorted(specs(cls))), unique=True, max_size=4))
    values = more | {field: data.draw(cells) for field in fields}
    found, problems = parse_fields(cls, values, partial=True)
    assert {*found, *(p.path for p in problems)} == set(values)
    assert len(found) + len(problems) == len(values)
