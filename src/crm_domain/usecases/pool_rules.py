"""What the school decides about the pool: limits, conditions, holidays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import attrs

from crm_domain.errors import FieldError, Invalid
from crm_domain.model import Holiday, PoolRule, specs
from crm_domain.parsing import parse_fields
from crm_domain.ports import Crm, PoolRules, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.rules.pool import Calendar, lapses
from crm_domain.usecases._common import Stopping, audit, never, policy, refuse_stale
from crm_domain.usecases._redating import finish_dating

MOST = 50
"""Rules there are at most: all of them are asked of each customer."""


def set_pool_rules(
    crm: Crm, rules: Sequence[Mapping[str, Any]], *, holidays: Mapping[date, bool] | None = None,
    dry_run: bool = False, version: int | None = None, by: Principal,
) -> int:  # fmt: skip
    """Replace the pool rules and date the customers concerned anew, in batches others pass between.

    Args:
        crm: The CRM.
        rules: In order, each with the fields of PoolRule; the last should have no condition.
        holidays: Days that the calendar treats otherwise (True: a working day); None leaves them.
        dry_run: Only tell how many would become public today.
        version: The version of the rules as they were read; None replaces whatever is there.
        by: Who asks; needs ``pool:rules``.

    Returns:
        How many private customers became, or would become, public today.

    Raises:
        DatabaseBusy: Nothing was changed; or the rules are kept and some customers still wait to
            be dated by them, which the next sweep does first.
        EditConflict: Somebody changed the rules since.
        Invalid: With every problem.
        NotPermitted: Without the permission.
    """
    by.need("pool:rules")
    if dry_run:
        _check_holidays(holidays)
        return _would_become_public(crm, _read_rules(rules), holidays)
    _keep(crm, rules, holidays, version, by)
    return finish_dating(crm)


def save_pool_rules(
    crm: Crm, rules: Sequence[Mapping[str, Any]], *, holidays: Mapping[date, bool] | None = None,
    version: int | None = None, by: Principal,
) -> None:  # fmt: skip
    """Replace the pool rules at once, and leave the dating of customers to a worker that is woken.

    Whoever is to be dated has the old date until then. Where no worker runs the next sweep does it
    first.

    Args:
        crm: The CRM.
        rules: As for `set_pool_rules`.
        holidays: As for `set_pool_rules`.
        version: As for `set_pool_rules`.
        by: Who asks; needs ``pool:rules``.

    Raises:
        EditConflict: Somebody changed the rules since.
        Invalid: With every problem.
        NotPermitted: Without the permission.
    """
    by.need("pool:rules")
    _keep(crm, rules, holidays, version, by)
    crm.jobs.wake("date_customers")


def _keep(
    crm: Crm, rules: Sequence[Mapping[str, Any]], holidays: Mapping[date, bool] | None,
    version: int | None, by: Principal,
) -> None:  # fmt: skip
    read = _read_rules(rules)
    _check_holidays(holidays)
    with crm.unit_of_work() as uow:
        uow.pool_rules_changing()
        now = crm.now()
        before = uow.pool_rules()
        # The version that this change is going to have was counted up already.
        refuse_stale("公海规则", version, before.version - 1)
        _replace_rules(uow, read, holidays)
        old, new = ({"rules": [_written(r) for r in rules]} for rules in (before.rules, read))
        audit(uow, by, now, "set_pool_rules", "PoolRule", None, old, new)
        uow.turns.begin_dating(crm.day(now))


def _written(rule: PoolRule) -> dict[str, Any]:
    """Give what a rule says, for the log."""
    fields = (n for n in specs(PoolRule) if n not in ("id", "version"))
    return {n: v for n in fields if (v := getattr(rule, n)) is not None}


def is_dating(crm: Crm, *, by: Principal) -> bool:
    """Tell whether customers still wait to be dated by the newest rules.

    Raises:
        NotPermitted: Without ``pool:rules``.
    """
    by.need("pool:rules")
    with crm.unit_of_work(read_only=True) as uow:
        return uow.turns.dating() is not None


def date_customers(crm: Crm, *, stopping: Stopping = never, by: Principal) -> int | None:
    """Date those who wait for it by the newest rules, in batches others pass between.

    Args:
        crm: The CRM.
        stopping: Whether to leave the rest to others after the batch under way.
        by: Who asks; needs ``pool:rules``.

    Returns:
        How many private customers became public by it; None where nobody waited.

    Raises:
        DatabaseBusy: Others held customers for long; some still wait.
        NotPermitted: Without the permission.
    """
    return finish_dating(crm, stopping) if is_dating(crm, by=by) else None


def show_pool_rules(crm: Crm, *, by: Principal) -> PoolRules:
    """Read the pool rules and the holidays, with the version that `set_pool_rules` asks for.

    Raises:
        NotPermitted: Without ``pool:rules``.
    """
    by.need("pool:rules")
    with crm.unit_of_work(read_only=True) as uow:
        return uow.pool_rules()


def _read_rules(rules: Sequence[Mapping[str, Any]]) -> list[PoolRule]:
    read, problems = [], []
    if not isinstance(rules, Sequence) or not all(isinstance(v, Mapping) for v in rules):
        raise Invalid(
            [FieldError("rules", "bad_value", None, "须为规则的列表", "no list of rules")]
        )
    if len(rules) > MOST:
        raise Invalid([FieldError("rules", "too_many", None, f"最多 {MOST} 条规则",
                                  f"at most {MOST} rules")])  # fmt: skip
    for i, values in enumerate(rules):
        found, wrong = parse_fields(PoolRule, {"position": i, **values})
        problems += [attrs.evolve(p, path=f"{i}.{p.path}") for p in wrong]
        for name in ("contact_days", "closing_days", "warning_days"):
            if not 0 <= found.get(name, 1) <= 3650:
                zh, en = "天数须在 0 到 3650 之间", "days must be 0 to 3650"
                problems.append(FieldError(f"{i}.{name}", "out_of_range", found[name], zh, en))
        if not wrong:
            read.append(PoolRule(**found))
    if not problems and len({r.position for r in read}) < len(read):
        zh, en = "有两条规则的顺序相同", "two rules have one place"
        problems.append(FieldError("rules", "duplicate", None, zh, en))
    if problems:
        raise Invalid(problems)
    return read


def _check_holidays(holidays: Mapping[date, bool] | None) -> None:
    if holidays is None:
        return
    days = isinstance(holidays, Mapping) and all(
        type(on) is date and type(working) is bool for on, working in holidays.items()
    )
    if not days:
        zh, en = "须为日期与是否上班", "must be days and whether they are worked"
        raise Invalid([FieldError("holidays", "bad_value", None, zh, en)])


def _replace_rules(
    uow: UnitOfWork, rules: Sequence[PoolRule], holidays: Mapping[date, bool] | None
) -> None:
    for old in uow.records.all(PoolRule):
        uow.records.remove(PoolRule, old.id or 0)
    for rule in rules:
        uow.records.add(rule)
    if holidays is not None:
        for day in uow.records.all(Holiday):
            uow.records.remove(Holiday, day.id or 0)
        for on, working in holidays.items():
            uow.records.add(Holiday(on=on, working=working))


def _would_become_public(
    crm: Crm, rules: Sequence[PoolRule], holidays: Mapping[date, bool] | None
) -> int:
    """Count the private customers that other rules would make public today."""
    with crm.unit_of_work(read_only=True) as uow:
        before, today = policy(crm, uow), crm.today()
        calendar = before.calendar if holidays is None else Calendar(dict(holidays))
        new = attrs.evolve(before, rules=tuple(rules), calendar=calendar)
        return uow.falling_due.lapsing(lapses(new, today), today)
