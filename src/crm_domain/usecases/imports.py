"""People from spreadsheets: check, preview, run, resume, report, revert (spec section 7).

An import is run by whoever asks, who waits for its end (`import_file`, `run_import`), or handed to
the workers (`start_file`, `start_import`), and then paused, resumed and looked at by anybody within
whose reach it is.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

from crm_domain.errors import NotRevertible
from crm_domain.model import Choice, ImportProblem, ImportRun, ImportStatus
from crm_domain.model.fields import changed
from crm_domain.ports import Crm, Page, Query, Table, UnitOfWork
from crm_domain.rules.access import SYSTEM, Principal
from crm_domain.rules.layout import FORMS
from crm_domain.usecases._common import audit, reach_of
from crm_domain.usecases._import_file import read_file
from crm_domain.usecases._import_jobs import (
    ImportProgress,
    pause_import,
    progress,
    resume_import,
    start_import,
)
from crm_domain.usecases._import_report import ImportReport, by_name, make_report, warned
from crm_domain.usecases._import_rights import UNDEALT, may_import, reaches, theirs
from crm_domain.usecases._import_rows import TITLED, SheetRows
from crm_domain.usecases._import_run import (
    HALTED,
    Progress,
    begin,
    go_on,
    locked_run,
    patiently,
    read_again,
    read_rows,
)
from crm_domain.usecases._import_sorting import as_problem, sort_out
from crm_domain.usecases._import_work import run_started, run_started_imports, started_imports
from crm_domain.usecases._lookups import count_contacts
from crm_domain.usecases.assignment import upcoming

__all__ = [
    "ImportProgress", "ImportReport", "check_import", "import_file", "list_imports",
    "pause_import", "progress", "rejected_rows", "report_import", "resume_import",
    "revert_import", "run_import", "run_started", "run_started_imports", "start_file",
    "start_import", "started_imports", "template",
]  # fmt: skip


def check_import(
    crm: Crm, source: Path | str | bytes, *, file_name: str | None = None,
    record: str = "Customer", to: str = "rotation", consultant_id: int | None = None,
    by: Principal,
) -> ImportReport:  # fmt: skip
    """Read a sheet and tell what an import would do; nothing but the file is kept.

    Args:
        crm: The CRM.
        source: The file's path, or its content.
        file_name: What the user calls it, where the content is given.
        record: ``Customer``, ``Employee``, or ``Student``: people who are students already.
        to: ``rotation``, ``pool``, or ``consultant``; customers only.
        consultant_id: Who gets all of them, for ``consultant``.
        by: Who asks; needs ``customer:import``, ``customer:assign`` for a named consultant, and
            ``employee:edit`` or ``student:edit`` for those.

    Returns:
        The preview, with every problem by row, column and reason. Its ``id`` starts the import.

    Raises:
        AskedTooOften: The sheet asks for more contacts than somebody may in an hour who does not
            give customers away.
        UnreadableSheet: The file is no spreadsheet, or there is none.
        NoHeader: No header was found.
        Invalid: ``record`` or ``to`` is something else, or does not go with ``consultant_id``.
        NotAssignable: The named consultant is not active.
        NotFound: The named consultant is not within one's reach.
        NotPermitted: Without the permission.
    """
    may_import(record, to, consultant_id, by)
    content, name = read_file(source, file_name, crm.reader.max_bytes)
    rows = read_rows(crm, content, name, record)
    with crm.unit_of_work() as uow:
        count_contacts(crm, uow, rows.contacts, by)
        audit(uow, by, crm.now(), "check_import", "ImportRun", None, None,
              {"file_name": name, "record": record, "contacts": rows.contacts})  # fmt: skip
    run = begin(crm, rows, content, name, to, consultant_id, by)
    return _preview(crm, run, rows)


def _preview(crm: Crm, run: ImportRun, rows: SheetRows) -> ImportReport:
    """Tell what an import that has not begun would do."""
    with crm.unit_of_work(read_only=True) as uow:
        run, problems = _check(crm, uow, run, rows)
    turns = upcoming(crm, run.accepted, by=SYSTEM) if run.mode == "rotation" else ()
    return make_report(run, problems, by_name(crm, Counter(turns)), 0)


def _check(
    crm: Crm, uow: UnitOfWork, run: ImportRun, rows: SheetRows
) -> tuple[ImportRun, list[ImportProblem]]:
    """Give the import as it would be after a run, and all problems."""
    known: set[tuple[str, str]] = set()
    problems: list[ImportProblem] = []
    number, start = run.id or 0, 0
    while part := rows.beyond(start, crm.settings.batch_rows):
        good, bad = sort_out(uow, rows, part, number, known)
        run = changed(run, accepted=run.accepted + len(good), warnings=warned(run.warnings, good))
        problems += [as_problem(number, b) for b in bad]
        start = part[-1].number + 1
    return run, problems


def run_import(
    crm: Crm, import_id: int, *, progress: Progress | None = None, by: Principal
) -> ImportReport:
    """Run an import that was checked, or go on with one that stopped, and wait for its end.

    Rows are taken in batches, each with its turns in one transaction; how far it came is written in
    the same transaction, so a crash at any point repeats nothing and loses nothing.

    Args:
        crm: The CRM.
        import_id: The ``id`` of the check.
        progress: Told how far it is after each batch.
        by: Who asks; needs ``customer:import``, and ``customer:assign`` for a named consultant.

    Returns:
        The report. Of an import that is done, the report it had.

    Raises:
        ImportBusy: It was reverted, before or meanwhile, or paused meanwhile.
        FileRemoved: It was checked or reverted so long ago that its file is gone.
        SheetChanged: Its file is read otherwise than when it was checked.
        NotFound: There is no such import within one's reach, or no such consultant.
        NotAssignable: The named consultant is not active any more; what was taken in stays.
        NotPermitted: Without the permission.
    """
    by.need("customer:import")
    with crm.unit_of_work(read_only=True) as uow:
        run = theirs(uow, uow.records.get(ImportRun, import_id), import_id, by)
        done = run.status is ImportStatus.DONE
        # Its file may be gone by then, and its report is not.
        content = b"" if done else uow.imports.content(import_id)
    may_import(run.record, run.mode, run.consultant_id, by)
    if not done:
        rows = read_again(crm, run, content)
        if run.status in HALTED:
            run = patiently(lambda: _taken_up(crm, import_id, by))
        go_on(crm, run, rows, lambda _, __: by, progress)
    return report_import(crm, import_id, by=by)


def _taken_up(crm: Crm, import_id: int, by: Principal) -> ImportRun:
    """Let an import that was paused or stopped run again, by whoever asks and waits for its end."""
    with crm.unit_of_work() as uow:
        run = locked_run(uow, import_id)
        if run.status not in HALTED:
            return run
        now = crm.now()
        run = changed(run, status=ImportStatus.RUNNING, error=None, attempts=0)
        uow.imports.save(run)
        uow.imports.renew(import_id, run.fence, crm.settings.import_lease_seconds)
        audit(uow, by, now, "resume_import", "ImportRun", import_id, None, {"file": run.file_name})
        return run


def import_file(
    crm: Crm, source: Path | str | bytes, *, file_name: str | None = None,
    record: str = "Customer", to: str = "rotation", consultant_id: int | None = None,
    progress: Progress | None = None, by: Principal,
) -> ImportReport:  # fmt: skip
    """Check, run and report in one call.

    A file whose import was begun in the same way and not finished, by oneself or somebody within
    one's reach, is gone on with; a finished one imported again is a new run, in which every row is
    a duplicate.

    Args:
        crm: The CRM.
        source: The file's path, or its content.
        file_name: What the user calls it, where the content is given.
        record: ``Customer``, ``Employee``, or ``Student``: people who are students already.
        to: ``rotation``, ``pool``, or ``consultant``; customers only.
        consultant_id: Who gets all of them, for ``consultant``.
        progress: Told how far it is after each batch.
        by: Who asks; needs what `check_import` needs.

    Raises:
        UnreadableSheet: The file is no spreadsheet, or there is none.
        NoHeader: No header was found.
        Invalid: ``record`` or ``to`` is something else, or does not go with ``consultant_id``.
        ImportBusy: It was reverted meanwhile.
        NotAssignable: The named consultant is not active.
        NotFound: The named consultant is not within one's reach.
        NotPermitted: Without the permission.
    """
    may_import(record, to, consultant_id, by)
    content, name = read_file(source, file_name, crm.reader.max_bytes)
    mine = _begun(crm, content, record, to, consultant_id, by)
    if mine is not None:
        return run_import(crm, mine.id or 0, progress=progress, by=by)
    rows = read_rows(crm, content, name, record)
    _count(crm, rows, by)
    run = begin(crm, rows, content, name, to, consultant_id, by)
    go_on(crm, run, rows, lambda _, __: by, progress)
    return report_import(crm, run.id or 0, by=by)


def _count(crm: Crm, rows: SheetRows, by: Principal) -> None:
    """Count the contacts of a sheet: its report tells which of them others have."""
    with crm.unit_of_work() as uow:
        count_contacts(crm, uow, rows.contacts, by)


def _begun(
    crm: Crm, content: bytes, record: str, to: str, consultant_id: int | None, by: Principal
) -> ImportRun | None:
    """Find an import of a file within one's reach that was begun in this way and not finished."""
    mode = to if record == "Customer" else UNDEALT
    with crm.unit_of_work(read_only=True) as uow:
        sha256 = hashlib.sha256(content).hexdigest()
        begun = uow.imports.unfinished(sha256, mode, consultant_id)
        return next((r for r in begun if r.record == record and reaches(uow, r, by)), None)


def start_file(
    crm: Crm, source: Path | str | bytes, *, file_name: str | None = None,
    record: str = "Customer", to: str = "rotation", consultant_id: int | None = None,
    by: Principal,
) -> ImportProgress:  # fmt: skip
    """Keep a file and hand its import to the workers in one call, without waiting for its end.

    A file whose import was begun in the same way and not finished is gone on with, as by
    `import_file`; one that workers have already is left to them.

    Args:
        crm: The CRM.
        source: The file's path, or its content.
        file_name: What the user calls it, where the content is given.
        record: ``Customer``, ``Employee``, or ``Student``: people who are students already.
        to: ``rotation``, ``pool``, or ``consultant``; customers only.
        consultant_id: Who gets all of them, for ``consultant``.
        by: Who asks; needs what `check_import` needs.

    Returns:
        How far it is.

    Raises:
        UnreadableSheet: The file is no spreadsheet, or there is none.
        NoHeader: No header was found.
        Invalid: ``record`` or ``to`` is something else, or does not go with ``consultant_id``.
        ImportBusy: Somebody is at it, and waits for its end.
        NotAssignable: The named consultant is not active.
        NotFound: The named consultant is not within one's reach, or whoever asks has no account.
        NotPermitted: Without the permission.
    """
    may_import(record, to, consultant_id, by)
    content, name = read_file(source, file_name, crm.reader.max_bytes)
    mine = _begun(crm, content, record, to, consultant_id, by)
    if mine is None:
        rows = read_rows(crm, content, name, record)
        _count(crm, rows, by)
        run = begin(crm, rows, content, name, to, consultant_id, by)
        return start_import(crm, run.id or 0, by=by)
    if mine.status is ImportStatus.RUNNING and mine.started_at is not None:
        return progress(crm, mine.id or 0, by=by)
    return resume_import(crm, mine.id or 0, by=by)


def list_imports(crm: Crm, query: Query | None = None, *, by: Principal) -> Page[ImportRun]:
    """Read one page of the imports within one's reach, the newest first.

    Raises:
        Invalid: The query names what is not there.
        NotPermitted: Without ``customer:import``.
    """
    by.need("customer:import")
    with crm.unit_of_work(read_only=True) as uow:
        return uow.imports.page(query or Query(), reach_of(by), by.user_id)


def report_import(crm: Crm, import_id: int, *, by: Principal) -> ImportReport:
    """Tell what became of the rows of an import so far, or would if it began now.

    Raises:
        FileRemoved: It was only checked, and so long ago that its file is gone.
        NotFound: There is no such import.
        NotPermitted: Without ``customer:import``.
    """
    by.need("customer:import")
    with crm.unit_of_work(read_only=True) as uow:
        run = theirs(uow, uow.records.get(ImportRun, import_id), import_id, by)
        content = uow.imports.content(import_id) if run.status is ImportStatus.CHECKED else None
        dealt = uow.imports.dealt(import_id)
        problems = uow.imports.problems(import_id)
    if content is not None:
        return _preview(crm, run, read_rows(crm, content, run.file_name, run.record))
    if run.mode == UNDEALT:
        dealt = {}
    names = by_name(crm, {i: n for i, n in dealt.items() if i is not None})
    return make_report(run, problems, names, dealt.get(None, 0))


def revert_import(crm: Crm, import_id: int, *, by: Principal) -> int:
    """Take an import back, as long as nobody has worked on its customers.

    They are archived and their contacts freed; notices not sent yet are cancelled; used turns stay
    used. One that is running, paused or stopped is cancelled by this.

    Returns:
        How many customers were archived.

    Raises:
        NotRevertible: Somebody has worked on them, it is reverted already, or it brought
            employees or students.
        NotFound: There is no such import.
        NotPermitted: Without ``customer:import``.
    """
    by.need("customer:import")
    with crm.unit_of_work() as uow:
        run = theirs(uow, locked_run(uow, import_id), import_id, by)
        uow.imports.hold(import_id)
        now = crm.now()
        if run.status is ImportStatus.REVERTED:
            raise NotRevertible(id=import_id, reason_zh="已经撤销过。", reason_en="it is reverted.")
        if run.mode == UNDEALT and run.accepted:
            raise NotRevertible(
                id=import_id, reason_zh=f"{FORMS[run.record].zh}的导入不能撤销，请逐条修改。",
                reason_en=f"an import of {run.record.lower()}s stays; edit them one by one.",
            )  # fmt: skip
        if touched := uow.imports.touched(import_id):
            raise NotRevertible(
                id=import_id, reason_zh=f"已有 {touched} 位客户被跟进或改动。",
                reason_en=f"{touched} of its customers were worked on.",
            )  # fmt: skip
        archived = uow.imports.archive(import_id, now)
        uow.imports.save(changed(run, status=ImportStatus.REVERTED, error=None, finished_at=now))
        uow.notices.cancel(f"import:{import_id}")
        audit(uow, by, now, "revert_import", "ImportRun", import_id, None, {"archived": archived})
        return archived


def rejected_rows(crm: Crm, import_id: int, *, by: Principal) -> bytes:
    """Make a workbook of the rows that are not taken in, as they stand, with the reason.

    Raises:
        FileRemoved: It ended so long ago that its file is gone; the report has the reasons.
        NotFound: There is no such import.
        NotPermitted: Without ``customer:import``.
    """
    report = report_import(crm, import_id, by=by)
    with crm.unit_of_work(read_only=True) as uow:
        content = uow.imports.content(import_id)
    rows = read_rows(crm, content, report.file_name, report.record)
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


def template(crm: Crm, *, record: str = "Customer", by: Principal) -> bytes:
    """Make an empty sheet to fill in, with drop-downs.

    Args:
        crm: The CRM.
        record: ``Customer``, ``Employee`` or ``Student``.
        by: Who asks; needs ``customer:import``.

    Raises:
        Invalid: There is no such kind of sheet.
        NotPermitted: Without the permission.
    """
    may_import(record, "rotation", None, by)
    form = FORMS[record]
    with crm.unit_of_work(read_only=True) as uow:
        titles = {n: [one.title for one in uow.records.all(cls)] for n, cls in TITLED.items()}
    fields = form.fields.values()
    choices = {
        s.zh: titles.get(s.name) or [m.zh for m in s.type]
        for s in fields
        if titles.get(s.name) or (isinstance(s.type, type) and issubclass(s.type, Choice))
    }
    notes = {form.fields["name"].zh: "必填", "咨询日期": "如 2026-11-03"}
    if "qq" in form.fields:
        notes["手机"] = "手机、QQ、微信至少填写一项"
    texts = frozenset(s.zh for s in fields if s.contact or s.name.endswith("_number"))
    notes = {k: v for k, v in notes.items() if any(s.zh == k for s in fields)}
    table = Table(form.zh, [s.zh for s in fields], [], choices, notes, texts)
    return crm.writer.write_xlsx([table])
