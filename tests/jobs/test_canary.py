"""The log of a service, as it is deployed, names nobody."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from test_workers import all_sent, running, stopped, within

from crm_adapters import open_crm
from crm_domain import Settings
from crm_domain.testing.clock import FixedClock
from make import World

UNIT = Path(__file__).parents[2] / "deploy" / "crm-worker.service"
NAME, PHONE, OWNER = "坎娜丽", "13912345678", "卡纳瑞"


def deployed() -> dict[str, str]:
    """Give what the unit sets."""
    found = re.findall(r"^Environment=(\w+)=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE)
    return dict(found)


def log_of_a_customer(folder: Path, url: str, **environ: str) -> list[str]:
    """Let a worker tell an owner of a customer, and give its whole log by lines."""
    channels = environ["CRM_CHANNELS"]
    with open_crm(url, settings=Settings(channels=channels)) as crm:
        world = World(crm, FixedClock(crm.now()))
        owner = world.person(OWNER, phone=PHONE)
        with running(folder, url, "worker", **environ) as process:
            for _ in range(3):
                world.customer(owner, name=NAME)
            assert within(30, all_sent(world, 3))
            assert stopped(process)[0] == 0
    [log] = folder.glob("log*")
    return log.read_text("utf-8").splitlines()


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_deployed_worker_names_nobody_in_its_log(tmp_path: Path, url: str) -> None:
    """Each line is JSON, and no name and no number of a person is in any."""
    lines = log_of_a_customer(tmp_path, url, **deployed())
    assert all(isinstance(json.loads(line), dict) for line in lines) and len(lines) > 2
    assert not any(word in line for line in lines for word in (NAME, PHONE, OWNER, "李雷"))


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_worker_that_prints_notices_says_so_once(tmp_path: Path, url: str) -> None:
    """The control: with the channel for trials the names are there, and a warning before them."""
    lines = log_of_a_customer(tmp_path, url, CRM_CHANNELS="console")
    named = [place for place, line in enumerate(lines) if NAME in line]
    warned = [place for place, line in enumerate(lines) if "personal data" in line]
    assert len(named) == 3
    assert len(warned) == 1 and warned[0] < named[0]
