"""The upper tail of the beta distribution: scipy's figures where scipy has any, exact ones in the deep tails."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import betaincc, betaln

from balancer.stats.beta import log_tail

SHARES = (0.0001, 0.01, 0.1, 0.25, 0.5, 0.9, 0.99, 0.9999)


def by_scipy(a: float, b: float, theta: float) -> float:
    """Return the same by scipy: minus infinity where its survival function is 0."""
    with np.errstate(divide="ignore"):
        return float(betaln(a, b) + np.log(betaincc(a, b, theta)) - a * math.log(theta) - b * math.log1p(-theta))


def exactly(a: int, b: int, theta: Fraction) -> float:
    """Return the same by whole numbers: SF_{a,b}(θ) is the chance of at most a − 1 in a + b − 1 throws."""
    n = a + b - 1
    numerator, denominator = theta.numerator, theta.denominator
    below = sum(math.comb(n, k) * numerator**k * (denominator - numerator) ** (n - k) for k in range(a))
    beta = Fraction(math.factorial(a - 1) * math.factorial(b - 1), math.factorial(n))
    found = beta * Fraction(below, denominator**n) / (theta**a * (1 - theta) ** b)
    return math.log(found.numerator) - math.log(found.denominator)


@pytest.mark.parametrize(("visitors", "within"), [(0, 1e-9), (1, 1e-9), (100, 1e-9), (10**5, 1e-9), (10**9, 1e-4)])
@pytest.mark.parametrize("theta", SHARES)
def test_it_is_scipys_wherever_scipy_has_a_figure(theta: float, visitors: int, within: float) -> None:
    spread = math.sqrt(visitors * theta * (1 - theta))
    compared = 0
    for deviations in (-30, -10, -3, -1, -0.1, 0, 0.1, 1, 3, 10, 100, 1e9):
        x = min(visitors, max(0, round(visitors * theta + deviations * spread)))
        a, b = 20 * theta + x, 20 * (1 - theta) + visitors - x
        wanted = by_scipy(a, b, theta)
        if math.isfinite(wanted):
            assert log_tail(a, b, theta) == pytest.approx(wanted, rel=1e-11, abs=within)
            compared += 1
    assert compared >= 6


@pytest.mark.parametrize("theta", [Fraction(1, 1000), Fraction(1, 10), Fraction(1, 2), Fraction(9, 10)])
@pytest.mark.parametrize(("a", "b"), [(1, 1), (3, 2000), (200, 1800), (1000, 1000), (1990, 10), (2000, 1), (1, 2000)])
def test_it_is_exact_in_tails_of_any_depth(a: int, b: int, theta: Fraction) -> None:
    assert log_tail(a, b, float(theta)) == pytest.approx(exactly(a, b, theta), rel=1e-11, abs=1e-9)


def test_there_is_an_answer_where_scipys_survival_function_is_zero() -> None:
    assert by_scipy(2, 18 + 10_000, 0.1) == -math.inf
    assert log_tail(2, 18 + 10_000, 0.1) == pytest.approx(exactly(2, 10_018, Fraction(1, 10)), abs=1e-9)


@given(
    st.floats(0.0001, 0.9999),
    st.integers(0, 10**9),
    st.floats(0, 1) | st.floats(-5, 5).map(lambda deviations: 2 + deviations / 100),
)
def test_any_billion_of_visitors_have_a_finite_figure(theta: float, visitors: int, part: float) -> None:
    near = theta + 100 * (part - 2) * math.sqrt(theta * (1 - theta) / max(visitors, 1))
    x = min(visitors, max(0, round(visitors * (part if part <= 1 else near))))
    assert math.isfinite(log_tail(20 * theta + x, 20 * (1 - theta) + visitors - x, theta))


@given(st.floats(0.001, 0.999), st.integers(0, 10**4), st.integers(0, 10**4))
def test_a_tail_from_further_down_holds_more(theta: float, x: int, rest: int) -> None:
    a, b = 1 + x, 1 + rest
    unscaled = [log_tail(a, b, at) + a * math.log(at) + b * math.log1p(-at) for at in (theta / 2, theta)]
    assert unscaled[0] >= unscaled[1] - 1e-7


@pytest.mark.parametrize(("a", "b", "theta"), [(0, 1, 0.5), (1, -1, 0.5), (1, 1, 0), (1, 1, 1), (1, 1, math.nan)])
def test_what_is_no_distribution_is_refused(a: float, b: float, theta: float) -> None:
    with pytest.raises(ValueError, match="no beta distribution"):
        log_tail(a, b, theta)


def test_a_fraction_without_an_end_is_given_up() -> None:
    with pytest.raises(ValueError, match="more than 100000 steps"):
        log_tail(5e13, 5e13, 0.5)
