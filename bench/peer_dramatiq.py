"""One message for each notice, with Dramatiq as it comes."""

from __future__ import annotations

import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from .peer_counting import MESSAGES, URL, done

broker = RedisBroker(url=URL)
dramatiq.set_broker(broker)


@dramatiq.actor
def deliver(notice_id: int) -> None:
    """Deliver to nowhere."""
    done()


if __name__ == "__main__":
    deliver.send(0)
    broker.flush_all()
    start = time.perf_counter()
    for number in range(MESSAGES):
        deliver.send(number)
    print(time.perf_counter() - start)
