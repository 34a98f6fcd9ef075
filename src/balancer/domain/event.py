"""Visitors, and what is recorded of them.

Invariants:
    * A visitor is a random UUID, never anything of a person.
    * An event has a name of at most 64 harmless characters and a finite value within ±10¹².
"""

import re
from enum import Enum
from typing import Self

import msgspec

from balancer.errors import InvalidInput, InvalidName

EVENT_NAME_LIMIT = 64
# 10¹², because sums of squares of 10⁹ such values still fit a double with room to spare.
VALUE_LIMIT = 1e12
EVENT_ID_LIMIT = 64
VISITOR_FORM = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
EVENT_NAME_FORM = r"[A-Za-z][A-Za-z0-9_.:-]*"
EVENT_ID_FORM = r"[A-Za-z0-9_.:-]+"
_VISITOR = re.compile(VISITOR_FORM)
_EVENT_NAME = re.compile(EVENT_NAME_FORM)
_EVENT_ID = re.compile(EVENT_ID_FORM)


class VisitorId(str):
    """A UUID in lower case, as it stands in the cookie."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Parse `text`; raises InvalidName."""
        if not _VISITOR.fullmatch(text):
            raise InvalidName(f"{text[:60]!r} is no visitor: it must be a UUID in lower case")
        return super().__new__(cls, text)


class EventName(str):
    """A name such as `purchase`: a letter first, then letters, digits and _ . : -, 64 at most."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Parse `text`; raises InvalidName."""
        if len(text) > EVENT_NAME_LIMIT or not _EVENT_NAME.fullmatch(text):
            raise InvalidName(
                f"{text[:60]!r} is no name for an event: use a letter, then letters, digits and _ . : -, "
                f"at most {EVENT_NAME_LIMIT}"
            )
        return super().__new__(cls, text)


class EventSource(Enum):
    """How an event came in; a metric can insist on the trusted ones."""

    HEADER = "header"
    """The app's own answer said so."""
    BEACON = "beacon"
    """The page said so; anyone can."""
    EDGE = "edge"
    """The proxy saw it: exposures and failures."""
    API = "api"
    """A server said so, with a token."""
    IMPORT = "import"
    """Brought in from a file that does not say how it came."""

    # By identity, as they are compared: the hash of an Enum runs Python code, for each of the events of a batch.
    __hash__ = object.__hash__


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A named thing that a visitor did.

    A Struct, because the ledger makes tens of thousands each second, and a frozen dataclass costs six times as much.
    """

    name: EventName
    value: float | None = None
    id: str | None = None
    """Given by the sender so that a repetition counts once, within 7 days."""

    def __post_init__(self) -> None:
        # Nothing that is not finite is within the limits.
        if self.value is not None and not -VALUE_LIMIT <= self.value <= VALUE_LIMIT:
            raise InvalidInput(f"the value {self.value} of {self.name} is not finite or beyond ±{VALUE_LIMIT:g}")
        if self.id is not None and (len(self.id) > EVENT_ID_LIMIT or not _EVENT_ID.fullmatch(self.id)):
            raise InvalidInput(
                f"the event id {self.id[:60]!r} must have 1 to {EVENT_ID_LIMIT} letters, digits and _ . : -"
            )
