"""Bandits: who takes part, and weights that leave nobody in play below the floor."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.domain.app import AppName, BranchName
from balancer.domain.bandit import (
    ARMS_LIMIT,
    FLOOR,
    Bandit,
    BanditPlan,
    TakenOut,
    even_weights,
    weights_by,
)
from balancer.domain.rollout import RolloutState, Watch
from balancer.domain.split import SplitId
from balancer.domain.weights import WHOLE
from balancer.errors import InvalidBandit, InvalidName

MASTER, TEST, BLUE = BranchName("master"), BranchName("test"), BranchName("blue")
CHANCES = st.lists(st.floats(0, 1), min_size=1, max_size=ARMS_LIMIT)


def bandit(*branches: BranchName) -> Bandit:
    """Return a bandit that runs, in phase 1."""
    return Bandit(
        number=1,
        app=AppName("shop"),
        control=MASTER,
        branches=branches,
        split=SplitId("s1"),
        plan=BanditPlan(metric="purchase"),
        state=RolloutState.RUNNING,
        phase=1,
        watch=Watch(ticks=0.0),
    )


@given(CHANCES)
def test_weights_add_up_to_the_whole_and_none_is_below_the_floor(chances: list[float]) -> None:
    weights = weights_by({BranchName(f"b{place}"): chance for place, chance in enumerate(chances)})
    assert sum(weights.values()) == WHOLE
    assert min(weights.values()) >= FLOOR
    assert list(weights) == [f"b{place}" for place in range(len(chances))]


@given(CHANCES)
def test_who_is_likelier_to_be_best_has_no_smaller_weight(chances: list[float]) -> None:
    weights = list(weights_by({BranchName(f"b{place}"): chance for place, chance in enumerate(chances)}).values())
    for one, weight in zip(chances, weights, strict=True):
        for other, its in zip(chances, weights, strict=True):
            assert one <= other or weight >= its


def test_weights_above_the_floor_are_the_chances_themselves() -> None:
    assert weights_by({MASTER: 0.25, TEST: 0.6, BLUE: 0.15}) == {MASTER: 2500, TEST: 6000, BLUE: 1500}


def test_what_the_floor_lifts_up_is_taken_from_the_others_in_proportion() -> None:
    assert weights_by({MASTER: 0.0, TEST: 1.0}) == {MASTER: 500, TEST: 9500}
    # 0.6 : 0.4 of the 95 % that are left.
    assert weights_by({MASTER: 0.6, TEST: 0.4, BLUE: 1e-9}) == {MASTER: 5700, TEST: 3800, BLUE: 500}
    # Of 0.905 and 0.052 one would be lifted up by the first and not by the second look.
    assert weights_by({MASTER: 0.905, TEST: 0.052, BLUE: 0.043})[TEST] >= FLOOR


def test_even_weights_are_even_to_a_unit() -> None:
    assert even_weights((MASTER, TEST, BLUE)) == {MASTER: 3334, TEST: 3333, BLUE: 3333}
    assert weights_by({MASTER: 0.0, TEST: 0.0}) == {MASTER: 5000, TEST: 5000}


def test_one_branch_alone_gets_everybody() -> None:
    assert weights_by({MASTER: 0.3}) == {MASTER: WHOLE}


def test_who_was_taken_out_is_not_in_play() -> None:
    left = replace(bandit(TEST, BLUE), out=(TakenOut(branch=TEST, reason="errors"),))
    assert (left.arms, left.in_play) == ((MASTER, TEST, BLUE), (MASTER, BLUE))


@pytest.mark.parametrize(
    ("branches", "message"),
    [
        ((), "name at least one branch beside master"),
        ((TEST, TEST), "test is named twice"),
        ((MASTER,), "master is what visitors see already"),
        (tuple(BranchName(f"b{number}") for number in range(ARMS_LIMIT)), "11 branches are too many: 10 are possible"),
    ],
)
def test_arms_that_do_not_fit_are_refused(branches: tuple[BranchName, ...], message: str) -> None:
    with pytest.raises(InvalidBandit, match=message):
        bandit(*branches)


def test_a_plan_that_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidBandit, match="at most 30 days"):
        BanditPlan(metric="purchase", step_seconds=31 * 86_400)
    with pytest.raises(InvalidName):
        BanditPlan(metric="no metric!")
