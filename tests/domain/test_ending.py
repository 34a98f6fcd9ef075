"""Ending: what is said of the end of a split is what it does."""

from dataclasses import replace

from balancer.domain.app import BranchName
from balancer.domain.ending import split_ends
from balancer.domain.split import TWIN, Brief
from values import MASTER, TEST, app, split

BOTH = split({"master": 5000, "test": 5000})
KEPT = [
    "Nobody is counted any more. The report stays as it is at that moment, to be read for good.",
    "Cookies stay: a visitor keeps their number, and the next split gives everybody a branch anew.",
]


def test_everyone_sees_the_winner_and_its_release_becomes_the_default_branchs() -> None:
    assert split_ends(BOTH, app(), TEST) == [
        "Everyone sees test. Who has master moves there with their next request.",
        "The release of test becomes that of master, where git can do so without a merge; until then visitors see test "
        "in its place.",
        "`Go back` leads back to the release before.",
        *KEPT,
    ]


def test_the_default_branch_wins_without_a_promotion_and_the_others_stay_live() -> None:
    assert split_ends(BOTH, app(), MASTER) == [
        "Everyone sees master. Who has test moves there with their next request.",
        *KEPT,
        "test stays live at its own address.",
    ]


def test_without_a_winner_everyone_sees_what_is_seen_outside_a_split() -> None:
    three = split({"master": 5000, "test": 3000, "blue": 2000})
    assert split_ends(three, app(), None) == [
        "No branch wins: everyone sees master, as outside a split. Who has test or blue moves there with their next "
        "request.",
        *KEPT,
        "test and blue stay live at their own addresses.",
    ]


def test_what_a_winner_before_has_made_visitors_see_is_what_they_see_again() -> None:
    promoted = replace(app(), promoted=BranchName("blue"))
    assert split_ends(BOTH, promoted, None)[0] == (
        "No branch wins: everyone sees blue, as outside a split. Who has master or test moves there with their next "
        "request."
    )


def test_what_was_made_for_the_split_goes_with_it() -> None:
    twins = replace(split({"master": 5000, "aa": 5000}), brief=Brief(aa=True, twin=TWIN))
    assert split_ends(twins, app(), None)[-1] == "aa was made for the split, and goes with it."
