"""One field of a row, changed in the list."""

from __future__ import annotations

import re

import pytest
from starlette.applications import Starlette

from crm_domain import SYSTEM
from crm_domain.model import specs
from crm_domain.rules.access import Principal
from crm_domain.usecases import access, assignment, intake
from make import World
from steps import login
from web.conftest import Visit
from web.house import THERE, House
from web.visitor import PART


@pytest.fixture
def engine_name() -> str:
    """Each field is saved by the use case of its form, which is tried on every engine."""
    return "sqlite"


def test_a_cell_becomes_its_input_and_is_saved_alone(world: World, visit: Visit) -> None:
    """The other fields stay as they are, and the cell shows the new value as the list does."""
    customer = world.customer(world.a, company="旧公司", major="软件")
    me, to = visit(world.a), f"/customers/{customer.id}/field/company"
    shown = me.get(to).text
    assert 'value="旧公司"' in shown
    assert "<html" not in shown
    saved = me.post(to, {"company": "新公司<b>", "version": customer.version})
    assert saved.status_code == 200
    assert "新公司&lt;b&gt;" in saved.text
    assert "<input" not in saved.text
    after = intake.get_customer(world.crm, customer.id or 0, by=SYSTEM)
    assert (after.company, after.major, after.phone) == ("新公司<b>", "软件", customer.phone)
    assert "新公司" in me.get(f"{to}?shown=1").text


def test_a_choice_is_chosen_and_a_wrong_value_is_refused_in_the_cell(
    world: World, visit: Visit
) -> None:
    """422 with the input, what was typed and why."""
    customer = world.customer(world.a)
    me, to = visit(world.a), f"/customers/{customer.id}/field/"
    assert "<select" in me.get(to + "education").text
    saved = me.post(to + "education", {"education": "college", "version": customer.version})
    assert saved.status_code == 200
    wrong = me.post(to + "phone", {"phone": "123", "version": customer.version + 1})
    assert wrong.status_code == 422
    assert 'value="123"' in wrong.text
    assert 'role="alert"' in wrong.text
    assert 'aria-describedby="cell-error"' in wrong.text


def test_what_somebody_else_wrote_meanwhile_is_not_overwritten(world: World, visit: Visit) -> None:
    """409 with what is there by now; saving again is the person's decision."""
    customer = world.customer(world.a, company="旧公司")
    number = customer.id or 0
    intake.edit_customer(world.crm, number, {"company": "别人写的"}, version=1, by=SYSTEM)
    me, to = visit(world.a), f"/customers/{number}/field/company"
    answer = me.post(to, {"company": "我写的", "version": 1})
    assert answer.status_code == 409
    assert 'value="我写的"' in answer.text
    assert "别人写的" in answer.text
    assert 'name="version" value="2"' in answer.text
    assert me.post(to, {"company": "我写的", "version": 2}).status_code == 200


@pytest.mark.parametrize("version", [{}, {"version": ""}, {"version": "x"}])
def test_without_a_version_nothing_is_saved(
    world: World, visit: Visit, version: dict[str, str]
) -> None:
    """A field that was lost on its way switches no check off."""
    customer = world.customer(world.a, company="旧公司")
    to = f"/customers/{customer.id}/field/company"
    assert visit(world.a).post(to, {"company": "新", **version}).status_code == 422
    assert intake.get_customer(world.crm, customer.id or 0, by=SYSTEM).company == "旧公司"


def test_without_the_field_nothing_is_saved(world: World, visit: Visit) -> None:
    """What was lost on its way is not emptied; an empty input is."""
    customer = world.customer(world.a, company="旧公司")
    me, to = visit(world.a), f"/customers/{customer.id}/field/company"
    assert me.post(to, {"version": customer.version}).status_code == 422
    assert intake.get_customer(world.crm, customer.id or 0, by=SYSTEM).company == "旧公司"
    assert me.post(to, {"company": "", "version": customer.version}).status_code == 200
    assert intake.get_customer(world.crm, customer.id or 0, by=SYSTEM).company is None


def test_a_taken_contact_is_refused_in_the_cell(world: World, visit: Visit) -> None:
    """409, and the input stays."""
    taken, mine = world.customer(world.b), world.customer(world.a)
    answer = visit(world.a).post(
        f"/customers/{mine.id}/field/phone", {"phone": taken.phone, "version": mine.version}
    )
    assert answer.status_code == 409
    assert f'value="{taken.phone}"' in answer.text


@pytest.mark.parametrize("name", ["owner_id", "due_on", "status", "id", "version", "locked", "x"])
def test_what_no_form_changes_no_cell_changes(world: World, visit: Visit, name: str) -> None:
    """Guarded fields change by their own use cases alone."""
    customer = world.customer(world.a)
    me, to = visit(world.manager), f"/customers/{customer.id}/field/{name}"
    assert me.get(to).status_code == 404
    assert me.post(to, {name: "1", "version": 1}).status_code == 404


def test_every_list_with_a_form_has_cells_for_its_plain_fields(app: Starlette) -> None:
    """No list needs to say so, and none offers what is guarded."""
    for resource in app.state.site.resources.values():
        form = resource.form
        edits = form is not None and form.edit is not None
        assert bool(resource.inline) is edits, resource.name
        for name in resource.inline:
            assert not specs(resource.record)[name].guarded, (resource.name, name)


def test_the_list_marks_what_can_be_changed_for_whoever_may(world: World, visit: Visit) -> None:
    """Links are followed, so their cells are not; without the permission no cell is."""
    customer = world.customer(world.a)
    page = visit(world.a).get("/customers").text
    assert f'data-edit="/customers/{customer.id}/field/phone"' in page
    assert f'data-edit="/customers/{customer.id}/field/name"' not in page
    assert not re.search(r'data-edit="[^"]*/field/(owner_id|status|due_on)"', page)
    boss = world.person("孙总", "administrator")
    marked = f'data-edit="/employees/{world.a.employee_id}/field/'
    assert marked in visit(boss).get("/employees").text
    assert marked not in visit(world.manager).get("/employees").text


def test_a_refusal_is_no_page_within_the_cell(world: World, visit: Visit) -> None:
    """Whatever is asked of a customer that went to somebody else meanwhile."""
    customer = world.customer(world.a)
    me, to = visit(world.a), f"/customers/{customer.id}/field/company"
    assignment.transfer_customers(
        world.crm, [customer.id or 0], [world.b.employee_id or 0], reason="", by=SYSTEM
    )
    sent = {"company": "新", "version": 1}
    for answer in (me.get(to, **PART), me.get(f"{to}?shown=1", **PART), me.post(to, sent, **PART),
                   me.get("/pool-rules", **PART)):  # fmt: skip
        assert answer.status_code in (403, 404)
        assert "<html" not in answer.text
        assert answer.headers["hx-retarget"] == "#flash"


def _keeper(house: House, *also: str) -> Principal:
    """Make somebody who sees and changes all customers, but gives none away."""
    codes = ["customer:view", "customer:edit", "customer:mine", *also]
    role = access.add_role(
        house.crm, {"title": f"录入{len(also)}", "permissions": codes, "scope": "all"}, by=SYSTEM
    )
    person = house.world.person(f"录入员{len(also)}")
    access.set_roles(house.crm, login(house.crm, person), [role.id or 0], by=SYSTEM)
    return access.principal_for(house.crm, username=login(house.crm, person))


def test_the_form_is_offered_to_whom_it_opens_and_to_nobody_else(
    house: House, visit: Visit
) -> None:
    """In the list, in its cells and on the customer's page, whatever the customer is to whom."""
    people = [house.a, house.people["sales_manager"], _keeper(house),
              _keeper(house, "customer:assign"),
              _keeper(house, "pool:view", "customer:lock")]  # fmt: skip
    kept = house.make("pool")
    assignment.lock_customer(house.crm, kept, reason="保留", locked=True, by=SYSTEM)
    customers = [*(house.ids[kind] for kind in THERE), kept]
    offered = 0
    for who in people:
        browser = visit(who)
        shown = browser.get("/customers?size=200").text
        for n in customers:
            opens = browser.get(f"/customers/{n}/edit").status_code == 200
            listed = f'value="{n}" data-tick' in shown or f'href="/customers/{n}"' in shown
            wish = (opens and listed, n, who.title)
            assert (f'data-edit="/customers/{n}/field/phone"' in shown, n, who.title) == wish
            assert (f'href="/customers/{n}/edit?' in shown, n, who.title) == wish
            page = browser.get(f"/customers/{n}")
            if page.status_code == 200:
                assert (f'href="/customers/{n}/edit?' in page.text) is opens, (n, who.title)
            offered += opens
    assert 0 < offered < len(people) * len(customers)


def test_nobody_is_led_to_a_customer_that_they_may_not_open(house: House, visit: Visit) -> None:
    """Whoever has own customers, but no right to the pages of any, reads only their names."""
    codes = ["customer:mine", "customer:follow_up"]
    role = access.add_role(house.crm, {"title": "电话", "permissions": codes}, by=SYSTEM)
    name = login(house.crm, house.a)
    access.set_roles(house.crm, name, [role.id or 0], by=SYSTEM)
    shown = visit(access.principal_for(house.crm, username=name)).get("/my/customers").text
    assert house.canaries["own"].name in shown
    assert f'href="/customers/{house.ids["own"]}"' not in shown
