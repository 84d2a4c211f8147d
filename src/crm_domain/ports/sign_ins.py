"""What signing in needs of a database: sessions, counted attempts and one-time links."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Protocol

import attrs

from crm_domain.model import ResetLink, Scope, SignIn, User


@attrs.frozen(kw_only=True)
class Resumed:
    """A running session with the account, the person and the rights of this very moment."""

    id: int
    user_id: int
    username: str
    language: str | None
    employee_id: int | None
    person: str | None
    department_id: int | None
    permissions: frozenset[str]
    scopes: tuple[Scope, ...]
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    arranged: str
    """Another one as soon as anything of menus, groups or permissions is another."""
    acting_id: int | None = None
    """As `SignIn.acting_id` says."""
    own_id: int | None = None
    """As `SignIn.own_id` says."""


class SignIns(Protocol):
    """Sessions, attempts and links. What races is decided by a condition on the row written."""

    def resume(
        self, token_sha256: str, *, now: datetime, idle_since: datetime, today: date
    ) -> Resumed | None:
        """Read a session that runs, of an account that may sign in, by one statement.

        Args:
            token_sha256: The fingerprint of its token.
            now: The moment; it must not have expired.
            idle_since: It must have been seen after this.
            today: The local day; whoever has left by then has no account any more.
        """
        ...

    def seen(self, id: int, *, now: datetime, unless_after: datetime) -> None:
        """Write that a session was active, unless that was written after a moment."""
        ...

    def hold(self, user_id: int) -> User | None:
        """Read an account and keep others from changing it until the end."""
        ...

    def rehash(self, user_id: int, *, old: str, new: str) -> None:
        """Replace the hash of a password by another of the same password."""
        ...

    def running(self, user_id: int, *, now: datetime, idle_since: datetime) -> tuple[SignIn, ...]:
        """Read the sessions of an account that run, the latest first."""
        ...

    def renew(self, old: str, new: str, *, now: datetime) -> bool:
        """Give a session that has neither ended nor expired another token (their fingerprints)."""
        ...

    def end(
        self, *, now: datetime, id: int | None = None, user_id: int | None = None,
        token_sha256: str | None = None, keep: int | None = None,
    ) -> int:  # fmt: skip
        """End the sessions that fit all that is given, but for one; count them.

        Raises:
            ValueError: Nothing is given that they must fit.
        """
        ...

    def knows(self, user_id: int, *, place: str | None, device: str | None) -> tuple[bool, bool]:
        """Whether an account ever signed in from a place, and with a token (its fingerprint)."""
        ...

    def attempt(self, key: str, *, now: datetime, free: int) -> datetime | None:
        """Count one try, unless one has to wait.

        Returns:
            None when it was counted, or from when on the next one is possible.
        """
        ...

    def spend(
        self, key: str, n: int, *, now: datetime, most: int, each: timedelta
    ) -> datetime | None:
        """Count n more under a key, unless it were more than ``most`` in a time from the first.

        Returns:
            None when they were counted, or when counting begins anew.
        """
        ...

    def forgive(self, key: str, *, now: datetime, shared: bool) -> None:
        """Forget the tries under a key, or of a shared one only the latest."""
        ...

    def link(self, token_sha256: str, *, now: datetime) -> ResetLink | None:
        """Read a link that can be used."""
        ...

    def issue(self, link: ResetLink) -> None:
        """Write the link of an account, in the place of the one before."""
        ...

    def redeem(self, token_sha256: str, *, now: datetime) -> int | None:
        """Use a link up; give the account, or None when it cannot be used."""
        ...

    def void(self, user_id: int) -> None:
        """Remove the link of an account, if it has one."""
        ...

    def remove_old(self, *, seen_before: datetime, tried_before: datetime) -> int:
        """Remove sessions, links and attempts that are over since long ago; count them."""
        ...
