"""An address of Redis that can never work is refused before anything starts."""

import pytest

from commands import Here
from crm_adapters.jobs.broker import redis_answers
from crm_adapters.settings import check
from crm_domain.errors import BadSetting
from crm_domain.ports import Settings

STARTS = (("worker",), ("scheduler",), ("serve", "--port=1"))


@pytest.fixture
def here(capsys, monkeypatch, tmp_path, sqlite_template):
    """Commands on a fresh database."""
    (tmp_path / "crm.db").write_bytes(sqlite_template.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRM_DATABASE_URL", "sqlite:///crm.db")
    return Here(capsys, monkeypatch, tmp_path)


def found(here, status):
    checks = here.json("doctor", status=status)["checks"]
    return next((c["state"], c["message"]) for c in checks if c["code"] in ("redis", "settings")
                if c["code"] == "redis" or c["state"] == "problem")  # fmt: skip


@pytest.mark.parametrize("wrong", ["abc", "0/1", "-1", "0x", "１"])
def test_what_is_no_number_of_a_database_is_refused(wrong, here):
    """The library of Redis would take the first database and say nothing."""
    here.monkeypatch.setenv("CRM_REDIS_URL", f"redis://:secret@127.0.0.1:9/{wrong}")
    for tongue, word in (("zh", "数据库编号"), ("en", "number of a database")):
        here.speak(tongue)
        for start in STARTS:
            told = here(*start, status=2)[1]
            assert word in told and "CRM_REDIS_URL" in told and "secret" not in told
        assert word in found(here, 1)[1]


def test_a_password_is_not_shown_because_of_a_slash_in_it():
    """What follows the slash looks like the number of a database."""
    with pytest.raises(BadSetting) as refused:
        check(Settings(redis_url="redis://:top/secret@h:6379/0"))
    assert "secret" not in refused.value.message("zh") + refused.value.message("en")


@pytest.mark.parametrize("fine", ["redis://h", "redis://h/", "redis://h:1/15?db=2", "unix:///a/b"])
def test_what_may_be_a_database_is_asked_of_redis(fine):
    """Only Redis knows how many databases it has."""
    check(Settings(redis_url=fine))


def test_a_database_that_redis_does_not_have_stops_the_start(here, redis_server):
    """And the doctor says so: what, where, and what to do."""
    address = redis_server.url.removesuffix("0") + "99"
    here.monkeypatch.setenv("CRM_REDIS_URL", address)
    for tongue, word in (("zh", "没有编号为 99 的数据库"), ("en", "it has no database 99")):
        here.speak(tongue)
        for start in STARTS:
            told = here(*start, status=2)[1]
            assert word in told and f"127.0.0.1:{redis_server.port}" in told
        state, told = found(here, 1)
        assert state == "problem" and word in told


def test_a_wrong_password_stops_the_start_and_is_not_shown(here, redis_server):
    """Nor is the right one."""
    client = redis_server.client()
    client.config_set("requirepass", "right")
    client.close()
    here.speak("en")
    for user in ("", ":wrong@"):
        url = redis_server.url.replace("redis://", f"redis://{user}")
        here.monkeypatch.setenv("CRM_REDIS_URL", url)
        told = here("worker", status=2)[1]
        assert "refuses the user or the password" in told
        assert "wrong" not in told and "right" not in told
    assert redis_answers(redis_server.url.replace("redis://", "redis://:right@"))


def test_a_parameter_that_nobody_knows_is_refused(here, redis_server):
    """The library would fail with the first connection only."""
    here.monkeypatch.setenv("CRM_REDIS_URL", f"{redis_server.url}?foo=1")
    assert "CRM_REDIS_URL" in here("worker", status=2)[1]


def test_a_redis_that_is_away_is_no_reason_not_to_start(here, redis_server):
    """The doctor warns; workers look themselves until it is back."""
    here.monkeypatch.setenv("CRM_REDIS_URL", redis_server.url)
    assert found(here, 0)[0] == "ok"
    redis_server.kill()
    assert not redis_answers(redis_server.url)
    assert found(here, 0)[0] == "warning"


@pytest.mark.parametrize("wrong", ["rediss://h/0?ssl_cert_reqs=bogus", "redis://h/0?protocol=9"])
def test_an_option_that_is_none_is_refused_as_an_address(wrong, here):
    """By the doctor, too, in words."""
    here.speak("en")
    here.monkeypatch.setenv("CRM_REDIS_URL", wrong)
    assert "not a Redis address" in found(here, 1)[1]


def test_a_redis_in_a_bad_hour_stops_no_start(redis_server):
    """It does not take writes while it follows another; that passes, and nothing is lost."""
    client = redis_server.client()
    client.replicaof("127.0.0.1", "1")
    client.config_set("replica-serve-stale-data", "no")
    assert not redis_answers(redis_server.url)
    client.replicaof("no", "one")
    client.close()
    assert redis_answers(redis_server.url)
