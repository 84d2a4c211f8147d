"""Asking once more before something that hurts: what it will do, and to how many."""

from __future__ import annotations

from crm_web.answers import Page
from crm_web.context import CSRF, Context

SURE = "sure"
"""The form field that says yes."""


def question(c: Context, said: str, word: str, back: str) -> Page | None:
    """Ask whether somebody is sure; None once the answer was yes.

    What was typed comes back with the answer, to the same address.

    Args:
        c: The request that would do it.
        said: The question, with what will become of it.
        word: What the button says that does it.
        back: Where to go instead.
    """
    if c.one(SURE) == "1":
        return None
    kept = [
        (name, value)
        for name, value in c.form.multi_items()
        if isinstance(value, str) and name not in (CSRF, SURE)
    ]
    return Page(template="sure.html", data={
        "question": said, "word": word, "to": c.request.url.path, "kept": kept, "sure": SURE,
        "back": back,
    })  # fmt: skip
