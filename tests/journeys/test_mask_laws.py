"""What a mask hides (spec section 6) is hidden in every answer, and nobody overwrites it unseen."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from crm_domain import SYSTEM, usecases
from crm_domain.errors import Invalid
from crm_domain.model import Course, Customer
from crm_domain.ports import Query
from crm_domain.rules.access import Principal
from crm_domain.usecases import assignment, exports, intake, pool, records, timeline
from make import World, phone

SECRETS = {"phone": "13911119999", "wechat": "wx_wangfang", "memo": "丈夫不同意"}


def pooled(world: World) -> Customer:
    """Make a public customer with something to hide."""
    return world.customer(**SECRETS)


def locked(world: World) -> Customer:
    """Make a customer that a manager keeps out of the pool, and that is nobody's."""
    customer = pooled(world)
    assignment.lock_customer(world.crm, customer.id or 0, reason="x", by=SYSTEM)
    return customer


def edited(w: World, c: Customer, by: Principal) -> Customer:
    """Change nothing."""
    return intake.edit_customer(w.crm, c.id or 0, {}, version=c.version, by=by)


def kept(w: World, c: Customer, by: Principal, on: bool = True) -> Customer:
    """Lock or unlock."""
    return assignment.lock_customer(w.crm, c.id or 0, reason="x", locked=on, by=by)


ANSWERS: dict[str, tuple[str, Callable[[World, Principal], Customer]]] = {
    "get": ("get_customer", lambda w, p: intake.get_customer(w.crm, pooled(w).id or 0, by=p)),
    "form": (
        "customer_to_edit",
        lambda w, p: intake.customer_to_edit(w.crm, pooled(w).id or 0, by=p),
    ),
    "lock taken back": (
        "take_back_lock",
        lambda w, p: assignment.take_back_lock(w.crm, kept(w, pooled(w), p).id or 0, by=p),
    ),
    "edit": ("edit_customer", lambda w, p: edited(w, pooled(w), p)),
    "lock": ("lock_customer", lambda w, p: kept(w, pooled(w), p)),
    "unlock": ("lock_customer", lambda w, p: kept(w, locked(w), p, on=False)),
}
OWN_WORDS = {"register_customer", "read_customer"}
"""Answer with what was typed by whoever asks."""
WITHIN = {"locked_customer", "seen", "seen_by_who_changed"}
"""Are no use cases: others build on them."""


@pytest.mark.parametrize("answer", ANSWERS)
def test_no_answer_shows_a_manager_what_the_pool_hides(world: World, answer: str) -> None:
    """Also of what one has just changed; the same fields as in the list of the pool."""
    shown = ANSWERS[answer][1](world, world.manager)
    assert (shown.phone, shown.wechat, shown.memo) == ("139****9999", "wx_****fang", None)


def test_each_use_case_that_gives_a_customer_is_looked_at() -> None:
    """One that is added later has to stand in the table above."""
    found = set()
    for module in pkgutil.iter_modules(usecases.__path__):
        if not module.name.startswith("_"):
            names = vars(importlib.import_module(f"crm_domain.usecases.{module.name}"))
            found |= {n for n, f in names.items() if inspect.isfunction(f) and not n.startswith("_")
                      and f.__annotations__.get("return") == "Customer"}  # fmt: skip
    assert found - OWN_WORDS - WITHIN - {"masked", "owned_by", "pooled", "dated", "shown"} == {
        use_case for use_case, _ in ANSWERS.values()
    }


@pytest.mark.parametrize("who", ["owner", "administrator"])
def test_who_sees_a_customer_clearly_is_answered_clearly(world: World, who: str) -> None:
    """An owner of the own, and who assigns and sees all."""
    owner = who == "owner"
    customer = world.customer(world.a if owner else None, **SECRETS)
    shown = edited(world, customer, world.a if owner else SYSTEM)
    assert (shown.phone, shown.memo) == ("13911119999", "丈夫不同意")


@pytest.mark.parametrize(
    "typed",
    [{"memo": ""}, {"memo": "x"}, {"memo": SECRETS["memo"]}, {"phone": ""},
     {"phone": SECRETS["phone"]}, {"wechat": "wx_other_one"}, {"phone": "139****9999"},
     {"phone": "139****9990"}],
)  # fmt: skip
def test_what_one_cannot_see_cannot_be_overwritten(world: World, typed: dict[str, Any]) -> None:
    """Nor guessed: the right value is refused as any other."""
    customer = pooled(world)
    number = customer.id or 0
    if typed in ({"memo": ""}, {"phone": "139****9999"}):
        # As a form sends back what it was shown.
        after = intake.edit_customer(world.crm, number, typed | {"major": "法语"}, version=1,
                                     by=world.manager)  # fmt: skip
        assert after.major == "法语"
    elif typed == {"phone": "139****9990"}:
        with pytest.raises(Invalid) as caught:
            intake.edit_customer(world.crm, number, typed, version=1, by=world.manager)
        assert [p.code for p in caught.value.problems] == ["bad_phone"]
    else:
        with pytest.raises(Invalid) as caught:
            intake.edit_customer(world.crm, number, typed, version=1, by=world.manager)
        assert [p.code for p in caught.value.problems] == ["hidden_field"]
    after = intake.get_customer(world.crm, number, by=SYSTEM)
    assert {n: getattr(after, n) for n in SECRETS} == SECRETS


def test_a_manager_keeps_the_pool_in_order_all_the_same(world: World) -> None:
    """What the mask does not hide is changed, and a way to reach somebody may be added."""
    customer = pooled(world)
    typed = {"name": "王方", "major": "法语", "qq": "123456"}
    intake.edit_customer(world.crm, customer.id or 0, typed, version=1, by=world.manager)
    after = intake.get_customer(world.crm, customer.id or 0, by=SYSTEM)
    assert (after.name, after.major, after.qq) == ("王方", "法语", "123456")
    mine = world.customer(world.a)
    intake.edit_customer(world.crm, mine.id or 0, {"phone": phone(), "memo": "x"}, version=1,
                         by=world.manager)  # fmt: skip


# -- what a school hides besides -------------------------------------------------------------------

MORE: dict[str, Any] = {"company": "机密公司", "salary": "三万", "source": "agent"}


@pytest.fixture
def hiding(world: World) -> World:
    """Make a school that hides more of the pool than everybody must."""
    settings = attrs.evolve(world.crm.settings, pool_hidden="company, salary,source,courses")
    world.crm = attrs.evolve(world.crm, settings=settings)
    return world


def with_more(world: World, owner: Principal | None = None) -> Customer:
    """Make a customer of whom each field is filled in that the school hides."""
    course = records.save_record(world.crm, Course(title=phone()), by=SYSTEM).id
    return world.customer(owner, courses=[course], memo="x", **MORE)


def of_more(customer: Customer) -> tuple[Any, ...]:
    """Give what a customer shows of it."""
    return (customer.company, customer.salary, customer.source, customer.courses)


@pytest.mark.parametrize("answer", ANSWERS)
def test_no_answer_shows_what_a_school_hides(
    hiding: World, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """The school's fields are hidden wherever contacts are."""
    for name, value in MORE.items():
        monkeypatch.setitem(SECRETS, name, value)
    shown = ANSWERS[answer][1](hiding, hiding.manager)
    assert (of_more(shown), shown.phone, shown.memo) == ((None,) * 3 + ((),), "139****9999", None)


def test_lists_and_sheets_show_what_a_school_hides_of_nobodys_customers_only(
    hiding: World,
) -> None:
    """In the pool to nobody; elsewhere of private customers, and to who gives customers away."""
    private, public = with_more(hiding, hiding.a), with_more(hiding)
    finance = hiding.person("钱进", "finance")
    nothing = (None, None, None, ())
    for by in (hiding.b, hiding.manager, SYSTEM):
        [shown] = pool.public_customers(hiding.crm, by=by)
        assert of_more(shown) == nothing
    shown, own = intake.list_customers(hiding.crm, by=finance)
    assert (of_more(shown), of_more(own)) == (nothing, of_more(private))
    assert of_more(intake.list_customers(hiding.crm, by=hiding.a)[0]) == of_more(private)
    assert [of_more(c) for c in intake.list_customers(hiding.crm, by=SYSTEM)] == [
        of_more(public), of_more(private),
    ]  # fmt: skip
    seller = attrs.evolve(finance, permissions=finance.permissions | {"customer:export"})
    sheet = exports.export_customers(hiding.crm, form="csv", by=seller).decode("utf-8-sig")
    assert (sheet.count("机密公司"), sheet.count("渠道代理")) == (1, 1)


@pytest.mark.parametrize(
    "query",
    [
        Query(where={"source": ["agent"]}), Query(where={"source": None}), Query(sort="source"),
        Query(sort="-salary"), Query(ranges={"company": ("机", None)}), Query(where={"courses": 1}),
        Query(sort="phone"), Query(where={"memo": None}),
    ],
)  # fmt: skip
def test_nobody_asks_by_what_a_school_hides(hiding: World, query: Query) -> None:
    """Neither the pool nor a list in which some are masked; a consultant's own may be."""
    with_more(hiding, hiding.a)
    with_more(hiding)
    finance = hiding.person("钱进", "finance")
    asked: list[Callable[[], Any]] = [
        lambda: pool.public_customers(hiding.crm, query, by=hiding.b),
        lambda: pool.tally_public(hiding.crm, query, by=hiding.b),
        lambda: intake.list_customers(hiding.crm, query, by=finance),
        lambda: intake.tally_customers(hiding.crm, query, by=finance),
    ]
    for ask in asked:
        with pytest.raises(Invalid) as caught:
            ask()
        assert {p.code for p in caught.value.problems} == {"hidden_field"}
    for by in (hiding.a, hiding.manager, SYSTEM):
        intake.list_customers(hiding.crm, query, by=by)


def test_nobody_counts_by_what_a_school_hides_nor_finds_it(hiding: World) -> None:
    """The counts of a field would tell it as well as its filter; a search does not look there."""
    with_more(hiding)
    finance = hiding.person("钱进", "finance")
    for name in ("source", "courses"):
        for count, by in ((pool.tally_public, hiding.b), (intake.tally_customers, finance)):
            with pytest.raises(Invalid, match="hidden"):
                count(hiding.crm, None, [name], by=by)
    for text in ("机密公司", "三万", "agent"):
        assert not pool.public_customers(hiding.crm, Query(search=text), by=hiding.b).items


def test_what_was_changed_of_a_hidden_field_is_not_told(hiding: World) -> None:
    """The stream of a public customer masks it as it masks the memo."""
    customer = with_more(hiding)
    intake.edit_customer(hiding.crm, customer.id or 0, {"company": "新公司"}, version=1, by=SYSTEM)
    finance = hiding.person("钱进", "finance")
    assert "公司" not in str(timeline.timeline(hiding.crm, customer.id or 0, by=finance).items)
    assert "新公司" in str(timeline.timeline(hiding.crm, customer.id or 0, by=SYSTEM).items)


@pytest.mark.parametrize("typed", [{"company": "x"}, {"source": "seo"}, {"salary": "三万"}])
def test_what_a_school_hides_is_not_overwritten_unseen(
    hiding: World, typed: dict[str, Any]
) -> None:
    """Nor learnt from whether it is refused: it is also where nothing was there."""
    for customer in (with_more(hiding), pooled(hiding)):
        with pytest.raises(Invalid) as caught:
            intake.edit_customer(hiding.crm, customer.id or 0, typed, version=1, by=hiding.manager)
        assert [p.code for p in caught.value.problems] == ["hidden_field"]
