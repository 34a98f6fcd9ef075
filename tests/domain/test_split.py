"""Which branch a visitor sees: the same everywhere, independent between splits, and moved as little as can be."""

import random
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, chisquare

from balancer.domain.app import AppName, BranchName
from balancer.domain.event import VisitorId
from balancer.domain.split import (
    BUCKETS,
    WHOLE,
    Phase,
    Range,
    Split,
    SplitId,
    SplitState,
    assign,
    bucket,
    check_weights,
    hand_over,
    parse_weights,
    percent,
    reallocate,
)
from balancer.errors import InvalidName, InvalidWeights

BRANCHES = [BranchName(name) for name in ("master", "test", "feat/x", "blue", "green", "red")]
START = datetime(2026, 3, 1, tzinfo=UTC)
Weights = Mapping[BranchName, int]


def split_of(*phases: Weights, number: int = 1) -> Split:
    """Return a split that went through these weights."""
    return Split(
        id=SplitId(f"s{number}"),
        app=AppName("shop"),
        control=next(iter(phases[-1])),
        phases=tuple(Phase(number=n, weights=weights, started_at=START) for n, weights in enumerate(phases, 1)),
        state=SplitState.RUNNING,
        ended_at=None,
        expected_visitors=5000,
    )


def visitors(count: int) -> list[VisitorId]:
    """Return visitors as HAProxy makes them, the same in every run."""
    source = random.Random(20260301)
    return [VisitorId(str(uuid.UUID(int=source.getrandbits(128), version=4))) for _ in range(count)]


def owners(ranges: Iterable[Range]) -> NDArray[np.int64]:
    """Return the number of the branch that each bucket belongs to, -1 where it belongs to none or to two."""
    found = np.full(BUCKETS, -1)
    for piece in ranges:
        part = found[piece.start : piece.stop]
        part[:] = np.where(part == -1, BRANCHES.index(piece.variant), -1)
    return found


@st.composite
def weights_of_branches(draw: st.DrawFn) -> dict[BranchName, int]:
    """Weights of 2 to 6 branches in any order, zeros and tiny ones among them."""
    names = draw(st.permutations(BRANCHES))[: draw(st.integers(2, len(BRANCHES)))]
    cuts = sorted(draw(st.lists(st.integers(0, WHOLE), min_size=len(names) - 1, max_size=len(names) - 1)))
    edges = [0, *cuts, WHOLE]
    return {name: high - low for name, (low, high) in zip(names, pairwise(edges), strict=True)}


HISTORIES = st.lists(weights_of_branches(), min_size=1, max_size=5)
EVEN = {BRANCHES[0]: 5000, BRANCHES[1]: 5000}


def test_one_split_and_one_visitor_give_the_bucket_that_every_machine_gives() -> None:
    # The same figures come from HAProxy's `xxh32,and(65535)`; tests/contract compares 10,000 of them.
    visitor = VisitorId("4b6d2e1c-7a0f-4d7e-9c55-0123456789ab")
    assert [bucket(SplitId(name), visitor) for name in ("s1", "s2", "s65535")] == [58305, 34077, 30438]


def test_one_split_and_one_visitor_always_give_one_branch() -> None:
    split = split_of(EVEN)
    restored = split_of(dict(EVEN))
    assert all(assign(split, visitor) == assign(restored, visitor) for visitor in visitors(200))


@given(HISTORIES)
@settings(max_examples=30)
def test_every_bucket_belongs_to_one_variant_of_the_present_phase(history: list[Weights]) -> None:
    found = owners(split_of(*history).allocation)
    assert {BRANCHES[number] for number in np.unique(found)} <= {b for b, weight in history[-1].items() if weight}


@given(HISTORIES)
@settings(max_examples=30)
@example([{BRANCHES[0]: WHOLE - 1, BRANCHES[1]: 1}])
def test_shares_are_exact_to_one_bucket_whatever_came_before(history: list[Weights]) -> None:
    found = Counter(owners(split_of(*history).allocation).tolist())
    for branch, weight in history[-1].items():
        got = found[BRANCHES.index(branch)]
        assert abs(got - weight * BUCKETS / WHOLE) <= 1, f"{branch} got {got} for {weight}"


@given(weights_of_branches(), HISTORIES)
@settings(max_examples=30)
def test_a_branch_of_weight_0_receives_nobody(last: Weights, history: list[Weights]) -> None:
    nobody = [branch for branch, weight in last.items() if not weight]
    assert not [piece for piece in split_of(*history, last).allocation if piece.variant in nobody]


@given(weights_of_branches(), HISTORIES)
@settings(max_examples=30)
def test_new_weights_move_the_fewest_buckets(after: Weights, history: list[Weights]) -> None:
    was = split_of(*history).allocation
    old, new = owners(was), owners(reallocate(was, after))
    had, has = Counter(old.tolist()), Counter(new.tolist())
    # Whoever has more than before must get that many from others; nothing else has to move.
    fewest = sum(max(0, count - had[branch]) for branch, count in has.items())
    assert int((old != new).sum()) == fewest


@given(weights_of_branches(), HISTORIES)
@settings(max_examples=30)
def test_a_variant_that_grows_keeps_the_buckets_it_has(after: Weights, history: list[Weights]) -> None:
    before = history[-1]
    was = split_of(*history).allocation
    old, new = owners(was), owners(reallocate(was, after))
    for number, branch in enumerate(BRANCHES):
        if after.get(branch, 0) > before.get(branch, 0):
            assert (new[old == number] == number).all()


@given(HISTORIES)
@settings(max_examples=30)
def test_the_same_weights_again_move_nobody(history: list[Weights]) -> None:
    was = split_of(*history).allocation
    assert reallocate(was, history[-1]) == was


@pytest.mark.parametrize("shares", [(5000, 5000), (9000, 1000), (9999, 1), (2500, 2500, 2500, 2500), (0, 10_000)])
def test_visitors_are_shared_as_the_weights_say(shares: tuple[int, ...]) -> None:
    weights = dict(zip(BRANCHES, shares, strict=False))
    split = split_of(weights)
    people = visitors(20_000)
    allocation = owners(split.allocation)
    counts = Counter(BRANCHES[allocation[bucket(split.id, visitor)]] for visitor in people)
    assert counts.total() == len(people)
    if 0 in shares:
        assert counts[BRANCHES[0]] == 0
        return
    expected = [len(people) * share / WHOLE for share in shares]
    assert chisquare([counts[branch] for branch in weights], expected).pvalue > 0.001


def test_assign_looks_the_bucket_up_in_the_allocation() -> None:
    split = split_of({BRANCHES[0]: 5000, BRANCHES[1]: 5000}, {BRANCHES[0]: 2000, BRANCHES[1]: 7000, BRANCHES[2]: 1000})
    found = owners(split.allocation)
    for visitor in visitors(300):
        assert assign(split, visitor) == BRANCHES[found[bucket(split.id, visitor)]]


def test_two_splits_assign_independently_of_each_other() -> None:
    people = visitors(20_000)
    for first, second in ((1, 2), (1, 11), (7, 65_535)):
        one, two = SplitId(f"s{first}"), SplitId(f"s{second}")
        table = np.zeros((4, 4))
        for visitor in people:
            table[bucket(one, visitor) * 4 // BUCKETS, bucket(two, visitor) * 4 // BUCKETS] += 1
        assert chi2_contingency(table).pvalue > 0.001, f"{one} and {two}"


@pytest.mark.parametrize("text", ["s1", "s17", "s65535"])
def test_an_id_of_a_split_has_a_number(text: str) -> None:
    assert SplitId(text).number == int(text[1:])


@pytest.mark.parametrize("text", ["", "s", "s0", "s01", "1", "S1", "s65536", "s-1", "s1 ", "s1\n", "s1.test", "s²"])
def test_what_is_no_id_of_a_split_is_refused(text: str) -> None:
    with pytest.raises(InvalidName, match="is no id of a split"):
        SplitId(text)


@pytest.mark.parametrize(
    ("weights", "why"),
    [
        ({}, "at least two branches"),
        ({BRANCHES[0]: WHOLE}, "at least two branches"),
        ({BRANCHES[0]: 5000, BRANCHES[1]: 4999}, "add up to 99.99 %, not to 100 %"),
        ({BRANCHES[0]: 5000, BRANCHES[1]: 5001}, "add up to 100.01 %"),
        ({BRANCHES[0]: -1, BRANCHES[1]: 10_001}, "the weight of master is -0.01 %"),
    ],
)
def test_weights_that_do_not_fit_are_no_weights_and_no_phase(weights: Weights, why: str) -> None:
    with pytest.raises(InvalidWeights, match=why):
        check_weights(weights)
    with pytest.raises(InvalidWeights, match=why):
        Phase(number=1, weights=weights, started_at=START)


def test_a_split_without_phases_or_with_a_gap_in_them_cannot_be_made() -> None:
    second = Phase(number=2, weights=EVEN, started_at=START)
    for phases in ((), (second,)):
        with pytest.raises(InvalidWeights, match="must count 1, 2, 3"):
            Split(
                id=SplitId("s1"),
                app=AppName("shop"),
                control=BRANCHES[0],
                phases=phases,
                state=SplitState.RUNNING,
                ended_at=None,
                expected_visitors=5000,
            )


def test_a_split_whose_control_takes_no_part_cannot_be_made() -> None:
    split = split_of(EVEN)
    with pytest.raises(InvalidWeights, match="the control blue must be one of"):
        Split(
            id=split.id,
            app=split.app,
            control=BranchName("blue"),
            phases=split.phases,
            state=split.state,
            ended_at=None,
            expected_visitors=5000,
        )


def test_a_split_shows_its_present_phase() -> None:
    split = split_of(EVEN, {BRANCHES[1]: 9000, BRANCHES[0]: 1000})
    assert split.phase.number == 2
    assert split.variants == (BRANCHES[1], BRANCHES[0])
    assert split.started_at == START


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
        (["master=half", "test=50"], "the weight 'half' of master is no number"),
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
