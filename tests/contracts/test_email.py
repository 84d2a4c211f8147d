"""The e-mail channel keeps to the contract of a Notifier, against a real server."""

import email
import email.policy
import socket
import threading

import attrs
import pytest
from tests.contracts.smtp_server import PASSWORD, Mailbox

from crm_adapters.notifiers.email import EmailNotifier
from crm_domain.errors import DeliveryFailed
from crm_domain.testing.notifiers import (
    NotifierContract,
    PassingFailureContract,
    PermanentFailureContract,
    a_notice,
    an_employee,
)

QUOTED = "s3cret-p%40ss"
SENDER = "crm@school.example"


@pytest.fixture
def mailbox():
    with Mailbox() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def notifier_for(mailbox, *, user=f"crm:{QUOTED}@", host="127.0.0.1"):
    return EmailNotifier(f"smtp://{user}{host}:{mailbox.port}", SENDER)


def parsed(content: bytes):
    return email.message_from_bytes(content, policy=email.policy.default)


def readable(content: bytes) -> str:
    message = parsed(content)
    return "\n".join(f"{k}: {v}" for k, v in message.items()) + "\n\n" + message.get_content()


class OverTheLoopback:
    @pytest.fixture
    def notifier(self, mailbox):
        return notifier_for(mailbox)

    @pytest.fixture
    def secrets(self):
        return (PASSWORD, QUOTED)


class TestEmail(OverTheLoopback, NotifierContract):
    @pytest.fixture
    def received(self, mailbox):
        return lambda: [readable(m) for m in mailbox.messages]

    def test_it_logs_in_and_addresses_one_person(self, notifier, mailbox):
        """The password arrives as it was before it was quoted for the URL."""
        notifier.send(a_notice("a\r\nBcc: eve@evil.example"), an_employee())
        assert mailbox.passwords == [PASSWORD]
        told = [c.lower() for c in mailbox.commands if c.lower().startswith("rcpt")]
        assert told == ["rcpt to:<li.lei@school.example>"]
        assert parsed(mailbox.messages[0])["Bcc"] is None

    def test_the_same_notice_has_the_same_id(self, notifier, mailbox):
        """A mailbox can tell that a notice came twice, and two notices stay two."""
        ids = [notifier.send(a_notice(key=k), an_employee()) for k in ("k1", "k1", "k2")]
        assert ids[0] == ids[1] != ids[2]
        assert [parsed(m)["Message-ID"] for m in mailbox.messages] == ids

    def test_a_refused_goodbye_is_no_failure(self, notifier, mailbox):
        """What the server took is sent, whatever happens afterwards."""
        mailbox.on_quit = "554 go away"
        assert notifier.send(a_notice(), an_employee())
        assert len(mailbox.messages) == 1

    def test_offered_encryption_comes_before_everything_else(self, notifier, mailbox):
        """Neither the password nor the message is said before STARTTLS."""
        mailbox.extensions = ("AUTH PLAIN", "STARTTLS")
        with pytest.raises(DeliveryFailed) as caught:
            notifier.send(a_notice(), an_employee())
        assert not caught.value.permanent
        assert [c.split(" ")[0].upper() for c in mailbox.commands] == ["EHLO", "STARTTLS"]

    def test_a_password_is_not_said_in_the_clear_to_another_computer(self, mailbox):
        """A server that is not this computer and offers no encryption gets no password."""
        # 0.0.0.0 leads here as well, but is not one of the names of this computer.
        notifier = notifier_for(mailbox, host="0.0.0.0")
        with pytest.raises(DeliveryFailed):
            notifier.send(a_notice(), an_employee())
        assert not any(c.upper().startswith("AUTH") for c in mailbox.commands)

    @pytest.mark.parametrize(
        "address",
        ["", "nobody", "a@b@c", "a@b, c@d", "a@b\r\nBcc: c@d", "<a@b>", "a b@c", "@", "a@"],
    )
    def test_a_bad_address_is_refused_before_connecting(self, notifier, mailbox, address):
        """What is no single address never reaches the server, and is not tried again."""
        with pytest.raises(DeliveryFailed) as caught:
            notifier.send(a_notice(), attrs.evolve(an_employee(), email=address))
        assert caught.value.permanent
        assert mailbox.commands == []

    @pytest.mark.parametrize(
        "address", ["张三@例子.example", "a..b@c", ".a@b.", "a@b..c", "a'=!@b"]
    )
    def test_a_strange_address_is_sent_or_refused(self, notifier, address):
        """Nothing but DeliveryFailed comes out, whatever passes for an address."""
        try:
            assert notifier.send(a_notice(), attrs.evolve(an_employee(), email=address))
        except DeliveryFailed as e:
            assert e.permanent


class TestUnknownMailbox(OverTheLoopback, PermanentFailureContract):
    @pytest.fixture
    def failing(self, notifier):
        return notifier, attrs.evolve(an_employee(), email="gone@school.example")


class TestNoAddress(OverTheLoopback, PermanentFailureContract):
    @pytest.fixture
    def failing(self, notifier):
        return notifier, attrs.evolve(an_employee(), email=None)


class TestWrongPassword(PermanentFailureContract):
    @pytest.fixture
    def failing(self, mailbox):
        return notifier_for(mailbox, user="crm:wr0ng-one@"), an_employee()

    @pytest.fixture
    def secrets(self):
        return ("wr0ng-one",)


class TestBusyMailbox(OverTheLoopback, PassingFailureContract):
    @pytest.fixture
    def failing(self, notifier):
        return notifier, attrs.evolve(an_employee(), email="busy@school.example")


class TestNobodyListens(OverTheLoopback, PassingFailureContract):
    @pytest.fixture
    def failing(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        return EmailNotifier(f"smtp://crm:{QUOTED}@127.0.0.1:{port}", SENDER), an_employee()


class TestNoEncryptionThere(OverTheLoopback, PassingFailureContract):
    @pytest.fixture
    def failing(self, mailbox):
        url = f"smtps://crm:{QUOTED}@127.0.0.1:{mailbox.port}"
        return EmailNotifier(url, SENDER), an_employee()
