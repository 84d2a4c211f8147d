"""The file of an import: its bytes and its name, before anything looks inside."""

from __future__ import annotations

import re
from pathlib import Path

from crm_domain.errors import UnreadableSheet

_REASONS = {
    "file_too_large": (
        "文件超过 {size:g} MB。请拆分成几个文件。",
        "It is larger than {size:g} MB. Split it into several files.",
    ),
    "no_file": ("文件不存在。", "There is no such file."),
    "folder": ("这是一个文件夹。", "It is a folder."),
    "no_access": ("没有读取该文件的权限。", "You may not read this file."),
    "unreadable": ("文件无法打开或读取。", "It cannot be opened or read."),
}


def read_file(
    source: Path | str | bytes, file_name: str | None, max_bytes: int
) -> tuple[bytes, str]:
    """Read what a user sent, never much more than may be imported.

    Args:
        source: The file's path, or its content.
        file_name: What the user calls it.
        max_bytes: A larger file is refused.

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
        content = _read(path, name, max_bytes)
    if len(content) > max_bytes:
        raise _refused("file_too_large", name, max_bytes)
    return content, name


def clean_name(name: str) -> str:
    """Give what a user calls a file without the folders before it and what nobody can see.

    Of a name that is too long its end is kept, where it says what kind of file it is.
    """
    last = re.split(r"[/\\]", name)[-1]
    return "".join(c for c in last if c.isprintable()).strip()[-200:] or "upload.xlsx"


def _read(path: Path, name: str, max_bytes: int) -> bytes:
    try:
        # A pipe to which nobody writes would keep whoever opens it waiting for ever.
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise _refused("unreadable", name)
        with path.open("rb") as file:
            return file.read(max_bytes + 1)
    except FileNotFoundError as e:
        raise _refused("no_file", name) from e
    except IsADirectoryError as e:
        raise _refused("folder", name) from e
    except PermissionError as e:
        raise _refused("no_access", name) from e
    # A null character in a path is no OSError.
    except (OSError, ValueError) as e:
        raise _refused("unreadable", name) from e


def _refused(reason: str, name: str, max_bytes: int = 0) -> UnreadableSheet:
    zh, en = (text.format(size=max_bytes / 1_000_000) for text in _REASONS[reason])
    return UnreadableSheet(file=name[-100:], reason=reason, reason_zh=zh, reason_en=en)
