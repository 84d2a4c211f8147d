"""The environment becomes Settings, or is refused by name."""

import attrs
import pytest

from crm_adapters.notifiers.email import smtp_server
from crm_adapters.settings import (
    DEFAULT_DATABASE_URL,
    check,
    check_names,
    database_url,
    describe,
    read_settings,
)
from crm_domain import Settings
from crm_domain.errors import BadSetting
from crm_domain.usecases.schedule import JOBS


def test_nothing_set_gives_the_defaults():
    """A school can begin without setting anything."""
    assert read_settings({}) == Settings()
    assert database_url({}) == database_url({"CRM_DATABASE_URL": ""}) == DEFAULT_DATABASE_URL


def test_each_kind_of_setting_is_read():
    """Text, whole numbers, numbers and switches become what they are."""
    found = read_settings(
        {
            "CRM_TIME_ZONE": " Europe/Berlin ",
            "CRM_MAX_OWNED": "50",
            "CRM_SWEEP_MAX_SHARE": "0.25",
            "CRM_ASSIGN_ONESELF": "Yes",
            "CRM_PLUGINS_STRICT": "0",
            "CRM_LANGUAGE": "en",
            "OTHER": "x",
        }
    )
    assert found == Settings(
        time_zone="Europe/Berlin", max_owned=50, sweep_max_share=0.25, assign_oneself=True,
        plugins_strict=False, language="en",
    )  # fmt: skip


def test_every_setting_can_be_set_by_its_name():
    """No field of Settings is forgotten: each is read, and each is described."""
    other = {"str": "x", "int": "3", "float": "0.125", "bool": "on"}
    described = {d.name: d for d in describe()}
    special = {
        "CRM_TIME_ZONE": "UTC",
        "CRM_LANGUAGE": "en",
        "CRM_POOL_HIDDEN": "salary",
        "CRM_SMTP_URL": "smtp://h",
        "CRM_SMTP_FROM": "a@b",
        "CRM_REDIS_URL": "redis://h",
        "CRM_BASE_URL": "https://h",
        **{f"CRM_CRON_{job.upper()}": "0 1 * * *" for job in JOBS},
    }
    environ = {
        f"CRM_{f.name.upper()}": special.get(
            f"CRM_{f.name.upper()}", other[str(f.type).split(" ")[0]]
        )
        for f in attrs.fields(Settings)
    }
    found = read_settings(environ)
    for field in attrs.fields(Settings):
        assert getattr(found, field.name) != field.default
    assert set(described) == {*environ, "CRM_DATABASE_URL"}


@pytest.mark.parametrize("name", ["MAX_OWNED", "COOL_DOWN_DAYS", "PAYMENT_DAYS", "ASSIGN_ONESELF"])
def test_an_empty_variable_counts_as_not_set(name):
    """Compose files pass on variables that nobody filled in."""
    assert read_settings({f"CRM_{name}": " "}) == Settings()


@pytest.mark.parametrize("name", ["plugins", "channels"])
def test_an_empty_list_is_empty(name):
    """Whoever wants no plugins must not get all of them."""
    assert getattr(read_settings({f"CRM_{name.upper()}": ""}), name) == ""


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("MAX_OWNED", "many", "'many' is not a whole number"),
        ("PAYMENT_DAYS", "7.5", "'7.5' is not a whole number"),
        ("SWEEP_MAX_SHARE", "half", "'half' is not a number"),
        ("SWEEP_MAX_SHARE", "nan", "nan is not between 0 and 1"),
        ("SWEEP_MAX_SHARE", "1.5", "1.5 is not between 0 and 1"),
        ("PLUGINS_STRICT", "maybe", "'maybe' is not yes or no"),
        ("MAX_OWNED", "-1", "-1 is not between"),
        ("BATCH_ROWS", "0", "0 is not between"),
        ("COOL_DOWN_DAYS", "99999999999", "is not between"),
        ("TIME_ZONE", "Mars/Olympus", "no time zone 'Mars/Olympus'"),
        ("TIME_ZONE", "../../etc/passwd", "no time zone"),
        ("TIME_ZONE", "", "no time zone"),
        ("LANGUAGE", "fr", "'fr' is neither zh nor en"),
        ("SMTP_URL", "smtp://u:hunter2@", "smtp://user:password@host:587"),
        ("POOL_HIDDEN", "salary,name", "'name' is none of: company"),
        ("POOL_HIDDEN", "intention", "'intention' is none of"),
        ("CHANNELS", "console,email", "the channel email needs it"),
    ],
)
def test_what_cannot_be_used_is_refused_early_by_name(name, value, reason):
    """The operator reads which variable is wrong, and why, before anything starts."""
    with pytest.raises(BadSetting) as caught:
        read_settings({f"CRM_{name}": value})
    named = "CRM_SMTP_URL" if name == "CHANNELS" else f"CRM_{name}"
    assert caught.value.facts["name"] == named
    assert reason in caught.value.facts["reason"]
    assert "hunter2" not in str(caught.value)


def test_a_mail_server_needs_a_sender():
    """E-mails are not sent in nobody's name."""
    with pytest.raises(BadSetting, match="CRM_SMTP_FROM"):
        read_settings({"CRM_SMTP_URL": "smtp://mail.example"})
    environ = {
        "CRM_SMTP_URL": "smtp://mail.example",
        "CRM_SMTP_FROM": "a@b",
        "CRM_CHANNELS": "email",
    }
    assert read_settings(environ).channel_names == ("email",)


def test_what_the_pool_hides_always_has_contacts_and_memo_among_it():
    """Whatever is named, and if nothing is."""
    always = {"phone", "qq", "wechat", "memo"}
    assert read_settings({}).hidden_in_pool == always
    named = read_settings({"CRM_POOL_HIDDEN": " salary, company,,"})
    assert named.hidden_in_pool == always | {"salary", "company"}


def test_settings_of_an_embedder_are_checked_as_well():
    """The same refusals hold for settings that were made in code."""
    with pytest.raises(BadSetting, match="CRM_LEASE_SECONDS"):
        check(Settings(lease_seconds=0))


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (Settings(channels="console, sms"), "CRM_CHANNELS.*'sms' is none of: console, email"),
        (Settings(rotation_strategy="fair"), "CRM_ROTATION_STRATEGY.*'fair' is none of: rounds"),
    ],
)
def test_names_that_nothing_provides_are_refused_with_those_that_would_do(settings, reason):
    """A misspelt channel or strategy is found at the start and not at the first notice."""
    with pytest.raises(BadSetting, match=reason):
        check_names(settings, channels=["email", "console", "inapp"], strategies=["rounds"])
    check_names(Settings(), channels=["console", "inapp"], strategies=["rounds"])


def test_the_reference_says_type_default_and_meaning():
    """Each setting is described for people; the default of an empty one is empty."""
    found = {d.name: d for d in describe()}
    assert found["CRM_MAX_OWNED"][1:3] == ("a whole number, or empty", "")
    assert found["CRM_PLUGINS_STRICT"][1:3] == ("yes or no", "no")
    assert found["CRM_TIME_ZONE"][1:3] == ("text", "Asia/Shanghai")
    assert all(d.help for d in found.values())


@pytest.mark.parametrize(
    "url",
    [
        "mail.example", "http://u:hunter2@mail", "smtp://", "smtp://u:hunter2@", "smtp://[::1",
        "smtp://u:hunter2#x@mail", "smtp://u:hunter2/x@mail", "smtp://u:hunter2?@mail:25",
        "smtp://mail:hunter2", "smtp://mail:99999", "smtp://u:hunter2@mail/x", "smtp://u:密@mail",
    ],
)  # fmt: skip
def test_a_bad_server_address_is_refused_without_showing_it(url):
    """Neither the refusal nor its cause repeats what may be a password."""
    with pytest.raises(BadSetting) as caught:
        smtp_server(url)
    assert "hunter2" not in f"{caught.value!r} {caught.value.message('zh')}"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("smtp://mail.example", "mail.example", 587, False),
        ("smtps://u:p@mail.example/", "mail.example", 465, True),
        ("smtp://u:p@[::1]:2525", "::1", 2525, False),
    ],
)
def test_a_server_address_is_read_with_the_usual_ports(url, host, port, tls):
    """587 for submission, 465 when it is encrypted from the start (RFC 8314)."""
    server = smtp_server(url)
    assert (server.host, server.port, server.tls) == (host, port, tls)
