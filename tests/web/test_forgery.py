"""Forged requests: every unsafe route wants the session's token and a page of its own site."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest
import sqlalchemy as sa
from starlette.applications import Starlette

from crm_adapters.storage.engine import make_engine
from crm_domain.rules.access import Principal
from make import World
from steps import login
from web.conftest import Visit
from web.house import House, filled
from web.visitor import HOST, PASSWORD, Visitor

EVIL = "https://evil.example"
Attack = Callable[[Visitor, str], tuple[dict[str, str], dict[str, str]]]
"""Gives the form and the headers of an attack."""


def _no_token(me: Visitor, other: str) -> tuple[dict[str, str], dict[str, str]]:
    return {}, {"Origin": HOST}


def _wrong_token(me: Visitor, other: str) -> tuple[dict[str, str], dict[str, str]]:
    return {"csrf": "0" * 64}, {"Origin": HOST}


def _odd_token(me: Visitor, other: str) -> tuple[dict[str, str], dict[str, str]]:
    return {"csrf": "令牌\x00"}, {"Origin": HOST}


def _other_session(me: Visitor, other: str) -> tuple[dict[str, str], dict[str, str]]:
    return {"csrf": other}, {"Origin": HOST}


ATTACKS: Mapping[str, Attack] = {
    "no token": _no_token, "wrong token": _wrong_token, "odd token": _odd_token,
    "token of another session": _other_session,
    "another site": lambda me, other: ({"csrf": me.token}, {"Origin": EVIL}),
    "another site, says the browser":
        lambda me, other: ({"csrf": me.token}, {"Sec-Fetch-Site": "cross-site", "Origin": HOST}),
    "another name of the site":
        lambda me, other: ({"csrf": me.token}, {"Sec-Fetch-Site": "same-site", "Origin": HOST}),
    "origin null": lambda me, other: ({"csrf": me.token}, {"Origin": "null"}),
    "no header": lambda me, other: ({"csrf": me.token}, {}),
    "origin that begins alike":
        lambda me, other: ({"csrf": me.token}, {"Origin": f"{HOST}.evil.example"}),
}  # fmt: skip
BY_ORIGIN = [name for name, attack in ATTACKS.items() if "token" not in name]


def unsafe(app: Starlette) -> Iterator[tuple[str, str]]:
    """Give every address that takes something other than GET, with a number filled in."""
    for screen in app.state.site.screens:
        for method in set(screen.methods) - {"GET"}:
            yield method, screen.path.replace("{id:int}", "1").replace("{token}", "x")


def contents(url: str, *without: str) -> dict[str, list[str]]:
    """Give all rows of all tables as text."""
    # By the program's own driver: a second SQLite in one process takes the first one's locks away.
    engine, _ = make_engine(url)
    meta = sa.MetaData()
    meta.reflect(engine)
    with engine.connect() as connection:
        found = {
            table.name: sorted(repr(tuple(row)) for row in connection.execute(sa.select(table)))
            for table in meta.tables.values()
            if table.name not in without
        }
    engine.dispose()
    return found


ON_SQLITE = pytest.mark.parametrize("engine_name", ["sqlite"])
"""What never gets as far as the database is tried on one engine."""


@ON_SQLITE
@pytest.mark.parametrize("attack", ATTACKS)
def test_every_unsafe_route_refuses_what_is_forged(
    visit: Visit, app: Starlette, everything: Principal, url: str, attack: str
) -> None:
    """Neither an old token nor another site's page changes a thing, whoever is signed in."""
    me, other = visit(everything), visit(everything)
    before, wrong = contents(url), []
    for method, path in unsafe(app):
        if path in ("/sign-in", "/reset/x") and attack not in BY_ORIGIN:
            # Whoever has not signed in has no token; the origin is looked at.
            continue
        form, headers = ATTACKS[attack](me, other.token)
        answer = me.client.request(
            method, path, data={"id": "1", "ids": "1", "do": "save", **form}, headers=headers
        )
        if answer.status_code != 403:
            wrong.append(f"{method} {path}: {answer.status_code}")
    assert not wrong, "\n".join(wrong)
    assert contents(url) == before


@ON_SQLITE
@pytest.mark.parametrize("attack", BY_ORIGIN)
def test_signing_in_from_another_site_is_refused(visit: Visit, world: World, attack: str) -> None:
    """Nobody is signed in under another's account without noticing."""
    stranger = visit()
    _, headers = ATTACKS[attack](stranger, "")
    form = {"username": login(world.crm, world.a), "password": PASSWORD}
    answer = stranger.client.post("/sign-in", data=form, headers=headers)
    assert answer.status_code == 403
    assert not stranger.session


@ON_SQLITE
def test_the_token_may_come_as_a_header(visit: Visit, world: World) -> None:
    """So htmx sends it; a wrong one is refused there as well."""
    visitor = visit(world.a)
    form, origin = {"language": "en"}, {"Origin": HOST}
    for token, status in ((visitor.token, 303), ("x", 403), ("", 403)):
        headers = {**origin, "X-CSRF-Token": token}
        answer = visitor.client.post("/me/language", data=form, headers=headers)
        assert answer.status_code == status


@ON_SQLITE
def test_the_browsers_own_word_counts_before_the_origin(visit: Visit, world: World) -> None:
    """A page of the site is told apart from others by what the browser says."""
    visitor = visit(world.a)
    form = {"csrf": visitor.token, "language": "en"}
    for site, status in (("same-origin", 303), ("none", 303), ("cross-site", 403), ("", 403)):
        answer = visitor.client.post("/me/language", data=form, headers={"Sec-Fetch-Site": site})
        assert answer.status_code == status, site


def test_what_is_written_is_seen(
    visit: Visit, house: House, everything: Principal, url: str
) -> None:
    """The comparison of tables is no comparison of nothing."""
    before = contents(url)
    me = visit(everything)
    assert {t for t in before if before[t] != contents(url)[t]} >= {"account", "sign_in"}
    before = contents(url)
    me.post("/me/language", {"language": "en"})
    assert {t for t in before if before[t] != contents(url)[t]} == {"account"}


def test_get_never_writes(
    visit: Visit, app: Starlette, everything: Principal, house: House, url: str
) -> None:
    """All pages, files and forms leave every table as it was; an export is written down."""
    me = visit(everything)
    paths = [
        filled(house, s.path, {"token": "x"}) for s in app.state.site.screens if "GET" in s.methods
    ]
    exports = [p for p in paths if p.endswith((".csv", ".xlsx"))]
    for those, without in (
        ([p for p in paths if p not in exports], ()),
        (exports, ("audit_entry",)),
    ):
        before = contents(url, *without)
        for path in those:
            for query in ("", f"?ids={house.ids['own']}&id=1&list=customers&language=en"):
                for method in ("GET", "HEAD"):
                    answer = me.send(method, path + query)
                    assert answer.status_code < 500, path
        after = contents(url, *without)
        assert {t: (before[t], after[t]) for t in after if after[t] != before[t]} == {}
