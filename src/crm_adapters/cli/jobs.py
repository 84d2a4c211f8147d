"""``crm worker``, ``crm scheduler`` and ``crm jobs``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from cyclopts import Parameter

from crm_adapters.cli.exits import DONE, NO
from crm_adapters.cli.failures import Refused
from crm_adapters.cli.language import in_chinese, say
from crm_adapters.cli.options import acting_as, actor, as_json, ask_redis, opened, within
from crm_adapters.cli.output import hint, line, local, progress, table, write_json
from crm_domain.model import ScheduledJob
from crm_domain.parsing import quoted


def _threads() -> Parameter:
    return Parameter(
        help=say("每个进程同时执行几个任务", "how many jobs each process runs at a time")
    )


def _port() -> Parameter:
    return Parameter(help=say("在此端口提供 Prometheus 指标", "answer Prometheus on this port"))


def _host() -> Parameter:
    return Parameter(help=say("指标端口的监听地址", "the address of that port"))


def _json_lines() -> Parameter:
    return Parameter(
        name="--json", negative="", help=say("日志每行一个 JSON 对象", "log one JSON object a line")
    )


@in_chinese("执行后台任务，直到收到停止信号；没有 Redis 时连同日程在一个进程内完成。")
def worker(
    *,
    processes: Annotated[
        int, Parameter(help=say("进程数；没有 Redis 时总是一个",
                                "how many processes; without Redis always one"))
    ] = 2,
    threads: Annotated[int, _threads()] = 4,
    metrics_port: Annotated[int | None, _port()] = None,
    metrics_host: Annotated[str, _host()] = "127.0.0.1",
    json: Annotated[bool, _json_lines()] = False,
) -> None:  # fmt: skip
    """Work in the background until told to stop; without Redis one process does all, the schedule
    too."""
    from crm_adapters.jobs.worker import run_alone, supervise

    within("--processes", processes, 1, 1000)
    _check(threads, metrics_port)
    with opened() as crm:
        if not ask_redis(crm):
            run_alone(crm, threads=threads, as_json=json, port=metrics_port, host=metrics_host)
            return
    # The database and Redis were found usable; each process opens them anew.
    supervise(processes, threads, as_json=json, port=metrics_port, host=metrics_host)


@in_chinese("按日程执行任务，直到收到停止信号；可同时运行多个，每个时点只执行一次。")
def scheduler(
    *,
    threads: Annotated[int, _threads()] = 4,
    metrics_port: Annotated[int | None, _port()] = None,
    metrics_host: Annotated[str, _host()] = "127.0.0.1",
    json: Annotated[bool, _json_lines()] = False,
) -> None:
    """Run the jobs of the schedule until told to stop; with several, each slot still runs once."""
    from crm_adapters.jobs.worker import run_alone

    _check(threads, metrics_port)
    with opened() as crm:
        ask_redis(crm)
        run_alone(crm, threads=threads, as_json=json, port=metrics_port, host=metrics_host)


def _check(threads: int, port: int | None) -> None:
    """Refuse numbers with which nothing would ever be done."""
    within("--threads", threads, 1, 1000)
    within("--metrics-port", port, 1, 65_535)


@in_chinese("列出定时任务：日程、上次与下次执行、结果。")
def list_all(
    *,
    acting: Annotated[str | None, acting_as()] = None,
    json: Annotated[bool, as_json()] = False,
) -> None:
    """List the jobs of the schedule: when they run, the last run and its result, the next run."""
    from crm_domain.usecases import schedule

    with opened() as crm:
        jobs = schedule.list_jobs(crm, by=actor(crm, acting))
        zone = crm.settings.zone
    if json:
        write_json({"jobs": jobs})
        return
    table(
        [say("任务", "Job"), say("说明", "What"), say("日程", "Schedule"), say("上次", "Last run"),
         say("结果", "Result"), say("下次", "Next run")],
        [(j.name, say(j.zh, j.en), j.cron or say("关闭", "off"),
          local(j.last.started_at, zone) if j.last else None, _outcome(j.last),
          local(j.next_at, zone))
         for j in jobs],
        least=(1,),
    )  # fmt: skip


@in_chinese("立即执行一个定时任务；失败时退出码为 1。")
def run(
    name: Annotated[
        str, Parameter(help=say("任务名，见 crm jobs list", "as crm jobs list names it"))
    ],
    /, *,
    acting: Annotated[str | None, acting_as()] = None,
    json: Annotated[bool, as_json()] = False,
) -> int:  # fmt: skip
    """Run a job of the schedule now; exits with 1 when it fails."""
    from crm_domain.usecases import schedule

    if name not in schedule.JOBS:
        names = list(schedule.JOBS)
        raise Refused(f"没有定时任务“{quoted(name)}”；可选：{'、'.join(names)}。",
                      f"there is no job {quoted(name)!r}; there are: {', '.join(names)}.",
                      code="not_found")  # fmt: skip
    with opened() as crm, progress("执行中", "running"):
        done = schedule.run_job(crm, name, by=actor(crm, acting))
    if json:
        write_json(done)
    elif done.error:
        hint(f"任务 {name} 失败：{done.error_zh or done.error}",
             f"The job {name} failed: {done.error}")  # fmt: skip
    else:
        shown = _numbers(done.result)
        line(f"任务 {name} 已完成：{shown}", f"The job {name} is done: {shown}")
    return NO if done.error else DONE


def _outcome(last: ScheduledJob | None) -> str:
    if last is None or last.error:
        return (last and last.error) or ""
    return _numbers(last.result) if last.finished_at else say("执行中", "running")


def _numbers(result: Mapping[str, Any] | None) -> str:
    """Say what a job counted; in English the words are those of the JSON."""
    from crm_domain.usecases.schedule import COUNTED

    counts = (result or {}).items()
    return say("，".join(f"{COUNTED.get(name, (name,))[0]} {n}" for name, n in counts),
               ", ".join(f"{name} {n}" for name, n in counts))  # fmt: skip
