"""Signing in and out: sessions on the server, which the next request of anybody obeys.

The browser holds a random token, the database its fingerprint. Rights are read anew with every
request, so a changed role, a disabled account, a changed password and an ended session all act at
the next one.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import attrs

from crm_domain.errors import (
    CrmError,
    DatabaseBusy,
    NotActing,
    NotFound,
    SignedOut,
    SignInRefused,
)
from crm_domain.model import AuditEntry, SignIn, User
from crm_domain.parsing import quoted, record_number, storable
from crm_domain.ports import Crm, Resumed, UnitOfWork
from crm_domain.rules.access import Principal, union
from crm_domain.rules.throttle import FORGOTTEN_AFTER, Counted, counted, network
from crm_domain.usecases._common import audit, people
from crm_domain.usecases._forms import KEPT
from crm_domain.usecases._passwords import count_attempt, fingerprint, fits, may_sign_in
from crm_domain.usecases._rights import account_named, refuse_stronger

SEEN_EVERY = timedelta(minutes=1)
"""How often it is written that a session is active; a write at each request would be dear."""
ACTING = timedelta(hours=1)
"""How long somebody acts as another at most, before it has to be begun anew."""


@attrs.frozen(kw_only=True)
class Session:
    """A session that runs, as of the moment it was asked for."""

    id: int
    principal: Principal
    csrf_token: str = attrs.field(repr=False)
    """Must come with everything that changes something; it fits this session alone."""
    created_at: datetime
    expires_at: datetime
    arranged: str
    """As long as it is the same, `access.navigation` gives the same to the same rights."""
    own_id: int | None = None
    """The session of whoever really acts, where somebody acts as another."""


@attrs.frozen(kw_only=True)
class SignedIn:
    """One running session, as its owner is shown it."""

    id: int
    address: str | None
    device: str | None
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    acting: str | None = None
    """Who acts in it in the owner's name; None is the owner."""


def sign_in(
    crm: Crm, username: str, password: str, *, address: str | None = None,
    device: str | None = None, before: str | None = None,
) -> tuple[str, Principal]:  # fmt: skip
    """Begin a session, once the password fits.

    Tries are counted before the password is looked at, so that many at once count as many. See
    `crm_domain.rules.throttle` for what they are counted under.

    Args:
        crm: The CRM.
        username: As it was typed.
        password: As it was typed.
        address: The network address of whoever asks, from a proxy that is trusted, or None.
        device: What the browser says it is, for the list of sessions.
        before: The `browser_mark` of the token that this browser was given last, if it kept it.
            Then the browser is known, which spares it the waiting that others cause, and the
            session that still runs under that token, whosever it is, is ended.

    Returns:
        The token, which is new each time and stands nowhere else, and who acts.

    Raises:
        SignInRefused: The account or the password is not right; which of the two is not said.
        TooManyAttempts: One has to wait for ``retry_after`` seconds.
    """
    place, last = network(address), fingerprint(before)
    user, keys = _count(crm, username, place, last)
    if not fits(crm, password, user) or user is None:
        raise SignInRefused
    hashed = user.password_hash or ""
    fresh = crm.passwords.hash(password) if crm.passwords.outdated(hashed) else None
    token = secrets.token_urlsafe(32)
    with crm.unit_of_work() as uow:
        held = uow.sign_ins.hold(user.id or 0)
        now = crm.now()
        # Between the look at the password and now it may have been changed.
        if held is None or held.password_hash != hashed or not may_sign_in(crm, uow, held, now):
            raise SignInRefused
        for key in keys:
            uow.sign_ins.forgive(key.key, now=now, shared=key.shared)
        if fresh is not None:
            uow.sign_ins.rehash(user.id or 0, old=hashed, new=fresh)
        if last is not None:
            uow.sign_ins.end(now=now, token_sha256=last)
        uow.records.add(
            SignIn(
                user_id=user.id or 0, token_sha256=_kept(token) or "", created_at=now,
                seen_at=now, expires_at=now + timedelta(minutes=crm.settings.session_minutes),
                address=_line(address, 60), network=place, device=_line(device, 200),
            )
        )  # fmt: skip
        found = _resumed(crm, uow, token, now)
    if found is None:
        raise SignInRefused
    return token, _principal(found)


def resume(crm: Crm, token: str | None) -> Session:
    """Tell who acts in a session, with the rights of this moment; one statement.

    Raises:
        SignedOut: There is no such session, it has ended or run out, the account is disabled, or
            its employee has left.
    """
    if token is None or _kept(token) is None:
        raise SignedOut
    now = crm.now()
    with crm.unit_of_work(read_only=True) as uow:
        found = _resumed(crm, uow, token, now)
        own = None if found is None else _own(crm, uow, found, now)
    if found is None:
        raise SignedOut
    if now - found.seen_at >= SEEN_EVERY:
        # A busy database is no reason to turn anybody away, nor to let a page wait; the next
        # request writes it.
        with suppress(DatabaseBusy), crm.unit_of_work(wait=False) as uow:
            for running in (found,) if own is None else (found, own):
                uow.sign_ins.seen(running.id, now=now, unless_after=now - SEEN_EVERY)
    return Session(
        id=found.id, principal=_principal(found, own), csrf_token=csrf_token(token),
        created_at=found.created_at, expires_at=found.expires_at, arranged=found.arranged,
        own_id=found.own_id,
    )  # fmt: skip


def renew(crm: Crm, token: str | None) -> str:
    """Give a running session a new token; the old one opens nothing any more.

    Call it when the session becomes worth more to a thief: after the own password was changed
    (OWASP ASVS 5.0, 7.2.4).

    Returns:
        The new token, which takes the old one's place in the browser.

    Raises:
        SignedOut: There is no such session, or it has ended.
    """
    resume(crm, token)
    fresh = secrets.token_urlsafe(32)
    with crm.unit_of_work() as uow:
        now = crm.now()
        old, new = _kept(token) or "", _kept(fresh) or ""
        if not uow.sign_ins.renew(old, new, now=now):
            raise SignedOut
    return fresh


def sign_out(crm: Crm, token: str | None) -> None:
    """End the session of a token; one that does not run is no error.

    Whoever acts as another leaves the own session with it.
    """
    last = _kept(token)
    if last is not None:
        with crm.unit_of_work() as uow:
            now = crm.now()
            session = uow.records.find(SignIn, token_sha256=last)
            if not uow.sign_ins.end(now=now, token_sha256=last) or session is None:
                return
            if session.own_id is not None:
                uow.sign_ins.end(now=now, id=session.own_id)
                uow.audit(_stopped(session, now))


def act_as(
    crm: Crm, token: str, username: str, *, address: str | None = None, device: str | None = None
) -> str:
    """Begin to act as another, to see what that one sees: for an hour at most.

    All that is done meanwhile is done with that one's rights, and the log names both. At each
    request whoever acts must still be allowed to begin.

    Args:
        crm: The CRM.
        token: That of one's own session, which says who asks; needs ``user:manage``, and all that
            the account may do.
        username: As whom.
        address: The network address of whoever asks, or None.
        device: What the browser says it is, for the list of sessions.

    Returns:
        The token of the session in which one acts, in the place of one's own. It ends when the own
        session ends, or those of the account do.

    Raises:
        ActingForAnother: One acts as somebody already.
        NotFound: There is no such account within one's reach, it is one's own, it is disabled, or
            its employee has left.
        NotPermitted: Without the permission, or for an account that holds more than oneself.
        ScopeTooWide: The account reaches further than one's own scope.
        SignedOut: There is no such session of one's own, or it has ended.
    """
    own = resume(crm, token)
    by = own.principal
    by.need("user:manage")
    by.need_oneself()
    fresh = secrets.token_urlsafe(32)
    with crm.unit_of_work() as uow:
        user = account_named(uow, username)
        now = crm.now()
        if user is None or user.id == by.user_id or not may_sign_in(crm, uow, user, now):
            raise NotFound(what="用户", id=quoted(username))
        refuse_stronger(uow, user, by)
        until = min(own.expires_at, now + ACTING)
        if until <= now:
            raise SignedOut
        # Without a network: that of whoever acts does not become one that the account is known by.
        uow.records.add(
            SignIn(
                user_id=user.id or 0, token_sha256=_kept(fresh) or "", created_at=now,
                seen_at=now, expires_at=until, address=_line(address, 60),
                device=_line(device, 200), acting_id=by.user_id, own_id=own.id,
            )
        )  # fmt: skip
        audit(uow, by, now, "act_as", "User", user.id, None, {"until": until})
    return fresh


def stop_acting(crm: Crm, token: str) -> str:
    """End a session in which one acts as another, and go back to one's own.

    Returns:
        A new token of one's own session.

    Raises:
        NotActing: It is one's own session already.
        SignedOut: There is no such session, or it or one's own has ended.
    """
    running = resume(crm, token)
    if running.own_id is None:
        raise NotActing
    fresh = secrets.token_urlsafe(32)
    with crm.unit_of_work() as uow:
        now = crm.now()
        session = uow.records.get(SignIn, running.id)
        own = uow.records.get(SignIn, running.own_id)
        if session is None or own is None or not uow.sign_ins.end(now=now, id=running.id):
            raise SignedOut
        if not uow.sign_ins.renew(own.token_sha256, _kept(fresh) or "", now=now):
            raise SignedOut
        uow.audit(_stopped(session, now))
    return fresh


def _stopped(session: SignIn, now: datetime) -> AuditEntry:
    """Say in the log that somebody acts as another no longer."""
    return AuditEntry(at=now, by_id=session.user_id, acting_id=session.acting_id,
                      action="act_end", record="User", record_id=session.user_id)  # fmt: skip


def list_sessions(
    crm: Crm, username: str | None = None, *, by: Principal
) -> tuple[SignedIn, ...]:  # fmt: skip
    """Tell the running sessions of oneself or of another, the latest first.

    Args:
        crm: The CRM.
        username: Whose; None is one's own.
        by: Who asks; for another's needs ``user:manage``, and all that the account may do.

    Raises:
        NotFound: There is no such account within one's reach.
        NotPermitted: It is another's, and the permission is lacking or the account holds more.
        ScopeTooWide: The account reaches further than one's own scope.
    """
    with crm.unit_of_work(read_only=True) as uow:
        user = _whose(uow, username, by)
        now = crm.now()
        found = uow.sign_ins.running(user.id or 0, now=now, idle_since=now - _idle(crm))
        _, names = people(uow, (), {s.acting_id for s in found})
    return tuple(
        SignedIn(
            id=s.id or 0, address=s.address, device=s.device, created_at=s.created_at,
            seen_at=s.seen_at, expires_at=s.expires_at, acting=names.get(s.acting_id or 0),
        )
        for s in found
    )  # fmt: skip


def end_session(crm: Crm, session_id: int, *, by: Principal) -> None:
    """End a session of oneself or of another; it acts at that session's next request.

    Args:
        crm: The CRM.
        session_id: Its number, as `list_sessions` tells it.
        by: Who asks; for another's needs ``user:manage``, and all that the account may do.

    Raises:
        NotFound: There is none, or it is another's and not yours to end.
        NotPermitted: The account holds more than oneself.
        ScopeTooWide: The account reaches further than one's own scope.
    """
    with crm.unit_of_work() as uow:
        known = record_number(session_id) is not None
        session = uow.records.get(SignIn, session_id) if known else None
        foreign = session is not None and session.user_id != by.user_id
        if session is None or (foreign and not by.may("user:manage")):
            raise NotFound(what="登录", id=quoted(session_id))
        user = uow.records.get(User, session.user_id)
        if user is not None:
            try:
                refuse_stronger(uow, user, by)
            except NotFound as e:
                raise NotFound(what="登录", id=quoted(session_id)) from e
        now = crm.now()
        if uow.sign_ins.end(now=now, id=session.id) and foreign:
            audit(uow, by, now, "end_session", "User", session.user_id, None,
                  {"session": session.id})  # fmt: skip


def end_other_sessions(
    crm: Crm, *, keep: int | None = None, username: str | None = None, by: Principal
) -> int:
    """End all sessions of oneself or of another, but for one.

    Args:
        crm: The CRM.
        keep: The session that goes on, usually the one in which this is asked for.
        username: Whose; None is one's own.
        by: Who asks; for another's needs ``user:manage``, and all that the account may do.

    Returns:
        How many were ended.

    Raises:
        NotFound: There is no such account within one's reach.
        NotPermitted: It is another's, and the permission is lacking or the account holds more.
        ScopeTooWide: The account reaches further than one's own scope.
    """
    with crm.unit_of_work() as uow:
        user = _whose(uow, username, by)
        now = crm.now()
        ended = uow.sign_ins.end(now=now, user_id=user.id, keep=keep)
        if ended and user.id != by.user_id:
            audit(uow, by, now, "end_sessions", "User", user.id, None, {"ended": ended})
        return ended


def remove_old(crm: Crm, *, by: Principal) -> int:
    """Remove what is kept for a while only: old sign-ins, links, attempts and tokens of forms.

    Args:
        crm: The CRM; its setting ``sign_in_days`` says how long sign-ins are kept. A device or an
            address is known as long as its sign-in is.
        by: Who asks; needs ``job:run``.

    Returns:
        How many rows were removed.

    Raises:
        NotPermitted: Without the permission.
    """
    by.need("job:run")
    with crm.unit_of_work() as uow:
        now = crm.now()
        forms = uow.forms.remove_old(before=now - KEPT)
        return forms + uow.sign_ins.remove_old(
            seen_before=now - timedelta(days=crm.settings.sign_in_days),
            tried_before=now - FORGOTTEN_AFTER,
        )


def csrf_token(token: str) -> str:
    """Derive what a form of a session must carry from the session's token."""
    key = token.encode("utf-8", "surrogatepass")
    return hmac.new(key, b"crm csrf token", hashlib.sha256).hexdigest()


def browser_mark(token: str) -> str:
    """Give what a browser may keep when the session is over: it opens nothing.

    What is stored of a session is the fingerprint of this, not of the token. So neither does the
    mark lead back to the token, nor what the database holds to the mark.
    """
    return hashlib.sha256(b"crm browser " + token.encode("utf-8", "surrogatepass")).hexdigest()


def _kept(token: str | None) -> str | None:
    """Give what is stored of a session's token; None for what cannot be one."""
    return None if fingerprint(token) is None else fingerprint(browser_mark(token or ""))


def _count(
    crm: Crm, username: Any, place: str | None, last: str | None
) -> tuple[User | None, Sequence[Counted]]:
    """Count a try before anything costly is done for it, in a transaction of its own."""
    typed = username if isinstance(username, str) else ""
    with crm.unit_of_work() as uow:
        now = crm.now()
        user = account_named(uow, username)
        number = user.id if user is not None and user.id else 0
        known, device = uow.sign_ins.knows(number, place=place, device=last)
        keys = counted(typed, number, place=place, device=last if device else None, known=known)
        for key in keys:
            count_attempt(uow, now, key.key, key.free)
    return user, keys


def _resumed(crm: Crm, uow: UnitOfWork, token: str, now: datetime) -> Resumed | None:
    return uow.sign_ins.resume(
        _kept(token) or "", now=now, idle_since=now - _idle(crm), today=crm.day(now)
    )


def _own(crm: Crm, uow: UnitOfWork, found: Resumed, now: datetime) -> Resumed | None:
    """Read the session of whoever acts as another; None where nobody does.

    Raises:
        SignedOut: It has ended, or that one may act as this account no longer.
    """
    if found.own_id is None:
        return None
    row = uow.records.get(SignIn, found.own_id)
    own = row and uow.sign_ins.resume(
        row.token_sha256, now=now, idle_since=now - _idle(crm), today=crm.day(now)
    )
    user = uow.records.get(User, found.user_id)
    if not own or own.user_id != found.acting_id or user is None:
        raise SignedOut
    by = _principal(own)
    try:
        by.need("user:manage")
        refuse_stronger(uow, user, by)
    except CrmError as e:
        raise SignedOut from e
    return own


def _idle(crm: Crm) -> timedelta:
    return timedelta(minutes=crm.settings.session_idle_minutes)


def _principal(found: Resumed, own: Resumed | None = None) -> Principal:
    """Tell who acts, and whose own session it is; whoever reads reads the own language."""
    return Principal(
        name=found.username, person=found.person, user_id=found.user_id,
        employee_id=found.employee_id, department_id=found.department_id,
        permissions=found.permissions, scope=union(found.scopes),
        language=(own or found).language, acting_id=own.user_id if own else None,
        acting=(own.person or own.username) if own else None,
    )  # fmt: skip


def _whose(uow: UnitOfWork, username: str | None, by: Principal) -> User:
    """Find the account that is meant: one's own, or another's that one may manage."""
    if username is None:
        user = None if by.user_id is None else uow.records.get(User, by.user_id)
    else:
        user = account_named(uow, username)
        if user is None or user.id != by.user_id:
            by.need("user:manage")
    if user is None:
        raise NotFound(what="用户", id=quoted(username or by.name))
    refuse_stronger(uow, user, by)
    return user


def _line(text: str | None, longest: int) -> str | None:
    """Keep what a browser says of itself: printable, and short."""
    if not isinstance(text, str):
        return None
    return "".join(c for c in text if c.isprintable() and storable(c)).strip()[:longest] or None
