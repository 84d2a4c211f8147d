"""What people want to be told, by which channels, and when they want quiet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import time
from typing import Any
from uuid import uuid4

import attrs

from crm_domain.errors import FieldError, Invalid, NotFound
from crm_domain.model import Event, Notice, NoticePreference, NoticeStatus, specs
from crm_domain.model.fields import changed
from crm_domain.parsing import Unreadable, choice_value, quoted, read_field
from crm_domain.ports import Crm, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.rules.notifying import INAPP, wanted_matrix
from crm_domain.usecases._common import audit, employee_of, employee_or_refuse, reach_of
from crm_domain.usecases._sending import attempt, languages

QUIET = ("quiet_from", "quiet_until")


@attrs.frozen(kw_only=True)
class Preferences:
    """What somebody wants to be told."""

    employee_id: int
    wanted: Mapping[Event, Mapping[str, bool]]
    """For each event, and each channel that there is, whether it is wanted there."""
    quiet_from: time | None = None
    quiet_until: time | None = None
    version: int = 0
    """0 as long as nothing was said; give it back with a change."""


@attrs.frozen(kw_only=True)
class Tested:
    """What came of a test of a channel."""

    channel: str
    sent: bool
    error: str | None = None
    """Why it was not sent."""
    provider_id: str | None = None


def read_preferences(crm: Crm, *, employee_id: int | None = None, by: Principal) -> Preferences:
    """Read what somebody wants to be told.

    Args:
        crm: The CRM.
        employee_id: Who; None is oneself.
        by: Who asks; for another it needs ``user:manage``.

    Raises:
        NotFound: There is no such employee, or it is not within one's reach.
        NoEmployee: One's own, without an employee.
        NotPermitted: Another's, without the permission.
    """
    number = _whose(employee_id, by)
    with crm.unit_of_work(read_only=True) as uow:
        _refuse(uow, number, by)
        return _shown(crm, number, uow.notices.preferences([number]).get(number))


def set_preferences(
    crm: Crm, values: Mapping[str, Any], *, employee_id: int | None = None, by: Principal
) -> Preferences:
    """Say what somebody wants to be told.

    Notices that were written before keep to it, too: it decides when they are delivered. Messages
    in the program itself are always wanted and never disturb the quiet.

    Args:
        crm: The CRM.
        values: ``wanted``: for each event (by its code or label) the channels on which it is
            wanted; events that are not named stay as they are. ``quiet_from`` and
            ``quiet_until``: times of day in the business time zone, the one may be later than the
            other and then spans midnight; None for both is no quiet. ``version``: as it was read,
            so that a change in between is not overwritten unseen.
        employee_id: Whose; None is oneself.
        by: Who asks; for another it needs ``user:manage``.

    Returns:
        What holds now.

    Raises:
        ActingForAnother: Somebody else acts under the account of whoever asks.
        EditConflict: Somebody changed them since.
        Invalid: With every problem.
        NotFound: There is no such employee, or it is not within one's reach.
        NoEmployee: One's own, without an employee.
        NotPermitted: Another's, without the permission.
    """
    by.need_oneself()
    number = _whose(employee_id, by)
    given, problems = _read(crm, values)
    with crm.unit_of_work() as uow:
        _refuse(uow, number, by)
        before = uow.notices.preferences([number]).get(number)
        old = before or NoticePreference(employee_id=number, off={})
        quiet = {n: given[n] if n in given else getattr(old, n) for n in QUIET}
        problems += _quiet_problems(quiet, problems)
        if problems:
            raise Invalid(problems)
        off = {**old.off, **given.get("off", {})}
        after = changed(old, off={e: c for e, c in off.items() if c}, **quiet)
        if before is None:
            kept = uow.records.add(after)
        else:
            kept = uow.records.save(changed(after, version=given.get("version", old.version)))
        audit(uow, by, crm.now(), "set_preferences", "NoticePreference", kept.id, before, kept)
        return _shown(crm, number, kept)


def test_channel(crm: Crm, channel: str, *, by: Principal) -> Tested:
    """Send a test message to oneself now, whatever one wants and whenever one wants quiet.

    Args:
        crm: The CRM.
        channel: The name of a channel.
        by: Who asks, and to whom it goes; needs an employee and no permission.

    Returns:
        What came of it; a failure is an answer here. Only a message in the program itself is kept.

    Raises:
        Invalid: There is no such channel.
        NoEmployee: Without an employee.
    """
    number = _whose(None, by)
    if not isinstance(channel, str) or channel not in crm.notifiers:
        raise Invalid([_unknown("channel", "channel", channel, "渠道")])
    with crm.unit_of_work(read_only=True) as uow:
        employee = employee_or_refuse(uow, number)
        language = languages(crm, uow, [number])[number]
    now = crm.now()
    message = Notice(
        recipient_id=number, subject="测试消息", body="收到此消息，说明该渠道可以使用。",
        subject_en="Test message", body_en="You can read this, so the channel works.",
        event=Event.TEST, channel=channel, idempotency_key=f"test:{uuid4()}", created_at=now,
    )  # fmt: skip
    # Outside any transaction: a provider may take its time.
    after, _ = attempt(crm, message, employee, language)
    sent = after.status is NoticeStatus.SENT
    if sent and channel == INAPP:
        with crm.unit_of_work() as uow:
            uow.notices.add([after])
    return Tested(channel=channel, sent=sent, error=after.error, provider_id=after.provider_id)


def _whose(employee_id: int | None, by: Principal) -> int:
    """Tell whose preferences are meant; those of others need a permission."""
    if employee_id is None:
        return employee_of(by)
    if employee_id != by.employee_id:
        by.need("user:manage")
    return employee_id


def _refuse(uow: UnitOfWork, number: int, by: Principal) -> None:
    employee_or_refuse(uow, number)
    if number != by.employee_id and not uow.directory.in_reach(number, reach_of(by)):
        raise NotFound(what="员工", id=number)


def _read(crm: Crm, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[FieldError]]:
    """Read what was typed, with every problem."""
    if not isinstance(values, Mapping):
        return {}, [FieldError("", "no_mapping", None, "须按字段名给出内容",
                               "the values must be given by field name")]  # fmt: skip
    found: dict[str, Any] = {}
    problems: list[FieldError] = []
    for name, value in values.items():
        if name == "wanted":
            found["off"], more = _read_wanted(crm, value)
            problems += more
        elif name in (*QUIET, "version"):
            found[name], problem = read_field(specs(NoticePreference)[name], value)
            problems += [problem] if problem else []
        else:
            problems.append(_unknown(quoted(name), "field", name, "项目"))
    return found, problems


def _read_wanted(crm: Crm, value: Any) -> tuple[dict[str, tuple[str, ...]], list[FieldError]]:
    """Turn the channels that are wanted for some events into those that are not."""
    if not isinstance(value, Mapping):
        return {}, [FieldError("wanted", "no_mapping", None, "须按事件给出渠道",
                               "the channels must be given by event")]  # fmt: skip
    found: dict[str, tuple[str, ...]] = {}
    problems: list[FieldError] = []
    for name, channels in value.items():
        try:
            event = choice_value(Event, name)
        except Unreadable:
            event = None
        if event is None:
            problems.append(_unknown("wanted", "event", name, "事件"))
        many = isinstance(channels, Iterable) and not isinstance(channels, str | Mapping)
        listed: list[Any] = list(channels) if many else [channels]
        strange = [c for c in listed if not isinstance(c, str) or c not in crm.notifiers]
        problems += [_unknown("wanted", "channel", c, "渠道") for c in strange]
        if event is not None:
            unwanted = (c for c in crm.notifiers if c not in listed and c != INAPP)
            found[event.value] = tuple(sorted(unwanted))
    return found, problems


def _quiet_problems(quiet: Mapping[str, time | None], known: list[FieldError]) -> list[FieldError]:
    """Refuse quiet hours with one end only, and those that would last a whole day."""
    if any(p.path in QUIET for p in known):
        return []
    begin, end = (quiet[n] for n in QUIET)
    if (begin is None) != (end is None):
        missing = "quiet_until" if end is None else "quiet_from"
        return [FieldError(missing, "missing", None, "免打扰时段须有开始和结束",
                           "quiet hours need a beginning and an end")]  # fmt: skip
    if begin is not None and begin == end:
        return [FieldError("quiet_until", "same_time", end, "免打扰的开始和结束不能相同",
                           "quiet hours cannot end when they begin")]  # fmt: skip
    return []


def _unknown(path: str, en: str, value: Any, zh: str) -> FieldError:
    return FieldError(path, f"unknown_{en}", value, f"没有{zh}“{quoted(value)}”",
                      f"there is no {en} {quoted(value)}")  # fmt: skip


def _shown(crm: Crm, number: int, kept: NoticePreference | None) -> Preferences:
    wanted = wanted_matrix(kept, tuple(crm.notifiers))
    if kept is None:
        return Preferences(employee_id=number, wanted=wanted)
    return Preferences(
        employee_id=number, wanted=wanted, quiet_from=kept.quiet_from,
        quiet_until=kept.quiet_until, version=kept.version,
    )  # fmt: skip
