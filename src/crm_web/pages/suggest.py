"""Suggestions while somebody types to pick a record: employees, cohorts, customers, students."""

from __future__ import annotations

from crm_web.answers import Answer, Json
from crm_web.context import Context
from crm_web.screen import SIGNED_IN, screen
from crm_web.widgets import offered

SHOWN = 20
"""So many suggestions stand below an input."""


@screen("/suggest/{source}.json", needs=SIGNED_IN)
def suggest(c: Context, source: str) -> Answer:
    """Give what can be picked, and whether there is more; the use cases ask for the permission."""
    text = c.request.query_params.get("q", "")
    found = list(offered(c, source, text, SHOWN + 1).items())
    return Json(data={
        "items": [{"id": number, "title": title} for number, title in found[:SHOWN]],
        "more": len(found) > SHOWN,
    })  # fmt: skip


SCREENS = (suggest,)
