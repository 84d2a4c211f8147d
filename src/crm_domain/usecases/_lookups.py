"""Asking for what a mask hides: it must not be guessed through, neither at once nor bit by bit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from crm_domain.errors import AskedTooOften, Duplicate, FieldError, Invalid
from crm_domain.model import Customer, specs
from crm_domain.ports import Crm, Query, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.rules.throttle import ASKED_EACH, CONTACTS_ASKED, may_be_contact


def refuse_hidden(
    hidden: frozenset[str], query: Query | None, facets: Iterable[str] = ()
) -> None:  # fmt: skip
    """Refuse to filter, sort or count by what is hidden: who asks often enough would know it.

    Raises:
        Invalid: With every such field.
    """
    query = query or Query()
    asked = {*query.where, *query.ranges, (query.sort or "").lstrip("-"), *facets}
    if found := sorted(asked & hidden):
        raise Invalid([
            FieldError(n, "hidden_field", None,
                       f"公海客户的“{specs(Customer)[n].zh}”已隐藏，不能按它筛选、排序或计数",
                       f"{n} is hidden of customers in the pool; nobody filters, sorts or counts "
                       f"by it")
            for n in found
        ])  # fmt: skip


def count_contacts(crm: Crm, uow: UnitOfWork, n: int, by: Principal) -> None:
    """Count contacts that somebody is about to be told of, known or not.

    Whoever may give customers away reads the contacts of the pool, or answers for it, and is not
    counted.

    Raises:
        AskedTooOften: They are too many for this hour.
    """
    if n == 0 or by.reads_hidden:
        return
    now = crm.now()
    who = by.name if by.user_id is None else by.user_id
    again = uow.sign_ins.spend(f"contacts:{who}", n, now=now, most=CONTACTS_ASKED, each=ASKED_EACH)
    if again is not None:
        raise AskedTooOften(retry_after=max(1, math.ceil((again - now).total_seconds())))


@contextmanager
def counting_refusals(crm: Crm, by: Principal) -> Iterator[None]:
    """Count that a contact was refused as another's: that, too, tells of one whether it is known.

    Raises:
        AskedTooOften: They are too many for this hour; whether it is another's is not told then.
    """
    try:
        yield
    except Duplicate:
        with crm.unit_of_work() as uow:
            count_contacts(crm, uow, 1, by)
        raise


def count_search(crm: Crm, query: Query | None, by: Principal) -> None:
    """Count a search that may find a masked customer by a whole contact, before it is made.

    Raises:
        AskedTooOften: They are too many for this hour.
    """
    asks = query is not None and isinstance(query.search, str) and may_be_contact(query.search)
    if asks and not by.reads_hidden:
        with crm.unit_of_work() as uow:
            count_contacts(crm, uow, 1, by)
