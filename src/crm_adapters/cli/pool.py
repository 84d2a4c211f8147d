"""``crm pool`` and ``crm sweep``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from crm_adapters.cli.customers import read_query, show_page
from crm_adapters.cli.failures import Refused
from crm_adapters.cli.language import in_chinese, language, say
from crm_adapters.cli.options import (
    acting_as,
    actor,
    as_json,
    customer_number,
    filtered,
    how_many,
    names_of_employees,
    opened,
    page_mark,
    previewed,
    searched,
    with_numbers,
)
from crm_adapters.cli.output import hint, line, plain, progress, table, write_json
from crm_domain.model import AssignmentStatus
from crm_domain.ports import Ended
from crm_domain.rules.access import SYSTEM
from crm_domain.rules.wording import counted

SHOWN = 50


@in_chinese("列出公海客户；联系方式已隐去。")
def list_all(
    *,
    search: Annotated[str | None, searched()] = None,
    where: Annotated[tuple[str, ...], filtered()] = (),
    limit: Annotated[int, how_many()] = 50,
    after: Annotated[str | None, page_mark()] = None,
    acting: Annotated[str | None, acting_as()] = None,
    json: Annotated[bool, as_json()] = False,
) -> None:
    """List the customers of the pool, with their contact data masked."""
    from crm_domain.usecases import pool

    query = read_query(search, where, limit, after)
    with opened() as crm:
        page = pool.public_customers(crm, with_numbers(crm, query), by=actor(crm, acting))
        show_page(crm, page, names_of_employees(crm), json, pool=True)


@in_chinese("抢单：以某位顾问的身份取得一位公海客户。")
def claim(
    number: Annotated[int, customer_number()],
    /, *,
    acting: Annotated[str, acting_as()],
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Claim a customer of the pool, as a consultant."""
    from crm_domain.usecases import intake, pool

    with opened() as crm:
        by = actor(crm, acting)
        made = pool.claim_customer(crm, number, by=by)
        customer = intake.get_customer(crm, number, by=SYSTEM)
    if json:
        write_json(made)
    else:
        line(f"抢单成功：客户 {number} {customer.name} 现归 {by.title}。",
             f"Claimed: the customer {number} {customer.name} belongs to {by.title} "
             "now.")  # fmt: skip


@in_chinese("主动放弃：把一位客户退回公海。")
def release(
    number: Annotated[int, customer_number()],
    /, *,
    reason: Annotated[str | None, Parameter(help=say("为什么", "why"))] = None,
    acting: Annotated[str | None, acting_as()] = None,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Give a customer back to the pool."""
    from crm_domain.usecases import intake, pool

    with opened() as crm:
        pool.release_customer(crm, number, reason=reason, by=actor(crm, acting))
        customer = intake.get_customer(crm, number, by=SYSTEM)
    if json:
        write_json({"id": number, "owner_id": customer.owner_id})
    else:
        line(f"客户 {number} {customer.name} 已退回公海。",
             f"The customer {number} {customer.name} is in the pool now.")  # fmt: skip


@in_chinese("到期前提醒课程顾问；可反复执行，每个期限只提醒一次。")
def warn(*, json: Annotated[bool, as_json()] = False) -> None:
    """Warn owners of customers that fall due soon; can be repeated, each deadline is told once."""
    from crm_domain.usecases import pool

    with opened() as crm, progress("提醒中", "warning"):
        written = pool.warn_owners(crm, by=SYSTEM)
    if json:
        write_json({"notices": written})
    elif written:
        line(f"已写入 {written} 条到期提醒；用 crm notices deliver 发送。",
             f"Wrote {counted(written, 'warning')}; crm notices deliver sends them.")  # fmt: skip
    else:
        line("没有新的到期提醒。", "Nobody is to be warned anew.")


@in_chinese("每日回收：把逾期未跟进或未成单的客户退回公海；可反复执行。")
def sweep(
    *,
    dry_run: Annotated[bool, previewed()] = False,
    guard: Annotated[
        bool,
        Parameter(
            negative="",
            help=say(
                "将回收的比例或时钟不合常理时停止（退出码 1），供定时任务使用",
                "stop, with exit code 1, where the share it would release or the clock is "
                "implausible; for cron",
            ),
        ),
    ] = False,
    at: Annotated[
        str | None,
        Parameter(
            help=say(
                "按这一时刻计算，如 2026-11-20 或 2026-11-20T00:05；未写时区即业务时区，"
                "将来的时刻只能试算",
                "as of this moment, such as 2026-11-20 or 2026-11-20T00:05; business time "
                "unless it names a zone; a future one only as a dry run",
            )
        ),
    ] = None,
    json: Annotated[bool, as_json()] = False,
) -> None:
    """Take back into the pool what owners neglected; can be repeated."""
    from crm_domain.parsing import Unreadable, moment_value
    from crm_domain.usecases import pool

    with opened() as crm:
        try:
            moment = moment_value(at, crm.settings.zone)
        except Unreadable as e:
            raise Refused(f"--at 的“{at}”{e.zh}。", f"--at {at!r} {e.en}.",
                          code="usage") from e  # fmt: skip
        with progress("回收中", "sweeping"):
            done = pool.sweep_pool(crm, by=SYSTEM, dry_run=dry_run, guard=guard, at=moment)
        names = names_of_employees(crm)
    if json:
        write_json(plain(done) | {"names": {n: names.get(n) for n in done.by_owner}})
        return
    if dry_run:
        line(f"{done.day} 的回收将退回 {done.released} 位客户（试算，未改动数据）。",
             f"A sweep on {done.day} would release {counted(done.released, 'customer')} "
             "(dry run, nothing changed).")  # fmt: skip
    else:
        line(f"已退回公海 {done.released} 位客户（{done.day}）。",
             f"Released {counted(done.released, 'customer')} into the pool "
             f"({done.day}).")  # fmt: skip
    if done.earlier:
        hint(f"当天此前的回收已另外退回 {done.earlier} 位。",
             f"Sweeps before it had released {counted(done.earlier, 'other')} "
             "on that day.")  # fmt: skip
    if done.by_owner:
        table([say("原课程顾问", "Former owner"), say("客户数", "Customers")],
              [(names.get(n), count) for n, count in done.by_owner.items()])  # fmt: skip
    if done.customers:
        table(
            [say("编号", "No."), say("姓名", "Name"), say("课程顾问", "Owner"),
             say("将成为", "Will be")],
            [(e.customer_id, e.customer_name, names.get(e.consultant_id), status_of(e))
             for e in done.customers[:SHOWN]],
        )  # fmt: skip
    if len(done.customers) > SHOWN:
        hint(f"只显示前 {SHOWN} 位；--json 给出全部。",
             f"Only the first {SHOWN} are shown; --json gives all.")  # fmt: skip


def status_of(ended: Ended) -> str:
    """Say how an assignment ends."""
    status: AssignmentStatus = ended.status
    return status.label(language(), ended.limit_days)
