"""Customers from spreadsheets: check, preview, run, resume, report, revert (spec section 7)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from crm_domain.errors import DatabaseBusy, ImportBusy, NotFound, NotRevertible
from crm_domain.model import (
    AssignmentMethod,
    Choice,
    Course,
    Customer,
    Event,
    ImportProblem,
    ImportRun,
    ImportStatus,
    Notice,
    School,
    Scope,
    specs,
)
from crm_domain.model.fields import changed
from crm_domain.ports import Crm, NewAssignment, Table, UnitOfWork
from crm_domain.rules.access import SYSTEM, Principal
from crm_domain.rules.layout import SYNONYMS
from crm_domain.rules.pool import dated
from crm_domain.usecases._common import audit, notices, policy, tell_managers
from crm_domain.usecases._dealing import deal_out
from crm_domain.usecases._import_report import ImportReport, by_name, make_report, told
from crm_domain.usecases._import_rows import (
    IN_DATABASE,
    Good,
    SheetRows,
    as_problem,
    duplicate,
    find_rows,
    sort_out,
)
from crm_domain.usecases._owning import check_consultant, owned_by
from crm_domain.usecases.assignment import upcoming

__all__ = [
    "ImportReport", "check_import", "import_file", "rejected_rows", "report_import",
    "revert_import", "run_import", "template",
]  # fmt: skip

Progress = Callable[[int, int], None]
"""Called with the rows dealt with and the rows there are."""


def check_import(
    crm: Crm, source: Path | str | bytes, *, file_name: str | None = None, to: str = "rotation",
    consultant_id: int | None = None, by: Principal,
) -> ImportReport:  # fmt: skip
    """Read a sheet and tell what an import would do; nothing but the file is kept.

    Args:
        crm: The CRM.
        source: The file's path, or its content.
        file_name: What the user calls it, where the content is given.
        to: ``rotation``, ``pool``, or ``consultant``.
        consultant_id: Who gets all of them, for ``consultant``.
        by: Who asks; needs ``customer:import``.

    Returns:
        The preview, with every problem by row, column and reason. Its ``id`` starts the import.

    Raises:
        UnreadableSheet: The file is no spreadsheet.
        NoHeader: No header was found.
        NotPermitted: Without the permission.
    """
    by.need("customer:import")
    content, name = _content(source, file_name)
    rows = _read(crm, content, name)
    run = _begin(crm, rows, content, name, to, consultant_id, by)
    with crm.unit_of_work(read_only=True) as uow:
        accepted, problems = _check(crm, uow, rows, run.id or 0)
    names = by_name(crm, upcoming(crm, accepted, by=SYSTEM)) if to == "rotation" else {}
    return make_report(changed(run, accepted=accepted), problems, names, 0, told(rows))


def _read(crm: Crm, content: bytes, name: str) -> SheetRows:
    """Read a file, while nobody waits for us."""
    sheets = crm.reader.read(content, name)
    with crm.unit_of_work(read_only=True) as uow:
        return find_rows(uow, sheets, name)


def _begin(
    crm: Crm, rows: SheetRows, content: bytes, name: str, to: str, consultant_id: int | None,
    by: Principal,
) -> ImportRun:  # fmt: skip
    """Keep a file as an import that has not begun."""
    with crm.unit_of_work() as uow:
        now = crm.now()
        if to == "consultant":
            by.need("customer:assign")
            check_consultant(crm, uow, consultant_id or 0, now, by)
        run = ImportRun(
            file_name=name[:200], sha256=hashlib.sha256(content).hexdigest(), mode=to,
            consultant_id=consultant_id, created_at=now, by_id=by.user_id,
            last_row=rows.last, data_rows=rows.data_rows, blank_rows=rows.blank_rows,
        )  # fmt: skip
        return uow.imports.add(run, content)


def _content(source: Path | str | bytes, file_name: str | None) -> tuple[bytes, str]:
    if isinstance(source, bytes):
        return source, file_name or "upload.xlsx"
    path = Path(source)
    return path.read_bytes(), file_name or path.name


def _check(
    crm: Crm, uow: UnitOfWork, rows: SheetRows, import_id: int
) -> tuple[int, list[ImportProblem]]:
    known: set[tuple[str, str]] = set()
    problems: list[ImportProblem] = []
    accepted, start = 0, 0
    while part := rows.beyond(start, crm.settings.batch_rows):
        good, bad = sort_out(uow, rows, part, import_id, known)
        accepted += len(good)
        problems += [as_problem(import_id, b) for b in bad]
        start = part[-1].number + 1
    return accepted, problems


def run_import(
    crm: Crm, import_id: int, *, progress: Progress | None = None, by: Principal
) -> ImportReport:
    """Run an import that was checked, or go on with one that stopped.

    Rows are taken in batches, each with its turns in one transaction; how far it came is written in
    the same transaction, so a crash at any point repeats nothing and loses nothing.

    Args:
        crm: The CRM.
        import_id: The ``id`` of the check.
        progress: Told how far it is after each batch.
        by: Who asks; needs ``customer:import``.

    Returns:
        The report. Of an import that is done, the report it had.

    Raises:
        ImportBusy: It was reverted.
        NotFound: There is no such import.
        NotPermitted: Without the permission.
    """
    by.need("customer:import")
    with crm.unit_of_work(read_only=True) as uow:
        run = _theirs(uow.records.get(ImportRun, import_id), import_id, by)
        content = uow.imports.content(import_id)
    rows = _read(crm, content, run.file_name)
    return _run(crm, run, rows, progress, by)


def _run(
    crm: Crm, run: ImportRun, rows: SheetRows, progress: Progress | None, by: Principal
) -> ImportReport:
    number = run.id or 0
    while run.status in (ImportStatus.CHECKED, ImportStatus.RUNNING):
        run = _patiently(lambda: _run_batch(crm, number, rows, by))
        if progress is not None:
            progress(min(run.next_row, run.last_row), run.last_row)
    if run.status is ImportStatus.REVERTED:
        raise ImportBusy(id=run.id, status=run.status.zh)
    crm.jobs.wake("deliver_due")
    return report_import(crm, run.id or 0, by=by)


def _patiently(batch: Callable[[], ImportRun]) -> ImportRun:
    """Take a batch again when two imports with the same contacts got in each other's way."""
    for _ in range(3):
        try:
            return batch()
        except DatabaseBusy:
            continue
    return batch()


def _theirs(run: ImportRun | None, import_id: int, by: Principal) -> ImportRun:
    """Give an import to whoever may see it: whoever reaches only the own, only the own ones."""
    if run is None or (by.scope is Scope.OWN and run.by_id != by.user_id):
        raise NotFound(what="导入", id=import_id)
    return run


def _run_batch(crm: Crm, import_id: int, rows: SheetRows, by: Principal) -> ImportRun:
    """Take in the next rows; after the last ones, write the notices and be done."""
    with crm.unit_of_work() as uow:
        run = uow.imports.lock(import_id)
        if run is None:
            raise NotFound(what="导入", id=import_id)
        if run.status not in (ImportStatus.CHECKED, ImportStatus.RUNNING):
            return run
        part = rows.beyond(run.next_row, crm.settings.batch_rows)
        good, bad = sort_out(uow, rows, part, import_id, set())
        accepted, late = _take_in(crm, uow, run, good, by)
        bad += [duplicate(rows, g, "", IN_DATABASE) for g in late]
        uow.imports.add_problems(sorted((as_problem(import_id, b) for b in bad), key=_row))
        done = not part or part[-1].number >= rows.last
        run = changed(
            run, status=ImportStatus.DONE if done else ImportStatus.RUNNING,
            next_row=part[-1].number + 1 if part else rows.last + 1,
            accepted=run.accepted + accepted,
            warnings=tuple(told(rows)) if done else run.warnings,
            finished_at=crm.now() if done else None,
        )  # fmt: skip
        uow.imports.save(run)
        if done:
            uow.notices.add(_digests(crm, uow, run))
            audit(uow, by, crm.now(), "import", "ImportRun", import_id, None,
                  {"file": run.file_name, "accepted": run.accepted})  # fmt: skip
        return run


def _row(problem: ImportProblem) -> int:
    return problem.row


def _take_in(
    crm: Crm, uow: UnitOfWork, run: ImportRun, good: Sequence[Good], by: Principal
) -> tuple[int, list[Good]]:
    """Save customers and deal them; give back those that somebody else saved meanwhile."""
    now = crm.now()
    saved = uow.customers.add([
        changed(g.customer, import_id=run.id, import_row=g.row, created_at=now,
                created_by_id=by.user_id)
        for g in good
    ])  # fmt: skip
    late = [g for g, s in zip(good, saved, strict=True) if s is None]
    customers = [s for s in saved if s is not None]
    if not customers:
        return 0, late
    new: list[NewAssignment] = []
    left: Sequence[Customer] = []
    if run.mode == "rotation":
        new, left, _ = deal_out(crm, uow, customers, AssignmentMethod.IMPORT, by)
    elif run.mode == "consultant":
        check_consultant(crm, uow, run.consultant_id or 0, now, SYSTEM)
        new = [
            NewAssignment(
                customer=dated(owned_by(c, run.consultant_id or 0, now), policy(crm, uow)),
                method=AssignmentMethod.IMPORT, explanation="导入时指定", by_id=by.user_id,
            )
            for c in customers
        ]  # fmt: skip
    else:
        left = [dated(c, policy(crm, uow)) for c in customers]
    uow.customers.open(new, fresh=True)
    uow.customers.publish(left)
    return len(customers), late


def _digests(crm: Crm, uow: UnitOfWork, run: ImportRun) -> list[Notice]:
    """Make one notice for each consultant, and tell the managers when nobody was there."""
    now, about = crm.now(), f"import:{run.id}"
    found: list[Notice] = []
    for consultant, n in uow.imports.dealt(run.id or 0).items():
        if consultant is not None:
            found += notices(crm, Event.ASSIGNED, consultant, f"您有 {n} 位新客户",
                             f"导入《{run.file_name}》分给您 {n} 位新客户，请及时跟进。",
                             about=about, key=f"assigned:{about}", now=now)  # fmt: skip
        elif run.mode == "rotation":
            found += tell_managers(crm, uow, n, about=about, key=f"nobody:{about}", now=now)
    return found


def import_file(
    crm: Crm, source: Path | str | bytes, *, file_name: str | None = None, to: str = "rotation",
    consultant_id: int | None = None, progress: Progress | None = None, by: Principal,
) -> ImportReport:  # fmt: skip
    """Check, run and report in one call.

    A file whose import was begun and not finished is gone on with, as it was begun; a finished one
    imported again is a new run, in which every row is a duplicate.

    Args:
        crm: The CRM.
        source: The file's path, or its content.
        file_name: What the user calls it, where the content is given.
        to: ``rotation``, ``pool``, or ``consultant``.
        consultant_id: Who gets all of them, for ``consultant``.
        progress: Told how far it is after each batch.
        by: Who asks; needs ``customer:import``.

    Raises:
        UnreadableSheet: The file is no spreadsheet.
        NoHeader: No header was found.
        NotPermitted: Without the permission.
    """
    by.need("customer:import")
    content, name = _content(source, file_name)
    with crm.unit_of_work(read_only=True) as uow:
        begun = uow.imports.unfinished(hashlib.sha256(content).hexdigest())
    if begun is not None and begun.id is not None:
        return run_import(crm, begun.id, progress=progress, by=by)
    rows = _read(crm, content, name)
    run = _begin(crm, rows, content, name, to, consultant_id, by)
    return _run(crm, run, rows, progress, by)


def report_import(crm: Crm, import_id: int, *, by: Principal) -> ImportReport:
    """Tell what became of the rows of an import, so far.

    Raises:
        NotFound: There is no such import.
        NotPermitted: Without ``customer:import``.
    """
    by.need("customer:import")
    with crm.unit_of_work(read_only=True) as uow:
        run = _theirs(uow.records.get(ImportRun, import_id), import_id, by)
        dealt = uow.imports.dealt(import_id)
        problems = uow.imports.problems(import_id)
    names = by_name(crm, [i for i, n in dealt.items() if i is not None for _ in range(n)])
    return make_report(run, problems, names, dealt.get(None, 0), run.warnings)


def revert_import(crm: Crm, import_id: int, *, by: Principal) -> int:
    """Take an import back, as long as nobody has worked on its customers.

    They are archived and their contacts freed; notices not sent yet are cancelled; used turns stay
    used.

    Returns:
        How many customers were archived.

    Raises:
        NotRevertible: Somebody has worked on them, or it is reverted already.
        NotFound: There is no such import.
        NotPermitted: Without ``customer:import``.
    """
    by.need("customer:import")
    with crm.unit_of_work() as uow:
        run = _theirs(uow.imports.lock(import_id), import_id, by)
        uow.imports.customers(import_id)
        now = crm.now()
        if run.status is ImportStatus.REVERTED:
            raise NotRevertible(id=import_id, reason_zh="已经撤销过。", reason_en="it is reverted.")
        if touched := uow.imports.touched(import_id):
            raise NotRevertible(
                id=import_id, reason_zh=f"已有 {touched} 位客户被跟进或改动。",
                reason_en=f"{touched} of its customers were worked on.",
            )  # fmt: skip
        archived = uow.imports.archive(import_id, now)
        uow.imports.save(changed(run, status=ImportStatus.REVERTED, finished_at=now))
        uow.notices.cancel(f"import:{import_id}")
        audit(uow, by, now, "revert_import", "ImportRun", import_id, None, {"archived": archived})
        return archived


def rejected_rows(crm: Crm, import_id: int, *, by: Principal) -> bytes:
    """Make a workbook of the rows that were not taken in, as they stood, with the reason.

    Raises:
        NotFound: There is no such import.
        NotPermitted: Without ``customer:import``.
    """
    report = report_import(crm, import_id, by=by)
    with crm.unit_of_work(read_only=True) as uow:
        content = uow.imports.content(import_id)
    rows = _read(crm, content, report.file_name)
    cells = {r.number: r.cells for r in rows.rows}
    width = max(rows.layout.columns) + 1
    headings = [rows.layout.headings.get(rows.layout.columns.get(i, ""), "") for i in range(width)]
    filled = [
        ["" if c is None else c for c in (*cells[p.row], *[None] * width)[:width]]
        + [p.row, p.message]
        for p in report.problems
        if p.row in cells
    ]
    return crm.writer.write_xlsx([Table("未导入的行", [*headings, "原行号", "原因"], filled)])


def template(crm: Crm, *, by: Principal) -> bytes:
    """Make an empty sheet to fill in, with drop-downs.

    Raises:
        NotPermitted: Without ``customer:import``.
    """
    by.need("customer:import")
    with crm.unit_of_work(read_only=True) as uow:
        titles = {
            "courses": [c.title for c in uow.records.all(Course)],
            "school_id": [s.title for s in uow.records.all(School)],
        }
    fields = [specs(Customer)[n] for n in SYNONYMS]
    choices = {
        s.zh: titles.get(s.name) or [m.zh for m in s.type]
        for s in fields
        if titles.get(s.name) or (isinstance(s.type, type) and issubclass(s.type, Choice))
    }
    notes = {"姓名": "必填", "手机": "手机、QQ、微信至少填写一项", "咨询日期": "如 2026-11-03"}
    table = Table("客户", [s.zh for s in fields], [], choices, notes,
                  frozenset({"手机", "QQ", "微信"}))  # fmt: skip
    return crm.writer.write_xlsx([table])
