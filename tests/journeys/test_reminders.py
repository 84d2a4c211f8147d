"""What people are told without having asked: contacts they meant to make, imports that ended."""

from __future__ import annotations

from datetime import timedelta

import pytest

from crm_domain import SYSTEM
from crm_domain.errors import NotPermitted
from crm_domain.model import Event
from crm_domain.rules.access import Principal
from crm_domain.usecases import access, follow_up, imports, pool
from make import World, phone
from steps import on, told


def meant(world: World, owner: Principal, name: str, day: int, hour: int = 15) -> int:
    """Give somebody a customer and plan the next contact for a day in November."""
    customer = world.customer(owner, name=name)
    follow_up.log_follow_up(
        world.crm, customer.id or 0, {"note": "电话", "next_contact_at": on(day, hour)}, by=owner
    )
    return customer.id or 0


def test_owners_are_reminded_of_whom_they_meant_to_contact(world: World) -> None:
    """All of a day in one notice, the earliest first; nobody else's, nothing of tomorrow."""
    world.clock.set(on(3, 10))
    meant(world, world.a, "下午", 4, 15)
    meant(world, world.a, "上午", 4, 9)
    meant(world, world.a, "明天", 5, 0)
    meant(world, world.b, "别人的", 4, 23)
    assert follow_up.remind_contacts(world.crm, by=SYSTEM) == 0
    world.clock.set(on(4, 0))
    assert follow_up.remind_contacts(world.crm, by=SYSTEM) == 2
    first, second = told(world.crm, Event.CONTACT_DUE)
    assert (first.recipient_id, first.subject) == (world.a.employee_id, "今天有 2 位客户待联系")
    assert first.body == "上午、下午约定的联系时间已到。"
    assert second.recipient_id == world.b.employee_id


def test_a_reminder_comes_once_a_day_until_the_contact(world: World) -> None:
    """Whoever was spoken to, given back or lost is no matter of reminding any more."""
    world.clock.set(on(3, 10))
    spoken, released, kept = (meant(world, world.a, n, 4) for n in ("已谈", "放弃", "仍在"))
    world.clock.set(on(4, 8))
    assert follow_up.remind_contacts(world.crm, by=SYSTEM) == 1
    assert follow_up.remind_contacts(world.crm, by=SYSTEM) == 0
    follow_up.log_follow_up(world.crm, spoken, {"note": "谈过"}, by=world.a)
    pool.release_customer(world.crm, released, by=world.a)
    world.clock.set(on(5, 8))
    assert follow_up.remind_contacts(world.crm, by=SYSTEM) == 1
    assert told(world.crm, Event.CONTACT_DUE)[-1].body == "仍在约定的联系时间已到。"
    world.clock.set(on(12, 8))
    assert follow_up.remind_contacts(world.crm, by=SYSTEM) == 0, f"{kept} is public by now"


def test_many_names_are_cut(world: World) -> None:
    """A few are named, all are counted."""
    world.clock.set(on(3, 10))
    for i in range(7):
        meant(world, world.a, f"客户{i}", 4, 9 + i)
    world.clock.set(on(4, 8))
    follow_up.remind_contacts(world.crm, by=SYSTEM)
    [notice] = told(world.crm, Event.CONTACT_DUE)
    assert notice.subject.startswith("今天有 7 位")
    assert notice.body == "客户0、客户1、客户2、客户3、客户4等约定的联系时间已到。"


def test_only_the_program_reminds(world: World) -> None:
    """It needs the permission that the sweep needs."""
    with pytest.raises(NotPermitted):
        follow_up.remind_contacts(world.crm, by=world.a)


@pytest.mark.parametrize("record", ["Customer", "Student"])
def test_whoever_imports_is_told_how_it_ended(world: World, record: str) -> None:
    """Once, with what was left out; an import by the program tells nobody."""
    access.set_role(world.crm, "导入", permissions=["customer:import", "student:edit"], by=SYSTEM)
    clerk = world.person("文员", "导入")
    content = f"姓名,手机\n甲,{phone()}\n乙,12\n".encode()
    report = imports.import_file(world.crm, content, file_name="x.csv", record=record, by=clerk)
    imports.run_import(world.crm, report.id, by=clerk)
    [notice] = told(world.crm, Event.IMPORT_FINISHED)
    assert (notice.recipient_id, notice.subject) == (clerk.employee_id, "导入完成：1 行")
    assert notice.body == "《x.csv》已导入 1 行，1 行未导入。"
    content = f"姓名,手机\n丙,{phone()}\n".encode()
    imports.import_file(world.crm, content, file_name="y.csv", record=record, by=SYSTEM)
    assert len(told(world.crm, Event.IMPORT_FINISHED)) == 1


def test_a_moment_is_a_moment_of_the_school(world: World) -> None:
    """The day ends at midnight where the school is."""
    world.clock.set(on(3, 10))
    meant(world, world.a, "零点", 5, 0)
    world.clock.set(on(5, 0) - timedelta(minutes=1))
    assert follow_up.remind_contacts(world.crm, by=SYSTEM) == 0
    world.clock.set(on(5, 0))
    assert follow_up.remind_contacts(world.crm, by=SYSTEM) == 1
