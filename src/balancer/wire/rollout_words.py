"""Rollouts in words: the plan that the options of a command, or the fields of a form, ask for.

Invariant: a command and a form with the same words ask for the same.
"""

from typing import Literal

from balancer.domain.hours import Hours
from balancer.domain.rollout import parse_margin, parse_step_time
from balancer.domain.weights import parse_percent
from balancer.wire.rollouts import PlanBody

Mode = Literal["superiority", "non-inferiority"]
STEPS, MARGIN, STEP_TIME = "1,5,25,50,100", "2%", "10m"
"""Defaults."""


def plan_body(
    steps: str,
    metric: str | None,
    mode: Mode,
    margin: str,
    step_time: str,
    hours: str | None,
    *,
    auto_promote: bool,
) -> PlanBody:
    """Return what the words of a plan say. Raises InvalidWeights, InvalidMetric, InvalidRollout."""
    return PlanBody(
        steps=[parse_percent(step, "step") / 100 for step in steps.split(",")],
        metric=metric,
        mode=mode,
        margin=parse_margin(margin),
        auto_promote=auto_promote,
        step_seconds=parse_step_time(step_time),
        hours=None if hours is None else Hours(hours),
    )
