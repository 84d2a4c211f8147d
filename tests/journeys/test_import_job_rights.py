"""In whose name workers take an import in, and with whose rights (spec sections 7, 10)."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

from crm_domain import SYSTEM, Crm
from crm_domain.errors import ImportBusy, NotAssignable, NotFound
from crm_domain.model import Assignment, AuditEntry, Employee, Event
from crm_domain.model.fields import changed
from crm_domain.usecases import access, imports, records
from importing import (
    CHECKED,
    DONE,
    FAILED,
    PAUSED,
    Killed,
    checked,
    let_leases_end,
    people,
    run_of,
    sound,
    started,
    taken_in,
    work,
)
from make import World
from steps import login, on, told


def test_rows_are_entered_in_the_name_of_whoever_started_it(world: World, small: Crm) -> None:
    """Customers, assignments and the audit; not of who checked it, nor of the worker."""
    number = checked(small, people(4), world.a, to="pool")
    imports.start_import(small, number, by=world.manager)
    work(small, number)
    assert {c.created_by_id for c in taken_in(small, number)} == {world.manager.user_id}
    with small.unit_of_work(read_only=True) as uow:
        audited = {e.action: e.by_id for e in uow.records.all(AuditEntry, record="ImportRun")}
    assert audited == {"check_import": world.a.user_id, "start_import": world.manager.user_id,
                       "import": world.manager.user_id}  # fmt: skip
    given = started(small, people(1), world.manager, to="consultant",
                    consultant_id=world.b.employee_id)  # fmt: skip
    work(small, given)
    with small.unit_of_work(read_only=True) as uow:
        [number] = [c.assignment_id for c in taken_in(small, given)]
        [one] = uow.records.all(Assignment, id=number)
    assert one.by_id == world.manager.user_id


def test_whoever_has_no_account_starts_nothing(world: World, small: Crm) -> None:
    """Rows could be entered in nobody's name; it must not become the program's own."""
    nameless = attrs.evolve(world.manager, user_id=None, scope=SYSTEM.scope)
    number = checked(small, people(1))
    with pytest.raises(NotFound):
        imports.start_import(small, number, by=nameless)
    assert run_of(small, number).status is CHECKED
    # What counts is who it is, not which copy of it.
    imports.start_import(small, number, by=attrs.evolve(SYSTEM))
    done = work(small, number)
    assert done is not None and done.status is DONE


def test_an_import_that_its_maker_runs_is_nobody_elses(world: World, small: Crm) -> None:
    """Workers leave it alone, interrupted or not, until somebody hands it over."""

    def stop(_: int, __: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        imports.import_file(small, people(9), file_name="x.csv", progress=stop, by=world.a)
    [run] = imports.list_imports(small, by=world.a)
    number = run.id or 0
    assert imports.started_imports(small, by=SYSTEM) == ()
    assert work(small, number) is None
    assert imports.progress(small, number, by=world.a).at_work
    with pytest.raises(ImportBusy):
        imports.resume_import(small, number, by=world.a)
    let_leases_end(small)
    assert imports.resume_import(small, number, by=world.a).accepted == 3
    done = work(small, number)
    assert done is not None and (done.status, done.accepted) == (DONE, 9)


# -- whose rights -------------------------------------------------------------------------------


def _disable(world: World) -> None:
    access.set_active(world.crm, login(world.crm, world.a), False, by=SYSTEM)


def _strip(world: World) -> None:
    access.set_roles(world.crm, login(world.crm, world.a), ["teacher"], by=SYSTEM)


def _leave(world: World) -> None:
    employee = records.get_record(world.crm, Employee, world.a.employee_id or 0, by=SYSTEM)
    records.save_record(world.crm, changed(employee, left_on=on(1).date()), by=SYSTEM)


@pytest.mark.parametrize("withdraw", [_disable, _strip, _leave])
def test_an_import_is_paused_when_whoever_started_it_may_not_any_more(
    world: World, small: Crm, withdraw: Callable[[World], None]
) -> None:
    """From the next batch on; people see why, and somebody else can go on in their own name."""
    # given
    number = started(small, people(9), world.a, to="pool")
    work(small, number, batches=1)
    # when
    withdraw(world)
    stopped = work(small, number)
    # then
    assert stopped is not None and (stopped.status, stopped.accepted) == (PAUSED, 3)
    assert stopped.error is not None
    assert stopped.error["code"] == "rights_withdrawn"
    assert "无权" in stopped.error["zh"] and "may not go on" in stopped.error["en"]
    assert imports.progress(small, number, by=world.manager).error == stopped.error
    assert "导入已停止" in told(small, Event.IMPORT_FINISHED)[-1].subject
    assert imports.started_imports(small, by=SYSTEM) == ()
    # when
    resumed = imports.resume_import(small, number, by=world.manager)
    done = work(small, number)
    # then
    assert resumed.error is None
    assert done is not None and (done.status, done.accepted) == (DONE, 9)
    assert taken_in(small, number)[-1].created_by_id == world.manager.user_id
    sound(small)


def test_rights_withdrawn_in_the_middle_stop_at_the_next_batch(world: World, small: Crm) -> None:
    """They are asked for in the transaction of each batch, not once at the beginning."""
    number = started(small, people(30), world.a, to="pool")
    asked = 0

    def stopping() -> bool:
        nonlocal asked
        asked += 1
        if asked == 3:
            _disable(world)
        return False

    stopped = imports.run_started(small, number, stopping=stopping, by=SYSTEM)
    assert stopped is not None and (stopped.status, stopped.accepted) == (PAUSED, 6)


def test_a_consultant_who_is_gone_stops_an_import_until_somebody_resumes_it(
    world: World, small: Crm
) -> None:
    """It has failed, with the reason; it is not tried again and again."""
    number = started(small, people(9), world.manager, to="consultant",
                     consultant_id=world.b.employee_id)  # fmt: skip
    work(small, number, batches=1)
    access.set_active(small, login(small, world.b), False, by=SYSTEM)
    stopped = work(small, number)
    assert stopped is not None and (stopped.status, stopped.accepted) == (FAILED, 3)
    assert stopped.error is not None and stopped.error["code"] == "not_receiving"
    assert work(small, number) is None
    with pytest.raises(NotAssignable):
        imports.resume_import(small, number, by=world.manager)
    assert run_of(small, number).status is FAILED
    access.set_active(small, login(small, world.b), True, by=SYSTEM)
    imports.resume_import(small, number, by=world.manager)
    done = work(small, number)
    assert done is not None and (done.status, done.accepted) == (DONE, 9)
    sound(small)
