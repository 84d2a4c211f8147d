"""The lists that the generic use cases serve: ten lines each, and mostly fewer."""

from __future__ import annotations

from crm_domain.model import (
    Cohort,
    Course,
    Department,
    Employee,
    Enrolment,
    Lesson,
    PermissionGroup,
    School,
    Student,
    StudyRecord,
)
from crm_web.resource import Column, column, plain

_LATER = ("company", "location", "position", "salary", "welfare", "hired_on", "wechat_openid",
          "memo")  # fmt: skip

RESOURCES = (
    plain(Department, "departments", ("部门", "Departments"), "sitemap"),
    plain(Employee, "employees", ("员工", "Employees"), "briefcase",
          hide=("employee_number", "wechat_openid", "dingtalk_user_id", "left_on")),
    plain(School, "schools", ("校区", "Schools"), "building"),
    plain(Course, "courses", ("课程", "Courses"), "book"),
    plain(Cohort, "cohorts", ("班级", "Cohorts"), "users-group", hide=("memo",)),
    plain(PermissionGroup, "permission_groups", ("权限组", "Permission groups"), "folder"),
    plain(Lesson, "lessons", ("上课记录", "Lessons"), "chalkboard",
          hide=("room", "summary", "homework_title", "homework_note", "key_points")),
    plain(Student, "students", ("学员", "Students"), "school",
          columns=(
              # Whoever teaches may not see customers, and knows students by their names.
              Column(name="id", words=("学员", "Student"), kind="reference", target="Student",
                     link=True),
              Column(name="number", words=("编号", "No."), kind="number", value=lambda row: row.id),
              *(column(Student, name, shown=name not in _LATER) for name in (
                  "guardian_name", "guardian_phone", "emergency_contact", *_LATER)),
          )),
    plain(Enrolment, "enrolments", ("报班", "Enrolments"), "flag"),
    plain(StudyRecord, "study_records", ("学习记录", "Study records"), "checklist",
          hide=("minutes_late", "homework_file", "student_remark", "handed_in_at")),
)  # fmt: skip
