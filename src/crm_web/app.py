"""The web face is put together: screens and lists become routes, with what guards them."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from starlette.applications import Starlette
from starlette.convertors import IntegerConvertor
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from crm_domain.ports import Crm
from crm_domain.rules.access import SYSTEM
from crm_domain.usecases import notices, schedule
from crm_web.context import LONGEST_NUMBER
from crm_web.endpoint import endpoint
from crm_web.files import Files
from crm_web.lists import list_screens
from crm_web.resource import Extension, Resource, extended
from crm_web.screen import Screen, Templates
from crm_web.security import Guard
from crm_web.site import Site, make_templates

log = logging.getLogger(__name__)
LATE = 60
"""Seconds that the oldest notice may be due before this process calls itself degraded."""
THREADS = 16
"""Requests that are worked on at a time; SQLite and the pool of connections want no more."""


def make_app(
    crm: Crm, given: Iterable[Screen | Resource | Extension | Templates], *, threads: int = THREADS
) -> Starlette:
    """Make the web application of an open CRM.

    Args:
        crm: The CRM; whoever opened it closes it, when the application has stopped.
        given: The screens, the lists, what is added to lists, and templates, as the plugins give
            them.
        threads: Requests that are worked on at a time.

    Raises:
        ValueError: Two lists, pages, columns or templates have one name.
    """
    given = list(given)
    added = [one for one in given if isinstance(one, Extension)]
    _refuse_doubles(one.name for one in given if isinstance(one, Resource))
    resources = {one.name: extended(one, added) for one in given if isinstance(one, Resource)}
    screens = [one for one in given if isinstance(one, Screen)]
    for resource in resources.values():
        screens += list_screens(resource)
    _refuse_doubles(one.path for one in screens)
    files = Files()
    folders = [one.folder for one in given if isinstance(one, Templates)]
    base = urlsplit(crm.settings.base_url)
    site = Site(
        crm=crm, screens=tuple(screens), resources=resources, files=files,
        templates=make_templates(files, folders), https=base.scheme == "https",
    )  # fmt: skip

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = threads
        try:
            yield
        finally:
            if (closing := getattr(app.state, "closing", None)) is not None:
                closing.close()

    app = Starlette(
        routes=[*_routes(site), *_health(crm)],
        middleware=[Middleware(Guard, hosts=_hosts(crm, base.hostname), https=site.https)],
        exception_handlers={400: _unreadable, 404: _nothing_here, 405: _nothing_here,
                            413: _too_large},
        lifespan=lifespan,
    )  # fmt: skip
    app.state.site = site
    return app


def _refuse_doubles(names: Iterable[str]) -> None:
    """Let no plugin replace what is there, or what another gives, by giving the same."""
    found = Counter(names)
    if both := sorted(name for name, n in found.items() if n > 1):
        raise ValueError(f"{', '.join(both)}: there twice")


def _routes(site: Site) -> list[Route]:
    """Give the routes; fixed addresses come before those with parameters."""
    ordered = sorted(site.screens, key=lambda s: "{" in s.path)
    routes = [_route(site, s) for s in ordered]
    return [*routes, Route("/static/{name}", site.files.serve, name="static")]


def _route(site: Site, screen: Screen) -> Route:
    """Give the route of a screen; its numbers are as long as those of records at most."""
    made = Route(screen.path, endpoint(site, screen), methods=list(screen.methods),
                 name=screen.path)  # fmt: skip
    # Starlette's are of any length, and Python reads no number of more than 4300 digits.
    short = f"[0-9]{{1,{LONGEST_NUMBER}}}"
    made.path_regex = re.compile(made.path_regex.pattern.replace(IntegerConvertor.regex, short))
    return made


def _hosts(crm: Crm, base: str | None) -> Sequence[str]:
    named = [h.strip().lower() for h in crm.settings.hosts.split(",") if h.strip()]
    return [*named, *([base] if base else [])]


def _health(crm: Crm) -> list[Route]:
    """Give the addresses that tell whoever supervises this process how it is."""

    # A thread of its own: where all others are taken, the process is busy and not dead. And one for
    # all who ask, so that nobody takes threads and connections by asking.
    own = anyio.CapacityLimiter(1)

    async def live(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(request: Request) -> Response:
        return await anyio.to_thread.run_sync(_ready, crm, limiter=own)

    return [Route("/livez", live), Route("/readyz", ready)]


def _ready(crm: Crm) -> Response:
    """Tell how this process is, by what it reads."""
    # Not ready is only who has no database; all else works on.
    try:
        crm.storage.prepare(migrate=False)
        waits = notices.backlog(crm, by=SYSTEM).due_since
        jobs = schedule.troubled_jobs(crm, by=SYSTEM)
    except Exception as e:
        log.warning("not ready", exc_info=True)
        return JSONResponse({"status": "down", "why": type(e).__name__}, status_code=503)
    late = 0.0 if waits is None else (crm.now() - waits).total_seconds()
    degraded = late > LATE or bool(jobs.failed) or bool(jobs.late)
    return JSONResponse({
        "status": "degraded" if degraded else "ok", "jobs_failed": jobs.failed,
        "jobs_late": jobs.late,
        "oldest_notice_seconds": round(max(late, 0.0)),
    })  # fmt: skip


async def _nothing_here(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    return await _told(request, status, ("没有这个页面。", "There is no such page."))


async def _unreadable(request: Request, error: Exception) -> Response:
    words = ("表单无法读取，可能内容太多。", "The form cannot be read; perhaps it holds too much.")
    return await _told(request, 400, words)


async def _too_large(request: Request, error: Exception) -> Response:
    return await _told(request, 413, ("上传的内容太大。", "What was sent is too large."))


async def _told(request: Request, status: int, words: tuple[str, str]) -> Response:
    from starlette.concurrency import run_in_threadpool

    from crm_web.endpoint import error_page

    site: Any = request.app.state.site
    return await run_in_threadpool(error_page, site, request, status, words)
