"""``crm export``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from crm_adapters.cli.customers import contacted_at, read_query
from crm_adapters.cli.failures import Refused
from crm_adapters.cli.language import in_chinese, language, say
from crm_adapters.cli.options import (
    acting_as,
    actor,
    as_json,
    everything,
    filtered,
    names_of_employees,
    opened,
    overwritten,
    save_file,
    searched,
)
from crm_adapters.cli.output import day, label, line, local, progress, write_json
from crm_domain.model import Course, Customer, School, specs
from crm_domain.ports import Crm, Table
from crm_domain.rules.access import SYSTEM
from crm_domain.rules.layout import SYNONYMS

BESIDE = ("owner_id", "status", "intention", "received_at", "last_contacted_at",
          "next_contact_at", "due_on", "created_at")  # fmt: skip
"""What an export says beyond the columns that an import understands."""


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
    from crm_domain.usecases import intake

    if out.suffix.lower() not in (".xlsx", ".csv"):
        raise Refused("文件名须以 .xlsx 或 .csv 结尾。", "the file must end with .xlsx or .csv.",
                      code="usage")  # fmt: skip
    query = read_query(search, where, 10_000, None)
    with opened() as crm, progress("导出中", "exporting") as told:
        by = actor(crm, acting)
        by.need("customer:export")
        rows = _Counted(
            _cells(crm, everything(lambda q: intake.list_customers(crm, q, by=by), query)), told
        )
        columns = [specs(Customer)[n] for n in (*SYNONYMS, *BESIDE)]
        sheet = Table(
            say("客户", "Customers"), [s.label(language()) for s in columns], rows,
            text=frozenset(s.label(language()) for s in columns if s.contact),
        )  # fmt: skip
        as_csv = out.suffix.lower() == ".csv"
        content = crm.writer.write_csv(sheet) if as_csv else crm.writer.write_xlsx([sheet])
    save_file(content, out, force=force)
    if json:
        write_json({"file": str(out), "rows": rows.count})
    else:
        line(f"已导出 {rows.count} 位客户到 {out}。", f"Exported {rows.count} customers to {out}.")


class _Counted:
    """Counts rows while they are written."""

    def __init__(self, rows: Iterator[list[Any]], told: Any) -> None:
        self._rows, self._told, self.count = rows, told, 0

    def __iter__(self) -> Iterator[list[Any]]:
        for row in self._rows:
            self.count += 1
            if self._told is not None and self.count % 500 == 0:
                self._told(self.count, self.count)
            yield row


def _cells(crm: Crm, customers: Iterator[Customer]) -> Iterator[list[Any]]:
    from crm_domain.usecases import records

    def titles(cls: type[Any]) -> dict[int, str]:
        found = everything(lambda q: records.list_records(crm, cls, q, by=SYSTEM))
        return {r.id: r.title for r in found}

    names, courses, schools = names_of_employees(crm), titles(Course), titles(School)
    zone, fields = crm.settings.zone, specs(Customer)
    for customer in customers:
        row: list[Any] = []
        for name in (*SYNONYMS, *BESIDE):
            value = getattr(customer, name)
            if name == "last_contacted_at":
                value = contacted_at(customer)
            match name:
                case "courses":
                    value = "、".join(courses.get(n, str(n)) for n in value)
                case "school_id":
                    value = schools.get(value)
                case "owner_id":
                    value = names.get(value)
                case "due_on":
                    value = day(value)
                case _ if fields[name].kind == "moment":
                    value = local(value, zone)
                case _ if fields[name].kind == "choice":
                    value = label(value)
            row.append(value)
        yield row
