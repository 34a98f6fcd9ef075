"""Canaries: whether what was pushed still stands."""

import pytest

from balancer.domain.canary import Canary
from balancer.domain.rollout import Plan, Rollout, RolloutState, Watch
from balancer.domain.split import CANARY, SplitId
from values import SHOP, release


def canary(state: RolloutState, *, promoted: bool = False) -> Canary:
    rollout = Rollout(
        number=1,
        app=SHOP,
        branch=CANARY,
        split=SplitId("s1"),
        plan=Plan(),
        state=state,
        step=0,
        phase=1,
        watch=Watch(ticks=0.0),
    )
    return Canary(release=release(2, "canary"), rollout=rollout, promoted=promoted)


@pytest.mark.parametrize("state", RolloutState)
def test_it_stands_until_it_is_taken_back(state: RolloutState) -> None:
    goes_on = {RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.PROMOTING}
    assert canary(state).stands == (state in goes_on)


def test_what_everybody_sees_stands_though_its_rollout_is_over() -> None:
    assert canary(RolloutState.DONE, promoted=True).stands
