"""Reading files that want to do harm: each is refused soon, by name, and costs us nothing."""

from __future__ import annotations

import contextlib
import io
import random
import shutil
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from crm_adapters.sheets import Limits, SafeSheetReader
from crm_adapters.sheets.guard import Refused, check_workbook
from crm_domain.errors import UnreadableSheet
from crm_domain.testing.sheets import SHEET, cells, refusal, xlsx

READER = SafeSheetReader()
SECONDS = 10
MEGABYTES = 30
ONE = '<row r="1"><c r="A1"><v>1</v></c></row>'
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
SHARED = "xl/sharedStrings.xml"


def bomb(unit: bytes, times: int, path: str = SHARED, *, lie: bool = False) -> bytes:
    """Pack a unit of text very often; a liar's directory says that it is small."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = (packer.compress(unit) + packer.flush(zlib.Z_FULL_FLUSH)) * times + packer.flush()
    file = io.BytesIO(xlsx(ONE, {path: None}))
    with zipfile.ZipFile(file, "a") as archive:
        info = zipfile.ZipInfo(path)
        archive.writestr(info, packed)
        # The directory at the end of the file is written from this record.
        info.compress_type = zipfile.ZIP_DEFLATED
        info.file_size = 1000 if lie else len(unit) * times
    return file.getvalue()


def doctype(declarations: str, text: str) -> bytes:
    sheet = (
        f'<?xml version="1.0"?><!DOCTYPE x [{declarations}]><worksheet><sheetData><row r="1">'
        f'<c r="A1" t="inlineStr"><is><t>{text}</t></is></c></row></sheetData></worksheet>'
    )
    return xlsx(parts={SHEET: sheet})


def entity_bomb() -> bytes:
    levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha"}">' for n in range(10))
    return doctype(levels, "&e9;")


def far(reference: str, attribute: str = 'r="{}"') -> bytes:
    row = reference.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    cell = f"<c {attribute.format(reference)}><v>1</v></c>"
    return xlsx(f'{ONE}<row r="{row}">{cell}</row>')


def unseen(reference: str) -> bytes:
    """Write a reference with spaces, which the fast filter does not look for."""
    return xlsx(f'{ONE}<row><c r = "{reference}"><v>1</v></c></row>')


def zipped(**parts: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), text)
    return file.getvalue()


def with_names(*names: str) -> bytes:
    file = io.BytesIO(xlsx(ONE))
    with zipfile.ZipFile(file, "a") as archive:
        for name in names:
            archive.writestr(name, "x")
    return file.getvalue()


def protected() -> bytes:
    """Set the flag "encrypted" of the first entry in the directory of a zip."""
    content = bytearray(xlsx(ONE))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


HOSTILE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "nothing": ("empty", lambda: b""),
    "nothing but zeros": ("empty", lambda: bytes(1000)),
    "21 MB": ("file_too_large", lambda: b"PK\x03\x04" + bytes(21_000_000)),
    "a picture": ("not_a_sheet", lambda: b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
    "a PDF": ("not_a_sheet", lambda: b"%PDF-1.7\n..."),
    "text renamed": ("text_named_as_workbook", lambda: "姓名,手机\n张三,1".encode()),
    "a web page": ("markup", lambda: b"\xef\xbb\xbf \n<HTML><table><tr><td>1"),
    "a web page in UTF-16": ("markup", lambda: "<html><table>".encode("utf-16")),
    "old .xls": ("old_format", lambda: OLE + bytes(1000)),
    "password": (
        "encrypted",
        lambda: OLE + bytes(500) + "EncryptedPackage".encode("utf-16-le") + bytes(100),
    ),
    "zip password": ("encrypted", protected),
    ".ods": ("open_document", lambda: zipped(mimetype="x", content_xml="<x/>")),
    ".xlsb": ("binary_workbook", lambda: zipped(xl__workbook_bin="x")),
    ".docx": ("not_a_sheet", lambda: zipped(word__document_xml="<x/>")),
    "truncated": ("damaged", lambda: xlsx(ONE)[:-30]),
    "half": ("damaged", lambda: xlsx(ONE)[:400]),
    "no content types": ("damaged", lambda: xlsx(ONE, {"[Content_Types].xml": None})),
    "no workbook": ("damaged", lambda: xlsx(ONE, {"xl/workbook.xml": None})),
    "no sheet": ("damaged", lambda: xlsx(ONE, {SHEET: None})),
    "no XML": ("damaged", lambda: xlsx(ONE, {"xl/workbook.xml": "<<<<"})),
    "a string that is not there": (
        "damaged",
        lambda: xlsx('<row r="1"><c r="A1" t="s"><v>9</v></c></row>'),
    ),
    "path upwards": ("dangerous", lambda: with_names("../../evil.xml")),
    "path from the root": ("dangerous", lambda: with_names("/etc/passwd")),
    "path with backslashes": ("dangerous", lambda: with_names("xl\\..\\..\\evil.xml")),
    "path with a drive": ("dangerous", lambda: with_names("C:/evil.xml")),
    "two of a name": ("damaged", lambda: with_names("xl/A.xml", "xl/a.xml")),
    "too many parts": ("unpacks_too_large", lambda: with_names(*(f"xl/{n}" for n in range(5001)))),
    "entity bomb": ("dangerous", entity_bomb),
    "XXE": ("dangerous", lambda: doctype('<!ENTITY e SYSTEM "file:///etc/passwd">', "&e;")),
    "DTD in UTF-16": (
        "dangerous",
        lambda: xlsx(parts={SHEET: "<!DOCTYPE x [<!ENTITY e 'x'>]><x/>".encode("utf-16")}),
    ),
    "zip bomb": ("unpacks_too_large", lambda: bomb(b"<si><t>ha</t></si>" * 50_000, 1_200)),
    "zip bomb that lies": (
        "unpacks_too_large",
        lambda: bomb(b"<si><t>ha</t></si>" * 50_000, 1_200, lie=True),
    ),
    "high ratio": ("unpacks_too_large", lambda: bomb(bytes([65]) * 1_000_000, 20)),
    "giant cell": (
        "cell_too_long",
        lambda: xlsx(
            f'<row r="1"><c r="A1" t="inlineStr"><is><t>{noise(900_000)}</t></is></c></row>'
        ),
    ),
    "long cell": (
        "cell_too_long",
        lambda: xlsx(
            f'<row r="1"><c r="A1" t="inlineStr"><is><t>{"x" * 32_768}</t></is></c></row>'
        ),
    ),
    "far corner": ("too_many_columns", lambda: far("XFD1048576")),
    "far row": ("too_many_rows", lambda: far("A200001")),
    "far column": ("too_many_columns", lambda: far("GS1")),
    "far corner in disguise": ("too_many_columns", lambda: far("XFD1048576", "s='0'\n r='{}'")),
    # These pass the scan on purpose: the parser dies of the first, and not we.
    "far corner that passes the scan": ("too_heavy", lambda: unseen("XFD1048576")),
    "far row that passes the scan": ("too_many_rows", lambda: unseen("A300000")),
    "too many cells": ("too_many_cells", lambda: far("GR60000")),
}


def noise(length: int) -> str:
    return random.Random(1).randbytes(length // 2).hex()


def peak_memory() -> float:
    """The most memory since the last ``forget_peak``, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def forget_peak() -> float:
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return peak_memory()
    except OSError:
        pytest.skip("peak memory is measured on Linux only")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_by_name(name: str) -> None:
    """The reason is the right one, within seconds, and our own memory hardly grows."""
    reason, build = HOSTILE[name]
    content = build()
    before, start = forget_peak(), time.monotonic()

    error = refusal(READER, content)

    assert error.reason == reason
    assert time.monotonic() - start < SECONDS
    assert peak_memory() - before < MEGABYTES


CSV = {
    "zeros": ("not_text", b"a,b\0\n1,2"),
    "control characters": ("not_text", b"a,\x01\x02\x03b\n\x04"),
    "no known encoding": ("unknown_encoding", b"name\xff\xff\xfe,1\n"),
    "open quote": ("open_quote", b'a,b\n1,"2\n3,4\n5,6\n'),
    "giant cell": ("cell_too_long", b"a,b\n" + b"x" * 1_000_000),
    "many columns": ("too_many_columns", b"x," * 1_000_000),
    "many rows": ("too_many_rows", b"x\n" * 300_000),
}


@pytest.mark.parametrize("name", CSV)
def test_hostile_text_is_refused_by_name(name: str) -> None:
    """Text has the same limits as a workbook."""
    reason, content = CSV[name]
    assert refusal(READER, content, "x.csv").reason == reason


def test_a_million_empty_rows_cost_nothing() -> None:
    """Cells that are formatted but empty, also far away, are not content."""
    rows = "".join(f'<row r="{n}"><c r="A{n}" s="0"/></row>' for n in range(2, 1_048_577))
    content = xlsx(f'{ONE}<row r="2"><c r="XFD2" s="0"/></row>{rows}')
    del rows
    before, start = forget_peak(), time.monotonic()

    (sheet,) = READER.read(content, "x.xlsx")

    assert cells(sheet) == [[1]]
    assert time.monotonic() - start < SECONDS
    assert peak_memory() - before < MEGABYTES


@pytest.mark.parametrize(
    "limits", [Limits(memory_bytes=120_000_000), Limits(seconds=0.001)], ids=["memory", "time"]
)
def test_a_child_that_is_killed_is_a_refusal(limits: Limits) -> None:
    """Out of memory or time, the reader lives on and says so."""
    assert refusal(SafeSheetReader(limits), far("GR24000")).reason == "too_heavy"
    assert READER.read(xlsx(ONE), "x.xlsx")


def test_a_child_without_any_memory_is_a_refusal() -> None:
    """Also where the parser cannot even begin, nothing but a refusal comes out."""
    refusal(SafeSheetReader(Limits(memory_bytes=1)), xlsx(ONE))


def test_a_child_that_cannot_start_is_not_the_fault_of_the_file() -> None:
    """A broken installation is no reason to tell the user that the file is bad."""
    reader = SafeSheetReader(python=shutil.which("false") or "false")
    with pytest.raises(RuntimeError):
        reader.read(xlsx(ONE), "x.xlsx")


def test_a_shared_text_repeated_often_is_bounded() -> None:
    """A small file that repeats one long text in every cell ends at the limit of text."""
    strings = f"<sst><si><t>{noise(30_000)}</t></si></sst>"
    cell = '<c t="s"><v>0</v></c>'
    rows = "".join(f'<row r="{n}">{cell * 100}</row>' for n in range(1, 101))
    rels = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="rId1" Target="worksheets/sheet1.xml" Type="http://schemas.'
        'openxmlformats.org/officeDocument/2006/relationships/worksheet"/>'
        '<Relationship Id="rId2" Target="sharedStrings.xml" Type="http://schemas.'
        'openxmlformats.org/officeDocument/2006/relationships/sharedStrings"/></Relationships>'
    )
    content = xlsx(rows, {SHARED: strings, "xl/_rels/workbook.xml.rels": rels})
    assert refusal(READER, content).reason == "too_many_cells"


def test_random_damage_gives_sheets_or_a_refusal() -> None:
    """Flipped bytes never raise anything else, neither in the scan nor through the reader."""
    chance = random.Random(3)
    good = xlsx(ONE * 20)
    for number in range(400):
        content = bytearray(good)
        for _ in range(chance.randrange(1, 8)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        with contextlib.suppress(Refused):
            check_workbook(io.BytesIO(bytes(content)), Limits())
        if number % 20 == 0:
            with contextlib.suppress(UnreadableSheet):
                READER.read(bytes(content), "x.xlsx")


def test_a_directory_that_claims_more_than_there_is_is_refused() -> None:
    """Neither a false number of entries nor a false offset leads anywhere."""
    content = bytearray(xlsx(ONE))
    end = content.rindex(b"PK\x05\x06")
    struct.pack_into("<HH", content, end + 8, 65_535, 65_535)
    struct.pack_into("<L", content, end + 16, 0x7FFF_FFFF)
    assert refusal(READER, bytes(content)).reason == "damaged"
