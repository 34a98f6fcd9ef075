"""The health check: the request that decides whether an instance may serve.

Invariants:
    * Healthy means two good answers in a row.
    * Without a health path any answer below 500 is good; with one, 2xx and 3xx are.
    * Asked for life, without a health path any answer is good: only silence is a failure then.
    * An answer counts only where the socket that gave it is the instance's own.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence

from balancer.errors import PortStolen
from balancer.runner.ask import NoAnswer, status_of
from balancer.runner.listeners import LOOPBACKS, Listener, listening

# Every 250 ms for 10 s, then every second: quick apps go live quickly, slow ones are not hammered.
_QUICK_SECONDS, _QUICK_PAUSE, _SLOW_PAUSE = 10.0, 0.25, 1.0
# To see whether anybody listens costs 0.2 ms, and after a good answer the next decides: 25 ms, so that an app that
# starts in 80 ms is healthy at 120.
_SOON_PAUSE = 0.025
_PROBE_TIMEOUT_SECONDS = 5.0
_NEEDED = 2
# Seen three times: a process that executes another program just then cannot be looked into for a moment.
_STOLEN_LOOKS = 3

Sockets = Callable[[], Collection[int]]
"""Looks which sockets an instance has open, by their inodes."""


class Probes:
    """The probes of one instance; `last` says in words what the latest one saw."""

    def __init__(self, *, port: int, path: str | None, host: str, sockets: Sockets, for_life: bool = False) -> None:
        self._port = port
        self._path = path or "/"
        self._good_below = 400 if path else 600 if for_life else 500
        self._host = host
        self._sockets = sockets
        self._own: frozenset[int] = frozenset()
        """The instance's sockets, when it was looked last."""
        self.last = "it was never asked"

    async def until_healthy(self) -> str:
        """Return the address that gave two good answers in a row; the caller sets the deadline.

        Raises PortStolen where somebody else listens on the port.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        in_a_row = stolen = 0
        while True:
            pause = _QUICK_PAUSE if loop.time() - began < _QUICK_SECONDS else _SLOW_PAUSE
            addresses = await self.addresses()
            if addresses is None:
                stolen += 1
                if stolen >= _STOLEN_LOOKS:
                    raise PortStolen(self._port)
            elif not addresses:
                self.last = f"nothing listens on the port that PORT named ({self._port})"
                in_a_row, pause = 0, min(pause, _SOON_PAUSE)
            else:
                good = await self.good(addresses)
                in_a_row, pause = (in_a_row + 1, min(pause, _SOON_PAUSE)) if good else (0, pause)
                if good and in_a_row >= _NEEDED:
                    return good
            await asyncio.sleep(pause)

    async def once(self) -> str | None:
        """Ask once, and return the address that gave a good answer."""
        addresses = await self.addresses()
        if not addresses:
            who = "somebody else" if addresses is None else "nothing"
            self.last = f"{who} listens on the port that PORT named ({self._port})"
            return None
        return await self.good(addresses)

    async def addresses(self) -> tuple[str, ...] | None:
        """Return the addresses of the loopback where the instance listens; None: somebody else does."""
        found = tuple(listening(self._port))
        if any(listener.inode not in self._own for listener in found):
            self._own = frozenset(await asyncio.to_thread(self._sockets))
        own = tuple(address for address in LOOPBACKS if self._is_own(address, found))
        return None if not own and any(listener.inode not in self._own for listener in found) else own

    def _is_own(self, address: str, found: Sequence[Listener]) -> bool:
        there = [listener.inode for listener in found if listener.answers(address)]
        return bool(there) and self._own.issuperset(there)

    async def good(self, addresses: Iterable[str]) -> str | None:
        """Return the first of `addresses` that gives a good answer."""
        for address in addresses:
            if await self._ask(address):
                return address
        return None

    async def _ask(self, address: str) -> bool:
        url = f"http://{f'[{address}]' if ':' in address else address}:{self._port}{self._path}"
        try:
            status = await status_of(address, self._port, self._path, host=self._host, seconds=_PROBE_TIMEOUT_SECONDS)
        except NoAnswer as reason:
            self.last = f"GET {url} brought no answer: {reason}"
            return False
        self.last = f"GET {url} was answered {status}"
        return status < self._good_below
