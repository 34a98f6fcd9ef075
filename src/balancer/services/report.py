"""The report of a split: who was counted, what they did, and how the variants compare.

Invariants:
    * The sample ratio comes first: where it alarms, the split is broken and no difference is read as one.
    * A verdict is made of mature visitors and of looks that are kept; what a report shows beside it decides nothing.
    * The report of a split that is over never changes, and can be made again to the same figures.

Everything in a report is plain, so that JSON carries it there and back. Read by the admin API, the CLI, the pages.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from balancer.domain.allocation import reallocate
from balancer.domain.metric import Metric, Role, implied
from balancer.domain.split import Phase, Split, SplitState
from balancer.domain.weights import WHOLE
from balancer.services.effect import Point, effect_over_time
from balancer.services.looks import KeptLook, decided_at, look_at, verdict_of
from balancer.services.outcome import ALPHA, MetricReport, Terms, branches_of, corrected, metric_report
from balancer.services.strata import Strata
from balancer.stats.cells import EventNames, SplitCells
from balancer.stats.srm import PhaseCounts, VariantCount, sample_ratio
from balancer.stats.tally import Intake
from balancer.stats.verdict import SplitVerdict

# 20: an app has a handful of names; where pages make them up, the most frequent ones are shown.
_IMPLIED_LIMIT = 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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
class SampleRatioReport:
    """Whether the variants get the visitors that the weights intend."""

    alarm: bool
    p: float
    """Always valid; the alarm is at 0.001."""
    counts: tuple[VariantCount, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One look at a split. Times are ISO 8601 in UTC."""

    app: str
    split: str
    name: str | None
    state: SplitState
    aa: bool
    """Whether it is an A/A split: its variants are the same, and nothing should differ."""
    started_at: str
    ended_at: str | None
    looked_at: str
    """What arrived later is not in it."""
    decide_at: str | None
    """Of a fixed-horizon split: when its result is to be read, once."""
    verdict: SplitVerdict
    """By the looks that were kept, and this one."""
    decided_at: str | None
    """When the look was that made the verdict final; None where none has."""
    looks: int
    """How many were kept."""
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
    metrics: tuple[MetricReport, ...]
    """What decides first, then guardrails, then what was declared, then what events imply."""
    effect: tuple[Point, ...]
    """Of what decides, over time."""
    bandit: bool = False
    """Whether its weights follow what visitors do: it earns, and promises no knowledge (explanation/rollouts.md)."""
    intake: Intake
    """Of the app since the ledger began, not of the split alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A metric that a report is to show."""

    metric: Metric
    primary: bool
    declared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A report, and the look that it is of what decides."""

    report: Report
    look: KeptLook | None
    cells: SplitCells
    """What it was made of."""


def measured_of(split: Split, names: EventNames) -> tuple[Measured, ...]:
    """Return what the report of a split shows, in its order: what decides, guardrails, declared, implied by events."""
    primary = split.brief.primary
    declared = {metric.name: metric for metric in split.brief.metrics}
    found = [Measured(metric=primary, primary=True, declared=primary.name in declared)] if primary else []
    rest = sorted(declared.values(), key=lambda metric: (metric.role is not Role.GUARDRAIL, metric.name))
    found += [Measured(metric=metric, primary=False, declared=True) for metric in rest if metric != primary]
    known = {each.metric.name for each in found}
    told = {event for metric in declared.values() for event in metric.events}
    untold = (each for each in names.names if each.event not in told)
    frequent = sorted(untold, key=lambda each: (-each.events, each.event))[:_IMPLIED_LIMIT]
    for each in sorted(frequent, key=lambda each: each.event):
        for metric in implied(each.event, valued=each.valued > 0):
            if metric.name not in known:
                found.append(Measured(metric=metric, primary=False, declared=False))
    return tuple(found)


def as_of(split: Split, now: datetime) -> datetime:
    """Return up to when what arrived counts in the report of a split."""
    ends = (now, split.ended_at, split.brief.decide_at)
    at = min(end for end in ends if end is not None)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)  # what is kept is in whole milliseconds


def make_report(
    split: Split,
    measured: Iterable[Measured],
    cells: SplitCells,
    intake: Intake,
    kept: Iterable[KeptLook],
    at: datetime,
) -> Seen:
    """Return what `cells`, the answer for `measured`, say of `split` as of `at`; `kept` are the looks before it.

    Raises ValueError where the moments of a cell are not over all its visitors.
    """
    answered = tuple(zip(measured, cells.measures, strict=True))
    visitors: Counter[tuple[int, str]] = Counter()
    for cell in cells.exposed:
        visitors[cell.phase, cell.variant] += cell.visitors
    _check(visitors, cells)
    ratio = sample_ratio(counts_of(split, phase, visitors) for phase in split.phases)
    decide_at = split.brief.decide_at
    terms = Terms(
        trusted=not ratio.alarm,
        hidden=decide_at is not None and at < decide_at,
        fixed=decide_at is not None and at >= decide_at,
    )
    deciding = next((Strata(split, each.metric, found.cells) for each, found in answered if each.primary), None)
    look = None if deciding is None or terms.hidden else look_at(deciding, ratio, terms, _milliseconds(at))
    looks = () if terms.fixed else tuple(kept)
    verdict = verdict_of(split, deciding.metric if deciding else None, (*looks, look) if look else looks, ratio)
    decided = decided_at(verdict)
    phases = tuple(_phase(split, phase, visitors) for phase in split.phases)
    seen = sum(phase.visitors for phase in phases) + cells.multiple
    report = Report(
        app=str(split.app),
        split=str(split.id),
        name=split.brief.name,
        state=split.state,
        aa=split.brief.aa,
        bandit=split.brief.bandit,
        started_at=split.started_at.isoformat(),
        ended_at=split.ended_at.isoformat() if split.ended_at else None,
        looked_at=at.isoformat(),
        decide_at=decide_at.isoformat() if decide_at else None,
        verdict=verdict,
        decided_at=None if decided is None else (_EPOCH + timedelta(milliseconds=decided)).isoformat(),
        looks=len(looks),
        sample_ratio=SampleRatioReport(alarm=ratio.alarm, p=ratio.p, counts=ratio.counts),
        control=str(split.control),
        alpha=ALPHA,
        expected_visitors=split.expected_visitors,
        variants=_variants(split, visitors),
        phases=phases,
        multiple=cells.multiple,
        multiple_share=cells.multiple / seen if seen else None,
        metrics=corrected(
            tuple(
                metric_report(split, each.metric, found, terms, primary=each.primary, declared=each.declared)
                for each, found in answered
            )
        ),
        effect=effect_over_time(deciding) if deciding and not (terms.hidden or terms.fixed) else (),
        intake=intake,
    )
    return Seen(report=report, look=look, cells=cells)


def _check(visitors: Mapping[tuple[int, str], int], cells: SplitCells) -> None:
    """Raise ValueError where the moments of a measure are not over all exposed visitors."""
    for measure in cells.measures:
        counted: Counter[tuple[int, str]] = Counter()
        for cell in measure.cells:
            counted[cell.phase, cell.variant] += cell.moments.n
        if measure.cells and +counted != +Counter(visitors):
            raise ValueError(f"{measure.name} has moments over {dict(counted)} visitors, exposed are {dict(visitors)}")


def counts_of(split: Split, phase: Phase, visitors: Mapping[tuple[int, str], int]) -> PhaseCounts:
    """Return what a phase intended, in the buckets that the proxy gives to each branch, and what it got."""
    intended: Counter[str] = Counter()
    for piece in reallocate((), phase.weights):
        intended[str(piece.variant)] += piece.stop - piece.start
    got = {str(branch): visitors[phase.number, branch.slug] for branch in branches_of(split)}
    return PhaseCounts(weights=intended, visitors=got)


def _variants(split: Split, visitors: Mapping[tuple[int, str], int]) -> tuple[VariantReport, ...]:
    return tuple(
        VariantReport(
            branch=str(branch),
            slug=branch.slug,
            share=split.phase.weights.get(branch, 0) / WHOLE,
            visitors=sum(visitors[phase.number, branch.slug] for phase in split.phases),
        )
        for branch in branches_of(split)
    )


def _phase(split: Split, phase: Phase, visitors: Mapping[tuple[int, str], int]) -> PhaseReport:
    return PhaseReport(
        number=phase.number,
        started_at=phase.started_at.isoformat(),
        shares=tuple((str(branch), weight / WHOLE) for branch, weight in phase.weights.items()),
        visitors=sum(visitors[phase.number, branch.slug] for branch in branches_of(split)),
    )


def _milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)
