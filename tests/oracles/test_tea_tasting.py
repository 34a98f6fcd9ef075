"""The figures of one look beside those of tea-tasting, on the same raw data. Run by `make test-oracles`.

Where the two differ on purpose the test says so:
    * It divides a rate's variance by n, ours by n − 1; with the n of these tests that is 10⁻⁴ of it.
    * It takes θ of CUPED about the mean of both arms together, ours about each arm's own: a true difference between
      the arms makes its θ a little too small or too large, though both estimates are right.
    * Its means use Student's distribution unless told otherwise; ours the normal one, because an arm has 100 visitors.
    * Its power counts what would be shown in the wrong direction, too: 10⁻⁶ of the effect at a power of 0.8.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow
import pytest
import tea_tasting

from balancer.stats.arm import Arm, cuped_theta
from balancer.stats.comoments import CoMoments
from balancer.stats.compare import Comparison, Stratum
from balancer.stats.corrections import benjamini_hochberg
from balancer.stats.fixed import compare_once
from balancer.stats.lift import lift
from balancer.stats.moments import Moments
from balancer.stats.power import Baseline, Plan
from balancer.stats.sequential import ConfidenceSequence

Column = npt.NDArray[np.float64]
EXACT = 1e-9


def table(**columns: tuple[Column, Column]) -> pyarrow.Table:
    """Return control and treatment of each column under each other, with the column `variant` of 0 and 1."""
    lengths = [len(arm) for arm in next(iter(columns.values()))]
    return pyarrow.table(
        {"variant": np.repeat([0, 1], lengths)} | {name: np.concatenate(arms) for name, arms in columns.items()}
    )


def told(metric: Any, data: pyarrow.Table) -> Any:
    """Return what tea-tasting says of a metric."""
    return metric.analyze(data, control=0, treatment=1, variant="variant")


def once(control: Arm, treatment: Arm) -> Comparison:
    """Return our comparison at one look, which must not be inconclusive."""
    found = compare_once([Stratum(phase=1, control=control, treatment=treatment)], alpha=0.05)
    assert isinstance(found, Comparison)
    return found


def agree(ours: Comparison, theirs: Any, rel: float = EXACT) -> None:
    """Assert that difference, interval and p are the same."""
    assert ours.difference == pytest.approx(theirs.effect_size, rel=rel)
    width = ours.high - ours.low
    assert ours.low == pytest.approx(theirs.effect_size_ci_lower, abs=rel * width)
    assert ours.high == pytest.approx(theirs.effect_size_ci_upper, abs=rel * width)
    assert ours.p == pytest.approx(theirs.pvalue, rel=50 * rel)


def revenue(seed: int, gain: float = 1.0) -> tuple[tuple[Column, Column], tuple[Column, Column]]:
    """Return orders and what they brought, of 4,000 and 3,000 visitors."""
    rng = np.random.default_rng(seed)
    orders = rng.poisson(0.6, 4000).astype(float), rng.poisson(0.62, 3000).astype(float)
    money = tuple(
        count * rng.lognormal(3.0, 0.5, len(count)) * factor for count, factor in zip(orders, (1.0, gain), strict=True)
    )
    return orders, (money[0], money[1])


def values(column: Column) -> Arm:
    """Return the arm of one column."""
    return Arm.of_values(Moments.of(column.tolist()), int(np.count_nonzero(column)))


def both(y: Column, x: Column) -> CoMoments:
    """Return the co-moments of two columns."""
    return CoMoments.of(y.tolist(), x.tolist())


def test_means_are_those_of_welch() -> None:
    _, money = revenue(1)
    ours, data = once(values(money[0]), values(money[1])), table(money=money)
    agree(ours, told(tea_tasting.Mean("money", equal_var=False, use_t=False), data))
    agree(ours, told(tea_tasting.Mean("money", equal_var=False, use_t=True), data), rel=1e-3)


def test_rates_are_those_of_the_unpooled_z_test_but_for_its_denominator() -> None:
    rng = np.random.default_rng(2)
    converted = rng.binomial(1, 0.05, 9000).astype(float), rng.binomial(1, 0.06, 11_000).astype(float)
    ours = once(*(Arm.of_rate(int(each.sum()), len(each)) for each in converted))
    data = table(converted=converted)
    metric = tea_tasting.Proportion("converted", method="norm", equal_var=False, correction=False)
    agree(ours, told(metric, data), rel=1e-4)
    agree(ours, told(tea_tasting.Mean("converted", equal_var=False, use_t=False), data))


def test_ratios_have_the_variance_of_the_delta_method() -> None:
    orders, money = revenue(3, gain=1.05)
    arms = [Arm.of_ratio(both(y, x), int(np.count_nonzero(x))) for y, x in zip(money, orders, strict=True)]
    metric = tea_tasting.RatioOfMeans("money", "orders", equal_var=False, use_t=False)
    agree(once(arms[0], arms[1]), told(metric, table(money=money, orders=orders)))


def test_what_was_known_before_is_taken_off_in_the_same_way_but_for_theta() -> None:
    rng = np.random.default_rng(4)
    before = rng.gamma(2.0, 10.0, 5000), rng.gamma(2.0, 10.0, 4000)
    after = before[0] * 0.8 + rng.normal(5, 8, 5000), before[1] * 0.8 + rng.normal(5.6, 8, 4000)
    cells = [both(y, x) for y, x in zip(after, before, strict=True)]
    whole = cells[0] + cells[1]
    theirs = told(tea_tasting.Mean("after", "before", equal_var=False, use_t=False), table(after=after, before=before))

    def adjusted(theta: float) -> Comparison:
        return once(*(Arm.of_adjusted(cell, cell.n, theta, whole.mean_x) for cell in cells))

    their_theta = whole.c_xy / whole.m2_x
    agree(adjusted(their_theta), theirs)
    ours = adjusted(cuped_theta([cells]))
    assert ours.se == pytest.approx(adjusted(their_theta).se, rel=1e-3)
    assert ours.difference == pytest.approx(theirs.effect_size, abs=0.01 * ours.se)
    assert ours.se < 0.6 * once(*(values(each) for each in after)).se


def test_the_relative_lift_is_theirs_at_our_multiplier() -> None:
    _, money = revenue(5, gain=1.1)
    theirs = told(tea_tasting.Mean("money", equal_var=False, use_t=False), table(money=money))
    ours = lift(
        [Stratum(phase=1, control=values(money[0]), treatment=values(money[1]))], alpha=0.05, expected_visitors=5000
    )
    wider = ConfidenceSequence(alpha=0.05, expected_visitors=5000).half_width(1.0, 7000) / 1.959963984540054
    their_half = math.log1p(theirs.rel_effect_size_ci_upper) - math.log1p(theirs.rel_effect_size)
    assert not hasattr(ours, "reason")
    assert ours.lift == pytest.approx(theirs.rel_effect_size, rel=EXACT)
    assert math.log1p(ours.high) - math.log1p(ours.lift) == pytest.approx(wider * their_half, rel=EXACT)


@pytest.mark.parametrize(("weights", "effect"), [((1, 1), 1.0), ((1, 1), -0.5), ((9, 1), 1.0), ((1, 3), 2.0)])
def test_a_mean_needs_as_many_visitors(weights: tuple[int, int], effect: float) -> None:
    _, money = revenue(6)
    known = Moments.of(money[0].tolist())
    assert known.sd is not None
    ours = Plan(baseline=Baseline.of_mean(known.mean, known.sd), weights=weights, power=0.8).fixed(effect)
    metric = tea_tasting.Mean(
        "money", equal_var=False, use_t=False, alpha=0.05, power=0.8, effect_size=effect, ratio=weights[1] / weights[0]
    )
    theirs = metric.solve_power(pyarrow.table({"money": money[0]}), "n_obs")[0].n_obs
    assert ours.total == pytest.approx(theirs, abs=2)


def test_the_smallest_effect_of_a_sample_is_theirs() -> None:
    _, money = revenue(7)
    known = Moments.of(money[0].tolist())
    assert known.sd is not None
    ours = Plan(baseline=Baseline.of_mean(known.mean, known.sd)).smallest_fixed(20_000)
    metric = tea_tasting.Mean("money", equal_var=False, use_t=False, alpha=0.05, power=0.8, n_obs=20_000)
    theirs = metric.solve_power(pyarrow.table({"money": money[0]}), "effect_size")[0].effect_size
    assert ours == pytest.approx(theirs, rel=1e-5)


def test_the_p_of_several_metrics_are_corrected_alike() -> None:
    rng = np.random.default_rng(8)
    columns = {f"m{place}": (rng.normal(0, 1, 500), rng.normal(0.03 * place, 1, 500)) for place in range(6)}
    result = tea_tasting.Experiment({name: tea_tasting.Mean(name) for name in columns}).analyze(table(**columns))
    theirs = tea_tasting.adjust_fdr(result, alpha=0.05, arbitrary_dependence=False).to_dicts()
    ours = benjamini_hochberg([each["pvalue"] for each in theirs])
    assert ours == pytest.approx(tuple(each["pvalue_adj"] for each in theirs), rel=EXACT)
