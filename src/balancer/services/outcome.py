"""What the visitors of each variant did by one metric, and how that differs from the control.

Invariants:
    * Where data cannot carry a number there is None or the reason, never 0 or 1 in its place.
    * Variants are compared within phases, on mature visitors; the plain figures of a variant are over all its visitors.
    * A reading says what one look shows; where the sample ratio alarms, no difference is read as one.

The part of a report that is about a metric; all of it is plain, so that JSON carries it there and back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from balancer.domain.app import BranchName
from balancer.domain.metric import Better, Kind, Metric, Role
from balancer.domain.split import Split
from balancer.services.strata import Strata, is_proportion, is_ratio
from balancer.stats.arm import VISITORS_AN_ARM, Inconclusive, Interval, Reason, interval, rate_interval
from balancer.stats.bayes import Chance, chance
from balancer.stats.cells import MeasureCells
from balancer.stats.compare import Comparison, alpha_each, compare
from balancer.stats.corrections import benjamini_hochberg
from balancer.stats.fixed import compare_once
from balancer.stats.lift import Lift, lift
from balancer.stats.power import still_needed

# 5 %, because it is what people expect; the comparisons of one figure share it among them.
ALPHA = 0.05


class Reading(Enum):
    """What a difference shows at this look."""

    ABOVE = "above the control"
    BELOW = "below the control"
    OPEN = "no difference shown yet"
    NOT_ENOUGH_DATA = "not enough data"
    BROKEN_SPLIT = "broken split"
    HIDDEN = "hidden until the date"
    """Of a fixed-horizon split whose date has not come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A variant less the control, within phases."""

    reading: Reading
    comparison: Comparison | Inconclusive
    """On mature visitors; the only one that anything is decided on."""
    lift: Lift | Inconclusive
    """The same as a part of the control, for display."""
    adjusted_p: float | None = None
    """Of a metric that does not decide: p, corrected for how many of them there are (Benjamini & Hochberg)."""
    chance: Chance | None = None
    """The chance that the variant is the better one, for display."""
    needed: int | None = None
    """How many more visitors the interval needs to leave 0 out, if the truth is what is seen; None where that
    cannot be said, and where it does already."""
    preliminary: Comparison | Inconclusive | None = None
    """With young visitors, whose time is not over; for display, where there is no comparison yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the visitors of one variant did, over all phases."""

    branch: str
    visitors: int
    """Those exposed, whether they did anything or not."""
    mature: int
    """Those of them whose time to count is over."""
    events: int
    """Within the window of each visitor."""
    converted: int
    """Visitors whose number is not 0."""
    value: float | None
    """The mean number of a visitor: a rate from 0 to 1, events, or a sum of values; of a ratio the quotient. None where
    there is nothing to divide by."""
    sd: float | None
    """Of a visitor's number; None below two visitors, and of ratios."""
    interval: Interval | Inconclusive
    """Of the mean of mature visitors."""
    difference: Difference | None
    """None for the control, and of what is for display."""
    reached: tuple[int, ...] = ()
    """Of a funnel: visitors who reached each step."""
    quantile: float | None = None
    """Of a quantile: its value; None without values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricReport:
    """One metric, by variant, the control first."""

    metric: str
    kind: Kind
    events: tuple[str, ...]
    window_seconds: int
    """After the assignment; then a visitor is mature."""
    better: Better
    role: Role
    primary: bool
    """Whether it is what decides the split."""
    declared: bool
    """False where it is implied by an event: it was not named before the split began."""
    cuped: bool
    cap: float | None
    outcomes: tuple[Outcome, ...]

    @property
    def is_rate(self) -> bool:
        """Whether each visitor gives 0 or 1."""
        return self.kind in (Kind.CONVERTED, Kind.RETENTION, Kind.FUNNEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How the figures of a look are to be read."""

    trusted: bool
    """Whether the sample ratio does not alarm."""
    hidden: bool = False
    """Whether the date of a fixed-horizon split has not come."""
    fixed: bool = False
    """Whether it has: then intervals are those of one look."""


def branches_of(split: Split) -> tuple[BranchName, ...]:
    """Return every branch that has had a part in the split: the control first, then those of the latest phase."""
    named = (branch for phase in reversed(split.phases) for branch in phase.weights)
    return tuple(dict.fromkeys((split.control, *named)))


def metric_report(
    split: Split, metric: Metric, cells: MeasureCells, terms: Terms, *, primary: bool, declared: bool
) -> MetricReport:
    """Return one metric of each variant."""
    strata = Strata(split, metric, cells.cells)
    quantiles = {cell.variant: cell.value for cell in cells.quantiles}
    return MetricReport(
        metric=str(metric.name),
        kind=metric.kind,
        events=metric.events,
        window_seconds=metric.until_seconds,
        better=metric.better,
        role=metric.role,
        primary=primary,
        declared=declared,
        cuped=metric.cuped,
        cap=metric.cap,
        outcomes=tuple(_outcome(strata, branch, quantiles, terms) for branch in branches_of(split)),
    )


def corrected(reports: tuple[MetricReport, ...]) -> tuple[MetricReport, ...]:
    """Return the reports with the p-values of the metrics that do not decide corrected for how many they are."""
    places = [
        (metric, place)
        for metric, report in enumerate(reports)
        if not report.primary
        for place, outcome in enumerate(report.outcomes)
        if outcome.difference and isinstance(outcome.difference.comparison, Comparison)
    ]
    adjusted = dict(zip(places, benjamini_hochberg([_p(reports[m].outcomes[p]) for m, p in places]), strict=True))

    def outcome(key: tuple[int, int], found: Outcome) -> Outcome:
        if key not in adjusted or found.difference is None:
            return found
        return replace(found, difference=replace(found.difference, adjusted_p=adjusted[key]))

    return tuple(
        replace(report, outcomes=tuple(outcome((m, p), found) for p, found in enumerate(report.outcomes)))
        for m, report in enumerate(reports)
    )


def comparison_of(
    strata: Strata, branch: BranchName, *, young: bool = False, until: int | None = None
) -> Comparison | Inconclusive:
    """Return a variant less the control, with the interval that holds at every look."""
    found = compare(
        strata.against_control(branch, young=young, until=until),
        alpha=alpha_each(ALPHA, len(branches_of(strata.split))),
        expected_visitors=strata.split.expected_visitors,
    )
    if found == Inconclusive(reason=Reason.FEW_VISITORS) and not young:
        there = strata.against_control(branch, young=True, until=until)
        if any(min(pair.control.n, pair.treatment.n) >= VISITORS_AN_ARM for pair in there):
            return Inconclusive(reason=Reason.FEW_MATURE)
    return found


def compared_once(strata: Strata, branch: BranchName) -> Comparison | Inconclusive:
    """Return a variant less the control, with the interval that holds at one look, on the day that was declared."""
    return compare_once(strata.against_control(branch), alpha=alpha_each(ALPHA, len(branches_of(strata.split))))


def _p(outcome: Outcome) -> float:
    assert outcome.difference is not None
    assert isinstance(outcome.difference.comparison, Comparison)
    return outcome.difference.comparison.p


def _outcome(strata: Strata, branch: BranchName, quantiles: Mapping[str, float], terms: Terms) -> Outcome:
    metric, group, mature = strata.metric, strata.group(branch), strata.mature(branch)
    shown = metric.decides
    return Outcome(
        branch=str(branch),
        visitors=group.visitors,
        mature=mature.visitors,
        events=group.events,
        converted=group.conversions,
        value=strata.value(group) if shown else None,
        sd=group.moments.y.sd if shown and not is_ratio(metric) else None,
        interval=_interval(strata, branch),
        difference=_difference(strata, branch, terms) if shown and branch != strata.split.control else None,
        reached=group.reached,
        quantile=quantiles.get(branch.slug),
    )


def _interval(strata: Strata, branch: BranchName) -> Interval | Inconclusive:
    mature, expected = strata.mature(branch), strata.split.expected_visitors
    if is_proportion(strata.metric):
        return rate_interval(mature.conversions, mature.visitors, alpha=ALPHA, expected_visitors=expected)
    return interval(strata.arm(mature), alpha=ALPHA, expected_visitors=expected)


def _difference(strata: Strata, branch: BranchName, terms: Terms) -> Difference:
    nothing = Inconclusive(reason=Reason.HIDDEN)
    if terms.hidden:
        return Difference(reading=Reading.HIDDEN, comparison=nothing, lift=nothing)
    alpha = alpha_each(ALPHA, len(branches_of(strata.split)))
    expected = strata.split.expected_visitors
    pairs = strata.against_control(branch)
    found = compared_once(strata, branch) if terms.fixed else comparison_of(strata, branch)
    relative = lift(pairs, alpha=alpha, expected_visitors=expected)
    if isinstance(found, Inconclusive):
        reading = Reading.NOT_ENOUGH_DATA if terms.trusted else Reading.BROKEN_SPLIT
        early = None if terms.fixed else comparison_of(strata, branch, young=True)
        return Difference(reading=reading, comparison=found, lift=relative, preliminary=early)
    return Difference(
        reading=_reading(found) if terms.trusted else Reading.BROKEN_SPLIT,
        comparison=found,
        lift=relative,
        chance=chance(found, better_is_higher=strata.metric.better is Better.HIGHER),
        needed=None if terms.fixed else still_needed(found, expected_visitors=expected),
    )


def _reading(found: Comparison) -> Reading:
    if found.low > 0:
        return Reading.ABOVE
    return Reading.BELOW if found.high < 0 else Reading.OPEN
