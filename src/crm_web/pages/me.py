"""What belongs to whoever has signed in: language, password, devices, and saved views."""

from __future__ import annotations

from crm_domain.errors import Invalid, NotFound
from crm_domain.usecases import access, sessions, views
from crm_web.answers import Answer, Cookie, Page, Redirect
from crm_web.context import LANGUAGES, Context, local, number, said_of
from crm_web.pages.sign_in import LONG, session_cookies
from crm_web.screen import SIGNED_IN, screen
from crm_web.sure import question


@screen("/me", needs=SIGNED_IN)
def me(c: Context) -> Answer:
    """Show one's own settings."""
    return Page(template="me.html", data={"errors": {}})


@screen("/me/language", needs=SIGNED_IN, methods=("POST",))
def language(c: Context) -> Answer:
    """Keep the language somebody wants to read, and go back to the page."""
    wish = c.one("language")
    if wish in LANGUAGES:
        access.set_language(c.crm, wish, by=c.by)
    cookie = Cookie(name="language", value=wish, seconds=LONG) if wish in LANGUAGES else None
    return Redirect(to=local(c.one("next")), cookies=(cookie,) if cookie else ())


@screen("/me/password", needs=SIGNED_IN, methods=("POST",))
def password(c: Context) -> Answer:
    """Change one's own password; every other device has to sign in again."""
    first, second = str(c.form.get("new", "")), str(c.form.get("repeated", ""))
    if first != second:
        told = {"repeated": [c.t("两次输入的密码不一致。", "The two are not the same.")]}
        return Page(template="me.html", status=422, data={"errors": told})
    try:
        access.change_password(
            c.crm, str(c.form.get("old", "")), first, keep=c.session.id if c.session else None,
            by=c.by,
        )  # fmt: skip
    except Invalid as e:
        return Page(template="me.html", status=422,
                    data={"errors": said_of(e.problems, c.language)})  # fmt: skip
    said = c.t("密码已修改，其他设备已退出登录。",
               "The password is changed; other devices are signed out.")  # fmt: skip
    # This device goes on, under a new token.
    token = sessions.renew(c.crm, c.request.cookies[c.site.cookie])
    return Redirect(to="/me", said=said, cookies=session_cookies(c, token))


@screen("/me/sessions", needs=SIGNED_IN)
def devices(c: Context) -> Answer:
    """Show where one is signed in."""
    return Page(template="devices.html", data={
        "sessions": sessions.list_sessions(c.crm, by=c.by),
        "current": c.session.id if c.session else 0,
    })  # fmt: skip


@screen("/me/sessions/end", needs=SIGNED_IN, methods=("POST",))
def end_device(c: Context) -> Answer:
    """Sign one device out, or all others."""
    if c.one("others"):
        n = len(sessions.list_sessions(c.crm, by=c.by)) - 1
        said = c.t("其他 {n} 处登录都将退出。", "You are signed out in {n} other places.").format(
            n=n
        )
        word = c.t("退出其他所有设备", "Sign out everywhere else")
        if asked := question(c, said, word, "/me/sessions"):
            return asked
        sessions.end_other_sessions(c.crm, keep=c.session.id if c.session else None, by=c.by)
    elif (id := number(c.one("id"))) is not None:
        sessions.end_session(c.crm, id, by=c.by)
    return Redirect(to="/me/sessions", said=c.t("已退出登录。", "Signed out."))


# -- saved views ------------------------------------------------------------------------------


@screen("/views/new", needs=SIGNED_IN, methods=("GET", "POST"))
def save_view(c: Context) -> Answer:
    """Keep the address of a list under a name."""
    asked = c.form if c.request.method == "POST" else c.request.query_params
    name, address = str(asked.get("list", "")), str(asked.get("address", ""))
    errors: dict[str, list[str]] = {}
    if c.request.method == "POST":
        try:
            views.save_view(
                c.crm, name, {"title": c.one("title"), "query": address}, replace=True,
                # Who may not share is not asked, and says nothing of it.
                shared=c.one("shared") == "true" if c.by.may("view:share") else None, by=c.by,
            )  # fmt: skip
        except Invalid as e:
            errors = {k: list(v) for k, v in said_of(e.problems, c.language).items()}
        else:
            said = c.t("视图已保存。", "The view is saved.")
            return Redirect(to=local(f"/{name}?{address}"), said=said)
    return Page(template="view_new.html", status=422 if errors else 200, data={
        "list": name, "address": address, "title": c.one("title"), "errors": errors,
    })  # fmt: skip


@screen("/views/manage", needs=SIGNED_IN, methods=("GET", "POST"))
def manage_views(c: Context) -> Answer:
    """Show the views of a list that one may remove, or remove one, or keep it to oneself again."""
    given = c.form if c.request.method == "POST" else c.request.query_params
    name = str(given.get("list", ""))
    if c.request.method == "POST" and (id := number(c.one("id"))) is not None:
        if c.one("do") == "unshare":
            views.share_view(c.crm, id, False, by=c.by)
            said = c.t("视图不再共享。", "The view is yours alone again.")
            return Redirect(to=local(f"/{name}"), said=said)
        called = {s.view.id: s.view.title for s in views.list_views(c.crm, name, by=c.by)}
        if id not in called:
            raise NotFound(what="保存的视图", id=id)
        said = c.t("删除视图“{title}”？", "Remove the view “{title}”?")
        said = said.format(title=called[id])
        if asked := question(c, said, c.t("删除", "Remove"), local(f"/{name}")):
            return asked
        views.remove_view(c.crm, id, by=c.by)
        return Redirect(to=local(f"/{name}"), said=c.t("视图已删除。", "The view is removed."))
    found = [s.view for s in views.list_views(c.crm, name, by=c.by) if s.own]
    return Page(template="view_manage.html", data={"list": name, "views": found})


SCREENS = (me, language, password, devices, end_device, save_view, manage_views)
