"""Guardrails of a rollout: what must not befall the visitors of its branch more often than those of the control.

Invariants:
    * A visitor counts once, in the phase of their assignment; how often it befell them says nothing.
    * A phase in which one of the two had no visitors to expect says nothing.
"""

from collections import Counter

from balancer.domain.app import BranchName
from balancer.domain.metric import Better, Role
from balancer.domain.rollout_decision import Guard
from balancer.domain.split import Split
from balancer.services.outcome import Difference, MetricReport
from balancer.services.report import Report
from balancer.stats.arm import Inconclusive
from balancer.stats.cells import Measure, Part, SplitCells, What
from balancer.stats.guardrail import ErrorCounts, guardrail, metric_guardrail
from balancer.stats.verdict import Direction

# 7 days from the assignment on: whoever comes back later meets another release.
_WINDOW_MILLISECONDS = 7 * 86_400_000
ERRORS = Measure(name="errors", y=Part(event="$error", what=What.HAPPENED), until=_WINDOW_MILLISECONDS)
"""Who had at least one answer that was 5xx."""


def guard_of(split: Split, branch: BranchName, cells: SplitCells, name: str) -> Guard:
    """Return what the measure `name` of `cells` says of a branch beside the control."""
    befell: Counter[tuple[int, str]] = Counter()
    for measure in cells.measures:
        if measure.name == name:
            for cell in measure.cells:
                befell[cell.phase, cell.variant] += cell.conversions
    visitors: Counter[str] = Counter()
    for exposed in cells.exposed:
        visitors[exposed.variant] += exposed.visitors
    canary, control = branch.slug, split.control.slug
    found = guardrail(
        ErrorCounts(
            phase=phase.number,
            weight_treatment=phase.weights.get(branch, 0),
            weight_control=phase.weights.get(split.control, 0),
            treatment=befell[phase.number, canary],
            control=befell[phase.number, control],
        )
        for phase in split.phases
    )
    return Guard(
        name=name,
        log_e=found.log_e,
        p=found.p,
        figures=(
            f"{_of(canary, befell)} of {visitors[canary]} visitors of the branch, "
            f"{_of(control, befell)} of {visitors[control]} of the control"
        ),
    )


def metric_guards(report: Report, branch: BranchName) -> tuple[Guard, ...]:
    """Return what the metrics that must not get worse say of a branch beside the control.

    Where too few visitors are mature, young ones count too: a guardrail is not to wait for the end of a window.
    """
    return tuple(
        _metric_guard(metric, outcome.difference)
        for metric in report.metrics
        if metric.role is Role.GUARDRAIL and not metric.primary
        for outcome in metric.outcomes
        if outcome.branch == branch and outcome.difference is not None
    )


def _metric_guard(metric: MetricReport, difference: Difference) -> Guard:
    mature, young = difference.comparison, difference.preliminary
    compared = young if isinstance(mature, Inconclusive) and young is not None else mature
    found = metric_guardrail(compared, Direction.HIGHER if metric.better is Better.HIGHER else Direction.LOWER)
    if isinstance(compared, Inconclusive):
        figures = compared.reason.value
    else:
        figures = f"{compared.difference:+.4g} beside {compared.control_mean:.4g} of the control"
    return Guard(name=metric.metric, log_e=found.log_e, p=found.p, figures=figures)


def _of(slug: str, befell: Counter[tuple[int, str]]) -> int:
    return sum(count for (_, variant), count in befell.items() if variant == slug)
