"""Tells what happened in a demo."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from crm_adapters.cli.customers import show_contacts, show_history
from crm_adapters.cli.language import say
from crm_adapters.cli.output import day, line, local, pairs, table
from crm_adapters.cli.wording import reason, told, warning
from crm_adapters.demo.life import PASSWORD

if TYPE_CHECKING:
    from crm_adapters.demo import Example, Played
    from crm_domain.model import ImportProblem

CONTACTS = 4


def tell(played: Played) -> None:
    """Tell the whole story, from the sheet to what to try next."""
    zone = ZoneInfo(played.zone)
    _sheet(played)
    _heading("这两周发生了什么", "What happened in these two weeks")
    for happening in played.happenings:
        print(f"  {local(happening.at, zone)}  {say(happening.zh, happening.en)}")
    _heading("各位顾问：数量决定每轮接几单，权重只决定先后",
             "The consultants: the quota decides how many, the weight only the order")  # fmt: skip
    table(
        [say("课程顾问", "Consultant"), say("数量", "Quota"), say("权重", "Weight"),
         say("分到", "Dealt"), say("抢到", "Claimed"), say("被回收", "Lost"),
         say("现有", "Owns now")],
        [(c["name"], c["quota"], c["weight"], c["dealt"], c["claimed"], c["lost"], c["owned"])
         for c in played.consultants],
    )  # fmt: skip
    line(f"共回收 {played.released} 位，今天回收 {played.last_sweep.released} 位；"
         f"公海里现有 {played.in_pool} 位。",
         f"{played.released} were taken back, {played.last_sweep.released} of them today; "
         f"{played.in_pool} are in the pool now.")  # fmt: skip
    _heading("几位客户的来龙去脉", "Some customers, and why they are where they are")
    for example in played.examples:
        _example(example, played.names, zone)
    _heading("轮转接下来轮到谁", "Whose turn is next")
    rotation = played.rotation
    names = " → ".join(played.names[n] for n in rotation.upcoming)
    line(f"第 {rotation.cycle} 轮，已用 {rotation.position}/{rotation.length} 个顺位：{names}",
         f"Cycle {rotation.cycle}, {rotation.position} of {rotation.length} turns used: "
         f"{names}")  # fmt: skip
    _heading("通知", "Notices")
    line(f"预警 {played.warned} 条；控制台渠道共发出 {played.delivered} 条，最后几条：",
         f"{played.warned} warnings; {played.delivered} notices went to the console, "
         "the last of them:")  # fmt: skip
    for message in played.messages:
        print(f"  {message}")
    _try_next(played)
    _heading("网页（crm serve）的登录名，密码都是 " + PASSWORD,
             f"Sign-ins for the pages (crm serve); the password is always {PASSWORD}")  # fmt: skip
    pairs([("  sales1", say("李雷，课程顾问", "李雷, consultant")),
           ("  zhaomin", say("赵敏，销售主管", "赵敏, sales manager")),
           ("  admin", say("孙总，管理员", "孙总, administrator")),
           ("  teacher1", say("郑老师，老师", "郑老师, teacher")),
           ("  finance1", say("周会计，财务", "周会计, finance"))])  # fmt: skip


def _heading(zh: str, en: str) -> None:
    print(f"\n== {say(zh, en)} ==\n")


def _sheet(played: Played) -> None:
    report = played.report
    _heading("导入的表格", "The sheet that was imported")
    line(f"{played.sheet}：{report.data_rows} 行数据，{report.blank_rows} 行空白；"
         f"导入 {report.accepted}，文件内重复 {report.duplicate_in_file}，"
         f"有误 {sum(report.rejected.values())}。",
         f"{played.sheet}: {report.data_rows} rows and {report.blank_rows} blank ones; "
         f"{report.accepted} accepted, {report.duplicate_in_file} duplicates, "
         f"{sum(report.rejected.values())} rejected.")  # fmt: skip
    first: dict[str, ImportProblem] = {}
    for problem in report.problems:
        first.setdefault(problem.code, problem)
    counts = {**report.rejected, "duplicate_in_file": report.duplicate_in_file}
    table(
        [say("原因", "Reason"), say("行数", "Rows"), say("例如第几行", "Such as row"), ""],
        [(reason(code), n, first[code].row, told(first[code]))
         for code, n in sorted(counts.items()) if code in first],
    )  # fmt: skip
    for text in report.warnings:
        line(f"注意：{warning(text)}", f"Note: {warning(text)}")
    line(f"未导入的行连同原因：{played.rejected}",
         f"The rows that were not taken in, with the reasons: {played.rejected}")  # fmt: skip


def _example(example: Example, names: Mapping[int, str], zone: ZoneInfo) -> None:
    customer = example.customer
    line(f"● {example.zh}：{customer.name}（{customer.id} 号，{customer.phone}）",
         f"● {example.en}: {customer.name} (No. {customer.id}, {customer.phone})")  # fmt: skip
    show_history(example.history, dict(names), zone, {})
    if example.contacts:
        show_contacts(example.contacts[-CONTACTS:], zone)
    more = len(example.contacts) - CONTACTS
    if more > 0:
        line(f"（此前另有 {more} 次跟进）", f"(and {more} follow-ups before)")
    if customer.locked:
        line(f"已锁定：{customer.lock_reason}", f"Locked: {customer.lock_reason}")
    elif customer.owner_id is not None and (until := day(customer.due_on)):
        line(f"若不再跟进，{until} 零点起进入公海。",
             f"Without another contact it is public from {until}, 00:00.")  # fmt: skip
    elif customer.owner_id is None:
        line("现在公海中，其他顾问可以抢单。", "It is in the pool now, for others to claim.")
    print()


def _try_next(played: Played) -> None:
    _heading("接下来可以试试", "What to try next")
    for command in _before():
        print(f"  {command}")
    print(f"  export CRM_DATABASE_URL=sqlite:///{played.database}")
    some = played.examples[0].customer.id if played.examples else 1
    pairs([
        (f"  crm customers show {some}", say("一位客户的全部历史", "the life of a customer")),
        ("  crm customers list --search wang", say("按拼音查找", "search by pinyin")),
        ("  crm customers mine --as sales1", say("李雷自己的客户", "the customers of 李雷")),
        ("  crm pool list", say("看看公海", "look into the pool")),
        (f"  crm pool claim {_claimable(played)} --as sales1",
         say("以李雷的身份抢单", "claim as 李雷")),
        ("  crm rotation show", say("轮转", "the rotation")),
        (f"  crm import {played.sheet} --dry-run",
         say("再导入一次：有效的行都成了重复", "import it again: what was valid is a duplicate")),
        ("  crm sweep --dry-run --at 2099-01-01", say("将来会回收谁", "whom a later sweep takes")),
        ("  crm export", say("导出全部客户", "export all customers")),
        ("  crm doctor", say("体检", "see whether all is well")),
    ])  # fmt: skip


def _before() -> list[str]:
    """Say how the shell finds ``crm``, where it does not yet."""
    activate = Path(sys.prefix) / "bin" / "activate"
    if shutil.which("crm") is not None or not activate.exists():
        return []
    here = Path.cwd()
    return [f". {activate.relative_to(here) if activate.is_relative_to(here) else activate}"]


def _claimable(played: Played) -> int | str:
    """Give a customer of the pool that the first consultant has not had before."""
    for example in played.examples:
        customer = example.customer
        last = played.names.get(customer.last_consultant_id or 0)
        if customer.owner_id is None and not customer.locked and last != "李雷":
            return customer.id or 0
    return say("公海客户编号", "NUMBER")
