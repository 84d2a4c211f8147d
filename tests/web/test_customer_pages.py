"""Customers in the browser: entered, looked at, picked, and what can be done to them."""

from __future__ import annotations

import io
import re
from datetime import timedelta
from urllib.parse import quote

import attrs
import pytest
from openpyxl import load_workbook

from crm_domain import SYSTEM
from crm_domain.model import AuditEntry, Course, Department, Employee, Role, User
from crm_domain.model.fields import changed
from crm_domain.ports import Query, Settings
from crm_domain.usecases import _lookups, access, assignment, intake, payments, pool, records
from crm_web.asgi import application
from crm_web.pages.suggest import SHOWN
from make import World, phone
from steps import login, on
from web.conftest import Visit
from web.visitor import Visitor


@pytest.fixture
def engine_name() -> str:
    """Pages look the same on every engine."""
    return "sqlite"


# -- entering ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "told"),
    [("", "请指定顾问"), ("abc", "请从列表中选择“abc”"), ("0", "请从列表中选择“0”")],
)
def test_named_without_a_name_is_refused_and_costs_no_turn(
    visit: Visit, world: World, named: str, told: str
) -> None:
    """The rotation gives the customer to no stranger; the reason stands beside the field."""
    typed = {"name": "孙", "phone": phone(), "to": "named", "consultant_id": named}
    answer = visit(world.manager).post("/customers/new", typed)
    assert answer.status_code == 422
    assert re.search(rf'id="f-consultant_id-e">{told}<', answer.text)
    assert not intake.list_customers(world.crm, by=SYSTEM).items
    assert assignment.show_rotation(world.crm, by=SYSTEM).position == 0


def test_a_new_customer_goes_where_the_form_says(visit: Visit, world: World) -> None:
    """By the rotation, into the pool, to the consultant named; and nowhere by a way unknown."""
    me = visit(world.manager)

    def enter(to: str, consultant_id: object = "") -> object:
        number = phone()
        typed = {"name": "孙", "phone": number, "to": to, "consultant_id": consultant_id}
        assert me.post("/customers/new", typed).status_code in (303, 422)
        found = intake.list_customers(world.crm, Query(search=number), by=SYSTEM).items
        return found[0].owner_id if found else "refused"

    assert [enter("rotation"), enter("")] == [world.a.employee_id, world.b.employee_id]
    assert enter("pool") is None
    assert enter("named", world.c.employee_id) == world.c.employee_id
    assert enter("nowhere") == "refused"


def form_token(page: str) -> str:
    """Read the token by which a form is known again."""
    found = re.search(r'name="once" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def test_a_form_that_is_sent_twice_enters_one_customer(visit: Visit, world: World) -> None:
    """The second answer leads to the record of the first; what is shown anew is another form."""
    me = visit(world.manager)
    typed = {"name": "孙", "phone": phone(), "once": form_token(me.get("/customers/new").text)}
    first, second = (me.post("/customers/new", typed) for _ in range(2))
    assert first.status_code == second.status_code == 303
    assert first.headers["location"] == second.headers["location"]
    assert re.fullmatch(r"/customers/\d+", first.headers["location"])
    assert len(intake.list_customers(world.crm, by=SYSTEM).items) == 1
    assert form_token(me.get("/customers/new").text) != typed["once"]
    assert 'name="once"' not in me.get(f"{first.headers['location']}/edit").text


def test_a_form_that_is_sent_twice_enters_one_payment(visit: Visit, world: World) -> None:
    """A refused one keeps its token; one that says something else says what it made before."""
    me, customer = visit(world.a), world.customer(world.a)
    typed = {"customer_id": str(customer.id), "kind": "deposit", "amount": "x",
             "paid_on": "2026-11-01", "once": form_token(me.get("/payments/new").text)}  # fmt: skip
    assert form_token(me.post("/payments/new", typed).text) == typed["once"]
    typed["amount"] = "500"
    answers = [me.post("/payments/new", typed) for _ in range(2)]
    assert [a.status_code for a in answers] == [303, 303]
    [made] = payments.list_payments(world.crm, by=SYSTEM)
    answer = me.post("/payments/new", {**typed, "amount": "600"})
    assert answer.status_code == 409
    assert f"已登记为缴费记录（编号 {made.id}）" in answer.text
    # Whoever saves again means another one.
    again = {**typed, "amount": "600", "once": form_token(answer.text)}
    assert me.post("/payments/new", again).status_code == 303
    assert len(payments.list_payments(world.crm, by=SYSTEM).items) == 2


# -- picking a record -------------------------------------------------------------------------


def crowd(world: World, many: int) -> None:
    """Hire so many consultants: with an account each, which a role of its own lets claim."""
    with world.crm.unit_of_work() as uow:
        role = uow.records.find(Role, code="consultant")
        assert role is not None
        for n in range(many):
            person = Employee(name=f"顾问{n:03d}", department_id=world.department.id or 0)
            made = uow.records.add(person)
            uow.records.add(
                User(username=f"c{n}", employee_id=made.id, roles=(role.id or 0,), active=True)
            )


@pytest.mark.parametrize(("many", "typed"), [(20, False), (120, True)])
def test_of_many_consultants_one_is_found_by_typing_and_none_is_cut_off(
    visit: Visit, world: World, many: int, typed: bool
) -> None:
    """Few stand in a drop-down; of more one is looked for, the last as well as the first."""
    crowd(world, many)
    own = world.customer(world.a).id
    me = visit(world.manager)
    for path in (f"/customers/actions/transfer?ids={own}", "/customers/new", "/hand-over",
                 "/rotation"):  # fmt: skip
        page = me.get(path).text
        assert ('data-pick="/suggest/receivers.json"' in page) is typed, path
        assert (
            f"顾问{many - 1:03d}</option>" in page or f">顾问{many - 1:03d}</span>" in page
        ) is (not typed), path
    found = me.get(f"/suggest/receivers.json?q=顾问{many - 1:03d}").json()
    assert [one["title"] for one in found["items"]] == [f"顾问{many - 1:03d}"]
    assert me.get("/suggest/receivers.json?q=顾问").json()["more"] is (many > SHOWN)
    number = found["items"][0]["id"]
    form = {"ids": own, "to_id": number}
    assert me.post("/customers/actions/transfer", form).status_code == 303
    assert intake.get_customer(world.crm, own or 0, by=SYSTEM).owner_id == number


def test_only_who_may_receive_is_offered(visit: Visit, world: World) -> None:
    """No teacher, nobody who left or whose account is disabled, nobody beyond one's reach."""
    world.person("老师", "teacher")
    gone = world.person("走了")
    access.set_active(world.crm, login(world.crm, world.person("停用")), False, by=SYSTEM)
    with world.crm.unit_of_work() as uow:
        left = uow.records.get(Employee, gone.employee_id or 0)
        assert left is not None
        uow.records.save(changed(left, left_on=world.crm.today()))
    far = records.save_record(world.crm, Department(code=77, title="二部"), by=SYSTEM)
    world.person("外人", department_id=far.id)
    found = visit(world.manager).get("/suggest/receivers.json").json()["items"]
    assert {one["title"] for one in found} == {"李雷", "韩梅梅", "王强"}
    assert visit(world.a).get("/suggest/receivers.json").status_code == 403
    page = visit(world.manager).get("/customers/new").text
    assert "李雷</option>" in page
    assert "老师</option>" not in page


def test_suggestions_are_within_reach_and_asked_only_so_often(
    visit: Visit, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Customers of others are not suggested; who asks for contacts too often is told so."""
    world.customer(world.a, name="孙悟空")
    world.customer(world.b, name="孙尚香")
    me = visit(world.a)
    found = me.get("/suggest/Customer.json?q=孙").json()
    assert [one["title"] for one in found["items"]] == ["孙悟空"]
    for source in ("nothing", "AuditEntry", "User.password_hash"):
        assert me.get(f"/suggest/{source}.json?q=a").status_code in (403, 404, 409), source
    monkeypatch.setattr(_lookups, "CONTACTS_ASKED", 2)
    finance = visit(world.person("钱进", "finance"))
    asked = [finance.get(f"/suggest/Customer.json?q=1381234000{n}") for n in range(3)]
    assert [one.status_code for one in asked] == [200, 200, 429]
    assert asked[-1].json()["title"]
    assert visit().get("/suggest/Employee.json").status_code == 401


def test_what_was_picked_keeps_its_name_and_what_was_typed_stays(
    visit: Visit, world: World
) -> None:
    """A form that is shown again has the title of a number, and text that is no number as it is."""
    crowd(world, 60)
    me = visit(world.manager)
    number = world.c.employee_id
    typed = {"name": "", "to": "named", "consultant_id": str(number)}
    page = me.post("/customers/new", typed).text
    assert f'name="consultant_id" value="{number}" data-title="王强"' in page
    page = me.post("/customers/new", {**typed, "consultant_id": "王<强"}).text
    assert 'name="consultant_id" value="王&lt;强"' in page


def test_a_number_of_nobody_is_told_beside_its_field(visit: Visit, world: World) -> None:
    """What was typed stays, whether the number is another's or there is none."""
    other, own = world.customer(world.b).id, world.customer(world.a)
    me = visit(world.a)
    for number in (other, 987_654):
        told = f"找不到该客户（{number}）"
        typed = {"name": "孙大圣", "phone": phone(), "referred_by_id": str(number)}
        answer = me.post("/customers/new", typed)
        assert answer.status_code == 422
        assert re.search(f'id="f-referred_by_id-e">{told}', answer.text)
        assert 'value="孙大圣"' in answer.text
        answer = me.post(f"/customers/{own.id}/edit", {**typed, "version": "1"})
        assert (answer.status_code, told in answer.text) == (422, True)
        paid = {"customer_id": str(number), "kind": "deposit", "amount": "100",
                "paid_on": "2026-11-01"}  # fmt: skip
        answer = me.post("/payments/new", paid)
        assert (answer.status_code, told in answer.text) == (422, True)


# -- what a list says -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "said"), [("zh", "3天未跟进"), ("en", "no follow-up for 3 days")]
)
@pytest.mark.parametrize("path", ["/my/customers", "/assignments"])
def test_an_expired_one_says_after_how_many_days(
    visit: Visit, world: World, path: str, language: str, said: str
) -> None:
    """The number of the limit, not its letter: on the page and in the file, in both languages."""
    world.customer(world.a)
    world.clock.set(on(5))
    who = world.a if path == "/my/customers" else world.manager
    access.set_language(world.crm, language, by=who)
    me = visit(who)
    page = me.get(path).text
    assert f'<span class="badge bg-blue-lt">{said}</span>' in page
    if path == "/assignments":
        boss = world.person("孙总", "administrator")
        access.set_language(world.crm, language, by=boss)
        book = load_workbook(io.BytesIO(visit(boss).get(f"{path}.xlsx").content))
        assert said in [cell.value for row in book.active.rows for cell in row]


# -- a customer's page ------------------------------------------------------------------------


def test_only_contacts_are_asked_for_while_typing_and_too_often_is_told(
    visit: Visit, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form sends no token and no name with it; silence would read as "nobody has it"."""
    me = visit(world.a)
    page = me.get("/customers/new").text
    assert page.count('hx-get="/customers/similar"') == 3
    assert page.count('hx-params="phone,qq,wechat"') == 3
    monkeypatch.setattr(_lookups, "CONTACTS_ASKED", 1)
    known = world.customer(world.b)
    first, second = (me.get(f"/customers/similar?phone={known.phone}").text for _ in range(2))
    assert "韩梅梅" in first
    assert "韩梅梅" not in second
    assert 'class="alert alert-danger"' in second


def test_the_timeline_says_what_changed_as_people_do(visit: Visit, world: World) -> None:
    """Names, words and moments of the business day; nothing that follows from the rest."""
    course = records.save_record(world.crm, Course(title="Python <入门>"), by=SYSTEM)
    own = world.customer(world.a, source="baidu")
    values = {"source": "website", "courses": [course.id], "company": "甲<b>"}
    intake.edit_customer(world.crm, own.id or 0, values, version=1, by=world.a)
    assignment.transfer_customer(world.crm, own.id or 0, world.b.employee_id or 0, by=world.manager)
    page = visit(world.manager).get(f"/customers/{own.id}").text
    for before, after in (("百度推广", "官方网站"), ("李雷", "韩梅梅")):
        assert f"<del>{before}</del> → <ins>{after}</ins>" in page
    assert "<ins>Python &lt;入门&gt;</ins>" in page
    assert "<ins>甲&lt;b&gt;</ins>" in page
    assert "<ins>2026-11-01 10:00</ins>" in page
    assert "+00:00</ins>" not in page
    assert "期限天数" not in page


def test_a_form_that_could_never_be_saved_is_not_opened(visit: Visit, world: World) -> None:
    """A masked customer of the pool: seen by all who sell, changed by who keeps the pool."""
    pooled = world.customer().id
    for who, status in ((world.a, 404), (world.manager, 200)):
        me = visit(who)
        page = me.get(f"/customers/{pooled}")
        assert page.status_code == 200
        assert (f"/customers/{pooled}/edit" in page.text) is (status == 200)
        assert me.get(f"/customers/{pooled}/edit").status_code == status


def test_who_transfers_may_also_give_back_what_is_anothers(visit: Visit, world: World) -> None:
    """Beside the row and on the page, as the use case allows it; not what is locked."""
    theirs, locked = world.customer(world.b).id, world.customer(world.b).id
    assignment.lock_customer(world.crm, locked or 0, reason="VIP", by=world.manager)
    manager, colleague = visit(world.manager), visit(world.a)
    for page in (manager.get("/customers").text, manager.get(f"/customers/{theirs}").text):
        assert f"/customers/actions/release?ids={theirs}" in page
    for page in (manager.get("/customers").text, manager.get(f"/customers/{locked}").text):
        assert f"/customers/actions/release?ids={locked}" not in page
    assert colleague.get(f"/customers/{theirs}").status_code == 404
    answer = manager.post("/customers/actions/release", {"ids": theirs, "reason": "重复"})
    assert answer.status_code == 303
    assert intake.get_customer(world.crm, theirs or 0, by=SYSTEM).owner_id is None


# -- the pool ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "word", "sentence"),
    [
        (Settings(), "无权", "您是该客户的上一任顾问，不能再抢。"),
        (Settings(cool_down_days=5), "冷却期", "您是上一任顾问，2026-11-06 之后才能再抢。"),
        (Settings(max_claims_per_day=1), "今日已满", "您今天已抢 1 单，上限为 1。"),
        (Settings(max_owned=1), "名额已满", "您名下已有 1 位客户，上限为 1。"),
    ],
)
def test_why_a_claim_would_be_refused_is_told_before_the_press(
    visit: Visit, world: World, settings: Settings, word: str, sentence: str
) -> None:
    """In the list and on the page, in a word with the sentence behind it, instead of the button."""
    crm = attrs.evolve(world.crm, settings=settings)
    lost, free, taken = world.customer(world.a).id, world.customer().id, world.customer().id
    pool.release_customer(crm, lost or 0, by=world.a)
    pool.claim_customer(crm, taken or 0, by=world.a)
    visit(world.a)
    me = Visitor(application(crm))
    me.sign_in(login(crm, world.a))
    told = f'<details class="why"><summary>{word}</summary>{sentence}</details>'
    page = me.get("/pool").text
    limited = "已满" in word
    # Who gave it back sees the reason that comes first.
    assert page.count(told) == 1
    assert page.count('class="why"') == 1 + limited
    assert (f'hx-vals=\'{{"ids": "{free}"}}\'' in page) is not limited
    assert f'hx-vals=\'{{"ids": "{lost}"}}\'' not in page
    page = me.get(f"/customers/{free}").text
    assert (told in page) is limited
    assert ("/pool/actions/claim" in page) is not limited


def test_what_a_school_hides_of_the_pool_is_nowhere_offered_nor_shown(
    visit: Visit, world: World
) -> None:
    """No column, no filter, no value on the page of the customer; asked for, it is refused."""
    settings = attrs.evolve(world.crm.settings, pool_hidden="source,education")
    crm = attrs.evolve(world.crm, settings=settings)
    number = world.customer(source="agent", education="大专", gender="女").id
    visit(world.a)
    me = Visitor(application(crm))
    me.sign_in(login(crm, world.a))
    seen = [me.get(f"/pool{more}") for more in ("", "/facets", "/columns", ".json")]
    seen.append(me.get(f"/customers/{number}"))
    for page in seen:
        assert page.status_code == 200
        for word in ("来源", "渠道代理", "学历", "大专", '"source"', "sort=source"):
            assert word not in page.text, word
    assert "意向" in seen[0].text
    for asked in ("?source=agent", ".json?source=agent", "/facets?education=other", "?sort=phone"):
        answer = me.get(f"/pool{asked}")
        assert (answer.status_code, "已隐藏" in answer.text) == (422, True)


def test_who_sees_some_masked_is_offered_no_order_by_it(visit: Visit, world: World) -> None:
    """A list that left the masked out would be shorter than it says; who sees all has the order."""
    world.customer(source="agent")
    world.customer(world.a)
    finance, manager = visit(world.person("钱进", "finance")), visit(world.manager)
    for me, offered in ((finance, False), (manager, True)):
        assert ("sort=phone" in me.get("/customers").text) is offered
        assert "sort=name" in me.get("/customers").text
        answer = me.get("/customers?sort=phone")
        assert answer.status_code == (200 if offered else 422)
        assert ("“手机”已隐藏" in answer.text) is not offered


def test_of_many_owners_those_with_most_are_offered_and_others_picked(
    visit: Visit, world: World
) -> None:
    """Fifty, and a box to type into; one that was chosen stands among them whatever it counts."""
    people = [world.person(f"顾问{n:02d}") for n in range(51)]
    for who in [*people, *people[:50]]:
        world.customer(who)
    me, last = visit(world.manager), people[50].employee_id
    found = re.findall(r'id="value-owner_id-(\d+)"', me.get("/customers/facets").text)
    assert (len(found), str(last) in found) == (50, False)
    assert 'data-pick="/suggest/Employee.json"' in me.get("/customers/facets").text
    chosen = me.get(f"/customers/facets?owner_id={last}").text
    assert f'id="value-owner_id-{last}"' in chosen
    few = me.get(f"/customers/facets?q={people[0].person}").text
    assert "data-pick" not in few


def test_who_may_not_look_into_a_list_still_filters_by_the_rest(visit: Visit, world: World) -> None:
    """A filter by courses has no values then; the page opens all the same."""
    role = access.add_role(world.crm, {"title": "只看客户", "permissions": ["customer:view"],
                                       "scope": "all"}, by=SYSTEM)  # fmt: skip
    person = world.person("前台")
    access.set_roles(world.crm, login(world.crm, person), [role.id or 0], by=SYSTEM)
    me = visit(person)
    for path in ("/customers", "/customers/facets"):
        answer = me.get(path)
        assert answer.status_code == 200
        assert "来源" in answer.text


def test_the_page_tells_a_contact_from_being_handed_over_and_keeps_the_appointment(
    visit: Visit, world: World
) -> None:
    """Nobody spoke to whom one has only just received; what is agreed stands in the form."""
    number = world.customer(world.a).id or 0
    me = visit(world.a)
    assert "尚未跟进" in me.get(f"/customers/{number}").text
    world.clock.advance(timedelta(hours=1))
    there = {"note": "约好", "next_contact_at": "2026-11-03T15:00"}
    assert me.post(f"/customers/{number}/follow-up", there).status_code == 303
    page = me.get(f"/customers/{number}").text
    assert "尚未跟进" not in page
    assert 'value="2026-11-03T15:00"' in page
    me.post(f"/customers/{number}/follow-up", {"note": "不约了", "next_contact_at": ""})
    assert intake.get_customer(world.crm, number, by=world.a).next_contact_at is None


def test_a_notice_by_several_channels_is_one_line(visit: Visit, world: World) -> None:
    """With how it went on each; two notices stay two."""
    settings = attrs.evolve(world.crm.settings, channels="console,inapp")
    crm = attrs.evolve(world.crm, settings=settings)
    values = {"name": "王芳", "phone": phone()}
    own = intake.register_customer(crm, values, consultant_id=world.a.employee_id, by=SYSTEM)
    page = visit(world.manager).get(f"/customers/{own.id}").text
    assert page.count("您有一位新客户") == 1
    assert re.search(r"站内消息：\S+ · 控制台：", page)
    assignment.transfer_customer(crm, own.id or 0, world.b.employee_id or 0, by=world.manager)
    page = visit(world.manager).get(f"/customers/{own.id}").text
    assert page.count("控制台：") == page.count("站内消息：") == 3


def test_a_search_that_finds_nobody_leads_on_to_the_pool(visit: Visit, world: World) -> None:
    """As it was typed; not for who may not look there, and not where a filter found nothing."""
    world.customer(name="公海 王&芳")
    me = visit(world.a)
    for path in ("/my/customers", "/customers"):
        page = me.get(f"{path}?q=王%26芳").text
        assert f'href="/pool?q={quote("王&芳")}"' in page
        assert "/pool?q=" not in me.get(f"{path}?intention=no_plan").text
    assert "王&amp;芳" in me.get(f"/pool?q={quote('王&芳')}").text
    role = access.add_role(world.crm, {"title": "只看自己", "permissions": ["customer:mine"]},
                           by=SYSTEM)  # fmt: skip
    access.set_roles(world.crm, world.b.name, [role.id or 0], by=SYSTEM)
    page = visit(world.b).get("/my/customers?q=王").text
    assert "没有符合条件的记录" in page
    assert "/pool?q=" not in page


def test_whoever_enters_a_customer_learns_whose_it_became(visit: Visit, world: World) -> None:
    """And goes on to a page that they may see, never to one that is not theirs."""
    me, seen = visit(world.a), set()
    for _ in range(6):
        answer = me.post("/customers/new", {"name": "新客户", "phone": phone(), "to": "rotation"})
        assert answer.status_code == 303
        to = answer.headers["location"]
        page = me.get(to)
        assert page.status_code == 200
        mine = to != "/customers"
        assert ("已保存，客户归您所有。" in page.text) is mine
        assert bool(re.search("已保存，已分配给 (韩梅梅|王强)。", page.text)) is not mine
        seen.add(mine)
    assert seen == {True, False}
    answer = me.post("/customers/new", {"name": "公", "phone": phone(), "to": "pool"})
    assert "已保存，客户在公海。" in me.get(answer.headers["location"]).text


def test_a_dialog_names_whom_it_is_about(visit: Visit, world: World) -> None:
    """One or a few by name; of many only how many."""
    ids = [world.customer(world.a, name=f"客户{n}号").id for n in range(7)]
    me = visit(world.a)
    for action in ("release", "follow-up"):
        page = me.get(f"/customers/actions/{action}?ids={ids[0]}")
        assert page.text.count("客户0号") == 1
    few = "&".join(f"ids={n}" for n in ids[:3])
    assert "客户0号、客户1号、客户2号" in me.get(f"/customers/actions/release?{few}").text
    many = "&".join(f"ids={n}" for n in ids)
    assert "客户0号" not in me.get(f"/customers/actions/release?{many}").text


def test_what_is_not_locked_is_not_unlocked(visit: Visit, world: World) -> None:
    """It is refused by name, and the log has nothing of it."""
    locked, free = world.customer(world.a, name="锁").id, world.customer(world.a, name="未锁").id
    assignment.lock_customer(world.crm, locked or 0, reason="VIP", by=SYSTEM)
    answer = visit(world.manager).post("/customers/actions/unlock", {"ids": [locked, free]})
    assert "已解锁 1 位客户" in answer.text
    assert "未锁" in answer.text and "没有锁定" in answer.text
    with world.crm.unit_of_work(read_only=True) as uow:
        logged = uow.records.all(AuditEntry, action="unlock")
    assert [e.record_id for e in logged] == [locked]
