"""The channels that come with the program keep to the contract of a Notifier."""

import io

import pytest

from crm_adapters import open_crm
from crm_adapters.notifiers.console import ConsoleNotifier
from crm_adapters.notifiers.inapp import InAppNotifier
from crm_domain import SYSTEM, Query
from crm_domain.errors import DeliveryFailed
from crm_domain.model.fields import changed
from crm_domain.testing.notifiers import (
    NotifierContract,
    PassingFailureContract,
    RecordingNotifier,
    a_notice,
    an_employee,
)
from crm_domain.usecases import records


class TestConsole(NotifierContract):
    @pytest.fixture
    def stream(self):
        return io.StringIO()

    @pytest.fixture
    def notifier(self, stream):
        return ConsoleNotifier(stream)

    @pytest.fixture
    def received(self, stream):
        return lambda: stream.getvalue().splitlines()

    @pytest.fixture
    def secrets(self):
        return ()

    def test_a_notice_cannot_command_the_terminal(self, notifier, stream):
        """Escape sequences lose what makes them work."""
        notifier.send(a_notice("\x1b[2Jgone\x9b2J\u2028", "a\tb\nc"), an_employee())
        assert stream.getvalue() == "notice | assigned | 李雷 | [2Jgone 2J | a b c\n"

    def test_a_console_without_chinese_still_gets_the_line(self):
        """What the stream's encoding cannot hold is written as an escape."""
        raw = io.BytesIO()
        notifier = ConsoleNotifier(io.TextIOWrapper(raw, encoding="ascii"))
        notifier.send(a_notice("新"), an_employee())
        assert b"\\u65b0" in raw.getvalue()

    def test_without_a_stream_it_writes_to_stderr(self, capsys):
        """The answer of a command on stdout is not disturbed."""
        ConsoleNotifier().send(a_notice(), an_employee())
        assert capsys.readouterr() == (
            "",
            "notice | assigned | 李雷 | 新客户 | 张三 (customer 17)\n",
        )

    def test_where_a_log_is_kept_it_says_once_what_it_prints(self, capsys, caplog):
        """Whoever runs a service with it should know; whoever gave a stream does."""
        notifier = ConsoleNotifier()
        for _ in range(2):
            notifier.send(a_notice(), an_employee())
        assert [r.message for r in caplog.records if "personal data" in r.message] != []
        assert len(caplog.records) == 1
        assert len(capsys.readouterr().err.splitlines()) == 2
        ConsoleNotifier(io.StringIO()).send(a_notice(), an_employee())
        assert len(caplog.records) == 1


class Written(InAppNotifier):
    """Writes the message, as whoever states the fact does, before it is "sent"."""

    def __init__(self, crm):
        self.crm = crm

    def send(self, notice, employee):
        with self.crm.unit_of_work() as uow:
            uow.notices.add([changed(notice, id=None, channel=self.name)])
        return super().send(notice, employee)


class TestInApp(NotifierContract):
    @pytest.fixture
    def notifier(self):
        with open_crm("sqlite://", migrate=True) as crm:
            records.save_record(crm, changed(an_employee(), id=None), by=SYSTEM)
            yield Written(crm)

    @pytest.fixture
    def received(self, notifier):
        def read():
            with notifier.crm.unit_of_work(read_only=True) as uow:
                return [f"{' '.join(n.subject.split())}\n{n.body}"
                        for n in uow.notices.inbox(1, Query(), unread_only=True)]  # fmt: skip

        return read

    @pytest.fixture
    def secrets(self):
        return ()


class TestClosedConsole(PassingFailureContract):
    @pytest.fixture
    def failing(self):
        stream = io.StringIO()
        stream.close()
        return ConsoleNotifier(stream), an_employee()

    @pytest.fixture
    def secrets(self):
        return ()


class TestRecording(NotifierContract):
    @pytest.fixture
    def notifier(self):
        return RecordingNotifier()

    @pytest.fixture
    def received(self, notifier):
        return lambda: [f"{' '.join(n.subject.split())}\n{n.body}" for n, _ in notifier.sent]

    @pytest.fixture
    def secrets(self):
        return ()

    def test_it_fails_as_the_script_says_and_then_no_more(self, notifier):
        """Scripted outcomes are used up in order."""
        notifier.script(None, DeliveryFailed("busy", retry_after=3))
        assert notifier.send(a_notice(), an_employee()) == "recording-1"
        with pytest.raises(DeliveryFailed) as caught:
            notifier.send(a_notice(), an_employee())
        assert caught.value.retry_after == 3
        assert notifier.send(a_notice(), an_employee()) == "recording-2"
