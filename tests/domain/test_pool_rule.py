"""When a customer becomes anybody's (spec section 4)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_domain.model import AssignmentStatus, Customer, CustomerStatus, Intention, PoolRule, Source
from crm_domain.rules.pool import (
    ALWAYS,
    DEFAULT_RULE,
    NEVER,
    Calendar,
    PoolPolicy,
    dated,
    due,
    is_public,
    lapses,
    rule_for,
)
from strategies import SHANGHAI, calendars, customers, days, local, pool_rules

POLICY = PoolPolicy(zone=SHANGHAI)
MICRO = timedelta(microseconds=1)
DAY = timedelta(days=1)
NOT_CLOSED, NO_FOLLOW_UP = AssignmentStatus.NOT_CLOSED, AssignmentStatus.NO_FOLLOW_UP


def nov(day: int) -> date:
    return date(2026, 11, day)


def customer(received: datetime, contacted: datetime | None = None, **more) -> Customer:
    """Make a customer in somebody's hands."""
    return Customer(
        name="李四", phone="13800138000", owner_id=7, received_at=received,
        last_contacted_at=contacted or received, **more,
    )  # fmt: skip


def public_at(c: Customer, at: datetime, policy: PoolPolicy = POLICY) -> bool:
    """Ask at a moment, as a claim does."""
    return is_public(dated(c, policy), policy.day(at))


# The boundaries, to the microsecond

FIRST = local(nov(1)), local(nov(1), 12), local(nov(2)) - MICRO
NINETEENTH = local(nov(19)), local(nov(19), 12), local(nov(20)) - MICRO


@pytest.mark.parametrize("received", FIRST)
@pytest.mark.parametrize(
    ("asked", "public"),
    [
        (local(nov(16)), False),
        (local(nov(17)) - MICRO, False),
        (local(nov(17)), True),
        (local(nov(17)) + MICRO, True),
    ],
)
def test_received_on_the_1st_is_private_all_16th_and_public_from_the_17th(received, asked, public):
    """Whatever the hour it was received, only the local day counts."""
    c = customer(received, local(nov(16)))
    assert public_at(c, asked) is public
    assert due(c, POLICY).due_status is NOT_CLOSED
    assert due(c, POLICY).due_days == 15


@pytest.mark.parametrize("contacted", NINETEENTH)
@pytest.mark.parametrize(
    ("asked", "public"),
    [
        (local(nov(22)), False),
        (local(nov(23)) - MICRO, False),
        (local(nov(23)), True),
        (local(nov(23)) + MICRO, True),
    ],
)
def test_contacted_on_the_19th_is_private_through_the_22nd_and_public_from_the_23rd(
    contacted, asked, public
):
    """Whatever the hour of the contact, only the local day counts."""
    c = customer(local(nov(18)), contacted)
    assert public_at(c, asked) is public
    assert due(c, POLICY).due_status is NO_FOLLOW_UP
    assert due(c, POLICY).due_days == 3


def test_one_microsecond_around_local_midnight_is_one_day():
    """A contact just before midnight belongs to the day that ends, in the school's zone."""
    midnight = local(nov(20))
    before, after = customer(midnight, midnight - MICRO), customer(midnight, midnight)
    assert due(before, POLICY).due_on == nov(23)
    assert due(after, POLICY).due_on == nov(24)


def test_moments_stored_in_utc_are_counted_by_the_local_day():
    """16:30 UTC on the 19th is already the 20th in Shanghai."""
    at = datetime(2026, 11, 19, 16, 30, tzinfo=UTC)
    assert due(customer(at), POLICY).due_on == nov(24)
    assert due(customer(at), PoolPolicy(zone=UTC)).due_on == nov(23)
    assert due(customer(at), PoolPolicy(zone=ZoneInfo("America/New_York"))).due_on == nov(23)


def test_the_same_moment_in_another_offset_gives_the_same_day():
    """What counts is the moment, not how it was written."""
    at = local(nov(19), 0, 30)
    assert due(customer(at.astimezone(SHANGHAI)), POLICY) == due(customer(at), POLICY)


# Which limit


@pytest.mark.parametrize(
    ("received", "contacted", "due_on", "status", "limit"),
    [
        (1, 1, 5, NO_FOLLOW_UP, 3),
        (1, 12, 16, NO_FOLLOW_UP, 3),
        (1, 13, 17, NOT_CLOSED, 15),
        (1, 14, 17, NOT_CLOSED, 15),
    ],
)
def test_the_limit_that_passes_first_decides_and_both_on_one_day_are_not_closed(
    received, contacted, due_on, status, limit
):
    """Third row: both limits pass on the 17th, and the status is 4."""
    found = due(customer(local(nov(received)), local(nov(contacted))), POLICY)
    assert (found.due_on, found.due_status, found.due_days) == (nov(due_on), status, limit)


def test_a_customer_never_contacted_counts_from_the_day_it_was_received():
    """A missing last contact is no licence to keep the customer."""
    c = Customer(name="李四", phone="1", owner_id=7, received_at=local(nov(1)))
    assert due(c, POLICY).due_on == nov(5)


@given(st.integers(0, 9))
def test_the_owner_is_warned_the_rules_days_ahead(n):
    """The warning day lies as many days before the due day as the rule says."""
    rule = PoolRule(position=1, warning_days=n)
    found = due(customer(local(nov(10))), PoolPolicy(zone=SHANGHAI, rules=(rule,)))
    assert found.due_on == nov(14)
    assert found.warn_on == nov(14) - n * DAY


# Working days: the National Day week of 2026 as an example of 调休

GOLDEN_WEEK = {date(2026, 10, d): False for d in range(1, 8)} | {
    date(2026, 9, 27): True,  # a Sunday, worked
    date(2026, 10, 10): True,  # a Saturday, worked
}


@pytest.mark.parametrize(
    ("start", "days", "free_again"),
    [
        (date(2026, 11, 2), 3, date(2026, 11, 6)),  # Monday: Tue Wed Thu Fri
        (date(2026, 11, 6), 3, date(2026, 11, 12)),  # Friday: Mon Tue Wed Thu
        (date(2026, 11, 7), 0, date(2026, 11, 9)),  # Saturday: Monday is more than 0
        (date(2026, 9, 25), 3, date(2026, 9, 30)),  # Friday: the working Sunday counts
        (date(2026, 9, 30), 0, date(2026, 10, 8)),  # nothing counts in the holidays
        (date(2026, 10, 8), 1, date(2026, 10, 10)),  # Thursday: Fri, working Saturday
        (date(2026, 10, 2), 0, date(2026, 10, 8)),  # Monday the 5th is a holiday
    ],
)
def test_working_days_follow_the_holiday_table(start, days, free_again):
    """Weekends and holidays do not count, worked weekends do."""
    assert Calendar(GOLDEN_WEEK).after(start, days, working_days=True) == free_again


def test_only_a_rule_that_says_so_counts_working_days():
    """The same holiday table leaves a calendar-day rule alone."""
    c = customer(local(date(2026, 9, 30)))
    calendar = Calendar(GOLDEN_WEEK)
    plain = PoolPolicy(zone=SHANGHAI, calendar=calendar)
    working = PoolPolicy(
        zone=SHANGHAI, calendar=calendar, rules=(PoolRule(position=1, working_days=True),)
    )
    assert due(c, plain).due_on == date(2026, 10, 4)
    assert due(c, working).due_on == date(2026, 10, 11) + DAY  # 8, 9, 10 (worked), 12


@given(calendars, days, st.integers(0, 12))
def test_the_day_after_n_working_days_is_the_first_with_more_than_n(exceptions, start, n):
    """More than n working days have passed on that day, and on no day before it."""
    calendar = Calendar(exceptions)
    found = calendar.after(start, n, working_days=True)

    def passed(until: date) -> int:
        return sum(calendar.works(start + k * DAY) for k in range(1, (until - start).days + 1))

    assert passed(found) == n + 1
    assert passed(found - DAY) == n


# Which rule


def test_the_first_fitting_rule_in_order_applies():
    """Order is the position, not the place in the list."""
    late = PoolRule(position=2, source=Source.BAIDU, contact_days=9)
    early = PoolRule(position=1, source=Source.BAIDU, contact_days=1)
    assert rule_for([late, early], None, (), Source.BAIDU, None) is early


@pytest.mark.parametrize(
    ("condition", "fitting", "other"),
    [
        ({"school_id": 1}, {"school_id": 1}, {"school_id": 2}),
        ({"course_id": 1}, {"courses": (3, 1)}, {"courses": (3, 2)}),
        ({"source": Source.BAIDU}, {"source": Source.BAIDU}, {"source": Source.SEO}),
        (
            {"intention": Intention.WITHIN_2_DAYS},
            {"intention": Intention.WITHIN_2_DAYS},
            {"intention": Intention.NO_PLAN},
        ),
    ],
    ids=["school", "course", "source", "intention"],
)
def test_every_condition_of_a_rule_must_fit_and_an_empty_one_fits_all(condition, fitting, other):
    """A condition lets its own value through, and neither another nor none."""
    policy = PoolPolicy(
        zone=SHANGHAI,
        rules=(
            PoolRule(position=1, contact_days=0, **condition),
            PoolRule(position=2, contact_days=9),
        ),
    )
    at = local(nov(1))
    assert due(customer(at, **fitting), policy).due_on == nov(2)
    assert due(customer(at, **other), policy).due_on == nov(11)
    assert due(customer(at), policy).due_on == nov(11)


def test_all_conditions_of_a_rule_must_fit_together():
    """School and source of the rule, but not one of them alone."""
    rule = PoolRule(position=1, school_id=1, source=Source.SEO)
    assert rule_for([rule], 1, (), Source.SEO, None) is rule
    assert rule_for([rule], 1, (), Source.BAIDU, None) is DEFAULT_RULE
    assert rule_for([rule], 2, (), Source.SEO, None) is DEFAULT_RULE


def test_without_a_fitting_rule_the_limits_are_3_and_15_days():
    """The default rule of the spec, warned one day ahead."""
    found = rule_for([], None, (), None, None)
    assert (found.contact_days, found.closing_days, found.warning_days) == (3, 15, 1)
    assert not found.working_days


# What keeps a customer private, and what does not


def test_a_pending_payment_keeps_a_customer_private_for_7_days():
    """Pending since the 10th: private through the 17th, public from the 18th, its status kept."""
    c = customer(local(nov(1)), payment_pending_on=nov(10))
    found = due(c, POLICY)
    assert (found.due_on, found.due_status, found.due_days) == (nov(18), NO_FOLLOW_UP, 3)
    assert found.warn_on == nov(17)


def test_a_pending_payment_never_shortens_a_limit():
    """It may only keep longer."""
    c = customer(local(nov(10)), local(nov(20)), payment_pending_on=nov(10))
    assert due(c, POLICY).due_on == nov(24)


def test_a_pending_payment_counts_calendar_days_under_a_rule_of_working_days_too():
    """Since Friday the 6th: public on Saturday the 14th, though two of the days were free."""
    rule = PoolRule(position=1, working_days=True)
    c = customer(local(date(2026, 10, 20)), payment_pending_on=nov(6))
    assert due(c, PoolPolicy(zone=SHANGHAI, rules=(rule,))).due_on == nov(14)


def test_how_long_a_pending_payment_protects_is_a_setting():
    """Two days instead of seven."""
    c = customer(local(nov(1)), payment_pending_on=nov(10))
    assert due(c, PoolPolicy(zone=SHANGHAI, payment_days=2)).due_on == nov(13)


def test_a_rejected_payment_dates_the_customer_anew():
    """Both limits begin on the day of the rejection."""
    c = customer(local(nov(1)), dated_anew_at=local(nov(10), 9))
    assert due(c, POLICY).due_on == nov(14)
    worked_on = customer(local(nov(1)), local(nov(25)), dated_anew_at=local(nov(10), 9))
    assert due(worked_on, POLICY).due_on == nov(26)
    assert due(worked_on, POLICY).due_status is NOT_CLOSED


def test_a_rejection_older_than_the_contact_changes_nothing_for_the_contact():
    """Dating anew never moves a date back."""
    c = customer(local(nov(10)), local(nov(12)), dated_anew_at=local(nov(1)))
    assert due(c, POLICY).due_on == nov(16)


@pytest.mark.parametrize(
    "state",
    [
        {"status": CustomerStatus.ENROLLED},
        {"locked": True},
        {"archived_at": local(nov(1))},
    ],
    ids=["enrolled", "locked", "archived"],
)
@pytest.mark.parametrize("held", [True, False])
def test_enrolled_locked_and_archived_customers_are_never_public(state, held):
    """However long ago anybody spoke to them, and with no owner too."""
    c = customer(local(nov(1)), **state)
    if not held:
        c = Customer(name="李四", phone="1", **state)
    found = due(c, POLICY)
    assert (found.due_on, found.due_status, found.warn_on) == (NEVER, None, None)
    assert not is_public(dated(c, POLICY), date(2999, 12, 31))


def test_a_customer_without_an_owner_is_public_always():
    """No status awaits it, because there is no assignment to close."""
    c = Customer(name="李四", phone="13800138000")
    found = due(c, POLICY)
    assert (found.due_on, found.due_status, found.warn_on) == (ALWAYS, None, None)
    assert is_public(dated(c, POLICY), date(1970, 1, 1))


# The rule as a whole


def plainly_public(c: Customer, today: date, policy: PoolPolicy) -> bool:
    """Say section 4 of the spec in its own words, asking one day at a time."""
    if c.status is CustomerStatus.ENROLLED or c.locked or c.archived_at is not None:
        return False
    if c.owner_id is None:
        return True
    contact, closing, working = 3, 15, False
    for r in sorted(policy.rules, key=lambda r: r.position):
        fits = [
            r.school_id is None or r.school_id == c.school_id,
            r.course_id is None or r.course_id in c.courses,
            r.source is None or r.source == c.source,
            r.intention is None or r.intention == c.intention,
        ]
        if all(fits):
            contact, closing, working = r.contact_days, r.closing_days, r.working_days
            break

    def local_day(at: datetime) -> date:
        return (at + timedelta(hours=8)).replace(tzinfo=None).date()

    def counts(day: date) -> bool:
        exception = policy.calendar.exceptions.get(day)
        weekday = day.isoweekday() not in (6, 7)
        return not working or (weekday if exception is None else exception)

    def days_since(start: date) -> int:
        return sum(counts(start + k * DAY) for k in range(1, (today - start).days + 1))

    received, contacted = local_day(c.received_at), local_day(c.last_contacted_at)
    if c.dated_anew_at is not None:
        anew = local_day(c.dated_anew_at)
        received, contacted = max(received, anew), max(contacted, anew)
    overdue = days_since(received) > closing or days_since(contacted) > contact
    pending = c.payment_pending_on
    protected = pending is not None and (today - pending).days <= policy.payment_days
    return overdue and not protected


@given(customers(), pool_rules(), calendars, st.integers(0, 9), st.data())
def test_the_stored_due_day_agrees_with_the_rule_in_plain_words(
    c, rules, exceptions, payment_days, data
):
    """One comparison of the stored day says what the spec says, on its edge and on any day."""
    policy = PoolPolicy(SHANGHAI, rules, Calendar(exceptions), payment_days)
    stored = dated(c, policy)
    asked = [data.draw(days)]
    if stored.due_on not in (ALWAYS, NEVER):
        asked += [stored.due_on - DAY, stored.due_on]
    for day in asked:
        assert is_public(stored, day) is plainly_public(c, day, policy)


@given(days, st.integers(0, 12), st.booleans(), calendars, st.integers(-30, 30))
def test_a_limit_read_backwards_is_the_same_limit(until, n, working, exceptions, away):
    """Whoever began before the day that it tells has had more than so many days; nobody else."""
    calendar = Calendar(exceptions)
    end = calendar.before(until, n, working)
    for start in (end - DAY, end, end + away * DAY):
        assert (calendar.after(start, n, working) <= until) is (start < end)


@given(customers(), pool_rules(), calendars, st.integers(0, 9), days)
def test_what_is_counted_by_set_is_what_the_rule_says(c, rules, exceptions, payment_days, today):
    """The moments before which one lapses agree with the day on which one is due."""
    policy = PoolPolicy(SHANGHAI, rules, Calendar(exceptions), payment_days)
    if c.owner_id is None or due(c, policy).due_on == NEVER:
        return
    told = lapses(policy, today)
    rule = rule_for(policy.rules, c.school_id, c.courses, c.source, c.intention)
    one = next(found for found in told.rules if found.rule == rule)
    anew = c.dated_anew_at or c.received_at
    lapsed = max(c.received_at, anew) < one.received_before or (
        max(c.last_contacted_at, anew) < one.contacted_before
    )
    kept = c.payment_pending_on is not None and c.payment_pending_on >= told.pending_before
    assert is_public(dated(c, policy), today) is (lapsed and not kept)


@given(customers(), pool_rules(), calendars)
def test_dating_twice_changes_nothing(c, rules, exceptions):
    """The due day depends on the facts, not on what was stored before."""
    policy = PoolPolicy(SHANGHAI, rules, Calendar(exceptions))
    once = dated(c, policy)
    assert dated(once, policy) == once
    assert once.due_status in (None, 3, 4)
    assert type(once.due_status) in (type(None), int)
