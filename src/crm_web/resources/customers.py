"""The lists of customers: all within reach, the pool, and one's own."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from operator import attrgetter
from typing import Any, cast

import attrs

from crm_domain.errors import FieldError, Invalid, NotFound, NotPermitted
from crm_domain.model import (
    Assignment,
    AssignmentStatus,
    Choice,
    Customer,
    CustomerStatus,
    Employee,
    FollowUp,
    Spec,
    specs,
)
from crm_domain.ports import MyCustomer, Query
from crm_domain.rules.access import opens_public
from crm_domain.rules.pool import spoken_to
from crm_domain.usecases import assignment, follow_up, intake, pool, records
from crm_web.actions import one_by_one
from crm_web.context import ONCE, Context, beside, chosen
from crm_web.resource import (
    BY_SET,
    Action,
    Column,
    Filter,
    Form,
    Outcome,
    Pick,
    Resource,
    Saved,
    Tab,
    column,
    narrowing,
)
from crm_web.resources.sales import said_status

GROUPS = (
    (("联系方式", "Contact"), ("name", "gender", "phone", "wechat", "qq")),
    (("来源与意向", "Source and interest"),
     ("source", "referred_by_id", "courses", "school_id", "consulted_on")),
    (("背景", "Background"),
     ("education", "graduation_school", "major", "experience", "work_status", "company",
      "salary", "memo")),
)  # fmt: skip
FIELDS = tuple(name for _, names in GROUPS for name in names)


class Giving(Choice):
    """Whose a new customer becomes."""

    ROTATION = "rotation", "按轮转分配", "by the rotation"
    POOL = "pool", "放入公海", "into the pool"
    NAMED = "named", "指定顾问", "to the consultant named"


# -- what people type -------------------------------------------------------------------------


def _also(c: Context) -> tuple[Spec, ...]:
    """Ask whose a new customer becomes, as far as somebody may say so."""
    may_name = c.by.may("customer:assign")
    ways = Spec(kind="choice", name="to", zh="分配给", en="Goes", type=Giving,
                default=Giving.ROTATION)  # fmt: skip
    if not may_name:
        return (ways,) if c.crm.settings.assign_oneself else ()
    return ways, Pick(kind="reference", name="consultant_id", zh="指定顾问", en="Consultant",
                      target="Employee", optional=True, default=None)  # fmt: skip


def save(c: Context, id: int | None, values: Mapping[str, Any], version: int | None) -> int | Saved:
    """Enter a customer, or change one; contacts that are shown masked stay as they are."""
    typed = dict(values)
    if id is None:
        typed = {n: v for n, v in typed.items() if n in FIELDS}
        with beside("referred_by_id", typed.get("referred_by_id")):
            return _entered(c, _enter(c, typed))
    referred = typed.get("referred_by_id")
    with beside("referred_by_id", referred) if referred != str(id) else nullcontext():
        intake.edit_customer(c.crm, id, typed, version=version or 0, by=c.by)
    return id


def _enter(c: Context, typed: Mapping[str, Any]) -> Customer:
    """Enter a customer for whom the form says; whoever says "named" and names nobody is refused.

    Raises:
        Invalid: Nobody is named: the rotation must not give the customer to a stranger instead.
    """
    once = c.one(ONCE)
    to = c.one("to") or Giving.ROTATION.value
    if to != Giving.NAMED.value:
        # What is no way at all is refused by the use case.
        return intake.register_customer(c.crm, typed, to=cast(intake.To, to), once=once, by=c.by)
    oneself = None if c.by.may("customer:assign") else c.by.employee_id
    consultant = next(iter(chosen(c, "consultant_id")), oneself)
    if consultant is None:
        raise Invalid([FieldError("consultant_id", "missing", None, "请指定顾问",
                                  "name the consultant")])  # fmt: skip
    return intake.register_customer(c.crm, typed, consultant_id=consultant, once=once, by=c.by)


def _entered(c: Context, made: Customer) -> Saved:
    """Say whose a new customer became; its page opens only for whoever may see it."""
    said, number = c.t("已保存，客户在公海。", "Saved; it is in the pool."), made.id or 0
    if made.owner_id is not None and made.owner_id == c.by.employee_id:
        said = c.t("已保存，客户归您所有。", "Saved; the customer is yours.")
    elif made.owner_id is not None:
        found = records.titles(c.crm, Employee, [made.owner_id], by=c.by)
        named = found.get(made.owner_id, f"#{made.owner_id}")
        said = c.t(f"已保存，已分配给 {named}。", f"Saved; it went to {named}.")
    try:
        intake.get_customer(c.crm, number, by=c.by)
    except (NotFound, NotPermitted):
        return Saved(said=said)
    return Saved(said=said, to=f"/customers/{number}")


def _asked(record: type[Any], *names: str, **more: Any) -> tuple[Spec, ...]:
    return tuple(attrs.evolve(specs(record)[n], **more.get(n, {})) for n in names)


_REASON = (
    Spec(
        kind="text", name="reason", zh="原因", en="Reason", length=200, optional=True, default=None
    ),
)
_NEEDED = (
    Spec(kind="text", name="reason", zh="原因", en="Reason", length=200, default=attrs.NOTHING),
)
_MEMO = Spec(
    kind="text", name="memo", zh="说明", en="Note", length=200, optional=True, default=None
)
_TO = Pick(
    kind="reference", name="to_id", zh="转给", en="To", target="Employee", default=attrs.NOTHING
)


def _receiver(c: Context) -> int:
    """Read whom customers are given to.

    Raises:
        Invalid: Nobody is named.
    """
    for one in chosen(c, "to_id"):
        return one
    raise Invalid([FieldError("to_id", "missing", None, "请选择员工", "choose whom to")])


# -- what is done to rows ---------------------------------------------------------------------


def _claim(c: Context, ids: Sequence[int], values: Mapping[str, str]) -> Outcome:
    won = pool.claim_customer(c.crm, ids[0], by=c.by)
    return Outcome(said=c.t("抢单成功，客户已归您。", "Claimed; the customer is yours."),
                   to=f"/customers/{won.customer_id}")  # fmt: skip


def _release(c: Context, ids: Sequence[int], values: Mapping[str, str]) -> Outcome:
    reason = values["reason"] or None
    return one_by_one(
        c, ids, lambda n: pool.release_customer(c.crm, n, reason=reason, by=c.by),
        ("{n} 位客户已退回公海。", "{n} customers are in the pool."),
    )  # fmt: skip


def _bulk(c: Context, done: assignment.Bulk, said: tuple[str, str]) -> Outcome:
    refused = tuple((str(n), e.message(c.language)) for n, e in done.refused)
    return Outcome(said=c.t(*said).format(n=len(done.done)), refused=refused, done=done.done)


def _assign(c: Context, ids: Sequence[int], values: Mapping[str, str]) -> Outcome:
    done = assignment.assign_customers(
        c.crm, ids, [_receiver(c)], memo=values["memo"] or None, by=c.by
    )
    return _bulk(c, done, ("已分配 {n} 位客户。", "{n} customers were assigned."))


def _transfer(c: Context, ids: Sequence[int], values: Mapping[str, str]) -> Outcome:
    done = assignment.transfer_customers(
        c.crm, ids, [_receiver(c)], reason=values["reason"], by=c.by
    )
    return _bulk(c, done, ("已转移 {n} 位客户。", "{n} customers were moved."))


def _move_back(c: Context, ids: Sequence[int], values: Mapping[str, str]) -> Outcome:
    done = assignment.take_back_transfers(c.crm, ids, by=c.by)
    return _bulk(c, done, ("已撤回 {n} 位客户的转移。", "{n} customers were moved back."))


def _unlock_again(c: Context, ids: Sequence[int], values: Mapping[str, str]) -> Outcome:
    return one_by_one(
        c, ids, lambda n: assignment.take_back_lock(c.crm, n, by=c.by),
        ("已撤回 {n} 位客户的锁定。", "{n} customers are unlocked again."),
    )  # fmt: skip


def _lock(locked: bool, c: Context, ids: Sequence[int], values: Mapping[str, str]) -> Outcome:
    said = ("已锁定 {n} 位客户。", "{n} customers are locked.") if locked else (
        "已解锁 {n} 位客户。", "{n} customers are unlocked.")  # fmt: skip
    return one_by_one(
        c, ids, lambda n: assignment.lock_customer(
            c.crm, n, reason=values.get("reason", ""), locked=locked, by=c.by),
        said,
    )  # fmt: skip


def _follow_up(c: Context, ids: Sequence[int], values: Mapping[str, str]) -> Outcome:
    typed = {n: v for n, v in values.items() if v}
    follow_up.log_follow_up(c.crm, ids[0], typed, by=c.by)
    return Outcome(said=c.t("跟进已记录。", "The follow-up is logged."))


FOLLOW_UP = ("note", "channel", "intention", "next_contact_at")
LOG = Action(
    name="follow-up", words=("记跟进", "Log a follow-up"), icon="note", needs="customer:follow_up",
    run=_follow_up, fields=_asked(FollowUp, *FOLLOW_UP), bulk=False,
    fits=lambda row, c: _mine(row, c),
)  # fmt: skip
RELEASE = Action(
    name="release", words=("退回公海", "Give back"), icon="swimming", needs="customer:release",
    run=_release, fields=_REASON, danger=True, fits=lambda row, c: _takes_back(row, c),
    hint=("退回后其他顾问可以抢单，您自己不能再抢回。",
          "Others may claim it then; you yourself may not."),
)  # fmt: skip
TRANSFER = Action(
    name="transfer", words=("转移", "Transfer"), icon="arrows-exchange",
    needs="customer:transfer", run=_transfer, fields=(_TO, *_REASON), most=BY_SET,
    fits=lambda row, c: row.owner_id is not None,
    undo=Action(name="transfer/undo", words=("撤回转移", "Move back"), icon="arrows-exchange",
                needs="customer:transfer", run=_move_back),
)  # fmt: skip
ASSIGN = Action(
    name="assign", words=("分配", "Assign"), icon="user-plus", needs="customer:assign",
    run=_assign, fields=(_TO, _MEMO), most=BY_SET,
)  # fmt: skip
LOCK = Action(
    name="lock", words=("锁定", "Lock"), icon="lock", needs="customer:lock",
    run=partial(_lock, True), fields=_NEEDED, fits=lambda row, c: not row.locked,
    hint=("锁定后不会进入公海。", "A locked customer never becomes public."),
    undo=Action(name="lock/undo", words=("撤回锁定", "Take the lock back"), icon="lock-open",
                needs="customer:lock", run=_unlock_again),
)  # fmt: skip
UNLOCK = Action(
    name="unlock", words=("解锁", "Unlock"), icon="lock-open", needs="customer:lock",
    run=partial(_lock, False), fits=lambda row, c: row.locked,
)  # fmt: skip
REFUSED: Mapping[str, tuple[str, str]] = {
    "cool_down": ("冷却期", "cool-down"), "max_owned": ("名额已满", "at your limit"),
    "max_per_day": ("今日已满", "today's limit"), "own_entry": ("本人录入", "entered by you"),
}  # fmt: skip
"""Why a claim is refused, in a word, by the code of the rule."""
NOT_YOURS = ("无权", "not yours")


def refused_claims(c: Context, ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Tell beforehand which customers somebody may not claim, in a word and in a sentence."""
    found = pool.claim_refusals(c.crm, ids, by=c.by)
    return {
        n: (c.t(*REFUSED.get(e.facts["reason"], NOT_YOURS)),
            c.t(e.facts["reason_zh"], e.facts["reason_en"]))
        for n, e in found.items()
    }  # fmt: skip


CLAIM = Action(
    name="claim", words=("抢单", "Claim"), icon="hand-grab", needs="customer:claim", run=_claim,
    bulk=False, direct=True, refused=refused_claims,
)  # fmt: skip


def _mine(row: Any, c: Context) -> bool:
    if isinstance(row, MyCustomer):
        return row.owned and row.status is AssignmentStatus.FOLLOWING
    open_ = row.status is CustomerStatus.NOT_ENROLLED
    return open_ and row.owner_id is not None and row.owner_id == c.by.employee_id


def editable(row: Customer, c: Context) -> bool:
    """Whether the form of a customer that somebody sees opens for them."""
    return intake.opens_to_edit(row, today=c.crm.today(), by=c.by)


def _takes_back(row: Any, c: Context) -> bool:
    """Whether somebody may give a customer back: the own, and who transfers also of others."""
    if isinstance(row, MyCustomer):
        return _mine(row, c)
    return pool.opens_to_release(row, by=c.by)


# -- the lists --------------------------------------------------------------------------------


def _columns(
    *names: str, hidden: Sequence[str] = (), **more: Mapping[str, Any]
) -> tuple[Column, ...]:
    looks: dict[str, dict[str, Any]] = {
        "name": {"link": True}, "phone": {"kind": "phone"}, "wechat": {"kind": "copy"},
        "qq": {"kind": "copy"}, "due_on": {"kind": "due", "words": ("距公海", "Until public")},
        "intention": {"kind": "badge"}, "next_contact_at": {"kind": "agreed"},
        "last_contacted_at": {"kind": "ago", "value": spoken_to},
    }  # fmt: skip
    return tuple(
        column(Customer, n, **{**looks.get(n, {}), "shown": n not in hidden, **more.get(n, {})})
        for n in names
    )


def _filters(*names: str) -> tuple[Filter, ...]:
    return tuple(narrowing(Customer, n) for n in names)


def _asked_less(resource: Resource, hidden: Container[str]) -> Resource:
    """Give a list without the filters and the orders by which nobody may ask it."""
    return attrs.evolve(
        resource,
        columns=tuple(
            attrs.evolve(one, sort=one.sort and one.name not in hidden) for one in resource.columns
        ),
        filters=tuple(one for one in resource.filters if one.name not in hidden),
    )


def _in_pool(resource: Resource, c: Context) -> Resource:
    """Give the pool without the columns that are empty for everybody; contacts are masked there."""
    hidden = c.crm.settings.hidden_in_pool
    empty = {n for n in hidden if not specs(Customer)[n].contact}
    columns = tuple(one for one in resource.columns if one.name not in empty)
    return _asked_less(attrs.evolve(resource, columns=columns), hidden)


_SEARCH_POOL = ("/pool", ("在公海中查找", "Search the pool"), "swimming", "pool:view")
_BESIDE = ("gender", "education", "courses", "school_id", "graduation_school", "major",
           "experience", "work_status", "company", "consulted_on", "created_at", "memo", "qq",
           "locked", "received_at")  # fmt: skip

CUSTOMERS = Resource(
    name="customers", record=Customer, words=("客户", "Customers"), icon="users",
    needs="customer:view",
    rows=lambda crm, query, by: intake.list_customers(crm, query, by=by),
    tally=lambda crm, query, names, by: intake.tally_customers(crm, query, names, by=by),
    get=lambda crm, id, by: intake.customer_to_edit(crm, id, by=by),
    columns=_columns(
        "name", "phone", "wechat", "owner_id", "status", "intention", "due_on",
        "last_contacted_at", "next_contact_at", "source", *_BESIDE, hidden=("source", *_BESIDE),
    ),
    filters=_filters(
        "status", "intention", "source", "owner_id", "school_id", "courses", "education",
        "locked", "received_at", "last_contacted_at", "next_contact_at", "due_on", "created_at",
    ),
    search=("姓名、拼音、手机、QQ、微信", "Name, pinyin, phone, QQ, WeChat"),
    form=Form(fields=FIELDS, groups=GROUPS, save=save, add="customer:add", edit="customer:edit",
              watch="/customers/similar", once=True, also=_also, fits=editable),
    actions=(LOG, TRANSFER, RELEASE, LOCK, UNLOCK), own_page="/customers/{id}",
    export="customer:export",
    narrowed=lambda resource, c: _asked_less(resource, intake.hidden_fields(c.crm, by=c.by)),
    elsewhere=(_SEARCH_POOL,),
    links=(("/hand-over", ("离职交接", "Hand over"), "users-group", "customer:transfer"),),
)  # fmt: skip

POOL = Resource(
    name="pool", record=Customer, words=("公海", "Pool"), icon="swimming", needs="pool:view",
    rows=lambda crm, query, by: pool.public_customers(crm, query, by=by),
    tally=lambda crm, query, names, by: pool.tally_public(crm, query, names, by=by),
    columns=_columns(
        "name", "phone", "source", "intention", "courses", "school_id", "last_consultant_id",
        "created_at", "gender", "education", "experience", "wechat", "qq", "consulted_on",
        hidden=("gender", "education", "experience", "wechat", "qq", "consulted_on"),
    ),
    filters=_filters("source", "intention", "school_id", "courses", "education", "gender",
                     "last_consultant_id", "created_at"),
    search=("姓名、拼音", "Name, pinyin"), actions=(CLAIM, ASSIGN), own_page="/customers/{id}",
    narrowed=_in_pool,
    opens=lambda row, c: c.by.may("customer:view") and opens_public(row, c.by),
)  # fmt: skip


def _tab(name: str) -> Callable[[Context], Query]:
    return lambda c: assignment.my_tabs(c.crm)[name]


_MINE: tuple[tuple[str, tuple[str, str], str, dict[str, Any]], ...] = (
    ("name", ("姓名", "Name"), "text", {"link": True}),
    ("status", ("状态", "Status"), "badge", {"say": said_status}),
    ("due_on", ("距公海", "Until public"), "due", {}),
    ("next_contact_at", ("下次联系", "Next contact"), "agreed", {}),
    (
        "last_contacted_at",
        ("最后跟进", "Last contact"),
        "ago",
        {"value": attrgetter("spoken_to_at")},
    ),
    ("intention", ("意向", "Intention"), "choice", {}),
    ("phone", ("手机", "Phone"), "phone", {}),
    ("wechat", ("微信", "WeChat"), "copy", {}),
    ("qq", ("QQ", "QQ"), "copy", {"shown": False}),
    ("started_at", ("接单时间", "Received"), "moment", {"shown": False}),
    ("ended_at", ("结束时间", "Ended"), "moment", {"shown": False}),
)
MINE = Resource(
    name="my/customers", record=Customer, words=("我的客户", "My customers"), icon="address-book",
    needs="customer:mine", key="customer_id",
    # Who is followed stands first, so that giving back moves rows about.
    steady=False,
    rows=lambda crm, query, by: assignment.my_customers(crm, query, by=by),
    tally=lambda crm, query, names, by: assignment.tally_mine(crm, query, names, by=by),
    columns=tuple(
        Column(name=name, words=words, kind=kind, **more) for name, words, kind, more in _MINE
    ),
    filters=(
        narrowing(Assignment, "status"), narrowing(Customer, "intention"),
        narrowing(Customer, "next_contact_at"), narrowing(Customer, "due_on"),
        narrowing(Assignment, "started_at"), narrowing(Assignment, "ended_at"),
    ),
    search=("姓名、拼音、手机、QQ、微信", "Name, pinyin, phone, QQ, WeChat"),
    actions=(LOG, RELEASE), own_page="/customers/{id}", elsewhere=(_SEARCH_POOL,),
    opens=lambda row, c: row.owned and c.by.may("customer:view"),
    tab_facet="tab",
    tabs=(
        Tab(name="all", words=("全部", "All")),
        Tab(name="due", words=("今日待联系", "Due today"), query=_tab("due")),
        Tab(name="expiring", words=("即将到期", "Expiring"), query=_tab("expiring")),
        Tab(name="following", words=("正在跟进", "Following"), query=_tab("following")),
    ),
)  # fmt: skip

RESOURCES = (CUSTOMERS, POOL, MINE)
