"""``crm customers``: following up, giving to somebody, locking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from crm_adapters.cli.exits import DONE, NO
from crm_adapters.cli.language import in_chinese, language, say
from crm_adapters.cli.options import (
    acting_as,
    actor,
    as_json,
    customer_number,
    employee_number,
    names_of_employees,
    opened,
)
from crm_adapters.cli.output import day, hint, line, local, plain, table, write_json
from crm_domain.ports import Crm
from crm_domain.rules.access import SYSTEM
from crm_domain.rules.wording import counted

if TYPE_CHECKING:
    from crm_domain.model import Assignment
    from crm_domain.usecases.assignment import Bulk


SHOWN = 10
"""So many numbers of customers are named for one reason."""


def new_owner() -> Parameter:
    """Name who gets a customer."""
    return Parameter(
        name="--to", help=say("交给哪位顾问（编号或姓名）", "who gets it, by number or name")
    )


def why() -> Parameter:
    """Say why."""
    return Parameter(help=say("为什么", "why"))


@in_chinese("记录一次跟进；只有现任课程顾问可以记录。")
def follow_up(
    number: Annotated[int, customer_number()],
    /, *,
    note: Annotated[str, Parameter(help=say("跟进内容", "what was said"))],
    intention: Annotated[
        str | None,
        Parameter(help=say("意向，如 1个月内报名", "the intention, such as within_1_month")),
    ] = None,
    next_: Annotated[
        str | None,
        Parameter(
            name="--next",
            help=say("下次联系时间，如 2026-11-06T10:00",
                     "when to talk again, such as 2026-11-06T10:00"),
        ),
    ] = None,
    channel: Annotated[
        str | None, Parameter(help=say("方式，如 电话", "how, such as phone"))
    ] = None,
    at: Annotated[
        str | None, Parameter(help=say("跟进时间；默认现在", "when it was; now unless given"))
    ] = None,
    acting: Annotated[str, acting_as()],
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Log a follow-up; only the present owner may."""
    from crm_domain.usecases import follow_up as usecase
    from crm_domain.usecases import intake

    typed = {"note": note, "intention": intention, "next_contact_at": next_, "channel": channel,
             "at": at}  # fmt: skip
    with opened() as crm:
        by = actor(crm, acting)
        values = {n: v for n, v in typed.items() if v is not None}
        logged = usecase.log_follow_up(crm, number, values, by=by)
        customer = intake.get_customer(crm, number, by=by)
        zone, now = crm.settings.zone, crm.now()
    if logged.next_contact_at is not None and logged.next_contact_at < now:
        then = local(logged.next_contact_at, zone)
        hint(
            f"注意：下次联系时间 {then} 已经过去。",
            f"Note: the next contact, {then}, is in the past.",
        )
    if json:
        write_json(logged)
        return
    line(f"已记录客户 {number} {customer.name} 的跟进。",
         f"Logged the contact with the customer {number} {customer.name}.")  # fmt: skip
    if due := day(customer.due_on):
        line(f"若不再跟进，{due} 零点起进入公海。",
             f"Without another one it is public from {due}, 00:00.")  # fmt: skip
    if logged.next_contact_at is not None:
        then = local(logged.next_contact_at, zone)
        line(f"下次联系：{then}", f"Next contact: {then}")


@in_chinese("把一位公海客户分配给顾问，不占顺位。")
def assign(
    number: Annotated[int, customer_number()],
    /, *,
    to: Annotated[str, new_owner()],
    memo: Annotated[str | None, Parameter(help=say("备注", "a memo"))] = None,
    acting: Annotated[str | None, acting_as()] = None,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Give a customer of the pool to a consultant, and use no turn."""
    from crm_domain.usecases import assignment

    with opened() as crm:
        consultant = employee_number(crm, to)
        made = assignment.assign_customer(crm, number, consultant, memo=memo, by=actor(crm, acting))
        _tell(crm, made, json)


@in_chinese("把一位私有客户转移给另一位顾问。")
def transfer(
    number: Annotated[int, customer_number()],
    /, *,
    to: Annotated[str, new_owner()],
    reason: Annotated[str, why()] = "",
    acting: Annotated[str | None, acting_as()] = None,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Move a customer from its owner to another consultant."""
    from crm_domain.usecases import assignment

    with opened() as crm:
        consultant = employee_number(crm, to)
        made = assignment.transfer_customer(
            crm, number, consultant, reason=reason, by=actor(crm, acting)
        )
        _tell(crm, made, json)


def _tell(crm: Crm, made: Assignment, json: bool) -> None:
    from crm_domain.usecases import intake

    customer = intake.get_customer(crm, made.customer_id, by=SYSTEM)
    owner = names_of_employees(crm).get(made.consultant_id, "?")
    if json:
        write_json(plain(made) | {"consultant": owner})
    else:
        line(f"客户 {customer.id} {customer.name} 现归 {owner}。",
             f"The customer {customer.id} {customer.name} belongs to {owner} now.")  # fmt: skip


@in_chinese("离职交接：把一位顾问的全部私有客户依次转移给其他顾问；有转移不了的，退出码为 1。")
def hand_over(
    consultant: Annotated[
        str, Parameter(help=say("谁的客户（编号或姓名）", "whose customers, by number or name"))
    ],
    /, *,
    to: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            help=say("交给哪位顾问（编号或姓名）；可多次给出，依次分",
                     "who gets them, by number or name; may be repeated, then in turn"),
        ),
    ],
    reason: Annotated[str, why()] = "",
    acting: Annotated[str | None, acting_as()] = None,
    json: Annotated[bool, as_json()] = False,
) -> int:  # fmt: skip
    """Move all customers of a consultant who leaves to others in turn; exits with 1 when some
    could not be moved."""
    from crm_domain.usecases import assignment

    with opened() as crm:
        number = employee_number(crm, consultant)
        others = [employee_number(crm, word) for word in to]
        done = assignment.hand_over(crm, number, others, reason=reason, by=actor(crm, acting))
    return _tell_all(done, json)


def _tell_all(done: Bulk, json: bool) -> int:
    refused: list[dict[str, Any]] = [
        {"id": number, "error": e.code, "message": e.message(language())}
        for number, e in done.refused
    ]
    if json:
        write_json({"done": done.done, "refused": refused})
    else:
        moved = len(done.done)
        line(f"已转移 {moved} 位客户。", f"Moved {counted(moved, 'customer')}.")
        _tell_refused(refused)
    return NO if refused else DONE


def _tell_refused(refused: Sequence[Mapping[str, Any]]) -> None:
    """Say each reason once, with the customers that it holds for."""
    groups: dict[str, list[int]] = {}
    for one in refused:
        groups.setdefault(one["message"], []).append(one["id"])
    if groups:
        table(
            [say("客户数", "Customers"), say("未转移的原因", "Not moved because"),
             say("编号", "Numbers")],
            [(len(numbers), message, _numbers(numbers)) for message, numbers in groups.items()],
        )  # fmt: skip


def _numbers(numbers: Sequence[int]) -> str:
    listed = say("、", ", ").join(map(str, numbers[:SHOWN]))
    return listed + (" …" if len(numbers) > SHOWN else "")


@in_chinese("锁定一位客户，使其不进入公海。")
def lock(
    number: Annotated[int, customer_number()],
    /, *,
    reason: Annotated[str, why()],
    acting: Annotated[str | None, acting_as()] = None,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Keep a customer out of the pool."""
    _lock(number, reason, True, acting, json)


@in_chinese("解除锁定；期限照常计算。")
def unlock(
    number: Annotated[int, customer_number()],
    /, *,
    acting: Annotated[str | None, acting_as()] = None,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Let a locked customer fall due again."""
    _lock(number, "", False, acting, json)


def _lock(number: int, reason: str, locked: bool, acting: str | None, json: bool) -> None:
    from crm_domain.errors import NotLocked
    from crm_domain.usecases import assignment, intake

    with opened() as crm:
        by = actor(crm, acting)
        by.need("customer:lock")
        before = intake.get_customer(crm, number, by=SYSTEM)
        try:
            made = assignment.lock_customer(crm, number, reason=reason, locked=locked, by=by)
        except NotLocked:
            made = before
    if json:
        write_json({"id": number, "locked": made.locked, "lock_reason": made.lock_reason})
    elif locked and before.locked:
        line(f"客户 {number} {made.name} 原已锁定（{before.lock_reason}）；原因已更新。",
             f"The customer {number} {made.name} was locked already ({before.lock_reason}); "
             "the reason is the new one.")  # fmt: skip
    elif not locked and not before.locked:
        line(f"客户 {number} {made.name} 没有锁定。",
             f"The customer {number} {made.name} was not locked.")  # fmt: skip
    elif locked:
        line(f"已锁定客户 {number} {made.name}。", f"Locked the customer {number} {made.name}.")
    else:
        line(f"已解除客户 {number} {made.name} 的锁定。",
             f"Unlocked the customer {number} {made.name}.")  # fmt: skip
