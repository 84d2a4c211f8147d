"""The file of an import: its bytes and its name, before anything looks inside."""

from __future__ import annotations

import re
from pathlib import Path

from crm_domain.errors import UnreadableSheet

LARGEST = 20_000_000
"""Bytes that a file may have; the reader that comes with us takes as many."""
_REASONS = {
    "file_too_large": (
        f"文件超过 {LARGEST // 1_000_000} MB。请拆分成几个文件。",
        f"It is larger than {LARGEST // 1_000_000} MB. Split it into several files.",
    ),
    "no_file": ("文件不存在。", "There is no such file."),
    "folder": ("这是一个文件夹。", "It is a folder."),
    "no_access": ("没有读取该文件的权限。", "You may not read this file."),
    "unreadable": ("文件无法打开或读取。", "It cannot be opened or read."),
}


def read_file(source: Path | str | bytes, file_name: str | None) -> tuple[bytes, str]:
    """Read what a user sent, never more than may be imported.

    Returns:
        The content, and what to call it.

    Raises:
        UnreadableSheet: There is no such file, it cannot be read, or it is too large.
    """
    if isinstance(source, bytes):
        content, name = source, clean_name(file_name or "")
    else:
        path = Path(source)
        name = clean_name(file_name or path.name)
        content = _read(path, name)
    if len(content) > LARGEST:
        raise _refused("file_too_large", name)
    return content, name


def clean_name(name: str) -> str:
    """Give what a user calls a file without the folders before it and what nobody can see.

    Of a name that is too long its end is kept, where it says what kind of file it is.
    """
    last = re.split(r"[/\\]", name)[-1]
    return "".join(c for c in last if c.isprintable()).strip()[-200:] or "upload.xlsx"


def _read(path: Path, name: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except FileNotFoundError as e:
        raise _refused("no_file", name) from e
    except IsADirectoryError as e:
        raise _refused("folder", name) from e
    except PermissionError as e:
        raise _refused("no_access", name) from e
    # A null character in a path is no OSError.
    except (OSError, ValueError) as e:
        raise _refused("unreadable", name) from e


def _refused(reason: str, name: str) -> UnreadableSheet:
    zh, en = _REASONS[reason]
    return UnreadableSheet(file=name[-100:], reason=reason, reason_zh=zh, reason_en=en)
