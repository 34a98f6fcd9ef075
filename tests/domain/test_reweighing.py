"""Reweighing: what is said of new weights is what they do."""

from dataclasses import replace

from balancer.domain.reweighing import consequences
from balancer.domain.split import SplitState
from values import MASTER, TEST, split

BOTH = "Who has master or test stays there: new weights move nobody who has a branch."


def test_new_weights_are_for_new_visitors_and_nobody_who_has_a_branch_moves() -> None:
    assert consequences(split({"master": 7500, "test": 2500}), {MASTER: 6000, TEST: 4000}) == [
        "Of new visitors master gets 60 %, until now 75 %.",
        "Of new visitors test gets 40 %, until now 25 %.",
        BOTH,
        "The split goes on in a new phase, number 2; its report pools the phases.",
    ]


def test_who_has_a_branch_that_gets_no_weight_moves() -> None:
    said = consequences(split({"master": 7500, "test": 2500}), {MASTER: 10_000, TEST: 0})
    assert "Who has test moves: it gets no weight, so they are assigned anew when they come again." in said
    assert "Who has master stays there: new weights move nobody who has a branch." in said


def test_nobody_has_a_branch_that_had_no_weight() -> None:
    said = consequences(split({"master": 10000, "test": 0}), {MASTER: 9000, TEST: 1000})
    assert "Who has master stays there: new weights move nobody who has a branch." in said


def test_the_same_weights_change_nothing() -> None:
    same = {MASTER: 7500, TEST: 2500}
    assert consequences(split({"master": 7500, "test": 2500}), same) == [
        "Nothing changes: these are the weights that the split has."
    ]


def test_while_the_split_is_paused_that_is_said() -> None:
    paused = replace(split({"master": 7500, "test": 2500}), state=SplitState.PAUSED)
    assert "The split is paused: nobody new is assigned until it goes on." in consequences(
        paused, {MASTER: 6000, TEST: 4000}
    )
