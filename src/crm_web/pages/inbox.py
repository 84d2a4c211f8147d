"""Messages in the program (站内消息), and what somebody wants to be told."""

from __future__ import annotations

from datetime import time

from crm_domain.errors import CrmError, EditConflict, Invalid
from crm_domain.model import Event
from crm_domain.ports import Query
from crm_domain.rules.notifying import INAPP
from crm_domain.usecases import inbox, preferences
from crm_web.answers import Answer, Page, Redirect
from crm_web.context import Context, numbers
from crm_web.screen import SIGNED_IN, screen


@screen("/inbox", needs=SIGNED_IN)
def show(c: Context) -> Answer:
    """Show one's own messages, the newest first."""
    unread = c.request.query_params.get("unread") == "1"
    query = Query(limit=30, after=c.request.query_params.get("after") or None)
    page = inbox.list_messages(c.crm, query, unread_only=unread, by=c.by)
    return Page(template="inbox.html", data={"page": page, "only_unread": unread})


@screen("/inbox/read", needs=SIGNED_IN, methods=("POST",))
def read(c: Context) -> Answer:
    """Mark messages as read: one, or all."""
    ids = None if c.one("all") else numbers(c.many("id"))
    inbox.mark_read(c.crm, ids, by=c.by)
    return Redirect(to="/inbox")


@screen("/inbox/{id:int}", needs=SIGNED_IN, methods=("POST",))
def follow(c: Context, id: int) -> Answer:
    """Lead to what a message is about; whoever follows it has read it."""
    page = inbox.list_messages(c.crm, Query(where={"id": id}), by=c.by)
    about = page.items[0].about if page.items else None
    inbox.mark_read(c.crm, [id], by=c.by)
    kind, _, number = (about or "").partition(":")
    places = {"customer": f"/customers/{number}", "employee": "/my/customers"}
    return Redirect(to=places.get(kind, "/inbox"))


@screen("/me/notifications", needs=SIGNED_IN, methods=("GET", "POST"))
def settings(c: Context) -> Answer:
    """Show or keep which events somebody wants to hear of, by which channel, and when not."""
    problems: list[str] = []
    status = 200
    if c.request.method == "POST":
        channels = list(c.crm.notifiers)
        wanted = {
            event.value: [n for n in channels if n == INAPP or c.one(f"{event.value}.{n}")]
            for event in Event
        }
        try:
            preferences.set_preferences(c.crm, {
                "wanted": wanted, "quiet_from": c.one("quiet_from") or None,
                "quiet_until": c.one("quiet_until") or None, "version": c.one("version", "0"),
            }, by=c.by)  # fmt: skip
        except Invalid as e:
            problems, status = [p.message(c.language) for p in e.problems], 422
        except EditConflict as e:
            problems, status = [e.message(c.language)], 409
        else:
            return Redirect(to="/me/notifications", said=c.t("已保存。", "Saved."))
    return Page(template="notifications.html", status=status, data={
        "kept": preferences.read_preferences(c.crm, by=c.by), "problems": problems,
        "channels": list(c.crm.notifiers), "inapp": INAPP, "clock": _clock,
    })  # fmt: skip


def _clock(value: time | None) -> str:
    return "" if value is None else f"{value:%H:%M}"


@screen("/me/notifications/test", needs=SIGNED_IN, methods=("POST",))
def test(c: Context) -> Answer:
    """Send a test message to oneself and say what came of it."""
    try:
        done = preferences.test_channel(c.crm, c.one("channel"), by=c.by)
    except CrmError as e:
        return Redirect(to="/me/notifications", said=e.message(c.language), tone="danger")
    if done.sent:
        said = c.t("测试消息已发送。", "The test message was sent.")
        return Redirect(to="/me/notifications", said=said)
    said = c.t("发送失败：", "It failed: ") + (done.error or "")
    return Redirect(to="/me/notifications", said=said, tone="danger")


SCREENS = (show, read, follow, settings, test)
