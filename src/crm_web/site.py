"""What all requests share: the templates, the lists, the screens, and how values look to people."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import jinja2
from markupsafe import Markup, escape

from crm_domain.errors import Language
from crm_domain.model import specs
from crm_domain.model.fields import RECORDS
from crm_domain.ports import Crm, Tally
from crm_domain.rules.menus import EntryMenu
from crm_domain.usecases import access, inbox
from crm_domain.usecases.access import Navigation
from crm_domain.usecases.sessions import Session
from crm_web.address import Address
from crm_web.cells import Titles, value_links, writer
from crm_web.context import CSRF, LANGUAGES, Context
from crm_web.files import Files
from crm_web.resource import Column, Resource
from crm_web.screen import Screen

log = logging.getLogger(__name__)
TEMPLATES = Path(__file__).parent / "templates"
COOKIE = "crm"
REMEMBERED = 100
"""So many menus are remembered, one for each combination of rights."""


@attrs.frozen(kw_only=True)
class Site:
    """One web face over one CRM."""

    crm: Crm
    screens: Sequence[Screen]
    resources: Mapping[str, Resource]
    files: Files
    templates: jinja2.Environment
    https: bool = False
    _read: dict[tuple[str, frozenset[str]], tuple[Navigation, list[EntryMenu]]] = attrs.field(
        factory=dict, init=False
    )

    @property
    def cookie(self) -> str:
        """The name of the session's cookie; the prefix binds it to this very host."""
        return f"__Host-{COOKIE}" if self.https else COOKIE

    def render(self, context: Context, template: str, data: Mapping[str, Any]) -> str:
        """Fill in a template."""
        session = context.session
        shared: dict[str, Any] = {
            "c": context, "t": context.t, "lang": context.language, "look": Look(context),
            "csrf": session.csrf_token if session else "", "csrf_name": CSRF,
            "by": session.principal if session else None, "languages": LANGUAGES,
            "path": context.request.url.path, "icon": self.files.address("icons.svg"),
        }  # fmt: skip
        if session is not None and not context.fragment:
            shared["menus"] = self._navigation(session)[1]
            shared["icons"] = self.icons
            staff = context.by.employee_id is not None
            shared["unread"] = inbox.count_unread(self.crm, by=context.by) if staff else 0
        return self.templates.get_template(template).render({**shared, **data})

    @cached_property
    def icons(self) -> Mapping[str, str]:
        """The icons of pages, by address."""
        return {s.path: s.icon for s in self.screens if s.icon}

    def _navigation(self, session: Session) -> tuple[Navigation, list[EntryMenu]]:
        """Give the menu, whole and as it is shown; it is read again once anybody arranged it."""
        key = session.arranged, session.principal.permissions
        found = self._read.get(key)
        if found is None:
            if len(self._read) >= REMEMBERED:
                self._read.clear()
            read = access.navigation(self.crm, by=session.principal)
            found = self._read[key] = read, self._there(read.menus)
        return found

    def _there(self, menus: Iterable[EntryMenu]) -> list[EntryMenu]:
        """Leave out entries of pages that nobody has made, as of a plugin that is gone."""
        paths = {screen.path for screen in self.screens}
        found = []
        for menu in menus:
            groups = [
                attrs.evolve(group, entries=tuple(e for e in group.entries if e.url in paths))
                for group in menu.groups
            ]
            if kept := tuple(group for group in groups if group.entries):
                found.append(attrs.evolve(menu, groups=kept))
        return found


def make_templates(files: Files, folders: Sequence[Path] = ()) -> jinja2.Environment:
    """Make what fills in templates: everything escaped, nothing undefined.

    Args:
        files: Where assets are.
        folders: Where plugins have templates of their own.
    """
    loader = jinja2.FileSystemLoader([TEMPLATES, *folders])
    found = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    found.globals["asset"] = files.address
    return found


@attrs.frozen
class Look:
    """How values look to whoever reads the page."""

    context: Context

    @cached_property
    def language(self) -> Language:
        """The language of the page."""
        return self.context.language

    def label(self, record: str, name: str) -> str:
        """Say what a field is called."""
        return specs(RECORDS[record])[name].label(self.language)

    def choice(self, value: Any) -> str:
        """Say a choice or a state."""
        if value is None:
            return ""
        label = getattr(value, "label", None)
        return str(value) if label is None else str(label(self.language))

    def moment(self, value: datetime | None) -> str:
        """Write a moment in the business time zone."""
        # Quicker than a format, and a page has many.
        return "" if value is None else self._local(value).isoformat(" ", "minutes")[:16]

    def day(self, value: date | None) -> str:
        """Write a day; the ends of time are no days to people."""
        return "" if value in (None, date.min, date.max) else str(value)

    def money(self, value: Decimal | None) -> str:
        """Write an amount."""
        return "" if value is None else f"¥{value:,.2f}"

    def count(self, value: int | None) -> str:
        """Write a number."""
        return "" if value is None else f"{value:,}"

    def ago(self, value: datetime | None) -> str:
        """Say how long ago a moment was, or how far ahead it lies."""
        if value is None:
            return ""
        seconds = (self._now - value).total_seconds()
        words = self._span(abs(seconds))
        if seconds < 0:
            return self.context.t(f"{words}后", f"in {words}")
        return self.context.t(f"{words}前", f"{words} ago")

    def left(self, due_on: date | None) -> str:
        """Say how long it is until a local day begins; "" where there is none."""
        if due_on is None or due_on in (date.min, date.max):
            return ""
        until = datetime.combine(due_on, datetime.min.time(), self._zone)
        seconds = (until.astimezone(UTC) - self._now).total_seconds()
        return self._span(seconds) if seconds > 0 else self.context.t("已到期", "past")

    def soon(self, due_on: date | None) -> bool:
        """Whether a day is today, tomorrow or past."""
        return due_on is not None and due_on != date.max and self._days_until(due_on) <= 1

    def _days_until(self, day: date) -> int:
        return (day - self._today).days

    def _local(self, value: datetime) -> datetime:
        return value.astimezone(self._zone)

    # A page shows one moment, and asks for it once.
    @cached_property
    def _now(self) -> datetime:
        return self.context.crm.now()

    @cached_property
    def _today(self) -> date:
        return self.context.crm.day(self._now)

    @cached_property
    def _zone(self) -> ZoneInfo:
        return self.context.crm.settings.zone

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
            f'<span class="text-nowrap">{text}<button class="btn btn-icon btn-ghost-secondary'
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
        value = getattr(row, column.name)
        return Markup(writer(self, column, titles)(value))  # noqa: S704 - writers escape

    def values(self, row: Any, here: Address, tally: Tally | None) -> Markup:
        """Show the values of a filter as links."""
        return Markup(value_links(self, row, here, tally))  # noqa: S704 - written escaped

    def local_input(self, value: datetime | None) -> str:
        """Write a moment as an input of the browser has it."""
        return "" if value is None else f"{self._local(value):%Y-%m-%dT%H:%M}"

    def _span(self, seconds: float) -> str:
        minutes = int(seconds // 60)
        days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
        t = self.context.t
        if days:
            return t(f"{days} 天", f"{days} d") + (
                t(f" {hours} 小时", f" {hours} h") if hours else ""
            )
        if hours:
            return t(f"{hours} 小时", f"{hours} h")
        return t(f"{max(minutes, 1)} 分钟", f"{max(minutes, 1)} min")
