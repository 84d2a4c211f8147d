"""The sheet of a demo: some 300 rows as staff type them, with every kind of trouble."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date
from typing import Any

from crm_domain.ports import SheetWriter, Table

COURSES = ("Python全栈", "Linux运维", "Java开发", "数据分析", "网络安全")
SOURCES = ("百度推广", "百度", "腾讯课堂", "官网", "QQ群", "高校宣讲", "转介绍", "51CTO", "360推广")
HEADER = ("序号", "客户姓名", "性别", "联系电话", "QQ号", "微信号", "来源渠道", "意向课程", "学历",
          "咨询日期", "备注", "登记人")  # fmt: skip
SURNAMES = "王李张刘陈杨黄赵周吴徐孙马朱胡郭何高林罗"
GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀兰霞平刚桂英华玉萍红玲佳欣宇轩浩然子涵梓萱"


def a_name(chance: random.Random) -> str:
    """Make up a name."""
    return chance.choice(SURNAMES) + "".join(chance.choices(GIVEN, k=chance.choice((1, 2, 2))))


def messy_sheet(writer: SheetWriter, chance: random.Random, day: date) -> bytes:
    """Write some 300 rows as staff type them, with every kind of trouble."""
    rows: list[list[Any]] = [list(HEADER)]
    for i in range(1, 301):
        digits = (
            f"1{chance.choice(('38', '39', '86', '58', '77'))}{i:04d}{chance.randrange(10**4):04d}"
        )
        rows.append([
            i, a_name(chance), chance.choice(("男", "女", "男性", None)), _typed(digits, i),
            f"{chance.randrange(10**8, 10**9)}" if i % 4 == 0 else None,
            f"wx_{digits[-6:]}" if i % 5 == 0 else None, chance.choice(SOURCES),
            "、".join(chance.sample(COURSES, chance.choice((1, 1, 2)))),
            chance.choice(("本科", "大专", "高中", "普通本科", None)),
            f"{day:%Y/%m/%d}" if i % 3 else day, None, chance.choice(("前台小张", "前台小李")),
        ])  # fmt: skip
    for i in range(20, 300, 37):  # Somebody typed the same customer twice.
        rows[i] = [rows[i][0], *rows[i - 9][1:]]
    for i, (column, value) in enumerate(_FAULTS):
        rows[11 + 13 * i][column] = value
        if column == 3 and value is None:
            rows[11 + 13 * i][4] = rows[11 + 13 * i][5] = None
    rows[40][7], rows[41][10] = "量子计算", "=1+1"
    for i in (60, 130, 200, 270):
        rows.insert(i, [None, "  ", None])
    return writer.write_xlsx([Table("登记", ["来访登记表（前台每日汇总）"], rows)])


_FAULTS: Sequence[tuple[int, Any]] = (
    (1, None), (3, "1380013"), (3, None), (6, "朋友圈"), (8, "小学"), (1, " "), (3, "没留"),
    (3, None), (6, "路过"), (3, "12345678901"), (4, "123"), (3, None), (1, None),
    (3, "138001380001"),
)  # fmt: skip


def _typed(digits: str, i: int) -> Any:
    wide = "".join(chr(ord(c) + 0xFEE0) for c in digits)
    dashed = f"{digits[:3]}-{digits[3:7]}-{digits[7:]}"
    return (digits, int(digits), float(digits), f"+86 {dashed}", wide, f" {digits} ",
            dashed.replace("-", " "), f"0086{digits}")[i % 8]  # fmt: skip
