"""Every screen × method × role × whose the object is (spec section 10): who gets in, what is told.

The rows are written by hand in `expected`; the columns are generated from the screens that are
there, so whoever adds a screen must say here who may open it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from starlette.applications import Starlette

from crm_adapters import open_crm
from crm_domain import SYSTEM
from crm_domain.model import Payment, PaymentKind, SavedView
from crm_domain.rules.access import ROLES as BUILT_IN
from crm_domain.testing.clock import FixedClock
from crm_domain.usecases import assignment, pool, sessions
from crm_web.asgi import application
from make import phone, start_of_november
from web.expected import (
    ANYBODY,
    BESIDE,
    CONFLICT,
    DONE,
    EXPECTED,
    HIDDEN,
    KEPT,
    MASKED,
    NONE,
    OWNED,
    SHOWN,
    SIGNED_IN,
    TOLD,
    Row,
)
from web.house import EVERYBODY, FULL, KINDS, MISSING, NOBODY, ROLES, THERE, House, filled
from web.visitor import Visitor

PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
GRANTED = {role.code: role.permissions for role in BUILT_IN} | {"bare": frozenset[str]()}
_numbers = count(1)


class Place:
    """A house with its web face."""

    def __init__(self, house: House, app: Starlette, portal: object) -> None:
        self.house, self.app, self.portal = house, app, portal
        self._browsers: dict[str, Visitor] = {}

    def open_one(self) -> Visitor:
        # Everybody sits somewhere else, so that nobody waits for what others typed wrong.
        return Visitor(self.app, portal=self.portal, address=f"198.51.100.{next(_numbers)}")

    def browser(self, who: str) -> Visitor:
        """Give the browser of somebody; everybody has one."""
        if who not in self._browsers:
            self._browsers[who] = self.house.browser(self.open_one, who)
        return self._browsers[who]

    def again(self, who: str) -> Visitor:
        """Sign somebody in anew, as after signing out."""
        self._browsers.pop(who, None)
        return self.browser(who)


@pytest.fixture(scope="module")
def shared(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, portal: object
) -> Iterator[Place]:
    """Give one house on SQLite for all that changes no customer."""
    path = tmp_path_factory.mktemp("house") / "crm.db"
    path.write_bytes(sqlite_template.read_bytes())
    clock = FixedClock(start_of_november())
    with open_crm(f"sqlite:///{path}", clock=clock) as crm:
        yield Place(House(crm, clock), application(crm), portal)


@pytest.fixture
def place(crm: Any, clock: FixedClock, app: Starlette, portal: object) -> Place:
    """Give a house of one's own, once for each engine."""
    return Place(House(crm, clock), app, portal)


def told(answer: Any) -> str:
    """Give all that an answer says: headers, and the text of sheets."""
    body = answer.text
    if "spreadsheetml" in answer.headers.get("content-type", ""):
        book = openpyxl.load_workbook(BytesIO(answer.content))
        body = "\n".join(str(c.value) for sheet in book for row in sheet for c in row)
    return body + repr(dict(answer.headers))


# -- screens × roles ---------------------------------------------------------------------------


def test_every_screen_has_an_expectation_and_every_expectation_a_screen(shared: Place) -> None:
    """A route that nobody thought about does not get in."""
    there = {s.path: set(s.methods) for s in shared.app.state.site.screens}
    known = {path: row.methods for path, row in EXPECTED.items()}
    assert there == known, "write a row into tests/web/expected.py"


def test_everything_that_is_served_is_a_screen_a_file_or_a_sign_of_life(shared: Place) -> None:
    """No route goes past the endpoint that asks who somebody is."""
    others = {r.path for r in shared.app.routes} - EXPECTED.keys()
    assert others == {"/static/{name}", "/livez", "/readyz"}


def expected(who: str, path: str, row: Row, method: str) -> int:
    """Tell the status that somebody gets."""
    if who in NOBODY and row.needs != ANYBODY:
        return 401 if path.endswith(".json") and method == "GET" else 303
    may = row.needs in (ANYBODY, SIGNED_IN) or row.needs in GRANTED.get(who, ())
    if not may:
        return 403
    if row.staff and who in WITHOUT:
        return 403
    status = row.get if method == "GET" else row.post
    assert status is not None
    return status


WITHOUT = ("administrator", "bare")
"""Their accounts belong to no employee."""
REPORTS = ("/inbox", "/notices", "/audit")
"""What tells of the past, also of a customer that was put away since, to whoever had it."""


@pytest.mark.parametrize("who", EVERYBODY)
def test_every_screen_answers_everybody_as_expected(shared: Place, who: str) -> None:
    """Whoever lacks the permission gets in nowhere, by no method, and reads no canary."""
    house, wrong = shared.house, []
    browser = shared.again(who)
    for path, row in EXPECTED.items():
        for method in sorted(row.methods):
            wish = expected(who, path, row, method)
            to = filled(house, path, row.at)
            form = {"username": f"nobody-{who}"} if path == "/sign-in" else {}
            answer = browser.get(to) if method == "GET" else browser.post(to, form)
            if answer.status_code != wish:
                wrong.append(f"{method} {path}: {answer.status_code}, not {wish}")
            past = path.startswith(REPORTS)
            leaked = [what for what in house.leaks(who, told(answer))
                      if not (past and what.startswith("archived"))]  # fmt: skip
            if leaked:
                wrong.append(f"{method} {path} tells {leaked}")
            if wish == 303 and who in NOBODY:
                assert answer.headers["location"].startswith("/sign-in"), path
            if path == "/sign-out" and who not in NOBODY:
                browser = shared.again(who)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("who", EVERYBODY)
def test_no_other_method_gets_anywhere(shared: Place, who: str) -> None:
    """What a screen does not take is 405, whoever asks, and changes nothing."""
    browser, wrong = shared.browser(who), []
    for path, row in EXPECTED.items():
        to = PARAMETER.sub(lambda found, at=row.at: str(at.get(found[1], 1)), path)
        for method in {"POST", "PUT", "PATCH", "DELETE"} - row.methods:
            answer = browser.send(method, to, {"csrf": browser.token})
            if answer.status_code != 405:
                wrong.append(f"{method} {path}: {answer.status_code}")
    assert not wrong, "\n".join(wrong)


# -- screens × roles × whose the customer is ---------------------------------------------------

NUMBERED = [p for p in EXPECTED if p.startswith("/customers/{id:int}")]
SALES = ("/customers", "/pool", "/my", "/payments")
ACTED = ["/payments/new", *(p for p in EXPECTED if "/actions/" in p and p.startswith(SALES))]
READ = {SHOWN: 200, MASKED: 200, NONE: 404, DONE: 303, KEPT: 200, TOLD: 200, CONFLICT: 409,
        HIDDEN: 422, BESIDE: 422}  # fmt: skip


def test_every_screen_for_one_customer_says_what_it_does_with_whose(shared: Place) -> None:
    """Each role that holds the permission has an answer for each kind of customer."""
    wanted = {
        (role, method, path)
        for path in (*NUMBERED, *ACTED)
        for method in EXPECTED[path].methods
        # The small form of an action reads no customer, nor does the form of a new payment.
        if not (path in ACTED and method == "GET")
        for role in ROLES
        if EXPECTED[path].needs in GRANTED[role]
    }
    assert wanted == OWNED.keys()


def send(house: House, browser: Visitor, method: str, path: str, number: int) -> Any:
    """Ask for something with one customer, in a form that is filled in well."""
    to = path.replace("{id:int}", str(number)).replace("{name}", EXPECTED[path].at.get("name", ""))
    if method == "GET":
        return browser.get(to)
    heir = house.world.c.employee_id
    form: dict[str, Any] = {"note": "谈过", "reason": "换人", "to_id": heir, "ids": number}
    if path.endswith(("/edit", "/{name}")):
        form = {"name": "Changed", "phone": phone(), "version": version(house, number)}
    elif path == "/payments/new":
        form = {"customer_id": number, "kind": "deposit", "amount": "100",
                "paid_on": house.crm.today()}  # fmt: skip
    elif path.startswith("/payments"):
        form["ids"] = paid(house, number)
    return browser.post(to, form)


def paid(house: House, number: int) -> int:
    """Enter a payment of a customer that waits for finance, whatever the customer is."""
    with house.crm.unit_of_work() as uow:
        found = uow.customers.get(number)
        if found is None:
            return MISSING
        made = Payment(customer_id=number, kind=PaymentKind.DEPOSIT, amount=Decimal(100),
                       paid_on=house.crm.today(), created_at=house.clock(),
                       consultant_id=found.last_consultant_id)  # fmt: skip
        return uow.records.add(made).id or 0


def version(house: House, number: int) -> int:
    with house.crm.unit_of_work(read_only=True) as uow:
        found = uow.customers.get(number)
    return 1 if found is None else found.version


def known_by(number: int, answer: Any) -> str:
    """Give the status and what is said, without the number asked for and that of the request."""
    body = re.sub(r"<code>[0-9a-f]{16}</code>", "", answer.text)
    content = body[body.find("<main") :]
    # The token of the form is new each time, and what was typed is shown again.
    content = re.sub(r'(name="once" value=")[^"]+', r"\1", content)
    content = content.replace(f'value="{number}"', 'value="N"')
    return f"{answer.status_code} " + re.sub(rf"(?<![\w\"=.-]){number}(?!\d)", "N", content)


def made(house: House, path: str, kind: str) -> int:
    """Make a customer to which what is asked for can be done, if by anybody."""
    number = house.make(kind)
    if path.endswith("/unlock") and kind not in ("archived", "missing"):
        assignment.lock_customer(house.world.crm, number, reason="x", by=SYSTEM)
    return number


@pytest.mark.parametrize("role", [r for r in ROLES if r in FULL])
def test_what_is_done_with_a_customer_depends_on_whose_it_is(place: Place, role: str) -> None:
    """Each role gets the answer of the table, and learns nothing of customers out of reach."""
    house, wrong = place.house, []
    browser = place.browser(role)
    cells = {key[1:]: by_kind for key, by_kind in OWNED.items() if key[0] == role}
    for (method, path), by_kind in cells.items():
        for kind in KINDS:
            wish = by_kind[kind]
            number = house.ids[kind] if method == "GET" else made(house, path, kind)
            answer = send(house, browser, method, path, number)
            where = f"{method} {path} of {kind}"
            if answer.status_code != READ[wish]:
                wrong.append(f"{where}: {answer.status_code}, not {wish}")
            elif method == "GET" and wish in (SHOWN, MASKED):
                secret = house.canaries[kind].secret[0]
                if (secret in answer.text) is not (wish == SHOWN):
                    wrong.append(f"{where}: the phone is not {wish}")
            if leaked := house.leaks(role, told(answer)):
                wrong.append(f"{where} tells {leaked}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("role", [r for r in ROLES if r in FULL])
def test_out_of_reach_is_answered_like_not_there(place: Place, role: str) -> None:
    """Whether another department's customer exists cannot be told from any answer."""
    house, wrong = place.house, []
    browser = place.browser(role)
    for (who, method, path), by_kind in OWNED.items():
        if who != role:
            continue
        if path == "/payments/actions/reject":
            # Whoever does it sees all payments, also those of customers that were put away.
            continue
        missing = known_by(MISSING, send(house, browser, method, path, MISSING))
        for kind in THERE:
            if kind in NAMED_TO.get(role, ()) or by_kind[kind] in (DONE, KEPT, SHOWN, MASKED):
                continue
            number = made(house, path, kind)
            if known_by(number, send(house, browser, method, path, number)) != missing:
                wrong.append(f"{method} {path}: {kind} is answered otherwise than missing")
    assert not wrong, "\n".join(wrong)


NAMED_TO = {
    "consultant": ("own", "pool", "expired", "enrolled"),
    "sales_manager": ("own", "colleague", "pool", "expired", "enrolled"),
    "finance": ("own", "colleague", "other", "pool", "expired", "enrolled"),
    "administrator": ("own", "colleague", "other", "pool", "expired", "enrolled"),
}
"""Of whom a role may know that they exist."""


def test_a_lost_claim_tells_who_has_the_customer_and_nothing_of_it(place: Place) -> None:
    """The refusal names the owner and the moment, as spec section 5 asks, and no customer."""
    house, number = place.house, place.house.make("pool")
    quicker = house.world.person("外人乙", department_id=house.far.id)
    pool.claim_customer(house.crm, number, by=quicker)
    browser = place.browser("consultant")
    answer = browser.post("/pool/actions/claim", {"ids": number})
    assert answer.status_code == 409
    assert "外人乙" in answer.text
    assert not house.leaks("consultant", told(answer))


# -- everything that can be asked of a list ----------------------------------------------------

LISTS = [path[1 : -len(".json")] for path in EXPECTED if path.endswith(".json")]
SOLD = ("customers", "pool", "my/customers", "assignments", "follow-ups", "payments")
"""Lists whose rows are customers, or about one each."""
EXPORTED = [f"/{name}{ending}" for name in LISTS for ending in ("", ".json", ".csv", ".xlsx")]


def asked(path: str) -> list[str]:
    """Give what is asked of each list: nothing, every filter, every order, all of it."""
    if path.endswith(("csv", "xlsx")):
        return ["", "?q=Z"]
    if path[1:].removesuffix(".json") not in SOLD:
        return ["", "?size=200", "?q=Z", "?q=note", "?q=139"]
    return [
        "", "?size=200", "?sort=name", "?sort=-phone", "?sort=wechat", "?owner_id=-",
        "?status=1&status=2&status=3&status=4&status=5", "?source=baidu", "?locked=false",
        "?created_at.from=2026-01-01", "?due_on.to=2027-01-01", "?q=Z", "?q=note", "?q=memo",
        "?q=139", "?q=wx_", "?consultant_id=1&consultant_id=2&consultant_id=3&consultant_id=4",
        "?last_consultant_id=1&last_consultant_id=2",
    ]  # fmt: skip


@pytest.mark.parametrize("who", [r for r in ROLES if r in FULL])
def test_no_list_tells_more_than_the_reach(place: Place, who: str) -> None:
    """Rows, counts, exports and JSON hold the same scope, whatever is asked."""
    house, wrong = place.house, []
    browser = place.browser(who)
    seen = 0
    for path in EXPORTED:
        if path not in EXPECTED or EXPECTED[path].needs not in GRANTED[who]:
            continue
        for query in asked(path):
            answer = browser.get(path + query)
            if answer.status_code not in (200, 422):
                wrong.append(f"{path}{query}: {answer.status_code}")
            body = told(answer)
            past = path.startswith(REPORTS)
            if leaked := [what for what in house.leaks(who, body)
                          if not (past and what.startswith("archived"))]:  # fmt: skip
                wrong.append(f"{path}{query} tells {leaked}")
            seen += house.canaries["own"].name in body
    assert not wrong, "\n".join(wrong)
    assert seen > 5, "nothing was asked that shows anything"


@pytest.mark.parametrize("who", ["consultant", "sales_manager"])
def test_search_does_not_find_by_what_is_hidden(place: Place, who: str) -> None:
    """A stranger's number finds as much as one that nobody has; a masked one only when whole."""
    house, wrong = place.house, []
    browser = place.browser(who)
    lists = [x for x in ("customers", "pool", "my/customers", "follow-ups", "assignments")
             if EXPECTED[f"/{x}"].needs in GRANTED[who]]  # fmt: skip
    for kind in THERE:
        if kind in FULL[who]:
            continue
        canary = house.canaries[kind]
        words = [*canary.secret, canary.note, *(s[1:] for s in canary.secret)]
        for word in words:
            if word in canary.secret and kind in NAMED_TO[who]:
                # Whoever types the whole number knows it; that the customer is there is no secret.
                continue
            nobody = word.translate(str.maketrans("0123456789_-", "1234567890zz"))
            for path in lists:
                found = [
                    known_by(0, browser.get(f"/{path}?q={q}")).replace(q, "Q")
                    for q in (word, nobody)
                ]
                if found[0] != found[1]:
                    wrong.append(f"{path}?q={word} ({kind})")
    assert not wrong, "\n".join(wrong)


def test_counts_are_those_of_the_reach(place: Place) -> None:
    """The number above the list and the numbers in its filters count what one may see."""
    browser = place.browser("consultant")
    total = re.search(r'id="total"[^>]*>共 ([\d,]+) 条', browser.get("/customers/facets").text)
    assert total is not None
    assert (
        int(total[1])
        == len(browser.get("/customers.json").json()["items"])
        == len(FULL["consultant"])
    )


def test_all_that_match_are_all_within_reach(place: Place) -> None:
    """An action on all that match takes nobody out of reach along."""
    house = place.house
    browser = place.browser("sales_manager")
    answer = browser.post("/customers/actions/transfer", {
        "all": "1", "state": "", "to_id": house.world.c.employee_id, "reason": "测试",
    })  # fmt: skip
    assert answer.status_code in (200, 303)
    with house.crm.unit_of_work(read_only=True) as uow:
        owners = {k: getattr(uow.customers.get(n), "owner_id", None) for k, n in house.ids.items()}
    assert owners["own"] == owners["colleague"] == house.world.c.employee_id
    assert owners["other"] == house.stranger.employee_id
    assert owners["pool"] is None


def test_a_duplicate_tells_status_and_owner_only(place: Place) -> None:
    """While somebody types, and when it is saved: whose it is and how far, no name, no number."""
    house = place.house
    browser = place.browser("consultant")
    taken = house.canaries["other"].secret[0]
    similar = browser.get(f"/customers/similar?phone={taken}")
    assert "外人甲" in similar.text
    saved = browser.post("/customers/new", {"name": "新来", "phone": taken, "source": "baidu"})
    assert saved.status_code == 409
    for answer in (similar, saved):
        left = told(answer).replace(taken, "")
        assert not house.leaks("consultant", left)
        assert f"/customers/{house.ids['other']}" not in left


def test_views_that_are_not_shared_are_nobody_elses(place: Place) -> None:
    """Neither shown, nor to be removed by number."""
    house = place.house
    browser = place.browser("consultant")
    assert "外人的视图" not in browser.get("/customers").text
    with house.crm.unit_of_work(read_only=True) as uow:
        (view,) = uow.records.all(SavedView, title="外人的视图")
    answers = [
        browser.post("/views/manage", {"list": "customers", "id": n, "sure": "1"})
        for n in (view.id, MISSING)
    ]
    assert [a.status_code for a in answers] == [404, 404]
    assert known_by(view.id or 0, answers[0]) == known_by(MISSING, answers[1])


def test_sessions_of_others_are_not_to_be_ended(place: Place) -> None:
    """The number of another's session is answered as one that is not there."""
    house = place.house
    other = place.browser("finance")
    theirs = sessions.resume(house.crm, other.session).id
    browser = place.browser("consultant")
    answers = [browser.post("/me/sessions/end", {"id": n}) for n in (theirs, MISSING)]
    assert [a.status_code for a in answers] == [404, 404]
    assert other.get("/me").status_code == 200
