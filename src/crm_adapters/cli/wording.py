"""What codes and stored Chinese sentences are called in the user's language."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from crm_adapters.cli.fields import UnknownField, settable
from crm_adapters.cli.language import language, say
from crm_domain.errors import FieldError
from crm_domain.model import Customer, FollowUp, ImportProblem, specs
from crm_domain.model.fields import Choice
from crm_domain.parsing import Unreadable, field_value
from crm_domain.rules.access import ROLES
from crm_domain.rules.layout import FORMS, read_header

REASONS: Mapping[str, tuple[str, str]] = {
    "duplicate_in_file": ("文件内重复", "duplicate in the file"),
    "duplicate_in_database": ("与已有客户重复", "duplicate of a customer"),
    "no_name": ("缺少姓名", "no name"),
    "no_contact": ("没有联系方式", "no way to reach them"),
    "total_row": ("是合计行", "a row of totals"),
    "bad_phone": ("电话号码无效", "bad phone number"),
    "bad_qq": ("QQ 号无效", "bad QQ number"),
    "bad_wechat": ("微信号无效", "bad WeChat id"),
    "unknown_choice": ("不在可选范围内", "not one of the choices"),
    "too_long": ("内容过长", "too long"),
    "bad_text": ("含有无法保存的字符", "unusable character"),
    "bad_date": ("日期无效", "bad date"),
    "bad_moment": ("时间无效", "bad moment"),
    "bad_time": ("时刻无效", "bad time of day"),
    "bad_number": ("不是整数", "not a whole number"),
    "bad_amount": ("金额无效", "bad amount"),
    "out_of_range": ("超出允许的范围", "out of range"),
    "bad_periods": ("时段无效", "bad periods"),
    "bad_flag": ("不是“是”或“否”", "neither yes nor no"),
}
"""Why a row of a sheet was not taken in, by code."""

_SENTENCES: Mapping[str, str] = {
    "duplicate_in_file": "stands in an earlier row",
    "duplicate_in_database": "is another customer's",
    "no_name": "is empty",
    "no_contact": "no phone, QQ or WeChat",
    "total_row": "adds up other rows and is no customer",
}


def reason(code: str) -> str:
    """Say a code; one that we do not know, of a plugin, stays what it is."""
    return say(*REASONS.get(code, (code, code)))


def told(problem: ImportProblem) -> str:
    """Say what is wrong with a row; only the Chinese sentence is stored."""
    if language() == "zh":
        return problem.message
    why = _SENTENCES.get(problem.code) or _unreadable(problem) or reason(problem.code)
    value = f"“{problem.value}”" if problem.value else ""
    return " ".join(word for word in (problem.column, value, why) if word)


def _unreadable(problem: ImportProblem) -> str:
    """Read the value once more, for what the reader says in English."""
    name = _field(problem.column)
    if name is None or problem.value is None:
        return ""
    spec = next(form.fields[name] for form in FORMS.values() if name in form.fields)
    try:
        field_value(spec, problem.value)
    except Unreadable as e:
        return e.en
    return ""


def _field(heading: str) -> str | None:
    """Tell the field that a column holds."""
    found = (read_header([heading], 0, form).columns.get(0) for form in FORMS.values())
    return next(filter(None, found), None)


_WARNINGS = (
    (re.compile("未识别的列“(.*)”已忽略"), "the column “{}” was not understood and left out"),
    (re.compile("未知的课程“(.*)”已忽略"), "the unknown course “{}” was left out"),
    (re.compile("未知的校区“(.*)”已忽略"), "the unknown school “{}” was left out"),
    (re.compile("未知的部门“(.*)”已忽略"), "the unknown department “{}” was left out"),
)
_TIMES = re.compile("（([0-9]+) 行）$")


def warning(text: str) -> str:
    """Say a warning of an import; only the Chinese sentence is stored."""
    if language() == "zh":
        return text
    plain = _TIMES.sub("", text)
    rows = _TIMES.search(text)
    for pattern, english in _WARNINGS:
        if found := pattern.fullmatch(plain):
            return english.format(found[1]) + (f" ({rows[1]} rows)" if rows else "")
    return text


# -- what would be allowed --------------------------------------------------------------------


def allowed(problem: FieldError) -> Sequence[tuple[str, str]]:
    """Give the codes and labels that a field takes, where the problem is that it got another."""
    name = problem.path.rpartition(".")[2]
    if problem.code == "unknown_role":
        return [(role.code, f"{role.code}（{role.zh}）") for role in ROLES]
    if problem.code == "unknown_field":
        names = problem.allowed if isinstance(problem, UnknownField) else tuple(settable())
        return [(name, f"{name}（{specs(Customer)[name].zh}）") for name in names]
    if problem.code != "unknown_choice":
        return []
    return next((_members(s[name].type) for s in map(specs, (Customer, FollowUp)) if name in s), [])


def _members(kind: type) -> Sequence[tuple[str, str]]:
    if not (isinstance(kind, type) and issubclass(kind, Choice)):
        return []
    return [(str(member.value), member.label("zh")) for member in kind]


def choices(problem: FieldError) -> str:
    """Say what would be allowed: the labels in Chinese, the codes in English; "" for anything."""
    found = allowed(problem)
    if not found:
        return ""
    return say("可选：" + "、".join(zh for _, zh in found),
               "Allowed: " + ", ".join(code for code, _ in found))  # fmt: skip


def choices_of_column(heading: str) -> str:
    """Say what would be allowed in a column of a sheet; "" for anything."""
    name = _field(heading)
    if name is None:
        return ""
    return choices(FieldError(name, "unknown_choice"))
