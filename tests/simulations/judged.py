"""A ramp judged at every daily look: as the report does it, and as people do it.

Used like `experiments`.
"""

from dataclasses import dataclass

import numpy as np

from balancer.stats.srm import ALARM_AT
from simulations.cells import Floats
from simulations.looks import Flags, compared, evidence_of_ratio, z_test
from simulations.ramps import observe
from simulations.runs import ever, repeated

# The treatment's share of the visitors, week by week.
RAMPS = ((0.10, 0.25, 0.50), (0.01, 0.05, 0.25, 0.50))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One way to judge a ramp."""

    gain: float
    """The part of the runs in which the variant is above the control at any look."""
    loss: float
    """The part in which it is below."""
    estimate: float
    """The mean difference over the runs at the last look."""
    lowest: float
    """The lowest mean difference at any look that judges all runs but one in 20."""
    highest: float
    """The highest one."""

    @property
    def either(self) -> float:
        """The sum of both: an upper bound, because a run with both counts twice."""
        return self.gain + self.loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramped:
    """A ramp, looked at daily, in the ways that people judge one."""

    ours: Shown
    """Mature visitors, by phases."""
    missed: float
    """The part of the runs in which our interval leaves out the truth at any look."""
    young_too: Shown
    """All visitors, by phases."""
    thrown_together: Shown
    """All visitors of all phases together, by the confidence sequence."""
    z_test: float
    """The part of the runs in which the ordinary test, all visitors together, shows a difference at any look."""
    ratio: float
    """The part with a sample-ratio alarm at any look, by phase of assignment."""
    ratio_by_return: float
    """The same where a visitor is counted in the phase of the return."""


def ramp(steps: tuple[float, ...], effect: float, *, runs: int, seed: int) -> Ramped:
    """Raise a variant to `steps` of the visitors, a week each; it adds `effect` to the rate (see `ramps`)."""

    def once(rng: np.random.Generator, size: int) -> tuple[Floats | Flags, ...]:
        seen = observe(rng, size, steps, effect)
        mature, young = compared(*seen.mature), compared(*seen.young_too)
        together = compared(*(arm.thrown_together for arm in seen.young_too))
        return (
            *(
                array
                for looks in (mature, young, together)
                for array in (looks.judged, looks.shown(), looks.difference)
            ),
            mature.misses(effect),
            z_test(*seen.young_too),
            _ratio_alarms(seen.young_too[0].n, seen.young_too[1].n, steps),
            _ratio_alarms(*seen.by_return, steps),
        )

    found = repeated(once, runs=runs, seed=seed)
    missed, ordinary, ratio, by_return = ever(*found[9:])
    return Ramped(
        ours=_shown(*found[:3]),
        missed=missed,
        young_too=_shown(*found[3:6]),
        thrown_together=_shown(*found[6:9]),
        z_test=ordinary,
        ratio=ratio,
        ratio_by_return=by_return,
    )


def _shown(judged: Flags, shown: Flags, difference: Floats) -> Shown:
    gain, loss = ever(shown & (difference > 0), shown & (difference < 0))
    looks = judged.mean(axis=0) >= 0.95
    means = np.where(judged, difference, 0.0)[:, looks].sum(axis=0) / judged[:, looks].sum(axis=0)
    return Shown(gain=gain, loss=loss, estimate=float(means[-1]), lowest=float(means.min()), highest=float(means.max()))


def _ratio_alarms(control: Floats, treatment: Floats, steps: tuple[float, ...]) -> Flags:
    """Tell at which looks the sample ratio alarms, of the shape (runs, looks); the phases' logarithms add."""
    counts = np.stack([control, treatment], axis=-1)
    evidence = [evidence_of_ratio(counts[..., phase, :], (1 - step, step)) for phase, step in enumerate(steps)]
    alarms: Flags = np.sum(evidence, axis=0) >= ALARM_AT
    return alarms
