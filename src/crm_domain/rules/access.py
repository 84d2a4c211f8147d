"""Who may do what (spec section 10): permissions, built-in roles, reach, masks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from crm_domain.errors import ActingForAnother, NotPermitted
from crm_domain.model import Customer, Scope, specs
from crm_domain.model.fields import changed
from crm_domain.rules.permissions import ALL_PERMISSIONS, PERMISSIONS, Declared

__all__ = [
    "ALL_PERMISSIONS", "HIDDEN", "PERMISSIONS", "ROLES", "SYSTEM", "BuiltInRole", "Declared",
    "Principal", "mask", "masked", "union",
]  # fmt: skip


@attrs.frozen
class BuiltInRole:
    """A role that every database has from the start."""

    code: str
    zh: str
    en: str
    scope: Scope
    permissions: frozenset[str]


_SELLING = {"customer:mine", "customer:claim"}
"""Only for those who sell: whoever claims gets turns, and has customers of the own."""
_CATALOGUE = {"department:view", "employee:view", "school:view", "course:view", "cohort:view"}
_CONSULTANT = _CATALOGUE | {
    "customer:mine", "customer:view", "customer:add", "customer:edit", "customer:claim",
    "customer:release", "customer:follow_up", "customer:import", "pool:view",
    "rotation:view", "payment:view", "payment:add",
}  # fmt: skip
_MANAGER = _CONSULTANT - _SELLING | {
    "customer:assign", "customer:transfer", "customer:lock", "customer:export", "payment:export",
    "pool:sweep", "pool:rules", "rotation:edit", "notice:view", "view:share",
}  # fmt: skip
_TEACHING = {
    "lesson:view", "lesson:edit", "student:view", "student:edit", "enrolment:view",
    "study_record:view", "study_record:edit",
}  # fmt: skip

ROLES: tuple[BuiltInRole, ...] = (
    BuiltInRole("consultant", "课程顾问", "Consultant", Scope.OWN, frozenset(_CONSULTANT)),
    BuiltInRole("sales_manager", "销售主管", "Sales manager", Scope.DEPARTMENT_AND_BELOW,
                frozenset(_MANAGER)),
    BuiltInRole("teacher", "老师", "Teacher", Scope.OWN,
                frozenset(_CATALOGUE | _TEACHING)),
    BuiltInRole("finance", "财务", "Finance", Scope.ALL,
                frozenset(_CATALOGUE | {"customer:view", "payment:view", "payment:add",
                                        "payment:confirm", "payment:export"})),
    BuiltInRole("student", "学员", "Student", Scope.OWN, frozenset()),
    BuiltInRole("administrator", "管理员", "Administrator", Scope.ALL, ALL_PERMISSIONS - _SELLING),
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
    """What is told is told in it; None is Chinese."""
    acting_id: int | None = None
    """The account of whoever really acts, where that is another than this one."""
    acting: str | None = None
    """What that one is called."""

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

    def need_oneself(self) -> None:
        """Refuse what nobody does in the name of another.

        Raises:
            ActingForAnother: Somebody else acts.
        """
        if self.acting_id is not None:
            raise ActingForAnother(person=self.title)


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
