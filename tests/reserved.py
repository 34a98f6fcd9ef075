"""Ports for what tests start, which no other test process on the machine uses.

Each process has a share of its own for as long as it lives, and takes turns in it, so that what comes to a port late
meets nobody else for a while.

Invariant: a port that was given is below those that the system gives to whoever connects.
"""

import atexit
import contextlib
import itertools
import socket
from collections.abc import Iterator
from functools import cache

# 22 shares: more test processes than a machine runs at once.
_SHARES = 22
# 3000-9599, below the fixed ones of tests/runner/test_ports.py: for whatever listens.
_FIRST, _WIDTH = 3000, 300
# 10000-31999: for the instances of platforms; 20 platforms of one process may be there at once.
_FIRST_BLOCK, _BLOCKS, _BLOCK_WIDTH = 10_000, 20, 50


def ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    found: list[int] = []
    for _ in range(_WIDTH):
        if len(found) == count:
            return found
        port = next(_turns().ports)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            found.append(port)
    raise AssertionError(f"fewer than {count} of {_WIDTH} ports are free")


def block() -> tuple[int, int]:
    """Return the first and the last of the ports for a platform's instances."""
    first = next(_turns().blocks)
    return first, first + _BLOCK_WIDTH - 1


class _Turns:
    """The share of this process."""

    def __init__(self) -> None:
        number = self._reserve()
        first, first_block = _FIRST + number * _WIDTH, _FIRST_BLOCK + number * _BLOCKS * _BLOCK_WIDTH
        self.ports: Iterator[int] = itertools.cycle(range(first, first + _WIDTH))
        self.blocks: Iterator[int] = itertools.cycle(
            range(first_block, first_block + _BLOCKS * _BLOCK_WIDTH, _BLOCK_WIDTH)
        )

    def _reserve(self) -> int:
        """Return a number that no other process has: an abstract socket has one owner, and goes with it."""
        for number in range(_SHARES):
            self._held = socket.socket(socket.AF_UNIX)
            try:
                self._held.bind(f"\0balancer-tests-{number}")
            except OSError:
                self._held.close()
            else:
                atexit.register(self._held.close)
                return number
        raise AssertionError(f"{_SHARES} processes run tests on this machine already")


@cache
def _turns() -> _Turns:
    return _Turns()
