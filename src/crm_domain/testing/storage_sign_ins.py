"""The part of the contract of a storage that is about signing in."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from crm_domain.model import (
    Menu,
    Permission,
    PermissionGroup,
    ResetLink,
    Role,
    Scope,
    SignIn,
    User,
)
from crm_domain.model.fields import changed
from crm_domain.ports import Crm
from crm_domain.testing.making import NOW, TODAY, read, together


def a_session(user_id: int) -> SignIn:
    """Make a session that begins now."""
    return SignIn(user_id=user_id, token_sha256="a" * 64, created_at=NOW, seen_at=NOW,
                  expires_at=NOW + timedelta(hours=12))  # fmt: skip


def a_link(user_id: int, mark: str = "a") -> ResetLink:
    """Make a link that can be used from now on."""
    return ResetLink(user_id=user_id, token_sha256=mark * 64, created_at=NOW,
                     expires_at=NOW + timedelta(hours=1))  # fmt: skip


class SignInsPart:
    """A part of ``StorageContract``."""

    def test_a_session_is_read_with_the_rights_of_the_moment(self, crm: Crm) -> None:
        """Neither expired, nor idle, nor ended, nor of a disabled account."""
        with crm.unit_of_work() as uow:
            rights = [uow.records.add(Permission(code=f"x:{n}", title=n)).id or 0 for n in "ab"]
            roles = [
                uow.records.add(Role(title=t, permissions=tuple(held), scope=scope)).id or 0
                for t, held, scope in (("r", rights, Scope.OWN), ("s", rights[:1], Scope.ALL))
            ]
            user = uow.records.add(User(username="li", roles=tuple(roles)))
            uow.records.add(a_session(user.id or 0))
        asked: dict[str, Any] = {"now": NOW, "idle_since": NOW - timedelta(hours=1), "today": TODAY}

        def resumed(**other: Any) -> Any:
            return read(crm, lambda uow: uow.sign_ins.resume("a" * 64, **{**asked, **other}))

        found = resumed()
        assert (found.username, found.permissions) == ("li", {"x:a", "x:b"})
        assert sorted(found.scopes) == sorted([Scope.OWN, Scope.ALL])
        assert resumed(now=NOW + timedelta(hours=12)) is None
        assert resumed(idle_since=NOW) is None
        assert read(crm, lambda uow: uow.sign_ins.resume("b" * 64, **asked)) is None
        with crm.unit_of_work() as uow:
            assert uow.sign_ins.end(now=NOW, user_id=user.id, keep=found.id) == 0
            assert uow.sign_ins.end(now=NOW - timedelta(days=1), id=found.id) == 1
            assert uow.sign_ins.end(now=NOW, id=found.id) == 0
        assert resumed() is None

    def test_a_session_tells_whether_the_menu_is_another(self, crm: Crm) -> None:
        """Whatever is added, changed or removed, and in whatever order."""
        with crm.unit_of_work() as uow:
            user = uow.records.add(User(username="li"))
            uow.records.add(a_session(user.id or 0))
        seen = []

        def look() -> None:
            found = read(crm, lambda uow: uow.sign_ins.resume(
                "a" * 64, now=NOW, idle_since=NOW - timedelta(hours=1), today=TODAY))  # fmt: skip
            assert found is not None
            seen.append(found.arranged)

        look()
        with crm.unit_of_work() as uow:
            menu = uow.records.add(Menu(title="m"))
        look()
        with crm.unit_of_work() as uow:
            group = uow.records.add(PermissionGroup(title="g", menu_id=menu.id))
            made = uow.records.add(Permission(code="x:a", title="a", group_id=group.id))
        look()
        with crm.unit_of_work() as uow:
            uow.records.save(changed(made, group_id=None))
        look()
        with crm.unit_of_work() as uow:
            uow.records.remove(PermissionGroup, group.id or 0)
            uow.records.add(PermissionGroup(title="h", menu_id=menu.id))
        look()
        assert len(set(seen)) == 5
        look()
        assert seen[-1] == seen[-2]

    def test_a_session_is_seen_and_gets_another_token(self, crm: Crm) -> None:
        """The latest comes first; its old token opens nothing."""
        with crm.unit_of_work() as uow:
            user = uow.records.add(User(username="li")).id or 0
            old, new = (
                uow.records.add(
                    changed(a_session(user), token_sha256=mark * 64, network="10.0.0.1")
                )
                for mark in "ab"
            )
        idle = NOW - timedelta(hours=1)

        def running(now: datetime = NOW, idle_since: datetime = idle) -> list[int | None]:
            with crm.unit_of_work(read_only=True) as uow:
                return [s.id for s in uow.sign_ins.running(user, now=now, idle_since=idle_since)]

        minute = timedelta(minutes=1)
        assert running() == [new.id, old.id]
        with crm.unit_of_work() as uow:
            uow.sign_ins.seen(old.id or 0, now=NOW + minute, unless_after=NOW)
            uow.sign_ins.seen(new.id or 0, now=NOW + minute, unless_after=NOW - minute)
        assert running() == [old.id, new.id]
        assert running(idle_since=NOW) == [old.id]
        assert running(NOW + timedelta(hours=12)) == []
        with crm.unit_of_work() as uow:
            assert uow.sign_ins.renew("a" * 64, "c" * 64, now=NOW)
            assert not uow.sign_ins.renew("a" * 64, "d" * 64, now=NOW)
            assert not uow.sign_ins.renew("b" * 64, "d" * 64, now=NOW + timedelta(hours=12))
            assert uow.sign_ins.knows(user, place="10.0.0.1", device="c" * 64) == (True, True)
            assert uow.sign_ins.knows(user, place="10.0.0.2", device="a" * 64) == (False, False)
            assert uow.sign_ins.knows(user, place=None, device=None) == (False, False)
            assert uow.sign_ins.end(now=NOW, id=new.id) == 1
        assert running() == [old.id]

    def test_a_hash_is_replaced_by_one_of_the_same_password(self, crm: Crm) -> None:
        """Unless another password was chosen meanwhile."""
        with crm.unit_of_work() as uow:
            user = uow.records.add(User(username="li", password_hash="old")).id or 0
            uow.sign_ins.rehash(user, old="older", new="x")
            assert uow.sign_ins.hold(user + 99) is None
        with crm.unit_of_work() as uow:
            held = uow.sign_ins.hold(user)
            assert held is not None
            assert held.password_hash == "old"
            uow.sign_ins.rehash(user, old="old", new="new")
        found = read(crm, lambda uow: uow.records.get(User, user))
        assert found is not None
        assert found.password_hash == "new"

    def test_what_is_over_since_long_ago_is_removed(self, crm: Crm) -> None:
        """Sessions, links and tries, each by its own moment."""
        with crm.unit_of_work() as uow:
            user = uow.records.add(User(username="li")).id or 0
            uow.records.add(a_session(user))
            uow.sign_ins.issue(a_link(user))
            assert uow.sign_ins.attempt("k", now=NOW, free=3) is None
        later = NOW + timedelta(hours=2)
        with crm.unit_of_work() as uow:
            assert uow.sign_ins.remove_old(seen_before=NOW, tried_before=NOW) == 0
            assert uow.sign_ins.remove_old(seen_before=NOW, tried_before=later) == 1
            assert uow.sign_ins.remove_old(seen_before=later, tried_before=later) == 2
            uow.sign_ins.issue(a_link(user))
            uow.sign_ins.void(user)
            assert uow.sign_ins.link("a" * 64, now=NOW) is None

    def test_tries_are_counted_and_forgiven(self, crm: Crm) -> None:
        """Of many at once no more pass than are free."""

        def attempt(_: int) -> bool:
            with crm.unit_of_work() as uow:
                return uow.sign_ins.attempt("k", now=NOW, free=3) is None

        assert sum(together(8, attempt)) == 3
        with crm.unit_of_work() as uow:
            free_at = uow.sign_ins.attempt("k", now=NOW, free=3)
            assert free_at is not None
            assert free_at > NOW
            uow.sign_ins.forgive("k", now=NOW, shared=True)
            assert uow.sign_ins.attempt("k", now=NOW, free=3) is None
            uow.sign_ins.forgive("k", now=NOW, shared=False)
            assert uow.sign_ins.attempt("k", now=NOW, free=2) is None

    def test_what_is_spent_is_free_again_in_time(self, crm: Crm) -> None:
        """Together no more than the most; refused until the time that began first has passed."""
        hour = timedelta(hours=1)

        def spend(_: int) -> bool:
            with crm.unit_of_work() as uow:
                return uow.sign_ins.spend("s", 3, now=NOW, most=9, each=hour) is None

        assert sum(together(6, spend)) == 3
        with crm.unit_of_work() as uow:
            assert uow.sign_ins.spend("s", 1, now=NOW, most=9, each=hour) == NOW + hour
            assert uow.sign_ins.spend("other", 1, now=NOW, most=9, each=hour) is None
            later = NOW + hour
            assert uow.sign_ins.spend("s", 9, now=later, most=9, each=hour) is None
            assert uow.sign_ins.spend("s", 1, now=later, most=9, each=hour) == later + hour

    def test_a_link_is_used_once(self, crm: Crm) -> None:
        """And a new one takes the place of the old."""
        with crm.unit_of_work() as uow:
            user = uow.records.add(User(username="li")).id or 0
            for mark in "ab":
                uow.sign_ins.issue(a_link(user, mark))

        def redeem(i: int) -> int | None:
            with crm.unit_of_work() as uow:
                return uow.sign_ins.redeem("aabbbb"[i] * 64, now=NOW)

        used = together(6, redeem)
        assert [u for u in used if u is not None] == [user]
        assert read(crm, lambda uow: uow.sign_ins.link("b" * 64, now=NOW)) is None
