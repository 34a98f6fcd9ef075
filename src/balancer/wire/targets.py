"""Targets: who is told of what has happened."""

from datetime import datetime
from typing import Self

from pydantic import Field

from balancer.domain.notice import NoticeKind
from balancer.domain.target import Standing, Target, TargetKind
from balancer.errors import InvalidInput
from balancer.wire.body import Body

EVENTS = tuple(kind.value for kind in NoticeKind if kind is not NoticeKind.TEST)


class NewTarget(Body):
    """Somebody to tell."""

    address: str = Field(max_length=2000, examples=["https://ops.example/hook", "ops@example.com"])
    kind: TargetKind | None = Field(default=None, description="What the address shows, where it is not named.")
    events: list[str] = Field(default=[], description="What to tell of; everything if none is named.")
    app: str | None = Field(default=None, description="Only of this app.")

    def parsed(self) -> frozenset[NoticeKind]:
        """Return what to tell of. Raises InvalidInput."""
        unknown = [event for event in self.events if event not in EVENTS]
        if unknown:
            raise InvalidInput(f"{unknown[0][:60]!r} is nothing to tell of; there are: {', '.join(EVENTS)}")
        return frozenset(map(NoticeKind, self.events))


class AddedTarget(Body):
    """Somebody who is told from now on."""

    id: int
    kind: TargetKind
    address: str = Field(description="Of a URL only the server.")
    events: list[str] = Field(description="What it is told of; empty: everything.")
    app: str | None
    created_at: datetime
    secret: str | None = Field(description="What the calls of a webhook are signed with; never shown again.")

    @classmethod
    def of(cls, target: Target) -> Self:
        """Return the body of a target that was just added."""
        return cls(
            id=target.id,
            kind=target.kind,
            address=target.address.shown,
            events=sorted(target.kinds),
            app=target.app,
            created_at=target.created_at,
            secret=target.secret,
        )


class TargetBody(Body):
    """Somebody who is told, and how it goes with them."""

    id: int
    kind: TargetKind
    address: str = Field(description="Of a URL only the server.")
    events: list[str] = Field(description="What it is told of; empty: everything.")
    app: str | None
    created_at: datetime
    waiting: int = Field(description="How many notices wait for it.")
    delivered_at: datetime | None = Field(description="When it took one last.")
    failure: str | None = Field(description="Why it did not take the last one; null where it did.")

    @classmethod
    def of(cls, standing: Standing) -> Self:
        """Return the body of a target."""
        target = standing.target
        return cls(
            id=target.id,
            kind=target.kind,
            address=target.address.shown,
            events=sorted(target.kinds),
            app=target.app,
            created_at=target.created_at,
            waiting=standing.waiting,
            delivered_at=standing.delivered_at,
            failure=standing.failure,
        )
