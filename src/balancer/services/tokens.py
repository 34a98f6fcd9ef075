"""Tokens: made, listed, taken back.

Invariant: the token of the data directory is the daemon's, not removed here: so nobody locks themselves out.
"""

import secrets
from typing import Protocol

from balancer import logs
from balancer.domain.role import Role
from balancer.domain.token import OPERATORS_OWN, Token, TokenName, digest
from balancer.errors import Conflict

log = logs.named("tokens")
# 24 bytes: 192 bits, which nobody guesses.
_BYTES = 24


class KeptTokens(Protocol):
    """What keeps the tokens."""

    async def add_token(self, name: TokenName, role: Role, digest: str) -> Token:
        """Add a token. Raises Conflict where the name is taken."""

    async def tokens(self) -> tuple[Token, ...]:
        """Return all tokens, by name."""

    async def remove_token(self, name: TokenName) -> None:
        """Remove a token, and end its sessions. Raises NotFound."""


class Tokens:
    """Carries out what an operator asks of tokens."""

    def __init__(self, kept: KeptTokens) -> None:
        self._kept = kept

    async def add(self, name: TokenName, role: Role) -> tuple[Token, str]:
        """Make a token, and return it with its text, which is not kept. Raises Conflict where the name is taken."""
        text = new_token()
        token = await self._kept.add_token(name, role, digest(text))
        log.info("token.added", token=name, role=role.value)
        return token, text

    async def every(self) -> tuple[Token, ...]:
        """Return all tokens, by name."""
        return await self._kept.tokens()

    async def remove(self, name: TokenName) -> None:
        """Let a token do nothing any more, and end its sessions. Raises NotFound, Conflict for the daemon's own."""
        if name == OPERATORS_OWN:
            raise Conflict(
                f"the token {name!r} is that of the data directory, which the commands of this machine use: it stays. "
                "To have another one stop the daemon, remove the file operator.token there, and start the daemon"
            )
        await self._kept.remove_token(name)
        log.info("token.removed", token=name)


def new_token() -> str:
    """Return a fresh token."""
    return secrets.token_urlsafe(_BYTES)
