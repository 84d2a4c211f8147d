"""Who may do what (spec section 10): permissions, built-in roles, reach, masks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import attrs

from crm_domain.errors import ActingForAnother, NotPermitted
from crm_domain.model import Customer, Scope, specs
from crm_domain.model.fields import changed
from crm_domain.rules.permissions import ALL_PERMISSIONS, PERMISSIONS, Declared

__all__ = [
    "ALL_PERMISSIONS", "HIDDEN", "HIDEABLE", "PERMISSIONS", "ROLES", "SYSTEM", "BuiltInRole",
    "Declared", "Principal", "mask", "masked", "opens_public", "union",
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

    @property
    def reads_hidden(self) -> bool:
        """Whether what the pool hides of a customer is shown: to those who give customers away."""
        return self.may("customer:assign")

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
"""The fields of a public customer that `masked` always hides."""
HIDEABLE = HIDDEN | {
    n for n, s in specs(Customer).items()
    if (s.optional or s.default is not attrs.NOTHING) and not (s.hot or s.guarded)
    and s.kind not in ("key", "version")
}  # fmt: skip
"""The fields that a school may hide besides: what was typed about a customer, but for the name. Of
what follows from the work of consultants other lists tell, too."""


def opens_public(customer: Customer, by: Principal) -> bool:
    """Whether somebody may open a public customer: not who had it last, to whom it is lost."""
    if by.scope is Scope.ALL or by.reads_hidden:
        return True
    last = customer.last_consultant_id
    return by.may("pool:view") and (last is None or last != by.employee_id)


def masked(customer: Customer, hidden: Collection[str]) -> Customer:
    """Hide the ways to reach a customer, what was noted about it, and what the school hides.

    Args:
        customer: As it is kept.
        hidden: The fields that are hidden; those of `HIDDEN` are, whether they are named or not.
    """
    fields = specs(Customer)
    shown: Mapping[str, Any] = {
        n: mask(getattr(customer, n)) if fields[n].contact else fields[n].default
        for n in HIDDEN.union(hidden)
    }
    return changed(customer, **shown)
