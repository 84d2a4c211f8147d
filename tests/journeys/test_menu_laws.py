"""Menus (spec section 10): shown is what may be opened, and what was arranged stays arranged."""

from __future__ import annotations

from typing import Any

import pytest

from crm_adapters.storage.records import SqlRecords
from crm_domain import SYSTEM
from crm_domain.errors import EditConflict, Invalid, NotFound, NotPermitted
from crm_domain.model import AuditEntry, Menu, Permission, PermissionGroup
from crm_domain.model.fields import changed
from crm_domain.rules.access import Declared, Principal
from crm_domain.usecases import access, records
from make import World


def shown(world: World, by: Principal) -> dict[str, str]:
    """Give the pages that somebody is shown, by the permission."""
    found = access.navigation(world.crm, by=by)
    return {e.code: e.url for m in found.menus for g in m.groups for e in g.entries}


def permission(world: World, code: str) -> Permission:
    with world.crm.unit_of_work(read_only=True) as uow:
        found = uow.records.find(Permission, code=code)
    assert found is not None
    return found


def test_everybody_is_shown_what_they_may_open_and_nothing_else(world: World) -> None:
    """Consultants their customers and the pool, administrators the system; empty menus are gone."""
    boss = world.person("管理", "administrator")
    seen = shown(world, world.a)
    assert seen["customer:mine"] == "/my/customers"
    assert seen["pool:view"] == "/pool"
    assert seen["course:view"] == "/courses"
    assert not seen.keys() & {"user:manage", "pool:rules", "audit:view"}
    assert {"user:manage", "role:manage", "audit:view"} <= shown(world, boss).keys()
    assert "customer:mine" not in shown(world, boss)
    for who in (world.a, world.manager, boss):
        assert all(who.may(code) for code in shown(world, who))
        assert all(m.groups for m in access.navigation(world.crm, by=who).menus)
    assert access.navigation(world.crm, by=Principal(name="x")).menus == ()


def test_every_title_stands_in_both_languages(world: World) -> None:
    """Menus, groups, entries and the roles."""
    found = access.navigation(world.crm, by=SYSTEM).menus
    assert [m.icon for m in found] == ["users", "cash", "school", "sitemap", "bell", "settings"]
    titled = [t for m in found for g in m.groups for t in (m, g, *g.entries)]
    assert len(titled) > 25
    assert all(t.label("en").isascii() and not t.label("zh").isascii() for t in titled)
    addresses = [e.url for m in found for g in m.groups for e in g.entries]
    assert len(set(addresses)) == len(addresses)


@pytest.mark.parametrize(
    ("code", "highlighted", "way"),
    [
        ("customer:view", "customer:view", ["销售", "客户", "客户列表"]),
        ("customer:edit", "customer:view", ["销售", "客户", "客户列表", "编辑客户"]),
        ("customer:claim", "pool:view", ["销售", "公海", "公海客户", "抢单"]),
        ("course:edit", "course:view", ["教学", "课程与班级", "课程", "维护课程"]),
        ("view:share", None, ["系统", "账号与权限", "共享视图"]),
    ],
)
def test_a_permission_without_entry_highlights_its_parents(
    world: World, code: str, highlighted: str | None, way: list[str]
) -> None:
    """The way leads over the entry that it hangs from."""
    found = access.trail(world.crm, code, by=SYSTEM)
    assert found.highlighted == highlighted
    assert [c.title for c in found.crumbs] == way


def test_the_way_has_links_only_to_what_one_may_open(world: World) -> None:
    """A page that is not one's own is named, without a link."""
    [*_, entry, _] = access.trail(world.crm, "role:manage", by=SYSTEM).crumbs
    [*_, entry] = access.trail(world.crm, "role:manage", by=world.a).crumbs
    assert entry.url is None
    [*_, entry] = access.trail(world.crm, "pool:view", by=world.a).crumbs
    assert entry.url == "/pool"
    with pytest.raises(NotFound):
        access.trail(world.crm, "no:such", by=SYSTEM)


def test_an_administrator_arranges_the_menu_and_a_new_start_leaves_it(world: World) -> None:
    """Titles, order, groups, parents; what was removed stays removed."""
    # given
    crm, boss = world.crm, world.person("管理", "administrator")
    mine = records.save_record(crm, Menu(title="我们的", position=-1), by=boss)
    group = records.save_record(crm, PermissionGroup(title="要事", menu_id=mine.id), by=boss)
    values = {"group_id": group.id, "title": "抢客", "title_en": "Grab", "position": 7}
    access.arrange_permission(crm, "pool:view", values, by=boss)
    access.arrange_permission(crm, "pool:rules", {"in_menu": False, "parent": "pool:view"}, by=boss)
    with crm.unit_of_work(read_only=True) as uow:
        sales = uow.records.find(Menu, code="sales")
    assert sales is not None
    records.save_record(crm, changed(sales, title="卖课"), by=boss)
    # when
    access.synchronise(crm, [Declared("fee:see", "查看费用", "See fees", group="pool", url="/fees",
                                      in_menu=True, parent="fee:see")])  # fmt: skip
    # then
    found = access.navigation(crm, by=access.principal_for(crm, username=boss.name))
    assert [m.title for m in found.menus][:2] == ["我们的", "卖课"]
    [first] = found.menus[0].groups[0].entries
    assert (first.label("zh"), first.label("en"), first.url) == ("抢客", "Grab", "/pool")
    assert found.trail("pool:rules").highlighted == "pool:view"
    assert "fee:see" in [e.code for g in found.menus[1].groups for e in g.entries]
    assert not any(c.count for c in crm.storage.check())


@pytest.mark.parametrize(
    ("code", "values", "wrong"),
    [
        ("pool:view", {"parent": "pool:view"}, [("parent", "circle")]),
        ("pool:view", {"parent": "pool:sweep"}, [("parent", "circle")]),
        ("pool:view", {"parent": "no:such"}, [("parent", "unknown_permission")]),
        ("pool:view", {"parent": 7, "position": "x", "url": "/x"},
         [("parent", "unknown_permission"), ("position", "bad_number"), ("url", "unknown_field")]),
        ("customer:edit", {"in_menu": True}, [("in_menu", "no_page")]),
        ("pool:view", {"group_id": 99999, "title": ""},
         [("group_id", "unknown_group"), ("title", "missing")]),
        ("pool:view", 7, [("", "no_mapping")]),
    ],
)  # fmt: skip
def test_what_makes_no_menu_is_refused_with_every_problem(
    world: World, code: str, values: Any, wrong: list[tuple[str, str]]
) -> None:
    """And nothing is changed."""
    before = permission(world, code)
    with pytest.raises(Invalid) as refused:
        access.arrange_permission(world.crm, code, values, by=SYSTEM)
    assert sorted((p.path, p.code) for p in refused.value.problems) == wrong
    assert permission(world, code) == before


def test_two_who_arrange_the_same_permission_notice(world: World) -> None:
    """The second one is told, and needs the permission like the first."""
    seen = permission(world, "pool:view").version
    access.arrange_permission(world.crm, "pool:view", {"position": 1}, version=seen, by=SYSTEM)
    with pytest.raises(EditConflict):
        access.arrange_permission(world.crm, "pool:view", {"position": 2}, version=seen, by=SYSTEM)
    with pytest.raises(NotPermitted):
        access.arrange_permission(world.crm, "pool:view", {}, by=world.manager)
    with pytest.raises(NotPermitted):
        access.list_permissions(world.crm, by=world.manager)


def test_the_page_of_permissions_lists_each_once(world: World) -> None:
    """By menu and group; those without a group at the end."""
    access.arrange_permission(world.crm, "pool:view", {"group_id": None}, by=SYSTEM)
    rows = access.list_permissions(world.crm, by=SYSTEM)
    codes = [p.code for row in rows for p in row.permissions]
    with world.crm.unit_of_work(read_only=True) as uow:
        assert sorted(codes) == sorted(p.code for p in uow.records.all(Permission))
    assert rows[0].menu is not None
    assert (rows[-1].group, codes[-1]) == (None, "pool:view")


def test_what_is_moved_by_one_place_is_moved_wholly_or_not_at_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two who move at once one is told; no half of an order is left, and the log has each."""
    crm = world.crm

    def order() -> list[str]:
        found = access.navigation(crm, by=SYSTEM).menus
        return [m.title for m in found]

    with crm.unit_of_work(read_only=True) as uow:
        menus = sorted(uow.records.all(Menu), key=lambda m: m.position)
    at_first, first = order(), str(menus[0].id)
    access.move_entry(crm, "menu", first, up=True, by=SYSTEM)
    assert order() == at_first
    access.move_entry(crm, "menu", first, up=False, by=SYSTEM)
    assert order() == [at_first[1], at_first[0], *at_first[2:]]
    moved = order()
    real, rival = SqlRecords.save, iter([True])

    def save(self: SqlRecords, record: Any) -> Any:
        saved = real(self, record)
        if isinstance(record, Menu) and next(rival, False):
            raise EditConflict(what="菜单", seen=1, version=2)
        return saved

    with monkeypatch.context() as patch:
        patch.setattr(SqlRecords, "save", save)
        with pytest.raises(EditConflict):
            access.move_entry(crm, "menu", first, up=True, by=SYSTEM)
    assert order() == moved
    access.move_entry(crm, "menu", first, up=True, by=SYSTEM)
    assert order() == at_first
    with crm.unit_of_work(read_only=True) as uow:
        logged = uow.records.all(AuditEntry, action="arrange", record="Menu")
    assert {e.record_id for e in logged} >= {menus[0].id, menus[1].id}


@pytest.mark.parametrize(("kind", "which"), [("menu", "1"), ("group", "1"), ("permission", "x")])
def test_only_who_arranges_the_menu_moves_some_of_it(world: World, kind: str, which: str) -> None:
    """And what is not there is not found."""
    with pytest.raises(NotPermitted):
        access.move_entry(world.crm, kind, which, up=True, by=world.manager)
    for unknown, of in ((kind, "999"), (kind, ""), ("shelf", which)):
        with pytest.raises(NotFound):
            access.move_entry(world.crm, unknown, of, up=True, by=SYSTEM)
