"""Backups of both databases, also while they are in use."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from crm_adapters.storage.engine import sqlite_module
from crm_domain.errors import BadSetting, CrmError


class BackupFailed(CrmError):
    """The backup was not made: {reason_en}"""

    zh = "没有备份成功：{reason_zh}"
    code = "backup_failed"


def back_up(url: str, out: Path) -> int:
    """Write a backup as a whole or not at all.

    Args:
        url: The address of the database.
        out: The file; an SQLite database, or an archive for ``pg_restore``. Replaced if it exists.

    Returns:
        The size in bytes.

    Raises:
        BackupFailed: With what to do.
        BadSetting: The address is not usable.
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as e:
        raise BadSetting(name="CRM_DATABASE_URL", reason="not a database address",
                         reason_zh="不是数据库地址") from e  # fmt: skip
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        if parsed.get_backend_name() == "sqlite":
            _sqlite(Path(str(parsed.database)), part)
        else:
            _postgresql(parsed, part)
        part.chmod(0o600)  # It holds what the database holds.
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return out.stat().st_size


def _sqlite(path: Path, out: Path) -> None:
    if not path.is_file():
        raise BackupFailed(reason_zh=f"数据库 {path} 不存在。",
                           reason_en=f"there is no database {path}.")  # fmt: skip
    module = sqlite_module()
    with closing(module.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        # Takes one consistent state, also while others write; leaves no free pages behind.
        connection.execute("VACUUM INTO ?", (str(out),))
    with closing(module.connect(str(out))) as copy:
        [(verdict,)] = copy.execute("PRAGMA quick_check(1)").fetchall()
    if verdict != "ok":
        raise BackupFailed(reason_zh=f"副本已损坏：{verdict}。",
                           reason_en=f"the copy is damaged: {verdict}.")  # fmt: skip


def _postgresql(url: sa.URL, out: Path) -> None:
    program = shutil.which("pg_dump")
    if program is None:
        raise BackupFailed(
            reason_zh="找不到 pg_dump；请安装 PostgreSQL 客户端，或在数据库服务器上备份。",
            reason_en="pg_dump was not found; install the PostgreSQL client, or back up on the "
            "server.",
        )
    # The password goes by the environment: everybody may read the arguments of a process.
    plain = url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    environ = os.environ | ({"PGPASSWORD": url.password} if url.password else {})
    done = subprocess.run(  # noqa: S603
        [program, "--format=custom", "--no-password", f"--file={out}", f"--dbname={plain}"],
        env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["pg_dump failed"])[-1]
        raise BackupFailed(reason_zh=f"{said}。", reason_en=said)
