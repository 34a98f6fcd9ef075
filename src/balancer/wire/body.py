"""Bodies in general, and what any failure is answered with."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

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
