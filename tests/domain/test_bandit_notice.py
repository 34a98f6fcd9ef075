"""Notices of bandits: plain, and with the figures."""

from dataclasses import replace

from balancer.domain.bandit import TakenOut
from balancer.domain.bandit_decision import BanditAction, BanditWhat
from balancer.domain.bandit_notice import bandit_began, bandit_ended, bandit_took_out
from balancer.domain.notice import facts_of
from balancer.domain.rollout import RolloutState
from domain.test_bandit import BLUE, TEST, bandit
from values import release

FACTS = {"split": "s1", "control": "master", "branches": ["test", "blue"], "metric": "purchase"}


def test_that_one_began_says_between_whom_and_what_for() -> None:
    told = bandit_began(bandit(TEST, BLUE))
    assert (told.kind, told.text) == (
        "bandit.started",
        "shop: a bandit began: master, test, blue share the visitors by purchase",
    )
    assert told.facts == FACTS


def test_that_a_branch_is_out_says_why() -> None:
    action = BanditAction(
        what=BanditWhat.TAKE_OUT, rule="guardrail", reason="test: 9 of 10", out=(("test", "9 of 10"),)
    )
    bad = release(7, "test")
    told = bandit_took_out(replace(bandit(TEST, BLUE), out=(TakenOut(branch=TEST, reason="9 of 10"),)), action, (bad,))
    assert (told.kind, told.text) == (
        "bandit.took_out",
        f"shop: the bandit has taken out test: 9 of 10 (test: release 7, {bad.commit.short} by Ada)",
    )
    assert told.facts == {
        **FACTS,
        "out": ["test"],
        "releases": [facts_of(bad)],
        "rule": "guardrail",
        "reason": "test: 9 of 10",
    }


def test_that_it_is_over_says_how() -> None:
    told = bandit_ended(replace(bandit(TEST, BLUE), state=RolloutState.DONE, reason="test was promoted"))
    assert (told.kind, told.text) == ("bandit.ended", "shop: the bandit is done: test was promoted")
    assert told.facts == {**FACTS, "state": "done", "reason": "test was promoted"}
