"""The form of one record, and its removal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crm_domain.errors import Duplicate, EditConflict, Invalid, NotFound
from crm_domain.model import specs
from crm_web.answers import Answer, Page, Redirect
from crm_web.context import Context, local, said_of
from crm_web.resource import Resource
from crm_web.widgets import inputs


def edit(resource: Resource, c: Context, id: int | None) -> Answer:
    """Show the form of a record, or take in what was typed; what is wrong stands beside fields."""
    form = resource.form
    if form is None:
        raise NotFound(what=resource.one("zh"), id=id)
    back = local(c.request.query_params.get("back"), resource.path)
    record = None
    if id is not None and resource.get is not None:
        record = resource.get(c.crm, id, c.by)
    typed: dict[str, Any] | None = None
    if record is None:
        # A link may say what a new one is about.
        asked_for = {n: v for n, v in c.request.query_params.items() if n in form.fields}
        typed = asked_for or None
    errors: Mapping[str, Sequence[str]] = {}
    status, changed = 200, None
    if c.request.method == "POST":
        typed = typed_fields(c, resource.record, form.fields)
        if record is not None:
            # Without it a form would silently overwrite what others wrote.
            typed["version"] = c.one("version") or None
        try:
            number = form.save(c, id, typed)
            said = c.t("已保存。", "Saved.")
            to = resource.own_page.format(id=number) if resource.own_page and id is None else back
            return Redirect(to=to, said=said)
        except Invalid as e:
            status, errors = 422, said_of(e.problems, c.language)
        except Duplicate as e:
            names = e.facts.get("fields") or ("",)
            status, errors = 409, {name: [e.message(c.language)] for name in names}
        except EditConflict as e:
            status, errors, changed = 409, {"": [e.message(c.language)]}, record
    fields = [specs(resource.record)[name] for name in form.fields]
    also = form.also(c) if id is None else ()
    if typed is not None:
        typed |= {spec.name: c.one(spec.name) for spec in also}
    shown = {i.name: i for i in inputs(c, fields, record, typed, errors, changed)}
    groups = form.groups or (((resource.one("zh"), resource.one("en")), form.fields),)
    version = getattr(changed or record, "version", None)
    if typed is not None and changed is None:
        version = c.one("version") or version
    return Page(template="form.html", status=status, data={
        "r": resource, "record": record, "back": back, "version": version, "id": id,
        "groups": [(words, [shown[n] for n in names]) for words, names in groups],
        "also": inputs(c, also, None, typed, errors),
        "errors": [m for name, told in errors.items() if name not in shown for m in told],
        "conflict": changed is not None,
        "watch": form.watch if id is None else "", "may": c.may,
    })  # fmt: skip


def typed_fields(c: Context, record: type[Any], names: Iterable[str]) -> dict[str, Any]:
    """Give what was typed by field: "" is nothing, a box that is not ticked is no."""
    found: dict[str, Any] = {}
    for name in names:
        spec = specs(record)[name]
        if spec.kind == "references":
            found[name] = c.many(name)
        elif spec.kind == "flag":
            found[name] = c.one(name) == "true"
        else:
            found[name] = c.form.get(name, "") or None
    if version := c.one("version"):
        found["version"] = version
    return found


def remove(resource: Resource, c: Context, id: int) -> Answer:
    """Ask whether a record shall really go, or remove it."""
    back = local(c.request.query_params.get("back"), resource.path)
    if c.request.method == "POST" and resource.remove is not None:
        resource.remove(c.crm, id, c.by)
        return Redirect(to=back, said=c.t("已删除。", "Removed."))
    record = resource.get(c.crm, id, c.by) if resource.get else None
    return Page(template="remove.html", data={"r": resource, "record": record, "id": id,
                                              "back": back})  # fmt: skip
