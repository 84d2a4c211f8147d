"""What people do all day, in a real browser: each journey of issue 4, looked at from the chair."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from browser.conftest import PHONE, School, Sit, picture
from crm_domain import SYSTEM
from crm_domain.ports import Query
from crm_domain.usecases import access, assignment, intake, sessions
from steps import login
from web.visitor import PASSWORD

CONFLICT = "409 (Conflict)"
UNAUTHORISED = "401 (Unauthorized)"


def opened(page: Page) -> None:
    """Wait until the dialog is there."""
    expect(page.locator("#dialog")).to_be_visible()


def test_the_first_of_two_claims_and_the_other_is_told_who_was_quicker(
    school: School, sit: Sit
) -> None:
    """One press makes the customer one's own; the second sees who has it, and since when."""
    first, second = sit(school.world.a, "/pool"), sit(school.world.b, "/pool")
    second.expected = (CONFLICT,)
    picture(first.page, "pool")
    for desk in (first, second):
        expect(desk.page.get_by_text("公海客户3")).to_be_visible()
    first.page.locator("tr", has_text="公海客户3").get_by_role("button", name="抢单").click()
    first.page.wait_for_url(re.compile(r"/customers/\d+$"))
    expect(first.page.locator("#flash")).to_contain_text("抢单成功")
    expect(first.page.locator("a[href^='tel:']").first).to_be_visible()
    second.page.locator("tr", has_text="公海客户3").get_by_role("button", name="抢单").click()
    told = second.page.locator("#flash [role=alert]")
    expect(told).to_contain_text("李雷")
    expect(told).to_contain_text(re.compile(r"\d\d:\d\d"))
    assert second.page.url.endswith("/pool")


def test_filters_combine_and_an_action_takes_all_that_match(school: School, sit: Sit) -> None:
    """Two filters narrow the list, the address says so, and all that match are moved."""
    page = sit(school.world.manager, "/customers").page
    page.locator("summary", has_text="筛选").click()
    page.get_by_role("checkbox", name=re.compile("^百度|baidu", re.I)).first.click()
    expect(page.locator("#total").last).to_contain_text("6")
    assert "source=baidu" in page.url
    page.locator("#q").fill("李客户")
    page.wait_for_url(re.compile("q="))
    expect(page.locator("tbody tr")).to_have_count(6)
    picture(page, "filters")
    page.locator("tbody [data-tick]").first.check()
    page.get_by_role("button", name="选择全部符合条件的").click()
    page.locator("[data-bulk]").get_by_role("button", name="转移").click()
    opened(page)
    page.locator("#dialog select[name=to_id]").select_option(label="王强")
    page.locator("#dialog button[type=submit]").click()
    expect(page.locator("#flash")).to_contain_text("6")
    expect(page.locator("#dialog")).not_to_be_visible()
    mine = assignment.my_customers(school.crm, Query(), by=school.world.c)
    assert len(mine.items) == 6


def test_a_follow_up_is_logged_in_one_step(school: School, sit: Sit) -> None:
    """Note and next date on the customer's own page; it stands on the timeline at once."""
    desk = sit(school.world.a, "/my/customers")
    page = desk.page
    page.get_by_role("link", name="王小明").click()
    page.get_by_label("记录").or_(page.locator("#u-note")).first.fill("约了周三试听")
    page.locator("#u-next_contact_at").fill("2027-01-05T10:00")
    page.get_by_role("button", name="保存跟进").click()
    expect(page.locator("#flash")).to_contain_text("跟进已记录")
    expect(page.locator(".timeline-note").first).to_have_text("约了周三试听")
    expect(page.locator("body")).to_contain_text("2027-01-05 10:00")
    picture(page, "customer")


def test_everything_of_somebody_is_handed_over(school: School, sit: Sit) -> None:
    """From one to two others, in turn; the list of the first is empty afterwards."""
    page = sit(school.world.manager, "/hand-over").page
    page.select_option("#h-from_id", label="李雷")
    for name in ("韩梅梅", "王强"):
        page.get_by_role("checkbox", name=name).check()
    page.fill("#reason", "离职")
    page.get_by_role("button", name="移交").click()
    expect(page.get_by_text("王强 4 位、韩梅梅 3 位")).to_be_visible()
    page.get_by_role("button", name="移交").click()
    expect(page.locator("#flash")).to_contain_text("7")
    left = intake.list_customers(
        school.crm, Query(where={"owner_id": school.world.a.employee_id}), by=SYSTEM
    )
    assert not left.items


def test_a_changed_role_takes_effect_at_the_next_click(school: School, sit: Sit) -> None:
    """The menu loses an entry, and its page is refused, without signing in again."""
    desk = sit(school.world.a, "/")
    desk.expected = ("403 (Forbidden)",)
    page = desk.page
    expect(page.locator("#menu").get_by_role("link", name="公海")).to_be_visible()
    access.set_roles(school.crm, login(school.crm, school.world.a), ["teacher"], by=SYSTEM)
    page.locator("#menu").get_by_role("link", name="公海").click()
    expect(page.locator(".empty-header")).to_have_text("403")
    expect(page.locator("#menu").get_by_role("link", name="公海")).to_have_count(0)


def test_each_person_reads_the_own_language(school: School, sit: Sit) -> None:
    """One press changes it, the page stays, and no Chinese is left but what people typed."""
    page = sit(school.world.a, "/my/customers").page
    expect(page.locator("h1")).to_have_text("我的客户")
    page.get_by_role("button", name="我的").last.click()
    page.get_by_role("button", name="English").last.click()
    expect(page.locator("h1")).to_have_text("My customers")
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.url.endswith("/my/customers")
    headings = page.locator("thead, #menu, header, .nav-tabs").all_inner_texts()
    # Left are the name of whoever reads, and of the other language.
    assert not re.search(r"[一-鿿]", re.sub("李雷|雷|中文", "", "".join(headings)))


def test_one_of_many_is_picked_by_typing_with_keys_or_a_thumb(school: School, sit: Sit) -> None:
    """In a dialog by the keyboard alone, on a phone by taps; Escape closes only the list."""
    for n in range(60):
        school.world.person(f"顾问{n:02d}")
    number = intake.list_customers(school.crm, Query(search="王小明"), by=SYSTEM).items[0].id or 0

    def owner() -> int | None:
        return intake.get_customer(school.crm, number, by=SYSTEM).owner_id

    page = sit(school.world.manager, f"/customers/{number}").page
    page.get_by_role("link", name="转移").click()
    opened(page)
    box, options = page.get_by_role("combobox", name="转给"), page.get_by_role("option")
    expect(box).to_be_focused()
    page.keyboard.type("顾问")
    expect(options).to_have_count(20)
    expect(page.locator("#dialog .pick-said")).to_contain_text("还有更多")
    page.keyboard.press("Escape")
    expect(options.first).not_to_be_visible()
    opened(page)
    page.keyboard.type("57")
    expect(options).to_have_count(1)
    picture(page, "pick")
    page.keyboard.press("ArrowDown")
    expect(box).to_have_attribute("aria-activedescendant", re.compile("pick-"))
    page.keyboard.press("Enter")
    expect(box).to_have_value("顾问57")
    page.keyboard.press("Enter")
    expect(page.locator("#flash")).to_contain_text("1")
    expect(page.locator("#dialog")).not_to_be_visible()
    first = owner()
    assert first not in (None, school.world.a.employee_id)

    phone = sit(school.world.manager, "/hand-over", viewport=PHONE, has_touch=True).page
    phone.get_by_role("combobox", name="从").tap()
    phone.keyboard.type("顾问57")
    phone.get_by_role("option", name="顾问57").tap()
    for name in ("韩梅梅", "王强"):
        phone.get_by_role("combobox", name="轮流交给").fill(name)
        phone.get_by_role("option", name=name).tap()
        expect(phone.get_by_role("checkbox", name=name)).to_be_checked()
    phone.get_by_role("checkbox", name="王强").uncheck()
    phone.get_by_role("button", name="移交").tap()
    expect(phone.get_by_text("1 位客户将移交给")).to_be_visible()
    phone.get_by_role("button", name="移交").tap()
    expect(phone.locator("#flash")).to_contain_text("1")
    assert owner() == school.world.b.employee_id


PAGES = ("/", "/customers", "/pool", "/my/customers", "/customers/new", "/rotation", "/me",
         "/me/sessions", "/assignments", "/follow-ups", "/departments", "/employees")  # fmt: skip


TOO_LOW = """() => [...document.querySelectorAll(
    "main button, main a.btn, main select, main .nav-link, main a.filter-value, .navbar-toggler")]
    .map((e) => [e.innerText.trim() || e.ariaLabel, e.getBoundingClientRect()])
    .filter(([, r]) => r.width && r.height < 43.5).map(([t, r]) => `${t} ${r.height}`)"""
"""Tells what is pressed and is not as high as a thumb."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_a_phone(school: School, sit: Sit, scheme: str) -> None:
    """No page scrolls sideways at 360 pixels, and what is pressed is 44 pixels high."""
    desk = sit(school.world.a, "/", viewport=PHONE, color_scheme=scheme, has_touch=True)
    page, wrong = desk.page, list[str]()
    number = intake.list_customers(school.crm, by=school.world.a).items[0].id
    long = school.world.customer(school.world.a, name="欧阳超长" * 10, wechat="wx_" + "a" * 27)
    for path in (*PAGES, f"/customers/{number}", f"/customers/{long.id}"):
        desk.go(path)
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > 360:
            wrong.append(f"{path} is {wide} wide")
        small = page.evaluate(TOO_LOW)
        if small:
            wrong.append(f"{path}: too low: {small[:5]}")
        theme = page.locator("html").get_attribute("data-bs-theme")
        assert theme == scheme
    if scheme == "light":
        desk.go("/my/customers")
        picture(page, "phone")
    assert not wrong, "\n".join(wrong)


def test_a_claim_needs_no_mouse(school: School, sit: Sit) -> None:
    """Tab, Enter and Escape do; the focus can be seen, and it stays where people are."""
    page = sit(school.world.a, "/pool").page
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("/")
    focused = page.evaluate("document.activeElement.id")
    assert focused in ("q", "top-q")
    page.locator("#q").focus()
    page.keyboard.type("公海客户2")
    expect(page.locator("tbody tr")).to_have_count(1)
    button = page.locator("tbody tr").get_by_role("button", name="抢单")
    for _ in range(60):
        page.keyboard.press("Tab")
        if button.evaluate("e => e === document.activeElement"):
            break
    expect(button).to_be_focused()
    assert button.evaluate("e => getComputedStyle(e).outlineStyle") != "none"
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/customers/\d+$"))


def test_a_session_that_ends_in_a_form_costs_nothing(school: School, sit: Sit) -> None:
    """Signing in again in the dialog; what was typed is there, and is saved by the next press."""
    desk = sit(school.world.a, "/customers/new")
    desk.expected = (UNAUTHORISED, "422")
    page = desk.page
    page.fill("#f-name", "中断客户")
    page.fill("#f-phone", "13712345678")
    page.select_option("#f-source", "baidu")
    name = login(school.crm, school.world.a)
    sessions.end_other_sessions(school.crm, username=name, by=SYSTEM)
    page.get_by_role("button", name="保存").click()
    expect(page.locator("#again")).to_be_visible()
    assert page.url.endswith("/customers/new")
    page.fill("#again #username", name)
    page.fill("#again #password", "not the password")
    page.press("#again #password", "Enter")
    expect(page.locator("#again [role=alert]")).to_be_visible()
    page.fill("#again #password", "correct horse battery")
    page.press("#again #password", "Enter")
    expect(page.locator("#again")).not_to_be_visible()
    expect(page.locator("#f-name")).to_have_value("中断客户")
    page.get_by_role("button", name="保存").click()
    expect(page.locator("#flash")).to_contain_text("已保存")
    assert intake.list_customers(school.crm, Query(search="中断客户"), by=SYSTEM).items


def test_a_second_refusal_leaves_what_is_typed_into_signing_in(school: School, sit: Sit) -> None:
    """A question that was asked before the dialog opened is answered while somebody types in it."""
    desk = sit(school.world.a, "/customers/new")
    desk.expected = (UNAUTHORISED,)
    page = desk.page
    page.fill("#f-name", "等待登录的")
    page.fill("#f-wechat", "waiting")
    page.select_option("#f-source", "baidu")
    sessions.end_other_sessions(school.crm, username=login(school.crm, school.world.a), by=SYSTEM)
    page.get_by_role("button", name="保存").click()
    page.fill("dialog[open] #username", "somebody")
    with page.expect_response(lambda answer: answer.status == 401):
        page.evaluate("htmx.ajax('GET', '/customers', {target: '#content'})")
    page.wait_for_timeout(300)
    expect(page.locator("#username")).to_have_value("somebody")


def test_whoever_signs_in_as_somebody_else_gets_a_page_of_their_own(
    school: School, sit: Sit
) -> None:
    """The page of the one before, with what stands on it and in its form, is gone."""
    desk = sit(school.world.a, "/customers/new")
    desk.expected = (UNAUTHORISED,)
    page = desk.page
    page.fill("#f-name", "前一位填写的")
    page.fill("#f-phone", "13712345677")
    page.select_option("#f-source", "baidu")
    sessions.end_other_sessions(school.crm, username=login(school.crm, school.world.a), by=SYSTEM)
    page.get_by_role("button", name="保存").click()
    page.wait_for_selector("[name=again]", state="attached")
    page.fill("dialog[open] #username", school.username(school.world.b))
    page.fill("dialog[open] #password", PASSWORD)
    page.press("dialog[open] #password", "Enter")
    expect(page.locator("[data-who]")).to_have_attribute(
        "data-who", login(school.crm, school.world.b)
    )
    expect(page).to_have_url(school.address + "/")
    expect(page.locator("#f-name")).to_have_count(0)
    assert not intake.list_customers(school.crm, Query(search="前一位填写的"), by=SYSTEM).items


def test_a_new_password_leaves_every_button_of_the_next_page_in_force(
    school: School, sit: Sit
) -> None:
    """The session goes on under another token, which buttons without a form send, too."""
    page = sit(school.world.a, "/me").page
    page.evaluate("document.body.dataset.stays = '1'")
    token = page.locator("[data-csrf]").get_attribute("data-csrf")
    for name, typed in (("old", PASSWORD), ("new", f"{PASSWORD} 2"), ("repeated", f"{PASSWORD} 2")):
        page.fill(f"#{name}", typed)
    page.get_by_role("button", name="修改密码").click()
    expect(page.locator("#flash")).to_contain_text("密码已修改")
    expect(page.locator("[data-csrf]")).not_to_have_attribute("data-csrf", token or "")
    page.get_by_role("link", name="公海").first.click()
    page.locator("tr", has_text="公海客户3").get_by_role("button", name="抢单").click()
    expect(page.locator("#flash")).to_contain_text("抢单成功")
    # All of it in one page: none was loaded anew.
    assert page.evaluate("document.body.dataset.stays") == "1"


def test_a_double_click_enters_one_customer(school: School, sit: Sit) -> None:
    """The form is sent once, however quickly its button is pressed."""
    page = sit(school.world.a, "/customers/new").page
    page.fill("#f-name", "双击客户")
    page.fill("#f-phone", "13712345679")
    page.select_option("#f-source", "baidu")
    page.get_by_role("button", name="保存").dblclick()
    expect(page.locator("#flash")).to_contain_text("已保存")
    found = intake.list_customers(school.crm, Query(search="双击客户"), by=SYSTEM)
    assert len(found.items) == 1


def test_the_back_button_leads_back_to_the_list_as_it_was(school: School, sit: Sit) -> None:
    """The filter stands in the address, so the browser's own way back keeps it."""
    desk = sit(school.world.a, "/")
    page = desk.go("/customers?q=李客户")
    expect(page.locator("tbody tr")).to_have_count(6)
    page.locator("tbody .row-link").first.click()
    page.wait_for_url(re.compile(r"/customers/\d+$"))
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(6)
    expect(page.locator("#q")).to_have_value("李客户")


def test_the_second_editor_sees_what_the_first_wrote(school: School, sit: Sit) -> None:
    """Both values stand side by side, nothing is lost, and saving again decides."""
    found = intake.list_customers(school.crm, Query(search="王小明"), by=SYSTEM).items[0]
    to = f"/customers/{found.id}/edit"
    one, two = sit(school.world.a, to), sit(school.world.manager, to)
    two.expected = (CONFLICT,)
    for desk, company in ((one, "先写公司"), (two, "后写公司")):
        desk.page.fill("#f-company", company)
        desk.page.get_by_role("button", name="保存").click()
    expect(one.page.locator("#flash")).to_contain_text("已保存")
    expect(two.page.locator("main")).to_contain_text("先写公司")
    expect(two.page.locator("#f-company")).to_have_value("后写公司")
    two.page.get_by_role("button", name="保存").click()
    expect(two.page.locator("#flash")).to_contain_text("已保存")


def test_no_page_breaks_its_own_policy(school: School, sit: Sit) -> None:
    """Not one message in the console, for a manager and an administrator, on any page."""
    admin = school.world.person("管理", "administrator")
    for who in (school.world.manager, admin):
        desk = sit(who, "/")
        for path in (*PAGES, "/payments", "/pool-rules", "/hand-over", "/courses", "/cohorts"):
            if path != "/my/customers":
                desk.go(path)
        picture(desk.page, "hand-over")
        desk.go("/")
        picture(desk.page, "home-manager")
        assert not desk.unexpected()


def test_what_people_typed_never_runs(school: School, sit: Sit) -> None:
    """Names that want to be programs stand on the page as text, in the DOM too."""
    payload = "<img src=x onerror='window.xss=1'><script>window.xss=1</script>"
    made = school.world.customer(school.world.a, name=payload[:60], memo=payload, company=payload)
    desk = sit(school.world.a, "/customers")
    for path in ("/customers", f"/customers/{made.id}", f"/customers/{made.id}/edit", "/"):
        page = desk.go(path)
        assert page.evaluate("window.xss") is None
        assert page.locator("main img").count() == 0
