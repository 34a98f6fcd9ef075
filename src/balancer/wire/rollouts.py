"""Rollouts, how they stand, and what was decided of them."""

from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field

from balancer.domain.freeze import Hold
from balancer.domain.hours import Hours
from balancer.domain.rollout import Goal, Plan, Rollout, RolloutState
from balancer.domain.rollout_decision import Action, Seen
from balancer.domain.weights import WHOLE, parse_percent, percent
from balancer.wire.body import Body

if TYPE_CHECKING:  # a command that does not show them does not load what makes them
    from balancer.services.rollouts import Standing

_DEFAULT = Plan()
_PROMOTED = {RolloutState.PROMOTING.value, RolloutState.DONE.value}
_EVERYBODY = percent(WHOLE)


class PlanBody(Body):
    """The steps of a rollout, and what decides it."""

    steps: list[float] = Field(
        default=[step / 100 for step in _DEFAULT.steps],
        description="Percent of the visitors, each more than the one before.",
        examples=[[1, 5, 25, 50, 100]],
    )
    metric: str | None = Field(default=None, description="The metric, or the event, whose verdict is needed.")
    mode: Literal["superiority", "non-inferiority"] = "superiority"
    margin: float = Field(default=_DEFAULT.margin, description="The loss that non-inferiority accepts, from 0 to 1.")
    auto_promote: bool = False
    step_seconds: int = Field(default=_DEFAULT.step_seconds, description="How long a step lasts at least.")
    hours: str | None = Field(
        default=None,
        description="When it goes on by itself, in the app's time zone; always where none are named.",
        examples=["Mon-Fri 09:00-17:00"],
    )

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """Return the body of a plan."""
        return cls(
            steps=[step / 100 for step in plan.steps],
            metric=plan.metric,
            mode=plan.goal.value,
            margin=plan.margin,
            auto_promote=plan.auto_promote,
            step_seconds=plan.step_seconds,
            hours=plan.hours,
        )

    def parsed(self) -> Plan:
        """Return the plan. Raises InvalidRollout, InvalidWeights."""
        return Plan(
            steps=tuple(parse_percent(str(step), "step") for step in self.steps),
            metric=self.metric,
            goal=Goal(self.mode),
            margin=self.margin,
            auto_promote=self.auto_promote,
            step_seconds=self.step_seconds,
            hours=None if self.hours is None else Hours(self.hours),
        )


class NewRollout(PlanBody):
    """A rollout that is to begin."""

    branch: str


class RolloutBody(Body):
    """A rollout."""

    app: str
    branch: str
    split: str
    plan: PlanBody
    state: str
    step: int = Field(description="From 1.")
    weight: float = Field(description="The branch's part of the visitors in this step, in percent.")
    phase: int = Field(description="The phase of the split that the step began.")
    seconds: float = Field(description="How long it has gone on, whatever became of the clock.")
    step_seconds: float
    reason: str | None = Field(default=None, description="Why it does not go on.")
    hold: Hold | None = Field(default=None, description="What forbids a step by itself just now: hours, a freeze.")
    unseen: list[str] = Field(
        default=[], description="When it begins: guardrails that count events of which none was ever seen."
    )

    @classmethod
    def of(cls, rollout: Rollout, hold: Hold | None = None, unseen: tuple[str, ...] = ()) -> Self:
        """Return the body of a rollout."""
        return cls(
            app=rollout.app,
            branch=rollout.branch,
            split=rollout.split,
            plan=PlanBody.of(rollout.plan),
            state=rollout.state.value,
            step=rollout.step + 1,
            weight=rollout.weight / 100,
            phase=rollout.phase,
            seconds=rollout.watch.seconds,
            step_seconds=rollout.watch.step_seconds,
            reason=rollout.reason,
            hold=hold,
            unseen=list(unseen),
        )

    @property
    def steps(self) -> str:
        """The steps for people, the present one in brackets."""
        shown = [percent(step) for step in self.plan.parsed().steps]
        if self.state in _PROMOTED:
            return " → ".join([*(step for step in shown if step != _EVERYBODY), f"[{_EVERYBODY}]"])
        shown[self.step - 1] = f"[{shown[self.step - 1]}]"
        return " → ".join(shown)


class StandingBody(Body):
    """How a rollout stands."""

    rollout: RolloutBody
    seen: Seen | None = Field(default=None, description="The latest figures; none before the daemon's first look.")
    action: Action | None = Field(default=None, description="What they say.")
    release: int | None = Field(
        default=None, description="Number of what its branch has live; null once its split is over, as the next three."
    )
    commit: str | None = None
    subject: str | None = None
    author: str | None = None

    @classmethod
    def of(cls, standing: "Standing") -> Self:
        """Return the body of how a rollout stands."""
        release = standing.release
        return cls(
            rollout=RolloutBody.of(standing.rollout, standing.hold),
            seen=standing.seen,
            action=standing.action,
            release=release.number if release else None,
            commit=release.commit if release else None,
            subject=release.subject if release else None,
            author=release.author if release else None,
        )
