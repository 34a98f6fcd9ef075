"""Tokens and sessions in the registry, as their callers see them.

Invariants:
    * A method is one transaction; noting a use is one of its own, and on a full disk locks nobody out.
    * Neither a token nor the secret of a session is in the registry, only their digests.
"""

import contextlib

from balancer.domain.role import Role
from balancer.domain.session import Session
from balancer.domain.token import Token, TokenName
from balancer.errors import Unavailable
from balancer.store import sessions, tokens
from balancer.store.transactions import Transactions


class AccessRecords(Transactions):
    """What the registry knows of who may do what."""

    async def put_token(self, name: TokenName, digest: str) -> None:
        """Make this the operator's token of this name. Raises Conflict where the digest has another name."""
        await self._transact(tokens.put, name, digest, self._clock())

    async def add_token(self, name: TokenName, role: Role, digest: str) -> Token:
        """Add a token. Raises Conflict where the name is taken."""
        return await self._transact(tokens.add, name, role, digest, self._clock())

    async def token(self, digest: str) -> Token | None:
        """Return the token with this digest, and note that it was used; None where there is none."""
        found, now = await self._transact(tokens.find, digest), self._clock()
        if found is not None and found.use_is_news(now):
            with contextlib.suppress(Unavailable):
                await self._transact(tokens.use, digest, now)
        return found

    async def tokens(self) -> tuple[Token, ...]:
        """Return all tokens, by name."""
        return await self._transact(tokens.every)

    async def remove_token(self, name: TokenName) -> None:
        """Remove a token, and end its sessions. Raises NotFound."""
        await self._transact(tokens.remove, name)

    async def add_session(self, digest: str, token: str) -> Session | None:
        """Begin a session of the token with the digest `token`; None where there is no such token."""
        return await self._transact(sessions.add, digest, token, self._clock())

    async def session(self, digest: str, *, is_use: bool = True) -> Session | None:
        """Return the session with this digest; None where there is none, or it is over.

        `is_use`: note that it was used.
        """
        found, now = await self._transact(sessions.find, digest), self._clock()
        if found is None:
            return None
        with contextlib.suppress(Unavailable):
            if found.is_over(now):
                await self._transact(sessions.end, digest)
            elif is_use and found.use_is_news(now):
                await self._transact(sessions.use, digest, now)
        return None if found.is_over(now) else found

    async def end_session(self, digest: str) -> None:
        """End a session; nothing happens where it has ended."""
        await self._transact(sessions.end, digest)
