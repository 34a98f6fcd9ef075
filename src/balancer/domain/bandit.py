"""Bandits: weights of a split that follow what visitors do, for those who want earnings more than knowledge.

Invariants:
    * Every arm in play has at least 5 % of the visitors, an arm that was taken out has none; all add up to 100 %.
    * The control is never taken out: what the others are beside it is what their guardrails tell.

What becomes of one is decided in `bandit_decision`. Times are what has gone by, as in `rollout`.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from balancer.domain.app import AppName, BranchName
from balancer.domain.metric import MetricName
from balancer.domain.rollout import RolloutState, Watch
from balancer.domain.split import SplitId
from balancer.domain.weights import WHOLE
from balancer.errors import InvalidBandit

# 5 %: what is given away, when it is known which arm is best, to find out should that change; and with 100 visitors an
# arm a phase carries an estimate from 2,000 visitors on.
FLOOR = 500
# 10 arms: their floors are half of all visitors, and beside each other they would take weeks to tell apart.
ARMS_LIMIT = 10
# An hour: shorter, and most weights would follow noise; a day, and the worse arm keeps its visitors for a day.
STEP_SECONDS = 3600
# 30 days: a step that lasts longer is a mistake of the unit.
_STEP_SECONDS_LIMIT = 30 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class BanditPlan:
    """What a bandit was begun with; it stays for as long as the bandit does."""

    metric: str
    """What is to be earned: a metric, or an event, in its own good direction."""
    step_seconds: int = STEP_SECONDS
    """How long weights last at least."""

    def __post_init__(self) -> None:
        MetricName(self.metric)
        if not 0 <= self.step_seconds <= _STEP_SECONDS_LIMIT:
            raise InvalidBandit("weights last at most 30 days; write it as 90s, 10m, 2h or 1d")


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenOut:
    """A branch that gets no visitors any more, and why."""

    branch: BranchName
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandit:
    """Branches that visitors are shared among by what they earn."""

    number: int
    app: AppName
    control: BranchName
    branches: tuple[BranchName, ...]
    """Beside the control, in the order in which they were named."""
    split: SplitId
    plan: BanditPlan
    state: RolloutState
    """Of a rollout's states; `ROLLED_BACK`: every branch beside the control was taken out."""
    phase: int
    """The phase of the split with the weights that it has set itself."""
    watch: Watch
    out: tuple[TakenOut, ...] = ()
    reason: str | None = None
    """Why it is not running any more."""

    def __post_init__(self) -> None:
        check_arms(self.control, self.branches)

    @property
    def arms(self) -> tuple[BranchName, ...]:
        """Every branch, the control first."""
        return (self.control, *self.branches)

    @property
    def in_play(self) -> tuple[BranchName, ...]:
        """Those that were not taken out."""
        gone = {each.branch for each in self.out}
        return tuple(branch for branch in self.arms if branch not in gone)


def check_arms(control: BranchName, branches: Iterable[BranchName]) -> None:
    """Raise InvalidBandit unless these can be the arms of one."""
    arms = (control, *branches)
    if len(arms) < 2:
        raise InvalidBandit(f"name at least one branch beside {control}, which is what visitors see")
    if len(arms) > ARMS_LIMIT:
        raise InvalidBandit(f"{len(arms)} branches are too many: {ARMS_LIMIT} are possible, the control among them")
    for branch in arms[1:]:
        if branch == control:
            raise InvalidBandit(f"{branch} is what visitors see already, and takes part; name the others only")
        if arms.count(branch) > 1:
            raise InvalidBandit(f"{branch} is named twice")


def even_weights(arms: Iterable[BranchName]) -> dict[BranchName, int]:
    """Return weights that share the visitors evenly, to 0.01 %."""
    return weights_by(dict.fromkeys(arms, 1.0))


def weights_by(chances: Mapping[BranchName, float]) -> dict[BranchName, int]:
    """Return weights in proportion to `chances`, none below the floor; one branch alone gets everybody.

    What the floor lifts up is taken from the others in proportion. Units that do not come out even go to the largest
    remainders, of equal ones to who was named first.
    """
    if math.fsum(chances.values()) <= 0:
        return even_weights(chances)
    lifted: set[BranchName] = set()
    while True:
        room = WHOLE - FLOOR * len(lifted)
        rest = {branch: chance for branch, chance in chances.items() if branch not in lifted}
        whole = math.fsum(rest.values())
        exact = {branch: room * (chance / whole) for branch, chance in rest.items()}
        below = {branch for branch, weight in exact.items() if weight < FLOOR}
        if not below:
            break
        lifted |= below
    weights = {branch: FLOOR if branch in lifted else int(exact[branch]) for branch in chances}
    missing = WHOLE - sum(weights.values())
    for branch in sorted(exact, key=lambda each: int(exact[each]) - exact[each])[:missing]:
        weights[branch] += 1
    return weights
