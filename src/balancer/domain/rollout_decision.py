"""What is to be done with a rollout, and what stops it.

Invariants:
    * `decide` is pure: the same rollout and the same figures give the same action, so that each one can be replayed.
    * Harm comes first: what is to be rolled back is never made larger, kept waiting for visitors, or promoted.
    * What fails both alike is no harm, and no pass either: it waits.
    * No traffic is no pass: where figures are lacking, a rollout waits.
    * Outside its hours and in a freeze nothing grows either, whatever the figures say.
    * While the sample ratio alarms nothing grows; a rollback stays armed, also of what is paused.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from balancer.domain.crashes import WITHIN_SECONDS
from balancer.domain.freeze import Hold
from balancer.domain.hard_stop import IN_A_ROW, Answers
from balancer.domain.remaining import remaining
from balancer.domain.rollout import Goal, Rollout, RolloutState
from balancer.domain.weights import WHOLE

# 200: of them, a fault that befalls one visitor in a hundred befalls at least one, 87 times of 100.
STEP_VISITORS = 200
# 7 days, for weekends are other people than working days, and what is new is tried out on the first one.
LEAST_SECONDS = 7 * 86_400
# E ≥ 100: one false rollback in 100 rollouts at most, however often one looks.
BREACHED = math.log(100)
# E ≥ 20: not enough to take something back, too much to give it to everybody.
DOUBTFUL = math.log(20)
# 5 s without an instance that is healthy: a process that dies is back after one or two.
HEALTH_SECONDS = 5.0
# 3 within ten minutes: an instance that ends once was killed by something, twice may be chance; a release that is sound
# does not do it three times while the control does it once at most.
CRASHES = 3
# Half: where the control fails as well, it is not the canary's doing.
_BOTH_FAIL = 0.5
# A minute: an outage of both shows within seconds at any traffic that takes steps, and a minute after it they go on.
LATELY_SECONDS = 60.0
# 20 answers of each: fewer may be a single visitor who asks again and again.
_LATELY_ANSWERS = 20
NO_ANSWERS = Answers(failed=0, other=0)
LAST_STEP = "last step"
"""The rule by which nothing but a person is waited for."""


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
    canary_lately: Answers = NO_ANSWERS
    """Of the branch, within `LATELY_SECONDS`."""
    control_lately: Answers = NO_ANSWERS
    unhealthy_seconds: float = 0.0
    """For how long no instance of the branch was healthy, while the control had one."""
    crashes: int = 0
    """How often instances of the branch ended by themselves of late (`crashes`)."""
    control_crashes: int = 0
    finding: Finding = Finding.UNDECIDED
    because: str = "there was no look yet"
    """Why the looks say so, as a part of a sentence."""
    unseen: tuple[str, ...] = ()
    """What is to be said of guardrails that count events of which none was ever seen: it decides nothing."""
    blind: str | None = None
    """Why the ledger's figures are lacking."""
    hold: Hold | None = None
    """What forbids a step by the clock on the wall: a freeze, or the hours of the plan."""

    @property
    def outage(self) -> bool:
        """Whether both have failed for most of those who asked of late: then who was served well is not known."""
        return all(
            _fails(each) and each.failed + each.other >= _LATELY_ANSWERS
            for each in (self.canary_lately, self.control_lately)
        )


class What(Enum):
    """What is to be done with a rollout."""

    WAIT = "wait"
    ADVANCE = "advance"
    ROLL_BACK = "roll back"
    PROMOTE = "promote"
    ABORT = "abort"
    """Somebody ends it; figures never say so."""


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
    shown = f"{seen.visitors} visitors, and no guardrail breached"
    if seen.finding is Finding.SHIP:
        shown = seen.because
    if rollout.plan.auto_promote and (last or rollout.next_weight == WHOLE):
        return Action(what=What.PROMOTE, rule="fit for everybody", reason=shown)
    if last:
        return Action(
            what=What.WAIT,
            rule=LAST_STEP,
            reason=f"all steps are done ({shown}); `balancer rollout promote {rollout.app}` makes it the default "
            "branch's release",
        )
    return Action(what=What.ADVANCE, rule="step passed", reason=shown, step=rollout.step + 1)


def _harms(seen: Seen) -> Iterator[tuple[str, str]]:
    """Give each rule that says to roll back, with its reason."""
    canary, control = seen.canary, seen.control
    if seen.hard_stop and not _fails(control):
        yield (
            "hard stop",
            f"{canary.failed} of the first {canary.failed + canary.other} requests were answered 5xx, "
            f"{IN_A_ROW} of them in a row",
        )
    if seen.unhealthy_seconds >= HEALTH_SECONDS:
        yield "health lost", f"no instance of the branch was healthy for {seen.unhealthy_seconds:.0f} s"
    if seen.crashes >= CRASHES and seen.control_crashes < _BOTH_FAIL * seen.crashes:
        yield (
            "crash loop",
            f"instances of the branch ended by themselves {seen.crashes} times within "
            f"{WITHIN_SECONDS / 60:.0f} minutes, those of the control {seen.control_crashes} times",
        )
    for guard in seen.guards:
        if guard.log_e >= BREACHED:
            yield "guardrail", str(guard)
    if seen.finding is Finding.ROLL_BACK:
        yield "metric", seen.because


def _fails(answers: Answers) -> bool:
    """Tell whether half of some answers or more were 5xx."""
    return answers.failed > 0 and answers.failed >= _BOTH_FAIL * (answers.failed + answers.other)


def _lacks(rollout: Rollout, seen: Seen) -> Iterator[tuple[str, str]]:
    """Give each rule that a step still lacks, with what is lacking."""
    if rollout.state is not RolloutState.RUNNING:
        yield "paused", f"it is paused; go on with `balancer rollout resume {rollout.app}`"
    if seen.phase != rollout.phase:
        yield (
            "other weights",
            (f"somebody has set other weights; `balancer rollout resume {rollout.app}` takes the step again"),
        )
    if seen.hold is not None:
        yield seen.hold.rule, seen.hold.reason
    if seen.blind is not None:
        yield "blind", seen.blind
        return
    if seen.alarm:
        yield "sample ratio", f"the variants do not get the visitors that the weights intend (p {seen.ratio_p:.2g})"
    if seen.outage:
        ours, theirs = seen.canary_lately, seen.control_lately
        yield (
            "both fail",
            f"{ours.failed} of the last {ours.failed + ours.other} requests of the branch were answered 5xx, "
            f"{theirs.failed} of {theirs.failed + theirs.other} of the control: that is not the branch's doing, and "
            "says nothing for it either",
        )
    if seen.visitors < STEP_VISITORS and rollout.weight != WHOLE:
        yield "not enough data", f"{seen.visitors} of {STEP_VISITORS} visitors"
    if (left := rollout.plan.step_seconds - seen.step_seconds) > 0:
        yield "too soon", remaining(left, rollout.plan.step_seconds)


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
