"""What the units and the compose file start is a command line that this program takes."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from crm_adapters.cli.app import build_app
from crm_web.plugin import crm_commands

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = (DEPLOY / "compose.yaml").read_text("utf-8")


def started():
    """Give every ``crm`` command line with the file it stands in."""
    for unit in sorted(DEPLOY.glob("*.service")):
        [line] = re.findall(r"^ExecStart=\S+/crm (.*)$", unit.read_text("utf-8"), re.MULTILINE)
        yield unit.name, shlex.split(line)
    for block in re.split(r"\n(?=  \w+:\n)", COMPOSE.partition("services:")[2]):
        if "<<: *crm" in block:
            [listed] = re.findall(r"command: \[(.*?)\]", block, re.DOTALL)
            yield block.split(":")[0].strip(), [w.strip().strip('"') for w in listed.split(",")]


@pytest.mark.parametrize(("where", "words"), list(started()))
def test_every_command_line_is_one_that_the_program_takes(where, words):
    """An option that was renamed fails here, and not on somebody's server."""
    app = build_app()
    crm_commands(app)
    command, bound, *_ = app.parse_args(words)
    assert command.__name__ in ("worker", "scheduler", "init", "serve")
    assert where.startswith(("crm-", "init")) or words[0] == {"web": "serve"}.get(where, where)
    assert ("json" in bound.arguments) == (words[0] in ("worker", "scheduler"))


def test_whoever_is_told_to_stop_has_longer_than_it_needs():
    """Neither systemd nor a container kills a process that is still ending its work."""
    from crm_adapters.jobs.crew import DRAIN, LAST
    from crm_adapters.jobs.worker import PATIENCE
    from crm_web.commands import GRACE

    waits = [int(n) for n in re.findall(r"stop_grace_period: (\d+)s", COMPOSE)]
    for unit in DEPLOY.glob("*.service"):
        waits += [int(n) for n in re.findall(r"TimeoutStopSec=(\d+)", unit.read_text("utf-8"))]
    # A web process without Redis ends its requests first, and then the jobs in it.
    web = GRACE + DRAIN + LAST
    assert PATIENCE > DRAIN + LAST
    assert len(waits) == 6 and min(waits) > max(PATIENCE, web) + 5


def test_no_names_get_into_the_logs_of_services():
    """The channel that prints notices is for trials; each service says by which they go."""
    units = [unit.read_text("utf-8") for unit in DEPLOY.glob("*.service")]
    assert [re.findall(r"^Environment=CRM_CHANNELS=(.*)$", u, re.MULTILINE) for u in units] == [
        ["inapp"]
    ] * 3
    assert "CRM_CHANNELS: ${CRM_CHANNELS:-inapp}" in COMPOSE
    # A file that systemd reads later would not count if it came first.
    assert all(u.index("Environment=") < u.index("EnvironmentFile=") for u in units)


def test_every_setting_of_the_compose_file_is_one_of_ours():
    """A misspelt one would be ignored without a word."""
    from crm_adapters.settings import describe

    known = {s.name for s in describe()}
    assert set(re.findall(r"^    (CRM_\w+):", COMPOSE, re.MULTILINE)) <= known


def test_redis_may_not_throw_away_what_it_holds():
    """It keeps nothing on disk, and says no when it is full: work is found in the database then."""
    [words] = re.findall(r"command: (\[valkey-server.*?\])", COMPOSE, re.DOTALL)
    quoted = json.loads(re.sub(r"(?<=[\[,\s])([\w./-]+)(?=[,\]])", r'"\1"', words))
    assert quoted[1:5] == ["--save", "", "--appendonly", "no"] and quoted[-1] == "noeviction"


def test_the_password_of_the_database_may_have_any_letter():
    """It is no part of an address, where some letters mean something."""
    assert "${POSTGRES_PASSWORD" not in "".join(re.findall(r"CRM_DATABASE_URL: (.*)", COMPOSE))
    assert COMPOSE.count("PGPASSWORD: ${POSTGRES_PASSWORD:?set a password}") == 1
    # The server that only makes the database listens on its socket alone.
    assert "pg_isready, --host=127.0.0.1" in COMPOSE


def test_nothing_private_gets_into_the_image():
    """All of the folder is left out but for what is named."""
    root = DEPLOY.parent
    listed = [
        line for line in (root / ".dockerignore").read_text("utf-8").splitlines()
        if line and line[0] != "#"
    ]  # fmt: skip
    assert listed[0] == "*"
    kept = [name[1:] for name in listed if name[0] == "!"]
    assert sorted(kept) == ["LICENSE", "README.md", "pyproject.toml", "requirements.lock", "src"]
    assert all((root / name).exists() for name in kept)
    assert COMPOSE.count("build:") == 1
