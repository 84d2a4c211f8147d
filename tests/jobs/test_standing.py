"""Whoever supervises is told when something stands still, and is not kept busy by what fails."""

from __future__ import annotations

import socket
import sys
import time
import urllib.request

import attrs
import pytest
import sqlalchemy as sa

from crm_adapters.jobs.worker import _Place
from crm_adapters.metrics import Metrics, serve
from crm_domain import SYSTEM
from crm_domain.errors import BadSetting
from crm_domain.usecases import schedule


@pytest.fixture
def crm(world):
    """Open a CRM that goes by the clock of its database."""
    return attrs.evolve(world.crm, clock=world.crm.storage.clock)


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def stand_still(crm):
    """Let the schedule have stood still for two days."""
    row = sa.table("scheduled_job", sa.column("slot"), sa.column("succeeded_at"))
    day = "172800000000" if crm.storage.one_writer else "interval '2 days'"
    with crm.storage.engine.begin() as connection:
        connection.execute(sa.update(row).values(
            slot=sa.text(f"slot - {day}"), succeeded_at=sa.text(f"succeeded_at - {day}")
        ))  # fmt: skip


def test_a_schedule_that_stands_still_degrades_the_web(crm):
    """Pages work on, and whoever looks is told which jobs are long due."""
    from starlette.testclient import TestClient

    from crm_web.asgi import application

    client = TestClient(application(crm), base_url="http://127.0.0.1")
    schedule.run_job(crm, "sweep", by=SYSTEM)
    found = client.get("/readyz").json()
    assert (found["status"], found["jobs_late"]) == ("ok", [])
    stand_still(crm)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["jobs_late"] == ["sweep"]


def test_prometheus_is_told_when_each_job_last_went_well(crm, port):
    """From the database, so that a restart and a failure change nothing about it."""
    schedule.run_job(crm, "sweep", by=SYSTEM)
    stand_still(crm)
    with serve(Metrics().registry, crm, port):
        told = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    name = 'crm_job_last_success_timestamp_seconds{job="sweep"}'
    [line] = [line for line in told.splitlines() if line.startswith(name)]
    assert 172_700 < time.time() - float(line.split()[-1]) < 172_900


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_the_port_of_the_metrics_is_given_back_and_one_that_is_taken_is_refused(crm, port):
    """By a sentence, and not by an error of the library."""
    metrics = Metrics()
    second = serve(Metrics().registry, crm, port)
    with serve(metrics.registry, crm, port), pytest.raises(BadSetting, match="metrics-port"):
        second.__enter__()
    with serve(metrics.registry, crm, port):
        pass


def starts(place, seconds):
    """Look at a place for a while, and count the processes that were begun in it."""
    found = set()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        place.look()
        found.add(place.process.pid)
        time.sleep(0.05)
    place.stop()
    place.wait(time.monotonic() + 5)
    return len(found)


@pytest.mark.parametrize("ending", ["os.kill(os.getpid(), 9)", "sys.exit(1)"])
def test_a_worker_that_fails_at_its_start_is_begun_again_after_longer_and_longer_pauses(ending):
    """However it ends, so that a broken machine is not kept busy; the first time at once."""
    place = _Place([sys.executable, "-c", f"import os, sys; {ending}"])
    assert 2 <= starts(place, 5) <= 4


def test_a_worker_that_had_begun_to_work_is_replaced_at_once():
    """Again and again, if need be: it says itself that it works."""
    program = (
        "import os, time; os.close(int(os.environ['CRM_READY_FD'])); time.sleep(1.5);"
        "os.kill(os.getpid(), 9)"
    )
    assert starts(_Place([sys.executable, "-c", program]), 8) >= 4
