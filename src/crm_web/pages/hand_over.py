"""Handing over everything of a consultant, as when somebody leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from crm_domain.errors import CrmError, Invalid
from crm_domain.model import Employee, Spec
from crm_domain.usecases import assignment, records
from crm_web.answers import Answer, Page, Redirect
from crm_web.context import Context, chosen, said_of
from crm_web.endpoint import status_of
from crm_web.resource import Pick
from crm_web.screen import screen
from crm_web.sure import question
from crm_web.widgets import inputs

FROM = Spec(kind="reference", name="from_id", zh="从", en="From", target="Employee",
            default=attrs.NOTHING)  # fmt: skip
TO = Pick(kind="references", name="to_ids", zh="轮流交给", en="In turn to", target="Employee",
          default=())  # fmt: skip


@screen("/hand-over", needs="customer:transfer", methods=("GET", "POST"))
def hand_over(c: Context) -> Answer:
    """Ask from whom to whom, say how many that are, and do it once somebody is sure."""
    if c.request.method == "GET":
        return _page(c)
    reason = c.one("reason")
    try:
        givers, to = chosen(c, "from_id"), chosen(c, "to_ids")
    except Invalid as e:
        return _page(c, errors=said_of(e.problems, c.language), status=422)
    if not givers:
        return _page(
            c, [c.t("请选择要移交谁的客户。", "Choose whose customers they are.")], status=422
        )
    given = givers[0]
    try:
        found = assignment.hand_over(c.crm, given, to, reason=reason, dry_run=True, by=c.by).done
        if not found:
            return _page(
                c,
                said=c.t("没有可以移交的客户。", "There are no customers to hand over."),
                tone="warning",
            )
        word = c.t("移交", "Hand over")
        if asked := question(c, _planned(c, given, to, found), word, "/hand-over"):
            return asked
        done = assignment.hand_over(c.crm, given, to, reason=reason, by=c.by)
    except CrmError as e:
        return _page(c, [e.message(c.language)], status=status_of(e))
    said = c.t("已移交 {n} 位客户。", "{n} customers were handed over.").format(n=len(done.done))
    if not done.refused:
        return Redirect(to="/hand-over", said=said)
    return _page(c, [f"#{n}: {e.message(c.language)}" for n, e in done.refused], said)


def _planned(c: Context, given: int, to: Sequence[int], found: Sequence[int]) -> str:
    """Say how many customers go from whom to whom."""
    names = records.titles(c.crm, Employee, [given, *to], by=c.by)
    parts = [
        c.t("{who} {n} 位", "{n} to {who}").format(
            who=names.get(one, f"#{one}"), n=len(found[i :: len(to)])
        )
        for i, one in enumerate(to)
    ]
    return c.t(
        "{who} 的 {n} 位客户将移交给：{parts}。不能一次撤销。",
        "{n} customers of {who} are handed over: {parts}. This cannot be undone at once.",
    ).format(who=names.get(given, f"#{given}"), n=len(found), parts=c.t("、", ", ").join(parts))


def _page(
    c: Context, problems: Sequence[str] = (), said: str = "", tone: str = "success",
    status: int = 200, errors: Mapping[str, Sequence[str]] | None = None,
) -> Answer:  # fmt: skip
    """Show the form with what was typed: from anybody, to those who may be given customers."""
    typed = {
        "from_id": c.one("from_id") or c.request.query_params.get("from", ""),
        "to_ids": c.many("to_ids"),
    }
    giver, takers = inputs(c, (FROM, TO), None, typed, errors or {})
    return Page(template="hand_over.html", status=status, data={
        "giver": giver, "takers": takers, "problems": problems, "said": said, "tone": tone,
        "reason": c.one("reason"),
    })  # fmt: skip


SCREENS = (hand_over,)
