"""Writing sheets for people: readable, with help in them, and harmless."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import UTC, date, datetime
from typing import Any

import openpyxl
import pytest

from crm_adapters.sheets import SafeSheetReader, SheetWriterAdapter
from crm_domain.ports.sheets import Table
from crm_domain.testing.sheets import cells

WRITER = SheetWriterAdapter()
DANGEROUS = ["=1+1", "+1", "-1", "@a", "\tx", "＝1", "＋1", "－1", "＠a", '=cmd|" /C calc"!A0']


def opened(*tables: Table) -> Any:
    return openpyxl.load_workbook(io.BytesIO(WRITER.write_xlsx(tables)))


def rules(sheet: Any) -> dict[str, str]:
    return {str(rule.sqref): rule.formula1 for rule in sheet.data_validations.dataValidation}


def test_headings_stand_out_and_stay_in_sight() -> None:
    """They are bold and frozen, and the columns are as wide as their content."""
    long = "一二三四五六七八九十"
    sheet = opened(Table("t", ["姓名", "备注"], [["a", long], ["b", "x" * 500]])).active
    assert sheet["A1"].font.bold
    assert not sheet["A2"].font.bold
    assert sheet.freeze_panes == "A2"
    assert sheet.column_dimensions["A"].width < 10
    assert sheet.column_dimensions["B"].width == 50
    narrow = opened(Table("t", ["备注"], [[long]])).active
    assert 20 <= narrow.column_dimensions["A"].width <= 25


def test_short_choices_are_offered_in_place_and_long_ones_from_a_hidden_sheet() -> None:
    """Excel takes 255 characters in a rule; a comma in a choice would split it."""
    long = [f"课程{n}" for n in range(100)]
    choices = {"等级": ["高", "低"], "课程": long, "来源": ["网络, 自然", "转介绍"], "再": long}
    book = opened(Table("模板", ["等级", "姓名", "课程", "来源", "再"], [], choices=choices))

    found = rules(book["模板"])

    assert found == {
        "A2:A1048576": '"高,低"',
        "C2:C1048576": "'_choices'!$A$1:$A$100",
        "D2:D1048576": "'_choices'!$B$1:$B$2",
        "E2:E1048576": "'_choices'!$A$1:$A$100",
    }
    hidden = book["_choices"]
    assert hidden.sheet_state == "hidden"
    assert [cell.value for cell in hidden["A"]] == long
    assert [cell.value for cell in hidden["B"]][:3] == ["网络, 自然", "转介绍", None]


def test_notes_are_comments_on_the_headings() -> None:
    """An explanation appears where it is needed."""
    sheet = opened(Table("t", ["手机", "QQ"], [], notes={"手机": "11 位数字"})).active
    assert sheet["A1"].comment.text == "11 位数字"
    assert sheet["B1"].comment is None


def test_columns_of_text_are_text_also_where_they_are_empty() -> None:
    """Who fills in the template can type 007 without losing the zeros."""
    content = WRITER.write_xlsx([Table("t", ["编号"], [[7]], text=frozenset({"编号"}))])
    cell = openpyxl.load_workbook(io.BytesIO(content)).active["A2"]
    assert (cell.value, cell.data_type, cell.number_format) == ("7", "s", "@")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        columns = archive.read("xl/worksheets/sheet1.xml").split(b"<sheetData>")[0]
    assert b' style="' in columns


@pytest.mark.parametrize("text", DANGEROUS)
def test_no_text_becomes_a_formula(text: str) -> None:
    """Wherever it stands it is a string, marked so that editing it keeps it one."""
    sheet = opened(Table("t", [text], [[text]], choices={text: [text]}, text=frozenset())).active
    for cell in (sheet["A1"], sheet["A2"]):
        assert (cell.value, cell.data_type, cell.quotePrefix) == (text, "s", True)

    written = WRITER.write_csv(Table("t", [text], [[text]])).decode("utf-8-sig")

    assert list(csv.reader(io.StringIO(written, newline=""))) == [[f"'{text}"], [f"'{text}"]]


def test_text_in_the_name_of_an_error_is_no_error() -> None:
    """#N/A typed by a person is four characters."""
    cell = opened(Table("t", ["a"], [["#N/A"]])).active["A2"]
    assert (cell.value, cell.data_type) == ("#N/A", "s")


def test_values_that_excel_cannot_hold_are_written_as_text_or_left_out() -> None:
    """Nothing is rounded, refused or turned into a damaged file."""
    rows = [[110101199003070000], [date(1850, 5, 1)], [float("nan")], ["文" * 40_000], [""]]
    sheet = opened(Table("t", ["a"], rows)).active
    assert sheet["A2"].value == "110101199003070000"
    assert sheet["A3"].value == "1850-05-01"
    assert sheet["A4"].value is None
    assert len(sheet["A5"].value) == 32_767
    assert sheet["A5"].value.endswith("…")


def test_moments_lose_their_zone_and_nothing_else() -> None:
    """A sheet shows the clock that the caller chose."""
    moment = datetime(2024, 5, 1, 9, 30, tzinfo=UTC)
    table = Table("t", ["a"], [[moment]])
    assert opened(table).active["A2"].value == datetime(2024, 5, 1, 9, 30)
    assert WRITER.write_csv(table).decode("utf-8-sig") == "a\r\n2024-05-01 09:30:00\r\n"


def test_names_of_sheets_become_names_that_excel_takes() -> None:
    """Forbidden characters, length and doubles are dealt with."""
    names = ["a/b:c", "名" * 40, "名" * 40, "", "_CHOICES", "A B C"]
    found = opened(*(Table(name, ["h"], []) for name in names)).sheetnames
    assert len(found) == len({name.lower() for name in found}) == 6
    assert all(0 < len(name) <= 31 for name in found)
    assert found[0] == "a b c"
    assert not set("".join(found)) & set("[]:*?/\\")


def test_rows_are_taken_one_by_one() -> None:
    """A generator of thousands of rows is written completely."""
    rows = ([f"学生{n}", 13800000000 + n, "=x"] for n in range(5500))
    content = WRITER.write_xlsx([Table("t", ["a", "b", "c"], rows, text=frozenset("b"))])
    (sheet,) = SafeSheetReader().read(content, "x.xlsx")
    assert cells(sheet)[-1] == ["学生5499", "13800005499", "=x"]
    assert len(sheet.rows) == 5501


def test_no_tables_give_a_file_that_opens() -> None:
    """An export of nothing is an empty sheet."""
    assert opened().sheetnames == ["Sheet1"]
