"""Which rows of a sheet are taken in: those that nobody has yet, in the order of the file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crm_domain.errors import FieldError
from crm_domain.model import Customer, ImportProblem
from crm_domain.parsing import CONTACTS
from crm_domain.ports import Row, UnitOfWork
from crm_domain.usecases._import_rows import Bad, Good, SheetRows, shown, usable

Contact = tuple[str, str]
"""The field and its value."""
IN_FILE, IN_DATABASE = "duplicate_in_file", "duplicate_in_database"


def sort_out(
    uow: UnitOfWork, rows: SheetRows, part: Sequence[Row], import_id: int,
    known: set[Contact],
) -> tuple[list[Good], list[Bad]]:  # fmt: skip
    """Sort rows into those to take in and those not, in the order of the file.

    Args:
        uow: The unit of work, to ask for customers that are there already.
        rows: The sheet.
        part: The rows.
        import_id: A contact taken by a customer of this very import is a duplicate in the file.
        known: The contacts accepted before; those accepted now are added.
    """
    read = list(rows.read(part))
    holders = _holders(uow, (item for item in read if isinstance(item, Good)))
    good: list[Good] = []
    bad: list[Bad] = []
    for item in read:
        if isinstance(item, Bad):
            bad.append(item)
            continue
        mine = _contacts(item.customer)
        taken = next((c for c in mine if c in holders), None)
        ours = taken is not None and holders[taken].import_id == import_id
        again = next((c for c in mine if c in known), None)
        if taken is not None and not ours:
            bad.append(_duplicate(rows, item, taken[0], IN_DATABASE))
        elif again is not None or taken is not None:
            bad.append(_duplicate(rows, item, (again or taken or ("",))[0], IN_FILE))
        else:
            known.update(mine)
            good.append(item)
    return good, bad


def late_duplicates(uow: UnitOfWork, rows: SheetRows, late: Sequence[Good]) -> list[Bad]:
    """Say of rows that somebody else saved meanwhile which contact is taken."""
    holders = _holders(uow, late)
    found: list[Bad] = []
    for item in late:
        mine = _contacts(item.customer)
        # Whoever has it may be archived by now; the row was refused all the same.
        taken = next((c for c in mine if c in holders), mine[0])
        found.append(_duplicate(rows, item, taken[0], IN_DATABASE))
    return found


def _holders(uow: UnitOfWork, items: Iterable[Good]) -> dict[Contact, Customer]:
    contacts: dict[str, list[str]] = {n: [] for n in CONTACTS}
    for item in items:
        for kind, value in _contacts(item.customer):
            contacts[kind].append(value)
    return uow.customers.holders(contacts)


def _contacts(customer: Customer) -> list[Contact]:
    return [(n, v) for n in CONTACTS if (v := getattr(customer, n))]


def _duplicate(rows: SheetRows, good: Good, kind: str, code: str) -> Bad:
    """Say which contact of a row somebody has already, as it was typed."""
    heading = rows.layout.headings.get(kind, "")
    value = next((good.cells[c] for c, n in rows.layout.columns.items() if n == kind), "")
    where = ("与文件中前面的行重复", "stands in an earlier row") if code == IN_FILE else (
        "已有客户使用", "is another customer's")  # fmt: skip
    problem = FieldError(kind, code, value, f"{heading}“{shown(value)}”{where[0]}",
                         f"{heading} {shown(value)} {where[1]}")  # fmt: skip
    return Bad(good.row, problem, heading)


def as_problem(import_id: int, bad: Bad) -> ImportProblem:
    """Give a problem as it is kept."""
    value = bad.problem.value
    return ImportProblem(
        import_id=import_id, row=bad.row, column=usable(bad.column)[:60], code=bad.problem.code,
        message=usable(bad.problem.zh)[:300],
        value=None if value is None else usable(str(value))[:200],
    )  # fmt: skip
