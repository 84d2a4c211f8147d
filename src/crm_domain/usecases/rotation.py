"""The rotation: its plan, where it stands, and who comes next (spec section 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from crm_domain.errors import BadPlan, FieldError, Invalid
from crm_domain.model import Employee, RotationEntry
from crm_domain.parsing import parse_fields
from crm_domain.ports import Crm, Roster, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.rules.rotation import Cursor, Entry, Turn, deal
from crm_domain.usecases._common import audit, refuse_stale
from crm_domain.usecases._dealing import absence_now, cycles


def set_rotation(
    crm: Crm, entries: Sequence[Mapping[str, Any]], *, version: int | None = None,
    at_once: bool = False, by: Principal,
) -> None:  # fmt: skip
    """Replace the whole plan, from the next cycle on; the first plan takes effect at once.

    Args:
        crm: The CRM.
        entries: For each consultant ``employee_id``, ``quota`` (turns per cycle), ``weight`` (the
            higher, the earlier) and, if not True, ``active``.
        version: The version of the newest plan as it was read; None replaces whatever is there.
        at_once: Drop the rest of the running cycle, so that the plan takes effect now.
        by: Who asks; needs ``rotation:edit``.

    Raises:
        BadPlan: An employee is unknown or named twice, or a quota is negative.
        EditConflict: Somebody set another plan since.
        NotPermitted: Without the permission.
    """
    by.need("rotation:edit")
    if not isinstance(entries, list | tuple):
        raise BadPlan(reason_zh="名单须为列表。", reason_en="the plan must be a list.")
    plan = [_entry(e) for e in entries]
    ids = [e.employee_id for e in plan]
    if len(set(ids)) < len(ids):
        raise BadPlan(reason_zh="同一顾问出现了两次。", reason_en="a consultant is named twice.")
    with crm.unit_of_work() as uow:
        # First: it keeps whoever sets another plan waiting, and who deals a turn.
        uow.turns.people_changed()
        now = crm.now()
        _, roster = uow.turns.peek()
        refuse_stale("轮转", version, roster.version)
        known = {e.id for e in uow.records.among(Employee, ids)}
        for number in ids:
            if number not in known:
                raise BadPlan(reason_zh=f"没有员工 {number}。", reason_en=f"no employee {number}.")
        uow.turns.set_plan(plan, crm.settings.rotation_strategy, now)
        audit(uow, by, now, "set_rotation", "RotationEntry", None,
              _written(roster.next_plan), _written(plan))  # fmt: skip
        if at_once:
            _reset(crm, uow, by)


def _written(plan: Sequence[Entry | RotationEntry]) -> dict[str, Any]:
    names = ("employee_id", "quota", "weight", "active")
    return {"entries": [{n: getattr(e, n) for n in names} for e in plan]}


def _entry(values: Mapping[str, Any]) -> RotationEntry:
    if not isinstance(values, Mapping):
        raise BadPlan(reason_zh=f"无法读取 {values!r}。", reason_en=f"bad entry {values!r}.")
    found, problems = parse_fields(RotationEntry, values)
    if problems:
        wrong = problems[0]
        raise BadPlan(reason_zh=f"{wrong.zh}。", reason_en=f"{wrong.en}.")
    entry = RotationEntry(**found)
    if not 0 <= entry.quota <= 1000 or abs(entry.weight) > 1_000_000:
        raise BadPlan(
            reason_zh="数量须在 0 到 1000 之间，权重须在 ±1000000 之间。",
            reason_en="quota must be 0 to 1000, weight at most 1000000.",
        )
    return entry


def reset_rotation(crm: Crm, *, by: Principal) -> None:
    """Drop the rest of the running cycle and begin a new one with the newest plan.

    Raises:
        NotPermitted: Without ``rotation:edit``.
    """
    by.need("rotation:edit")
    with crm.unit_of_work() as uow:
        _reset(crm, uow, by)


def _reset(crm: Crm, uow: UnitOfWork, by: Principal) -> None:
    uow.turns.reset()
    audit(uow, by, crm.now(), "reset_rotation", "RotationEntry", None)


MOST_TURNS = 1_000_000
"""So many turns at most are told ahead: as many as the longest sheet has rows."""
Line = tuple[int, str, int, int, bool]
"""Of a plan: employee, name, quota, weight, active."""


@attrs.frozen(kw_only=True)
class Rotation:
    """Where the rotation stands."""

    cycle: int
    position: int
    """Places of the running cycle that are used up."""
    length: int
    """Places of the running cycle."""
    running: tuple[Line, ...]
    """The plan of the running cycle."""
    entries: tuple[Line, ...]
    """The newest plan."""
    pending: bool
    """Whether the newest plan waits for the next cycle."""
    upcoming: tuple[int, ...]
    """The employees of the next turns."""
    turns: tuple[Turn, ...]
    """The same turns with their places, and whom each passes over."""
    names: Mapping[int, str]
    """What the people of both plans are called."""
    absent: Mapping[int, str]
    """Who of them cannot take a customer now, and why, as a code of `ABSENCES`."""
    version: int
    """Of the newest plan; `set_rotation` refuses to overwrite another."""


def show_rotation(crm: Crm, n: int = 20, *, by: Principal) -> Rotation:
    """Tell the plan, the position and the next n turns.

    Raises:
        Invalid: That is no number of turns, or too many.
        NotPermitted: Without ``rotation:view``.
    """
    by.need("rotation:view")
    _refuse_many(n)
    with crm.unit_of_work(read_only=True) as uow:
        cursor, roster = uow.turns.peek()
        running, following = cycles(crm, roster)
        absent = absence_now(crm, uow, roster, crm.now())
        turns, _ = deal(cursor, running, following, n, absent)
        return Rotation(
            cycle=cursor.cycle, position=cursor.position, length=len(running),
            running=_lines(roster, roster.plan), entries=_lines(roster, roster.next_plan),
            pending=(roster.plan, roster.strategy) != (roster.next_plan, roster.next_strategy),
            upcoming=tuple(t.employee_id for t in turns), turns=tuple(turns),
            names={n: mate.employee.name for n, mate in roster.mates.items()},
            absent={n: why for n in roster.mates if (why := absent(n, {})) is not None},
            version=roster.version,
        )  # fmt: skip


def _refuse_many(n: object) -> None:
    if type(n) is not int or not 0 <= n <= MOST_TURNS:
        raise Invalid([FieldError("n", "out_of_range", None, f"须为 0 到 {MOST_TURNS} 的整数",
                                  f"n must be 0 to {MOST_TURNS}")])  # fmt: skip


def _lines(roster: Roster, plan: Sequence[Entry]) -> tuple[Line, ...]:
    return tuple(
        (e.employee_id, roster.mates[e.employee_id].employee.name, e.quota, e.weight, e.active)
        for e in plan
    )


def upcoming(crm: Crm, n: int, *, by: Principal) -> tuple[int, ...]:
    """Tell the employees of the next n turns, as things stand now.

    Raises:
        Invalid: That is no number of turns, or too many.
        NotPermitted: Without ``rotation:view``.
    """
    by.need("rotation:view")
    _refuse_many(n)
    with crm.unit_of_work(read_only=True) as uow:
        cursor, roster = uow.turns.peek()
        return _upcoming(crm, uow, cursor, roster, n)


def _upcoming(crm: Crm, uow: UnitOfWork, cursor: Cursor, roster: Roster, n: int) -> tuple[int, ...]:
    running, following = cycles(crm, roster)
    turns, _ = deal(cursor, running, following, n, absence_now(crm, uow, roster, crm.now()))
    return tuple(t.employee_id for t in turns)
