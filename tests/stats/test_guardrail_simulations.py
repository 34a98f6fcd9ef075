"""Guardrails over thousands of canaries: sound ones stay, faulty ones go, and what people count instead fails.

`make test ARGS='-n 0 -s tests/stats/test_guardrail_simulations.py'` prints the figures, `make bench-stats` those of ten
times as many runs.
"""

import functools

import numpy as np
import pytest

from balancer.stats.guardrail import ErrorCounts
from simulations.guardrails import BLOCK, FAULTY, RAMP, SOUND, Canary, evidence_of_errors, judged, observe_errors

RUNS = 2000
RAMPED = [name for name, canary in SOUND.items() if len(canary.steps) > 1]
STORMS, BOTH_BAD, *_ = SOUND
FIVE_FOLD, LATE, RAMPED_TWICE = FAULTY
# Several tests ask of the same runs.
sound = functools.cache(lambda name: judged(SOUND[name], runs=RUNS, seed=10))


@pytest.mark.parametrize("share", [*RAMP, 0.10, 0.90])
def test_what_is_simulated_is_what_is_shipped(share: float) -> None:
    rng = np.random.default_rng(1)
    arms = observe_errors(rng, 30, Canary(steps=(share,), visitors=10_000, rates=(0.02, 0.04), late=True))
    treatment, control = arms.treatment[..., 0], arms.control[..., 0]
    evidence = evidence_of_errors(treatment, control, share)
    for run, look in rng.integers((30, 10_000 // BLOCK), size=(200, 2)):
        shipped = ErrorCounts(
            phase=1,
            weight_treatment=round(100 * share),
            weight_control=round(100 * (1 - share)),
            treatment=int(treatment[run, look]),
            control=int(control[run, look]),
        )
        assert evidence[run, look] == pytest.approx(shipped.log_e, rel=1e-9, abs=1e-9)


def test_a_visitor_is_in_error_once_in_the_phase_of_the_assignment_however_late() -> None:
    canary = Canary(steps=(0.5, 0.1), visitors=20_000, rates=(0.02, 0.02), late=True)
    arms = observe_errors(np.random.default_rng(3), 200, canary)
    assert np.diff(arms.treatment, axis=1).min() >= 0
    changed = 20_000 // BLOCK
    assert not arms.treatment[:, :changed, 1].any()
    assert arms.treatment[:, -1, 0].mean() == pytest.approx(200, rel=0.02)
    assert arms.treatment[:, changed - 1, 0].mean() < 195
    assert (arms.control[:, -1, 1] / (arms.treatment + arms.control)[:, -1, 1]).mean() == pytest.approx(0.9, abs=0.01)


def test_errors_clustered_five_to_a_visitor_roll_back_five_percent_of_sound_canaries_at_most() -> None:
    found = sound(STORMS)
    print(f"guardrail, {STORMS}: {found}")
    assert found.breached <= 0.05
    assert found.watched <= 0.05
    assert found.by_errors >= 0.30


def test_where_both_arms_are_equally_bad_nothing_is_done() -> None:
    found = sound(BOTH_BAD)
    print(f"guardrail, {BOTH_BAD}: {found}")
    assert 1 - found.breached >= 0.95
    assert found.by_errors >= 0.30


@pytest.mark.parametrize("name", RAMPED)
def test_ramps_roll_back_five_percent_of_sound_canaries_at_most(name: str) -> None:
    found = sound(name)
    print(f"guardrail, {name}: {found}")
    assert found.breached <= 0.05
    assert found.by_errors >= 0.30
    assert found.thrown_together >= 0.15 or SOUND[name].rates


def test_a_five_fold_error_rate_is_found_within_five_thousand_visitors_in_95_percent() -> None:
    found = judged(FAULTY[FIVE_FOLD], runs=RUNS, seed=10)
    print(f"guardrail, {FIVE_FOLD}: {found}")
    assert found.breached >= 0.95


def test_errors_that_come_late_are_found_late_and_twice_as_many_in_a_ramp() -> None:
    late, twice = (judged(FAULTY[name], runs=RUNS, seed=10) for name in (LATE, RAMPED_TWICE))
    print(f"guardrail, {LATE}: {late}; {RAMPED_TWICE}: {twice}")
    assert 0.70 <= late.breached < 0.95 <= twice.breached
