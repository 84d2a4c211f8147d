"""Pool rules (spec section 4): which limits hold for whom, and what changing them does."""

import random
from datetime import date, datetime, timedelta
from typing import Any

import attrs
import pytest

from crm_domain import SYSTEM
from crm_domain.errors import (
    CrmError,
    Invalid,
)
from crm_domain.model import Course, Intention, PoolRule, School
from crm_domain.parsing import parse_fields
from crm_domain.rules.pool import Calendar, dated, is_public
from crm_domain.usecases import (
    follow_up,
    intake,
    pool,
    pool_rules,
    records,
)
from crm_domain.usecases._common import policy
from make import World
from steps import TICK, in_pool, on


def test_changing_a_limit_dates_the_customers_anew(world: World) -> None:
    """A dry run counts who would become public and changes nothing; saving makes just them so."""
    # given
    first, second = world.customer(world.a), world.customer(world.b)
    world.clock.set(on(3, 12))
    follow_up.log_follow_up(world.crm, second.id or 0, {"note": "x"}, by=world.b)
    shorter = [{"contact_days": 1, "closing_days": 15}]
    # when
    would = pool_rules.set_pool_rules(world.crm, shorter, dry_run=True, by=SYSTEM)
    # then
    assert (would, in_pool(world)) == (1, [])
    assert pool_rules.set_pool_rules(world.crm, shorter, by=SYSTEM) == 1
    assert in_pool(world) == [first.id]
    world.clock.set(on(5))
    assert in_pool(world) == [second.id, first.id]


def test_a_dry_run_counts_just_whom_the_rules_would_release(world: World) -> None:
    """Counted by set as they are dated one by one, whatever the rules and the customers are."""
    # given
    crm, chance = world.crm, random.Random(20261101)
    # Most are private by the present rule.
    pool_rules.set_pool_rules(crm, [{"contact_days": 12, "closing_days": 16}], by=SYSTEM)
    schools = [records.save_record(crm, School(title=t), by=SYSTEM).id for t in "东西"]
    courses = [records.save_record(crm, Course(title=t), by=SYSTEM).id for t in "甲乙丙"]
    sources, intentions = (None, "baidu", "seo"), (None, "no_plan", "within_1_week")

    def moment() -> datetime:
        edge = chance.choice([-TICK, timedelta(), TICK, timedelta(hours=chance.randrange(24))])
        return on(chance.randint(1, 18)) + edge

    for n in range(60):
        chosen = chance.sample(courses, chance.randrange(3))
        made = world.customer(
            (world.a, world.b, None)[n % 3], source=chance.choice(sources), courses=chosen,
            school_id=chance.choice([None, *schools]),
        )  # fmt: skip
        received = moment()
        if made.owner_id is not None:
            held = attrs.evolve(
                made, received_at=received, last_contacted_at=max(received, moment()),
                dated_anew_at=chance.choice([None, None, moment()]),
                payment_pending_on=chance.choice([None, None, moment().date()]),
                intention=Intention(i) if (i := chance.choice(intentions)) else None,
                locked=n % 10 == 0,
            )  # fmt: skip
            with crm.unit_of_work() as uow:
                uow.ownership.keep(dated(held, policy(crm, uow)))
    world.clock.set(on(19, 12))
    with crm.unit_of_work(read_only=True) as uow:
        everybody = uow.ownership.owned_after(0, 1000, lock=False)
        present = policy(crm, uow)
    today, found = crm.today(), set()
    for _ in range(40):
        rules = [
            {"school_id": chance.choice([None, None, *schools]),
             "course_id": chance.choice([None, None, *courses]),
             "source": chance.choice(sources), "intention": chance.choice(intentions),
             "contact_days": chance.randrange(9), "closing_days": chance.randrange(30),
             "working_days": chance.choice([True, False])}
            for _ in range(chance.randrange(4))
        ]  # fmt: skip
        holidays = {on(d).date(): chance.choice([True, False]) for d in range(1, 18, 3)}
        read = tuple(PoolRule(**parse_fields(PoolRule, {"position": i, **r})[0])
                     for i, r in enumerate(rules))  # fmt: skip
        new = attrs.evolve(present, rules=read, calendar=Calendar(holidays))
        expected = sum(
            is_public(dated(c, new), today) for c in everybody if not is_public(c, today)
        )
        # when / then
        told = pool_rules.set_pool_rules(crm, rules, holidays=holidays, dry_run=True, by=SYSTEM)
        assert told == expected, rules
        found.add(told)
    assert len(found) > 5


def test_a_longer_limit_does_not_give_a_lost_customer_back(world: World) -> None:
    """What is public stays public, whether a sweep has run or not."""
    # given
    customer = world.customer(world.a)
    world.clock.set(on(5))
    # when
    pool_rules.set_pool_rules(world.crm, [{"contact_days": 30, "closing_days": 60}], by=SYSTEM)
    # then
    assert in_pool(world) == [customer.id]


def test_editing_does_not_give_a_lost_customer_back(world: World) -> None:
    """A change that would bring another rule into force changes nothing for who lost it."""
    # given
    rules = [{"source": "referral", "contact_days": 30, "closing_days": 60}, {}]
    pool_rules.set_pool_rules(world.crm, rules, by=SYSTEM)
    customer = world.customer(world.a)
    world.clock.set(on(5))
    # when
    intake.edit_customer(world.crm, customer.id or 0, {"source": "referral"}, version=1, by=SYSTEM)
    # then
    assert in_pool(world) == [customer.id]


def test_the_first_rule_that_fits_applies(world: World) -> None:
    """Rules are asked in order; the last one fits everybody."""
    # given
    rules = [{"source": "referral", "contact_days": 1}, {"contact_days": 5}]
    pool_rules.set_pool_rules(world.crm, rules, by=SYSTEM)
    referred, other = world.customer(world.a, source="内部转介绍"), world.customer(world.a)
    # when / then
    world.clock.set(on(3))
    assert in_pool(world) == [referred.id]
    world.clock.set(on(7) - TICK)
    assert in_pool(world) == [referred.id]
    world.clock.set(on(7))
    assert in_pool(world) == [other.id, referred.id]


def test_a_rule_may_count_working_days(world: World) -> None:
    """Weekends and holidays do not count, and a working Saturday (调休) does."""
    # given: the 1st is a Sunday; the 4th is a holiday and the 7th, a Saturday, is worked
    holidays = {date(2026, 11, 4): False, date(2026, 11, 7): True}
    rule = {"contact_days": 3, "working_days": True}
    pool_rules.set_pool_rules(world.crm, [rule], holidays=holidays, by=SYSTEM)
    # when: working days after the 1st are the 2nd, 3rd, 5th, 6th
    customer = world.customer(world.a)
    # then
    world.clock.set(on(6) - TICK)
    assert in_pool(world) == []
    world.clock.set(on(6))
    assert in_pool(world) == [customer.id]
    late = world.customer(world.b)
    world.clock.set(on(11) - TICK)
    assert late.id not in in_pool(world)
    world.clock.set(on(11))
    assert late.id in in_pool(world)


def test_rules_with_mistakes_are_refused_with_all_of_them(world: World) -> None:
    """Nothing is saved, and each mistake says in which rule it is."""
    wrong = [{"contact_days": -1}, {"closing_days": "x"}, {"source": "nowhere"}]
    with pytest.raises(Invalid) as refused:
        pool_rules.set_pool_rules(world.crm, wrong, by=SYSTEM)
    paths = {p.path for p in refused.value.problems}
    assert paths == {"0.contact_days", "1.closing_days", "2.source"}


@pytest.mark.parametrize(
    "wrong",
    [None, "x", [None], ["x"], [3], [{"contact_days": 10**30}], [{"position": "x"}],
     [{"position": 0}, {"position": 0}], [{}] * (pool_rules.MOST + 1)],
)  # fmt: skip
def test_rules_that_are_none_are_refused(world: World, wrong: Any) -> None:
    """And what holds stays."""
    with pytest.raises(CrmError):
        pool_rules.set_pool_rules(world.crm, wrong, by=SYSTEM)
    assert pool_rules.set_pool_rules(world.crm, [{}], dry_run=True, by=SYSTEM) == 0


@pytest.mark.parametrize("wrong", [{"2026-11-04": True}, {date(2026, 11, 4): "yes"}, [1], "x"])
def test_holidays_are_days(world: World, wrong: Any) -> None:
    """Each with whether it is a working day."""
    with pytest.raises(Invalid):
        pool_rules.set_pool_rules(world.crm, [{}], holidays=wrong, by=SYSTEM)


def test_a_dry_run_of_rules_waits_for_nobody_and_changes_nothing(world: World) -> None:
    """It answers while somebody holds a customer, and tells what the change then does."""
    # given
    numbers = [world.customer(world.a).id for _ in range(3)]
    world.clock.set(on(3))
    # when
    with world.crm.unit_of_work() as uow:
        uow.customers.lock(numbers[0] or 0)
        told = pool_rules.set_pool_rules(
            world.crm, [{"contact_days": 1}], dry_run=True, by=SYSTEM
        )  # fmt: skip
    # then
    assert told == 3
    assert in_pool(world) == []
    assert pool_rules.set_pool_rules(world.crm, [{"contact_days": 1}], by=SYSTEM) == 3
    assert sorted(in_pool(world)) == numbers


def test_many_customers_are_dated_anew_by_set(world: World) -> None:
    """As many as travel in arrays, each with its own dates."""
    # given
    numbers = [world.customer(world.a).id for _ in range(60)]
    for number in numbers[:30]:
        world.clock.advance(timedelta(minutes=1))
        follow_up.log_follow_up(world.crm, number or 0, {"note": "电话"}, by=world.a)
    # when
    pool_rules.set_pool_rules(world.crm, [{"contact_days": 5, "closing_days": 4}], by=SYSTEM)
    # then
    world.clock.set(on(6) - TICK)
    assert in_pool(world) == []
    world.clock.set(on(6))
    assert len(in_pool(world)) == 50
    released = pool.sweep_pool(world.crm, by=SYSTEM)
    assert dict(released.by_status) == {4: 60}
