"""``crm jobs``, and what the commands of the workers refuse."""

import re
import sqlite3

from crm_domain.usecases.schedule import JOBS


def test_jobs_are_listed_with_last_and_next_run(here):
    """Nothing has run yet; then one job has, by hand."""
    before = {j["name"]: j for j in here.json("jobs", "list")["jobs"]}
    assert list(before) == ["deliver", "sweep", "warn", "remind", "tidy", "imports", "check"]
    assert before["sweep"]["cron"] == "5 0 * * *" and before["sweep"]["last"] is None
    assert before["sweep"]["next_at"].endswith("T16:05:00+00:00")
    done = here.json("jobs", "run", "sweep")
    assert (done["result"], done["error"]) == ({"released": 0}, None)
    after = {j["name"]: j for j in here.json("jobs", "list")["jobs"]}
    assert after["sweep"]["last"]["result"] == {"released": 0}


def test_people_read_the_same_in_their_language(here):
    """The table and the sentence."""
    here.speak("zh")
    assert "每日回收" in here("jobs", "list")[0]
    for job in JOBS:
        counted = here("jobs", "run", job)[0].partition("已完成：")[2]
        assert counted and not re.search("[a-z]", counted)
    assert "任务 sweep 已完成：退回公海 0" in here("jobs", "run", "sweep")[0]
    assert "已发送 0，待重试 0，发送失败 0" in here("jobs", "list")[0]
    here.speak("en")
    assert "sweep the pool" in here("jobs", "list")[0]
    assert "released 0" in here("jobs", "list")[0]


def test_a_job_that_is_off_is_shown_so(here):
    """An empty expression switches it off."""
    here.monkeypatch.setenv("CRM_CRON_WARN", "")
    here.speak("en")
    [row] = [line for line in here("jobs", "list")[0].splitlines() if line.startswith(" warn")]
    assert " off " in row


def test_a_job_that_nobody_knows_is_refused(here):
    """With those that there are."""
    assert here.json("jobs", "run", "nightly", status=2)["error"] == "not_found"
    for tongue, word in (("zh", "没有定时任务“nightly”"), ("en", "there is no job 'nightly'")):
        here.speak(tongue)
        told = here("jobs", "run", "nightly", status=2)[1]
        assert word in told and "tidy" in told


def test_a_notice_is_sent_again_only_where_one_is_named(here):
    """What is blank, as a variable that is not set, is not taken for all of them."""
    for tongue, nothing, none in (
        ("zh", "没有可重发的通知。", "没有可重发的通知 5"),
        ("en", "There is no notice to be sent again.", "there is no notice 5 to be sent again"),
    ):
        here.speak(tongue)
        assert nothing in here("notices", "resend", "--dead")[0]
        assert none in here("notices", "resend", "5", status=2)[1]
        for option in ("--channel", "--event"):
            assert here.json("notices", "resend", "--all", option, "", status=2)["error"] == "usage"


def test_a_database_that_is_away_is_named_without_its_password(here):
    """Busy, away or mistyped: whoever reads it has to know which."""
    here.monkeypatch.setenv("CRM_DATABASE_URL", "postgresql://u:secret@127.0.0.1:9/x")
    for tongue, word in (("zh", "没有及时应答"), ("en", "did not answer")):
        here.speak(tongue)
        told = here("jobs", "list", status=4)[1]
        assert word in told and "postgresql://u@127.0.0.1:9/x" in told


def test_a_job_that_fails_exits_with_1(here):
    """So that whoever called it from a script sees it."""
    with sqlite3.connect(here.folder / "crm.db") as connection:
        connection.execute("DROP INDEX uq_customer_phone")
    connection.close()
    done = here.json("jobs", "run", "check", status=1)
    assert done["error"].startswith("inconsistent: ") and "guards 1" in done["error"]
    here.speak("zh")
    told = here("jobs", "run", "check", status=1)[1]
    assert done["error_zh"] in told and "inconsistent" not in told
    assert "guards 1" in here("jobs", "list")[0]


def test_a_schedule_that_nobody_keeps_is_found_by_the_doctor(here):
    """None has ever run; then all is well; then nobody has been there for two days."""

    def found(status=0):
        checks = here.json("doctor", status=status)["checks"]
        return next((c["state"], c["message"]) for c in checks if c["code"] == "jobs_late")

    here.speak("en")
    assert found() == ("warning", "no job has ever run")
    here("jobs", "run", "sweep")
    assert found() == ("ok", "on time")
    with sqlite3.connect(here.folder / "crm.db") as connection:
        connection.execute("UPDATE scheduled_job SET slot = slot - 2 * 86400 * 1000000")
    connection.close()
    assert found(status=1) == ("problem", "long due and not run: sweep")


def test_only_administrators_run_jobs(school):
    """A consultant is refused."""
    assert school.json("jobs", "run", "sweep", "--as", "li", status=3)["error"] == "not_permitted"


def test_an_expression_that_is_none_stops_every_command(here):
    """Before anything starts, by the name of its setting."""
    here.monkeypatch.setenv("CRM_CRON_SWEEP", "at midnight")
    here.speak("en")
    assert "CRM_CRON_SWEEP" in here("scheduler", status=2)[1]


def test_workers_with_which_nothing_would_be_done_are_refused(here):
    """Before anything starts, instead of waiting for ever or ending with a fault."""
    for command, option, value in (
        ("worker", "--threads", 0), ("worker", "--threads", -1), ("worker", "--processes", 0),
        ("worker", "--metrics-port", 99999), ("scheduler", "--threads", 0),
        ("scheduler", "--metrics-port", 0),
    ):  # fmt: skip
        found = here.json(command, f"{option}={value}", status=2)
        assert found["error"] == "usage" and option in found["message"]


def test_workers_need_a_usable_redis_address(here):
    """A mistyped one is refused, not retried for ever."""
    here.monkeypatch.setenv("CRM_REDIS_URL", "localhost:6379")
    here.speak("en")
    assert "CRM_REDIS_URL" in here("worker", status=2)[1]
