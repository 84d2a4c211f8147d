"""What runs by itself: each slot of the schedule once, however many schedulers there are.

The row of a job in the database says which slot was begun, by whom (the fence) and until when (the
lease). A slot that was missed is run once, late; several missed ones collapse into the latest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta

import attrs

from crm_domain.errors import CrmError, DatabaseBusy, Inconsistent, JobRunning, NotFound
from crm_domain.model import AuditEntry, ScheduledJob
from crm_domain.parsing import quoted
from crm_domain.ports import Crm, Query
from crm_domain.rules.access import SYSTEM, Principal
from crm_domain.usecases import (
    consistency,
    delivering,
    follow_up,
    imports,
    sessions,
    sweep,
    tidying,
)
from crm_domain.usecases._common import audit, earlier_now
from crm_domain.usecases._keeping import kept

log = logging.getLogger(__name__)
Result = Mapping[str, int]
DELIVERING = 300.0
"""Seconds after which a delivery takes no more notices, long before anybody would stop it."""
LEASE = 30.0
"""Seconds that a job is left to a process that gives no sign of life any more."""
RETRY = 30.0
"""Seconds after which a job that broke is run once more: what is broken is not hammered."""
LATE = timedelta(minutes=10)
"""After which a slot that nobody has run says that nobody keeps the schedule."""
UNKEPT = timedelta(days=1)
"""After which the same is said of a CRM in which no job ever ran."""


@attrs.frozen(kw_only=True)
class Job:
    """A job as it is declared."""

    name: str
    zh: str
    en: str
    seconds: int
    """After which a worker stops it. Where `tick` or `run_job` is called in a program of one's own,
    nothing does."""
    run: Callable[[Crm], Result]

    def cron(self, crm: Crm) -> str:
        """Tell its cron expression; empty is off."""
        found: str = getattr(crm.settings, f"cron_{self.name}")
        return found


@attrs.frozen(kw_only=True)
class Scheduled:
    """A job with its expression, its next slot and its latest run."""

    name: str
    zh: str
    en: str
    cron: str
    next_at: datetime | None
    """In the business time zone; None when it is off."""
    last: ScheduledJob | None
    asked_at: datetime | None
    """Since when somebody waits for a run; None when nobody does."""


@attrs.frozen(kw_only=True)
class Run:
    """How one run of a job went."""

    name: str
    result: Result | None = None
    error: str | None = None
    error_zh: str | None = None
    """The same in Chinese, where a rule or the database refused it."""
    taken_over: bool = False
    """Whether an earlier run of the slot was begun and never ended."""
    kept: bool = True
    """False when another process took the job over before this run ended."""


def _deliver(crm: Crm) -> Result:
    return attrs.asdict(delivering.deliver_due(crm, seconds=DELIVERING, by=SYSTEM))


def _sweep(crm: Crm) -> Result:
    done = sweep.sweep_pool(crm, by=SYSTEM, guard=True)
    # One that goes on where another was cut off must not tell its part as the whole.
    return {"released": done.released} | ({"earlier": done.earlier} if done.earlier else {})


def _warn(crm: Crm) -> Result:
    return {"notices": sweep.warn_owners(crm, by=SYSTEM)}


def _remind(crm: Crm) -> Result:
    return {"notices": follow_up.remind_contacts(crm, by=SYSTEM)}


def _tidy(crm: Crm) -> Result:
    return {
        "removed": sessions.remove_old(crm, by=SYSTEM),
        "old_notices": tidying.remove_notices(crm, by=SYSTEM),
        "old_files": tidying.remove_files(crm, by=SYSTEM),
    }


def _imports(crm: Crm) -> Result:
    done = imports.run_started_imports(crm, by=SYSTEM)
    return {"imports": len(done), "rows": sum(one.done_rows for one in done)}


def _check(crm: Crm) -> Result:
    found = consistency.check_database(crm, by=SYSTEM)
    broken = [f"{c.code} {c.count}" for c in found if c.count]
    if broken:
        raise Inconsistent(codes=", ".join(broken))
    return {"checks": len(found)}


JOBS: Mapping[str, Job] = {
    job.name: job
    for job in (
        Job(name="deliver", zh="发送通知", en="deliver notices", seconds=600, run=_deliver),
        Job(name="sweep", zh="每日回收", en="sweep the pool", seconds=900, run=_sweep),
        Job(name="warn", zh="到期提醒", en="warn owners", seconds=900, run=_warn),
        Job(name="remind", zh="联系提醒", en="remind of contacts", seconds=900, run=_remind),
        Job(
            name="tidy",
            zh="清理过期记录",
            en="remove what is old",
            seconds=600,
            run=_tidy,
        ),
        Job(name="imports", zh="执行导入", en="run imports", seconds=3600, run=_imports),
        Job(name="check", zh="数据检查", en="check the database", seconds=3600, run=_check),
    )
}
"""The jobs of the schedule by name; the setting ``cron_<name>`` says when each runs."""
COUNTED: Mapping[str, tuple[str, str]] = {
    "released": ("退回公海", "released"), "earlier": ("此前已退回", "released before"),
    "notices": ("新增通知", "notices"), "sent": ("已发送", "sent"),
    "failed": ("待重试", "to be tried again"), "dead": ("发送失败", "dead"),
    "expired": ("已过期", "expired"), "cancelled": ("已取消", "cancelled"),
    "removed": ("已清理", "removed"), "old_notices": ("清理旧通知", "old notices"),
    "old_files": ("清理导入文件", "old files"), "imports": ("执行导入", "imports"),
    "rows": ("处理行数", "rows"), "checks": ("检查项", "checks"),
    "woken": ("已唤醒", "woken"),
}  # fmt: skip
"""What the results of jobs count, in both languages; a face without a word shows the name."""


def list_jobs(crm: Crm, *, by: Principal) -> tuple[Scheduled, ...]:
    """Tell each job's expression, next slot and latest run.

    Raises:
        NotPermitted: Without ``job:run``.
    """
    by.need("job:run")
    now, rows, asked = _local_now(crm), _rows(crm), _asked(crm)
    return tuple(
        Scheduled(
            name=job.name, zh=job.zh, en=job.en, cron=cron, last=rows.get(job.name),
            asked_at=asked.get(job.name),
            next_at=crm.cron.following(cron, now) if cron else None,
        )
        for job in JOBS.values()
        for cron in (job.cron(crm),)
    )  # fmt: skip


def due_jobs(crm: Crm, *, by: Principal) -> tuple[str, ...]:
    """Tell the jobs whose latest slot nobody has run or is running, and those that were asked for.

    Nothing is changed.

    Raises:
        NotPermitted: Without ``job:run``.
    """
    by.need("job:run")
    now, rows, real = _local_now(crm), _rows(crm), crm.storage.clock()
    asked = _asked(crm)
    return tuple(
        name for name, job in JOBS.items()
        if _is_due(row := rows.get(name), _slot(crm, job, now), real)
        or (name in asked and not _is_held(row, real))
    )  # fmt: skip


def late_jobs(crm: Crm, *, by: Principal) -> tuple[str, ...]:
    """Tell the jobs whose latest slot is long past and has been run by nobody, changing nothing.

    A job that never ran while others did is not told: nobody knows since when it should have. Where
    none ever ran, all are told as soon as the log of changes is a day old.

    Raises:
        NotPermitted: Without ``job:run``.
    """
    by.need("job:run")
    now, rows, real = _local_now(crm), _rows(crm), crm.storage.clock()
    if not rows and _is_older(crm, now - UNKEPT):
        return tuple(name for name, job in JOBS.items() if job.cron(crm))
    slots = {n: _slot(crm, j, now) for n, j in JOBS.items() if n in rows}
    return tuple(
        name for name, slot in slots.items()
        if slot is not None and _is_due(rows[name], slot, real)
        and now - _missed(crm, JOBS[name], rows[name], slot) > LATE
    )  # fmt: skip


@attrs.frozen(kw_only=True)
class Troubled:
    """The jobs that somebody should look at."""

    failed: tuple[str, ...]
    """Whose latest run failed."""
    late: tuple[str, ...]
    """As `late_jobs` tells."""


def troubled_jobs(crm: Crm, *, by: Principal) -> Troubled:
    """Tell the jobs that failed or are late, changing nothing.

    Raises:
        NotPermitted: Without ``job:run``.
    """
    by.need("job:run")
    failed = tuple(name for name, row in _rows(crm).items() if row.error)
    return Troubled(failed=failed, late=late_jobs(crm, by=by))


def _is_older(crm: Crm, moment: datetime) -> bool:
    """Whether something was done in the CRM before a moment."""
    with crm.unit_of_work(read_only=True) as uow:
        first = uow.records.page(AuditEntry, Query(sort="at", limit=1)).items
    return bool(first) and first[0].at < moment


def _missed(crm: Crm, job: Job, row: ScheduledJob, latest: datetime) -> datetime:
    """Tell the first slot that was not run to its end, of those up to the latest."""
    if row.finished_at is None:
        return row.slot
    first = crm.cron.following(job.cron(crm), row.slot.astimezone(latest.tzinfo))
    return latest if first is None else min(first, latest)


def run_due(
    crm: Crm, name: str, *, run: Callable[[Crm], Result] | None = None, by: Principal
) -> Run | None:
    """Run a job that was asked for, or for its latest slot, unless that was run or somebody is at
    it.

    Args:
        crm: The CRM.
        name: The job.
        run: What is done instead of what the job declares, by a process that has its own way.
        by: Who asks; needs ``job:run``. The job itself runs as the system.

    Returns:
        How it went, or None when there was nothing to do.

    Raises:
        NotFound: There is no such job.
        NotPermitted: Without the permission.
    """
    by.need("job:run")
    job = _job(name)
    asked, slot = name in _asked(crm), _slot(crm, job, _local_now(crm))
    if run is not None:
        job = attrs.evolve(job, run=run)
    if asked:
        return _run(crm, job, None, asked=True)
    return None if slot is None else _run(crm, job, slot)


def ask_job(crm: Crm, name: str, *, by: Principal) -> None:
    """Ask for a run of a job as soon as may be, and wake a worker; nobody waits for its end.

    Args:
        crm: The CRM.
        name: The job.
        by: Who asks; needs ``job:run``. The job itself runs as the system.

    Raises:
        NotFound: There is no such job.
        NotPermitted: Without the permission.
    """
    by.need("job:run")
    job = _job(name)
    with crm.unit_of_work() as uow:
        uow.schedule.ask(job.name)
        audit(uow, by, crm.now(), "run_job", "ScheduledJob", None, None, {"name": name})
    crm.jobs.wake(job.name)


def run_job(crm: Crm, name: str, *, by: Principal) -> Run:
    """Run a job now and wait for its end, whatever the schedule says.

    A slot that was missed need not run any more.

    Args:
        crm: The CRM.
        name: The job.
        by: Who asks; needs ``job:run``. The job itself runs as the system.

    Returns:
        How it went.

    Raises:
        JobRunning: Somebody is at it.
        NotFound: There is no such job.
        NotPermitted: Without the permission.
    """
    by.need("job:run")
    job = _job(name)
    done = _run(crm, job, None)
    if done is None:
        raise JobRunning(name=name)
    with crm.unit_of_work() as uow:
        audit(uow, by, crm.now(), "run_job", "ScheduledJob", None, None, {"name": name})
    return done


def tick(crm: Crm, *, by: Principal) -> tuple[Run, ...]:
    """Run every job that is due, one after another; call it as often as you like, from anywhere.

    Returns:
        The runs, without those that another process was at.

    Raises:
        NotPermitted: Without ``job:run``.
    """
    found = [run_due(crm, name, by=by) for name in due_jobs(crm, by=by)]
    return tuple(run for run in found if run is not None)


def _begun(crm: Crm, job: Job, slot: datetime | None, asked: bool) -> int | None:
    """Begin a job, unless somebody is at it, or at once has fulfilled what was asked for."""
    with suppress(_Fulfilled), crm.unit_of_work() as uow:
        fence = uow.schedule.begin(job.name, slot, LEASE)
        if asked and fence is not None and job.name not in uow.schedule.asked():
            raise _Fulfilled
        return fence
    return None


class _Fulfilled(Exception):
    """Takes back a run that was begun."""


def _run(crm: Crm, job: Job, slot: datetime | None, *, asked: bool = False) -> Run | None:
    before = _rows(crm).get(job.name)
    fence = _begun(crm, job, slot, asked)
    if fence is None:
        return None
    result: Result | None = None
    error, error_zh, again = None, None, None
    try:
        with kept(lambda: _renew(crm, job, fence), LEASE):
            result = job.run(crm)
    except CrmError as e:
        error, error_zh = f"{e.code}: {e.message('en')}", e.message("zh")
        again = RETRY if isinstance(e, DatabaseBusy) else None
    except Exception as e:  # one job that fails must not stop the others
        error, again = type(e).__name__, RETRY
        log.exception("the job %s failed", job.name)
    except BaseException as e:
        # Whoever ends it, as a worker does when its time is over, must find it in the list of jobs.
        with suppress(Exception), crm.unit_of_work() as uow:
            uow.schedule.finish(job.name, fence, error=type(e).__name__, again=RETRY)
        raise
    with crm.unit_of_work() as uow:
        kept_on = uow.schedule.finish(job.name, fence, result=result, error=error, again=again)
    return Run(
        name=job.name, result=result, error=error, error_zh=error_zh, kept=kept_on,
        taken_over=before is not None and before.slot == slot and before.finished_at is None,
    )  # fmt: skip


def _renew(crm: Crm, job: Job, fence: int) -> bool:
    with crm.unit_of_work() as uow:
        return uow.schedule.renew(job.name, fence, LEASE)


def _is_due(row: ScheduledJob | None, slot: datetime | None, now: datetime) -> bool:
    """Whether a job seems to be due; `Schedule.begin` decides."""
    if slot is None or row is None:
        return slot is not None
    if _is_held(row, now):
        return False
    return row.slot < slot or now < row.slot or (row.slot == slot and row.finished_at is None)


def _is_held(row: ScheduledJob | None, now: datetime) -> bool:
    """Whether somebody seems to be at a job."""
    if row is None or row.leased_until is None:
        return False
    return row.started_at <= now < row.leased_until


def _local_now(crm: Crm) -> datetime:
    """Tell the present; a clock that is fast must not run what is not due yet."""
    return earlier_now(crm).astimezone(crm.settings.zone)


def _slot(crm: Crm, job: Job, now: datetime) -> datetime | None:
    cron = job.cron(crm)
    return crm.cron.latest(cron, now) if cron else None


def _asked(crm: Crm) -> Mapping[str, datetime]:
    with crm.unit_of_work(read_only=True) as uow:
        return uow.schedule.asked()


def _rows(crm: Crm) -> dict[str, ScheduledJob]:
    with crm.unit_of_work(read_only=True) as uow:
        return {row.name: row for row in uow.schedule.all()}


def _job(name: str) -> Job:
    if not isinstance(name, str) or name not in JOBS:
        raise NotFound(what="定时任务", id=quoted(name))
    return JOBS[name]
