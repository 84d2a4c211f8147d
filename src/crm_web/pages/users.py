"""Accounts: made, changed, looked through; one-time links to a password; sessions that run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import attrs

from crm_domain.errors import (
    CrmError,
    EditConflict,
    Invalid,
    LastAdministrator,
    NotFound,
    NotPermitted,
)
from crm_domain.model import Employee, User, specs
from crm_domain.usecases import access, records, sessions
from crm_domain.usecases.access import Account, Effective
from crm_domain.usecases.sessions import SignedIn
from crm_web.answers import Answer, Page, Redirect
from crm_web.context import Context, number, numbers, read_version, said_of
from crm_web.endpoint import status_of
from crm_web.forms import typed_fields
from crm_web.pages.sign_in import session_cookies
from crm_web.screen import SIGNED_IN, screen
from crm_web.sure import question
from crm_web.widgets import MANY, Input, inputs

NEW = ("username", "email", "employee_id", "student_id")
EDITED = ("email", "employee_id", "student_id", "active")


@screen("/users/new", needs="user:manage", methods=("GET", "POST"))
def add(c: Context) -> Answer:
    """Make an account, and show the one-time link by which its owner chooses a password."""
    if c.request.method == "GET":
        return _new(c, None, {}, 200)
    typed = typed_fields(c, User, _offered(c, NEW)) | {"roles": c.many("roles")}
    try:
        made = access.create_user(c.crm, _given(typed), by=c.by)
    except CrmError as e:
        errors, status = problems_of(c, e)
        return _new(c, typed, errors, status)
    said = c.t("账号已创建。", "The account is made.")
    try:
        token = access.issue_reset(c.crm, made.username, by=c.by)
    except CrmError as e:
        # The account is there all the same; its page tells why there is no link.
        return Redirect(to=address_of(made.username), said=f"{said}{e.message(c.language)}",
                        tone="warning")  # fmt: skip
    return _account(c, made.username, link=link_of(c, token), said=said)


@screen("/users/of/{username:path}", needs="user:manage", methods=("GET", "POST"))
def account(c: Context, username: str) -> Answer:
    """Show an account with all it may do, or do one thing to it."""
    if c.request.method == "GET":
        return _account(c, username)
    # Whoever may not see it shall not change it either, nor learn that it is there.
    known = access.get_account(c.crm, username, by=c.by)
    match c.one("do"):
        case "link":
            return _account(c, username, link=link_of(c, access.issue_reset(c.crm, username,
                                                                            by=c.by)))  # fmt: skip
        case "end":
            return _end(c, known)
        case "act":
            return _act(c, known)
        case "enable" | "disable" as wish:
            return _switch(c, known, wish == "enable")
    return _save(c, known)


def _save(c: Context, known: Account) -> Answer:
    typed = typed_fields(c, User, _offered(c, EDITED)) | {"roles": c.many("roles")}
    try:
        access.update_user(c.crm, known.username, _given(typed), version=read_version(c),
                           by=c.by)  # fmt: skip
    except CrmError as e:
        errors, status = problems_of(c, e)
        return _account(c, known.username, typed=typed, errors=errors, status=status,
                        conflict=isinstance(e, EditConflict))  # fmt: skip
    return Redirect(to=address_of(known.username), said=c.t("已保存。", "Saved."))


def _switch(c: Context, known: Account, active: bool) -> Answer:
    if not active:
        n = len(sessions.list_sessions(c.crm, known.username, by=c.by))
        said = c.t(
            "停用 {who}？现有的 {n} 处登录会立即结束。",
            "Disable {who}? They are signed out everywhere at once (sessions: {n}).",
        )
        said = said.format(who=known.name or known.username, n=n)
        if asked := question(c, said, c.t("停用", "Disable"), address_of(known.username)):
            return asked
    try:
        access.set_active(c.crm, known.username, active, by=c.by)
    except (LastAdministrator, EditConflict) as e:
        return Redirect(to=address_of(known.username), said=e.message(c.language), tone="danger")
    said = c.t("账号已启用。", "The account is enabled.")
    if not active:
        said = c.t("账号已停用，其登录已全部结束。", "It is disabled, and its sessions have ended.")
    return Redirect(to=address_of(known.username), said=said)


def _act(c: Context, known: Account) -> Answer:
    said = c.t("以 {who} 的身份登录？您将看到对方所见，最长一小时；操作日志会同时记下两人。",
               "Log in as {who}? You see what they see, for an hour at most; the audit log names "
               "both of you.")  # fmt: skip
    said = said.format(who=known.name or known.username)
    if asked := question(c, said, c.t("代登录", "Log in as"), address_of(known.username)):
        return asked
    token = sessions.act_as(
        c.crm, c.request.cookies[c.site.cookie], known.username, address=c.address,
        device=c.request.headers.get("user-agent", ""),
    )  # fmt: skip
    # What the browser is known again by stays that of one's own session.
    return Redirect(to="/", cookies=session_cookies(c, token)[:1])


@screen("/acting/end", needs=SIGNED_IN, methods=("POST",))
def stop_acting(c: Context) -> Answer:
    """Go back to one's own session."""
    token = sessions.stop_acting(c.crm, c.request.cookies[c.site.cookie])
    return Redirect(to=address_of(c.by.name), cookies=session_cookies(c, token),
                    said=c.t("您已回到自己的登录。", "You are yourself again."))  # fmt: skip


def _end(c: Context, known: Account) -> Answer:
    keep = c.session.id if c.session else None
    if c.one("all"):
        every = sessions.list_sessions(c.crm, known.username, by=c.by)
        said = c.t("结束 {who} 的全部 {n} 处登录？", "End all {n} sessions of {who}?")
        said = said.format(who=known.name or known.username, n=sum(s.id != keep for s in every))
        if asked := question(c, said, c.t("全部结束", "End all"), address_of(known.username)):
            return asked
        sessions.end_other_sessions(c.crm, keep=keep, username=known.username, by=c.by)
    else:
        running = {s.id for s in sessions.list_sessions(c.crm, known.username, by=c.by)}
        session_id = number(c.one("id")) or 0
        if session_id in running:
            sessions.end_session(c.crm, session_id, by=c.by)
    return Redirect(to=address_of(known.username), said=c.t("登录已结束。", "Ended."))


# -- what is shown ----------------------------------------------------------------------------


def _new(
    c: Context, typed: dict[str, Any] | None, errors: Mapping[str, Sequence[str]], status: int
) -> Answer:
    return Page(template="user_new.html", status=status, data={
        "inputs": _inputs(c, NEW, None, typed, errors), "errors": errors.get("", ()),
        "roles": access.list_roles(c.crm, by=c.by), "chosen": _numbers(typed),
        "role_errors": errors.get("roles", ()),
    })  # fmt: skip


def _account(
    c: Context, username: str, *, typed: dict[str, Any] | None = None,
    errors: Mapping[str, Sequence[str]] | None = None, status: int = 200, link: str = "",
    said: str = "", conflict: bool = False,
) -> Answer:  # fmt: skip
    errors = errors or {}
    found = access.effective(c.crm, username, by=c.by)
    shown = found.account
    running: Sequence[SignedIn] = ()
    beyond = ""
    try:
        running = sessions.list_sessions(c.crm, username, by=c.by)
    except NotPermitted as e:
        beyond = e.message(c.language)
    stored = {r.id or 0 for r in shown.roles}
    return Page(template="user.html", status=status, data={
        "x": shown, "found": found, "permissions": _grouped(c, found), "sessions": running,
        "beyond": beyond, "current": c.session.id if c.session else 0, "link": link, "said": said,
        "inputs": _inputs(c, EDITED, shown, typed, errors, shown if conflict else None),
        "errors": errors.get("", ()), "roles": access.list_roles(c.crm, by=c.by),
        "stored": stored, "conflict": conflict,
        "chosen": stored if typed is None else _numbers(typed), "own": shown.id == c.by.user_id,
        "role_errors": errors.get("roles", ()), "to": address_of(username),
        "hours": c.crm.settings.reset_hours,
    })  # fmt: skip


def _offered(c: Context, names: Sequence[str]) -> list[str]:
    """Leave out the employee where somebody may not see who there is."""
    return [n for n in names if n != "employee_id" or c.by.may("employee:view")]


def _inputs(
    c: Context, names: Sequence[str], record: Account | None, typed: Mapping[str, Any] | None,
    errors: Mapping[str, Sequence[str]], changed: Account | None = None,
) -> list[Input]:  # fmt: skip
    fields = [specs(User)[n] for n in _offered(c, names)]
    # There are more students than a drop-down holds, so the number is typed that their list shows.
    fields = [
        attrs.evolve(s, kind="number", zh="学员编号", en="Student no.")
        if s.target == "Student"
        else s
        for s in fields
    ]
    own = None if record is None else record.employee_id
    return [
        attrs.evolve(one, options=_employees(c, own))
        if one.name == "employee_id" and one.kind == "select"
        else one
        for one in inputs(c, fields, record, typed, errors, changed)
    ]


def _employees(c: Context, own: int | None) -> tuple[tuple[str, str], ...]:
    """Give the employees within reach who have no account, and the account's own."""
    there = access.without_account(c.crm, most=MANY, by=c.by)
    found = {str(number): name for number, name in there.items()}
    if own is not None:
        found |= {str(n): t for n, t in records.titles(c.crm, Employee, [own], by=c.by).items()}
    return tuple(found.items())


def _grouped(c: Context, found: Effective) -> list[tuple[str, str, list[Any]]]:
    """Sort what an account may do as the menu does: menu, group, permissions with their roles."""
    granted = {g.permission.id: g for g in found.permissions}
    rows = []
    for part in access.list_permissions(c.crm, by=c.by):
        held = [granted[p.id] for p in part.permissions if p.id in granted]
        if held:
            rows.append((named(c, part.menu), named(c, part.group), held))
    return rows


# -- small things -----------------------------------------------------------------------------


def address_of(username: str) -> str:
    """Give the address of an account's page."""
    return f"/users/of/{quote(username, safe='')}"


def link_of(c: Context, token: str) -> str:
    """Give the whole address of a one-time link, as it is sent to somebody."""
    base = c.crm.settings.base_url.rstrip("/")
    if not base:
        # The guard has refused every host that is not ours.
        url = c.request.url
        base = f"{url.scheme}://{url.netloc}"
    return f"{base}/reset/{token}"


def named(c: Context, titled: Any) -> str:
    """Say what a menu, a group, a permission or a role is called."""
    if titled is None:
        return c.t("未分组", "In no group")
    return str(titled.title if c.language == "zh" else titled.title_en or titled.title)


def problems_of(c: Context, error: CrmError) -> tuple[Mapping[str, Sequence[str]], int]:
    """Sort a refusal beside the fields that it is about, with its status."""
    if isinstance(error, Invalid):
        return said_of(error.problems, c.language), 422
    fields, status = error.facts.get("fields") or (), status_of(error)
    if fields and isinstance(error, NotFound):
        # The page is there; what was typed into it is not.
        status = 422
    told = (error.message(c.language),)
    return dict.fromkeys(fields or ("",), told), status


def _given(typed: Mapping[str, Any]) -> dict[str, Any]:
    """Give what was typed as the use case reads it: roles by number."""
    return {**typed, "roles": numbers(typed["roles"])}


def _numbers(typed: Mapping[str, Any] | None) -> set[int]:
    return set(numbers((typed or {}).get("roles", ())))


SCREENS = (add, account, stop_acting)
