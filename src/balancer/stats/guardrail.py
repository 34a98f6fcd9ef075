"""Guardrails: did something get worse for the canary's visitors than for the control's over the same time?

Invariants:
    * Looked at as often as one likes, a canary that is no worse than its control is rolled back with probability 1/100
      at most by each guardrail. Over several of them these add.
    * A visitor counts once, however many errors they met: one who retries five times is one visitor in error.
    * Each phase is judged by its own weights; over phases the logarithms of E add.
    * What is bad in both arms alike, or better on the canary, is never a breach.
    * Where nobody is in error, or there is nobody to compare with, there is no answer, and that is not a pass.

Of the visitors assigned in a phase those who newly meet an error are on the canary with its weight's share θ0, if
nothing is wrong. E is the likelihood of the shares above θ0, by a beta of 20 visitors cut off there, over that of θ0:
with x of n on the canary, a = 20 θ0, b = 20 (1 − θ0),

    ln E = ln B(a+x, b+n−x) + ln SF_{a+x,b+n−x}(θ0) − ln B(a,b) − ln SF_{a,b}(θ0) − x ln θ0 − (n−x) ln(1−θ0)

E may fall again. The chance that it ever reaches 100 on a sound canary is 1/100, so the first look at which it does
is enough: who sees a breach acts on it and need not see a second, and the highest E of all looks is as good a figure as
this look's. A watch is of this look, and may pass. The rollout reads it; for latency the visitors with an answer slower
than the objective are counted the same way.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Self

from balancer.stats.arm import Inconclusive
from balancer.stats.beta import log_tail
from balancer.stats.compare import Comparison
from balancer.stats.sequential import p_value
from balancer.stats.verdict import Direction

# 100: one sound canary in a hundred is rolled back for nothing; its cost is another push.
BREACHED_AT = math.log(100)
# 20: what 5 % would show, too little to take a release away, and too much to give it to everyone.
WATCHED_AT = math.log(20)
# The prior's weight in visitors. It makes no test invalid, only quicker or slower.
_PRIOR_VISITORS = 20


class GuardrailState(Enum):
    """What a guardrail says at this look."""

    OK = "ok"
    WATCH = "watch"
    """No promotion."""
    BREACHED = "breached"
    """Roll back."""
    NOT_ENOUGH_DATA = "not enough data"
    """Nothing is known. Whether enough visitors came for a pass is not seen from here: those without errors are not
    counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCounts:
    """The assigned visitors of one phase who met at least one error, each once, in the phase of their assignment."""

    phase: int
    weight_treatment: int
    """In any unit, as that of the control."""
    weight_control: int
    treatment: int
    control: int

    def __post_init__(self) -> None:
        if min(self.weight_treatment, self.weight_control) < 0:
            raise ValueError(f"the weights {self.weight_treatment} and {self.weight_control} must be 0 or more")
        if min(self.treatment, self.control) < 0:
            raise ValueError(f"the counts {self.treatment} and {self.control} must be 0 or more")

    @property
    def comparable(self) -> bool:
        """Whether both arms were given visitors and somebody met an error: else E is 1, whatever the counts."""
        return min(self.weight_treatment, self.weight_control) > 0 < self.treatment + self.control

    @property
    def log_e(self) -> float:
        """ln E: the evidence that more than the weight's share of them is on the canary."""
        if not self.comparable:
            return 0.0
        share = self.weight_treatment / (self.weight_treatment + self.weight_control)
        # Not 1 − share, which has lost its digits where the canary has nearly everyone.
        rest = self.weight_control / (self.weight_treatment + self.weight_control)
        a, b = _PRIOR_VISITORS * share, _PRIOR_VISITORS * rest
        return log_tail(a + self.treatment, b + self.control, share) - log_tail(a, b, share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrail:
    """One guardrail at this look."""

    log_e: float
    """ln E, the evidence that it got worse."""
    p: float
    """Always valid: min(1, 1/E)."""
    state: GuardrailState

    @classmethod
    def of(cls, log_e: float) -> Self:
        """Return what this evidence, of something that could be compared, says."""
        state = GuardrailState.WATCH if log_e >= WATCHED_AT else GuardrailState.OK
        return cls(log_e=log_e, p=p_value(log_e), state=GuardrailState.BREACHED if log_e >= BREACHED_AT else state)

    @property
    def rolls_back(self) -> bool:
        """Whether the canary has to go."""
        return self.state is GuardrailState.BREACHED

    @property
    def allows_promotion(self) -> bool:
        """Whether nothing speaks against a promotion; without data nothing does, nor for it."""
        return self.log_e < WATCHED_AT


# E is 1: as likely as not.
NOTHING_KNOWN = Guardrail(log_e=0.0, p=1.0, state=GuardrailState.NOT_ENOUGH_DATA)


def guardrail(counts: Iterable[ErrorCounts]) -> Guardrail:
    """Return whether too many of the visitors in error, of all phases, are on the canary."""
    counts = tuple(counts)
    if not any(each.comparable for each in counts):
        return NOTHING_KNOWN
    return Guardrail.of(math.fsum(each.log_e for each in counts))


def metric_guardrail(comparison: Comparison | Inconclusive, direction: Direction) -> Guardrail:
    """Return whether a metric that is declared a guardrail got worse on the canary.

    `comparison` is the always-valid one (`compare`), which may be of young visitors too; its E is of a difference to
    either side, so where the metric got better there is no evidence that it got worse, and E is 1 at most. `direction`
    is the metric's good one.

    Raises ValueError for a comparison made for one look, which has no E.
    """
    if isinstance(comparison, Inconclusive):
        return NOTHING_KNOWN
    if comparison.log_e is None:
        raise ValueError("a guardrail is looked at all the time, and this comparison was made for one look")
    gain = comparison.difference if direction is Direction.HIGHER else -comparison.difference
    return Guardrail.of(comparison.log_e if gain < 0 else min(comparison.log_e, 0.0))
