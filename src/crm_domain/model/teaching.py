"""Students, lessons, attendance and scores."""

from __future__ import annotations

from datetime import date, datetime, time

from crm_domain.model.fields import (
    Choice,
    choice,
    clock,
    day,
    flag,
    key,
    moment,
    number,
    record,
    reference,
    text,
    version,
)


class EnrolmentStatus(Choice):
    """What became of a student in a cohort."""

    STUDYING = "studying", "在读", "studying"
    ON_LEAVE = "on_leave", "休学", "on leave"
    TRANSFERRED = "transferred", "转班", "transferred"
    WITHDRAWN = "withdrawn", "退学", "withdrawn"
    GRADUATED = "graduated", "结业", "graduated"


class Attendance(Choice):
    """Whether a student was there."""

    PRESENT = "present", "签到", "present"
    EXCUSED = "excused", "请假", "excused"
    LATE = "late", "迟到", "late"
    ABSENT = "absent", "缺勤", "absent"
    LEFT_EARLY = "left_early", "早退", "left early"


class Score(Choice):
    """A mark. ``points`` is what charts plot; the last three are no numbers."""

    A_PLUS = "A+", "A+", "A+"
    A = "A", "A", "A"
    B_PLUS = "B+", "B+", "B+"
    B = "B", "B", "B"
    B_MINUS = "B-", "B−", "B−", "B-"
    C_PLUS = "C+", "C+", "C+"
    C = "C", "C", "C"
    C_MINUS = "C-", "C−", "C−", "C-"
    D = "D", "D", "D"
    NOT_AVAILABLE = "N/A", "N/A", "N/A"
    COPIED = "COPY", "抄袭", "copied"
    NOT_HANDED_IN = "FAIL", "未交", "not handed in"

    @property
    def points(self) -> int | None:
        """The number of points from 0 to 100, or None where the mark is no number."""
        return _POINTS.get(self)


_POINTS = {
    Score.A_PLUS: 100, Score.A: 90, Score.B_PLUS: 85, Score.B: 80, Score.B_MINUS: 70,
    Score.C_PLUS: 60, Score.C: 50, Score.C_MINUS: 40, Score.D: 0,
}  # fmt: skip


_TAUGHT = ("lesson_id.teacher_id", "lesson_id.cohort_id.teachers", "lesson_id.cohort_id.tutor_id")
_STUDIES = "Enrolment:student_id.cohort_id"


@record(
    "student", "学员", "Student", plain=False, listed=True,
    titled=("{customer_id} {student_number}", "{customer_id} {student_number}"),
    belongs=(f"{_STUDIES}.teachers", f"{_STUDIES}.tutor_id"),
    changes=("student_number", "guardian_name", "guardian_phone", "emergency_contact", "company",
             "location", "position", "salary", "welfare", "hired_on", "memo"),
)  # fmt: skip
class Student:
    """An enrolled customer."""

    id: int | None = key(default=None)
    customer_id: int = reference("客户", "Customer", "Customer", unique=True)
    student_number: str | None = text("学号", "Number", length=40, default=None, unique=True)
    wechat_openid: str | None = text(
        "微信 openid", "WeChat openid", length=64, default=None, unique=True, contact=True
    )
    guardian_name: str | None = text("监护人", "Guardian", length=60, default=None)
    guardian_phone: str | None = text(
        "监护人电话", "Guardian's phone", length=20, default=None, contact=True
    )
    emergency_contact: str | None = text(
        "紧急联系人", "Emergency contact", length=100, default=None, contact=True
    )
    company: str | None = text("就业公司", "Company", length=100, default=None)
    location: str | None = text("就业地点", "Location", length=100, default=None)
    position: str | None = text("岗位", "Position", length=100, default=None)
    salary: str | None = text("薪资", "Salary", length=60, default=None)
    welfare: str | None = text("福利", "Welfare", length=200, default=None)
    hired_on: date | None = day("入职日期", "Hired on", default=None)
    memo: str | None = text("备注", "Memo", length=2000, default=None)
    version: int = version(default=1)


@record(
    "enrolment", "报班", "Enrolment", plain=False, listed=True,
    titled=("{student_id} {cohort_id}", "{student_id} {cohort_id}"),
    belongs=("cohort_id.teachers", "cohort_id.tutor_id"),
)  # fmt: skip
class Enrolment:
    """A student in a cohort."""

    id: int | None = key(default=None)
    student_id: int = reference("学员", "Student", "Student")
    cohort_id: int = reference("班级", "Cohort", "Cohort")
    joined_on: date = day("入班日期", "Joined on")
    left_on: date | None = day("离班日期", "Left on", default=None)
    status: EnrolmentStatus = choice("状态", "Status", default=EnrolmentStatus.STUDYING)
    reason: str | None = text("原因", "Reason", length=200, default=None)
    version: int = version(default=1)


@record(
    "lesson", "上课记录", "Lesson", unique=(("cohort_id", "day_number"),),
    titled=("{cohort_id} 第{day_number}天 {title}", "{cohort_id} day {day_number} {title}"),
    belongs=("teacher_id", "cohort_id.teachers", "cohort_id.tutor_id"),
)  # fmt: skip
class Lesson:
    """One day of a cohort."""

    id: int | None = key(default=None)
    cohort_id: int = reference("班级", "Cohort", "Cohort")
    day_number: int = number("第几天", "Day")
    date: date = day("日期", "Date")
    starts_at: time | None = clock("开始", "From", default=None)
    ends_at: time | None = clock("结束", "Until", default=None)
    room: str | None = text("教室", "Room", length=60, default=None)
    teacher_id: int | None = reference("老师", "Teacher", "Employee", default=None)
    title: str = text("标题", "Title", length=200, default="")
    summary: str | None = text("内容概要", "Summary", length=2000, default=None)
    has_homework: bool = flag("有作业", "Homework", default=False)
    homework_title: str | None = text("作业标题", "Homework", length=200, default=None)
    homework_note: str | None = text("作业说明", "About the homework", length=2000, default=None)
    key_points: str | None = text("踩分点", "Key points", length=2000, default=None)
    version: int = version(default=1)


@record(
    "study_record", "学习记录", "Study record", unique=(("lesson_id", "student_id"),), plain=False,
    listed=True, titled=("{student_id} {lesson_id}", "{student_id} {lesson_id}"), belongs=_TAUGHT,
    changes=("attendance", "minutes_late", "score", "homework_comment", "note"),
)  # fmt: skip
class StudyRecord:
    """One student in one lesson."""

    id: int | None = key(default=None)
    lesson_id: int = reference("上课记录", "Lesson", "Lesson")
    student_id: int = reference("学员", "Student", "Student")
    date: date = day("日期", "Date")
    attendance: Attendance = choice("考勤", "Attendance", default=Attendance.PRESENT)
    minutes_late: int | None = number("迟到分钟", "Minutes late", default=None)
    score: Score = choice("成绩", "Score", default=Score.NOT_AVAILABLE)
    homework_comment: str | None = text("作业批语", "Comment", length=2000, default=None)
    note: str | None = text("备注", "Note", length=2000, default=None)
    homework_file: str | None = text("作业文件", "Homework file", length=200, default=None)
    student_remark: str | None = text("学员留言", "Student's remark", length=2000, default=None)
    handed_in_at: datetime | None = moment("提交时间", "Handed in", default=None, guarded=True)
    version: int = version(default=1)
