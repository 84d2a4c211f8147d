"""What every Notifier keeps to, and one that records instead of sending."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from crm_domain.errors import DeliveryFailed
from crm_domain.model import Employee, Event, Notice, specs
from crm_domain.ports import Notifier


def a_notice(subject: str = "新客户", body: str = "张三 (customer 17)", key: str = "k1") -> Notice:
    """Make a notice to send."""
    return Notice(
        id=1, recipient_id=1, subject=subject, body=body, event=Event.ASSIGNED, channel="any",
        idempotency_key=key, created_at=datetime(2026, 11, 23, 1, 0, tzinfo=UTC),
    )  # fmt: skip


def an_employee() -> Employee:
    """Make somebody whom every channel reaches."""
    return Employee(
        id=1, name="李雷", phone="13800138000", email="li.lei@school.example",
        wechat_openid="o-li-lei", dingtalk_user_id="d-li-lei",
    )  # fmt: skip


Received = Callable[[], Sequence[str]]
"""Tells what has arrived: one text for each message, decoded, with its subject and its body."""


class NotifierContract:
    """Subclass it with the fixtures ``notifier``, ``received`` and ``secrets``.

    ``secrets`` are the texts (passwords, tokens) that the notifier was given and must never show.
    """

    def test_the_name_fits_a_setting(self, notifier: Notifier) -> None:
        """The name can stand in the setting ``channels`` and in a notice."""
        assert notifier.name == notifier.name.strip() != ""
        assert "," not in notifier.name
        assert len(notifier.name) <= 30

    def test_it_tells_where_somebody_is_reached(self, notifier: Notifier) -> None:
        """Whoever has every kind of address has one on this channel."""
        assert notifier.address(an_employee())

    def test_chinese_arrives_as_it_was_written(
        self, notifier: Notifier, received: Received
    ) -> None:
        """Any character reaches the reader, also those outside the basic plane."""
        notifier.send(a_notice("新客户 – “𠮷野”", "请于今天联系 ☎"), an_employee())
        (message,) = received()
        assert "新客户 – “𠮷野”" in message
        assert "请于今天联系 ☎" in message

    def test_the_provider_s_id_can_be_stored(self, notifier: Notifier) -> None:
        """Sending gives an id that fits its column, or None."""
        given = notifier.send(a_notice(), an_employee())
        assert given is None or 0 < len(given) <= 120

    def test_a_line_break_in_the_subject_is_harmless(
        self, notifier: Notifier, received: Received
    ) -> None:
        """A subject with line breaks is still one message, and forges no line of it."""
        notifier.send(a_notice("新客户\r\nBcc: eve@evil.example\r\n\r\nforged"), an_employee())
        (message,) = received()
        assert not any(line.startswith(("Bcc", "forged")) for line in message.splitlines())

    def test_messages_do_not_wait_for_each_other(
        self, notifier: Notifier, received: Received
    ) -> None:
        """Several threads may send at once, and each message arrives once and whole."""
        subjects = [f"message-{n}-end" for n in range(8)]
        threads = [
            threading.Thread(target=notifier.send, args=(a_notice(s, key=s), an_employee()))
            for s in subjects
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        messages = received()
        assert len(messages) == len(subjects)
        assert all(sum(s in m for m in messages) == 1 for s in subjects)

    def test_it_may_be_closed_twice(self, notifier: Notifier) -> None:
        """Closing again is no error, after a message as well."""
        notifier.send(a_notice(), an_employee())
        notifier.close()
        notifier.close()

    def test_its_repr_shows_no_secret(self, notifier: Notifier, secrets: Sequence[str]) -> None:
        """What a log shows of the notifier holds nothing secret."""
        assert not any(s in repr(notifier) for s in secrets)


class FailureContract:
    """How a failure is told, for those that each channel can have; not collected by itself."""

    permanent: bool

    def test_the_failure_says_whether_to_try_again(
        self, failing: tuple[Notifier, Employee]
    ) -> None:
        """A failure is raised as DeliveryFailed and says whether another try would help."""
        error = _failure(*failing)
        assert error.permanent is self.permanent

    def test_the_failure_shows_no_secret(
        self, failing: tuple[Notifier, Employee], secrets: Sequence[str]
    ) -> None:
        """What is stored and logged of a failure, causes included, holds nothing secret."""
        error: BaseException | None = _failure(*failing)
        while error is not None:
            assert not any(s in f"{error!s} {error!r}" for s in secrets)
            error = error.__cause__ or error.__context__

    def test_the_failure_says_why_in_one_line(self, failing: tuple[Notifier, Employee]) -> None:
        """An operator reads it in a list: words, no trace, and not more than the outbox keeps."""
        reason = str(_failure(*failing).facts["reason"])
        assert any(c.isalpha() for c in reason)
        assert reason.isprintable()
        assert "Traceback" not in reason
        assert len(reason) <= (specs(Notice)["error"].length or 0)


class PassingFailureContract(FailureContract):
    """Subclass it with ``secrets`` and ``failing``: a notifier and an employee for whom sending
    fails now, but may succeed later (the provider cannot be reached, or is busy)."""

    permanent = False


class PermanentFailureContract(FailureContract):
    """Subclass it with ``secrets`` and ``failing``: a notifier and an employee for whom sending
    fails for good (nobody has this address, or the provider refuses the message)."""

    permanent = True


def _failure(notifier: Notifier, employee: Employee) -> DeliveryFailed:
    try:
        notifier.send(a_notice(), employee)
    except DeliveryFailed as error:
        return error
    raise AssertionError("sending should have failed with DeliveryFailed")


class RecordingNotifier:
    """Keeps what it is given; can be told to fail."""

    def __init__(self, name: str = "recording") -> None:
        self.name = name
        self.sent: list[tuple[Notice, Employee]] = []
        self.closed = 0
        """How often it was closed."""
        self._script: list[DeliveryFailed | None] = []
        self._lock = threading.Lock()

    def script(self, *outcomes: DeliveryFailed | None) -> None:
        """Say what the next sendings come to, in order; afterwards all succeed.

        Args:
            outcomes: What to raise, or None for a message that arrives.
        """
        with self._lock:
            self._script.extend(outcomes)

    def address(self, employee: Employee) -> str | None:
        """Tell the name: everybody is reached here."""
        return employee.name

    def send(self, notice: Notice, employee: Employee) -> str | None:
        """Keep one notice.

        Returns:
            ``<name>-1``, ``<name>-2`` …

        Raises:
            DeliveryFailed: The script says so.
        """
        with self._lock:
            outcome = self._script.pop(0) if self._script else None
            if outcome is not None:
                raise outcome
            self.sent.append((notice, employee))
            return f"{self.name}-{len(self.sent)}"

    def close(self) -> None:
        """Count it."""
        self.closed += 1
