"""What runs by itself: when, how it went, and soon where somebody asks."""

from __future__ import annotations

from collections.abc import Mapping

from crm_domain.usecases import schedule
from crm_web.answers import Answer, Page, Redirect
from crm_web.context import Context
from crm_web.screen import screen


@screen("/jobs", needs="job:run", icon="clock")
def show(c: Context) -> Answer:
    """Show the schedule with the next and the latest run of each job."""
    return Page(template="jobs.html", data={
        "jobs": schedule.list_jobs(c.crm, by=c.by), "told": lambda r: counted(c, r),
        "planned": lambda cron: planned(c, cron), "zone": str(c.crm.settings.zone),
        "now": c.crm.storage.clock(),
    })  # fmt: skip


@screen("/jobs/{name}/run", needs="job:run", methods=("POST",))
def run(c: Context, name: str) -> Answer:
    """Have a job run by a worker; here it would take one of the few threads that answer."""
    schedule.ask_job(c.crm, name, by=c.by)
    said = c.t(
        "已安排运行，稍后刷新本页查看结果。", "It runs soon; load this page again to see how."
    )
    return Redirect(to="/jobs", said=said)


def planned(c: Context, cron: str) -> str:
    """Say when a job runs; what is not one of the simple schedules stays a cron expression."""
    minute, hour, *days = cron.split()
    if days != ["*", "*", "*"]:
        return cron
    if (minute, hour) == ("*", "*"):
        return c.t("每分钟", "every minute")
    if minute.startswith("*/") and minute[2:].isdecimal() and hour == "*":
        return c.t(f"每 {minute[2:]} 分钟", f"every {minute[2:]} minutes")
    if not minute.isdecimal():
        return cron
    if hour == "*":
        return c.t(f"每小时第 {minute} 分", f"hourly at minute {minute}")
    if hour.isdecimal():
        return c.t("每天 {at}", "daily at {at}").format(at=f"{int(hour):02}:{int(minute):02}")
    return cron


def counted(c: Context, result: Mapping[str, int] | None) -> str:
    """Say what a run did."""
    parts = [f"{c.t(*schedule.COUNTED.get(n, (n, n)))} {v}" for n, v in (result or {}).items()]
    return c.t("，", ", ").join(parts)


SCREENS = (show, run)
