"""What is old is removed at night; what somebody still needs is not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs
import pytest

from crm_domain import SYSTEM, Crm
from crm_domain.errors import FileRemoved, NotPermitted
from crm_domain.model import NoticeStatus
from crm_domain.ports import Query, Settings
from crm_domain.usecases import (
    audit_log,
    consistency,
    imports,
    inbox,
    notices,
    pool,
    pool_rules,
    schedule,
    tidying,
)
from importing import checked, people
from make import World


class OnTime:
    """A storage whose clock is that of the test, or another."""

    def __init__(self, storage: Any, clock: Any) -> None:
        self._storage, self.clock = storage, clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)


@pytest.fixture
def school(world: World) -> World:
    """Give a school whose notices go to the inbox and to the console, on time."""
    world.crm = attrs.evolve(
        world.crm, settings=Settings(), storage=OnTime(world.crm.storage, world.clock)
    )
    return world


def keeping(crm: Crm, **days: int) -> Crm:
    """Give the CRM with other settings."""
    return attrs.evolve(crm, settings=attrs.evolve(crm.settings, **days))


def kept(crm: Crm) -> list[str]:
    """Tell the channels of all notices that there are."""
    return sorted(n.channel for n in notices.list_notices(crm, Query(limit=1000), by=SYSTEM))


def test_old_notices_go_and_the_unread_stay(school: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """In transactions as small as they may be; what was read goes, too."""
    # given: two of a, of whom one is read, and one of b; each also by console
    monkeypatch.setattr(tidying, "NOTICES", 2)
    for owner in (school.a, school.a, school.b):
        school.customer(owner)
    notices.deliver_due(school.crm, by=SYSTEM)
    first = inbox.list_messages(school.crm, by=school.a)[0].id or 0
    assert inbox.mark_read(school.crm, [first], by=school.a) == 1
    entries = len(audit_log.list_entries(school.crm, by=SYSTEM))
    # when
    school.clock.advance(timedelta(days=300))
    assert tidying.remove_notices(school.crm, by=SYSTEM) == 0
    school.clock.advance(timedelta(days=66))
    assert tidying.remove_notices(keeping(school.crm, keep_notices_days=0), by=SYSTEM) == 0
    done = [tidying.remove_notices(school.crm, by=SYSTEM) for _ in range(2)]
    # then
    left = kept(school.crm)
    assert left == ["inapp", "inapp"] and done[1] == 0
    assert inbox.count_unread(school.crm, by=school.a) == 1
    assert inbox.count_unread(school.crm, by=school.b) == 1
    assert len(audit_log.list_entries(school.crm, by=SYSTEM)) == entries
    assert not any(c.count for c in consistency.check_database(school.crm, by=SYSTEM))


def test_what_is_dead_or_waits_is_kept(school: World) -> None:
    """Somebody has to look at the one, and the other has to go out."""
    school.customer(school.a)
    off = attrs.evolve(school.crm, notifiers={})
    notices.deliver_due(off, channel="console", by=SYSTEM)
    school.clock.advance(timedelta(days=4000))
    assert tidying.remove_notices(school.crm, by=SYSTEM) == 0
    found = {n.channel: n.status for n in notices.list_notices(school.crm, by=SYSTEM)}
    assert found == {"console": NoticeStatus.DEAD, "inapp": NoticeStatus.PENDING}


def test_what_is_removed_is_not_told_again(school: World) -> None:
    """The warning of a deadline is kept until the deadline has passed, however old it is."""
    brief = keeping(school.crm, keep_notices_days=1, notice_days=1)
    rules = [{"contact_days": 10, "warning_days": 6}]
    pool_rules.set_pool_rules(school.crm, rules, by=SYSTEM)
    school.customer(school.a)
    school.clock.advance(timedelta(days=6))
    assert pool.warn_owners(brief, by=SYSTEM) > 0
    notices.deliver_due(brief, by=SYSTEM)
    inbox.mark_read(brief, None, by=school.a)
    for _ in range(2):
        school.clock.advance(timedelta(days=2))
        tidying.remove_notices(brief, by=SYSTEM)
        assert pool.warn_owners(brief, by=SYSTEM) == 0
    school.clock.advance(timedelta(days=2))
    assert tidying.remove_notices(brief, by=SYSTEM) > 0
    assert kept(brief) == []


def test_a_clock_that_is_fast_removes_nothing(world: World) -> None:
    """Removing cannot be undone, so the earlier of both clocks says what is old."""
    begun = world.clock()
    slow = OnTime(world.crm.storage, lambda: begun)
    crm = attrs.evolve(world.crm, settings=Settings(), storage=slow)
    number = imports.run_import(crm, checked(crm, people(1)), by=SYSTEM).id
    notices.deliver_due(crm, by=SYSTEM)
    world.clock.advance(timedelta(days=4000))
    assert tidying.remove_notices(crm, by=SYSTEM) == tidying.remove_files(crm, by=SYSTEM) == 0
    assert imports.rejected_rows(crm, number, by=SYSTEM)


def test_the_file_of_an_old_import_goes_and_its_report_stays(school: World) -> None:
    """It can still be reverted; and whoever asks for the rows is told why they are not there."""
    # given: one that is done, and one that was only looked at
    content = people(2) + "\n张三,1".encode()
    done = imports.run_import(school.crm, checked(school.crm, content), by=SYSTEM)
    looked_at = checked(school.crm, people(1))
    # when
    school.clock.advance(timedelta(days=89))
    assert tidying.remove_files(school.crm, by=SYSTEM) == 0
    assert imports.rejected_rows(school.crm, done.id, by=SYSTEM)[:2] == b"PK"
    school.clock.advance(timedelta(days=2))
    assert tidying.remove_files(keeping(school.crm, keep_files_days=0), by=SYSTEM) == 0
    assert [tidying.remove_files(school.crm, by=SYSTEM) for _ in range(2)] == [2, 0]
    # then
    assert imports.report_import(school.crm, done.id, by=SYSTEM).problems == done.problems
    assert imports.run_import(school.crm, done.id, by=SYSTEM).accepted == done.accepted == 2
    with pytest.raises(FileRemoved):
        imports.rejected_rows(school.crm, done.id, by=SYSTEM)
    for ask in (imports.run_import, imports.start_import, imports.report_import):
        with pytest.raises(FileRemoved):
            ask(school.crm, looked_at, by=SYSTEM)
    assert imports.revert_import(school.crm, done.id, by=SYSTEM) == 2
    with pytest.raises(FileRemoved):
        imports.run_import(school.crm, done.id, by=SYSTEM)
    assert not any(c.count for c in consistency.check_database(school.crm, by=SYSTEM))


def test_the_night_does_it_and_others_may_not(school: World) -> None:
    """One job for all that is old, which tells how much of each."""
    school.customer(school.a)
    imports.run_import(school.crm, checked(school.crm, people(1)), by=SYSTEM)
    notices.deliver_due(school.crm, by=SYSTEM)
    inbox.mark_read(school.crm, None, by=school.a)
    school.clock.advance(timedelta(days=366))
    result = schedule.run_job(school.crm, "tidy", by=SYSTEM).result or {}
    assert result["old_notices"] > 2 and result["old_files"] == 1
    for removing in (tidying.remove_notices, tidying.remove_files):
        with pytest.raises(NotPermitted):
            removing(school.crm, by=school.a)
