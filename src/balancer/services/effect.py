"""The effect over time: how the comparison of what decides a split stood after each day of assignments.

Invariants:
    * A point has the mature visitors who were assigned up to its day, all of them and nobody else.
    * The interval holds at every point at once, so that the first one that leaves 0 out may be believed.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from balancer.services.outcome import branches_of, comparison_of
from balancer.services.strata import Strata
from balancer.stats.arm import Inconclusive
from balancer.stats.compare import Comparison

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A variant less the control, after a day."""

    branch: str
    day: str
    """The last day of assignments that counts, in the app's time, ISO 8601."""
    comparison: Comparison | Inconclusive


def effect_over_time(strata: Strata) -> tuple[Point, ...]:
    """Return the points of each variant that is not the control, in the order of the days."""
    return tuple(
        Point(
            branch=str(branch),
            day=(_EPOCH + timedelta(days=day)).isoformat(),
            comparison=comparison_of(strata, branch, until=day),
        )
        for branch in branches_of(strata.split)
        if branch != strata.split.control
        for day in strata.days
    )
