"""What the school teaches, and when."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from crm_domain.model.fields import (
    day,
    key,
    money,
    number,
    record,
    reference,
    references,
    text,
    version,
)


@record("course", "课程", "Course")
class Course:
    """A subject taught."""

    id: int | None = key(default=None)
    title: str = text("课程名称", "Title", length=60, unique=True)
    version: int = version(default=1)


@record(
    "cohort", "班级", "Cohort", unique=(("course_id", "school_id", "semester"),),
    titled=("{course_id} {school_id} 第{semester}期", "{course_id} {school_id} no. {semester}"),
    belongs=("teachers", "tutor_id"), shared=True,
)  # fmt: skip
class Cohort:
    """One intake of a course at a school."""

    id: int | None = key(default=None)
    school_id: int = reference("校区", "School", "School")
    course_id: int = reference("课程", "Course", "Course")
    semester: int = number("期", "Semester")
    price: Decimal = money("学费", "Price", default=Decimal(0))
    start_date: date | None = day("开班日期", "Starts on", default=None)
    graduate_date: date | None = day("结业日期", "Graduates on", default=None)
    capacity: int | None = number("名额", "Capacity", default=None)
    memo: str | None = text("备注", "Memo", length=2000, default=None)
    teachers: tuple[int, ...] = references("任课老师", "Teachers", "Employee", default=())
    tutor_id: int | None = reference("班主任", "Tutor", "Employee", default=None)
    version: int = version(default=1)
