"""Rollouts: what has gone by, and plans that make sense."""

import pytest

from balancer.domain.rollout import Plan, Watch
from balancer.errors import InvalidRollout


def test_what_has_gone_by_is_told_by_ticks_and_is_never_more_than_it_was_when_the_machine_is_started_again() -> None:
    watch = Watch(ticks=1000.0).at(1060.0)
    assert (watch.seconds, watch.step_seconds) == (60.0, 60.0)
    assert watch.next_step().at(1090.0) == Watch(seconds=90.0, step_seconds=30.0, ticks=1090.0)
    assert watch.at(15.0) == Watch(seconds=75.0, step_seconds=75.0, ticks=15.0)


@pytest.mark.parametrize(
    "plan",
    [
        {"steps": ()},
        {"steps": (0, 100)},
        {"steps": (500, 500)},
        {"steps": (500, 10_001)},
        {"steps": tuple(range(1, 23))},
        {"steps": (10_000,), "metric": "purchase"},
        {"margin": 0.0},
        {"margin": 1.0},
        {"step_seconds": -1},
        {"step_seconds": 31 * 86_400},
    ],
)
def test_a_plan_that_makes_no_sense_cannot_be_made(plan: dict[str, object]) -> None:
    with pytest.raises(InvalidRollout):
        Plan(**plan)  # type: ignore[arg-type]
