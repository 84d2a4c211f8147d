"""Who works at the school, and where."""

from __future__ import annotations

from datetime import date

from crm_domain.model.fields import (
    day,
    flag,
    json,
    key,
    number,
    record,
    reference,
    text,
    version,
)


@record("department", "部门", "Department", belongs=("id", "manager_id"), shared=True)
class Department:
    """A department; ``code`` is stable and known outside."""

    id: int | None = key(default=None)
    code: int = number("部门编号", "Code", unique=True)
    title: str = text("部门名称", "Title", length=60)
    parent_id: int | None = reference("上级部门", "Parent", "Department", default=None)
    manager_id: int | None = reference("负责人", "Manager", "Employee", default=None)
    version: int = version(default=1)


@record("employee", "员工", "Employee", belongs=("id",), shared=True)
class Employee:
    """A member of staff."""

    id: int | None = key(default=None)
    name: str = text("姓名", "Name", length=60)
    employee_number: str | None = text("工号", "Number", length=40, default=None, unique=True)
    phone: str | None = text("手机", "Phone", length=20, default=None, contact=True)
    email: str | None = text("邮箱", "E-mail", length=120, default=None, contact=True)
    department_id: int | None = reference("部门", "Department", "Department", default=None)
    wechat_openid: str | None = text(
        "微信 openid", "WeChat openid", length=64, default=None, unique=True, contact=True
    )
    dingtalk_user_id: str | None = text(
        "钉钉 ID", "DingTalk id", length=64, default=None, contact=True
    )
    on_duty: bool = flag("在岗", "On duty", default=True)
    leave: tuple[tuple[date, date], ...] = json("请假时段", "Leave", default=())
    """First and last day of each absence, both included."""
    left_on: date | None = day("离职日期", "Left on", default=None)
    version: int = version(default=1)


@record("school", "校区", "School")
class School:
    """A campus."""

    id: int | None = key(default=None)
    title: str = text("校区名称", "Title", length=60, unique=True)
    version: int = version(default=1)
