"""What hypothesis draws: plans, moments, customers, pool rules, values as people type them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import settings
from hypothesis import strategies as st

from crm_domain.model import Customer, CustomerStatus, Intention, PoolRule, Source
from crm_domain.rules.rotation import Entry

# A shared machine is slow now and then; how long one example takes says nothing about a law.
settings.register_profile("crm", deadline=None)
settings.load_profile("crm")

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOVEMBER = date(2026, 11, 1)
"""The days that are drawn lie in the ten weeks from here on."""


def local(day: date, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    """Tell a moment of the school's clock as it is stored, in UTC."""
    at = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=SHANGHAI)
    return at.astimezone(UTC)


@st.composite
def entries(
    draw: st.DrawFn, *, min_size: int = 0, max_size: int = 6, max_quota: int = 5
) -> tuple[Entry, ...]:
    """Plans in any order, with ties, quotas of 0 and inactive entries; each employee once."""
    ids = draw(st.lists(st.integers(1, 30), unique=True, min_size=min_size, max_size=max_size))
    return tuple(
        Entry(
            employee_id,
            draw(st.integers(0, max_quota)),
            draw(st.integers(-2, 2)),
            draw(st.sampled_from([True, True, True, False])),
        )
        for employee_id in ids
    )


days = st.integers(0, 70).map(lambda n: NOVEMBER + timedelta(days=n))


@st.composite
def moments(draw: st.DrawFn) -> datetime:
    """Moments in UTC, most of them within a microsecond of a local midnight."""
    midnight = local(draw(days))
    edge = st.sampled_from([-1, 0, 1]).map(lambda n: timedelta(microseconds=n))
    inside = st.integers(0, 86_399).map(lambda n: timedelta(seconds=n))
    return midnight + draw(edge | inside)


some_id = st.none() | st.integers(1, 3)
sources = st.none() | st.sampled_from([Source.BAIDU, Source.REFERRAL, Source.OTHER])
intentions = st.none() | st.sampled_from([Intention.NO_PLAN, Intention.WITHIN_2_DAYS])
calendars = st.dictionaries(days, st.booleans(), max_size=12)
"""Exceptions from the week: holidays (False) and working weekends (True)."""


@st.composite
def pool_rules(draw: st.DrawFn, *, max_size: int = 3) -> tuple[PoolRule, ...]:
    """A school's pool rules, in any order, each position once."""
    positions = draw(st.lists(st.integers(1, 9), unique=True, max_size=max_size))
    return tuple(
        PoolRule(
            position=position,
            school_id=draw(some_id),
            course_id=draw(some_id),
            source=draw(sources),
            intention=draw(intentions),
            contact_days=draw(st.integers(0, 6)),
            closing_days=draw(st.integers(0, 20)),
            warning_days=draw(st.integers(0, 3)),
            working_days=draw(st.booleans()),
        )
        for position in positions
    )


@st.composite
def customers(draw: st.DrawFn) -> Customer:
    """Customers in every state that the pool rule looks at, legal combinations only."""
    facts: dict[str, Any] = {
        "name": "张三",
        "phone": "13800138000",
        "school_id": draw(some_id),
        "courses": tuple(draw(st.lists(st.integers(1, 3), unique=True, max_size=2))),
        "source": draw(sources),
        "intention": draw(intentions),
        "locked": draw(st.sampled_from([False, False, False, True])),
        "status": draw(
            st.sampled_from([CustomerStatus.NOT_ENROLLED] * 4 + [CustomerStatus.ENROLLED])
        ),
        "archived_at": draw(st.sampled_from([None, None, None, local(NOVEMBER)])),
    }
    if draw(st.sampled_from([True, True, True, False])):
        received = draw(moments())
        facts |= {
            "owner_id": 7,
            "received_at": received,
            "last_contacted_at": received + draw(st.timedeltas(timedelta(0), timedelta(days=20))),
            "payment_pending_on": draw(st.none() | days),
            "dated_anew_at": draw(st.none() | moments()),
        }
    return Customer(**facts)


counts = st.integers(0, 50)
words = st.text(max_size=30)
cells = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.text(max_size=30),
    st.text("0123456789+-.()/:eE 年月日元￥,，QqX０８〇\u200b", max_size=24),
    st.text(st.characters(), max_size=12),
)
"""Whatever stands in a sheet's cell or comes in over the API."""
