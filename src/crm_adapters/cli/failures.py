"""Whatever goes wrong, as a sentence for people or an object for programs, and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from crm_adapters.cli.exits import WRONG, exit_code
from crm_adapters.cli.language import language, say
from crm_adapters.cli.output import clean, shown_url, write_json
from crm_adapters.cli.wording import allowed, choices
from crm_adapters.settings import database_url
from crm_domain.errors import CrmError, FieldError, Invalid


class Refused(CrmError):
    """{en}"""

    zh = "{zh}"

    def __init__(self, zh: str, en: str, *, code: str) -> None:
        super().__init__(zh=zh, en=en, kind=code)

    def __reduce__(self) -> Any:
        return (_refused, (self.facts,))


def _refused(facts: Mapping[str, Any]) -> Refused:
    return Refused(facts["zh"], facts["en"], code=facts["kind"])


def report(code: str, message: str, *, as_json: bool, problems: Sequence[Any] = ()) -> int:
    """Say what was refused: as an object on standard output, or a line on standard error.

    Returns:
        The exit code.
    """
    if as_json:
        more = {"problems": problems} if problems else {}
        write_json({"error": code, "message": message, **more})
    else:
        print(clean(say("错误：", "Error: ") + message), file=sys.stderr)
    return exit_code(code)


COMMANDS: Mapping[str, str] = {"customer_locked": "crm customers unlock {id}"}
"""What helps against a refusal, by its code."""


def report_refusal(error: CrmError, *, as_json: bool) -> int:
    """Say a refusal in the user's language, with what would be allowed, and give the exit code."""
    code = str(error.facts["kind"]) if isinstance(error, Refused) else error.code
    problems = error.problems if isinstance(error, Invalid) else ()
    message = error.message(language())
    for problem in problems:
        if words := choices(problem):
            message += "\n" + words
    if code in COMMANDS:
        message += "\n" + COMMANDS[code].format(**error.facts)
    if code == "database_busy":
        # Busy, away or mistyped: whoever reads it has to know which one did not answer.
        url = shown_url(database_url())
        message += "\n" + say(f"数据库：{url}（CRM_DATABASE_URL）",
                              f"The database: {url} (CRM_DATABASE_URL)")  # fmt: skip
    return report(code, message, as_json=as_json, problems=[_plain(p) for p in problems])


def _plain(problem: FieldError) -> dict[str, Any]:
    codes = [str(code) for code, _ in allowed(problem)]
    said = {"field": problem.path, "code": problem.code, "message": problem.message(language())}
    return said | ({"allowed": codes} if codes else {})


_PATHS: Mapping[type[OSError], tuple[str, str]] = {
    FileNotFoundError: ("不存在", "does not exist"),
    NotADirectoryError: ("所在路径不是文件夹", "is not in a folder"),
    IsADirectoryError: ("是文件夹", "is a folder"),
    PermissionError: ("没有访问权限", "may not be opened"),
}


def report_os_error(error: OSError, *, as_json: bool) -> int:
    """Say that a file, or the machine, could not be used, and give the exit code."""
    name, found = error.filename, _PATHS.get(type(error))
    if found and name is not None:
        return report("unusable_file", say(f"文件 {name} {found[0]}。", f"{name} {found[1]}."),
                      as_json=as_json)  # fmt: skip
    told = f"{name}: {error.strerror or error}" if name else str(error.strerror or error)
    return report("os_error", say(f"读写失败：{told}", f"reading or writing failed: {told}"),
                  as_json=as_json)  # fmt: skip


def report_unexpected(error: Exception, *, as_json: bool) -> int:
    """Say what nobody foresaw, without its stack unless one asks for it; give the exit code."""
    if os.environ.get("CRM_DEBUG"):
        raise error
    first = next(iter(str(getattr(error, "orig", None) or error).strip().splitlines()), "")
    if type(error).__module__.startswith("sqlalchemy"):
        return report("database", say("数据库不可用：", "the database cannot be used: ") + first,
                      as_json=as_json)  # fmt: skip
    told = f"{type(error).__name__}: {first}"
    return report("internal", say(f"程序出错：{told}（设 CRM_DEBUG=1 可看到详情）",
                                  f"the program failed: {told} (CRM_DEBUG=1 shows the details)"),
                  as_json=as_json)  # fmt: skip


def report_usage(message: str, help_command: str, *, as_json: bool) -> int:
    """Say what is wrong with a command line and where its help is, and give the exit code."""
    report("usage", message, as_json=as_json)
    if not as_json:
        print(say(f"查看帮助：{help_command}", f"Help: {help_command}"), file=sys.stderr)
    return WRONG
