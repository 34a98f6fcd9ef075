"""What the ledger is asked of events as such, and what it says: how many, of what value, of how many visitors.

Invariants:
    * A cell holds the events of one name, variant and bucket; one without a bucket holds those of the whole range.
    * Visitors are counted exactly and each once a cell: they do not add up over buckets.

A question is put by `services`, answered by an engine in `store`; all of it is plain, so that JSON carries it there
and back. Times are milliseconds since 1970, UTC.
"""

from dataclasses import dataclass

from balancer.stats.moments import Moments


@dataclass(frozen=True, slots=True, kw_only=True)
class RawQuestion:
    """Which events, and in which buckets."""

    app: str
    unit: str | None = None
    """`hour`, `day`, `week` (from Monday on) or `month`; None: the whole range alone."""
    offsets: tuple[tuple[int, int], ...] = ((0, 0),)
    """From when on how many milliseconds the app's time is ahead of UTC, in order; the first from the beginning on."""
    event: str | None = None
    """Only those of this name; None: of every name that is the app's own."""
    split: str | None = None
    """Only those that happened in this split; None: all."""
    since: int | None = None
    until: int | None = None
    """Only those that happened before; where these are None, all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawCell:
    """What there is of one event."""

    event: str
    variant: str
    """Slug of the branch that the visitor was assigned to; empty where no branch is told of."""
    bucket: int | None
    """When the hour begins; else the days since 1970, in the app's time, of the first day. None: the whole range."""
    count: int
    values: Moments
    """Over the events that carried a value."""
    visitors: int
    """Different ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawCells:
    """All cells with an event in them, by event, variant and bucket; the whole range comes first."""

    cells: tuple[RawCell, ...] = ()
