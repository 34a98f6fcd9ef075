"""Canaries as a guardrail sees them: visitors meet errors, several each, and the guardrail looks after every block.

`evidence_of_errors` is `balancer.stats.guardrail.ErrorCounts.log_e` on arrays, by scipy;
test_guardrail_simulations.py holds it against the shipped one. Used like `experiments`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betaincc, betaln

from balancer.stats.guardrail import BREACHED_AT, WATCHED_AT
from simulations.cells import Floats
from simulations.looks import Flags
from simulations.runs import ever, repeated

_PRIOR_VISITORS = 20
# Visitors between two looks.
BLOCK = 50
# Errors of each visitor who meets any: those who get one try again.
ERRORS_EACH = 5
# Those who throw phases together look after so many blocks: each look has a share of its own, which is slow.
_SELDOM = 10
# How many blocks after the assignment errors are met, and by which part of those who meet any.
_LAGS, _PARTS = (0, 20, 60, 120), (0.4, 0.2, 0.2, 0.2)
# The rate of each phase lies in between, the same in both arms: an incident in one phase, a quiet time in another.
_QUIET, _INCIDENT = 0.002, 0.05

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """What happens to one."""

    steps: tuple[float, ...]
    """The canary's share of the visitors, one after the other."""
    visitors: int
    """Assigned at each of them."""
    rates: tuple[float, float] | None
    """The chances to meet an error of control and canary; None for incidents that hit both alike."""
    late: bool
    """Whether most who meet an error meet it long after their assignment, when the weights are others; else at once."""


RAMP = (0.01, 0.05, 0.25, 0.50)
# Nothing is wrong with these canaries.
SOUND = {
    "10 %, both 1 %": Canary(steps=(0.10,), visitors=50_000, rates=(0.01, 0.01), late=False),
    "10 %, both 5 %": Canary(steps=(0.10,), visitors=50_000, rates=(0.05, 0.05), late=False),
    "1 → 5 → 25 → 50 %, both 1 %": Canary(steps=RAMP, visitors=10_000, rates=(0.01, 0.01), late=True),
    "1 → 5 → 25 → 50 %, incidents": Canary(steps=RAMP, visitors=10_000, rates=None, late=True),
    "50 → 25 → 5 → 1 %, incidents": Canary(steps=RAMP[::-1], visitors=10_000, rates=None, late=True),
}
# These have to be found.
FAULTY = {
    "10 %, 1 % and 5 %, 5,000 visitors": Canary(steps=(0.10,), visitors=5000, rates=(0.01, 0.05), late=False),
    "– most of them late": Canary(steps=(0.10,), visitors=5000, rates=(0.01, 0.05), late=True),
    "1 → 5 → 25 → 50 %, 1 % and 2 %": Canary(steps=RAMP, visitors=10_000, rates=(0.01, 0.02), late=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms:
    """What is known at each look, cumulative; arrays of the shape (runs, looks, phases)."""

    treatment: Whole
    """Visitors of the canary who have met an error, in the phase of their assignment."""
    control: Whole
    """The same of the control."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """The parts of the runs in which E reaches its bound at any look."""

    breached: float
    """100: rolled back."""
    watched: float
    """20."""
    by_errors: float
    """100, where each error counts instead of each visitor."""
    thrown_together: float
    """100, where all phases are one, and the share is that of all visitors so far."""


def evidence_of_errors(treatment: Whole, control: Whole, share: float) -> Floats:
    """Return ln E of one phase; minus infinity where scipy's survival function is 0, far from any alarm."""
    # Counts grow in small steps, so most looks have a pair that another one has, and the beta's tail is dear.
    base = int(control.max(initial=0)) + 1
    pairs, place = np.unique(treatment * base + control, return_inverse=True)
    x, rest = np.divmod(pairs, base)
    a, b = _PRIOR_VISITORS * share, _PRIOR_VISITORS * (1 - share)
    with np.errstate(divide="ignore"):
        after = betaln(a + x, b + rest) + np.log(betaincc(a + x, b + rest, share))
    before = betaln(a, b) + np.log(betaincc(a, b, share))
    found: Floats = (after - before - x * np.log(share) - rest * np.log1p(-share))[place].reshape(treatment.shape)
    return found


def observe_errors(rng: np.random.Generator, runs: int, canary: Canary) -> Arms:
    """Return what is known of `runs` such canaries at each look."""
    blocks, phases = canary.visitors // BLOCK, len(canary.steps)
    phase = np.repeat(np.arange(phases), blocks)
    if canary.rates:
        rates = np.broadcast_to(canary.rates, (runs, phases, 2))
    else:
        rates = np.exp(np.repeat(rng.uniform(np.log(_QUIET), np.log(_INCIDENT), (runs, phases, 1)), 2, axis=-1))
    treated = rng.binomial(BLOCK, np.array(canary.steps)[phase], (runs, len(phase)))
    met = rng.binomial(np.stack([BLOCK - treated, treated], axis=-1), rates[:, phase])
    seen = np.zeros((runs, len(phase), phases, 2), dtype=np.int64)
    lags, parts = (_LAGS, _PARTS) if canary.late else ((0,), (1.0,))
    for lag, late in zip(lags, np.moveaxis(rng.multinomial(met, parts), -1, 0), strict=True):
        kept = max(0, len(phase) - lag)
        seen[:, lag + np.arange(kept), phase[:kept]] += late[:, :kept]
    seen = seen.cumsum(axis=1)
    return Arms(treatment=seen[..., 1], control=seen[..., 0])


def judged(canary: Canary, *, runs: int, seed: int) -> Guarded:
    """Return how often the guardrail of such a canary does something, looked at after every block."""

    def once(rng: np.random.Generator, size: int) -> tuple[Flags, ...]:
        arms = observe_errors(rng, size, canary)
        visitors = _evidence(arms.treatment, arms.control, canary.steps)
        errors = _evidence(ERRORS_EACH * arms.treatment, ERRORS_EACH * arms.control, canary.steps)
        together = np.stack(
            [
                evidence_of_errors(arms.treatment[:, look].sum(axis=-1), arms.control[:, look].sum(axis=-1), share)
                for look, share in enumerate(_shares_so_far(canary))
                if look % _SELDOM == 0
            ],
            axis=1,
        )
        return visitors >= BREACHED_AT, visitors >= WATCHED_AT, errors >= BREACHED_AT, together >= BREACHED_AT

    breached, watched, by_errors, together = ever(*repeated(once, runs=runs, seed=seed))
    return Guarded(breached=breached, watched=watched, by_errors=by_errors, thrown_together=together)


def _evidence(treatment: Whole, control: Whole, steps: tuple[float, ...]) -> Floats:
    """Return ln E at each look; the phases' logarithms add."""
    each = [evidence_of_errors(treatment[..., e], control[..., e], share) for e, share in enumerate(steps)]
    found: Floats = np.sum(each, axis=0)
    return found


def _shares_so_far(canary: Canary) -> list[float]:
    """Return, for each look, the canary's share of all visitors that were assigned until then."""
    shares = np.repeat(np.array(canary.steps), canary.visitors // BLOCK)
    return [float(share) for share in shares.cumsum() / np.arange(1, len(shares) + 1)]
