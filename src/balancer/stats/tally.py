"""What the ledger says of a split by release, and of what an app sent.

What a report is made of is in `stats/cells`.
"""

from dataclasses import dataclass

from balancer.stats.moments import Moments


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
