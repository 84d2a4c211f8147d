"""Who may do what (spec section 10): permissions, built-in roles, reach, masks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from crm_domain.errors import NotPermitted
from crm_domain.model import Customer, Scope, about, specs
from crm_domain.model.fields import RECORDS, changed


@attrs.frozen
class Declared:
    """A permission as the core or a plugin declares it."""

    code: str
    zh: str
    en: str


PERMISSIONS: tuple[Declared, ...] = (
    Declared("customer:view", "查看客户", "see customers"),
    Declared("customer:add", "录入客户", "enter customers"),
    Declared("customer:edit", "编辑客户", "edit customers"),
    Declared("customer:claim", "抢单", "claim customers"),
    Declared("customer:release", "退回公海", "give customers back"),
    Declared("customer:follow_up", "记录跟进", "log follow-ups"),
    Declared("customer:assign", "分配客户", "assign customers"),
    Declared("customer:transfer", "转移客户", "transfer customers"),
    Declared("customer:lock", "锁定客户", "lock customers"),
    Declared("customer:import", "导入客户", "import customers"),
    Declared("customer:export", "导出客户", "export customers"),
    Declared("pool:view", "查看公海", "see the pool"),
    Declared("pool:sweep", "回收客户", "run the sweep"),
    Declared("pool:rules", "设置公海规则", "set the pool rules"),
    Declared("rotation:view", "查看轮转", "see the rotation"),
    Declared("rotation:edit", "设置轮转", "set the rotation"),
    Declared("payment:add", "登记缴费", "enter payments"),
    Declared("payment:confirm", "审核缴费", "confirm payments"),
    Declared("student:edit", "维护学员", "edit students"),
    Declared("notice:view", "查看通知", "see notices"),
    Declared("notice:deliver", "发送通知", "deliver notices"),
    Declared("job:run", "执行定时任务", "run the jobs of the schedule"),
    Declared("user:manage", "管理用户", "manage users"),
    Declared("role:manage", "管理角色", "manage roles"),
    Declared("audit:view", "查看日志", "see the audit log"),
    *(
        Declared(f"{about(cls).table}:{verb}", f"{zh}{about(cls).zh}", f"{verb} {about(cls).en}")
        for cls in RECORDS.values()
        if about(cls).plain
        for verb, zh in (("view", "查看"), ("edit", "维护"))
    ),
)
ALL_PERMISSIONS = frozenset(p.code for p in PERMISSIONS)


@attrs.frozen
class BuiltInRole:
    """A role that every database has from the start."""

    code: str
    zh: str
    scope: Scope
    permissions: frozenset[str]


_CATALOGUE = {"department:view", "employee:view", "school:view", "course:view", "cohort:view"}
_CONSULTANT = _CATALOGUE | {
    "customer:view", "customer:add", "customer:edit", "customer:claim", "customer:release",
    "customer:follow_up", "customer:import", "pool:view", "rotation:view", "payment:add",
}  # fmt: skip
_MANAGER = _CONSULTANT - {"customer:claim"} | {
    "customer:assign", "customer:transfer", "customer:lock", "customer:export",
    "pool:sweep", "pool:rules", "rotation:edit", "notice:view",
}  # fmt: skip

ROLES: tuple[BuiltInRole, ...] = (
    BuiltInRole("consultant", "课程顾问", Scope.OWN, frozenset(_CONSULTANT)),
    BuiltInRole("sales_manager", "销售主管", Scope.DEPARTMENT_AND_BELOW, frozenset(_MANAGER)),
    BuiltInRole("teacher", "老师", Scope.OWN,
                frozenset(_CATALOGUE | {"lesson:view", "lesson:edit"})),
    BuiltInRole("finance", "财务", Scope.ALL,
                frozenset(_CATALOGUE | {"customer:view", "payment:add", "payment:confirm"})),
    BuiltInRole("student", "学员", Scope.OWN, frozenset()),
    BuiltInRole("administrator", "管理员", Scope.ALL, ALL_PERMISSIONS - {"customer:claim"}),
)  # fmt: skip


@attrs.frozen(kw_only=True)
class Principal:
    """Who is acting, with permissions and data scope, as of the moment it was asked for."""

    name: str
    """The login name; ``system`` for the program itself."""
    person: str | None = None
    """What the employee is called; None for an account without one."""
    user_id: int | None = None
    employee_id: int | None = None
    department_id: int | None = None
    permissions: frozenset[str] = frozenset()
    scope: Scope = Scope.OWN
    language: str | None = None

    @property
    def title(self) -> str:
        """Name whoever acts to people."""
        return self.person or self.name

    def may(self, permission: str) -> bool:
        """Whether the permission is held."""
        return permission in self.permissions

    def need(self, permission: str) -> None:
        """Refuse whoever does not hold the permission.

        Raises:
            NotPermitted: It is not held.
        """
        if permission not in self.permissions:
            raise NotPermitted(permission=permission)


class _Everything(frozenset[str]):
    """Holds every permission, also those that plugins declare later."""

    def __contains__(self, code: object) -> bool:
        return True


SYSTEM = Principal(name="system", person="系统", permissions=_Everything(), scope=Scope.ALL)
"""The program itself: an embedder's own code, the command line of the operator, the schedule."""


def union(scopes: Iterable[Scope]) -> Scope:
    """Tell the widest of several scopes."""
    return max(scopes, key=list(Scope).index, default=Scope.OWN)


def mask(value: str | None) -> str | None:
    """Hide most of a phone number, QQ or WeChat: ``138****8000``, ``12****89``, ``w****1``."""
    if value is None or len(value) <= 2:
        return None if value is None else "*" * len(value)
    head, tail = (3, 4) if len(value) >= 11 else (2, 2) if len(value) >= 9 else (1, 1)
    return value[:head] + "****" + value[-tail:]


HIDDEN = frozenset({"memo", *(n for n, s in specs(Customer).items() if s.contact)})
"""The fields of a public customer that `masked` hides."""


def masked(customer: Customer) -> Customer:
    """Hide the ways to reach a customer, and what was noted about it."""
    hidden: Mapping[str, str | None] = {
        name: mask(getattr(customer, name)) for name, s in specs(Customer).items() if s.contact
    }
    return changed(customer, memo=None, **hidden)
