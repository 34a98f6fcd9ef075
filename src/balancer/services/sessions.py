"""Sessions: signing in to the dashboard with a token, and out.

Invariants:
    * A session begins with a token that is good at that moment, under a secret of its own.
    * When somebody signs out it is over here, whatever the browser keeps; also when the token is removed.
    * A restart of the daemon ends none: they are in the registry.
"""

import secrets
from typing import Protocol

from balancer import logs
from balancer.domain.session import Session
from balancer.domain.token import digest
from balancer.errors import SignInRefused
from balancer.services.attempts import Attempts

log = logs.named("sessions")
# 32 bytes, 256 bits: nobody guesses one, and two never are the same.
_BYTES = 32
# 200 characters: ours have 32 and 43; what is longer is not even hashed.
_LONGEST = 200


class KeptSessions(Protocol):
    """What keeps the sessions."""

    async def add_session(self, digest: str, token: str) -> Session | None:
        """Begin a session of the token with the digest `token`; None where there is no such token."""

    async def session(self, digest: str, *, is_use: bool) -> Session | None:
        """Return the session with this digest; None where there is none, or it is over.

        `is_use`: note that it was used.
        """

    async def end_session(self, digest: str) -> None:
        """End a session; nothing happens where it has ended."""


class Sessions:
    """Signs people in and out."""

    def __init__(self, kept: KeptSessions, attempts: Attempts) -> None:
        self._kept = kept
        self._attempts = attempts

    async def sign_in(self, token: str, address: str) -> tuple[Session, str]:
        """Begin a session of somebody at an address, and return it with its secret.

        Raises SignInRefused where the token is not good, TooManyAttempts where that was so too often.
        """
        self._attempts.begin(address)
        secret = secrets.token_urlsafe(_BYTES)
        session = await self._kept.add_session(digest(secret), digest(token)) if len(token) <= _LONGEST else None
        if session is None:
            log.warning("sign_in.refused", address=address)
            raise SignInRefused
        self._attempts.succeeded(address)
        log.info("sign_in.done", token=session.name, role=session.role.value, address=address)
        return session, secret

    async def find(self, secret: str, *, is_use: bool) -> Session | None:
        """Return the session with this secret; None where there is none, or it is over.

        `is_use`: somebody does something, and it lasts on.
        """
        return await self._kept.session(digest(secret), is_use=is_use) if 0 < len(secret) <= _LONGEST else None

    async def sign_out(self, session: Session) -> None:
        """End a session."""
        await self._kept.end_session(session.digest)
        log.info("sign_out.done", token=session.name)
