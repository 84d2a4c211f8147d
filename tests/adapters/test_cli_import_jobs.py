"""``crm import`` in the background: start, status, pause, resume, list."""

import json

import pytest

from commands import sheet
from crm_adapters import open_crm
from crm_domain import SYSTEM
from crm_domain.usecases import imports

ROWS = [*((f"客户{i}", f"139{i:08d}", "百度") for i in range(5)), ("坏", "12", "百度")]


def work(here):
    """Be a worker."""
    with open_crm(f"sqlite:///{here.folder / 'crm.db'}") as crm:
        return imports.run_started_imports(crm, by=SYSTEM)


def test_a_file_is_handed_to_the_workers_and_its_progress_is_told(school):
    """Nobody is asked; the answer is how far it is, then and later."""
    path = sheet(school.folder / "c.csv", ROWS)
    begun = school.json("import", path, "--background")
    assert (begun["status"], begun["data_rows"], begun["done_rows"]) == ("running", 6, 0)
    number = begun["id"]
    assert school.json("import", path, "--background")["id"] == number
    assert school.json("import", "pause", number)["status"] == "paused"
    assert school.json("import", "pause", number, status=3)["error"] == "import_busy"
    assert work(school) == ()
    assert school.json("import", "resume", number)["status"] == "running"
    [done] = work(school)
    assert done.id == number
    found = school.json("import", "status", number)
    expected = {"status": "done", "accepted": 5, "refused": 1, "done_rows": 6, "waiting_rows": 0,
                "at_work": False, "error": None, "started_by": "系统"}  # fmt: skip
    assert {n: found[n] for n in expected} == expected
    assert school.json("import", "resume", number)["accepted"] == 5


def test_a_checked_import_is_started_by_its_number(school):
    """As the web does after the preview; one that was paused may be gone on with here."""
    number = school.json("import", sheet(school.folder / "c.csv", ROWS), "--dry-run", "--as", "li")[
        "id"
    ]
    assert school.json("import", "start", number, "--as", "li")["started_by"] == "李雷"
    assert school.json("import", "start", number, status=3)["error"] == "import_busy"
    school("import", "pause", number)
    assert school.json("import", "resume", number, "--here")["accepted"] == 5


def test_people_read_why_an_import_stopped(school):
    """In the list and by its number, in their language."""
    path = sheet(school.folder / "c.csv", ROWS)
    number = school.json("import", path, "--background", "--as", "li")["id"]
    school("user", "disable", "li")
    work(school)
    school.speak("zh")
    assert "无权继续" in school("import", "status", number)[0]
    assert "已暂停" in school("import", "list")[0] and "无权继续" in school("import", "list")[0]
    school.speak("en")
    assert "may not go on" in school("import", "status", number)[0]
    out, err = school("import", "resume", number)
    assert "0 / 6 (0 %)" in out and "crm worker" in err
    assert json.loads(school("import", "list", "--json")[0])["items"][0]["error"] is None


@pytest.mark.parametrize("command", ["status", "start", "pause", "resume"])
def test_an_import_that_is_not_there_is_refused(school, command):
    """As any number."""
    assert school.json("import", command, 99, status=2)["error"] == "not_found"


def test_a_preview_is_not_handed_over(school):
    """The two wishes contradict each other."""
    path = sheet(school.folder / "c.csv", ROWS)
    found = school.json("import", path, "--background", "--dry-run", status=2)
    assert found["error"] == "usage"
