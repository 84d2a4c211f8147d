"""Where in a sheet the people stand: finding the header and what its columns mean."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import attrs

from crm_domain.errors import NoHeader
from crm_domain.model import Customer, Employee, Spec, Student, specs
from crm_domain.parsing import CONTACTS, tidy

SYNONYMS: dict[str, tuple[str, ...]] = {
    "name": ("客户姓名", "名字", "客户", "学员姓名", "称呼"),
    "phone": ("手机号", "手机号码", "电话", "电话号码", "联系电话", "联系方式", "移动电话", "tel",
              "mobile", "phonenumber"),
    "qq": ("QQ号", "QQ号码"),
    "wechat": ("微信号", "微信账号", "weixin"),
    "gender": ("sex",),
    "education": ("最高学历", "文化程度"),
    "graduation_school": ("毕业学校", "学校", "院校"),
    "major": ("所学专业",),
    "experience": ("工作年限", "经验"),
    "work_status": ("就业状态", "是否在职"),
    "company": ("公司名称", "单位", "工作单位", "就职公司"),
    "salary": ("薪水", "工资", "月薪"),
    "source": ("来源渠道", "客户来源", "渠道", "渠道来源"),
    "courses": ("课程", "意向课程", "咨询的课程", "感兴趣课程", "course", "courses"),
    "school_id": ("校区", "意向学校", "school"),
    "memo": ("说明", "备注信息", "remark", "remarks", "note"),
    "consulted_on": ("咨询时间", "登记日期", "日期", "首次咨询", "date"),
}  # fmt: skip
"""What staff write above a column, beside the field's own label."""

HEADER_WITHIN = 30
"""The header is looked for in so many rows from the top."""


def _key(heading: object) -> str:
    text = unicodedata.normalize("NFKC", tidy(heading) or "")
    return re.sub(r"[\s*_:：()（）\[\]【】\-/]+|必填|选填", "", text).casefold()


EMPLOYEE_SYNONYMS: dict[str, tuple[str, ...]] = {
    "name": ("员工姓名", "名字", "员工"),
    "employee_number": ("员工编号", "编号", "员工号"),
    "phone": ("手机号", "手机号码", "电话", "联系电话", "移动电话", "tel", "mobile"),
    "email": ("电子邮箱", "电子邮件", "e-mail", "mail"),
    "department_id": ("所属部门", "部门名称", "department"),
    "left_on": ("离职时间",),
}  # fmt: skip
STUDENT_SYNONYMS: dict[str, tuple[str, ...]] = {
    **{name: SYNONYMS[name] for name in ("name", *CONTACTS, "gender", "education",
                                         "graduation_school", "major", "source", "courses",
                                         "school_id", "consulted_on")},
    "student_number": ("学生编号", "学员编号", "学籍号"),
    "guardian_name": ("家长", "家长姓名", "监护人姓名"),
    "guardian_phone": ("家长电话", "家长手机", "监护人手机"),
    "emergency_contact": ("紧急联系方式",),
    "company": ("就业单位", "公司"),
    "position": ("职位", "就业岗位"),
    "salary": ("就业薪资", "月薪"),
    "hired_on": ("就业日期", "入职时间"),
    "memo": SYNONYMS["memo"],
}  # fmt: skip


@attrs.frozen
class Form:
    """What the columns of a sheet of one kind of people may hold."""

    zh: str
    fields: Mapping[str, Spec]
    words: Mapping[str, str]
    """The field that a heading names, in its plainest form."""
    asked: tuple[tuple[str, ...], ...]
    """Of each group a row must have one."""
    unique: tuple[str, ...]
    """What tells one of them from another: a row with what somebody has is a duplicate."""


def _form(
    zh: str, records: Sequence[type], synonyms: Mapping[str, tuple[str, ...]],
    asked: tuple[tuple[str, ...], ...], unique: tuple[str, ...],
) -> Form:  # fmt: skip
    fields: dict[str, Spec] = {}
    words: dict[str, str] = {}
    for name, others in synonyms.items():
        spec = fields[name] = next(specs(r)[name] for r in records if name in specs(r))
        for word in (spec.zh, spec.en, name, *others):
            words.setdefault(_key(word), name)
    return Form(zh, fields, words, asked, unique)


_REACHABLE = (("name",), tuple(CONTACTS))
FORMS: dict[str, Form] = {
    "Customer": _form("客户", (Customer,), SYNONYMS, _REACHABLE, tuple(CONTACTS)),
    "Employee": _form("员工", (Employee,), EMPLOYEE_SYNONYMS, (("name",),),
                      ("employee_number", "phone")),
    "Student": _form("学员", (Student, Customer), STUDENT_SYNONYMS, _REACHABLE,
                     (*CONTACTS, "student_number")),
}  # fmt: skip
"""By the kind of record that a sheet holds."""


@attrs.frozen
class Layout:
    """How a sheet is laid out."""

    form: Form
    header: int
    """The place of the header in the sequence of rows."""
    columns: dict[int, str]
    """The field of each column that we understand, by the column's place."""
    headings: dict[str, str]
    """What stands above the column of a field."""
    unknown: tuple[str, ...]
    """Headings that we do not understand."""

    @property
    def usable(self) -> bool:
        """Whether there are all columns that are asked for."""
        found = set(self.columns.values())
        return all(found & set(group) for group in self.form.asked)


def read_header(cells: Sequence[object], place: int, form: Form) -> Layout:
    """Read a row as if it were the header."""
    columns: dict[int, str] = {}
    headings: dict[str, str] = {}
    unknown: list[str] = []
    for column, cell in enumerate(cells):
        text = tidy(cell)
        if text is None:
            continue
        name = form.words.get(_key(cell))
        if name is None or name in headings:
            unknown.append(text)
        else:
            columns[column], headings[name] = name, text
    return Layout(form, place, columns, headings, tuple(unknown))


def find_layout(
    sheets: Iterable[tuple[str, Sequence[Sequence[object]]]], file: str, form: Form
) -> tuple[int, Layout]:
    """Find the sheet and the row that are most like a header of such people.

    Args:
        sheets: The name and the rows of each sheet.
        file: The file's name, for the refusal.
        form: What is looked for.

    Returns:
        The place of the sheet, and its layout.

    Raises:
        NoHeader: No row has all the columns that are asked for.
    """
    best: tuple[int, int, Layout] | None = None
    for number, (_, rows) in enumerate(sheets):
        for place, cells in enumerate(rows[:HEADER_WITHIN]):
            layout = read_header(cells, place, form)
            if layout.usable and (best is None or len(layout.columns) > best[0]):
                best = (len(layout.columns), number, layout)
    if best is None:
        raise NoHeader(file=file)
    return best[1], best[2]
