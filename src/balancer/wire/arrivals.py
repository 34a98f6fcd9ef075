"""Ways in which code arrives: keys for ssh, sources to pull from, fetches."""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field

from balancer.domain.key import Key
from balancer.domain.source import PullSource
from balancer.wire.body import Body


class NewKey(Body):
    """A key that is to push over ssh."""

    name: str = Field(examples=["ada@laptop"])
    key: str = Field(max_length=65_536, description="The line of its .pub file.")


class KeyBody(Body):
    """A key that may push over ssh."""

    name: str
    fingerprint: str
    created_at: datetime

    @classmethod
    def of(cls, key: Key) -> Self:
        """Return the body of a key."""
        return cls(name=key.name, fingerprint=key.public.fingerprint, created_at=key.created_at)


class SessionBody(Body):
    """What git needs for a push that came over ssh."""

    repository: str
    environment: dict[str, str]


class NewSource(Body):
    """A repository to follow."""

    url: str = Field(examples=["https://git.example/shop.git"])
    branches: list[str] = Field(default=[], description="Those to follow; all if none is named.")


class SourceBody(Body):
    """A repository that an app follows, and what its provider is to be told."""

    app: str
    url: str = Field(description="Without its password.")
    branches: list[str]
    hook: str = Field(description="The URL that the provider is to call.")
    secret: str
    created_at: datetime

    @classmethod
    def of(cls, source: PullSource, *, hook: str) -> Self:
        """Return the body of a source."""
        return cls(
            app=source.app,
            url=source.remote.shown,
            branches=list(source.branches),
            hook=hook,
            secret=source.secret,
            created_at=source.created_at,
        )


class Pull(Body):
    """Which branch to fetch from the source."""

    branch: str | None = Field(default=None, description="The default branch where it is not named.")
    during_freeze: bool = Field(default=False, description="Also in a freeze: an emergency.")


class FetchBody(Body):
    """What to fetch and deploy."""

    url: str = Field(examples=["https://git.example/shop.git"])
    ref: str = Field(default="HEAD", description="A branch, tag or commit there.")
    branch: str | None = Field(default=None, description="The branch to deploy to; the default branch if not named.")
    during_freeze: bool = Field(default=False, description="Also in a freeze: an emergency.")
    rollout: Literal["none"] | None = Field(
        default=None, description="`none`: switch at once, whatever it says itself."
    )
