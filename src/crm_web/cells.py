"""The cells and rows of lists, written by Python.

A page has some hundred cells. A template that calls a macro for each takes ten times as long for
them as the database takes to find them (bench/RESULTS.md), so what is the same in all rows is
written once for each page, and each cell is one function call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, cached_property
from operator import attrgetter
from typing import Any
from urllib.parse import quote, quote_plus

from markupsafe import Markup, escape

from crm_domain.ports import Tally
from crm_web.address import Address
from crm_web.changes import said_changes
from crm_web.context import Context
from crm_web.look import Look
from crm_web.resource import Action, Column, Resource

Titles = Mapping[str, Mapping[int, str]]
Write = Callable[[Any], str]
"""Writes a value, which is there, as HTML; or a row's cell, whatever is in it."""
DASH = '<span class="text-secondary nothing" aria-hidden="true">–</span>'
AMOUNTS = ("number", "money")
"""Kinds of columns that are read from the right."""
LONG = 60
"""A text of more letters takes some lines of a phone."""


class Drawn(Look):
    """How values look on a page: what `Look` says, as HTML where it is more than text."""

    def icon(self, name: str, extra: str = "") -> Markup:
        """Draw an icon."""
        source = self.context.site.files.address("icons.svg")
        return Markup(  # noqa: S704 - names are ours
            f'<svg class="icon {extra}" aria-hidden="true" width="24" height="24">'
            f'<use href="{source}#{name}"></use></svg>'
        )

    def phone(self, value: str) -> Markup:
        """Show a number that a tap dials; a masked one is only shown."""
        text = escape(value)
        if "*" in value:
            return Markup(f'<span class="text-secondary text-nowrap">{text}</span>')  # noqa: S704
        return Markup(  # noqa: S704 - it is escaped
            f'<a href="tel:{text}" class="text-nowrap" hx-boost="false">{text}</a>'
        )

    def copied(self, value: str) -> Markup:
        """Show what can be copied by a tap."""
        text = escape(value)
        if "*" in value:
            return Markup(f'<span class="text-secondary">{text}</span>')  # noqa: S704
        return Markup(  # noqa: S704 - it is escaped
            f'<span class="copied" title="{text}"><span>{text}</span>'
            f'<button class="btn btn-icon btn-ghost-secondary'
            f' btn-sm ms-1" type="button" data-copy="{text}"'
            f' aria-label="{self._copy}{text}">{self._copy_icon}</button></span>'
        )

    @cached_property
    def _copy(self) -> str:
        return self.context.t("复制 ", "Copy ")

    @cached_property
    def _copy_icon(self) -> str:
        return str(self.icon("copy"))

    def cell(self, column: Column, row: Any, titles: Titles) -> Markup:
        """Show one value of a record."""
        return Markup(writer(self, column, titles)(row))  # noqa: S704 - writers escape

    def values(self, row: Any, here: Address, tally: Tally | None) -> Markup:
        """Show the values of a filter as links."""
        return Markup(value_links(self, row, here, tally))  # noqa: S704 - written escaped


def writer(look: Drawn, column: Column, titles: Titles) -> Write:
    """Give what writes the cells of a column, each from its row.

    Args:
        look: How values look to whoever reads the page.
        column: The column.
        titles: What records are called that are referred to.
    """
    if column.kind == "changes":
        return _changes(look)
    if column.say is not None:
        say, text = column.say, (_badge if column.kind == "badge" else _text)(look)
        return lambda row: text(told) if (told := say(row, look)) else DASH
    write = (
        _of_target(look, column, titles) if column.target else _KINDS.get(column.kind, _text)(look)
    )
    of = attrgetter(column.name) if column.value is None else column.value

    def cell(row: Any) -> str:
        value = of(row)
        return DASH if value is None or value == "" or value == () else write(value)

    return cell


def _of_target(look: Drawn, column: Column, titles: Titles) -> Write:
    named = titles.get(column.target, {})

    def call(number: Any) -> str:
        return named.get(number, f"#{number}")

    def link(number: Any) -> str:
        if number not in named:
            return f"#{number}"
        return f'<a href="/customers/{number}">{_shortened(named[number])}</a>'

    def several(value: Any) -> str:
        many = value if isinstance(value, list | tuple) else (value,)
        return _shortened(look.listed(map(call, many)))

    return link if column.target == "Customer" else several


def _shortened(text: str) -> str:
    """Write text that ends in dots where the column is too narrow for it."""
    shown = escape(text)
    long = " long-text" if len(text) > LONG else ""
    return f'<span class="cell-text{long}" title="{shown}">{shown}</span>'


def _changes(look: Drawn) -> Write:
    """Write what an entry of the audit log changed, folded where it is much."""
    t = look.context.t
    colon, empty = escape(t("：", ": ")), escape(t("（空）", "(empty)"))

    def item(name: str, before: str, after: str) -> str:
        was = f"<del>{escape(before)}</del> → " if before else ""
        now = f"<ins>{escape(after)}</ins>" if after else empty
        return f'<li><span class="text-secondary">{escape(name)}{colon}</span>{was}{now}</li>'

    def write(row: Any) -> str:
        found = said_changes(look, row)
        if not found:
            return DASH
        items = "".join(item(*one) for one in found)
        if len(found) <= 3:
            return f'<ul class="changes">{items}</ul>'
        names = escape(look.listed(name for name, _, _ in found[:3]))
        many = escape(t("%d 项", "%d fields") % len(found))
        return (
            f'<details class="changes"><summary>{many}{colon}{names}…</summary>'
            f"<ul>{items}</ul></details>"
        )

    return write


def _moment(look: Drawn) -> Write:
    def write(value: Any) -> str:
        told = look.moment(value)
        return (
            f'<time datetime="{value.isoformat()}" title="{told}" class="text-nowrap">{told}</time>'
        )

    return write


def _ago(look: Drawn) -> Write:
    return lambda value: (
        f'<time datetime="{value.isoformat()}" title="{look.moment(value)}" class="text-nowrap">'
        f"{look.ago(value)}</time>"
    )


def _agreed(look: Drawn) -> Write:
    """Write when somebody is to be contacted, in red where that has passed."""
    plain, late = _moment(look), look.context.t("已过约定时间", "overdue")
    return lambda value: (
        f'<span class="text-red" title="{late}">{plain(value)}</span>' if look.past(value)
        else plain(value)
    )  # fmt: skip


def _due(look: Drawn) -> Write:
    title = look.context.t("公海日期 ", "public from ")

    def write(value: Any) -> str:
        day = look.day(value)
        if not day:
            return DASH
        tone = "bg-red-lt" if look.soon(value) else "bg-green-lt"
        return f'<span class="badge {tone}" title="{title}{day}">{look.left(value)}</span>'

    return write


def _flag(look: Drawn) -> Write:
    t = look.context.t
    yes = f'{look.icon("check", "text-green")}<span class="visually-hidden">{t("是", "yes")}</span>'
    no = f'<span class="text-secondary">{t("否", "no")}</span>'
    return lambda value: yes if value else no


def _choice(look: Drawn) -> Write:
    # A page has few choices many times.
    return cache(lambda value: str(escape(look.choice(value))))


def _badge(look: Drawn) -> Write:
    return cache(
        lambda value: f'<span class="badge bg-blue-lt">{escape(look.choice(value))}</span>'
    )


def _text(look: Drawn) -> Write:
    return lambda value: _shortened(str(value))


_KINDS: Mapping[str, Callable[[Drawn], Write]] = {
    "moment": _moment, "agreed": _agreed, "ago": _ago, "due": _due, "flag": _flag,
    "choice": _choice, "state": _choice, "badge": _badge,
    "day": lambda look: lambda value: f'<span class="text-nowrap">{look.day(value)}</span>',
    "money": lambda look: lambda value: f'<span class="text-nowrap">{look.money(value)}</span>',
    "number": lambda look: lambda value: str(escape(value)),
    "clock": lambda look: lambda value: f"{value:%H:%M}",
    "phone": lambda look: look.phone, "copy": lambda look: look.copied,
}  # fmt: skip


def value_links(look: Drawn, row: Any, here: Address, tally: Tally | None) -> str:
    """Write the values of a filter as links, each of which adds or takes away its value.

    Args:
        look: How values look to whoever reads the page.
        row: The filter with its values.
        here: The list's address.
        tally: What was counted; None before.
    """
    name = row.filter.name
    # By its number the focus finds its value again when the list has been asked anew.
    prefix = f"value-{quote(name)}-"
    rough = tally is not None and name in tally.rough
    rest = here.without()
    more = escape(f"{rest}{'&' if rest.items else '?'}")
    found = []
    for v in row.values:
        # Most are not chosen: their links are this address with one more value.
        to = escape(here.toggled(name, v.code)) if v.chosen else (
            f"{more}{quote_plus(name)}={quote_plus(v.code)}")  # fmt: skip
        chosen = " chosen" if v.chosen else " none" if v.count == 0 else ""
        count = ""
        if v.count is not None:
            count = f"<small>{look.count(v.count)}{'+' if v.count and rough else ''}</small>"
        found.append(
            f'<a class="filter-value{chosen}" id="{prefix}{quote(v.code)}" href="{to}"'
            f' role="checkbox" aria-checked="{"true" if v.chosen else "false"}">'
            f"{escape(v.label)}{count}</a>"
        )
    return "\n".join(found)


def why(word: str, sentence: str) -> Markup:
    """Write why something cannot be done: in a word, with the sentence behind it."""
    return Markup(  # noqa: S704 - it is escaped
        f'<details class="why"><summary>{escape(word)}</summary>{escape(sentence)}</details>'
    )


class Rows:
    """Writes the rows of a list with what can be done to each."""

    def __init__(
        self, c: Context, look: Drawn, resource: Resource, here: Address,
        columns: Sequence[Column], titles: Titles, actions: Sequence[Action], *, ticks: bool,
    ) -> None:  # fmt: skip
        """Write what is the same in all rows.

        Args:
            c: The request.
            look: How values look to whoever reads the page.
            resource: The list.
            here: Its address.
            columns: The columns that are shown.
            titles: What records are called that rows refer to.
            actions: What may be done to single rows.
            ticks: Whether rows can be ticked.
        """
        form, t = resource.form, c.t
        self._c, self._resource, self._actions, self._look = c, resource, actions, look
        self._form = form if form is not None and c.may(form.edit) else None
        self._removes = resource.remove is not None and c.by.may(resource.removes)
        self.acts = bool(actions or self._form or self._removes)
        self._refused: dict[str, Mapping[int, tuple[str, str]]] = {}
        self._path, self._back = str(escape(resource.path)), f"?back={quote(str(here))}"
        self._state = quote(here.text)
        self._tick = str(escape(t("选择", "Choose"))) if ticks else None
        # A link is followed by a click, so that its cell is no input.
        inline = {*resource.inline} if self._form else set()
        self._columns = [
            (f'<td data-label="{escape(x.label(c.language))}"',
             "number" if x.kind in AMOUNTS else "", x.link, x.name
             if x.name in inline and x.value is None and x.say is None and not x.link else "",
             writer(look, x, titles))
            for x in columns
        ]  # fmt: skip
        self._open = str(escape(t("打开", "Open")))
        self._hint = str(escape(t("按回车或点击修改", "Press Enter or click to change it")))
        self._words = {a.name: str(escape(a.label(c.language))) for a in actions}
        self._instead = {
            a.name: f'<span class="text-secondary">{escape(t(*a.instead))}</span>'
            for a in actions if a.instead[0]
        }  # fmt: skip
        self._more = (
            '<span class="dropdown"><button class="btn btn-sm btn-icon btn-ghost-secondary"'
            ' type="button" data-bs-toggle="dropdown" aria-expanded="false"'
            f' aria-label="{t("更多", "More")}">{look.icon("dots")}</button>'
            '<span class="dropdown-menu dropdown-menu-end">'
        )

    def write(self, rows: Iterable[Any]) -> Markup:
        """Write some rows."""
        rows = list(rows)
        numbers = [getattr(row, self._resource.key) for row in rows]
        self._refused = {
            a.name: a.refused(self._c, numbers) for a in self._actions if a.refused is not None
        }
        return Markup("\n".join(map(self._row, rows)))  # noqa: S704 - what is typed is escaped

    def _row(self, row: Any) -> str:
        resource = self._resource
        key = getattr(row, resource.key)
        # Most lists have numbers; accounts go by their names.
        shown_key, path_key = escape(key), quote(str(key), safe="")
        opens = resource.opens(row, self._c)
        edits = opens and self._form is not None and self._form.fits(row, self._c)
        leads = opens if resource.own_page else edits
        found = ["<tr>"]
        if self._tick is not None:
            found.append(
                '<td class="row-tick"><input class="form-check-input m-0" type="checkbox"'
                f' name="ids" value="{shown_key}" data-tick'
                f' aria-label="{self._tick} {shown_key}"></td>'
            )
        for begin, style, link, name, cell in self._columns:
            shown = cell(row)
            if name and edits:
                style = f"editable {style}".rstrip()
                begin = (f'{begin} tabindex="-1" title="{self._hint}"'
                         f' data-edit="{self._path}/{path_key}/field/{name}"')  # fmt: skip
            if link and leads and (page := resource.page_of(key)):
                back = "" if resource.own_page else self._back
                shown = self._open if shown is DASH else shown
                shown = f'<a class="row-link" href="{escape(page)}{back}">{shown}</a>'
            found.append(
                f'{begin} class="{style}">{shown}</td>' if style else f"{begin}>{shown}</td>"
            )
        if self.acts:
            found.append(f'<td class="text-end text-nowrap row-actions">'
                         f"{self._done(row, path_key, edits=edits)}</td>")  # fmt: skip
        found.append("</tr>")
        return "".join(found)

    def _done(self, row: Any, key: str, *, edits: bool) -> str:
        """Write what can be done to a row: the first as a button, the rest behind a fold."""
        fitting, instead = [], ""
        number = getattr(row, self._resource.key)
        for action in self._actions:
            if (told := self._refused.get(action.name, {}).get(number)) is not None:
                instead += why(*told)
            elif action.fits(row, self._c):
                fitting.append(action)
            else:
                instead += self._instead.get(action.name, "")
        first = "".join(self._button(a, key) for a in fitting[:1])
        if not (fitting[1:] or edits or self._removes):
            return instead + first
        t, path = self._c.t, self._path
        folded = [self._item(a, key) for a in fitting[1:]]
        if edits:
            folded.insert(0, f'<a class="dropdown-item" href="{path}/{key}/edit{self._back}"'
                             f' hx-boost="true">{t("编辑", "Edit")}</a>')  # fmt: skip
        if self._removes:
            folded.append(
                '<button class="dropdown-item text-danger" type="button"'
                f' hx-get="{path}/{key}/remove{self._back}" hx-target="#dialog-body">'
                f"{t('删除', 'Remove')}</button>"
            )
        return f"{instead}{first}{self._more}{''.join(folded)}</span></span>"

    def _button(self, action: Action, key: str) -> str:
        to, words = f"{self._path}/actions/{action.name}", self._words[action.name]
        if action.direct:
            return (
                f'<button class="btn btn-sm btn-primary" type="submit" formaction="{to}"'
                f' hx-post="{to}" hx-params="ids,state" hx-vals=\'{{"ids": "{key}"}}\''
                f' hx-include="unset" hx-target="#dialog-body">{words}</button>'
            )
        return (
            f'<button class="btn btn-sm" type="button" hx-get="{to}?ids={key}&amp;'
            f'state={self._state}" hx-target="#dialog-body">{words}</button>'
        )

    def _item(self, action: Action, key: str) -> str:
        danger = " text-danger" if action.danger else ""
        return (
            f'<button class="dropdown-item{danger}" type="button" hx-get="{self._path}/actions/'
            f'{action.name}?ids={key}&amp;state={self._state}" hx-target="#dialog-body">'
            f"{self._words[action.name]}</button>"
        )
