"""The cells of one metric, put together by phase and branch, as arms that can be compared.

Invariants:
    * Mature visitors have their final number; only they are in what a verdict is made of.
    * A cell that the ledger does not mention is empty.
    * What is added up are moments, so any way of cutting time gives the same arms.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from balancer.domain.app import BranchName
from balancer.domain.metric import Kind, Metric
from balancer.domain.split import Split
from balancer.stats.arm import Arm, cuped_theta
from balancer.stats.cells import MeasureCell
from balancer.stats.comoments import CoMoments
from balancer.stats.compare import Stratum

_PROPORTIONS = frozenset({Kind.CONVERTED, Kind.RETENTION, Kind.FUNNEL})
_RATIOS = frozenset({Kind.MEAN, Kind.RATIO})


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Visitors of a variant, and what they did of one metric."""

    events: int = 0
    """In the window."""
    conversions: int = 0
    """Visitors whose number is not 0."""
    moments: CoMoments = field(default_factory=CoMoments.empty)
    reached: tuple[int, ...] = ()
    """Of a funnel: visitors who reached each step."""

    def __add__(self, cell: "Group | MeasureCell") -> "Group":
        """Return both together."""
        steps = max(len(self.reached), len(cell.reached))
        pad = (0,) * steps
        return Group(
            events=self.events + cell.events,
            conversions=self.conversions + cell.conversions,
            moments=self.moments + cell.moments,
            reached=tuple(
                a + b for a, b in zip((self.reached + pad)[:steps], (cell.reached + pad)[:steps], strict=True)
            ),
        )

    @property
    def visitors(self) -> int:
        """Those exposed, whether they did anything or not."""
        return self.moments.n


NOTHING = Group()


class Strata:
    """One metric of a split, by phase and branch."""

    def __init__(self, split: Split, metric: Metric, cells: Iterable[MeasureCell]) -> None:
        self.split = split
        self.metric = metric
        self._cells = tuple(cells)

    @property
    def days(self) -> tuple[int, ...]:
        """The days of assignment that there are, in order; since 1970, in the app's time."""
        return tuple(sorted({cell.day for cell in self._cells}))

    def group(self, branch: BranchName) -> Group:
        """Return all exposed visitors of a branch, over all phases."""
        return _sum(cell for cell in self._cells if cell.variant == branch.slug)

    def mature(self, branch: BranchName) -> Group:
        """Return those whose time to count is over."""
        return _sum(cell for cell in self._cells if cell.variant == branch.slug and cell.mature)

    def value(self, group: Group) -> float | None:
        """Return the mean number of a visitor, of a ratio the quotient; None where there is nothing to divide by."""
        moments = group.moments
        if self.metric.kind in _RATIOS:
            return moments.mean_y / moments.mean_x if moments.mean_x else None
        return moments.mean_y if moments.n else None

    def arm(self, group: Group) -> Arm:
        """Return one arm, as it is shown by itself: without the adjustment of CUPED."""
        if self.metric.kind in _PROPORTIONS:
            return Arm.of_rate(group.conversions, group.visitors)
        if self.metric.kind in _RATIOS:
            return Arm.of_ratio(group.moments, group.conversions)
        return Arm.of_values(group.moments.y, group.conversions)

    def against_control(
        self, branch: BranchName, *, young: bool = False, until: int | None = None
    ) -> tuple[Stratum, ...]:
        """Return both arms by phase, to be compared.

        With `young` those are in whose time is not over, with `until` only who was assigned up to that day.
        """

        def wanted(cell: MeasureCell) -> bool:
            return (young or cell.mature) and (until is None or cell.day <= until)

        groups: dict[tuple[int, str], Group] = {}
        for cell in filter(wanted, self._cells):
            key = (cell.phase, cell.variant)
            groups[key] = groups.get(key, NOTHING) + cell
        pairs = {
            phase.number: (
                groups.get((phase.number, self.split.control.slug), NOTHING),
                groups.get((phase.number, branch.slug), NOTHING),
            )
            for phase in self.split.phases
        }
        make = self._adjusted(pairs) if self.metric.cuped else lambda phase, group: self.arm(group)
        return tuple(
            Stratum(phase=phase, control=make(phase, control), treatment=make(phase, treatment))
            for phase, (control, treatment) in pairs.items()
        )

    def _adjusted(self, pairs: Mapping[int, tuple[Group, Group]]) -> Callable[[int, Group], Arm]:
        """Return what makes an arm less what its visitors did before the assignment lets expect (CUPED)."""
        theta = cuped_theta((control.moments, treatment.moments) for control, treatment in pairs.values())
        means = {phase: (control.moments + treatment.moments).mean_x for phase, (control, treatment) in pairs.items()}
        return lambda phase, group: Arm.of_adjusted(group.moments, group.conversions, theta, means[phase])


def is_proportion(metric: Metric) -> bool:
    """Tell whether each visitor gives 0 or 1, so that a mean is a rate."""
    return metric.kind in _PROPORTIONS


def is_ratio(metric: Metric) -> bool:
    """Tell whether the metric is one sum over visitors by another."""
    return metric.kind in _RATIOS


def _sum(cells: Iterable[MeasureCell]) -> Group:
    total = NOTHING
    for cell in cells:
        total += cell
    return total
