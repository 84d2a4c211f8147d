"""The queue of a program without workers keeps to the contract of a JobQueue."""

import pytest

from crm_adapters.jobs import OutboxOnly
from crm_domain.testing.jobs import JobQueueContract


class Outbox:
    """Work as a table would keep it; nobody but the schedule does it."""

    job = "deliver"

    def __init__(self):
        self._open: list[int] = []
        self._done: list[int] = []

    def put(self, number):
        self._open.append(number)

    def settle(self):
        self._done += self._open
        self._open = []

    def done(self):
        return self._done


class TestOutboxOnly(JobQueueContract):
    @pytest.fixture
    def queue(self):
        return OutboxOnly()

    @pytest.fixture
    def office(self):
        return Outbox()
