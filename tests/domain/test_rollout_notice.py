"""Notices of rollouts are plain, and say what happened with the figures."""

import json
from dataclasses import replace

from balancer.domain.app import AppName, BranchName
from balancer.domain.rollout import Plan, Rollout, RolloutState, Watch
from balancer.domain.rollout_decision import Action, What
from balancer.domain.rollout_notice import rollout_began, rollout_ended, rollout_moved, rollout_rolled_back
from balancer.domain.split import SplitId

ROLLOUT = Rollout(
    number=1,
    app=AppName("shop"),
    branch=BranchName("test"),
    split=SplitId("s1"),
    plan=Plan(),
    state=RolloutState.RUNNING,
    step=1,
    phase=2,
    watch=Watch(ticks=0.0),
)


def test_what_is_told_of_a_rollout_is_json_and_reads_well() -> None:
    said = Action(what=What.ROLL_BACK, rule="guardrail", reason="errors: 9 of 51 visitors of the branch")
    told = [
        rollout_began(ROLLOUT),
        rollout_moved(ROLLOUT, said),
        rollout_rolled_back(ROLLOUT, said),
        rollout_ended(replace(ROLLOUT, state=RolloutState.ABORTED, reason="the split s1 is cancelled")),
    ]
    for notice in told:
        assert json.loads(json.dumps(dict(notice.facts))) == notice.facts
        assert notice.facts["weight"] == 5.0
    assert [notice.text for notice in told] == [
        "shop: the rollout of test began at 5 %",
        "shop: test goes on to 5 %: errors: 9 of 51 visitors of the branch",
        "shop: the rollout of test was rolled back at 5 %: errors: 9 of 51 visitors of the branch",
        "shop: the rollout of test is aborted: the split s1 is cancelled",
    ]
