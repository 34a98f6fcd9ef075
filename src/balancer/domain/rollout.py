"""Rollouts: weights of a split that change by themselves, and what stops them.

Invariants:
    * `decide` is pure: the same rollout and the same figures give the same action, so that each one can be replayed.
    * Harm comes first: what is to be rolled back is never made larger, kept waiting for visitors, or promoted.
    * No traffic is no pass: where figures are lacking, a rollout waits.
    * While the sample ratio alarms nothing grows; a rollback stays armed, also of what is paused.

Times are what has gone by, never what a clock said: a clock that jumps takes no step (`services/rollouts.py`).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from balancer.domain.app import AppName, BranchName
from balancer.domain.hard_stop import IN_A_ROW, Answers
from balancer.domain.split import SplitId
from balancer.domain.weights import WHOLE, percent
from balancer.errors import InvalidRollout

# 200: of them, a fault that befalls one visitor in a hundred befalls at least one, 87 times of 100.
STEP_VISITORS = 200
# 10 minutes: a cache that fills up, a leak, a job that runs every five minutes show themselves within it.
STEP_SECONDS = 600
# 7 days, for weekends are other people than working days, and what is new is tried out on the first one.
LEAST_SECONDS = 7 * 86_400
# E ≥ 100: one false rollback in 100 rollouts at most, however often one looks.
BREACHED = math.log(100)
# E ≥ 20: not enough to take something back, too much to give it to everybody.
DOUBTFUL = math.log(20)
# 5 s without an instance that is healthy: a process that dies is back after one or two.
HEALTH_SECONDS = 5.0
# Half: where the control fails as well, it is not the canary's doing.
_BOTH_FAIL = 0.5
# 20: more steps than that are weights that somebody computes.
_STEPS_LIMIT = 20
# 30 days: a step that lasts longer is a mistake of the unit.
_STEP_SECONDS_LIMIT = 30 * 86_400
NO_ANSWERS = Answers(failed=0, other=0)
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
    def next_weight(self) -> int | None:
        """That of the next step; None at the last one."""
        return self.plan.steps[self.step + 1] if self.step + 1 < len(self.plan.steps) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What a guardrail says."""

    name: str
    log_e: float
    """ln E over all phases."""
    p: float
    figures: str
    """Those of the branch and of the control, for people."""

    def __str__(self) -> str:
        return f"{self.name}: {self.figures} (p {self.p:.2g})"


class Finding(Enum):
    """What the looks at the metric that decides say of the branch."""

    SHIP = "ship"
    ROLL_BACK = "roll back"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The figures that a decision is made of."""

    phase: int
    """The present phase of the split."""
    seconds: float
    step_seconds: float
    visitors: int
    """Exposed visitors of the branch who were assigned in the phase."""
    guards: tuple[Guard, ...] = ()
    alarm: bool = False
    """Whether the sample ratio alarms."""
    ratio_p: float = 1.0
    hard_stop: bool = False
    """Whether five of the branch's first answers were 5xx, one after the other (`hard_stop`)."""
    canary: Answers = NO_ANSWERS
    """Of the branch, since its release was first looked at."""
    control: Answers = NO_ANSWERS
    """Over the same time."""
    unhealthy_seconds: float = 0.0
    """For how long no instance of the branch was healthy, while the control had one."""
    finding: Finding = Finding.UNDECIDED
    because: str = "there was no look yet"
    """Why the looks say so, as a part of a sentence."""
    blind: str | None = None
    """Why the ledger's figures are lacking."""


class What(Enum):
    """What is to be done with a rollout."""

    WAIT = "wait"
    ADVANCE = "advance"
    ROLL_BACK = "roll back"
    PROMOTE = "promote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What is to be done, and why."""

    what: What
    rule: str
    """The name of the rule that says so; the figures change from look to look, this does not."""
    reason: str
    """For people, with the figures."""
    step: int | None = None
    """Of an advance: where to."""


def decide(rollout: Rollout, seen: Seen) -> Action:
    """Return what is to be done with a rollout that runs or is paused."""
    harm = next(_harms(seen), None)
    if harm:
        return Action(what=What.ROLL_BACK, rule=harm[0], reason=harm[1])
    lacks = tuple(_lacks(rollout, seen))
    if not lacks and (rollout.next_weight in (None, WHOLE)):
        lacks = tuple(_lacks_for_everybody(rollout, seen))
    if lacks:
        return Action(what=What.WAIT, rule=lacks[0][0], reason="; ".join(reason for _, reason in lacks))
    return _onward(rollout, seen)


def _onward(rollout: Rollout, seen: Seen) -> Action:
    """Return the next action of a rollout that lacks nothing."""
    last = rollout.next_weight is None
    shown = seen.because if rollout.plan.metric else f"{seen.visitors} visitors, and no guardrail breached"
    if rollout.plan.auto_promote and (last or rollout.next_weight == WHOLE):
        return Action(what=What.PROMOTE, rule="fit for everybody", reason=shown)
    if last:
        return Action(
            what=What.WAIT,
            rule="last step",
            reason=f"all steps are done ({shown}); `balancer rollout promote` makes it what {rollout.app} is",
        )
    return Action(what=What.ADVANCE, rule="step passed", reason=shown, step=rollout.step + 1)


def _harms(seen: Seen) -> Iterator[tuple[str, str]]:
    """Give each rule that says to roll back, with its reason."""
    canary, control = seen.canary, seen.control
    both = control.failed > 0 and control.failed >= _BOTH_FAIL * (control.failed + control.other)
    if seen.hard_stop and not both:
        yield (
            "hard stop",
            f"{canary.failed} of the first {canary.failed + canary.other} requests were answered 5xx, "
            f"{IN_A_ROW} of them in a row",
        )
    if seen.unhealthy_seconds >= HEALTH_SECONDS:
        yield "health lost", f"no instance of the branch was healthy for {seen.unhealthy_seconds:.0f} s"
    for guard in seen.guards:
        if guard.log_e >= BREACHED:
            yield "guardrail", str(guard)
    if seen.finding is Finding.ROLL_BACK:
        yield "metric", seen.because


def _lacks(rollout: Rollout, seen: Seen) -> Iterator[tuple[str, str]]:
    """Give each rule that a step still lacks, with what is lacking."""
    if rollout.state is not RolloutState.RUNNING:
        yield "paused", "it is paused; go on with `balancer rollout resume`"
    if seen.phase != rollout.phase:
        yield "other weights", "somebody has set other weights; `balancer rollout resume` takes the step again"
    if seen.blind is not None:
        yield "blind", seen.blind
        return
    if seen.alarm:
        yield "sample ratio", f"the variants do not get the visitors that the weights intend (p {seen.ratio_p:.2g})"
    if seen.visitors < STEP_VISITORS and rollout.weight != WHOLE:
        yield "not enough data", f"{seen.visitors} of {STEP_VISITORS} visitors"
    if (left := rollout.plan.step_seconds - seen.step_seconds) > 0:
        yield "too soon", f"{math.ceil(left)} s of {rollout.plan.step_seconds} s are left"


def _lacks_for_everybody(rollout: Rollout, seen: Seen) -> Iterator[tuple[str, str]]:
    """Give what is lacking before everybody may get the branch."""
    for guard in seen.guards:
        if guard.log_e >= DOUBTFUL:
            yield "doubtful guardrail", str(guard)
    if rollout.plan.metric is None:
        return
    if rollout.weight != WHOLE and seen.finding is not Finding.SHIP:
        yield "no verdict", f"{rollout.plan.metric}: {seen.because}"
    if rollout.plan.goal is Goal.BETTER and seen.seconds < LEAST_SECONDS:
        yield "before 7 days", f"{seen.seconds / 86_400:.1f} of {LEAST_SECONDS // 86_400} days"
