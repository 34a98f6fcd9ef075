"""The form that begins a rollout: its fields, the rollout that they ask for, and what is known for its plan."""

from collections.abc import Mapping

from balancer.errors import InvalidInput
from balancer.wire.asked import number_in
from balancer.wire.rollout_plans import RolloutWishBody
from balancer.wire.rollout_words import MARGIN, STEP_TIME, STEPS, Mode, plan_body

EFFECT = "10"
"""Percent that the metric of a plan is to show, where nobody says another effect."""
PLAIN = (
    *("branch", "steps", "step_time", "metric", "mode", "margin", "hours", "auto_promote"),
    *("effect", "baseline", "visitors"),
)
"""The fields of the form; the last three are of its plan alone."""
_MODES: Mapping[str, Mode] = {"superiority": "superiority", "non-inferiority": "non-inferiority"}


def wish_in(form: Mapping[str, str]) -> RolloutWishBody:
    """Return the rollout that a form asks for, and what is known for its plan.

    Raises InvalidInput, InvalidWeights, InvalidMetric, InvalidRollout.
    """
    given = {name: form.get(name, "").strip() or None for name in PLAIN}
    mode = _MODES.get(given["mode"] or "superiority")
    if mode is None:
        raise InvalidInput(f"{given['mode']!r} is no mode: superiority and non-inferiority are")
    if given["branch"] is None:
        raise InvalidInput("choose the branch that visitors are to get")
    plan = plan_body(
        given["steps"] or STEPS,
        given["metric"],
        mode,
        given["margin"] or MARGIN,
        given["step_time"] or STEP_TIME,
        given["hours"],
        auto_promote=given["auto_promote"] is not None,
    )
    visitors = None if given["visitors"] is None else number_in("visitors a day", given["visitors"])
    if visitors is not None and visitors <= 0:
        raise InvalidInput("the visitors a day must be more than 0; leave them empty where nobody knows")
    return RolloutWishBody(
        **plan.model_dump(),
        branch=given["branch"],
        effect=number_in("effect", given["effect"] or EFFECT) / 100,
        baseline=None if given["baseline"] is None else number_in("rate", given["baseline"]) / 100,
        visitors_a_day=visitors,
    )
