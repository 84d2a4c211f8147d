"""What all requests share: the templates, the lists, the screens, and how values look to people."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import jinja2
from markupsafe import Markup, escape

from crm_domain.errors import Language, NotFound
from crm_domain.model import Spec, about, specs
from crm_domain.model.fields import RECORDS
from crm_domain.ports import Crm, Tally
from crm_domain.rules.menus import EntryMenu, Trail
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
LOGGED: Mapping[str, tuple[str, str]] = {
    "reason": ("原因", "Reason"), "file": ("文件", "File"), "entries": ("方案", "Plan"),
    "rules": ("规则", "Rules"), "holidays": ("日历", "Calendar"), "rows": ("行数", "Rows"),
    "count": ("数量", "Count"), "name": ("名称", "Name"), "session": ("登录", "Session"),
    "ended": ("结束", "Ended"), "search": ("搜索", "Search"), "sort": ("排序", "Order"),
    "status": ("状态", "Status"), "channel": ("渠道", "Channel"), "event": ("事件", "Event"),
}  # fmt: skip
"""What the audit log keeps beside the fields of records; what is not here is shown by its name."""


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
            "icons": self.icons,
        }  # fmt: skip
        # Asked for by whole pages only.
        place = self._place(context)
        shared |= {
            "menus": lambda: place()[0], "trail": lambda: place()[1],
            "unread": self._unread(context),
        }  # fmt: skip
        return self.templates.get_template(template).render({**shared, **data})

    def _place(self, context: Context) -> Callable[[], tuple[list[EntryMenu], Trail | None]]:
        """Give what reads the menu and where the page belongs in it: at most once, together."""

        @cache
        def read() -> tuple[list[EntryMenu], Trail | None]:
            if context.session is None:
                return [], None
            navigation, menus = self._navigation(context.session)
            return menus, self._trail(navigation, menus, context)

        return read

    def _unread(self, context: Context) -> Callable[[], int]:
        staff = context.session is not None and context.by.employee_id is not None
        return lambda: inbox.count_unread(self.crm, by=context.by) if staff else 0

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

    def _trail(
        self, navigation: Navigation, menus: Iterable[EntryMenu], context: Context
    ) -> Trail | None:
        """Find where a page belongs: under the entry of its address, or its permission's.

        A list may be open to whoever holds another permission than its entry asks for, so the
        address counts first; what has no entry highlights that of its parent.
        """
        path, needs = context.request.url.path, context.screen.needs if context.screen else ""
        entries = [e for menu in menus for group in menu.groups for e in group.entries]
        under = [e for e in entries if path == e.url or path.startswith(f"{e.url}/")]
        entry = max(under, key=lambda e: len(e.url), default=None)
        try:
            trail = navigation.trail(needs)
        except NotFound:
            trail = None
        if entry is not None and (trail is None or trail.highlighted != entry.code):
            trail = navigation.trail(entry.code)
        if trail is None:
            return None
        paths = {e.url for e in entries}
        return attrs.evolve(trail, crumbs=tuple(
            attrs.evolve(c, url=c.url if c.url in paths else None) for c in trail.crumbs
        ))  # fmt: skip


def make_templates(files: Files, folders: Sequence[Path] = ()) -> jinja2.Environment:
    """Make what fills in templates: everything escaped, nothing undefined.

    Args:
        files: Where assets are.
        folders: Where plugins have templates of their own.

    Raises:
        ValueError: Two templates have one name, or a folder has none.
    """
    seen: set[str] = set()
    for folder in (TEMPLATES, *folders):
        names = set(jinja2.FileSystemLoader(folder).list_templates())
        if not names or names & seen:
            both = ", ".join(sorted(names & seen))
            raise ValueError(f"{folder}: " + (f"{both} is there already" if both else "is empty"))
        seen |= names
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

    def record(self, name: str) -> str:
        """Say what a kind of record is called; one that is not known by its name."""
        known = RECORDS.get(name)
        if known is None:
            return name
        return about(known).zh if self.language == "zh" else about(known).en

    def changes(self, row: Any) -> list[tuple[str, str, str]]:
        """Tell what an entry of the audit log changed: field, before and after, as people say it.

        Args:
            row: With ``record``, ``changes`` (before and after, by field) and ``titles`` of what
                references point to.
        """
        known = RECORDS.get(row.record)
        fields = specs(known) if known is not None else {}
        said = []
        for n, both in row.changes.items():
            words = LOGGED.get(n, (n, n))
            label = fields[n].label(self.language) if n in fields else self.context.t(*words)
            before, after = self._both(fields.get(n), both[0], both[1], row.titles)
            if n not in ("id", "version") and before != after:
                said.append((label, before, after))
        return said

    def _both(
        self, spec: Spec | None, before: Any, after: Any, titles: Mapping[str, Mapping[int, str]]
    ) -> tuple[str, str]:
        """Say a value before and after; of two lists what came and what went."""
        if not (isinstance(before, list) and isinstance(after, list) and before and after):
            return self._logged(spec, before, titles), self._logged(spec, after, titles)
        parts = (
            ("+ ", [v for v in after if v not in before]),
            ("− ", [v for v in before if v not in after]),
        )
        return "", "  ".join(sign + self._logged(spec, vs, titles) for sign, vs in parts if vs)

    def _logged(
        self, spec: Spec | None, value: Any, titles: Mapping[str, Mapping[int, str]]
    ) -> str:
        if spec is not None and spec.target and value not in (None, []):
            known = titles.get(spec.target, {})
            many = value if isinstance(value, list) else [value]
            return self.context.t("、", ", ").join(known.get(v, f"#{v}") for v in many)
        return self.stored(spec, value)

    def stored(self, spec: Spec | None, value: Any) -> str:
        """Write a value as the audit log keeps it: codes as their words, lists with commas."""
        if value is None or value in ("", [], {}):
            return ""
        if isinstance(value, bool):
            return self.context.t("是", "yes") if value else self.context.t("否", "no")
        if isinstance(value, list):
            return self.context.t("、", ", ").join(self.stored(spec, v) for v in value)
        if isinstance(value, dict):
            return json.dumps(value, ensure_ascii=False, default=str)
        if spec is not None and spec.kind in ("choice", "state"):
            return next((self.choice(m) for m in spec.type if m.value == value), str(value))
        if spec is not None and spec.kind == "moment":
            with suppress(ValueError):
                return self.moment(datetime.fromisoformat(str(value)))
        return str(value)

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
        return Markup(writer(self, column, titles)(row))  # noqa: S704 - writers escape

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
