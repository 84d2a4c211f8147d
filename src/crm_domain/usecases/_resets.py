"""One-time links: invitations, and new passwords for whoever forgot the old one."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

import attrs

from crm_domain.errors import LinkNotValid, NotFound
from crm_domain.model import Employee, ResetLink, User
from crm_domain.parsing import quoted
from crm_domain.ports import Crm, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.usecases._common import audit
from crm_domain.usecases._passwords import fingerprint, hashed, may_sign_in, replace, words_near
from crm_domain.usecases._rights import account_named, refuse_stronger


@attrs.frozen(kw_only=True)
class ResetOf:
    """What the page behind a link is told before a password is chosen."""

    username: str
    person: str | None
    expires_at: datetime


def issue_reset(crm: Crm, username: str, *, by: Principal) -> str:
    """Make the one-time link by which somebody chooses a password; an earlier one is void.

    The password of today opens the account until the link is used.

    Args:
        crm: The CRM; its setting ``reset_hours`` says how long the link can be used.
        username: Whose account; it must be enabled.
        by: Who asks; needs ``user:manage``, and all that the account may do.

    Returns:
        The token of the link, which stands nowhere else.

    Raises:
        ActingForAnother: Somebody else acts under the account of whoever asks.
        NotFound: There is no such account within one's reach, it is disabled, or its employee has
            left.
        NotPermitted: Without the permission, or for an account that holds more than oneself.
        ScopeTooWide: The account reaches further than one's own scope.
    """
    by.need("user:manage")
    by.need_oneself()
    token = secrets.token_urlsafe(32)
    with crm.unit_of_work() as uow:
        user = account_named(uow, username)
        # Held, so that two who issue at once do not write two links.
        held = None if user is None else uow.sign_ins.hold(user.id or 0)
        now = crm.now()
        if held is None or not may_sign_in(crm, uow, held, now):
            raise NotFound(what="用户", id=quoted(username))
        refuse_stronger(uow, held, by)
        uow.sign_ins.issue(
            ResetLink(
                user_id=held.id or 0, token_sha256=fingerprint(token) or "", by_id=by.user_id,
                created_at=now, expires_at=now + timedelta(hours=crm.settings.reset_hours),
            )
        )  # fmt: skip
        audit(uow, by, now, "issue_reset", "User", held.id)
    return token


def read_reset(crm: Crm, token: str) -> ResetOf:
    """Tell whose password a link is for, without using it up.

    Raises:
        LinkNotValid: It was used, has run out, was replaced, or never was one.
    """
    with crm.unit_of_work(read_only=True) as uow:
        link, user = _link(crm, uow, token)
        employee = None if user.employee_id is None else uow.records.get(Employee, user.employee_id)
    return ResetOf(username=user.username, person=employee.name if employee else None,
                   expires_at=link.expires_at)  # fmt: skip


def redeem_reset(crm: Crm, token: str, new_password: str) -> User:
    """Choose a password by a link, once; all sessions of the account end.

    Args:
        crm: The CRM.
        token: The token of the link.
        new_password: Of 8 to 128 characters, and none that everybody tries first.

    Returns:
        The account.

    Raises:
        Invalid: The password is too short, too long or too easy to guess; the link stays usable.
        LinkNotValid: It was used, has run out, was replaced, or never was one.
    """
    with crm.unit_of_work(read_only=True) as uow:
        _, user = _link(crm, uow, token)
        near = words_near(uow, user.username, user.employee_id)
    made = hashed(crm, new_password, "password", near)
    with crm.unit_of_work() as uow:
        # First the account, then the link: in this order all take them who change a password.
        held = uow.sign_ins.hold(user.id or 0)
        now = crm.now()
        used = uow.sign_ins.redeem(fingerprint(token) or "", now=now)
        if held is None or used != held.id or not may_sign_in(crm, uow, held, now):
            raise LinkNotValid
        saved = replace(uow, held, made, now, void=False)
        audit(uow, Principal(name=held.username, user_id=held.id), now, "redeem_reset", "User",
              held.id)  # fmt: skip
        return saved


def _link(crm: Crm, uow: UnitOfWork, token: str) -> tuple[ResetLink, User]:
    now, mark = crm.now(), fingerprint(token)
    link = None if mark is None else uow.sign_ins.link(mark, now=now)
    user = None if link is None else uow.records.get(User, link.user_id)
    if link is None or user is None or not may_sign_in(crm, uow, user, now):
        raise LinkNotValid
    return link, user
