"""How values look to whoever reads a page, a file or a form: words and formats, no markup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import attrs

from crm_domain.errors import Language
from crm_domain.model import Assignment, Notice, about, specs
from crm_domain.model.fields import RECORDS
from crm_domain.rules.wording import in_language, why
from crm_web.context import Context

CHANNELS: Mapping[str, tuple[str, str]] = {
    "inapp": ("站内消息", "in here"), "email": ("邮件", "e-mail"), "sms": ("短信", "SMS"),
    "wechat": ("微信", "WeChat"), "dingtalk": ("钉钉", "DingTalk"),
    "console": ("控制台", "console"),
}  # fmt: skip
"""What the channels of notices are called; one of a plugin that is not here is shown by its name.
"""

BROWSERS: Mapping[str, str] = {
    "MicroMessenger": "微信 WeChat", "DingTalk": "钉钉 DingTalk", "Edg": "Edge", "OPR/": "Opera",
    "Firefox": "Firefox", "QQBrowser": "QQ", "Chrome": "Chrome", "CriOS": "Chrome",
    "Safari": "Safari",
}  # fmt: skip
SYSTEMS: Mapping[str, str] = {
    "iPhone": "iPhone", "iPad": "iPad", "Android": "Android", "HarmonyOS": "HarmonyOS",
    "Windows": "Windows", "Mac OS": "macOS", "Linux": "Linux",
}  # fmt: skip
"""What browsers call themselves and their systems; the first that is found counts, since most name
others as well."""


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

    def localized(self, notice: Notice) -> Notice:
        """Give a notice with its words in the language of the page."""
        return in_language(notice, self.language)

    def why(self, one: Assignment, by_name: str | None = None) -> str:
        """Say why a period of ownership began; who did it, where that is known."""
        return why(one, self.language, by_name)

    def channel(self, name: str) -> str:
        """Say what a channel of notices is called."""
        return self.context.t(*CHANNELS.get(name, (name, name)))

    def device(self, name: str | None) -> str:
        """Say by what somebody signed in: a browser's name of itself is for programs."""
        if not name:
            return self.context.t("未知设备", "unknown device")
        browser = next((said for sign, said in BROWSERS.items() if sign in name), "")
        system = next((said for sign, said in SYSTEMS.items() if sign in name), "")
        return " · ".join(part for part in (browser, system) if part) or name

    def choice(self, value: Any) -> str:
        """Say a choice or a state."""
        if value is None:
            return ""
        label = getattr(value, "label", None)
        return str(value) if label is None else str(label(self.language))

    def listed(self, texts: Iterable[str]) -> str:
        """Say several one after another."""
        return self.context.t("、", ", ").join(texts)

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

    def past(self, value: datetime | None) -> bool:
        """Whether a moment has passed."""
        return value is not None and value < self._now

    def soon(self, due_on: date | None) -> bool:
        """Whether a day is today, tomorrow or past."""
        return due_on is not None and due_on != date.max and self._days_until(due_on) <= 1

    def _days_until(self, day: date) -> int:
        return (day - self._today).days

    def _local(self, value: datetime) -> datetime:
        try:
            return value.astimezone(self._zone)
        except OverflowError:  # Nobody can enter it, but a page must stand whatever is stored.
            return value

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
