"""What the race tests put into a database before the workers begin."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from crm_domain import SYSTEM, Crm
from crm_domain.model import Employee
from crm_domain.usecases import access, assignment, records

Plan = Sequence[tuple[int, int, int]]
"""Employee, quota, weight."""


class Consultant(NamedTuple):
    """An employee with an account that may claim."""

    username: str
    employee_id: int


def hire(crm: Crm, n: int) -> list[Consultant]:
    """Make consultants."""
    made = []
    for i in range(n):
        employee = records.save_record(crm, Employee(name=f"顾问{i}"), by=SYSTEM)
        account = {"username": f"sales{i}", "employee_id": employee.id, "roles": ["consultant"]}
        access.create_user(crm, account, by=SYSTEM)
        made.append(Consultant(f"sales{i}", employee.id or 0))
    return made


def set_plan(crm: Crm, plan: Plan) -> None:
    """Set a plan."""
    entries = [{"employee_id": e, "quota": q, "weight": w} for e, q, w in plan]
    assignment.set_rotation(crm, entries, by=SYSTEM)


def laid_out(plan: Plan) -> list[int]:
    """Lay one cycle out as spec section 3 says, written independently of the product."""
    order = sorted(plan, key=lambda entry: (-entry[2], entry[0]))
    rounds = range(max((q for _, q, _ in plan), default=0))
    return [employee for r in rounds for employee, quota, _ in order if r < quota]


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Read a log."""
    if path.exists():
        for line in path.read_text().splitlines():
            yield json.loads(line)
