"""A split cut by a dimension: by device, country, path, release, or what an app says of its visitors.

Invariants:
    * Nothing is decided here: with enough cuts, chance alone makes one of them look like something.
    * A visitor is in the bucket of their exposure, whatever they were later.

Everything in it is plain, so that JSON carries it there and back.
"""

from dataclasses import dataclass

from balancer.domain.metric import Kind, Metric
from balancer.domain.split import Split
from balancer.services.outcome import branches_of, comparison_of
from balancer.services.strata import Strata
from balancer.stats.arm import Inconclusive
from balancer.stats.cells import SplitCells
from balancer.stats.compare import Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOutcome:
    """The visitors of one variant in a bucket."""

    branch: str
    visitors: int
    events: int
    converted: int
    value: float | None
    """The mean number of a visitor; of a ratio the quotient."""
    comparison: Comparison | Inconclusive | None
    """Beside the control's visitors of the bucket, young ones included; None for the control."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One value of the dimension."""

    bucket: str | None
    """None where nothing tells it."""
    visitors: int
    outcomes: tuple[CutOutcome, ...]
    """The control first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """One metric of a split, by one dimension."""

    app: str
    split: str
    control: str
    dimension: str
    metric: str
    kind: Kind
    exploratory: bool
    """Always true."""
    cuts: tuple[Cut, ...]
    """Those with the most visitors first."""


def make_breakdown(split: Split, metric: Metric, dimension: str, cells: SplitCells) -> Breakdown:
    """Return what `cells`, cut by `dimension`, say of one metric."""
    (found,) = cells.measures
    buckets = {cell.bucket for cell in found.cells}
    cuts = [
        _cut(Strata(split, metric, (cell for cell in found.cells if cell.bucket == bucket)), bucket)
        for bucket in buckets
    ]
    return Breakdown(
        app=str(split.app),
        split=str(split.id),
        control=str(split.control),
        dimension=dimension,
        metric=str(metric.name),
        kind=metric.kind,
        exploratory=True,
        cuts=tuple(sorted(cuts, key=lambda cut: (-cut.visitors, cut.bucket or ""))),
    )


def _cut(strata: Strata, bucket: str | None) -> Cut:
    outcomes = []
    for branch in branches_of(strata.split):
        group = strata.group(branch)
        outcomes.append(
            CutOutcome(
                branch=str(branch),
                visitors=group.visitors,
                events=group.events,
                converted=group.conversions,
                value=strata.value(group),
                comparison=None if branch == strata.split.control else comparison_of(strata, branch, young=True),
            )
        )
    return Cut(bucket=bucket, visitors=sum(each.visitors for each in outcomes), outcomes=tuple(outcomes))
