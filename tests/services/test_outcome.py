"""Outcomes: what is said of one metric, and what is left unsaid."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from balancer.domain.app import AppName, BranchName
from balancer.domain.metric import Better, Kind, Metric, MetricName
from balancer.domain.split import Phase, Split, SplitId, SplitState
from balancer.services.outcome import (
    Difference,
    MetricReport,
    Outcome,
    Reading,
    Terms,
    branches_of,
    corrected,
    metric_report,
)
from balancer.stats.arm import Inconclusive, Interval, Reason
from balancer.stats.cells import MeasureCells, QuantileCell
from balancer.stats.compare import Comparison
from balancer.stats.lift import Lift
from measured import Part, answer, rates

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVEN = {"master": 5000, "feat/x": 5000}
BOUGHT = Metric(name=MetricName("bought"), kind=Kind.CONVERTED, events=("purchase",))
REVENUE = Metric(name=MetricName("revenue"), kind=Kind.SUM, events=("purchase",))
TRUSTED = Terms(trusted=True)


def split(*phases: dict[str, int]) -> Split:
    """Return a running split with these weights in its phases, and master as the control."""
    return Split(
        id=SplitId("s1"),
        app=AppName("shop"),
        control=BranchName("master"),
        phases=tuple(
            Phase(number=n, weights={BranchName(name): w for name, w in weights.items()}, started_at=NOON)
            for n, weights in enumerate(phases or (EVEN,), start=1)
        ),
        state=SplitState.RUNNING,
        ended_at=None,
        expected_visitors=5000,
    )


def outcomes(
    parts: list[Part], *, metric: Metric = BOUGHT, of: Split | None = None, terms: Terms = TRUSTED
) -> list[Outcome]:
    """Return the outcomes of a metric, the control's first."""
    (cells,) = answer(["m"], parts).measures
    return list(metric_report(of or split(), metric, cells, terms, primary=True, declared=True).outcomes)


def difference(outcome: Outcome) -> Difference:
    assert outcome.difference is not None
    return outcome.difference


def comparison(outcome: Outcome) -> Comparison:
    """Return the comparison of an outcome, which must have one."""
    found = difference(outcome).comparison
    assert isinstance(found, Comparison)
    return found


def test_rates_and_their_difference_are_those_of_the_visitors() -> None:
    control, test = outcomes(rates((1, "master", 10_000, 500), (1, "feat/x", 10_000, 590)))
    assert (control.branch, test.branch) == ("master", "feat/x")
    assert (test.visitors, test.mature, test.events, test.converted, test.value) == (10_000, 10_000, 590, 590, 0.059)
    assert isinstance(test.interval, Interval)
    assert test.interval.low < 0.059 < test.interval.high
    assert control.difference is None
    found = comparison(test)
    assert (found.low, found.high) == pytest.approx((-0.00103747, 0.01903747), abs=5e-9)


@pytest.mark.parametrize(("converted", "reading"), [(700, Reading.ABOVE), (520, Reading.OPEN), (300, Reading.BELOW)])
def test_a_difference_reads_as_what_its_interval_shows(converted: int, reading: Reading) -> None:
    _, test = outcomes(rates((1, "master", 10_000, 500), (1, "feat/x", 10_000, converted)))
    assert difference(test).reading is reading


def test_the_lift_the_chance_and_what_is_needed_stand_beside_the_difference() -> None:
    _, test = outcomes(rates((1, "master", 10_000, 500), (1, "feat/x", 10_000, 590)))
    lift, chance, needed = difference(test).lift, difference(test).chance, difference(test).needed
    assert isinstance(lift, Lift)
    assert lift.lift == pytest.approx(0.18)
    assert chance is not None
    assert 0.99 < chance.to_win < 1
    assert needed is not None
    assert needed > 0
    _, shown = outcomes(rates((1, "master", 10_000, 500), (1, "feat/x", 10_000, 700)))
    assert difference(shown).needed is None


def test_where_lower_is_better_the_chance_is_that_of_less() -> None:
    lower = replace(BOUGHT, better=Better.LOWER)
    _, test = outcomes(rates((1, "master", 10_000, 500), (1, "feat/x", 10_000, 590)), metric=lower)
    chance = difference(test).chance
    assert chance is not None
    assert chance.to_win < 0.01


def test_values_are_those_of_each_visitor_zeros_included() -> None:
    parts = [Part(branch="master", visitors=1000, converted=100, value=10.0)]
    parts += [Part(branch="feat/x", visitors=1000, converted=200, value=10.0)]
    _, test = outcomes(parts, metric=REVENUE)
    assert test.value == pytest.approx(3.0)
    assert test.sd == pytest.approx(6.4063, abs=1e-3)
    assert isinstance(test.interval, Interval)
    assert comparison(test).difference == pytest.approx(1.5)
    assert difference(test).reading is Reading.ABOVE


def test_nothing_is_decided_on_young_visitors_who_are_shown_all_the_same() -> None:
    parts = rates((1, "master", 1000, 100), (1, "feat/x", 1000, 200))
    young = [replace(part, mature=False) for part in parts]
    _, test = outcomes(young)
    assert (test.visitors, test.mature, test.value) == (1000, 0, 0.2)
    found = difference(test)
    assert found.reading is Reading.NOT_ENOUGH_DATA
    assert found.comparison == Inconclusive(reason=Reason.FEW_MATURE)
    assert isinstance(found.preliminary, Comparison)
    assert found.preliminary.difference == pytest.approx(0.1)
    _, mixed = outcomes([*parts, *young])
    assert comparison(mixed).visitors == 2000
    assert difference(mixed).preliminary is None


def test_a_ratio_is_a_quotient_of_sums_and_has_no_deviation() -> None:
    ratio = Metric(name=MetricName("aov"), kind=Kind.MEAN, events=("purchase",))
    parts = [Part(branch="master", visitors=1000, converted=400, value=10.0, x=0.5)]
    parts += [Part(branch="feat/x", visitors=1000, converted=500, value=10.0, x=0.5)]
    control, test = outcomes(parts, metric=ratio)
    assert [control.value, test.value] == pytest.approx([12.0, 15.0])
    assert test.sd is None
    assert comparison(test).difference == pytest.approx(3.0)


def test_cuped_takes_off_what_was_known_before() -> None:
    """Half of each number was there before the assignment, so most of its spread goes."""
    (cells,) = answer(["m"], []).measures
    parts = [Part(branch=branch, visitors=1000, converted=500, value=10.0) for branch in ("master", "feat/x")]
    plain = answer(["m"], parts).measures[0].cells
    known = tuple(
        replace(
            cell,
            moments=replace(
                cell.moments, mean_x=cell.moments.mean_y, m2_x=cell.moments.m2_y, c_xy=0.9 * cell.moments.m2_y
            ),
        )
        for cell in plain
    )
    adjusted = replace(REVENUE, cuped=True)
    report = metric_report(split(), adjusted, replace(cells, cells=known), TRUSTED, primary=True, declared=True)
    without = metric_report(split(), REVENUE, replace(cells, cells=known), TRUSTED, primary=True, declared=True)
    assert comparison(report.outcomes[1]).se < 0.5 * comparison(without.outcomes[1]).se
    assert report.outcomes[1].value == without.outcomes[1].value


def test_a_quantile_is_shown_and_not_compared() -> None:
    metric = Metric(name=MetricName("p90"), kind=Kind.QUANTILE, events=("load",), quantile=0.9)
    (cells,) = answer(["m"], rates((1, "master", 100, 10), (1, "feat/x", 100, 20))).measures
    told = replace(cells, quantiles=(QuantileCell(variant="master", events=10, value=3.5),))
    report = metric_report(split(), metric, told, TRUSTED, primary=False, declared=True)
    control, test = report.outcomes
    assert (control.quantile, test.quantile) == (3.5, None)
    assert (control.value, control.difference, test.difference) == (None, None, None)


def test_variants_are_compared_within_phases() -> None:
    of = split({"master": 9000, "feat/x": 1000}, EVEN)
    _, test = outcomes(
        rates((1, "master", 900, 50), (1, "feat/x", 100, 5), (2, "master", 500, 50), (2, "feat/x", 500, 60)), of=of
    )
    found = comparison(test)
    assert [found.difference, found.se] == pytest.approx([0.0072222, 0.0155773], abs=5e-8)
    assert test.value == pytest.approx(65 / 600)


def test_a_variant_that_nobody_saw_says_nothing() -> None:
    control, test = outcomes(rates((1, "master", 1000, 100)))
    assert (control.visitors, test.visitors, test.value, test.sd) == (1000, 0, None, None)
    assert difference(test).reading is Reading.NOT_ENOUGH_DATA
    assert test.interval == Inconclusive(reason=Reason.FEW_VISITORS)


def test_a_split_that_cannot_be_trusted_has_no_reading() -> None:
    cells = rates((1, "master", 10_000, 500), (1, "feat/x", 10_000, 700))
    _, test = outcomes(cells, terms=Terms(trusted=False))
    assert difference(test).reading is Reading.BROKEN_SPLIT


def test_before_its_date_a_fixed_horizon_shows_nothing_and_after_it_one_look() -> None:
    cells = rates((1, "master", 10_000, 500), (1, "feat/x", 10_000, 590))
    _, hidden = outcomes(cells, terms=Terms(trusted=True, hidden=True))
    assert difference(hidden).reading is Reading.HIDDEN
    assert difference(hidden).comparison == Inconclusive(reason=Reason.HIDDEN)
    assert (difference(hidden).chance, difference(hidden).needed, difference(hidden).preliminary) == (None, None, None)
    _, read = outcomes(cells, terms=Terms(trusted=True, fixed=True))
    assert difference(read).reading is Reading.ABOVE
    assert comparison(read).p == pytest.approx(0.0050, abs=2e-4)


def test_metrics_that_do_not_decide_are_corrected_for_how_many_they_are() -> None:
    def report(name: str, converted: int, *, primary: bool) -> MetricReport:
        (cells,) = answer(["m"], rates((1, "master", 10_000, 500), (1, "feat/x", 10_000, converted))).measures
        metric = replace(BOUGHT, name=MetricName(name))
        return metric_report(split(), metric, cells, TRUSTED, primary=primary, declared=True)

    first, second, third = corrected(
        (report("a", 600, primary=True), report("b", 610, primary=False), report("c", 520, primary=False))
    )
    assert difference(first.outcomes[1]).adjusted_p is None
    adjusted = difference(second.outcomes[1]).adjusted_p
    assert adjusted == pytest.approx(2 * comparison(second.outcomes[1]).p)
    assert difference(third.outcomes[1]).adjusted_p == pytest.approx(comparison(third.outcomes[1]).p)


def test_the_control_comes_first_and_branches_that_left_come_last() -> None:
    of = split({"master": 3000, "old": 7000}, {"feat/x": 5000, "master": 5000})
    assert branches_of(of) == ("master", "feat/x", "old")


def test_cells_that_the_ledger_does_not_mention_are_empty() -> None:
    report = metric_report(split(), BOUGHT, MeasureCells(name="m", cells=()), TRUSTED, primary=True, declared=True)
    assert [(each.visitors, each.value) for each in report.outcomes] == [(0, None), (0, None)]
