"""The demo: a school that lives through two weeks, and what is told of it."""

import json
from datetime import UTC, datetime

import pytest

import crm_adapters.demo as demo
from crm_adapters import open_crm
from crm_adapters.cli import main
from crm_domain import SYSTEM, Query
from crm_domain.model import AssignmentStatus
from crm_domain.usecases import consistency, imports, intake, notices

NOW = datetime(2026, 11, 23, 4, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """One demo for all tests; its folder was used before."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "demo.db").write_text("an older demo")
    (folder / "mine.txt").write_text("not the demo's")
    return demo.run_demo(folder, now=NOW)


def test_the_sheet_of_the_demo_has_every_kind_of_trouble(played):
    """About 300 rows, imported by the real import, each bad one with its reason."""
    report = played.report
    assert (report.data_rows, report.blank_rows) == (300, 4)
    assert report.done_rows == 300 and report.accepted > 250
    assert report.duplicate_in_file > 0 and report.warnings
    assert set(report.rejected) == {"no_name", "bad_phone", "no_contact", "unknown_choice",
                                    "bad_qq"}  # fmt: skip


def test_everything_that_can_happen_to_a_customer_happens(played):
    """Each kind of fate has its example, with the whole history and its explanation."""
    assert len(played.examples) == 7
    assert len({e.customer.id for e in played.examples}) == 7
    ends = {a.status for e in played.examples for a in e.history}
    assert ends >= {AssignmentStatus.FOLLOWING, AssignmentStatus.NO_FOLLOW_UP,
                    AssignmentStatus.NOT_CLOSED, AssignmentStatus.RELEASED,
                    AssignmentStatus.TRANSFERRED}  # fmt: skip
    assert all(a.explanation for e in played.examples for a in e.history)
    assert any("被拒绝" in h.zh for h in played.happenings)
    assert played.released > 0 and played.warned > 0 and len(played.messages) == 6


def test_the_shares_follow_the_quotas(played):
    """Whoever was there all the time got as many as the quota says, to within a cycle."""
    shares = {c["name"]: c["dealt"] / c["quota"] for c in played.consultants if c["name"] != "吴倩"}
    assert max(shares.values()) - min(shares.values()) <= 1
    assert next(c for c in played.consultants if c["name"] == "吴倩")["dealt"] < 5


def test_the_database_of_the_demo_is_sound_and_stands_at_the_present(played):
    """All invariants hold; the sheet imported again is all duplicates; nothing else was touched."""
    assert (played.database.parent / "mine.txt").exists()
    with open_crm(f"sqlite:///{played.database}", clock=lambda: NOW) as crm:
        assert [c.code for c in consistency.check_database(crm, by=SYSTEM) if c.count] == []
        again = imports.check_import(crm, played.sheet, by=SYSTEM)
        assert again.accepted == 0
        latest = intake.list_customers(crm, Query(limit=1), by=SYSTEM)[0].created_at
        assert latest is not None and latest < NOW
        assert not notices.list_notices(crm, Query(where={"status": "pending"}), by=SYSTEM).items


@pytest.mark.parametrize(
    ("tongue", "heading"), [("zh", "几位客户的来龙去脉"), ("en", "What happened")]
)
def test_the_story_is_told_in_both_languages(played, tongue, heading, monkeypatch, capsys):
    """What happened to whom and why, and what to try next."""
    monkeypatch.setattr(demo, "run_demo", lambda folder, progress: played)
    monkeypatch.setenv("CRM_LANGUAGE", tongue)
    assert main(["demo"]) == 0
    out = capsys.readouterr().out
    assert heading in out and "crm pool claim" in out and str(played.sheet) in out
    assert len(out.splitlines()) < 250


def test_the_story_is_there_for_programs_too(played, monkeypatch, capsys):
    """One JSON object."""
    monkeypatch.setattr(demo, "run_demo", lambda folder, progress: played)
    assert main(["demo", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["database"] == str(played.database)
    assert found["report"]["accepted"] == played.report.accepted
    assert found["examples"][0]["history"][0]["explanation"]
