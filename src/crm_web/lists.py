"""The pages of every list: rows, filters, forms, actions, exports. Nothing here knows a record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import attrs

from crm_domain.errors import CrmError, Duplicate, EditConflict, Invalid, NotFound
from crm_domain.model import Density, specs
from crm_domain.model.fields import RECORDS
from crm_domain.ports import Query
from crm_domain.usecases import exports, records, views
from crm_web.address import AFTER, SIZES, Address, asked
from crm_web.answers import Answer, Download, Json, Page, Redirect
from crm_web.cells import Rows
from crm_web.context import Context, local, numbers, said_of
from crm_web.resource import Action, Column, Filter, Outcome, Resource, Tab
from crm_web.screen import Screen
from crm_web.site import Look
from crm_web.widgets import inputs

TYPES: dict[Literal["csv", "xlsx"], str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
BULK = 10_000
"""So many rows one action takes at the most."""
WALK = 2000
"""Rows that are read at a time where all are wanted."""
SHORT = 12
"""Values that a row of a filter shows at once; the rest is behind a fold."""


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
    if resource.remove is not None:
        found.append(Screen(path=f"{path}/{{id:int}}/remove", needs=resource.removes,
                            methods=("GET", "POST"), call=partial(remove, resource)))  # fmt: skip
    for action in resource.actions:
        found.append(
            Screen(path=f"{path}/actions/{action.name}", needs=action.needs,
                   methods=("GET", "POST"), call=partial(act, resource, action))
        )  # fmt: skip
    return found


# -- the list ---------------------------------------------------------------------------------


def show_list(resource: Resource, c: Context) -> Answer:
    """Show one page of a list with its filters."""
    here = Address.read(resource.path, c.request.url.query)
    query = here.query(resource, c.crm.settings.zone)
    page = resource.rows(c.crm, query, c.by)
    kept = views.read_preference(c.crm, resource.name, by=c.by)
    columns = shown_columns(resource, kept.columns)
    titles = titles_of(c, columns, page.items)
    row_actions = [a for a in resource.actions if a.row and c.by.may(a.needs)]
    bulk_actions = [a for a in resource.actions if a.bulk and c.by.may(a.needs)]
    body = Rows(c, Look(c), resource, here, columns, titles, row_actions, ticks=bool(bulk_actions))
    return Page(template="list.html", data={
        "r": resource, "here": here, "query": query, "rows": page.items, "columns": columns,
        "next": here.with_(**{AFTER: page.next}) if page.next else None,
        "body": body, "filters": filter_rows(c, resource, here, None), "tally": None,
        "sizes": SIZES, "density": kept.density,
        "views": views.list_views(c.crm, resource.name, by=c.by),
        "tabs": tabs_of(c, resource),
        "bulk_actions": bulk_actions, "may": partial(may, c),
    })  # fmt: skip


def tabs_of(c: Context, resource: Resource) -> list[tuple[Tab, str]]:
    """Give the tabs with what each asks, as an address has it."""
    zone = c.crm.settings.zone
    return [(tab, asked(tab.query(c), zone) if tab.query else "") for tab in resource.tabs]


def show_facets(resource: Resource, c: Context) -> Answer:
    """Count what matches, and the values of each filter; the page asks for it when it is there.

    Counting may take far longer than finding a page of rows, so that nobody waits for it.
    """
    here = Address.read(resource.path, c.request.url.query)
    query = here.query(resource, c.crm.settings.zone)
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


def may(c: Context, permission: str | None) -> bool:
    """Whether whoever asks holds a permission; None is nobody's."""
    return permission is not None and c.by.may(permission)


def shown_columns(resource: Resource, chosen: Sequence[str]) -> list[Column]:
    """Give the columns that a person chose, in their order, or those that are there at first."""
    by_name = {column.name: column for column in resource.columns}
    wished = [by_name[name] for name in chosen if name in by_name]
    return wished or [column for column in resource.columns if column.shown]


def titles_of(
    c: Context, columns: Iterable[Column], rows: Iterable[Any]
) -> dict[str, dict[int, str]]:
    """Find what the records are called that rows refer to: one question for each kind."""
    wanted: dict[str, set[int]] = {}
    for column in columns:
        if column.target:
            numbers = wanted.setdefault(column.target, set())
            for row in rows:
                value = column.of(row)
                numbers.update(value if isinstance(value, tuple) else [value] if value else [])
    return {
        target: dict(records.titles(c.crm, RECORDS[target], sorted(numbers), by=c.by))
        for target, numbers in wanted.items()
        if numbers
    }


@attrs.frozen(kw_only=True)
class Value:
    """One value of a filter, as the page offers it."""

    code: str
    label: str
    count: int | None
    chosen: bool


@attrs.frozen(kw_only=True)
class FilterRow:
    """One filter, as the page offers it."""

    filter: Filter
    values: tuple[Value, ...] = ()
    low: str = ""
    high: str = ""
    active: bool = False


def filter_rows(c: Context, resource: Resource, here: Address, tally: Any) -> list[FilterRow]:
    """Give the filters with their values and counts."""
    found = []
    for one in resource.filters:
        if one.ranged:
            low, high = here.get(f"{one.name}.from"), here.get(f"{one.name}.to")
            found.append(FilterRow(filter=one, low=low, high=high, active=bool(low or high)))
            continue
        counts = _counts(tally, one.name)
        chosen = here.all(one.name)
        labels = _labels(c, one, counts, chosen)
        values = tuple(
            Value(code=code, label=label, chosen=code in chosen,
                  count=None if counts is None else counts.get(code, 0))
            for code, label in labels
        )  # fmt: skip
        if values:
            found.append(FilterRow(filter=one, values=values, active=bool(chosen)))
    return found


def _counts(tally: Any, name: str) -> dict[str, int] | None:
    by_value = None if tally is None else tally.by.get(name)
    return None if by_value is None else {_code(v): n for v, n in by_value.items()}


def _code(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "-" if value is None else str(getattr(value, "value", value))


def _labels(
    c: Context, one: Filter, counts: Mapping[str, int] | None, chosen: Sequence[str]
) -> list[tuple[str, str]]:
    """Give the values of a filter by code and label, those that are chosen or that count first."""
    if one.kind == "exact":
        return [(v, v) for v in chosen]
    if one.kind == "text":
        words, there = dict(one.choices), counts or {}
        known = sorted({*there, *chosen} - {"-"}, key=lambda v: (-there.get(v, 0), v))
        labels = [(v, c.t(*words.get(v, (v, v)))) for v in known]
    elif one.choices:
        place = 0 if c.language == "zh" else 1
        labels = [(code, words[place]) for code, words in one.choices]
    elif one.target and one.target != "Customer":
        cls = RECORDS[one.target]
        numbered = numbers(sorted({*(counts or {}), *chosen}))
        if counts is None and one.kind == "references":
            labels = [(str(n), t) for n, t in records.suggest(c.crm, cls, "", 50, by=c.by).items()]
        else:
            named = records.titles(c.crm, cls, numbered, by=c.by)
            labels = [(str(n), t) for n, t in named.items()]
            labels.sort(key=lambda pair: (-(counts or {}).get(pair[0], 0), pair[1]))
    else:
        return []
    if (counts or {}).get("-") or "-" in chosen:
        labels.append(("-", c.t("（空）", "(empty)")))
    return labels


# -- the same for programs --------------------------------------------------------------------


def show_json(resource: Resource, c: Context) -> Answer:
    """Answer with one page of a list as JSON; the address asks as it does for the page."""
    here = Address.read(resource.path, c.request.url.query)
    page = resource.rows(c.crm, here.query(resource, c.crm.settings.zone), c.by)
    return Json(data={
        "items": [as_data(resource, row) for row in page.items],
        "next": str(here.at(f"{resource.path}.json").with_(**{AFTER: page.next}))
        if page.next else None,
    })  # fmt: skip


def as_data(resource: Resource, row: Any) -> dict[str, Any]:
    """Give a row as plain data: what its list shows, and its number."""
    number = {resource.key: getattr(row, resource.key)}
    return number | {column.name: column.of(row) for column in resource.columns}


def export(resource: Resource, form: Literal["csv", "xlsx"], c: Context) -> Answer:
    """Write exactly what is filtered into a file, all pages of it."""
    here = Address.read(resource.path, c.request.url.query)
    query = here.query(resource, c.crm.settings.zone)
    content = exports.export_rows(
        c.crm, resource.record.__name__, resource.label(c.language),
        [column.label(c.language) for column in resource.columns],
        _cells(resource, c, query), query, form=form, by=c.by,
        text=[x.label(c.language) for x in resource.columns if x.kind in ("phone", "copy")],
    )  # fmt: skip
    name = f"{resource.label(c.language)}-{c.crm.today()}.{form}"
    return Download(content=content, name=name, type=TYPES[form])


def walk(resource: Resource, c: Context, query: Query) -> Iterator[Any]:
    """Read all rows that match, page by page."""
    query = attrs.evolve(query, limit=WALK, after=None)
    while True:
        page = resource.rows(c.crm, query, c.by)
        yield from page.items
        if page.next is None:
            return
        query = attrs.evolve(query, after=page.next)


def _cells(resource: Resource, c: Context, query: Query) -> Iterator[list[Any]]:
    look, titles = Look(c), dict[str, dict[int, str]]()
    part: list[Any] = []
    for row in walk(resource, c, query):
        part.append(row)
        if len(part) == WALK:
            titles = titles_of(c, resource.columns, part)
            yield from ([cell(look, x, r, titles) for x in resource.columns] for r in part)
            part = []
    titles = titles_of(c, resource.columns, part)
    yield from ([cell(look, x, r, titles) for x in resource.columns] for r in part)


def cell(look: Any, column: Column, row: Any, titles: Mapping[str, Mapping[int, str]]) -> Any:
    """Write one value as text or a plain value, as a sheet or a bare table has it."""
    if column.say is not None:
        return column.say(row, look)
    value = column.of(row)
    if value is None:
        return None
    if column.target:
        known = titles.get(column.target, {})
        many = value if isinstance(value, tuple) else (value,)
        return "、".join(known.get(n, str(n)) for n in many)
    match column.kind:
        case "moment":
            return look.moment(value)
        case "day" | "due":
            return look.day(value)
        case "flag":
            return look.context.t("是", "yes") if value else look.context.t("否", "no")
        case "choice" | "state" | "badge":
            return look.choice(value)
        case "money":
            return str(value)
    return value if isinstance(value, int | float | str) else str(value)


# -- one record -------------------------------------------------------------------------------


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
        "watch": form.watch if id is None else "", "may": partial(may, c),
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


# -- actions ----------------------------------------------------------------------------------


def act(resource: Resource, action: Action, c: Context) -> Answer:
    """Show the small form of an action, or do it to the rows that were meant."""
    given = c.form if c.request.method == "POST" else c.request.query_params
    state = str(given.get("state", ""))
    back = local(given.get("back"), str(Address.read(resource.path, state)))
    everything = given.get("all") == "1"
    ids = wanted(resource, c, state, [str(v) for v in given.getlist("ids")], everything)
    errors: Mapping[str, Sequence[str]] = {}
    typed: dict[str, str] | None = None
    status = 200
    if c.request.method == "POST" and ids:
        typed = {spec.name: c.one(spec.name) for spec in action.fields}
        try:
            done = action.run(c, ids, typed)
        except Invalid as e:
            status, errors = 422, said_of(e.problems, c.language)
        else:
            if not done.refused:
                return Redirect(to=done.to or back, said=done.said)
            return Page(template="outcome.html", data={"r": resource, "action": action,
                                                       "done": done, "back": back})  # fmt: skip
    return Page(template="action.html", status=status, data={
        "r": resource, "action": action, "ids": ids, "all": everything, "state": state,
        "back": back, "inputs": inputs(c, action.fields, None, typed, errors),
        "errors": [m for name, told in errors.items() for m in told
                   if name not in {s.name for s in action.fields}],
        "most": BULK,
    })  # fmt: skip


def wanted(
    resource: Resource, c: Context, state: str, ticked: Sequence[str], everything: bool
) -> list[int]:
    """Find the numbers of the rows that an action is meant for."""
    if not everything:
        return numbers(ticked)[:BULK]
    query = Address.read(resource.path, state).query(resource, c.crm.settings.zone)
    found = []
    for row in walk(resource, c, query):
        found.append(getattr(row, resource.key))
        if len(found) == BULK:
            break
    return found


def one_by_one(c: Context, ids: Iterable[int], do: Any, said: tuple[str, str]) -> Outcome:
    """Do something to each row by itself and gather what was refused.

    Args:
        c: The request.
        ids: The rows.
        do: Called with each number; a refusal of the domain is noted, nothing else.
        said: What was done, in both languages, with ``{n}`` for how many.
    """
    done, refused = 0, []
    for number in ids:
        try:
            do(number)
            done += 1
        except CrmError as e:
            refused.append((str(number), e.message(c.language)))
    return Outcome(said=c.t(*said).format(n=done), refused=tuple(refused))


# -- how a person likes it --------------------------------------------------------------------


def choose_columns(resource: Resource, c: Context) -> Answer:
    """Show or keep which columns somebody wants to see, and how dense."""
    back = local(c.request.query_params.get("back"), resource.path)
    if c.request.method == "POST":
        known = {column.name for column in resource.columns}
        chosen = [] if c.one("reset") else [n for n in c.many("columns") if n in known]
        values = {"columns": chosen, "density": c.one("density") or Density.COMFORTABLE}
        views.set_preference(c.crm, resource.name, values, by=c.by)
        return Redirect(to=back)
    kept = views.read_preference(c.crm, resource.name, by=c.by)
    shown = shown_columns(resource, kept.columns)
    rest = [column for column in resource.columns if column not in shown]
    return Page(template="columns.html", data={
        "r": resource, "shown": shown, "rest": rest, "back": back, "density": kept.density,
        "densities": list(Density),
    })  # fmt: skip
