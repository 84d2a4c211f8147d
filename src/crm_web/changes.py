"""What the audit log tells, as people read it: what changed, field by field, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import attrs

from crm_domain.errors import GuardedField
from crm_domain.model import RECORDS, AssignmentStatus, AuditEntry, Spec, specs
from crm_domain.ports import Crm
from crm_domain.rules.access import Principal
from crm_domain.usecases import audit_log, records
from crm_web.look import Look

BESIDE: Mapping[str, tuple[str, str]] = {
    "reason": ("原因", "Reason"), "file": ("文件", "File"), "entries": ("方案", "Plan"),
    "rules": ("规则", "Rules"), "holidays": ("日历", "Calendar"), "rows": ("行数", "Rows"),
    "count": ("数量", "Count"), "name": ("名称", "Name"), "session": ("登录", "Session"),
    "ended": ("结束", "Ended"), "search": ("搜索", "Search"), "sort": ("排序", "Order"),
    "status": ("状态", "Status"), "channel": ("渠道", "Channel"), "event": ("事件", "Event"),
    "day": ("日期", "Day"), "released": ("进入公海", "Became public"),
    "by_status": ("按原因", "By reason"), "by_owner": ("按原顾问", "By former owner"),
    "accepted": ("导入行数", "Rows taken in"), "until": ("截止", "Until"),
    "archived": ("归档", "Put away"),
}  # fmt: skip
"""What the log keeps beside the fields of records; what is not here is shown by its name."""
COUNTED: Mapping[str, str] = {"by_status": "", "by_owner": "Employee"}
"""What the log counts by something, and the records whose numbers that are; "" is none."""
LISTED: Mapping[str, str] = {"entries": "RotationEntry", "rules": "PoolRule"}
"""What the log keeps as a list of records, each by its fields, and what records they are."""

Both = tuple[Any, Any]
"""A value before and after."""
Fields = Mapping[str, Spec]
Titles = Mapping[str, Mapping[int, str]]


@attrs.frozen(kw_only=True)
class LogLine:
    """One entry of the audit log as its list shows it."""

    id: int
    at: datetime
    by_id: int | None
    by_name: str | None
    acting_name: str | None
    """Who really did it, in that one's name; None where nobody else did."""
    action: str
    record: str
    record_id: int | None
    changes: Mapping[str, Both]
    """By field."""
    titles: Titles
    """What the records are called that fields refer to, by kind; as far as one may know them."""


def lines_of(crm: Crm, entries: Sequence[audit_log.Entry], by: Principal) -> tuple[LogLine, ...]:
    """Give entries with what changed by field, and what the records are called in it."""
    changes = [_changed(e.entry) for e in entries]
    wanted: dict[str, set[int]] = {}
    for e, one in zip(entries, changes, strict=True):
        for target, number in _references(e.entry.record, one):
            wanted.setdefault(target, set()).add(number)
    titles = _titles(crm, wanted, by)
    return tuple(
        LogLine(
            id=e.entry.id or 0, at=e.entry.at, by_id=e.entry.by_id, by_name=e.by_name,
            acting_name=e.acting_name, action=e.entry.action, record=e.entry.record,
            record_id=e.entry.record_id, changes=one, titles=titles,
        )
        for e, one in zip(entries, changes, strict=True)
    )  # fmt: skip


def _changed(entry: AuditEntry) -> dict[str, Both]:
    before, after = entry.before or {}, entry.after or {}
    return {n: (before.get(n), after.get(n)) for n in {**before, **after}}


# -- what is referred to ----------------------------------------------------------------------


def _fields(record: str) -> Fields:
    """Give the fields of a record; none of a kind that is there no more."""
    return specs(RECORDS[record]) if record in RECORDS else {}


def _references(record: str, changes: Mapping[str, Both]) -> Iterator[tuple[str, int]]:
    """Give the kind and the number of each record that some changes refer to."""
    fields = _fields(record)
    for name, both in changes.items():
        for value in both:
            yield from _referred(fields, name, value)
            if COUNTED.get(name) and isinstance(value, dict):
                yield from ((COUNTED[name], int(key)) for key in value if key.isdecimal())
            for one in value if name in LISTED and isinstance(value, list) else ():
                for field, part in one.items() if isinstance(one, dict) else ():
                    yield from _referred(_fields(LISTED[name]), field, part)


def _referred(fields: Fields, name: str, value: Any) -> Iterator[tuple[str, int]]:
    if name in fields and (target := fields[name].target):
        many = value if isinstance(value, list) else [value]
        yield from ((target, number) for number in many if type(number) is int)


def _titles(crm: Crm, wanted: Mapping[str, set[int]], by: Principal) -> Titles:
    """Find what records are called: one question for each kind."""
    found: dict[str, Mapping[int, str]] = {}
    for target, numbers in wanted.items():
        # Some kinds of record have no titles; they stay numbers.
        with suppress(GuardedField):
            found[target] = records.titles(crm, RECORDS[target], numbers, by=by)
    return found


# -- in words ---------------------------------------------------------------------------------


def said_changes(look: Look, line: LogLine) -> list[tuple[str, str, str]]:
    """Tell what an entry changed: field, before and after, as people say it."""
    return _Words(look, line.titles).changes(_fields(line.record), line.changes)


@attrs.frozen
class _Words:
    """Says values that the log keeps."""

    look: Look
    titles: Titles

    def changes(self, fields: Fields, changes: Mapping[str, Both]) -> list[tuple[str, str, str]]:
        """Say all that differs."""
        language, t, said = self.look.language, self.look.context.t, []
        for n, (was, now) in changes.items():
            label = fields[n].label(language) if n in fields else t(*BESIDE.get(n, (n, n)))
            before, after = self._both(fields.get(n), self._keyed(n, was), self._keyed(n, now))
            if n not in ("id", "version") and before != after:
                said.append((label, before, after))
        return said

    def _keyed(self, name: str, value: Any) -> Any:
        """Give what the log counts by reason and by owner, and lists, with words for numbers."""
        if name in LISTED and isinstance(value, list):
            return [self._listed(_fields(LISTED[name]), one) for one in value]
        if not isinstance(value, dict) or name not in COUNTED:
            return value
        if name == "by_status":
            reasons = {str(s.value): s.label(self.look.language) for s in AssignmentStatus}
            return {reasons.get(key, key): n for key, n in value.items()}
        known = {str(key): title for key, title in self.titles.get(COUNTED[name], {}).items()}
        return {known.get(key, f"#{key}"): n for key, n in value.items()}

    def _listed(self, fields: Fields, one: Any) -> Any:
        """Say one record of a list in the log; one of before they were kept by field as it is."""
        if not isinstance(one, dict):
            return one
        said = {fields[n].label(self.look.language): self._value(fields[n], v)
                for n, v in one.items() if n in fields}  # fmt: skip
        return f"({self._stored(None, said)})" if said else ""

    def _both(self, spec: Spec | None, before: Any, after: Any) -> tuple[str, str]:
        """Say a value before and after; of two lists what came and what went."""
        if not (isinstance(before, list) and isinstance(after, list) and before and after):
            return self._value(spec, before), self._value(spec, after)
        parts = (
            ("+ ", [v for v in after if v not in before]),
            ("− ", [v for v in before if v not in after]),
        )
        return "", "  ".join(sign + self._value(spec, vs) for sign, vs in parts if vs)

    def _value(self, spec: Spec | None, value: Any) -> str:
        if spec is None or not spec.target or value in (None, []):
            return self._stored(spec, value)
        known = self.titles.get(spec.target, {})
        many = value if isinstance(value, list) else [value]
        return self.look.listed(known.get(v, f"#{v}") for v in many)

    def _stored(self, spec: Spec | None, value: Any) -> str:
        """Write a value as the log keeps it: codes as their words, lists with commas."""
        t = self.look.context.t
        if value is None or value in ("", [], {}):
            return ""
        if isinstance(value, bool):
            return t("是", "yes") if value else t("否", "no")
        if isinstance(value, list):
            return self.look.listed(self._stored(spec, v) for v in value)
        if isinstance(value, dict):
            said = (f"{k}{t('：', ': ')}{self._stored(spec, v)}" for k, v in value.items())
            return t("，", ", ").join(said)
        if spec is not None and spec.kind in ("choice", "state"):
            return next((self.look.choice(m) for m in spec.type if m.value == value), str(value))
        if spec is not None and spec.kind == "moment":
            with suppress(ValueError):
                return self.look.moment(datetime.fromisoformat(str(value)))
        return str(value)
