"""The arms of a bandit, as the page of its app shows them."""

from dataclasses import dataclass

from balancer.domain.app import BranchName
from balancer.services.bandits import BanditStanding


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One branch of a bandit."""

    branch: BranchName
    is_control: bool
    weight: int
    """In units of 0.01 %."""
    chance: float | None
    """To be the best, from 0 to 1; None while nothing can be said."""
    mean: float | None
    """Of a visitor; None while nothing can be said, as are the next two."""
    se: float | None
    visitors: int | None
    """Who were assigned in the present phase."""
    out: str
    """Why it was taken out; empty where it is in play."""


def arms_of(standing: BanditStanding | None) -> tuple[Arm, ...]:
    """Return the arms of a bandit, the control first; of none, none."""
    if standing is None:
        return ()
    seen = {each.branch: each for each in standing.seen.arms} if standing.seen else {}
    out = {each.branch: each.reason for each in standing.bandit.out}
    return tuple(
        Arm(
            branch=branch,
            is_control=branch == standing.bandit.control,
            weight=standing.weights.get(branch, 0),
            chance=arm.chance if arm else None,
            mean=arm.mean if arm else None,
            se=arm.se if arm else None,
            visitors=arm.visitors if arm else None,
            out=out.get(branch, ""),
        )
        for branch in standing.bandit.arms
        for arm in (seen.get(str(branch)),)
    )
