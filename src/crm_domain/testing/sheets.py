"""What every adapter for spreadsheets must do, ours or a stranger's.

Subclass ``SheetContract`` in a test module and give it the fixtures ``reader`` and ``writer``::

    class TestMySheets(SheetContract):
        @pytest.fixture
        def reader(self): return MyReader()
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from datetime import date, datetime, time

from crm_domain.errors import UnreadableSheet
from crm_domain.ports.sheets import Cell, Row, Sheet, SheetReader, SheetWriter, Table

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
SHEET = "xl/worksheets/sheet1.xml"
"""Where ``xlsx`` puts its only sheet."""


def xlsx(rows: str = "", parts: Mapping[str, str | bytes | None] | None = None) -> bytes:
    """Build a minimal workbook by hand, also such as no program would write.

    Args:
        rows: The XML inside ``sheetData`` of its only sheet, which is called S.
        parts: Further parts by path, or other content for those that are there; None leaves a
            part out.

    Returns:
        The bytes of the file.
    """
    content: dict[str, str | bytes | None] = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}"/></Types>',
        "_rels/.rels": _relation("officeDocument", "xl/workbook.xml"),
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
        '<sheet name="S" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": _relation("worksheet", "worksheets/sheet1.xml"),
        SHEET: f'<worksheet xmlns="{_MAIN}"><sheetData>{rows}</sheetData></worksheet>',
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in (content | dict(parts or {})).items():
            if data is not None:
                archive.writestr(path, data)
    return file.getvalue()


def _relation(kind: str, target: str) -> str:
    return (
        f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{_OFFICE}/{kind}" Target="{target}"/></Relationships>'
    )


def refusal(reader: SheetReader, content: bytes, file_name: str = "客户.xlsx") -> UnreadableSheet:
    """Read a file that must be refused.

    Args:
        reader: What reads it.
        content: The bytes of the file.
        file_name: What the user calls it.

    Returns:
        The refusal, which names the file and says a sentence in each language.

    Raises:
        AssertionError: The file was accepted.
    """
    try:
        sheets = reader.read(content, file_name)
    except UnreadableSheet as error:
        assert error.file == file_name
        assert error.reason
        assert error.message("zh").endswith("。")
        assert error.message("en").endswith(".")
        return error
    raise AssertionError(f"accepted: {sheets!r:.300}")


def cells(sheet: Sheet) -> list[list[Cell]]:
    """Give the values of a sheet without those empty at the end of each row."""
    rows = [list(row.cells) for row in sheet.rows]
    for row in rows:
        while row and row[-1] is None:
            row.pop()
    return rows


class SheetContract:
    """The laws of ``SheetReader`` and ``SheetWriter``; needs fixtures of these two names."""

    def test_what_was_written_is_read_again(self, reader: SheetReader, writer: SheetWriter) -> None:
        """Values of all kinds survive a round trip as what they were."""
        numbers: list[Cell] = [13800138000, 1.5, True, None]
        moments: list[Cell] = [date(2024, 2, 29), datetime(2024, 2, 29, 9, 5), time(9, 30)]
        row: tuple[Cell, ...] = (*numbers, *moments, "两\n行", " 前后 ", "_x0041_", "007")
        headings = [f"列{n}" for n in range(len(row))]
        content = writer.write_xlsx([Table("客户", headings, [row])])
        (sheet,) = reader.read(content, "客户.xlsx")
        assert sheet.name == "客户"
        assert list(sheet.rows) == [Row(1, tuple(headings)), Row(2, row)]

    def test_sheets_keep_their_order_and_names(
        self, reader: SheetReader, writer: SheetWriter
    ) -> None:
        """Each table becomes a sheet, in the order given."""
        tables = [Table(name, ["姓名"], [[name]]) for name in ("乙", "甲", "Third")]
        sheets = reader.read(writer.write_xlsx(tables), "x.xlsx")
        assert [sheet.name for sheet in sheets] == ["乙", "甲", "Third"]

    def test_text_that_looks_like_a_formula_stays_text(
        self, reader: SheetReader, writer: SheetWriter
    ) -> None:
        """No cell, heading or choice that is written ever becomes a formula."""
        texts = ["=2+3", "+86", "-1", "@x", "＝1", "\t=1", '=HYPERLINK("http://x","y")', "#N/A"]
        table = Table("=名", ["=1+1"], [[text] for text in texts], choices={"=1+1": texts})
        content = writer.write_xlsx([table])
        (sheet,) = reader.read(content, "x.xlsx")
        assert cells(sheet) == [["=1+1"], *([text] for text in texts)]
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                assert b"<f>" not in archive.read(name)

    def test_csv_starts_no_formula(self, reader: SheetReader, writer: SheetWriter) -> None:
        """In CSV, where nothing marks text, an apostrophe keeps it from being a formula."""
        table = Table("t", ["a"], [["=1+1"], ["＋1"], ["\tx"], [" @x"], [-5], ["普通"]])
        content = writer.write_csv(table)
        assert content.startswith(b"\xef\xbb\xbf")
        (sheet,) = reader.read(content, "t.csv")
        assert cells(sheet) == [["a"], ["'=1+1"], ["'＋1"], ["'\tx"], ["' @x"], ["-5"], ["普通"]]

    def test_columns_of_text_keep_long_numbers(
        self, reader: SheetReader, writer: SheetWriter
    ) -> None:
        """A number in a column of text is written digit by digit."""
        rows: list[list[Cell]] = [[110101199003070000], ["007"], [13800138000.0]]
        content = writer.write_xlsx([Table("t", ["证件"], rows, text=frozenset({"证件"}))])
        (sheet,) = reader.read(content, "t.xlsx")
        assert cells(sheet)[1:] == [["110101199003070000"], ["007"], ["13800138000"]]

    def test_drop_downs_and_notes_add_no_sheet_to_what_is_read(
        self, reader: SheetReader, writer: SheetWriter
    ) -> None:
        """However long the choices are, the reader sees one sheet with its headings."""
        choices = {"来源": [f"来源, {n}" for n in range(300)], "等级": ["高", "低"]}
        table = Table("模板", ["来源", "等级"], [], choices=choices, notes={"等级": "必填"})
        (sheet,) = reader.read(writer.write_xlsx([table]), "x.xlsx")
        assert cells(sheet) == [["来源", "等级"]]

    def test_characters_that_xml_forbids_are_replaced(
        self, reader: SheetReader, writer: SheetWriter
    ) -> None:
        """A stray control character neither breaks the file nor joins two words."""
        table = Table("t\x00", ["a\x01b"], [["x\x0by\ud800"]], notes={"a\x01b": "\x02"})
        (sheet,) = reader.read(writer.write_xlsx([table]), "t.xlsx")
        assert cells(sheet) == [["a\ufffdb"], ["x\ufffdy\ufffd"]]
        assert writer.write_csv(table)

    def test_rows_have_the_numbers_that_the_user_sees(self, reader: SheetReader) -> None:
        """Blank rows and columns before the first value count; blank rows at the end do not."""
        content = xlsx(
            '<row r="3"><c r="B3"><v>1</v></c></row><row r="5"><c r="C5"><v>2</v></c></row>'
            '<row r="6"><c r="A6" t="inlineStr"><is><t> </t></is></c></row>'
            '<row r="9"><c r="A9" s="0"/></row>'
        )
        (sheet,) = reader.read(content, "x.xlsx")
        assert [row.number for row in sheet.rows] == [3, 4, 5]
        assert cells(sheet) == [[None, 1], [], [None, None, 2]]
        assert len({len(row.cells) for row in sheet.rows}) == 1

    def test_a_formula_is_its_value(self, reader: SheetReader) -> None:
        """The value that the program saved is given; without one, and for errors, nothing."""
        content = xlsx(
            '<row r="1"><c r="A1"><f>2+3</f><v>5</v></c><c r="B1"><f>2+3</f></c>'
            '<c r="C1" t="e"><f>1/0</f><v>#DIV/0!</v></c><c r="D1" t="str"><f>x</f><v>=2+3</v></c>'
            '<c r="E1"><v>NaN</v></c><c r="F1"><v>1.38E10</v></c></row>'
        )
        (sheet,) = reader.read(content, "x.xlsx")
        assert cells(sheet) == [[5, None, None, "=2+3", None, 13800000000]]

    def test_an_empty_sheet_has_no_rows(self, reader: SheetReader) -> None:
        """A sheet without values is there, with nothing in it."""
        [sheet] = reader.read(xlsx(), "x.xlsx")
        assert (sheet.name, list(sheet.rows)) == ("S", [])

    def test_csv_is_one_sheet_of_text(self, reader: SheetReader) -> None:
        """A .csv is called after its file; a line break inside quotes makes no new row."""
        content = '\n姓名,手机\n张三,"138\n0"\n\n李四,007\n\n'.encode()
        (sheet,) = reader.read(content, "目录/名单.csv")
        assert sheet.name == "名单"
        assert [row.number for row in sheet.rows] == [2, 3, 4, 5]
        assert cells(sheet) == [["姓名", "手机"], ["张三", "138\n0"], [], ["李四", "007"]]

    def test_what_is_no_sheet_is_refused(self, reader: SheetReader) -> None:
        """Whatever a file is called, it is refused by name when it is something else."""
        ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
        for content in (b"", b"%PDF-1.7 ...", b"<html><table>", ole, b"PK\x03\x04", xlsx()[:300]):
            refusal(reader, content)
            refusal(reader, content, "x.csv")

    def test_a_cell_in_the_far_corner_is_refused(self, reader: SheetReader) -> None:
        """Two cells that span 17 thousand million others cost nothing."""
        content = xlsx(
            '<row r="1"><c r="A1"><v>1</v></c></row>'
            '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
        )
        refusal(reader, content)
