"""What the ledger says of one split: visitors and moments for each (phase, variant).

The cells add up over phases, hours and shards: they are the map and the reduce of a report.
"""

from dataclasses import dataclass

from balancer.stats.moments import Moments


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposed:
    """The exposed visitors that were assigned `variant` in `phase`."""

    phase: int
    variant: str
    visitors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTally:
    """What the exposed visitors of one cell did of one event since their assignment."""

    event: str
    phase: int
    variant: str
    count: int
    """Events."""
    converted: int
    """Visitors with at least one."""
    values: Moments
    """Over the events that carried a value."""
    per_visitor: Moments
    """Over all exposed visitors of the cell: the sum of a visitor's values, 0 where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitTally:
    """All cells of one split."""

    exposed: tuple[Exposed, ...] = ()
    events: tuple[EventTally, ...] = ()
    multiple: int = 0
    """Visitors seen in two variants; they are in no cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """From `since` on the visitors of `variant` were served by `release`, if by nobody else."""

    variant: str
    release: int
    """Its id."""
    since: int
    """Milliseconds since 1970, UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseExposed:
    """The exposed visitors of a variant, in all phases, who were exposed by one release."""

    variant: str
    release: int | None
    """None where nothing tells which one it was."""
    visitors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseEvent:
    """What these visitors did of one event since their assignment, whichever release served them then."""

    event: str
    variant: str
    release: int | None
    count: int
    """Events."""
    converted: int
    """Visitors with at least one."""
    values: Moments
    """Over the events that carried a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseTally:
    """A split cut by the release that each visitor was exposed by; a cell without events is not in `events`."""

    exposed: tuple[ReleaseExposed, ...] = ()
    events: tuple[ReleaseEvent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What the ledger has taken in of one app since it began."""

    accepted: int = 0
    duplicate: int = 0
    refused: int = 0
    reasons: tuple[tuple[str, int], ...] = ()
    """Why events were refused, and how many for each reason."""
    lost_lines: int = 0
    """Lines of the edge log that never came, of whichever app they were."""
