"""Ports for instances: below the range that the system gives out itself, and free when chosen."""

import random
import socket
from collections.abc import Set as AbstractSet

from balancer.errors import PortsExhausted


class Ports:
    """The ports from `first` to `last`, both included."""

    def __init__(self, first: int, last: int) -> None:
        self._first, self._last = first, last

    def choose(self, leased: AbstractSet[int]) -> int:
        """Return a port that is neither leased nor listened on. Raises PortsExhausted.

        It begins anywhere, so that a port comes back late: what still has the old address meets nobody else.
        """
        span = self._last - self._first + 1
        start = random.randrange(span)  # noqa: S311 - nothing secret
        for step in range(span):
            port = self._first + (start + step) % span
            if port not in leased and _is_free(port):
                return port
        raise PortsExhausted(self._first, self._last)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
