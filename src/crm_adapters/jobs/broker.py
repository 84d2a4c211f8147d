"""The broker that wakes workers: in this process, or Redis. It keeps nothing that would be missed.

None of Dramatiq's middleware is used. Time limits are those of `watchdog`, which hold for system
calls, too. What failed is still in the database, so messages are not retried; and a retried message
would carry the text of its error to Redis, which may name people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crm_domain.errors import BadSetting, ExtraMissing

if TYPE_CHECKING:
    from dramatiq import Broker, Worker
    from redis import Redis

QUEUE = "crm"
HEARTBEAT = 10_000
"""Milliseconds without a sign of life after which a worker's messages go to another."""
EVERY_TIME = 1_000_000
"""How often of a million commands dead workers are looked for; the default is once in a thousand,
so that messages of a killed worker may lie for half an hour."""
SECONDS = 5.0
"""How long Redis may take to answer or to be reached."""
NO_SUCH_DATABASE = (
    "没有编号为 {n} 的数据库；请改用较小的编号，通常为 0 至 15，如 redis://主机:6379/0",
    "it has no database {n}; give a smaller number, 0 to 15 as a rule, as in redis://host:6379/0",
)
BAD_LOGIN = (
    "不接受所给的用户或密码；写法为 redis://用户:密码@主机:6379/0，"
    "其中的特殊字符须转义，如 / 写作 %2F",
    "it refuses the user or the password; they stand as in redis://user:password@host:6379/0, with "
    "special characters escaped, such as / by %2F",
)


def make_broker(redis_url: str | None) -> Broker:
    """Make a broker with one queue.

    Args:
        redis_url: Where Redis is; None is a broker in this process.

    Raises:
        BadSetting: The address is not usable, or its library is not installed.
        ExtraMissing: Dramatiq is not installed.
    """
    try:
        from dramatiq.brokers.stub import StubBroker
    except ImportError as e:
        raise ExtraMissing(extra="jobs") from e
    broker = StubBroker(middleware=[]) if redis_url is None else _redis_broker(redis_url)
    broker.declare_queue(QUEUE)
    return broker


def _redis_broker(url: str) -> Broker:
    client = _client(url)
    from dramatiq.brokers.redis import RedisBroker

    return RedisBroker(  # type: ignore[no-untyped-call]
        client=client, namespace="crm", middleware=[], heartbeat_timeout=HEARTBEAT,
        maintenance_chance=EVERY_TIME, dead_message_ttl=86_400_000,
    )  # fmt: skip


def _client(url: str) -> Redis:
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as e:
        raise without_redis() from e
    try:
        # The broker would ignore timeouts that are given beside an address.
        client = redis.Redis.from_url(
            url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS, health_check_interval=30,
            retry=Retry(NoBackoff(), 0),
        )  # fmt: skip
        # What follows a question mark is looked at by nobody until a connection is made.
        client.connection_pool.make_connection()
    except (TypeError, ValueError, redis.RedisError) as e:
        raise BadSetting(name="CRM_REDIS_URL", reason="not a Redis address",
                         reason_zh="不是 Redis 地址") from e  # fmt: skip
    return client


def redis_answers(url: str) -> bool:
    """Ask Redis whether it can be used as it is set, and tell whether it answers at all.

    One that does not answer is no mistake: it may come later, and until then nothing is lost.

    Args:
        url: Where Redis is.

    Raises:
        BadSetting: It answers and refuses: it has no such database, or not this password.
    """
    client = _client(url)
    from redis.exceptions import (
        AuthenticationError,
        NoPermissionError,
        RedisError,
        ResponseError,
    )

    try:
        client.ping()
    except AuthenticationError as e:
        raise _refused(client, *BAD_LOGIN, said=e) from e
    except ResponseError as e:
        # "ERR DB index is out of range", as Redis and Valkey say it; "ERR invalid DB index", too.
        if "db index" in str(e).lower():
            raise _refused(client, *NO_SUCH_DATABASE, said=e) from e
        if isinstance(e, NoPermissionError):
            raise _refused(client, "拒绝使用", "it refuses", said=e) from e
        # It reads a script, a disk or its own memory is full, another is the master: that passes.
        return False
    except (RedisError, OSError):
        return False
    finally:
        client.close()
    return True


def _refused(client: Redis, zh: str, en: str, *, said: Exception) -> BadSetting:
    """Say what Redis refused, where, and what to do; not the address, which holds the password."""
    given = client.connection_pool.connection_kwargs
    where = given.get("path") or f"{given.get('host', 'localhost')}:{given.get('port', 6379)}"
    n = given.get("db", 0)
    return BadSetting(
        name="CRM_REDIS_URL",
        reason=f"Redis answers at {where}, but {en.format(n=n)} ({said})",
        reason_zh=f"{where} 上的 Redis {zh.format(n=n)}（{said}）",
    )  # fmt: skip


def without_redis() -> BadSetting:
    """Say that Redis was set and cannot be used."""
    install = "pip install 'school-crm[redis]'"
    return BadSetting(name="CRM_REDIS_URL", reason=f"it needs its libraries: {install}",
                      reason_zh=f"缺少所需的库：{install}")  # fmt: skip


def waiting(broker: Broker) -> int:
    """Count the messages that nobody has taken."""
    from dramatiq.brokers.stub import StubBroker

    if isinstance(broker, StubBroker):
        return int(broker.queues[QUEUE].qsize())
    return int(broker.do_qsize(QUEUE))  # type: ignore[attr-defined]  # of Redis, by name


def close_broker(broker: Broker) -> None:
    """Let go of a broker's connections, which Dramatiq leaves open."""
    broker.close()
    client = vars(broker).get("client")
    if client is not None:
        client.close()


def start_worker(broker: Broker, threads: int) -> Worker:
    """Start the threads that work off a broker's messages.

    Args:
        broker: Its actors are declared.
        threads: How many messages are worked off at a time.
    """
    from dramatiq import Worker
    from dramatiq.brokers.stub import StubBroker

    # How long idle threads sleep: in one process that costs nothing, on Redis it is a question.
    idle = 100 if isinstance(broker, StubBroker) else 1000
    worker = Worker(broker, worker_threads=threads, worker_timeout=idle)
    worker.start()
    return worker
