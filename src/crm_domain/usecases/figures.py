"""Numbers of the home pages. Each carries the list, and the question to it, that it counts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal

import attrs

from crm_domain.errors import FieldError, Invalid
from crm_domain.model import (
    INCOME,
    LOST,
    AssignmentMethod,
    AssignmentStatus,
    Employee,
    NoticeStatus,
    Stage,
)
from crm_domain.model import PaymentStatus as Paid
from crm_domain.ports import STAGE, TAB, Counted, Crm, Ends, Period, Query, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.rules.duty import has_left
from crm_domain.usecases import notices, schedule
from crm_domain.usecases._common import end_of_day, now_of, reach_of, start_of_day
from crm_domain.usecases._owning import claim_counts
from crm_domain.usecases.assignment import EXPIRING_DAYS, my_tabs

List = Literal[
    "assignment.my_customers", "assignment.list_assignments", "follow_up.list_follow_ups",
    "intake.list_customers", "notices.list_notices", "payments.list_payments",
    "pool.public_customers",
]  # fmt: skip
"""The use case that gives the rows, by module and name."""
AGES = (3, 7, 15)
"""Days since the last contact, by which what is owned is counted: 0-3, 4-7, 8-15, and more."""


@attrs.frozen(kw_only=True)
class Figure:
    """A number, and where its rows are."""

    value: int | Decimal
    list: List | None = None
    """None: no list has its rows."""
    query: Query | None = None
    """What to ask the list; as many rows come of it, on all pages together."""
    exact: bool = True
    """Whether these are all; otherwise it is to be read as "10000+"."""
    adds: str | None = None
    """The field whose values add up to the number, where it does not count the rows."""


@attrs.frozen(kw_only=True)
class MyFigures:
    """A consultant's day."""

    due: Figure
    """To be contacted by the end of today, or overdue for it."""
    expiring: Figure
    """Public soon."""
    owned: Figure
    won: Figure
    """This month."""
    claims_left: Figure | None
    """Claims that the limits still allow today; None without a limit, or for who may not claim."""
    pool: Figure | None
    """Customers in the pool; None for who may not see it."""


def my_figures(crm: Crm, *, days: int = EXPIRING_DAYS, by: Principal) -> MyFigures:
    """Count what a consultant's home page shows.

    Args:
        crm: The CRM.
        days: Of ``expiring``: the customer will be public within so many days.
        by: Who asks; needs ``customer:mine``. Whoever is no employee owns nothing.

    Raises:
        NotPermitted: Without the permission.
    """
    by.need("customer:mine")
    tabs = my_tabs(crm, days=days)
    today = crm.today()
    month = start_of_day(crm, today.replace(day=1))
    won = Query(where={"status": AssignmentStatus.WON},
                ranges={"ended_at": (month, end_of_day(crm, today))})  # fmt: skip
    counts, winnings = dict.fromkeys(tabs, 0), 0
    with crm.unit_of_work(read_only=True) as uow:
        if by.employee_id is not None:
            tally = uow.customers.tally_mine(by.employee_id, won, today, [TAB], tabs)
            counts, winnings = dict(tally.by[TAB]), tally.total
        public = None
        if by.may("pool:view"):
            hidden = crm.settings.hidden_in_pool
            found = uow.customers.tally(Query(), None, today, (), pool=True, masks=hidden)
            public = Figure(value=found.total, exact=found.exact, list="pool.public_customers",
                            query=Query())  # fmt: skip
        left = _claims_left(crm, uow, by)

    def of(name: str) -> Figure:
        return Figure(value=counts[name], list="assignment.my_customers", query=tabs[name])

    return MyFigures(
        due=of("due"), expiring=of("expiring"), owned=of("following"),
        won=Figure(value=winnings, list="assignment.my_customers", query=won),
        claims_left=left, pool=public,
    )  # fmt: skip


def _claims_left(crm: Crm, uow: UnitOfWork, by: Principal) -> Figure | None:
    """Count as the claim itself does: by day, and by what is owned."""
    settings, who = crm.settings, by.employee_id
    if who is None or not by.may("customer:claim"):
        return None
    owned, claimed = claim_counts(crm, uow, who, crm.now())
    left = [most - n for most, n in ((settings.max_claims_per_day, claimed),
                                     (settings.max_owned, owned)) if most is not None]  # fmt: skip
    return Figure(value=max(0, min(left))) if left else None


@attrs.frozen(kw_only=True)
class ConsultantFigures:
    """What one consultant has now, and did in a period."""

    employee_id: int
    name: str
    owned: Figure
    due: Figure
    expiring: Figure
    follow_ups: Figure
    received: Figure
    converted: Figure
    """Of what was received in the period, what was won by now."""
    claimed: Figure
    lost: Figure
    """Fell to the pool or given back to it."""
    won: Figure
    turnover: Figure
    """Of the payments that were confirmed, refunds left out."""
    ages: tuple[Figure, ...]
    """What is owned, by the days since the last contact: for each of `AGES`, and for more.

    Being received counts as a contact, as it does for the pool."""

    @property
    def conversion(self) -> float | None:
        """Of what was received in the period, the share that was won; None of nothing."""
        return _share(self.converted, self.received)


@attrs.frozen(kw_only=True)
class TeamFigures:
    """What the people within a reach have now, and did in a period."""

    since: date
    until: date
    funnel: Mapping[Stage, Figure]
    """Of what was received in the period, how much came so far or further."""
    consultants: tuple[ConsultantFigures, ...]
    """By name: the active ones, and whoever has or did anything."""
    leaderboard: tuple[ConsultantFigures, ...]
    """排行榜: who won most, then by turnover; without those who did neither."""

    @property
    def conversion(self) -> float | None:
        """Of what all received in the period, the share that was won; None of nothing."""
        return _share(self.funnel[Stage.WON], self.funnel[Stage.RECEIVED])


def _share(part: Figure, whole: Figure) -> float | None:
    return float(part.value / whole.value) if whole.value else None


def team_figures(
    crm: Crm, since: date, until: date, *, days: int = EXPIRING_DAYS, by: Principal
) -> TeamFigures:
    """Count the funnel, the leaderboard and a table of consultants, for all within one's reach.

    Args:
        crm: The CRM.
        since: The first local day.
        until: The last local day; it is included.
        days: Of ``expiring``: the customer will be public within so many days.
        by: Who asks; needs ``customer:view``. A manager sees the department and those below, a
            consultant nobody else.

    Raises:
        Invalid: The days are none, in the wrong order, or at the ends of the calendar.
        NotPermitted: Without the permission.
    """
    by.need("customer:view")
    if type(since) is not date or type(until) is not date or since > until:
        raise Invalid([FieldError("until", "bad_range", until, "结束日期不能早于开始日期",
                                  "the period must have a first and a last day")])  # fmt: skip
    try:
        period = Period(since=start_of_day(crm, since), until=end_of_day(crm, until))
    except OverflowError as e:
        raise Invalid([FieldError("until", "bad_range", until, "日期超出范围",
                                  "the period is beyond the calendar")]) from e  # fmt: skip
    now, reach = now_of(crm), reach_of(by)
    contact_by, expiring_on = end_of_day(crm, now.today), now.today + timedelta(days=days)
    ages = _ages(crm, now.today)
    with crm.unit_of_work(read_only=True) as uow:
        stages = uow.work.funnel(reach, period)
        counted = uow.work.team(reach, period, now, contact_by=contact_by, expiring_on=expiring_on,
                                ages=ages)  # fmt: skip
        active = uow.directory.with_permission("customer:claim", reach)
        names = {e.id or 0: e.name for e in active if not has_left(e, now.today)}
        others = uow.records.among(Employee, sorted(counted.keys() - names.keys()))
        names |= {e.id or 0: e.name for e in others}
    asked = _Questions(period, {"next_contact_at": (None, contact_by)},
                       {"due_on": (None, expiring_on)}, ages)  # fmt: skip
    consultants = tuple(
        asked.figures(number, name, counted.get(number, Counted()))
        for number, name in sorted(names.items(), key=lambda item: (item[1], item[0]))
    )
    return TeamFigures(
        since=since, until=until, funnel=asked.funnel(stages), consultants=consultants,
        leaderboard=tuple(sorted(
            (c for c in consultants if c.won.value or c.turnover.value),
            key=lambda c: (-c.won.value, -c.turnover.value, c.name, c.employee_id),
        )),
    )  # fmt: skip


@attrs.frozen(kw_only=True)
class OfficeFigures:
    """What whoever keeps the program running has to see to: nothing, on a good day."""

    dead: Figure | None
    """Notices that were given up; None for who may not see notices."""
    jobs: Figure | None
    """Jobs that are late, or whose latest run failed; None for who may not run jobs."""


def office_figures(crm: Crm, *, by: Principal) -> OfficeFigures:
    """Count what went wrong behind people's backs; anybody may ask, and is told what is theirs."""
    dead = jobs = None
    if by.may("notice:view"):
        query = Query(where={"status": NoticeStatus.DEAD})
        left = notices.backlog(crm, by=by).waiting[NoticeStatus.DEAD]
        dead = Figure(value=left, list="notices.list_notices", query=query)
    if by.may("job:run"):
        found = schedule.troubled_jobs(crm, by=by)
        jobs = Figure(value=len({*found.failed, *found.late}))
    return OfficeFigures(dead=dead, jobs=jobs)


def _ages(crm: Crm, today: date) -> tuple[Ends, ...]:
    """Tell when somebody was contacted last whose contact lies so many days back."""
    ends: list[Ends] = []
    after = None
    for days in AGES:
        begin = start_of_day(crm, today - timedelta(days=days))
        ends.append((begin, after))
        after = begin - timedelta(microseconds=1)
    return (*ends, (None, after))


@attrs.frozen
class _Questions:
    """What to ask the lists for what was counted."""

    period: Period
    due: Mapping[str, Any]
    expiring: Mapping[str, Any]
    ages: tuple[Ends, ...]

    def funnel(self, stages: Mapping[Stage, int]) -> dict[Stage, Figure]:
        """Add up the stages: whoever won has also paid, been contacted and been received."""
        ranges = {"started_at": self.period.ends}
        return {
            stage: Figure(
                value=sum(stages.get(s, 0) for s in stage.onwards),
                list="assignment.list_assignments",
                query=Query(where={STAGE: stage.onwards}, ranges=ranges),
            )
            for stage in Stage
        }

    def figures(self, number: int, name: str, counts: Counted) -> ConsultantFigures:
        """Make the figures of one consultant."""
        who, own = {"consultant_id": number}, {"owner_id": number}
        begun, ended = {"started_at": self.period.ends}, {"ended_at": self.period.ends}
        paid = {"status": Paid.CONFIRMED, "kind": INCOME}

        def held(value: int, ranges: Mapping[str, Any]) -> Figure:
            query = Query(where=own, ranges=ranges)
            return Figure(value=value, list="intake.list_customers", query=query)

        def dealt(value: int, ranges: Mapping[str, Any], **where: Any) -> Figure:
            query = Query(where=who | where, ranges=ranges)
            return Figure(value=value, list="assignment.list_assignments", query=query)

        return ConsultantFigures(
            employee_id=number, name=name, owned=held(counts.owned, {}),
            due=held(counts.due, self.due), expiring=held(counts.expiring, self.expiring),
            follow_ups=Figure(
                value=counts.follow_ups, list="follow_up.list_follow_ups",
                query=Query(where=who, ranges={"at": self.period.ends}),
            ),
            received=dealt(counts.received, begun),
            converted=dealt(counts.converted, begun, status=AssignmentStatus.WON),
            claimed=dealt(counts.claimed, begun, method=AssignmentMethod.CLAIM),
            lost=dealt(counts.lost, ended, status=LOST),
            won=dealt(counts.won, ended, status=AssignmentStatus.WON),
            turnover=Figure(
                value=counts.turnover, list="payments.list_payments", adds="turnover",
                query=Query(where=who | paid, ranges={"confirmed_at": self.period.ends}),
            ),
            ages=tuple(
                held(counts.ages[i] if counts.ages else 0, {"last_contacted_at": ends})
                for i, ends in enumerate(self.ages)
            ),
        )  # fmt: skip
