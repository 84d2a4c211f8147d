"""List pages over HTTP: ours, Django admin, and the least that shows the same rows, in one run.

Every server is one process with one worker. Each page is asked for by one visitor and by twenty;
ours, the bare page and Django take turns.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from urllib.parse import quote, urlencode

import attrs

from crm_domain import SYSTEM, Crm, Query
from crm_domain.model import Employee
from crm_domain.usecases import access, intake, records, sessions, views

from .data import RARE
from .databases import Database
from .inside import Inside
from .lists import LIMIT
from .load import World
from .measure import Goal, Result, expect, say
from .profiling import profiled
from .stage import Stage
from .visitors import Block, Door, Server, ask, visit

CLIENTS = (1, 20)
DJANGO = "Django admin"
PASSWORD = "bench-Pass-2026"
FIRST = 1.7
"""The first page may take so many times what the bare one takes."""
QUICKLY = 300.0
"""Milliseconds in which the counts must be there."""
FROM_SIZE = 500_000
TICKS = re.compile(r'name="(?:ids|_selected_action)" value="(\d+)"')


@attrs.frozen(kw_only=True)
class Asked:
    """One page, as each of the servers is asked for it."""

    name: str
    ours: str
    bare: str | None = None
    django: str | None = None
    me: bool = False
    """Whether the consultant asks, not who runs the school."""
    part: bool = False
    """Whether only a part of the page is asked for, as htmx does."""
    alike: bool = True
    """Whether Django means the same rows."""
    crowd: bool = False
    """Whether Django is asked by twenty at once, too."""
    times: float | None = None
    """So many times quicker than Django it must be."""
    ratio: float | None = None
    """So many times the bare page's time is allowed."""


@attrs.frozen
class Doors:
    """The servers, as they are asked."""

    boss: Door
    me: Door
    bare: Door
    django: Door | None

    def ours(self, asked: Asked) -> Door:
        """Give ours as who asks."""
        return self.me if asked.me else self.boss


def bench_pages(stage: Stage) -> Iterator[Result]:
    """Measure every page."""
    with ExitStack() as opened:
        database = opened.enter_context(stage.copy())
        world = attrs.evolve(stage.world, database=database)
        with database.crm() as crm:
            tokens = _people(crm, world)
        start, pages = _deep(world)
        key = None
        if not database.on_sqlite:
            key = _django(database)
        database.settle()
        servers = {"ours": _ours(database), "bare": _bare(database, start, world.consultants[0])}
        if key is not None:
            servers[DJANGO] = _gunicorn(database)
        for one in servers.values():
            opened.enter_context(one)
        doors = Doors(
            Door(servers["ours"].port, {"Cookie": f"crm={tokens[0]}"}),
            Door(servers["ours"].port, {"Cookie": f"crm={tokens[1]}"}),
            Door(servers["bare"].port),
            Door(servers[DJANGO].port, {"Cookie": f"sessionid={key}"}) if key else None,
        )
        with database.crm() as crm:
            mark = _mark(crm, start)
        for asked in _pages(start, mark, pages, world):
            yield from _measure(asked, doors, servers, stage)
        yield from _memory(servers, stage)
        yield from _profile(database, tokens[0], stage)


# -- what is asked ----------------------------------------------------------------------------


def _pages(start: int, mark: str, page: int, world: World) -> Iterator[Asked]:
    """Give the pages; ``start`` is the first customer on the deep one."""
    admin, bare = "/admin/auth/client/", "/search?"
    two = [("source", "baidu"), ("source", "seo"), ("education", "college")]
    django_two = "source__in=baidu,seo&education__exact=college"
    yield Asked(name="first page", ours="/customers", bare="/first", django=admin, times=25,
                ratio=FIRST, crowd=True)  # fmt: skip
    yield Asked(name="deep page", ours=f"/customers?after={quote(mark)}", bare="/deep",
                django=f"{admin}?p={page}", times=100)  # fmt: skip
    for name, term in (("a rare name", RARE), ("a frequent name", "王"), ("pinyin", "wangwei")):
        q = urlencode({"q": term})
        yield Asked(name=f"search, {name}", ours=f"/customers?{q}", bare=bare + q,
                    django=f"{admin}?{q}", times=25, alike=name != "pinyin")  # fmt: skip
    yield Asked(name="one filter", ours="/customers?source=baidu", bare="/one",
                django=f"{admin}?source__exact=baidu", times=25)  # fmt: skip
    yield Asked(name="two filters", ours=f"/customers?{urlencode(two)}", bare="/two",
                django=f"{admin}?{django_two}", times=25)  # fmt: skip
    yield Asked(name="a filter that nobody fits", ours="/customers?locked=true",
                django=f"{admin}?locked__exact=1", alike=False)  # fmt: skip
    # Behind every figure of the managers' table is a list of one owner.
    yield Asked(name="of one owner", ours=f"/customers?owner_id={world.consultants[0]}",
                django=f"{admin}?owner__id__exact={world.consultants[0]}", alike=False)  # fmt: skip
    yield Asked(name="the pool of one who had them", alike=False,
                ours=f"/pool?last_consultant_id={world.consultants[0]}")  # fmt: skip
    yield Asked(name="my customers", ours="/my/customers", bare="/mine", me=True, alike=False,
                django=f"{admin}?owner__id__exact={world.consultants[0]}")  # fmt: skip
    yield Asked(name="the pool", ours="/pool", bare="/pool", django=f"{admin}?public=yes")
    # Django's own counts (``_facets``) of this list, with two hundred owners, are some two hundred
    # and fifty subqueries in one statement, which did not end within four minutes.
    for name, items in (
        ("of all", []), ("of one filter", [("source", "baidu")]), ("of two filters", two),
        ("of a search", [("q", "王")]), ("of a filter that nobody fits", [("locked", "true")]),
    ):  # fmt: skip
        yield Asked(name=f"counts {name}", ours=f"/customers/facets?{urlencode(items)}",
                    part=True, alike=False)  # fmt: skip
    yield Asked(name="counts of the pool", ours="/pool/facets", part=True, alike=False)
    yield Asked(name="counts of my customers", ours="/my/customers/facets", part=True, me=True,
                alike=False)  # fmt: skip


def _deep(world: World) -> tuple[int, int]:
    """Give the first customer of a page far down, and the number of that page."""
    before = (world.size - world.size // 100) // LIMIT
    return world.size - before * LIMIT, before + 1


def _mark(crm: Crm, start: int) -> str:
    """Give the mark that the page before the deep one ends with."""
    page = intake.list_customers(crm, Query(ranges={"id": (None, start + 1)}, limit=1), by=SYSTEM)
    return page.next or ""


# -- the servers ------------------------------------------------------------------------------


def _people(crm: Crm, world: World) -> tuple[str, str]:
    """Make who runs the school, with views, and sign in; give both tokens."""
    first = records.get_record(crm, Employee, world.consultants[0], by=SYSTEM)
    boss = records.save_record(
        crm, Employee(name="孙总", department_id=first.department_id), by=SYSTEM
    )
    access.create_user(crm, {"username": "boss", "password": PASSWORD, "employee_id": boss.id,
                             "roles": ["administrator", "sales_manager"]}, by=SYSTEM)  # fmt: skip
    access.set_password(crm, "user1", PASSWORD, by=SYSTEM)
    by = access.principal_for(crm, username="boss")
    for title, query in (("百度", "source=baidu"), ("大专", "education=college")):
        view = views.save_view(crm, "customers", {"title": title, "query": query}, by=by)
        views.share_view(crm, view.id or 0, by=by)
    tokens = [sessions.sign_in(crm, name, PASSWORD)[0] for name in ("boss", "user1")]
    return tokens[0], tokens[1]


def _environ(database: Database, **more: str) -> dict[str, str]:
    return os.environ | {
        "CRM_DATABASE_URL": database.address, "CRM_HOSTS": "localhost", "CRM_CHANNELS": "console",
        **more,
    }  # fmt: skip


def _uvicorn(factory: str, environ: Mapping[str, str]) -> Server:
    """Serve an application as ``crm serve`` does."""
    quiet = ("--no-access-log", "--no-server-header", "--log-level", "warning")
    return Server(
        [sys.executable, "-m", "uvicorn", "--factory", f"bench.serving:{factory}",
         "--port", "{port}", *quiet], environ,
    )  # fmt: skip


def _ours(database: Database) -> Server:
    return _uvicorn("ours", _environ(database))


def _bare(database: Database, start: int, me: int) -> Server:
    told = {**attrs.asdict(database), "start": start, "me": me}
    return _uvicorn("bare", _environ(database, BENCH_BARE=json.dumps(told)))


def _django(database: Database) -> str | None:
    """Make Django's tables beside ours, filled with the same rows."""
    if find_spec("django") is None or find_spec("gunicorn") is None:
        say("  Django and gunicorn are not installed: make bench installs them")
        return None
    environ = _environ(database, BENCH_DATABASE=database.address)
    done = subprocess.run([sys.executable, "-m", "bench.peer_django"], env=environ, check=True,
                          stdout=subprocess.PIPE, text=True,
                          cwd=Path(__file__).parents[1])  # fmt: skip
    return done.stdout.split()[-1]


def _gunicorn(database: Database) -> Server:
    """Serve it by threads, which keep connections alive as single workers do not."""
    command = [sys.executable, "-m", "gunicorn", "bench.peer_django:application", "--bind",
               "127.0.0.1:{port}", "--worker-class", "gthread", "--threads", "16", "--workers",
               "1", "--keep-alive", "60", "--timeout", "120", "--log-level", "error"]  # fmt: skip
    return Server(command, _environ(database, BENCH_DATABASE=database.address))


# -- measuring --------------------------------------------------------------------------------


def _measure(
    asked: Asked, doors: Doors, servers: Mapping[str, Server], stage: Stage
) -> Iterator[Result]:
    named: dict[str, tuple[Door, str, dict[str, str]]] = {
        "ours": (doors.ours(asked), asked.ours, {"HX-Request": "true"} if asked.part else {}),
    }
    if asked.bare is not None:
        named["bare"] = (doors.bare, asked.bare, {})
    if asked.django is not None and doors.django is not None:
        named[DJANGO] = (doors.django, asked.django, {})
    _alike(asked, {name: _shown(*one) for name, one in named.items()})
    for clients in CLIENTS:
        blocks: dict[str, list[Block]] = {name: [] for name in named}
        for _ in range(stage.sizes.pairs):
            for name, (door, address, headers) in named.items():
                if clients > 1 and name == DJANGO and (blocks[name] or not asked.crowd):
                    continue  # Twenty at once take it minutes.
                before = servers[name].spent()
                found = _block(door, address, headers, clients, stage)
                spent = servers[name].spent_since(before)
                blocks[name].append(attrs.evolve(found, spent=spent))
        yield from _results(asked, clients, blocks, stage)


def _block(
    door: Door, address: str, headers: Mapping[str, str], clients: int, stage: Stage
) -> Block:
    most = stage.sizes.calls * (1 if clients == 1 else 6)
    return visit(door, address, clients=clients, most=most, seconds=stage.sizes.page_seconds,
                 **headers)  # fmt: skip


def _shown(door: Door, address: str, headers: Mapping[str, str]) -> list[int]:
    """Ask once, to warm it up, and give the rows."""
    found = ask(door, address, **headers)
    expect(found.status == 200, f"{address} answered {found.status}: {found.text[:300]}")
    return [int(n) for n in TICKS.findall(found.text)]


def _alike(asked: Asked, rows: Mapping[str, list[int]]) -> None:
    """Refuse figures of pages that do not show the same."""
    for name, found in rows.items():
        if name == DJANGO and not asked.alike:
            continue
        expect(found == rows["ours"],
               f"{asked.name}: {name} shows {found[:3]}…, ours {rows['ours'][:3]}…")  # fmt: skip


def _results(
    asked: Asked, clients: int, blocks: Mapping[str, Sequence[Block]], stage: Stage
) -> Iterator[Result]:
    alone = clients == 1
    work = f"{asked.name}, {clients} visitor{'s' * (clients > 1)}"
    web = {
        name: {"p50": median(b.p50 for b in found), "p95": median(b.p95 for b in found),
               "rate": median(b.rate for b in found), "cpu": median(b.cpu for b in found)}
        for name, found in blocks.items() if found
    }  # fmt: skip
    pick: Callable[[Block], float] = (lambda b: b.p50) if alone else (lambda b: b.rate)
    figures = {name: [pick(b) for b in found] for name, found in blocks.items() if found}
    goal = Goal()
    if alone and asked.part:
        goal = Goal(bound=QUICKLY, bound_from=FROM_SIZE)
    elif alone and asked.ratio is not None:
        goal = Goal(ratio=asked.ratio)
    unit = "ms" if alone else "requests/s"
    yield Result(
        work=f"page: {work}", engine=stage.engine, unit=unit, ours=figures["ours"],
        raw=figures.get("bare", ()), goal=goal, size=stage.sizes.customers, more=web,
        note="raw is the bare page" if "bare" in figures else "",
    )  # fmt: skip
    if DJANGO not in figures:
        return
    beside = Goal()
    if asked.times is not None and stage.sizes.customers >= FROM_SIZE:
        beside = Goal(ratio=1 / asked.times) if alone else Goal(ratio=40, higher=True)
    yield Result(
        work=f"page: {work}, beside Django admin", engine=stage.engine, unit=unit,
        ours=figures["ours"], raw=figures[DJANGO], goal=beside,
        size=stage.sizes.customers, note="raw is Django admin", more=web,
    )  # fmt: skip


def _memory(servers: Mapping[str, Server], stage: Stage) -> Iterator[Result]:
    """Tell how large each server has become."""
    found = {name: server.memory() for name, server in servers.items()}
    others = ", ".join(f"{n} {v:.0f} MB" for n, v in found.items() if n != "ours")
    yield Result(work="page: memory of the web process", engine=stage.engine, unit="MB",
                 ours=[found["ours"]], raw=[found["bare"]], note=others, more={})  # fmt: skip


def _profile(database: Database, token: str, stage: Stage) -> Iterator[Result]:
    """Tell where the time of a first page goes, without HTTP."""
    with Inside(database, token) as inside:
        inside.get("/customers")
        text = profiled(lambda: [inside.get("/customers") for _ in range(50)])
        spent = [inside.timed("/customers") for _ in range(60)]
    yield Result(work="page: first page, without HTTP", engine=stage.engine, unit="ms",
                 ours=[median(spent)], profile=text, more={},
                 note="screen and template in this process")  # fmt: skip
