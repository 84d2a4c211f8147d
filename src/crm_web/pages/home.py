"""The home page: what is to be done today, and for managers how the team does."""

from __future__ import annotations

from datetime import date
from typing import Any

import attrs

from crm_domain.errors import Invalid
from crm_domain.model import Scope, Stage
from crm_domain.usecases import assignment, figures
from crm_domain.usecases.figures import Figure
from crm_web.address import asked
from crm_web.answers import Answer, Page
from crm_web.context import Context
from crm_web.resources.customers import CUSTOMERS, MINE, POOL
from crm_web.resources.office import NOTICES
from crm_web.resources.sales import ASSIGNMENTS, FOLLOW_UPS, PAYMENTS
from crm_web.screen import SIGNED_IN, screen

LISTS = {
    "assignment.my_customers": MINE, "intake.list_customers": CUSTOMERS,
    "pool.public_customers": POOL, "assignment.list_assignments": ASSIGNMENTS,
    "follow_up.list_follow_ups": FOLLOW_UPS, "payments.list_payments": PAYMENTS,
    "notices.list_notices": NOTICES,
}  # fmt: skip
"""The lists that figures count."""
FEW = 8
AGES: tuple[tuple[int, int | None], ...] = tuple(
    zip((0, *(days + 1 for days in figures.AGES)), (*figures.AGES, None), strict=True)
)
"""The first and the last day of each age; the last age has no end."""


@screen("/", needs=SIGNED_IN)
def home(c: Context) -> Answer:
    """Show somebody's day, the team's figures to whoever leads one, and what stands still."""
    status = 200
    data: dict[str, Any] = {"link": lambda f: link(c, f), "mine": None, "due": (), "expiring": (),
                            "team": None, "problem": "",
                            "office": figures.office_figures(c.crm, by=c.by)}  # fmt: skip
    if c.by.may("customer:mine") and c.by.employee_id is not None:
        tabs = assignment.my_tabs(c.crm)
        few = {n: attrs.evolve(tabs[n], limit=FEW) for n in ("due", "expiring")}
        data["mine"] = figures.my_figures(c.crm, by=c.by)
        data |= {n: assignment.my_customers(c.crm, q, by=c.by).items for n, q in few.items()}
    if c.by.may("customer:view") and c.by.scope is not Scope.OWN:
        since, until = period(c)
        data |= {"since": since, "until": until, "ages": AGES, "stages": Stage}
        try:
            data["team"] = figures.team_figures(c.crm, since, until, by=c.by)
        except Invalid as e:
            data["problem"], status = e.message(c.language), 422
    return Page(template="home.html", status=status, data=data)


def period(c: Context) -> tuple[date, date]:
    """Read the period that is asked for; this month by default."""
    today = c.crm.today()
    given = c.request.query_params
    return _day(given.get("since"), today.replace(day=1)), _day(given.get("until"), today)


def _day(text: str | None, default: date) -> date:
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return default


def link(c: Context, figure: Figure) -> str:
    """Give the address of the list that a figure counts; "" where there is none to be opened."""
    counted = LISTS.get(figure.list or "")
    if counted is None or not c.by.may(counted.needs):
        return ""
    path = counted.path
    if figure.query is None:
        return path
    for tab in counted.tabs:
        # By its tab where it has one: "today" is still today in a page that was left open.
        if tab.query is not None and tab.query(c) == figure.query:
            return f"{path}?tab={tab.name}"
    text = asked(figure.query, c.crm.settings.zone)
    return f"{path}?{text}" if text else path


SCREENS = (home,)
