"""Weights: what people write, and what adds up."""

from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import given

from balancer.domain.allocation import reallocate
from balancer.domain.app import BranchName
from balancer.domain.weights import hand_over, parse_percent, parse_weights, percent, share_rest, shares
from balancer.errors import InvalidName, InvalidWeights
from splits import weights_of_branches

Weights = Mapping[BranchName, int]


@pytest.mark.parametrize(
    ("texts", "weights"),
    [
        (["master=50", "test=50"], {"master": 5000, "test": 5000}),
        (["master=99.99", "test=0.01"], {"master": 9999, "test": 1}),
        (["test=50%", "master= 50 "], {"test": 5000, "master": 5000}),
        (["master=100", "a=b=0"], {"master": 10_000, "a=b": 0}),
    ],
)
def test_words_give_weights_in_the_order_in_which_they_were_named(texts: list[str], weights: dict[str, int]) -> None:
    found = parse_weights(texts)
    assert found == weights
    assert list(found) == list(weights)


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        ([], "at least two branches"),
        (["master=100"], "at least two branches"),
        (["master", "test=50"], "'master' is no weight: write BRANCH=PERCENT"),
        (["master=50", "master=50"], "master is named twice"),
        (["master=half", "test=50"], "the weight of master, .half., is no number"),
        (["master=nan", "test=50"], "is no number"),
        (["master=snan", "test=50"], "is no number"),
        (["master=inf", "test=50"], "is no number"),
        (["master=1e999999", "test=50"], "is no number"),
        (["master=", "test=50"], "is no number"),
        (["master=33.333", "test=66.667"], "too fine: weights go in steps of 0.01 %"),
        (["master=-10", "test=110"], "the weight of master is -10"),
        (["master=110", "test=-10"], "the weight of master is 110"),
        (["master=50", "test=49"], "add up to 99 %"),
    ],
)
def test_words_that_are_no_weights_are_refused_with_the_reason(texts: list[str], why: str) -> None:
    with pytest.raises(InvalidWeights, match=why):
        parse_weights(texts)


def test_a_weight_of_what_is_no_branch_is_refused() -> None:
    with pytest.raises(InvalidName):
        parse_weights(["../x=50", "test=50"])


@given(weights_of_branches())
def test_weights_survive_the_way_through_percentages(weights: Weights) -> None:
    assert parse_weights(f"{branch}={Decimal(weight) / 100}" for branch, weight in weights.items()) == weights


@pytest.mark.parametrize(
    ("weight", "text"), [(0, "0 %"), (1, "0.01 %"), (50, "0.5 %"), (4995, "49.95 %"), (5000, "50 %"), (10_000, "100 %")]
)
def test_a_weight_is_shown_without_needless_digits(weight: int, text: str) -> None:
    assert percent(weight) == text


def test_the_share_of_a_branch_that_goes_is_handed_over_and_nobody_else_moves() -> None:
    master, test, blue = BranchName("master"), BranchName("test"), BranchName("blue")
    before = {master: 3333, test: 3333, blue: 3334}
    after = hand_over(before, test, master)
    assert after == {master: 6666, blue: 3334}
    pieces = reallocate((), before)
    moved = reallocate(pieces, after)
    kept = sum(p.stop - p.start for p in moved if p.variant == blue)
    assert abs(kept - sum(p.stop - p.start for p in pieces if p.variant == blue)) <= 1
    assert hand_over({master: 5000, test: 5000}, test, master) is None


def test_a_part_of_the_visitors_is_read_as_weights_are() -> None:
    assert [parse_percent(text, "part") for text in ("0", "10", "2.5 %", "0.01")] == [0, 1000, 250, 1]
    with pytest.raises(InvalidWeights, match="the part that is held out, 'some', is no number"):
        parse_percent("some", "part that is held out")


def test_weights_are_shown_in_their_order() -> None:
    assert shares({BranchName("test"): 1, BranchName("master"): 9999}) == "test 0.01 %, master 99.99 %"


def test_branches_whose_weight_nobody_says_share_evenly_what_the_others_leave() -> None:
    master, test, blue = BranchName("master"), BranchName("test"), BranchName("blue")
    assert share_rest({master: None, test: None}) == {master: 5000, test: 5000}
    assert share_rest({master: None, test: None, blue: None}) == {master: 3334, test: 3333, blue: 3333}
    assert share_rest({master: None, test: 1000, blue: None}) == {master: 4500, test: 1000, blue: 4500}
    assert share_rest({master: 9000, test: 1000}) == {master: 9000, test: 1000}


def test_where_the_others_leave_nothing_a_weight_is_asked_for() -> None:
    with pytest.raises(InvalidWeights, match="leave nothing to test: say a weight"):
        share_rest({BranchName("master"): 10_000, BranchName("test"): None})
