"""Freezes."""

from datetime import datetime
from typing import Self

from pydantic import Field

from balancer.domain.calendar import TimeZone, shown
from balancer.domain.freeze import Freeze
from balancer.wire.body import Body


class NewFreeze(Body):
    """A time in which what visitors see stays as it is."""

    app: str | None = Field(default=None, description="All apps where none is named.")
    since: str | None = Field(
        default=None,
        description="In the time zone of the app, or of the platform; with …Z or …+01:00 as it says; null: now.",
        examples=["2026-12-20", "2026-12-20T18:00", "2026-12-20T18:00+01:00"],
    )
    until: str = Field(description="The same; a date belongs to it.", examples=["2027-01-02"])
    why: str = Field(examples=["Christmas"])


class FreezeBody(Body):
    """A freeze."""

    number: int
    app: str | None = Field(description="null: all apps.")
    since: datetime = Field(description="When it begins, in UTC.")
    until: datetime = Field(description="When it ends, in UTC; this moment does not belong to it.")
    why: str
    timezone: str
    shown: str = Field(description="From when until when, as the clock shows it in the time zone.")
    in_force: bool = Field(description="Whether it holds now.")

    @classmethod
    def of(cls, freeze: Freeze, zone: TimeZone, *, in_force: bool) -> Self:
        """Return the body of a freeze."""
        return cls(
            number=freeze.number,
            app=freeze.app,
            since=freeze.since,
            until=freeze.until,
            why=freeze.why,
            timezone=zone,
            shown=f"{shown(zone, freeze.since)} to {shown(zone, freeze.until)}",
            in_force=in_force,
        )
