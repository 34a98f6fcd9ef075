"""Links that sign somebody in once: what `balancer open` opens, so that no token stands in an address.

Invariants:
    * A link is good once, for a minute, and only as long as the token that asked for it.
    * Codes are in memory alone, and few: a restart of the daemon ends them.
"""

import secrets
from collections import OrderedDict

from balancer import logs
from balancer.clock import Clock
from balancer.domain.session import Session
from balancer.domain.token import digest
from balancer.errors import SignInLinkOver
from balancer.services.sessions import KeptSessions

log = logs.named("sessions")
# 60 s: a browser that is started takes some; whoever finds the address later, in its history, finds nothing.
LASTS_SECONDS = 60
# 100: of those who type `balancer open` within a minute. With one more the oldest ends.
_LIMIT = 100
_BYTES = 32


class SignInLinks:
    """Makes them, and lets those in who follow one."""

    def __init__(self, kept: KeptSessions, clock: Clock) -> None:
        self._kept = kept
        self._clock = clock
        self._codes: OrderedDict[str, tuple[str, float]] = OrderedDict()
        """Digest of each code that is good: the digest of its token, and when it ends, in ticks."""

    def make(self, token: str) -> str:
        """Return a code for who has shown this token."""
        code = secrets.token_urlsafe(_BYTES)
        self._codes[digest(code)] = (digest(token), self._clock.ticks() + LASTS_SECONDS)
        while len(self._codes) > _LIMIT:
            self._codes.popitem(last=False)
        return code

    async def follow(self, code: str, address: str) -> tuple[Session, str]:
        """Begin a session by a code, which is worth nothing from now on; return it with its secret.

        Raises SignInLinkOver.
        """
        token, ends_at = self._codes.pop(digest(code), ("", float("-inf")))
        secret = secrets.token_urlsafe(_BYTES)
        good = self._clock.ticks() < ends_at
        session = await self._kept.add_session(digest(secret), token) if good else None
        if session is None:
            log.warning("sign_in.refused", address=address)
            raise SignInLinkOver
        log.info("sign_in.done", token=session.name, role=session.role.value, address=address)
        return session, secret
