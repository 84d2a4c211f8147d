"""Who may see and do what."""

from __future__ import annotations

from datetime import datetime

from crm_domain.model.fields import (
    Choice,
    choice,
    flag,
    key,
    moment,
    number,
    record,
    reference,
    references,
    text,
    version,
)


class Scope(Choice):
    """Whose records a role reaches."""

    OWN = "own", "本人", "own"
    DEPARTMENT = "department", "本部门", "department"
    DEPARTMENT_AND_BELOW = "department_and_below", "本部门及下级", "department and below"
    ALL = "all", "全部", "all"


@record("menu", "菜单", "Menu")
class Menu:
    """A heading of the menu."""

    id: int | None = key(default=None)
    code: str | None = text("代码", "Code", length=40, default=None, unique=True, guarded=True)
    """Names a built-in menu; None for the school's own."""
    title: str = text("菜单名称", "Title", length=60, unique=True)
    title_en: str = text("英文名称", "English title", length=60, default="")
    icon: str | None = text("图标", "Icon", length=60, default=None)
    """The name of a Tabler icon."""
    position: int = number("排序", "Order", default=0)
    version: int = version(default=1)


@record("permission_group", "权限组", "Permission group")
class PermissionGroup:
    """Permissions that belong together."""

    id: int | None = key(default=None)
    code: str | None = text("代码", "Code", length=40, default=None, unique=True, guarded=True)
    """Names a built-in group; None for the school's own."""
    title: str = text("权限组名称", "Title", length=60, unique=True)
    title_en: str = text("英文名称", "English title", length=60, default="")
    menu_id: int | None = reference("菜单", "Menu", "Menu", default=None)
    position: int = number("排序", "Order", default=0)
    version: int = version(default=1)


@record("permission", "权限", "Permission", plain=False)
class Permission:
    """The right to do one kind of thing. Declared in code, arranged by administrators."""

    id: int | None = key(default=None)
    code: str = text("权限代码", "Code", length=60, unique=True)
    title: str = text("权限名称", "Title", length=60)
    title_en: str = text("英文名称", "English title", length=60, default="")
    url: str | None = text("网址", "URL pattern", length=200, default=None)
    in_menu: bool = flag("显示在菜单", "In the menu", default=False)
    parent_id: int | None = reference("归属权限", "Highlights", "Permission", default=None)
    group_id: int | None = reference("权限组", "Group", "PermissionGroup", default=None)
    position: int = number("排序", "Order", default=0)
    version: int = version(default=1)


@record("role", "角色", "Role", plain=False)
class Role:
    """What a kind of staff may do, and how far it reaches."""

    id: int | None = key(default=None)
    code: str | None = text("代码", "Code", length=40, default=None, unique=True)
    """Names a built-in role; None for the school's own."""
    title: str = text("角色名称", "Title", length=60, unique=True)
    title_en: str = text("英文名称", "English title", length=60, default="")
    permissions: tuple[int, ...] = references("权限", "Permissions", "Permission", default=())
    scope: Scope = choice("数据范围", "Data scope", default=Scope.OWN)
    version: int = version(default=1)


@record("account", "用户", "User", plain=False)
class User:
    """A login account of an employee or a student."""

    id: int | None = key(default=None)
    username: str = text("用户名", "Username", length=60, unique=True)
    password_hash: str | None = text(
        "密码", "Password", length=200, default=None, guarded=True, secret=True
    )
    email: str | None = text("邮箱", "E-mail", length=120, default=None, contact=True)
    roles: tuple[int, ...] = references("角色", "Roles", "Role", default=())
    employee_id: int | None = reference("员工", "Employee", "Employee", default=None, unique=True)
    student_id: int | None = reference("学员", "Student", "Student", default=None, unique=True)
    active: bool = flag("启用", "Active", default=True)
    language: str | None = text("语言", "Language", length=8, default=None)
    created_at: datetime | None = moment("创建时间", "Created", default=None, guarded=True)
    version: int = version(default=1)
