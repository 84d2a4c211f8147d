"""Sessions as a browser has them: nobody is signed in longer than allowed, or by another's hand."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import attrs
import pytest

from crm_domain import SYSTEM
from crm_domain.usecases import access
from crm_web.asgi import application
from make import World
from steps import login
from web.conftest import Visit
from web.visitor import PASSWORD, Visitor

OTHER = "battery staple horse"


def signed_in(visitor: Visitor) -> bool:
    return bool(visitor.get("/me").status_code == 200)


def cookies(answer: Any) -> SimpleCookie:
    found = SimpleCookie()
    for line in answer.headers.get_list("set-cookie"):
        found.load(line)
    return found


# -- the token --------------------------------------------------------------------------------


def test_a_token_that_was_planted_is_worth_nothing(visit: Visit, world: World) -> None:
    """Signing in gives a new token, whatever the browser had (session fixation)."""
    planted = "A" * 43
    victim, thief = visit(), visit()
    for browser in (victim, thief):
        browser.client.cookies.set(victim.cookie, planted, domain="localhost.local")
    name = login(world.crm, world.a)
    access.set_password(world.crm, name, PASSWORD, by=SYSTEM)
    answer = victim.sign_in(name)
    assert cookies(answer)[victim.cookie].value != planted
    assert not signed_in(thief)


def test_signing_in_again_ends_the_session_of_this_browser(visit: Visit, world: World) -> None:
    """The token that the browser had before opens nothing any more."""
    visitor = visit(world.a)
    thief = visit()
    thief.client.cookies = visitor.client.cookies.__class__(visitor.client.cookies)
    assert signed_in(thief)
    visitor.sign_in(login(world.crm, world.a))
    assert signed_in(visitor)
    assert not signed_in(thief)


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("base", ["", "http://crm.example", "https://crm.example"])
def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(
    world: World, portal: object, base: str
) -> None:
    """HttpOnly and Lax; by https also Secure, with the prefix that binds it to this host."""
    crm = attrs.evolve(world.crm, settings=attrs.evolve(world.crm.settings, base_url=base))
    name = login(crm, world.a)
    access.set_password(crm, name, PASSWORD, by=SYSTEM)
    visitor = Visitor(application(crm), portal=portal, base=base or "http://localhost")
    found = cookies(visitor.sign_in(name))
    https = base.startswith("https")
    assert ("__Host-crm" in found) is https
    assert ("crm" in found) is not https
    for cookie in found.values():
        if cookie.key.removeprefix("__Host-").startswith("crm"):
            assert cookie["httponly"]
            assert cookie["samesite"].lower() == "lax"
            assert cookie["path"] == "/"
            assert not cookie["domain"]
            assert bool(cookie["secure"]) is https
    assert not found[visitor.cookie]["max-age"], "the session's cookie ends with the browser"


def test_what_stays_on_the_disk_opens_nothing(visit: Visit, world: World) -> None:
    """Of all that outlives the browser nothing is a session, in any cookie of ours."""
    name = login(world.crm, world.a)
    access.set_password(world.crm, name, PASSWORD, by=SYSTEM)
    visitor = visit()
    signed = visitor.sign_in(name)
    again = visitor.post("/me/password", {"old": PASSWORD, "new": OTHER, "repeated": OTHER})
    for answer in (signed, again):
        kept = {c.key: c.value for c in cookies(answer).values() if c["max-age"]}
        assert f"{visitor.cookie}-known" in kept
        for value in kept.values():
            assert value != visitor.session
            for at in (visitor.cookie, f"{visitor.cookie}-known"):
                thief = visit()
                thief.client.cookies.set(at, value)
                assert not signed_in(thief)


def test_a_browser_is_known_by_what_it_keeps(visit: Visit, world: World) -> None:
    """It signs in while others' tries make everybody else wait, and its session before ends."""
    name, visitor = login(world.crm, world.a), visit(world.a)
    before = visitor.session
    for n in range(6):
        visit(address=f"203.0.113.{n}").sign_in(name, "guess")
    assert visit(address="203.0.113.99").sign_in(name).status_code == 429
    visitor.client.cookies.delete(visitor.cookie)
    assert visitor.sign_in(name).status_code == 303
    thief = visit()
    thief.client.cookies.set(visitor.cookie, before)
    assert not signed_in(thief)


def test_a_second_window_may_sign_in_after_the_first(visit: Visit, world: World) -> None:
    """The form that was open before has no token of the new session, and works all the same."""
    visitor = visit(world.a)
    before = visitor.session
    assert visitor.sign_in(login(world.crm, world.a)).status_code == 303
    assert visitor.session != before


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("base", ["http://crm.example", "https://crm.example"])
def test_a_word_that_is_left_is_of_this_host_and_said_once(
    world: World, portal: object, base: str
) -> None:
    """Nobody else's page, and by https no stranger on the way, puts words into our mouth."""
    crm = attrs.evolve(world.crm, settings=attrs.evolve(world.crm.settings, base_url=base))
    name, https = login(crm, world.a), base.startswith("https")
    access.set_password(crm, name, PASSWORD, by=SYSTEM)
    visitor = Visitor(application(crm), portal=portal, base=base)
    visitor.sign_in(name)
    left = visitor.post("/me/sessions/end", {"others": "1", "sure": "1"})
    kept = "__Host-flash" if https else "flash"
    [word] = [c for c in cookies(left).values() if c.key.endswith("flash")]
    assert (word.key, bool(word["secure"])) == (kept, https)
    if https:
        visitor.client.cookies.set("flash", word.value)
    assert "已退出登录。" in visitor.get("/me").text
    assert "已退出登录。" not in visitor.get("/me").text


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_by_https_nothing_is_taken_from_a_page_that_came_by_http(
    world: World, portal: object
) -> None:
    """Not even of our own name: whoever is on the way wrote it."""
    settings = attrs.evolve(world.crm.settings, base_url="https://crm.example")
    visitor = Visitor(application(attrs.evolve(world.crm, settings=settings)), portal=portal,
                      base="https://crm.example")  # fmt: skip
    for origin, status in (("http://crm.example", 403), ("https://crm.example", 422),
                           ("ftp://crm.example", 403), ("null", 403)):  # fmt: skip
        answer = visitor.client.post("/sign-in", data={}, headers={"Origin": origin})
        assert answer.status_code == status, origin


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_no_address_that_is_nobodys_is_written_down(
    visit: Visit, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A one-time link with a slash too many, or by another host, is as secret as without."""
    token = access.issue_reset(world.crm, login(world.crm, world.a), by=SYSTEM)
    stranger = visit()
    with caplog.at_level(logging.INFO, "crm_web"):
        stranger.get(f"/reset/{token}")
        stranger.get(f"/reset/{token}/")
        stranger.get(f"/reset/{token}/x")
        stranger.client.get(f"/reset/{token}", headers={"Host": "evil.example"})
        stranger.get("/livez")
    written = [r.getMessage() for r in caplog.records if r.name == "crm_web.security"]
    assert len(written) == 5
    assert not [line for line in written if token in line]
    assert "/reset/{token}" in written[0]
    assert all("/reset/…" in line for line in written[1:4])
    assert "/livez" in written[4]


# -- how it ends ------------------------------------------------------------------------------

Ending = Callable[[World, Visitor, Visitor], object]
ENDINGS: dict[str, Ending] = {
    "signed out": lambda w, me, other: me.post("/sign-out"),
    "password changed elsewhere": lambda w, me, other: other.post(
        "/me/password", {"old": PASSWORD, "new": OTHER, "repeated": OTHER}),
    "password set by an administrator": lambda w, me, other: access.set_password(
        w.crm, login(w.crm, w.a), OTHER, by=SYSTEM),
    "account disabled": lambda w, me, other: access.set_active(
        w.crm, login(w.crm, w.a), False, by=SYSTEM),
    "signed out everywhere": lambda w, me, other: other.post(
        "/me/sessions/end", {"others": "1", "sure": "1"}),
    "idle too long": lambda w, me, other: w.clock.advance(timedelta(minutes=181)),
}  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_session_that_ended_is_not_taken_up_again(
    visit: Visit, world: World, ending: str
) -> None:
    """The same cookie and token, sent again, open nothing and change nothing."""
    me = visit(world.a)
    other = visit()
    other.sign_in(login(world.crm, world.a))
    kept, token = me.session, me.token
    ENDINGS[ending](world, me, other)
    replay = visit()
    replay.client.cookies.set(me.cookie, kept)
    assert not signed_in(replay)
    sent = replay.send("POST", "/me/language", {"csrf": token, "language": "en"})
    assert sent.headers["location"].startswith("/sign-in")
    assert access.principal_for(world.crm, username=login(world.crm, world.b)).language is None


def test_a_session_ends_after_its_longest_time_however_busy(visit: Visit, world: World) -> None:
    """Twelve hours after signing in, also for somebody who never rested."""
    visitor = visit(world.a)
    for _ in range(5):
        world.clock.advance(timedelta(minutes=140))
        assert signed_in(visitor)
    world.clock.advance(timedelta(minutes=30))
    assert not signed_in(visitor)


def test_the_device_that_signs_others_out_stays(visit: Visit, world: World) -> None:
    """Whoever ends all other sessions, or changes the password, goes on, then by a new token."""
    me = visit(world.a)
    other = visit()
    other.sign_in(login(world.crm, world.a))
    me.post("/me/sessions/end", {"others": "1", "sure": "1"})
    assert (signed_in(me), signed_in(other)) == (True, False)
    thief, before = visit(), me.session
    changed = me.post("/me/password", {"old": PASSWORD, "new": OTHER, "repeated": OTHER})
    assert changed.status_code == 303
    assert signed_in(me)
    thief.client.cookies.set(me.cookie, before)
    assert not signed_in(thief)


def test_a_changed_role_acts_at_the_next_request(visit: Visit, world: World) -> None:
    """What was allowed is refused, and what was refused is allowed, without signing in again."""
    visitor = visit(world.a)
    assert [visitor.get(p).status_code for p in ("/pool", "/pool-rules")] == [200, 403]
    access.set_roles(world.crm, login(world.crm, world.a), ["teacher"], by=SYSTEM)
    assert [visitor.get(p).status_code for p in ("/pool", "/pool-rules")] == [403, 403]
    access.set_roles(world.crm, login(world.crm, world.a), ["sales_manager"], by=SYSTEM)
    assert [visitor.get(p).status_code for p in ("/pool", "/pool-rules")] == [200, 200]


# -- trying passwords -------------------------------------------------------------------------


def test_guessing_is_slowed_down_and_says_how_long(visit: Visit, world: World) -> None:
    """After five tries 429 with the seconds to wait, by header and by word."""
    guesser = visit(address="203.0.113.9")
    name = login(world.crm, world.a)
    answers = [guesser.sign_in(name, f"guess number {n}") for n in range(6)]
    assert [a.status_code for a in answers] == [422] * 5 + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 10
    assert not guesser.session


def test_an_unknown_name_and_a_wrong_password_get_the_same_answer(
    visit: Visit, world: World
) -> None:
    """Nobody learns from the form which accounts there are."""
    name = login(world.crm, world.a)
    access.set_password(world.crm, name, PASSWORD, by=SYSTEM)
    known = visit(address="203.0.113.1").sign_in(name, "wrong horse battery")
    unknown = visit(address="203.0.113.2").sign_in("nobody-here", "wrong horse battery")
    assert known.status_code == unknown.status_code == 422
    assert known.text.replace(name, "N") == unknown.text.replace("nobody-here", "N")


# -- one-time links ---------------------------------------------------------------------------


def test_a_link_that_is_dead_says_so_before_a_password_is_thought_up(
    visit: Visit, world: World
) -> None:
    """Opened after it was used, replaced or run out, or made up: no form, but where to go on."""
    name, stranger = login(world.crm, world.a), visit()
    replaced = access.issue_reset(world.crm, name, by=SYSTEM)
    used = access.issue_reset(world.crm, name, by=SYSTEM)
    alive = stranger.get(f"/reset/{used}")
    assert alive.status_code == 200
    assert 'name="new"' in alive.text
    assert name in alive.text, "whose password it is stands above the form"
    chosen = {"new": OTHER, "repeated": OTHER}
    assert stranger.send("POST", f"/reset/{used}", chosen).status_code == 303
    late = access.issue_reset(world.crm, login(world.crm, world.b), by=SYSTEM)
    world.clock.advance(timedelta(hours=world.crm.settings.reset_hours + 1))
    for token in (replaced, used, late, "nonsense"):
        for answer in (
            stranger.get(f"/reset/{token}"),
            stranger.send("POST", f"/reset/{token}", chosen),
        ):
            assert answer.status_code == 404
            assert "该链接已使用" in answer.text
            assert 'name="new"' not in answer.text
            assert name not in answer.text


# -- where one is sent ------------------------------------------------------------------------

HOSTS = ("evil.example", "evil.example/%2e%2e", "evil.example:443/x")
STARTS = ("//", "/\\", "\\\\", "/\t/", "///", "https://", "http:", "https:", "/\\/", "//x@", "\t//")
ELSEWHERE = [start + host for start in STARTS for host in HOSTS] + [
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", " //evil.example",
    "\n//evil.example", "/\n/evil.example", "/\r/evil.example", "/ /evil.example",
    "\x00//evil.example", "/\x00/evil.example", "evil.example", "@evil.example",
    "./evil.example", "..//evil.example", "?//evil.example", "#//evil.example", "",
    "/\u2028/evil.example", "//evil.example@localhost", "//localhost@evil.example",
    "//localhost.evil.example", "http://localhost@evil.example/", "/\u3000/evil.example",
    "///evil.example/%2f..", "/\\evil.example/%2f..", "//\u24d4vil.example", "/\x7f/evil.example",
    "/x\r\nSet-Cookie: a=b", "/x\nLocation: //evil.example", "ftp://evil.example",
]  # fmt: skip


def stays(location: str) -> bool:
    """Whether a browser that reads it as browsers do stays on the site."""
    seen = location.replace("\t", "").replace("\n", "").replace("\r", "").strip("\x00 ")
    seen = seen.replace("\\", "/")
    return seen.startswith("/") and not seen.startswith("//")


def test_there_are_enough_ways_elsewhere() -> None:
    """The checklist of reliability.md section 5 asks for 60."""
    assert len({*ELSEWHERE}) >= 60
    assert not any(stays(e) for e in ("//evil.example", "/\\evil.example", "https://x"))


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_choosing_a_language_before_signing_in_keeps_where_one_goes(
    visit: Visit, world: World
) -> None:
    """The whole address, with all that follows the first &."""
    wish = "/customers?source=baidu&status=1&q=a b"
    answer = visit().client.get("/sign-in", params={"language": "en", "next": quote(wish)})
    page = visit().get(answer.headers["location"])
    assert f'name="next" value="{quote(wish)}"' in page.text


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_nobody_is_sent_elsewhere(visit: Visit, world: World) -> None:
    """Neither after signing in nor after a form, by header, link or hidden field."""
    me, stranger = visit(world.a), visit()
    name, wrong = login(world.crm, world.a), []
    customer = world.customer(world.a).id
    for n, place in enumerate(ELSEWHERE):
        back = {"back": place, "ids": customer, "state": ""}
        answers = [
            me.post("/me/language", {"language": "zh", "next": place}),
            me.client.get("/sign-in", params={"language": "en", "next": place}),
            me.client.post(
                "/customers/columns",
                params={"back": place},
                data={"csrf": me.token},
                headers={"Origin": me.base},
            ),
            me.post("/views/new", {"list": place, "address": "", "title": "x"}),
            me.post("/views/manage", {"list": place}),
        ]
        if n % 20 == 0:
            answers.append(stranger.sign_in(name, next=place))
            stranger.client.cookies.clear()
        for answer in answers:
            location = answer.headers.get("location", "/")
            if not stays(location) or "set-cookie: a=b" in str(answer.headers).lower():
                wrong.append(f"{place!r} leads to {location!r}")
            passed = parse_qs(urlsplit(location).query).get("next", ["/"])
            if location.startswith("/sign-in?") and not all(map(stays, passed)):
                wrong.append(f"{place!r} is passed on: {location!r}")
        for path, given in (("/customers/actions/release", back), ("/sign-in", {"next": place}),
                            ("/customers/new", back)):  # fmt: skip
            page = me.client.get(path, params=given).text
            if place and not stays(place) and f'href="{place}"' in page:
                wrong.append(f"{path} links to {place!r}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "localhost@evil",
                                  "127.0.0.1.evil.example:8000", "[::2]", "crm"])  # fmt: skip
def test_a_strange_host_is_refused_everywhere(visit: Visit, world: World, host: str) -> None:
    """No link and no cookie is ever made for a name that is not ours."""
    me = visit(world.a)
    for path in ("/", "/sign-in", "/customers", "/reset/x", "/static/x", "/livez", "/nothing"):
        answer = me.client.get(path, headers={"Host": host})
        assert answer.status_code == 400, path
        assert "evil" not in answer.text
    sent = me.client.post("/sign-out", data={"csrf": me.token},
                          headers={"Host": host, "Origin": f"http://{host}"})  # fmt: skip
    assert sent.status_code == 400
    assert signed_in(me)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_proxys_word_is_not_believed(visit: Visit, world: World) -> None:
    """Forwarded headers of a stranger change neither links nor whom tries are counted under."""
    me = visit(world.a)
    answer = me.get("/", X_Forwarded_Host="evil.example", X_Forwarded_Proto="https",
                    Forwarded="host=evil.example")  # fmt: skip
    assert "evil.example" not in answer.text + str(answer.headers)
    guesser = visit(address="203.0.113.77")
    name = login(world.crm, world.b)
    codes = [
        guesser.client.post(
            "/sign-in", data={"username": name, "password": "wrong one"},
            headers={"Origin": guesser.base, "X-Forwarded-For": f"192.0.2.{n}"},
        ).status_code
        for n in range(7)
    ]  # fmt: skip
    assert codes[-1] == 429
