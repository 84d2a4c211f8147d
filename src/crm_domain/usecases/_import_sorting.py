"""Which rows of a sheet are taken in: those that nobody has yet, in the order of the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crm_domain.errors import FieldError
from crm_domain.model import Employee, ImportProblem, Student
from crm_domain.parsing import CONTACTS
from crm_domain.ports import Query, Row, UnitOfWork
from crm_domain.usecases._import_rows import Bad, Good, SheetRows, Unique, shown, usable

MOST = 500
"""So many numbers are looked for at once."""
IN_FILE, IN_DATABASE = "duplicate_in_file", "duplicate_in_database"


def sort_out(
    uow: UnitOfWork, rows: SheetRows, part: Sequence[Row], import_id: int,
    known: set[Unique],
) -> tuple[list[Good], list[Bad]]:  # fmt: skip
    """Sort rows into those to take in and those not, in the order of the file.

    Args:
        uow: The unit of work, to ask for customers that are there already.
        rows: The sheet.
        part: The rows.
        import_id: What a customer of this very import has is a duplicate in the file.
        known: What is unique of those accepted before; those accepted now are added.
    """
    read = list(rows.read(part))
    holders = _holders(uow, rows, (item for item in read if isinstance(item, Good)))
    good: list[Good] = []
    bad: list[Bad] = []
    for item in read:
        if isinstance(item, Bad):
            bad.append(item)
            continue
        mine = item.unique
        taken = next((c for c in mine if c in holders), None)
        ours = taken is not None and holders[taken] == import_id
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
    holders = _holders(uow, rows, late)
    found: list[Bad] = []
    for item in late:
        mine = item.unique
        # Whoever has it may be archived by now; the row was refused all the same.
        taken = next((c for c in mine if c in holders), mine[0])
        found.append(_duplicate(rows, item, taken[0], IN_DATABASE))
    return found


def _holders(
    uow: UnitOfWork, rows: SheetRows, items: Iterable[Good]
) -> Mapping[Unique, int | None]:
    """Find who has what is unique already: the import that brought each, None for any other way."""
    asked: dict[str, set[Any]] = {n: set() for n in rows.layout.form.unique}
    for item in items:
        for name, value in item.unique:
            asked[name].add(value)
    if rows.record == "Employee":
        return {(n, getattr(e, n)): None for e in uow.records.all(Employee) for n in asked}
    contacts = {n: values for n, values in asked.items() if n in CONTACTS}
    found: dict[Unique, int | None] = dict(uow.customers.taken(contacts))
    numbers = sorted(asked.get("student_number", ()))
    for start in range(0, len(numbers), MOST):
        query = Query(where={"student_number": numbers[start : start + MOST]}, limit=MOST)
        page = uow.records.page(Student, query)
        found |= {("student_number", s.student_number): None for s in page.items}
    return found


def _duplicate(rows: SheetRows, good: Good, kind: str, code: str) -> Bad:
    """Say which contact of a row somebody has already, as it was typed."""
    heading = rows.layout.headings.get(kind, "")
    value = next((good.cells[c] for c, n in rows.layout.columns.items() if n == kind), "")
    zh, en = rows.layout.form.zh, rows.record.lower()
    where = ("与文件中前面的行重复", "stands in an earlier row") if code == IN_FILE else (
        f"已有{zh}使用", f"is another {en}'s")  # fmt: skip
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
