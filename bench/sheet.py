"""A workbook as staff would make it, with the mistakes they make, written quickly."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from io import BytesIO
from xml.sax.saxutils import escape

import attrs

from crm_domain.model import Education, Experience, Gender, Source

from .data import EDUCATIONS, EXPERIENCES, GIVEN, SOURCES, person, phone

HEADINGS = ("姓名", "手机", "QQ", "微信", "性别", "学历", "来源", "工作经验", "毕业院校", "公司",
            "咨询日期", "备注")  # fmt: skip
FIRST = 30_000_000
"""The persons from here on stand in the sheet."""
LABELS = {
    "gender": {m.value: m.zh for m in Gender},
    "education": {m.value: m.zh for m in Education if m.value in EDUCATIONS},
    "experience": {m.value: m.zh for m in Experience if m.value in EXPERIENCES},
    "source": {m.value: m.zh for m in Source if m.value in SOURCES},
}
Cells = list[str | int | None]


@attrs.frozen
class Sheet:
    """A workbook, and what must become of its rows."""

    content: bytes
    rows: int
    accepted: int
    rejected: Counter[str]


def make_sheet(rows: int, size: int) -> Sheet:
    """Make a sheet of so many rows for a database of so many customers.

    Five rows of a hundred repeat an earlier row's phone, two are in the database, three are wrong.
    """
    counts: Counter[str] = Counter()
    table = []
    for i in range(rows):
        cells, wrong = _row(i, size)
        counts[wrong or "accepted"] += 1
        table.append(cells)
    accepted = counts.pop("accepted")
    return Sheet(_xlsx([list(HEADINGS), *table]), rows, accepted, counts)


def _row(i: int, size: int) -> tuple[Cells, str | None]:
    who = person(FIRST + i)
    school = f"{GIVEN[i % 40]}{GIVEN[i // 40 % 40]}大学"
    cells: Cells = [
        who.name, _typed(who.phone, i), who.qq and int(who.qq), who.wechat,
        LABELS["gender"][who.gender], LABELS["education"][who.education],
        LABELS["source"][who.source], LABELS["experience"][who.experience], school,
        f"{school[:2]}科技有限公司" if i % 3 else None, who.consulted_on.isoformat(),
        "来电咨询，周末方便" if i % 4 == 0 else None,
    ]  # fmt: skip
    match i % 100:
        case 20 | 40 | 60 | 80 | 99:
            cells[1] = _typed(person(FIRST + i - 7).phone, i)
            return cells, "duplicate_in_file"
        case 10 | 50:
            cells[1] = phone(i % size)
            return cells, "duplicate_in_database"
        case 5:
            cells[1] = f"139{i:06d}"
            return cells, "bad_phone"
        case 25:
            cells[0] = None
            return cells, "no_name"
        case 45:
            cells[6] = "街边传单"
            return cells, "unknown_choice"
    return cells, None


def _typed(number: str, i: int) -> str | int:
    """Write a number in one of the ways people do."""
    match i % 10:
        case 0 | 1:
            return int(number)
        case 2:
            return f"+86 {number[:3]}-{number[3:7]}-{number[7:]}"
        case 3:
            return f" {number[:3]} {number[3:7]} {number[7:]}"
    return number


def _xlsx(table: Iterable[Sequence[str | int | None]]) -> bytes:
    strings: dict[str, int] = {}
    lines = []
    for number, row in enumerate(table, 1):
        cells = []
        for column, value in enumerate(row):
            place = f"{chr(65 + column)}{number}"
            if isinstance(value, int):
                cells.append(f'<c r="{place}"><v>{value}</v></c>')
            elif value is not None:
                key = strings.setdefault(value, len(strings))
                cells.append(f'<c r="{place}" t="s"><v>{key}</v></c>')
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/>'
        f'<Override PartName="/xl/sharedStrings.xml" ContentType="{kind}.sharedStrings+xml"/>'
        "</Types>",
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1"'
        f' Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        '<sheet name="客户" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="r1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="r2" Type="{office}/sharedStrings" Target="sharedStrings.xml"/>'
        "</Relationships>",
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{"".join(lines)}'
        "</sheetData></worksheet>",
        "xl/sharedStrings.xml": f'<sst xmlns="{main}">'
        + "".join(f'<si><t xml:space="preserve">{escape(s)}</t></si>' for s in strings)
        + "</sst>",
    }
    written = BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, text in parts.items():
            archive.writestr(name, head + text)
    return written.getvalue()
