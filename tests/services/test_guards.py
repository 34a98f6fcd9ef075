"""Guardrails: what the ledger says of whom errors befell, and a report, say of the branch of a rollout."""

from datetime import UTC, datetime

import pytest

from balancer.domain.app import AppName, BranchName
from balancer.domain.entry import ERROR, SLOW
from balancer.domain.rollout_decision import Guard
from balancer.domain.split import Phase, Split, SplitId, SplitState
from balancer.services.guards import guards_of, question_of
from balancer.stats.affected import Affected, AffectedCell

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


def affected(*counts: tuple[int, str, int], event: str = ERROR) -> Affected:
    """Return cells of (phase, variant, visitors whom it befell)."""
    return Affected(
        cells=tuple(
            AffectedCell(event=event, phase=phase, variant=variant, visitors=visitors)
            for phase, variant, visitors in counts
        )
    )


def errors(*weights: int, counts: tuple[tuple[int, str, int], ...]) -> Guard:
    (guard,) = guards_of(split(*weights), TEST, affected(*counts))
    return guard


def test_visitors_in_error_are_weighed_by_the_weight_of_the_branch() -> None:
    """The figures of design §9: θ0 = 0.1, 30 of 150."""
    guard = errors(1000, counts=((1, "test", 30), (1, "master", 120)))
    assert guard.p == pytest.approx(0.00411111, abs=5e-9)
    assert str(guard) == "errors: 30 visitors of the branch, 120 of the control (p 0.0041)"


def test_phases_add_up_and_one_without_a_control_says_nothing() -> None:
    first = errors(1000, counts=((1, "test", 5), (1, "master", 5)))
    second = errors(5000, counts=((1, "test", 5), (1, "master", 1)))
    counts = ((1, "test", 5), (1, "master", 5), (2, "test", 5), (2, "master", 1), (3, "test", 9))
    both = errors(1000, 5000, 10_000, counts=counts)
    assert both.log_e == pytest.approx(first.log_e + second.log_e)
    assert both.figures == "19 visitors of the branch, 6 of the control"


def test_where_nothing_befell_anybody_nothing_is_known() -> None:
    guard = errors(1000, counts=())
    assert (guard.log_e, guard.p) == (0.0, 1.0)


def test_slow_answers_are_weighed_as_errors_are_and_named_latency() -> None:
    counts = ((1, "test", 30), (1, "master", 120))
    errors_too, latency = guards_of(split(1000), TEST, affected(*counts, event=SLOW))
    assert str(latency) == "latency: 30 visitors of the branch, 120 of the control (p 0.0041)"
    assert errors_too.log_e == 0.0


def test_the_ledger_is_asked_for_all_phases_and_both_variants() -> None:
    asked = question_of(split(1000, 5000))
    assert (asked.phases, set(asked.variants), asked.events) == ((1, 2), {"master", "test"}, (ERROR, SLOW))
