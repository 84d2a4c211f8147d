"""The screens of every list, and its page: rows, tabs, columns; the same as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial
from typing import Any

from crm_domain.errors import NotFound
from crm_domain.model import Density
from crm_domain.usecases import views
from crm_web.actions import act
from crm_web.address import AFTER, SEARCH, SIZE, SIZES, Address
from crm_web.answers import Answer, Json, Page, Redirect
from crm_web.cells import Drawn, Rows
from crm_web.context import Context, local, number
from crm_web.filters import filter_rows, pills_of
from crm_web.forms import edit, edit_field, remove
from crm_web.resource import Column, Resource
from crm_web.rows import titles_of
from crm_web.screen import Screen
from crm_web.sheets import TYPES, export


def list_screens(resource: Resource) -> list[Screen]:
    """Make all screens of a list."""
    path, needs = resource.path, resource.needs
    found = [
        Screen(path=path, needs=needs, icon=resource.icon,
               call=resource.page or partial(show_list, resource)),
        Screen(path=f"{path}.json", needs=needs, call=partial(show_json, resource)),
        Screen(path=f"{path}/columns", needs=needs, call=partial(choose_columns, resource),
               methods=("GET", "POST")),
    ]  # fmt: skip
    if resource.tally is not None:
        found.append(Screen(path=f"{path}/facets", needs=needs,
                            call=partial(show_facets, resource)))  # fmt: skip
    if resource.export is not None:
        for ending in TYPES:
            found.append(Screen(path=f"{path}.{ending}", needs=resource.export, lasting=True,
                                call=partial(export, resource, ending)))  # fmt: skip
    form = resource.form
    if form is not None and form.add is not None:
        found.append(Screen(path=f"{path}/new", needs=form.add, methods=("GET", "POST"),
                            call=partial(edit, resource, id=None)))  # fmt: skip
    if form is not None and form.edit is not None:
        found.append(Screen(path=f"{path}/{{id:int}}/edit", needs=form.edit,
                            methods=("GET", "POST"), call=partial(edit, resource)))  # fmt: skip
    if form is not None and form.edit is not None and resource.inline:
        found.append(Screen(path=f"{path}/{{id:int}}/field/{{name}}", needs=form.edit,
                            methods=("GET", "POST"),
                            call=partial(edit_field, resource)))  # fmt: skip
    if resource.remove is not None:
        found.append(Screen(path=f"{path}/{{id:int}}/remove", needs=resource.removes,
                            methods=("GET", "POST"), call=partial(remove, resource)))  # fmt: skip
    undos = [action.undo for action in resource.actions if action.undo is not None]
    for action in (*resource.actions, *undos):
        found.append(
            Screen(path=f"{path}/actions/{action.name}", needs=action.needs,
                   methods=("GET", "POST"), call=partial(act, resource, action))
        )  # fmt: skip
    return found


def show_list(resource: Resource, c: Context) -> Answer:
    """Show one page of a list with its filters."""
    here = Address.read(resource.path, c.request.url.query)
    kept = views.read_preference(c.crm, resource.name, by=c.by)
    query = here.query(resource, c, kept.page_size if kept.id else None)
    page = resource.rows(c.crm, query, c.by)
    resource = resource.for_reader(c)
    columns = shown_columns(resource, kept.columns)
    titles = titles_of(c, columns, page.items)
    filters = filter_rows(c, resource, here, None)
    row_actions = [a for a in resource.actions if a.row and c.by.may(a.needs)]
    bulk_actions = [a for a in resource.actions if a.bulk and c.by.may(a.needs)]
    body = Rows(c, Drawn(c), resource, here, columns, titles, row_actions, ticks=bool(bulk_actions))
    return Page(template="list.html", data={
        "r": resource, "here": here, "query": query, "rows": page.items, "columns": columns,
        "next": here.with_(**{AFTER: page.next}) if page.next else None,
        "body": body, "filters": filters, "tally": None, "pills": pills_of(c, filters, here),
        "asked": here.without(SEARCH, *(n for row in filters for n in row.typed)),
        "cleared": here.without(*(n for row in filters for n in row.names)),
        "sizes": SIZES, "density": kept.density,
        "views": views.list_views(c.crm, resource.name, by=c.by),
        "tab": here.tab(resource), "bulk_actions": bulk_actions, "may": c.may,
    })  # fmt: skip


def show_facets(resource: Resource, c: Context) -> Answer:
    """Count what matches, and the values of each filter; the page asks for it when it is there.

    Counting may take far longer than finding a page of rows, so that nobody waits for it.
    """
    here = Address.read(resource.path, c.request.url.query)
    query = here.query(resource, c)
    resource = resource.for_reader(c)
    counted = [
        f.name
        for f in resource.filters
        if not (f.ranged or f.kind == "references" or f.name in resource.uncounted)
    ]
    counted += [resource.tab_facet] if resource.tab_facet else []
    if resource.tally is None:
        raise NotFound(what=resource.one("zh"), id="facets")
    tally = resource.tally(c.crm, query, counted, c.by)
    return Page(template="facets.html", part=True, data={
        "r": resource, "here": here, "tally": tally,
        "filters": filter_rows(c, resource, here, tally),
        "tabs": tally.by.get(resource.tab_facet, {}),
    })  # fmt: skip


def shown_columns(resource: Resource, chosen: Sequence[str]) -> list[Column]:
    """Give the columns that a person chose, in their order, or those that are there at first."""
    by_name = {column.name: column for column in resource.columns}
    wished = [by_name[name] for name in chosen if name in by_name]
    return wished or [column for column in resource.columns if column.shown]


def show_json(resource: Resource, c: Context) -> Answer:
    """Answer with one page of a list as JSON; the address asks as it does for the page."""
    here = Address.read(resource.path, c.request.url.query)
    page = resource.rows(c.crm, here.query(resource, c), c.by)
    resource = resource.for_reader(c)
    return Json(data={
        "items": [as_data(resource, row) for row in page.items],
        "next": str(here.at(f"{resource.path}.json").with_(**{AFTER: page.next}))
        if page.next else None,
    })  # fmt: skip


def as_data(resource: Resource, row: Any) -> dict[str, Any]:
    """Give a row as plain data: what its list shows, and its number."""
    number = {resource.key: getattr(row, resource.key)}
    return number | {column.name: _told(column.of(row)) for column in resource.columns}


def _told(value: Any) -> Any:
    """Tell a value to a program; the ends of time stand for no day at all."""
    return None if value in (date.min, date.max) else value


def choose_columns(resource: Resource, c: Context) -> Answer:
    """Show or keep which columns somebody wants to see, and how dense."""
    resource = resource.for_reader(c)
    back = local(c.request.query_params.get("back"), resource.path)
    if c.request.method == "POST":
        known = {column.name for column in resource.columns}
        chosen = [] if c.one("reset") else [n for n in c.many("columns") if n in known]
        size = number(c.one("page_size"))
        values = {
            "columns": chosen, "density": c.one("density") or Density.COMFORTABLE,
            "page_size": size if size in SIZES and not c.one("reset") else resource.size,
        }  # fmt: skip
        views.set_preference(c.crm, resource.name, values, by=c.by)
        # The choice holds from now on, also where the address still says another.
        path, _, text = back.partition("?")
        return Redirect(to=str(Address.read(path, text).without(SIZE)))
    kept = views.read_preference(c.crm, resource.name, by=c.by)
    shown = shown_columns(resource, kept.columns)
    rest = [column for column in resource.columns if column not in shown]
    return Page(template="columns.html", data={
        "r": resource, "shown": shown, "rest": rest, "back": back, "density": kept.density,
        "densities": list(Density), "sizes": SIZES,
        "size": kept.page_size if kept.id else resource.size,
    })  # fmt: skip
