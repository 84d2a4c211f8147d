"""What every answer has, whatever its status; and what htmx gets where a page would be wrong."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
import pytest
from starlette.testclient import TestClient

from crm_domain import SYSTEM
from crm_domain.errors import DatabaseBusy
from crm_domain.ports import Storage, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.usecases import access, exports, intake, pool, preferences, views
from crm_web import pages, resources
from crm_web.answers import Json
from crm_web.app import make_app
from crm_web.asgi import application
from crm_web.resource import PAGE
from crm_web.screen import ANYBODY, SIGNED_IN, Screen
from crm_web.security import A_YEAR, CSP, HEADERS
from make import World, phone
from steps import login
from web.conftest import Visit
from web.house import House, filled
from web.visitor import BOOSTED, FRAGMENT, PASSWORD, Visitor

PLAIN: Mapping[str, str] = {}
KINDS = {"plain": PLAIN, "boosted": BOOSTED, "fragment": FRAGMENT}


@pytest.fixture
def engine_name() -> str:
    """Answers look the same on every engine."""
    return "sqlite"


# -- headers ----------------------------------------------------------------------------------


def answers(world: World, visit: Visit) -> dict[str, Any]:
    """Give an answer of every status that there is."""
    me, stranger = visit(world.a), visit(address="203.0.113.5")
    own = world.customer(world.a).id
    broken = Visitor(_broken(world), portal=me.client.portal, raise_server_exceptions=False)
    broken.client.cookies = me.client.cookies
    return {
        "200 page": me.get("/customers"), "200 json": me.get("/customers.json"),
        "200 file": me.get(me.client.app.state.site.files.address("crm.css")),  # type: ignore[attr-defined]
        "200 sign of life": stranger.get("/livez"), "200 ready": stranger.get("/readyz"),
        "303 sign in": stranger.get("/customers"),
        "303 done": me.post("/me/language", {"language": "zh"}),
        "400 host": me.client.get("/", headers={"Host": "evil.example"}),
        "401 json": stranger.get("/customers.json"), "403 right": me.get("/pool-rules"),
        "403 origin": me.client.post("/sign-out", headers={"Origin": "null"}),
        "403 token": me.send("POST", "/sign-out"), "404 page": me.get("/nothing/here"),
        "404 record": me.get("/customers/987654"), "404 file": stranger.get("/static/none.css"),
        "404 stranger": stranger.get("/nothing"), "405": me.send("DELETE", "/customers"),
        "409": me.post("/customers/987654/follow-up", {"note": "x"}),
        "413": me.client.post("/customers/new", content=b"x" * (13 * 2**20), headers={
            "Origin": me.base, "Content-Type": "application/x-www-form-urlencoded"}),
        "422": me.post("/customers/new", {}),
        "422 list": me.get("/customers?created_at.from=never"),
        "500": broken.get(f"/customers/{own}"),
    }  # fmt: skip


def _broken(world: World) -> Any:
    """Make a web face whose page of a customer fails in the middle."""

    def fail(*args: Any, **more: Any) -> Any:
        raise RuntimeError("secret of the database: 13800138000")

    screens = [*pages.screens(), *resources.resources()]
    return make_app(world.crm, [
        attrs.evolve(s, call=fail) if getattr(s, "path", "") == "/customers/{id:int}" else s
        for s in screens
    ])  # fmt: skip


@pytest.mark.parametrize("base", ["", "https://localhost"])
def test_every_answer_has_the_headers_that_guard_it(
    world: World, visit: Visit, app: Any, portal: object, base: str
) -> None:
    """Whatever the status: CSP, no sniffing, no frames, a number, nothing kept by caches."""
    crm = attrs.evolve(world.crm, settings=attrs.evolve(world.crm.settings, base_url=base))
    if base:
        strict = Visitor(application(crm), portal=portal, base=base)
        found = {"page": strict.get("/sign-in"), "404": strict.get("/nothing")}
        for name, answer in found.items():
            wish = f"max-age={A_YEAR}"
            assert answer.headers["strict-transport-security"] == wish, name
        return
    for name, answer in answers(world, visit).items():
        assert str(answer.status_code) == name[:3], name
        for header, value in HEADERS.items():
            assert answer.headers.get(header) == value, (name, header)
        assert len(answer.headers["x-request-id"]) == 16, name
        ours = "public, max-age=31536000, immutable" if name == "200 file" else "no-store"
        assert answer.headers["cache-control"] == ours, name
        assert "strict-transport-security" not in answer.headers
        assert "server" not in answer.headers
        assert "x-powered-by" not in answer.headers


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere() -> None:
    """Whoever loosens it must change this test, too."""
    rules = dict(part.strip().split(" ", 1) for part in CSP.split(";"))
    assert rules["default-src"] == "'none'"
    assert {"unsafe-inline", "unsafe-eval", "http:", "https:", "*"} & set(CSP.split()) == set()
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert rules["frame-ancestors"] == rules["base-uri"] == rules["object-src"] == "'none'"


def test_no_page_has_anything_inline(world: World, visit: Visit) -> None:
    """What the policy would forbid is not there: styles, scripts, handlers, other sites."""
    me = visit(world.a)
    own = world.customer(world.a).id
    for path in ("/", "/customers", "/pool", "/my/customers", f"/customers/{own}", "/sign-in",
                 "/customers/new", "/rotation", "/me", "/nothing"):  # fmt: skip
        page = me.get(path).text.lower()
        for word in (" style=", " onclick=", " onload=", "<style", "javascript:", "hx-on",
                     'src="//', 'src="http', 'href="http'):  # fmt: skip
            assert word not in page, (path, word)
        assert page.count("<script") == page.count('<script src="/static/'), path


def test_two_answers_have_two_numbers(world: World, visit: Visit) -> None:
    """And the one that a person reads is the one of the header."""
    me = visit(world.a)
    first, second = me.get("/nothing"), me.get("/nothing")
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert first.headers["x-request-id"] in first.text


# -- failures ---------------------------------------------------------------------------------


class Stumbling:
    """A storage that fails once, as after a restart of the database, and then answers again."""

    def __init__(self, storage: Storage, error: Exception) -> None:
        self._storage, self._error, self.fails = storage, error, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def unit_of_work(self, **how: bool) -> UnitOfWork:
        if self.fails:
            self.fails = False
            raise self._error
        return self._storage.unit_of_work(**how)


@pytest.mark.parametrize("error", [DatabaseBusy(), OSError("the connection is gone")])
@pytest.mark.parametrize("kind", KINDS)
def test_no_screen_takes_what_was_not_read_for_an_empty_form(
    world: World, visit: Visit, portal: object, kind: str, error: Exception
) -> None:
    """Whoever could not be recognised at once is told to send it again, and nothing is written."""
    storage = Stumbling(world.crm.storage, error)
    me = Visitor(application(attrs.evolve(world.crm, storage=storage)), portal=portal)  # type: ignore[arg-type]
    name = login(world.crm, world.a)
    access.set_password(world.crm, name, PASSWORD, by=SYSTEM)
    me.sign_in(name)
    wanted = {"lead_expiring.email": "1", "version": "0"}
    for path, form in (("/me/notifications", wanted), ("/customers/columns", {"columns": "qq"}),
                       ("/customers/new", {"name": "王", "phone": phone()})):  # fmt: skip
        storage.fails = True
        answer = me.post(path, form, **KINDS[kind], X_CSRF_Token=me.token)
        assert answer.status_code == 503, path
        assert answer.headers["retry-after"] == "2"
        assert DatabaseBusy.zh in answer.text
        assert not storage.fails
    assert preferences.read_preferences(world.crm, by=world.a).version == 0
    assert views.read_preference(world.crm, "customers", by=world.a).id is None
    assert intake.list_customers(world.crm, by=SYSTEM).items == []
    assert me.post("/customers/columns", {"columns": "qq"}).status_code == 303


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_tells_its_number_and_nothing_of_its_cause(
    world: World, visit: Visit, kind: str
) -> None:
    """No message of the program, no data; and the address in the browser stays true."""
    me = visit(world.a)
    broken = Visitor(_broken(world), portal=me.client.portal, raise_server_exceptions=False)
    broken.client.cookies = me.client.cookies
    found = broken.get("/customers/1", **KINDS[kind])
    assert found.status_code == 500
    assert found.headers["x-request-id"] in found.text
    assert "13800138000" not in found.text
    assert "RuntimeError" not in found.text
    assert "没有改动任何数据" in found.text
    if kind == "fragment":
        shown_above(found)
    else:
        whole(found)


def shown_above(answer: Any) -> None:
    """What was pressed is answered by a word above the page that is there."""
    assert answer.headers["hx-retarget"] == "#flash"
    assert answer.headers["hx-reswap"] == "innerHTML"
    assert answer.headers["hx-push-url"] == "false"
    assert "<html" not in answer.text
    assert 'role="alert"' in answer.text


def whole(answer: Any) -> None:
    """A page was asked for, and a page comes."""
    assert "hx-retarget" not in answer.headers
    assert "<html" in answer.text
    assert answer.headers["x-request-id"] in answer.text


@pytest.mark.parametrize("gone", ["notice", "permission", "sign_in"])
def test_a_refusal_is_shown_also_where_the_menu_cannot_be_read(
    world: World, visit: Visit, gone: str
) -> None:
    """A page with a number to tell, and never a bare error, whatever the database has lost."""
    person = world.person("孙总", "administrator")
    me = visit(person)
    lost = Visitor(me.client.app, portal=me.client.portal, raise_server_exceptions=False)
    lost.client.cookies = me.client.cookies
    engine = world.crm.storage.engine  # type: ignore[attr-defined] - the tables are really taken away
    with engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {gone} RENAME TO lost")
    for path in ("/customers", "/nothing", "/customers/987654", "/customers/new"):
        answer = lost.get(path)
        assert answer.status_code in (404, 500), path
        assert answer.headers["x-request-id"] in answer.text, path
        assert "</html>" in answer.text, path
    ready = lost.get("/readyz")
    assert ready.status_code == (503 if gone == "notice" else 200)


def test_whoever_supervises_gets_an_answer_while_all_threads_are_taken(world: World) -> None:
    """A process that is busy is alive and ready, and is not taken out."""
    held, taken = threading.Event(), threading.Semaphore(0)

    def busy(c: Any) -> Any:
        taken.release()
        held.wait(30)
        return Json(data={})

    slow = Screen(path="/slow", needs=ANYBODY, call=busy)
    app = make_app(world.crm, [slow], threads=2)
    with TestClient(app, base_url="http://localhost") as client, ThreadPoolExecutor(2) as people:
        waiting = [people.submit(client.get, "/slow") for _ in range(2)]
        try:
            for _ in waiting:
                assert taken.acquire(timeout=30)
            begun = time.monotonic()
            assert client.get("/readyz").status_code == 200
            assert time.monotonic() - begun < 25
        finally:
            held.set()
        assert [w.result().status_code for w in waiting] == [200, 200]


# -- bodies -----------------------------------------------------------------------------------

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("who", ["signed in", "stranger", "signing in", "nowhere"])
def test_a_body_is_read_for_whoever_may_send_it_and_as_far_as_the_screen_wants(
    world: World, visit: Visit, who: str, chunked: bool
) -> None:
    """Whether its length is said or not: 2 MiB of who is known, little of others, nothing of who
    has to sign in first."""
    me = visit() if who in ("stranger", "signing in") else visit(world.a)
    read = 0

    def parts(size: int) -> Iterator[bytes]:
        nonlocal read
        for _ in range(size // 1024):
            read += 1024
            yield b"x" * 1024

    def send(size: int) -> int:
        nonlocal read
        read = 0
        path = {"signing in": "/sign-in", "nowhere": "/nothing"}.get(who, "/customers/new")
        content: Any = parts(size) if chunked else b"x" * size
        headers = {"Origin": me.base, **FORM, "X-CSRF-Token": me.token}
        return int(me.client.post(path, content=content, headers=headers).status_code)

    small, most = 32 * 1024, {"signed in": 2**21, "signing in": 2**16}.get(who)
    if who == "stranger":
        assert [send(small), send(2**22)] == [303, 303]
        assert read <= 1024
    elif who == "nowhere":
        assert [send(small), send(2**22)] == [404, 404]
    else:
        assert most is not None
        assert [send(small), send(most), send(most + 1024)] == [422, 422, 413]


def test_a_screen_that_takes_a_file_says_so(world: World, visit: Visit) -> None:
    """It takes more than others, and never more than the longest that anything takes."""
    who = visit(world.a)

    def taken(c: Any) -> Any:
        return Json(data={"characters": len(c.one("text"))})

    def screen(path: str, **more: int) -> Screen:
        return Screen(path=path, needs=SIGNED_IN, methods=("POST",), call=taken, **more)

    app = make_app(world.crm, [screen("/plain"), screen("/file", largest=2**23),
                               screen("/boundless", largest=2**40)])  # fmt: skip
    me = Visitor(app, portal=who.client.portal)
    me.client.cookies = who.client.cookies
    head = {"Origin": me.base, **FORM, "X-CSRF-Token": me.token}
    for path, least, most in (("/plain", 1, 3), ("/file", 7, 9), ("/boundless", 11, 13)):
        for many, status in ((least, 200), (most, 413)):
            body = b"&".join([b"text=" + b"x" * (2**20 - 6)] * many)
            assert me.client.post(path, content=body, headers=head).status_code == status, path


# -- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_two_exports_are_written_at_a_time_and_the_third_is_told_so(
    world: World, visit: Visit, ending: str
) -> None:
    """It says when to come back; what is refused or fails gives its place back."""
    me = visit(world.manager)
    world.customer(world.a, name="导出我")
    exporting = me.client.app.state.site.exporting  # type: ignore[attr-defined]
    with exporting, exporting:
        full = me.get(f"/customers.{ending}")
        assert full.status_code == 503
        assert int(full.headers["retry-after"]) > 30
        assert "其他导出正在进行" in full.text
    for _ in range(3):
        assert me.get(f"/customers.{ending}?created_at.from=never").status_code == 422
        done = me.get(f"/customers.{ending}")
        assert done.status_code == 200
        assert int(done.headers["content-length"]) == len(done.content) > 0
    assert "导出我" in me.get("/customers.csv").content.decode("utf-8-sig")


def test_more_rows_than_a_workbook_holds_are_refused_and_not_cut(
    world: World, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal says what to do; the other kind of file has no such end."""
    monkeypatch.setattr(exports, "MOST_ROWS", 3)
    me = visit(world.manager)
    for n in range(4):
        world.customer(world.a, name=f"客户{n}")
    told = me.get("/customers.xlsx")
    assert told.status_code == 409
    assert "最多 3 行" in told.text
    assert me.get("/customers.csv").content.decode("utf-8-sig").count("客户") >= 4
    assert me.get("/customers.xlsx?q=客户1").status_code == 200


def test_finance_exports_payments_and_not_customers(world: World, visit: Visit) -> None:
    """Each file by the permission of its own."""
    finance = visit(world.person("财务", "finance"))
    assert finance.get("/payments.csv").status_code == 200
    for path in ("/customers.csv", "/assignments.csv", "/follow-ups.xlsx"):
        assert finance.get(path).status_code == 403, path


def test_no_page_of_json_holds_more_than_a_page_of_the_list(world: World, visit: Visit) -> None:
    """Whoever asks for all at once gets a page, as by eye (docs/decisions/0020)."""
    me = visit(world.a)
    for n in range(52):
        world.customer(world.a, name=f"客户{n}")
    for size in ("", "?size=100000", "?size=-1", "?size=x", "?limit=1000"):
        assert len(me.get(f"/customers.json{size}").json()["items"]) == PAGE, size


# -- htmx -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("kind", KINDS)
def test_whoever_has_to_sign_in_is_asked_in_place(
    world: World, visit: Visit, kind: str, method: str
) -> None:
    """A browser is led to the form and back; htmx shows it in a dialog above what was typed."""
    stranger = visit()
    answer = stranger.client.request(
        method, "/customers/new?back=/pool", headers={"Origin": stranger.base, **KINDS[kind]}
    )
    if kind == "plain":
        assert answer.status_code == 303
        to = "/sign-in?next=%2Fcustomers%2Fnew%3Fback%3D%2Fpool" if method == "GET" else "/sign-in"
        assert answer.headers["location"] == to
        return
    assert answer.status_code == 401
    assert answer.headers["hx-retarget"] == "#again-body"
    assert answer.headers["hx-reswap"] == "innerHTML"
    assert answer.headers["hx-push-url"] == "false"
    assert "<html" not in answer.text
    assert 'name="again" value="1"' in answer.text


def test_signing_in_again_in_the_dialog_keeps_the_page(world: World, visit: Visit) -> None:
    """Nothing is swapped; the page hears of the new session's token, and goes on with it."""
    me = visit(world.a)
    name = login(world.crm, world.a)
    me.client.cookies.delete(me.cookie)
    wrong = me.client.post("/sign-in", data={"username": name, "password": "x", "again": "1"},
                           headers={"Origin": me.base, **FRAGMENT})  # fmt: skip
    assert wrong.status_code == 422
    assert "<html" not in wrong.text
    assert 'name="again" value="1"' in wrong.text
    assert name in wrong.text
    answer = me.sign_in(name, again="1")
    assert answer.status_code == 204
    assert me.token in answer.headers["hx-trigger"]
    assert me.post("/me/language", {"language": "en"}).status_code == 303


def test_a_word_of_refusal_has_the_number_of_its_request(world: World, visit: Visit) -> None:
    """Whatever was pressed and refused can be found in the log by what people read out."""
    me, claimed = visit(world.a), str(world.customer().id)
    pool.claim_customer(world.crm, int(claimed), by=world.b)
    for status, path, form in (
        (403, "/pool-rules", {}), (404, "/views/manage", {"list": "customers", "id": "987654"}),
        (409, "/pool/actions/claim", {"ids": claimed}),
    ):  # fmt: skip
        answer = me.post(path, form, **FRAGMENT)
        assert answer.status_code == status
        assert answer.headers["x-request-id"] in answer.text


def test_what_the_guard_refuses_it_explains_above_the_page(world: World, visit: Visit) -> None:
    """In both languages, with the number; under htmx nothing of the page is replaced by it."""
    me = visit(world.a)
    asked = (
        (400, lambda **more: me.client.get("/customers", headers={"Host": "evil.example", **more})),
        (403, lambda **more: me.client.post("/sign-out", headers={"Origin": "null", **more})),
    )
    for status, ask in asked:
        for answer in (ask(), ask(**{"HX-Request": "true"})):
            assert answer.status_code == status
            assert answer.headers["x-request-id"] in answer.text
            assert re.search(r"[一-鿿].*[a-z]", answer.text)
        shown_above(answer)


def test_the_message_of_a_field_belongs_to_it_for_the_ear(world: World, visit: Visit) -> None:
    """Also of a box and of a group of boxes a screen reader says what is wrong."""
    me = visit(world.a)
    answer = me.post("/customers/new", {"name": "甲", "phone": phone(), "courses": "nonsense"})
    assert answer.status_code == 422
    assert re.search(r'aria-describedby="f-courses-e"', answer.text)
    assert 'id="f-courses-e"' in answer.text


@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_page_is_a_page_and_a_refused_press_a_word(
    world: World, visit: Visit, kind: str
) -> None:
    """403, 404 and 409, each where it makes sense."""
    me, headers = visit(world.a), KINDS[kind]
    for path, status in (("/pool-rules", 403), ("/customers/987654", 404), ("/nothing", 404)):
        answer = me.client.get(path, headers=dict(headers))
        assert answer.status_code == status
        (shown_above if kind == "fragment" else whole)(answer)
    for path, status in (("/pool-rules", 403), ("/customers/987654/follow-up", 409)):
        answer = me.client.post(path, data={"csrf": me.token, "note": "x"},
                                headers={"Origin": me.base, **headers})  # fmt: skip
        assert answer.status_code == status
        (whole if kind == "plain" else shown_above)(answer)


def test_every_page_can_be_asked_for_in_part(
    visit: Visit, app: Any, house: House, everything: Principal
) -> None:
    """Lists, forms and dialogs come to htmx as well, boosted or not."""
    me, wrong = visit(everything), []
    for screen in app.state.site.screens:
        if "GET" in screen.methods and not screen.path.endswith((".csv", ".xlsx", ".json")):
            to = filled(house, screen.path, {"token": "x"})
            plain = me.get(to).status_code
            for name, headers in KINDS.items():
                # A redirect would end in the dialog, so htmx is told where to go on instead.
                wish = 204 if (plain, name) == (303, "fragment") else plain
                if (found := me.client.get(to, headers=dict(headers)).status_code) != wish:
                    wrong.append(f"{name} {to}: {found}, not {wish}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_a_form_with_mistakes_comes_back_with_what_was_typed(
    world: World, visit: Visit, kind: str
) -> None:
    """422 with the error beside the field, also where htmx sent it."""
    me = visit(world.a)
    answer = me.client.post(
        "/customers/new", data={"csrf": me.token, "name": "王小明", "phone": "123"},
        headers={"Origin": me.base, **KINDS[kind]},
    )  # fmt: skip
    assert answer.status_code == 422
    assert 'value="王小明"' in answer.text
    assert 'value="123"' in answer.text
    assert 'aria-describedby="f-phone-e"' in answer.text
    assert "hx-retarget" not in answer.headers


@pytest.mark.parametrize("kind", KINDS)
def test_the_second_of_two_editors_sees_what_differs(world: World, visit: Visit, kind: str) -> None:
    """409 with both values; saving again is the person's decision."""
    me = visit(world.a)
    customer = world.customer(world.a, company="旧公司")
    number = customer.id or 0
    intake.edit_customer(world.crm, number, {"company": "别人写的"}, version=1, by=SYSTEM)
    form = {"csrf": me.token, "name": "王芳", "phone": phone(), "company": "我写的", "version": "1"}
    to = f"/customers/{number}/edit"
    answer = me.client.post(to, data=form, headers={"Origin": me.base, **KINDS[kind]})
    assert answer.status_code == 409
    assert 'value="我写的"' in answer.text
    assert "别人写的" in answer.text
    assert 'name="version" value="2"' in answer.text
    again = me.client.post(to, data={**form, "version": "2"}, headers={"Origin": me.base})
    assert again.status_code == 303
    assert intake.get_customer(world.crm, number, by=SYSTEM).company == "我写的"


def test_an_action_done_from_a_dialog_replaces_the_page(world: World, visit: Visit) -> None:
    """htmx is told where to go; a redirect would land in the dialog."""
    me = visit(world.a)
    number = world.customer(world.a).id
    answer = me.client.post(
        "/customers/actions/release", data={"csrf": me.token, "ids": number},
        headers={"Origin": me.base, **FRAGMENT},
    )  # fmt: skip
    assert answer.status_code == 204
    assert '"path": "/customers"' in answer.headers["hx-location"]


def test_a_program_gets_its_refusals_as_json(world: World, visit: Visit) -> None:
    """With the code, the status and the number of the request, in 401, 403 and 422."""
    me, stranger = visit(world.a), visit()
    teacher = visit(world.person("老师", "teacher"))
    for browser, path, status in (
        (stranger, "/customers.json", 401), (teacher, "/customers.json", 403),
        (me, "/customers.json?created_at.from=never", 422),
    ):  # fmt: skip
        answer = browser.get(path)
        assert answer.status_code == status
        data = answer.json()
        assert data["status"] == status
        assert data["instance"] == answer.headers["x-request-id"]
        assert data["type"].startswith("urn:school-crm:")
