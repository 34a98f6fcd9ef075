"""Links that sign somebody in once."""

from datetime import UTC, datetime

import pytest

from balancer.domain.role import Role
from balancer.domain.session import Session
from balancer.domain.token import TokenName, digest
from balancer.errors import SignInLinkOver
from balancer.services.sign_in_links import LASTS_SECONDS, SignInLinks
from balancer.testing import FakeClock

pytestmark = pytest.mark.anyio


class Kept:
    """Sessions of those tokens that are good."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = {digest(token) for token in tokens}

    async def add_session(self, digest: str, token: str) -> Session | None:
        """Begin a session."""
        now = datetime.now(UTC)
        if token not in self.tokens:
            return None
        return Session(digest=digest, name=TokenName("ada"), role=Role.READER, signed_in_at=now, used_at=now)

    async def session(self, digest: str, *, is_use: bool) -> Session | None:
        """Return none: nobody asks."""
        return None

    async def end_session(self, digest: str) -> None:
        """End none."""


async def test_a_link_signs_in_once() -> None:
    links = SignInLinks(Kept("good"), FakeClock())
    code = links.make("good")
    session, secret = await links.follow(code, "")
    assert (session.name, session.digest) == ("ada", digest(secret))
    with pytest.raises(SignInLinkOver, match="balancer open"):
        await links.follow(code, "")


async def test_a_link_is_over_after_a_minute_and_with_its_token() -> None:
    kept, clock = Kept("good"), FakeClock()
    links = SignInLinks(kept, clock)
    late, removed = links.make("good"), links.make("good")
    clock.advance(LASTS_SECONDS)
    with pytest.raises(SignInLinkOver):
        await links.follow(late, "")
    clock.advance(-LASTS_SECONDS)
    kept.tokens.clear()
    with pytest.raises(SignInLinkOver):
        await links.follow(removed, "")


async def test_a_code_that_was_made_up_is_refused_and_only_a_hundred_are_kept() -> None:
    links = SignInLinks(Kept("good"), FakeClock())
    first = links.make("good")
    latest = [links.make("good") for _ in range(100)][-1]
    for code in ("", "made up", first):
        with pytest.raises(SignInLinkOver):
            await links.follow(code, "")
    await links.follow(latest, "")
