"""What tests make: people, customers, worlds. Each call gives something new."""

from __future__ import annotations

from copy import copy
from datetime import UTC, datetime
from itertools import count
from typing import Any

from crm_domain import SYSTEM, Crm
from crm_domain.model import Customer, Department, Employee
from crm_domain.rules.access import Principal
from crm_domain.testing.clock import FixedClock
from crm_domain.usecases import access, assignment, intake, records

_numbers = count(1)


def start_of_november() -> datetime:
    """Give the first of November 2026, 10:00 in Shanghai."""
    return datetime(2026, 11, 1, 2, 0, tzinfo=UTC)


def phone() -> str:
    """Give a valid mobile number that no other call gives."""
    return f"138{next(_numbers):08d}"


class World:
    """A school with three consultants 李雷, 韩梅梅, 王强 and a manager 赵敏, all in one department.

    ``world.a``, ``world.b``, ``world.c`` and ``world.manager`` are principals; the rotation gives
    each consultant one turn in a cycle, in this order.
    """

    def __init__(self, crm: Crm, clock: FixedClock, *, rotation: bool = True) -> None:
        self.crm, self.clock = crm, clock
        self.department = records.save_record(
            crm, Department(code=next(_numbers), title="销售部"), by=SYSTEM
        )
        self.a = self.person("李雷")
        self.b = self.person("韩梅梅")
        self.c = self.person("王强")
        self.manager = self.person("赵敏", "sales_manager")
        if rotation:
            plan = [
                {"employee_id": p.employee_id, "quota": 1, "weight": 10 - i}
                for i, p in enumerate((self.a, self.b, self.c))
            ]
            assignment.set_rotation(crm, plan, by=SYSTEM)

    def again(self, crm: Crm, clock: FixedClock) -> World:
        """Give the same school in a copy of its database."""
        copied = copy(self)
        copied.crm, copied.clock = crm, clock
        return copied

    def person(self, name: str, role: str = "consultant", **fields: Any) -> Principal:
        """Make an employee with an account and give who acts for it."""
        values = {"department_id": self.department.id, **fields}
        employee = records.save_record(self.crm, Employee(name=name, **values), by=SYSTEM)
        username = f"user{next(_numbers):06d}"
        access.create_user(
            self.crm, {"username": username, "employee_id": employee.id, "roles": [role]}, by=SYSTEM
        )
        return access.principal_for(self.crm, username=username)

    def customer(self, owner: Principal | None = None, **values: Any) -> Customer:
        """Register a customer: for an owner, or into the pool."""
        typed = {"name": "王芳", "phone": phone(), **values}
        if owner is None:
            return intake.register_customer(self.crm, typed, to="pool", by=SYSTEM)
        return intake.register_customer(self.crm, typed, consultant_id=owner.employee_id, by=SYSTEM)

    def dealt(self, **values: Any) -> Customer:
        """Register a customer by the rotation."""
        typed = {"name": "王芳", "phone": phone(), **values}
        return intake.register_customer(self.crm, typed, by=SYSTEM)
