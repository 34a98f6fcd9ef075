"""Guardrails of a rollout: what must not befall the visitors of its branch more often than those of the control.

Invariants:
    * A visitor counts once, in the phase of their assignment; how often it befell them says nothing.
    * Whoever was assigned counts, whether their cookie came back or not.
    * A phase in which one of the two had no visitors to expect says nothing.
"""

from collections import Counter
from collections.abc import Iterator

from balancer.domain.app import BranchName
from balancer.domain.entry import ERROR, SLOW
from balancer.domain.metric import Better, Role
from balancer.domain.rollout_decision import Guard
from balancer.domain.split import Split
from balancer.services.outcome import Difference, MetricReport, branches_of
from balancer.services.report import Report
from balancer.stats.affected import Affected, AffectedQuestion
from balancer.stats.arm import Inconclusive
from balancer.stats.guardrail import ErrorCounts, guardrail, metric_guardrail
from balancer.stats.verdict import Direction

# 7 days from the assignment on: whoever comes back later meets another release.
_UNTIL_MILLISECONDS = 7 * 86_400_000
_NAMES = {ERROR: "errors", SLOW: "latency"}


def question_of(split: Split) -> AffectedQuestion:
    """Return what is asked of the ledger for `guards_of`."""
    return AffectedQuestion(
        app=str(split.app),
        split=str(split.id),
        phases=tuple(phase.number for phase in split.phases),
        variants=tuple(branch.slug for branch in branches_of(split)),
        events=tuple(_NAMES),
        until=_UNTIL_MILLISECONDS,
    )


def guards_of(split: Split, branch: BranchName, affected: Affected) -> Iterator[Guard]:
    """Give what speaks against a branch beside the control; where nobody was answered slowly, nothing of latency."""
    for event, name in _NAMES.items():
        befell = Counter({(c.phase, c.variant): c.visitors for c in affected.cells if c.event == event})
        if befell or event == ERROR:
            yield _guard(split, branch, befell, name)


def _guard(split: Split, branch: BranchName, befell: Counter[tuple[int, str]], name: str) -> Guard:
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
        figures=f"{_of(canary, befell)} visitors of the branch, {_of(control, befell)} of the control",
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
