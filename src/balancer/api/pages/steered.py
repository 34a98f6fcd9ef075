"""What gives a split its weights in the place of people, and so is ended in its place: a rollout, or a bandit."""

from balancer.api.pages.split_sheet import bandit_of
from balancer.api.platform import Platform
from balancer.domain.rollout import ENDED, RolloutState
from balancer.domain.split import Split
from balancer.errors import RolloutNotFound
from balancer.services.rollouts import Standing

# What has left its split behind, for people to look at; the next rollout takes its place.
_LEFT = frozenset({RolloutState.ROLLED_BACK, RolloutState.ABORTED})


async def rollout_of(on: Platform, split: Split) -> Standing | None:
    """Return how the rollout of a split stands, where it is the app's latest."""
    try:
        standing = await on.rollouts.standing(split.app)
    except RolloutNotFound:
        return None
    return standing if standing.rollout.split == split.id else None


async def steered_by(on: Platform, split: Split) -> str | None:
    """Return "rollout" or "bandit" where one goes on with a split; None where people steer it."""
    rollout, bandit = await rollout_of(on, split), await bandit_of(on, split)
    if rollout is not None and rollout.rollout.state not in ENDED:
        return "rollout"
    return "bandit" if bandit is not None and bandit.bandit.state not in ENDED else None


async def is_left_behind(on: Platform, split: Split) -> bool:
    """Tell whether a rollout or a bandit has left a split behind, so that a new rollout may take its place."""
    rollout, bandit = await rollout_of(on, split), await bandit_of(on, split)
    states = {rollout.rollout.state if rollout else None, bandit.bandit.state if bandit else None}
    return bool(states & _LEFT)
