"""E-mail, given to a server by SMTP (RFC 5321), in a thread of its own.

Invariants:
    * A password is said over TLS only, or to this machine.
    * Who waits no longer ends it: the connection is cut, and the thread with it.
"""

import asyncio
import contextlib
import smtplib
import socket
import ssl
import threading
from email.message import EmailMessage

from balancer.domain.smtp_url import SmtpUrl
from balancer.errors import NotDelivered

# For each answer of the server; the caller's deadline is for all of it.
_TIMEOUT_SECONDS = 10.0
_REASON_LIMIT = 200


class _Plain(smtplib.SMTP):
    """Knows what its server is called before it connects: STARTTLS wants to know."""

    def __init__(self, host: str) -> None:
        super().__init__(timeout=_TIMEOUT_SECONDS)
        self._host = host


class _Encrypted(smtplib.SMTP_SSL):
    """The same, with TLS from the beginning on."""

    def __init__(self, host: str) -> None:
        super().__init__(timeout=_TIMEOUT_SECONDS, context=ssl.create_default_context())
        self._host = host


async def give(server: SmtpUrl, message: EmailMessage) -> None:
    """Give a message to a server. Raises NotDelivered."""
    client: smtplib.SMTP = await asyncio.to_thread(_Encrypted if server.encrypted else _Plain, server.host)
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def end(failure: Exception | None) -> None:
        if not done.done():
            done.set_exception(failure) if failure else done.set_result(None)

    def work() -> None:
        failure: Exception | None = None
        try:
            _converse(client, server, message)
        except (smtplib.SMTPException, OSError, ValueError) as reason:
            failure = NotDelivered(f"the mail server did not take it: {_said(reason)}")
        except Exception as reason:  # noqa: BLE001 - who waits is told of it
            failure = reason
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(end, failure)

    threading.Thread(target=work, name="smtp", daemon=True).start()
    try:
        await done
    finally:
        if client.sock is not None:
            with contextlib.suppress(OSError):
                client.sock.shutdown(socket.SHUT_RDWR)


def _converse(client: smtplib.SMTP, server: SmtpUrl, message: EmailMessage) -> None:
    with contextlib.closing(client):
        status, greeting = client.connect(server.host, server.port)
        if status != 220:
            raise smtplib.SMTPConnectError(status, greeting)
        client.ehlo()
        encrypted = server.encrypted
        if not encrypted and client.has_extn("starttls"):
            client.starttls(context=ssl.create_default_context())
            client.ehlo()
            encrypted = True
        if server.user:
            if not (encrypted or server.is_local):
                raise smtplib.SMTPException("it has no TLS, and the password is not said without")
            client.login(server.user, server.password)
        client.send_message(message)
        with contextlib.suppress(smtplib.SMTPException, OSError):
            client.quit()


def _said(reason: Exception) -> str:
    if isinstance(reason, smtplib.SMTPResponseException):
        said = reason.smtp_error.decode(errors="replace") if isinstance(reason.smtp_error, bytes) else reason.smtp_error
        return f"{reason.smtp_code} {said}"[:_REASON_LIMIT]
    if isinstance(reason, smtplib.SMTPRecipientsRefused):
        return "it refuses the recipient"
    return (str(reason) or type(reason).__name__)[:_REASON_LIMIT]
