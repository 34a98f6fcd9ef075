"""Weights of branches, for properties that hold of them all."""

from itertools import pairwise

from hypothesis import strategies as st

from balancer.domain.app import BranchName
from balancer.domain.weights import WHOLE

BRANCHES = [BranchName(name) for name in ("master", "test", "feat/x", "blue", "green", "red")]


@st.composite
def weights_of_branches(draw: st.DrawFn) -> dict[BranchName, int]:
    """Weights of 2 to 6 branches in any order, zeros and tiny ones among them."""
    names = draw(st.permutations(BRANCHES))[: draw(st.integers(2, len(BRANCHES)))]
    cuts = sorted(draw(st.lists(st.integers(0, WHOLE), min_size=len(names) - 1, max_size=len(names) - 1)))
    edges = [0, *cuts, WHOLE]
    return {name: high - low for name, (low, high) in zip(names, pairwise(edges), strict=True)}
