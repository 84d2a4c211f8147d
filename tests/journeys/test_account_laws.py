"""Accounts, roles and passwords (spec section 10): nobody lifts himself, nobody is locked out."""

from __future__ import annotations

import pytest

from crm_domain import SYSTEM
from crm_domain.errors import Invalid, NotFound, NotPermitted
from crm_domain.model import AuditEntry, User
from crm_domain.rules.access import Principal
from crm_domain.usecases import access
from make import World
from steps import login

SECRET = "correct horse"
OTHER = "battery staple"


@pytest.fixture
def clerk(world: World) -> Principal:
    """Make somebody who manages users and sees only what is the clerk's own."""
    access.set_role(world.crm, "人事", permissions=["user:manage", "customer:view"], by=SYSTEM)
    return world.person("人事", "人事")


# -- passwords --------------------------------------------------------------------------------


def test_a_password_that_is_set_opens_the_account(world: World) -> None:
    """From then on only the new one does, and the audit log has who and whose, not the secret."""
    # given
    boss, name = world.person("管理", "administrator"), login(world.crm, world.manager)
    access.set_password(world.crm, name, SECRET, by=boss)
    assert access.sign_in(world.crm, name, SECRET) == world.manager
    # when
    access.set_password(world.crm, name, OTHER, by=boss)
    # then
    with pytest.raises(NotFound):
        access.sign_in(world.crm, name, SECRET)
    assert access.sign_in(world.crm, name, OTHER) == world.manager
    with world.crm.unit_of_work(read_only=True) as uow:
        entries = uow.records.all(AuditEntry, action="set_password")
        user = uow.records.get(User, world.manager.user_id or 0)
    assert [(e.by_id, e.record_id) for e in entries] == [(boss.user_id, world.manager.user_id)] * 2
    assert user is not None
    assert user.password_hash is not None
    for secret in (SECRET, OTHER, user.password_hash):
        assert secret not in repr(entries)


def test_one_changes_the_own_password_by_giving_the_old_one(world: World) -> None:
    """Without it nothing changes; no permission is needed."""
    # given
    name = login(world.crm, world.a)
    access.set_password(world.crm, name, SECRET, by=SYSTEM)
    # when / then
    for wrong in ("wrong horse", "", None, 7):
        with pytest.raises(Invalid) as refused:
            access.change_password(world.crm, wrong, OTHER, by=world.a)  # type: ignore[arg-type]
        assert [(p.path, p.code) for p in refused.value.problems] == [("old", "wrong_password")]
    with pytest.raises(Invalid) as refused:
        access.change_password(world.crm, SECRET, "short", by=world.a)
    assert [p.path for p in refused.value.problems] == ["new"]
    assert access.sign_in(world.crm, name, SECRET) == world.a
    access.change_password(world.crm, SECRET, OTHER, by=world.a)
    assert access.sign_in(world.crm, name, OTHER) == world.a
    with world.crm.unit_of_work(read_only=True) as uow:
        [entry] = uow.records.all(AuditEntry, action="change_password")
    assert (entry.by_id, entry.record_id) == (world.a.user_id, world.a.user_id)
    assert OTHER not in repr(entry)


def test_who_has_no_account_or_no_password_changes_none(world: World) -> None:
    """The program itself, a disabled account, and one that was never given a password."""
    with pytest.raises(NotFound):
        access.change_password(world.crm, SECRET, OTHER, by=SYSTEM)
    with pytest.raises(Invalid):
        access.change_password(world.crm, SECRET, OTHER, by=world.a)
    access.set_password(world.crm, login(world.crm, world.a), SECRET, by=SYSTEM)
    access.set_active(world.crm, login(world.crm, world.a), False, by=SYSTEM)
    with pytest.raises(NotFound):
        access.change_password(world.crm, SECRET, OTHER, by=world.a)


@pytest.mark.parametrize("password", ["1234567", "x" * 129, "", None, 12345678, ["x" * 8]])
def test_a_password_has_8_to_128_characters(world: World, password: object) -> None:
    """Anything else is refused, naming the field."""
    with pytest.raises(Invalid) as refused:
        access.set_password(world.crm, login(world.crm, world.a), password, by=SYSTEM)  # type: ignore[arg-type]
    assert [(p.path, p.code) for p in refused.value.problems] == [("password", "bad_password")]


def test_nobody_sets_the_password_of_an_account_that_holds_more(
    world: World, clerk: Principal
) -> None:
    """It would be a way to sign in as an administrator."""
    boss = world.person("管理", "administrator")
    access.set_password(world.crm, login(world.crm, boss), SECRET, by=SYSTEM)
    with pytest.raises(NotPermitted):
        access.set_password(world.crm, login(world.crm, boss), OTHER, by=clerk)
    assert access.sign_in(world.crm, login(world.crm, boss), SECRET) == boss
    with pytest.raises(NotFound):
        access.set_password(world.crm, "nobody", OTHER, by=clerk)
