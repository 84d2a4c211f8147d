"""``crm export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from crm_adapters.cli.customers import read_query
from crm_adapters.cli.failures import Refused
from crm_adapters.cli.language import in_chinese, language, say
from crm_adapters.cli.options import (
    acting_as,
    actor,
    as_json,
    filtered,
    folder_of,
    opened,
    overwritten,
    save_file,
    searched,
    with_numbers,
)
from crm_adapters.cli.output import line, progress, write_json
from crm_domain.rules.wording import counted


@in_chinese("导出客户到 .xlsx 或 .csv；列与导入模板一致，可再导入。")
def export(
    out: Annotated[
        Path, Parameter(help=say("写到哪个 .xlsx 或 .csv 文件", "the .xlsx or .csv file to write"))
    ] = Path("customers.xlsx"),
    /, *,
    search: Annotated[str | None, searched()] = None,
    where: Annotated[tuple[str, ...], filtered()] = (),
    acting: Annotated[str | None, acting_as()] = None,
    force: Annotated[bool, overwritten()] = False,
    json: Annotated[bool, as_json()] = False,
) -> None:  # fmt: skip
    """Export customers as .xlsx or .csv, with the columns that an import understands."""
    from crm_domain.usecases import exports

    if out.suffix.lower() not in (".xlsx", ".csv"):
        raise Refused("文件名须以 .xlsx 或 .csv 结尾。", "the file must end with .xlsx or .csv.",
                      code="usage")  # fmt: skip
    folder_of(out)
    query = read_query(search, where, 10_000, None)
    count = 0
    with opened() as crm, progress("导出中", "exporting") as shown:

        def told(rows: int) -> None:
            nonlocal count
            count = rows
            if shown is not None:
                shown(rows, rows)

        content = exports.export_customers(
            crm, with_numbers(crm, query), form="csv" if out.suffix.lower() == ".csv" else "xlsx",
            language=language(), told=told, by=actor(crm, acting),
        )  # fmt: skip
    save_file(content, out, force=force)
    if json:
        write_json({"file": str(out), "rows": count})
    else:
        line(f"已导出 {count} 位客户到 {out}。", f"Exported {counted(count, 'customer')} to {out}.")
