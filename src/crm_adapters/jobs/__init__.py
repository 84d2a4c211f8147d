"""Who is woken when there is something to do, and what is then done.

The database is the queue of record; whatever is woken only looks there sooner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crm_domain.ports import JobQueue

if TYPE_CHECKING:
    from crm_adapters.jobs.inprocess import embedded

__all__ = ["OutboxOnly", "embedded", "open_queue"]


def __getattr__(name: str) -> Any:
    # It needs Dramatiq, which most programs do not.
    if name == "embedded":
        from crm_adapters.jobs.inprocess import embedded

        return embedded
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def open_queue(redis_url: str) -> JobQueue:
    """Give the queue that wakes workers over Redis, or nobody where none is set.

    Args:
        redis_url: Where Redis is; "" for none.

    Raises:
        BadSetting: The address is not usable, or the extra ``redis`` is not installed.
    """
    if not redis_url:
        return OutboxOnly()
    from crm_adapters.jobs.actors import SECONDS
    from crm_adapters.jobs.broker import make_broker, without_redis
    from crm_adapters.jobs.queue import DramatiqQueue
    from crm_domain.errors import ExtraMissing

    try:
        return DramatiqQueue(make_broker(redis_url), SECONDS)
    except ExtraMissing as e:
        raise without_redis() from e


class OutboxOnly:
    """Wakes nobody: the work stays in the outbox until ``deliver_due`` is called.

    This is the queue of a program that embeds the CRM without the ``jobs`` extra.
    """

    def wake(self, job: str, **arguments: int | str) -> None:
        """Do nothing; the database knows what is to be done."""

    def close(self) -> None:
        """Do nothing; there is nothing to let go of."""
