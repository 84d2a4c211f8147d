"""The form of one record, a single field of it in its list, and its removal."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from crm_domain.errors import AlreadySent, Duplicate, EditConflict, FieldError, Invalid, NotFound
from crm_domain.model import specs
from crm_web.answers import Answer, Page, Redirect
from crm_web.cells import Drawn
from crm_web.context import ONCE, Context, local, read_version, said_of
from crm_web.resource import Form, Resource, Saved
from crm_web.rows import called, titles_of
from crm_web.widgets import inputs

Said = Mapping[str, Sequence[str]]


@attrs.frozen(kw_only=True)
class Refused:
    """Why what was typed was not taken."""

    status: int
    said: Said
    """What is wrong, by field; "" is the whole."""
    conflict: bool = False
    """Whether somebody changed the record meanwhile."""
    sent: bool = False
    """Whether the form has made its record: what is sent next is another form."""


def edit(resource: Resource, c: Context, id: int | None) -> Answer:
    """Show the form of a record, or take in what was typed; what is wrong stands beside fields."""
    form = resource.form
    if form is None:
        raise NotFound(what=resource.one("zh"), id=id)
    record = None
    if id is not None and resource.get is not None:
        record = resource.get(c.crm, id, c.by)
    if c.request.method != "POST":
        # A link may say what a new one is about.
        asked_for = {n: v for n, v in c.request.query_params.items() if n in form.fields}
        return _shown(resource, form, c, id, record, asked_for if record is None else {})
    typed = typed_fields(c, resource.record, form.fields)
    saved = _save(form, c, id, typed)
    if isinstance(saved, Refused):
        return _shown(resource, form, c, id, record, typed, saved)
    if isinstance(saved, Saved):
        return Redirect(to=saved.to or _back(resource, c), said=saved.said)
    own = resource.own_page.format(id=saved) if resource.own_page and id is None else ""
    return Redirect(to=own or _back(resource, c), said=c.t("已保存。", "Saved."))


def _back(resource: Resource, c: Context) -> str:
    return local(c.request.query_params.get("back"), resource.path)


def _save(
    form: Form, c: Context, id: int | None, typed: Mapping[str, Any]
) -> int | Saved | Refused:
    """Save what was typed, or tell what is to be shown beside the fields."""
    try:
        # Without a version a form would silently overwrite what others wrote.
        return form.save(c, id, typed, None if id is None else read_version(c))
    except Invalid as e:
        return Refused(status=422, said=said_of(e.problems, c.language))
    except Duplicate as e:
        names = e.facts.get("fields") or ("",)
        return Refused(status=409, said={name: [e.message(c.language)] for name in names})
    except AlreadySent as e:
        more = c.t("如确需再登记一条，请再次保存。", " To enter it as another, save again.")
        return Refused(status=409, said={"": [e.message(c.language) + more]}, sent=True)
    except EditConflict as e:
        return Refused(status=409, said={"": [e.message(c.language)]}, conflict=True)


def _shown(
    resource: Resource, form: Form, c: Context, id: int | None, record: Any,
    typed: Mapping[str, Any], refused: Refused | None = None,
) -> Answer:  # fmt: skip
    """Show the form with what is stored, or with what was typed and why it was refused."""
    errors: Said = refused.said if refused else {}
    conflict = refused is not None and refused.conflict
    fields = [specs(resource.record)[name] for name in form.fields]
    also = form.also(c) if id is None else ()
    filled = {**typed, **{spec.name: c.one(spec.name) for spec in also}} if typed else None
    made = inputs(c, fields, record, filled, errors, record if conflict else None)
    shown = {i.name: i for i in made}
    groups = form.groups or (((resource.one("zh"), resource.one("en")), form.fields),)
    version = getattr(record, "version", None)
    if refused and not conflict:
        version = c.one("version") or version
    # What was refused has made nothing, and is the same form when it is sent again.
    once = "" if refused is None or refused.sent else c.one(ONCE)
    return Page(template="form.html", status=refused.status if refused else 200, data={
        "r": resource, "record": record, "back": _back(resource, c), "version": version, "id": id,
        "groups": [(words, [shown[n] for n in names]) for words, names in groups],
        "also": inputs(c, also, None, filled, errors),
        "errors": [m for name, told in errors.items() if name not in shown for m in told],
        "conflict": conflict, "watch": form.watch if id is None else "", "may": c.may,
        "once": (once or secrets.token_urlsafe(16)) if id is None and form.once else "",
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
    return found


# -- one field, in the list -------------------------------------------------------------------


def edit_field(resource: Resource, c: Context, id: int, name: str) -> Answer:
    """Turn a cell of a list into its input, or save it; what is refused is said in the cell.

    Only this field is written, with the version that the input was made of, under the permission
    and by the use case of the form.
    """
    form = resource.form
    if form is None or resource.get is None or name not in resource.inline:
        raise NotFound(what=resource.one("zh"), id=name)
    if c.request.method != "POST":
        record = resource.get(c.crm, id, c.by)
        # Whoever changes nothing after all gets the cell back as it is by now.
        as_is = c.request.query_params.get("shown") == "1"
        return _cell(resource, c, record, name) if as_is else _input(resource, c, record, name)
    # A box that is not ticked, and a choice of none, are sent as nothing.
    if name not in c.form and specs(resource.record)[name].kind not in ("flag", "references"):
        raise Invalid([FieldError(name, "missing", None, "缺少要修改的字段，请重新打开",
                                  "the field is missing; open it again")])  # fmt: skip
    typed = typed_fields(c, resource.record, (name,))
    saved = _save(form, c, id, typed)
    record = resource.get(c.crm, id, c.by)
    if isinstance(saved, Refused):
        return _input(resource, c, record, name, typed, saved)
    return _cell(resource, c, record, name)


def _cell(resource: Resource, c: Context, record: Any, name: str) -> Answer:
    """Give what stands in the cell of a field."""
    columns = [one for one in resource.columns if one.name == name]
    titles, look = titles_of(c, columns, [record]), Drawn(c)
    return Page(template="cell.html", part=True, data={
        "shown": [look.cell(one, record, titles) for one in columns],
    })  # fmt: skip


def _input(
    resource: Resource, c: Context, record: Any, name: str,
    typed: Mapping[str, Any] | None = None, refused: Refused | None = None,
) -> Answer:  # fmt: skip
    """Give the input of a field, with what was typed and why it was refused."""
    errors: Said = refused.said if refused else {}
    conflict = refused is not None and refused.conflict
    [made] = inputs(c, [specs(resource.record)[name]], record, typed, errors,
                    record if conflict else None)  # fmt: skip
    others = [m for path, said in errors.items() if path != name for m in said]
    version = record.version if conflict or refused is None else c.one("version")
    return Page(template="field.html", part=True, status=refused.status if refused else 200, data={
        "f": made, "version": version, "to": f"{resource.path}/{record.id}/field/{name}",
        "errors": [*made.errors, *others],
    })  # fmt: skip


def remove(resource: Resource, c: Context, id: int) -> Answer:
    """Ask whether a record shall really go, or remove it."""
    back = _back(resource, c)
    if c.request.method == "POST" and resource.remove is not None:
        resource.remove(c.crm, id, c.by)
        return Redirect(to=back, said=c.t("已删除。", "Removed."))
    if resource.get is not None:
        resource.get(c.crm, id, c.by)
    return Page(template="remove.html", data={
        "r": resource, "id": id, "back": back, "title": called(resource, c, [id]).get(id),
    })  # fmt: skip
