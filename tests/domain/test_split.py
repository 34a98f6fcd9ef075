"""Which branch a visitor sees: the same everywhere, independent between splits, and moved as little as can be."""

import random
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, chisquare

from balancer.domain.allocation import BUCKETS, Range, reallocate
from balancer.domain.app import AppName, BranchName
from balancer.domain.event import VisitorId
from balancer.domain.metric import Kind, Metric, MetricName
from balancer.domain.split import TWIN, Brief, Phase, Split, SplitId, SplitState, assign, bucket, control_of
from balancer.domain.weights import WHOLE, check_weights
from balancer.errors import InvalidMetric, InvalidName, InvalidSplit, InvalidWeights
from splits import BRANCHES, weights_of_branches

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


def test_a_split_is_over_or_not_and_has_a_winner_only_where_it_was_concluded() -> None:
    running = split_of(EVEN)
    for state, ended_at, winner in (
        (SplitState.RUNNING, START, None),
        (SplitState.PAUSED, START, None),
        (SplitState.CANCELLED, None, None),
        (SplitState.CANCELLED, START, BRANCHES[0]),
        (SplitState.CONCLUDED, START, None),
        (SplitState.RUNNING, None, BRANCHES[0]),
    ):
        with pytest.raises(InvalidSplit, match=f"s1 is {state.value}"):
            replace(running, state=state, ended_at=ended_at, winner=winner)
    assert replace(running, state=SplitState.CONCLUDED, ended_at=START, winner=BRANCHES[1]).winner == BRANCHES[1]


@pytest.mark.parametrize(
    "said", [{"name": ""}, {"name": "x" * 81}, {"hypothesis": "two\nlines"}, {"held_out": 9001}, {"held_out": -1}]
)
def test_a_brief_that_does_not_fit_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(InvalidSplit):
        Brief(**said)


REVENUE = Metric(name=MetricName("revenue"), kind=Kind.SUM, events=("purchase",))
SLOW = Metric(name=MetricName("slow"), kind=Kind.QUANTILE, events=("load",), quantile=0.95)


def test_what_decides_is_a_metric_that_is_declared_or_who_did_an_event() -> None:
    assert Brief().primary is None
    assert Brief(metrics=(REVENUE,), metric=MetricName("revenue")).primary == REVENUE
    implied = Brief(metrics=(REVENUE,), metric=MetricName("signup")).primary
    assert implied is not None
    assert (implied.kind, implied.events, implied.name) == (Kind.CONVERTED, ("signup",), "signup")


def test_a_quantile_decides_no_split() -> None:
    with pytest.raises(InvalidSplit, match="the metric slow is a quantile, which is for display"):
        Brief(metrics=(REVENUE, SLOW), metric=MetricName("slow"))


def test_what_is_neither_declared_nor_can_be_an_event_decides_nothing() -> None:
    with pytest.raises(InvalidName, match="is no name for an event"):
        Brief(metrics=(REVENUE,), metric=MetricName("$error"))


def test_the_control_is_what_visitors_see_where_that_takes_part() -> None:
    weights = {BranchName("test"): 5000, BranchName("master"): 5000}
    assert control_of(weights, None, BranchName("master")) == "master"
    assert control_of(weights, None, BranchName("blue")) == "test"
    assert control_of(weights, BranchName("test"), BranchName("master")) == "test"
    with pytest.raises(InvalidWeights, match="the control blue must be one of the branches"):
        control_of(weights, BranchName("blue"), BranchName("master"))


def test_a_brief_has_no_two_metrics_of_one_name() -> None:
    with pytest.raises(InvalidMetric, match="revenue is declared twice"):
        Brief(metrics=(REVENUE, REVENUE))


def test_a_twin_is_of_an_aa_split() -> None:
    assert Brief(aa=True, twin=TWIN).twin == "aa"
    with pytest.raises(InvalidSplit, match="aa can only be made for an A/A split"):
        Brief(twin=TWIN)


def test_the_date_of_a_decision_has_a_time_zone() -> None:
    with pytest.raises(InvalidSplit, match="in which time zone"):
        Brief(decide_at=START.replace(tzinfo=None))


def test_who_is_held_out_is_assigned_to_nobody_and_the_others_are_shared_as_before() -> None:
    held = replace(split_of(EVEN), brief=Brief(held_out=1000))
    found = Counter(assign(held, visitor) for visitor in visitors(20_000))
    assert chisquare([found[None], found[BRANCHES[0]], found[BRANCHES[1]]], [2000, 9000, 9000]).pvalue > 0.001


@given(HISTORIES, st.integers(0, 9000))
@settings(max_examples=30)
def test_a_hold_out_takes_the_same_buckets_whatever_the_weights(history: list[Weights], held_out: int) -> None:
    split = replace(split_of(*history), brief=Brief(held_out=held_out))
    found = owners(split.allocation)
    assert (found[: split.room] >= 0).all()
    assert (found[split.room :] == -1).all()
    assert abs((BUCKETS - split.room) - BUCKETS * held_out / WHOLE) <= 1
