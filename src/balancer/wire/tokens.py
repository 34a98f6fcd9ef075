"""Tokens: who may use the admin API, and how much."""

from datetime import datetime
from typing import Self

from pydantic import Field

from balancer.domain.role import Role
from balancer.domain.token import Token
from balancer.wire.body import Body


class NewToken(Body):
    """A token to make."""

    name: str = Field(examples=["ada"])
    role: Role = Field(default=Role.OPERATOR, description="`operator` may do everything, `reader` look at everything.")


class TokenBody(Body):
    """A token, without its text."""

    name: str
    role: Role
    created_at: datetime
    used_at: datetime | None = Field(description="When it was used last, to within an hour; null: never.")

    @classmethod
    def of(cls, token: Token) -> Self:
        """Return the body of a token."""
        return cls(name=token.name, role=token.role, created_at=token.created_at, used_at=token.used_at)


class AddedToken(Body):
    """A token that was just made."""

    name: str
    role: Role
    created_at: datetime
    token: str = Field(description="Its text; never shown again.")
