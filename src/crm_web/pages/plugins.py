"""The plugins: which there are, what they give, and what went wrong with them."""

from __future__ import annotations

from crm_web.answers import Answer, Page
from crm_web.context import Context
from crm_web.screen import screen


@screen("/plugins", needs="role:manage")
def show(c: Context) -> Answer:
    """Show every plugin that was found when the program began."""
    c.by.need("role:manage")
    return Page(template="plugins.html", data={"plugins": c.crm.plugins})


SCREENS = (show,)
