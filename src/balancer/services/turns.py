"""Turns: what changes the same branch happens one after the other, in the order in which it was asked for.

Invariants:
    * While a change of a branch goes on no other change of it does, nor one of its whole app.
    * Nobody waits for what was asked for later, so nobody waits for ever.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from balancer.domain.app import AppName, BranchName
from balancer.services.interfaces import Tell


class _Ticket:
    """A place in the line, for one branch of an app or for all of them."""

    def __init__(self, app: AppName, branch: BranchName | None) -> None:
        self.app, self.branch = app, branch
        self.over = asyncio.Event()

    def excludes(self, other: "_Ticket") -> bool:
        """Tell whether the two may not go on at the same time."""
        return self.app == other.app and (None in (self.branch, other.branch) or self.branch == other.branch)


class Turns:
    """The line in which changes wait."""

    def __init__(self) -> None:
        self._line: list[_Ticket] = []

    @property
    def taken(self) -> bool:
        """Whether anything changes a branch now."""
        return bool(self._line)

    @contextlib.asynccontextmanager
    async def of(self, app: AppName, branch: BranchName | None, tell: Tell) -> AsyncIterator[None]:
        """Hold a branch, or a whole app, for as long as the block lasts; whoever has to wait is told so."""
        ticket = _Ticket(app, branch)
        ahead = [each for each in self._line if each.excludes(ticket)]
        self._line.append(ticket)
        try:
            if ahead:
                tell(
                    f"-----> Another deploy of {app}{f' {branch}' if branch else ''} is under way; waiting for its turn"
                )
            for each in ahead:
                await each.over.wait()
            yield
        finally:
            self._line.remove(ticket)
            ticket.over.set()
