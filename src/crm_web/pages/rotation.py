"""The rotation: its plan, where it stands, and who gets the next customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from crm_domain.errors import BadPlan, EditConflict, Invalid
from crm_domain.model import Employee
from crm_domain.rules.duty import ABSENCES
from crm_domain.usecases import assignment, records
from crm_domain.usecases.assignment import Rotation
from crm_web.answers import Answer, Page, Redirect
from crm_web.context import Context, chosen, numbers, read_version, said_of
from crm_web.resource import Pick
from crm_web.screen import screen
from crm_web.sure import question
from crm_web.widgets import Input, inputs

NEXT = 20
ADDED = Pick(kind="reference", name="add", zh="添加顾问", en="Add a consultant", target="Employee",
             optional=True, default=None)  # fmt: skip


@screen("/rotation", needs="rotation:view", icon="rotate-clockwise")
def show(c: Context) -> Answer:
    """Show the plan, the running cycle and the next turns."""
    return _page(c)


def _page(
    c: Context, problem: str = "", typed: list[dict[str, Any]] | None = None, *,
    version: int | None = None, errors: Mapping[str, Sequence[str]] | None = None,
    status: int = 200,
) -> Answer:  # fmt: skip
    found = assignment.show_rotation(c.crm, NEXT, by=c.by)
    add: Input | None = None
    if c.by.may("rotation:edit"):
        planned = {str(line[0]) for line in found.entries}
        asked = {"add": c.one("add")} if errors else None
        [add] = inputs(c, (ADDED,), None, asked, errors or {})
        add = attrs.evolve(add, options=tuple(o for o in add.options if o[0] not in planned))
    return Page(template="rotation.html", status=status, data={
        "rotation": found, "add": add, "problem": problem, "conflict": status == 409,
        "version": found.version if typed is None else version,
        "plan": typed if typed is not None else _lines(found),
        "absences": lambda code: c.t(*ABSENCES.get(code, (code, code))),
    })  # fmt: skip


def _lines(found: Rotation) -> list[dict[str, Any]]:
    return [
        {"employee_id": n, "name": name, "quota": quota, "weight": weight, "active": active}
        for n, name, quota, weight, active in found.entries
    ]


@screen("/rotation/plan", needs="rotation:edit", methods=("POST",))
def save(c: Context) -> Answer:
    """Replace the plan; it takes effect with the next cycle, or at once where that is asked."""
    ids = numbers(c.many("employee_id"))
    plan: list[dict[str, Any]] = [
        {"employee_id": n, "quota": c.one(f"quota-{n}", "0"), "weight": c.one(f"weight-{n}", "0"),
         "active": c.one(f"active-{n}") == "true"}
        for n in ids
        if c.one(f"remove-{n}") != "true"
    ]  # fmt: skip
    version = read_version(c)
    try:
        plan += [
            {"employee_id": n, "quota": c.one("add-quota", "1") or "1",
             "weight": c.one("add-weight", "0") or "0", "active": True}
            for n in chosen(c, "add") if n not in ids
        ]  # fmt: skip
        assignment.set_rotation(c.crm, plan, version=version, at_once=c.one("now") == "true",
                                by=c.by)  # fmt: skip
    except Invalid as e:
        errors = said_of(e.problems, c.language)
        return _page(c, "", _named(c, plan), version=version, errors=errors, status=422)
    except BadPlan as e:
        return _page(c, e.message(c.language), _named(c, plan), version=version, status=422)
    except EditConflict as e:
        return _page(c, e.message(c.language), _named(c, plan), version=e.version, status=409)
    said = c.t("轮转方案已保存。", "The plan is saved.")
    return Redirect(to="/rotation", said=said)


def _named(c: Context, plan: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say what those are called who stand in a plan that was typed."""
    names = records.titles(c.crm, Employee, [line["employee_id"] for line in plan], by=c.by)
    names |= assignment.show_rotation(c.crm, 1, by=c.by).names
    return [{**line, "name": names.get(line["employee_id"], "")} for line in plan]


@screen("/rotation/reset", needs="rotation:edit", methods=("POST",))
def reset(c: Context) -> Answer:
    """Drop the rest of the running cycle, once somebody is sure."""
    found = assignment.show_rotation(c.crm, 0, by=c.by)
    said = c.t(
        "放弃本轮余下的 {n} 个顺位，立即开始新的一轮？",
        "Drop the {n} places left of this cycle and begin a new one?",
    ).format(n=found.length - found.position)
    if asked := question(c, said, c.t("重置", "Reset"), "/rotation"):
        return asked
    assignment.reset_rotation(c.crm, by=c.by)
    return Redirect(to="/rotation", said=c.t("已开始新的一轮。", "A new cycle has begun."))


SCREENS = (show, save, reset)
