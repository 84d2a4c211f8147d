"""Who may take a public customer (spec section 5)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_domain.errors import AlreadyClaimed
from crm_domain.model import Customer, CustomerStatus
from crm_domain.rules.claims import Claim, refusals
from strategies import counts

NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)
TODAY = date(2026, 11, 23)
ME, OTHER = 1, 2
POOLED = Customer(name="王五", phone="13800138000", due_on=date.min)
EXPIRED = attrs.evolve(
    POOLED, owner_id=OTHER, last_consultant_id=OTHER, received_at=NOW - timedelta(days=9),
    due_on=TODAY,
)  # fmt: skip
HELD = attrs.evolve(EXPIRED, due_on=TODAY + timedelta(days=1))


def claim(customer: Customer = POOLED, **more) -> Claim:
    """Make a claim that is allowed but for what is said."""
    facts = {"employee_id": ME, "active": True, "today": TODAY, "now": NOW} | more
    return Claim(customer=customer, **facts)


def reasons(c: Claim) -> list[str]:
    return [refused.facts["reason"] for refused in refusals(c)]


@pytest.mark.parametrize("customer", [POOLED, EXPIRED], ids=["pooled", "expired"])
def test_an_allowed_claim_meets_no_refusal(customer):
    """A public customer, an active consultant, no limits: nothing speaks against it."""
    assert list(refusals(claim(customer))) == []


ENROLLED = attrs.evolve(POOLED, status=CustomerStatus.ENROLLED)
LOCKED = attrs.evolve(POOLED, locked=True)
REFUSED = [
    ("not_active", claim(active=False)),
    ("enrolled", claim(ENROLLED)),
    ("locked", claim(LOCKED)),
    ("yours", claim(attrs.evolve(HELD, owner_id=ME))),
    ("already_claimed", claim(HELD, owner_name="赵六")),
    ("not_public", claim(HELD)),
    ("last_consultant", claim(attrs.evolve(POOLED, last_consultant_id=ME))),
    (
        "cool_down",
        claim(attrs.evolve(POOLED, last_consultant_id=ME), last_ended_at=NOW, cool_down_days=2),
    ),
    ("own_entry", claim(entered_oneself=True)),
    ("max_owned", claim(owned=5, max_owned=5)),
    ("max_per_day", claim(claimed_today=3, max_claims_per_day=3)),
]


@pytest.mark.parametrize(("reason", "refused"), REFUSED, ids=[r for r, _ in REFUSED])
def test_each_reason_refuses_by_its_name(reason, refused):
    """One fact against the claim gives one refusal, in both languages."""
    (found,) = refusals(refused)
    assert found.reason == reason
    assert found.message("zh") != found.message("en")
    assert found.message("en").isascii() or reason == "already_claimed"


def test_the_former_owner_cannot_claim_before_the_sweep_has_run():
    """Overdue at midnight: still in the owner's row, but no longer the owner's to take again."""
    assert reasons(claim(EXPIRED, employee_id=OTHER)) == ["last_consultant"]


def test_everybody_else_can_claim_before_the_sweep_has_run():
    """An expired customer is public on its due day and private on the day before."""
    assert reasons(claim(EXPIRED)) == []
    assert reasons(claim(EXPIRED, today=TODAY - timedelta(days=1))) == ["not_public"]


def test_the_first_refusal_is_the_one_that_matters_most():
    """All reasons come in the order of the spec; the caller raises the first."""
    customer = attrs.evolve(
        HELD, status=CustomerStatus.ENROLLED, locked=True, last_consultant_id=ME
    )
    hopeless = claim(
        customer, active=False, owned=1, max_owned=1, claimed_today=1, max_claims_per_day=1
    )
    assert reasons(hopeless) == [
        "not_active", "enrolled", "locked", "not_public", "last_consultant", "max_owned",
        "max_per_day",
    ]  # fmt: skip


def test_too_late_says_who_has_the_customer_and_since_when():
    """The loser of a race learns the winner's name and the moment."""
    (found,) = refusals(claim(HELD, owner_name="赵六"))
    assert isinstance(found, AlreadyClaimed)
    assert (found.by_name, found.at, found.by_id) == ("赵六", HELD.received_at, OTHER)
    assert "赵六" in found.message("zh")


def test_refusals_are_looked_for_lazily():
    """Nothing after the first reason is worked out for a caller who stops there."""
    found = refusals(claim(ENROLLED, active=False))
    assert next(found).reason == "not_active"
    assert next(found).reason == "enrolled"


# The last consultant


MINE = attrs.evolve(POOLED, last_consultant_id=ME)


@pytest.mark.parametrize("ended", [None, NOW - timedelta(days=900)])
def test_without_a_cool_down_the_last_consultant_never_claims_again(ended):
    """However long ago it was, given back or expired."""
    assert reasons(claim(MINE, last_ended_at=ended)) == ["last_consultant"]


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (timedelta(0), ["cool_down"]),
        (timedelta(days=2) - timedelta(microseconds=1), ["cool_down"]),
        (timedelta(days=2), []),
        (timedelta(days=9), []),
    ],
)
def test_a_cool_down_lets_the_last_consultant_return_after_n_days(later, expected):
    """Two days to the microsecond after the assignment ended."""
    c = claim(MINE, last_ended_at=NOW - later, cool_down_days=2)
    assert reasons(c) == expected


def test_a_cool_down_of_no_days_lets_the_last_consultant_return_at_once():
    """Zero is a setting of its own, not the same as unset."""
    assert reasons(claim(MINE, last_ended_at=NOW, cool_down_days=0)) == []


def test_a_cool_down_concerns_the_last_consultant_alone():
    """Somebody else's last customer is free to take."""
    c = claim(attrs.evolve(POOLED, last_consultant_id=OTHER), last_ended_at=NOW, cool_down_days=9)
    assert reasons(c) == []


# Limits


@given(counts, st.none() | counts)
def test_a_limit_of_owned_customers_refuses_from_the_limit_on(owned, limit):
    """Below the limit is allowed, and without one everything is."""
    refused = reasons(claim(owned=owned, max_owned=limit))
    assert refused == ([] if limit is None or owned < limit else ["max_owned"])


@given(counts, st.none() | counts)
def test_a_limit_of_claims_a_day_refuses_from_the_limit_on(claimed, limit):
    """Below the limit is allowed, and without one everything is."""
    refused = reasons(claim(claimed_today=claimed, max_claims_per_day=limit))
    assert refused == ([] if limit is None or claimed < limit else ["max_per_day"])
