"""A ramp as it happens: weights change, rates drift, purchases come late, and so do visitors.

Invariants:
    * A visitor belongs to the phase of the assignment, and the chance to buy is that of the day of the assignment.
    * A visitor is known from the day on that the cookie came back; a purchase brings it back, too.
    * The value of a mature visitor is final: 1 where the purchase came within the window.

Visitors come as a Poisson process, so those who are alike in when they buy and when they come back are independent
Poisson numbers: one draw for each day, arm and kind of visitor, and no visitor is made one by one. A day is whole:
whoever is assigned on day d has at the look of day t the age t − d.
"""

from dataclasses import dataclass

import numpy as np

from simulations.cells import Cells, Floats, of_rate

# The window of 72 h, in days.
WINDOW = 3
# The mean days from the assignment to the purchase: a third of the purchases come after the window.
DELAY = 3.0
# The part of the visitors whose cookie does not come back on the first day, and the mean days until it does.
LATE, LATE_DELAY = 0.2, 3.0
# Ages from 0 on that are told apart; who buys or comes back later is taken for never (1 % of the late ones).
AGES = 15
DAYS_A_PHASE = 7
VISITORS_A_DAY = 2000
# Days that are looked at after the last assignment, until the youngest are mature and the late ones are back.
TAIL = 10
# The part of the visitors who buy within the window, before drift; and what the variant adds to it where it is better.
RATE, BETTER = 0.10, 0.010
# The rate swings by so much each week, and drifts by at most so much, up or down, from first day to last.
WEEKLY, DRIFT = 0.2, 0.4


def _kinds() -> tuple[Floats, Floats, Floats, Floats]:
    """Return of each kind of visitor: age of purchase, age of return, the chance if nobody buys, and if all do.

    An age of `AGES` is never. The chances are for one who will not buy and for one who will.
    """
    ages = np.arange(AGES)
    late = np.diff(np.append(-np.expm1(-ages / LATE_DELAY), 1.0))
    returns = np.append(1 - LATE, LATE * late)
    bought = np.diff(np.append(-np.expm1(-ages / DELAY), 1.0))
    kinds = [(AGES, back, returns[back], 0.0) for back in range(AGES + 1)]
    for number, chance in enumerate(bought, start=1):
        # Coming back after the purchase is coming back with it.
        brought = np.append(returns[:number], returns[number:].sum())
        kinds += [(number, back, 0.0, chance * brought[back]) for back in range(number + 1)]
    purchase, back, idle, buying = (np.array(each, dtype=np.float64) for each in zip(*kinds, strict=True))
    return purchase, back, idle, buying


_PURCHASE, _RETURN, _IDLE, _BUYING = _kinds()
# Purchases within the window, of all.
_IN_WINDOW = float(_BUYING[_PURCHASE <= WINDOW].sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Both arms (control, treatment) as the daily looks find them; arrays of the shape (runs, looks, phases)."""

    mature: tuple[Cells, Cells]
    """Visitors whose window has passed: one final value each."""
    young_too: tuple[Cells, Cells]
    """All visitors who are known; 1 where the purchase came within the window and before the look."""
    by_return: tuple[Floats, Floats]
    """All visitors who are known, counted in the phase in which they came back."""


def observe(rng: np.random.Generator, runs: int, steps: tuple[float, ...], effect: float) -> Observed:
    """Return what the daily looks find in `runs` ramps, a look at the end of each day from the first one on.

    `steps` has the treatment's share of the visitors in each phase; `effect` is what it adds to the chance to buy
    within the window.
    """
    days = len(steps) * DAYS_A_PHASE
    seen, mature, bought = _cohorts(rng, runs, steps, effect)
    shape = (runs, days + TAIL, len(steps), 2)
    found = {name: np.zeros(shape) for name in ("n", "x", "all n", "all x", "by return")}
    for look in range(days + TAIL):
        for day in range(min(look + 1, days)):
            age, phase = min(look - day, AGES - 1), day // DAYS_A_PHASE
            found["all n"][:, look, phase] += seen[:, day, :, age]
            found["all x"][:, look, phase] += bought[:, day, :, age]
            if look - day >= WINDOW:
                found["n"][:, look, phase] += seen[:, day, :, age]
                found["x"][:, look, phase] += mature[:, day, :, age]
            new = seen[:, day, :, age] - (seen[:, day, :, age - 1] if age else 0.0)
            if look - day < AGES:
                found["by return"][:, look:, min(look, days - 1) // DAYS_A_PHASE] += new[:, np.newaxis]
    return Observed(
        mature=(of_rate(found["n"][..., 0], found["x"][..., 0]), of_rate(found["n"][..., 1], found["x"][..., 1])),
        young_too=(
            of_rate(found["all n"][..., 0], found["all x"][..., 0]),
            of_rate(found["all n"][..., 1], found["all x"][..., 1]),
        ),
        by_return=(found["by return"][..., 0], found["by return"][..., 1]),
    )


def _cohorts(
    rng: np.random.Generator, runs: int, steps: tuple[float, ...], effect: float
) -> tuple[Floats, Floats, Floats]:
    """Return, of the shape (runs, days, arms, ages), who is known, who of them bought in the window, who bought yet."""
    days = len(steps) * DAYS_A_PHASE
    day = np.arange(days)
    weekly = 1 + WEEKLY * np.sin(2 * np.pi * (day / 7 + rng.random((runs, 1))))
    drift = 1 + rng.uniform(-DRIFT, DRIFT, (runs, 1)) * (day / days - 0.5)
    rates = np.stack([RATE * weekly * drift] * 2, axis=-1) + np.array([0.0, effect])
    shares = np.repeat(np.array([[1 - step, step] for step in steps]), DAYS_A_PHASE, axis=0)
    buyers = (rates / _IN_WINDOW)[..., np.newaxis]
    chances = buyers * _BUYING + (1 - buyers) * _IDLE
    kinds = rng.poisson(VISITORS_A_DAY * shares[..., np.newaxis] * chances)
    ages = np.arange(AGES)[:, np.newaxis]
    known = ages >= _RETURN
    masks = known, known & (_PURCHASE <= WINDOW), known & (np.minimum(ages, WINDOW) >= _PURCHASE)
    counted = kinds.astype(np.float64) @ np.concatenate(masks).T.astype(np.float64)
    seen, mature, bought = np.split(counted, 3, axis=-1)
    return seen, mature, bought
