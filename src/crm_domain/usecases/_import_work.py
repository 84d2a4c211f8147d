"""What workers do with imports that were started: take one, keep it, get on, say why they stopped.

The lease on an import's row only saves work: it keeps a second worker from reading the file and
preparing rows that the first one is at. What keeps rows from being taken in twice is the lock on
the row during each batch, and that how far it came is written in the same transaction; two at one
import would share its batches and double nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from crm_domain.errors import (
    CrmError,
    DatabaseBusy,
    ImportBusy,
    ImportStuck,
    NotFound,
    NotPermitted,
    RightsWithdrawn,
    UnreadableSheet,
)
from crm_domain.model import ImportRun, ImportStatus, User
from crm_domain.model.fields import changed
from crm_domain.ports import Crm, UnitOfWork
from crm_domain.rules.access import SYSTEM, Principal
from crm_domain.rules.wording import Words, counted
from crm_domain.usecases._common import Stopping, audit, never
from crm_domain.usecases._import_jobs import ImportProgress, told_of
from crm_domain.usecases._import_rights import may_import, theirs
from crm_domain.usecases._import_run import (
    Acting,
    Progress,
    go_on,
    locked_run,
    read_again,
    told,
)
from crm_domain.usecases._keeping import kept
from crm_domain.usecases._rights import principal_of

log = logging.getLogger(__name__)
MOST_ATTEMPTS = 10
"""So many workers take an import without ending one batch, before nobody does any more."""
BREATH = 0.1
"""Seconds at most between two batches where only one can write at a time. Whoever waits for the
writer there looks no more often, so without it somebody who claims or pauses waits for the end."""


class _TakenOver(Exception):
    """Another worker has the import now."""


class _Stopping(Exception):
    """This worker is to end."""


def started_imports(crm: Crm, *, by: Principal) -> tuple[int, ...]:
    """Tell the imports that were handed to the workers and that nobody is at, the oldest first.

    Raises:
        NotPermitted: Without ``job:run``.
    """
    by.need("job:run")
    with crm.unit_of_work(read_only=True) as uow:
        return uow.imports.waiting(crm.settings.import_lease_seconds)


def run_started(
    crm: Crm, import_id: int, *, stopping: Stopping = never, by: Principal
) -> ImportProgress | None:
    """Run an import that was handed to the workers, unless somebody is at it.

    Rows are taken in in the name of whoever started it, with the rights of that moment. When these
    are withdrawn it is paused, and when it cannot go on it has failed; either way its row says why,
    and whoever started it is told. What will pass is tried again by whoever looks next.

    Args:
        crm: The CRM.
        import_id: The import.
        stopping: Asked after each batch whether to stop; another goes on at once.
        by: Who asks; needs ``job:run``.

    Returns:
        How far it is now, or None when there was nothing to do.

    Raises:
        NotPermitted: Without the permission.
    """
    by.need("job:run")
    if stopping():
        return None
    with crm.unit_of_work() as uow:
        fence = uow.imports.lease(import_id, crm.settings.import_lease_seconds)
    if fence is None:
        return None
    try:
        _run(crm, import_id, fence, stopping)
    except (_TakenOver, ImportBusy):
        log.info("the import %d is another's, or was stopped by somebody", import_id)
    except _Stopping:
        _let_go(crm, import_id, fence, at_once=True)
    except DatabaseBusy:
        _let_go(crm, import_id, fence, at_once=False)
    except RightsWithdrawn as e:
        _halt(crm, import_id, fence, ImportStatus.PAUSED, e)
    except CrmError as e:
        if isinstance(e, UnreadableSheet) and e.passing:
            # It was read when it was checked. Its lease ends by itself, and the attempt counts.
            log.warning("the import %d was too heavy to read for now", import_id)
        else:
            _halt(crm, import_id, fence, ImportStatus.FAILED, e)
    clock = crm.storage.clock()
    with crm.unit_of_work(read_only=True) as uow:
        return told_of(uow, _read(uow, import_id), clock)


def run_started_imports(
    crm: Crm, *, stopping: Stopping = never, by: Principal
) -> tuple[ImportProgress, ...]:
    """Run all imports that were handed to the workers and that nobody is at.

    Call it as often as you like, from anywhere: the schedule does, and so does every worker. One
    that breaks does not stop the others; it is taken again when its lease is over.

    Args:
        crm: The CRM.
        stopping: Asked after each batch whether to stop.
        by: Who asks; needs ``job:run``.

    Returns:
        How far each is now.

    Raises:
        NotPermitted: Without the permission.
    """
    found = []
    for number in started_imports(crm, by=by):
        try:
            done = run_started(crm, number, stopping=stopping, by=by)
        except Exception:
            log.exception("the import %d broke", number)
            continue
        if done is not None:
            found.append(done)
    return tuple(found)


def _run(crm: Crm, import_id: int, fence: int, stopping: Callable[[], bool]) -> None:
    """Take in what is left, in the name of whoever started it."""
    with crm.unit_of_work(read_only=True) as uow:
        run = _read(uow, import_id)
        content = uow.imports.content(import_id)
    if run.attempts > MOST_ATTEMPTS:
        raise ImportStuck(id=import_id, attempts=run.attempts - 1)
    with _kept(crm, import_id, fence):
        rows = read_again(crm, run, content)
    go_on(crm, run, rows, _starter(crm, fence), _until(crm, stopping))


def _read(uow: UnitOfWork, import_id: int) -> ImportRun:
    run = uow.records.get(ImportRun, import_id)
    if run is None:
        raise NotFound(what="导入", id=import_id)
    return run


def _until(crm: Crm, stopping: Callable[[], bool]) -> Progress:
    """Give what is done between two batches: look whether to stop, and let others in."""
    begun = time.monotonic()

    def progress(_: int, __: int) -> None:
        nonlocal begun
        if stopping():
            raise _Stopping
        if crm.storage.one_writer:
            time.sleep(min(BREATH, time.monotonic() - begun))
        begun = time.monotonic()

    return progress


def _starter(crm: Crm, fence: int) -> Acting:
    """Give what tells, before each step, who started an import, with the rights of that moment."""

    def acting(uow: UnitOfWork, run: ImportRun) -> Principal:
        if run.fence != fence:
            raise _TakenOver
        if run.started_by_id is None:
            return SYSTEM
        user = uow.records.get(User, run.started_by_id)
        name = user.username if user else "?"
        try:
            if user is None:
                raise NotFound(what="用户", id=name)
            by = principal_of(crm, uow, user)
            theirs(uow, run, run.id or 0, by)
            may_import(run.record, run.mode, run.consultant_id, by)
        except (NotFound, NotPermitted) as e:
            raise RightsWithdrawn(id=run.id, name=name, reason_zh=e.message("zh"),
                                  reason_en=e.message("en")) from e  # fmt: skip
        return by

    return acting


def _kept(crm: Crm, import_id: int, fence: int) -> AbstractContextManager[None]:
    """Keep an import while its file is read, which may take longer than a lease.

    Batches need no such thread: nobody takes an import whose row is locked, and each renews.
    """
    seconds = crm.settings.import_lease_seconds

    def renew() -> bool:
        with crm.unit_of_work() as uow:
            return uow.imports.renew(import_id, fence, seconds)

    return kept(renew, seconds)


def _let_go(crm: Crm, import_id: int, fence: int, *, at_once: bool) -> None:
    # If even this cannot be written, the lease ends by itself, and the attempt counts.
    with suppress(DatabaseBusy), crm.unit_of_work() as uow:
        uow.imports.let_go(import_id, fence, at_once=at_once)


def _halt(
    crm: Crm, import_id: int, fence: int, status: ImportStatus, error: CrmError
) -> None:  # fmt: skip
    """Write why an import does not go on, and tell whoever started it."""
    log.warning("the import %d stopped: %s", import_id, error.code)
    with crm.unit_of_work() as uow:
        run = locked_run(uow, import_id)
        if run.fence != fence or run.status is not ImportStatus.RUNNING:
            return
        now = crm.now()
        why = {"code": error.code, "zh": error.message("zh"), "en": error.message("en")}
        uow.imports.save(changed(run, status=status, error=why))
        left = run.data_rows - run.accepted - run.refused
        uow.notices.add(told(
            crm, uow, run,
            Words(f"导入已停止：还有 {left} 行", f"Import stopped: {counted(left, 'row')} left"),
            Words(f"《{run.file_name}》已导入 {run.accepted} 行，还有 {left} 行未处理。{why['zh']}",
                  f"{counted(run.accepted, 'row')} of “{run.file_name}” taken in, {left} left. "
                  f"{why['en']}"),
            key=f"stopped:{fence}", now=now,
        ))  # fmt: skip
        audit(uow, SYSTEM, now, "stop_import", "ImportRun", import_id, None,
              {"file": run.file_name, "code": error.code})  # fmt: skip
    crm.jobs.wake("deliver_due")
