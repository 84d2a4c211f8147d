"""The audit log: read, counted and exported by whom it is for, and no cell of it is a formula."""

from __future__ import annotations

from typing import Any

import pytest

from crm_domain import SYSTEM
from crm_domain.errors import Invalid, NotPermitted
from crm_domain.model import Course, Department, Scope
from crm_domain.model.fields import changed
from crm_domain.ports import Query
from crm_domain.rules.access import Principal
from crm_domain.usecases import access, audit_log, pool, records
from make import World
from steps import on


@pytest.fixture
def clerk(world: World) -> Principal:
    """Somebody who changed things on two days, and an account without an employee who did, too."""
    access.set_role(
        world.crm, "教务", permissions=["course:edit", "course:view", "department:edit"],
        scope=Scope.ALL, by=SYSTEM,
    )  # fmt: skip
    clerk = world.person("教务", "教务")
    world.clock.set(on(2))
    made = records.save_record(world.crm, Course(title="=1+1"), by=clerk)
    records.save_record(world.crm, Department(code=9077, title="教务处"), by=clerk)
    world.clock.set(on(3))
    records.save_record(world.crm, changed(made, title="Python"), by=clerk)
    access.create_user(world.crm, {"username": "robot", "roles": ["教务"]}, by=SYSTEM)
    robot = access.principal_for(world.crm, username="robot")
    records.save_record(world.crm, Course(title="Java"), by=robot)
    return clerk


def read(world: World, **query: Any) -> list[tuple[str, str, str | None]]:
    page = audit_log.list_entries(world.crm, Query(**query), by=SYSTEM)
    assert audit_log.tally_entries(world.crm, Query(**query), by=SYSTEM).total == len(page)
    return [(e.entry.record, e.entry.action, e.by_name) for e in page]


def test_the_log_is_filtered_by_what_who_and_when(world: World, clerk: Principal) -> None:
    """The newest first, people by name."""
    courses = [
        ("Course", "create", "robot"), ("Course", "update", "教务"), ("Course", "create", "教务"),
    ]  # fmt: skip
    assert read(world, where={"record": "Course"}) == courses
    assert read(world, where={"record": ["Course"], "action": "update"}) == courses[1:2]
    assert read(world, where={"by_id": clerk.user_id}) == [
        courses[1], ("Department", "create", "教务"), courses[2],
    ]  # fmt: skip
    assert read(world, ranges={"at": (on(3), on(3))}, where={"record": "Course"}) == courses[:2]
    assert read(world, where={"record": "Course", "record_id": 1}) == courses[1:]
    assert read(world, sort="at", where={"record": "Course"}) == courses[::-1]


def test_pages_show_every_entry_once(world: World, clerk: Principal) -> None:
    """Entries of one moment included."""
    whole = [e.entry.id for e in audit_log.list_entries(world.crm, by=SYSTEM)]
    found, mark = [], None
    for _ in whole:
        page = audit_log.list_entries(world.crm, Query(limit=2, after=mark), by=SYSTEM)
        found += [e.entry.id for e in page]
        mark = page.next
        if mark is None:
            break
    assert found == whole


def test_the_log_is_counted_by_what_who_and_action(world: World, clerk: Principal) -> None:
    """As its rows of filters show it."""
    query = Query(where={"record": "Course"})
    tally = audit_log.tally_entries(world.crm, query, ["action", "by_id", "record"], by=SYSTEM)
    assert tally.total == 3
    assert tally.by["action"] == {"create": 2, "update": 1}
    assert tally.by["by_id"][clerk.user_id] == 2
    assert tally.by["record"]["Department"] == 2
    with pytest.raises(Invalid):
        audit_log.tally_entries(world.crm, query, ["before"], by=SYSTEM)


def test_the_log_is_for_who_may_see_it(world: World, clerk: Principal) -> None:
    """Not to be read, counted or exported by anybody else, nor asked by what it holds."""
    for by in (clerk, world.manager):
        for use in (audit_log.list_entries, audit_log.tally_entries, audit_log.export_entries):
            with pytest.raises(NotPermitted):
                use(world.crm, by=by)
    for query in (Query(where={"before": "x"}), Query(search="x"), Query(sort="action"),
                  Query(ranges={"id": (1, 2)}), Query(where={"after": None})):  # fmt: skip
        with pytest.raises(Invalid):
            audit_log.list_entries(world.crm, query, by=SYSTEM)
        with pytest.raises(Invalid):
            audit_log.export_entries(world.crm, query, by=SYSTEM)


@pytest.mark.parametrize("form", ["xlsx", "csv"])
def test_an_export_of_the_log_has_what_the_list_has(
    world: World, clerk: Principal, form: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pages of it, without a formula, and it is written down itself."""
    monkeypatch.setattr(audit_log, "PAGE", 2)
    query = Query(where={"record": "Course"}, limit=1)
    content = audit_log.export_entries(world.crm, query, form=form, by=SYSTEM)
    [sheet] = world.crm.reader.read(content, f"log.{form}")
    heading, *rows = [[str(c) for c in row.cells] for row in sheet.rows]
    assert heading[:4] == ["时间", "操作人", "操作", "记录类型"]
    assert [(r[1], r[2], r[3]) for r in rows] == [
        ("robot", "create", "课程"), ("教务", "update", "课程"), ("教务", "create", "课程"),
    ]  # fmt: skip
    assert rows[0][0] == "2026-11-03 00:00:00"
    assert "=1+1" in rows[2][6]
    [entry] = audit_log.list_entries(world.crm, Query(where={"record": "AuditEntry"}), by=SYSTEM)
    assert (entry.entry.action, entry.by_name) == ("export", None)
    assert entry.entry.after == {"sort": "-at", "where": {"record": "Course"}, "rows": 3}
    with pytest.raises(Invalid):
        audit_log.export_entries(world.crm, form="pdf", by=SYSTEM)  # type: ignore[arg-type]


def test_an_export_that_is_empty_is_an_export(world: World) -> None:
    """With headings in the language that was asked for."""
    pool.sweep_pool(world.crm, by=SYSTEM)
    content = audit_log.export_entries(
        world.crm, Query(where={"record": "Nothing"}), form="csv", language="en", by=SYSTEM
    )
    assert content.decode("utf-8-sig").split(",")[:3] == ["When", "By", "Action"]
