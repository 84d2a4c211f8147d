"""Acting as another: within one's own rights, for an hour at most, and under both names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import attrs
import pytest

from crm_domain import SYSTEM, Crm
from crm_domain.errors import (
    ActingForAnother,
    CrmError,
    NotActing,
    NotFound,
    NotPermitted,
    ScopeTooWide,
    SignedOut,
)
from crm_domain.model import AuditEntry, Customer, Department, Employee, Scope
from crm_domain.model.fields import changed
from crm_domain.ports import Query
from crm_domain.rules.access import Principal
from crm_domain.usecases import (
    access,
    audit_log,
    intake,
    preferences,
    records,
    sessions,
    views,
)
from make import World, phone
from steps import login

SECRET = "correct horse"


def signed_in(world: World, who: Principal) -> str:
    """Sign somebody in and give the token."""
    name = login(world.crm, who)
    access.set_password(world.crm, name, SECRET, by=SYSTEM)
    return sessions.sign_in(world.crm, name, SECRET)[0]


def who_acts(world: World, token: str) -> Principal:
    return sessions.resume(world.crm, token).principal


def log_of(world: World) -> list[AuditEntry]:
    with world.crm.unit_of_work(read_only=True) as uow:
        return list(uow.records.all(AuditEntry))


@pytest.fixture
def boss(world: World) -> Principal:
    """Somebody who manages accounts."""
    return world.person("孙总", "administrator")


@pytest.fixture
def own(world: World, boss: Principal) -> str:
    """The token of that one's own session."""
    return signed_in(world, boss)


def test_whoever_acts_as_another_has_the_rights_of_that_one(
    world: World, boss: Principal, own: str
) -> None:
    """The session names both, and goes back to a session of one's own with a new token."""
    token = sessions.act_as(world.crm, own, login(world.crm, world.a))
    session = sessions.resume(world.crm, token)
    theirs = access.principal_for(world.crm, username=login(world.crm, world.a))
    acts = session.principal
    assert (acts.user_id, acts.permissions, acts.scope, acts.employee_id) == (
        theirs.user_id, theirs.permissions, theirs.scope, theirs.employee_id
    )  # fmt: skip
    assert (acts.acting_id, acts.acting) == (boss.user_id, "孙总")
    [shown] = sessions.list_sessions(world.crm, by=world.a)
    assert shown.acting == "孙总"
    again = sessions.stop_acting(world.crm, token)
    assert (who_acts(world, again).user_id, who_acts(world, again).acting_id) == (
        boss.user_id, None
    )  # fmt: skip
    for gone in (token, own):
        with pytest.raises(SignedOut):
            sessions.resume(world.crm, gone)
    with pytest.raises(NotActing):
        sessions.stop_acting(world.crm, again)


def test_what_is_done_meanwhile_names_both(world: World, boss: Principal, own: str) -> None:
    """So do the beginning and the end, and the log shows it."""
    token = sessions.act_as(world.crm, own, login(world.crm, world.a))
    made = intake.register_customer(
        world.crm, {"name": "王芳", "phone": phone()}, by=who_acts(world, token)
    )
    sessions.stop_acting(world.crm, token)
    begun, entered, ended = log_of(world)[-3:]
    assert (begun.action, begun.by_id, begun.acting_id) == ("act_as", boss.user_id, None)
    assert (begun.record, begun.record_id) == ("User", world.a.user_id)
    assert (entered.record, entered.record_id) == (Customer.__name__, made.id)
    assert (entered.by_id, entered.acting_id) == (world.a.user_id, boss.user_id)
    assert (ended.action, ended.by_id, ended.acting_id) == (
        "act_end", world.a.user_id, boss.user_id
    )  # fmt: skip
    asked = Query(where={"acting_id": [boss.user_id]})
    found = [(e.by_name, e.acting_name) for e in audit_log.list_entries(world.crm, asked, by=boss)]
    assert found == [("李雷", "孙总")] * 2
    assert "孙总" in audit_log.export_entries(world.crm, asked, form="csv", by=boss).decode()


def test_nobody_acts_as_whoever_may_do_more(world: World, own: str) -> None:
    """Nor without the permission, as oneself, as nobody, or as whoever may not sign in."""
    crm = world.crm
    keeper = access.add_role(
        crm, {"title": "账号", "scope": "department", "permissions": ["user:manage"]}, by=SYSTEM
    )
    clerk = world.person("小吴")
    access.set_roles(crm, login(crm, clerk), ["consultant", keeper.id or 0], by=SYSTEM)
    token = signed_in(world, clerk)
    assert sessions.act_as(crm, token, login(crm, world.a))
    elsewhere = records.save_record(crm, Department(code=99, title="别处"), by=SYSTEM)
    gone = world.person("小郑")
    employee = records.get_record(crm, Employee, gone.employee_id or 0, by=SYSTEM)
    records.save_record(crm, changed(employee, left_on=crm.today()), by=SYSTEM)
    access.set_active(crm, login(crm, world.c), False, by=SYSTEM)
    far = world.person("小冯", department_id=elsewhere.id)
    for name, refusal in (
        (login(crm, world.manager), (NotPermitted, ScopeTooWide)), (login(crm, clerk), NotFound),
        ("nobody", NotFound), (login(crm, world.c), NotFound), (login(crm, gone), NotFound),
        (login(crm, far), NotFound),
    ):  # fmt: skip
        with pytest.raises(refusal):
            sessions.act_as(crm, token, name)
    with pytest.raises(NotPermitted):
        sessions.act_as(crm, signed_in(world, world.b), login(crm, world.a))


def test_nobody_acts_as_another_in_the_name_of_a_third(world: World, own: str) -> None:
    """Otherwise the log would name the wrong two."""
    other = world.person("周总", "administrator")
    token = sessions.act_as(world.crm, own, login(world.crm, other))
    with pytest.raises(ActingForAnother):
        sessions.act_as(world.crm, token, login(world.crm, world.a))


def test_it_ends_after_an_hour(world: World, own: str) -> None:
    """However busy one is; one's own session goes on meanwhile."""
    token = sessions.act_as(world.crm, own, login(world.crm, world.a))
    for _ in range(5):
        world.clock.advance(timedelta(minutes=11))
        assert sessions.resume(world.crm, token)
    world.clock.advance(timedelta(minutes=6))
    with pytest.raises(SignedOut):
        sessions.resume(world.crm, token)
    assert sessions.resume(world.crm, own)


ENDS: dict[str, Callable[[World, Principal, str, str], object]] = {
    "the own session is signed out": lambda w, b, own, t: sessions.sign_out(w.crm, own),
    "the own sessions are ended": lambda w, b, own, t: sessions.end_other_sessions(w.crm, by=b),
    "the account's sessions are ended": lambda w, b, own, t: sessions.end_other_sessions(
        w.crm, by=w.a),
    "the account is disabled": lambda w, b, own, t: access.set_active(
        w.crm, w.a.name, False, by=SYSTEM),
    "whoever acts is disabled": lambda w, b, own, t: access.set_active(
        w.crm, b.name, False, by=SYSTEM),
    "whoever acts manages no accounts any more": lambda w, b, own, t: access.set_roles(
        w.crm, b.name, ["sales_manager"], by=SYSTEM),
    "the account may do more": lambda w, b, own, t: access.set_roles(
        w.crm, w.a.name, ["consultant", "stronger"], by=SYSTEM),
    "it is signed out": lambda w, b, own, t: sessions.sign_out(w.crm, t),
}  # fmt: skip


@pytest.mark.parametrize("end", ENDS)
def test_it_ends_when_either_end_does(world: World, own: str, boss: Principal, end: str) -> None:
    """At the next request, whatever ended it."""
    crm = world.crm
    world.person("周总", "administrator")
    access.set_role(crm, "stronger", permissions=["customer:export"], scope=Scope.ALL, by=SYSTEM)
    access.set_role(crm, "经理", permissions=["user:manage", "customer:view"], scope=Scope.ALL,
                    by=SYSTEM)  # fmt: skip
    if end == "the account may do more":
        # Somebody who holds what a consultant does, and no more.
        access.set_roles(crm, boss.name, ["consultant", "经理"], by=SYSTEM)
    token = sessions.act_as(crm, own, login(crm, world.a))
    assert sessions.resume(crm, token)
    ENDS[end](world, boss, own, token)
    with pytest.raises(SignedOut):
        sessions.resume(crm, token)
    if end == "it is signed out":
        with pytest.raises(SignedOut):
            sessions.resume(crm, own)
        assert (log_of(world)[-1].action, log_of(world)[-1].acting_id) == ("act_end", boss.user_id)


LEFT_TO_ONESELF: dict[str, Callable[[Crm, Principal], object]] = {
    "change_password": lambda c, p: access.change_password(c, SECRET, "another secret", by=p),
    "set_password": lambda c, p: access.set_password(c, "x", "another secret", by=p),
    "issue_reset": lambda c, p: access.issue_reset(c, p.name, by=p),
    "set_language": lambda c, p: access.set_language(c, "en", by=p),
    "set_preferences": lambda c, p: preferences.set_preferences(c, {}, by=p),
    "set_preference": lambda c, p: views.set_preference(c, "customers", {}, by=p),
    "save_view": lambda c, p: views.save_view(c, "customers", {"title": "x"}, by=p),
    "edit_view": lambda c, p: views.edit_view(c, 1, {}, by=p),
    "share_view": lambda c, p: views.share_view(c, 1, by=p),
    "remove_view": lambda c, p: views.remove_view(c, 1, by=p),
}  # fmt: skip


@pytest.mark.parametrize("what", LEFT_TO_ONESELF)
def test_passwords_and_preferences_are_left_to_oneself(world: World, own: str, what: str) -> None:
    """Whoever acts as another changes neither."""
    other = world.person("周总", "administrator")
    acts = who_acts(world, sessions.act_as(world.crm, own, login(world.crm, other)))
    with pytest.raises(ActingForAnother):
        LEFT_TO_ONESELF[what](world.crm, acts)
    with pytest.raises(CrmError) as refused:
        LEFT_TO_ONESELF[what](world.crm, changed_back(acts))
        raise NotActing
    assert not isinstance(refused.value, ActingForAnother)


def changed_back(acts: Principal) -> Principal:
    """Give the same one, acting in the own name."""
    return attrs.evolve(acts, acting_id=None, acting=None)


def test_a_place_does_not_become_known_by_acting_there(world: World, own: str) -> None:
    """Or whoever acts would have as many free tries at the password as the owner."""
    name = login(world.crm, world.a)
    sessions.act_as(world.crm, own, name, address="192.0.2.7")
    with world.crm.unit_of_work(read_only=True) as uow:
        known = uow.sign_ins.knows(world.a.user_id or 0, place="192.0.2.7", device=None)
    assert known == (False, False)
