"""What nobody types by mistake: odd addresses, huge forms, text that wants to be a program."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from crm_domain import SYSTEM
from crm_domain.errors import FieldError, Invalid
from crm_domain.model import (
    Course,
    Department,
    Employee,
    Event,
    Menu,
    Notice,
    PermissionGroup,
    School,
    Student,
)
from crm_domain.rules.access import Principal
from crm_domain.usecases import (
    access,
    assignment,
    follow_up,
    intake,
    payments,
    records,
    views,
)
from crm_web import pages
from crm_web.answers import Redirect
from crm_web.app import make_app
from crm_web.screen import ANYBODY, Screen
from crm_web.security import HEADERS
from make import World, phone
from web.conftest import Visit
from web.house import House, filled
from web.visitor import Visitor

ODD = (
    "\x00", "%00", "\ud800", "\udfff", "a" * 10_000, "9" * 5000, "-1", "0", "²", "１２", "1e999",
    "9223372036854775808", "NaN", "inf", "null", "undefined", "[]", "{}", "a[]=1", "true", "-",
    "' OR 1=1 --", '"; DROP TABLE customer; --', "1) UNION SELECT * FROM user --", "%", "_", "\\",
    "' AND pg_sleep(5) --", "../../etc/passwd", "{{7*7}}", "${7*7}", "2026-13-45", "0000-00-00",
    "9999-12-31", "-2026-01-01", "2026-11-01T99:99", "\u202e", "\ufeff", "\u0000\u0000", "😀", "é",
    "\r\nX: y", "<script>", "WzFd", "W1tdLDFd", "=", "&", ";", " ", "a&b=c", "1,2", "1;2", "*",
)  # fmt: skip
"""Values that a filter, an order, a page mark or a number never has."""


def quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")


def questions(app: Starlette) -> Iterator[tuple[str, list[str]]]:
    """Give each list with all names that it may be asked by."""
    for resource in app.state.site.resources.values():
        names = ["q", "sort", "after", "size", "tab", "owner_id", "password_hash", "id"]
        for one in resource.filters:
            names += [f"{one.name}.from", f"{one.name}.to"] if one.ranged else [one.name]
        yield resource.path, names


def test_no_question_breaks_a_list(visit: Visit, app: Starlette, everything: Principal) -> None:
    """Every name with odd values gets rows or a refusal by name, never a failure."""
    me, wrong = visit(everything), []
    for path, names in questions(app):
        for i, name in enumerate(names):
            # All values are tried on each list, a share of them on each name.
            for value in ODD[i % 4 :: 4] if len(names) > 12 else ODD[i % 3 :: 3]:
                answer = me.get(f"{path}.json?{name}={quoted(value)}")
                if answer.status_code not in (200, 404, 422):
                    wrong.append(f"{path}?{name}={value[:30]!r}: {answer.status_code}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_no_address_breaks_a_page(
    visit: Visit, app: Starlette, everything: Principal, house: House
) -> None:
    """Odd values in what pages are asked for, and in the place of numbers."""
    me, wrong = visit(everything), []
    asked = ("back", "ids", "state", "list", "address", "from", "since", "until", "after", "phone",
             "next", "language", "unread", "title", "all", "q", "sort")  # fmt: skip
    for screen in app.state.site.screens:
        if "GET" not in screen.methods or screen.path.endswith((".json", ".csv", ".xlsx")):
            continue
        to = filled(house, screen.path, {"token": "x"})
        for i, value in enumerate(ODD):
            if (i + len(to)) % 5:
                continue
            query = "&".join(f"{name}={quoted(value[:1000])}" for name in asked)
            answer = me.get(f"{to}?{query}")
            if answer.status_code >= 500:
                wrong.append(f"{to}?…={value[:30]!r}: {answer.status_code}")
        if "{" in screen.path:
            for value in ("0", "-1", "9" * 30, "1.5", "²", "%00", "x"):
                odd = screen.path.replace("{id:int}", value).replace("{token}", value)
                if me.get(odd).status_code >= 500:
                    wrong.append(odd)
    for n in (1999, 2001, 5000):
        answer = me.get("/customers?" + "&".join(["source=baidu"] * n))
        if answer.status_code >= 500:
            wrong.append(f"{n} values: {answer.status_code}")
    assert not wrong, "\n".join(wrong)


FORM = ("id", "ids", "version", "to_id", "consultant_id", "employee_id", "add", "add-quota", "rule",
        "0.contact_days", "holidays", "from_id", "to_ids", "language", "columns", "density", "name",
        "phone", "courses", "school_id", "received_at", "next_contact_at", "title", "day_number",
        "date", "code", "price", "semester", "start_date", "do", "to", "list", "address", "now",
        "all", "state", "reason", "note", "memo", "old", "new", "repeated", "quota-1",
        "others")  # fmt: skip


def test_no_form_breaks_a_page(
    visit: Visit, app: Starlette, everything: Principal, house: House
) -> None:
    """Every form with odd values in every field is refused by name, or taken, never a failure."""
    me, wrong = visit(everything), []
    values = (*ODD[:20], "' OR 1=1 --", "2026-13-45", "😀", "\u202e")
    for screen in app.state.site.screens:
        if "POST" not in screen.methods or screen.path in ("/sign-in", "/sign-out"):
            continue
        to = screen.path.replace("{id:int}", str(house.ids["own"])).replace("{token}", "x")
        for i, value in enumerate(values):
            if (i + len(to)) % 4:
                continue
            body = "&".join(f"{n}={quoted(value)}" for n in FORM)
            answer = me.client.post(
                f"{to}?back={quoted(value)}", content=f"csrf={me.token}&{body}",
                headers={"Origin": me.base, "Content-Type": "application/x-www-form-urlencoded"},
            )  # fmt: skip
            if answer.status_code >= 500:
                wrong.append(f"{to} {value[:30]!r}: {answer.status_code}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_form_may_hold_many_values_but_not_any_number(visit: Visit, world: World) -> None:
    """All rows of the largest page are taken; what nobody could tick is refused."""
    me = visit(world.manager)
    head = {"Origin": me.base, "Content-Type": "application/x-www-form-urlencoded"}
    for n, status in ((11_000, (200,)), (40_000, (400, 413))):
        body = f"csrf={me.token}&to_id={world.a.employee_id}" + "".join(
            f"&ids={i}" for i in range(900_000, 900_000 + n)
        )
        answer = me.client.post("/customers/actions/transfer", content=body, headers=head)
        assert answer.status_code in status, n
        assert answer.headers["x-request-id"]


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_what_is_too_large_is_refused_before_it_is_read(visit: Visit, world: World) -> None:
    """By its length, or while it comes; the process reads no more than it allows."""
    me = visit(world.a)
    read = 0

    def pieces() -> Iterator[bytes]:
        nonlocal read
        for _ in range(64):
            read += 2**20
            yield b"x" * 2**20

    head = {"Origin": me.base, "Content-Type": "application/x-www-form-urlencoded"}
    told = me.client.post("/customers/new", content=b"x" * (13 * 2**20), headers=head)
    assert told.status_code == 413
    assert "内容太大" in told.text
    streamed = me.client.post("/customers/new", content=pieces(), headers=head)
    assert streamed.status_code == 413
    field = me.client.post("/customers/new", headers={"Origin": me.base},
                           data={"csrf": me.token, "memo": "x" * (3 * 2**20)})  # fmt: skip
    assert field.status_code in (400, 413, 422)


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data",
                                  "multipart/form-data; boundary=x", ""])  # fmt: skip
def test_a_body_of_another_kind_is_no_form(visit: Visit, world: World, kind: str) -> None:
    """It carries no token, and is refused as forged or unreadable."""
    me = visit(world.a)
    answer = me.client.post("/me/language", content=b'{"csrf": "%s"}' % me.token.encode(),
                            headers={"Origin": me.base, "Content-Type": kind.encode()})  # fmt: skip
    assert answer.status_code in (400, 403)


# -- what fails before any screen, or after it -----------------------------------------------


def packed(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


DEEP = "[" * 50_000
HALF = r'["\ud800", 1]'
"""Half a surrogate pair, as JSON can carry it and UTF-8 cannot."""
CHARSETS = ("undefined", "punycode", "idna", "unicode_escape", "utf-7", "utf-16", "rot13", "zlib",
            "nothing", "")  # fmt: skip


@pytest.fixture
def calm(app: Starlette, portal: object) -> Callable[..., Visitor]:
    """Open a browser that is shown failures, as a real one is, in place of the test."""

    def open_one(me: Visitor | None = None) -> Visitor:
        found = Visitor(app, portal=portal, raise_server_exceptions=False)
        if me is not None:
            found.client.cookies.update(me.client.cookies)
        return found

    return open_one


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_failure_outside_of_every_screen_has_the_headers_and_no_message(
    app: Starlette, calm: Callable[..., Visitor], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever is broken, the guard answers, and hands nothing on to what knows no headers."""

    async def broken(request: Request) -> Response:
        raise RuntimeError("secret of the database: 13800138000")

    async def cut(request: Request) -> Response:
        def parts() -> Iterator[bytes]:
            yield b"begun"
            raise RuntimeError("secret of the database: 13800138000")

        return StreamingResponse(parts())

    app.router.routes[:0] = [Route("/broken", broken), Route("/cut", cut)]
    # The browser of this test raises what the guard lets through.
    me = Visitor(app, portal=calm().client.portal)
    answer = me.get("/broken")
    assert answer.status_code == 500
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    number = answer.headers["x-request-id"]
    assert number in answer.text
    assert "13800138000" not in answer.text
    assert f"request {number} failed" in caplog.messages
    assert me.get("/broken", HX_Request="true").headers["hx-retarget"] == "#flash"
    caplog.clear()
    assert me.get("/cut").text == "begun"
    assert any("failed" in m for m in caplog.messages)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_number_longer_than_any_is_no_address(
    visit: Visit, calm: Callable[..., Visitor], world: World
) -> None:
    """Also one that Python itself refuses to read, and whoever asks."""
    me, number = visit(world.a), world.customer(world.a).id or 0
    assert me.get(f"/customers/{number:018}").status_code == 200
    for one in (calm(), calm(me)):
        for digits in (19, 4300, 5000):
            for path in ("/customers/{}", "/customers/{}/edit", "/employees/{}"):
                answer = one.get(path.format("9" * digits))
                assert answer.status_code == 404, (path, digits)
                assert answer.headers["x-request-id"] in answer.text


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("charset", CHARSETS)
@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x",
                                  "application/x-www-form-urlencoded"])  # fmt: skip
def test_a_form_of_another_charset_is_unreadable(
    visit: Visit, calm: Callable[..., Visitor], world: World, kind: str, charset: str
) -> None:
    """Codecs fail in ways of their own, or make what is no text; browsers send UTF-8."""
    body = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n\\ud800\r\n'
        for name in ("username", "password", "language")
    )
    for one in (calm(), calm(visit(world.a))):
        for path in ("/sign-in", "/me/language") if one.session else ("/sign-in",):
            answer = one.client.post(path, content=f"{body}--x--\r\n", headers={
                "Origin": one.base, "Content-Type": f'{kind}; charset="{charset}"'})  # fmt: skip
            assert answer.status_code == 400, path
            assert answer.headers["x-request-id"] in answer.text


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_form_in_utf_8_may_say_so(visit: Visit, world: World) -> None:
    """By any of its names."""
    me = visit(world.a)
    for charset in ("utf-8", "UTF-8", '"utf-8"', "utf8"):
        kind = f"application/x-www-form-urlencoded; charset={charset}"
        answer = me.client.post("/me/language", content=f"csrf={me.token}&language=zh",
                                headers={"Origin": me.base, "Content-Type": kind})  # fmt: skip
        assert answer.status_code == 303, charset


def test_a_page_mark_that_is_no_text_is_refused(
    visit: Visit, calm: Callable[..., Visitor], app: Starlette, everything: Principal
) -> None:
    """By the list, in words that can be said, as a page and as JSON."""
    me, wrong, refused = calm(visit(everything)), [], 0
    for resource in app.state.site.resources.values():
        sorts = ["", *(c.name for c in resource.columns if c.sort)]
        for name in sorts:
            for ending in ("", ".json"):
                sort = f"&sort={name}" if name else ""
                answer = me.get(f"{resource.path}{ending}?after={packed(HALF)}{sort}")
                refused += answer.status_code == 422
                if answer.status_code not in (200, 404, 422):
                    wrong.append(f"{answer.url}: {answer.status_code}")
    assert not wrong, "\n".join(wrong)
    assert refused > 40


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("left", [
    r'["\ud800", "success"]', DEEP, r'["x", "\ud800"]', r'["x", "success", "\ud800", [1]]',
    '["x", []]', "{}", "1", "null", "\xff", '["", "success"]',
])  # fmt: skip
def test_a_word_that_cannot_be_read_is_forgotten(
    visit: Visit, calm: Callable[..., Visitor], world: World, left: str
) -> None:
    """Whoever can plant a cookie shuts nobody out."""
    for one, path in ((calm(), "/sign-in"), (calm(visit(world.a)), "/me"), (calm(), "/nothing")):
        one.client.cookies.set("flash", packed(left), domain="localhost.local", path="/")
        answer = one.get(path)
        assert answer.status_code == (404 if path == "/nothing" else 200)
        assert "flash" not in one.client.cookies


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_half_a_surrogate_pair_can_be_quoted(world: World, portal: object) -> None:
    """Where a refusal says what was typed, as a page and as JSON, or a word is left for later."""
    half = "\ud800"

    def refuse(c: Any) -> Any:
        raise Invalid([FieldError("x", "bad_value", half, f"无效：{half}", f"not valid: {half}")])

    def leave(c: Any) -> Any:
        return Redirect(to="/sign-in", said=f"x{half}")

    paths = {"/odd": refuse, "/odd.json": refuse, "/left": leave}
    more = [Screen(path=path, call=call, needs=ANYBODY) for path, call in paths.items()]
    me = Visitor(make_app(world.crm, [*pages.screens(), *more]), portal=portal)
    page, data = me.get("/odd"), me.get("/odd.json")
    assert page.status_code == data.status_code == 422
    assert "\\ud800" in page.text
    assert half in data.json()["title"]
    assert me.get("/left").status_code == 303
    assert "x?" in me.get("/sign-in").text


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_an_origin_that_is_no_address_is_another_site(calm: Callable[..., Visitor]) -> None:
    """The guard refuses it, and does not fail over it."""
    answer = calm().client.post("/sign-out", headers={"Origin": "http://["})
    assert answer.status_code == 403
    assert answer.headers["content-security-policy"]


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_more_rules_than_anybody_has_are_not_shown_again(visit: Visit, world: World) -> None:
    """A page of thousands of rules would take a quarter of a minute and many megabytes."""
    me = visit(world.person("孙总", "administrator"))
    for do in ("add", "try", "save"):
        answer = me.post("/pool-rules", {"rule": ["0"] * 5000, "do": do, "version": "0"})
        assert answer.status_code == 422, do
        assert len(answer.text) < 100_000


# -- text that wants to be a program -----------------------------------------------------------

XSS = (
    "<script>xss()</script>", "<img src=x onerror=xss()>", "<svg onload=xss()>", "\"><b>xss</b>",
    "'><b>xss</b>", "\" onmouseover=\"xss()", "' onfocus='xss()", "</title><b>xss", "<!--xss",
    "</textarea><b>xss", "</script><b>xss", "javascript:xss()", "<a href=javascript:xss()>x</a>",
    "<iframe srcdoc='<b>xss'>", "<math><mi xlink:href=x>xss", "<b/xss=1>", "<<b>xss", "<b\nxss>",
    "&lt;b&gt;xss", "&#60;b&#62;xss", "＜b＞xss", "{{xss}}", "{%raw%}xss", "${xss}", "`xss`",
    "<style>*{xss:1}</style>", "<base href=//xss>", "<form action=//xss>", "<input autofocus xss>",
    "<object data=x>xss", "<details open ontoggle=xss()>", "<body onload=xss()>", "<xss>",
)  # fmt: skip
DANGER = ("<b>xss", "<b/xss", "<b\nxss", "<script>xss", "<img src=x", "<svg onload", "<iframe",
          "<math>", "<style>*", "<base ", "<form action=//", "<input autofocus", "<object",
          "<details open on", "<body onload", "<xss>", "<!--xss", "<a href=javascript",
          '" onmouseover="xss', "' onfocus='xss")  # fmt: skip


TELLING = ("/customers", "/payments", "/follow-ups", "/assignments", "/students", "/courses",
           "/schools", "/departments", "/employees", "/roles", "/menus", "/permission_groups",
           "/users", "/notices", "/audit", "/my/customers")  # fmt: skip
"""Pages that show what was typed."""


@pytest.fixture
def poisoned(house: House, everything: Principal) -> House:
    """Put a piece of each payload into every text that people may type."""
    crm = house.crm
    texts = ("name", "company", "major", "graduation_school", "memo")
    for n, payload in enumerate(XSS):
        values = dict.fromkeys(texts, payload[:60])
        made = intake.register_customer(
            crm, {**values, "phone": phone(), "wechat": f"wx{n}a_z"},
            consultant_id=everything.employee_id, by=SYSTEM,
        )  # fmt: skip
        follow_up.log_follow_up(crm, made.id or 0, {"note": payload}, by=everything)
        assignment.lock_customer(crm, made.id or 0, reason=payload, by=SYSTEM)
        payments.record_payment(
            crm, {"customer_id": made.id, "kind": "deposit", "amount": 1, "paid_on": crm.today(),
                  "note": payload, "receipt_number": f"{payload[:20]}{n}"}, by=SYSTEM)  # fmt: skip
        records.save_record(crm, Course(title=payload[:60]), by=SYSTEM)
        records.save_record(crm, School(title=payload[:60]), by=SYSTEM)
        title = payload[:40]
        records.save_record(crm, Department(code=70_000 + n, title=title), by=SYSTEM)
        far = house.far.id or 0
        records.save_record(crm, Employee(name=title, department_id=far), by=SYSTEM)
        views.save_view(crm, "customers", {"title": title, "query": "q=1"}, by=everything)
        _poison_the_office(house, n, payload, made.id or 0)
    return house


def _poison_the_office(house: House, n: int, payload: str, customer_id: int) -> None:
    """Put a payload into what the office keeps: roles, menus, permissions, accounts, notices."""
    crm, title = house.crm, payload[:30]
    access.add_role(crm, {"title": f"{title}{n}", "title_en": title, "permissions": []}, by=SYSTEM)
    menu = records.save_record(crm, Menu(title=f"{title}{n}", title_en=title), by=SYSTEM)
    group = PermissionGroup(title=f"{title}{n}", title_en=title, menu_id=menu.id)
    records.save_record(crm, group, by=SYSTEM)
    every = [p for part in access.list_permissions(crm, by=SYSTEM) for p in part.permissions]
    one = every[n % len(every)]
    access.arrange_permission(crm, one.code, {"title": title, "title_en": title},
                              version=one.version, by=SYSTEM)  # fmt: skip
    person = Employee(name=title, department_id=house.far.id or 0)
    employee = records.save_record(crm, person, by=SYSTEM)
    access.create_user(crm, {"username": f"poisoned{n}", "employee_id": employee.id,
                             "roles": ["teacher"]}, by=SYSTEM)  # fmt: skip
    with crm.unit_of_work() as uow:
        uow.records.add(Student(customer_id=customer_id, guardian_name=title, company=title,
                                emergency_contact=title))  # fmt: skip
        uow.notices.add([Notice(
            event=Event.TEST, channel="inapp", recipient_id=employee.id or 0, subject=payload,
            body=payload, about=title, idempotency_key=f"poison:{n}", created_at=crm.now(),
            error=payload, next_attempt_at=crm.now(),
        )])  # fmt: skip


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_whatever_people_type_is_shown_as_text(
    visit: Visit, app: Starlette, poisoned: House, everything: Principal
) -> None:
    """No page has a tag, an attribute or a comment that somebody typed."""
    me, wrong, shown, tells = visit(everything), [], 0, dict[str, bool]()
    paths = [
        filled(poisoned, s.path, {"token": "x"})
        for s in app.state.site.screens
        if "GET" in s.methods and not s.path.endswith((".csv", ".xlsx", ".json"))
    ]
    own = [c.id for c in intake.list_customers(poisoned.crm, by=everything)]
    paths += [f"/customers/{n}" for n in own] + [f"/customers/{n}/edit" for n in own[:5]]
    for path in paths:
        for query in ("", "?size=200"):
            body = me.get(path + query).text
            shown += "xss" in body
            wrong += [f"{path}: {d}" for d in DANGER if d in body.lower()]
            tells[path] = tells.get(path, False) or "xss" in body
    outcome = me.post("/customers/actions/transfer/undo", {"ids": own}).text
    wrong += [f"outcome: {d}" for d in DANGER if d in outcome.lower()]
    assert "xss" in outcome
    assert not wrong, "\n".join(wrong)
    # What somebody may type and no page shows is not tried at all.
    assert not [path for path in TELLING if not tells[path]]
    assert shown > 40, "the payloads are on the pages"


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_whatever_is_asked_comes_back_as_text(
    visit: Visit, app: Starlette, everything: Principal, house: House
) -> None:
    """What stands in an address or a refused form is shown again, and only as text."""
    me, wrong = visit(everything), []
    for payload in XSS:
        q = quoted(payload)
        answers: list[Any] = [
            me.get(f"/customers?q={q}&source={q}&sort={q}&tab={q}&x={q}"),
            me.get(f"/my/customers?q={q}&tab={q}"), me.get(f"/{q}"), me.get(f"/customers/{q}"),
            me.get(f"/customers?created_at.from={q}"), me.get(f"/views/new?list={q}&address={q}"),
            me.get(f"/customers/new?back=/{q}"),
            me.get(f"/customers/actions/release?ids=1&state={q}"),
            me.get(f"/customers/columns?back=/{q}"), me.get(f"/sign-in?next=/{q}"),
            me.get(f"/hand-over?from={q}"),
            me.post("/customers/new", {"name": payload * 40, "phone": payload, "source": payload}),
            me.post("/courses/new", {"title": payload * 40}),
            me.post("/views/new", {"list": payload, "title": payload * 9}),
            me.post("/hand-over", {"from_id": payload, "to_ids": payload, "reason": payload}),
            me.post("/pool-rules", {"holidays": payload, "rule": "0", "0.contact_days": payload,
                                    "version": "0"}),
        ]  # fmt: skip
        for answer in answers:
            wrong += [f"{answer.url}: {d}" for d in DANGER if d in answer.text.lower()]
    assert not wrong, "\n".join(wrong[:20])
