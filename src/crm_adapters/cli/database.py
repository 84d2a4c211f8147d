"""``crm db``, ``crm check`` and ``crm doctor``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from crm_adapters.cli.exits import DONE, NO
from crm_adapters.cli.failures import Refused
from crm_adapters.cli.language import in_chinese, language, say
from crm_adapters.cli.options import (
    as_json,
    folder_of,
    opened,
    overwritten,
    spare_the_database,
)
from crm_adapters.cli.output import line, plain, progress, shown_url, table, write_json
from crm_adapters.settings import database_url, read_settings
from crm_domain.ports import Checked
from crm_domain.rules.access import SYSTEM


@in_chinese("把数据库升级到本程序的版本；事先请备份。")
def upgrade(*, json: Annotated[bool, as_json()] = False) -> None:
    """Bring the database to the revision of this program; make a backup first."""
    from crm_adapters import open_crm
    from crm_adapters.check import revision_of

    before = revision_of(database_url())
    with progress("升级中", "upgrading"), open_crm(migrate=True) as crm:
        after = crm.storage.revision()
    if json:
        write_json({"from": before, "to": after})
    elif before == after:
        line(f"数据库已是最新版本 {after}。", f"The database is at the newest revision {after}.")
    else:
        line(f"数据库已从 {before or '空'} 升级到 {after}。",
             f"The database was upgraded from {before or 'empty'} to {after}.")  # fmt: skip


@in_chinese("检查数据库的版本与一致性，只读；发现问题时退出码为 1。")
def check(*, json: Annotated[bool, as_json()] = False) -> int:
    """Check the revision and the invariants, changing nothing; exits with 1 when one is broken."""
    from crm_domain.usecases import consistency

    with opened() as crm, progress("检查中", "checking"):
        found = consistency.check_database(crm, by=SYSTEM)
    if json:
        broken = [f for f in found if f.count]
        write_json({"ok": not broken, "checks": found})
        return NO if broken else DONE
    return _tell(found)


def _tell(found: Sequence[Checked]) -> int:
    """Say what is broken, and give the exit code."""
    broken = [f for f in found if f.count]
    for one in broken:
        examples = ", ".join(one.examples)
        line(f"✗ {one.zh}：{one.count} 处（{examples}）", f"✗ {one.en}: {one.count} ({examples})")
    if broken:
        line("数据库不一致。请停止写入，先备份，再查找原因。",
             "The database is not consistent. Stop writing, make a backup, "
             "then look for the cause.")  # fmt: skip
        return NO
    line(f"数据库一致：{len(found)} 项检查全部通过。", f"All {len(found)} checks passed.")
    return DONE


@in_chinese("备份数据库，可在使用中进行；备份含密码哈希等全部数据，请妥善保管。")
def backup(
    out: Annotated[
        Path | None, Parameter(help=say("备份文件；默认以业务时区的时间和时差命名",
                                             "the file of the backup; by default named by business "
                                             "time and its offset"))
    ] = None,
    /, *,
    force: Annotated[bool, overwritten()] = False,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Back the database up, also while it is in use; keep the file safe, it holds all there is,
    the hashes of passwords too."""
    from crm_adapters.storage.backup import back_up

    now = datetime.now(read_settings().zone)
    out = out or Path(f"crm-{now:%Y%m%d-%H%M%S%z}.zip")
    if out.exists() and not force:
        raise Refused(f"文件 {out} 已存在；加 --force 覆盖。",
                      f"the file {out} exists; add --force to replace it.",
                      code="file_exists")  # fmt: skip
    folder_of(out)
    spare_the_database(out)
    with progress("备份中", "backing up"):
        made = back_up(database_url(), out)
    size, rows = out.stat().st_size, sum(made.rows.values())
    if json:
        write_json({"file": str(out), "bytes": size, "revision": made.revision, "rows": made.rows})
    else:
        line(f"已备份到 {out}（{rows:,} 行，{size:,} 字节）。",
             f"Backed up to {out} ({rows:,} rows, {size:,} bytes).")  # fmt: skip


@in_chinese("把备份恢复到一个空的数据库，然后检查；要么全部恢复，要么什么都不改。")
def restore(
    file: Annotated[Path, Parameter(help=say("crm db backup 所写的文件",
                                             "what crm db backup wrote"))],
    /, *,
    json: Annotated[bool, as_json()] = False,
) -> int:  # fmt: skip
    """Restore a backup into an empty database, all or nothing, and check it; exits with 1 when
    the check finds something."""
    from crm_adapters.storage.restore import restore as bring_back
    from crm_domain.usecases import consistency

    with progress("恢复中", "restoring"):
        found = bring_back(database_url(), file)
    with opened() as crm, progress("检查中", "checking"):
        checks = consistency.check_database(crm, by=SYSTEM)
    rows = sum(found.rows.values())
    if json:
        ok = not any(c.count for c in checks)
        write_json({"ok": ok, "made_at": found.made_at, "revision": found.revision,
                    "rows": found.rows, "checks": checks})  # fmt: skip
        return DONE if ok else NO
    line(f"已恢复 {found.made_at} 的备份（{rows:,} 行，与清单一致）。",
         f"Restored the backup of {found.made_at}: all {rows:,} rows.")  # fmt: skip
    return _tell(checks)


@in_chinese("体检：数据库、时钟、设置、渠道、轮转、通知，并说明如何处理。")
def doctor(*, json: Annotated[bool, as_json()] = False) -> int:
    """Look at the database, clocks, settings, channels, rotation and notices, and say what to
    do."""
    from crm_adapters.cli.health import examine

    found = examine(language())
    problems = [f for f in found if f.state == "problem"]
    if json:
        write_json({"ok": not problems, "database": shown_url(database_url()),
                    "checks": [plain(f) for f in found]})  # fmt: skip
    else:
        marks = {"ok": "✓", "warning": "!", "problem": "✗"}
        table(
            ["", say("检查", "Check"), say("结果", "Result"), say("怎么办", "What to do")],
            [(marks[f.state], f.check, f.message, f.advice) for f in found],
        )
    return NO if problems else DONE
