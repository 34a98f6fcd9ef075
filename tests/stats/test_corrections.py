"""Benjamini and Hochberg's correction: the figures of their paper's example and of scipy, in the order given."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from balancer.stats.corrections import benjamini_hochberg

PS = st.lists(st.floats(0, 1), max_size=20)


def test_a_hand_computed_family_comes_out_in_its_order() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04 by 4/1, 4/2, 4/3, 4/4: 0.02, 0.02, 0.04, 0.04.
    assert benjamini_hochberg([0.03, 0.005, 0.04, 0.01]) == pytest.approx((0.04, 0.02, 0.04, 0.02))


def test_the_fifteen_p_of_the_paper_give_its_four_rejections_at_five_percent() -> None:
    paper = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459,
        0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0,
    ]  # fmt: skip
    assert sum(p <= 0.05 for p in benjamini_hochberg(paper)) == 4


@given(PS)
def test_scipy_has_the_same_figures(ps: list[float]) -> None:
    if ps:
        assert benjamini_hochberg(ps) == pytest.approx(tuple(scipy.stats.false_discovery_control(ps, method="bh")))


@given(PS)
def test_an_adjusted_p_is_not_below_its_p_nor_above_one_and_keeps_the_order(ps: list[float]) -> None:
    adjusted = benjamini_hochberg(ps)
    assert all(p <= each <= 1 for p, each in zip(ps, adjusted, strict=True))
    assert [adjusted[place] for place in np.argsort(ps, kind="stable")] == sorted(adjusted)


def test_one_metric_alone_keeps_its_p_and_none_have_none() -> None:
    assert benjamini_hochberg([0.03]) == (0.03,)
    assert benjamini_hochberg([]) == ()


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_what_is_no_probability_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        benjamini_hochberg([0.5, p])
