"""The confidence sequence: its check values. What looking often does: test_simulations.py."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.stats.sequential import ConfidenceSequence, p_value

SEQUENCE = ConfidenceSequence(alpha=0.05, expected_visitors=5000)


def test_rho_has_its_check_value() -> None:
    assert SEQUENCE.rho == pytest.approx(0.0398400668, abs=5e-11)


def test_the_half_width_is_that_of_the_formula_as_written() -> None:
    se, n, alpha, rho = 0.0032, 20_000, 0.05, SEQUENCE.rho
    inside = se**2 * n * 2 * (n * rho**2 + 1) / (n * rho) ** 2 * math.log(math.sqrt(n * rho**2 + 1) / alpha)
    assert SEQUENCE.half_width(se, n) == pytest.approx(math.sqrt(inside), rel=1e-12)


def test_the_evidence_is_that_of_the_formula_as_written() -> None:
    difference, se, n, rho = 0.009, 0.0032, 20_000, SEQUENCE.rho
    log_e = rho**2 * difference**2 * n / (2 * se**2 * (n * rho**2 + 1)) - math.log(n * rho**2 + 1) / 2
    assert SEQUENCE.log_e(difference, se, n) == pytest.approx(log_e, rel=1e-12)


@given(
    alpha=st.floats(1e-6, 0.5),
    expected=st.integers(1, 10**9),
    n=st.integers(1, 10**9),
    se=st.floats(1e-6, 1e6),
    times=st.floats(-2, 2).filter(lambda times: abs(abs(times) - 1) > 1e-6),
)
def test_the_interval_excludes_zero_exactly_where_the_evidence_suffices(
    alpha: float, expected: int, n: int, se: float, times: float
) -> None:
    sequence = ConfidenceSequence(alpha=alpha, expected_visitors=expected)
    half = sequence.half_width(se, n)
    p = p_value(sequence.log_e(times * half, se, n))
    assert 0 <= p <= 1
    assert (p <= alpha) == (abs(times) > 1)


def test_no_interval_is_narrower_at_the_expected_visitors_than_one_tuned_to_another_number() -> None:
    others = [ConfidenceSequence(alpha=0.05, expected_visitors=n) for n in (500, 2000, 12_000, 50_000)]
    assert all(SEQUENCE.half_width(1.0, 5000) < other.half_width(1.0, 5000) for other in others)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, math.nan])
def test_an_alpha_that_is_no_chance_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        ConfidenceSequence(alpha=alpha, expected_visitors=5000)


def test_an_interval_needs_visitors_and_evidence_needs_a_spread() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        ConfidenceSequence(alpha=0.05, expected_visitors=0)
    with pytest.raises(ValueError, match="at least 1"):
        SEQUENCE.half_width(1.0, 0)
    with pytest.raises(ValueError, match="0 or more"):
        SEQUENCE.half_width(-1.0, 10)
    with pytest.raises(ValueError, match="positive standard error"):
        SEQUENCE.log_e(0.1, 0.0, 10)


@pytest.mark.parametrize("looks", [1, 5, 14, 100])
@pytest.mark.parametrize(("n", "z"), [(1000, 2.8), (5000, 3.6), (30_000, 4.2), (30_000, 2.8)])
def test_the_chance_to_exclude_zero_is_that_of_simulated_motions(looks: int, n: int, z: float) -> None:
    rng = np.random.default_rng(17)
    times = np.arange(1, looks + 1) / looks
    estimates = (rng.standard_normal((10_000, looks)) / math.sqrt(looks) + z / looks).cumsum(axis=1)
    boundary = np.array([SEQUENCE.half_width(1.0, round(n * time)) * math.sqrt(time) for time in times])
    simulated = float((estimates > boundary).any(axis=1).mean())
    assert simulated - 0.05 <= SEQUENCE.chance_to_exclude_zero(z, n, looks) <= simulated + 0.02


@given(st.floats(-100, 1e6), st.floats(0, 100), st.integers(1, 10**12), st.integers(1, 10**6))
def test_a_larger_difference_is_never_less_likely_to_be_shown(z: float, more: float, n: int, looks: int) -> None:
    less_likely = SEQUENCE.chance_to_exclude_zero(z, n, looks)
    assert 0 <= less_likely <= SEQUENCE.chance_to_exclude_zero(z + more, n, looks) + 1e-12
    assert less_likely <= 1


def test_a_chance_needs_a_look() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        SEQUENCE.chance_to_exclude_zero(3.0, 5000, 0)


def test_overwhelming_evidence_does_not_overflow() -> None:
    assert p_value(SEQUENCE.log_e(1e12, 1e-160, 10**9)) == 0.0
    assert p_value(-1e9) == 1.0
