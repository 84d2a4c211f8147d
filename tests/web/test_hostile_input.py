"""What nobody types by mistake: odd addresses, huge forms, text that wants to be a program."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from starlette.applications import Starlette

from crm_domain import SYSTEM
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
from make import World, phone
from web.conftest import Visit
from web.house import House, filled

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
