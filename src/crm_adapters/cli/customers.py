"""``crm customers``: listing, showing and entering them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo

from cyclopts import Parameter

from crm_adapters.cli.fields import filterable, unknown
from crm_adapters.cli.language import in_chinese, language, say
from crm_adapters.cli.options import (
    acting_as,
    actor,
    also_set,
    as_json,
    customer_number,
    dealt_to,
    employee_number,
    filtered,
    given_to,
    how_many,
    names_of_employees,
    opened,
    page_mark,
    searched,
    settled,
    with_numbers,
    within,
)
from crm_adapters.cli.output import (
    day,
    line,
    local,
    pairs,
    plain,
    table,
    write_json,
)
from crm_domain.errors import Invalid
from crm_domain.model import RECORDS, Assignment, Customer, User, specs
from crm_domain.ports import Crm, MyCustomer, Page, Query
from crm_domain.rules.access import SYSTEM, Principal
from crm_domain.rules.pool import spoken_to
from crm_domain.rules.wording import doer, why

if TYPE_CHECKING:
    from crm_domain.usecases.follow_up import Contact


def read_query(search: str | None, where: tuple[str, ...], limit: int, after: str | None) -> Query:
    """Read the options of a list as a query.

    Raises:
        Invalid: A filter names no field.
        Refused: The limit is out of range, or a filter has no ``=``.
    """
    within("--limit", limit, 1, 10_000)
    asked = settled(where, "--where")
    if wrong := [unknown(n, list(filterable())) for n in asked if n not in specs(Customer)]:
        raise Invalid(wrong)
    return Query(search=search, where=asked, limit=limit, after=after)


def with_owner(customer: Customer, names: dict[int, str]) -> dict[str, Any]:
    """Give a customer as JSON, with the owner's name beside the number."""
    found: dict[str, Any] = plain(customer)
    return found | {"owner": names.get(customer.owner_id or 0)}


def show_page(
    crm: Crm, page: Page[Customer], names: dict[int, str], json: bool, *, pool: bool = False
) -> None:
    """Write a page of customers; nobody owns those of the pool, and they are public already."""
    if json:
        write_json({"items": [with_owner(c, names) for c in page], "next": page.next})
        return
    zone, kept = crm.settings.zone, 7 if pool else 10
    table(
        [say("编号", "No."), say("姓名", "Name"), say("手机", "Phone"), "QQ", say("微信", "WeChat"),
         say("来源", "Source"), say("意向", "Intention"), say("课程顾问", "Owner"),
         say("最后跟进", "Last contact"), say("公开日期", "Public from")][:kept],
        [(c.id, c.name, c.phone, c.qq, c.wechat, c.source, c.intention,
          names.get(c.owner_id or 0), local(spoken_to(c), zone), day(c.due_on))[:kept]
         for c in page],
        least=(4, 3, 6, 5) if pool else (4, 3, 6, 5, 8, 9),
    )  # fmt: skip
    if page.next:
        line(f"\n下一页：--after {page.next}", f"\nNext page: --after {page.next}")


@in_chinese("列出客户，最新的在前。")
def list_all(
    *,
    search: Annotated[str | None, searched()] = None,
    where: Annotated[tuple[str, ...], filtered()] = (),
    limit: Annotated[int, how_many()] = 50,
    after: Annotated[str | None, page_mark()] = None,
    acting: Annotated[str | None, acting_as()] = None,
    json: Annotated[bool, as_json()] = False,
) -> None:
    """List customers, the newest first."""
    from crm_domain.usecases import intake

    query = read_query(search, where, limit, after)
    with opened() as crm:
        page = intake.list_customers(crm, with_numbers(crm, query), by=actor(crm, acting))
        show_page(crm, page, names_of_employees(crm), json)


@in_chinese("列出自己的客户：正在跟进的在前。")
def mine(
    *,
    limit: Annotated[int, how_many()] = 50,
    after: Annotated[str | None, page_mark()] = None,
    acting: Annotated[str, acting_as()],
    json: Annotated[bool, as_json()] = False,
) -> None:
    """List one's own customers, those being followed first."""
    from crm_domain.usecases import assignment

    query = read_query(None, (), limit, after)
    with opened() as crm:
        page = assignment.my_customers(crm, query, by=actor(crm, acting))
        zone = crm.settings.zone
    if json:
        write_json({"items": list(page), "next": page.next})
        return
    table(
        [say("编号", "No."), say("姓名", "Name"), say("状态", "Status"), say("手机", "Phone"),
         say("意向", "Intention"), say("最后跟进", "Last contact"), say("下次联系", "Next contact"),
         say("公开日期", "Public from")],
        [(m.customer_id, m.name, _status(m), m.phone, m.intention,
          local(None if m.last_contacted_at == m.started_at else m.last_contacted_at, zone),
          local(m.next_contact_at, zone), day(m.due_on)) for m in page],
        least=(4, 5, 6),
    )  # fmt: skip
    if page.next:
        line(f"\n下一页：--after {page.next}", f"\nNext page: --after {page.next}")


def _status(row: MyCustomer) -> str:
    """Say what a customer is to its consultant."""
    return row.status.label(language(), row.limit_days)


@in_chinese("显示一位客户，连同归属历史与跟进记录。")
def show(
    number: Annotated[int, customer_number()],
    /, *,
    acting: Annotated[str | None, acting_as()] = None,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Show one customer, with who owned it and what was said."""
    from crm_domain.usecases import assignment, follow_up, intake, records

    with opened() as crm:
        by = actor(crm, acting)
        customer = intake.get_customer(crm, number, by=by)
        history = assignment.history(crm, number, by=by)
        contacts = follow_up.timeline(crm, number, by=by)
        names, zone = names_of_employees(crm), crm.settings.zone
        called = _titles(crm, customer, by)
        doers = records.titles(crm, User, [a.by_id for a in history], by=SYSTEM)
    if json:
        write_json({
            "customer": with_owner(customer, names),
            "history": [plain(a) | {"consultant": names.get(a.consultant_id)} for a in history],
            "follow_ups": [plain(c.follow_up) | {"consultant": c.consultant_name}
                           for c in contacts],
        })  # fmt: skip
        return
    pairs(_lines(customer, names, called, zone))
    if history:
        print()
        show_history(history, names, zone, doers)
    if contacts:
        print()
        show_contacts(contacts, zone)


def show_history(
    history: Sequence[Assignment], names: dict[int, str], zone: ZoneInfo, doers: Mapping[int, str]
) -> None:
    """Write who owned a customer, from when until when, and why; who did it by account."""
    table(
        [say("课程顾问", "Consultant"), say("从", "From"), say("到", "Until"),
         say("状态", "Status"), say("方式", "Method"), say("原因", "Why")],
        [(names.get(a.consultant_id), local(a.started_at, zone), local(a.ended_at, zone),
          a.status.label(language(), a.limit_days), a.method,
          why(a, language(), doers.get(a.by_id or 0))) for a in history],
        least=(4,),
    )  # fmt: skip


def show_contacts(contacts: Sequence[Contact], zone: ZoneInfo) -> None:
    """Write what was said to a customer."""
    table(
        [say("跟进时间", "When"), say("课程顾问", "Consultant"), say("方式", "Channel"),
         say("意向", "Intention"), say("内容", "Note")],
        [(local(c.follow_up.at, zone), c.consultant_name, c.follow_up.channel,
          c.follow_up.intention, c.follow_up.note) for c in contacts],
        least=(2, 3),
    )  # fmt: skip


def _titles(crm: Crm, customer: Customer, by: Principal) -> dict[str, dict[int, str]]:
    """Tell what the records are called that a customer refers to, by the kind of record."""
    from crm_domain.usecases import records

    numbers: dict[str, set[int]] = {}
    for name, spec in specs(Customer).items():
        value = getattr(customer, name)
        if spec.target in _TITLED and value is not None:
            numbers.setdefault(spec.target, set()).update(
                value if isinstance(value, tuple) else (value,)
            )
    return {
        target: records.titles(crm, RECORDS[target], ids, language=language(), by=by)
        for target, ids in numbers.items()
    }


_TITLED = ("Course", "Customer", "School", "User")


def _lines(
    customer: Customer, names: dict[int, str], called: dict[str, dict[int, str]], zone: ZoneInfo
) -> Iterator[tuple[str, Any]]:
    left_out = ("version", "assignment_id", "due_status", "due_days", "warn_on", "import_row")
    for name, spec in specs(Customer).items():
        value = getattr(customer, name)
        if name == "last_contacted_at":
            value = spoken_to(customer)
        if name in left_out or value is None or value in ((), False):
            continue
        if spec.target == "Employee":
            value = names.get(value, value)
        elif spec.kind == "moment":
            value = local(value, zone)
        elif spec.kind == "day":
            value = day(value)
        elif spec.kind in ("reference", "references"):
            titles, numbers = called.get(spec.target, {}), value
            numbers = numbers if isinstance(numbers, tuple) else (numbers,)
            value = say("、", ", ").join(titles.get(n, str(n)) for n in numbers)
        yield spec.label(language()), value


@in_chinese("录入一位客户；默认按轮转分配。")
def add(
    *,
    name: Annotated[str, Parameter(help=say("姓名", "the name"))],
    phone: Annotated[str | None, Parameter(help=say("手机", "the phone number"))] = None,
    qq: Annotated[str | None, Parameter(help=say("QQ 号", "the QQ number"))] = None,
    wechat: Annotated[str | None, Parameter(help=say("微信号", "the WeChat id"))] = None,
    source: Annotated[
        str | None, Parameter(help=say("来源，如 百度推广", "the source, such as baidu"))
    ] = None,
    memo: Annotated[str | None, Parameter(help=say("备注", "a memo"))] = None,
    set_: Annotated[
        tuple[str, ...], also_set()] = (),
    to: Annotated[Literal["rotation", "pool"], dealt_to()] = "rotation",
    consultant: Annotated[str | None, given_to()] = None,
    acting: Annotated[str | None, acting_as()] = None,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Enter one customer, dealt by the rotation unless told otherwise."""
    from crm_domain.usecases import assignment, intake

    typed = {"name": name, "phone": phone, "qq": qq, "wechat": wechat, "source": source,
             "memo": memo}  # fmt: skip
    values = {n: v for n, v in typed.items() if v is not None} | settled(set_, "--set")
    with opened() as crm:
        by = actor(crm, acting)
        number = None if consultant is None else employee_number(crm, consultant)
        made = intake.register_customer(crm, values, to=to, consultant_id=number, by=by)
        names = names_of_employees(crm)
        current = assignment.current(crm, made.id or 0, by=SYSTEM)
    if json:
        write_json(with_owner(made, names)
                   | {"explanation": current.explanation if current else ""})  # fmt: skip
    elif made.owner_id is None:
        line(f"已录入客户 {made.id} {made.name}，放入公海。",
             f"Entered the customer {made.id} {made.name}, into the pool.")  # fmt: skip
    else:
        owner = names.get(made.owner_id, "?")
        because = why(current, language(), doer(by)) if current else ""
        line(f"已录入客户 {made.id} {made.name}，归 {owner}（{because}）。",
             f"Entered the customer {made.id} {made.name}, given to {owner} "
             f"({because}).")  # fmt: skip
