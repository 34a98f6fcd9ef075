"""Rollouts: what is decided of which figures."""

import math
from dataclasses import replace

import pytest

from balancer.domain.app import AppName, BranchName
from balancer.domain.hard_stop import Answers
from balancer.domain.rollout import Goal, Plan, Rollout, RolloutState, Watch
from balancer.domain.rollout_decision import (
    BREACHED,
    DOUBTFUL,
    STEP_VISITORS,
    Action,
    Finding,
    Guard,
    Seen,
    What,
    decide,
)
from balancer.domain.split import SplitId

DAY = 86_400.0


def rollout(plan: Plan | None = None, step: int = 0, **changes: object) -> Rollout:
    """Return a rollout that runs, in phase 1."""
    made = Rollout(
        number=1,
        app=AppName("shop"),
        branch=BranchName("test"),
        split=SplitId("s1"),
        plan=plan or Plan(),
        state=RolloutState.RUNNING,
        step=step,
        phase=1,
        watch=Watch(ticks=0.0),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def guard(log_e: float) -> Guard:
    """Return what a guardrail says."""
    return Guard(name="errors", log_e=log_e, p=math.exp(-log_e), figures="9 of 90, 0 of 900")


# All that the step of a canary needs.
PASSED = Seen(phase=1, seconds=600, step_seconds=600, visitors=STEP_VISITORS, guards=(guard(0.0),))
DECIDED = Plan(metric="purchase")


def decided(of: Rollout, seen: Seen) -> tuple[What, str]:
    """Return what is to be done, and the rule that says so."""
    action = decide(of, seen)
    return action.what, action.rule


@pytest.mark.parametrize(
    ("canary", "control", "waits"),
    [
        ((30, 0), (40, 0), True),
        ((10, 10), (10, 10), True),
        ((9, 11), (20, 0), False),  # the branch serves most: it may be what mends the control
        ((20, 0), (9, 11), False),  # the control serves most: the guardrails tell
        ((19, 0), (40, 0), False),  # too few to say anything
        ((0, 0), (40, 0), False),
    ],
)
@pytest.mark.parametrize("plan", [Plan(), Plan(steps=(5000,), auto_promote=True)])
def test_where_both_fail_most_who_ask_nothing_is_done_whatever_else_is_there(
    plan: Plan, canary: tuple[int, int], control: tuple[int, int], *, waits: bool
) -> None:
    lately = [Answers(failed=failed, other=other) for failed, other in (canary, control)]
    action = decide(rollout(plan), replace(PASSED, canary_lately=lately[0], control_lately=lately[1]))
    if not waits:
        assert action.what in (What.ADVANCE, What.PROMOTE)
        return
    assert (action.what, action.rule) == (What.WAIT, "both fail")
    assert action.reason == (
        f"{canary[0]} of the last {sum(canary)} requests of the branch were answered 5xx, {control[0]} of "
        f"{sum(control)} of the control: that is not the branch's doing, and says nothing for it either"
    )


def test_a_step_with_enough_visitors_and_time_leads_to_the_next_one() -> None:
    assert decide(rollout(), PASSED) == Action(
        what=What.ADVANCE, rule="step passed", reason="200 visitors, and no guardrail breached", step=1
    )


@pytest.mark.parametrize(
    ("changes", "rule", "reason"),
    [
        ({"visitors": 0}, "not enough data", "0 of 200 visitors"),
        ({"visitors": 199}, "not enough data", "199 of 200 visitors"),
        ({"step_seconds": 590.5}, "too soon", "10 s of 10 min are left"),
        ({"alarm": True, "ratio_p": 0.0004}, "sample ratio", "the variants do not get the visitors"),
        ({"phase": 2}, "other weights", "somebody has set other weights"),
        ({"blind": "the ledger does not answer"}, "blind", "the ledger does not answer"),
        ({"visitors": 3, "step_seconds": 0.0}, "not enough data", "3 of 200 visitors; 10 min of 10 min are left"),
    ],
)
def test_a_step_that_lacks_something_waits_and_says_for_what(
    changes: dict[str, object], rule: str, reason: str
) -> None:
    action = decide(rollout(), replace(PASSED, **changes))  # type: ignore[arg-type]
    assert (action.what, action.rule) == (What.WAIT, rule)
    assert reason in action.reason


HARMS = [
    ({"guards": (guard(BREACHED),)}, "guardrail"),
    ({"hard_stop": True, "canary": Answers(failed=5, other=0)}, "hard stop"),
    ({"unhealthy_seconds": 5.0}, "health lost"),
    ({"crashes": 3, "control_crashes": 1}, "crash loop"),
    ({"finding": Finding.ROLL_BACK, "because": "test is worse"}, "metric"),
]


@pytest.mark.parametrize(("harm", "rule"), HARMS)
@pytest.mark.parametrize("state", [RolloutState.RUNNING, RolloutState.PAUSED])
@pytest.mark.parametrize(
    "lacking", [{}, {"visitors": 0}, {"alarm": True}, {"step_seconds": 0.0}, {"phase": 2}, {"blind": "it is away"}]
)
def test_harm_is_rolled_back_whatever_else_there_is(
    harm: dict[str, object], rule: str, state: RolloutState, lacking: dict[str, object]
) -> None:
    seen = replace(PASSED, **(lacking | harm))  # type: ignore[arg-type]
    assert decided(rollout(state=state), seen) == (What.ROLL_BACK, rule)


@pytest.mark.parametrize(
    "spared",
    [
        {"guards": (guard(BREACHED - 0.01),)},
        {"canary": Answers(failed=40, other=0)},
        {"hard_stop": True, "canary": Answers(failed=9, other=0), "control": Answers(failed=5, other=5)},
        {"unhealthy_seconds": 4.9},
        {"crashes": 2},
        {"crashes": 3, "control_crashes": 2},
        {"crashes": 9, "control_crashes": 5},
    ],
)
def test_what_is_just_below_a_limit_or_befalls_both_is_not_rolled_back(spared: dict[str, object]) -> None:
    assert decide(rollout(), replace(PASSED, **spared)).what is What.ADVANCE  # type: ignore[arg-type]


def test_a_paused_rollout_takes_no_step() -> None:
    assert decided(rollout(state=RolloutState.PAUSED), PASSED) == (What.WAIT, "paused")


def test_before_everybody_gets_a_branch_no_guardrail_may_be_doubtful() -> None:
    doubtful = replace(PASSED, guards=(guard(DOUBTFUL),))
    assert decided(rollout(step=2), doubtful) == (What.ADVANCE, "step passed")
    assert decided(rollout(step=3), doubtful) == (What.WAIT, "doubtful guardrail")
    assert decided(rollout(step=3), PASSED) == (What.ADVANCE, "step passed")


@pytest.mark.parametrize(
    ("goal", "finding", "days", "expected"),
    [
        (Goal.BETTER, Finding.UNDECIDED, 30, (What.WAIT, "no verdict")),
        (Goal.BETTER, Finding.SHIP, 6.9, (What.WAIT, "before 7 days")),
        (Goal.BETTER, Finding.SHIP, 7, (What.PROMOTE, "fit for everybody")),
        (Goal.NOT_WORSE, Finding.UNDECIDED, 30, (What.WAIT, "no verdict")),
        (Goal.NOT_WORSE, Finding.SHIP, 0.1, (What.PROMOTE, "fit for everybody")),
    ],
)
def test_where_a_metric_decides_everybody_gets_the_branch_by_its_verdict_alone(
    goal: Goal, finding: Finding, days: float, expected: tuple[What, str]
) -> None:
    of = rollout(replace(DECIDED, goal=goal, auto_promote=True), step=3)
    assert decided(of, replace(PASSED, finding=finding, seconds=days * DAY)) == expected


def test_a_metric_that_decides_does_not_hold_up_the_steps_before() -> None:
    assert decided(rollout(DECIDED, step=1), PASSED) == (What.ADVANCE, "step passed")


def test_without_auto_promote_the_last_step_waits_for_a_person_and_is_watched() -> None:
    last = rollout(step=4)
    assert decided(last, replace(PASSED, visitors=0)) == (What.WAIT, "last step")
    assert decided(last, replace(PASSED, unhealthy_seconds=9.0)) == (What.ROLL_BACK, "health lost")
    assert decided(rollout(Plan(steps=(1000, 5000)), step=1), PASSED) == (What.WAIT, "last step")


def test_a_canary_that_promotes_itself_does_so_in_the_place_of_its_last_step() -> None:
    plan = Plan(auto_promote=True)
    assert decided(rollout(plan, step=3), PASSED) == (What.PROMOTE, "fit for everybody")
    assert decided(rollout(plan, step=3), replace(PASSED, alarm=True)) == (What.WAIT, "sample ratio")
