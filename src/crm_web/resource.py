"""The declaration of a list: one record's columns, filters, form and actions.

One `Resource` serves the page, the JSON and the export. What is not said is taken from the record,
so a plain table needs ten lines; `plain` makes one of a plain record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import attrs

from crm_domain.errors import Language
from crm_domain.model import Spec, about, specs
from crm_domain.ports import Crm, Page, Query
from crm_domain.rules.access import Principal
from crm_domain.usecases import records

if TYPE_CHECKING:
    from crm_web.answers import Answer
    from crm_web.context import Context
    from crm_web.look import Look

Labels = tuple[str, str]
"""Chinese and English."""
RECEIVERS = "receivers"
"""Of employees those who may be given customers."""


@attrs.frozen(kw_only=True)
class Pick(Spec):
    """A reference of a form that offers some records only."""

    among: str = RECEIVERS


EDITED = (
    "text",
    "choice",
    "state",
    "flag",
    "reference",
    "day",
    "moment",
    "clock",
    "number",
    "money",
)
"""Kinds of fields that are one input, so that a cell of a list can hold it."""
ROW_BY_ROW = 1000
"""So many rows an action takes at a time that does each by itself, in a transaction of its own."""
BY_SET = 10_000
"""So many rows an action takes at a time that does many in one transaction."""
VALUES = ("choice", "state", "flag", "reference", "references")
RANGES = ("moment", "day", "number", "money")
PAGE = 50


@attrs.frozen(kw_only=True)
class Column:
    """One column of a list."""

    name: str
    words: Labels
    kind: str
    """How its cells look: a kind of field, or ``agreed``, ``due``, ``ago``, ``phone``, ``copy``,
    ``badge``, ``changes``."""
    target: str = ""
    """The record that a reference points to."""
    sort: bool = False
    shown: bool = True
    """Whether it is there until a person chooses columns."""
    link: bool = False
    """Whether its cells lead to the record's page."""
    say: Callable[[Any, Look], str] | None = None
    """Writes a row's value, where its kind does not say how."""
    value: Callable[[Any], Any] | None = None
    """What its cells hold, where that is no field of the row; it is neither sorted nor filtered."""

    def of(self, row: Any) -> Any:
        """Give what stands in the cell of a row."""
        return getattr(row, self.name) if self.value is None else self.value(row)

    def label(self, language: Language) -> str:
        """Say the heading."""
        return self.words[0] if language == "zh" else self.words[1]


@attrs.frozen(kw_only=True)
class Filter:
    """One thing that a list can be narrowed by: a row of values, or a range."""

    name: str
    words: Labels
    kind: str
    choices: tuple[tuple[str, Labels], ...] = ()
    """The values of a closed list, with what people call them; of ``text`` the words of those that
    may occur, of which only those that do are offered."""
    target: str = ""

    @property
    def ranged(self) -> bool:
        """Whether it has two ends instead of values."""
        return self.kind in RANGES

    def label(self, language: Language) -> str:
        """Say what it is."""
        return self.words[0] if language == "zh" else self.words[1]


@attrs.frozen(kw_only=True)
class Outcome:
    """What an action did."""

    said: str
    refused: tuple[tuple[str, str], ...] = ()
    """What was refused: the row's number, and why."""
    done: tuple[int, ...] = ()
    """The rows that it was done to, as far as it may be taken back."""
    to: str = ""
    """Where to go on; "" is back to the list."""


@attrs.frozen(kw_only=True)
class Action:
    """Something that is done to rows: to one, to those ticked, or to all that match."""

    name: str
    words: Labels
    icon: str
    needs: str
    """The permission."""
    run: Callable[[Context, Sequence[int], Mapping[str, str]], Outcome]
    """Called with the numbers of the rows and what was typed into the form."""
    fields: tuple[Spec, ...] = ()
    """What the form asks for."""
    row: bool = True
    """Whether it stands beside each row."""
    bulk: bool = True
    """Whether it stands above the list."""
    danger: bool = False
    """Whether it hurts, so that people are asked."""
    fits: Callable[[Any, Context], bool] = lambda row, c: True
    """Whether it makes sense for a row."""
    refused: Callable[[Context, Sequence[int]], Mapping[int, tuple[str, str]]] | None = None
    """Asked once for the rows of a page: which of them it would be refused for, and in a word and
    a sentence why; that stands in its place."""
    instead: Labels = ("", "")
    """What stands in its place where it does not."""
    direct: bool = False
    """Whether one press does it, without a form."""
    hint: Labels = ("", "")
    """What people should know before they do it."""
    most: int = ROW_BY_ROW
    """So many rows it takes at a time; of more people are asked whether to go on. What is done by
    set may take `BY_SET`."""
    undo: Action | None = None
    """What takes it back, where that is safe: it is offered for the rows that it was done to, and
    nowhere else. Its name is that of the action with ``/undo``."""

    def __attrs_post_init__(self) -> None:
        """Refuse an undo that no address leads to."""
        if self.undo is not None and self.undo.name != f"{self.name}/undo":
            raise ValueError(f"what takes back {self.name} is called {self.name}/undo")

    def label(self, language: Language) -> str:
        """Say what it does."""
        return self.words[0] if language == "zh" else self.words[1]


@attrs.frozen(kw_only=True)
class Tab:
    """A filter that stands above the list."""

    name: str
    words: Labels
    query: Callable[[Context], Query] | None = None
    """What it asks; None is the whole list."""

    def label(self, language: Language) -> str:
        """Say its name."""
        return self.words[0] if language == "zh" else self.words[1]


@attrs.frozen(kw_only=True)
class Saved:
    """A record that was saved, where there is more to say of it than that."""

    said: str
    to: str = ""
    """Where to go on; "" is back to the list."""


@attrs.frozen(kw_only=True)
class Form:
    """How records of a list are made and changed."""

    fields: tuple[str, ...]
    save: Callable[[Context, int | None, Mapping[str, Any], int | None], int | Saved]
    """Called with the number, None for a new one, what was typed, and the version that it was typed
    over, None for a new one; gives the number, or of a new one what to say. Of one that is there it
    may be a single field: the others stay as they are."""
    add: str | None
    """The permission to make one; None where none are made."""
    edit: str | None
    """The permission to change one; None where none are changed."""
    groups: tuple[tuple[Labels, tuple[str, ...]], ...] = ()
    """Fields that stand together; without any all stand together."""
    watch: str = ""
    """An address that is asked while somebody types a new one, as for duplicates."""
    fits: Callable[[Any, Context], bool] = lambda row, c: True
    """Whether it opens for a row, of those who may change any."""
    once: bool = False
    """Whether `save` takes in the same new one only once, known by the token in the field `ONCE` of
    `crm_web.context`."""
    inline: bool = True
    """Whether single fields can be changed in the list."""
    also: Callable[[Context], tuple[Spec, ...]] = lambda c: ()
    """What is asked beyond the record when a new one is made; `save` reads it from the form."""


@attrs.frozen(kw_only=True)
class Resource:
    """A list with all that belongs to it."""

    name: str
    """Names it in addresses, preferences and views: ``customers``; may have a slash within."""
    record: type[Any]
    words: Labels
    """What the list is called."""
    icon: str
    needs: str
    """The permission to read it."""
    rows: Callable[[Crm, Query, Principal], Page[Any]]
    tally: Callable[[Crm, Query, Sequence[str], Principal], Any] | None = None
    """Counts what `rows` would give, and by which values."""
    get: Callable[[Crm, int, Principal], Any] | None = None
    columns: tuple[Column, ...] = ()
    filters: tuple[Filter, ...] = ()
    search: Labels | None = None
    """What can be searched for; None where nothing can."""
    form: Form | None = None
    remove: Callable[[Crm, int, Principal], None] | None = None
    removes: str = ""
    """The permission to remove one."""
    actions: tuple[Action, ...] = ()
    tabs: tuple[Tab, ...] = ()
    uncounted: tuple[str, ...] = ()
    """Filters whose values `tally` does not count."""
    tab_facet: str = ""
    """The field under which `tally` counts the tabs by name; "" where it does not."""
    key: str = "id"
    """The field that holds a row's number."""
    called: tuple[str, ...] = ()
    """The columns that name a row to people, where records of its kind have no titles."""
    steady: bool = True
    """Whether no action changes the order that the list has by itself, so that whoever goes on with
    the rest begins where the last one ended."""
    page: Callable[[Context], Answer] | None = None
    """What stands at its address in place of the list."""
    own_page: str = ""
    """The address of a row's page, with ``{id}``; "" is the form."""
    adds: str = ""
    """The permission for a page of its own that makes one, at ``new``; "" is the form's."""
    opens: Callable[[Any, Context], bool] = lambda row, c: True
    """Whether somebody may open a row's page."""
    links: tuple[tuple[str, Labels, str, str], ...] = ()
    """Pages that belong to it: address, words, icon, permission."""
    elsewhere: tuple[tuple[str, Labels, str, str], ...] = ()
    """Lists in which a search is tried next when it finds nothing here: as for ``links``."""
    narrowed: Callable[[Resource, Context], Resource] = lambda resource, c: resource
    """Gives the list as somebody has it, with less than is declared: only that is offered. What is
    asked for all the same is refused by `rows`."""
    size: int = PAGE
    export: str | None = None
    """The permission to export; None where nobody can."""

    @property
    def path(self) -> str:
        """Its address."""
        return f"/{self.name}"

    def for_reader(self, c: Context) -> Resource:
        """Give the list as whoever reads it has it."""
        return self.narrowed(self, c)

    def label(self, language: Language) -> str:
        """Say what the list is called."""
        return self.words[0] if language == "zh" else self.words[1]

    @property
    def adding(self) -> str | None:
        """The permission to make one; None where none are made."""
        return self.adds or (self.form.add if self.form else None)

    def one(self, language: Language) -> str:
        """Say what one of its records is called."""
        found = about(self.record)
        return found.zh if language == "zh" else found.en

    @property
    def inline(self) -> tuple[str, ...]:
        """The fields that can be changed one by one: of the form, plain, and one input each."""
        form, fields = self.form, specs(self.record)
        if form is None or form.edit is None or self.get is None or not form.inline:
            return ()
        return tuple(
            n for n in form.fields
            if n in fields and fields[n].kind in EDITED and not fields[n].guarded
        )  # fmt: skip

    def page_of(self, key: int | str) -> str:
        """Give the address of a row's page; "" where it has none."""
        if self.own_page:
            return self.own_page.format(id=quote(str(key), safe=""))
        return f"{self.path}/{key}/edit" if self.form and self.form.edit else ""


@attrs.frozen(kw_only=True)
class Extension:
    """What a plugin adds to a list that is there."""

    resource: str
    """The name of the list."""
    columns: tuple[Column, ...] = ()
    filters: tuple[Filter, ...] = ()
    actions: tuple[Action, ...] = ()
    tabs: tuple[Tab, ...] = ()


def extended(resource: Resource, extensions: Iterable[Extension]) -> Resource:
    """Give a list with what plugins add to it.

    Raises:
        ValueError: A column, filter, action or tab has the name of one that is there.
    """
    for one in extensions:
        if one.resource != resource.name:
            continue
        for part in ("columns", "filters", "actions", "tabs"):
            both = (*getattr(resource, part), *getattr(one, part))
            if len({item.name for item in both}) < len(both):
                raise ValueError(f"{resource.name}: two of its {part} have one name")
            changes: dict[str, Any] = {part: both}
            resource = attrs.evolve(resource, **changes)
    return resource


def column(record: type[Any], name: str, **more: Any) -> Column:
    """Describe a column by the record's field; ``more`` replaces what differs."""
    spec = specs(record)[name]
    sortable = spec.kind not in ("references", "json")
    known: dict[str, Any] = {
        "name": name, "words": (spec.zh, spec.en), "kind": spec.kind, "target": spec.target,
        "sort": sortable,
    }  # fmt: skip
    return Column(**known | more)


def narrowing(record: type[Any], name: str, **more: Any) -> Filter:
    """Describe a filter by the record's field; ``more`` replaces what differs."""
    spec = specs(record)[name]
    known: dict[str, Any] = {
        "name": name, "words": (spec.zh, spec.en), "kind": spec.kind, "target": spec.target,
        "choices": _choices(spec),
    }  # fmt: skip
    return Filter(**known | more)


def _choices(spec: Spec) -> tuple[tuple[str, Labels], ...]:
    if spec.kind == "flag":
        return (("true", ("是", "yes")), ("false", ("否", "no")))
    if spec.kind == "choice":
        return tuple((m.value, (m.zh, m.en)) for m in spec.type)
    if spec.kind == "state":
        return tuple((str(m.value), (m.label("zh"), m.label("en"))) for m in spec.type)
    return ()


_UNSEEN = ("key", "version", "json")


def plain(
    cls: type[Any], name: str, words: Labels, icon: str, *, hide: Sequence[str] = (), **more: Any
) -> Resource:
    """Make the list of a record without rules: all its fields, filters by its choices, a form.

    Args:
        cls: A record of which `about` says that it is plain; or that it is listed, then its form
            has what the generic use cases may change, if anything.
        name: Its address.
        words: What the list is called.
        icon: The name of an icon of Tabler.
        hide: Columns that are there only when somebody chooses them.
        more: What differs, as for `Resource`.
    """
    described, fields = about(cls), specs(cls)
    table, edit = described.table, f"{described.table}:edit"
    seen = [n for n, s in fields.items() if s.kind not in _UNSEEN and not s.secret]
    typed = (
        tuple(n for n in seen if not fields[n].guarded) if described.plain else (described.changes)
    )
    shown = [n for n in seen if n not in hide] or seen
    # What leads to a record must be seen, and be there in every row.
    first = next(
        (n for n in shown if fields[n].kind == "text" and not fields[n].optional), shown[0]
    )
    known: dict[str, Any] = {
        "name": name, "record": cls, "words": words, "icon": icon, "needs": f"{table}:view",
        "rows": lambda crm, query, by: records.list_records(crm, cls, query, by=by),
        "tally": lambda crm, query, names, by: records.tally_records(crm, cls, query, names, by=by),
        "get": lambda crm, id, by: records.get_record(crm, cls, id, by=by),
        "columns": tuple(
            column(cls, n, shown=n not in hide, link=n == first) for n in seen
        ),
        "filters": tuple(narrowing(cls, n) for n in seen if fields[n].kind in VALUES + RANGES),
        "search": ("关键字", "Search") if any(fields[n].kind == "text" for n in seen) else None,
        "export": f"{table}:view", "opens": lambda row, c: c.by.may(edit),
    }  # fmt: skip
    if typed:
        known["form"] = Form(
            fields=typed,
            add=edit if described.plain else None,
            edit=edit,
            save=lambda c, id, values, version: records.write_record(
                c.crm, cls, id, {**values, **({} if id is None else {"version": version})}, by=c.by
            ),
        )
    if described.plain:
        known["remove"] = lambda crm, id, by: records.remove_record(crm, cls, id, by=by)
        known["removes"] = edit
    return Resource(**known | more)
