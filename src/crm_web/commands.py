"""``crm serve`` and ``crm assets install``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from crm_adapters.cli.language import in_chinese, say
from crm_adapters.cli.options import ask_redis, opened
from crm_adapters.cli.output import line, progress
from crm_domain.errors import ExtraMissing

if TYPE_CHECKING:
    from cyclopts import App

GRACE = 20
"""Seconds that requests in progress have when the server is asked to end."""


def add_commands(app: App) -> None:
    """Add the commands of the web face to the command line."""
    from cyclopts import App as Group

    from crm_adapters.cli.app import help_of

    app.command(serve, name="serve", help=help_of(serve))
    assets = Group(name="assets", help=say("网页资源", "What pages need of others"))
    assets.command(install, name="install", help=help_of(install))
    app.command(assets)


@in_chinese("提供网页，直到收到停止信号；没有 Redis 时，后台任务与日程也在此进程内运行。")
def serve(
    *,
    host: Annotated[str, Parameter(help=say("监听地址", "the address to listen on"))] = "127.0.0.1",
    port: Annotated[int, Parameter(help=say("端口", "the port"))] = 8000,
    processes: Annotated[
        int, Parameter(help=say("进程数", "how many processes"))
    ] = 1,
) -> None:  # fmt: skip
    """Serve the web pages until told to stop; without Redis the jobs run in here, too."""
    try:
        import dramatiq  # noqa: F401 - what is pressed wakes whoever works
        import uvicorn

        from crm_web.files import Files
    except ImportError as e:
        raise ExtraMissing(extra="web,jobs") from e
    from crm_web.assets import AssetsMissing

    if missing := Files().missing:
        names = ", ".join(missing)
        raise AssetsMissing(reason_en=f"{names}. Run: crm assets install",
                            reason_zh=f"{names}。请运行 crm assets install")  # fmt: skip
    with opened() as crm:
        ask_redis(crm)
        line(f"网页地址：http://{host}:{port}", f"The pages are at http://{host}:{port}")
    uvicorn.run(
        "crm_web.asgi:create", factory=True, host=host, port=port, workers=processes,
        access_log=False, server_header=False, log_level="warning",
        timeout_graceful_shutdown=GRACE, date_header=True,
    )  # fmt: skip


@in_chinese("通过 npm 取得网页资源（htmx、Tabler 与图标），按锁定的版本和校验值。")
def install() -> None:
    """Fetch what pages need (htmx, Tabler, its icons) through npm, pinned and checked by hash."""
    try:
        from crm_web.assets import install_assets
    except ImportError as e:
        raise ExtraMissing(extra="web") from e
    with progress("安装网页资源", "installing the assets"):
        n = install_assets()
    line(f"已安装 {n} 个文件。", f"{n} files are installed.")
