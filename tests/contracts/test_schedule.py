"""SQLite and PostgreSQL keep to the contract of a Schedule, and cronsim to that of Cron."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from crm_adapters.cron import CronExpressions, check_cron
from crm_domain.testing.schedule import ScheduleContract

SHANGHAI = ZoneInfo("Asia/Shanghai")
CRON = CronExpressions()


class TestSql(ScheduleContract):
    """The fixture ``crm`` opens each engine in turn."""


def at(*moment):
    return datetime(2026, *moment, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("expression", "now", "latest", "following"),
    [
        ("5 0 * * *", at(11, 2, 0, 5), at(11, 2, 0, 5), at(11, 3, 0, 5)),
        ("5 0 * * *", at(11, 2, 0, 4, 59), at(11, 1, 0, 5), at(11, 2, 0, 5)),
        ("* * * * *", at(11, 2, 9, 30, 0, 1), at(11, 2, 9, 30), at(11, 2, 9, 31)),
        ("0 9 * * MON-FRI", at(11, 8, 12), at(11, 6, 9), at(11, 9, 9)),
        ("0 0 1 1 *", at(11, 8), at(1, 1), at(1, 1).replace(year=2027)),
    ],
)
def test_slots_are_told_in_the_zone_of_the_moment(expression, now, latest, following):
    """A slot counts from its very moment on."""
    assert CRON.latest(expression, now) == latest
    assert CRON.following(expression, now) == following


def test_a_slot_that_summer_time_leaves_out_or_repeats_runs_once():
    """As Debian's cron has it, in zones where that matters."""
    berlin = ZoneInfo("Europe/Berlin")
    for day in (
        datetime(2026, 3, 29, 12, tzinfo=berlin),
        datetime(2026, 10, 25, 12, tzinfo=berlin),
    ):
        slot = CRON.latest("30 2 * * *", day)
        assert slot.date() == day.date()
        before = CRON.latest("30 2 * * *", slot.replace(hour=0, minute=0))
        assert (slot.date() - before.date()).days == 1


@pytest.mark.parametrize("wrong", ["nightly", "0 5 * *", "61 * * * *", "0 0 30 2 *", "0 0 0 * * *"])
def test_what_is_no_expression_of_five_fields_is_refused(wrong):
    """Seconds are none of ours."""
    with pytest.raises(ValueError, match=r"\w"):
        check_cron(wrong)
