"""One message for each notice, with Celery as it comes, but for results that nobody asks for."""

from __future__ import annotations

import time

from celery import Celery

from .peer_counting import MESSAGES, URL, done

app = Celery("bench", broker=URL)
app.conf.task_ignore_result = True


@app.task(name="bench.deliver")
def deliver(notice_id: int) -> None:
    """Deliver to nowhere."""
    done()


if __name__ == "__main__":
    deliver.delay(0)
    app.control.purge()
    start = time.perf_counter()
    for number in range(MESSAGES):
        deliver.delay(number)
    print(time.perf_counter() - start)
