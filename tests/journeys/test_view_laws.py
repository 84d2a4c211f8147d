"""Saved views and preferences (spec section 13): one's own, and what others share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from crm_domain import SYSTEM
from crm_domain.errors import Duplicate, EditConflict, Invalid, NotFound, NotPermitted
from crm_domain.model import Density, ListPreference
from crm_domain.rules.access import Principal
from crm_domain.usecases import views
from make import World

QUERY = "source=baidu&source=seo&sort=-received_at"


def titles(world: World, by: Any, name: str = "customers") -> list[tuple[str, bool, str]]:
    found = views.list_views(world.crm, name, by=by)
    return [(s.view.title, s.own, s.by) for s in found]


def test_a_view_is_saved_and_shared_at_once_or_not_at_all(world: World) -> None:
    """Saving it again says anew whether others see it; who may not share saves nothing shared."""
    crm, boss = world.crm, world.manager
    query = {"title": "百度", "query": "source=baidu"}

    def seen(by: Principal) -> list[bool]:
        return [s.view.shared for s in views.list_views(crm, "customers", by=by)]

    with pytest.raises(NotPermitted):
        views.save_view(crm, "customers", query, shared=True, by=world.a)
    assert seen(world.a) == []
    views.save_view(crm, "customers", query, shared=True, by=boss)
    assert seen(world.a) == [True]
    views.save_view(crm, "customers", query, replace=True, by=boss)
    assert seen(world.a) == [True], "who does not say keeps it as it is"
    views.save_view(crm, "customers", query, replace=True, shared=False, by=boss)
    assert (seen(world.a), seen(boss)) == ([], [False])
    with pytest.raises(Invalid):
        views.save_view(crm, "customers", query, replace=True, shared="yes", by=boss)  # type: ignore[arg-type]


def test_one_finds_the_own_views_and_those_that_others_share(world: World) -> None:
    """The own ones first; only whoever may share shares."""
    crm = world.crm
    views.save_view(crm, "customers", {"title": "百度", "query": "?" + QUERY}, by=world.a)
    theirs = views.save_view(crm, "customers", {"title": "本周"}, by=world.manager)
    views.save_view(crm, "pool", {"title": "别的"}, by=world.a)
    assert titles(world, world.a) == [("百度", True, "李雷")]
    views.share_view(crm, theirs.id or 0, by=world.manager)
    assert titles(world, world.a) == [("百度", True, "李雷"), ("本周", False, "赵敏")]
    [mine, _] = views.list_views(crm, "customers", by=world.a)
    assert mine.view.query == QUERY
    with pytest.raises(NotPermitted):
        views.share_view(crm, mine.view.id or 0, by=world.a)
    views.share_view(crm, theirs.id or 0, False, by=world.manager)
    assert titles(world, world.a) == [("百度", True, "李雷")]


def test_a_title_is_one_view_of_a_person_and_a_list(world: World) -> None:
    """Others and other lists may have the same; replacing is asked for."""
    crm = world.crm
    first = views.save_view(crm, "customers", {"title": "x", "query": "a=1"}, by=world.a)
    with pytest.raises(Duplicate):
        views.save_view(crm, "customers", {"title": "x"}, by=world.a)
    again = views.save_view(
        crm, "customers", {"title": "x", "query": "a=2"}, replace=True, by=world.a
    )
    assert (again.id, again.query) == (first.id, "a=2")
    views.save_view(crm, "pool", {"title": "x"}, by=world.a)
    views.save_view(crm, "customers", {"title": "x"}, by=world.b)
    other = views.save_view(crm, "customers", {"title": "y"}, by=world.a)
    with pytest.raises(Duplicate):
        views.edit_view(crm, other.id or 0, {"title": "x"}, by=world.a)
    renamed = views.edit_view(crm, other.id or 0, {"title": "z"}, version=1, by=world.a)
    assert renamed.title == "z"
    with pytest.raises(EditConflict):
        views.edit_view(crm, other.id or 0, {"title": "w"}, version=1, by=world.a)


def test_anothers_view_is_not_there_to_change(world: World) -> None:
    """Not even a shared one, but for who may share: they clear up."""
    crm = world.crm
    own = views.save_view(crm, "customers", {"title": "x"}, by=world.manager)
    number = own.id or 0
    views.share_view(crm, number, by=world.manager)
    for act in (lambda: views.edit_view(crm, number, {"title": "y"}, by=world.a),
                lambda: views.remove_view(crm, number, by=world.a),
                lambda: views.share_view(crm, number, False, by=world.a),
                lambda: views.remove_view(crm, "x", by=world.a),  # type: ignore[arg-type]
                lambda: views.list_views(crm, "customers", by=SYSTEM)):  # fmt: skip
        with pytest.raises(NotFound):
            act()
    views.remove_view(crm, number, by=world.person("管理", "administrator"))
    assert titles(world, world.manager) == []


@pytest.mark.parametrize(
    ("name", "values", "wrong"),
    [
        ("客户", {"title": "", "query": "x" * 4001}, ["list_name", "query", "title"]),
        ("customers", {"shared": True, "user_id": 1, "title": "x"}, ["shared", "user_id"]),
        ("customers", {"title": "x" * 61}, ["title"]),
        ("../x", {"title": "a\0b"}, ["list_name", "title"]),
        ("customers", 7, [""]),
        ("customers", {}, ["title"]),
    ],
)  # fmt: skip
def test_a_bad_view_is_refused_with_every_problem(
    world: World, name: str, values: Any, wrong: list[str]
) -> None:
    """And none is kept."""
    with pytest.raises(Invalid) as refused:
        views.save_view(world.crm, name, values, by=world.a)
    assert sorted(p.path for p in refused.value.problems) == wrong
    assert titles(world, world.a) == []


def test_columns_density_and_page_size_are_remembered_per_person_and_list(world: World) -> None:
    """What is not named stays; without a choice there is one all the same."""
    crm = world.crm
    fresh = views.read_preference(crm, "customers", by=world.a)
    assert (fresh.columns, fresh.density, fresh.page_size) == ((), Density.COMFORTABLE, 50)
    views.set_preference(crm, "customers", {"columns": ["name", "phone"]}, by=world.a)
    views.set_preference(crm, "customers", {"density": "compact", "page_size": "20"}, by=world.a)
    found = views.read_preference(crm, "customers", by=world.a)
    assert (found.columns, found.density, found.page_size) == (
        ("name", "phone"), Density.COMPACT, 20,
    )  # fmt: skip
    assert views.read_preference(crm, "customers", by=world.b).columns == ()
    assert views.read_preference(crm, "pool", by=world.a).columns == ()


def test_a_bad_preference_is_refused_with_every_problem(world: World) -> None:
    """And the one before stays."""
    odd = {"columns": ["name", "name"], "density": "tight", "page_size": 10_000, "x": 1}
    with pytest.raises(Invalid) as refused:
        views.set_preference(world.crm, "x" * 61, odd, by=world.a)
    assert sorted(p.path for p in refused.value.problems) == [
        "columns", "density", "list_name", "page_size", "x",
    ]  # fmt: skip
    for columns in ("name", [7], ["a b"], None, {"a": 1}, [f"c{i}" for i in range(101)]):
        with pytest.raises(Invalid):
            views.set_preference(world.crm, "customers", {"columns": columns}, by=world.a)


def test_two_windows_that_choose_at_once_leave_one_preference(world: World) -> None:
    """Neither is an error."""
    with ThreadPoolExecutor(4) as pool:
        chosen = pool.map(
            lambda n: views.set_preference(world.crm, "customers", {"page_size": n}, by=world.a),
            range(10, 18),
        )
        assert len(list(chosen)) == 8
    with world.crm.unit_of_work(read_only=True) as uow:
        assert len(uow.records.all(ListPreference)) == 1
