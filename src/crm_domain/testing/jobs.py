"""What every JobQueue keeps to."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from crm_domain.ports import JobQueue


class Office(Protocol):
    """A place where work is written down, and done by whoever the queue wakes.

    An adapter's test gives one whose work is done by the adapter's own workers; for a queue that
    wakes nobody there are none.
    """

    job: str
    """The job to wake for the work; its one argument is ``number``."""

    def put(self, number: int) -> None:
        """Write a piece of work down, as a committed transaction would."""
        ...

    def settle(self) -> None:
        """Wait until the queue rests, then do what is left, as the schedule would."""
        ...

    def done(self) -> Sequence[int]:
        """Tell the pieces of work that were done, each as often as it was done."""
        ...


class JobQueueContract:
    """Subclass it with the fixtures ``queue`` and ``office``."""

    def test_work_that_was_woken_for_is_done_once(self, queue: JobQueue, office: Office) -> None:
        """Waking gets every piece of work done, and none of it twice."""
        for number in range(20):
            office.put(number)
            queue.wake(office.job, number=number)
        office.settle()
        assert sorted(office.done()) == list(range(20))

    def test_a_lost_wake_loses_no_work(self, queue: JobQueue, office: Office) -> None:
        """What nobody was woken for is done all the same."""
        office.put(1)
        office.put(2)
        queue.wake(office.job, number=2)
        office.settle()
        assert sorted(office.done()) == [1, 2]

    def test_waking_twice_works_once(self, queue: JobQueue, office: Office) -> None:
        """Waking again and again for the same work is harmless."""
        office.put(1)
        for _ in range(5):
            queue.wake(office.job, number=1)
        office.settle()
        assert list(office.done()) == [1]

    def test_waking_for_nothing_never_raises(self, queue: JobQueue, office: Office) -> None:
        """A wake for work that is gone, or for a job that nobody knows, is no error."""
        queue.wake(office.job, number=404)
        queue.wake("no_such_job", name="张三")
        office.settle()
        assert list(office.done()) == []

    def test_threads_wake_at_once(self, queue: JobQueue, office: Office) -> None:
        """Several threads may wake at the same time."""
        for number in range(40):
            office.put(number)
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda n: queue.wake(office.job, number=n), range(40)))
        office.settle()
        assert sorted(office.done()) == list(range(40))
