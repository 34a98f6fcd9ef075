"""Splits and their phases."""

from datetime import datetime
from decimal import Decimal
from typing import Self

from pydantic import Field

from balancer.domain.app import BranchName
from balancer.domain.audience import Audience, HeaderCondition, HeaderName
from balancer.domain.calendar import TimeZone, instant
from balancer.domain.metric import MetricName
from balancer.domain.split import Brief, Phase, Split
from balancer.domain.weights import parse_percent, parse_weights
from balancer.wire.body import Body
from balancer.wire.metrics import NamedMetric


class WeightsBody(Body):
    """Weights of a split, in percent, steps of 0.01; in the order in which they are named."""

    weights: dict[str, Decimal] = Field(examples=[{"master": 50, "test": 50}])

    def parsed(self) -> dict[BranchName, int]:
        """Return the weights in units of 0.01 %. Raises InvalidWeights, InvalidName."""
        return parse_weights(f"{branch}={share}" for branch, share in self.weights.items())


class HeaderBody(Body):
    """A header that a request must have, with one of some values."""

    name: str
    values: list[str]


class BriefBody(Body):
    """What a split is begun with, and keeps."""

    name: str | None = None
    hypothesis: str | None = None
    metric: str | None = Field(default=None, description="The metric that decides, or the event.")
    aa: bool = Field(default=False, description="Nothing is to differ between the variants.")
    decide_at: datetime | None = Field(
        default=None,
        description="When it is decided, with nothing read until then; in the app's time zone where it does not say.",
    )
    path: str | None = Field(default=None, description="Only who asks for a path that begins with it is assigned.")
    headers: list[HeaderBody] = Field(
        default=[], description="Only who has all of these is assigned. A country is the header that tells it."
    )
    held_out: Decimal = Field(default=Decimal(0), description="Percent of all visitors who are never assigned.")

    @classmethod
    def of(cls, brief: Brief) -> Self:
        """Return the body of a brief."""
        return cls(
            name=brief.name,
            hypothesis=brief.hypothesis,
            metric=brief.metric,
            aa=brief.aa,
            decide_at=brief.decide_at,
            path=brief.audience.path,
            headers=[HeaderBody(name=each.name, values=list(each.values)) for each in brief.audience.headers],
            held_out=Decimal(brief.held_out) / 100,
        )

    def parsed(self, zone: TimeZone | None = None) -> Brief:
        """Return the brief; its date is in `zone` where it does not say.

        Raises InvalidName, InvalidSplit, InvalidWeights.
        """
        decide_at = self.decide_at
        if zone is not None and decide_at is not None and decide_at.tzinfo is None:
            decide_at = instant(zone, decide_at.isoformat(timespec="seconds"))
        return Brief(
            name=self.name,
            hypothesis=self.hypothesis,
            metric=None if self.metric is None else MetricName(self.metric),
            aa=self.aa,
            decide_at=decide_at,
            audience=Audience(
                path=self.path,
                headers=tuple(
                    HeaderCondition(name=HeaderName(each.name), values=tuple(each.values)) for each in self.headers
                ),
            ),
            held_out=parse_percent(str(self.held_out), "part that is held out"),
        )


class FrozenBrief(BriefBody):
    """What a split was begun with."""

    metrics: list[NamedMetric] = Field(description="Those that were declared when it began.")
    twin: str | None = Field(default=None, description="The branch that was made for it, and goes with it.")

    @classmethod
    def frozen(cls, brief: Brief) -> Self:
        """Return the body of a brief with its metrics."""
        plain = BriefBody.of(brief).model_dump()
        return cls(**plain, metrics=[NamedMetric.of(metric) for metric in brief.metrics], twin=brief.twin)


class NewSplit(WeightsBody):
    """A split to begin."""

    control: str | None = Field(default=None, description="The branch that visitors see, where it is not named.")
    brief: BriefBody = BriefBody()


class NewTwin(Body):
    """An A/A split to begin, with a twin of its control."""

    control: str | None = Field(default=None, description="The branch that visitors see, where it is not named.")
    brief: BriefBody = BriefBody()


class Conclusion(Body):
    """How a split is to end."""

    winner: str


class PhaseBody(Body):
    """A phase of a split."""

    number: int
    weights: dict[str, float]
    started_at: datetime

    @classmethod
    def of(cls, phase: Phase) -> Self:
        """Return the body of a phase."""
        return cls(
            number=phase.number,
            weights={branch: weight / 100 for branch, weight in phase.weights.items()},
            started_at=phase.started_at,
        )


class SplitBody(Body):
    """A split."""

    id: str
    app: str
    state: str
    control: str
    phases: list[PhaseBody]
    ended_at: datetime | None
    brief: FrozenBrief
    winner: str | None = None

    @classmethod
    def of(cls, split: Split) -> Self:
        """Return the body of a split."""
        return cls(
            id=split.id,
            app=split.app,
            state=split.state.value,
            control=split.control,
            phases=[PhaseBody.of(phase) for phase in split.phases],
            ended_at=split.ended_at,
            brief=FrozenBrief.frozen(split.brief),
            winner=split.winner,
        )
