"""Workers killed in the middle of sending, Redis emptied, a provider that fails 11 in 100.

The provider keeps a ledger of what reached it, from which process and when. So each copy of a
message beyond the first must be explained: by an answer that never came, or by the kill of the
process that sent it and had no time to write that down. `make torture` runs it at full length.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter, defaultdict
from contextlib import closing
from pathlib import Path

import attrs
import pytest
from test_workers import children, running, stopped, within

from crm_adapters import open_crm
from crm_adapters.jobs.watchdog import STUCK
from crm_domain import SYSTEM, Settings
from crm_domain.model import Event, Notice, NoticeStatus
from crm_domain.ports import Query
from crm_domain.testing.clock import FixedClock
from crm_domain.usecases import delivering, notices
from jobs.provider import fate
from make import World

KILLS = int(os.environ.get("CRM_TEST_KILLS", "5"))
NOTICES = int(os.environ.get("CRM_TEST_NOTICES", "500"))
TESTS = Path(__file__).parents[1]
THREADS = 2
UNWRITTEN = 1.5
"""Seconds: outcomes are written about once a second, and that takes a moment, too."""
AT_ONCE = delivering.MOST_UNWRITTEN
"""So many outcomes at most are unwritten in a process, where one thread is at a channel."""
EVERY = 20
"""One of so many messages is poison."""
ENDS = {"poison": "dead", "refused": "dead"}


@attrs.define
class Run:
    """What is known of a run."""

    ledger: Path
    killed: dict[int, float] = attrs.Factory(dict)
    """When each process was killed, by its number."""
    emptied: int = 0
    unfinished: int = 0
    ended: dict[str, str] = attrs.Factory(dict)
    """The status of each notice by its key."""

    def arrivals(self) -> dict[str, list[tuple[int, float, str]]]:
        """Read the ledger: process, moment and outcome of each copy, by key."""
        found = defaultdict(list)
        for line in self.ledger.read_text().splitlines() if self.ledger.exists() else ():
            key, pid, at, outcome = line.split()
            found[key].append((int(pid), float(at), outcome))
        return found

    def copies(self) -> tuple[int, int, list[str]]:
        """Count the copies that kills explain, and those for want of an answer; name the rest."""
        by_kill = silent = 0
        rest = []
        for key, copies in self.arrivals().items():
            for pid, at, outcome in sorted(copies, key=lambda c: c[1])[:-1]:
                if outcome == "silent":
                    silent += 1
                elif 0 <= self.killed.get(pid, 0) - at <= UNWRITTEN:
                    by_kill += 1
                else:
                    rest.append(key)
        return by_kill, silent, rest

    def bound(self) -> int:
        """Tell how many copies the kills can explain: what each had no time to write down."""
        sent = Counter(
            pid for copies in self.arrivals().values() for pid, at, _ in copies
            if 0 <= self.killed.get(pid, 0) - at <= UNWRITTEN
        )  # fmt: skip
        return sum(min(n, AT_ONCE) for n in sent.values())

    def problems(self) -> set[str]:
        """Tell which laws were broken."""
        found = set()
        arrived = self.arrivals()
        if self.unfinished:
            found.add("some still wait")
        for key, status in self.ended.items():
            if status == "sent" and key not in arrived:
                found.add("lost")
            if status != ENDS.get(fate(key), "sent"):
                found.add(f"{fate(key)} ended as {status}")
        by_kill, _, rest = self.copies()
        if rest:
            found.add("sent twice for no reason")
        if by_kill > self.bound():
            found.add("sent twice too often")
        return found


def write(crm, recipient, first, n):
    """Write notices, of which some are poison."""
    made = [
        Notice(
            recipient_id=recipient, subject="x", body="x", event=Event.ASSIGNED, channel="chaos",
            idempotency_key=f"{'poison' if i % EVERY == 0 else 'k'}{i}", created_at=crm.now(),
        )
        for i in range(first, first + n)
    ]  # fmt: skip
    with crm.unit_of_work() as uow:
        uow.notices.add(made)
    crm.jobs.wake("deliver_due")


def install(folder):
    """Leave a plugin on a path, as pip would."""
    info = folder / "chaos-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: chaos\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[crm_domain.plugins]\nchaos = jobs.provider\n")
    return os.pathsep.join(filter(None, [str(folder), str(TESTS), os.environ.get("PYTHONPATH")]))


def busy_since(run, pid):
    """Whether a process has sent something."""
    return f" {pid} " in (run.ledger.read_text() if run.ledger.exists() else "")


class Workers:
    """Workers over Redis: a supervisor replaces whoever is killed."""

    def __init__(self, tmp_path, url, environ, run):
        self._run = run
        arguments = ["worker", "--processes", "2", "--threads", str(THREADS)]
        self._context = running(tmp_path, url, *arguments, **environ)
        self.process = self._context.__enter__()

    def alive(self):
        return [p for p in children(self.process) if p not in self._run.killed]

    def replace(self):
        """Somebody else does."""

    def close(self):
        self._context.__exit__(None, None, None)


class Alone(Workers):
    """One process that does all: whoever killed it starts it again."""

    def __init__(self, tmp_path, url, environ, run):
        self._run = run
        self._start = lambda: running(
            tmp_path, url, "worker", "--threads", str(THREADS), wait=False, **environ
        )
        self._begin()

    def _begin(self):
        self._context = self._start()
        self.process = self._context.__enter__()

    def alive(self):
        return [] if self.process.poll() is not None else [self.process.pid]

    def replace(self):
        self.close()
        self._begin()


def torture(tmp_path, url, server, *, kills, count, mutant=None, found=None, patience=60):
    """Write notices while workers are killed in the middle of sending and Redis is emptied.

    Without Redis the one process that does all is killed and started again. A mutant is looked at
    until the problem is found that it should cause.
    """
    chance = random.Random(3)
    run = Run(tmp_path / "ledger")
    redis = {"CRM_REDIS_URL": server.url} if server else {}
    environ = {
        **redis, "CRM_CHANNELS": "inapp,chaos", "CRM_MAX_ATTEMPTS": "6",
        "CRM_RETRY_SECONDS": "0.1", "PYTHONPATH": install(tmp_path),
        "CHAOS_LEDGER": str(run.ledger),
    }  # fmt: skip
    if mutant:
        # Slow, so that workers are at the same time at what they should not, and killed within it.
        environ |= {"CHAOS_MUTANT": mutant, "CHAOS_LATENCY": "0.05"}
    settings = Settings(redis_url=server.url if server else "")
    with (
        open_crm(url, settings=settings) as crm,
        closing((Workers if server else Alone)(tmp_path, url, environ, run)) as workers,
    ):
        recipient = World(crm, FixedClock(crm.now()), rotation=False).a.employee_id
        for part in range(kills):
            write(crm, recipient, part * (count // kills), count // kills)
            # In the middle of its work, where there is one that has begun.
            within(20, lambda: [p for p in workers.alive() if busy_since(run, p)])
            time.sleep(chance.uniform(0, 0.6 if server else 0.3))
            # Whoever ends again and again before it works is replaced after a pause that grows.
            alive = within(60, workers.alive)
            victim = chance.choice([p for p in alive if busy_since(run, p)] or alive)
            os.kill(victim, signal.SIGKILL)
            run.killed[victim] = time.monotonic()
            workers.replace()
            if server and part in (kills // 5, kills // 2, kills * 4 // 5):
                server.kill()
                server.start()
                run.emptied += 1
        waiting = (NoticeStatus.PENDING, NoticeStatus.FAILED)

        def left():
            found = notices.backlog(crm, by=SYSTEM).waiting
            return sum(found[s] for s in waiting)

        within(patience, lambda: left() == 0 or (found and found in run.problems()))
        run.unfinished = left()
        page = notices.list_notices(
            crm, Query(limit=10_000, where={"channel": "chaos"}), by=SYSTEM
        )  # fmt: skip
        while True:
            run.ended |= {n.idempotency_key: n.status.value for n in page}
            if page.next is None:
                break
            page = notices.list_notices(
                crm, Query(limit=10_000, where={"channel": "chaos"}, after=page.next), by=SYSTEM
            )
        assert stopped(workers.process)[0] == 0 or mutant
    return run


def told(run, begun):
    """Print what a run came to."""
    by_kill, silent, rest = run.copies()
    print(
        f"{len(run.ended)} notices, {len(run.killed)} kills, Redis emptied {run.emptied} times: "
        f"{Counter(run.ended.values())}, {by_kill} copies by kills (at most {run.bound()}), "
        f"{silent} for want of an answer, {len(rest)} for no reason, "
        f"{time.monotonic() - begun:.0f} s"
    )


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_none_is_lost_and_each_copy_is_explained(tmp_path, url, redis_server):
    """All that can be sent is sent, the rest is dead, and copies are those of kills and silence."""
    begun = time.monotonic()
    run = torture(tmp_path, url, redis_server, kills=KILLS, count=NOTICES, patience=300)
    told(run, begun)
    assert run.problems() == set()
    assert len(run.killed) == KILLS
    assert len(run.ended) == NOTICES // KILLS * KILLS
    assert run.emptied == 3


def test_in_process_none_is_lost_and_each_copy_is_explained(tmp_path, url):
    """The same without Redis, on both engines, where what is killed does everything."""
    begun = time.monotonic()
    # Each life of the process costs a start of the program.
    kills, count = (KILLS, NOTICES) if "CRM_TEST_KILLS" in os.environ else (3, 300)
    run = torture(tmp_path, url, None, kills=kills, count=count, patience=300)
    told(run, begun)
    assert run.problems() == set()
    hit = [p for p in run.killed if busy_since(run, p)]
    assert len(run.killed) == kills and len(hit) > kills / 2
    assert len(run.ended) == count // kills * kills


def never_answered(crm, recipient):
    """Write notices that their provider never answers, and one on another channel."""
    deaf = [("chaos", f"deaf{i}" if i else "deaf") for i in range(5)]
    made = [
        Notice(recipient_id=recipient, subject="x", body="x", event=Event.ASSIGNED,
               channel=channel, idempotency_key=key, created_at=crm.now())
        for channel, key in (*deaf, ("inapp", "other"))
    ]  # fmt: skip
    with crm.unit_of_work() as uow:
        uow.notices.add(made)


def status_of(crm, key):
    found = notices.list_notices(crm, by=SYSTEM)
    return next(n.status.value for n in found if n.idempotency_key == key)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_worker_in_a_call_that_does_not_return_is_replaced(tmp_path, url, redis_server):
    """Its thread at first, and the process when four wait so; meanwhile other channels go on."""
    environ = {
        "CRM_REDIS_URL": redis_server.url, "CRM_CHANNELS": "inapp,chaos",
        "PYTHONPATH": install(tmp_path), "CHAOS_LEDGER": str(tmp_path / "ledger"),
        "CRM_LEASE_SECONDS": "2", "CRM_RETRY_SECONDS": "0.5",
    }  # fmt: skip
    with open_crm(url, settings=Settings()) as crm:
        recipient = World(crm, FixedClock(crm.now()), rotation=False).a.employee_id
        never_answered(crm, recipient)
        with running(tmp_path, url, "worker", "--processes", "1", **environ) as process:
            assert within(30, lambda: status_of(crm, "other") == "sent")

            def said():
                return [(m["level"], m["message"]) for m in process.lines()]

            assert within(60, lambda: status_of(crm, "deaf") == "failed")
            assert within(120, lambda: [m for _, m in said() if m.endswith(f"ended with {STUCK}")])
            assert len([m for level, m in said() if level == "critical" and "chaos" in m]) >= 4
            assert within(60, lambda: len([m for _, m in said() if m == "ready"]) > 1)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_the_one_process_that_does_all_ends_for_whoever_starts_it_again(tmp_path, url):
    """With an exit code of its own, as systemd's Restart=always wants it."""
    environ = {
        "CRM_CHANNELS": "inapp,chaos", "PYTHONPATH": install(tmp_path),
        "CHAOS_LEDGER": str(tmp_path / "ledger"), "CRM_LEASE_SECONDS": "2",
        "CRM_RETRY_SECONDS": "0.5",
    }  # fmt: skip
    with open_crm(url, settings=Settings()) as crm:
        recipient = World(crm, FixedClock(crm.now()), rotation=False).a.employee_id
        never_answered(crm, recipient)
        with running(tmp_path, url, "worker", **environ) as process:
            assert process.wait(180) == STUCK


@pytest.mark.parametrize(
    ("mutant", "found"),
    [
        ("leases_keep_nobody_away", "sent twice for no reason"),
        ("sent_is_written_before_it_is_sent", "lost"),
    ],
)
@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_control_without_leases_or_in_the_other_order_it_is_found(
    tmp_path, url, redis_server, mutant, found
):
    """The same run finds copies that nothing explains, and messages that were lost."""
    run = torture(
        tmp_path, url, redis_server, kills=5, count=500, mutant=mutant, found=found, patience=300
    )
    assert found in run.problems()
