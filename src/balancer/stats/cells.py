"""What the ledger is asked of a split, and what it says: one number a visitor, as moments of small cells.

Invariants:
    * A cell holds the visitors of one (phase, variant, day of assignment): cells add up to days, phases, the whole.
    * Each exposed visitor gives one number for each measure, 0 where there is none.
    * What arrived after `as_of` is not looked at, so that a look can be repeated to the same figures.
    * A visitor seen in two variants is in no cell.

A question is put by `services`, answered by an engine in `store`; all of it is plain, so that JSON carries it there
and back. Times are milliseconds since 1970, UTC.
"""

from dataclasses import dataclass
from enum import StrEnum

from balancer.stats.comoments import CoMoments


class What(StrEnum):
    """What is taken of a visitor's events of one name."""

    HAPPENED = "happened"
    """1 where there is at least one, else 0."""
    EVENTS = "events"
    """How many there are."""
    VALUES = "values"
    """Their values added up."""
    VALUED = "valued"
    """How many carry a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One number of a visitor."""

    event: str
    what: What


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """How the events of a visitor become one number y, and with a ratio or a covariate a second one x."""

    name: str
    y: Part
    x: Part | None = None
    """The denominator of a ratio."""
    steps: tuple[str, ...] = ()
    """Of a funnel: events that have to happen in this order, or at one moment. y is then 1 for who reached the last,
    whatever `y` is."""
    quantile: float | None = None
    """Asks for this quantile of the values of y's event, for display; from 0 to 1."""
    since: int = 0
    until: int
    """Events count from assignment + `since` until before assignment + `until`, in milliseconds; then the visitor is
    mature."""
    sources: tuple[str, ...] = ()
    """The ones that count; all of them where this is empty."""
    cap: float | None = None
    """Where y (and the covariate) of a visitor are cut, to both sides of 0."""
    covariate: int = 0
    """Where this is not 0, x is y over that many milliseconds before the assignment (CUPED); not with a ratio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitQuestion:
    """What is wanted of a split."""

    app: str
    split: str
    phases: tuple[int, ...]
    variants: tuple[str, ...]
    """Slugs of branches; rows of other phases or variants are left out."""
    measures: tuple[Measure, ...]
    as_of: int
    """Only what arrived up to then; and who is mature is told as of then."""
    offsets: tuple[tuple[int, int], ...] = ((0, 0),)
    """From when on how many milliseconds the app's time is ahead of UTC, in order; the first from the beginning on."""
    dimension: str | None = None
    """Cut the cells by what this dimension was at the exposure: `device`, `country`, `path`, `release`, or a custom
    one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposedCell:
    """The exposed visitors of a cell."""

    phase: int
    variant: str
    day: int
    """Days since 1970 of the assignment, in the app's time."""
    bucket: str | None = None
    """The value of the dimension; None without a dimension, and where nothing tells it."""
    visitors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureCell:
    """What the visitors of a cell did."""

    phase: int
    variant: str
    day: int
    bucket: str | None = None
    mature: bool
    """Whether their time to count is over at `as_of`; the day between may have a cell of each."""
    events: int
    """Of y's name (of a funnel: of all steps), in the window."""
    conversions: int
    """Visitors whose y is not 0."""
    moments: CoMoments
    """Over all exposed visitors of the cell, zeros included; x is 0 where a measure has none."""
    reached: tuple[int, ...] = ()
    """Of a funnel: visitors who reached each step in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantileCell:
    """A quantile of the values of a variant, over all phases and days."""

    variant: str
    events: int
    """With a value, in the window."""
    value: float
    """Interpolated linearly between the two nearest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureCells:
    """One measure; a cell without visitors is not there."""

    name: str
    cells: tuple[MeasureCell, ...]
    quantiles: tuple[QuantileCell, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedEvents:
    """The events of one name that an app ever had, those of visitors outside of splits too."""

    event: str
    events: int
    valued: int
    """How many of them carried a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventNames:
    """What an app calls its events."""

    names: tuple[NamedEvents, ...] = ()
    """In alphabetical order; the platform's own, which begin with `$`, are not among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitCells:
    """All that was asked, as of one moment."""

    exposed: tuple[ExposedCell, ...] = ()
    measures: tuple[MeasureCells, ...] = ()
    """In the order in which they were asked."""
    multiple: int = 0
    """Visitors seen in two variants; they are in no cell."""
