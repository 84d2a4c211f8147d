"""What is wrong with a command line, in the user's language; cyclopts itself speaks English."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args, get_origin

from cyclopts import App, CycloptsError
from cyclopts.exceptions import (
    CoercionError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from crm_adapters.cli.language import say


def told(error: CycloptsError) -> str:
    """Say what is wrong, and what was perhaps meant."""
    match error:
        case MissingArgumentError():
            return _missing(error)
        case UnknownOptionError():
            return _unknown_option(error)
        case UnknownCommandError():
            return _unknown_command(error)
        case UnusedCliTokensError():
            return _many("多余的参数：", "too many arguments: ", error.unused_tokens or ())
        case RepeatArgumentError():
            name = error.token.keyword or ""
            return say(f"参数 {name} 出现了多次。", f"{name} is given more than once.")
        case CoercionError():
            return _unusable(error)
    return say("用法有误：", "") + str(error).strip()


def help_command(app: App, arguments: Sequence[str]) -> str:
    """Name the command that tells more: the help of the command that was meant."""
    words, _, _ = app.parse_commands(list(arguments))
    return " ".join(["crm", *words, "--help"])


def _many(zh: str, en: str, words: Iterable[str]) -> str:
    listed = " ".join(words)
    return say(f"{zh}{listed}。", f"{en}{listed}.")


def _missing(error: MissingArgumentError) -> str:
    name = error.argument.name if error.argument is not None else ""
    if error.keyword is not None:
        return say(f"选项 {error.keyword} 后缺少值。", f"{error.keyword} needs a value.")
    near = difflib.get_close_matches(name, [t for t in error.unused_tokens or () if t[:1] == "-"])
    typed = say(f"（而不是 {near[0]}）", f" (not {near[0]})") if near else ""
    return say(f"缺少参数 {name}{typed}。", f"{name} is missing{typed}.")


def _unknown_option(error: UnknownOptionError) -> str:
    typed = (error.token.keyword or error.token.value).partition("=")[0]
    known = [name for one in error.argument_collection for name in one.names]
    return say(f"没有选项 {typed}。", f"there is no option {typed}.") + _meant(typed, known)


def _unknown_command(error: UnknownCommandError) -> str:
    typed = next(iter(error.unused_tokens or ()), "")
    app = error.app
    commands = [] if app is None else [name for name in app if not name.startswith("-")]
    flags = [] if app is None else [*app.help_flags, *app.version_flags]
    if typed == "help":
        return say("没有命令 help；请用 --help。", "there is no command help; use --help.")
    meant = _meant(typed, [*commands, *flags])
    listed = say("可用的命令：", " Commands: ") + say("、", ", ").join(commands) + say("。", ".")
    return say(f"没有命令 {typed}。", f"there is no command {typed}.") + meant + listed


def _meant(typed: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(typed, known, n=1)
    return say(f"是否指 {near[0]}？", f" Did you mean {near[0]}?") if near else ""


def _unusable(error: CoercionError) -> str:
    token, argument = error.token, error.argument
    name = (token.keyword if token is not None else None) or (argument.name if argument else "")
    typed = token.value if token is not None else ""
    choices = _choices(error.target_type)
    if choices:
        wanted = say("、", ", ").join(choices)
        return say(f"{name} 不能是“{typed}”；可选：{wanted}。",
                   f"{name} cannot be {typed!r}; choose from: {wanted}.")  # fmt: skip
    zh, en = _WANTED.get(error.target_type, ("不可用的值", ""))
    if not en:
        return say(f"{name} 的值“{typed}”不可用。", f"{name} cannot be {typed!r}.")
    return say(f"{name} 须是{zh}，而不是“{typed}”。", f"{name} takes {en}, not {typed!r}.")


_WANTED: dict[Any, tuple[str, str]] = {
    int: ("整数", "a whole number"), bool: ("“是”或“否”（yes、no）", "yes or no"),
}  # fmt: skip


def _choices(kind: Any) -> list[str]:
    found = [kind, *get_args(kind)]
    literals = (one for one in found if get_origin(one) is Literal)
    return [str(word) for one in literals for word in get_args(one)]
