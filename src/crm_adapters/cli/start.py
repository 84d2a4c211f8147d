"""Beginning: tables, the demo, accounts, plugins."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from crm_adapters.cli.language import in_chinese, say
from crm_adapters.cli.options import (
    as_json,
    lasting_url,
)
from crm_adapters.cli.output import hint, line, pairs, progress, shown_url, table, write_json
from crm_adapters.settings import read_settings


@in_chinese("建立或升级数据库，什么都不问；可反复执行。")
def init(*, json: Annotated[bool, as_json()] = False) -> None:
    """Make or upgrade the database; asks nothing and can be repeated."""
    from crm_adapters import open_crm

    url = lasting_url()
    with open_crm(url, migrate=True) as crm:
        revision = crm.storage.revision()
    steps = [
        ("crm user add li --name 李雷 --role consultant",
         say("添加课程顾问", "add a consultant")),
        ("crm rotation set 李雷:3:10", say("设置轮转：顾问:数量:权重",
                                          "set the rotation: consultant:quota:weight")),
        ("crm import template customers.xlsx",
         say("取得导入模板，请填写", "get a sheet to fill in")),
        ("crm import customers.xlsx", say("导入客户", "import customers")),
        ("crm doctor", say("检查是否一切就绪", "check that all is well")),
    ]  # fmt: skip
    if json:
        write_json({"database": shown_url(url), "revision": revision,
                    "next": [command for command, _ in steps]})  # fmt: skip
        return
    line(f"数据库已就绪：{shown_url(url)}（版本 {revision}）",
         f"The database is ready: {shown_url(url)} (revision {revision})")  # fmt: skip
    line("\n接下来：", "\nNext:")
    pairs((f"  {command}", why) for command, why in steps)


@in_chinese("演示：在新的数据库中建一所学校，导入客户，过完两周，并说明发生了什么。")
def demo(
    *,
    folder: Annotated[
        Path, Parameter(help=say("放演示文件的文件夹", "the folder for the files of the demo"))
    ] = Path("demo"),
    json: Annotated[bool, as_json()] = False,
) -> None:
    """A demo: make a school in a fresh database, import customers, live through two weeks, and
    tell what happened."""
    from crm_adapters.cli.story import tell
    from crm_adapters.demo import DATABASE, run_demo

    replaced = (folder / DATABASE).exists()
    with progress("演示进行中", "playing the demo") as told:
        played = run_demo(folder, progress=told)
    if json:
        write_json(played)
        return
    tell(played)
    if replaced:
        hint(f"上一次演示的 {played.database} 已被替换，其中后来的改动不复存在。",
             f"The {played.database} of an earlier demo was replaced, with all that was changed in "
             "it since.")  # fmt: skip


@in_chinese("列出插件，以及没能加载的原因。")
def list_plugins(*, json: Annotated[bool, as_json()] = False) -> int:
    """List the plugins, and why one was not loaded."""
    from crm_adapters.plugins import Plugins

    settings = read_settings()
    plugins = Plugins(settings)
    for notifier in plugins.gather_notifiers(settings).values():
        notifier.close()
    plugins.strategies()
    plugins.permissions()
    if json:
        write_json({"plugins": plugins.loaded})
    else:
        table(
            [say("插件", "Plugin"), say("版本", "Version"), say("钩子", "Hooks"),
             say("问题", "Problem")],
            [(p.name, p.version, ", ".join(p.hooks), say(p.error_zh or "", p.error or ""))
             for p in plugins.loaded],
        )  # fmt: skip
    return 0
