"""Keeping a lease while something is done that may take longer than one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)
BEATS = 3
"""How often a lease is renewed in its time."""


@contextmanager
def kept(renew: Callable[[], bool], seconds: float) -> Iterator[None]:
    """Renew a lease in a thread of its own while the block lasts.

    Args:
        renew: Renews it, and tells whether it was still there; when it was not, nobody asks again.
        seconds: For how long each time.
    """
    done = threading.Event()

    def beat() -> None:
        while not done.wait(seconds / BEATS):
            try:
                if not renew():
                    return
            except Exception as e:
                # Whatever is wrong will be met by what is done, too; a beat may be missed.
                log.debug("a lease could not be renewed: %s", type(e).__name__)

    thread = threading.Thread(target=beat, name="crm-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
