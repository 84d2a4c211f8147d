"""Notices by e-mail (RFC 5321 and 5322), with nothing but the standard library."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import attrs

from crm_domain.errors import BadSetting, DeliveryFailed
from crm_domain.model import Employee, Notice

if TYPE_CHECKING:
    from email.message import EmailMessage
    from smtplib import SMTP, SMTPException

TIMEOUT = 20.0
"""Seconds that each step of the conversation may take."""
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


class EmailNotifier:
    """Sends each notice as an e-mail, over a connection of its own."""

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
            DeliveryFailed: Permanent when there is no usable address or the server answered 5xx.
        """
        if not employee.email or not _ADDRESS.fullmatch(employee.email):
            raise DeliveryFailed("the employee has no usable e-mail address", permanent=True)
        message = self._message(notice, employee.email)
        with _translated(), self._connected() as smtp:
            smtp.send_message(message, self._sender, [employee.email])
        return str(message["Message-ID"])

    def close(self) -> None:
        """Do nothing: no connection outlives its message."""

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

    @contextmanager
    def _connected(self) -> Iterator[SMTP]:
        import smtplib

        smtp = self._dial()
        try:
            self._log_in(smtp)
            yield smtp
            # What happens from here on cannot unsend the message.
            with suppress(smtplib.SMTPException, OSError):
                smtp.quit()
        finally:
            smtp.close()

    def _dial(self) -> SMTP:
        import smtplib
        import ssl

        at = self._server
        if at.tls:
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(at.host, at.port, timeout=TIMEOUT, context=context)
        return smtplib.SMTP(at.host, at.port, timeout=TIMEOUT)

    def _log_in(self, smtp: SMTP) -> None:
        import ssl

        at = self._server
        safe = at.tls or at.host in _HERE
        smtp.ehlo_or_helo_if_needed()
        if not at.tls and smtp.has_extn("starttls"):
            smtp.starttls(context=ssl.create_default_context())
            safe = True
        if at.user:
            # Whoever sits in between can hide that the server offers encryption.
            if not safe:
                raise DeliveryFailed("the mail server offers no encryption for the password")
            smtp.login(at.user, at.password)


@contextmanager
def _translated() -> Iterator[None]:
    import smtplib

    try:
        yield
    except smtplib.SMTPNotSupportedError as e:
        raise DeliveryFailed("the mail server cannot do what this needs", permanent=True) from e
    except smtplib.SMTPException as e:
        code = _code(e)
        reason = f"the mail server answered {code}" if code else "the mail server broke off"
        raise DeliveryFailed(reason, permanent=500 <= code < 600) from e
    except (OSError, UnicodeError) as e:
        raise DeliveryFailed(f"the mail server was not reached ({type(e).__name__})") from e


def _code(error: SMTPException) -> int:
    """The number of the server's reply, or 0 when there was none."""
    refused = getattr(error, "recipients", None)
    if refused:
        return int(next(iter(refused.values()))[0])
    return int(getattr(error, "smtp_code", 0))


def _sound(text: str) -> str:
    """The text without halves of surrogate pairs, which no encoding can hold."""
    return text.encode("utf-8", "replace").decode()
