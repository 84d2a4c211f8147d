"""The command line for people: their words instead of codes, their accounts and customers."""

import io
import re
import sys
import unicodedata
from pathlib import Path

import pytest

from commands import sheet
from crm_adapters import open_crm
from crm_adapters.cli import exits, wording
from crm_adapters.cli.failures import report_refusal
from crm_domain import errors
from crm_domain.errors import CrmError, Invalid, NotOwner, SweepStopped
from crm_domain.model import Customer, Employee, FollowUp, specs
from crm_domain.model.fields import Choice
from crm_domain.rules.access import SYSTEM
from crm_domain.usecases import records

SOURCES = Path(wording.__file__).parent
PARSING = SOURCES.parents[1] / "crm_domain" / "parsing"
CHINESE = re.compile("[\u4e00-\u9fff]")


class Terminal(io.StringIO):
    """Standard input where somebody sits."""

    def isatty(self):
        return True


def shown_width(line):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


# -- sheets -----------------------------------------------------------------------------------

WRONG = (
    "姓名,手机,QQ,微信,来源,学历,咨询日期,课程,专业,星座\n"
    ",13900139001,,,,,,,,\n"
    "甲,12,,,,,,,,\n"
    "乙,,1,,,,,,,\n"
    "丙,,,!,,,,,,\n"
    "丁,,,,,,,,,\n"
    "戊,13900139002,,,电视,,,,,\n"
    "己,13900139003,,,,博士后,,,,\n"
    "庚,13900139004,,,,,某天,,,\n"
    f"辛,13900139005,,,,,,,{'长' * 101},\n"
    "壬,13900139006,,,,,,占卜,,\n"
    "癸,13900139006,,,,,,占卜,,狮子\n"
    "王芳,13800138000,,,,,,,,\n"
)


def test_an_import_speaks_english_where_only_chinese_is_stored(school):
    """Reasons, labels and warnings; what stands in the sheet is shown as it stands."""
    (school.folder / "wrong.csv").write_text(WRONG, "utf-8")
    school.speak("en")
    out, err = school("import", "wrong.csv", "--yes")
    typed = re.compile("“[^”]*”|姓名|手机|微信|来源|学历|咨询日期|专业|课程|李雷|韩梅梅")
    assert not CHINESE.search(typed.sub("", out + err)), out
    for words in (
        "手机 “12” is not a valid phone number", "QQ “1” is not a valid QQ number",
        "微信 “!” is not a valid WeChat id", "no phone, QQ or WeChat", "姓名 is empty",
        "来源 “电视” is not one of the choices", "is longer than 100", "bad phone number",
        "the unknown course “占卜” was left out", "the column “星座” was not understood",
        "Allowed: qq_group, referral",
    ):  # fmt: skip
        assert words in out, (words, out)
    found = school.json("import", "wrong.csv", "--dry-run")
    assert found["rejected"]["bad_phone"] == 1
    assert not any(CHINESE.search(typed.sub("", p["message"])) for p in found["problems"])
    assert not any(CHINESE.search(typed.sub("", w)) for w in found["warnings"])


def test_an_import_speaks_chinese_without_codes(school):
    """People read labels; programs get the codes with --json."""
    (school.folder / "wrong.csv").write_text(WRONG, "utf-8")
    out, _ = school("import", "wrong.csv", "--dry-run")
    assert not re.search("[a-z]+_[a-z]+", out.replace("wrong.csv", "")), out
    assert "“来源”可选：QQ群、内部转介绍" in out and "缺少姓名" in out


def test_every_reason_of_the_reader_has_its_words():
    """A new code is not finished before people can read it."""
    given = {
        code
        for path in PARSING.glob("*.py")
        for code in re.findall(r'Unreadable\(\s*"(\w+)"', path.read_text("utf-8"))
    }
    assert len(given) > 8
    assert sorted(given - wording.REASONS.keys()) == []


def test_a_preview_gives_its_rejected_rows(school):
    """Before anything is imported, and the same afterwards."""
    number = school.json("import", sheet(school.folder / "c.csv", [("王", "12", "")]), "--dry-run")
    assert school.json("import", "rejected", number["id"], "before.xlsx")["rows"] == 1
    school("import", "resume", number["id"])
    assert school.json("import", "rejected", number["id"])["rows"] == 1
    [run] = school.json("import", "list")["items"]
    assert (run["id"], run["file_name"], run["status"]) == (number["id"], "c.csv", "done")
    assert "已完成" in school("import", "list")[0]
    others = school.json("import", "rejected", run["id"], "x.xlsx", "--as", "li", status=2)
    assert others["error"] == "not_found"


@pytest.mark.parametrize("more", [(), ("--yes",), ("--dry-run",)])
def test_a_mistyped_file_is_told_before_anything_else(here, more):
    """In the user's language, and whether or not a confirmation is missing."""
    (here.folder / "crm.db").unlink()
    _, err = here("import", "none.xlsx", *more, status=2)
    assert err == "错误：文件 none.xlsx 不存在。\n"
    here.speak("en")
    assert here("import", "none.xlsx", *more, status=2)[1] == "Error: none.xlsx does not exist.\n"


def test_a_folder_is_no_sheet(here):
    """Neither to read from nor to write to."""
    (here.folder / "sub").mkdir()
    assert "文件夹" in here("import", "sub", "--yes", status=2)[1]
    assert "不存在" in here("import", "template", "none/t.xlsx", status=2)[1]


def test_an_empty_template_says_that_it_is_empty(school):
    """The newcomer who imports it at once is told what to do."""
    school("import", "template", "t.xlsx")
    assert "请填写后再导入" in school("import", "t.xlsx", "--dry-run")[0]


# -- choices ----------------------------------------------------------------------------------


def test_a_refused_choice_names_those_that_are_allowed(school):
    """Labels in Chinese, codes in English and for programs."""
    add = ("customers", "add", "--name", "x", "--qq", "99887766")
    _, err = school(*add, "--source", "百渡", status=2)
    assert "可选：QQ群、内部转介绍、官方网站、百度推广" in err
    follow = ("customers", "follow-up", "1", "--note", "x", "--as", "li")
    assert "1个月内报名" in school(*follow, "--intention", "maybe", status=2)[1]
    assert "到访" in school(*follow, "--channel", "fax", status=2)[1]
    assert "sales_manager" in school("user", "roles", "li", "boss", status=2)[1]
    assert "百度推广" in school("customers", "list", "--where", "source=x", status=2)[1]
    school.speak("en")
    [problem] = school.json(*add, "--set", "education=phd", status=2)["problems"]
    assert (problem["field"], problem["code"]) == ("education", "unknown_choice")
    assert problem["allowed"][0] == "key_university"
    assert "Allowed: key_university, " in school(*add, "--set", "education=phd", status=2)[1]


def test_every_choice_that_can_be_typed_can_be_named():
    """The allowed ones come from the class itself."""
    for kind in (Customer, FollowUp):
        for name, spec in specs(kind).items():
            if isinstance(spec.type, type) and issubclass(spec.type, Choice):
                problem = errors.FieldError(name, "unknown_choice")
                assert [c for c, _ in wording.allowed(problem)], name


# -- tables -----------------------------------------------------------------------------------


@pytest.mark.parametrize("tongue", ["zh", "en"])
def test_lists_fit_into_eighty_columns(school, tongue):
    """Columns that matter less are left out, and one is told; nothing is folded."""
    school.speak(tongue)
    school("customers", "follow-up", "1", "--note", "x", "--intention", "1个月内报名",
           "--next", "2099-01-01", "--as", "li")  # fmt: skip
    for command in (("customers", "list"), ("pool", "list"), ("notices", "list"),
                    ("customers", "mine", "--as", "li"), ("user", "list"),
                    ("rotation", "show", "--next", "0")):  # fmt: skip
        school.monkeypatch.delenv("COLUMNS", raising=False)
        wide, _ = school(*command)
        school.monkeypatch.setenv("COLUMNS", "80")
        narrow, told = school(*command)
        assert max(map(shown_width, narrow.splitlines())) <= 80, narrow
        assert len(narrow.splitlines()) == len(wide.splitlines()), narrow
        assert ("--json" in told) == (wide != narrow)
        assert narrow.splitlines()[0].split()[0] in wide.splitlines()[0]


def test_whoever_was_only_dealt_to_has_had_no_contact(school):
    """The limit counts from the day of receipt, but nobody has spoken to the customer."""
    assert "最后跟进" not in school("customers", "show", "1")[0]
    rows = school("customers", "list")[0].splitlines()
    assert not any(re.search(r"\d\d:\d\d", row) for row in rows)
    school("export", "a.csv")
    school("customers", "follow-up", "1", "--note", "打过电话", "--as", "li")
    assert "最后跟进" in school("customers", "show", "1")[0]
    assert sum(bool(re.search(r"\d\d:\d\d", r)) for r in school("customers", "list")[0].split("\n"))
    school("export", "b.csv")
    before, after = ((school.folder / f"{n}.csv").read_text("utf-8-sig") for n in "ab")
    place = before.splitlines()[0].split(",").index("最后跟进")
    assert {row.split(",")[place] for row in before.splitlines()[1:]} == {""}
    assert {bool(row.split(",")[place]) for row in after.splitlines()[1:]} == {True, False}


def test_a_waiting_plan_stands_beside_the_running_one(school):
    """Which turns follow which plan is said, not guessed."""
    out, err = school("rotation", "set", "韩梅梅:1:1", "--next", "2")
    running = out.index("本轮（第 1 轮）的名单，还剩 1 个顺位")
    waiting = out.index("自第 2 轮起的名单")
    assert running < out.index("李雷") < waiting
    assert "crm rotation reset" in err
    found = school.json("rotation", "show")
    assert [e["name"] for e in found["running"]] == ["李雷", "韩梅梅"]
    assert [e["name"] for e in found["entries"]] == ["韩梅梅"]
    out, err = school("rotation", "reset")
    assert "名单" not in out and err == ""
    found = school.json("rotation", "show")
    assert found["running"] == found["entries"]


# -- customers --------------------------------------------------------------------------------


def test_a_claim_names_the_person_and_the_customer(school):
    """Not the login name."""
    assert school("pool", "claim", "3", "--as", "li")[0] == "抢单成功：客户 3 赵四 现归 李雷。\n"


def test_a_customer_goes_from_hand_to_hand(school):
    """Follow-up, release, assign, transfer, lock: each is one command, refused by its rule."""
    logged = school.json("customers", "follow-up", "1", "--note", "想试听", "--channel", "微信",
                         "--next", "2099-01-01T10:00", "--as", "li")  # fmt: skip
    assert (logged["note"], logged["channel"]) == ("想试听", "wechat")
    assert logged["next_contact_at"] == "2099-01-01T02:00:00+00:00"
    other = ("customers", "follow-up", "1", "--note", "x", "--as", "han")
    assert school.json(*other, status=3)["error"] == "not_owner"
    school("customers", "transfer", "1", "--to", "韩梅梅", "--reason", "休假")
    mine = school.json("customers", "mine", "--as", "han")["items"]
    assert sorted(c["name"] for c in mine) == ["张三", "王芳"]
    assert school.json("pool", "release", "1", "--as", "li", status=3)["error"] == "not_owner"
    school("pool", "release", "1", "--reason", "不合适", "--as", "han")
    assert 1 in [c["id"] for c in school.json("pool", "list")["items"]]
    made = school.json("customers", "assign", "1", "--to", "2", "--memo", "熟人")
    assert (made["consultant"], made["method"], made["memo"]) == ("韩梅梅", "manual", "熟人")
    again = school.json("customers", "assign", "1", "--to", "2", status=3)
    assert again["error"] == "not_assignable"
    assert school.json("customers", "lock", "1", "--reason", "付款中")["locked"]
    assert "付款中" in school("customers", "show", "1")[0]
    assert not school.json("customers", "unlock", "1")["locked"]
    school.json("customers", "lock", "1", "--reason", "x", "--as", "li", status=3)


def refuse_all(*_):
    raise NotOwner


def test_whoever_leaves_hands_everything_over(school):
    """Customers that could not be moved are told by their reason, and the answer is then no."""
    done = school.json("customers", "hand-over", "李雷", "--to", "韩梅梅")
    assert done == {"done": [1], "refused": []}
    school.monkeypatch.setattr("crm_domain.usecases.giving._check", refuse_all)
    failed = school.json("customers", "hand-over", "韩梅梅", "--to", "李雷", status=1)
    assert failed["done"] == [] and {r["error"] for r in failed["refused"]} == {"not_owner"}
    out, _ = school("customers", "hand-over", "韩梅梅", "--to", "李雷", status=1)
    assert "未转移的原因" in out and out.count(NotOwner().message("zh")) == 1
    assert re.search(" 2 .* 1、2", out)


def test_whom_nothing_can_be_given_is_refused_once_and_with_the_true_reason(school):
    """Before anything is moved, whichever place the name has among those who are to get some."""
    school("user", "add", "wang", "--name", "王经理", "--role", "sales_manager")
    with open_crm(f"sqlite:///{school.folder / 'crm.db'}") as opened:
        without = records.save_record(opened, Employee(name="赵敏"), by=SYSTEM)
        gone = records.save_record(opened, Employee(name="孙七", left_on=opened.today()), by=SYSTEM)
    school("user", "add", "qian", "--name", "钱五", "--role", "consultant")
    school("user", "disable", "qian")
    for to, zh, en in (
        ("王经理", "账号没有抢单权限", "may not claim"),
        (str(without.id), "没有登录账号", "no account"),
        (str(gone.id), "已离职", "have left"), ("钱五", "登录账号已停用", "disabled"),
    ):  # fmt: skip
        for tongue, wanted in (("zh", zh), ("en", en)):
            school.speak(tongue)
            command = ("customers", "hand-over", "李雷", "--to", "韩梅梅", "--to", to)
            assert school.json(*command, status=3)["error"] == "not_receiving"
            out, err = school(*command, status=3)
            assert wanted in err and out == "" and err.count("\n") == 1
            assert wanted in school("customers", "transfer", "1", "--to", to, status=3)[1]
    itself = ("customers", "hand-over", "李雷", "--to", "李雷")
    assert school.json(*itself, status=3)["error"] == "not_receiving"
    assert school.json("customers", "show", "1")["customer"]["owner"] == "李雷"


def test_a_locked_customer_is_not_given_back_and_how_to_unlock_it_is_said(school):
    """Nobody tried to give it to a consultant, so nothing is said of one."""
    school("customers", "lock", "1", "--reason", "付款中")
    assert school.json("pool", "release", "1", status=3)["error"] == "customer_locked"
    assert "crm customers unlock 1" in school("pool", "release", "1", status=3)[1]
    assert "顾问" not in school("pool", "release", "1", status=3)[1]


def test_ones_own_customers_are_listed_in_either_language(school):
    """Those being followed first; the status is said as the consultant sees it."""
    [row] = school.json("customers", "mine", "--as", "li")["items"]
    assert (row["name"], row["status"], row["owned"]) == ("王芳", 1, True)
    assert "正在跟进" in school("customers", "mine", "--as", "li")[0]
    school("pool", "release", "1", "--as", "li")
    school.speak("en")
    assert "given back" in school("customers", "mine", "--as", "li")[0]


def test_owners_are_warned_once(school):
    """Nothing is due soon on the day of receipt."""
    assert school.json("pool", "warn") == {"notices": 0}
    assert school("pool", "warn")[0] == "没有新的到期提醒。\n"


# -- accounts ---------------------------------------------------------------------------------


def sign_in(here, username, password):
    from crm_domain.usecases import access

    with open_crm(f"sqlite:///{here.folder / 'crm.db'}") as opened:
        return access.sign_in(opened, username, password).name


def test_a_password_is_read_from_a_pipe_or_asked_for_twice(school, monkeypatch):
    """It is never shown, and two that differ change nothing."""
    school.typed("a long sentence\n")
    assert "password_hash" not in school.json("user", "password", "li", "--password-stdin")
    assert sign_in(school, "li", "a long sentence") == "li"
    assert school.json("user", "password", "li", status=2)["error"] == "usage"
    monkeypatch.setattr(sys, "stdin", Terminal())
    asked = []
    typed = iter(["another sentence", "another sentence", "one", "two", "short", "short"])
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or next(typed))
    out, err = school("user", "password", "li")
    assert "another" not in out + err and asked == ["新密码：", "再输一次："]
    assert sign_in(school, "li", "another sentence") == "li"
    assert "不同" in school("user", "password", "li", status=2)[1]
    assert school.json("user", "password", "li", status=2)["error"] == "invalid"
    assert sign_in(school, "li", "another sentence") == "li"
    school.typed("a long sentence\n")
    assert school.json("user", "password", "no", "--password-stdin", status=2)["error"]


def test_accounts_are_listed_disabled_and_given_roles(school):
    """It takes effect at the next command."""
    first = school.json("user", "list")["items"][0]
    assert (first["username"], first["employee"], first["roles"]) == ("li", "李雷", ["consultant"])
    assert "password_hash" not in first
    school("user", "roles", "li", "consultant", "sales_manager")
    assert school.json("user", "list")["items"][0]["roles"] == ["consultant", "sales_manager"]
    school("user", "disable", "li")
    assert school.json("pool", "list", "--as", "li", status=2)["error"] == "not_found"
    school("user", "enable", "li")
    school.json("pool", "list", "--as", "li")
    assert school.json("user", "disable", "nobody", status=2)["error"] == "not_found"


def test_an_account_is_told_with_the_names_of_its_roles(school):
    """Whichever command answers, it names them as `crm user roles` takes them."""
    school.typed("a long sentence\n")
    assert school.json("user", "password", "li", "--password-stdin")["roles"] == ["consultant"]
    for command in (("disable", "li"), ("enable", "li"), ("roles", "li", "consultant"),
                    ("add", "new", "--role", "consultant")):  # fmt: skip
        assert school.json("user", *command)["roles"] == ["consultant"]


def test_nobody_is_asked_for_the_password_of_who_is_not_there(school):
    """The mistyped name is told first."""
    assert school.json("user", "password", "nobody", status=2)["error"] == "not_found"


def test_namesakes_are_told_apart_by_number_and_login_name(school):
    """Where a second one is made, and where the name is used; the list shows the numbers."""
    assert "2 位员工" in school("user", "add", "Li", "--name", "李雷")[1]
    _, err = school("rotation", "set", "李雷:1:1", status=2)
    assert "1 (li)、3 (Li)" in err
    assert "员工编号" in school("user", "list")[0]


# -- what would otherwise go unseen -----------------------------------------------------------


def test_a_next_contact_in_the_past_is_remarked(school):
    """It may be meant, so it is kept."""
    command = ("customers", "follow-up", "1", "--note", "x", "--as", "li", "--next")
    assert "已经过去" in school(*command, "2020-01-01")[1]
    assert school(*command, "2099-01-01")[1] == ""


def test_locking_twice_and_unlocking_what_is_not_locked_say_so(school):
    """A reason is not replaced unseen."""
    assert "没有锁定" in school("customers", "unlock", "1")[0]
    assert school("customers", "lock", "1", "--reason", "付款中")[0].startswith("已锁定")
    assert "原已锁定（付款中）" in school("customers", "lock", "1", "--reason", "朋友")[0]
    assert school("customers", "unlock", "1")[0].startswith("已解除")


def test_an_empty_list_says_so_and_the_pool_has_no_columns_that_are_always_empty(school):
    """Bare headings look as if something went wrong."""
    assert school("customers", "list", "--search", "zzz")[0] == "没有记录。\n"
    assert "课程顾问" not in school("pool", "list")[0]
    assert "课程顾问" in school("customers", "list")[0]


def test_one_is_not_said_as_many(school):
    """In English a single customer has a singular."""
    school.speak("en")
    assert "Exported 1 customer to" in school("export", "x.csv", "--search", "wang")[0]
    out = school("sweep", "--dry-run", "--at", "2099-01-01")[0]
    assert "release 2 customers" in out
    assert "Moved 1 customer." in school("customers", "hand-over", "李雷", "--to", "韩梅梅")[0]


# -- exit codes and codes ---------------------------------------------------------------------


def every_refusal(kind=CrmError):
    for found in kind.__subclasses__():
        if found.__module__.startswith("crm_"):
            yield found
            yield from every_refusal(found)


@pytest.mark.parametrize(
    ("code", "status"),
    [("usage", 2), ("invalid", 2), ("not_found", 2), ("unreadable_sheet", 2), ("bad_setting", 2),
     ("not_permitted", 3), ("not_owner", 3), ("already_claimed", 3), ("duplicate", 3),
     ("edit_conflict", 3), ("wrong_revision", 4), ("database_busy", 4), ("declined", 1),
     ("sweep_stopped", 1), ("of_a_plugin", 3)],
)  # fmt: skip
def test_each_kind_of_refusal_has_its_exit_code(code, status):
    """1 the answer is no, 2 wrong input, 3 refused by a rule, 4 the database is not ready."""
    assert exits.exit_code(code) == status


def test_the_table_of_exit_codes_names_only_what_exists():
    """A code that was renamed must not fall back to "refused" unseen."""
    text = "".join(p.read_text("utf-8") for p in SOURCES.glob("*.py") if p.name != "exits.py")
    known = {kind.code for kind in every_refusal()} | set(re.findall(r'"(\w+)"', text))
    assert sorted(exits.BY_CODE.keys() - known) == []


def test_a_refusal_exits_with_the_code_of_its_kind(capsys):
    """The same for people and for programs."""
    for as_json in (False, True):
        assert report_refusal(SweepStopped(reason_zh="", reason_en=""), as_json=as_json) == 1
        assert report_refusal(Invalid([]), as_json=as_json) == 2
    capsys.readouterr()


def test_a_guarded_sweep_that_stops_answers_no(school):
    """Cron notices, and nothing was changed."""
    rows = [(f"客户{i}", f"138{i:08d}", "") for i in range(30)]
    school("import", sheet(school.folder / "c.csv", rows), "--yes")
    stopped = school.json("sweep", "--guard", "--dry-run", "--at", "2099-01-01", status=1)
    assert stopped["error"] == "sweep_stopped"
    assert school.json("sweep", "--guard")["released"] == 0


def test_the_doctor_names_each_check_by_a_stable_code(school):
    """In both languages the same ones."""
    found = {}
    for tongue in ("zh", "en"):
        school.speak(tongue)
        found[tongue] = [(c["code"], c["subject"]) for c in school.json("doctor")["checks"]]
    assert found["zh"] == found["en"] == [
        ("settings", None), ("revision", None), ("sqlite", None), ("clock", None),
        ("rotation", None), ("channel", "inapp"), ("channel", "console"), ("notices_dead", None),
        ("notices_late", None), ("jobs_late", None), ("sweep", None),
    ]  # fmt: skip


def test_a_backup_is_named_by_business_time_and_its_offset(school):
    """Whoever reads the name must not guess the zone."""
    assert re.fullmatch(r"crm-\d{8}-\d{6}\+0800\.zip", school.json("db", "backup")["file"])
    school.monkeypatch.setenv("CRM_TIME_ZONE", "America/Sao_Paulo")
    assert school.json("db", "backup")["file"].endswith("-0300.zip")


def test_chinese_sentences_have_full_width_colons():
    """Also where a value follows."""
    for path in SOURCES.glob("*.py"):
        for line in path.read_text("utf-8").splitlines():
            assert not re.search('[\u4e00-\u9fff”）]:( |"|{)', line), (path.name, line)


def test_the_operator_sees_and_ends_the_sessions_of_an_account(school):
    """With the device; afterwards there are none."""
    from crm_domain.usecases import sessions

    school.typed("a long sentence\n")
    school("user", "password", "li", "--password-stdin")
    with open_crm(f"sqlite:///{school.folder / 'crm.db'}") as opened:
        sessions.sign_in(opened, "li", "a long sentence", address="192.0.2.7", device="Firefox")
    [row] = school.json("user", "sessions", "li")["items"]
    assert (row["address"], row["device"]) == ("192.0.2.7", "Firefox")
    assert "token" not in str(row)
    assert "Firefox" in school("user", "sessions", "li", "--end")[0]
    assert school.json("user", "sessions", "li") == {"items": [], "ended": 0}
    assert school.json("user", "sessions", "no", status=2)["error"] == "not_found"


def test_the_operator_issues_a_link_for_a_password(school, monkeypatch):
    """The newest one works, once; with the address of the program, where that is set."""
    from crm_domain.usecases import access

    monkeypatch.setenv("CRM_BASE_URL", "https://crm.example.com/")
    whole = school("user", "reset-link", "li")[0].strip()
    assert whole.startswith("https://crm.example.com/reset/")
    assert school.json("user", "reset-link", "li")["url"].startswith("https://crm.example.com/r")
    monkeypatch.delenv("CRM_BASE_URL")

    old = school.json("user", "reset-link", "li")
    new = school("user", "reset-link", "li")[0].strip()
    assert new.startswith("/reset/")
    assert old["path"] != new
    assert old["hours"] == 24
    with open_crm(f"sqlite:///{school.folder / 'crm.db'}") as opened:
        access.redeem_reset(opened, new.removeprefix("/reset/"), "a long sentence")
    assert sign_in(school, "li", "a long sentence") == "li"
    assert school.json("user", "reset-link", "no", status=2)["error"] == "not_found"
