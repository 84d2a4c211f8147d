"""Puts the commands together, and runs one."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

from cyclopts import App, CycloptsError, Group, Parameter
from cyclopts.exceptions import UnknownCommandError

from crm_adapters.cli.exits import DONE
from crm_adapters.cli.failures import (
    report_os_error,
    report_refusal,
    report_unexpected,
    report_usage,
)
from crm_adapters.cli.helping import HelpPages
from crm_adapters.cli.language import say
from crm_adapters.cli.output import clean
from crm_adapters.cli.usage import help_command, told
from crm_domain import __version__
from crm_domain.errors import BadSetting, CrmError


def build_app() -> App:
    """Make the command line in the user's language, without what plugins add."""
    from crm_adapters.cli import (
        customers,
        database,
        dealing,
        export,
        jobs,
        notices,
        pool,
        rotation,
        start,
        users,
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
    _group(app, "user", "账号", "Accounts",
           {"add": users.add, "list": users.list_all, "password": users.set_password,
            "roles": users.set_roles, "disable": users.disable,
            "enable": users.enable, "sessions": users.sessions,
            "reset-link": users.reset_link})  # fmt: skip
    _import(app)
    _register(app, {"export": export.export})
    _group(app, "rotation", "轮转：新客户归谁", "Rotation: who gets the next new customer",
           {"show": rotation.show, "set": rotation.set_plan, "reset": rotation.reset})  # fmt: skip
    _group(app, "customers", "客户", "Customers",
           {"list": customers.list_all, "mine": customers.mine, "show": customers.show,
            "add": customers.add, "follow-up": dealing.follow_up, "assign": dealing.assign,
            "transfer": dealing.transfer, "hand-over": dealing.hand_over, "lock": dealing.lock,
            "unlock": dealing.unlock})  # fmt: skip
    _group(app, "pool", "公海", "The public pool",
           {"list": pool.list_all, "claim": pool.claim, "release": pool.release,
            "warn": pool.warn})  # fmt: skip
    _register(app, {"sweep": pool.sweep})
    _group(app, "notices", "通知", "Notices",
           {"list": notices.list_all, "deliver": notices.deliver,
            "resend": notices.resend})  # fmt: skip
    _register(app, {"worker": jobs.worker, "scheduler": jobs.scheduler})
    _group(app, "jobs", "定时任务", "The jobs of the schedule",
           {"list": jobs.list_all, "run": jobs.run})  # fmt: skip
    _group(app, "db", "数据库", "The database",
           {"upgrade": database.upgrade, "check": database.check,
            "backup": database.backup, "restore": database.restore})  # fmt: skip
    _register(app, {"check": database.check, "doctor": database.doctor})
    _group(app, "plugins", "插件", "Plugins", {"list": start.list_plugins})
    return app


def _app(name: str, zh: str, en: str, default: Callable[..., Any] | None = None) -> App:
    made = App(
        name=name, help=say(zh, en), version_flags=() if name != "crm" else ("--version",),
        group_commands=Group(say("命令", "Commands")),
        group_arguments=Group(say("参数", "Arguments")),
        group_parameters=Group(say("选项", "Options")),
        default_parameter=Parameter(show_default=lambda value: value or None),
        default_command=default, exit_on_error=False, print_error=False,
        result_action="return_value", suppress_keyboard_interrupt=False, help_format="plaintext",
        help_formatter=HelpPages(),
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
    from crm_adapters.cli import import_jobs, imports

    group = _app("import", imports.import_sheet.__dict__["zh"], _english(imports.import_sheet),
                 imports.import_sheet)  # fmt: skip
    _register(group, {"list": imports.list_all, "template": imports.template,
                      "start": import_jobs.start, "status": import_jobs.status,
                      "pause": import_jobs.pause, "resume": import_jobs.resume,
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


def _add_plugins(app: App) -> BadSetting | None:
    """Let plugins add their commands, or tell why they cannot.

    Every command that opens the CRM refuses it again; help and doctor must still answer.
    """
    from crm_adapters.plugins import Plugins
    from crm_adapters.settings import read_settings

    try:
        Plugins(read_settings()).commands(app)
    except BadSetting as e:
        return e
    return None


# -- running ----------------------------------------------------------------------------------


def run(arguments: Sequence[str]) -> int:
    """Run one command and give the exit code."""
    _log_plainly()
    as_json = "--json" in arguments
    app = build_app()
    wrong = _add_plugins(app)
    try:
        done = app(list(arguments))
    except CycloptsError as e:
        if wrong is not None and isinstance(e, UnknownCommandError):
            # It may be a plugin's, such as `crm serve`: then not the command is the mistake.
            return report_refusal(wrong, as_json=as_json)
        return report_usage(told(e), help_command(app, arguments), as_json=as_json)
    except CrmError as e:
        return report_refusal(e, as_json=as_json)
    except BrokenPipeError:
        raise
    except OSError as e:
        return report_os_error(e, as_json=as_json)
    except Exception as e:
        return report_unexpected(e, as_json=as_json)
    return done if isinstance(done, int) else DONE


class _OnePerMessage(logging.Handler):
    """Writes each warning once, as one line and without the stack."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._seen: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a warning."""
        from crm_adapters.plugins import explain

        text, error = record.getMessage(), record.exc_info and record.exc_info[1]
        if record.name == "crm_adapters.plugins" and isinstance(record.args, tuple):
            text = say(f"插件 {record.args[0]} 出错", text)
        if error:
            en, zh = explain(error)
            text += say(f"：{zh}", f": {en}")
        if text not in self._seen:
            self._seen.add(text)
            print(clean(say("警告：", "Warning: ") + text), file=sys.stderr)


def _log_plainly() -> None:
    logger = logging.getLogger("crm_adapters")
    if not logger.handlers:
        logger.addHandler(_OnePerMessage())
        logger.propagate = False
