"""Asked to stop while it works, a process ends what it is at: nothing is lost, sent twice, held."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter

import pytest

from contracts.smtp_server import Mailbox
from crm_adapters import open_crm
from crm_domain import SYSTEM, Settings
from crm_domain.model import Event, Notice
from crm_domain.testing.clock import FixedClock
from crm_domain.usecases import notices
from jobs.test_workers import children, running, stopped, within
from make import World

NOTICES = 400
"""Eight seconds of work at least: whoever does not hear that it is to stop, goes on and on."""
SOON = 8.0
"""Seconds within which a process has ended that was told to, on a busy machine."""


class SlowMailbox(Mailbox):
    """A mail server that takes its time with each message."""

    seconds = 0.02

    def answer(self, line: str) -> str:
        if line == "DATA":
            time.sleep(self.seconds)
        return super().answer(line)


@pytest.fixture
def mailbox():
    with SlowMailbox() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def school(fresh_url, engine_name, mailbox):
    """A school that tells people by mail, and what its processes need to know of that."""
    url = fresh_url(engine_name)
    smtp = f"smtp://127.0.0.1:{mailbox.port}"
    settings = Settings(channels="email", smtp_url=smtp, smtp_from="crm@example.com")
    crm = open_crm(url, settings=settings)
    world = World(crm, FixedClock(crm.now()))
    told = world.person("钱多", email="told@example.com").employee_id
    with crm.unit_of_work() as uow:
        uow.notices.add([
            Notice(recipient_id=told, subject="x", body="x", event=Event.ASSIGNED,
                   channel="email", idempotency_key=f"k{i}", created_at=crm.now())
            for i in range(NOTICES)
        ])  # fmt: skip
    environ = {"CRM_CHANNELS": "email", "CRM_SMTP_URL": smtp, "CRM_SMTP_FROM": "crm@example.com"}
    yield url, crm, environ
    crm.close()


def outcome(crm):
    """Count the notices by what they are: sent, untouched, or held by a lease."""
    with crm.unit_of_work(read_only=True) as uow:
        found = uow.records.all(Notice)
    return Counter(
        n.status.value if n.sent_at else "held" if n.attempts else "untouched" for n in found
    )


def test_asked_to_stop_all_that_was_begun_is_ended(tmp_path, school, mailbox, redis_server):
    """Exit code 0 within seconds, whatever waits; no lease is left, and all was sent once."""
    url, crm, environ = school
    with running(tmp_path, url, "worker", "--processes", "2", CRM_REDIS_URL=redis_server.url,
                 CRM_LEASE_SECONDS="60", **environ) as process:  # fmt: skip
        assert within(30, lambda: len(mailbox.messages) > 20)
        status, seconds = stopped(process)
    assert (status, seconds < SOON) == (0, True)
    after = outcome(crm)
    assert after["held"] == 0 and after["untouched"] > 0
    assert after["sent"] == len(mailbox.messages)
    mailbox.seconds = 0.0
    notices.deliver_due(crm, by=SYSTEM)
    assert outcome(crm) == {"sent": NOTICES} and len(mailbox.messages) == NOTICES


def test_a_schedule_asked_to_stop_ends_its_delivery_and_holds_no_slot(tmp_path, school, mailbox):
    """The one process that does all does this, too."""
    url, crm, environ = school
    with running(tmp_path, url, "scheduler", CRM_LEASE_SECONDS="60",
                 **environ, CRM_CRON_CHECK="* * * * *") as process:  # fmt: skip
        assert within(30, lambda: len(mailbox.messages) > 20)
        status, seconds = stopped(process)
    assert (status, seconds < SOON) == (0, True)
    after = outcome(crm)
    assert after["held"] == 0 and after["untouched"] > 0
    assert after["sent"] == len(mailbox.messages)
    with crm.unit_of_work(read_only=True) as uow:
        assert [j.name for j in uow.schedule.all() if j.leased_until is not None] == []


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_killed_instead_of_asked_it_leaves_leases_behind(tmp_path, school, mailbox, redis_server):
    """The negative control: what the others assert can fail."""
    url, crm, environ = school
    with running(tmp_path, url, "worker", "--processes", "1", CRM_REDIS_URL=redis_server.url,
                 CRM_LEASE_SECONDS="60", **environ) as process:  # fmt: skip
        assert within(30, lambda: len(mailbox.messages) > 20)
        for pid in children(process):
            os.kill(pid, signal.SIGKILL)
        process.kill()
    assert outcome(crm)["held"] > 0
