"""The sample ratio: its check values. That it raises no false alarm and misses no true one: test_simulations.py."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import dirichlet_multinomial, multinomial

from balancer.stats.srm import PhaseCounts, SampleRatio, sample_ratio

EVEN = {"master": 1, "test": 1}


def phase(master: int, test: int, weights: dict[str, int] = EVEN) -> PhaseCounts:
    """Return a phase with these visitors."""
    return PhaseCounts(weights=weights, visitors={"master": master, "test": test})


def ratio(*phases: PhaseCounts) -> SampleRatio:
    """Return the outcome for these phases."""
    return sample_ratio(phases)


@pytest.mark.parametrize(
    ("master", "test", "p", "alarm"),
    [(550, 450, 0.0349210, False), (5300, 4700, 1.81137e-7, True)],
)
def test_the_check_values_come_out(master: int, test: int, p: float, alarm: bool) -> None:
    found = ratio(phase(master, test))
    assert found.p == pytest.approx(p, rel=3e-6)
    assert found.alarm is alarm


def test_the_alarm_is_at_an_evidence_of_a_thousand() -> None:
    quiet = next(n for n in range(500, 1000) if phase(n + 1, 1000 - n - 1).log_e >= math.log(1000))
    assert not ratio(phase(quiet, 1000 - quiet)).alarm
    assert ratio(phase(quiet + 1, 1000 - quiet - 1)).alarm


def test_the_evidence_of_phases_is_multiplied_each_against_its_own_weights() -> None:
    first, second = phase(5300, 4700), phase(1020, 9980, {"master": 10, "test": 90})
    assert ratio(first, second).log_e == pytest.approx(first.log_e + second.log_e)
    assert not ratio(phase(900, 100, {"master": 90, "test": 10}), phase(500, 500)).alarm
    assert ratio(phase(1400, 600)).alarm


def test_a_visitor_in_a_variant_of_weight_zero_is_an_alarm_at_once() -> None:
    found = ratio(phase(500, 500), phase(1000, 1, {"master": 100, "test": 0}))
    assert found.alarm
    assert found.p == 0.0
    unnamed = PhaseCounts(weights=EVEN, visitors={"master": 5, "test": 5, "old": 1})
    assert ratio(unnamed).alarm


def test_a_variant_of_weight_zero_without_visitors_is_no_fault() -> None:
    found = ratio(phase(1000, 0, {"master": 100, "test": 0}))
    assert not found.alarm
    assert found.p == 1.0


def test_observed_and_expected_are_added_over_the_phases() -> None:
    found = ratio(phase(900, 100, {"master": 90, "test": 10}), phase(480, 520))
    assert [(each.variant, each.observed) for each in found.counts] == [("master", 1380), ("test", 620)]
    assert [each.expected for each in found.counts] == pytest.approx([1400, 600])


def test_no_visitors_are_no_evidence() -> None:
    assert ratio().p == ratio(phase(0, 0)).p == 1.0


@given(st.lists(st.tuples(st.integers(1, 10_000), st.integers(0, 10**9)), min_size=2, max_size=5))
def test_nothing_overflows_up_to_a_billion_visitors_a_variant(arms: list[tuple[int, int]]) -> None:
    weights = {str(place): weight for place, (weight, _) in enumerate(arms)}
    found = ratio(PhaseCounts(weights=weights, visitors={str(place): n for place, (_, n) in enumerate(arms)}))
    assert math.isfinite(found.log_e)
    assert 0 <= found.p <= 1


@given(st.lists(st.tuples(st.integers(1, 100), st.integers(0, 5000)), min_size=2, max_size=5))
def test_the_evidence_is_the_likelihood_under_the_prior_over_that_under_the_weights(
    arms: list[tuple[int, int]],
) -> None:
    weights, counts = np.array(arms).T
    shares, total = weights / weights.sum(), counts.sum()
    wanted = dirichlet_multinomial.logpmf(counts, 100 * shares, total) - multinomial.logpmf(counts, total, shares)
    backwards = list(enumerate(arms))[::-1]
    found = PhaseCounts(
        weights={str(place): weight for place, (weight, _) in backwards},
        visitors={str(place): count for place, (_, count) in backwards},
    )
    assert found.log_e == pytest.approx(wanted, rel=1e-7, abs=1e-6)


def test_weights_and_counts_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="one of them more"):
        phase(1, 1, {"master": 0, "test": 0})
    with pytest.raises(ValueError, match="weights"):
        phase(1, 1, {"master": 3, "test": -1})
    with pytest.raises(ValueError, match="counts"):
        phase(-1, 1)
