"""Search finds by name, pinyin, initials and contacts, and gives no masked contact away."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from crm_domain import SYSTEM, Crm, Query
from crm_domain.errors import Invalid
from crm_domain.model import RECORDS, Course, Customer, about, specs
from crm_domain.rules.access import Principal
from crm_domain.usecases import assignment, intake, pool, records
from make import World

PHONE, QQ, WECHAT = "13912345678", "887766554", "li_hua-2024"
Search = Callable[[str], list[int]]


def pooled(world: World, by: Principal) -> Search:
    """Search the pool."""
    return lambda text: [
        c.id or 0 for c in pool.public_customers(world.crm, Query(search=text), by=by)
    ]


def listed(world: World, by: Principal) -> Search:
    """Search the customers within reach."""
    return lambda text: [
        c.id or 0 for c in intake.list_customers(world.crm, Query(search=text), by=by)
    ]


def mine(world: World, by: Principal) -> Search:
    """Search "my customers"."""
    return lambda text: [
        c.customer_id for c in assignment.my_customers(world.crm, Query(search=text), by=by)
    ]


def pieces(secret: str) -> list[str]:
    """Cut a contact as somebody would who finds it out window by window."""
    return [secret[i : i + 4] for i in range(len(secret) - 3)]


@pytest.mark.parametrize(
    "text",
    ["黎华", "黎", "华", "lihua", "li", "lh", "LiHua", "li hua", PHONE, "5678", "139", "3456",
     "139-1234-5678", QQ, "7766", WECHAT, "hua2024", "黎华 5678", "5678 lihua"],
)  # fmt: skip
def test_the_owner_finds_the_own_by_everything(world: World, text: str) -> None:
    """Name, pinyin, initials, and every part of a contact, alone or together."""
    number = world.customer(world.a, name="黎华", phone=PHONE, qq=QQ, wechat=WECHAT).id
    world.customer(world.a, name="周正")
    assert mine(world, world.a)(text) == [number]
    assert listed(world, world.a)(text) == [number]


@pytest.mark.parametrize("text", [" ", "%", "#", "=", "=" + PHONE[:5], "'", '"', "**", "周 5678"])
def test_what_fits_nobody_finds_nobody(world: World, text: str) -> None:
    """Signs are no words, and the marks of the index cannot be typed."""
    world.customer(name="黎华", phone=PHONE)
    assert pooled(world, world.a)(text) == []


def test_the_pool_is_found_by_name_or_a_whole_contact(world: World) -> None:
    """Whoever has the customer on the phone may ask for the number; nobody may spell it."""
    number = world.customer(name="黎华", phone=PHONE, qq=QQ, wechat=WECHAT).id
    search = pooled(world, world.b)
    for text in ("黎华", "lihua", "lh", PHONE, QQ, WECHAT, f"黎 {PHONE}"):
        assert search(text) == [number], text
    for text in ("1391", "5678", PHONE[:-1], PHONE[1:], QQ[:-1], "2024", "黎华 5678"):
        assert search(text) == [], text


def test_a_masked_contact_cannot_be_spelt(world: World) -> None:
    """Not from the pool, not from what one lost, and not by finance, who sees all."""
    world.customer(name="黎华", phone=PHONE)
    lost = world.customer(world.a, name="周正", phone="13887654321")
    pool.release_customer(world.crm, lost.id or 0, by=world.a)
    finance = world.person("钱进", "finance")
    for search in (pooled(world, world.b), mine(world, world.a), listed(world, finance)):
        for secret in (PHONE, "13887654321"):
            assert [p for p in pieces(secret) if search(p)] == []
    assert listed(world, finance)("周正") == [lost.id]


def test_control_an_unmasked_contact_can_be_spelt(world: World) -> None:
    """Where contacts are shown, every piece finds the customer."""
    world.customer(world.a, name="黎华", phone=PHONE)
    search = mine(world, world.a)
    assert [p for p in pieces(PHONE) if not search(p)] == []


def test_finance_asks_by_no_contact_as_some_are_masked(world: World) -> None:
    """A filter, a range or an order of what is masked is refused: some would be left out unsaid."""
    private = world.customer(world.a, phone="13912345600")
    public = world.customer(phone=PHONE)
    finance = world.person("钱进", "finance")

    def found(query: Query) -> list[int | None]:
        return [c.id for c in intake.list_customers(world.crm, query, by=finance)]

    assert found(Query()) == [public.id, private.id]
    low_high = ("13900000000", "13999999999")
    for query in (
        Query(ranges={"phone": low_high}), Query(sort="phone"), Query(sort="-wechat"),
        Query(where={"qq": None}), Query(where={"memo": None}),
        Query(where={"phone": [PHONE, "13912345600"]}),
    ):  # fmt: skip
        with pytest.raises(Invalid, match="hidden"):
            found(query)
    assert found(Query(search=PHONE)) == [public.id]


def test_whoever_assigns_asks_by_everything(world: World) -> None:
    """An administrator sees the pool's contacts, and so may search by parts of them."""
    public = world.customer(phone=PHONE)
    admin = world.person("管理", "administrator")
    assert listed(world, admin)("5678") == [public.id]
    query = Query(where={"phone": PHONE})
    assert [c.id for c in intake.list_customers(world.crm, query, by=SYSTEM)] == [public.id]


@pytest.mark.parametrize(
    "sort", [None, "id", "name", "-name", "created_at", "-created_at", "source", "-source",
             "due_on", "-received_at", "version"]
)  # fmt: skip
def test_pages_show_every_customer_once(world: World, sort: str | None) -> None:
    """In the same order as one large page, whatever it is sorted by, with ties and gaps."""
    for i, name in enumerate(("王芳", "王芳", "李雷", "安", "Zoe", "王芳", "周正")):
        source = (None, "baidu", "seo")[i % 3]
        world.customer((None, world.a)[i % 2], name=name, source=source)

    def page(limit: int, after: str | None = None) -> Any:
        query = Query(sort=sort, limit=limit, after=after)
        return intake.list_customers(world.crm, query, by=SYSTEM)

    whole = [c.id for c in page(100)]
    found, mark = [], None
    for _ in range(len(whole)):
        part = page(2, mark)
        found += [c.id for c in part]
        mark = part.next
        if mark is None:
            break
    assert (len(whole), found) == (7, whole)


# -- filters that fit nothing or no one -------------------------------------------------------


def test_an_empty_list_is_found_as_empty(world: World) -> None:
    """None fits those without any; beside others it adds them."""
    crm = world.crm
    course, other = (
        records.save_record(crm, Course(title=t), by=SYSTEM).id for t in ("Python", "Java")
    )
    without = world.customer().id
    one = world.customer(courses=[course]).id
    both = world.customer(courses=[course, other]).id
    wishes: list[tuple[Any, list[int | None]]] = [
        (None, [without]), ([None], [without]), ([None, other], [without, both]),
        (other, [both]), ([course], [one, both]), ([], []),
    ]  # fmt: skip
    for wish, expected in wishes:
        query = Query(where={"courses": wish}, sort="id")
        assert [c.id for c in intake.list_customers(crm, query, by=SYSTEM)] == expected


@pytest.mark.parametrize("cls", [Customer, *(c for c in RECORDS.values() if about(c).plain)])
def test_every_field_can_be_asked_for_or_is_refused_by_name(crm: Crm, cls: type[Any]) -> None:
    """Whatever stands in the address bar: a filter, a range, an order over each kind of field."""

    def listed(query: Query) -> object:
        if cls is Customer:
            return intake.list_customers(crm, query, by=SYSTEM)
        return records.list_records(crm, cls, query, by=SYSTEM)

    for name in (*specs(cls), "nothing", ""):
        for query in (
            Query(where={name: None}), Query(where={name: [None, 1]}), Query(where={name: "x"}),
            Query(ranges={name: (1, 2)}), Query(ranges={name: (None, "x")}),
            Query(ranges={name: (None, None)}), Query(sort=name), Query(sort=f"-{name}"),
        ):  # fmt: skip
            with suppress(Invalid):
                listed(query)
