"""What people want to be told, and when they want quiet: decided when a notice is delivered."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time, timedelta
from typing import Any

import attrs
import pytest

from crm_adapters.notifiers.inapp import InAppNotifier
from crm_domain import SYSTEM, Crm
from crm_domain.errors import (
    DeliveryFailed,
    EditConflict,
    Invalid,
    NoEmployee,
    NotFound,
    NotPermitted,
)
from crm_domain.model import AuditEntry, Department, Event, Notice, NoticeStatus, Scope
from crm_domain.ports import Query, Settings
from crm_domain.testing.notifiers import RecordingNotifier
from crm_domain.usecases import access, inbox, notices, preferences, records
from make import World
from steps import on


@pytest.fixture
def school(world: World) -> World:
    """Give a school with three channels: the program, ``pager`` and ``email``."""
    channels = (InAppNotifier(), RecordingNotifier("pager"), RecordingNotifier("email"))
    world.crm = attrs.evolve(
        world.crm, notifiers={c.name: c for c in channels},
        settings=Settings(channels="inapp,pager,email"),
    )  # fmt: skip
    return world


def want(school: World, **values: Any) -> preferences.Preferences:
    """Say what 李雷 wants."""
    return preferences.set_preferences(school.crm, values, by=school.a)


def got(crm: Crm, channel: str) -> list[Event]:
    """Tell what a recording channel sent."""
    sent: list[tuple[Notice, Any]] = getattr(crm.notifiers[channel], "sent")  # noqa: B009
    return [n.event for n, _ in sent]


def states(crm: Crm) -> Mapping[str, NoticeStatus]:
    """Tell the status of the latest notice of each channel."""
    page = notices.list_notices(crm, Query(sort="id"), by=SYSTEM)
    return {n.channel: n.status for n in page}


def test_whoever_says_nothing_gets_everything(school: World) -> None:
    """By every channel, at any hour."""
    found = preferences.read_preferences(school.crm, by=school.a)
    assert found.employee_id == school.a.employee_id
    assert set(found.wanted) == {*Event} - {Event.TEST}
    assert {w for by in found.wanted.values() for w in by.values()} == {True}
    assert (found.quiet_from, found.quiet_until, found.version) == (None, None, 0)
    school.clock.set(on(2, 3))
    school.customer(school.a)
    assert notices.deliver_due(school.crm, by=SYSTEM).sent == 3


def test_what_is_not_wanted_on_a_channel_is_not_sent_there(school: World) -> None:
    """It is decided at delivery, so what was written before is left out, too, with the reason."""
    school.customer(school.a)
    school.customer(school.b)
    want(school, wanted={"assigned": ["pager"], "已到期": []})
    done = notices.deliver_due(school.crm, by=SYSTEM)
    assert (done.sent, done.cancelled, done.dead) == (5, 1, 0)
    assert len(got(school.crm, "pager")) == 2
    assert len(got(school.crm, "email")) == 1
    page = notices.list_notices(school.crm, status=NoticeStatus.CANCELLED, by=SYSTEM)
    assert [(n.channel, n.error, n.attempts, n.recipient_id) for n in page] == [
        ("email", "assigned: not wanted on email", 0, school.a.employee_id)
    ]
    assert inbox.count_unread(school.crm, by=school.a) == 1, "the program is always wanted"


def test_events_that_are_not_named_stay_as_they_are(school: World) -> None:
    """Channels that come later are wanted until somebody says otherwise."""
    want(school, wanted={"assigned": ["email"]})
    found = want(school, wanted={"claimed": []})
    assert found.wanted[Event.ASSIGNED] == {"inapp": True, "pager": False, "email": True}
    assert found.wanted[Event.CLAIMED] == {"inapp": True, "pager": False, "email": False}
    more = {**school.crm.notifiers, "sms": RecordingNotifier("sms")}
    later = preferences.read_preferences(
        attrs.evolve(school.crm, notifiers=more), by=school.a
    )  # fmt: skip
    assert later.wanted[Event.CLAIMED]["sms"]
    assert want(school, wanted={"claimed": ["pager", "email"]}).wanted[Event.CLAIMED]["email"]


def test_quiet_hours_put_off_and_count_no_attempt(school: World) -> None:
    """Until their end, in the business time zone; the program itself is not loud."""
    want(school, quiet_from="22:00", quiet_until="7:30")
    school.clock.set(on(2, 23))
    school.customer(school.a)
    assert notices.deliver_due(school.crm, by=SYSTEM).sent == 1
    assert states(school.crm) == {
        "inapp": NoticeStatus.SENT, "pager": NoticeStatus.PENDING, "email": NoticeStatus.PENDING,
    }  # fmt: skip
    end = on(3, 7) + timedelta(minutes=30)
    waiting = notices.list_notices(school.crm, status=NoticeStatus.PENDING, by=SYSTEM)
    assert {(n.attempts, n.next_attempt_at, n.leased_until) for n in waiting} == {(0, end, None)}
    school.clock.set(end - timedelta(microseconds=1))
    assert notices.deliver_due(school.crm, by=SYSTEM) == notices.Delivery()
    school.clock.set(end)
    assert notices.deliver_due(school.crm, by=SYSTEM).sent == 2


def test_others_are_not_put_off_by_somebody_s_quiet(school: World) -> None:
    """Nor is it written again and again while it lasts."""
    want(school, quiet_from="0:00", quiet_until="23:59")
    for _ in range(3):
        school.customer(school.a)
        school.customer(school.b)
    assert notices.deliver_due(school.crm, limit=2, by=SYSTEM).sent == 12
    assert notices.backlog(school.crm, by=SYSTEM).due_since is None


def test_what_is_wanted_is_written_once_and_changed_later(school: World) -> None:
    """By oneself, without any permission; the audit log keeps who did it."""
    assert school.a.permissions.isdisjoint({"user:manage", "notice:view"})
    assert want(school, quiet_from="12:00", quiet_until="13:00").version == 1
    after = want(school, quiet_from=time(12, 30))
    assert (after.quiet_from, after.quiet_until, after.version) == (time(12, 30), time(13), 2)
    assert want(school, quiet_from=None, quiet_until="").quiet_from is None
    assert preferences.read_preferences(school.crm, by=school.b).version == 0
    with school.crm.unit_of_work(read_only=True) as uow:
        entries = uow.records.all(AuditEntry, action="set_preferences")
    assert [e.by_id for e in entries] == [school.a.user_id] * 3


def test_a_change_in_between_is_not_overwritten_unseen(school: World) -> None:
    """Whoever gives the version that was read."""
    want(school, wanted={"assigned": []}, version=0)
    want(school, wanted={"claimed": []}, version=1)
    with pytest.raises(EditConflict):
        want(school, wanted={"expired": []}, version=1)


def test_another_s_wishes_need_a_permission_and_reach(school: World) -> None:
    """An administrator sees all; a head of a department that one's people."""
    number = school.b.employee_id
    chief = _manager_of_users(school)
    by_chief = {"employee_id": number, "by": chief}
    assert preferences.set_preferences(school.crm, {"wanted": {}}, **by_chief).version == 1
    for by in (school.a, school.manager):
        with pytest.raises(NotPermitted):
            preferences.read_preferences(school.crm, employee_id=number, by=by)
        with pytest.raises(NotPermitted):
            preferences.set_preferences(school.crm, {}, employee_id=number, by=by)
    other = records.save_record(school.crm, Department(code=999, title="教务"), by=SYSTEM)
    far = school.person("远", department_id=other.id).employee_id
    for missing in (far, 10**6):
        with pytest.raises(NotFound):
            preferences.read_preferences(school.crm, employee_id=missing, by=chief)
    own = preferences.read_preferences(
        school.crm, employee_id=school.a.employee_id, by=school.a
    )  # fmt: skip
    assert own.version == 0
    for act in (preferences.read_preferences, preferences.test_channel):
        with pytest.raises(NoEmployee):
            act(school.crm, **({"channel": "pager"} if act is preferences.test_channel else {}),
                by=SYSTEM)  # fmt: skip


def _manager_of_users(school: World) -> Any:
    access.set_role(school.crm, "人事", permissions=["user:manage"],
                    scope=Scope.DEPARTMENT_AND_BELOW, by=SYSTEM)  # fmt: skip
    return school.person("人事", "人事")


def test_all_that_is_wrong_is_told_at_once(school: World) -> None:
    """And nothing is kept of it."""
    wrong = {
        "wanted": {"party": ["pager"], "assigned": ["pigeon", 7], "claimed": "pager"},
        "quiet_from": "25:00", "quiet_until": "07:00", "employee_id": 3, "colour": "blue",
    }  # fmt: skip
    with pytest.raises(Invalid) as caught:
        want(school, **wrong)
    assert [(p.path, p.code) for p in caught.value.problems] == [
        ("wanted", "unknown_event"), ("wanted", "unknown_channel"), ("wanted", "unknown_channel"),
        ("quiet_from", "bad_time"), ("employee_id", "unknown_field"), ("colour", "unknown_field"),
    ]  # fmt: skip
    for values, path, code in (
        ({"quiet_from": "22:00"}, "quiet_until", "missing"),
        ({"quiet_until": "22:00"}, "quiet_from", "missing"),
        ({"quiet_from": "7:00", "quiet_until": "07:00"}, "quiet_until", "same_time"),
        ({"wanted": "all"}, "wanted", "no_mapping"),
        ({"version": "x"}, "version", "bad_number"),
    ):
        with pytest.raises(Invalid) as caught:
            want(school, **values)
        assert [(p.path, p.code) for p in caught.value.problems] == [(path, code)]
        assert all(p.zh and p.en for p in caught.value.problems)
    with pytest.raises(Invalid):
        preferences.set_preferences(school.crm, 7, by=school.a)  # type: ignore[arg-type]
    assert preferences.read_preferences(school.crm, by=school.a).version == 0


def test_a_channel_is_tested_by_a_message_to_oneself(school: World) -> None:
    """Now, whatever one wants; nothing of it waits in the outbox."""
    want(school, wanted={"assigned": []}, quiet_from="0:00", quiet_until="23:59")
    assert preferences.test_channel(school.crm, "pager", by=school.a) == preferences.Tested(
        channel="pager", sent=True, provider_id="pager-1"
    )
    assert got(school.crm, "pager") == [Event.TEST]
    assert states(school.crm) == {}


def test_a_test_that_fails_is_an_answer(school: World) -> None:
    """With the reason, and no dead letter."""
    pager: Any = school.crm.notifiers["pager"]
    pager.script(DeliveryFailed("no credit", permanent=True))
    found = preferences.test_channel(school.crm, "pager", by=school.a)
    assert (found.sent, found.error) == (False, "no credit")
    assert states(school.crm) == {}
    with pytest.raises(Invalid):
        preferences.test_channel(school.crm, "pigeon", by=school.a)


def test_a_test_of_the_program_itself_stands_in_the_inbox(school: World) -> None:
    """Sent already, and unread."""
    assert preferences.test_channel(school.crm, "inapp", by=school.a).sent
    [message] = inbox.list_messages(school.crm, by=school.a)
    assert (message.event, message.status) == (Event.TEST, NoticeStatus.SENT)
    assert inbox.count_unread(school.crm, by=school.a) == 1
    assert notices.deliver_due(school.crm, by=SYSTEM) == notices.Delivery()
