"""The book of one consultant: "my customers", one row for each, as the consultant sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import attrs
import sqlalchemy as sa

from crm_adapters.storage.counting import Countable, tallied
from crm_adapters.storage.finding import Search
from crm_adapters.storage.listing import any_of, asked, bad_mark, between, refuse
from crm_adapters.storage.session import Session
from crm_adapters.storage.tables import assignment, customer, ownership
from crm_domain.model import Assignment, AssignmentStatus, Customer, CustomerStatus, Spec, specs
from crm_domain.ports import TAB, MyCustomer, Page, Query, Tally
from crm_domain.rules.pool import NEVER

Condition = sa.ColumnElement[bool]
_CUSTOMER, _ASSIGNMENT = specs(Customer), specs(Assignment)
_SPECS: dict[str, Spec] = {
    "status": _ASSIGNMENT["status"], "intention": _CUSTOMER["intention"],
    "started_at": _ASSIGNMENT["started_at"], "ended_at": _ASSIGNMENT["ended_at"],
    "next_contact_at": _CUSTOMER["next_contact_at"], "due_on": _CUSTOMER["due_on"],
}  # fmt: skip
_WHERE = frozenset({"status", "intention"})
_RANGES = frozenset(_SPECS) - _WHERE


@attrs.frozen
class _Book:
    """What the rows of one consultant are made of."""

    employee_id: int
    today: date

    @property
    def running(self) -> Condition:
        """Whether the customer is the consultant's own now."""
        o = ownership.c
        return sa.and_(o.owner_id == self.employee_id, o.due_on > self.today)

    @property
    def own(self) -> Condition:
        """Whether the customer is shown in full: it is the own, or was won."""
        won = sa.and_(self.status == AssignmentStatus.WON,
                      ownership.c.status == CustomerStatus.ENROLLED)  # fmt: skip
        return sa.or_(self.running, won)

    @property
    def status(self) -> Any:
        """The status as people see it: an overdue one shows as expired before any sweep."""
        o, a = ownership.c, assignment.c
        overdue = sa.and_(a.status == AssignmentStatus.FOLLOWING, o.due_on <= self.today)
        return sa.case((overdue, o.due_status), else_=a.status.cast(sa.Integer))

    def column(self, name: str) -> Any:
        """Give a column as it is shown, so that no filter tells what a row does not."""
        if name == "status":
            return self.status
        if name == "intention":
            return sa.case((self.own, ownership.c.intention))
        return (ownership if name in ("next_contact_at", "due_on") else assignment).c[name]

    def source(self) -> Any:
        """Where the rows come from: the latest assignment of each customer."""
        o, a, c = ownership.c, assignment.c, customer.c
        return ownership.join(assignment, a.id == o.assignment_id).join(
            customer, c.id == o.customer_id
        )

    def rows(self) -> list[Condition]:
        """Which rows are the consultant's."""
        return [ownership.c.last_consultant_id == self.employee_id,
                customer.c.archived_at.is_(None)]  # fmt: skip

    def wanted(self, query: Query) -> list[Condition]:
        """Choose by the filters of a query.

        Raises:
            Invalid: It filters or sorts by what this list does not.
        """
        for name in sorted(
            ({*query.where} - _WHERE) | ({*query.ranges} - _RANGES) | (asked(query) - {"", *_SPECS})
        ):
            raise refuse(name, "unknown_field", f"此列表不能按“{name}”筛选或排序",
                         f"this list is not filtered or sorted by {name}")  # fmt: skip
        if query.sort:
            raise refuse("sort", "no_order", "此列表有固定的顺序",
                         "this list has an order of its own")  # fmt: skip
        found: list[Condition] = []
        if query.where.get("status") is not None:
            statuses = _statuses(query.where["status"])
            # Whoever is followed is the own, and an index leads to these.
            found += [self.running] if statuses == [1] else [self.status.in_(statuses)]
        if "intention" in query.where:
            spec = _SPECS["intention"]
            found.append(any_of(self.column("intention"), spec, query.where["intention"]))
        for name, ends in query.ranges.items():
            found += between(self.column(name), _SPECS[name], ends)
        if {"next_contact_at", "due_on"} & {*query.ranges}:
            found.append(self.running)
        if "due_on" in query.ranges:
            found.append(ownership.c.due_on < NEVER)
        return found


def _statuses(wish: Any) -> list[int]:
    many = wish if isinstance(wish, list | tuple | set | frozenset) else [wish]
    try:
        return sorted({int(AssignmentStatus(int(w))) for w in many})
    except (TypeError, ValueError, OverflowError) as e:
        raise refuse("status", "unknown_choice", f"没有状态“{wish}”", f"no status {wish}") from e


def _found(session: Session, book: _Book, query: Query) -> list[Condition]:
    """Choose by a search."""
    if not query.search:
        return []
    search = Search(session, query.search, book.own)
    if search.few:
        return [customer.c.id.in_(sa.select(search.hits.c.id)), *search.masked]
    return search.by_row


def mine_page(session: Session, employee_id: int, query: Query, today: date) -> Page[MyCustomer]:
    """Read one page: following, then ended, won last."""
    o, a, c = ownership.c, assignment.c, customer.c
    book = _Book(employee_id, today)
    status, running = book.status, book.running
    group = sa.case((status == 1, 0), (status == 2, 2), else_=1)
    statement = (
        sa.select(c.id, c.name, c.phone, c.qq, c.wechat, o.intention, o.due_on, o.due_days,
                  o.last_contacted_at, o.next_contact_at, o.status.label("customer_status"),
                  a.started_at, a.ended_at, a.limit_days, status.label("shown"),
                  running.label("running"))
        .select_from(book.source())
        .where(*book.rows(), *book.wanted(query), *_found(session, book, query))
        .order_by(group, sa.case((running, o.next_contact_at)).asc().nulls_last(), c.id.desc())
    )  # fmt: skip
    # One consultant's book is small enough to be counted through; the order is a mixed one.
    after = query.after or "0"
    if not (after.isascii() and after.isdecimal() and len(after) < 10):
        raise bad_mark()
    start = int(after)
    # Who is followed comes first and is easily found among all that one ever had.
    ways = (statement,) if query.search else (statement.where(running), statement)
    for chosen in ways:
        rows = list(session.run(chosen.offset(start).limit(query.limit + 1)))
        more = len(rows) > query.limit
        if more:
            break
    return Page(
        items=[_mine(r) for r in rows[: query.limit]],
        next=str(start + query.limit) if more else None,
    )


def mine_tally(
    session: Session, employee_id: int, query: Query, today: date, facets: Sequence[str],
    tabs: Mapping[str, Query], most: int,
) -> Tally:  # fmt: skip
    """Count the book; of the facets `TAB` counts what each of some tabs holds."""
    book = _Book(employee_id, today)
    found = _found(session, book, query)

    def field(name: str) -> tuple[Spec, Any]:
        if name not in _WHERE:
            raise refuse(name, "no_facet", f"此列表不能按“{name}”计数",
                         f"this list is not counted by {name}")  # fmt: skip
        return _SPECS[name], book.column(name)

    def choose(query: Query) -> Countable:
        chosen = sa.select(customer.c.id).select_from(book.source())
        chosen = chosen.where(*book.rows(), *book.wanted(query), *found)
        return Countable(chosen, customer.c.id, field)

    tally = tallied(session, choose, query, [f for f in facets if f != TAB], most)
    if TAB not in facets:
        return tally
    counts = _tabs(session, book, attrs.evolve(query, ranges={}), tabs, found)
    return attrs.evolve(tally, by={**tally.by, TAB: counts})


def _tabs(
    session: Session, book: _Book, query: Query, tabs: Mapping[str, Query], found: list[Condition]
) -> dict[Any, int]:
    """Count all tabs by one statement; they share the search and the filters beside the tabs'."""
    rest = attrs.evolve(query, where={n: v for n, v in query.where.items() if n != "status"})
    counts = [
        sa.func.count(sa.case((sa.and_(sa.true(), *book.wanted(tab)), 1))).label(f"tab{i}")
        for i, tab in enumerate(tabs.values())
    ]
    if not counts:
        return {}
    statement = sa.select(*counts).select_from(book.source())
    # All tabs are of the own: an index leads to these among all that one ever had.
    statement = statement.where(*book.rows(), book.running, *book.wanted(rest), *found)
    return dict(zip(tabs, session.run(statement).one(), strict=True))


def _mine(row: Any) -> MyCustomer:
    status = AssignmentStatus(row.shown)
    won = status is AssignmentStatus.WON and row.customer_status is CustomerStatus.ENROLLED
    own = bool(row.running) or won
    days = row.limit_days or row.due_days
    return MyCustomer(
        customer_id=row.id, name=row.name, status=status,
        status_label=status.label(days=days), limit_days=days,
        started_at=row.started_at, ended_at=row.ended_at,
        due_on=row.due_on if row.running and row.due_on != date.max else None,
        last_contacted_at=row.last_contacted_at if own else None,
        next_contact_at=row.next_contact_at if own else None,
        phone=row.phone if own else None, qq=row.qq if own else None,
        wechat=row.wechat if own else None,
        intention=row.intention if own else None, owned=own,
    )  # fmt: skip
