"""A spreadsheet of a hundred thousand rows on its way into the database."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import attrs
from python_calamine import CalamineWorkbook

from crm_domain import SYSTEM
from crm_domain.usecases import imports

from .checks import check_owners, check_turns
from .data import FIELDS, NOW, Person, sought
from .databases import Database
from .dealing import deal_set, tell
from .load import World, plain, put
from .measure import Goal, Result, alternate, expect, timed
from .profiling import profiled
from .sheet import LABELS, Sheet, make_sheet
from .stage import Stage

GOAL = Goal(ratio=1.4, bound=7.0, bound_from=1_000_000)
INCOMING = (*FIELDS, "graduation_school", "company", "memo", "import_id", "import_row",
            "created_at", "version", "pinyin", "search")  # fmt: skip
PROBLEM = ("import_id", "row", '"column"', "code", "message", "value")
Problem = tuple[int, str, str, str, str | None]
_PHONE = re.compile(r"(?:\+?86)?(1[3-9]\d{9})")
_SPACES = re.compile(r"[\s-]+")
_QQ = re.compile(r"[1-9]\d{4,11}")
_WECHAT = re.compile(r"[a-z0-9_-]{3,40}", re.I)
_CODES = {field: {zh: code for code, zh in labels.items()} for field, labels in LABELS.items()}


def _text(cell: Any) -> str | None:
    if cell is None or cell == "":
        return None
    return str(int(cell)) if isinstance(cell, float) else str(cell).strip() or None


def _read(path: Path) -> tuple[list[tuple[int, tuple[Any, ...]]], list[Problem]]:
    """Read, validate and find what repeats: one dictionary look-up or regex for each cell."""
    good: list[tuple[int, tuple[Any, ...]]] = []
    bad: list[Problem] = []
    known: set[tuple[str, str]] = set()
    with CalamineWorkbook.from_path(str(path)) as workbook:
        rows = workbook.get_sheet_by_index(0).iter_rows()
        next(rows)
        for number, cells in enumerate(rows, 2):
            try:
                who, rest = _row(cells)
                contacts = [("phone", who.phone), ("qq", who.qq), ("wechat", who.wechat)]
                mine = {(n, v) for n, v in contacts if v}
                if not mine:
                    raise ValueError("", "no_contact", None)
                if again := mine & known:
                    raise ValueError(*sorted(again)[0][:1], "duplicate_in_file", again.pop()[1])
            except ValueError as e:
                column, code, value = e.args
                bad.append((number, column, code, f"{column}{value}", value))
                continue
            known |= mine
            good.append((number, (*attrs.astuple(who), *rest, *sought(who))))
    return good, bad


def _row(cells: list[Any]) -> tuple[Person, tuple[Any, ...]]:
    """Read a row.

    Raises:
        ValueError: With the column, the code of the problem and the value.
    """
    name = _text(cells[0])
    if name is None:
        raise ValueError("姓名", "no_name", None)
    phone, qq, wechat = _text(cells[1]), _text(cells[2]), _text(cells[3])
    if phone is not None:
        match = _PHONE.fullmatch(_SPACES.sub("", phone))
        if match is None:
            raise ValueError("手机", "bad_phone", phone)
        phone = match[1]
    if qq is not None and not _QQ.fullmatch(qq):
        raise ValueError("QQ", "bad_qq", qq)
    if wechat is not None:
        if not _WECHAT.fullmatch(wechat):
            raise ValueError("微信", "bad_wechat", wechat)
        wechat = wechat.lower()
    codes = []
    for field, place in (("gender", 4), ("education", 5), ("experience", 7), ("source", 6)):
        label = _text(cells[place])
        if label is not None and label not in _CODES[field]:
            raise ValueError(field, "unknown_choice", label)
        codes.append(_CODES[field].get(label or ""))
    try:
        day = date.fromisoformat(_text(cells[10]) or "")
    except ValueError as e:
        raise ValueError("咨询日期", "bad_date", cells[10]) from e
    who = cast(Any, Person)(name, phone, qq, wechat, *codes, day)
    return who, (_text(cells[8]), _text(cells[9]), _text(cells[11]))


def _by_hand(world: World, database: Database, path: Path) -> Counter[str]:
    """Import a sheet in one transaction and tell what became of the rows."""
    content = path.read_bytes()
    good, bad = _read(path)
    connection = database.raw()
    run = connection.execute
    sign = "?" if database.on_sqlite else "%s"
    run("BEGIN IMMEDIATE" if database.on_sqlite else "BEGIN")
    [(now,)] = plain(database, [(NOW,)])
    [number] = run(
        "INSERT INTO import_run (file_name, sha256, record, mode, status, next_row, last_row,"
        f" data_rows, blank_rows, accepted, warnings, created_at) VALUES ('x.xlsx', {sign},"
        f" 'Customer', 'rotation', 'running', 1, 0, 0, 0, 0, '[]', {sign}) RETURNING id",
        (hashlib.sha256(content).hexdigest(), now),
    ).fetchone()
    run(f"INSERT INTO import_file (import_id, content) VALUES ({number}, {sign})", (content,))
    rows = ((*row[:-2], number, at, NOW, 1, *row[-2:]) for at, row in good)
    names = ", ".join(INCOMING)
    if database.on_sqlite:
        signs = ", ".join("?" * len(INCOMING))
        connection.executemany(
            f"INSERT INTO customer ({names}) VALUES ({signs}) ON CONFLICT DO NOTHING",
            plain(database, rows),
        )
    else:
        run(f"CREATE TEMP TABLE incoming AS SELECT {names} FROM customer LIMIT 0")
        put(connection, database, "incoming", INCOMING, rows)
        run(f"INSERT INTO customer ({names}) SELECT {names} FROM incoming ORDER BY import_row"
            " ON CONFLICT DO NOTHING")  # fmt: skip
    chosen = f"import_id = {number}"
    taken = {r for (r,) in run(f"SELECT import_row FROM customer WHERE {chosen}").fetchall()}
    bad += [(at, "手机", "duplicate_in_database", "已有客户使用", row[1])
            for at, row in good if at not in taken]  # fmt: skip
    [since] = run("SELECT coalesce(max(id), 0) FROM assignment").fetchone()
    deal_set(connection, world, database, len(taken), chosen, "import")
    tell(connection, database, since, f"import:{number}")
    put(connection, database, "import_problem", PROBLEM, [(number, *p) for p in sorted(
        bad, key=lambda p: p[0])])  # fmt: skip
    run(f"UPDATE import_run SET status = 'done', accepted = {len(taken)} WHERE id = {number}")
    run("COMMIT")
    connection.close()
    return Counter({"accepted": len(taken)}) + Counter(p[2] for p in bad)


def bench_import(stage: Stage) -> Iterator[Result]:
    """Measure the import of a large sheet."""
    world = stage.world
    sheet = make_sheet(stage.sizes.rows, world.size)
    with TemporaryDirectory(prefix="crm-bench-") as folder:
        path = Path(folder) / "customers.xlsx"
        path.write_bytes(sheet.content)

        def ours() -> float:
            with stage.copy() as database, database.crm() as crm:
                found: list[imports.ImportReport] = []
                seconds = timed(lambda: found.append(imports.import_file(crm, path, by=SYSTEM)))
                report = found[0]
                _check(world, database, sheet, Counter(
                    accepted=report.accepted, duplicate_in_file=report.duplicate_in_file,
                    duplicate_in_database=report.duplicate_in_database, **report.rejected,
                ))  # fmt: skip
                return seconds

        def raw() -> float:
            with stage.copy() as database:
                found: list[Counter[str]] = []
                seconds = timed(lambda: found.append(_by_hand(world, database, path)))
                _check(world, database, sheet, found[0])
                return seconds

        figures = alternate(stage.sizes.pairs, ours, raw)
        result = Result(
            work=f"import of {sheet.rows:,} rows", engine=stage.engine, unit="s", ours=figures[0],
            raw=figures[1], goal=GOAL, size=stage.sizes.customers,
            note=f"{sheet.accepted:,} taken in; .xlsx of {len(sheet.content) / 1e6:.1f} MB",
        )  # fmt: skip
        if result.met is False:
            with stage.copy() as database, database.crm() as crm:
                text = profiled(lambda: imports.import_file(crm, path, by=SYSTEM))
            result = attrs.evolve(result, profile=text)
        yield result


def _check(world: World, database: Database, sheet: Sheet, found: Counter[str]) -> None:
    wanted = sheet.rejected + Counter(accepted=sheet.accepted)
    expect(+found == wanted, f"the rows became {dict(found)}, not {dict(wanted)}")
    [(there,)] = database.ask("SELECT count(*) FROM customer")
    expect(there == world.size + sheet.accepted, f"{there} customers")
    check_turns(world, database)
    check_owners(database)
