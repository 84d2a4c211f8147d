"""Customers: reading them by right and by search, and writing what is not ownership."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import sqlalchemy as sa

from crm_adapters.storage.mine import mine_page, mine_tally
from crm_adapters.storage.ownership import hold
from crm_adapters.storage.pages import customers_page, customers_tally
from crm_adapters.storage.rows import chunks, mapper
from crm_adapters.storage.search import grams, pinyin_key
from crm_adapters.storage.session import Session
from crm_adapters.storage.tables import assignment, customer, follow_up, ownership
from crm_domain.errors import Duplicate, EditConflict
from crm_domain.model import (
    Assignment,
    Customer,
    FollowUp,
)
from crm_domain.model.fields import changed
from crm_domain.parsing import record_number
from crm_domain.ports import MOST, MyCustomer, Page, Query, Reach, Tally

WIDE = (*mapper(Customer).write, "pinyin", "search")


def _row(one: Customer) -> tuple[Any, ...]:
    return (*mapper(Customer).values(one), pinyin_key(one.name), grams(one))


class SqlCustomers:
    """Implements the port ``Customers``."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._m = mapper(Customer)

    def get(self, id: int) -> Customer | None:
        """Read one customer, archived ones included, or None."""
        if record_number(id) is None:
            return None
        found = self._read(self._m.select().where(customer.c.id == id))
        return found[0] if found else None

    def lock(self, id: int) -> Customer | None:
        """Read one customer and keep others from changing its ownership until the end."""
        found = () if record_number(id) is None else self.lock_many([id])
        return found[0] if found else None

    def lock_many(self, ids: Sequence[int]) -> tuple[Customer, ...]:
        """The same for several, locked in the order of their numbers."""
        found: list[Customer] = []
        for part in chunks(sorted(set(ids)), 5000):
            o = ownership.c
            those = self._session.among(o.customer_id, part)
            if not self._session.on_sqlite:
                hold(self._session, sa.select(o.customer_id).where(those).order_by(o.customer_id))
            found += self._read(self._m.select().where(those).order_by(o.customer_id))
        return tuple(found)

    def _read(self, statement: sa.Select[Any]) -> tuple[Customer, ...]:
        return self._m.records(self._session, self._session.run(statement))

    def page(self, query: Query, reach: Reach | None, today: date, *, pool: bool = False,
             pooled_too: bool = True, masks: Collection[str] = ()) -> Page[Customer]:  # fmt: skip
        """Read one page."""
        return customers_page(self._session, query, reach, today, pool=pool,
                              pooled_too=pooled_too, masks=masks)  # fmt: skip

    def tally(self, query: Query, reach: Reach | None, today: date, facets: Sequence[str], *,
              pool: bool = False, pooled_too: bool = True, masks: Collection[str] = (),
              most: int = MOST) -> Tally:  # fmt: skip
        """Count what `page` would give."""
        return customers_tally(self._session, query, reach, today, facets, pool=pool,
                               pooled_too=pooled_too, masks=masks, most=most)  # fmt: skip

    def mine(self, employee_id: int, query: Query, today: date) -> Page[MyCustomer]:
        """Read "my customers" of a consultant: following, then ended, won last."""
        return mine_page(self._session, employee_id, query, today)

    def tally_mine(self, employee_id: int, query: Query, today: date, facets: Sequence[str],
                   tabs: Mapping[str, Query], *, most: int = MOST) -> Tally:  # fmt: skip
        """Count "my customers" of a consultant."""
        return mine_tally(self._session, employee_id, query, today, facets, tabs, most)

    def add(self, customers: Sequence[Customer]) -> tuple[Customer | None, ...]:
        """Write new customers in order; None stands for each whose contact data is taken."""
        if not customers:
            return ()
        if len(customers) == 1:
            return (self._add_one(customers[0]),)
        ids = self._session.next_ids(customer, len(customers))
        made = [changed(c, id=i) for c, i in zip(customers, ids, strict=True)]
        written = self._session.insert_new(customer, WIDE, [_row(c) for c in made])
        kept = [c for c in made if c.id in written]
        self._m.link(self._session, [c for c in kept if c.courses], fresh=True)
        return tuple(c if c.id in written else None for c in made)

    def _add_one(self, one: Customer) -> Customer | None:
        number = self._session.insert_one_new(customer, WIDE[1:], _row(one)[1:])
        if number is None:
            return None
        made = changed(one, id=number)
        if made.courses:
            self._m.link(self._session, [made], fresh=True)
        return made

    def save(self, one: Customer) -> Customer:
        """Write a customer that was read before, its ownership excepted."""
        values = dict(zip(WIDE, _row(one), strict=True))
        del values["id"]
        try:
            done = self._session.run(
                sa.update(customer)
                .where(customer.c.id == one.id, customer.c.version == one.version)
                .values(**values | {"version": one.version + 1})
            ).rowcount
        except Duplicate as e:
            field = e.facts["fields"][0]
            raise Duplicate(**e.facts | {"value": getattr(one, field)}) from e
        if not done:
            present = self.get(one.id or 0)
            raise EditConflict(what="客户", seen=one.version,
                               version=present.version if present else "?")  # fmt: skip
        saved = changed(one, version=one.version + 1)
        self._m.link(self._session, [saved])
        return saved

    def holders(self, contacts: Mapping[str, Iterable[str]]) -> dict[tuple[str, str], Customer]:
        """Find who has one of these contacts: by field (phone, qq, wechat) and value."""
        found: dict[tuple[str, str], Customer] = {}
        for name, values in contacts.items():
            column = customer.c[name]
            for part in chunks(sorted(set(values)), 5000):
                chosen = self._m.select().where(
                    self._session.among(column, part), customer.c.archived_at.is_(None)
                )
                found |= {(name, getattr(c, name)): c for c in self._read(chosen)}
        return found

    def taken(self, contacts: Mapping[str, Iterable[str]]) -> Mapping[tuple[str, str], int | None]:
        """Tell which of these contacts somebody has, and the import that brought each customer."""
        found: dict[tuple[str, str], int | None] = {}
        for name, values in contacts.items():
            column = customer.c[name]
            for part in chunks(sorted(set(values)), 5000):
                chosen = sa.select(column, customer.c.import_id).where(
                    self._session.among(column, part), customer.c.archived_at.is_(None)
                )
                found |= {(name, value): number for value, number in self._session.run(chosen)}
        return found

    def history(self, customer_id: int) -> tuple[Assignment, ...]:
        """Read all assignments of a customer, the oldest first."""
        m = mapper(Assignment)
        chosen = m.select().where(assignment.c.customer_id == customer_id)
        return m.records(self._session, self._session.run(chosen.order_by(assignment.c.id)))

    def follow_ups(self, customer_id: int) -> tuple[FollowUp, ...]:
        """Read all follow-ups of a customer, the oldest first."""
        m = mapper(FollowUp)
        chosen = m.select().where(follow_up.c.customer_id == customer_id)
        return m.records(self._session, self._session.run(chosen.order_by(follow_up.c.id)))
