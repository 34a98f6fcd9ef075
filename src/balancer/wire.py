"""The bodies of the admin API: JSON from and to the domain, the one description of both.

Used by `api` to answer and by `client` to read the answers. Times are ISO 8601 in UTC, weights are percentages.
"""

from datetime import datetime
from decimal import Decimal
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from balancer.domain.app import App, BranchName, ConfigKey, ConfigValue
from balancer.domain.release import Instance, Release
from balancer.domain.split import Phase, Split, parse_weights
from balancer.errors import BalancerError


class Body(BaseModel):
    """A body; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid")


class ErrorBody(Body):
    """What any failure is answered with."""

    error: str = Field(description="Name of the error, such as `app-not-found`.")
    message: str

    @classmethod
    def of(cls, error: BalancerError) -> Self:
        """Return the body of an error."""
        return cls(error=error.code(), message=str(error))


class NewApp(Body):
    """An app to create."""

    name: str = Field(examples=["shop"])
    default_branch: str | None = Field(
        default=None, description="The branch that visitors see outside a split; else the first one to go live."
    )


class AppBody(Body):
    """An app."""

    name: str
    default_branch: str | None
    domains: list[str]
    urls: list[str]
    created_at: datetime

    @classmethod
    def of(cls, app: App, urls: list[str]) -> Self:
        """Return the body of an app."""
        return cls(
            name=app.name,
            default_branch=app.default_branch,
            domains=list(app.domains),
            urls=urls,
            created_at=app.created_at,
        )


class RemoteBody(Body):
    """Where to push an app."""

    remote: str = Field(description="URL for `git remote add`, with the token in it.")


class ReleaseBody(Body):
    """A release."""

    number: int
    branch: str
    commit: str
    state: str
    subject: str
    author: str
    created_at: datetime
    activated_at: datetime | None
    reason: str | None

    @classmethod
    def of(cls, release: Release) -> Self:
        """Return the body of a release."""
        return cls(
            number=release.number,
            branch=release.branch,
            commit=release.commit,
            state=release.state.value,
            subject=release.subject,
            author=release.author,
            created_at=release.created_at,
            activated_at=release.activated_at,
            reason=release.reason,
        )


class InstanceBody(Body):
    """An instance."""

    name: str = Field(description="As in the edge log, such as `r12-i40`.")
    branch: str
    release: int
    index: int
    state: str
    port: int
    pid: int | None
    running: bool

    @classmethod
    def of(cls, instance: Instance, release: Release, *, running: bool) -> Self:
        """Return the body of an instance."""
        return cls(
            name=instance.server,
            branch=release.branch,
            release=release.number,
            index=instance.index,
            state=instance.state.value,
            port=instance.port,
            pid=instance.process.pid if instance.process else None,
            running=running,
        )


class Return(Body):
    """Which release to go back to."""

    branch: str | None = Field(default=None, description="The default branch where it is not named.")
    release: int | None = Field(default=None, description="Number of a release; else the one before.")


class Progress(Body):
    """One line of a stream: something that happened, or at the end the release or the error."""

    line: str | None = None
    release: ReleaseBody | None = None
    error: ErrorBody | None = None


class WeightsBody(Body):
    """Weights of a split, in percent, steps of 0.01; in the order in which they are named."""

    weights: dict[str, Decimal] = Field(examples=[{"master": 50, "test": 50}])
    control: str | None = Field(default=None, description="The default branch where it is not named.")

    def parsed(self) -> dict[BranchName, int]:
        """Return the weights in units of 0.01 %. Raises InvalidWeights, InvalidName."""
        return parse_weights(f"{branch}={share}" for branch, share in self.weights.items())


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
        )


class ConfigBody(Body):
    """Config vars: in an answer all of them, in a request those to change, null to remove one."""

    config: dict[str, str | None]

    def parsed(self) -> dict[str, str | None]:
        """Return the changes that a request asks for. Raises InvalidName, InvalidInput."""
        return {ConfigKey(key): None if value is None else ConfigValue(value) for key, value in self.config.items()}


class LogLine(Body):
    """A line that an instance printed."""

    instance: str
    line: str


class StatusBody(Body):
    """The platform as a whole."""

    version: str
    pid: int
    site: str = Field(description="URL of the site; each app has its own host there.")
    apps: int
    instances: int
    running: int
    ledger: str = Field(description="`running`, or why it does not answer.")
    dropped_lines: int | None = Field(
        description="Lines of the edge log that could not be written since HAProxy started; null where it is away."
    )
