"""Links that sign somebody in once."""

from pydantic import Field

from balancer.wire.body import Body


class SignInLinkBody(Body):
    """Where a browser goes to be signed in."""

    path: str = Field(description="Below the URL of the admin API; it is good once. `&next=/apps/shop` may follow.")
    seconds: int = Field(description="How long it is good.")
