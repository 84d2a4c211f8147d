"""Waking over Dramatiq keeps to the contract of a JobQueue, in process and on Redis."""

from __future__ import annotations

import threading
import time

import attrs
import pytest

from crm_adapters import open_crm
from crm_adapters.jobs import OutboxOnly, embedded
from crm_adapters.jobs.actors import declare_actors
from crm_adapters.jobs.broker import QUEUE, close_broker, make_broker, start_worker, waiting
from crm_adapters.jobs.queue import DramatiqQueue
from crm_domain import SYSTEM, Settings
from crm_domain.errors import BadSetting
from crm_domain.testing.jobs import JobQueueContract
from crm_domain.usecases import intake, notices, pool_rules


class Desk:
    """Work that is written down in a set, and done by an actor."""

    job = "deliver_due"

    def __init__(self, broker):
        self._broker = broker
        self._lock = threading.Lock()
        self._open: set[int] = set()
        self._done: list[int] = []
        declare_actors(broker, {self.job: self._work})

    def _work(self, number):
        with self._lock:
            if number in self._open:
                self._open.remove(number)
                self._done.append(number)
        return True

    def put(self, number):
        with self._lock:
            self._open.add(number)

    def settle(self):
        time.sleep(0.3)  # Until what was gathered is sent.
        until = time.monotonic() + 10
        while self._broker.unsettled() and time.monotonic() < until:
            time.sleep(0.05)
        for number in sorted(self._open):
            self._work(number)

    def done(self):
        return self._done


class DramatiqContract(JobQueueContract):
    @pytest.fixture
    def broker(self, address):
        made = make_broker(address)
        if address is None:
            made.unsettled = lambda: made.queues[QUEUE].unfinished_tasks
        else:
            made.unsettled = lambda: made.do_qsize(QUEUE)
        return made

    @pytest.fixture
    def office(self, broker):
        desk = Desk(broker)
        worker = start_worker(broker, 3)
        yield desk
        worker.stop(timeout=5000)

    @pytest.fixture
    def queue(self, broker, office):
        made = DramatiqQueue(broker, {office.job})
        yield made
        made.close()


class TestInProcess(DramatiqContract):
    @pytest.fixture
    def address(self):
        return None


class TestOnRedis(DramatiqContract):
    @pytest.fixture
    def address(self, redis_server):
        return redis_server.url


del DramatiqContract


class Slow:
    """A broker that counts, and answers as slowly as it is told."""

    def __init__(self, seconds=0.0, error=None):
        self.seconds, self.error, self.sent, self.waiting = seconds, error, [], 0

    def do_qsize(self, queue):
        return self.waiting

    def enqueue(self, message):
        time.sleep(self.seconds)
        if self.error:
            raise self.error
        self.sent.append((message.actor_name, message.kwargs))

    def close(self):
        pass


def test_many_wakes_become_one_message():
    """A thousand assignments wake once; what is asked for with other arguments is another thing."""
    broker = Slow()
    queue = DramatiqQueue(broker, {"deliver_due", "run_import"})
    for number in range(1000):
        queue.wake("deliver_due")
        queue.wake("run_import", import_id=number % 2)
    queue.close()
    assert 3 <= len(broker.sent) <= 9
    assert ("run_import", {"import_id": 1}) in broker.sent


def test_nobody_waits_for_a_broker_that_hangs():
    """A request goes on at once, and even closing waits for a moment only."""
    queue = DramatiqQueue(Slow(seconds=30), {"deliver_due"})
    begun = time.monotonic()
    for _ in range(100):
        queue.wake("deliver_due")
    assert time.monotonic() - begun < 0.5
    time.sleep(0.1)
    queue.close()
    assert time.monotonic() - begun < 4


def test_a_broker_that_is_away_is_told_of_once(caplog):
    """Not with each request, and not with its address."""
    queue = DramatiqQueue(Slow(error=OSError("redis://:secret@h")), {"deliver_due"})
    for _ in range(5):
        queue.wake("deliver_due")
        time.sleep(0.08)
    queue.close()
    assert [r.getMessage() for r in caplog.records] == ["the workers cannot be woken: OSError"]


def test_what_comes_while_others_are_sent_is_sent_when_it_closes():
    """Closing sends what is left, whenever it came."""
    broker = Slow(seconds=0.5)
    queue = DramatiqQueue(broker, {"deliver_due", "run_import"})
    queue.wake("deliver_due")
    time.sleep(0.3)
    queue.wake("run_import", import_id=1)
    queue.close()
    assert [name for name, _ in broker.sent] == ["deliver_due", "run_import"]


def test_nobody_is_woken_again_and_again_where_nobody_works():
    """A thousand messages wake as well as a million, and do not fill the broker over a weekend."""
    broker = Slow()
    broker.waiting = 1000
    queue = DramatiqQueue(broker, {"deliver_due"})
    queue.wake("deliver_due")
    time.sleep(0.2)
    assert broker.sent == []
    broker.waiting = 999
    queue.wake("deliver_due")
    queue.close()
    assert len(broker.sent) == 1


@pytest.mark.parametrize("on_redis", [False, True])
def test_what_waits_at_the_broker_is_counted(on_redis, redis_server):
    """In process and on Redis."""
    broker = make_broker(redis_server.url if on_redis else None)
    declare_actors(broker, {"deliver_due": lambda: True})
    for _ in range(3):
        broker.get_actor("deliver_due").send()
    assert waiting(broker) == 3
    close_broker(broker)


def test_a_wake_after_closing_is_lost_without_a_word():
    """As a request that ends while the program does."""
    broker = Slow()
    queue = DramatiqQueue(broker, {"deliver_due"})
    queue.close()
    queue.close()
    queue.wake("deliver_due")
    assert broker.sent == []


def test_redis_away_costs_a_request_nothing(fresh_url):
    """The customer is saved as quickly as ever, and the notice waits in the outbox."""
    off = Settings(redis_url="redis://127.0.0.1:9/0")
    with open_crm(fresh_url("sqlite"), settings=off) as crm:
        begun = time.monotonic()
        for number in range(20):
            intake.register_customer(crm, {"name": "王芳", "qq": f"{number + 10000}"}, by=SYSTEM)
        assert time.monotonic() - begun < 5
        crm.jobs.wake("deliver_due")


@pytest.mark.parametrize("wrong", ["http://h", "redis://h:port/0"])
def test_an_address_that_is_none_is_refused(wrong, fresh_url):
    """By the name of its setting."""
    with pytest.raises(BadSetting, match="CRM_REDIS_URL"):
        open_crm(fresh_url("sqlite"), settings=Settings(redis_url=wrong))


def test_without_an_address_nobody_is_woken(fresh_url):
    """A program that embeds the CRM pays for no threads."""
    with open_crm(fresh_url("sqlite"), settings=Settings()) as crm:
        assert isinstance(crm.jobs, OutboxOnly)


def test_embedded_delivers_what_is_written(world):
    """One process does everything: what is written is delivered within a moment."""
    off = attrs.evolve(world.crm.settings, cron_sweep="", cron_warn="", cron_remind="",
                       cron_check="", cron_tidy="", cron_imports="",
                       cron_deliver="")  # fmt: skip
    with embedded(attrs.evolve(world.crm, settings=off), seconds=60) as crm:
        intake.register_customer(crm, {"name": "王芳", "qq": "12345"}, by=SYSTEM)
        assert within(5, lambda: [n.status.value for n in read(crm)] == ["sent"])
        # Whoever writes without waking is seen to by the next look.
    with embedded(attrs.evolve(world.crm, settings=off), seconds=0.1) as crm:
        intake.register_customer(world.crm, {"name": "王芳", "qq": "12346"}, by=SYSTEM)
        assert within(5, lambda: [n.status.value for n in read(crm)] == ["sent", "sent"])


def test_embedded_dates_customers_by_the_newest_rules(world):
    """Whoever saves rules waits for nobody; what was not woken for is found by the next look."""
    off = attrs.evolve(world.crm.settings, cron_sweep="", cron_warn="", cron_remind="",
                       cron_check="", cron_tidy="", cron_imports="",
                       cron_deliver="")  # fmt: skip
    customer = world.customer(world.a)

    def due():
        return intake.get_customer(world.crm, customer.id, by=SYSTEM).due_on

    seen = [due()]
    for seconds, saves in ((60, "embedded"), (0.1, "elsewhere")):
        with embedded(attrs.evolve(world.crm, settings=off), seconds=seconds) as crm:
            rules = [{"contact_days": 5 + len(seen), "closing_days": 30}]
            saving = crm if saves == "embedded" else world.crm
            pool_rules.save_pool_rules(saving, rules, by=SYSTEM)
            assert within(10, lambda: not pool_rules.is_dating(world.crm, by=SYSTEM)), saves
        assert due() not in seen, saves
        seen.append(due())


def test_embedded_runs_the_schedule(crm):
    """Every job that is due runs once, and is listed with its result."""
    from crm_domain.usecases import schedule

    with embedded(crm, seconds=0.1) as running:
        assert within(10, lambda: all(
            j.last and j.last.finished_at for j in schedule.list_jobs(running, by=SYSTEM)
        ))  # fmt: skip
    listed = schedule.list_jobs(crm, by=SYSTEM)
    assert len(listed) > 4
    assert [j.last.error for j in listed if j.name != "sweep" and j.last.error] == []
    fences = {j.name: j.last.fence for j in listed if j.name != "deliver"}
    assert set(fences.values()) == {1}


def read(crm):
    return notices.list_notices(crm, by=SYSTEM).items


def within(seconds, answer):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if answer():
            return True
        time.sleep(0.05)
    return False
