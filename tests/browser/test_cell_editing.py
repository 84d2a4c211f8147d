"""One field of a row is changed where it stands: by the mouse, by the keyboard, by two at once."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from browser.conftest import School, Sit, picture
from crm_domain import SYSTEM
from crm_domain.model import Customer, Department
from crm_domain.ports import Query
from crm_domain.usecases import assignment, intake, records, views

REFUSED = "422 (Unprocessable"
CONFLICT = "409 (Conflict)"
COLUMNS = ["name", "company", "education", "phone", "owner_id"]


def customer(school: School) -> Customer:
    """Read 王小明."""
    return intake.list_customers(school.crm, Query(search="王小明"), by=SYSTEM).items[0]


def cell(page: Page, label: str) -> Locator:
    """Find a cell of 王小明."""
    return page.locator("tbody tr", has_text="王小明").locator(f'td[data-label="{label}"]')


def shown(school: School, *people: object) -> None:
    """Show the columns that the journeys are about."""
    for who in people:
        views.set_preference(school.crm, "customers", {"columns": COLUMNS}, by=who)  # type: ignore[arg-type]


def test_a_cell_is_changed_by_a_click_and_by_the_keyboard_alone(school: School, sit: Sit) -> None:
    """Arrows lead from cell to cell, Enter opens and saves, Escape leaves all as it was."""
    shown(school, school.world.a)
    page = sit(school.world.a, "/customers").page
    cell(page, "公司").click()
    field = page.locator("[data-cell] input[name=company]")
    expect(field).to_be_focused()
    picture(page, "cell")
    field.fill("乙公司")
    page.get_by_role("button", name="保存").click()
    expect(cell(page, "公司")).to_have_text("乙公司")
    expect(cell(page, "公司")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(cell(page, "学历")).to_be_focused()
    page.keyboard.press("Enter")
    choice = page.locator("[data-cell] select")
    expect(choice).to_be_focused()
    choice.select_option(label="大专")
    page.keyboard.press("Enter")
    expect(cell(page, "学历")).to_have_text("大专")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(field).to_have_value("乙公司")
    field.fill("丙公司")
    page.keyboard.press("Escape")
    expect(cell(page, "公司")).to_have_text("乙公司")
    after = customer(school)
    assert (after.company, after.education and after.education.value) == ("乙公司", "college")
    assert after.version == 3
    assert "/field/" not in page.url


def test_one_of_many_records_is_found_in_the_cell_by_its_name(school: School, sit: Sit) -> None:
    """What is there is shown by its name; Enter first chooses from what was found, then saves."""
    for i in range(60):
        records.save_record(
            school.crm, Department(code=900_000 + i, title=f"分校{i:02}"), by=SYSTEM
        )
    admin = school.world.person("管理", "administrator")
    page = sit(admin, "/employees").page
    row = page.locator("tbody tr", has_text=school.world.a.title)
    at = row.locator('td[data-label="部门"]')
    before = at.inner_text()
    at.click()
    field = at.get_by_role("combobox", name="部门")
    expect(field).to_be_focused()
    expect(field).to_have_value(before)
    field.fill("分校37")
    expect(at.get_by_role("option")).to_have_count(1)
    field.press("Enter")
    expect(field).to_have_value("分校37")
    expect(at.locator("[data-cell]")).to_have_count(1)
    field.press("Enter")
    expect(at).to_have_text("分校37")
    at.focus()
    page.keyboard.press("Enter")
    expect(field).to_be_focused()
    field.fill("分校")
    expect(at.get_by_role("listbox")).to_be_visible()
    field.press("Escape")
    expect(at.get_by_role("listbox")).to_be_hidden()
    expect(field).to_be_focused()
    field.press("Escape")
    expect(at).to_have_text("分校37")


def test_what_is_refused_is_said_in_the_cell(school: School, sit: Sit) -> None:
    """With what was typed; the next try saves it."""
    shown(school, school.world.a)
    desk = sit(school.world.a, "/customers")
    desk.expected = (REFUSED,)
    page = desk.page
    cell(page, "手机").click(position={"x": 3, "y": 3})
    field = page.locator("[data-cell] input[name=phone]")
    field.fill("123")
    field.press("Enter")
    expect(page.locator("[data-cell] [role=alert]")).to_be_visible()
    expect(field).to_have_value("123")
    expect(field).to_be_focused()
    field.fill("13712345670")
    field.press("Enter")
    expect(cell(page, "手机")).to_contain_text("13712345670")


def test_the_second_of_two_sees_what_the_first_wrote(school: School, sit: Sit) -> None:
    """In the cell, beside what was typed; saving again decides."""
    shown(school, school.world.a, school.world.manager)
    one, two = (sit(who, "/customers") for who in (school.world.a, school.world.manager))
    two.expected = (CONFLICT,)
    for desk in (one, two):
        cell(desk.page, "公司").click()
        expect(desk.page.locator("[data-cell] input[name=company]")).to_be_focused()
    for desk, company in ((one, "先写"), (two, "后写")):
        desk.page.locator("[data-cell] input[name=company]").fill(company)
        desk.page.keyboard.press("Enter")
    expect(cell(one.page, "公司")).to_have_text("先写")
    expect(two.page.locator("[data-cell] [role=alert]")).to_contain_text("先写")
    expect(two.page.locator("[data-cell] input[name=company]")).to_have_value("后写")
    two.page.keyboard.press("Enter")
    expect(cell(two.page, "公司")).to_have_text("后写")


def test_a_cell_that_is_refused_stays_as_it_was(school: School, sit: Sit) -> None:
    """Where it was transferred meanwhile: the word stands above the list, no page in the cell."""
    shown(school, school.world.a)
    desk = sit(school.world.a, "/customers")
    desk.expected = ("404 (Not Found)",)
    page = desk.page
    other = page.locator("tbody tr", has_text="李客户1").locator('td[data-label="公司"]')
    other.click()
    expect(page.locator("[data-cell] input[name=company]")).to_be_focused()
    mine = intake.list_customers(school.crm, Query(), by=school.world.a).items
    assignment.transfer_customers(
        school.crm, [one.id or 0 for one in mine], [school.world.b.employee_id or 0],
        reason="", by=SYSTEM,
    )  # fmt: skip
    cell(page, "公司").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#flash [role=alert]")).to_contain_text("编号")
    expect(cell(page, "公司")).to_have_text("甲公司")
    expect(cell(page, "公司")).to_be_focused()
    # Whoever leaves a cell that was open before is not held in it.
    other.locator("input[name=company]").focus()
    page.keyboard.press("Escape")
    expect(page.locator("[data-cell]")).to_have_count(0)
    expect(other).to_have_text("–")
    assert page.locator("#flash, #dialog, #content").count() == 3


def test_a_cell_can_be_saved_after_the_connection_was_lost(school: School, sit: Sit) -> None:
    """What was typed is still there, and the next Enter saves it."""
    shown(school, school.world.a)
    desk = sit(school.world.a, "/customers")
    desk.expected = ("ERR_FAILED", "/field/company", "htmx:sendError")
    page = desk.page
    cell(page, "公司").click()
    field = page.locator("[data-cell] input[name=company]")
    field.fill("乙公司")
    page.route("**/field/company", lambda r: r.abort())
    field.press("Enter")
    expect(page.locator("#flash [role=alert]")).to_contain_text("连接不上服务器")
    expect(field).to_have_value("乙公司")
    page.unroute("**/field/company")
    field.press("Enter")
    expect(cell(page, "公司")).to_have_text("乙公司")
    assert customer(school).company == "乙公司"


def test_a_cell_that_is_open_is_no_part_of_what_is_done_to_rows(school: School, sit: Sit) -> None:
    """The rows are moved with what the dialog asked, and one press takes it back."""
    shown(school, school.world.manager)
    page = sit(school.world.manager, "/customers").page
    cell(page, "公司").click()
    expect(page.locator("[data-cell] input[name=company]")).to_be_focused()
    page.locator("tbody tr", has_text="王小明").locator("[data-tick]").check()
    page.locator("[data-bulk]").get_by_role("button", name="转移").click()
    page.locator("#dialog select[name=to_id]").select_option(label="王强")
    page.locator("#dialog button[type=submit]").click()
    expect(page.locator("#flash")).to_contain_text("已转移 1 位客户")
    assert customer(school).owner_id == school.world.c.employee_id
    picture(page, "undo")
    page.locator("#flash").get_by_role("button", name="撤回").click()
    expect(page.locator("#flash")).to_contain_text("已撤回 1 位客户的转移")
    assert customer(school).owner_id == school.world.a.employee_id
    assert page.url.endswith("/customers")


def test_columns_are_chosen_in_the_dialog_and_stay(school: School, sit: Sit) -> None:
    """What is ticked is shown, also in the next window."""
    desk = sit(school.world.a, "/customers")
    page = desk.page
    page.locator("a.btn", has_text="列").click()
    box = page.locator("#dialog").get_by_role("checkbox", name="公司")
    expect(box).not_to_be_checked()
    box.check()
    page.locator("#dialog button[type=submit]").first.click()
    expect(page.locator("thead")).to_contain_text("公司")
    other = desk.window()
    other.goto(school.address + "/customers")
    expect(other.locator("thead")).to_contain_text("公司")
