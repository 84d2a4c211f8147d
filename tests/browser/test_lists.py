"""Lists and their dialogs from the chair: what is asked, what is typed, and what is refused.

Parts of a list that are replaced beside its rows are looked at as ``.last``: for a moment the old
one may stand before the new one.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import CDPSession, Page, Route, expect

from browser.conftest import School, Sit
from crm_domain import SYSTEM
from crm_domain.ports import Query
from crm_domain.usecases import audit_log, follow_up, intake, pool, sessions
from steps import login
from web.visitor import PASSWORD

REFUSED = ("401 (Unauthorized)", "409 (Conflict)", "422 (", "502 (Bad Gateway)")


def filtered(page: Page, name: str = "百度") -> None:
    """Open the filters and choose a value."""
    page.locator("summary", has_text="筛选").click()
    page.get_by_role("checkbox", name=re.compile(f"^{name}")).click()
    expect(page.locator("#chosen").last).to_contain_text(name)


def asked(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_what_stands_above_a_list_follows_what_is_asked(school: School, sit: Sit) -> None:
    """Export, columns, a new one and the other language lead on from the filtered list."""
    page = sit(school.world.manager, "/customers").page
    filtered(page)
    for ending in (".xlsx", ".csv"):
        link = page.locator(f"a[href*='{ending}']")
        assert link.get_attribute("href") == f"/customers{ending}?source=baidu"
    back = "back=/customers%3Fsource%3Dbaidu"
    for words in ("列", "新增"):
        link = page.locator("#list-tools").last.get_by_role("link", name=words)
        assert str(link.get_attribute("href")).endswith(back)
    for place in ("side", "top"):
        assert page.locator(f"#next-{place}").input_value() == "/customers?source=baidu"
    with page.expect_download() as got:
        page.get_by_role("button", name="导出").click()
        page.get_by_role("link", name="CSV").click()
    text = got.value.path().read_text(encoding="utf-8-sig")
    assert "李客户0" in text
    assert "韩客户" not in text


def test_a_view_is_saved_opened_and_removed_by_hand(school: School, sit: Sit) -> None:
    """The dialog opens above the list, the view leads back to it, and is taken away again."""
    page = sit(school.world.a, "/customers").page
    filtered(page)
    page.get_by_role("button", name="视图").click()
    page.get_by_role("button", name="保存当前视图").click()
    expect(page.locator("#dialog")).to_be_visible()
    assert asked(page) == {"source": ["baidu"]}
    page.fill("#v-title", "百度来的")
    page.press("#v-title", "Enter")
    expect(page.locator("#flash")).to_contain_text("视图已保存")
    assert asked(page) == {"source": ["baidu"]}
    page.goto(school.address + "/customers")
    page.get_by_role("button", name="视图").click()
    page.get_by_role("link", name="百度来的").click()
    expect(page.locator("#chosen").last).to_contain_text("百度")
    expect(page.locator("tbody tr")).to_have_count(6)
    page.get_by_role("button", name="视图").click()
    page.get_by_role("button", name="管理视图").click()
    page.locator("#dialog").get_by_role("button", name="删除").click()
    expect(page.locator("#dialog")).to_contain_text("删除视图“百度来的”？")
    page.locator("#dialog").get_by_role("button", name="删除").click()
    expect(page.locator("#flash")).to_contain_text("视图已删除")


def test_a_session_that_ends_in_a_dialog_costs_nothing(school: School, sit: Sit) -> None:
    """Signing in stands above the dialog; what was typed there is saved by the next press."""
    desk = sit(school.world.a, "/my/customers")
    desk.expected = REFUSED
    page = desk.page
    page.locator("tr", has_text="王小明").get_by_role("button", name="记跟进").click()
    page.fill("#dialog textarea[name=note]", "聊了一个小时，记了很多")
    name = login(school.crm, school.world.a)
    sessions.end_other_sessions(school.crm, username=name, by=SYSTEM)
    page.locator("#dialog button[type=submit]").click()
    expect(page.locator("#again")).to_be_visible()
    page.fill("#again #username", name)
    page.fill("#again #password", PASSWORD)
    page.press("#again #password", "Enter")
    expect(page.locator("#again")).not_to_be_visible()
    expect(page.locator("#dialog textarea[name=note]")).to_have_value("聊了一个小时，记了很多")
    page.locator("#dialog button[type=submit]").click()
    expect(page.locator("#flash")).to_contain_text("跟进已记录")
    expect(page.locator("#dialog")).not_to_be_visible()


def test_a_refusal_is_seen_in_the_dialog_with_its_number(school: School, sit: Sit) -> None:
    """The customer is taken away while the dialog is open: it says so there, and keeps the note."""
    desk = sit(school.world.a, "/my/customers")
    desk.expected = REFUSED
    page = desk.page
    page.locator("tr", has_text="王小明").get_by_role("button", name="记跟进").click()
    page.fill("#dialog textarea[name=note]", "他想再考虑一下")
    number = intake.list_customers(school.crm, Query(search="王小明"), by=SYSTEM).items[0].id
    pool.release_customer(school.crm, number or 0, by=school.world.a)
    for _ in range(2):
        page.locator("#dialog button[type=submit]").click()
        told = page.locator("#dialog [role=alert]")
        expect(told).to_have_count(1)
        expect(told).to_contain_text(re.compile(r"编号 [0-9a-f]{16}"))
        expect(told).to_be_in_viewport()
    expect(page.locator("#flash [role=alert]")).to_have_count(0)
    expect(page.locator("#dialog textarea[name=note]")).to_have_value("他想再考虑一下")


def test_a_proxy_that_does_not_reach_us_takes_nothing_away(school: School, sit: Sit) -> None:
    """A strange answer is never put into the page: the list, or the form, stays and says so."""
    desk = sit(school.world.a, "/customers")
    desk.expected = REFUSED
    page = desk.page

    def fail(route: Route) -> None:
        route.fulfill(status=502, content_type="text/html", body="<html><h1>Bad Gateway</h1>")

    page.route("**/customers?*", fail)
    page.fill("#q", "王")
    expect(page.locator("#flash [role=alert]")).to_contain_text("连接不上服务器")
    expect(page.locator("tbody tr")).to_have_count(7)


def composed(page: Page) -> CDPSession:
    """Write by an input method; what is composed is not there yet for good."""
    page.locator("#q").focus()
    return page.context.new_cdp_session(page)


def test_chinese_is_composed_in_peace(school: School, sit: Sit) -> None:
    """However long somebody looks at the candidates: nothing is asked and nothing is lost."""
    page = sit(school.world.a, "/customers").page
    expect(page.locator("tbody tr")).to_have_count(7)
    keyboard = composed(page)
    for text in ("w", "wang", "wang xiao"):
        keyboard.send(
            "Input.imeSetComposition",
            {"text": text, "selectionStart": len(text), "selectionEnd": len(text)},
        )
        page.wait_for_timeout(450)
    expect(page.locator("#q")).to_have_value("wang xiao")
    assert asked(page) == {}
    keyboard.send("Input.insertText", {"text": "王小"})
    expect(page.locator("tbody tr")).to_have_count(1)
    assert asked(page) == {"q": ["王小"]}
    expect(page.locator("#q")).to_be_focused()


def test_a_composition_outlives_the_answer_to_what_was_typed_before(
    school: School, sit: Sit
) -> None:
    """A slow answer arrives in the middle of a word: the word can be finished."""
    page = sit(school.world.a, "/customers").page
    page.route("**/customers?q=*", lambda r: (page.wait_for_timeout(700), r.continue_()))
    page.locator("#q").press_sequentially("李")
    with page.expect_response(re.compile(r"/customers\?q=")):
        page.wait_for_timeout(400)
        keyboard = composed(page)
        keyboard.send(
            "Input.imeSetComposition", {"text": "ke", "selectionStart": 2, "selectionEnd": 2}
        )
    expect(page.locator("tbody tr")).to_have_count(6)
    expect(page.locator("#q")).to_have_value("李ke")
    keyboard.send("Input.insertText", {"text": "客户3"})
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("#q")).to_have_value("李客户3")


def test_letters_typed_while_an_answer_is_on_its_way_stay(school: School, sit: Sit) -> None:
    """Neither an answer nor another filter takes away what somebody goes on typing."""
    page = sit(school.world.a, "/customers").page
    page.locator("summary", has_text="筛选").click()
    expect(page.get_by_role("checkbox", name=re.compile("^百度"))).to_be_visible()
    page.route("**/customers?q=*", lambda r: (page.wait_for_timeout(500), r.continue_()))
    page.locator("#q").press_sequentially("李客", delay=500)
    page.locator("#q").press_sequentially("户2")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("#q")).to_have_value("李客户2")
    page.unroute("**/customers?q=*")
    page.locator("#q").press("Backspace")
    page.get_by_role("checkbox", name=re.compile("^百度")).click()
    expect(page.locator("tbody tr")).to_have_count(6)
    expect(page.locator("#q")).to_have_value("李客户")
    page.wait_for_url(re.compile("source=baidu"))
    expect(page.locator("#chosen").last).to_contain_text("百度")
    assert asked(page) == {"q": ["李客户"], "source": ["baidu"]}


def test_a_range_applies_and_goes_by_itself(school: School, sit: Sit) -> None:
    """One end is enough, the fold stays open, and removing the condition empties the input."""
    page = sit(school.world.a, "/customers?size=20").page
    filtered(page)
    page.fill("#created_at-to", "2020-01-01")
    expect(page.locator("tbody tr")).to_have_count(0)
    assert asked(page) == {
        "size": ["20"], "source": ["baidu"], "created_at.to": ["2020-01-01"],
    }  # fmt: skip
    expect(page.locator("#created_at-to")).to_be_focused()
    expect(page.locator("#filters")).to_have_attribute("open", "")
    expect(page.locator("#filters-used").last).to_have_text("2")
    page.locator("#chosen").last.get_by_role("link", name=re.compile("录入时间")).click()
    expect(page.locator("tbody tr")).to_have_count(6)
    expect(page.locator("#created_at-to")).to_have_value("")
    page.locator("#chosen").last.get_by_role("link", name="清除全部").click()
    expect(page.locator("tbody tr")).to_have_count(7)
    assert asked(page) == {"size": ["20"]}


def test_conditions_in_force_stand_outside_the_fold(school: School, sit: Sit) -> None:
    """Each is a pill that a press removes, and a button asks the list again."""
    desk = sit(school.world.manager)
    page = desk.go("/customers?source=baidu&source=seo&status=not_enrolled")
    assert page.locator("#filters").get_attribute("open") is None
    expect(page.locator("#chosen").last).to_contain_text("已选 3 个条件")
    page.locator("#chosen").last.get_by_role(
        "link", name=re.compile("去掉 .*SEO|去掉 .*搜索")
    ).click()
    expect(page.locator("#chosen").last).to_contain_text("已选 2 个条件")
    expect(page.locator("tbody tr")).to_have_count(6)
    school.world.customer(school.world.a, name="刚来的", source="baidu")
    page.get_by_role("link", name="刷新").click()
    expect(page.locator("tbody tr")).to_have_count(7)
    expect(page.locator("tbody")).to_contain_text("刚来的")


def test_the_space_bar_ticks_a_value(school: School, sit: Sit) -> None:
    """A filter needs no mouse: its value takes Space, and takes it again."""
    page = sit(school.world.a, "/customers").page
    page.locator("summary", has_text="筛选").click()
    value = page.locator("#value-source-baidu").last
    for chosen, rows in (("true", 6), ("false", 7)):
        # Its count comes by a second answer, which puts it in anew.
        expect(value.locator("small")).to_be_visible()
        value.focus()
        page.keyboard.press("Space")
        expect(value).to_have_attribute("aria-checked", chosen)
        expect(page.locator("tbody tr")).to_have_count(rows)


LATE = """(late) => {
  const send = XMLHttpRequest.prototype.send;
  XMLHttpRequest.prototype.send = function (body) {
    const answered = this.onload;
    this.onload = () => setTimeout(() => answered.call(this), late.length ? late.shift() : 0);
    send.call(this, body);
  };
  window.twice = [];
  new MutationObserver(() => {
    const ids = [...document.querySelectorAll("#filter-values [id]")].map((e) => e.id);
    window.twice.push(...ids.filter((id, i) => ids.indexOf(id) !== i));
  }).observe(document.body, { childList: true, subtree: true });
}"""
"""Lets each answer come so many milliseconds late, and notes each name that is there twice."""


@pytest.mark.parametrize("late", [(), (300,) * 20, (0, 500) * 10, (500, 0) * 10, (400, 0, 0) * 7])
def test_the_focus_stays_on_a_value_whatever_answer_comes_first(
    school: School, sit: Sit, late: tuple[int, ...]
) -> None:
    """Rows and counts come by two answers; a value that only the counts know comes back with it."""
    page = sit(school.world.manager, "/customers").page
    page.locator("summary", has_text="筛选").click()
    number = school.world.a.employee_id
    owner, source = (
        page.locator(f"#value-owner_id-{number}").last,
        page.locator("#value-source-baidu").last,
    )
    expect(owner).to_be_visible()
    page.evaluate(LATE, list(late))
    for value, chosen in ((owner, "true"), (owner, "false"), (source, "true"), (source, "false")):
        value.focus()
        page.keyboard.press("Space")
        expect(value).to_have_attribute("aria-checked", chosen)
        expect(value.locator("small")).to_be_visible()
        expect(value).to_be_focused()
    # Two at once: the second is pressed before anything is known of the first.
    page.evaluate(
        """(ids) => ids.map((id) => document.getElementById(id))
            .forEach((value) => { value.focus(); value.click(); })""",
        ["value-source-baidu", f"value-owner_id-{number}"],
    )
    expect(owner).to_have_attribute("aria-checked", "true")
    expect(owner).to_be_focused()
    page.wait_for_timeout(1200)
    expect(owner).to_be_focused()
    assert page.evaluate("window.twice") == []


def test_a_tab_asks_for_today_whatever_the_day(school: School, sit: Sit) -> None:
    """Its address names it and no date, so that a bookmark is right tomorrow as well."""
    page = sit(school.world.a, "/my/customers").page
    number = intake.list_customers(school.crm, Query(search="王小明"), by=SYSTEM).items[0].id
    follow_up.log_follow_up(
        school.crm, number or 0, {"note": "x", "next_contact_at": "2020-01-01 10:00"},
        by=school.world.a,
    )  # fmt: skip
    page.get_by_role("link", name="今日待联系").click()
    expect(page.locator(".nav-link.active")).to_contain_text("今日待联系")
    expect(page.locator("tbody tr")).to_have_count(1)
    assert asked(page) == {"tab": ["due"]}
    page.fill("#q", "王")
    page.wait_for_url(re.compile("q="))
    expect(page.locator("tbody tr")).to_have_count(1)
    assert asked(page) == {"tab": ["due"], "q": ["王"]}


def test_the_number_of_rows_is_remembered(school: School, sit: Sit) -> None:
    """Chosen once beside the columns it holds for the list, and a search keeps another."""
    page = sit(school.world.manager, "/customers?size=100").page
    page.get_by_role("link", name="列", exact=True).click()
    page.locator("#dialog").get_by_label("20", exact=True).check()
    page.locator("#dialog").get_by_role("button", name="保存").click()
    expect(page.locator("#dialog")).not_to_be_visible()
    expect(page.locator(".card-footer .btn.active")).to_have_text("20")
    page.goto(school.address + "/customers?size=50")
    page.fill("#q", "客户")
    page.wait_for_url(re.compile("q="))
    expect(page.locator(".card-footer .btn.active")).to_have_text("50")


def test_what_is_pressed_twice_is_done_once(school: School, sit: Sit) -> None:
    """A double click, a second Enter and a quick check beside them send a form once."""
    desk = sit(school.world.a, "/customers/new")
    page, sent = desk.page, list[str]()
    page.on("request", lambda r: sent.append(r.url) if r.method == "POST" else None)
    page.route("**/customers/similar?*", lambda r: (page.wait_for_timeout(600), r.continue_()))
    page.fill("#f-name", "两次客户")
    page.select_option("#f-source", "baidu")
    page.locator("#f-phone").press_sequentially("13712345670")
    with page.expect_request(re.compile("similar")):
        page.wait_for_timeout(10)
    # While the check is under way the form can be sent, by the keyboard, and twice is once.
    page.locator("#f-phone").press("Enter")
    page.locator("#f-phone").press("Enter")
    expect(page.locator("#flash")).to_contain_text("已保存")
    assert len(sent) == 1
    page = desk.go("/pool")
    sent.clear()
    page.locator("tr", has_text="公海客户1").get_by_role("button", name="抢单").dblclick()
    page.wait_for_url(re.compile(r"/customers/\d+$"))
    expect(page.locator("#flash")).to_contain_text("抢单成功")
    assert len(sent) == 1
    page = desk.go("/my/customers")
    sent.clear()
    page.locator("tr", has_text="李客户1").get_by_role("button", name="记跟进").click()
    page.fill("#dialog textarea[name=note]", "一次")
    page.locator("#dialog button[type=submit]").dblclick()
    expect(page.locator("#flash")).to_contain_text("跟进已记录")
    assert len(sent) == 1


def test_a_form_that_was_refused_can_be_sent_again(school: School, sit: Sit) -> None:
    """Only while an answer is on its way a form cannot be sent."""
    desk = sit(school.world.a, "/customers/new")
    desk.expected = REFUSED
    page = desk.page
    page.fill("#f-name", "再来一次")
    page.fill("#f-phone", "13712345671")
    page.select_option("#f-source", "baidu")
    page.route("**/customers/new", lambda r: r.abort())
    desk.expected += ("ERR_FAILED", "/customers/new")
    page.get_by_role("button", name="保存").click()
    expect(page.locator("#flash [role=alert]")).to_contain_text("连接不上服务器")
    page.unroute("**/customers/new")
    page.get_by_role("button", name="保存").click()
    expect(page.locator("#flash")).to_contain_text("已保存")


def test_the_language_of_signing_in_keeps_where_to_go(school: School, sit: Sit) -> None:
    """Whoever chooses English first still comes to the page with all that was asked of it."""
    desk = sit()
    page = desk.go("/customers?q=李&source=baidu&sort=-name")
    page.get_by_role("link", name="English").click()
    page.fill("#username", school.username(school.world.a))
    page.fill("#password", PASSWORD)
    page.press("#password", "Enter")
    expect(page.locator("tbody tr")).to_have_count(6)
    assert asked(page) == {"q": ["李"], "source": ["baidu"], "sort": ["-name"]}


def test_every_filter_can_be_used(school: School, sit: Sit) -> None:
    """Whom a notice is for is offered, though nobody counts; the number of a record is typed."""
    admin = school.world.person("管理", "administrator")
    desk = sit(admin, "/notices")
    page = desk.page
    page.locator("summary", has_text="筛选").click()
    page.get_by_role("group", name="收件人").get_by_role("checkbox", name="李雷").click()
    expect(page.locator("#chosen").last).to_contain_text("李雷")
    entry = audit_log.list_entries(school.crm, Query(limit=1), by=SYSTEM).items[0].entry
    page = desk.go("/audit")
    page.locator("summary", has_text="筛选").click()
    page.get_by_role("textbox", name="编号").fill(str(entry.record_id))
    page.get_by_role("textbox", name="编号").press("Enter")
    expect(page.locator("#chosen").last).to_contain_text(f"编号：{entry.record_id}")
    shown = page.locator("td[data-label='编号']").all_inner_texts()
    assert set(shown) == {str(entry.record_id)}


def test_a_value_that_a_filter_does_not_offer_is_picked_by_typing(school: School, sit: Sit) -> None:
    """Of many it says that there are more; a name and the keyboard add one, and then another."""
    for n in range(60):
        school.world.person(f"顾问{n:02d}")
    page = sit(school.world.person("管理", "administrator"), "/notices").page
    page.locator("summary", has_text="筛选").click()
    group = page.get_by_role("group", name="收件人")
    expect(group.get_by_role("checkbox")).to_have_count(50)
    box = group.get_by_role("combobox", name="收件人")
    expect(box).to_have_attribute("placeholder", re.compile("还有更多"))
    for n, name in enumerate(("顾问57", "顾问58"), 1):
        box.focus()
        page.keyboard.type(name)
        expect(group.get_by_role("option")).to_have_count(1)
        page.keyboard.press("Enter")
        expect(page.locator("#chosen").last).to_contain_text(name)
        expect(group.get_by_role("checkbox", checked=True)).to_have_count(n)
        expect(box).to_be_focused()
        expect(box).to_have_value("")
    assert len(asked(page)["recipient_id"]) == 2
    # What is only typed asks for nothing.
    page.keyboard.type("顾问")
    page.keyboard.press("Tab")
    page.wait_for_timeout(800)
    assert len(asked(page)["recipient_id"]) == 2
    group.get_by_role("checkbox", name="顾问57").click()
    expect(page.locator("#chosen").last).not_to_contain_text("顾问57")

    number = str(school.world.manager.employee_id)
    page = sit(school.world.person("管理乙", "administrator"), "/notices",
               java_script_enabled=False).page  # fmt: skip
    page.locator("summary", has_text="筛选").click()
    page.get_by_role("textbox", name="收件人").fill(number)
    page.get_by_role("textbox", name="收件人").press("Enter")
    expect(page.locator("#chosen").last).to_contain_text("赵敏")
    assert asked(page) == {"recipient_id": [number]}


def test_without_scripts_lists_are_read_and_forms_are_sent(school: School, sit: Sit) -> None:
    """Links and forms alone search, filter, sort, page and enter a customer."""
    desk = sit(school.world.a, "/customers", java_script_enabled=False)
    page = desk.page
    page.fill("#q", "客户")
    page.press("#q", "Enter")
    expect(page.locator("tbody tr")).to_have_count(6)
    page.locator("summary", has_text="筛选").click()
    page.get_by_role("checkbox", name=re.compile("^百度")).click()
    expect(page.locator("#chosen").last).to_contain_text("百度")
    page.get_by_role("link", name="姓名").click()
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("姓名")
    page.get_by_role("link", name="20", exact=True).click()
    assert asked(page) == {"q": ["客户"], "source": ["baidu"], "sort": ["name"], "size": ["20"]}
    page.get_by_role("link", name="新增").click()
    page.fill("#f-name", "无脚本客户")
    page.fill("#f-phone", "13712345672")
    page.get_by_role("button", name="保存").click()
    expect(page.locator("#flash")).to_contain_text("已保存")


LISTS = ("/customers", "/pool", "/assignments", "/follow-ups", "/payments", "/notices", "/audit",
         "/users", "/employees", "/departments", "/courses", "/cohorts", "/lessons", "/students",
         "/schools", "/enrolments", "/study_records")  # fmt: skip
LONGEST = "阿卜杜拉赫曼·穆罕默德·艾山江🎓👩‍💻" * 2


@pytest.mark.parametrize("width", [360, 768, 1280, 1920])
def test_no_list_makes_the_page_scroll_sideways(school: School, sit: Sit, width: int) -> None:
    """A wide table scrolls within its card, with the longest names and all columns open."""
    made = school.world.customer(
        school.world.a, name=LONGEST[:60], company=LONGEST[:60], memo="W" * 200
    )
    admin = school.world.person("管理", "administrator")
    desk = sit(admin, "/", viewport={"width": width, "height": 800})
    wrong = []
    paths = (*LISTS, "/customers?q=没有&source=baidu", f"/customers/{made.id}")
    for path in paths:
        page = desk.go(path)
        page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        wide = page.evaluate("document.documentElement.scrollWidth")
        if page.locator(".empty-header").count():
            wrong.append(f"{path}: {page.locator('main').inner_text()}")
        if wide > width:
            wrong.append(f"{path} is {wide} wide")
    assert not wrong, "\n".join(wrong)
