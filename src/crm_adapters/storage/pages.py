"""Pages of customers: who is on them, and the way that leads there soonest.

PostgreSQL chooses the way itself, by its statistics, but for a search. SQLite knows too little of
what is in the tables, so it is told what to begin with: the hits of a search, the ownership where
that narrows much, or else the customers in their order.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

import attrs
import sqlalchemy as sa

from crm_adapters.storage.counting import Countable, fields_of, tallied
from crm_adapters.storage.directory import within
from crm_adapters.storage.finding import FEW, Search
from crm_adapters.storage.listing import any_of, narrowed, paged
from crm_adapters.storage.rows import Mapper, mapper
from crm_adapters.storage.session import Session
from crm_adapters.storage.tables import customer, ownership
from crm_domain.model import Customer, CustomerStatus, Scope, specs
from crm_domain.parsing import Unreadable, field_value
from crm_domain.ports import Page, Query, Reach, Tally
from crm_domain.rules.pool import RELEASED

Condition = sa.ColumnElement[bool]
WALKED = ("source", "education", "school_id")
"""Fields of customers with an index of their own, which is of use where few fit."""


@lru_cache(maxsize=8)
def _shown(today: date) -> Mapper[Customer]:
    """Read customers as people see them: an overdue one is nobody's before any sweep has run."""
    m, o = mapper(Customer), ownership.c
    seen = {
        name: sa.case((o.due_on <= today, sa.literal(value, o[name].type)), else_=o[name])
        for name, value in RELEASED.items()
    }
    read = tuple(seen.get(n, column) for n, column in zip(m.names, m.read, strict=True))
    return attrs.evolve(m, read=read)


def customers_page(
    session: Session, query: Query, reach: Reach | None, today: date, *, pool: bool,
    pooled_too: bool, masks: Collection[str],
) -> Page[Customer]:  # fmt: skip
    """Read one page; the port ``Customers`` says what of."""
    chosen = _choose(session, query, reach, today, pool=pool, pooled_too=pooled_too, masks=masks)
    return paged(session, chosen.m, chosen.statement, chosen.query, number=chosen.number,
                 twin=ownership.c.customer_id, gathered=chosen.gathered,
                 chosen=True)  # fmt: skip


def customers_tally(
    session: Session, query: Query, reach: Reach | None, today: date, facets: Sequence[str], *,
    pool: bool, pooled_too: bool, masks: Collection[str], most: int,
) -> Tally:  # fmt: skip
    """Count what the pages hold."""

    def choose(query: Query) -> Countable:
        chosen = _choose(session, query, reach, today, pool=pool, pooled_too=pooled_too,
                         masks=masks, counting=True)  # fmt: skip
        return Countable(chosen.statement, chosen.number, fields_of(chosen.m))

    return tallied(session, choose, query, facets, most)


@attrs.frozen
class _Chosen:
    """The customers that somebody may see and asks for, and the way to them."""

    m: Mapper[Customer]
    statement: sa.Select[Any]
    query: Query
    number: sa.ColumnElement[Any]
    gathered: bool


def _choose(
    session: Session, query: Query, reach: Reach | None, today: date, *, pool: bool,
    pooled_too: bool, masks: Collection[str], counting: bool = False,
) -> _Chosen:  # fmt: skip
    """Choose customers, for a page of them or to count them, which needs no order."""
    o = ownership.c
    public = o.due_on <= today
    limited = reach is not None and reach.scope is not Scope.ALL and not pool
    # Whoever sees only what is private needs no look at each row's due date.
    m = mapper(Customer) if limited and not pooled_too else _shown(today)
    chosen: list[Condition] = [customer.c.archived_at.is_(None)]
    query, owned = _by_owner(query, today)
    chosen += owned
    narrow: list[Condition] = []
    """What an index of the ownership answers alone."""
    if pool:
        chosen.append(public)
        narrow.append(public)
        query = _in_pool(query)
    elif reach is not None and limited:
        theirs = held_within(reach, today)
        chosen += [sa.or_(sa.and_(*theirs), public)] if pooled_too else theirs
        narrow += [] if pooled_too else theirs[:1]
    # In the pool nobody's contacts are clear.
    clear = None if not masks else sa.false() if pool else sa.not_(public)
    rare = _indexed(session, query)
    narrow += rare
    chosen += rare
    search = Search(session, query.search, clear) if query.search else None
    one = _of_one(query, owned, reach if limited and not pooled_too else None)
    by_number = (query.sort or "-id").lstrip("-") == "id"
    hits, few = None, False
    if search is not None and _by_index(search, one, by_number):
        hits, chosen = search.hits, chosen + search.masked
    elif search is not None:
        chosen += search.by_row
    if hits is not None:
        source, number = _from_hits(session, hits)
    elif session.on_sqlite and (one or (narrow and (counting or _few(session, narrow)))):
        source, number = _from_ownership()
    elif session.on_sqlite:
        source, number = _from_customers()
        few = counting or _few_with(session, query)
    else:
        source, number = m.source, customer.c.id
    statement = sa.select(*m.read).select_from(source).where(*chosen)
    walked = session.on_sqlite and hits is None and not few
    statement = narrowed(m, statement, query, clear, masks, searched=True,
                         walked=WALKED if walked else ())  # fmt: skip
    return _Chosen(m, statement, query, number, hits is not None)


def _indexed(session: Session, query: Query) -> list[Condition]:
    """Say filters in the words of the partial indexes of the ownership."""
    found: list[Condition] = []
    if _only(query.where.get("locked")) in ("true", "True"):
        # Written out, because no planner sees a parameter's value in the index's condition.
        yes: Any = sa.literal_column("1" if session.on_sqlite else "true")
        found.append(ownership.c.locked == yes)
    wish = query.where.get("intention")
    if wish is not None and not (isinstance(wish, list | tuple) and None in wish):
        found.append(any_of(ownership.c.intention, specs(Customer)["intention"], wish))
    return found


def _only(wish: Any) -> str | None:
    """Give the one value that is wished for, as it is written."""
    values = wish if isinstance(wish, list | tuple) else [wish]
    return str(values[0]) if len(values) == 1 else None


def _few_with(session: Session, query: Query) -> bool:
    """Whether an index tells that so few fit a filter that they are looked up and sorted."""
    for name in WALKED:
        wish = query.where.get(name)
        if wish is None or (isinstance(wish, list | tuple) and None in wish):
            continue
        fits = any_of(customer.c[name], specs(Customer)[name], wish)
        probe = sa.select(customer.c.id).where(fits).limit(1).offset(FEW)
        if session.run(probe).first() is None:
            return True
    return False


def _private(whose: Condition, today: date, won: Condition) -> list[Condition]:
    """Choose customers by the consultant: the own that are not public, and those that were won.

    The owner is always the last consultant, and who was won is never public: the tables see to
    both. So one index leads to all of them, in the order of their numbers.
    """
    o = ownership.c
    return [whose, o.due_on > today, sa.or_(o.owner_id.is_not(None), won)]


def held_within(reach: Reach, today: date) -> list[Condition]:
    """Choose the customers that are within a limited reach as an owner's: private, or won."""
    o = ownership.c
    if reach.scope is Scope.OWN:
        whose: Condition = o.last_consultant_id == (reach.employee_id or 0)
    else:
        whose = o.last_consultant_id.in_(within(reach))
    return _private(whose, today, o.status == CustomerStatus.ENROLLED)


def _by_owner(query: Query, today: date) -> tuple[Query, list[Condition]]:
    """Put the filter by one owner into the words of the index."""
    owner = _one_number(query, "owner_id")
    if owner is None:
        return query, []
    rest = {name: wish for name, wish in query.where.items() if name != "owner_id"}
    whose = ownership.c.last_consultant_id == owner
    return attrs.evolve(query, where=rest), _private(whose, today, sa.false())


def _one_number(query: Query, name: str) -> int | None:
    """Give the one record that a filter by reference names, however it is written; else None.

    Programs ask by ``5``, addresses by ``["5"]``. What is no number is refused where the rest of
    the filters is read.
    """
    wish = query.where.get(name)
    values = wish if isinstance(wish, list | tuple) else [wish]
    if len(values) != 1 or isinstance(values[0], bool):
        return None
    try:
        found = field_value(specs(Customer)[name], values[0])
    except Unreadable:
        return None
    return found if isinstance(found, int) and 0 < found < 2**63 else None


def _in_pool(query: Query) -> Query:
    """Sort the pool by number wherever all in it are the same."""
    sort = query.sort or ""
    if sort.lstrip("-") not in RELEASED:
        return query
    return attrs.evolve(query, sort="-id" if sort.startswith("-") else "id")


def _of_one(query: Query, owned: list[Condition], reach: Reach | None) -> bool:
    """Whether all are of one consultant: few, and an index has them in order."""
    last = _one_number(query, "last_consultant_id")
    return bool(owned) or last is not None or (reach is not None and reach.scope is Scope.OWN)


def _by_index(search: Search, one: bool, by_number: bool) -> bool:
    """Whether to begin with the hits.

    SQLite reads them one by one in the order of their numbers, however many there are; PostgreSQL
    gathers all of them first, which is worth it for few. In any other order walking may take long:
    whoever is called Wang comes last by name.
    """
    if not one and (search.session.on_sqlite or not by_number):
        return True
    return search.few


def _few(session: Session, chosen: list[Condition]) -> bool:
    """Whether so few are chosen that they are looked up and sorted, not found by walking."""
    probe = sa.select(ownership.c.customer_id).where(*chosen).limit(1).offset(FEW)
    return session.run(probe).first() is None


def _from_hits(session: Session, hits: Any) -> tuple[Any, Any]:
    c, o = customer.c, ownership.c
    if session.on_sqlite:
        first = hits.join(customer, c.id == _after(hits.c.id))
        return first.join(ownership, o.customer_id == _after(c.id)), hits.c.id
    return hits.join(customer, c.id == hits.c.id).join(ownership, o.customer_id == c.id), hits.c.id


def _from_ownership() -> tuple[Any, Any]:
    c, o = customer.c, ownership.c
    return ownership.join(customer, c.id == _after(o.customer_id)), o.customer_id


def _from_customers() -> tuple[Any, Any]:
    c, o = customer.c, ownership.c
    return customer.join(ownership, o.customer_id == _after(c.id)), c.id


def _after(number: Any) -> Any:
    """Write a number of the table before: the plus keeps SQLite from beginning behind it."""
    return sa.literal_column(f"+{number}", number.type)
