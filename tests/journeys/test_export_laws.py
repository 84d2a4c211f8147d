"""Exports: what a list would show, all of it, as a sheet, and written down in the audit log."""

from __future__ import annotations

from typing import Any

import pytest

from crm_domain import SYSTEM, Crm
from crm_domain.errors import Invalid, NotPermitted
from crm_domain.model import AuditEntry, Course
from crm_domain.ports import Query
from crm_domain.rules.access import Principal
from crm_domain.usecases import access, exports, imports, intake, records
from make import World, phone
from steps import on


def table(crm: Crm, content: bytes) -> list[dict[str, Any]]:
    """Read an export as dictionaries by heading."""
    [sheet] = crm.reader.read(content, "customers.xlsx")
    heading, *rows = ([str(c) if c is not None else "" for c in row.cells] for row in sheet.rows)
    return [dict(zip(heading, row, strict=False)) for row in rows]


def exported(crm: Crm, query: Query | None = None, *, by: Principal) -> list[str]:
    return sorted(r["姓名"] for r in table(crm, exports.export_customers(crm, query, by=by)))


def entries(crm: Crm) -> list[AuditEntry]:
    with crm.unit_of_work(read_only=True) as uow:
        return list(uow.records.all(AuditEntry, action="export"))


def test_an_export_has_what_the_list_would_show(world: World) -> None:
    """No row and no contact more, for whoever exports, whatever is asked."""
    # given
    outside = world.person("外", department_id=None)
    for owner, name in ((world.a, "甲"), (world.b, "乙"), (outside, "丙"), (None, "丁")):
        world.customer(owner, name=name, source="baidu" if owner else "seo")
    access.set_role(
        world.crm, "财务导出", permissions=["customer:view", "customer:export"],
        scope="all", by=SYSTEM,  # type: ignore[arg-type]
    )  # fmt: skip
    finance = world.person("钱多", "财务导出")
    # when / then
    for by in (world.manager, finance, SYSTEM):
        for query in (None, Query(where={"source": ["baidu"]}), Query(search="甲")):
            rows = table(world.crm, exports.export_customers(world.crm, query, by=by))
            shown = intake.list_customers(world.crm, query, by=by)
            assert [(r["姓名"], r["手机"]) for r in rows] == [(c.name, c.phone) for c in shown]
    assert exported(world.crm, by=world.manager) == ["乙", "甲"]
    assert [r["手机"] for r in table(
        world.crm, exports.export_customers(world.crm, Query(search="丁"), by=finance)
    ) if "*" not in r["手机"]] == []  # fmt: skip


def test_what_fell_due_is_not_exported_to_the_owners_manager(world: World) -> None:
    """From midnight on, whether a sweep has run or not."""
    world.customer(world.a, name="甲")
    world.clock.set(on(4, 23))
    assert exported(world.crm, by=world.manager) == ["甲"]
    world.clock.set(on(5))
    assert exported(world.crm, by=world.manager) == []


@pytest.mark.parametrize("missing", ["customer:export", "customer:view"])
def test_an_export_needs_both_permissions(world: World, missing: str) -> None:
    """Whoever may not see customers exports none; nothing is written down."""
    world.customer(world.a)
    held = {"customer:export", "customer:view"} - {missing}
    by = Principal(name="x", permissions=frozenset(held), scope=world.manager.scope)
    with pytest.raises(NotPermitted) as refused:
        exports.export_customers(world.crm, by=by)
    assert refused.value.permission == missing
    with pytest.raises(NotPermitted):
        exports.export_customers(world.crm, by=world.a)
    assert entries(world.crm) == []


def test_an_export_goes_on_to_the_last_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever limit and page mark the query came with; each customer once."""
    monkeypatch.setattr(exports, "PAGE", 2)
    names = [world.customer(world.a, name=f"客户{n}").name for n in range(5)]
    counted: list[int] = []
    content = exports.export_customers(
        world.crm, Query(limit=1, sort="id"), told=counted.append, by=world.manager
    )
    assert [r["姓名"] for r in table(world.crm, content)] == names
    assert counted == [5]


def test_an_export_is_written_down(world: World) -> None:
    """Who, when, by which filter and how many; contact data stays out of the log."""
    world.customer(world.a, name="甲", phone="13912345678", source="baidu")
    query = Query(search="13912345678", where={"source": "baidu", "phone": "13912345678"})
    exports.export_customers(world.crm, query, by=world.manager)
    exports.export_customers(world.crm, Query(search="甲"), by=SYSTEM)
    first, second = entries(world.crm)
    assert (first.by_id, first.record, first.at) == (
        world.manager.user_id, "Customer", world.clock(),
    )  # fmt: skip
    assert first.after == {
        "search": "139****5678", "where": {"source": "baidu", "phone": "•••"}, "rows": 1,
    }  # fmt: skip
    assert "13912345678" not in repr(first)
    assert (second.by_id, second.after) == (None, {"search": "甲", "rows": 1})


def test_text_that_looks_like_a_formula_stays_text(world: World) -> None:
    """In the workbook it is the very text; a .csv puts a quote before it."""
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0"]
    for text in texts:
        world.customer(world.a, name=text, memo=text)
    content = exports.export_customers(world.crm, by=SYSTEM)
    rows = table(world.crm, content)
    assert sorted(r["姓名"] for r in rows) == sorted(r["备注"] for r in rows) == sorted(texts)
    assert b"<f>" not in unzipped(content)
    plain = exports.export_customers(world.crm, form="csv", by=SYSTEM).decode("utf-8-sig")
    for text in texts:
        assert f"'{text}" in plain


def unzipped(content: bytes) -> bytes:
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(content)) as book:
        return b"".join(book.read(n) for n in book.namelist() if "sheets/" in n)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_an_export_can_be_imported_again(world: World, language: Any) -> None:
    """In either language: every row is known by its contact, none is wrong."""
    course = records.save_record(world.crm, Course(title="Python"), by=SYSTEM)
    world.customer(world.a, name="甲", courses=[course.id], source="baidu", gender="女",
                   consulted_on="2026-10-01", wechat="wang_fang", memo="备注")  # fmt: skip
    world.customer(name="乙", phone=None, qq="2233445566")
    content = exports.export_customers(world.crm, language=language, by=SYSTEM)
    report = imports.import_file(world.crm, content, file_name="again.xlsx", by=SYSTEM)
    assert (report.data_rows, report.duplicate_in_database, report.rejected) == (2, 2, {})


@pytest.mark.parametrize("wrong", [{"form": "pdf"}, {"language": "fr"}])
def test_an_export_is_asked_for_in_a_known_way(world: World, wrong: dict[str, Any]) -> None:
    """Anything else is refused before a row is read."""
    world.customer(phone=phone())
    with pytest.raises(Invalid):
        exports.export_customers(world.crm, by=SYSTEM, **wrong)
    with pytest.raises(Invalid):
        exports.export_customers(world.crm, Query(where={"x": 1}), by=SYSTEM)
    assert entries(world.crm) == []
