"""Puts the commands together, runs one, and turns whatever goes wrong into a sentence."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from cyclopts import App, CycloptsError, Group
from cyclopts.exceptions import (
    CoercionError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from crm_adapters.cli.language import language, say
from crm_adapters.cli.output import clean, report_error, report_refusal
from crm_domain import __version__
from crm_domain.errors import BadSetting, CrmError


def build_app(*, plugins: bool = True) -> App:
    """Make the command line in the user's language.

    Args:
        plugins: Whether plugins may add their commands.
    """
    from crm_adapters.cli import (
        customers,
        database,
        export,
        notices,
        pool,
        rotation,
        start,
    )

    app = _app("crm", "培训学校的客户管理：导入、轮转分配、公海与抢单。",
               "A CRM for training schools: imports, fair rotation, public pool.")  # fmt: skip
    app.version = __version__
    app.help_epilogue = say(
        "数据库由 CRM_DATABASE_URL 指定，默认为当前目录下的 crm.db。从 crm init 开始。",
        "The database is what CRM_DATABASE_URL says, or crm.db in this folder. "
        "Begin with crm init.",
    )
    _register(app, {"init": start.init, "demo": start.demo})
    _group(app, "user", "账号", "Accounts", {"add": start.add_user})
    _import(app)
    _register(app, {"export": export.export})
    _group(app, "rotation", "轮转：新客户归谁", "Rotation: who gets the next new customer",
           {"show": rotation.show, "set": rotation.set_plan, "reset": rotation.reset})  # fmt: skip
    _group(app, "customers", "客户", "Customers",
           {"list": customers.list_all, "show": customers.show, "add": customers.add})  # fmt: skip
    _group(app, "pool", "公海", "The public pool", {"list": pool.list_all, "claim": pool.claim})
    _register(app, {"sweep": pool.sweep})
    _group(app, "notices", "通知", "Notices",
           {"list": notices.list_all, "deliver": notices.deliver,
            "resend": notices.resend})  # fmt: skip
    _group(app, "db", "数据库", "The database",
           {"upgrade": database.upgrade, "check": database.check,
            "backup": database.backup})  # fmt: skip
    _register(app, {"doctor": database.doctor})
    _group(app, "plugins", "插件", "Plugins", {"list": start.list_plugins})
    if plugins:
        _add_plugins(app)
    return app


def _app(name: str, zh: str, en: str, default: Callable[..., Any] | None = None) -> App:
    made = App(
        name=name, help=say(zh, en), version_flags=() if name != "crm" else ("--version",),
        group_commands=Group(say("命令", "Commands")),
        group_arguments=Group(say("参数", "Arguments")),
        group_parameters=Group(say("选项", "Options")),
        default_command=default, exit_on_error=False, print_error=False,
        result_action="return_value", suppress_keyboard_interrupt=False, help_format="plaintext",
    )  # fmt: skip
    for flag, zh_help, en_help in (("--help", "显示帮助", "show this help"),
                                   ("--version", "显示版本", "show the version")):  # fmt: skip
        if flag in made:
            made[flag].help = say(zh_help, en_help)
    return made


def _group(
    app: App, name: str, zh: str, en: str, commands: dict[str, Callable[..., Any]]
) -> None:  # fmt: skip
    group = _app(name, zh, en)
    _register(group, commands)
    app.command(group)


def _import(app: App) -> None:
    """Add ``import``, which is a command by itself and has others below it."""
    from crm_adapters.cli import imports

    group = _app("import", imports.import_sheet.__dict__["zh"], _english(imports.import_sheet),
                 imports.import_sheet)  # fmt: skip
    _register(group, {"template": imports.template, "resume": imports.resume,
                      "revert": imports.revert, "rejected": imports.rejected})  # fmt: skip
    app.command(group)


def _register(app: App, commands: dict[str, Callable[..., Any]]) -> None:
    for name, function in commands.items():
        app.command(function, name=name, help=help_of(function))


def help_of(function: Callable[..., Any]) -> str:
    """Give the help of a command in the user's language."""
    return say(function.__dict__["zh"], _english(function))


def _english(function: Callable[..., Any]) -> str:
    return " ".join((function.__doc__ or "").partition("\n\n")[0].split())


def _add_plugins(app: App) -> None:
    from crm_adapters.plugins import Plugins
    from crm_adapters.settings import read_settings

    try:
        Plugins(read_settings()).commands(app)
    except BadSetting:
        # Every command that opens the CRM refuses it again; help and doctor must still answer.
        return


# -- running ----------------------------------------------------------------------------------


def run(arguments: Sequence[str]) -> int:
    """Run one command and give the exit code."""
    _log_plainly()
    as_json = "--json" in arguments
    try:
        done = build_app()(list(arguments))
    except CycloptsError as e:
        report_error("usage", _usage(e), as_json=as_json)
        if not as_json:
            print(say("查看帮助：crm --help", "Help: crm --help"), file=sys.stderr)
        return 2
    except CrmError as e:
        return report_refusal(e, as_json=as_json)
    except BrokenPipeError:
        raise
    except OSError as e:
        name = f"{e.filename}: " if e.filename else ""
        report_error("os_error", f"{name}{e.strerror or e}", as_json=as_json)
        return 1
    except Exception as e:
        return _unexpected(e, as_json)
    return done if isinstance(done, int) else 0


def _unexpected(error: Exception, as_json: bool) -> int:
    if os.environ.get("CRM_DEBUG"):
        raise error
    first = next(iter(str(getattr(error, "orig", None) or error).strip().splitlines()), "")
    if type(error).__module__.startswith("sqlalchemy"):
        report_error("database", say("数据库不可用：", "the database cannot be used: ") + first,
                     as_json=as_json)  # fmt: skip
        return 1
    text = say("程序出错", "the program failed") + f": {type(error).__name__}: {first}"
    more = say("（设 CRM_DEBUG=1 可看到详情）", " (CRM_DEBUG=1 shows the details)")
    report_error("internal", text + more, as_json=as_json)
    return 1


def _usage(error: CycloptsError) -> str:
    """Say what is wrong with a command line; the library itself speaks English only."""
    english = clean(str(error)).strip().strip('"')
    if language() == "en":
        return english
    shown = _argument(error)
    match error:
        case MissingArgumentError():
            return f"缺少参数 {shown}。"
        case UnknownOptionError():
            return f"没有这个选项：{_option(english)}"
        case UnknownCommandError():
            return f"没有这个命令：{' '.join(error.unused_tokens or ())}"
        case UnusedCliTokensError():
            return f"多余的参数：{' '.join(error.unused_tokens or ())}"
        case RepeatArgumentError():
            return f"参数 {shown} 出现了多次。"
        case CoercionError():
            return f"参数 {shown} 的值不可用：{english}"
    return f"用法有误：{english}"


def _option(text: str) -> str:
    found = re.search(r"-[\w-]+(?:=\S*)?", text)
    return found[0] if found else text


def _argument(error: CycloptsError) -> str:
    return error.argument.name if error.argument is not None else ""


class _OnePerMessage(logging.Handler):
    """Writes each warning once, as one line and without the stack."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._seen: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a warning."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[1]:
            first = next(iter(str(record.exc_info[1]).strip().splitlines()), "")
            text += f": {type(record.exc_info[1]).__name__}: {first}"
        if text not in self._seen:
            self._seen.add(text)
            print(clean(say("警告：", "Warning: ") + text), file=sys.stderr)


def _log_plainly() -> None:
    logger = logging.getLogger("crm_adapters")
    if not logger.handlers:
        logger.addHandler(_OnePerMessage())
        logger.propagate = False
