"""``crm import start|status|pause|resume``: imports that workers run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from crm_adapters.cli.imports import answer
from crm_adapters.cli.language import in_chinese, say
from crm_adapters.cli.options import acting_as, actor, as_json, opened
from crm_adapters.cli.output import hint, label, line, local, pairs, write_json
from crm_adapters.cli.output import progress as progress_bar
from crm_domain.model import ImportStatus

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from crm_domain.usecases.imports import ImportProgress


def _number() -> Parameter:
    return Parameter(help=say("导入编号", "the number of the import"))


@in_chinese("查看一次导入的进度。")
def status(
    number: Annotated[int, _number()],
    /, *,
    acting: Annotated[str | None, acting_as()] = None,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Tell how far an import is."""
    from crm_domain.usecases import imports

    with opened() as crm:
        found = imports.progress(crm, number, by=actor(crm, acting))
        zone = crm.settings.zone
    show_progress(found, zone, json=json)


@in_chinese("把已检查的导入交给后台执行，立即返回。")
def start(
    number: Annotated[int, _number()],
    /, *,
    acting: Annotated[str | None, acting_as()] = None,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Hand a checked import to the workers, and come back at once."""
    from crm_domain.usecases import imports

    with opened() as crm:
        found = imports.start_import(crm, number, by=actor(crm, acting))
        zone = crm.settings.zone
    show_progress(found, zone, json=json)


@in_chinese("暂停一次导入：做完当前一批后停下，保留位置。")
def pause(
    number: Annotated[int, _number()],
    /, *,
    acting: Annotated[str | None, acting_as()] = None,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Stop an import after the batch under way; it keeps its place."""
    from crm_domain.usecases import imports

    with opened() as crm:
        found = imports.pause_import(crm, number, by=actor(crm, acting))
        zone = crm.settings.zone
    show_progress(found, zone, json=json)


@in_chinese("继续一次暂停、停止或中断的导入。")
def resume(
    number: Annotated[int, _number()],
    /, *,
    background: Annotated[
        bool | None,
        Parameter(
            name="--background",
            negative="--here",
            help=say("交给后台，或在此等待完成；默认与启动时相同",
                     "by the workers, or here until its end; as it was begun by default"),
        ),
    ] = None,
    acting: Annotated[str | None, acting_as()] = None,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Go on with an import that was paused, stopped or interrupted."""
    from crm_domain.usecases import imports

    with opened() as crm:
        by, zone = actor(crm, acting), crm.settings.zone
        before = imports.progress(crm, number, by=by)
        begun = before.started_at is not None and before.status is not ImportStatus.DONE
        if begun if background is None else background:
            found = imports.resume_import(crm, number, by=by)
            report = None
        else:
            with progress_bar("导入中", "importing") as bar:
                report = imports.run_import(crm, number, progress=bar, by=by)
    if report is not None:
        answer(report, json)
    else:
        show_progress(found, zone, json=json)


def show_progress(found: ImportProgress, zone: ZoneInfo, *, json: bool) -> None:
    """Answer with how far an import is."""
    if json:
        write_json(found)
        return
    line(
        f"导入 {found.id}：{label(found.file_name)}", f"Import {found.id}: {label(found.file_name)}"
    )
    share = 100 * found.done_rows // found.data_rows if found.data_rows else 100
    pairs(
        [
            (say("  状态", "  status"), found.status),
            (say("  进度", "  progress"), f"{found.done_rows} / {found.data_rows} ({share} %)"),
            (say("  已导入", "  accepted"), found.accepted),
            (say("  未导入", "  not taken in"), found.refused),
            (say("  空行", "  blank rows"), found.blank_rows),
            (say("  启动", "  started"), local(found.started_at, zone)),
            (say("  启动人", "  in the name of"), found.started_by),
            (say("  完成", "  finished"), local(found.finished_at, zone)),
        ]
    )  # fmt: skip
    if found.error:
        line(f"停止原因：{found.error['zh']}", f"Stopped because: {found.error['en']}")
    if found.status is ImportStatus.RUNNING and not found.at_work:
        hint("目前没有进程在执行它；后台进程（crm worker）会在几秒内接手。"
             if found.started_at else f"目前没有进程在执行它：crm import resume {found.id}",
             "Nobody is at it; a worker (crm worker) takes it within seconds."
             if found.started_at
             else f"Nobody is at it: crm import resume {found.id}")  # fmt: skip
