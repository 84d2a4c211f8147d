"""What every Storage's schedule keeps to."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime, timedelta

from crm_domain.model import ScheduledJob
from crm_domain.ports import Crm
from crm_domain.testing.making import together

LONG = 600
SHORT = 0.05


class ScheduleContract:
    """Subclass it with a fixture ``crm``: a `Crm` on a new, prepared database."""

    def test_a_slot_is_begun_by_one_of_many(self, crm: Crm) -> None:
        """Whoever comes at the same moment is told that somebody is at it."""
        slot = _yesterday(crm)
        begun = together(4, lambda _: begin(crm, slot))
        assert sorted(b is not None for b in begun) == [False, False, False, True]

    def test_a_slot_that_was_run_is_past(self, crm: Crm) -> None:
        """Nobody runs it again, and the row tells how it went."""
        slot = _yesterday(crm)
        fence = begin(crm, slot)
        assert finish(crm, fence, result={"released": 2})
        assert begin(crm, slot) is None
        row = job(crm)
        assert (row.slot, row.result, row.error, row.leased_until) == (
            slot, {"released": 2}, None, None,
        )  # fmt: skip
        assert row.finished_at is not None and row.started_at <= row.finished_at

    def test_the_next_slot_is_begun_and_an_earlier_one_is_past(self, crm: Crm) -> None:
        """A scheduler that was away does not turn time back."""
        slot = _yesterday(crm)
        finish(crm, begin(crm, slot))
        second = begin(crm, slot + timedelta(hours=1))
        assert second is not None and finish(crm, second)
        assert begin(crm, slot) is None
        assert begin(crm, slot - timedelta(days=1)) is None

    def test_a_run_that_never_ended_is_taken_over_when_its_lease_ends(self, crm: Crm) -> None:
        """Not before."""
        slot = _yesterday(crm)
        begin(crm, slot, LONG, name="warn")
        first = begin(crm, slot, SHORT)
        time.sleep(SHORT * 2)
        assert begin(crm, slot, name="warn") is None
        second = begin(crm, slot)
        assert first is not None and second is not None and second > first

    def test_a_newer_slot_waits_for_the_lease_of_an_older_one(self, crm: Crm) -> None:
        """Two slots of one job never run at the same time."""
        slot = _yesterday(crm)
        begin(crm, slot, LONG)
        assert begin(crm, slot + timedelta(hours=1)) is None

    def test_a_run_that_was_taken_over_is_fenced_off(self, crm: Crm) -> None:
        """It cannot end the other's run, and writes nothing."""
        slot = _yesterday(crm)
        first = begin(crm, slot, SHORT)
        time.sleep(SHORT * 2)
        second = begin(crm, slot)
        assert second is not None
        assert not finish(crm, first, error="late")
        assert job(crm).error is None and job(crm).finished_at is None
        assert finish(crm, second)
        assert not finish(crm, second)

    def test_a_run_that_is_late_but_alone_still_ends(self, crm: Crm) -> None:
        """A lease that is over does not matter as long as nobody took it."""
        fence = begin(crm, _yesterday(crm), SHORT)
        time.sleep(SHORT * 2)
        assert finish(crm, fence)

    def test_a_failure_may_leave_the_slot_to_be_run_again(self, crm: Crm) -> None:
        """Again, but not at once: whatever is broken is not hammered; and not as late as its lease
        would have it, which nobody needs any more."""
        slot = _yesterday(crm)
        fence = begin(crm, slot, LONG)
        assert finish(crm, fence, error="OSError", again=LONG)
        assert job(crm).error == "OSError" and job(crm).finished_at is None
        assert begin(crm, slot) is None
        assert finish(crm, fence, error="OSError", again=SHORT)
        time.sleep(SHORT * 2)
        assert begin(crm, slot) is not None
        assert job(crm).error is None

    def test_a_lease_that_is_renewed_keeps_others_away(self, crm: Crm) -> None:
        """As long as the run goes on; a run that ended or was taken over renews nothing."""
        slot = _yesterday(crm)
        first = begin(crm, slot, SHORT)
        assert renew(crm, first, LONG)
        time.sleep(SHORT * 2)
        assert begin(crm, slot) is None
        assert renew(crm, first, SHORT)
        time.sleep(SHORT * 2)
        second = begin(crm, slot)
        assert second is not None
        assert not renew(crm, first, LONG)
        assert finish(crm, second)
        assert not renew(crm, second, LONG)
        assert job(crm).leased_until is None

    def test_when_it_last_went_well_outlasts_what_comes_after(self, crm: Crm) -> None:
        """A run that is going on or that failed does not hide since when it does."""
        slot = _yesterday(crm)
        assert finish(crm, begin(crm, slot), error="first of all")
        assert job(crm).succeeded_at is None
        assert finish(crm, begin(crm, slot + timedelta(hours=1)))
        well = job(crm).succeeded_at
        assert well == job(crm).finished_at
        fence = begin(crm, slot + timedelta(hours=2))
        assert job(crm).succeeded_at == well
        assert finish(crm, fence, error="no")
        assert job(crm).succeeded_at == well

    def test_jobs_do_not_hold_each_other_up(self, crm: Crm) -> None:
        """Each has a row of its own."""
        slot = _yesterday(crm)
        assert begin(crm, slot, name="sweep") is not None
        assert begin(crm, slot, name="warn") is not None
        with crm.unit_of_work(read_only=True) as uow:
            assert [j.name for j in uow.schedule.all()] == ["sweep", "warn"]

    def test_now_is_after_every_slot_that_was_run(self, crm: Crm) -> None:
        """A run by hand needs no slot, and may be repeated."""
        finish(crm, begin(crm, _yesterday(crm)))
        first = begin(crm, None)
        assert first is not None and begin(crm, None) is None
        finish(crm, first)
        time.sleep(0.01)
        assert begin(crm, None) is not None

    def test_what_was_asked_for_waits_for_a_run_that_ends(self, crm: Crm) -> None:
        """Asked twice is asked once; neither a run that began before counts, nor one that dies."""
        running = begin(crm, _yesterday(crm))
        before = crm.storage.clock() - timedelta(seconds=1)
        for name in ("sweep", "warn", "sweep"):
            with crm.unit_of_work() as uow:
                uow.schedule.ask(name)
        first = asked(crm)
        assert first.keys() == {"sweep", "warn"}
        assert before <= first["sweep"] <= crm.storage.clock() + timedelta(seconds=1)
        assert begin(crm, None) is None
        assert finish(crm, running)
        assert asked(crm) == first
        time.sleep(0.01)
        dead = begin(crm, None, SHORT)
        assert dead is not None and asked(crm) == first
        time.sleep(SHORT * 2)
        again = begin(crm, None)
        assert again is not None and asked(crm) == first
        assert not finish(crm, dead) and asked(crm) == first
        assert finish(crm, again, error="OSError", again=SHORT) and asked(crm) == first
        time.sleep(SHORT * 2)
        assert finish(crm, begin(crm, None))
        assert asked(crm).keys() == {"warn"}

    def test_a_slot_of_a_clock_that_was_set_back_counts_for_nothing(self, crm: Crm) -> None:
        """A year too far ahead must not stop the schedule for a year."""
        slot = _yesterday(crm)
        finish(crm, begin(crm, slot + timedelta(days=365)))
        assert begin(crm, slot) is not None

    def test_a_slot_a_little_ahead_is_believed(self, crm: Crm) -> None:
        """A clock that is set back by seconds must not make a slot run twice."""
        slot = crm.storage.clock() + timedelta(seconds=60)
        finish(crm, begin(crm, slot))
        assert begin(crm, slot - timedelta(minutes=5)) is None
        assert begin(crm, slot) is None


def begin(crm: Crm, slot: datetime | None, seconds: float = LONG, name: str = "sweep") -> (
    int | None
):  # fmt: skip
    """Begin a job in a unit of work of its own."""
    with crm.unit_of_work() as uow:
        return uow.schedule.begin(name, slot, seconds)


def asked(crm: Crm) -> Mapping[str, datetime]:
    """Read what was asked for."""
    with crm.unit_of_work(read_only=True) as uow:
        return uow.schedule.asked()


def finish(crm: Crm, fence: int | None, name: str = "sweep", **how: object) -> bool:
    """End a run in a unit of work of its own."""
    with crm.unit_of_work() as uow:
        return uow.schedule.finish(name, fence or 0, **how)  # type: ignore[arg-type]


def renew(crm: Crm, fence: int | None, seconds: float) -> bool:
    """Go on with a run in a unit of work of its own."""
    with crm.unit_of_work() as uow:
        return uow.schedule.renew("sweep", fence or 0, seconds)


def job(crm: Crm, name: str = "sweep") -> ScheduledJob:
    """Read a job's row."""
    with crm.unit_of_work(read_only=True) as uow:
        return next(j for j in uow.schedule.all() if j.name == name)


def _yesterday(crm: Crm) -> datetime:
    return crm.storage.clock().replace(microsecond=0) - timedelta(days=1)
