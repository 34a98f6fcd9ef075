"""Rollouts: what has gone by, and plans that make sense."""

import pytest

from balancer.domain.rollout import Plan, Rollout, RolloutState, Watch
from balancer.domain.split import SplitId
from balancer.errors import InvalidRollout
from balancer.wire.rollouts import RolloutBody
from values import SHOP, TEST


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


@pytest.mark.parametrize(
    ("state", "steps", "part", "shown"),
    [
        (RolloutState.RUNNING, (100, 5000, 10_000), 5000, "1 % → [50 %] → 100 %"),
        (RolloutState.ROLLED_BACK, (100, 5000, 10_000), 5000, "1 % → [50 %] → 100 %"),
        (RolloutState.PROMOTING, (100, 5000, 10_000), 10_000, "1 % → 50 % → [100 %]"),
        (RolloutState.DONE, (100, 5000), 10_000, "1 % → 50 % → [100 %]"),
    ],
)
def test_once_it_is_promoted_everybody_has_it_whatever_its_step_gave(
    state: RolloutState, steps: tuple[int, ...], part: int, shown: str
) -> None:
    rollout = Rollout(
        number=1,
        app=SHOP,
        branch=TEST,
        split=SplitId("s1"),
        plan=Plan(steps=steps),
        state=state,
        step=1,
        phase=2,
        watch=Watch(ticks=0.0),
    )
    assert rollout.part == part
    assert RolloutBody.of(rollout).steps == shown
