"""Sessions and the throttle (spec section 10): nobody stale, nobody locked out by others."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import attrs
import pytest
import sqlalchemy as sa

from crm_adapters.passwords import Argon2Hasher
from crm_domain import SYSTEM, Crm
from crm_domain.errors import (
    Invalid,
    NotFound,
    NotPermitted,
    SignedOut,
    SignInRefused,
    TooManyAttempts,
)
from crm_domain.model import AuditEntry, Employee, School, Scope, SignIn, User
from crm_domain.model.fields import changed
from crm_domain.rules.access import Principal
from crm_domain.usecases import access, records, schedule, sessions
from make import World
from steps import login

SECRET = "correct horse"
OTHER = "battery staple"
HERE, THERE = "192.0.2.7", "198.51.100.9"


@pytest.fixture
def name(world: World) -> str:
    """Give 李雷 a password and tell the username."""
    found = login(world.crm, world.a)
    access.set_password(world.crm, found, SECRET, by=SYSTEM)
    return found


def signed_in(world: World, name: str, **more: Any) -> str:
    return sessions.sign_in(world.crm, name, SECRET, **{"address": HERE, **more})[0]


def guess(crm: Crm, name: str, address: str | None = THERE, **more: Any) -> type[Exception]:
    """Try a wrong password and tell what became of it."""
    with pytest.raises((SignInRefused, TooManyAttempts)) as refused:
        sessions.sign_in(crm, name, "wrong horse", address=address, **more)
    return type(refused.value)


# -- sessions ---------------------------------------------------------------------------------


def test_a_session_gives_who_acts_with_the_rights_of_principal_for(world: World, name: str) -> None:
    """The one statement of a session and the several of `principal_for` agree."""
    token, principal = sessions.sign_in(world.crm, name, SECRET, address=HERE, device="Firefox")
    session = sessions.resume(world.crm, token)
    assert session.principal == principal == access.principal_for(world.crm, username=name)
    access.set_roles(world.crm, name, [], by=SYSTEM)
    assert sessions.resume(world.crm, token).principal == access.principal_for(
        world.crm, username=name
    )


def test_every_sign_in_gives_a_new_token_that_is_stored_nowhere(world: World, name: str) -> None:
    """The database has its fingerprint; the token of forms fits one session alone."""
    one, two = signed_in(world, name), signed_in(world, name)
    assert one != two
    assert len(one) >= 43
    with world.crm.unit_of_work(read_only=True) as uow:
        kept = uow.records.all(SignIn)
    assert len(kept) == 2
    assert not any(t in repr(kept) for t in (one, two))
    assert not any(sessions.browser_mark(t) in repr(kept) for t in (one, two))
    forms = {sessions.resume(world.crm, t).csrf_token for t in (one, two, one)}
    assert len(forms) == 2
    assert not forms & {one, two}


def test_nobody_waits_for_who_writes_to_have_it_noted_that_a_session_is_active(
    world: World, name: str
) -> None:
    """The page is there at once; a later request notes it."""
    token = signed_in(world, name)
    world.clock.advance(timedelta(minutes=5))
    before = sessions.resume(world.crm, token)
    world.clock.advance(timedelta(minutes=5))
    begun = time.monotonic()
    with world.crm.unit_of_work() as uow, ThreadPoolExecutor(1) as elsewhere:
        uow.records.add(School(title="正在写"))
        session = elsewhere.submit(sessions.resume, world.crm, token).result(20)
    assert session.principal == before.principal
    assert time.monotonic() - begun < 10
    sessions.resume(world.crm, token)
    with world.crm.unit_of_work(read_only=True) as uow:
        [kept] = uow.records.all(SignIn)
    assert kept.seen_at == world.crm.now()


def test_sessions_are_never_ended_without_saying_whose(world: World, name: str) -> None:
    """A choice that is empty by mistake must not sign the whole school out."""
    token = signed_in(world, name)
    for more in ({}, {"keep": 1}):
        with pytest.raises(ValueError), world.crm.unit_of_work() as uow:
            uow.sign_ins.end(now=world.crm.now(), **more)
    assert sessions.resume(world.crm, token)


def test_what_a_browser_keeps_opens_nothing(world: World, name: str) -> None:
    """The mark of a session that runs neither is a session nor leads to its forms' token."""
    token = signed_in(world, name)
    mark = sessions.browser_mark(token)
    with pytest.raises(SignedOut):
        sessions.resume(world.crm, mark)
    with pytest.raises(SignedOut):
        sessions.renew(world.crm, mark)
    sessions.sign_out(world.crm, mark)
    assert sessions.resume(world.crm, token).csrf_token != sessions.csrf_token(mark)


@pytest.mark.parametrize("token", [None, "", "x", "x" * 500, 7, "\ud800", b"x", "' OR 1=1 --"])
def test_no_token_but_the_right_one_is_a_session(world: World, name: str, token: Any) -> None:
    """Whatever a cookie holds."""
    signed_in(world, name)
    with pytest.raises(SignedOut):
        sessions.resume(world.crm, token)
    sessions.sign_out(world.crm, token)


def _ends(world: World, name: str, token: str) -> dict[str, Callable[[], Any]]:
    """List everything that ends a session, by what it is."""
    crm, boss = world.crm, world.person("管理", "administrator")
    employee = records.get_record(crm, Employee, world.a.employee_id or 0, by=SYSTEM)
    number = sessions.resume(crm, token).id
    left = changed(employee, left_on=date(2026, 11, 1))
    return {
        "signing out": lambda: sessions.sign_out(crm, token),
        "the absolute end": lambda: world.clock.advance(timedelta(hours=13)),
        "idleness": lambda: world.clock.advance(timedelta(hours=3)),
        "a disabled account": lambda: access.set_active(crm, name, False, by=boss),
        "an employee who left": lambda: records.save_record(crm, left, by=SYSTEM),
        "another's password": lambda: access.set_password(crm, name, OTHER, by=boss),
        "one's own password": lambda: access.change_password(crm, SECRET, OTHER, by=world.a),
        "the administrator": lambda: sessions.end_session(crm, number, by=boss),
        "oneself": lambda: sessions.end_session(crm, number, by=world.a),
        "everywhere": lambda: sessions.end_other_sessions(crm, by=world.a),
        "signing in again": lambda: signed_in(world, name, before=sessions.browser_mark(token)),
    }


@pytest.mark.parametrize(
    "way",
    ["signing out", "the absolute end", "idleness", "a disabled account", "an employee who left",
     "another's password", "one's own password", "the administrator", "oneself", "everywhere",
     "signing in again"],
)  # fmt: skip
def test_a_session_is_over_at_the_next_request(world: World, name: str, way: str) -> None:
    """And stays over, whatever is undone later."""
    token = signed_in(world, name)
    _ends(world, name, token)[way]()
    for _ in range(2):
        with pytest.raises(SignedOut):
            sessions.resume(world.crm, token)
        if way == "a disabled account":
            access.set_active(world.crm, name, True, by=SYSTEM)


def test_activity_keeps_a_session_until_its_absolute_end(world: World, name: str) -> None:
    """Twelve hours, however busy; that it was seen is written once a minute at most."""
    token = signed_in(world, name)
    for _ in range(5):
        world.clock.advance(timedelta(hours=2, minutes=20))
        sessions.resume(world.crm, token)
    world.clock.advance(timedelta(seconds=59))
    sessions.resume(world.crm, token)
    [running] = sessions.list_sessions(world.crm, by=world.a)
    assert running.seen_at == world.clock() - timedelta(seconds=59)
    world.clock.advance(timedelta(minutes=20))
    with pytest.raises(SignedOut):
        sessions.resume(world.crm, token)


def test_a_session_is_read_by_one_statement(world: World, name: str) -> None:
    """Every request begins with it."""
    token, seen = signed_in(world, name), []
    sessions.resume(world.crm, token)
    reader = world.crm.storage.reader  # type: ignore[attr-defined]
    sa.event.listen(
        reader, "before_cursor_execute", lambda c, u, statement, *_: seen.append(statement)
    )
    sessions.resume(world.crm, token)
    assert len([s for s in seen if "SELECT" in s]) == 1


def test_a_password_that_was_changed_meanwhile_opens_nothing(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even when the old one was looked at before and the session is begun after."""
    hasher = world.crm.passwords

    class Slow:
        def verify(self, password: str, hashed: str | None) -> bool:
            fits = hasher.verify(password, hashed)
            access.set_password(world.crm, name, OTHER, by=SYSTEM)
            return fits

        hash, outdated = hasher.hash, hasher.outdated

    slow = attrs.evolve(world.crm, passwords=Slow())
    with pytest.raises(SignInRefused):
        sessions.sign_in(slow, name, SECRET, address=HERE)
    assert sessions.list_sessions(world.crm, by=world.a) == ()


def test_a_password_that_is_changed_at_the_same_moment_leaves_no_session_behind(
    world: World, name: str
) -> None:
    """Whichever of the two comes first, the old password opens nothing any more."""

    def enter(_: int) -> None:
        with suppress(SignInRefused):
            sessions.sign_in(world.crm, name, SECRET, address=HERE)

    signed_in(world, name)
    for _ in range(4):
        with ThreadPoolExecutor(4) as pool:
            entering = [pool.submit(enter, i) for i in range(3)]
            pool.submit(access.set_password, world.crm, name, OTHER, by=SYSTEM).result()
            for one in entering:
                one.result()
        assert sessions.list_sessions(world.crm, by=world.a) == ()
        access.set_password(world.crm, name, SECRET, by=SYSTEM)
        signed_in(world, name)
        sessions.end_other_sessions(world.crm, by=world.a)


def test_a_hash_of_other_parameters_is_renewed_at_signing_in(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to choose a new password when the parameters grow."""

    def kept() -> str | None:
        with world.crm.unit_of_work(read_only=True) as uow:
            return uow.records.get(User, world.a.user_id or 0).password_hash  # type: ignore[union-attr]

    before = kept()
    signed_in(world, name)
    assert kept() == before
    monkeypatch.setattr("crm_adapters.passwords.ROUNDS", 1)
    token = signed_in(world, name)
    assert kept() != before
    assert "t=1" in (kept() or "")
    assert sessions.resume(world.crm, token)
    assert Argon2Hasher().verify(SECRET, kept())


def test_one_lists_and_ends_the_own_sessions(world: World, name: str) -> None:
    """With address and device; a stranger's is not there to end."""
    first = signed_in(world, name, device="Firefox\x00\n on Debian")
    world.clock.advance(timedelta(minutes=1))
    second = signed_in(world, name, address="2001:db8:1:2:3::9", device="x" * 500)
    kept = sessions.resume(world.crm, second).id
    listed = sessions.list_sessions(world.crm, by=world.a)
    assert [(s.address, (s.device or "")[:10]) for s in listed] == [
        ("2001:db8:1:2:3::9", "x" * 10), (HERE, "Firefox on"),
    ]  # fmt: skip
    with pytest.raises(NotFound):
        sessions.end_session(world.crm, kept, by=world.b)
    with pytest.raises(NotPermitted):
        sessions.list_sessions(world.crm, name, by=world.b)
    with pytest.raises(NotFound):
        sessions.list_sessions(world.crm, by=SYSTEM)
    assert sessions.end_other_sessions(world.crm, keep=kept, by=world.a) == 1
    with pytest.raises(SignedOut):
        sessions.resume(world.crm, first)
    assert sessions.resume(world.crm, second)


def test_a_clerk_neither_sees_nor_ends_the_sessions_of_the_mightier(world: World) -> None:
    """Where an administrator sits is nobody's business who may do less."""
    access.set_role(world.crm, "人事", permissions=["user:manage", "customer:view"],
                    scope=Scope.DEPARTMENT, by=SYSTEM)  # fmt: skip
    clerk, boss = world.person("人事", "人事"), world.person("管理", "administrator")
    theirs = login(world.crm, boss)
    access.set_password(world.crm, theirs, SECRET, by=SYSTEM)
    token = signed_in(world, theirs)
    number = sessions.resume(world.crm, token).id
    for act in (
        lambda: sessions.list_sessions(world.crm, theirs, by=clerk),
        lambda: sessions.end_session(world.crm, number, by=clerk),
        lambda: sessions.end_other_sessions(world.crm, username=theirs, by=clerk),
    ):
        with pytest.raises(NotPermitted):
            act()
    assert sessions.resume(world.crm, token)
    sessions.end_session(world.crm, number, by=SYSTEM)
    with world.crm.unit_of_work(read_only=True) as uow:
        [entry] = uow.records.all(AuditEntry, action="end_session")
    assert entry.record_id == boss.user_id


def test_changing_the_own_password_keeps_the_session_in_which_it_is_done(
    world: World, name: str
) -> None:
    """All others end."""
    here, there = signed_in(world, name), signed_in(world, name)
    kept = sessions.resume(world.crm, here)
    access.change_password(world.crm, SECRET, OTHER, keep=kept.id, by=kept.principal)
    assert sessions.resume(world.crm, here).id == kept.id
    with pytest.raises(SignedOut):
        sessions.resume(world.crm, there)


def test_a_session_gets_another_token_and_goes_on(world: World, name: str) -> None:
    """The old token is worth nothing, and so is one of a session that has ended."""
    old = signed_in(world, name)
    before = sessions.resume(world.crm, old)
    new = sessions.renew(world.crm, old)
    after = sessions.resume(world.crm, new)
    assert (after.id, after.expires_at) == (before.id, before.expires_at)
    assert after.csrf_token != before.csrf_token
    sessions.sign_out(world.crm, new)
    for token in (old, new, None):
        with pytest.raises(SignedOut):
            sessions.renew(world.crm, token)


# -- the throttle -----------------------------------------------------------------------------


def test_after_five_tries_one_waits_longer_and_longer_up_to_a_quarter_hour(
    world: World, name: str
) -> None:
    """And the right password does not help before the time is up; then it does."""
    waits = []
    for _ in range(15):
        while guess(world.crm, name) is SignInRefused:
            pass
        with pytest.raises(TooManyAttempts) as refused:
            sessions.sign_in(world.crm, name, SECRET, address=THERE)
        waits.append(refused.value.retry_after)
        world.clock.advance(timedelta(seconds=refused.value.retry_after))
    assert waits[:4] == [5, 10, 20, 40]
    assert waits[-1] == max(waits) == 900
    signed_in(world, name, address=THERE)
    assert [guess(world.crm, name) for _ in range(5)] == [SignInRefused] * 5


def test_an_unknown_name_is_counted_like_a_known_one(world: World, name: str) -> None:
    """By refusals and waits nobody learns who has an account."""

    def course(username: str, address: str) -> list[type[Exception]]:
        return [guess(world.crm, username, address) for _ in range(8)]

    assert course(name, "203.0.113.1") == course("nobody", "203.0.113.2")
    for odd in ("", "x" * 10_000, "\ud800", "a\0b"):
        assert guess(world.crm, odd, "203.0.113.3") is SignInRefused


def test_whoever_hammers_from_elsewhere_does_not_lock_the_owner_out(
    world: World, name: str
) -> None:
    """Neither at the owner's address nor with the owner's browser on the way."""
    browser = signed_in(world, name)
    for i in range(300):
        guess(world.crm, name, f"203.0.113.{i % 250}")
    assert guess(world.crm, name, "203.0.113.251") is TooManyAttempts
    assert signed_in(world, name)
    elsewhere = signed_in(
        world, name, address="203.0.113.251", before=sessions.browser_mark(browser)
    )
    assert sessions.resume(world.crm, elsewhere)
    with pytest.raises(SignedOut):
        sessions.resume(world.crm, browser)


def test_at_the_owners_address_one_waits_too_but_a_known_browser_does_not(
    world: World, name: str
) -> None:
    """Colleagues share an address; that must not be a way to guess without end."""
    browser = signed_in(world, name)
    tried = [guess(world.crm, name, HERE) for _ in range(10)]
    assert tried == [SignInRefused] * 5 + [TooManyAttempts] * 5
    with pytest.raises(TooManyAttempts):
        signed_in(world, name)
    assert signed_in(world, name, before=sessions.browser_mark(browser))
    tried = [guess(world.crm, name, HERE, before=sessions.browser_mark(browser)) for _ in range(7)]
    assert tried == [SignInRefused] * 5 + [TooManyAttempts] * 2


def test_anothers_token_makes_no_browser_known(world: World, name: str) -> None:
    """Whoever has an account of one's own is no better off with the accounts of others."""
    other = login(world.crm, world.b)
    access.set_password(world.crm, other, SECRET, by=SYSTEM)
    mine = signed_in(world, other)
    tried = [guess(world.crm, name, THERE, before=sessions.browser_mark(mine)) for _ in range(7)]
    assert tried == [SignInRefused] * 5 + [TooManyAttempts] * 2
    assert sessions.resume(world.crm, mine)


def test_a_thousand_guesses_of_one_address_cost_thirty_hashes_at_most(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many names are tried, in ten minutes; addresses of one /64 are one."""
    hashes = []

    class Counting:
        def verify(self, password: str, hashed: str | None) -> bool:
            hashes.append(password)
            return False

    crm = attrs.evolve(world.crm, passwords=Counting())
    for i in range(1000):
        guess(crm, f"name{i}", f"2001:db8::{i:x}")
        world.clock.advance(timedelta(seconds=0.6))
    assert len(hashes) <= 30
    assert guess(crm, "name1", "2001:db8:1::1") is SignInRefused


def test_many_guesses_at_once_count_as_many(world: World, name: str) -> None:
    """They are counted before the password is looked at."""
    with ThreadPoolExecutor(8) as pool:
        tried = list(pool.map(lambda _: guess(world.crm, name, None), range(16)))
    assert tried.count(SignInRefused) == 5


def test_the_present_password_is_guessed_five_times(world: World, name: str) -> None:
    """A session that was left open is no way to try passwords without end."""
    for _ in range(5):
        with pytest.raises(Invalid):
            access.change_password(world.crm, "wrong", OTHER, by=world.a)
    with pytest.raises(TooManyAttempts):
        access.change_password(world.crm, SECRET, OTHER, by=world.a)
    world.clock.advance(timedelta(seconds=5))
    access.change_password(world.crm, SECRET, OTHER, by=world.a)


# -- at night ---------------------------------------------------------------------------------


def test_the_night_removes_what_ended_long_ago(world: World, name: str) -> None:
    """Attempts after a day, sign-ins after ninety; until then a device is known."""
    browser = signed_in(world, name)
    guess(world.crm, "nobody")
    assert sessions.remove_old(world.crm, by=SYSTEM) == 0
    world.clock.advance(timedelta(days=2))
    assert schedule.run_job(world.crm, "tidy", by=SYSTEM).result == {
        "removed": 3, "old_notices": 0, "old_files": 0,
    }  # fmt: skip
    world.clock.advance(timedelta(days=87))
    assert sessions.remove_old(world.crm, by=SYSTEM) == 0
    world.clock.advance(timedelta(days=2))
    assert sessions.remove_old(world.crm, by=SYSTEM) == 1
    with pytest.raises(SignedOut):
        sessions.resume(world.crm, browser)
    with pytest.raises(NotPermitted):
        sessions.remove_old(world.crm, by=Principal(name="x"))
    assert not any(c.count for c in world.crm.storage.check())
