"""Reading sheets as people make them."""

from __future__ import annotations

import io
import random
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, time, timedelta
from typing import Any

import openpyxl
import pytest

from crm_adapters.sheets import Limits, SafeSheetReader, SheetWriterAdapter
from crm_domain.ports.sheets import Table
from crm_domain.testing.sheets import cells, refusal, xlsx

READER = SafeSheetReader()
CSV_ROWS = [["姓名", "手机", "备注"], ["张三", "13800138000", "喜欢，数学"], ["李四", "0123", "无"]]


def saved(workbook: openpyxl.Workbook) -> bytes:
    file = io.BytesIO()
    workbook.save(file)
    return file.getvalue()


def workbook_with(*rows: list[Any]) -> bytes:
    workbook = openpyxl.Workbook()
    for row in rows:
        workbook.active.append(row)
    return saved(workbook)


def test_a_title_above_the_header_and_blank_rows_keep_their_numbers() -> None:
    """A merged title, a blank row and the data stand where the user sees them."""
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    sheet["A1"] = "客户登记表"
    sheet.merge_cells("A1:C1")
    for column, heading in enumerate(["姓名", "手机", "来源"], 1):
        sheet.cell(3, column, heading)
    sheet["A5"] = "韩梅梅"
    sheet["A9"] = "  "

    (read,) = READER.read(saved(workbook), "名单.xlsx")

    assert [row.number for row in read.rows] == [1, 2, 3, 4, 5]
    assert cells(read) == [["客户登记表"], [], ["姓名", "手机", "来源"], [], ["韩梅梅"]]


def test_only_the_first_cell_of_a_merged_area_has_its_value() -> None:
    """What merging covers is empty, as in the file."""
    workbook = openpyxl.Workbook()
    workbook.active["B2"] = "合并"
    workbook.active.merge_cells("B2:C3")
    workbook.active["D3"] = 1
    (read,) = READER.read(saved(workbook), "x.xlsx")
    assert cells(read) == [[None, "合并"], [None, None, None, 1]]


def test_hidden_sheets_are_left_out() -> None:
    """What the user does not see is not imported, and a file of which nothing is seen refused."""
    workbook = openpyxl.Workbook()
    workbook.active.title = "看得见"
    workbook.create_sheet("藏").sheet_state = "hidden"
    workbook.create_sheet("深藏").sheet_state = "veryHidden"
    assert [sheet.name for sheet in READER.read(saved(workbook), "x.xlsx")] == ["看得见"]

    book = xlsx('<row r="1"><c r="A1"><v>1</v></c></row>')
    hidden = xlsx(parts={"xl/workbook.xml": _part(book, "xl/workbook.xml", "hidden")})
    assert refusal(READER, hidden).reason == "no_sheet"


def _part(book: bytes, path: str, state: str) -> str:
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        return archive.read(path).decode().replace("<sheet ", f'<sheet state="{state}" ')


def test_moments_are_days_unless_they_have_a_time() -> None:
    """Midnight is a date; seconds are not lost to fractions of a day; durations are text."""
    (read,) = READER.read(
        workbook_with(
            [date(2024, 2, 29), datetime(2024, 2, 29), datetime(2024, 2, 29, 23, 59, 59)],
            [time(9, 5), timedelta(hours=25, minutes=30), "2024-02-29"],
        ),
        "x.xlsx",
    )
    assert cells(read) == [
        [date(2024, 2, 29), date(2024, 2, 29), datetime(2024, 2, 29, 23, 59, 59)],
        [time(9, 5), "25:30:00", "2024-02-29"],
    ]
    assert type(read.rows[0].cells[1]) is date


def test_whole_numbers_are_whole() -> None:
    """A phone number saved as a float is an int; text and truth values stay what they are."""
    (read,) = READER.read(workbook_with([13800138000.0, 1.5, "13800138000", True]), "x.xlsx")
    assert [(value, type(value)) for value in read.rows[0].cells] == [
        (13800138000, int),
        (1.5, float),
        ("13800138000", str),
        (True, bool),
    ]


def test_we_read_what_openpyxl_reads() -> None:
    """Two readers that share no code agree about a thousand random cells."""
    chance = random.Random(7)
    kinds = [
        lambda: None,
        lambda: chance.randrange(-(10**12), 10**12),
        lambda: round(chance.uniform(-1e6, 1e6), 3),
        lambda: chance.choice(["姓名", " x ", "a&b<c>", "é\n😀", "=1+1", "_x000D_"]),
        lambda: chance.random() < 0.5,
        lambda: datetime(2000, 1, 1) + timedelta(seconds=chance.randrange(10**9)),
    ]
    rows = [["#", *(chance.choice(kinds)() for _ in range(9))] for _ in range(100)]
    content = SheetWriterAdapter().write_xlsx([Table("t", ["h"] * 10, rows)])

    (ours,) = READER.read(content, "x.xlsx")
    theirs = openpyxl.load_workbook(io.BytesIO(content), data_only=True).active

    for row, expected in zip(ours.rows, theirs.iter_rows(values_only=True), strict=True):
        unescaped = [
            value.replace("_x005F_", "_") if isinstance(value, str) else value for value in expected
        ]
        assert list(row.cells) == unescaped


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_in_the_encodings_and_delimiters_people_use(encoding: str, delimiter: str) -> None:
    """Neither must be told; leading zeros stay."""
    text = "\r\n".join(delimiter.join(row) for row in CSV_ROWS)
    (read,) = READER.read(text.encode(encoding), "名单.csv")
    assert cells(read) == CSV_ROWS


def test_commas_in_notes_do_not_win_over_the_delimiter() -> None:
    """The delimiter is the one that gives equally long rows."""
    text = "名单\n姓名\t备注\n张\ta,b,c,d\n李\te,f\n王\tg, h, i\n"
    (read,) = READER.read(text.encode(), "x.txt")
    assert cells(read) == [
        ["名单"],
        ["姓名", "备注"],
        ["张", "a,b,c,d"],
        ["李", "e,f"],
        ["王", "g, h, i"],
    ]


def test_a_wrong_ending_does_not_matter_for_a_workbook() -> None:
    """The content decides; the path that some browsers send is ignored."""
    (read,) = READER.read(workbook_with(["姓名"]), "C:\\fakepath\\名单.csv")
    assert cells(read) == [["姓名"]]


def test_threads_read_side_by_side() -> None:
    """Several uploads at once do not disturb each other."""
    files = [workbook_with([n, f"名{n}"]) for n in range(6)]
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda content: READER.read(content, "x.xlsx"), files))
    assert [cells(sheets[0]) for sheets in results] == [[[n, f"名{n}"]] for n in range(6)]


def test_thousands_of_rows_arrive_complete() -> None:
    """Many blocks come back in order, with moments at their places."""
    day = date(2024, 1, 1)
    rows = [[n, "文" * 50, day + timedelta(n % 400)] for n in range(6000)]
    (read,) = READER.read(
        SheetWriterAdapter().write_xlsx([Table("t", ["a", "b", "c"], rows)]), "x.xlsx"
    )
    assert [row.number for row in read.rows] == list(range(1, 6002))
    assert [list(row.cells) for row in read.rows[1:]] == rows


def test_limits_are_exact() -> None:
    """The last row and column allowed are read, the next is refused."""
    reader = SafeSheetReader(Limits(rows=20, columns=30, cells=600))

    def at(reference: str) -> bytes:
        row = reference.lstrip("ABCDEFG")
        return xlsx(f'<row r="{row}"><c r="{reference}"><v>1</v></c></row>')

    assert reader.read(at("AD20"), "x.xlsx")[0].rows[0].number == 20
    assert refusal(reader, at("AE20")).reason == "too_many_columns"
    assert "AE20" in refusal(reader, at("AE20")).message("en")
    assert refusal(reader, at("AD21")).reason == "too_many_rows"
    assert reader.read(b"x\n" * 20, "x.csv")[0].rows[-1].number == 20
    assert reader.read(b"x\n" * 20 + b"\n\n", "x.csv")[0].rows[-1].number == 20
    assert refusal(reader, b"x\n" * 21, "x.csv").reason == "too_many_rows"
    assert reader.read(b"," * 29 + b"x", "x.csv")
    assert refusal(reader, b"," * 30 + b"x", "x.csv").reason == "too_many_columns"


def test_importing_the_package_imports_no_heavy_library() -> None:
    """openpyxl and calamine are loaded when they are used."""
    code = (
        "import sys, crm_adapters.sheets; "
        "sys.exit(any(m in sys.modules for m in ('openpyxl', 'python_calamine')))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == 0


def test_a_large_file_takes_little_memory_of_whoever_reads_it() -> None:
    """The cells of a permitted .csv of 14 MB would be some 300 MB all at once."""
    line = ",".join(["甲乙"] * 24)
    content = "\n".join(f"{i},{line}" for i in range(100_000)).encode()
    program = (
        "import resource, sys; from crm_adapters.sheets import SafeSheetReader\n"
        "content = sys.stdin.buffer.read()\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "before = peak()\n"
        "[sheet] = SafeSheetReader().read(content, 'x.csv')\n"
        "assert len(sheet.rows) == 100_000\n"
        "assert sheet.rows[99_999].cells[0] in ('99999', 99_999), sheet.rows[99_999]\n"
        "assert [r.number for r in sheet.rows[50_000:50_003]] == [50_001, 50_002, 50_003]\n"
        "assert sum(1 for r in sheet.rows if r.cells[24] == '甲乙') == 100_000\n"
        "print(peak() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=content, capture_output=True, check=True
    )
    assert int(done.stdout) < 80
