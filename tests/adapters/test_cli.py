"""The command line as people use it: in both languages, for people and for programs.

Whatever depends on a process of its own (streams, signals, pipes, locales, the installed ``crm``)
runs as one; the other commands run in this process, which saves starting Python a hundred times.
"""

import csv
import io
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commands import CRM, crm, environment, sheet
from crm_adapters import open_crm
from crm_adapters.cli.language import language
from crm_adapters.cli.options import sqlite_path
from crm_adapters.cli.output import shown_url
from crm_domain.ports import Table

REAL = Path(__file__).parents[3] / "shared" / "data" / "customers-open.xlsx"
CHINESE = re.compile("[\u4e00-\u9fff]")
LANGUAGES = ("zh", "en")


# -- every command, in both languages ---------------------------------------------------------

READING = (
    ("rotation", "show"), ("customers", "list"), ("customers", "list", "--search", "zhang"),
    ("customers", "show", "1"), ("pool", "list"), ("sweep", "--dry-run", "--at", "2099-01-01"),
    ("notices", "list"), ("db", "check"), ("doctor",), ("plugins", "list"), ("db", "upgrade"),
    ("init",), ("sweep",), ("notices", "deliver"), ("rotation", "reset", "--next", "3"),
)  # fmt: skip


@pytest.mark.parametrize("tongue", LANGUAGES)
def test_every_command_speaks_the_language_of_the_user(school, tongue):
    """What is said beside the data is in one language; headings and sentences have no other."""
    school.speak(tongue)
    data = re.compile("李雷|韩梅梅|王芳|张三|赵四|轮转第.*?位|由 .*?(抢单|指定)|您.*|已抢.*|"
                      "notice .*")  # fmt: skip
    for command in READING:
        out, err = school(*command)
        rest = data.sub("", out + err)
        assert bool(CHINESE.search(rest)) == (tongue == "zh"), (command, rest)


@pytest.mark.parametrize("tongue", LANGUAGES)
def test_every_command_answers_one_json_object_in_either_language(school, tongue):
    """Programs read the same keys whatever language people speak."""
    school.speak(tongue)
    for command in READING:
        assert isinstance(school.json(*command), dict)


@pytest.mark.parametrize("tongue", LANGUAGES)
def test_every_help_is_in_the_language_of_the_user(here, tongue):
    """Help exists for every group and command, in both languages."""
    here.speak(tongue)
    for command in ((), ("import",), ("customers", "add"), ("import", "template"), ("sweep",)):
        out, _ = here(*command, "--help")
        assert bool(CHINESE.search(out)) == (tongue == "zh"), out
        library = re.compile(r"Usage|required|default:|choices:|OPTIONS|ARGS|\b(STR|INT|CHOICE)\b")
        assert bool(library.search(out)) == (tongue == "en"), out


# -- beginning --------------------------------------------------------------------------------


def test_init_can_be_repeated_and_says_what_to_do_next(here):
    """Nothing is asked, and a second time changes nothing."""
    (here.folder / "crm.db").unlink()
    first, again = here.json("init"), here.json("init")
    assert first == again
    assert first["revision"] and any("crm import" in c for c in first["next"])


def test_nothing_works_before_init_and_no_file_is_left_behind(here):
    """The refusal says what to do, and a mistyped folder gets no empty database."""
    (here.folder / "crm.db").unlink()
    here.speak("en")
    _, err = here("customers", "list", status=4)
    assert "crm init" in err
    assert list(here.folder.iterdir()) == []


def test_a_database_of_another_revision_is_refused_with_what_to_do(here):
    """An older program must not write into newer tables."""
    with sqlite3.connect(here.folder / "crm.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    found = here.json("pool", "list", status=4)
    assert found["error"] == "wrong_revision"
    here.speak("en")
    assert "Upgrade the program" in here("pool", "list", status=4)[1]


def test_a_user_with_a_name_becomes_an_employee(here):
    """One command makes both, with the role and the password."""
    here.typed("correct horse\n")
    user = here.json("user", "add", "li", "--name", "李雷", "--role", "consultant",
                     "--role", "sales_manager", "--password-stdin")  # fmt: skip
    assert user["employee_id"] == 1 and len(user["roles"]) == 2
    assert "password_hash" not in user
    from crm_domain.usecases import access

    with open_crm(f"sqlite:///{here.folder / 'crm.db'}") as opened:
        assert access.sign_in(opened, "li", "correct horse").employee_id == 1


def test_a_refused_user_leaves_no_employee_behind(here):
    """A taken username must not cost an employee at each attempt."""
    here("user", "add", "li", "--name", "李雷", "--role", "consultant")
    assert here.json("user", "add", "li", "--name", "李四", status=3)["error"] == "duplicate"
    _, err = here("rotation", "set", "李四:1:1", status=2)
    assert "李四" in err
    assert here.json("user", "add", "b", "--role", "boss", status=2)["problems"][0]["field"]


# -- the rotation -----------------------------------------------------------------------------


def test_the_rotation_is_set_by_number_or_name(school):
    """The first plan holds at once; a later one waits for the next cycle or a reset."""
    shown = school.json("rotation", "show", "--next", "4")
    assert [e["name"] for e in shown["entries"]] == ["李雷", "韩梅梅"]
    assert [e["name"] for e in shown["upcoming"]] == ["李雷", "李雷", "韩梅梅", "李雷"]
    changed = school.json("rotation", "set", "2:1:1", "--next", "3")
    assert changed["pending"] and [e["employee_id"] for e in changed["upcoming"]] == [1, 2, 2]
    reset = school.json("rotation", "reset", "--next", "2")
    assert not reset["pending"] and [e["employee_id"] for e in reset["upcoming"]] == [2, 2]


@pytest.mark.parametrize(
    ("entries", "status"),
    [((), 2), (("李雷:3",), 2), (("李雷:a:1",), 2), (("谁:1:1",), 2), (("99:1:1",), 2),
     (("李雷:-1:1",), 2), (("1:1:1", "李雷:1:1"), 2)],
)  # fmt: skip
def test_a_plan_that_cannot_be_is_refused(school, entries, status):
    """What is written wrongly is usage; what is refused is a refusal; the plan stays."""
    before = school.json("rotation", "show")
    assert "error" in school.json("rotation", "set", *entries, status=status)
    assert school.json("rotation", "show") == before


def test_a_name_that_two_have_must_be_given_by_number(school):
    """Nobody is chosen by chance."""
    school("user", "add", "li2", "--name", "李雷")
    assert school.json("rotation", "set", "李雷:1:1", status=2)["error"] == "ambiguous"


# -- customers and the pool -------------------------------------------------------------------


def test_customers_are_listed_searched_filtered_and_paged(school):
    """The list of the program is the list of the library."""
    first = school.json("customers", "list", "--limit", "2")
    assert [c["name"] for c in first["items"]] == ["赵四", "张三"]
    rest = school.json("customers", "list", "--limit", "2", "--after", first["next"])
    assert [c["name"] for c in rest["items"]] == ["王芳"] and rest["next"] is None
    for options in (("--search", "wf"), ("--where", "source=baidu"),
                    ("--where", "phone=13800138000"),
                    ("--where", "source=百度", "--where", "source=seo")):  # fmt: skip
        assert [c["id"] for c in school.json("customers", "list", *options)["items"]] == [1]
    assert len(school.json("customers", "list", "--where", "source=")["items"]) == 2
    assert [c["id"] for c in school.json("customers", "list", "--as", "han")["items"]] == [2]
    assert school.json("customers", "list", "--where", "nothing=1", status=2)["error"] == "invalid"
    assert school.json("customers", "list", "--where", "source", status=2)["error"] == "usage"
    assert school.json("customers", "list", "--limit", "0", status=2)["error"] == "usage"


def test_a_field_is_named_by_its_code_or_its_label_and_refusals_list_them(school):
    """The words of the tables and sheets are understood, consultants by their names."""
    for options in (("--where", "来源=百度推广"), ("--where", "课程顾问=李雷"),
                    ("--where", "owner=李雷"), ("--where", "手机号=13800138000")):  # fmt: skip
        assert [c["id"] for c in school.json("customers", "list", *options)["items"]] == [1]
    assert [c["id"] for c in school.json("pool", "list", "--where", "课程顾问=")["items"]] == [3]
    assert school.json("export", "x.csv", "--where", "owner_id=韩梅梅")["rows"] == 1
    made = school.json("customers", "add", "--name", "钱", "--qq", "98765", "--set", "学历=大专")
    assert made["education"] == "college"
    for command, inside in ((("list", "--where", "foo=1"), "owner_id"),
                            (("add", "--name", "x", "--qq", "98766", "--set", "foo=1"),
                             "education")):  # fmt: skip
        [problem] = school.json("customers", *command, status=2)["problems"]
        assert inside in problem["allowed"] and "version" not in problem["allowed"]
        assert ("owner_id" in problem["allowed"]) == (inside == "owner_id")
        assert f"{inside}（" in school("customers", *command, status=2)[1]
        assert inside in school("customers", command[0], "--help")[0]


def test_a_folder_that_does_not_exist_is_named_as_it_was_typed(school):
    """Not the file that the program would have written first."""
    for command in (("export", "no/x.xlsx"), ("import", "template", "no/x.xlsx")):
        found = school.json(*command, status=2)
        assert (found["error"], found["message"]) == ("unusable_file", "文件夹 no 不存在。")


def test_a_customer_is_shown_with_its_history_and_follow_ups(school):
    """Who has it, since when, why, and what was said."""
    from crm_domain.usecases import access, follow_up

    with open_crm(f"sqlite:///{school.folder / 'crm.db'}") as opened:
        li = access.principal_for(opened, username="li")
        follow_up.log_follow_up(opened, 1, {"note": "想试听 \x1b[31m"}, by=li)
    found = school.json("customers", "show", "1")
    assert found["customer"]["owner"] == "李雷"
    assert found["history"][0]["method"] == "rotation"
    assert found["follow_ups"][0]["consultant"] == "李雷"
    out, _ = school("customers", "show", "1")
    assert "想试听" in out and "轮转第1轮第1位" in out
    assert "\x1b" not in out
    assert school.json("customers", "show", "99", status=2)["error"] == "not_found"
    assert school.json("customers", "show", "1", "--as", "han", status=2)["error"] == "not_found"


def test_what_a_customer_refers_to_is_shown_by_name(school):
    """Courses and whoever entered it, not their numbers."""
    from crm_domain.model import Course
    from crm_domain.rules.access import SYSTEM
    from crm_domain.usecases import records

    with open_crm(f"sqlite:///{school.folder / 'crm.db'}") as opened:
        records.save_record(opened, Course(title="Python 全栈"), by=SYSTEM)
    school("customers", "add", "--name", "钱", "--qq", "98765", "--set", "课程=1",
           "--as", "li")  # fmt: skip
    out, _ = school("customers", "show", "4")
    assert re.search("咨询课程 +Python 全栈", out) and re.search("录入人 +李雷", out)


def test_a_customer_is_entered_by_rotation_by_name_or_into_the_pool(school):
    """All problems are told at once, with their fields."""
    named = school.json("customers", "add", "--name", "钱五", "--qq", "654321", "--consultant",
                        "韩梅梅", "--set", "education=大专", "--memo", "熟人")  # fmt: skip
    assert (named["owner"], named["education"]) == ("韩梅梅", "college")
    wrong = school.json("customers", "add", "--name", "x", "--phone", "12", "--set", "owner_id=1",
                        status=2)  # fmt: skip
    assert {p["field"] for p in wrong["problems"]} == {"phone", "owner_id"}
    again = school.json("customers", "add", "--name", "王芳", "--phone", "13800138000", status=3)
    assert again["error"] == "duplicate"


def test_one_claims_and_the_next_is_told_who_was_quicker(school):
    """A claim is a person's: it needs --as."""
    masked = school.json("pool", "list")["items"]
    assert [(c["id"], c["qq"]) for c in masked] == [(3, "1****6")]
    assert school.json("pool", "claim", "3", "--as", "li")["method"] == "claim"
    lost = school.json("pool", "claim", "3", "--as", "han", status=3)
    assert lost["error"] == "already_claimed" and "李雷" in lost["message"]
    assert school.json("pool", "claim", "3", status=2)["error"] == "usage"
    assert school.json("pool", "claim", "3", "--as", "nobody", status=2)["error"] == "not_found"


def test_a_sweep_can_be_tried_for_any_moment_in_business_time(school):
    """Days are those of Shanghai unless the moment names a zone."""
    from datetime import datetime, timedelta
    from zoneinfo import ZoneInfo

    due = datetime.now(ZoneInfo("Asia/Shanghai")).date() + timedelta(days=4)
    tried = school.json("sweep", "--dry-run", "--at", f"{due}T00:00")
    assert (tried["released"], tried["by_status"], tried["by_owner"]) == (
        2,
        {"3": 2},
        {"1": 1, "2": 1},
    )
    for early in (f"{due}T00:00+10:00", f"{due - timedelta(days=1)}"):
        assert school.json("sweep", "--dry-run", "--at", early)["released"] == 0
    assert school.json("sweep", "--at", f"{due}", status=2)["error"] == "invalid"
    assert school.json("sweep", "--at", "soon", status=2)["error"] == "usage"
    assert school.json("sweep")["released"] == 0


# -- sheets -----------------------------------------------------------------------------------

SMALL = (("赵一", "13900139001", "百度"), ("赵二", "1390013", "百度"),
         ("赵三", "139 0013 9001", ""), ("钱", "13900139002", "朋友圈"),
         ("孙", "13900139003", "SEO"))  # fmt: skip


def test_an_import_is_previewed_confirmed_and_done(school):
    """Without a terminal and without --yes nothing is imported, and the hint says why."""
    path = sheet(school.folder / "c.csv", SMALL)
    school.speak("en")
    assert "--yes" in school("import", path, status=2)[1]
    tried = school.json("import", path, "--dry-run")
    assert (tried["accepted"], tried["status"], tried["dry_run"]) == (2, "checked", True)
    assert len(school.json("customers", "list")["items"]) == 3
    done = school.json("import", path, "--yes")
    expected = {"data_rows": 5, "blank_rows": 0, "accepted": 2, "duplicate_in_file": 1,
                "duplicate_in_database": 0, "rejected": {"bad_phone": 1, "unknown_choice": 1},
                "dealt": {"李雷": 2}, "pooled": 0, "warnings": [],
                "status": "done"}  # fmt: skip
    assert {n: done[n] for n in expected} == expected
    again = school.json("import", path, "--yes", "--to", "pool")
    assert (again["accepted"], again["duplicate_in_database"]) == (0, 3)


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_only_a_clear_yes_imports(school, answer, status):
    """On a terminal the preview is shown and the question asked."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    path = sheet(school.folder / "c.csv", SMALL)
    school.monkeypatch.setattr(sys, "stdin", Terminal(answer))
    out, err = school("import", path, status=status)
    assert "预览" in out and "[y/N]" in err
    assert len(school.json("customers", "list")["items"]) == (5 if status == 0 else 3)


def test_a_file_may_be_named_like_a_command(school):
    """`crm import template` writes the template, `crm import ./template` reads a file."""
    sheet(school.folder / "template", SMALL)
    assert school.json("import", "./template", "--yes", "--consultant", "2")["dealt"] == {
        "韩梅梅": 2
    }
    assert school.json("import", "template")["file"] == "customers-template.xlsx"
    assert school.json("import", "template", status=2)["error"] == "file_exists"
    assert school.json("import", "template", "--force")["file"] == "customers-template.xlsx"
    school("import", "template", "mine.xlsx")
    assert (school.folder / "mine.xlsx").read_bytes()[:2] == b"PK"
    assert school.json("import", "mine.xlsx", "--dry-run")["data_rows"] == 0


def test_an_import_is_taken_back_and_its_bad_rows_are_given_back(school):
    """Rejected rows come as a sheet; a reverted import frees the contacts."""
    number = school.json("import", sheet(school.folder / "c.csv", SMALL), "--yes")["id"]
    assert school.json("import", "rejected", number, "bad.xlsx")["rows"] == 3
    assert school.json("import", "resume", number)["accepted"] == 2
    assert school.json("import", "revert", number)["archived"] == 2
    assert school.json("import", "revert", number, status=3)["error"] == "not_revertible"
    assert school.json("import", "bad.xlsx", "--dry-run")["data_rows"] == 3


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [("no.xlsx", None, "unusable_file"), ("bad.xlsx", b"\0\1\2", "unreadable_sheet"),
     ("empty.csv", b"a,b\n1,2\n", "no_header")],
)  # fmt: skip
def test_a_file_that_is_no_sheet_of_customers_is_refused(here, name, content, error):
    """Each refusal has its code, and none shows a stack."""
    if content is not None:
        (here.folder / name).write_bytes(content)
    assert here.json("import", name, "--yes", status=2)["error"] == error


def test_an_export_can_be_imported_again(school):
    """The columns are those of the template, filters hold, and no cell is a formula."""
    school("customers", "add", "--name", "=1+1", "--qq", "99887766", "--memo=-x")
    assert school.json("export", "all.xlsx")["rows"] == 4
    assert school.json("import", "all.xlsx", "--dry-run")["duplicate_in_database"] == 4
    assert school.json("export", "some.csv", "--search", "wang")["rows"] == 1
    [row] = csv.DictReader(io.StringIO((school.folder / "some.csv").read_text("utf-8-sig")))
    assert (row["姓名"], row["手机"].strip("'\t"), row["课程顾问"]) == (
        "王芳",
        "13800138000",
        "李雷",
    )
    assert school.json("export", "some.csv", status=2)["error"] == "file_exists"
    assert school.json("export", "some.pdf", status=2)["error"] == "usage"
    assert school.json("export", "li.csv", "--as", "li", status=3)["error"] == "not_permitted"


@pytest.mark.parametrize(
    ("tongue", "told", "because", "reason"),
    [("zh", "您有一位新客户", "轮转第1轮第1位", "由 系统 录入时指定"),
     ("en", "You have a new customer", "rotation: cycle 1, place 1", "(assigned)")],
)  # fmt: skip
def test_what_was_told_and_why_is_said_in_the_language_of_the_commands(
    school, tongue, told, because, reason
):
    """The program's own acts are signed by nobody; JSON gives what is kept."""
    school.monkeypatch.setenv("CRM_LANGUAGE", tongue)
    school.monkeypatch.setenv("COLUMNS", "200")
    assert told in school("notices", "list")[0]
    assert because in school("customers", "show", "1")[0]
    added = ("customers", "add", "--name", "x", "--consultant", "李雷", "--qq")
    assert reason in school(*added, "54321")[0]
    assert school.json(*added, "65432")["explanation"] == "由 系统 录入时指定"
    school("pool", "claim", "3", "--as", "li")
    claimed = {"zh": "由 李雷 抢单", "en": "claimed by 李雷"}[tongue]
    assert claimed in school("customers", "show", "3")[0]


# -- notices, database ------------------------------------------------------------------------


def test_notices_are_listed_delivered_and_resent(school):
    """The console's lines go to standard error, so that the answer stays JSON."""
    assert len(school.json("notices", "list", "--status", "pending")["items"]) == 4
    out, err = school("notices", "deliver", "--json")
    assert json.loads(out) == {"sent": 4, "failed": 0, "dead": 0, "expired": 0,
                               "cancelled": 0}  # fmt: skip
    assert err.count("notice |") == 2
    assert school.json("notices", "resend", "1", status=2)["error"] == "not_found"
    with sqlite3.connect(school.folder / "crm.db") as connection:
        connection.execute(
            "UPDATE notice SET status = 'dead', sent_at = NULL, error = 'x' WHERE id = 1"
        )
    connection.close()
    assert any(c["state"] == "warning" for c in school.json("doctor")["checks"])
    school("notices", "resend", "1")
    assert school.json("notices", "resend", "--dead", "--channel", "console") == {"count": 0}
    assert school.json("notices", "resend", "--all", "--event", "新客户") == {"count": 0}
    for wrong in ((), ("1", "--dead"), ("--dead", "--all"), ("1", "--channel", "x"),
                  ("--all", "--event", "party")):  # fmt: skip
        assert school.json("notices", "resend", *wrong, status=2)["error"] == "usage"
    assert [n["id"] for n in school.json("notices", "list", "--status", "pending")["items"]] == [1]


def test_a_backup_never_replaces_a_file_unasked_and_is_restored_into_a_new_one(school):
    """It can be made while the database is in use; the way back ends with the check."""
    with open_crm(f"sqlite:///{school.folder / 'crm.db'}"):
        made = school.json("db", "backup", "b.zip")
    file = school.folder / "b.zip"
    assert made["bytes"] == file.stat().st_size and file.stat().st_mode & 0o077 == 0
    assert school.json("db", "backup", "b.zip", status=2)["error"] == "file_exists"
    assert school.json("db", "backup", "nowhere/b.zip", status=2)["error"] == "unusable_file"
    school("db", "backup", "b.zip", "--force")
    assert school.json("db", "restore", "b.zip", status=4)["error"] == "not_empty"
    school.monkeypatch.setenv("CRM_DATABASE_URL", f"sqlite:///{school.folder / 'new.db'}")
    restored = school.json("db", "restore", "b.zip")
    assert restored["ok"] and restored["rows"] == made["rows"]
    assert len(school.json("customers", "list")["items"]) == 3
    file.write_bytes(file.read_bytes()[:-1000])
    school.monkeypatch.setenv("CRM_DATABASE_URL", f"sqlite:///{school.folder / 'third.db'}")
    assert school.json("db", "restore", "b.zip", status=2)["error"] == "bad_backup"
    assert school.json("db", "restore", "no.zip", status=2)["error"] == "unusable_file"
    assert not (school.folder / "third.db").exists()


def test_the_doctor_says_what_to_do(here):
    """An empty rotation is a warning; a bad setting or a missing database is a problem."""
    found = {c["code"]: c for c in here.json("doctor")["checks"]}
    assert found["rotation"]["state"] == "warning"
    assert "crm rotation set" in found["rotation"]["advice"]
    here.monkeypatch.setenv("CRM_MAX_OWNED", "many")
    assert not here.json("doctor", status=1)["ok"]
    here.monkeypatch.delenv("CRM_MAX_OWNED")
    here.monkeypatch.setenv("CRM_DATABASE_URL", f"sqlite:///{here.folder}/none.db")
    assert "crm init" in here("doctor", status=1)[0]


def test_the_doctor_finds_a_setting_that_only_fails_when_the_crm_is_opened(here):
    """By its code, in place of the line that all settings are well, and with what to do."""
    here.monkeypatch.setenv("CRM_CHANNELS", "foo")
    [found] = here.json("doctor", status=1)["checks"]
    assert (found["code"], found["state"]) == ("settings", "problem") and found["advice"]


def test_the_doctor_warns_when_nobody_is_told_anything(here):
    """An empty list of channels is allowed, and easily overlooked."""
    here.monkeypatch.setenv("CRM_CHANNELS", "")
    found = {c["code"]: c for c in here.json("doctor")["checks"]}
    assert found["channel"]["state"] == "warning" and "CRM_CHANNELS" in found["channel"]["advice"]


def test_a_private_database_is_refused_since_it_would_be_gone(here):
    """It would be ready, and the next command would find none, for ever."""
    for address in ("sqlite://", "sqlite:///:memory:"):
        here.monkeypatch.setenv("CRM_DATABASE_URL", address)
        for command in ("init", "doctor"):
            assert "sqlite:///crm.db" in str(here(command, status=2 if command == "init" else 1))


@pytest.mark.parametrize(
    ("variable", "value"),
    [("CRM_DATABASE_URL", "mysql://x/y"), ("CRM_DATABASE_URL", "nonsense"),
     ("CRM_DATABASE_URL", "sqlite:////no/such/folder/crm.db"), ("CRM_LANGUAGE", "fr"),
     ("CRM_CHANNELS", "pigeon")],
)  # fmt: skip
def test_a_setting_that_cannot_be_used_is_refused_by_name(here, variable, value):
    """Help still answers, so that one can find out."""
    here.monkeypatch.setenv(variable, value)
    found = here.json("customers", "list", status=2)
    assert found["error"] == "bad_setting" and variable in found["message"]
    here("--help")


def test_a_file_that_is_no_database_is_one_sentence(here):
    """Also what we did not foresee has no stack, unless one asks for it."""
    (here.folder / "crm.db").write_bytes(b"this is no database at all" * 100)
    assert here.json("customers", "list", status=4)["error"] == "database"


# -- usage and language -----------------------------------------------------------------------


@pytest.mark.parametrize("tongue", LANGUAGES)
@pytest.mark.parametrize(
    "words",
    ["nonsense", "customers list --nonsense", "customers list extra", "customers show",
     "customers show x", "import x.csv --to nowhere", "customers add --phone 1"],
)  # fmt: skip
def test_a_command_that_makes_no_sense_exits_with_two(here, words, tongue):
    """What is wrong is said in the user's language, and where to read on."""
    here.speak(tongue)
    out, err = here(*words.split(), status=2)
    assert out == "" and "--help" in err
    assert bool(CHINESE.search(err)) == (tongue == "zh")
    assert not re.search("Invalid|unable|Unused|Unknown", err)


@pytest.mark.parametrize(
    ("words", "zh", "en"),
    [("import a.csv --to foo", "--to 不能是“foo”；可选：rotation、pool。",
      "--to cannot be 'foo'; choose from: rotation, pool."),
     ("customers show 王芳", "NUMBER 须是整数，而不是“王芳”。",
      "NUMBER takes a whole number, not '王芳'."),
     ("customers list --limit", "选项 --limit 后缺少值。", "--limit needs a value."),
     ("customers list --serach x", "没有选项 --serach。是否指 --search？",
      "there is no option --serach. Did you mean --search?"),
     ("init now", "多余的参数：now。", "too many arguments: now."),
     ("db backup --force --force", "参数 --force 出现了多次。", "--force is given more than once."),
     ("customers add --nam x", "缺少参数 --name（而不是 --nam）。",
      "--name is missing (not --nam)."),
     ("jobs rnu", "没有命令 rnu。是否指 run？可用的命令：list、run。",
      "there is no command rnu. Did you mean run? Commands: list, run."),
     ("--verison", "是否指 --version？", "Did you mean --version?"),
     ("help", "没有命令 help；请用 --help。", "there is no command help; use --help.")],
)  # fmt: skip
def test_what_is_mistyped_is_said_as_fully_in_either_language(here, words, zh, en):
    """With what was perhaps meant, and what there is to choose from."""
    for tongue, wanted in (("zh", zh), ("en", en)):
        here.speak(tongue)
        assert wanted in here(*words.split(), status=2)[1]


def test_the_help_that_is_named_is_that_of_the_command(here):
    """Whoever mistypes an option of a command need not look for its help."""
    for words, wanted in (("customers add", "crm customers add --help\n"),
                          ("customers lst", "crm customers --help\n"),
                          ("nonsense", "：crm --help\n")):  # fmt: skip
        assert here(*words.split(), status=2)[1].endswith(wanted)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [({}, "zh"), ({"LANG": "C.UTF-8"}, "zh"), ({"LANG": "en_US.UTF-8"}, "en"),
     ({"LANG": "zh_CN.UTF-8"}, "zh"), ({"LANG": "zh_CN", "LC_MESSAGES": "en_GB"}, "en"),
     ({"LC_ALL": "zh_TW.UTF-8", "LC_MESSAGES": "en_GB"}, "zh"), ({"LANG": "de_DE"}, "en"),
     ({"LC_ALL": "en_US", "CRM_LANGUAGE": "zh"}, "zh"), ({"LC_ALL": "", "LANG": "en"}, "en")],
)  # fmt: skip
def test_the_language_is_the_locales_unless_it_is_set(environ, expected):
    """POSIX order: LC_ALL, LC_MESSAGES, LANG; CRM_LANGUAGE before them all."""
    assert language(environ) == expected


def test_a_database_address_is_shown_without_its_password():
    """Terminals are photographed."""
    assert shown_url("postgresql://u:p@ss@h/db") == "postgresql://u@h/db"
    assert shown_url("postgresql://u@h/db?password=p") == "postgresql://u@h/db"
    for wrong in ("postgresql://u:p?ss@h/db", "postgresql://h/db?user=u&password=p@ss"):
        assert shown_url(wrong) == "postgresql://…"
    assert shown_url("sqlite:///crm.db") == "sqlite:///crm.db"
    assert shown_url("crm.db") == "crm.db"
    assert sqlite_path("sqlite:////a/b.db?x=1") == Path("/a/b.db")
    assert sqlite_path("sqlite://") is sqlite_path("postgresql://h/db") is None


def test_plugins_add_commands(here, monkeypatch):
    """The hook crm_commands gets the app; a plugin that fails is a warning, not the end."""
    from importlib.metadata import EntryPoint

    import crm_adapters.plugins as found
    from crm_domain.hookspecs import hookimpl

    class Good:
        @hookimpl
        def crm_commands(self, app):
            app.command(lambda: print("hello"), name="greet", help="Greet.")

    class Bad:
        @hookimpl
        def crm_commands(self, app):
            raise RuntimeError("broken")

    monkeypatch.setattr(sys.modules[__name__], "good", Good(), raising=False)
    monkeypatch.setattr(sys.modules[__name__], "bad", Bad(), raising=False)
    entries = [EntryPoint(n, f"{__name__}:{n}", "crm_domain.plugins") for n in ("bad", "good")]
    monkeypatch.setattr(found, "entry_points", lambda group: entries)
    assert here("greet")[0] == "hello\n"
    listed = {p["name"]: p["hooks"] for p in here.json("plugins", "list")["plugins"]}
    assert listed["good"] == ["crm_commands"]


def test_what_is_wrong_with_a_plugin_is_said_in_the_language_of_the_user(here):
    """The warning, the table and the doctor; what the plugin itself says stays as it is."""
    here.monkeypatch.setenv("CRM_PLUGINS", "nope")
    for tongue, wanted in (("zh", "CRM_PLUGINS 列出了它，但没有安装"),
                           ("en", "named in CRM_PLUGINS, but not installed")):  # fmt: skip
        here.speak(tongue)
        for command in (("plugins", "list"), ("doctor",)):
            out, err = here(*command)
            assert wanted in out and "LookupError" not in out + err
        here.monkeypatch.setenv("CRM_PLUGINS_STRICT", "yes")
        assert wanted in here("customers", "list", status=2)[1]
        here.monkeypatch.delenv("CRM_PLUGINS_STRICT")


# -- real processes ---------------------------------------------------------------------------


def test_help_is_quick_and_loads_neither_database_nor_sheets():
    """Asking for help must not wait for SQLAlchemy."""
    script = (
        "import sys; from crm_adapters.cli import main; main(['--help']); main(['customers',"
        " 'list', '--help']); heavy = {'sqlalchemy', 'openpyxl', 'alembic', 'argon2', 'pypinyin',"
        " 'phonenumbers'} & set(sys.modules); sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def expected_sheet(tmp_path_factory):
    """The customer's own sheet where there is one, else one of the same shape; with its counts."""
    if REAL.exists():
        return REAL, json.loads(REAL.with_name("customers-open.expected.json").read_text("utf-8"))
    return _equal_shape(tmp_path_factory.mktemp("sheet") / "customers.xlsx")


def _equal_shape(path):
    """A title above the header, synonyms, phones in every notation, duplicates, blank and bad
    rows, each with one fault."""
    chance = random.Random(4)
    rows = [["客户姓名", "来源渠道", "手机号", "QQ号", "意向课程"]]
    rejected = {"no_name": 20, "bad_phone": 30, "no_contact": 20, "unknown_choice": 30}
    faults = [code for code, n in rejected.items() for _ in range(n)]
    wide = str.maketrans("0123456789", "０１２３４５６７８９")
    numbers = [f"138{i:08d}" for i in range(1, 1801)]
    for i, number in enumerate(numbers):
        typed = (number, float(number), f"+86 {number[:3]}-{number[3:7]}-{number[7:]}",
                 number.translate(wide), f"  {number} ")[i % 5]  # fmt: skip
        rows.append([f"客户{i}", "百度", typed, None, "量子计算" if i % 50 == 0 else None])
    doubles = [[f"又{i}", "SEO", n, None, None] for i, n in enumerate(chance.sample(numbers, 80))]
    bad = {
        "no_name": lambda i: [None, "百度", f"139{i:08d}", None, None],
        "bad_phone": lambda i: [f"错{i}", "百度", f"138001{i:02d}", None, None],
        "no_contact": lambda i: [f"无{i}", "百度", None, None, None],
        "unknown_choice": lambda i: [f"源{i}", "朋友圈", f"137{i:08d}", None, None],
    }
    rows += doubles + [bad[code](i) for i, code in enumerate(faults)]
    for i in range(9):
        rows.insert(20 + 50 * i, [None, "  ", None, None, None])
    with open_crm("sqlite://", migrate=True) as opened:
        path.write_bytes(opened.writer.write_xlsx([Table("登记", ["客户登记表"], rows)]))
    return path, {"data_rows": 1980, "blank_rows": 9, "accepted": 1800, "duplicate_in_file": 80,
                  "rejected": rejected}  # fmt: skip


def test_the_sheet_of_the_school_is_imported_with_exactly_its_counts(tmp_path, expected_sheet):
    """init and import, as on the first day; JSON alone on standard output."""
    path, expected = expected_sheet
    crm(tmp_path, "init", LC_ALL="C")
    out, err = crm(tmp_path, "import", path, "--yes", "--json", LC_ALL="en_US.UTF-8")
    found = json.loads(out)
    assert {n: found[n] for n in expected} == expected
    assert {"duplicate_in_database", "dealt", "pooled", "warnings", "id", "status"} <= set(found)
    assert err == ""


def test_a_sheet_of_the_same_shape_has_its_counts_too(here, tmp_path):
    """What stands in for the real sheet elsewhere is itself right."""
    path, expected = _equal_shape(tmp_path / "equal.xlsx")
    found = here.json("import", path, "--dry-run")
    assert {n: found[n] for n in expected} == expected


def test_an_interrupted_import_says_so_and_goes_on(tmp_path, sqlite_template):
    """Ctrl-C exits with 130; the same command then goes on where it stopped."""
    database = tmp_path / "crm.db"
    database.write_bytes(sqlite_template.read_bytes())
    rows = [(f"客户{i}", f"138{i:08d}", "百度") for i in range(900)]
    path = sheet(tmp_path / "c.csv", rows)
    running = subprocess.Popen(
        [CRM, "import", path, "--yes"], env=environment(tmp_path, CRM_BATCH_ROWS="3", LANG="en"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        # Whoever runs the tests in the background has let them ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            [(n,)] = connection.execute("SELECT coalesce(max(next_row), 0) FROM import_run")
            if n > 20:
                break
            time.sleep(0.01)
    connection.close()
    os.killpg(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (130, ""), err
    assert err.splitlines()[-1] == "Interrupted." and "Traceback" not in err
    found = json.loads(crm(tmp_path, "import", path, "--yes", "--json")[0])
    assert (found["id"], found["accepted"], found["data_rows"]) == (1, 900, 900)


@pytest.mark.parametrize("words", ["notices list --json", "notices list", "--help", "db check"])
def test_a_reader_that_has_enough_is_no_error(tmp_path, sqlite_template, words):
    """`crm … | head` is quiet, whether JSON, a table, a help page or a sentence is cut off."""
    (tmp_path / "crm.db").write_bytes(sqlite_template.read_bytes())
    running = subprocess.Popen([CRM, *words.split()], env=environment(tmp_path),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    running.stdout.close()
    assert running.stderr.read() == b""
    running.stderr.close()
    assert running.wait(60) == 141


def test_a_locale_without_chinese_does_not_stop_the_program(tmp_path, sqlite_template):
    """Names that the terminal cannot show are written in escapes; JSON stays JSON."""
    (tmp_path / "crm.db").write_bytes(sqlite_template.read_bytes())
    latin = {"PYTHONIOENCODING": "latin-1", "LANG": "en_US"}
    out, _ = crm(
        tmp_path, "customers", "add", "--name", "王芳", "--qq", "123456", "--json", **latin
    )
    assert json.loads(out)["name"] == "王芳"
    assert "\\u738b" in crm(tmp_path, "customers", "list", **latin)[0]


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_the_commands_work_on_postgresql_too(here, url, monkeypatch, tmp_path):
    """The same commands, without any program of PostgreSQL's own."""
    monkeypatch.setenv("CRM_DATABASE_URL", url)
    assert here.json("init")["revision"]
    assert here.json("import", sheet(tmp_path / "c.csv", SMALL), "--yes")["accepted"] == 2
    assert here.json("check")["ok"] and here.json("doctor")["ok"]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert here.json("db", "backup", "b.zip")["rows"]["customer"] == 2
    assert here.json("db", "restore", "b.zip", status=4)["error"] == "not_empty"


def test_nothing_is_written_over_the_database_itself(school):
    """Neither a backup nor a file of rows, by no other name of it, whatever was forced."""
    database = school.folder / "crm.db"
    for name, words in (
        ("crm.db", ("db", "backup")), ("link.zip", ("db", "backup")), ("link.csv", ("export",)),
        ("link.xlsx", ("import", "template")),
    ):  # fmt: skip
        if not (school.folder / name).exists():
            (school.folder / name).symlink_to(database)
        told = school.json(*words, name, "--force", status=2)
        assert (told["error"], "数据库" in told["message"]) == ("unusable_file", True), words
    assert school.json("check")["ok"]
