"""Imports that workers run: started, paused and resumed by people, and how far they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import attrs

from crm_domain.errors import FileRemoved, NotFound
from crm_domain.model import Employee, ImportRun, ImportStatus, User
from crm_domain.model.fields import changed
from crm_domain.ports import Crm, UnitOfWork
from crm_domain.rules.access import SYSTEM, Principal
from crm_domain.usecases._common import audit
from crm_domain.usecases._import_rights import busy, may_import, theirs
from crm_domain.usecases._import_run import HALTED, locked_run, patiently
from crm_domain.usecases._owning import check_consultant


@attrs.frozen(kw_only=True)
class ImportProgress:
    """How far an import is, told by its row alone: neither the file nor a problem is read."""

    id: int
    record: str
    """What the rows are: ``Customer``, ``Employee`` or ``Student``."""
    file_name: str
    status: ImportStatus
    data_rows: int
    """All rows that are not blank: ``accepted``, ``refused`` and ``waiting_rows`` together."""
    blank_rows: int
    done_rows: int
    accepted: int
    refused: int
    """Duplicates and rejected ones; each has its problem in the report."""
    waiting_rows: int
    """Not looked at yet."""
    at_work: bool
    """Whether somebody is taking rows in at this moment."""
    started_at: datetime | None
    """When it was handed to the workers; None for one that its maker runs."""
    started_by: str | None
    """In whose name workers take rows in."""
    finished_at: datetime | None
    error: Mapping[str, str] | None
    """Why it stopped by itself: ``code``, and what to tell people in ``zh`` and ``en``."""


def progress(crm: Crm, import_id: int, *, by: Principal) -> ImportProgress:
    """Tell how far an import is, without reading its file; ask as often as you like.

    Raises:
        NotFound: There is no such import within one's reach.
        NotPermitted: Without ``customer:import``.
    """
    by.need("customer:import")
    clock = crm.storage.clock()
    with crm.unit_of_work(read_only=True) as uow:
        run = theirs(uow, uow.records.get(ImportRun, import_id), import_id, by)
        return told_of(uow, run, clock)


def told_of(uow: UnitOfWork, run: ImportRun, clock: datetime) -> ImportProgress:
    """Tell how far an import is.

    Args:
        uow: The unit of work, to ask for the name of whoever started it.
        run: The import.
        clock: The database's own time, which leases go by.
    """
    done = run.accepted + run.refused
    return ImportProgress(
        id=run.id or 0, record=run.record, file_name=run.file_name, status=run.status,
        data_rows=run.data_rows, blank_rows=run.blank_rows, done_rows=done,
        accepted=run.accepted, refused=run.refused, waiting_rows=run.data_rows - done,
        at_work=_is_leased(run, clock), started_at=run.started_at, started_by=_starter(uow, run),
        finished_at=run.finished_at, error=run.error,
    )  # fmt: skip


def _is_leased(run: ImportRun, clock: datetime) -> bool:
    return run.leased_until is not None and clock < run.leased_until


def _starter(uow: UnitOfWork, run: ImportRun) -> str | None:
    if run.started_at is None:
        return None
    user = None if run.started_by_id is None else uow.records.get(User, run.started_by_id)
    if user is None:
        return SYSTEM.title
    who = None if user.employee_id is None else uow.records.get(Employee, user.employee_id)
    return who.name if who else user.username


def start_import(crm: Crm, import_id: int, *, by: Principal) -> ImportProgress:
    """Hand a checked import to the workers, and return at once.

    They take its rows in in the name of whoever starts it, who must be allowed to until its end.

    Args:
        crm: The CRM.
        import_id: The ``id`` of the check.
        by: Who asks; needs ``customer:import``, and ``customer:assign`` for a named consultant.

    Returns:
        How far it is: at its beginning.

    Raises:
        ImportBusy: It was started before.
        NotFound: There is no such import within one's reach, or no such consultant; or whoever
            asks has no account, in whose name rows could be taken in.
        NotAssignable: The named consultant is not active any more.
        NotPermitted: Without the permission.
    """
    return _hand_over(
        crm, import_id, lambda run, _: run.status is ImportStatus.CHECKED, "start_import", by
    )


def resume_import(crm: Crm, import_id: int, *, by: Principal) -> ImportProgress:
    """Let workers go on with an import that was paused, that stopped, or that nobody is at.

    From here on rows are taken in in the name of whoever resumes it.

    Args:
        crm: The CRM.
        import_id: The import.
        by: Who asks; needs ``customer:import``, and ``customer:assign`` for a named consultant.

    Returns:
        How far it is.

    Raises:
        ImportBusy: It is under way, was not started, or is at its end.
        NotFound: There is no such import within one's reach, or no such consultant; or whoever
            asks has no account, in whose name rows could be taken in.
        NotAssignable: The named consultant is not active any more.
        NotPermitted: Without the permission.
    """

    def may(run: ImportRun, clock: datetime) -> bool:
        # One that its maker ran and that was interrupted: no worker looks for it.
        left = run.status is ImportStatus.RUNNING and run.started_at is None
        return run.status in HALTED or (left and not _is_leased(run, clock))

    return _hand_over(crm, import_id, may, "resume_import", by)


def _hand_over(
    crm: Crm, import_id: int, may: Callable[[ImportRun, datetime], bool], action: str,
    by: Principal,
) -> ImportProgress:  # fmt: skip
    """Let workers run an import in somebody's name."""
    by.need("customer:import")
    if by.user_id is None and by != SYSTEM:
        raise NotFound(what="用户", id=by.name)
    clock = crm.storage.clock()

    def step() -> ImportRun:
        with crm.unit_of_work() as uow:
            run = theirs(uow, locked_run(uow, import_id), import_id, by)
            may_import(run.record, run.mode, run.consultant_id, by)
            now = crm.now()
            if not may(run, clock):
                raise busy(run)
            if not uow.imports.has_file(import_id):
                raise FileRemoved(id=import_id)
            if run.consultant_id is not None:
                check_consultant(crm, uow, run.consultant_id, now, by)
            run = changed(run, status=ImportStatus.RUNNING, started_at=now, error=None,
                          started_by_id=by.user_id, attempts=0)  # fmt: skip
            uow.imports.save(run)
            audit(uow, by, now, action, "ImportRun", import_id, None, {"file": run.file_name})
            return run

    run = patiently(step)
    crm.jobs.wake("run_import", import_id=import_id)
    with crm.unit_of_work(read_only=True) as uow:
        return told_of(uow, run, clock)


def pause_import(crm: Crm, import_id: int, *, by: Principal) -> ImportProgress:
    """Stop a running import after the batch that is under way; it keeps its place.

    Employees and students are taken in by one transaction, which is there as a whole or not.

    Returns:
        How far it came.

    Raises:
        ImportBusy: It is not running.
        NotFound: There is no such import within one's reach.
        NotPermitted: Without ``customer:import``.
    """
    by.need("customer:import")

    def step() -> ImportRun:
        with crm.unit_of_work() as uow:
            run = theirs(uow, locked_run(uow, import_id), import_id, by)
            now = crm.now()
            if run.status is not ImportStatus.RUNNING:
                raise busy(run)
            run = changed(run, status=ImportStatus.PAUSED, leased_until=None)
            uow.imports.save(run)
            audit(uow, by, now, "pause_import", "ImportRun", import_id, None,
                  {"file": run.file_name, "next_row": run.next_row})  # fmt: skip
            return run

    run = patiently(step)
    with crm.unit_of_work(read_only=True) as uow:
        return told_of(uow, run, crm.storage.clock())
