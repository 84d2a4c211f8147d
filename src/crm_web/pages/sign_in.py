"""Signing in and out, and one-time links to a new password."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import quote

from crm_domain.errors import Invalid, LinkNotValid, SignInRefused, TooManyAttempts
from crm_domain.usecases import access, sessions
from crm_web.answers import Answer, Cookie, Nothing, Page, Redirect
from crm_web.context import LANGUAGES, Context, local
from crm_web.screen import ANYBODY, SIGNED_IN, screen

LONG = 365 * 86_400
"""Seconds that a browser remembers the language."""


@screen("/sign-in", needs=ANYBODY, methods=("GET", "POST"))
def sign_in(c: Context) -> Answer:
    """Show the form, or sign somebody in under a new token."""
    wish = c.request.query_params.get("language")
    if wish in LANGUAGES:
        to = f"/sign-in?next={quote(local(c.request.query_params.get('next')), safe='')}"
        return Redirect(to=to, cookies=(Cookie(name="language", value=wish, seconds=LONG),))
    if c.request.method == "GET":
        return _form(c)
    username = c.one("username")
    try:
        token, who = sessions.sign_in(
            c.crm, username, str(c.form.get("password", "")), address=c.address,
            device=c.request.headers.get("user-agent", ""),
            before=c.request.cookies.get(_known(c)),
        )  # fmt: skip
    except TooManyAttempts as e:
        wait = str(int(e.facts["retry_after"]) + 1)
        return _form(c, username, e.message(c.language), 429, {"Retry-After": wait})
    except SignInRefused as e:
        return _form(c, username, e.message(c.language), 422)
    cookies = session_cookies(c, token)
    if c.one("again"):
        # In the dialog above a page: the page stays, with the token of the new session.
        session = sessions.resume(c.crm, token)
        # Whoever signs in as somebody else must not go on with the page of the one before.
        event = {"crm:signed-in": {"token": session.csrf_token, "username": who.name}}
        return Nothing(headers={"HX-Trigger": json.dumps(event)}, cookies=cookies)
    return Redirect(to=local(c.one("next")), cookies=cookies)


def session_cookies(c: Context, token: str) -> tuple[Cookie, Cookie]:
    """Give the browser the token of a session, and what it is known again by.

    The one goes when the browser closes. The other stays on the disk, so it opens nothing.
    """
    return (
        Cookie(name=c.site.cookie, value=token, secure=c.site.https),
        Cookie(
            name=_known(c), value=sessions.browser_mark(token), secure=c.site.https, seconds=LONG
        ),
    )


def _known(c: Context) -> str:
    """The cookie by which a browser is known again, so that others' tries do not slow it down."""
    return f"{c.site.cookie}-known"


def _form(
    c: Context, username: str = "", problem: str = "", status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Answer:  # fmt: skip
    template = "sign_in_part.html" if c.one("again") else "sign_in.html"
    return Page(template=template, status=status, headers=headers or {}, data={
        "username": username, "errors": [problem] if problem else [],
        "next": local(c.one("next") or c.request.query_params.get("next")),
    })  # fmt: skip


@screen("/sign-out", needs=SIGNED_IN, methods=("POST",))
def sign_out(c: Context) -> Answer:
    """End the session here and in the database."""
    sessions.sign_out(c.crm, c.request.cookies[c.site.cookie])
    gone = Cookie(name=c.site.cookie, value="", secure=c.site.https)
    return Redirect(to="/sign-in", said=c.t("已退出登录。", "You have signed out."),
                    cookies=(gone,))  # fmt: skip


@screen("/reset/{token}", needs=ANYBODY, methods=("GET", "POST"))
def reset(c: Context, token: str) -> Answer:
    """Let somebody with a one-time link choose a password; opening the page does not use it up."""
    problems: list[str] = []
    status = 200
    if c.request.method == "POST":
        first, second = str(c.form.get("new", "")), str(c.form.get("repeated", ""))
        if first != second:
            problems, status = [c.t("两次输入的密码不一致。", "The two are not the same.")], 422
        else:
            try:
                access.redeem_reset(c.crm, token, first)
            except Invalid as e:
                problems, status = [p.message(c.language) for p in e.problems], 422
            except LinkNotValid:
                pass
            else:
                said = c.t("密码已设置，请登录。", "The password is set; sign in now.")
                return Redirect(to="/sign-in", said=said)
    try:
        known = access.read_reset(c.crm, token)
    except LinkNotValid as e:
        # Nobody shall think up a password for nothing.
        return Page(template="reset_dead.html", status=404, data={"said": e.message(c.language)})
    return Page(template="reset.html", status=status, data={"errors": problems, "known": known})


SCREENS = (sign_in, sign_out, reset)
