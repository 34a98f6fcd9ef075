"""The report of a split: who was counted, what they did, and how the variants compare.

Invariants:
    * The sample ratio comes first: where it alarms, the split is broken and no difference is read as one.
    * A verdict is made of mature visitors and of looks that are kept; what a report shows beside it decides nothing.
    * The report of a split that is over never changes, and can be made again to the same figures.

Everything in a report is plain, so that JSON carries it there and back. Read by the admin API, the CLI, the pages.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from balancer.domain.allocation import reallocate
from balancer.domain.metric import Metric
from balancer.domain.split import Phase, Split, SplitState
from balancer.domain.weights import WHOLE
from balancer.services.effect import Point, effect_over_time
from balancer.services.outcome import ALPHA, MetricReport, Terms, branches_of, corrected, metric_report
from balancer.services.strata import Strata
from balancer.stats.cells import SplitCells
from balancer.stats.srm import PhaseCounts, SampleRatio, VariantCount, sample_ratio
from balancer.stats.tally import Intake


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
    intake: Intake
    """Of the app since the ledger began, not of the split alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A metric that a report is to show."""

    metric: Metric
    primary: bool
    declared: bool


def make_report(
    split: Split,
    measured: Iterable[Measured],
    cells: SplitCells,
    intake: Intake,
    looks: Iterable[Look],
    at: datetime,
) -> Report:
    """Return what `cells`, the answer for `measured`, say of `split` as of `at`.

    Raises ValueError where the moments of a cell are not over all its visitors.
    """
    measured = tuple(measured)
    visitors: Counter[tuple[int, str]] = Counter()
    for cell in cells.exposed:
        visitors[cell.phase, cell.variant] += cell.visitors
    _check(visitors, cells)
    ratio = sample_ratio(_counts(split, phase, visitors) for phase in split.phases)
    terms = terms_of(split, at, trusted=not ratio.alarm)
    reports = corrected(
        tuple(
            metric_report(split, each.metric, found, terms, primary=each.primary, declared=each.declared)
            for each, found in zip(measured, cells.measures, strict=True)
        )
    )
    deciding = next(
        (
            Strata(split, each.metric, found.cells)
            for each, found in zip(measured, cells.measures, strict=True)
            if each.primary
        ),
        None,
    )
    phases = tuple(_phase(split, phase, visitors) for phase in split.phases)
    seen = sum(phase.visitors for phase in phases) + cells.multiple
    return Report(
        app=str(split.app),
        split=str(split.id),
        name=split.brief.name,
        state=split.state,
        aa=split.brief.aa,
        started_at=split.started_at.isoformat(),
        ended_at=split.ended_at.isoformat() if split.ended_at else None,
        looked_at=at.isoformat(),
        decide_at=split.brief.decide_at.isoformat() if split.brief.decide_at else None,
        verdict=verdict_of(split, deciding, looks, terms),
        sample_ratio=SampleRatioReport(alarm=ratio.alarm, p=ratio.p, counts=ratio.counts),
        control=str(split.control),
        alpha=ALPHA,
        expected_visitors=split.expected_visitors,
        variants=_variants(split, visitors),
        phases=phases,
        multiple=cells.multiple,
        multiple_share=cells.multiple / seen if seen else None,
        metrics=reports,
        effect=effect_over_time(deciding) if deciding and not terms.hidden else (),
        intake=intake,
    )
