"""The server that e-mail is given to: `smtp://user:password@host:587`, or `smtps://…` for TLS from the beginning on.

Invariant: written out without its password it may be logged and shown.
"""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Self
from urllib.parse import unquote, urlsplit

from balancer.errors import InvalidName

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*|[0-9A-Fa-f:.]+")
_HELP = "write smtp://user:password@host:587, or smtps://… for TLS from the beginning on"
_PORTS = {"smtp": 25, "smtps": 465}


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpUrl:
    """A mail server."""

    host: str
    port: int
    user: str
    """Empty: who sends does not log in."""
    password: str = field(repr=False)
    encrypted: bool
    """By TLS from the beginning on; else by STARTTLS where the server has it."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what `text` says; raises InvalidName, whose message has no password in it."""
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise InvalidName(f"this is no URL of a mail server: {_HELP}") from None
        if parts.scheme not in _PORTS or not _HOST.fullmatch(host) or parts.path not in ("", "/") or parts.query:
            raise InvalidName(f"this is no URL of a mail server: {_HELP}")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if bool(user) != bool(password):
            raise InvalidName(f"a mail server wants a user with a password, or neither: {_HELP}")
        return cls(
            host=host,
            port=_PORTS[parts.scheme] if port is None else port,
            user=user,
            password=password,
            encrypted=parts.scheme == "smtps",
        )

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine: then nobody between reads a password."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False
