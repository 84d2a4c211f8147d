"""Reset links: one password for one link, once (spec section 10)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import Any

import pytest

from crm_domain import SYSTEM, Crm
from crm_domain.errors import CrmError, Invalid, LinkNotValid, NotFound, NotPermitted, SignedOut
from crm_domain.model import AuditEntry, Employee, ResetLink, Scope
from crm_domain.model.fields import changed
from crm_domain.usecases import access, records, sessions
from make import World
from steps import login

SECRET = "correct horse"
OTHER = "battery staple"


@pytest.fixture
def name(world: World) -> str:
    """Give 李雷 a password and tell the username."""
    found = login(world.crm, world.a)
    access.set_password(world.crm, found, SECRET, by=SYSTEM)
    return found


def refused(crm: Crm, token: Any) -> None:
    for use in (lambda: access.read_reset(crm, token),
                lambda: access.redeem_reset(crm, token, OTHER)):  # fmt: skip
        with pytest.raises(LinkNotValid):
            use()


def test_a_link_gives_a_new_password_once(world: World, name: str) -> None:
    """All sessions end; who issued it and who used it is written down, the token is not."""
    boss = world.person("管理", "administrator")
    session, _ = sessions.sign_in(world.crm, name, SECRET)
    token = access.issue_reset(world.crm, name, by=boss)
    assert sessions.resume(world.crm, session)
    told = access.read_reset(world.crm, token)
    assert (told.username, told.person) == (name, "李雷")
    access.redeem_reset(world.crm, token, OTHER)
    with pytest.raises(SignedOut):
        sessions.resume(world.crm, session)
    assert sessions.sign_in(world.crm, name, OTHER)
    refused(world.crm, token)
    with world.crm.unit_of_work(read_only=True) as uow:
        entries = [e for e in uow.records.all(AuditEntry) if e.action.endswith("_reset")]
        links = uow.records.all(ResetLink)
    assert [(e.action, e.by_id, e.record_id) for e in entries] == [
        ("issue_reset", boss.user_id, world.a.user_id),
        ("redeem_reset", world.a.user_id, world.a.user_id),
    ]
    assert token not in repr((entries, links))


def test_a_weak_password_leaves_the_link_usable(world: World, name: str) -> None:
    """Whoever mistypes must not ask for another link; the username is no password either."""
    token = access.issue_reset(world.crm, name, by=SYSTEM)
    for weak in ("short", "woaini1314", f"{name}2026", "李雷李雷李雷李雷", None):
        with pytest.raises(Invalid) as problems:
            access.redeem_reset(world.crm, token, weak)  # type: ignore[arg-type]
        assert [p.path for p in problems.value.problems] == ["password"]
    assert access.redeem_reset(world.crm, token, OTHER)


@pytest.mark.parametrize(
    "end", ["a day", "a newer one", "a set password", "disabled", "left", "the own password"]
)
def test_a_link_is_void_after(world: World, name: str, end: str) -> None:
    """A day, a newer link, another password, a disabled account."""
    crm = world.crm
    token = access.issue_reset(crm, name, by=SYSTEM)
    employee = records.get_record(crm, Employee, world.a.employee_id or 0, by=SYSTEM)
    left = changed(employee, left_on=date(2026, 11, 1))
    {
        "a day": lambda: world.clock.advance(timedelta(hours=24)),
        "a newer one": lambda: access.issue_reset(crm, name, by=SYSTEM),
        "a set password": lambda: access.set_password(crm, name, SECRET, by=SYSTEM),
        "the own password": lambda: access.change_password(crm, SECRET, OTHER, by=world.a),
        "disabled": lambda: access.set_active(crm, name, False, by=SYSTEM),
        "left": lambda: records.save_record(crm, left, by=SYSTEM),
    }[end]()
    refused(crm, token)
    if end in ("disabled", "left"):
        with pytest.raises(NotFound):
            access.issue_reset(crm, name, by=SYSTEM)


@pytest.mark.parametrize("token", [None, "", 7, "x", "x" * 500, "\ud800", b"x"])
def test_what_is_no_link_opens_nothing(world: World, name: str, token: Any) -> None:
    """Whatever stands in the address."""
    access.issue_reset(world.crm, name, by=SYSTEM)
    refused(world.crm, token)


def test_nobody_issues_a_link_for_the_mightier(world: World, name: str) -> None:
    """It would be a way to become them."""
    access.set_role(world.crm, "人事", permissions=["user:manage", "customer:view"],
                    scope=Scope.DEPARTMENT, by=SYSTEM)  # fmt: skip
    clerk, boss = world.person("人事", "人事"), world.person("管理", "administrator")
    for who, by in ((boss, clerk), (world.a, world.b)):
        with pytest.raises(NotPermitted):
            access.issue_reset(world.crm, login(world.crm, who), by=by)
    with pytest.raises(NotFound):
        access.issue_reset(world.crm, "nobody", by=clerk)


def test_of_many_who_use_a_link_at_once_one_wins(world: World, name: str) -> None:
    """The condition on its row decides."""
    token = access.issue_reset(world.crm, name, by=SYSTEM)

    def use(i: int) -> str:
        try:
            access.redeem_reset(world.crm, token, f"{OTHER} {i}")
        except CrmError as e:
            return e.code
        return "won"

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(use, range(6)))
    assert sorted(results) == ["link_not_valid"] * 5 + ["won"]
    assert sessions.sign_in(world.crm, name, f"{OTHER} {results.index('won')}")
