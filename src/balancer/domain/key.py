"""Public keys that may push over ssh, parsed at the edge.

Invariants:
    * A key is one line that sshd reads as what it is: a type that we know, and a blob of this type.
    * A name is safe in a command line and in `authorized_keys`.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from balancer.errors import InvalidInput, InvalidName

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,59}")
_TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)


class KeyName(str):
    """The name of a key: letters, digits and . _ @ -, a letter or digit first, 60 at most."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Parse `text`; raises InvalidName."""
        if not _NAME.fullmatch(text):
            raise InvalidName(
                f"{text[:60]!r} is no name for a key: use letters, digits and . _ @ -, a letter or digit first, "
                "at most 60 (such as `ada@laptop`)"
            )
        return super().__new__(cls, text)


class PublicKey(str):
    """A public key as `ssh-keygen` writes it, without its comment: `ssh-ed25519 AAAA…`."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Parse the text of a `.pub` file; raises InvalidInput."""
        if "PRIVATE KEY" in text:
            raise InvalidInput("this is a private key, which nobody else should see: give the file that ends in .pub")
        words = text.split()
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) != 1 or len(words) < 2 or words[0] not in _TYPES or not _fits(words[0], words[1]):
            raise InvalidInput(
                f"this is no public key: give one line such as `ssh-ed25519 AAAA… you@laptop`; "
                f"the types are {', '.join(_TYPES)}"
            )
        return super().__new__(cls, f"{words[0]} {words[1]}")

    @property
    def fingerprint(self) -> str:
        """The fingerprint as `ssh-keygen -l` shows it, `SHA256:…`."""
        digest = hashlib.sha256(base64.b64decode(self.split()[1])).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key that may push."""

    name: KeyName
    public: PublicKey
    created_at: datetime


def _fits(kind: str, blob: str) -> bool:
    """Tell whether a blob is base64 and begins with its type (RFC 4253, 6.6)."""
    try:
        raw = base64.b64decode(blob, validate=True)
    except ValueError:
        return False
    head = len(kind).to_bytes(4, "big") + kind.encode()
    return raw.startswith(head) and len(raw) > len(head) + 16
