"""What there is to permit, and where it stands in the menu until an administrator arranges it."""

from __future__ import annotations

import attrs

from crm_domain.model import about
from crm_domain.model.fields import RECORDS


@attrs.frozen
class Declared:
    """A permission as the core or a plugin declares it.

    Only ``code``, ``zh`` and ``en`` are needed; the rest is where it stands at first.
    """

    code: str
    zh: str
    en: str
    group: str | None = attrs.field(default=None, kw_only=True)
    """The code of a group of `GROUPS`; None leaves it to an administrator."""
    url: str | None = attrs.field(default=None, kw_only=True)
    """Where its page is: ``/customers``."""
    in_menu: bool = attrs.field(default=False, kw_only=True)
    """Whether the page is an entry of the menu; it needs a ``url``."""
    parent: str | None = attrs.field(default=None, kw_only=True)
    """The code of the permission whose entry is highlighted while this one is used."""


@attrs.frozen
class DeclaredMenu:
    """A heading of the menu."""

    code: str
    zh: str
    en: str
    icon: str
    """The name of a Tabler icon."""


@attrs.frozen
class DeclaredGroup:
    """Permissions that belong together, under a heading of the menu."""

    code: str
    zh: str
    en: str
    menu: str


MENUS: tuple[DeclaredMenu, ...] = (
    DeclaredMenu("sales", "销售", "Sales", "users"),
    DeclaredMenu("finance", "财务", "Finance", "cash"),
    DeclaredMenu("teaching", "教学", "Teaching", "school"),
    DeclaredMenu("organisation", "组织", "Organisation", "sitemap"),
    DeclaredMenu("messages", "消息", "Messages", "bell"),
    DeclaredMenu("system", "系统", "System", "settings"),
)
GROUPS: tuple[DeclaredGroup, ...] = (
    DeclaredGroup("customers", "客户", "Customers", "sales"),
    DeclaredGroup("pool", "公海", "Public pool", "sales"),
    DeclaredGroup("rotation", "轮转", "Rotation", "sales"),
    DeclaredGroup("payments", "缴费", "Payments", "finance"),
    DeclaredGroup("catalogue", "课程与班级", "Courses and cohorts", "teaching"),
    DeclaredGroup("lessons", "上课与学员", "Lessons and students", "teaching"),
    DeclaredGroup("people", "部门与员工", "Departments and staff", "organisation"),
    DeclaredGroup("notices", "通知", "Notices", "messages"),
    DeclaredGroup("rights", "账号与权限", "Accounts and rights", "system"),
    DeclaredGroup("operation", "运行", "Operation", "system"),
)


def _entry(code: str, zh: str, en: str, group: str, url: str) -> Declared:
    return Declared(code, zh, en, group=group, url=url, in_menu=True)


def _right(
    code: str, zh: str, en: str, group: str, parent: str | None = None, url: str | None = None
) -> Declared:
    return Declared(code, zh, en, group=group, parent=parent, url=url)


_GROUPS = {
    "school": "catalogue", "course": "catalogue", "cohort": "catalogue", "lesson": "lessons",
    "department": "people", "employee": "people", "menu": "rights", "permission_group": "rights",
    "student": "lessons", "enrolment": "lessons", "study_record": "lessons",
}  # fmt: skip


def _generic() -> list[Declared]:
    """Declare seeing and keeping what the generic use cases serve: each list is an entry."""
    found = []
    for described in (about(cls) for cls in RECORDS.values() if about(cls).listed):
        table, group = described.table, _GROUPS.get(described.table, "operation")
        see, keep = f"{table}:view", f"{table}:edit"
        found.append(_entry(see, described.zh, f"{described.en}s", group, f"/{table}s"))
        if described.plain or described.changes:
            found.append(
                _right(keep, f"维护{described.zh}", f"Edit {described.en.lower()}s", group, see)
            )
    return found


PERMISSIONS: tuple[Declared, ...] = (
    _entry("customer:mine", "我的客户", "My customers", "customers", "/my/customers"),
    _entry("customer:view", "客户列表", "Customers", "customers", "/customers"),
    _right("customer:add", "录入客户", "Enter customers", "customers", "customer:view",
           "/customers/new"),
    _right("customer:edit", "编辑客户", "Edit customers", "customers", "customer:view"),
    _right("customer:claim", "抢单", "Claim customers", "pool", "pool:view"),
    _right("customer:release", "退回公海", "Give customers back", "customers", "customer:mine"),
    _right("customer:follow_up", "记录跟进", "Log follow-ups", "customers", "customer:mine"),
    _right("customer:assign", "分配客户", "Assign customers", "pool", "pool:view"),
    _right("customer:transfer", "转移客户", "Transfer customers", "customers", "customer:view"),
    _right("customer:lock", "锁定客户", "Lock customers", "customers", "customer:view"),
    _entry("customer:import", "导入客户", "Imports", "customers", "/imports"),
    _right("customer:export", "导出客户", "Export customers", "customers", "customer:view"),
    _entry("pool:view", "公海客户", "Public pool", "pool", "/pool"),
    _right("pool:sweep", "回收客户", "Run the sweep", "pool", "pool:view"),
    _entry("pool:rules", "公海规则", "Pool rules", "pool", "/pool-rules"),
    _entry("rotation:view", "轮转名单", "Rotation", "rotation", "/rotation"),
    _right("rotation:edit", "设置轮转", "Set the rotation", "rotation", "rotation:view"),
    _entry("payment:view", "缴费记录", "Payments", "payments", "/payments"),
    _right("payment:add", "登记缴费", "Enter payments", "payments", "payment:view"),
    _right("payment:confirm", "审核缴费", "Confirm payments", "payments", "payment:view"),
    _right("payment:export", "导出缴费", "Export payments", "payments", "payment:view"),
    _entry("notice:view", "通知记录", "Notices", "notices", "/notices"),
    _right("notice:deliver", "发送通知", "Deliver notices", "notices", "notice:view"),
    _entry("user:manage", "用户管理", "Users", "rights", "/users"),
    _entry("role:manage", "角色与权限", "Roles and permissions", "rights", "/roles"),
    _right("view:share", "共享视图", "Share views", "rights"),
    _entry("audit:view", "操作日志", "Audit log", "operation", "/audit"),
    _entry("job:run", "定时任务", "Scheduled jobs", "operation", "/jobs"),
    *_generic(),
)  # fmt: skip
ALL_PERMISSIONS = frozenset(p.code for p in PERMISSIONS)
