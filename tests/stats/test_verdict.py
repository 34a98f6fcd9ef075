"""Verdicts: the first look that decides is the one, the sample ratio comes first, and no look more is one too many."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.stats.arm import Arm, Inconclusive, Reason
from balancer.stats.compare import Comparison, Stratum, alpha_each, compare
from balancer.stats.srm import PhaseCounts, SampleRatio, sample_ratio
from balancer.stats.verdict import (
    DEFAULT_RULE,
    Aim,
    Direction,
    Latched,
    Look,
    Rule,
    VariantVerdict,
    Verdict,
    latch,
    split_verdict,
    variant_verdict,
)

SOUND = sample_ratio([PhaseCounts(weights={"a": 1, "b": 1}, visitors={"a": 5000, "b": 5000})])
ALARMING = sample_ratio([PhaseCounts(weights={"a": 1, "b": 1}, visitors={"a": 6000, "b": 4000})])
EQUAL, LOWER_BETTER = Rule(aim=Aim.NOT_WORSE), Rule(direction=Direction.LOWER)


def look(at: int, control: int, treatment: int, visitors: int = 10_000) -> Look:
    """Return the look at `at` at so many converted of so many visitors an arm."""
    stratum = Stratum(phase=1, control=Arm.of_rate(control, visitors), treatment=Arm.of_rate(treatment, visitors))
    return Look(at=at, visitors=2 * visitors, comparison=compare([stratum], alpha=0.05, expected_visitors=5000))


def of(verdict: VariantVerdict | Latched) -> tuple[int | None, bool]:
    """Return when the look that is shown was, and whether it is final."""
    shown = verdict.shown if isinstance(verdict, VariantVerdict) else verdict
    return (shown.look.at if shown.look else None), shown.final


NOTHING, OPEN, BETTER, WORSE = look(1, 2, 2, 90), look(2, 500, 530), look(3, 500, 700), look(4, 700, 500)


def verdict_on(*looks: Look, rule: Rule = DEFAULT_RULE, ratio: SampleRatio = SOUND) -> tuple[Verdict, str | None]:
    """Return the verdict on a split with one variant, and the variant to ship."""
    found = split_verdict({"new": looks}, ratio, rule)
    return found.verdict, found.variant


def test_the_first_look_whose_interval_excludes_zero_is_shown_ever_after() -> None:
    back = look(5, 600, 600)
    assert of(latch([NOTHING, OPEN, BETTER, back])) == (3, True)
    assert latch([NOTHING, OPEN, BETTER, back, WORSE]) == latch([NOTHING, OPEN, BETTER])
    assert of(latch([NOTHING, OPEN, back])) == (5, False)
    assert latch([]) == Latched(look=None, p=None, final=False)


def test_p_is_the_least_there_was_until_the_look_that_is_shown() -> None:
    near, far = look(1, 500, 585), look(2, 500, 520)
    assert isinstance(near.comparison, Comparison)
    assert isinstance(far.comparison, Comparison)
    assert near.comparison.p < far.comparison.p
    assert latch([near, far]).p == near.comparison.p
    assert latch([NOTHING]).p is None
    assert latch([NOTHING, near]).p == near.comparison.p


@given(st.permutations([NOTHING, OPEN, BETTER, WORSE, look(5, 600, 600)]))
def test_the_order_in_which_looks_are_read_does_not_matter(looks: list[Look]) -> None:
    assert of(latch(looks)) == (3, True)
    assert verdict_on(*looks) == (Verdict.SHIP, "new")


@given(st.lists(st.tuples(st.integers(400, 700), st.integers(400, 700)), min_size=1, max_size=12))
def test_once_given_a_verdict_on_a_variant_never_changes(counts: list[tuple[int, int]]) -> None:
    looks = [look(at, *count) for at, count in enumerate(counts)]
    for rule in (Rule(), EQUAL, LOWER_BETTER):
        found = [variant_verdict("new", looks[:end], rule) for end in range(1, len(looks) + 1)]
        for before, after in pairwise(found):
            assert not before.shown.final or after == before
            assert before.shown.p is None or (after.shown.p is not None and after.shown.p <= before.shown.p)


@pytest.mark.parametrize(
    ("looks", "verdict"),
    [
        ((), Verdict.NOT_ENOUGH_DATA),
        ((NOTHING,), Verdict.NOT_ENOUGH_DATA),
        ((NOTHING, OPEN), Verdict.KEEP_RUNNING),
        ((NOTHING, OPEN, BETTER), Verdict.SHIP),
        ((NOTHING, OPEN, WORSE), Verdict.ROLL_BACK),
        ((BETTER, WORSE), Verdict.SHIP),
    ],
)
def test_looks_become_the_verdict_of_the_first_that_decides(looks: tuple[Look, ...], verdict: Verdict) -> None:
    assert verdict_on(*looks) == (verdict, "new" if verdict is Verdict.SHIP else None)


def test_where_lower_is_better_the_same_looks_say_the_opposite() -> None:
    assert verdict_on(BETTER, rule=LOWER_BETTER) == (Verdict.ROLL_BACK, None)
    assert verdict_on(WORSE, rule=LOWER_BETTER) == (Verdict.SHIP, "new")
    assert verdict_on(OPEN, rule=LOWER_BETTER) == (Verdict.KEEP_RUNNING, None)


def test_a_sample_ratio_that_alarms_comes_before_everything() -> None:
    found = split_verdict({"new": [BETTER], "other": []}, ALARMING)
    assert (found.verdict, found.variant) == (Verdict.BROKEN_SPLIT, None)
    assert {each.verdict for each in found.variants} == {Verdict.BROKEN_SPLIT}
    assert "weights intend" in found.reason


def test_not_worse_is_shown_where_the_interval_stays_above_the_margin() -> None:
    # A rate of 50 % and a margin of 2 % of it: the lower bound has to be above −0.01.
    same_of_few, same_of_many = look(1, 5000, 5000, 10_000), look(2, 100_000, 100_000, 200_000)
    assert isinstance(same_of_few.comparison, Comparison)
    assert isinstance(same_of_many.comparison, Comparison)
    assert same_of_few.comparison.low < -0.01 < same_of_many.comparison.low < 0
    assert verdict_on(same_of_few, rule=EQUAL) == (Verdict.KEEP_RUNNING, None)
    assert verdict_on(same_of_few, same_of_many, rule=EQUAL) == (Verdict.SHIP, "new")
    assert verdict_on(same_of_few, same_of_many) == (Verdict.KEEP_RUNNING, None)
    assert verdict_on(same_of_many, rule=Rule(aim=Aim.NOT_WORSE, margin=0.005)) == (Verdict.KEEP_RUNNING, None)
    assert verdict_on(WORSE, rule=EQUAL) == (Verdict.ROLL_BACK, None)
    assert verdict_on(BETTER, rule=EQUAL) == (Verdict.SHIP, "new")


def test_not_worse_where_lower_is_better_looks_at_the_other_end() -> None:
    slightly_less = look(1, 100_000, 99_000, 200_000)
    rule = Rule(aim=Aim.NOT_WORSE, direction=Direction.LOWER)
    assert verdict_on(slightly_less, rule=EQUAL) == (Verdict.KEEP_RUNNING, None)
    assert verdict_on(slightly_less, rule=rule) == (Verdict.SHIP, "new")


def test_of_several_variants_the_one_that_was_fit_first_is_shipped_and_at_one_look_the_one_that_gains_most() -> None:
    early, late, larger = look(3, 500, 660), look(4, 500, 800), look(3, 500, 680)
    assert split_verdict({"a": [late], "b": [early]}, SOUND).variant == "b"
    assert split_verdict({"a": [early], "b": [larger]}, SOUND).variant == "b"
    assert split_verdict({"a": [larger], "b": [early]}, SOUND).variant == "a"


def test_the_control_stays_where_every_variant_is_worse_and_else_the_split_runs_on() -> None:
    assert split_verdict({"a": [WORSE], "b": [WORSE]}, SOUND).verdict is Verdict.ROLL_BACK
    assert split_verdict({"a": [WORSE], "b": [OPEN]}, SOUND).verdict is Verdict.KEEP_RUNNING
    assert split_verdict({"a": [WORSE], "b": [NOTHING]}, SOUND).verdict is Verdict.KEEP_RUNNING
    assert split_verdict({"a": [NOTHING], "b": [OPEN]}, SOUND).verdict is Verdict.KEEP_RUNNING
    assert split_verdict({"a": [NOTHING], "b": []}, SOUND).verdict is Verdict.NOT_ENOUGH_DATA
    assert split_verdict({}, SOUND).verdict is Verdict.NOT_ENOUGH_DATA


def test_the_reason_says_what_was_shown_or_is_lacking() -> None:
    assert split_verdict({"new": [BETTER]}, SOUND).reason == "new is better than the control"
    not_worse = split_verdict({"new": [BETTER]}, SOUND, EQUAL).reason
    assert not_worse == "new is not worse than the control by 2 %"
    assert split_verdict({"new": [NOTHING]}, SOUND).reason == Reason.FEW_VISITORS.value
    assert split_verdict({"new": []}, SOUND).reason == "there was no look yet"
    assert split_verdict({"new": [OPEN]}, SOUND).reason == "no variant is shown to be better than the control yet"
    assert split_verdict({"new": [WORSE]}, SOUND).reason == "every variant is worse than the control"


def test_a_look_that_is_inconclusive_has_no_evidence() -> None:
    assert NOTHING.comparison == Inconclusive(reason=Reason.FEW_VISITORS)
    assert (NOTHING.log_e, NOTHING.excludes_zero) == (None, False)
    assert BETTER.log_e is not None
    assert BETTER.excludes_zero


@pytest.mark.parametrize("margin", [0.0, 1.0, -0.02])
def test_a_margin_that_is_no_part_of_the_control_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="margin"):
        Rule(margin=margin)


def test_of_splits_with_three_like_variants_looked_at_daily_five_percent_get_a_verdict_at_most() -> None:
    runs, days, a_day = 300, 28, 200
    rng = np.random.default_rng(19)
    counts = rng.binomial(a_day, 0.1, (runs, days, 4)).cumsum(axis=1).tolist()
    decided = 0
    for run in counts:
        looks: dict[str, list[Look]] = {"a": [], "b": [], "c": []}
        for day, (control, *others) in enumerate(run, start=1):
            for each, converted in zip(looks.values(), others, strict=True):
                n = a_day * day
                stratum = Stratum(phase=1, control=Arm.of_rate(control, n), treatment=Arm.of_rate(converted, n))
                found = compare([stratum], alpha=alpha_each(0.05, 4), expected_visitors=5000)
                each.append(Look(at=day, visitors=2 * n, comparison=found))
        decided += any(each.shown.final for each in split_verdict(looks, SOUND).variants)
    print(f"A/A with three variants, looked at on 28 days: {decided / runs:.1%} with a verdict on one")
    assert decided / runs <= 0.05
