"""Sessions, attempts and one-time links, each step by one conditional statement."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from crm_adapters.storage import types
from crm_adapters.storage.rows import mapper
from crm_adapters.storage.session import Session
from crm_adapters.storage.tables import LINKS, TABLES, attempt, reset_link, sign_in
from crm_domain.model import ResetLink, Scope, SignIn, User
from crm_domain.ports import Resumed
from crm_domain.rules.throttle import FORGOTTEN_AFTER, LONGEST_WAIT, wait

_account, _employee = TABLES["User"], TABLES["Employee"]
_permission, _role = TABLES["Permission"], TABLES["Role"]
_user_roles, _role_permissions = LINKS["User", "roles"], LINKS["Role", "permissions"]
_SCOPES = {str(scope.value): scope for scope in Scope}


def _moment(name: str) -> Any:
    return sa.bindparam(name, type_=types.Moment())


def _resume(on_sqlite: bool) -> Any:
    """Read session, account, person and rights at once: every request begins with it."""
    s, a, e = sign_in.c, _account.c, _employee.c
    joined = sa.func.group_concat if on_sqlite else sa.func.string_agg
    blank: sa.ColumnElement[str] = sa.literal_column("' '")
    permissions = (
        # No code and no scope has a blank in it; one that two roles give comes twice.
        sa.select(joined(_permission.c.code, blank))
        .select_from(_user_roles)
        .join(_role_permissions, _role_permissions.c.left_id == _user_roles.c.right_id)
        .join(_permission, _permission.c.id == _role_permissions.c.right_id)
        .where(_user_roles.c.left_id == a.id)
        .scalar_subquery()
    )
    scopes = (
        sa.select(joined(sa.cast(_role.c.scope, sa.Text), blank))
        .select_from(_user_roles)
        .join(_role, _role.c.id == _user_roles.c.right_id)
        .where(_user_roles.c.left_id == a.id)
        .scalar_subquery()
    )
    return (
        sa.select(s.id, s.user_id, a.username, a.language, a.employee_id, e.name,
                  e.department_id, s.created_at, s.seen_at, s.expires_at,
                  s.acting_id, s.own_id,
                  permissions.label("permissions"), scopes.label("scopes"),
                  _arranged().label("arranged"))
        .select_from(sign_in)
        .join(_account, a.id == s.user_id)
        .outerjoin(_employee, e.id == a.employee_id)
        .where(
            s.token_sha256 == sa.bindparam("token"), s.ended_at.is_(None),
            s.expires_at > _moment("now"), s.seen_at > _moment("idle_since"),
            a.active == sa.literal(True, a.active.type),
            sa.or_(e.left_on.is_(None), e.left_on > sa.bindparam("today", type_=types.Day())),
        )
    )  # fmt: skip


def _arranged() -> Any:
    """Tell the state of the menu: whatever is added, changed or removed changes a number for good.

    Numbers are never given twice and versions only count up, so the same rows with the same sum of
    versions are the same. Three tables of some dozen rows.
    """
    parts = []
    for t in (TABLES["Menu"], TABLES["PermissionGroup"], _permission):
        numbers = (sa.func.count(), sa.func.max(t.c.id), sa.func.sum(t.c.version))
        told = [sa.func.coalesce(sa.cast(n, sa.Text), "") for n in numbers]
        parts.append(sa.select(told[0] + "." + told[1] + "." + told[2]).scalar_subquery())
    return parts[0] + "/" + parts[1] + "/" + parts[2]


def _attempt(on_sqlite: bool) -> Any:
    """Count a try: whoever tries at the same moment meets on the row, where the wait decides."""
    return sa.text("""
        INSERT INTO sign_in_attempt AS held (key, tries, last_at, free_at)
        VALUES (:key, 1, :now, :now)
        ON CONFLICT (key) DO UPDATE SET
            tries = CASE WHEN held.last_at <= :forgotten THEN 1 ELSE held.tries + 1 END,
            last_at = excluded.last_at, free_at = excluded.free_at
        WHERE held.free_at <= excluded.free_at OR held.free_at > :never
        RETURNING tries""").bindparams(
        sa.bindparam("key", type_=sa.Text), _moment("now"), _moment("forgotten"),
        _moment("never"),
    )  # fmt: skip


def _spend(on_sqlite: bool) -> Any:
    """Count some more: who counts at the same moment meets on the row, where the sum decides."""
    # Over, or begun by a clock that has been set back since.
    over = "(held.free_at <= :now OR held.free_at > excluded.free_at)"
    return sa.text(f"""
        INSERT INTO sign_in_attempt AS held (key, tries, last_at, free_at)
        VALUES (:key, :n, :now, :anew)
        ON CONFLICT (key) DO UPDATE SET
            tries = CASE WHEN {over} THEN excluded.tries ELSE held.tries + excluded.tries END,
            last_at = excluded.last_at,
            free_at = CASE WHEN {over} THEN excluded.free_at ELSE held.free_at END
        WHERE {over} OR held.tries + excluded.tries <= :most
        RETURNING tries""").bindparams(
        sa.bindparam("key", type_=sa.Text), sa.bindparam("n", type_=sa.Integer),
        sa.bindparam("most", type_=sa.Integer), _moment("now"), _moment("anew"),
    )  # fmt: skip


class SqlSignIns:
    """Implements the port ``SignIns``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def resume(
        self, token_sha256: str, *, now: datetime, idle_since: datetime, today: date
    ) -> Resumed | None:
        """Read a session that runs, of an account that may sign in, by one statement."""
        rows = self._session.rows(
            _resume, token=token_sha256, now=now, idle_since=idle_since, today=today
        )
        if not rows:
            return None
        (number, user_id, username, language, employee_id, person, department_id, created_at,
         seen_at, expires_at, acting_id, own_id, codes, scopes, arranged) = rows[0]  # fmt: skip
        return Resumed(
            id=number, user_id=user_id, username=username, language=language,
            employee_id=employee_id, person=person, department_id=department_id,
            permissions=frozenset((codes or "").split()),
            scopes=tuple(_SCOPES[code] for code in (scopes or "").split()),
            created_at=created_at, seen_at=seen_at, expires_at=expires_at, arranged=arranged,
            acting_id=acting_id, own_id=own_id,
        )  # fmt: skip

    def seen(self, id: int, *, now: datetime, unless_after: datetime) -> None:
        """Write that a session was active, unless that was written after a moment."""
        s = sign_in.c
        self._session.run(
            sa.update(sign_in)
            .where(s.id == id, s.seen_at <= unless_after, s.ended_at.is_(None))
            .values(seen_at=now)
        )

    def hold(self, user_id: int) -> User | None:
        """Read an account and keep others from changing it until the end."""
        m = mapper(User)
        chosen = m.select().where(_account.c.id == user_id).with_for_update(key_share=True)
        found = m.records(self._session, self._session.run(chosen))
        return found[0] if found else None

    def rehash(self, user_id: int, *, old: str, new: str) -> None:
        """Replace the hash of a password by another of the same password."""
        a = _account.c
        self._session.run(
            sa.update(_account)
            .where(a.id == user_id, a.password_hash == old)
            .values(password_hash=new)
        )

    def running(self, user_id: int, *, now: datetime, idle_since: datetime) -> tuple[SignIn, ...]:
        """Read the sessions of an account that run, the latest first."""
        m, s = mapper(SignIn), sign_in.c
        chosen = m.select().where(
            s.user_id == user_id, s.ended_at.is_(None), s.expires_at > now, s.seen_at > idle_since
        )
        ordered = chosen.order_by(s.seen_at.desc(), s.id.desc())
        return m.records(self._session, self._session.run(ordered))

    def renew(self, old: str, new: str, *, now: datetime) -> bool:
        """Give a session that has neither ended nor expired another token (their fingerprints)."""
        s = sign_in.c
        done = self._session.run(
            sa.update(sign_in)
            .where(s.token_sha256 == old, s.ended_at.is_(None), s.expires_at > now)
            .values(token_sha256=new)
        )
        return bool(done.rowcount)

    def end(
        self, *, now: datetime, id: int | None = None, user_id: int | None = None,
        token_sha256: str | None = None, keep: int | None = None,
    ) -> int:  # fmt: skip
        """End the sessions that fit all that is given, but for one; count them."""
        s = sign_in.c
        given = ((s.id, id), (s.user_id, user_id), (s.token_sha256, token_sha256))
        chosen = [column == value for column, value in given if value is not None]
        if not chosen:
            raise ValueError("whose sessions end is not said, and those of all shall not")
        if keep is not None:
            chosen.append(s.id != keep)
        # A clock that was put back must not end a session before it began.
        ended = sa.case((s.created_at > now, s.created_at), else_=sa.literal(now, types.Moment()))
        done = self._session.run(
            sa.update(sign_in).where(*chosen, s.ended_at.is_(None)).values(ended_at=ended)
        )
        return int(done.rowcount)

    def knows(self, user_id: int, *, place: str | None, device: str | None) -> tuple[bool, bool]:
        """Whether an account ever signed in from a place, and with a token (its fingerprint)."""
        s = sign_in.c
        asked = [
            sa.exists().where(s.user_id == user_id, column == value)
            for column, value in ((s.network, place or ""), (s.token_sha256, device or ""))
        ]
        row = self._session.run(sa.select(*asked)).one()
        return bool(row[0]), bool(row[1])

    def attempt(self, key: str, *, now: datetime, free: int) -> datetime | None:
        """Count one try, unless one has to wait; then tell until when."""
        c = attempt.c
        rows = self._session.rows(
            _attempt, key=key, now=now, forgotten=now - FORGOTTEN_AFTER,
            # Written by a clock that has been set back since.
            never=now + LONGEST_WAIT + timedelta(seconds=1),
        )  # fmt: skip
        if not rows:
            found: datetime | None = self._session.run(
                sa.select(c.free_at).where(c.key == key)
            ).scalar_one_or_none()
            return found or now
        pause = wait(int(rows[0][0]), free)
        if pause:
            self._session.run(
                sa.update(attempt).where(c.key == key).values(free_at=now + pause)
            )  # fmt: skip
        return None

    def spend(
        self, key: str, n: int, *, now: datetime, most: int, each: timedelta
    ) -> datetime | None:
        """Count n more under a key, unless it were more than some in a time."""
        if n > most:
            return now + each
        if self._session.rows(_spend, key=key, n=n, now=now, most=most, anew=now + each):
            return None
        c = attempt.c
        found: datetime | None = self._session.run(
            sa.select(c.free_at).where(c.key == key)
        ).scalar_one_or_none()
        return found or now

    def forgive(self, key: str, *, now: datetime, shared: bool) -> None:
        """Forget the tries under a key, or of a shared one only the latest."""
        c = attempt.c
        if not shared:
            self._session.run(sa.delete(attempt).where(c.key == key))
            return
        fewer = sa.case((c.tries > 0, c.tries - 1), else_=0)
        self._session.run(
            sa.update(attempt).where(c.key == key).values(tries=fewer, free_at=now)
        )  # fmt: skip

    def link(self, token_sha256: str, *, now: datetime) -> ResetLink | None:
        """Read a link that can be used."""
        m, c = mapper(ResetLink), reset_link.c
        chosen = m.select().where(
            c.token_sha256 == token_sha256, c.used_at.is_(None), c.expires_at > now
        )
        found = m.records(self._session, self._session.run(chosen))
        return found[0] if found else None

    def issue(self, link: ResetLink) -> None:
        """Write the link of an account, in the place of the one before."""
        self.void(link.user_id)
        m = mapper(ResetLink)
        row = dict(zip(m.write, m.values(link), strict=True))
        row.pop("id")
        self._session.run(sa.insert(reset_link).values(**row))

    def redeem(self, token_sha256: str, *, now: datetime) -> int | None:
        """Use a link up; give the account, or None when it cannot be used."""
        c = reset_link.c
        used = (
            sa.update(reset_link)
            .where(c.token_sha256 == token_sha256, c.used_at.is_(None), c.expires_at > now)
            .values(used_at=now)
            .returning(c.user_id)
        )
        found: int | None = self._session.run(used).scalar_one_or_none()
        return found

    def void(self, user_id: int) -> None:
        """Remove the link of an account, if it has one."""
        self._session.run(sa.delete(reset_link).where(reset_link.c.user_id == user_id))

    def remove_old(self, *, seen_before: datetime, tried_before: datetime) -> int:
        """Remove sessions, links and attempts that are over since long ago; count them."""
        old = (
            sa.delete(sign_in).where(sign_in.c.seen_at < seen_before),
            sa.delete(reset_link).where(reset_link.c.expires_at < seen_before),
            sa.delete(attempt).where(attempt.c.last_at < tried_before),
        )
        return sum(int(self._session.run(statement).rowcount) for statement in old)
