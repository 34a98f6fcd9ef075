"""Guardrails of a rollout: what must not befall the visitors of its branch more often than those of the control.

Invariants:
    * A visitor counts once, in the phase of their assignment; how often it befell them says nothing.
    * A phase in which one of the two had no visitors to expect says nothing.
"""

from collections import Counter

from balancer.domain.app import BranchName
from balancer.domain.rollout import Guard
from balancer.domain.split import Split
from balancer.stats.cells import Measure, Part, SplitCells, What
from balancer.stats.guardrail import ErrorCounts, guardrail

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
        canary=sum(count for (_, variant), count in befell.items() if variant == canary),
        canary_visitors=visitors[canary],
        control=sum(count for (_, variant), count in befell.items() if variant == control),
        control_visitors=visitors[control],
    )
