"""``crm import``: sheets of customers, employees and students."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from crm_adapters.cli.customers import read_query
from crm_adapters.cli.failures import Refused
from crm_adapters.cli.language import in_chinese, language, say
from crm_adapters.cli.options import (
    acting_as,
    actor,
    as_json,
    dealt_to,
    employee_number,
    given_to,
    how_many,
    opened,
    overwritten,
    page_mark,
    previewed,
    save_file,
)
from crm_adapters.cli.output import (
    confirm,
    hint,
    label,
    line,
    local,
    pairs,
    plain,
    progress,
    table,
    write_json,
)
from crm_adapters.cli.wording import choices_of_column, reason, told, warning
from crm_domain.rules.access import SYSTEM
from crm_domain.rules.layout import FORMS

if TYPE_CHECKING:
    from crm_domain.usecases.imports import ImportReport

SHOWN_PROBLEMS = 20


Record = Literal["customer", "employee", "student"]


def held() -> Parameter:
    """Describe what a sheet holds."""
    return Parameter(
        help=say(
            "表格内容：客户、员工，或已在读的学员",
            "what the rows are; a student is one who studies already",
        )
    )


def of(report: ImportReport) -> str:
    """Say in Chinese what a sheet holds."""
    return FORMS[report.record].zh


@in_chinese("导入客户表格（.xlsx 或 .csv）：先检查并预览，确认后导入。")
def import_sheet(
    file: Annotated[
        Path,
        Parameter(
            help=say(
                "表格文件；名为 template 之类的文件请写作 ./template",
                "the sheet; write ./template for a file that is named like a command",
            )
        ),
    ],
    /, *,
    dry_run: Annotated[bool, previewed()] = False,
    yes: Annotated[
        bool,
        Parameter(
            name="--yes",
            negative="",
            help=say("不再询问，直接导入；中断过的会接着做",
                     "import without asking; one that was interrupted goes on"),
        ),
    ] = False,
    background: Annotated[
        bool,
        Parameter(
            name="--background",
            negative="",
            help=say("交给后台（crm worker）导入，不询问，立即返回",
                     "let the workers (crm worker) import it, without asking; come back at once"),
        ),
    ] = False,
    record: Annotated[Record, held()] = "customer",
    to: Annotated[Literal["rotation", "pool"], dealt_to()] = "rotation",
    consultant: Annotated[str | None, given_to()] = None,
    acting: Annotated[str | None, acting_as()] = None,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Import a sheet of people (.xlsx or .csv): check it, show a preview, import when told."""
    from crm_domain.usecases import imports

    file.stat()  # A mistyped name is told before anything else is asked.
    if background and dry_run:
        raise Refused("--dry-run 只看预览，不能与 --background 同用。",
                      "--dry-run changes nothing; it does not go with --background.",
                      code="usage")  # fmt: skip
    asks = not (yes or dry_run or background)
    if asks and (json or not sys.stdin.isatty()):
        raise Refused("需要确认：加 --yes 直接导入，或加 --dry-run 只看预览。",
                      "a confirmation is needed: add --yes to import, or --dry-run for a preview.",
                      code="needs_confirmation")  # fmt: skip
    with opened() as crm:
        by = actor(crm, acting)
        wish: dict[str, Any] = {"record": record.capitalize(), "to": to}
        if consultant is not None:
            wish |= {"to": "consultant", "consultant_id": employee_number(crm, consultant)}
        if background:
            from crm_adapters.cli.import_jobs import show_progress

            with progress("检查中", "checking"):
                begun = imports.start_file(crm, file, by=by, **wish)
            show_progress(begun, crm.settings.zone, json=json)
            return
        if yes and not dry_run:
            with progress("导入中", "importing") as bar:
                report = imports.import_file(crm, file, progress=bar, by=by, **wish)
        else:
            with progress("检查中", "checking"):
                report = imports.check_import(crm, file, by=by, **wish)
            if asks:
                _show(report, preview=True)
                if not report.accepted or not confirm(
                    f"导入这 {report.accepted} 位{of(report)}？",
                    f"Import these {report.accepted} {record}s?",
                ):
                    raise Refused("没有导入任何内容。", "nothing was imported.", code="declined")
                with progress("导入中", "importing") as bar:
                    report = imports.run_import(crm, report.id, progress=bar, by=by)
    answer(report, json, preview=dry_run)


def answer(report: ImportReport, json: bool, *, preview: bool = False) -> None:
    """Answer with what became of the rows of a sheet, or would."""
    if json:
        problems = [plain(p) | {"message": told(p)} for p in report.problems]
        warnings = [warning(w) for w in report.warnings]
        write_json(plain(report) | {"dry_run": preview, "warnings": warnings, "problems": problems})
    else:
        _show(report, preview=preview)
        if preview:
            hint(
                f"这只是预览，没有导入任何内容。交给后台导入：crm import start {report.id}",
                "This was a preview; nothing was imported. To let the workers import it: "
                f"crm import start {report.id}",
            )


def _show(report: ImportReport, *, preview: bool) -> None:
    file, number = label(report.file_name), report.id
    if preview:
        line(f"预览：{file}", f"Preview: {file}")
    else:
        line(f"导入 {number}：{file}", f"Import {number}: {file}")
    pairs(
        [
            (say("  数据行", "  rows"), report.data_rows),
            (say("  空行", "  blank rows"), report.blank_rows),
            (say("  可导入", "  to be accepted") if preview else say("  已导入", "  accepted"),
             report.accepted),
            (say("  文件内重复", "  duplicates in the file"), report.duplicate_in_file),
            (say(f"  与已有{of(report)}重复", "  duplicates in the database"),
             report.duplicate_in_database),
            (say("  有误", "  rejected"), sum(report.rejected.values())),
            *((f"    {reason(code)}", n) for code, n in sorted(report.rejected.items())),
            (say("  放入公海", "  into the pool"), report.pooled or ""),
        ]
    )  # fmt: skip
    if not report.data_rows:
        line(f"表格中没有{of(report)}；请填写后再导入。",
             f"The sheet holds no {report.record.lower()}s; fill it in first.")  # fmt: skip
    if report.dealt:
        table([say("课程顾问", "Consultant"), say("客户数", "Customers")], report.dealt.items())
    _show_wrong(report, preview)
    for text in report.warnings:
        line(f"注意：{warning(text)}", f"Note: {warning(text)}")


def _show_wrong(report: ImportReport, preview: bool) -> None:
    wrong = [p for p in report.problems if not p.code.startswith("duplicate")]
    if not wrong:
        return
    table(
        [say("行", "Row"), say("列", "Column"), say("原因", "Reason")],
        [(p.row, p.column, told(p)) for p in wrong[:SHOWN_PROBLEMS]],
        least=(1,),
    )
    more = len(wrong) - SHOWN_PROBLEMS
    if more > 0:
        rest = "--json" if preview else f"crm import rejected {report.id}"
        line(f"另有 {more} 行有误：{rest}", f"{more} more: {rest}")
    columns = dict.fromkeys(p.column for p in wrong if p.code == "unknown_choice")
    for heading in columns:
        if words := choices_of_column(heading):
            line(f"“{heading}”{words}", f"“{heading}”. {words}")


@in_chinese("列出导入，最新的在前。")
def list_all(
    *,
    limit: Annotated[int, how_many()] = 50,
    after: Annotated[str | None, page_mark()] = None,
    acting: Annotated[str | None, acting_as()] = None,
    json: Annotated[bool, as_json()] = False,
) -> None:
    """List the imports, the newest first."""
    from crm_domain.usecases import imports

    query = read_query(None, (), limit, after)
    with opened() as crm:
        page = imports.list_imports(crm, query, by=actor(crm, acting))
        zone = crm.settings.zone
    if json:
        items = [plain(r) | {"warnings": [warning(w) for w in r.warnings]} for r in page]
        write_json({"items": items, "next": page.next})
        return
    table(
        [say("编号", "No."), say("内容", "Of"), say("文件", "File"), say("状态", "Status"),
         say("时间", "When"), say("数据行", "Rows"), say("已处理", "Done"),
         say("已导入", "Accepted"), say("停止原因", "Stopped because")],
        [(r.id, say(FORMS[r.record].zh, f"{r.record.lower()}s"), r.file_name, r.status,
          local(r.created_at, zone), r.data_rows, r.accepted + r.refused, r.accepted,
          r.error and r.error[language()]) for r in page],
        least=(8, 1),
    )  # fmt: skip
    if page.next:
        line(f"\n下一页：--after {page.next}", f"\nNext page: --after {page.next}")


@in_chinese("写出带下拉选项的空白导入模板。")
def template(
    out: Annotated[
        Path | None, Parameter(help=say("写到哪个 .xlsx 文件", "the .xlsx file to write"))
    ] = None,
    /, *,
    record: Annotated[Record, held()] = "customer",
    force: Annotated[bool, overwritten()] = False,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Write an empty sheet to fill in, with drop-downs."""
    from crm_domain.usecases import imports

    with opened() as crm:
        made = imports.template(crm, record=record.capitalize(), by=SYSTEM)
        path = out or Path(f"{record}s-template.xlsx")
        save_file(made, path, force=force)
    if json:
        write_json({"file": str(path)})
    else:
        wish = "" if record == "customer" else f" --record {record}"
        line(f"已写出 {path}；填好后：crm import {path}{wish}",
             f"Wrote {path}; when it is filled in: crm import {path}{wish}")  # fmt: skip


@in_chinese("撤销一次导入；已有人跟进过其客户的不能撤销。")
def revert(
    number: Annotated[int, Parameter(help=say("导入编号", "the number of the import"))],
    /, *,
    acting: Annotated[str | None, acting_as()] = None,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Take an import back, as long as nobody has worked on its customers."""
    from crm_domain.usecases import imports

    with opened() as crm:
        archived = imports.revert_import(crm, number, by=actor(crm, acting))
    if json:
        write_json({"id": number, "archived": archived})
    else:
        line(f"已撤销导入 {number}：{archived} 位客户已归档。",
             f"Reverted the import {number}: {archived} customers were archived.")  # fmt: skip


@in_chinese("把未导入的行连同原因写成表格。")
def rejected(
    number: Annotated[int, Parameter(help=say("导入编号", "the number of the import"))],
    out: Annotated[
        Path | None, Parameter(help=say("写到哪个 .xlsx 文件", "the .xlsx file to write"))
    ] = None,
    /, *,
    force: Annotated[bool, overwritten()] = False,
    acting: Annotated[str | None, acting_as()] = None,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Write the rows that were not taken in as a sheet, with the reasons."""
    from crm_domain.usecases import imports

    path = out or Path(f"import-{number}-rejected.xlsx")
    with opened() as crm:
        by = actor(crm, acting)
        report = imports.report_import(crm, number, by=by)
        save_file(imports.rejected_rows(crm, number, by=by), path, force=force)
    if json:
        write_json({"file": str(path), "rows": len(report.problems)})
    else:
        line(f"已写出 {path}：{len(report.problems)} 行。",
             f"Wrote {path}: {len(report.problems)} rows.")  # fmt: skip
