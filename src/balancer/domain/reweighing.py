"""Reweighing: what new weights of a split do to its visitors, told before they are given.

Invariant: what is told is what the proxy does. Who has a variant keeps it, unless that has no weight any more: those
are assigned anew when they come again, by the new weights.
"""

from collections.abc import Mapping, Sequence

from balancer.domain.app import BranchName
from balancer.domain.split import Split, SplitState
from balancer.domain.weights import percent


def consequences(split: Split, weights: Mapping[BranchName, int]) -> list[str]:
    """Return sentences that say who moves and who stays when a split gets these weights."""
    before, is_paused = split.phase.weights, split.state is SplitState.PAUSED
    changed = [branch for branch in {**before, **weights} if before.get(branch, 0) != weights.get(branch, 0)]
    if not changed:
        return ["Nothing changes: these are the weights that the split has."]
    shares = [
        f"Of new visitors {branch} gets {percent(weights.get(branch, 0))}, until now {percent(before.get(branch, 0))}."
        for branch in changed
    ]
    left = [branch for branch in changed if not weights.get(branch, 0)]
    moving = [
        f"Who has {branch} moves: it gets no weight, so they are assigned anew when they come again." for branch in left
    ]
    kept = [branch for branch in before if before[branch] and branch not in left]
    staying = [f"Who has {_listed(kept)} stays there: new weights move nobody who has a branch."] if kept else []
    phase = f"The split goes on in a new phase, number {split.phase.number + 1}; its report pools the phases."
    paused = ["The split is paused: nobody new is assigned until it goes on."] if is_paused else []
    return [*shares, *moving, *staying, *paused, phase]


def _listed(branches: Sequence[BranchName]) -> str:
    return branches[0] if len(branches) == 1 else f"{', '.join(branches[:-1])} or {branches[-1]}"
