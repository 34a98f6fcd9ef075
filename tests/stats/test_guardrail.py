"""Guardrails: check values, phases, what is no pass. How often they are wrong: test_guardrail_simulations.py."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from balancer.stats.arm import Inconclusive, Reason
from balancer.stats.compare import Comparison
from balancer.stats.guardrail import (
    ErrorCounts,
    Guardrail,
    GuardrailState,
    guardrail,
    metric_guardrail,
)
from balancer.stats.verdict import Direction


def counts(treatment: int, control: int, weights: tuple[int, int] = (10, 90), phase: int = 1) -> ErrorCounts:
    """Return a phase in which so many visitors met an error."""
    return ErrorCounts(
        phase=phase, weight_treatment=weights[0], weight_control=weights[1], treatment=treatment, control=control
    )


def compared(difference: float, log_e: float | None) -> Comparison:
    """Return a comparison of this evidence."""
    return Comparison(
        difference=difference,
        se=0.01,
        control_mean=0.1,
        low=difference - 0.02,
        high=difference + 0.02,
        log_e=log_e,
        p=0.5,
        alpha=0.05,
        visitors=2000,
        used=(1,),
        left_out=(),
    )


def test_the_check_value_comes_out() -> None:
    assert guardrail([counts(30, 120)]).p == pytest.approx(0.00411111, abs=5e-9)


def test_it_is_breached_at_an_evidence_of_a_hundred_and_watched_at_twenty() -> None:
    found = [guardrail([counts(x, 100)]) for x in range(40)]
    for each in found[1:]:
        expected = (
            GuardrailState.BREACHED
            if each.log_e >= math.log(100)
            else GuardrailState.WATCH
            if each.log_e >= math.log(20)
            else GuardrailState.OK
        )
        assert (each.state, each.rolls_back) == (expected, expected is GuardrailState.BREACHED)
        assert each.allows_promotion is (expected is GuardrailState.OK)
    assert {each.state for each in found[1:]} == {GuardrailState.OK, GuardrailState.WATCH, GuardrailState.BREACHED}


@pytest.mark.parametrize(
    ("log_e", "state"),
    [
        (math.log(100), GuardrailState.BREACHED),
        (math.nextafter(math.log(100), 0), GuardrailState.WATCH),
        (math.log(20), GuardrailState.WATCH),
        (math.nextafter(math.log(20), 0), GuardrailState.OK),
    ],
)
def test_the_bounds_themselves_count_as_reached(log_e: float, state: GuardrailState) -> None:
    assert Guardrail.of(log_e).state is state


# Up to 95 %: above, the prior has no bound at 1, and it is the integral here, not the evidence, that loses its digits.
@given(st.integers(1, 95), st.integers(0, 300), st.integers(0, 300))
def test_the_evidence_is_the_mean_likelihood_of_the_shares_above_the_weights_over_that_of_the_weights(
    weight: int, treatment: int, control: int
) -> None:
    share = weight / 100
    a, b = 20 * share, 20 * (1 - share)

    def prior(t: float) -> float:
        return math.exp((a - 1) * math.log(t) + (b - 1) * math.log1p(-t)) if 0 < t < 1 else 0.0

    def likelihood(t: float) -> float:
        return math.exp(treatment * math.log(t / share) + control * (math.log1p(-t) - math.log1p(-share)) - peak)

    n = treatment + control
    best = min(max(treatment / n, share), 1 - 1e-9) if n else share
    peak = treatment * math.log(best / share) + control * (math.log1p(-best) - math.log1p(-share))
    top = 1 - 1e-12
    spread = math.sqrt(best * (1 - best) / max(n, 1))
    edges = sorted({share, top, *(min(max(best + z * spread, share), top) for z in (-8, -2, 2, 8)), (1 + share) / 2})
    whole, cut = (
        math.fsum(
            quad(lambda t, each=each: prior(t) * each(t), low, high, limit=200)[0] for low, high in pairwise(edges)
        )
        for each in (likelihood, lambda t: 1.0)
    )
    found = counts(treatment, control, (weight, 100 - weight)).log_e
    assert found == pytest.approx(math.log(whole / cut) + peak, rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_a_visitor_more_leaves_the_evidence_where_it_was_on_average_if_nothing_is_wrong(share: float) -> None:
    weights = round(100 * share), round(100 * (1 - share))
    for treatment, control in ((0, 0), (1, 0), (0, 7), (13, 40), (400, 900) if share > 0.1 else (9, 900)):
        now, treated, other = (
            math.exp(counts(*each, weights).log_e)
            for each in ((treatment, control), (treatment + 1, control), (treatment, control + 1))
        )
        assert share * treated + (1 - share) * other == pytest.approx(now, rel=1e-9)
        assert (share / 2) * treated + (1 - share / 2) * other <= now


def test_the_evidence_of_phases_adds_each_by_its_own_weights() -> None:
    first, second = counts(5, 120, (1, 99)), counts(60, 61, (50, 50), phase=2)
    assert guardrail([first, second]).log_e == pytest.approx(first.log_e + second.log_e)
    ramped = [counts(1, 99, (1, 99)), counts(50, 50, (50, 50), phase=2)]
    assert guardrail(ramped).state is GuardrailState.OK
    assert guardrail([counts(51, 149, (1, 99))]).state is GuardrailState.BREACHED


@pytest.mark.parametrize(
    "nothing",
    [
        [],
        [counts(0, 0)],
        [counts(0, 0), counts(0, 0, phase=2)],
        [counts(50, 0, (100, 0))],
        [counts(50, 3, (0, 100))],
        [counts(50, 3, (0, 0))],
    ],
)
def test_where_nobody_is_in_error_or_to_be_compared_with_nothing_is_known(nothing: list[ErrorCounts]) -> None:
    found = guardrail(nothing)
    assert (found.state, found.log_e, found.p) == (GuardrailState.NOT_ENOUGH_DATA, 0.0, 1.0)
    assert not found.rolls_back
    assert found.state is not GuardrailState.OK


def test_a_phase_at_a_hundred_percent_adds_nothing_to_the_others() -> None:
    ramp = [counts(30, 120)]
    assert guardrail([*ramp, counts(500, 0, (100, 0), phase=2)]) == guardrail(ramp)


def test_errors_of_both_arms_alike_and_a_better_canary_are_no_breach() -> None:
    assert guardrail([counts(5_000, 45_000)]).state is GuardrailState.OK
    assert guardrail([counts(0, 45_000)]).state is GuardrailState.OK


@given(
    st.lists(
        st.tuples(st.integers(1, 10_000), st.integers(1, 10_000), st.integers(0, 10**9), st.integers(0, 10**9)),
        min_size=1,
        max_size=4,
    )
)
def test_nothing_overflows_up_to_a_billion_visitors_in_error(phases: list[tuple[int, int, int, int]]) -> None:
    found = guardrail(
        counts(treatment, control, (mine, theirs), place)
        for place, (mine, theirs, treatment, control) in enumerate(phases)
    )
    assert math.isfinite(found.log_e)
    assert 0 <= found.p <= 1


def test_more_of_them_on_the_canary_is_more_evidence_up_to_a_billion() -> None:
    for n in (10, 10**5, 10**9):
        found = [counts(x, n - x).log_e for x in np.linspace(0, n, 11).astype(int).tolist()]
        assert found == sorted(found)


def test_weights_and_counts_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="weights"):
        counts(1, 1, (-1, 5))
    with pytest.raises(ValueError, match="counts"):
        counts(-1, 1)


@pytest.mark.parametrize(
    ("difference", "log_e", "direction", "state"),
    [
        (-0.05, 5.0, Direction.HIGHER, GuardrailState.BREACHED),
        (-0.05, 3.5, Direction.HIGHER, GuardrailState.WATCH),
        (-0.05, 2.0, Direction.HIGHER, GuardrailState.OK),
        (+0.05, 5.0, Direction.HIGHER, GuardrailState.OK),
        (+0.05, 5.0, Direction.LOWER, GuardrailState.BREACHED),
        (+0.05, 3.5, Direction.LOWER, GuardrailState.WATCH),
        (-0.05, 5.0, Direction.LOWER, GuardrailState.OK),
        (0.0, 5.0, Direction.LOWER, GuardrailState.OK),
    ],
)
def test_a_metric_is_breached_in_its_bad_direction_only(
    difference: float, log_e: float, direction: Direction, state: GuardrailState
) -> None:
    assert metric_guardrail(compared(difference, log_e), direction).state is state


def test_a_metric_that_got_better_has_no_evidence_that_it_got_worse() -> None:
    better = metric_guardrail(compared(0.05, 9.0), Direction.HIGHER)
    assert (better.log_e, better.p) == (0.0, 1.0)
    assert metric_guardrail(compared(0.05, -1.5), Direction.HIGHER).log_e == -1.5
    worse = metric_guardrail(compared(-0.05, 9.0), Direction.HIGHER)
    assert (worse.log_e, worse.p) == (9.0, math.exp(-9.0))


def test_a_metric_without_enough_data_is_not_known_and_one_look_is_refused() -> None:
    few = Inconclusive(reason=Reason.FEW_VISITORS)
    assert metric_guardrail(few, Direction.HIGHER).state is GuardrailState.NOT_ENOUGH_DATA
    with pytest.raises(ValueError, match="one look"):
        metric_guardrail(compared(-0.05, None), Direction.HIGHER)
