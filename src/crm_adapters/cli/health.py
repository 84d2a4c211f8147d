"""What ``crm doctor`` looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Literal

import attrs

from crm_adapters.cli.language import say
from crm_adapters.cli.options import everything, opened
from crm_adapters.settings import database_url, read_settings
from crm_domain.errors import BadSetting, CrmError, Language
from crm_domain.model import Employee, NoticeStatus
from crm_domain.ports import Crm, Query
from crm_domain.rules.access import SYSTEM
from crm_domain.rules.wording import counted

State = Literal["ok", "warning", "problem"]
DRIFT = timedelta(seconds=30)
WAITING = timedelta(hours=1)


@attrs.frozen
class Found:
    """One thing that was looked at."""

    code: str
    """Stable, for programs."""
    check: str
    state: State
    message: str
    advice: str = ""
    subject: str | None = None
    """Which channel or plugin, where there may be several."""


def examine(language: Language) -> list[Found]:
    """Look at everything; what cannot even be opened is the last thing found."""
    found: list[Found] = []
    try:
        settings = read_settings()
    except BadSetting as e:
        return [_bad_setting(e, language)]
    found.append(Found("settings", say("设置", "settings"), "ok", settings.time_zone))
    try:
        with opened() as crm:
            found.append(
                Found("revision", say("版本", "revision"), "ok", str(crm.storage.revision()))
            )
            for look in (
                _sqlite,
                _clock,
                _redis,
                _plugins,
                _rotation,
                _channels,
                _notices,
                _jobs,
                _overdue,
            ):
                found += look(crm)
    except BadSetting as e:
        return [_bad_setting(e, language)]
    except CrmError as e:
        found.append(Found("database", say("数据库", "database"), "problem", e.message(language)))
    return found


def _bad_setting(error: BadSetting, language: Language) -> Found:
    return Found(
        "settings",
        say("设置", "settings"),
        "problem",
        error.message(language),
        say("改正这个环境变量，或取消设置", "correct the environment variable, or unset it"),
    )


def _sqlite(crm: Crm) -> Iterator[Found]:
    from crm_adapters.storage.engine import SAFE_SQLITE, sqlite_module

    if not database_url().startswith("sqlite"):
        return
    version = sqlite_module().sqlite_version
    safe = tuple(map(int, version.split("."))) >= SAFE_SQLITE
    yield Found(
        "sqlite", "SQLite", "ok" if safe else "warning", version,
        "" if safe else say(
            "低于 3.51.3 的版本在极少数情况下会损坏数据库；请安装 pysqlite3 或升级",
            "builds below 3.51.3 may, rarely, corrupt a database; install pysqlite3 or upgrade"),
    )  # fmt: skip


def _clock(crm: Crm) -> Iterator[Found]:
    drift = abs(crm.now() - crm.storage.clock())
    far = drift > DRIFT
    yield Found(
        "clock", say("时钟", "clock"), "problem" if far else "ok",
        say(f"与数据库相差 {drift.total_seconds():.1f} 秒",
            f"{drift.total_seconds():.1f} seconds away from the database's"),
        say("用 NTP 校准两台机器的时钟", "set both clocks by NTP") if far else "",
    )  # fmt: skip


def _redis(crm: Crm) -> Iterator[Found]:
    if not crm.settings.redis_url:
        return
    from crm_adapters.jobs.broker import redis_answers

    try:
        answers = redis_answers(crm.settings.redis_url)
    except BadSetting as e:
        yield Found(
            "redis", "Redis", "problem", say(e.message("zh"), e.message("en")),
            say("改正 CRM_REDIS_URL，或取消设置", "correct CRM_REDIS_URL, or unset it"),
        )  # fmt: skip
        return
    yield Found(
        "redis", "Redis", "ok" if answers else "warning",
        say("有应答", "it answers") if answers else say("没有应答", "it does not answer"),
        "" if answers else say(
            "启动 Redis，或改正 CRM_REDIS_URL；在此之前后台进程每两秒自行查看",
            "start it, or correct CRM_REDIS_URL; until then workers look every two seconds"),
    )  # fmt: skip


def _plugins(crm: Crm) -> Iterator[Found]:
    for plugin in crm.plugins:
        if plugin.error:
            yield Found("plugin", say("插件", "plugin"), "warning",
                        say(f"{plugin.name}：{plugin.error_zh}", f"{plugin.name}: {plugin.error}"),
                        say("修复或卸载，或从 CRM_PLUGINS 中去掉",
                            "repair or remove it, or leave it out of CRM_PLUGINS"),
                        subject=plugin.name)  # fmt: skip


def _rotation(crm: Crm) -> Iterator[Found]:
    from crm_domain.usecases import assignment

    rotation = assignment.show_rotation(crm, 1, by=SYSTEM)
    name = say("轮转", "rotation")
    if not rotation.entries:
        yield Found("rotation", name, "warning", say("名单为空，新客户都进公海",
                                         "the plan is empty: new customers go into the pool"),
                    say("crm rotation set 顾问:数量:权重",
                        "crm rotation set CONSULTANT:QUOTA:WEIGHT"))  # fmt: skip
    elif not rotation.upcoming:
        yield Found("rotation", name, "warning",
                    say("名单上无人可接单", "nobody in the plan is there"),
                    say("检查在岗、请假与账号状态", "check duty, leave and accounts"))  # fmt: skip
    else:
        yield Found("rotation", name, "ok", say(f"名单上有 {len(rotation.entries)} 人",
                                    f"{len(rotation.entries)} in the plan"))  # fmt: skip


def _channels(crm: Crm) -> Iterator[Found]:
    from crm_domain.usecases import assignment, records

    listed = {e[0] for e in assignment.show_rotation(crm, 0, by=SYSTEM).entries}
    staff: Callable[[Query], object] = lambda q: records.list_records(  # noqa: E731
        crm, Employee, q, by=SYSTEM
    )
    people = [e for e in everything(staff) if e.id in listed]  # type: ignore[arg-type]
    if not crm.settings.channel_names:
        yield Found("channel", say("渠道", "channel"), "warning",
                    say("没有渠道，谁也收不到通知", "there is none: nobody is told anything"),
                    say("用 CRM_CHANNELS 指定，如 console",
                        "name one in CRM_CHANNELS, such as console"))  # fmt: skip
    for channel in crm.settings.channel_names:
        without = [e.name for e in people if crm.notifiers[channel].address(e) is None]
        name = say(f"渠道 {channel}", f"channel {channel}")
        if without:
            names = say("、", ", ").join(without[:5])
            yield Found("channel", name, "warning",
                        say(f"{len(without)} 位顾问没有地址：{names}",
                            f"without an address: {names}"),
                        say("在员工资料中补全", "add it to the employees"),
                        subject=channel)  # fmt: skip
        else:
            yield Found("channel", name, "ok",
                        say("每位顾问都有地址", "every consultant has an address"),
                        subject=channel)  # fmt: skip


def _notices(crm: Crm) -> Iterator[Found]:
    from crm_domain.usecases import notices

    backlog = notices.backlog(crm, by=SYSTEM)
    dead = backlog.waiting[NoticeStatus.DEAD]
    late = backlog.due_since is not None and crm.now() - backlog.due_since > WAITING
    name = say("通知", "notices")
    if dead:
        yield Found("notices_dead", name, "warning", say(f"{dead} 条发送失败", f"{dead} are dead"),
                    "crm notices list --status dead; crm notices resend --dead")  # fmt: skip
    else:
        yield Found("notices_dead", name, "ok", say("没有发送失败的", "none are dead"))
    if late:
        yield Found("notices_late", name, "warning",
                    say("有通知等待发送超过一小时", "some have waited for more than an hour"),
                    "crm notices deliver")  # fmt: skip
    else:
        yield Found("notices_late", name, "ok", say("没有积压", "none are late"))


def _jobs(crm: Crm) -> Iterator[Found]:
    from crm_domain.usecases import schedule

    found = schedule.troubled_jobs(crm, by=SYSTEM)
    late, failed = found.late, found.failed
    name = say("定时任务", "schedule")
    start = say("启动 crm worker；使用 Redis 时还需 crm scheduler",
                "start crm worker, and with Redis crm scheduler, too")  # fmt: skip
    if not any(j.last for j in schedule.list_jobs(crm, by=SYSTEM)):
        yield Found("jobs_late", name, "warning",
                    say("从未执行过", "no job has ever run"), start)  # fmt: skip
    elif late:
        yield Found("jobs_late", name, "problem",
                    say(f"早该执行而没有执行：{'、'.join(late)}",
                        f"long due and not run: {', '.join(late)}"), start)  # fmt: skip
    else:
        yield Found("jobs_late", name, "ok", say("按时执行", "on time"))
    if failed:
        yield Found("jobs_failed", name, "warning",
                    say(f"上次失败：{'、'.join(failed)}", f"failed: {', '.join(failed)}"),
                    "crm jobs list")  # fmt: skip


def _overdue(crm: Crm) -> Iterator[Found]:
    from crm_domain.usecases import pool

    doomed = pool.sweep_pool(crm, by=SYSTEM, dry_run=True).released
    yield Found(
        "sweep", say("回收", "sweep"), "ok",
        say(f"{doomed} 位客户待回收", f"waiting for the sweep: {counted(doomed, 'customer')}"),
        "crm sweep" if doomed else "",
    )  # fmt: skip
