"""Crashes: how often instances of two branches ended by themselves of late, counted from look to look.

Invariants:
    * An end counts once, however often one looks; those before the first look do not.
    * Where an instance ended several times between two looks, each end counts while it was never steady in between.
    * What was more than WITHIN_SECONDS ago says nothing.

The rollout reads it. Seconds are ticks, which nobody sets.
"""

from collections import Counter
from collections.abc import Mapping

from balancer.domain.plan import Exit

# 10 minutes, as long as a step lasts: what kills an instance once a day, of a hundred, is not a loop.
WITHIN_SECONDS = 600.0


class Crashes:
    """The ends that were seen."""

    def __init__(self, exits: Mapping[int, Exit]) -> None:
        """Begin to count, behind the latest `exits` by instance."""
        self._latest = dict(exits)
        self._ends: list[tuple[float, str, int]] = []
        """When it was seen, whose, and how many."""

    def see(self, exits: Mapping[int, Exit], branches: Mapping[int, str], now: float) -> Counter[str]:
        """Note what has ended since the look before, and return how often the instances of each branch did of late.

        `branches` says whose an instance is that is to run; of others nothing counts: they were asked to end.
        """
        for number, branch in branches.items():
            end, before = exits.get(number), self._latest.get(number)
            if end is not None and (before is None or (end.at, end.restarts) != (before.at, before.restarts)):
                more = end.ends - before.ends if before else end.ends
                self._ends.append((now, branch, more if more > 0 else end.ends))
        self._latest = dict(exits)
        self._ends = [each for each in self._ends if now - each[0] < WITHIN_SECONDS]
        counts: Counter[str] = Counter()
        for _, branch, ends in self._ends:
            counts[branch] += ends
        return counts
