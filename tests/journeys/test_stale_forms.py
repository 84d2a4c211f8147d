"""Two people with the same form open: the later one is told, and loses nothing unseen."""

from __future__ import annotations

import pytest

from crm_domain import SYSTEM
from crm_domain.errors import EditConflict, NotFound
from crm_domain.model import AuditEntry, Role
from crm_domain.usecases import access, assignment, pool_rules
from make import World
from steps import counted


def test_a_plan_that_was_not_read_is_not_overwritten(world: World) -> None:
    """Whoever gives the version that was read; whoever gives none replaces what is there."""
    seen = assignment.show_rotation(world.crm, by=world.manager)
    plan = [{"employee_id": world.b.employee_id, "quota": 2}]
    assignment.set_rotation(world.crm, plan, version=seen.version, by=world.manager)
    other = [{"employee_id": world.c.employee_id, "quota": 1}]
    with pytest.raises(EditConflict) as refused:
        assignment.set_rotation(world.crm, other, version=seen.version, by=world.manager)
    now = assignment.show_rotation(world.crm, by=world.manager)
    assert refused.value.version == now.version
    assert [line[0] for line in now.entries] == [world.b.employee_id]
    assignment.set_rotation(world.crm, other, by=world.manager)
    entries = assignment.show_rotation(world.crm, by=world.manager).entries
    assert [line[0] for line in entries] == [world.c.employee_id]


def test_rules_that_were_not_read_are_not_overwritten(world: World) -> None:
    """The version comes with the rules."""
    seen = pool_rules.show_pool_rules(world.crm, by=world.manager)
    pool_rules.set_pool_rules(world.crm, [{"closing_days": 9}], version=seen.version,
                              by=world.manager)  # fmt: skip
    with pytest.raises(EditConflict):
        pool_rules.set_pool_rules(world.crm, [{"closing_days": 7}], version=seen.version,
                                  by=world.manager)  # fmt: skip
    now = pool_rules.show_pool_rules(world.crm, by=world.manager)
    assert [r.closing_days for r in now.rules] == [9]
    pool_rules.set_pool_rules(world.crm, [{"closing_days": 8}], version=now.version,
                              by=world.manager)  # fmt: skip
    pool_rules.set_pool_rules(world.crm, [{"closing_days": 7}], by=world.manager)


def test_a_role_that_was_not_read_is_not_overwritten(world: World) -> None:
    """Nor is one made again that is not there any more."""
    role = access.set_role(world.crm, "前台", permissions=["course:view"], by=SYSTEM)
    after = access.set_role(world.crm, "前台", permissions=["school:view"], version=role.version,
                            by=SYSTEM)  # fmt: skip
    with pytest.raises(EditConflict):
        access.set_role(world.crm, "前台", permissions=[], version=role.version, by=SYSTEM)
    with world.crm.unit_of_work(read_only=True) as uow:
        assert uow.records.get(Role, role.id or 0) == after
    with pytest.raises(NotFound):
        access.set_role(world.crm, "不存在", permissions=[], version=1, by=SYSTEM)


def test_a_plan_is_written_by_set(world: World) -> None:
    """However long it is, it takes as many statements."""
    people = [world.person(f"顾问{i}").employee_id for i in range(12)]

    def statements(n: int) -> int:
        plan = [{"employee_id": p, "quota": 1} for p in people[:n]]
        return counted(world.crm, lambda: assignment.set_rotation(world.crm, plan, by=SYSTEM))

    assert statements(12) == statements(2)


def test_the_log_has_both_plans(world: World) -> None:
    """Before and after, as with every change."""
    assignment.set_rotation(world.crm, [{"employee_id": world.b.employee_id}], by=world.manager)
    with world.crm.unit_of_work(read_only=True) as uow:
        entry = uow.records.all(AuditEntry, action="set_rotation")[-1]
    assert entry.before is not None
    assert entry.after is not None
    assert len(entry.before["entries"]) == 3
    assert len(entry.after["entries"]) == 1
