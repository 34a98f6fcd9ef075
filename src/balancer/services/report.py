"""The report of a split: who was counted, what they did, and how the variants compare.

Invariants:
    * The sample ratio comes first: where it alarms, the split is broken and no difference is read as one.
    * Nothing is decided here: every verdict needs visitors whose time to convert is over, and looks that are stored.

Everything in a report is plain, so that JSON carries it there and back. Read by the admin API, the CLI, the pages.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from balancer.domain.allocation import reallocate
from balancer.domain.app import AppName
from balancer.domain.split import Phase, Split, SplitState
from balancer.domain.weights import WHOLE
from balancer.services.interfaces import Ledger
from balancer.services.outcome import ALPHA, Cells, EventReport, branches_of, event_report
from balancer.services.registry import Registry
from balancer.services.release_report import ReleaseReport, marks, release_report
from balancer.stats.compare import Comparison
from balancer.stats.srm import PhaseCounts, VariantCount, Verdict, sample_ratio
from balancer.stats.tally import Intake, SplitTally

# 1,000: more than a branch sees while a split runs. What is older is shown without its number.
_RELEASES = 1000


class Advice(Enum):
    """What to do with the split."""

    NOT_ENOUGH_DATA = "not enough data"
    BROKEN_SPLIT = "broken split"
    KEEP_RUNNING = "keep running"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRatioReport:
    """Whether the variants get the visitors that the weights intend."""

    verdict: Verdict
    p: float
    """Always valid; the alarm is at 0.001."""
    counts: tuple[VariantCount, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantReport:
    """A branch's part in the split."""

    branch: str
    slug: str
    share: float
    """The part of new visitors that the present phase intends, from 0 to 1."""
    visitors: int
    """Those exposed, in all phases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseReport:
    """A time span with constant weights."""

    number: int
    started_at: str
    shares: tuple[tuple[str, float], ...]
    """Each branch and its intended part of the visitors, from 0 to 1."""
    visitors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One look at a split. Times are ISO 8601 in UTC."""

    app: str
    split: str
    state: SplitState
    started_at: str
    ended_at: str | None
    looked_at: str
    advice: Advice | None
    """None where the split is over, sound and with data: there is nothing left to advise."""
    sample_ratio: SampleRatioReport
    control: str
    alpha: float
    """The chance of a false alarm, over all looks, that the comparisons of one figure share."""
    expected_visitors: int
    """N*: where the intervals are about as narrow as they can be made."""
    variants: tuple[VariantReport, ...]
    """The control first."""
    phases: tuple[PhaseReport, ...]
    multiple: int
    """Visitors seen in two variants; they count nowhere else."""
    multiple_share: float | None
    """Their part of all visitors, from 0 to 1; None without visitors."""
    events: tuple[EventReport, ...]
    """By name."""
    intake: Intake
    """Of the app since the ledger began, not of the split alone."""


class Reports:
    """Answers how the split of an app stands."""

    def __init__(self, registry: Registry, ledger: Ledger, clock: Callable[[], datetime]) -> None:
        self._registry = registry
        self._ledger = ledger
        self._clock = clock

    async def of(self, app: AppName) -> Report:
        """Return the report of the running split, else of the one that ended last.

        Raises AppNotFound, SplitNotFound, LedgerUnavailable.
        """
        split = await self._registry.split(app)
        tally = await self._ledger.tally(
            app=app,
            split=split.id,
            phases=[phase.number for phase in split.phases],
            variants=[branch.slug for branch in branches_of(split)],
        )
        return report(split, tally, await self._ledger.intake(app), self._clock())

    async def by_release(self, app: AppName) -> ReleaseReport:
        """Return the same split, cut by the release that each visitor was exposed by.

        Raises AppNotFound, SplitNotFound, LedgerUnavailable.
        """
        split = await self._registry.split(app)
        releases = await self._registry.releases(app, limit=_RELEASES)
        tally = await self._ledger.releases(
            app=app,
            split=split.id,
            phases=[phase.number for phase in split.phases],
            variants=[branch.slug for branch in branches_of(split)],
            marks=marks(split, releases),
        )
        return release_report(split, tally, releases)


def report(split: Split, tally: SplitTally, intake: Intake, now: datetime) -> Report:
    """Return what `tally` says of `split` at the look of `now`.

    Raises ValueError where the moments of a cell are not over all its visitors.
    """
    cells = Cells(split, tally)
    ratio = sample_ratio(_counts(cells, phase) for phase in split.phases)
    sound = ratio.verdict is Verdict.OK
    events = tuple(event_report(cells, event, trusted=sound) for event in cells.events)
    phases = tuple(_phase(cells, phase) for phase in split.phases)
    seen = sum(phase.visitors for phase in phases) + tally.multiple
    return Report(
        app=str(split.app),
        split=str(split.id),
        state=split.state,
        started_at=split.started_at.isoformat(),
        ended_at=split.ended_at.isoformat() if split.ended_at else None,
        looked_at=now.isoformat(),
        advice=_advice(split.state, events) if sound else Advice.BROKEN_SPLIT,
        sample_ratio=SampleRatioReport(verdict=ratio.verdict, p=ratio.p, counts=ratio.counts),
        control=str(split.control),
        alpha=ALPHA,
        expected_visitors=split.expected_visitors,
        variants=_variants(cells),
        phases=phases,
        multiple=tally.multiple,
        multiple_share=tally.multiple / seen if seen else None,
        events=events,
        intake=intake,
    )


def _advice(state: SplitState, events: Iterable[EventReport]) -> Advice | None:
    differences = (
        difference
        for event in events
        for outcome in event.outcomes
        for difference in (outcome.rate_difference, outcome.value_difference)
    )
    if not any(each and isinstance(each.comparison, Comparison) for each in differences):
        return Advice.NOT_ENOUGH_DATA
    return Advice.KEEP_RUNNING if state is SplitState.RUNNING else None


def _counts(cells: Cells, phase: Phase) -> PhaseCounts:
    """Return what a phase intended, in the buckets that the proxy gives to each branch, and what it got."""
    buckets: Counter[str] = Counter()
    for piece in reallocate((), phase.weights):
        buckets[str(piece.variant)] += piece.stop - piece.start
    visitors = {str(branch): cells.visitors(phase.number, branch) for branch in cells.branches}
    return PhaseCounts(weights=buckets, visitors=visitors)


def _variants(cells: Cells) -> tuple[VariantReport, ...]:
    return tuple(
        VariantReport(
            branch=str(branch),
            slug=branch.slug,
            share=cells.split.phase.weights.get(branch, 0) / WHOLE,
            visitors=sum(cells.visitors(phase.number, branch) for phase in cells.split.phases),
        )
        for branch in cells.branches
    )


def _phase(cells: Cells, phase: Phase) -> PhaseReport:
    return PhaseReport(
        number=phase.number,
        started_at=phase.started_at.isoformat(),
        shares=tuple((str(branch), weight / WHOLE) for branch, weight in phase.weights.items()),
        visitors=sum(cells.visitors(phase.number, branch) for branch in cells.branches),
    )
