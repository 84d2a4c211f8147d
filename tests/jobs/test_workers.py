"""Real worker processes, in this process and on Redis: killed, starved, emptied, told to stop."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs
import pytest

from commands import CRM
from crm_adapters import open_crm
from crm_adapters.jobs import OutboxOnly
from crm_adapters.jobs.broker import close_broker, make_broker
from crm_adapters.jobs.crew import Crew
from crm_domain import SYSTEM, Query, Settings
from crm_domain.testing.clock import FixedClock
from crm_domain.usecases import imports, notices, schedule
from make import World

QUIET = {f"CRM_CRON_{job.upper()}": "" for job in schedule.JOBS}


def within(seconds, answer):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := answer():
            return found
        time.sleep(0.1)
    return answer()


@contextmanager
def running(tmp_path, url, *arguments, wait=True, **more):
    """Run ``crm`` with its log in a file; at the end it is killed if it still runs.

    Whoever does not wait until it says that it is ready, has to see to that.
    """
    environ = {n: v for n, v in os.environ.items() if not n.startswith("CRM_")}
    environ |= {"CRM_DATABASE_URL": url, "CRM_LEASE_SECONDS": "2", **QUIET, **more}
    with (tmp_path / f"log{time.monotonic_ns()}").open("w+") as log:
        process = subprocess.Popen(
            [CRM, *arguments, "--json"], env=environ, stdout=subprocess.DEVNULL, stderr=log
        )
        process.lines = lambda: _lines(log.name)
        try:
            assert not wait or within(90, lambda: _ready(process))
            yield process
        finally:
            process.kill()
            process.wait()


def _lines(path):
    """Read the log; the channel "console" writes beside it, which is its purpose."""
    whole = Path(path).read_text("utf-8").rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines() if not line.startswith("notice | ")]


def children(process):
    """Give the worker processes of a supervisor."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in listed.read_text().split()]


def world_of(url):
    """Open a school whose customers wake nobody."""
    crm = open_crm(url, settings=Settings(channels="console"))
    return World(crm, FixedClock(crm.now()))


def statuses(world):
    page = notices.list_notices(world.crm, Query(limit=10_000), by=SYSTEM)
    return [n.status.value for n in page]


def all_sent(world, count):
    return lambda: statuses(world) == ["sent"] * count


def stopped(process):
    """Ask a process to end, and tell its exit code and how long it took."""
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    status = process.wait(40)
    return status, time.monotonic() - begun


@pytest.fixture
def school(fresh_url, engine_name):
    url = fresh_url(engine_name)
    world = world_of(url)
    yield url, world
    world.crm.close()


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_killed_worker_is_replaced_and_all_end_when_told_to(tmp_path, school, redis_server):
    """The supervisor sees it within a second; SIGTERM ends all of them, with 0."""
    url, _ = school
    with running(tmp_path, url, "worker", "--processes", "2",
                 CRM_REDIS_URL=redis_server.url) as process:  # fmt: skip
        assert within(20, lambda: len(_ready(process)) == 2)
        before = children(process)
        os.kill(before[0], signal.SIGKILL)
        assert within(2, lambda: len(set(children(process)) - set(before)) == 1)
        assert within(20, lambda: len(_ready(process)) == 3)
        workers = children(process)
        status, seconds = stopped(process)
        assert (status, seconds < 20) == (0, True)
        assert not any(_alive(pid) for pid in workers)
        # Not one line that is no JSON, as Python's last words are when a process aborts.
        process.lines()


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_workers_end_when_their_supervisor_was_killed(tmp_path, school, redis_server):
    """Nobody is left behind that a new supervisor would know nothing of."""
    url, _ = school
    with running(tmp_path, url, "worker", "--processes", "1",
                 CRM_REDIS_URL=redis_server.url) as process:  # fmt: skip
        workers = children(process)
        process.kill()
        assert within(20, lambda: not any(_alive(pid) for pid in workers))


def _ready(process):
    return [m for m in process.lines() if m["message"] == "ready"]


def _alive(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_several_schedulers_run_each_slot_once(tmp_path, school):
    """Three start at the same moment, and each job of the night has one run."""
    url, world = school
    due = {f"CRM_CRON_{job.upper()}": "5 0 * * *" for job in schedule.JOBS}
    with ExitStack() as all_:
        three = [
            all_.enter_context(running(tmp_path, url, "scheduler", wait=False, **due))
            for _ in range(3)
        ]
        assert within(60, lambda: all(_ready(p) for p in three))
        crm = attrs.evolve(world.crm, clock=world.crm.storage.clock)
        assert within(20, lambda: all(
            j.last and j.last.finished_at for j in schedule.list_jobs(crm, by=SYSTEM)
        ))  # fmt: skip
        time.sleep(2.5)
        assert {j.last.fence for j in schedule.list_jobs(crm, by=SYSTEM)} == {1}
        for process in three:
            process.send_signal(signal.SIGTERM)
        assert [p.wait(40) for p in three] == [0, 0, 0]


def test_an_import_of_a_killed_worker_is_taken_over_within_seconds(tmp_path, school):
    """By another that nobody woke; told to end, a worker gives it back after its batch."""
    url, world = school
    rows = "\n".join(f"客户{i},139{i:08d}" for i in range(600))
    begun = imports.start_file(
        world.crm, f"姓名,手机\n{rows}".encode(), file_name="x.csv", by=world.a
    )

    def far():
        return imports.progress(world.crm, begun.id, by=world.a)

    slow = {"CRM_BATCH_ROWS": "2", "CRM_IMPORT_LEASE_SECONDS": "2"}
    with running(tmp_path, url, "worker", **slow) as first:
        assert within(20, lambda: far().done_rows > 10)
        first.kill()
        stood = far().done_rows
        assert stood < 600
    with running(tmp_path, url, "worker", **slow) as second:
        assert within(20, lambda: far().done_rows > stood)
        assert stopped(second)[0] == 0
    left = far()
    if left.status.value == "running":
        assert not left.at_work
    with running(tmp_path, url, "worker", CRM_IMPORT_LEASE_SECONDS="2"):
        assert within(30, lambda: far().status.value == "done")
    assert (far().accepted, far().refused) == (600, 0)
    assert [c for c in world.crm.storage.check() if c.count] == []


@pytest.mark.parametrize("looks", [True, False])
def test_only_who_looks_finds_what_nobody_was_woken_for(fresh_url, redis_server, looks):
    """With the negative control: without the look, a lost wake would lose the notice."""
    with open_crm(fresh_url("sqlite"), settings=Settings(channels="console")) as crm:
        world = World(crm, FixedClock(crm.now()))
        assert isinstance(crm.jobs, OutboxOnly)
        broker = make_broker(redis_server.url)
        crew = Crew(crm, broker, threads=2, seconds=0.2 if looks else 600)
        time.sleep(0.5)  # The first look is at once.
        world.customer(world.a)
        assert bool(within(2, all_sent(world, 1))) is looks
        crew.close()
        close_broker(broker)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_logs_and_metrics_tell_of_jobs_and_of_nobody(tmp_path, school, redis_server):
    """Each line is JSON with the job and its run; no line holds what is known of a person."""
    url, world = school
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running(tmp_path, url, "worker", "--processes", "2", "--metrics-port", str(port),
                 CRM_REDIS_URL=redis_server.url) as process:  # fmt: skip
        world.customer(world.a, name="金丝雀", phone="13912345678")
        assert within(20, all_sent(world, 1))
        assert within(
            10,
            lambda: (
                'crm_job_runs_total{job="deliver_due",outcome="done"} 1.0'
                in urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
            ),
        )
        told = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
        for line in ('crm_outbox_notices{status="pending"} 0.0',
                     'crm_outbox_notices{status="dead"} 0.0', "crm_outbox_oldest_due_seconds 0.0",
                     'crm_notices_total{channel="console",outcome="sent"} 1.0'):  # fmt: skip
            assert line in told
        lines = process.lines()
        [done] = [m for m in lines if m["message"].startswith("done")]
        assert done["job"] == "deliver_due" and len(done["run"]) == 12
        assert not any(word in json.dumps(lines, ensure_ascii=False)
                       for word in ("金丝雀", "13912345678", "李雷"))  # fmt: skip


def test_a_traceback_in_the_log_names_places_and_no_values(capfd):
    """What an error says may be what somebody typed."""
    program = (
        "import logging\nfrom crm_adapters.logs import log_to_stderr\n"
        "log_to_stderr(as_json=True)\n"
        "try:\n    int('x13912345678')\n"
        "except ValueError:\n    logging.getLogger('crm_domain').exception('failed')\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
    [line] = capfd.readouterr().err.splitlines()
    assert "139" not in line and "ValueError < " in json.loads(line)["error"]
