"""Apps: their branches' default, their mode, their config vars."""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field

from balancer.domain.app import App, ConfigKey, ConfigValue
from balancer.wire.body import Body


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
    mode: str = Field(description="`serving`, `paused`, `maintenance` or `stopped`.")
    promoted: str | None = Field(
        default=None, description="The winner of a split that visitors see in the default branch's place."
    )
    created_at: datetime

    @classmethod
    def of(cls, app: App, urls: list[str]) -> Self:
        """Return the body of an app."""
        return cls(
            name=app.name,
            default_branch=app.default_branch,
            domains=list(app.domains),
            urls=urls,
            mode=app.mode.value,
            promoted=app.promoted,
            created_at=app.created_at,
        )


class RemoteBody(Body):
    """Where to push an app."""

    remote: str = Field(description="URL for `git remote add`, with the token in it.")


class PreviewBody(Body):
    """What shows a branch to those who have it."""

    branch: str
    link: str = Field(
        description="Opens the branch in a browser, for as long as that is open; `?balancer=off` ends it."
    )
    header: str = Field(description="Value of the header X-Balancer-Branch that shows the branch for one request.")


class DefaultBranch(Body):
    """Which branch is to be the default one."""

    branch: str


class ModeBody(Body):
    """What visitors of an app are to get."""

    mode: Literal["serving", "paused", "maintenance"]


class ConfigBody(Body):
    """All config vars of an app."""

    config: dict[str, str]


class ConfigChange(Body):
    """Config vars to change."""

    config: dict[str, str | None] = Field(description="null to remove one.")
    later: bool = Field(default=False, description="Only for the next release; what is live goes on with its own.")

    def parsed(self) -> dict[str, str | None]:
        """Return the changes that a request asks for. Raises InvalidName, InvalidInput."""
        return {ConfigKey(key): None if value is None else ConfigValue(value) for key, value in self.config.items()}
