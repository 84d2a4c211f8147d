"""Customers in the browser: entered, looked at, picked, and what can be done to them."""

from __future__ import annotations

import io
import re

import pytest
from openpyxl import load_workbook

from crm_domain import SYSTEM
from crm_domain.ports import Query
from crm_domain.usecases import access, assignment, intake
from make import World, phone
from steps import on
from web.conftest import Visit


@pytest.fixture
def engine_name() -> str:
    """Pages look the same on every engine."""
    return "sqlite"


# -- entering ---------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["", "abc", "0"])
def test_named_without_a_name_is_refused_and_costs_no_turn(
    visit: Visit, world: World, named: str
) -> None:
    """The rotation gives the customer to no stranger; the reason stands beside the field."""
    typed = {"name": "孙", "phone": phone(), "to": "named", "consultant_id": named}
    answer = visit(world.manager).post("/customers/new", typed)
    assert answer.status_code == 422
    assert re.search(r'id="f-consultant_id-e">请指定顾问<', answer.text)
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
