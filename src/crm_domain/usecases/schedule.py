"""What runs by itself: each slot of the schedule once, however many schedulers there are.

The row of a job in the database says which slot was begun, by whom (the fence) and until when (the
lease). A slot that was missed is run once, late; several missed ones collapse into the latest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime

import attrs

from crm_domain.errors import CrmError, DatabaseBusy, Inconsistent, JobRunning, NotFound
from crm_domain.model import ScheduledJob
from crm_domain.ports import Crm
from crm_domain.rules.access import SYSTEM, Principal
from crm_domain.usecases import consistency, follow_up, imports, notices, sessions, sweep
from crm_domain.usecases._common import audit

log = logging.getLogger(__name__)
Result = Mapping[str, int]
DELIVERING = 300.0
"""Seconds after which a delivery takes no more notices, long before anybody would stop it."""


@attrs.frozen(kw_only=True)
class Job:
    """A job as it is declared."""

    name: str
    zh: str
    en: str
    seconds: int
    """After which its lease ends and another process takes it over. A worker stops it before; where
    `tick` or `run_job` is called in a program of one's own, nothing does."""
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


@attrs.frozen(kw_only=True)
class Run:
    """How one run of a job went."""

    name: str
    result: Result | None = None
    error: str | None = None
    taken_over: bool = False
    """Whether an earlier run of the slot was begun and never ended."""
    kept: bool = True
    """False when another process took the job over before this run ended."""


def _deliver(crm: Crm) -> Result:
    return attrs.asdict(notices.deliver_due(crm, seconds=DELIVERING, by=SYSTEM))


def _sweep(crm: Crm) -> Result:
    return {"released": sweep.sweep_pool(crm, by=SYSTEM, guard=True).released}


def _warn(crm: Crm) -> Result:
    return {"notices": sweep.warn_owners(crm, by=SYSTEM)}


def _remind(crm: Crm) -> Result:
    return {"notices": follow_up.remind_contacts(crm, by=SYSTEM)}


def _tidy(crm: Crm) -> Result:
    return {"removed": sessions.remove_old(crm, by=SYSTEM)}


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
        Job(name="tidy", zh="清理登录记录", en="remove old sign-ins", seconds=600, run=_tidy),
        Job(name="imports", zh="执行导入", en="run imports", seconds=3600, run=_imports),
        Job(name="check", zh="数据检查", en="check the database", seconds=3600, run=_check),
    )
}
"""The jobs of the schedule by name; the setting ``cron_<name>`` says when each runs."""


def list_jobs(crm: Crm, *, by: Principal) -> tuple[Scheduled, ...]:
    """Tell each job's expression, next slot and latest run.

    Raises:
        NotPermitted: Without ``job:run``.
    """
    by.need("job:run")
    now, rows = _now(crm), _rows(crm)
    return tuple(
        Scheduled(
            name=job.name, zh=job.zh, en=job.en, cron=cron, last=rows.get(job.name),
            next_at=crm.cron.following(cron, now) if cron else None,
        )
        for job in JOBS.values()
        for cron in (job.cron(crm),)
    )  # fmt: skip


def due_jobs(crm: Crm, *, by: Principal) -> tuple[str, ...]:
    """Tell the jobs whose latest slot nobody has run or is running, changing nothing.

    Raises:
        NotPermitted: Without ``job:run``.
    """
    by.need("job:run")
    now, rows, real = _now(crm), _rows(crm), crm.storage.clock()
    return tuple(n for n, j in JOBS.items() if _is_due(rows.get(n), _slot(crm, j, now), real))


def run_due(crm: Crm, name: str, *, by: Principal) -> Run | None:
    """Run a job for its latest slot, unless that has been run or somebody is at it.

    Args:
        crm: The CRM.
        name: The job.
        by: Who asks; needs ``job:run``. The job itself runs as the system.

    Returns:
        How it went, or None when there was nothing to do.

    Raises:
        NotFound: There is no such job.
        NotPermitted: Without the permission.
    """
    by.need("job:run")
    job = _job(name)
    slot = _slot(crm, job, _now(crm))
    return None if slot is None else _run(crm, job, slot)


def run_job(crm: Crm, name: str, *, by: Principal) -> Run:
    """Run a job now, whatever the schedule says; a slot that was missed need not run any more.

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


def _run(crm: Crm, job: Job, slot: datetime | None) -> Run | None:
    before = _rows(crm).get(job.name)
    with crm.unit_of_work() as uow:
        fence = uow.schedule.begin(job.name, slot, job.seconds)
    if fence is None:
        return None
    result: Result | None = None
    error, again = None, False
    try:
        result = job.run(crm)
    except CrmError as e:
        error, again = f"{e.code}: {e.message('en')}", isinstance(e, DatabaseBusy)
    except Exception as e:  # one job that fails must not stop the others
        error, again = type(e).__name__, True
        log.exception("the job %s failed", job.name)
    with crm.unit_of_work() as uow:
        kept = uow.schedule.finish(job.name, fence, result=result, error=error, again=again)
    return Run(
        name=job.name, result=result, error=error, kept=kept,
        taken_over=before is not None and before.slot == slot and before.finished_at is None,
    )  # fmt: skip


def _is_due(row: ScheduledJob | None, slot: datetime | None, now: datetime) -> bool:
    """Whether a job seems to be due; `Schedule.begin` decides."""
    if slot is None or row is None:
        return slot is not None
    leased = row.leased_until is not None and now < row.leased_until
    if leased and row.started_at <= now:
        return False
    return row.slot < slot or now < row.slot or (row.slot == slot and row.finished_at is None)


def _now(crm: Crm) -> datetime:
    """Tell the earlier of both clocks: one that is fast must not run what is not due yet."""
    return min(crm.now(), crm.storage.clock()).astimezone(crm.settings.zone)


def _slot(crm: Crm, job: Job, now: datetime) -> datetime | None:
    cron = job.cron(crm)
    return crm.cron.latest(cron, now) if cron else None


def _rows(crm: Crm) -> dict[str, ScheduledJob]:
    with crm.unit_of_work(read_only=True) as uow:
        return {row.name: row for row in uow.schedule.all()}


def _job(name: str) -> Job:
    if name not in JOBS:
        raise NotFound(what="定时任务", id=name)
    return JOBS[name]
