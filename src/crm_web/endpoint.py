"""A screen becomes an endpoint: who asks, may they, run it beside the event loop, answer or refuse.

Everything is synchronous but the reading of the body: the core is, and threads serve pages of a few
queries faster than an asynchronous driver (libraries.md 1.3).
"""

from __future__ import annotations

import hmac
import json
import logging
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any, BinaryIO
from urllib.parse import quote

import attrs
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.types import Message

from crm_domain import errors
from crm_domain.errors import CrmError
from crm_domain.rules.access import PERMISSIONS
from crm_domain.usecases import sessions
from crm_domain.usecases.sessions import Session
from crm_web import flash
from crm_web.answers import Answer, Cookie, Download, Json, Nothing, Page, Redirect
from crm_web.context import AGAIN, CSRF, Context
from crm_web.screen import ANYBODY, SIGNED_IN, Screen
from crm_web.security import ABOVE, SAFE
from crm_web.site import Site

log = logging.getLogger(__name__)
FIELDS = 12_000
"""So many values a form may have: all ticked rows of the largest page, and more."""
LARGEST_BODY = 12 * 2**20
"""Bytes of a request, whatever a screen says: a sheet of ten megabytes with its form."""
OF_STRANGERS = 64 * 2**10
"""Bytes of a request of whoever has not signed in: a name and a password, not more."""
PART = 2**18
"""Bytes of a file that are sent at a time."""
STATUS: tuple[tuple[type[CrmError], int], ...] = (
    (errors.NotPermitted, 403),
    (errors.NotFound, 404),
    (errors.Invalid, 422),
    (errors.UnreadableSheet, 422),
    (errors.NoHeader, 422),
    (errors.TooManyAttempts, 429),
    (errors.ExportsRunning, 503),
    (errors.DatabaseBusy, 503),
)
"""What a refusal is in HTTP; any other is a conflict, 409."""


class SignInNeeded(Exception):
    """Nobody has signed in, or not any more."""


class Forged(Exception):
    """The form does not carry the token of the session."""


def endpoint(site: Site, screen: Screen) -> Callable[[Request], Awaitable[Response]]:
    """Make what Starlette calls of a screen.

    Args:
        site: What all screens share.
        screen: The screen.
    """

    async def answer(request: Request) -> Response:
        if request.method == "HEAD":
            # A screen answers it like GET and never takes it for a form; the server drops the body.
            request = Request({**request.scope, "method": "GET"}, request.receive)
        form, read = FormData(), request.method in SAFE
        if request.method not in SAFE:
            # Nothing is read for whoever may not send it, and no more than the screen wants. Who
            # asks is told again once it is read: that may take long.
            known = await run_in_threadpool(_known, site, request)
            if read := known or screen.needs == ANYBODY:
                _refuse_charset(request)
                most = min(screen.largest, LARGEST_BODY) if known else OF_STRANGERS
                form = await _limited(request, most).form(
                    max_files=2, max_fields=FIELDS, max_part_size=2**21
                )
        try:
            return await run_in_threadpool(_respond, site, screen, request, form, read=read)
        finally:
            await form.close()

    return answer


def _refuse_charset(request: Request) -> None:
    """Take forms in UTF-8 only, as browsers send them: other codecs fail in ways of their own.

    Raises:
        HTTPException: The form says another; 400.
    """
    _, options = parse_options_header(request.headers.get("content-type"))
    if options.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"utf8"):
        raise HTTPException(400)


def _limited(request: Request, most: int) -> Request:
    """Give a request that ends where its body becomes too large, whether it says its length or not.

    Raises:
        HTTPException: It says that it is too large; 413.
    """
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > most:
        raise HTTPException(413)
    seen = 0

    async def receive() -> Message:
        nonlocal seen
        message = await request.receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise HTTPException(413)
        return message

    return Request(request.scope, receive)


def _known(site: Site, request: Request) -> bool:
    """Whether somebody has signed in; where that cannot be told, the answer will tell why."""
    try:
        return _session(site, request) is not None
    except Exception:
        log.exception("request %s: nobody can be recognised", request.state.request_id)
        return False


def _respond(
    site: Site, screen: Screen, request: Request, form: FormData, *, read: bool
) -> Response:
    """Answer; whoever only asks is shown one state of the database, read in one transaction.

    Args:
        site: What all screens share.
        screen: The screen.
        request: What is asked.
        form: What was typed.
        read: Whether that is all that was sent; no screen takes an empty form for a form.
    """
    if request.method in SAFE and not screen.lasting:
        with site.crm.snapshot():
            return _answer(site, screen, request, form, read=read)
    return _answer(site, screen, request, form, read=read)


def _answer(
    site: Site, screen: Screen, request: Request, form: FormData, *, read: bool
) -> Response:
    context = Context(
        crm=site.crm, site=site, request=request, session=None, form=form, screen=screen
    )
    try:
        context = attrs.evolve(context, session=_session(site, request))
        if context.session is not None and not read:
            # Who asks could not be told before, so that nothing was read.
            raise errors.DatabaseBusy
        _admit(context, screen)
        return respond(context, screen.call(context, **request.path_params))
    except SignInNeeded:
        return _ask_to_sign_in(context)
    except Forged:
        return _refuse(context, 403, "forged", context.t(
            "页面已过期，请刷新后重试。", "This page has expired; load it again and repeat."
        ))  # fmt: skip
    except CrmError as e:
        return refused(context, e)
    except HTTPException:
        raise
    except Exception:
        log.exception("request %s failed", request.state.request_id)
        return _refuse(context, 500, "failed", _broken(context))


def _broken(context: Context) -> str:
    """Say that something went wrong; of many rows some may be done by then."""
    if context.request.method in SAFE:
        return context.t(
            "程序出错了，没有改动任何数据。请稍后重试；如仍有问题，请把下面的编号告诉管理员。",
            "Something went wrong, and nothing was changed. Try again later; if it stays, tell the "
            "administrator the number below.",
        )
    return context.t(
        "程序出错了，可能只完成了一部分。请先核对再重试；如仍有问题，请把下面的编号告诉管理员。",
        "Something went wrong, perhaps halfway. Look what was done before you try again; if it "
        "stays, tell the administrator the number below.",
    )


def _session(site: Site, request: Request) -> Session | None:
    token = request.cookies.get(site.cookie)
    if not token:
        return None
    try:
        return sessions.resume(site.crm, token)
    except errors.SignedOut:
        return None


def _admit(context: Context, screen: Screen) -> None:
    """Refuse whoever may not open a screen, and forms that are not ours.

    Raises:
        SignInNeeded: Nobody has signed in.
        Forged: The form has no token, or another session's.
        NotPermitted: The permission is not held.
    """
    if screen.needs != ANYBODY and context.session is None:
        raise SignInNeeded
    # Whoever signs in in a second window has a session already, and a page without its token.
    session = None if screen.needs == ANYBODY else context.session
    if session is not None and context.request.method not in SAFE:
        given = context.one(CSRF) or context.request.headers.get("x-csrf-token", "")
        if not hmac.compare_digest(given.encode(), session.csrf_token.encode()):
            raise Forged
    if screen.needs not in (ANYBODY, SIGNED_IN):
        context.by.need(screen.needs)


def respond(context: Context, answer: Answer) -> Response:
    """Make a response of what a screen answers."""
    match answer:
        case Page():
            return page(context, answer)
        case Redirect():
            response: Response = RedirectResponse(answer.to, status_code=303)
            if context.fragment:
                # From a dialog: htmx would put the page that is redirected to into the dialog.
                where = json.dumps({"path": answer.to, "target": "body"})
                response = Response(status_code=204, headers={"HX-Location": where})
            if answer.said:
                flash.put(response, answer.said, answer.tone, answer.undo,
                          https=context.site.https)  # fmt: skip
            _set(response, answer.cookies)
            return response
        case Nothing():
            response = Response(status_code=204, headers=dict(answer.headers))
            _set(response, answer.cookies)
            return response
        case Download():
            named = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(answer.name)}"}
            if isinstance(answer.content, bytes):
                return Response(answer.content, media_type=answer.type, headers=named)
            named["Content-Length"] = str(answer.content.seek(0, os.SEEK_END))
            return StreamingResponse(_parts(answer.content), media_type=answer.type, headers=named)
        case Json():
            text = _bytes(json.dumps(answer.data, ensure_ascii=False, default=plain))
            return Response(text, status_code=answer.status, media_type="application/json")


def _bytes(text: str) -> bytes:
    """Encode an answer; half a surrogate pair, which UTF-8 has not, is written as JSON has it."""
    return text.encode(errors="backslashreplace")


def _parts(file: BinaryIO) -> Iterator[bytes]:
    """Give a file in parts, and close it when all is sent, or nobody listens any more."""
    with file:
        file.seek(0)
        while part := file.read(PART):
            yield part


def page(context: Context, answer: Page) -> Response:
    """Render a template; a word left by the request before is said and forgotten."""
    part = answer.part or context.fragment
    https = context.site.https
    left = None if part else flash.take(context.request, https=https)
    if left is not None and left.undo is not None and left.undo.action not in context.site.undos:
        left = attrs.evolve(left, undo=None)
    text = context.site.render(context, answer.template, {**answer.data, "flash": left})
    response = Response(_bytes(text), status_code=answer.status, media_type="text/html",
                        headers=dict(answer.headers))  # fmt: skip
    if not part and flash.left(context.request, https=https):
        flash.forget(response, https=https)
    _set(response, answer.cookies)
    return response


def _set(response: Response, cookies: Iterable[Cookie]) -> None:
    for one in cookies:
        if one.value:
            response.set_cookie(one.name, one.value, max_age=one.seconds, httponly=True,
                                secure=one.secure, samesite="lax")  # fmt: skip
        else:
            response.delete_cookie(one.name, httponly=True, secure=one.secure, samesite="lax")


def plain(value: Any) -> Any:
    """Give a value as JSON has it."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    return str(value)


def status_of(error: CrmError) -> int:
    """Tell what a refusal is in HTTP."""
    return next((code for kind, code in STATUS if isinstance(error, kind)), 409)


def refused(context: Context, error: CrmError) -> Response:
    """Tell a person, or a program, why something was refused."""
    said = error.message(context.language)
    if type(error) is errors.NotPermitted:
        said = _lacking(context, error.permission)
    response = _refuse(context, status_of(error), error.code, said)
    if (wait := getattr(error, "retry_after", None)) is not None:
        response.headers["Retry-After"] = str(int(wait) + 1)
    elif isinstance(error, errors.DatabaseBusy):
        response.headers["Retry-After"] = "2"
    elif isinstance(error, errors.AlreadyClaimed) and context.by_htmx:
        # The list that it was pressed in shows a customer who is there no more.
        response.headers["HX-Trigger"] = "stale"
    return response


def _lacking(context: Context, permission: str) -> str:
    """Say which permission somebody lacks, by what it is called."""
    known = {p.code: context.t(p.zh, p.en) for p in PERMISSIONS}
    title = known.get(permission, permission)
    return context.t(
        f"没有权限：此操作需要“{title}”权限。如有需要，请联系管理员。",
        f"This needs the permission “{title}”, which you do not have. Ask an administrator.",
    )


def _refuse(context: Context, status: int, code: str, said: str) -> Response:
    """Show a refusal; without the menu where not even that can be read any more."""
    try:
        return _shown(context, status, code, said)
    except Exception:
        log.exception("request %s: no menu for its refusal", context.request.state.request_id)
        return _shown(attrs.evolve(context, session=None), status, code, said)


def _shown(context: Context, status: int, code: str, said: str) -> Response:
    """Show a refusal: as a page, or where something was pressed, as a word above that page."""
    number = context.request.state.request_id
    if _wants_json(context.request):
        return respond(context, Json(status=status, data={
            "type": f"urn:school-crm:{code}", "title": said, "status": status, "instance": number,
        }))  # fmt: skip
    data = {"status": status, "said": said, "number": number, "code": code}
    if context.within or (context.by_htmx and context.request.method not in SAFE):
        return page(context, Page(template="refused_part.html", data=data, status=status,
                                  headers=ABOVE, part=True))  # fmt: skip
    return page(context, Page(template="refused.html", data=data, status=status))


def _ask_to_sign_in(context: Context) -> Response:
    request = context.request
    if _wants_json(request):
        return _refuse(context, 401, "sign_in", context.t("请先登录。", "Sign in first."))
    if context.by_htmx:
        # In a dialog of its own above all else, so that what was typed stays, also in a dialog.
        headers = {"HX-Retarget": f"#{AGAIN}", "HX-Reswap": "innerHTML",
                   "HX-Reselect": ".dialog-part",
                   "HX-Push-Url": "false", "HX-Trigger": "crm:dialog"}  # fmt: skip
        return page(context, Page(template="sign_in_part.html", status=401, headers=headers))
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    next_ = here if request.method in SAFE else "/"
    to = "/sign-in" + ("" if next_ == "/" else f"?next={quote(next_, safe='')}")
    response = RedirectResponse(to, status_code=303)
    if request.cookies.get(context.site.cookie):
        said = context.t("登录已过期，请重新登录。", "Your session has ended; sign in again.")
        flash.put(response, said, "warning", https=context.site.https)
    return response


def _wants_json(request: Request) -> bool:
    return request.url.path.endswith(".json")


def error_page(site: Site, request: Request, status: int, words: tuple[str, str]) -> Response:
    """Answer where no screen does: there is none, or the request was too large for any."""
    try:
        session = _session(site, request)
    except Exception:
        # Neither is who asks known without the database, nor does it matter here.
        log.exception("request %s: nobody can be recognised", request.state.request_id)
        session = None
    context = Context(crm=site.crm, site=site, request=request, session=session, form=FormData())
    return _refuse(context, status, "refused", context.t(*words))
