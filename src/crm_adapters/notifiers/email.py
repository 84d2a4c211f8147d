"""Notices by e-mail (RFC 5321 and 5322), with nothing but the standard library."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import attrs

from crm_domain.errors import BadSetting, DeliveryFailed
from crm_domain.model import Employee, Notice

if TYPE_CHECKING:
    from email.message import EmailMessage
    from smtplib import SMTP

LONGEST = 25.0
"""Seconds from the first step to the last: less than half a lease, so that nobody else begins."""
STILL_THERE = 5.0
"""Seconds of these in which a server must answer on a connection that was used before."""
IDLE = 20.0
"""Seconds that a connection is kept for the next message."""
MOST = 100
"""Messages that go over one connection."""
KEPT = 4
"""Connections that are kept at most."""
_PORTS = {"smtp": 587, "smtps": 465}
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})
_ADDRESS = re.compile(r"[^\s@,;:<>()\[\]\"\\\x00-\x1f\x7f]+@[^\s@,;:<>()\[\]\"\\\x00-\x1f\x7f]+")
_CONTROL = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029]+")


@attrs.frozen(kw_only=True)
class SmtpServer:
    """Where e-mails are handed in."""

    host: str
    port: int
    tls: bool
    """Whether the connection is encrypted from the first byte on."""
    user: str = ""
    password: str = attrs.field(default="", repr=False)


def smtp_server(url: str) -> SmtpServer:
    """Read the address of a mail server.

    Args:
        url: ``smtp://user:password@host:587`` or ``smtps://…``; special characters in user and
            password are written as ``%40``.

    Raises:
        BadSetting: Without repeating the address, which holds the password.
    """
    refusal = BadSetting(
        name="CRM_SMTP_URL",
        reason="write it as smtp://user:password@host:587 or smtps://user:password@host:465, with"
        " special characters of user and password as %40",
        reason_zh="应写作 smtp://user:password@host:587 或 smtps://user:password@host:465，"
        "用户名和密码中的特殊字符写成 %40 的形式",
    )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        # The cause would quote parts of the password in a traceback.
        raise refusal from None
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    more = parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme not in _PORTS or not host or more or not (user + password).isascii():
        raise refusal
    return SmtpServer(
        host=host, port=port or _PORTS[parts.scheme], tls=parts.scheme == "smtps",
        user=user, password=password,
    )  # fmt: skip


@attrs.define(eq=False)
class _Line:
    """A connection on which the server knows us."""

    smtp: SMTP
    raw: socket.socket = attrs.field(repr=False)
    """The same connection for whoever ends it while another thread waits in it."""
    used: int = 0
    since: float = 0.0
    """Since when it has been idle, by a steady clock."""

    @contextmanager
    def until(self, moment: float) -> Iterator[None]:
        """End the connection at a moment: a server may take its time with every step and byte."""
        timer = threading.Timer(max(0.0, moment - time.monotonic()), self.cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def cut(self) -> None:
        """End the connection under whoever waits in it."""
        with suppress(OSError):
            self.raw.shutdown(socket.SHUT_RDWR)

    def is_there(self) -> bool:
        """Whether the server still answers."""
        import smtplib

        with suppress(smtplib.SMTPException, OSError), self.until(time.monotonic() + STILL_THERE):
            return self.smtp.rset()[0] == 250
        return False

    def hang_up(self) -> None:
        """Say goodbye without waiting for an answer: nothing depends on it."""
        import smtplib

        with suppress(smtplib.SMTPException, OSError):
            self.smtp.putcmd("QUIT")
        self.smtp.close()
        self.raw.close()


class EmailNotifier:
    """Sends each notice as an e-mail; those that follow each other go over one connection."""

    name = "email"

    def __init__(self, url: str, sender: str) -> None:
        """Take the settings and refuse them early; nothing is connected yet.

        Args:
            url: As for `smtp_server`.
            sender: ``crm@school.example``.

        Raises:
            BadSetting: One of them is not usable.
        """
        self._server = smtp_server(url)
        if not sender.isascii() or not _ADDRESS.fullmatch(sender):
            raise BadSetting(name="CRM_SMTP_FROM", reason=f"{sender!r} is no e-mail address",
                             reason_zh=f"{sender!r} 不是邮箱地址")  # fmt: skip
        self._sender = sender
        self._lines: deque[_Line] = deque()
        self._here: str | None = None

    def __repr__(self) -> str:
        return f"EmailNotifier({self._server!r}, {self._sender!r})"

    def address(self, employee: Employee) -> str | None:
        """Tell the e-mail address, or None."""
        return employee.email

    def send(self, notice: Notice, employee: Employee) -> str | None:
        """Send one notice.

        Returns:
            The Message-ID. It follows from the idempotency key, so that a mailbox can tell that a
            notice came twice.

        Raises:
            DeliveryFailed: Permanent when there is no usable address, or the server refused the
                recipient or the message for good. All else is the matter of the channel.
        """
        if not employee.email or not _ADDRESS.fullmatch(employee.email):
            raise DeliveryFailed("the employee has no usable e-mail address", permanent=True)
        message = self._message(notice, employee.email)
        until = time.monotonic() + LONGEST
        with _translated(until):
            line = self._line(until)
            try:
                with line.until(until), _permanent_ones():
                    line.smtp.send_message(message, self._sender, [employee.email])
            except BaseException as e:
                # After a refusal the conversation goes on; after all else nobody knows.
                self._put_back(line, sound=isinstance(e, DeliveryFailed))
                raise
            self._put_back(line, sound=True)
        return str(message["Message-ID"])

    def close(self) -> None:
        """Let go of the connections that are kept."""
        while line := self._kept():
            line.hang_up()

    def _message(self, notice: Notice, to: str) -> EmailMessage:
        from email.message import EmailMessage
        from email.policy import SMTP
        from email.utils import format_datetime

        digest = hashlib.sha256(notice.idempotency_key.encode()).hexdigest()[:32]
        message = EmailMessage(SMTP)
        message["From"], message["To"] = self._sender, to
        message["Subject"] = _CONTROL.sub(" ", _sound(notice.subject)).strip()
        message["Date"] = format_datetime(notice.created_at)
        message["Message-ID"] = f"<{digest}@{self._sender.rpartition('@')[2]}>"
        # Keeps "I am on holiday" answers away (RFC 3834).
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(_sound(notice.body), cte="base64")
        return message

    def _line(self, until: float) -> _Line:
        """Give a connection that is kept and still works, or a new one."""
        while line := self._kept():
            if time.monotonic() - line.since < IDLE and line.is_there():
                return line
            line.hang_up()
        return self._dial(until)

    def _kept(self) -> _Line | None:
        with suppress(IndexError):
            return self._lines.pop()
        return None

    def _put_back(self, line: _Line, *, sound: bool) -> None:
        line.used, line.since = line.used + 1, time.monotonic()
        if sound and line.smtp.sock and line.used < MOST and len(self._lines) < KEPT:
            self._lines.append(line)
        else:
            line.hang_up()

    def _dial(self, until: float) -> _Line:
        import smtplib
        import ssl

        at = self._server
        raw = _connected(at.host, at.port, until)
        smtp = smtplib.SMTP(local_hostname=self._here, timeout=LONGEST)
        # Finding it out asks a name server.
        self._here = smtp.local_hostname
        line = _Line(smtp, raw.dup())
        try:
            with line.until(until):
                smtp.sock = raw
                if at.tls:
                    context = ssl.create_default_context()
                    smtp.sock = context.wrap_socket(raw, server_hostname=at.host)
                code, words = smtp.getreply()
                if code != 220:
                    raise smtplib.SMTPConnectError(code, words)
                self._log_in(smtp)
        except BaseException:
            line.hang_up()
            raise
        return line

    def _log_in(self, smtp: SMTP) -> None:
        import ssl

        at = self._server
        safe = at.tls or at.host in _HERE
        smtp.ehlo_or_helo_if_needed()
        if not at.tls and smtp.has_extn("starttls"):
            # What it is checked against is kept where the library itself connects.
            smtp._host = at.host  # type: ignore[attr-defined]
            smtp.starttls(context=ssl.create_default_context())
            safe = True
        if at.user:
            # Whoever sits in between can hide that the server offers encryption.
            if not safe:
                raise DeliveryFailed("the mail server offers no encryption for the password")
            smtp.login(at.user, at.password)


def _connected(host: str, port: int, until: float) -> socket.socket:
    """Connect to the first address of a host that answers; each has its share of the time."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    error: OSError = TimeoutError()
    for place, (family, kind, protocol, _, address) in enumerate(found):
        left = until - time.monotonic()
        if left <= 0:
            break
        made = socket.socket(family, kind, protocol)
        try:
            made.settimeout(left / (len(found) - place))
            made.connect(address)
        except OSError as e:
            made.close()
            error = e
        else:
            made.settimeout(LONGEST)
            return made
    raise error


@contextmanager
def _permanent_ones() -> Iterator[None]:
    """Tell what the server refuses of this message, and not of us, and for good."""
    import smtplib

    try:
        yield
    except smtplib.SMTPNotSupportedError as e:
        # The sender is plain, so it is the recipient's address that the server cannot write.
        raise DeliveryFailed("the mail server cannot do what this needs", permanent=True) from e
    except smtplib.SMTPRecipientsRefused as e:
        [(code, words)] = e.recipients.values()
        # RFC 3463: x.7.x is their policy, such as that we may not send at all.
        of_us = code < 500 or code == 530 or re.match(rb"5\.7\.", words) is not None
        raise DeliveryFailed(f"the mail server answered {code}", permanent=not of_us) from e
    except smtplib.SMTPDataError as e:
        permanent = 500 <= e.smtp_code < 600
        raise DeliveryFailed(f"the mail server answered {e.smtp_code}", permanent=permanent) from e


@contextmanager
def _translated(until: float) -> Iterator[None]:
    """Tell all else as what passes: it is the matter of the server or of our settings."""
    import smtplib

    try:
        yield
    except smtplib.SMTPException as e:
        code = int(getattr(e, "smtp_code", 0))
        reason = f"the mail server answered {code}" if code > 0 else "the mail server broke off"
        raise DeliveryFailed(_or_late(reason, until)) from e
    except (OSError, UnicodeError) as e:
        reason = f"the mail server was not reached ({type(e).__name__})"
        raise DeliveryFailed(_or_late(reason, until)) from e


def _or_late(reason: str, until: float) -> str:
    late = time.monotonic() >= until
    return f"the mail server was not done in {LONGEST:.0f} seconds" if late else reason


def _sound(text: str) -> str:
    """The text without halves of surrogate pairs, which no encoding can hold."""
    return text.encode("utf-8", "replace").decode()
