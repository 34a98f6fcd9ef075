"""Bodies of events that servers send."""

from datetime import datetime

from pydantic import ConfigDict, Field, RootModel

from balancer.wire.body import Body


class SentEventBody(Body):
    """Something that a visitor did."""

    # So that NaN reaches the platform, which refuses it, instead of becoming no value at all.
    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")

    visitor: str = Field(description="What the app is told in `X-Balancer-Visitor`.")
    name: str
    value: float | None = None
    ts: datetime | int | None = Field(
        default=None,
        description="When: ISO 8601 with a zone, or milliseconds since 1970. The time of arrival, if there is none.",
    )
    id: str | None = Field(default=None, description="Makes a repetition harmless, within 7 days.")
    dims: dict[str, str] | None = Field(default=None, description="What else there is to say: at most 8 texts.")


class SentEventsBody(RootModel[list[SentEventBody]]):
    """A batch."""


class RefusalBody(Body):
    """An event of a batch that was not accepted."""

    index: int = Field(description="Its place in the batch, from 0 on.")
    reason: str
    message: str


class AcceptedBody(Body):
    """What became of a batch."""

    accepted: int
    refused: list[RefusalBody]
