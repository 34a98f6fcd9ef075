"""URLs of git repositories that the platform fetches from, parsed at the edge.

Invariants:
    * Only https, http and ssh: no local path, and no program of the machine.
    * What is shown has no password in it.
"""

import re
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from balancer.errors import InvalidName

_LIMIT = 2000
# git's short form of ssh: user@host:path.
_SHORT = re.compile(r"[A-Za-z0-9_][\w.-]*@[A-Za-z0-9][\w.-]*:[\w~./+-][\w~./+@-]*", re.ASCII)
_SCHEMES = ("https", "http", "ssh")


class RemoteUrl(str):
    """The URL of a repository, such as `https://git.example/shop.git` or `git@git.example:shop.git`."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Parse `text`; raises InvalidName, without the password in it."""
        if not (len(text) <= _LIMIT and text.isprintable() and " " not in text and _fits(text)):
            raise InvalidName(
                f"{without_password(text)[:200]!r} is no URL that can be fetched from: write https://…, http://…, "
                "ssh://… or user@host:path"
            )
        return super().__new__(cls, text)

    @property
    def shown(self) -> str:
        """The URL for people: without its password."""
        return without_password(self)


def without_password(text: str) -> str:
    """Return a URL, or a text with some, without the passwords in them."""
    return re.sub(r"(://[^/\s:@]*):[^/\s]*@", r"\1@", text)


def _fits(text: str) -> bool:
    if _SHORT.fullmatch(text):
        return True
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    plain = urlunsplit(parts) == text and not parts.fragment
    # A host that begins with a hyphen would be an option of ssh.
    return plain and parts.scheme in _SCHEMES and bool(host) and not str(host).startswith("-") and len(parts.path) > 1
