"""Handing over everything of a consultant, as when somebody leaves."""

from __future__ import annotations

from crm_domain.errors import CrmError
from crm_domain.model import Employee
from crm_domain.usecases import assignment
from crm_web.answers import Answer, Page, Redirect
from crm_web.context import Context, number, numbers
from crm_web.screen import screen
from crm_web.widgets import options_of


@screen("/hand-over", needs="customer:transfer", methods=("GET", "POST"))
def hand_over(c: Context) -> Answer:
    """Ask from whom to whom, or do it and tell what became of each customer."""
    people = options_of(c, Employee)
    given, to = c.one("from_id"), c.many("to_ids")
    if c.request.method == "GET":
        given = c.request.query_params.get("from", "")
        return Page(template="hand_over.html", data=_data(people, given, to))
    try:
        done = assignment.hand_over(
            c.crm, number(given) or 0, numbers(to), reason=c.one("reason"), by=c.by
        )
    except CrmError as e:
        return Page(template="hand_over.html", status=422,
                    data=_data(people, given, to, [e.message(c.language)]))  # fmt: skip
    said = c.t("已移交 {n} 位客户。", "{n} customers were handed over.").format(n=len(done.done))
    if not done.refused:
        return Redirect(to="/hand-over", said=said)
    refused = [f"#{n}: {e.message(c.language)}" for n, e in done.refused]
    return Page(template="hand_over.html", data=_data(people, given, to, refused, said))


def _data(
    people: object, given: str, to: list[str], problems: list[str] | None = None, said: str = ""
) -> dict[str, object]:
    return {"people": people, "from_id": given, "to": to, "problems": problems or [], "said": said}


SCREENS = (hand_over,)
