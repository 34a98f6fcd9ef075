"""Push modes: what a push does with its release: switch to it at once, or give it to more and more visitors.

Invariants:
    * What is written and what it means give each other back: `parsed(written(mode)) == mode`.
    * An instant switch has no plan; the other modes have one.
    * A push to the default branch is a canary or instant, one to another branch an experiment or instant.

`rollout` of balancer.toml says it, and the registry keeps it with the rest of the manifest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum

from balancer.domain.app import BranchName
from balancer.domain.hours import Hours
from balancer.domain.literal import literal
from balancer.domain.metric import MetricName, duration
from balancer.domain.rollout import Goal, Plan, parse_margin, parse_step_time
from balancer.domain.split import CANARY
from balancer.domain.weights import parse_percent
from balancer.errors import Conflict, InvalidInput, InvalidManifest

# 2 minutes: a canary of every push has to be over before the next push; what is slow to show has `step_time`.
_CANARY_STEP_SECONDS = 120
# Half: of all weights it takes the fewest visitors to tell two branches apart.
_EVEN = (5000,)
_KEYS = ("mode", "steps", "step_time", "metric", "goal", "margin", "auto_promote", "hours")


class Mode(Enum):
    """The modes, as people write them."""

    NONE = "none"
    CANARY = "canary"
    EXPERIMENT = "experiment"


_PLANS = {
    Mode.CANARY: Plan(step_seconds=_CANARY_STEP_SECONDS, auto_promote=True),
    # Whether it is better, people are to say: so nothing is promoted by itself.
    Mode.EXPERIMENT: Plan(steps=_EVEN),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PushMode:
    """What a push does with its release."""

    mode: Mode = Mode.NONE
    plan: Plan | None = None
    """Of the rollout that it begins. An experiment without a metric takes the only one that the app has."""

    def __post_init__(self) -> None:
        if (self.mode is Mode.NONE) != (self.plan is None):
            raise InvalidManifest("rollout: a canary and an experiment have a plan, `none` has not")

    def on(self, *, default: bool) -> "PushMode":
        """Return what it means on the default branch, or on another one."""
        return self if self.mode is (Mode.CANARY if default else Mode.EXPERIMENT) else INSTANT


INSTANT = PushMode()


def parsed(said: object) -> PushMode:
    """Return the mode that is written as a word, or as a table. Raises InvalidManifest, which names the key."""
    table = {"mode": said} if isinstance(said, str) else said
    if not isinstance(table, Mapping):
        raise InvalidManifest(f"rollout = {literal(said)} must be one of {_modes()}, or a table with a `mode`")
    for key in table:
        if key not in _KEYS:
            raise InvalidManifest(f"rollout: nothing is called {key!r}; there are {', '.join(_KEYS)}")
    if "mode" not in table:
        raise InvalidManifest(f"rollout: it has no `mode`: there are {_modes()}")
    if table["mode"] not in [each.value for each in Mode]:
        raise InvalidManifest(f"rollout: mode = {literal(table['mode'])}: there are {_modes()}")
    mode = Mode(table["mode"])
    if mode is Mode.NONE:
        if len(table) > 1:
            raise InvalidManifest("rollout: `none` switches at once, and has nothing else to say")
        return INSTANT
    try:
        return PushMode(mode=mode, plan=_plan(_PLANS[mode], table))
    except InvalidManifest:
        raise
    except InvalidInput as reason:
        raise InvalidManifest(f"rollout: {reason}") from reason


def declared(said: object) -> PushMode:
    """Return the mode that a pushed tree says. Raises InvalidManifest, also of what the registry may have."""
    mode = parsed(said)
    if isinstance(said, Mapping) and "margin" in said:
        _check_unit(said["margin"])
    # An experiment without a metric takes the one that the app has; a canary has none then, and goes by no goal.
    if mode.mode is Mode.CANARY and mode.plan and mode.plan.goal is Goal.NOT_WORSE and mode.plan.metric is None:
        raise InvalidManifest('rollout: non-inferiority is shown by a metric: name it, metric = "purchase"')
    return mode


def written(mode: PushMode) -> dict[str, object]:
    """Return the table that says a mode, with all that goes without saying."""
    said: dict[str, object] = {"mode": mode.mode.value}
    if (plan := mode.plan) is None:
        return said
    said |= {
        "steps": [step / 100 for step in plan.steps],
        "step_time": duration(plan.step_seconds) if plan.step_seconds else "0s",
        "goal": plan.goal.value,
        "margin": plan.margin * 100,
        "auto_promote": plan.auto_promote,
    }
    said |= {} if plan.hours is None else {"hours": plan.hours}
    return said if plan.metric is None else said | {"metric": plan.metric}


def option(text: str) -> Mode:
    """Return the mode that an option of a push asks for, in the manifest's place. Raises InvalidInput, by its name."""
    key, _, value = text.partition("=")
    if key != "rollout":
        raise InvalidInput(f"there is no push option {text[:60]!r}: there are rollout=none and during-freeze")
    if value != Mode.NONE.value:
        raise InvalidInput(
            f"the push option {text[:60]!r} cannot be: rollout=none switches at once, and what else a push is to do "
            "stands in balancer.toml"
        )
    return Mode.NONE


def check_pushed(branch: BranchName) -> None:
    """Raise Conflict where a branch has the name of what we make ourselves."""
    if branch == CANARY:
        raise Conflict(
            f"{CANARY} is what Balancer calls a push to the default branch as long as it is given to a part of the "
            "visitors: give your branch another name"
        )


def _plan(default: Plan, table: Mapping[object, object]) -> Plan:
    metric = None if table.get("metric") is None else MetricName(_text("metric", table["metric"]))
    return replace(
        default,
        steps=_steps(table["steps"]) if "steps" in table else default.steps,
        step_seconds=_seconds(table["step_time"]) if "step_time" in table else default.step_seconds,
        metric=None if metric is None else str(metric),
        goal=_goal(table["goal"]) if "goal" in table else default.goal,
        margin=_percent("margin", table["margin"]) / 10_000 if "margin" in table else default.margin,
        hours=str(Hours(_text("hours", table["hours"]))) if "hours" in table else default.hours,
        auto_promote=_flag("auto_promote", table.get("auto_promote", default.auto_promote)),
    )


def _steps(value: object) -> tuple[int, ...]:
    if not isinstance(value, list | tuple):
        said = literal(value)
        raise InvalidManifest(f"rollout: steps = {said} must be a list of percentages, such as [1, 5, 25, 50, 100]")
    return tuple(_percent("step", each) for each in value)


def _percent(key: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidManifest(f'rollout: {key} = {literal(value)} must be a percentage, such as 2 or "2%"')
    # Twelve digits: what 0.07 × 100 is to be, and no more of what a float adds to it.
    return parse_percent(value if isinstance(value, str) else f"{value:.12g}", key)


def _check_unit(margin: object) -> None:
    """Raise InvalidManifest where a margin is a number alone: 0.02 may be meant as 2 %."""
    try:
        parse_margin(margin if isinstance(margin, str) else literal(margin))
    except InvalidInput as reason:
        raise InvalidManifest(f'rollout: {reason}, in quotes: margin = "2%"') from reason


def _seconds(value: object) -> int:
    return parse_step_time(_text("step_time", value))


def _goal(value: object) -> Goal:
    values = [each.value for each in Goal]
    if value not in values:
        raise InvalidManifest(f"rollout: goal = {literal(value)}: there are {', '.join(values)}")
    return Goal(value)


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidManifest(f"rollout: {key} = {literal(value)} must be a text")
    return value


def _flag(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidManifest(f"rollout: {key} = {literal(value)} must be true or false")
    return value


def _modes() -> str:
    return ", ".join(each.value for each in Mode)
