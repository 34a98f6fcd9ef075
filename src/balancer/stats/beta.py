"""The upper tail of the beta distribution, in logarithms.

Invariants:
    * Nothing overflows or underflows, up to 10⁹ visitors and in whichever tail.
    * To 1e-9 up to 10⁵ visitors and to 1e-4 up to 10⁹, at every share from 0.01 % to 99.99 %.
    * It ends: the fraction needs about √n steps at most.

`guardrail` uses it. scipy's survival function is 0 in the deep tails, where its logarithm is needed (0 of 10⁷ visitors
at a share of 1 %), and would cost the daemon 42 MB, numpy included; this is one fraction, and the tests hold it against
scipy's.
"""

import math

# At most 4,000 steps are taken at 10⁹ visitors, and they grow as the square root.
_STEPS_LIMIT = 100_000
_PRECISION = 1e-15
# Stands for a denominator of 0, as in Lentz's algorithm.
_TINY = 1e-300


def log_tail(a: float, b: float, theta: float) -> float:
    """Return ln B(a,b) + ln SF_{a,b}(θ) − a ln θ − b ln(1−θ).

    That is the logarithm of ∫_θ^1 t^(a−1) (1−t)^(b−1) dt over θ^a (1−θ)^b: divided so, nothing large is left in the
    tail, where the difference of two such figures is wanted.

    Raises ValueError for a parameter that is not positive or a `theta` not between 0 and 1.
    """
    if not (a > 0 and b > 0 and 0 < theta < 1):
        raise ValueError(f"no beta distribution: a {a}, b {b}, at {theta}")
    if theta >= (a + 1) / (a + b + 2):
        return math.log(_fraction(b, a, 1 - theta) / b)
    # Here the fraction of the lower tail is the one that is quick.
    whole = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b) - a * math.log(theta) - b * math.log1p(-theta)
    return whole + math.log1p(-math.exp(-whole) * _fraction(a, b, theta) / a)


def _fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's algorithm."""
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, _STEPS_LIMIT):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + term * d or _TINY)
            c = 1 + term / c or _TINY
            found *= c * d
        if abs(c * d - 1) < _PRECISION:
            return found
    raise ValueError(f"the beta distribution of {a} and {b} at {x} takes more than {_STEPS_LIMIT} steps")
