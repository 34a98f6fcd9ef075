"""Notices of rollouts are plain, and say what happened with the figures."""

import json
from dataclasses import replace

from balancer.domain.app import AppName, BranchName
from balancer.domain.rollout import Plan, Rollout, RolloutState, Watch
from balancer.domain.rollout_decision import Action, What
from balancer.domain.rollout_notice import (
    rollout_began,
    rollout_ended,
    rollout_moved,
    rollout_ready,
    rollout_rolled_back,
)
from balancer.domain.split import SplitId
from values import release

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
RELEASE = release(1, "test")


def test_what_is_told_of_a_rollout_is_json_and_reads_well() -> None:
    said = Action(what=What.ROLL_BACK, rule="guardrail", reason="errors: 9 of 51 visitors of the branch")
    told = [
        rollout_began(ROLLOUT),
        rollout_moved(ROLLOUT, said),
        rollout_ready(ROLLOUT, said),
        rollout_rolled_back(ROLLOUT, said, None),
        rollout_rolled_back(ROLLOUT, said, RELEASE),
        rollout_ended(replace(ROLLOUT, state=RolloutState.ABORTED, reason="the split s1 is cancelled")),
    ]
    for notice in told:
        assert json.loads(json.dumps(dict(notice.facts))) == notice.facts
        assert notice.facts["weight"] == 5.0
    assert [notice.text for notice in told] == [
        "shop: the rollout of test began at 5 %",
        "shop: test goes on to 5 %: errors: 9 of 51 visitors of the branch",
        "shop: test waits for somebody to promote it: errors: 9 of 51 visitors of the branch",
        "shop: the rollout of test was rolled back at 5 %: errors: 9 of 51 visitors of the branch",
        f"shop: the rollout of test (release 1, {RELEASE.commit.short} by Ada) was rolled back at 5 %: errors: 9 of 51 "
        "visitors of the branch",
        "shop: the rollout of test is aborted: the split s1 is cancelled",
    ]


def test_a_rollback_tells_programs_whose_commit_it_was() -> None:
    said = Action(what=What.ROLL_BACK, rule="guardrail", reason="9 of 51")
    facts = rollout_rolled_back(ROLLOUT, said, RELEASE).facts
    assert (facts["release"], facts["commit"], facts["author"], facts["subject"]) == (
        1,
        RELEASE.commit,
        "Ada",
        "Sell",
    )
    assert "author" not in rollout_rolled_back(ROLLOUT, said, None).facts


def test_a_commit_without_an_author_is_named_without_one() -> None:
    said = Action(what=What.ROLL_BACK, rule="guardrail", reason="9 of 51")
    told = rollout_rolled_back(ROLLOUT, said, replace(RELEASE, author=""))
    assert f"test (release 1, {RELEASE.commit.short}) was" in told.text
