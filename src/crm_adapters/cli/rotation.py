"""``crm rotation``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

from crm_adapters.cli.failures import Refused
from crm_adapters.cli.language import in_chinese, say
from crm_adapters.cli.options import (
    as_json,
    employee_number,
    names_of_employees,
    opened,
    within,
)
from crm_adapters.cli.output import hint, line, plain, table, write_json
from crm_domain.ports import Crm
from crm_domain.rules.access import SYSTEM


def next_turns() -> Parameter:
    """Say how many turns to show."""
    return Parameter(
        name="--next", help=say("显示其后几个顺位", "how many of the next turns to show")
    )


@in_chinese("显示轮转名单、当前位置与其后的顺位。")
def show(
    *,
    turns: Annotated[int, next_turns()] = 12,
    json: Annotated[bool, as_json()] = False,
) -> None:
    """Show the plan, where the rotation stands, and the next turns."""
    with opened() as crm:
        _answer(crm, turns, json)


@in_chinese("设置整个轮转名单，自下一轮起生效；首次设置立即生效。")
def set_plan(
    *entries: Annotated[
        str,
        Parameter(
            help=say(
                "顾问:数量:权重，顾问可写编号或姓名，如 李雷:3:10",
                "consultant:quota:weight, the consultant by number or name, such as 李雷:3:10",
            )
        ),
    ],
    turns: Annotated[int, next_turns()] = 12,
    json: Annotated[bool, as_json()] = False,
) -> None:
    """Set the whole plan, from the next cycle on; the first plan takes effect at once."""
    from crm_domain.usecases import assignment

    if not entries:
        raise Refused("请给出 顾问:数量:权重。", "give consultant:quota:weight.",
                      code="usage")  # fmt: skip
    with opened() as crm:
        plan = [_entry(crm, word) for word in entries]
        assignment.set_rotation(crm, plan, by=SYSTEM)
        _answer(crm, turns, json)


def _entry(crm: Crm, word: str) -> dict[str, int]:
    name, *numbers = word.rsplit(":", 2)
    try:
        quota, weight = (int(n) for n in numbers)
    except ValueError:
        raise Refused(f"“{word}”应写作 顾问:数量:权重。",
                      f"{word!r} should be consultant:quota:weight.",
                      code="usage") from None  # fmt: skip
    return {"employee_id": employee_number(crm, name), "quota": quota, "weight": weight}


@in_chinese("放弃本轮余下的顺位，立即以最新名单开始新的一轮。")
def reset(
    *,
    turns: Annotated[int, next_turns()] = 12,
    json: Annotated[bool, as_json()] = False,
) -> None:
    """Drop the rest of the running cycle and begin a new one with the newest plan."""
    from crm_domain.usecases import assignment

    with opened() as crm:
        assignment.reset_rotation(crm, by=SYSTEM)
        _answer(crm, turns, json)


def _answer(crm: Crm, turns: int, json: bool) -> None:
    from crm_domain.usecases import assignment

    within("--next", turns, 0, 10_000)
    found = assignment.show_rotation(crm, turns, by=SYSTEM)
    names = names_of_employees(crm)
    if json:
        keys = ("employee_id", "name", "quota", "weight", "active")
        write_json(plain(found) | {
            "running": [dict(zip(keys, e, strict=True)) for e in found.running],
            "entries": [dict(zip(keys, e, strict=True)) for e in found.entries],
            "upcoming": [{"employee_id": n, "name": names.get(n)} for n in found.upcoming],
        })  # fmt: skip
        return
    line(f"第 {found.cycle} 轮，已用 {found.position}/{found.length} 个顺位。",
         f"Cycle {found.cycle}, {found.position} of {found.length} turns used.")  # fmt: skip
    line("权重只决定先后，数量决定每轮接几单。",
         "The weight decides only the order; the quota decides how many per cycle.")  # fmt: skip
    if found.pending:
        left = found.length - found.position
        line(f"\n本轮（第 {found.cycle} 轮）的名单，还剩 {left} 个顺位：",
             f"\nThe plan of the running cycle {found.cycle}, with {left} turns left:")  # fmt: skip
        _plan(found.running)
        line(f"\n自第 {found.cycle + 1} 轮起的名单：",
             f"\nThe plan from cycle {found.cycle + 1} on:")  # fmt: skip
    _plan(found.entries)
    if found.pending:
        hint("crm rotation reset 放弃本轮余下的顺位，新名单立即生效。",
             "crm rotation reset drops the rest of this cycle; the new plan then holds at "
             "once.")  # fmt: skip
    if turns:
        if found.upcoming:
            listed = " → ".join(names.get(n, str(n)) for n in found.upcoming)
            line(f"其后 {len(found.upcoming)} 位：{listed}",
                 f"Next {len(found.upcoming)}: {listed}")  # fmt: skip
        else:
            line("现在无人可分配：新客户将放入公海。",
                 "Nobody can take customers now: new ones go into the pool.")  # fmt: skip


def _plan(entries: Sequence[tuple[int, str, int, int, bool]]) -> None:
    table(
        [say("编号", "No."), say("课程顾问", "Consultant"), say("数量", "Quota"),
         say("权重", "Weight"), say("启用", "Active")],
        entries,
    )  # fmt: skip
