"""What is to be done with a bandit: the weights that follow from what its arms earn, and what takes an arm out.

Invariants:
    * `decide` is pure: the same bandit and the same figures give the same action, so that each one can be replayed.
    * Harm comes first, also of what is paused, whose sample ratio alarms, or of which the ledger says nothing.
    * No weight grows but by what was measured: without figures, or while the sample ratio alarms, it waits.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from balancer.domain.app import BranchName
from balancer.domain.bandit import Bandit, weights_by
from balancer.domain.freeze import Hold
from balancer.domain.remaining import remaining
from balancer.domain.rollout import RolloutState
from balancer.domain.weights import percent

# 5 points: less is noise until thousands have come, and earns less than what the floor gives away; each phase that
# ends too early for an estimate is lost for it.
LEAST_CHANGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmSeen:
    """One branch in play."""

    branch: str
    weight: int
    """In the present phase of the split, in units of 0.01 %."""
    visitors: int = 0
    """Exposed visitors who were assigned in the present phase."""
    mean: float | None = None
    """Of the metric, by phases; None where nothing can be said yet."""
    se: float | None = None
    chance: float | None = None
    """To be the best of those in play, from 0 to 1."""
    harm: tuple[str, str] | None = None
    """The rule by which it has to go, and its reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BanditSeen:
    """The figures that a decision is made of."""

    phase: int
    """The present phase of the split."""
    seconds: float
    step_seconds: float
    arms: tuple[ArmSeen, ...]
    """Those in play, the control first."""
    young_too: bool = False
    """Whether visitors count whose time is not over."""
    lacks: str | None = None
    """Why the present phase carries no estimate yet, or the arms have no chances."""
    alarm: bool = False
    """Whether the sample ratio alarms."""
    ratio_p: float = 1.0
    blind: str | None = None
    """Why the ledger's figures are lacking."""
    hold: Hold | None = None
    """What forbids other weights by the clock on the wall: a freeze."""


class BanditWhat(Enum):
    """What is to be done with a bandit."""

    WAIT = "wait"
    SHIFT = "shift"
    """New weights."""
    TAKE_OUT = "take out"
    """No visitors for an arm any more; the others share them."""
    ROLL_BACK = "roll back"
    """The same, and only the control is left."""
    ABORT = "abort"
    """Somebody ends it; figures never say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BanditAction:
    """What is to be done, and why."""

    what: BanditWhat
    rule: str
    """The name of the rule that says so; the figures change from look to look, this does not."""
    reason: str
    """For people, with the figures."""
    weights: tuple[tuple[str, int], ...] = ()
    """Of the next phase, in units of 0.01 %; of every arm, those that are out with 0."""
    out: tuple[tuple[str, str], ...] = ()
    """The branches to be taken out, each with its reason."""


def decide(bandit: Bandit, seen: BanditSeen) -> BanditAction:
    """Return what is to be done with a bandit that runs or is paused."""
    harmed = {arm.branch: arm.harm for arm in seen.arms if arm.harm}
    if harmed:
        return _taking_out(bandit, seen, harmed)
    lacks = tuple(_lacks(bandit, seen))
    if lacks:
        return BanditAction(what=BanditWhat.WAIT, rule=lacks[0][0], reason="; ".join(reason for _, reason in lacks))
    wanted = weights_by({BranchName(arm.branch): arm.chance or 0.0 for arm in seen.arms})
    said = ", ".join(f"{arm.branch} {arm.chance or 0.0:.1%}" for arm in seen.arms)
    change = max(abs(wanted[BranchName(arm.branch)] - arm.weight) for arm in seen.arms)
    if change < LEAST_CHANGE:
        reason = f"chance to be best: {said}; no weight would change by {percent(LEAST_CHANGE)}"
        return BanditAction(what=BanditWhat.WAIT, rule="small change", reason=reason)
    return BanditAction(
        what=BanditWhat.SHIFT, rule="chances", reason=f"chance to be best: {said}", weights=_all_of(bandit, wanted)
    )


def _taking_out(bandit: Bandit, seen: BanditSeen, harmed: dict[str, tuple[str, str]]) -> BanditAction:
    """Return the action that leaves the others their visitors, in proportion to what they have."""
    left = {BranchName(arm.branch): float(arm.weight) for arm in seen.arms if arm.branch not in harmed}
    return BanditAction(
        what=BanditWhat.TAKE_OUT if len(left) > 1 else BanditWhat.ROLL_BACK,
        rule=next(iter(harmed.values()))[0],
        reason="; ".join(f"{branch}: {reason}" for branch, (_, reason) in harmed.items()),
        weights=_all_of(bandit, weights_by(left)),
        out=tuple((branch, reason) for branch, (_, reason) in harmed.items()),
    )


def _all_of(bandit: Bandit, weights: dict[BranchName, int]) -> tuple[tuple[str, int], ...]:
    return tuple((str(branch), weights.get(branch, 0)) for branch in bandit.arms)


def _lacks(bandit: Bandit, seen: BanditSeen) -> Iterator[tuple[str, str]]:
    """Give each rule that new weights still lack, with what is lacking."""
    if bandit.state is not RolloutState.RUNNING:
        yield "paused", f"it is paused; go on with `balancer bandit resume {bandit.app}`"
    if seen.phase != bandit.phase:
        yield (
            "other weights",
            f"somebody has set other weights; `balancer bandit resume {bandit.app}` takes its own again",
        )
    if seen.hold is not None:
        yield seen.hold.rule, seen.hold.reason
    if seen.blind is not None:
        yield "blind", seen.blind
        return
    if seen.alarm:
        yield "sample ratio", f"the variants do not get the visitors that the weights intend (p {seen.ratio_p:.2g})"
    if seen.lacks is not None:
        yield "not enough data", seen.lacks
    if (left := bandit.plan.step_seconds - seen.step_seconds) > 0:
        yield "too soon", remaining(left, bandit.plan.step_seconds)
