"""Tokens: what the admin API knows a caller by.

Invariants:
    * A token is kept and compared by its SHA-256 only.
    * A name is safe in a line of a log, in a path and in a command line.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from balancer.domain.role import Role
from balancer.errors import InvalidName

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,59}")
USE_NOTED_EVERY = timedelta(hours=1)
"""How exactly the last use is known: more often it would be a write to the disk for every call."""


class TokenName(str):
    """The name of a token: letters, digits and . _ @ -, a letter or digit first, 60 at most."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Parse `text`; raises InvalidName."""
        if not _NAME.fullmatch(text):
            raise InvalidName(
                f"{text[:60]!r} is no name for a token: use letters, digits and . _ @ -, a letter or digit first, "
                "at most 60 (such as `ada` or `ci`)"
            )
        return super().__new__(cls, text)


OPERATORS_OWN = TokenName("operator")
"""That of the data directory, which the commands of the machine use; the daemon makes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token, without its text."""

    name: TokenName
    role: Role
    created_at: datetime
    used_at: datetime | None
    """When it was used last, to within USE_NOTED_EVERY; None: never."""

    def use_is_news(self, now: datetime) -> bool:
        """Tell whether a use now is to be noted."""
        return self.used_at is None or now - self.used_at >= USE_NOTED_EVERY


def digest(text: str) -> str:
    """Return the form in which a secret text is kept."""
    return hashlib.sha256(text.encode()).hexdigest()
