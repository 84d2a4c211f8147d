"""The whole core against a model of fifty lines, written from the specification alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.stateful import run_state_machine_as_test as run

from crm_adapters import open_crm
from crm_domain import SYSTEM, Query
from crm_domain.errors import ClaimRefused, CrmError, NotAssignable, NotFound, NotOwner
from crm_domain.ports import Settings
from crm_domain.testing.clock import FixedClock
from crm_domain.usecases import access, assignment, follow_up, intake, pool
from races import mutants, office
from races.invariants import violations
from races.tasks import START

QUOTAS = (2, 1, 1)
BEGIN = ("rotation", "rotation", "rotation", "pool")
"""Who is there from the beginning, so that every rule has somebody to work on."""
Make = Callable[[str], Any]


@dataclass
class Person:
    """A customer of the model."""

    owner: int | None = None
    last: int | None = None
    received: date = date.min
    contacted: date = date.min

    def public(self, today: date) -> bool:
        """Whether it is anybody's: no owner, 15 days since it was received, 3 since contact."""
        if self.owner is None:
            return True
        return (today - self.received).days > 15 or (today - self.contacted).days > 3

    def give(self, to: int, today: date) -> None:
        """Make it somebody's."""
        self.owner = self.last = to
        self.received = self.contacted = today


@dataclass
class Model:
    """The school as the specification describes it."""

    cycle: list[int]
    people: dict[int, Person] = field(default_factory=dict)
    place: int = 0
    disabled: set[int] = field(default_factory=set)

    def deal(self) -> int | None:
        """Tell who is next and use up the turns that lead there; nobody uses up none."""
        for ahead in range(2 * len(self.cycle)):
            who = self.cycle[(self.place + ahead) % len(self.cycle)]
            if who not in self.disabled:
                self.place += ahead + 1
                return who
        return None


class School(RuleBasedStateMachine):
    """Does to the product and to the model the same, and compares what they answer."""

    source: Any
    numbers = count(1)

    @initialize(away=st.sampled_from([None, None, *range(len(QUOTAS))]))
    def open(self, away: int | None) -> None:
        """Open a fresh copy of a school with three consultants, one of them disabled or none."""
        self.url = self.source.copy()
        self.clock = FixedClock(START)
        self.crm = open_crm(self.url, clock=self.clock, settings=Settings())
        names = [f"sales{i}" for i in range(len(QUOTAS))]
        self.staff = [access.principal_for(self.crm, username=n) for n in names]
        ids = [p.employee_id or 0 for p in self.staff]
        plan = [(e, q, -i) for i, (e, q) in enumerate(zip(ids, QUOTAS, strict=True))]
        self.model = Model(office.laid_out(plan))
        if away is not None:
            self.turn(away, False)
        for to in BEGIN:
            self.enter(to)

    @property
    def today(self) -> date:
        """The day in Shanghai."""
        return (self.clock() + timedelta(hours=8)).date()

    def pick(self, n: int, public: bool = False) -> tuple[int, Person]:
        """Choose a customer, or a public one if there is any."""
        people = self.model.people
        among = [k for k, p in people.items() if public and p.public(self.today)] or list(people)
        number = among[n % len(among)]
        return number, people[number]

    def expect(self, wrong: tuple[type[CrmError], ...], act: Callable[[], Any]) -> None:
        """Do it, and see it refused if the model refuses."""
        with pytest.raises(wrong) if wrong else contextlib.nullcontext():
            act()

    who = st.integers(0, len(QUOTAS) - 1)
    which = st.integers(0, 5)

    def enter(self, to: Any) -> None:
        """Enter a customer."""
        values = {"name": "王芳", "wechat": f"wx_state_{next(self.numbers)}"}
        made = intake.register_customer(self.crm, values, to=to, by=SYSTEM)
        person = self.model.people[made.id or 0] = Person()
        owner = self.model.deal() if to == "rotation" else None
        if owner is not None:
            person.give(owner, self.today)

    @rule(to=st.sampled_from(["rotation", "rotation", "pool"]))
    def register(self, to: Any) -> None:
        """Enter one more customer."""
        self.enter(to)

    @rule(n=which, w=who, public=st.booleans())
    def claim(self, n: int, w: int, public: bool) -> None:
        """Claim a customer."""
        number, person = self.pick(n, public)
        me = self.model_id(w)
        allowed = person.public(self.today) and person.last != me and me not in self.model.disabled
        refused = () if allowed else (ClaimRefused, NotFound)
        self.expect(refused, lambda: pool.claim_customer(self.crm, number, by=self.staff[w]))
        if allowed:
            person.give(me, self.today)

    def model_id(self, w: int) -> int:
        """Tell the employee of a consultant."""
        return self.staff[w].employee_id or 0

    @rule(n=which, w=who)
    def follow(self, n: int, w: int) -> None:
        """Log a contact."""
        number, person = self.pick(n)
        mine = person.owner == self.model_id(w) and not person.public(self.today)
        self.expect(
            () if mine else (NotOwner,),
            lambda: follow_up.log_follow_up(self.crm, number, {"note": "电话"}, by=self.staff[w]),
        )
        if mine:
            person.contacted = self.today

    @rule(n=which, w=who)
    def release(self, n: int, w: int) -> None:
        """Give a customer back."""
        number, person = self.pick(n)
        mine = person.owner == self.model_id(w) and not person.public(self.today)
        self.expect(
            () if mine else (NotOwner,),
            lambda: pool.release_customer(self.crm, number, by=self.staff[w]),
        )
        if mine:
            person.owner = None

    @rule(n=which, w=who)
    def transfer(self, n: int, w: int) -> None:
        """Move a private customer to another consultant."""
        number, person = self.pick(n)
        to = self.model_id(w)
        free = not person.public(self.today)
        allowed = free and person.owner != to and to not in self.model.disabled
        wrong = () if allowed else (NotAssignable if free else CrmError,)
        self.expect(wrong, lambda: assignment.transfer_customer(self.crm, number, to, by=SYSTEM))
        if allowed:
            person.give(to, self.today)

    @rule(hours=st.sampled_from([1, 13, 14, 24, 72, 96, 15 * 24, 16 * 24]))
    def wait(self, hours: int) -> None:
        """Let time pass; 14 hours after the start it is midnight."""
        self.clock.advance(timedelta(hours=hours))

    @rule()
    def sweep(self) -> None:
        """Take back what is overdue."""
        doomed = [
            p for p in self.model.people.values() if p.owner is not None and p.public(self.today)
        ]
        assert pool.sweep_pool(self.crm, by=SYSTEM).released == len(doomed)
        for person in doomed:
            person.owner = None

    @rule(w=who, active=st.booleans())
    def switch(self, w: int, active: bool) -> None:
        """Disable or enable somebody's account."""
        self.turn(w, active)

    def turn(self, w: int, active: bool) -> None:
        """Disable or enable an account."""
        access.set_active(self.crm, f"sales{w}", active, by=SYSTEM)
        (self.model.disabled.discard if active else self.model.disabled.add)(self.model_id(w))

    @invariant()
    def same(self) -> None:
        """Owners, last consultants and the pool are the model's."""
        if not hasattr(self, "model"):
            return
        with self.crm.unit_of_work(read_only=True) as uow:
            stored = {n: uow.customers.get(n) for n in self.model.people}
            shown = uow.customers.page(Query(limit=1000), None, self.today).items
        people = self.model.people.items()
        assert {n: (c.owner_id, c.last_consultant_id) for n, c in stored.items() if c} == {
            n: (p.owner, p.last) for n, p in people
        }
        # Whoever lost a customer at midnight is not shown as its owner, swept or not.
        assert {c.id: c.owner_id for c in shown} == {
            n: None if p.public(self.today) else p.owner for n, p in people
        }
        public = {c.id for c in pool.public_customers(self.crm, Query(limit=1000), by=SYSTEM)}
        assert public == {n for n, p in self.model.people.items() if p.public(self.today)}

    def teardown(self) -> None:
        """See that the database obeys its laws, too."""
        if hasattr(self, "crm"):
            self.crm.close()
            assert violations(self.url, passed_over=True) == []
            self.source.drop()


def prepared(source: Any) -> type[School]:
    """Give the machine for a database in which the consultants are hired."""
    with open_crm(source.url, clock=FixedClock(START), settings=Settings()) as crm:
        staff = office.hire(crm, len(QUOTAS))
        plan = [(c.employee_id, q, -i) for i, (c, q) in enumerate(zip(staff, QUOTAS, strict=True))]
        office.set_plan(crm, plan)
    return type("Prepared", (School,), {"source": source})


def told(examples: int) -> settings:
    """Give what hypothesis is told; it shrinks nothing: that takes minutes, and runs repeat."""
    return settings(
        max_examples=examples, stateful_step_count=25, deadline=None, database=None,
        derandomize=True, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "examples"),
    [
        pytest.param("sqlite", 60, marks=pytest.mark.xdist_group("races-sqlite")),
        pytest.param("postgresql", 10, marks=pytest.mark.xdist_group("races-postgresql")),
    ],
)
def test_the_core_does_what_the_model_does(engine: str, examples: int, copies: Make) -> None:
    """Whatever people do in whatever order, owners, the pool and refusals are the model's."""
    run(prepared(copies(engine)), settings=told(examples))


MISTAKES: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "the last consultant may claim": mutants.last_consultants_may_claim,
    "customers stay private a day too long": mutants.a_day_too_long,
    "the absent are dealt to": mutants.the_absent_are_dealt_to,
}


@pytest.mark.xdist_group("races-sqlite")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_control_a_planted_mistake_is_found(
    mistake: str, copies: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine fails when the product breaks a rule."""
    machine = prepared(copies("sqlite"))
    MISTAKES[mistake](monkeypatch)
    with pytest.raises((AssertionError, CrmError, pytest.fail.Exception)):
        run(machine, settings=told(200))
