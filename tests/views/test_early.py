"""What speaks against ending a split: that nothing is decided yet, or something else."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from balancer.domain.metric import MetricName
from balancer.domain.split import Brief
from balancer.stats.verdict import SplitVerdict, Verdict
from balancer.views.early import against_ending, against_winner
from values import MASTER, TEST, split

DECIDED = replace(split({"master": 5000, "test": 5000}), brief=Brief(metric=MetricName("purchase")))


def verdict(of: Verdict, variant: str | None = None) -> SplitVerdict:
    return SplitVerdict(verdict=of, variant=variant, reason="because", variants=())


def test_who_ends_a_split_with_a_verdict_is_not_warned() -> None:
    assert against_ending(DECIDED, verdict(Verdict.SHIP, "test"), hidden=False) == ()
    assert against_winner(DECIDED, verdict(Verdict.SHIP, "test"), TEST) == ()
    assert against_winner(DECIDED, verdict(Verdict.ROLL_BACK), MASTER) == ()


@pytest.mark.parametrize("of", [Verdict.KEEP_RUNNING, Verdict.NOT_ENOUGH_DATA])
def test_who_stops_before_there_is_a_verdict_is_told_what_peeking_does(of: Verdict) -> None:
    (said,) = against_ending(DECIDED, verdict(of), hidden=False)
    assert said.startswith("There is no verdict yet.")
    assert "stops when it looks good is wrong about one time in five" in said


def test_each_reason_why_there_is_no_verdict_is_its_own() -> None:
    dated = replace(DECIDED, brief=replace(DECIDED.brief, decide_at=datetime(2026, 12, 24, tzinfo=UTC)))
    plain = replace(DECIDED, brief=Brief())
    assert "never shown" in against_ending(dated, verdict(Verdict.NOT_ENOUGH_DATA), hidden=True)[0]
    assert "does not say just now" in against_ending(DECIDED, None, hidden=False)[0]
    assert "The sample ratio alarms" in against_ending(DECIDED, verdict(Verdict.BROKEN_SPLIT), hidden=False)[0]
    assert "No metric decides" in against_ending(plain, verdict(Verdict.NOT_ENOUGH_DATA), hidden=False)[0]


def test_who_ends_a_split_against_its_verdict_is_told() -> None:
    ship, back = verdict(Verdict.SHIP, "test"), verdict(Verdict.ROLL_BACK)
    assert against_winner(DECIDED, ship, MASTER) == (
        "The verdict is to ship test: because. Here everybody is to see master.",
    )
    assert against_winner(DECIDED, ship, None) == ("The verdict is to ship test: because. Here no branch is to win.",)
    assert against_winner(DECIDED, back, TEST) == (
        "The verdict is to roll back: because. Here everybody is to see test.",
    )
    assert against_winner(DECIDED, back, None) == ()
