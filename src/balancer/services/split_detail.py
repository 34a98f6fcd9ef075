"""What a page about one split shows beside its report: visitors by day, the distribution of a number, looks, decisions.

Invariants:
    * As of the time of the report: of a split that is over, as of its end.
    * Nothing is decided, and nothing kept.

Everything in an answer is plain. Read by the dashboard.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from balancer.domain.app import AppName
from balancer.domain.calendar import DAY_MILLISECONDS, TimeZone, Unit, buckets, offsets
from balancer.domain.metric import Kind, Metric
from balancer.domain.rollout import Rollout
from balancer.domain.split import Split, SplitId
from balancer.errors import NotFound, RolloutNotFound
from balancer.services.decisions import Decision
from balancer.services.decisions import read as read_decision
from balancer.services.looks import KeptLook
from balancer.services.looks import read as read_look
from balancer.services.measures import measure_of
from balancer.services.outcome import branches_of
from balancer.services.report import as_of, measured_of
from balancer.services.rollout_registry import RolloutRegistry
from balancer.services.time_zone import zone_of
from balancer.stats.cells import EventNames, SplitCells, SplitQuestion
from balancer.stats.distribution import Bin, Distribution

_SUMMED = frozenset({Kind.SUM, Kind.COUNT})


class Ledger(Protocol):
    """What has the visitors."""

    async def cells(self, question: SplitQuestion) -> SplitCells:
        """Return what is asked of a split. Raises LedgerUnavailable."""

    async def distribution(self, question: SplitQuestion) -> Distribution:
        """Return how the number of the one measure asked for is distributed. Raises LedgerUnavailable."""

    async def names(self, app: str) -> EventNames:
        """Return the names of an app's events, and how many there are of each. Raises LedgerUnavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitorSpan:
    """The visitors who were assigned on one day, in one phase."""

    day: str
    """ISO 8601, in the app's time."""
    phase: int
    start: int
    """Milliseconds since 1970, UTC."""
    end: int
    visitors: tuple[int, ...]
    """Of each branch, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitorDays:
    """The exposed visitors of a split by day."""

    timezone: str
    branches: tuple[str, ...]
    """The control first."""
    spans: tuple[VisitorSpan, ...]
    """Only those that had visitors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchValues:
    """The visitors of a branch by what their number is."""

    branch: str
    visitors: int
    nothing: int
    """Those whose number is 0; they are in no bin."""
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """How the number of a visitor is distributed, by branch."""

    metric: str
    metrics: tuple[str, ...]
    """Those that can be asked for."""
    branches: tuple[BranchValues, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a rollout has decided."""

    rollout: Rollout
    decisions: tuple[Decision, ...]


class SplitDetails:
    """Answers what a page about one split shows."""

    def __init__(
        self, registry: RolloutRegistry, ledger: Ledger, clock: Callable[[], datetime], zone: TimeZone
    ) -> None:
        """Days are those of `zone` where an app does not say its own."""
        self._registry = registry
        self._ledger = ledger
        self._clock = clock
        self._zone = zone

    async def zone(self, app: AppName) -> TimeZone:
        """Return the time zone of an app. Raises AppNotFound."""
        return await zone_of(self._registry, app, self._zone)

    async def visitors(self, split: Split, cells: SplitCells | None = None) -> VisitorDays:
        """Return the visitors of a split by day and phase; `cells` are those of a report, else the ledger is asked.

        Raises AppNotFound, LedgerUnavailable.
        """
        question, zone = await self._question(split)
        return visitor_days(split, zone, cells or await self._ledger.cells(question), question.as_of)

    async def values(self, app: AppName, metric: str | None, split: SplitId | None = None) -> Values | None:
        """Return how a metric that is a sum or a count is distributed, the one that decides if none is named.

        None where there is no such metric. Raises AppNotFound, SplitNotFound, NotFound, LedgerUnavailable.
        """
        found = await self._registry.split(app, split)
        names = await self._ledger.names(str(app))
        known = {str(each.metric.name): each.metric for each in measured_of(found, names)}
        summed = {name: each for name, each in known.items() if each.kind in _SUMMED}
        if metric is not None and metric not in summed:
            there = ", ".join(sorted(summed)) or "none yet"
            raise NotFound(f"{found.id} of {app} has no sum or count {metric}; there are: {there}")
        if not summed:
            return None
        chosen = summed[metric] if metric is not None else next(iter(summed.values()))
        question, _ = await self._question(found, chosen)
        answer = {each.variant: each for each in (await self._ledger.distribution(question)).variants}
        return Values(
            metric=str(chosen.name),
            metrics=tuple(summed),
            branches=tuple(
                BranchValues(branch=str(branch), visitors=each.visitors, nothing=each.nothing, bins=each.bins)
                for branch in branches_of(found)
                for each in (answer[branch.slug],)
            ),
        )

    async def looks(self, split: Split) -> tuple[KeptLook, ...]:
        """Return the looks that were kept of a split, oldest first."""
        return tuple(map(read_look, await self._registry.looks(split.id)))

    async def course(self, split: Split) -> Course | None:
        """Return the rollout of a split, where it is the app's latest, and what it has decided."""
        try:
            rollout = await self._registry.rollout(split.app)
        except RolloutNotFound:
            return None
        if rollout.split != split.id:
            return None
        decisions = await self._registry.decisions(rollout.number)
        return Course(rollout=rollout, decisions=tuple(map(read_decision, decisions)))

    async def _question(self, split: Split, *metrics: Metric) -> tuple[SplitQuestion, TimeZone]:
        zone = await zone_of(self._registry, split.app, self._zone)
        at = _milliseconds(as_of(split, self._clock()))
        question = SplitQuestion(
            app=str(split.app),
            split=str(split.id),
            phases=tuple(phase.number for phase in split.phases),
            variants=tuple(branch.slug for branch in branches_of(split)),
            measures=tuple(measure_of(metric) for metric in metrics),
            as_of=at,
            offsets=offsets(zone, _milliseconds(split.started_at), at + 1),
        )
        return question, zone


def visitor_days(split: Split, zone: TimeZone, cells: SplitCells, now: int) -> VisitorDays:
    """Return the visitors of `cells` by day and phase; the last ends `now`, milliseconds since 1970."""
    branches = branches_of(split)
    counted: Counter[tuple[int, int, str]] = Counter()
    for cell in cells.exposed:
        counted[cell.day, cell.phase, cell.variant] += cell.visitors
    begins = {phase.number: _milliseconds(phase.started_at) for phase in split.phases}
    ends = {phase.number: begins.get(phase.number + 1, now) for phase in split.phases}
    first = min((*begins.values(), *(cell.day * DAY_MILLISECONDS for cell in cells.exposed)))
    days = {each.number: each for each in buckets(zone, Unit.DAY, first - DAY_MILLISECONDS, max(now, first) + 1)}
    spans = []
    for day, phase in sorted({(day, phase) for day, phase, _ in counted if day in days}):
        bucket = days[day]
        start, end = max(bucket.start, begins[phase]), min(bucket.end, ends[phase])
        # A visitor's clock is the proxy's: around a change of weights it may be a moment off.
        start, end = (start, end) if start < end else (bucket.start, bucket.end)
        visitors = tuple(counted[day, phase, branch.slug] for branch in branches)
        spans.append(VisitorSpan(day=bucket.label, phase=phase, start=start, end=end, visitors=visitors))
    return VisitorDays(timezone=str(zone), branches=tuple(map(str, branches)), spans=tuple(spans))


def _milliseconds(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp() * 1000)
