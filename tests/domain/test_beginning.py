"""Beginning: what is said of a new split or rollout is what it does."""

from datetime import UTC, datetime

from balancer.domain.app import BranchName
from balancer.domain.audience import Audience
from balancer.domain.beginning import rollout_begins, split_begins
from balancer.domain.metric import MetricName
from balancer.domain.rollout import Goal, Plan
from balancer.domain.split import TWIN, Brief
from values import MASTER, TEST

EVEN = {MASTER: 5000, TEST: 5000}
HARM = (
    "Where it does harm it is stopped by itself, and everyone sees master: more visitors with errors or slow answers "
    "than the control has, no healthy instance, a guardrail metric that got worse."
)


def test_a_split_is_for_everybody_who_comes_from_then_on() -> None:
    assert split_begins(EVEN, MASTER, MASTER, Brief(metric=MetricName("purchase"))) == [
        "Visitors are shared so: master 50 %, test 50 %. Until now everyone sees master.",
        "Everybody is given a branch when they come next, also who was there before, and keeps it, by a cookie. master "
        "is the control, with which the others are compared.",
        "purchase decides, as it is declared now, and cannot be exchanged while the split runs.",
    ]


def test_without_a_metric_there_will_be_no_verdict() -> None:
    assert "No metric decides: every event is shown, and there will be no verdict." in split_begins(
        EVEN, MASTER, MASTER, Brief()
    )


def test_a_branch_that_visitors_see_and_that_takes_no_part_is_named() -> None:
    said = split_begins({TEST: 5000, BranchName("blue"): 5000}, TEST, MASTER, Brief())
    assert "master takes no part: who is given a branch sees it no more while the split runs." in said


def test_of_a_twin_it_is_said_what_it_is_and_that_nothing_should_be_found() -> None:
    said = split_begins({MASTER: 5000, TWIN: 5000}, MASTER, MASTER, Brief(aa=True, twin=TWIN))
    assert "aa is made of master as it is now, and goes when the split ends." in said
    assert any("nothing should be found" in each for each in said)
    own = split_begins(EVEN, MASTER, MASTER, Brief(aa=True))
    assert any("nothing should be found" in each for each in own)
    assert not any("is made of" in each for each in own)


def test_who_is_not_meant_and_who_is_left_alone_is_said() -> None:
    brief = Brief(
        audience=Audience(path="/checkout"), held_out=1000, decide_at=datetime(2026, 12, 24, 18, 0, tzinfo=UTC)
    )
    said = split_begins(EVEN, MASTER, MASTER, brief)
    assert "Only for some: paths that begin with /checkout. Nobody else is given a branch." in said
    assert "10 % of all visitors are left alone, and are in no figure." in said
    assert "Nothing of its result is shown before 2026-12-24 18:00 UTC; one look decides then." in said


def test_a_rollout_goes_by_its_steps_and_waits_for_somebody_in_the_end() -> None:
    assert rollout_begins(TEST, MASTER, Plan(steps=(1000, 5000, 10_000)), MASTER) == [
        "test gets 10 % of the visitors, master the others. Until now everyone sees master.",
        "Everybody is given a branch when they come next, also who was there before, and keeps it, by a cookie.",
        "Then it gets 50 %, 100 % of those who are new, step by step: a step needs its time and 200 visitors of test, "
        "and nothing that speaks against it.",
        HARM,
        "No metric decides: it goes on as long as nothing speaks against it.",
        "At its last step it waits until somebody gives everybody test.",
    ]


def test_a_rollout_of_one_step_takes_no_other() -> None:
    said = rollout_begins(TEST, MASTER, Plan(steps=(5000,)), MASTER)
    assert not any("step by step" in each for each in said)


def test_what_a_metric_has_to_show_before_everybody_gets_the_branch_is_said() -> None:
    better = rollout_begins(TEST, MASTER, Plan(metric="purchase"), MASTER)
    assert (
        "Everybody gets it once purchase is shown to be better in test than in the control, after 7 days at the "
        "earliest." in better
    )
    not_worse = rollout_begins(TEST, MASTER, Plan(metric="purchase", goal=Goal.NOT_WORSE, margin=0.025), MASTER)
    assert "Everybody gets it once purchase is shown not to be worse by 2.5 % or more than in the control." in not_worse


def test_a_rollout_that_promotes_by_itself_and_its_hours_are_said() -> None:
    said = rollout_begins(TEST, MASTER, Plan(auto_promote=True, hours="Mon-Fri 09:00-17:00"), MASTER)
    assert "It takes steps by itself Mon-Fri 09:00-17:00 alone; it is watched at all hours." in said
    assert said[-1] == ("In the end its release becomes that of master by itself, where git can do so without a merge.")
