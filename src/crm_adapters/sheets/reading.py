"""Reads the files that users send, each in a process of its own."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

import attrs

from crm_adapters.sheets.guard import Kind, Refused, recognise
from crm_adapters.sheets.limits import Limits
from crm_adapters.sheets.rows import Blocks, LazyRows
from crm_domain.errors import UnreadableSheet
from crm_domain.ports.sheets import Sheet

_log = logging.getLogger(__name__)

_SAVE_ZH = "请用 Excel 或 WPS 打开，另存为“Excel 工作簿（.xlsx）”后再上传。"
_SAVE_EN = "Open it in Excel or WPS, save it as an Excel workbook (.xlsx) and send that."
_SPLIT_ZH = "请拆分成几个文件。"
_SPLIT_EN = "Split it into several files."

_SENTENCES = {
    "empty": ("文件是空的。", "It is empty."),
    "file_too_large": (
        f"文件超过 {{megabytes}} MB。{_SPLIT_ZH}",
        f"It is larger than {{megabytes}} MB. {_SPLIT_EN}",
    ),
    "encrypted": (
        "文件设有密码。请在 Excel 中取消密码后再上传。",
        "It is protected by a password. Remove the password in Excel and send it again.",
    ),
    "old_format": (
        f"这是旧版 .xls 格式。{_SAVE_ZH}",
        f"It has the old .xls format. {_SAVE_EN}",
    ),
    "open_document": (
        f"这是 OpenDocument（.ods）格式。{_SAVE_ZH}",
        f"It is an OpenDocument file (.ods). {_SAVE_EN}",
    ),
    "binary_workbook": (
        f"这是二进制工作簿（.xlsb）。{_SAVE_ZH}",
        f"It is a binary workbook (.xlsb). {_SAVE_EN}",
    ),
    "markup": (
        f"这是网页（HTML 或 XML），不是真正的表格文件。{_SAVE_ZH}",
        f"It is a web page (HTML or XML) rather than a workbook. {_SAVE_EN}",
    ),
    "text_named_as_workbook": (
        "内容是纯文本，文件名却像工作簿。请把扩展名改为 .csv，或在 Excel 中另存为 .xlsx。",
        "It is plain text with the name of a workbook. Rename it to .csv, or save it as .xlsx.",
    ),
    "not_a_sheet": (
        "这不是表格文件。请上传 .xlsx 或 .csv 文件。",
        "It is not a spreadsheet. Send an .xlsx or .csv file.",
    ),
    "not_text": (
        "内容不是文本。请上传 .xlsx 或 .csv 文件。",
        "Its content is not text. Send an .xlsx or .csv file.",
    ),
    "unknown_encoding": (
        "无法识别文字编码。请另存为“CSV UTF-8”或 .xlsx 后再上传。",
        "Its encoding is not known. Save it as CSV UTF-8 or as .xlsx and send that.",
    ),
    "open_quote": (
        "从第 {row} 行开始的引号没有结束。请补上引号，或另存为 .xlsx。",
        "A quotation mark is opened in row {row} and never closed. Close it, or save as .xlsx.",
    ),
    "damaged": (
        "文件已损坏或不完整。请在 Excel 中打开并重新保存后再上传。",
        "It is damaged or incomplete. Open it in Excel, save it again and send that.",
    ),
    "dangerous": (
        f"其中含有正常表格软件不会写出的危险内容。{_SAVE_ZH}",
        f"It contains dangerous things that no spreadsheet program writes. {_SAVE_EN}",
    ),
    "unpacks_too_large": (
        f"解压后过大（上限 {{megabytes}} MB）。{_SPLIT_ZH}",
        f"It is too large after unpacking (at most {{megabytes}} MB). {_SPLIT_EN}",
    ),
    "too_many_rows": (
        f"单元格 {{cell}} 有内容，超出了 {{rows}} 行的上限。{_SPLIT_ZH}",
        f"There is something in cell {{cell}}, below the last row allowed, {{rows}}. {_SPLIT_EN}",
    ),
    "too_many_columns": (
        "单元格 {cell} 有内容，超出了 {columns} 列的上限。请删除多余的列。",
        "There is something in cell {cell}, beyond the {columns} columns allowed. Delete it.",
    ),
    "too_many_cells": (
        f"内容过多（上限 {{cells}} 个单元格）。{_SPLIT_ZH}",
        f"There is too much in it (at most {{cells}} cells). {_SPLIT_EN}",
    ),
    "cell_too_long": (
        "有单元格超过 {characters} 个字符。请缩短其内容。",
        "A cell has more than {characters} characters. Shorten it.",
    ),
    "no_sheet": (
        "其中没有可见的工作表。请取消隐藏后再上传。",
        "There is no visible sheet in it. Unhide one and send it again.",
    ),
    "too_heavy": (
        f"读取它需要的时间或内存太多。{_SPLIT_ZH}",
        f"Reading it took too much time or memory. {_SPLIT_EN}",
    ),
}

_CHILD = """
import sys, types
package = sys.modules["crm_adapters"] = types.ModuleType("crm_adapters")
package.__path__ = [sys.argv[1]]
from crm_adapters.sheets.child import main
main()
"""
"""The child, in an empty package: with ``-m`` it would import all that ``crm_adapters`` itself
imports, databases included, once for every file."""
_CRASHED = 1
_KEPT = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "PYTHONHOME", "LD_LIBRARY_PATH")
"""What the child needs of the environment; passwords and addresses in it are not its business."""


@attrs.frozen
class SafeSheetReader:
    """Reads .xlsx by calamine and .csv, in a child process that may die of the file."""

    limits: Limits = attrs.field(factory=Limits)
    python: str = attrs.field(factory=lambda: sys.executable)
    """The interpreter for the child; to be given where ``sys.executable`` is another program."""

    @property
    def max_bytes(self) -> int:
        """The largest file that it reads."""
        return self.limits.file_bytes

    def read(self, content: bytes, file_name: str) -> tuple[Sheet, ...]:
        """Read all visible sheets of a file.

        Args:
            content: The bytes of the file.
            file_name: What the user calls it; a path before it is ignored.

        Returns:
            The sheets. ``cells[0]`` is column A, and all rows of a sheet are equally long.

        Raises:
            UnreadableSheet: Not a spreadsheet, damaged, encrypted, or larger than the limits;
                ``reason`` is a stable code.
            RuntimeError: The child could not be started; this is no fault of the file.
        """
        path = PurePosixPath("".join(c for c in file_name.replace("\\", "/") if c.isprintable()))
        try:
            kind = recognise(content, path.suffix[1:].lower(), self.limits)
            return _assemble(self._messages(kind, path.stem, content))
        except Refused as refused:
            zh, en = (text.format(**refused.facts) for text in _SENTENCES[refused.code])
            raise UnreadableSheet(
                file=path.name[-100:], reason=refused.code, reason_zh=zh, reason_en=en
            ) from refused

    def _messages(
        self, kind: Kind, name: str, content: bytes
    ) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """Ask a child, and give what it says, as said and as read, until all is well."""
        # -P keeps the working directory, where anybody may have put a json.py, off its path.
        command = [self.python, "-P", "-c", _CHILD, str(Path(__file__).parents[1])]
        environment = {key: os.environ[key] for key in _KEPT if key in os.environ}
        environment["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
        request = {"kind": kind, "name": name, "limits": attrs.asdict(self.limits)}
        with (
            tempfile.TemporaryFile() as complaints,
            subprocess.Popen(  # noqa: S603 - our own module, no part of it from outside
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                env=environment,
            ) as process,
        ):
            clock = threading.Timer(self.limits.seconds, process.kill)
            clock.daemon = True
            clock.start()
            try:
                _send(process, json.dumps(request).encode() + b"\n" + content)
                ready = False
                for line, message in self._lines(process):
                    if "refused" in message:
                        raise Refused(message["refused"], **message["facts"])
                    if "end" in message:
                        return
                    ready = True
                    yield line, message
                status = process.wait()
            finally:
                clock.cancel()
                process.kill()
            complaints.seek(0)
            last = complaints.read()[-2000:].decode(errors="replace")
            if not ready and status == _CRASHED:
                raise RuntimeError(f"the process that reads sheets did not start: {last}")
            _log.warning("reading a sheet ended with status %s: %s", status, last)
            raise Refused("damaged" if status == _CRASHED else "too_heavy")

    def _lines(self, process: subprocess.Popen[bytes]) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """Decode what the child says; JSON, since it may say anything once it is corrupted."""
        output = _pipe(process.stdout)
        left = self.limits.text_bytes + 1_000_000
        while line := output.readline(left):
            left -= len(line)
            try:
                message = json.loads(line)
            except ValueError:
                # Cut short by its death or by our limit, or no longer in its right mind.
                process.kill()
                return
            yield line, message


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # noqa: S101 - opened by Popen above
    return pipe


def _send(process: subprocess.Popen[bytes], request: bytes) -> None:
    pipe = _pipe(process.stdin)
    try:
        pipe.write(request)
        pipe.close()
    except OSError:
        # It died before it had read everything; its status tells why.
        _log.debug("the process that reads sheets closed its input early")


def _assemble(messages: Iterator[tuple[bytes, dict[str, Any]]]) -> tuple[Sheet, ...]:
    sheets: list[tuple[str, Blocks]] = []
    for line, message in messages:
        if "sheet" in message:
            sheets.append((message["sheet"], Blocks(message["width"])))
        elif "rows" in message:
            sheets[-1][1].add(line, message)
    return tuple(Sheet(name, LazyRows(blocks, range(blocks.count))) for name, blocks in sheets)
