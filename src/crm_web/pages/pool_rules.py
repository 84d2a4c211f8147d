"""The pool's rules: limits by condition, the calendar, and what a change would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from crm_domain.errors import EditConflict, FieldError, Invalid
from crm_domain.model import Course, PoolRule, School, specs
from crm_domain.ports import PoolRules
from crm_domain.usecases import pool_rules
from crm_web.answers import Answer, Page, Redirect
from crm_web.context import Context, read_version
from crm_web.screen import screen
from crm_web.widgets import options_of

CONDITIONS = ("school_id", "course_id", "source", "intention")
DAYS = ("contact_days", "closing_days", "warning_days")
NAMES = (*CONDITIONS, *DAYS, "working_days")


@screen("/pool-rules", needs="pool:rules", methods=("GET", "POST"), icon="settings")
def show(c: Context) -> Answer:
    """Show the rules; try a change out, or save it."""
    stored = pool_rules.show_pool_rules(c.crm, by=c.by)
    if c.request.method == "GET":
        return _page(c, _written(stored), _calendar(c, stored.holidays), stored.version)
    typed, days, version = _typed(c), str(c.form.get("holidays", "")), read_version(c)
    many = len(typed) > 2 * pool_rules.MOST
    if c.one("do") == "add" and not many:
        return _page(c, _added(typed), days, version)
    trial, became = c.one("do") != "save", None
    try:
        rules = [{n: v for n, v in one.items() if v != ""} for one in typed]
        if trial:
            became = pool_rules.set_pool_rules(
                c.crm, rules, holidays=_read_calendar(days), dry_run=True, by=c.by
            )
        else:
            pool_rules.save_pool_rules(
                c.crm, rules, holidays=_read_calendar(days), version=version, by=c.by
            )
    except Invalid as e:
        if many:  # Nobody typed so many, so they are not shown again.
            raise
        problems = [_placed(c, p) for p in e.problems]
        return _page(c, typed, days, version, problems=problems, status=422)
    except EditConflict as e:
        problems = [e.message(c.language)]
        return _page(c, typed, days, e.version, problems=problems, status=409)
    if trial:
        return _page(c, typed, days, version, became=became)
    return Redirect(to="/pool-rules", said=c.t("规则已保存。", "The rules are saved."))


def _page(
    c: Context, rules: Sequence[Mapping[str, str]], calendar: str, version: int, *,
    problems: Sequence[str] = (), became: int | None = None, status: int = 200,
) -> Answer:  # fmt: skip
    fields = specs(PoolRule)
    choices: dict[str, Any] = {
        n: [(m.value, m.label(c.language)) for m in fields[n].type] for n in ("source", "intention")
    }
    choices["school_id"] = options_of(c, School)
    choices["course_id"] = options_of(c, Course)
    return Page(template="pool_rules.html", status=status, data={
        "rules": rules, "calendar": calendar, "choices": choices,
        "labels": {n: fields[n].label(c.language) for n in NAMES}, "problems": problems,
        "became": became, "conditions": CONDITIONS, "days": DAYS, "version": version,
        "conflict": status == 409, "dating": pool_rules.is_dating(c.crm, by=c.by),
    })  # fmt: skip


def _written(stored: PoolRules) -> list[dict[str, str]]:
    found = []
    for rule in sorted(stored.rules, key=lambda r: r.position):
        values = {n: getattr(rule, n) for n in NAMES}
        found.append({n: _text(v) for n, v in values.items()})
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else ""
    return "" if value is None else str(getattr(value, "value", value))


def _typed(c: Context) -> list[dict[str, str]]:
    """Read the rules in the order in which they stand; a removed one is left out."""
    found = []
    for place in c.many("rule"):
        if c.one(f"{place}.remove") == "true":
            continue
        found.append({n: c.one(f"{place}.{n}") for n in NAMES})
    return found


def _added(rules: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Put a new rule before the last one, which fits all."""
    new = dict.fromkeys(NAMES, "") | {n: str(specs(PoolRule)[n].default) for n in DAYS}
    last = max(0, len(rules) - 1)
    return [*rules[:last], new, *rules[last:]]


def _calendar(c: Context, holidays: Mapping[date, bool]) -> str:
    """Write the calendar as text, a day in each line: ``2026-10-01 休`` or ``2026-10-10 班``."""
    words = {True: c.t("班", "work"), False: c.t("休", "off")}
    return "\n".join(f"{on} {words[work]}" for on, work in sorted(holidays.items()))


def _read_calendar(text: str) -> dict[date, bool]:
    found: dict[date, bool] = {}
    for number, line in enumerate(text.splitlines(), 1):
        day, _, word = line.strip().partition(" ")
        if not day:
            continue
        words = {"休": False, "off": False, "": False, "班": True, "work": True}
        try:
            found[date.fromisoformat(day)] = words[word.strip()]
        except (ValueError, KeyError) as e:
            zh = f"日历第 {number} 行“{line.strip()[:40]}”应写作“2026-10-01 休”或“2026-10-10 班”"
            en = f"line {number} of the calendar is not like “2026-10-01 off” or “2026-10-10 work”"
            raise Invalid([FieldError("holidays", "bad_value", line, zh, en)]) from e
    return found


def _placed(c: Context, problem: Any) -> str:
    place = problem.path.partition(".")[0]
    told = str(problem.message(c.language))
    if place.isdigit():
        told = c.t(f"第 {int(place) + 1} 条：", f"rule {int(place) + 1}: ") + told
    return told


SCREENS = (show,)
