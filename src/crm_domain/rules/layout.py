"""Where in a sheet the customers stand: finding the header and what its columns mean."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

import attrs

from crm_domain.errors import NoHeader
from crm_domain.model import Customer, specs
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


def _words() -> dict[str, str]:
    words: dict[str, str] = {}
    for name, synonyms in SYNONYMS.items():
        spec = specs(Customer)[name]
        for word in (spec.zh, spec.en, name, *synonyms):
            words.setdefault(_key(word), name)
    return words


_WORDS = _words()


@attrs.frozen
class Layout:
    """How a sheet is laid out."""

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
        """Whether there is a name and a way to reach people."""
        found = set(self.columns.values())
        return "name" in found and bool(found & set(CONTACTS))


def read_header(cells: Sequence[object], place: int) -> Layout:
    """Read a row as if it were the header."""
    columns: dict[int, str] = {}
    headings: dict[str, str] = {}
    unknown: list[str] = []
    for column, cell in enumerate(cells):
        text = tidy(cell)
        if text is None:
            continue
        name = _WORDS.get(_key(cell))
        if name is None or name in headings:
            unknown.append(text)
        else:
            columns[column], headings[name] = name, text
    return Layout(place, columns, headings, tuple(unknown))


def find_layout(
    sheets: Iterable[tuple[str, Sequence[Sequence[object]]]], file: str
) -> tuple[int, Layout]:
    """Find the sheet and the row that are most like a header of customers.

    Args:
        sheets: The name and the rows of each sheet.
        file: The file's name, for the refusal.

    Returns:
        The place of the sheet, and its layout.

    Raises:
        NoHeader: No row names both a name and a contact.
    """
    best: tuple[int, int, Layout] | None = None
    for number, (_, rows) in enumerate(sheets):
        for place, cells in enumerate(rows[:HEADER_WITHIN]):
            layout = read_header(cells, place)
            if layout.usable and (best is None or len(layout.columns) > best[0]):
                best = (len(layout.columns), number, layout)
    if best is None:
        raise NoHeader(file=file)
    return best[1], best[2]
