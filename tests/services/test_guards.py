"""Guardrails: what the cells of a split, and its report, say of the branch of a rollout."""

from datetime import UTC, datetime

import pytest

from balancer.domain.app import AppName, BranchName
from balancer.domain.split import Phase, Split, SplitId, SplitState
from balancer.services.guards import ERRORS, guard_of
from balancer.stats.cells import ExposedCell, MeasureCell, MeasureCells, SplitCells
from balancer.stats.comoments import CoMoments

MASTER, TEST = BranchName("master"), BranchName("test")


def split(*weights: int) -> Split:
    """Return a split whose phases give the branch these weights."""
    at = datetime(2026, 3, 1, tzinfo=UTC)
    return Split(
        id=SplitId("s1"),
        app=AppName("shop"),
        control=MASTER,
        phases=tuple(
            Phase(number=number, weights={MASTER: 10_000 - weight, TEST: weight}, started_at=at)
            for number, weight in enumerate(weights, 1)
        ),
        state=SplitState.RUNNING,
        ended_at=None,
        expected_visitors=5000,
    )


def cells(*counts: tuple[int, str, int, int]) -> SplitCells:
    """Return cells of (phase, variant, visitors, visitors in error)."""
    shared = [{"phase": phase, "variant": variant, "day": 1} for phase, variant, _, _ in counts]
    return SplitCells(
        exposed=tuple(
            ExposedCell(**key, visitors=visitors)  # type: ignore[arg-type]
            for key, (_, _, visitors, _) in zip(shared, counts, strict=True)
        ),
        measures=(
            MeasureCells(
                name=ERRORS.name,
                cells=tuple(
                    MeasureCell(
                        **key,  # type: ignore[arg-type]
                        mature=False,
                        events=5 * hit,
                        conversions=hit,
                        moments=CoMoments.empty(),
                    )
                    for key, (_, _, _, hit) in zip(shared, counts, strict=True)
                ),
            ),
        ),
    )


def test_visitors_in_error_are_weighed_by_the_weight_of_the_branch() -> None:
    """The figures of design §9: θ0 = 0.1, 30 of 150."""
    guard = guard_of(split(1000), TEST, cells((1, "test", 1000, 30), (1, "master", 9000, 120)), ERRORS.name)
    assert guard.p == pytest.approx(0.00411111, abs=5e-9)
    assert str(guard) == "errors: 30 of 1000 visitors of the branch, 120 of 9000 of the control (p 0.0041)"


def test_phases_add_up_and_one_without_a_control_says_nothing() -> None:
    first = guard_of(split(1000), TEST, cells((1, "test", 100, 5), (1, "master", 900, 5)), ERRORS.name)
    second = guard_of(split(5000), TEST, cells((1, "test", 100, 5), (1, "master", 100, 1)), ERRORS.name)
    counts = ((1, "test", 100, 5), (1, "master", 900, 5), (2, "test", 100, 5), (2, "master", 100, 1), (3, "test", 9, 9))
    both = guard_of(split(1000, 5000, 10_000), TEST, cells(*counts), ERRORS.name)
    assert both.log_e == pytest.approx(first.log_e + second.log_e)
    assert both.figures == "19 of 209 visitors of the branch, 6 of 1000 of the control"


def test_without_visitors_nothing_is_known() -> None:
    guard = guard_of(split(1000), TEST, SplitCells(), ERRORS.name)
    assert (guard.log_e, guard.p) == (0.0, 1.0)
