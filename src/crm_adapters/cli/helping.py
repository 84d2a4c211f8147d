"""Help pages in the user's language; what cyclopts writes on them itself is English."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from crm_adapters.cli.language import say

if TYPE_CHECKING:
    from cyclopts.help import ColumnSpec, HelpEntry, HelpPanel
    from rich.console import Console, ConsoleOptions

_WORDS = {
    "COMMAND": "命令", "[OPTIONS]": "[选项]", "[ARGS...]": "[参数...]", "[ARGS]": "[参数]",
    "STR": "文字", "INT": "整数", "PATH": "路径", "CHOICE": "可选值",
}  # fmt: skip
"""The placeholders for what is to be typed; names such as NUMBER are the arguments' own."""


def in_words(text: str) -> str:
    """Say the placeholders in the user's language."""
    chinese = re.sub(r"\[?\b(COMMAND|OPTIONS|ARGS|STR|INT|PATH|CHOICE)\b(\.\.\.)?\]?", _word, text)
    return say(chinese, text)


def _word(found: re.Match[str]) -> str:
    whole = found[0]
    return _WORDS.get(whole) or whole.replace(found[1], _WORDS.get(found[1], found[1]))


class HelpPages:
    """Writes help pages as cyclopts does, without its English words where Chinese is spoken."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Write one panel of a page."""
        from cyclopts.help import DefaultFormatter

        entries = [e.copy(metavar=e.metavar and in_words(e.metavar)) for e in panel.entries]
        columns = None if panel.format == "command" else _columns
        DefaultFormatter(column_specs=columns)(console, options, panel.copy(entries=entries))

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        """Write the line that shows how a command is called."""
        if usage:
            console.print(say("用法：", "Usage: ") + in_words(str(usage)), markup=False)

    def render_description(
        self, console: Console, options: ConsoleOptions, description: Any
    ) -> None:
        """Write what a command does."""
        from cyclopts.help import DefaultFormatter

        DefaultFormatter().render_description(console, options, description)


def _columns(
    console: Console, options: ConsoleOptions, entries: list[HelpEntry]
) -> tuple[ColumnSpec, ...]:
    from cyclopts.help.specs import get_default_parameter_columns

    *others, last = get_default_parameter_columns(console, options, entries)
    return (*others, last.copy(renderer=_described))


def _described(entry: HelpEntry) -> Any:
    """Say what an argument is for, what it may be, what it is unless given, whether it must be."""
    from cyclopts.help import InlineText
    from rich.text import Text

    said = entry.description
    if not isinstance(said, InlineText):
        said = InlineText(Text(str(said or "")))
    if entry.choices:
        listed = say("、", ", ").join(entry.choices)
        said.append(Text(say(f"[可选：{listed}]", f"[choices: {listed}]"), "cyclopts.choices"))
    if entry.default is not None:
        shown = say(f"[默认：{entry.default}]", f"[default: {entry.default}]")
        said.append(Text(shown, "cyclopts.default"))
    if entry.required:
        said.append(Text(say("[必填]", "[required]"), "cyclopts.required"))
    return said
