"""Whether the database kept what must hold, asked of itself and of the rules."""

from __future__ import annotations

from collections.abc import Iterator

from crm_domain.model import Customer
from crm_domain.ports import Checked, Crm
from crm_domain.rules.access import Principal
from crm_domain.rules.pool import dated, is_public
from crm_domain.usecases._common import policy

PAGE = 1000
"""Customers that are looked at in one transaction."""
EXAMPLES = 10
CURSOR = "cursor"
"""What a storage calls it when the one row is lost that all processes share."""


def check_database(crm: Crm, *, by: Principal) -> tuple[Checked, ...]:
    """Check all invariants, changing nothing; one that counts nothing has passed.

    Args:
        crm: The CRM.
        by: Who asks; needs ``job:run``.

    Returns:
        What the database itself can tell, then what takes the rules.

    Raises:
        NotPermitted: Without the permission.
    """
    by.need("job:run")
    found = crm.storage.check()
    if any(c.code == CURSOR and c.count for c in found):
        # The version of the rules stood in the row that is lost, so they cannot be read.
        return found
    return (*found, _dates(crm))


def _dates(crm: Crm) -> Checked:
    """Compare the dates of owned customers with what the pool rules say of them."""
    count = 0
    some: list[str] = []
    for page in _misdated(crm):
        count += len(page)
        some += [str(c.id) for c in page[: EXAMPLES - len(some)]]
    return Checked(code="dates", zh="有主客户的到期日与公海规则不符",
                   en="owned customers that are not dated as the pool rules say",
                   count=count, examples=tuple(some))  # fmt: skip


def _misdated(crm: Crm) -> Iterator[list[Customer]]:
    """Give those of each page whose dates are wrong.

    Each page is one transaction, which sees the customers and the rules of one moment. Whoever is
    public already keeps the dates of the rules by which the owner lost it; whoever still waits to
    be dated by newer rules is left out.
    """
    last, more = 0, True
    while more:
        with crm.unit_of_work(read_only=True) as uow:
            rules, dating, today = policy(crm, uow), uow.turns.dating(), crm.today()
            page = uow.ownership.owned_after(last, PAGE, lock=False)
        more = len(page) == PAGE
        last = page[-1].id or 0 if page else last
        known = [c for c in page if dating is None or (c.id or 0) <= dating.after]
        yield [c for c in known if not is_public(c, today) and dated(c, rules) != c]
