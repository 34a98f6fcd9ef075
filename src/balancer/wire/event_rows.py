"""Bodies about the rows of the ledger."""

from typing import Self

from balancer.domain.event_row import Erased
from balancer.wire.body import Body


class EventRowBody(Body):
    """One row: an event, or an exposure. Times are milliseconds since 1970, UTC."""

    visitor: str = ""
    name: str = ""
    ts: int = 0
    value: float | None = None
    id: str | None = None
    split: str | None = None
    phase: int = 0
    variant: str = ""
    assigned_at: int = 0
    release: int | None = None
    source: str = "import"
    stood_in: bool = False
    dims: str | None = None
    skipped: int = 0
    """Where this is not 0 nothing else counts: so many came as well, too many to show."""


class ErasedBody(Body):
    """What was taken out of the ledger."""

    events: int
    """Rows, exposures among them."""
    exposures: int
    """Splits of which the visitor was a part."""

    @classmethod
    def of(cls, erased: Erased) -> Self:
        """Return the body of what was erased."""
        return cls(events=erased.events, exposures=erased.exposures)
