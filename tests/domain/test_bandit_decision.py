"""Bandits: what is decided of which figures."""

from dataclasses import replace

import pytest

from balancer.domain.app import BranchName
from balancer.domain.bandit import TakenOut
from balancer.domain.bandit_decision import ArmSeen, BanditAction, BanditSeen, BanditWhat, decide
from balancer.domain.rollout import RolloutState
from domain.test_bandit import BLUE, MASTER, TEST, bandit

TWO, THREE = bandit(TEST), bandit(TEST, BLUE)


def seen(*arms: ArmSeen, **changes: object) -> BanditSeen:
    """Return figures of which nothing is lacking."""
    made = BanditSeen(phase=1, seconds=3600, step_seconds=3600, arms=arms)
    return replace(made, **changes)  # type: ignore[arg-type]


def arm(branch: BranchName, weight: int, chance: float | None = None, harm: str | None = None) -> ArmSeen:
    """Return what was seen of a branch."""
    return ArmSeen(branch=str(branch), weight=weight, chance=chance, harm=("guardrail", harm) if harm else None)


EVEN = (arm(MASTER, 5000, 0.2), arm(TEST, 5000, 0.8))


def test_weights_follow_the_chances() -> None:
    assert decide(TWO, seen(*EVEN)) == BanditAction(
        what=BanditWhat.SHIFT,
        rule="chances",
        reason="chance to be best: master 20.0%, test 80.0%",
        weights=(("master", 2000), ("test", 8000)),
    )


def test_a_change_below_five_points_is_not_worth_a_phase() -> None:
    found = decide(TWO, seen(arm(MASTER, 5000, 0.4501), arm(TEST, 5000, 0.5499)))
    assert (found.what, found.rule) == (BanditWhat.WAIT, "small change")
    assert decide(TWO, seen(arm(MASTER, 5000, 0.45), arm(TEST, 5000, 0.55))).what is BanditWhat.SHIFT


def test_who_is_at_the_floor_stays_there_without_another_phase() -> None:
    assert decide(TWO, seen(arm(MASTER, 500, 0.0), arm(TEST, 9500, 1.0))).what is BanditWhat.WAIT


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"step_seconds": 3599.5}, "too soon"),
        ({"lacks": "fewer than 100 visitors in an arm"}, "not enough data"),
        ({"alarm": True, "ratio_p": 0.0001}, "sample ratio"),
        ({"blind": "the ledger does not answer"}, "blind"),
        ({"phase": 2}, "other weights"),
    ],
)
def test_without_what_it_needs_it_waits(changes: dict[str, object], rule: str) -> None:
    found = decide(TWO, seen(*EVEN, **changes))
    assert (found.what, found.rule) == (BanditWhat.WAIT, rule)


def test_a_paused_one_waits() -> None:
    assert decide(replace(TWO, state=RolloutState.PAUSED), seen(*EVEN)).rule == "paused"


def test_an_arm_that_does_harm_is_taken_out_and_the_others_share_in_proportion() -> None:
    arms = (arm(MASTER, 2000, 0.1), arm(TEST, 5000, 0.8, "errors: 10 of 20"), arm(BLUE, 3000, 0.1))
    assert decide(THREE, seen(*arms)) == BanditAction(
        what=BanditWhat.TAKE_OUT,
        rule="guardrail",
        reason="test: errors: 10 of 20",
        weights=(("master", 4000), ("test", 0), ("blue", 6000)),
        out=(("test", "errors: 10 of 20"),),
    )


@pytest.mark.parametrize(
    "changes", [{"blind": "away"}, {"alarm": True}, {"step_seconds": 0.0}, {"phase": 2}, {"lacks": "few"}]
)
def test_harm_comes_first_whatever_else_is_lacking(changes: dict[str, object]) -> None:
    arms = (arm(MASTER, 5000), arm(TEST, 5000, None, "errors"))
    paused = replace(TWO, state=RolloutState.PAUSED)
    assert decide(paused, seen(*arms, **changes)).what is BanditWhat.ROLL_BACK


def test_where_only_the_control_is_left_it_gets_everybody_and_that_is_the_end() -> None:
    left = replace(THREE, out=(TakenOut(branch=BLUE, reason="gone"),))
    found = decide(left, seen(arm(MASTER, 500), arm(TEST, 9500, None, "errors")))
    assert found.what is BanditWhat.ROLL_BACK
    assert found.weights == (("master", 10_000), ("test", 0), ("blue", 0))


def test_weights_of_who_is_out_stay_at_0() -> None:
    left = replace(THREE, out=(TakenOut(branch=BLUE, reason="gone"),))
    assert dict(decide(left, seen(*EVEN)).weights)["blue"] == 0
