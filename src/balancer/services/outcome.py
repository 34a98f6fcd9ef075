"""What the visitors of each variant did of one event, and how that differs from the control.

Invariants:
    * Where data cannot carry a number there is None or the reason, never 0 or 1 in its place.
    * Variants are compared within phases; the plain figures of a variant are over all its phases.
    * A reading says what one look shows; where the sample ratio alarms, no difference is read as one.

The part of a report that is about events; all of it is plain, so that JSON carries it there and back.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from balancer.domain.app import BranchName
from balancer.domain.split import Split
from balancer.stats.arm import Arm, Inconclusive, Interval, interval, rate_interval
from balancer.stats.compare import Comparison, Stratum, alpha_each, compare
from balancer.stats.moments import Moments
from balancer.stats.tally import EventTally, SplitTally

# 5 %, because it is what people expect; the comparisons of one figure share it among them.
ALPHA = 0.05


class Reading(Enum):
    """What a difference shows at this look."""

    ABOVE = "above the control"
    BELOW = "below the control"
    OPEN = "no difference shown yet"
    NOT_ENOUGH_DATA = "not enough data"
    BROKEN_SPLIT = "broken split"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A variant less the control, within phases."""

    reading: Reading
    comparison: Comparison | Inconclusive


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the visitors of one variant did of one event, over all phases."""

    branch: str
    visitors: int
    """Those exposed, whether they did it or not."""
    count: int
    """Events."""
    mean: float | None
    """Of the values that the events carried; None where they carried none."""
    sd: float | None
    """Of the same values; None below two of them."""
    converted: int
    """Visitors with at least one event."""
    rate: float | None
    """converted / visitors; None without visitors."""
    rate_interval: Interval | Inconclusive
    rate_difference: Difference | None
    """None for the control."""
    value_per_visitor: float | None
    """A visitor's values added up, 0 for those without; None without visitors or where no event carries a value."""
    value_interval: Interval | Inconclusive | None
    """None where no event carries a value."""
    value_difference: Difference | None
    """None for the control, and where no event carries a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReport:
    """One event, by variant, the control first."""

    event: str
    outcomes: tuple[Outcome, ...]


class Cells:
    """The tally of a split by phase and branch; a cell that the ledger does not mention is empty."""

    def __init__(self, split: Split, tally: SplitTally) -> None:
        self.split = split
        self.branches = branches_of(split)
        self.events = tuple(sorted({cell.event for cell in tally.events}))
        self._exposed = {(cell.phase, cell.variant): cell.visitors for cell in tally.exposed}
        self._events = {(cell.event, cell.phase, cell.variant): cell for cell in tally.events}

    def visitors(self, phase: int, branch: BranchName) -> int:
        """Return the exposed visitors of a cell."""
        return self._exposed.get((phase, branch.slug), 0)

    def event(self, event: str, phase: int, branch: BranchName) -> EventTally:
        """Return what the visitors of a cell did of `event`.

        Raises ValueError where the ledger's moments are not over all the visitors of the cell.
        """
        visitors = self.visitors(phase, branch)
        nothing = EventTally(
            event=event,
            phase=phase,
            variant=branch.slug,
            count=0,
            converted=0,
            values=Moments.empty(),
            per_visitor=Moments.empty().with_zeros(visitors),
        )
        found = self._events.get((event, phase, branch.slug), nothing)
        if found.per_visitor.n != visitors:
            raise ValueError(
                f"{event} of {branch} in phase {phase} has moments over {found.per_visitor.n} visitors, "
                f"but {visitors} are exposed"
            )
        return found


def branches_of(split: Split) -> tuple[BranchName, ...]:
    """Return every branch that has had a part in the split: the control first, then those of the latest phase."""
    named = (branch for phase in reversed(split.phases) for branch in phase.weights)
    return tuple(dict.fromkeys((split.control, *named)))


def event_report(cells: Cells, event: str, *, trusted: bool) -> EventReport:
    """Return one event of each variant; `trusted` tells that the sample ratio does not alarm."""
    tallies = {branch: _by_phase(cells, event, branch) for branch in cells.branches}
    valued = any(tally.values.n for by_phase in tallies.values() for tally in by_phase)
    outcomes = []
    for branch, by_phase in tallies.items():
        rate = value = None
        if branch != cells.split.control:
            control = tallies[cells.split.control]
            rate = _difference(cells, control, by_phase, _rate_arm, trusted=trusted)
            value = _difference(cells, control, by_phase, _value_arm, trusted=trusted) if valued else None
        outcomes.append(_outcome(cells.split, branch, by_phase, valued, rate, value))
    return EventReport(event=event, outcomes=tuple(outcomes))


def _by_phase(cells: Cells, event: str, branch: BranchName) -> tuple[EventTally, ...]:
    return tuple(cells.event(event, phase.number, branch) for phase in cells.split.phases)


def _outcome(
    split: Split,
    branch: BranchName,
    by_phase: Iterable[EventTally],
    valued: bool,
    rate_difference: Difference | None,
    value_difference: Difference | None,
) -> Outcome:
    total = _pooled(by_phase)
    visitors, arm = total.per_visitor.n, _value_arm(total)
    return Outcome(
        branch=str(branch),
        visitors=visitors,
        count=total.count,
        mean=total.values.mean if total.values.n else None,
        sd=total.values.sd,
        converted=total.converted,
        rate=total.converted / visitors if visitors else None,
        rate_interval=rate_interval(total.converted, visitors, alpha=ALPHA, expected_visitors=split.expected_visitors),
        rate_difference=rate_difference,
        value_per_visitor=arm.moments.mean if valued and visitors else None,
        value_interval=interval(arm, alpha=ALPHA, expected_visitors=split.expected_visitors) if valued else None,
        value_difference=value_difference,
    )


def _difference(
    cells: Cells,
    control: Iterable[EventTally],
    treatment: Iterable[EventTally],
    arm: Callable[[EventTally], Arm],
    *,
    trusted: bool,
) -> Difference:
    found = compare(
        (
            Stratum(phase=ours.phase, control=arm(theirs), treatment=arm(ours))
            for theirs, ours in zip(control, treatment, strict=True)
        ),
        alpha=alpha_each(ALPHA, len(cells.branches)),
        expected_visitors=cells.split.expected_visitors,
    )
    return Difference(reading=_reading(found) if trusted else Reading.BROKEN_SPLIT, comparison=found)


def _reading(found: Comparison | Inconclusive) -> Reading:
    if isinstance(found, Inconclusive):
        return Reading.NOT_ENOUGH_DATA
    if found.low > 0:
        return Reading.ABOVE
    return Reading.BELOW if found.high < 0 else Reading.OPEN


def _rate_arm(tally: EventTally) -> Arm:
    return Arm.of_rate(tally.converted, tally.per_visitor.n)


def _value_arm(tally: EventTally) -> Arm:
    # No visitor without an event with a value has one that is not 0, so neither count is below the conversions.
    return Arm(moments=tally.per_visitor, conversions=min(tally.converted, tally.values.n))


def _pooled(by_phase: Iterable[EventTally]) -> EventTally:
    by_phase = tuple(by_phase)
    return EventTally(
        event=by_phase[0].event,
        phase=by_phase[0].phase,
        variant=by_phase[0].variant,
        count=sum(tally.count for tally in by_phase),
        converted=sum(tally.converted for tally in by_phase),
        values=sum((tally.values for tally in by_phase), Moments.empty()),
        per_visitor=sum((tally.per_visitor for tally in by_phase), Moments.empty()),
    )
