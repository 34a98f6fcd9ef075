"""Attempts to sign in: how many are allowed, of one address and of all.

Invariants:
    * Only attempts that fail count, also those that are under way at the same time.
    * The memory is bounded, however many addresses try.
    * Where all together try too often, an address that somebody has signed in from is still let try.

A token cannot be guessed in any number of attempts that a network carries; this keeps the log and the processor from
being filled by those who try.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import TypeVar

from balancer.errors import TooManyAttempts

T = TypeVar("T")
# 10 at once, who pastes the wrong thing some times; then one a minute.
_OF_ONE, _OF_ONE_EVERY_SECONDS = 10, 60.0
# 100 at once, an office behind many addresses; then one a second.
_OF_ALL, _OF_ALL_EVERY_SECONDS = 100, 1.0
# 10,000: more cannot fail in a week of one a second but each in turn; of those the oldest has long recovered.
_ADDRESSES = 10_000


@dataclass(slots=True)
class _Allowance:
    """A number of attempts that comes back with time."""

    most: int
    every_seconds: float
    left: float
    at: float

    def wait_seconds(self, now: float) -> float:
        """Return how long until one is left; 0 where one is."""
        self.left = min(self.most, self.left + (now - self.at) / self.every_seconds)
        self.at = now
        return max(0.0, (1 - self.left) * self.every_seconds)


class Attempts:
    """Counts attempts."""

    def __init__(self, ticks: Callable[[], float]) -> None:
        """`ticks` gives seconds that go on whatever the clock is set to."""
        self._ticks = ticks
        self._all = _Allowance(_OF_ALL, _OF_ALL_EVERY_SECONDS, _OF_ALL, ticks())
        self._failing: OrderedDict[str, _Allowance] = OrderedDict()
        self._known: OrderedDict[str, None] = OrderedDict()

    def begin(self, address: str) -> None:
        """Take an attempt of an address, which fails unless `succeeded` is told. Raises TooManyAttempts."""
        now = self._ticks()
        own = self._failing.get(address) or _Allowance(_OF_ONE, _OF_ONE_EVERY_SECONDS, _OF_ONE, now)
        of_all = 0.0 if address in self._known else self._all.wait_seconds(now)
        if (wait := max(own.wait_seconds(now), of_all)) > 0:
            raise TooManyAttempts(ceil(wait))
        own.left -= 1
        self._all.left -= address not in self._known
        _remember(self._failing, address, own)

    def succeeded(self, address: str) -> None:
        """Tell that the attempt that was begun was good: nothing counts against the address any more."""
        if self._failing.pop(address, None) is not None and address not in self._known:
            self._all.left += 1
        _remember(self._known, address, None)


def _remember(kept: OrderedDict[str, T], address: str, value: T) -> None:
    kept[address] = value
    kept.move_to_end(address)
    if len(kept) > _ADDRESSES:
        kept.popitem(last=False)
