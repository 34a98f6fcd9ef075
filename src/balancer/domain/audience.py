"""Audiences: which visitors a split is for.

Invariants:
    * Who does not belong to the audience when they could be assigned sees the default branch, and is asked again.
    * Who was assigned stays so, wherever they go.
    * What is in an audience is safe in HAProxy's maps: it has no spaces and no control characters.
"""

import re
from dataclasses import dataclass, field
from typing import Self

from balancer.errors import InvalidName, InvalidSplit

VALUES_LIMIT = 50
"""Values that a condition may name."""
COUNTRY_HEADER = "cf-ipcountry"
"""What CDNs call the header that tells a visitor's country; Cloudflare's name is the one most proxies imitate."""
_PATH = re.compile(r"/[!-~]{0,200}")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,59}")
_VALUE = re.compile(r"[ -~]{1,100}")


class HeaderName(str):
    """The name of a request's header, in lower case."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Parse `text`; raises InvalidName."""
        if not _HEADER.fullmatch(text):
            raise InvalidName(f"{text[:60]!r} is no name for a header: use letters, digits and -, a letter first")
        return super().__new__(cls, text.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderCondition:
    """A header that a request must have, with one of some values; capitals make no difference."""

    name: HeaderName
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.values) <= VALUES_LIMIT:
            raise InvalidSplit(
                f"the header {self.name} needs from 1 to {VALUES_LIMIT} values, such as `{self.name}=de`"
            )
        for value in self.values:
            if not _VALUE.fullmatch(value) or value != value.strip():
                raise InvalidSplit(
                    f"the value {value[:60]!r} of the header {self.name} must have 1 to 100 printable characters, "
                    "and no spaces around them"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Audience:
    """What a request must have so that its visitor can be assigned: all of these."""

    path: str | None = None
    """The path has to begin with it."""
    headers: tuple[HeaderCondition, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.path is not None and not _PATH.fullmatch(self.path):
            raise InvalidSplit(
                f"the path {self.path[:60]!r} must begin with /, have no spaces and at most 200 characters"
            )
        names = [condition.name for condition in self.headers]
        if len(set(names)) < len(names):
            raise InvalidSplit(f"a header is named twice: {', '.join(names)}; give all its values in one condition")


EVERYONE = Audience()


def parse_header(text: str) -> HeaderCondition:
    """Return the condition that `cf-ipcountry=de,at` gives. Raises InvalidSplit, InvalidName."""
    name, equals, values = text.partition("=")
    if not equals:
        raise InvalidSplit(f"{text!r} is no condition: write NAME=VALUE or NAME=VALUE,VALUE, such as `x-beta=1`")
    return HeaderCondition(name=HeaderName(name.strip()), values=tuple(value.strip() for value in values.split(",")))


def describe(audience: Audience) -> str:
    """Return an audience for people."""
    parts = [f"paths that begin with {audience.path}"] if audience.path else []
    parts += [f"{condition.name} {' or '.join(condition.values)}" for condition in audience.headers]
    return ", ".join(parts) or "everyone"
