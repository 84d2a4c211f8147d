"""The lists of records without rules: ten lines each, and mostly fewer."""

from __future__ import annotations

from crm_domain.model import (
    Cohort,
    Course,
    Department,
    Employee,
    Lesson,
    PermissionGroup,
    School,
)
from crm_web.resource import plain

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
)  # fmt: skip
