"""The e-mail channel keeps to the contract of a Notifier, against a real server."""

import email
import email.policy
import socket
import threading
import time

import attrs
import pytest
from tests.contracts.smtp_server import PASSWORD, Mailbox

from crm_adapters.notifiers import email as channel
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
        for notifier in server.clients:
            notifier.close()
        server.shutdown()
        thread.join()


def notifier_for(mailbox, *, user=f"crm:{QUOTED}@", host="127.0.0.1"):
    notifier = EmailNotifier(f"smtp://{user}{host}:{mailbox.port}", SENDER)
    mailbox.clients.append(notifier)
    return notifier


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

    def test_a_run_of_messages_goes_over_one_connection(self, notifier, mailbox):
        """It is signed in once, and each message begins anew."""
        for n in range(3):
            notifier.send(a_notice(key=f"k{n}"), an_employee())
        assert len(mailbox.messages) == 3
        assert len(mailbox.passwords) == 1
        assert [c for c in mailbox.commands if c.upper() == "RSET"] == ["rset"] * 2

    def test_a_recipient_that_is_refused_ends_no_connection(self, notifier, mailbox):
        """Whoever comes next goes over the same."""
        with pytest.raises(DeliveryFailed):
            notifier.send(a_notice(), attrs.evolve(an_employee(), email="gone@school.example"))
        assert notifier.send(a_notice(), an_employee())
        assert len(mailbox.passwords) == 1

    def test_a_connection_that_was_lost_meanwhile_costs_nothing(self, notifier, mailbox):
        """Another is made, and the message arrives once."""
        notifier.send(a_notice(), an_employee())
        mailbox.on_rset = None
        notifier.send(a_notice(key="k2"), an_employee())
        assert (len(mailbox.messages), len(mailbox.passwords)) == (2, 2)

    def test_a_connection_is_not_used_for_ever(self, notifier, mailbox, monkeypatch):
        """Neither for too many messages, nor after a while; and not after the end."""
        monkeypatch.setattr(channel, "MOST", 2)
        for n in range(4):
            notifier.send(a_notice(key=f"k{n}"), an_employee())
        assert len(mailbox.passwords) == 2
        monkeypatch.setattr(channel, "MOST", 100)
        notifier.send(a_notice(key="k5"), an_employee())
        monkeypatch.setattr(channel, "IDLE", 0.0)
        notifier.send(a_notice(key="k6"), an_employee())
        notifier.close()
        notifier.send(a_notice(key="k7"), an_employee())
        assert len(mailbox.passwords) == 5

    @pytest.mark.parametrize(
        ("verb", "answer", "permanent"),
        [
            ("HELLO", "554 no more of you", False),
            ("AUTH", "535 who are you", False),
            ("AUTH", "530 encrypt first", False),
            ("MAIL", "550 we do not know this sender", False),
            ("MAIL", "553 not your address", False),
            ("RCPT", "550 5.1.1 no such mailbox", True),
            ("RCPT", "550 5.7.1 relaying denied", False),
            ("RCPT", "530 5.7.0 sign in first", False),
            ("RCPT", "452 too many", False),
            ("DATA", "554 we do not like it", True),
            ("DATA", "451 later", False),
        ],
    )
    def test_only_what_is_refused_of_a_message_is_permanent(
        self, notifier, mailbox, verb, answer, permanent
    ):
        """A password that was changed must not make all that waits a dead letter."""
        mailbox.answers[verb] = answer
        with pytest.raises(DeliveryFailed) as caught:
            notifier.send(a_notice(), an_employee())
        assert caught.value.permanent is permanent
        assert answer[:3] in str(caught.value)

    def test_a_server_without_sign_in_refuses_nothing_for_good(self, notifier, mailbox):
        """It is set up wrongly, and the message can wait for that."""
        mailbox.extensions = ("8BITMIME",)
        with pytest.raises(DeliveryFailed) as caught:
            notifier.send(a_notice(), an_employee())
        assert not caught.value.permanent

    @pytest.mark.parametrize("slow", ["HELLO", "EHLO", "AUTH", "MAIL", "RCPT", "DATA"])
    def test_a_server_that_does_not_answer_is_left_in_time(
        self, notifier, mailbox, monkeypatch, slow
    ):
        """Whatever step it keeps silent at."""
        monkeypatch.setattr(channel, "LONGEST", 0.5)
        mailbox.silent_at = slow
        begun = time.monotonic()
        with pytest.raises(DeliveryFailed) as caught:
            notifier.send(a_notice(), an_employee())
        assert 0.4 < time.monotonic() - begun < 3
        assert not caught.value.permanent

    def test_all_steps_together_have_one_limit(self, notifier, mailbox, monkeypatch):
        """A server that says a letter now and then is as slow as one that says nothing."""
        monkeypatch.setattr(channel, "LONGEST", 1.0)
        mailbox.seconds = 0.02
        begun = time.monotonic()
        with pytest.raises(DeliveryFailed, match="1 seconds"):
            notifier.send(a_notice(), an_employee())
        assert time.monotonic() - begun < 4


class TestUnknownMailbox(OverTheLoopback, PermanentFailureContract):
    @pytest.fixture
    def failing(self, notifier):
        return notifier, attrs.evolve(an_employee(), email="gone@school.example")


class TestNoAddress(OverTheLoopback, PermanentFailureContract):
    @pytest.fixture
    def failing(self, notifier):
        return notifier, attrs.evolve(an_employee(), email=None)


class TestWrongPassword(PassingFailureContract):
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
