"""Running an import: batch after batch, each one transaction, and a last one that ends it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime

from crm_domain.errors import DatabaseBusy, NotFound, SheetChanged
from crm_domain.model import (
    AssignmentMethod,
    Customer,
    Event,
    ImportRun,
    ImportStatus,
    Notice,
    User,
)
from crm_domain.model.fields import changed
from crm_domain.ports import Crm, NewAssignment, UnitOfWork
from crm_domain.rules.access import Principal
from crm_domain.rules.layout import FORMS
from crm_domain.rules.pool import dated
from crm_domain.rules.wording import Words, counted
from crm_domain.usecases._common import audit, notices, policy, tell_managers
from crm_domain.usecases._dealing import deal_out
from crm_domain.usecases._import_people import take_people
from crm_domain.usecases._import_report import warned
from crm_domain.usecases._import_rights import UNDEALT, busy, invalid
from crm_domain.usecases._import_rows import SheetRows, find_rows
from crm_domain.usecases._import_sorting import as_problem, late_duplicates, sort_out
from crm_domain.usecases._owning import check_consultant, owned_by

Progress = Callable[[int, int], None]
"""Called with the rows dealt with and the rows there are."""
Dealt = tuple[Sequence[NewAssignment], Sequence[Customer]]
"""What begins, and the customers that nobody gets."""
Acting = Callable[[UnitOfWork, ImportRun], Principal]
"""Asked before each step, with the import locked, in whose name it is taken; it may refuse."""
UNFINISHED = (ImportStatus.CHECKED, ImportStatus.RUNNING)
"""A step can be taken."""
HALTED = (ImportStatus.PAUSED, ImportStatus.FAILED)
"""Somebody must resume it first."""
MOST_PEOPLE = 20_000
"""Employees or students of one sheet: they are taken in by one transaction."""


def read_rows(crm: Crm, content: bytes, name: str, record: str) -> SheetRows:
    """Read a file, while nobody waits for us."""
    sheets = crm.reader.read(content, name)
    with crm.unit_of_work(read_only=True) as uow:
        return find_rows(uow, sheets, name, record)


def read_again(crm: Crm, run: ImportRun, content: bytes) -> SheetRows:
    """Read the file of an import that was checked, while nobody waits for us.

    Raises:
        UnreadableSheet: It cannot be read any more: the limits have changed.
        NoHeader: No header is found any more.
        SheetChanged: It is read otherwise than when it was checked, so rows would be lost or taken
            twice: the reader has changed.
    """
    rows = read_rows(crm, content, run.file_name, run.record)
    seen = (run.last_row, run.data_rows, run.blank_rows)
    if (rows.last, rows.data_rows, rows.blank_rows) != seen:
        raise SheetChanged(id=run.id)
    return rows


def begin(
    crm: Crm, rows: SheetRows, content: bytes, name: str, to: str, consultant_id: int | None,
    by: Principal,
) -> ImportRun:  # fmt: skip
    """Keep a file as an import that has not begun.

    Raises:
        Invalid: More employees or students than are taken in at once.
    """
    if rows.record != "Customer" and rows.data_rows > MOST_PEOPLE:
        raise invalid("source", "too_many_rows", rows.data_rows,
                       f"一次最多导入 {MOST_PEOPLE} 位{FORMS[rows.record].zh}，请拆分表格",
                       f"{MOST_PEOPLE} are taken in at once; split the sheet")  # fmt: skip
    with crm.unit_of_work() as uow:
        now = crm.now()
        if consultant_id is not None:
            check_consultant(crm, uow, consultant_id, now, by)
        run = ImportRun(
            file_name=name, sha256=hashlib.sha256(content).hexdigest(), record=rows.record,
            mode=to if rows.record == "Customer" else UNDEALT,
            consultant_id=consultant_id, created_at=now, by_id=by.user_id,
            last_row=rows.last, data_rows=rows.data_rows, blank_rows=rows.blank_rows,
            warnings=warned(rows.unknown, ()),
        )  # fmt: skip
        return uow.imports.add(run, content)


def go_on(
    crm: Crm, run: ImportRun, rows: SheetRows, acting: Acting, progress: Progress | None
) -> ImportRun:
    """Take in what is left of an import, and end it.

    Args:
        crm: The CRM.
        run: The import.
        rows: Its sheet.
        acting: In whose name.
        progress: Told how far it is after each batch; what it raises ends the run there.

    Raises:
        ImportBusy: It was reverted, paused or stopped, before or meanwhile.
    """
    number = run.id or 0
    if run.record != "Customer" and run.status in UNFINISHED:
        run = patiently(lambda: _take_all(crm, number, rows, acting))
    while run.status in UNFINISHED:
        if run.next_row > run.last_row:
            run = patiently(lambda: _finish(crm, number, acting))
        else:
            run = patiently(lambda: _take_batch(crm, number, rows, acting))
            if progress is not None:
                progress(min(run.next_row, run.last_row), run.last_row)
    if run.status is not ImportStatus.DONE:
        raise busy(run)
    crm.jobs.wake("deliver_due")
    return run


def patiently(step: Callable[[], ImportRun]) -> ImportRun:
    """Take a step again when two imports with the same contacts got in each other's way."""
    for _ in range(3):
        try:
            return step()
        except DatabaseBusy:
            continue
    return step()


def locked_run(uow: UnitOfWork, import_id: int) -> ImportRun:
    """Read an import and keep others from going on with it.

    Raises:
        NotFound: There is none.
    """
    run = uow.imports.lock(import_id)
    if run is None:
        raise NotFound(what="导入", id=import_id)
    return run


def _take_batch(crm: Crm, import_id: int, rows: SheetRows, acting: Acting) -> ImportRun:
    """Take in the next rows. The turns are drawn last of all: everybody waits for them."""
    with crm.unit_of_work() as uow:
        run = locked_run(uow, import_id)
        if run.status not in UNFINISHED:
            return run
        by = acting(uow, run)
        deal = _dealer(crm, uow, run, by)
        part = rows.beyond(run.next_row, crm.settings.batch_rows)
        good, bad = sort_out(uow, rows, part, import_id, set())
        now = crm.now()
        saved = uow.customers.add([
            Customer(**g.values, import_id=import_id, import_row=g.row, created_at=now,
                     created_by_id=by.user_id)
            for g in good
        ])  # fmt: skip
        kept = [g for g, s in zip(good, saved, strict=True) if s is not None]
        late = [g for g, s in zip(good, saved, strict=True) if s is None]
        bad += late_duplicates(uow, rows, late)
        problems = sorted((as_problem(import_id, b) for b in bad), key=lambda p: p.row)
        uow.imports.add_problems(problems)
        run = changed(
            run, status=ImportStatus.RUNNING, accepted=run.accepted + len(kept),
            refused=run.refused + len(problems), attempts=0,
            next_row=(part[-1].number if part else max(rows.last, run.last_row)) + 1,
            warnings=warned(run.warnings, kept),
        )  # fmt: skip
        uow.imports.save(run)
        uow.imports.renew(import_id, run.fence, crm.settings.import_lease_seconds)
        customers = [s for s in saved if s is not None]
        if customers:
            new, left = deal(customers)
            uow.ownership.open(new, fresh=True)
            uow.ownership.publish(left)
        return run


def _take_all(crm: Crm, import_id: int, rows: SheetRows, acting: Acting) -> ImportRun:
    """Take in all employees or students of a sheet, and end the import."""
    with crm.unit_of_work() as uow:
        run = locked_run(uow, import_id)
        if run.status not in UNFINISHED:
            return run
        by = acting(uow, run)
        good, bad = sort_out(uow, rows, rows.beyond(1, len(rows.rows)), import_id, set())
        uow.imports.add_problems([as_problem(import_id, b) for b in bad])
        now = crm.now()
        take_people(crm, uow, run, good, now, by)
        run = changed(
            run, status=ImportStatus.DONE, accepted=len(good), refused=len(bad),
            next_row=rows.last + 1, warnings=warned(run.warnings, good), finished_at=now,
        )  # fmt: skip
        uow.imports.save(run)
        uow.notices.add(_finished(crm, uow, run))
        audit(uow, by, now, "import", "ImportRun", import_id, None,
              {"file": run.file_name, "accepted": run.accepted})  # fmt: skip
        return run


def _dealer(
    crm: Crm, uow: UnitOfWork, run: ImportRun, by: Principal
) -> Callable[[Sequence[Customer]], Dealt]:
    """Give what deals saved customers, having looked at all that must be looked at before."""
    if run.mode == "rotation":
        return lambda saved: deal_out(crm, uow, saved, AssignmentMethod.IMPORT, by)[:2]
    rules = policy(crm, uow)
    if run.mode == "pool":
        return lambda saved: ((), [dated(c, rules) for c in saved])
    consultant = run.consultant_id or 0
    check_consultant(crm, uow, consultant, crm.now(), by)

    def give(saved: Sequence[Customer]) -> Dealt:
        now = crm.now()
        new = [
            NewAssignment(
                customer=dated(owned_by(c, consultant, now), rules), by_id=by.user_id,
                method=AssignmentMethod.IMPORT, explanation="导入时指定",
            )
            for c in saved
        ]  # fmt: skip
        return new, ()

    return give


def _finish(crm: Crm, import_id: int, acting: Acting) -> ImportRun:
    """End an import whose rows are all dealt with: tell the consultants, and write it down."""
    with crm.unit_of_work() as uow:
        run = locked_run(uow, import_id)
        if run.status not in UNFINISHED:
            return run
        by = acting(uow, run)
        now = crm.now()
        run = changed(run, status=ImportStatus.DONE, finished_at=now)
        uow.imports.save(run)
        uow.notices.add(_digests(crm, uow, run) + _finished(crm, uow, run))
        audit(uow, by, now, "import", "ImportRun", import_id, None,
              {"file": run.file_name, "accepted": run.accepted})  # fmt: skip
        return run


def _digests(crm: Crm, uow: UnitOfWork, run: ImportRun) -> list[Notice]:
    """Make one notice for each consultant, and tell the managers when nobody was there."""
    now, about = run.finished_at or crm.now(), f"import:{run.id}"
    found: list[Notice] = []
    for consultant, n in uow.imports.dealt(run.id or 0).items():
        if consultant is not None:
            new = counted(n, "new customer")
            found += notices(crm, Event.ASSIGNED, consultant,
                             Words(f"您有 {n} 位新客户", f"You have {new}"),
                             Words(f"导入《{run.file_name}》分给您 {n} 位新客户，请及时跟进。",
                                   f"The import “{run.file_name}” gave you {new}. "
                                   "Please get in touch soon."),
                             about=about, key=f"assigned:{about}", now=now)  # fmt: skip
        elif run.mode == "rotation":
            found += tell_managers(crm, uow, n, about=about, key=f"nobody:{about}", now=now)
    return found


def _finished(crm: Crm, uow: UnitOfWork, run: ImportRun) -> list[Notice]:
    """Tell whoever started an import what became of it."""
    left, rows = run.data_rows - run.accepted, counted(run.accepted, "row")
    return told(
        crm, uow, run,
        Words(f"导入完成：{run.accepted} 行", f"Import finished: {rows}"),
        Words(f"《{run.file_name}》已导入 {run.accepted} 行"
              + (f"，{left} 行未导入。" if left else "。"),
              f"{rows} of “{run.file_name}” taken in" + (f", {left} not." if left else ".")),
        key="finished", now=run.finished_at or crm.now(),
    )  # fmt: skip


def told(
    crm: Crm, uow: UnitOfWork, run: ImportRun, subject: Words, body: Words, *, key: str,
    now: datetime,
) -> list[Notice]:  # fmt: skip
    """Make the notices to whoever started an import, as far as that is an employee."""
    number = run.by_id if run.started_at is None else run.started_by_id
    user = None if number is None else uow.records.get(User, number)
    if user is None or user.employee_id is None:
        return []
    about = f"import:{run.id}"
    return notices(crm, Event.IMPORT_FINISHED, user.employee_id, subject, body, about=about,
                   key=f"{key}:{about}", now=now)  # fmt: skip
