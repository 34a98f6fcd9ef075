"""Rollouts: weights of a split that change by themselves; what becomes of one is decided in `rollout_decision`.

Times are what has gone by, never what a clock said: a clock that jumps takes no step (`services/rollouts.py`).
"""

from dataclasses import dataclass
from enum import Enum

from balancer.domain.app import AppName, BranchName
from balancer.domain.hours import Hours
from balancer.domain.metric import parse_duration
from balancer.domain.split import SplitId
from balancer.domain.weights import WHOLE, parse_percent, percent
from balancer.errors import InvalidRollout

# 10 minutes: a cache that fills up, a leak, a job that runs every five minutes show themselves within it.
STEP_SECONDS = 600
# 20: more steps than that are weights that somebody computes.
_STEPS_LIMIT = 20
# 30 days: a step that lasts longer is a mistake of the unit.
_STEP_SECONDS_LIMIT = 30 * 86_400
DEFAULT_STEPS = (100, 500, 2500, 5000, WHOLE)


class Goal(Enum):
    """What has to be shown of a branch before everybody gets it, where a metric decides."""

    BETTER = "superiority"
    NOT_WORSE = "non-inferiority"


class RolloutState(Enum):
    """Where a rollout is in its life."""

    RUNNING = "running"
    PAUSED = "paused"
    """It takes no step; it is watched all the same."""
    PROMOTING = "promoting"
    """Visitors see the branch; its release is about to become the default branch's."""
    DONE = "done"
    ABORTED = "aborted"
    """Somebody ended it, or the split below it."""
    ROLLED_BACK = "rolled back"
    """What it watched had breached: nobody sees the branch any more."""


WATCHED = frozenset({RolloutState.RUNNING, RolloutState.PAUSED})
ENDED = frozenset({RolloutState.DONE, RolloutState.ABORTED, RolloutState.ROLLED_BACK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a rollout was begun with; it stays for as long as the rollout does."""

    steps: tuple[int, ...] = DEFAULT_STEPS
    """Weights of the branch, in units of 0.01 %, each larger than the one before."""
    metric: str | None = None
    """Its verdict is needed before everybody gets the branch; None: what fails nobody may go on."""
    goal: Goal = Goal.BETTER
    margin: float = 0.02
    """The loss that `NOT_WORSE` accepts, as a part of the control's mean."""
    auto_promote: bool = False
    step_seconds: int = STEP_SECONDS
    """How long a step lasts at least."""
    hours: str | None = None
    """When it goes on by itself, as `Hours` writes it, in the app's time zone; None: always."""

    def __post_init__(self) -> None:
        if not self.steps or len(self.steps) > _STEPS_LIMIT:
            raise InvalidRollout(f"a rollout has 1 to {_STEPS_LIMIT} steps, such as 1,5,25,50,100")
        if any(step <= before for before, step in zip((0, *self.steps), self.steps, strict=False)):
            raise InvalidRollout("the steps must grow, and begin above 0 %, such as 1,5,25,50,100")
        if self.steps[-1] > WHOLE:
            raise InvalidRollout(f"the last step is {percent(self.steps[-1])}: up to 100 % are possible")
        if self.metric is not None and self.steps[0] == WHOLE:
            raise InvalidRollout("where a metric decides, the first step must leave visitors to the control")
        if not 0 < self.margin < 1:
            raise InvalidRollout("the margin must lie between 0 and 100 %, such as 2%")
        if not 0 <= self.step_seconds <= _STEP_SECONDS_LIMIT:
            raise InvalidRollout("a step lasts at most 30 days; write it as 90s, 10m, 2h or 1d")
        if self.hours is not None:
            Hours(self.hours)

    @property
    def open_hours(self) -> Hours | None:
        """The hours, parsed."""
        return None if self.hours is None else Hours(self.hours)


def parse_margin(text: str) -> float:
    """Return the margin that `2%` gives, as a part of the control's mean. Raises InvalidRollout, InvalidWeights."""
    if not text.strip().endswith("%"):
        raise InvalidRollout(f"the margin {text} has no unit: write it as a percentage, such as 2%")
    return parse_percent(text, "margin") / WHOLE


def parse_step_time(text: str) -> int:
    """Return the seconds that a step lasts at least; `0s` leaves it to the visitors. Raises InvalidMetric."""
    return 0 if text == "0s" else parse_duration(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How long a rollout has gone on, by ticks: no setting of a clock changes it.

    Ticks count since the machine was started. Where they are fewer than when we looked last it was started again, and
    what has gone by is at least what they are now; so a restart may make a rollout wait longer, never less long.
    """

    seconds: float = 0.0
    """Since it began."""
    step_seconds: float = 0.0
    """Since its step began."""
    ticks: float
    """When that was so."""

    def at(self, ticks: float) -> "Watch":
        """Return how long it has gone on by now."""
        by = ticks - self.ticks if ticks >= self.ticks else ticks
        return Watch(seconds=self.seconds + by, step_seconds=self.step_seconds + by, ticks=ticks)

    def next_step(self) -> "Watch":
        """Return the same with a step that begins now."""
        return Watch(seconds=self.seconds, step_seconds=0.0, ticks=self.ticks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A branch that is given to more and more visitors."""

    number: int
    app: AppName
    branch: BranchName
    split: SplitId
    plan: Plan
    state: RolloutState
    step: int
    """The place of its present weight among the steps, from 0."""
    phase: int
    """The phase of the split that its step began."""
    watch: Watch
    reason: str | None = None
    """Why it is not running any more."""

    def __post_init__(self) -> None:
        if not 0 <= self.step < len(self.plan.steps):
            raise InvalidRollout(f"the rollout of {self.branch} has no step {self.step + 1}")

    @property
    def weight(self) -> int:
        """The present part of the branch, in units of 0.01 %."""
        return self.plan.steps[self.step]

    @property
    def part(self) -> int:
        """What the branch has of the visitors by now: everybody once it is promoted, else what its step gives it."""
        return WHOLE if self.state in (RolloutState.PROMOTING, RolloutState.DONE) else self.weight

    @property
    def next_weight(self) -> int | None:
        """That of the next step; None at the last one."""
        return self.plan.steps[self.step + 1] if self.step + 1 < len(self.plan.steps) else None
