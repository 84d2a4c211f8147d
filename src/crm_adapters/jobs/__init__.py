"""Who is woken when there is something to do."""

from __future__ import annotations


class OutboxOnly:
    """Wakes nobody: the work stays in the outbox until ``deliver_due`` is called.

    This is the queue of a program that embeds the CRM without the ``jobs`` extra.
    """

    def wake(self, job: str, **arguments: int | str) -> None:
        """Do nothing; the database knows what is to be done."""

    def close(self) -> None:
        """Do nothing; there is nothing to let go of."""
