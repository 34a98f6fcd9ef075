"""Rates: how many answers a second each branch has given lately, and how many of them were errors.

Invariants:
    * What is remembered is bounded: five minutes, and of a moment only those branches that have answered.
    * A series has a rate for every EVERY_SECONDS, however seldom the proxy was asked.
    * A proxy that counts anew, because it was reloaded, gives no negative rate.
    * Where the proxy does not answer nothing is made up: that time is a gap.

What is remembered is lost with the daemon; the pages begin again with an empty line.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from balancer import logs
from balancer.clock import Clock
from balancer.domain.hard_stop import Answers
from balancer.errors import ProxyFailed

log = logs.named("rates")
# 2 s: a page that is looked at seems alive.
EVERY_SECONDS = 2.0
# 10 s while nobody looks: with 3,000 branches a sample takes some 50 ms of a processor.
_UNWATCHED_SECONDS = 10.0
# 60 s: pages that are open ask every two seconds; one without scripts is loaded again, or is not looked at.
_WATCHED_SECONDS = 60.0
# 150: five minutes, long enough to see what a deploy did.
KEPT = 150
# 5: the last ten seconds; one sample of two seconds jumps too much to be read as a number.
_PRESENT = 5
# 30: a minute, for what gets fewer than 10 requests in those ten seconds: a request every five is not none.
_PRESENT_OF_FEW = 30
_FEW = 10


class Counting(Protocol):
    """What is asked of the proxy here."""

    async def answers(self) -> Mapping[str, Answers]:
        """Return what each backend has answered since it was loaded. Raises ProxyFailed."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Answers a second."""

    requests: float
    """All of them."""
    errors: float
    """Those of 500 and above."""


NOTHING = Rate(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Series:
    """The rates of one backend, the oldest first, one every EVERY_SECONDS."""

    rates: tuple[Rate, ...] = ()

    @property
    def present(self) -> Rate | None:
        """The rate of the last ten seconds; of few requests, of as many seconds as ten took to come, up to a minute.

        None where nothing was measured yet.
        """
        if not self.rates:
            return None
        latest, came = self.rates[-_PRESENT_OF_FEW:], 0.0
        for count, rate in enumerate(reversed(self.rates[-_PRESENT_OF_FEW:]), 1):
            came += rate.requests * EVERY_SECONDS
            if count >= _PRESENT and came >= _FEW:
                latest = self.rates[-count:]
                break
        return Rate(*(sum(each) / len(latest) for each in ((r.requests for r in latest), (r.errors for r in latest))))

    @property
    def has_errors(self) -> bool:
        """Whether there was an error in all this time."""
        return any(each.errors for each in self.rates)


class Rates:
    """Samples what the proxy counts."""

    def __init__(self, proxy: Counting, clock: Clock) -> None:
        self._proxy = proxy
        self._clock = clock
        self._before: tuple[float, Mapping[str, Answers]] | None = None
        """When the proxy was asked last, in ticks, and what it said."""
        self._asked_at = float("-inf")
        """When somebody wanted to see a rate, in ticks."""
        self._samples: deque[Mapping[str, Rate]] = deque(maxlen=KEPT)

    def of(self, backend: str) -> Series:
        """Return the rates of a backend, and sample more often for a while: somebody looks."""
        self._asked_at = self._clock.ticks()
        return Series(tuple(sample.get(backend, NOTHING) for sample in self._samples))

    async def run(self) -> None:
        """Sample; until cancelled."""
        while True:
            await self.sample()
            slept = 0.0
            while slept < (EVERY_SECONDS if self.is_watched else _UNWATCHED_SECONDS):
                await asyncio.sleep(EVERY_SECONDS)
                slept += EVERY_SECONDS

    @property
    def is_watched(self) -> bool:
        """Whether somebody has looked within the last minute."""
        return self._clock.ticks() - self._asked_at < _WATCHED_SECONDS

    async def sample(self) -> None:
        """Ask the proxy once, and remember how much more it has counted than the last time."""
        try:
            counted = await self._proxy.answers()
        except ProxyFailed as reason:  # it comes back, and its counters have begun anew then
            if self._before is not None:
                log.warning("rates.blind", reason=str(reason))
            self._before = None
            return
        now = self._clock.ticks()
        if self._before is not None and now > self._before[0]:
            seconds = now - self._before[0]
            times = min(KEPT, max(1, round(seconds / EVERY_SECONDS)))
            self._samples.extend([_between(self._before[1], counted, seconds)] * times)
        self._before = (now, counted)


def _between(before: Mapping[str, Answers], after: Mapping[str, Answers], seconds: float) -> dict[str, Rate]:
    """Return the rates of those backends that have answered between two moments."""
    rates = {}
    for backend, counted in after.items():
        earlier = before.get(backend)
        if earlier == counted:
            continue
        if earlier is None or earlier.failed > counted.failed or earlier.other > counted.other:
            earlier = Answers(failed=0, other=0)  # a new backend, or counters that began anew
        failed = counted.failed - earlier.failed
        total = failed + counted.other - earlier.other
        if total:
            rates[backend] = Rate(total / seconds, failed / seconds)
    return rates
