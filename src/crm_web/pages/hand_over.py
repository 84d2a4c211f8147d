"""Handing over everything of a consultant, as when somebody leaves."""

from __future__ import annotations

import attrs

from crm_domain.errors import CrmError
from crm_domain.model import Spec
from crm_domain.usecases import assignment
from crm_web.answers import Answer, Page, Redirect
from crm_web.context import Context, number, numbers
from crm_web.resource import Pick
from crm_web.screen import screen
from crm_web.widgets import inputs


@screen("/hand-over", needs="customer:transfer", methods=("GET", "POST"))
def hand_over(c: Context) -> Answer:
    """Ask from whom to whom, or do it and tell what became of each customer."""
    given, to = c.one("from_id"), c.many("to_ids")
    if c.request.method == "GET":
        given = c.request.query_params.get("from", "")
        return Page(template="hand_over.html", data=_data(c, given, to))
    try:
        done = assignment.hand_over(
            c.crm, number(given) or 0, numbers(to), reason=c.one("reason"), by=c.by
        )
    except CrmError as e:
        return Page(template="hand_over.html", status=422,
                    data=_data(c, given, to, [e.message(c.language)]))  # fmt: skip
    said = c.t("已移交 {n} 位客户。", "{n} customers were handed over.").format(n=len(done.done))
    if not done.refused:
        return Redirect(to="/hand-over", said=said)
    refused = [f"#{n}: {e.message(c.language)}" for n, e in done.refused]
    return Page(template="hand_over.html", data=_data(c, given, to, refused, said))


FROM = Spec(kind="reference", name="from_id", zh="从", en="From", target="Employee",
            default=attrs.NOTHING)  # fmt: skip
TO = Pick(kind="references", name="to_ids", zh="轮流交给", en="In turn to", target="Employee",
          default=())  # fmt: skip


def _data(
    c: Context, given: str, to: list[str], problems: list[str] | None = None, said: str = ""
) -> dict[str, object]:
    """Give the form: from anybody, to those who may be given customers."""
    giver, takers = inputs(c, (FROM, TO), None, {"from_id": given, "to_ids": to}, {})
    return {"giver": giver, "takers": takers, "problems": problems or [], "said": said}


SCREENS = (hand_over,)
