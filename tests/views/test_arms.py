from dataclasses import replace

from balancer.domain.app import BranchName
from balancer.domain.bandit import TakenOut
from balancer.domain.bandit_decision import ArmSeen, BanditSeen
from balancer.services.bandits import BanditStanding
from balancer.views.arms import arms_of
from domain.test_bandit import bandit
from values import MASTER, TEST

BLUE = BranchName("blue")
WEIGHTS = {MASTER: 3000, TEST: 7000, BLUE: 0}
STANDING = BanditStanding(
    bandit=replace(bandit(TEST, BLUE), out=(TakenOut(branch=BLUE, reason="errors: E = 120"),)),
    weights=WEIGHTS,
    seen=BanditSeen(
        phase=1,
        seconds=90.0,
        step_seconds=90.0,
        arms=(
            ArmSeen(branch="master", weight=3000, visitors=120, mean=0.1, se=0.02, chance=0.25),
            ArmSeen(branch="test", weight=7000, visitors=130),
        ),
    ),
    action=None,
)


def test_each_arm_has_its_weight_and_what_was_seen_of_it() -> None:
    master, test, blue = arms_of(STANDING)
    assert (master.is_control, master.weight, master.chance, master.mean, master.visitors) == (
        True,
        3000,
        0.25,
        0.1,
        120,
    )
    assert (test.is_control, test.chance, test.mean, test.visitors, test.out) == (False, None, None, 130, "")
    assert (blue.weight, blue.visitors, blue.out) == (0, None, "errors: E = 120")


def test_before_the_first_look_nothing_is_made_up() -> None:
    assert {arm.visitors for arm in arms_of(replace(STANDING, seen=None))} == {None}
    assert arms_of(None) == ()
