"""Outcomes: what is said of one event, and what is left unsaid."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from balancer.domain.app import AppName, BranchName
from balancer.domain.split import Phase, Split, SplitId, SplitState
from balancer.services.outcome import Cells, Difference, EventReport, Outcome, Reading, branches_of, event_report
from balancer.stats.arm import Inconclusive, Interval, Reason
from balancer.stats.compare import Comparison
from balancer.stats.moments import Moments
from balancer.stats.tally import EventTally, Exposed, SplitTally

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVEN = {"master": 5000, "feat/x": 5000}


def split(*phases: dict[str, int]) -> Split:
    """Return a running split with these weights in its phases, and master as the control."""
    return Split(
        id=SplitId("s1"),
        app=AppName("shop"),
        control=BranchName("master"),
        phases=tuple(
            Phase(number=n, weights={BranchName(name): w for name, w in weights.items()}, started_at=NOON)
            for n, weights in enumerate(phases, start=1)
        ),
        state=SplitState.RUNNING,
        ended_at=None,
        expected_visitors=5000,
    )


def exposed(branch: str, visitors: int, phase: int = 1) -> Exposed:
    """Return a cell's visitors."""
    return Exposed(phase=phase, variant=BranchName(branch).slug, visitors=visitors)


def bought(branch: str, visitors: int, converted: int, phase: int = 1, value: float | None = None) -> EventTally:
    """Return a cell in which each converted visitor bought once, at `value` and at twice that by turns."""
    values = [value * (1 + turn % 2) for turn in range(converted)] if value is not None else []
    return EventTally(
        event="purchase",
        phase=phase,
        variant=BranchName(branch).slug,
        count=converted,
        converted=converted,
        values=Moments.of(values),
        per_visitor=Moments.of(values).with_zeros(visitors - len(values)),
    )


def outcomes(of: Split, cells: dict[tuple[int, str], tuple[int, int]], value: float | None = None) -> list[Outcome]:
    """Return the outcomes of `purchase` for (phase, branch) → (visitors, converted)."""
    tally = SplitTally(
        exposed=tuple(exposed(branch, n, phase) for (phase, branch), (n, _) in cells.items()),
        events=tuple(bought(branch, n, x, phase, value) for (phase, branch), (n, x) in cells.items()),
    )
    return list(event_report(Cells(of, tally), "purchase", trusted=True).outcomes)


def comparison(difference: Difference | None) -> Comparison:
    """Return the comparison in `difference`, which must have one."""
    assert difference is not None
    assert isinstance(difference.comparison, Comparison)
    return difference.comparison


def test_rates_and_their_difference_are_those_of_the_visitors() -> None:
    control, test = outcomes(split(EVEN), {(1, "master"): (10_000, 500), (1, "feat/x"): (10_000, 590)})
    assert (control.branch, test.branch) == ("master", "feat/x")
    assert (test.visitors, test.count, test.converted, test.rate) == (10_000, 590, 590, 0.059)
    assert isinstance(test.rate_interval, Interval)
    assert test.rate_interval.low < 0.059 < test.rate_interval.high
    assert control.rate_difference is None
    found = comparison(test.rate_difference)
    assert (found.low, found.high) == pytest.approx((-0.00103747, 0.01903747), abs=5e-9)


@pytest.mark.parametrize(("converted", "reading"), [(700, Reading.ABOVE), (520, Reading.OPEN), (300, Reading.BELOW)])
def test_a_difference_reads_as_what_its_interval_shows(converted: int, reading: Reading) -> None:
    _, test = outcomes(split(EVEN), {(1, "master"): (10_000, 500), (1, "feat/x"): (10_000, converted)})
    assert test.rate_difference is not None
    assert test.rate_difference.reading is reading


def test_values_have_a_mean_over_the_events_and_one_over_the_visitors() -> None:
    cells = {(1, "master"): (1000, 100), (1, "feat/x"): (1000, 200)}
    _, test = outcomes(split(EVEN), cells, value=10.0)
    assert test.mean == pytest.approx(15.0)
    assert test.sd == pytest.approx(5.0125, abs=1e-4)
    assert test.value_per_visitor == pytest.approx(3.0)
    assert isinstance(test.value_interval, Interval)
    assert comparison(test.value_difference).difference == pytest.approx(1.5)
    assert test.value_difference is not None
    assert test.value_difference.reading is Reading.ABOVE


def test_an_event_without_values_says_nothing_of_values() -> None:
    for outcome in outcomes(split(EVEN), {(1, "master"): (1000, 100), (1, "feat/x"): (1000, 200)}):
        assert outcome.mean is outcome.sd is outcome.value_per_visitor is None
        assert outcome.value_interval is None
        assert outcome.value_difference is None


def test_visitors_whose_events_carry_no_value_are_no_conversions_of_value() -> None:
    few_valued = replace(
        bought("feat/x", 1000, 100), values=Moments.of([5.0, 7.0]), per_visitor=Moments.of([12.0]).with_zeros(999)
    )
    cells = Cells(
        split(EVEN),
        SplitTally(
            exposed=(exposed("master", 1000), exposed("feat/x", 1000)),
            events=(bought("master", 1000, 100), few_valued),
        ),
    )
    _, test = event_report(cells, "purchase", trusted=True).outcomes
    too_few = Inconclusive(reason=Reason.FEW_CONVERSIONS)
    assert test.value_interval == too_few
    assert test.value_difference == Difference(reading=Reading.NOT_ENOUGH_DATA, comparison=too_few)
    assert comparison(test.rate_difference).difference == 0


def test_a_variant_without_visitors_has_no_rate_and_the_reason_why_there_is_no_difference() -> None:
    tally = SplitTally(exposed=(exposed("master", 10),), events=(bought("master", 10, 1, value=5.0),))
    control, test = event_report(Cells(split(EVEN), tally), "purchase", trusted=True).outcomes
    few = Inconclusive(reason=Reason.FEW_VISITORS)
    assert (control.mean, control.sd, control.value_per_visitor) == (5.0, None, 0.5)
    assert test.rate is test.mean is test.value_per_visitor is None
    assert test.rate_interval == test.value_interval == few
    assert test.rate_difference == test.value_difference
    assert test.rate_difference == Difference(reading=Reading.NOT_ENOUGH_DATA, comparison=few)


def test_a_variant_of_which_the_ledger_names_no_event_has_converted_nobody() -> None:
    tally = SplitTally(
        exposed=(exposed("master", 1000), exposed("feat/x", 1000)), events=(bought("master", 1000, 200),)
    )
    _, test = event_report(Cells(split(EVEN), tally), "purchase", trusted=True).outcomes
    assert (test.count, test.converted, test.rate) == (0, 0, 0.0)
    assert comparison(test.rate_difference).difference == pytest.approx(-0.2)


def test_a_ramp_is_compared_within_its_phases_and_shown_over_all() -> None:
    ramp = split({"master": 9000, "feat/x": 1000}, EVEN)
    cells = {(1, "master"): (900, 50), (1, "feat/x"): (100, 5), (2, "master"): (500, 50), (2, "feat/x"): (500, 60)}
    control, test = outcomes(ramp, cells)
    assert (control.rate, test.rate) == pytest.approx((100 / 1400, 65 / 600))
    found = comparison(test.rate_difference)
    assert found.difference == pytest.approx(0.0072222, abs=5e-8)
    assert found.used == (1, 2)


def test_several_variants_share_the_chance_of_a_false_alarm() -> None:
    three = split({"master": 4000, "feat/x": 3000, "feat/y": 3000})
    found = outcomes(three, {(1, branch): (1000, 100) for branch in ("master", "feat/x", "feat/y")})
    assert [comparison(each.rate_difference).alpha for each in found[1:]] == [0.025, 0.025]


def test_a_branch_that_left_the_split_is_still_in_it_after_those_that_stayed() -> None:
    changed = split({"old": 5000, "master": 5000}, {"feat/x": 5000, "master": 5000})
    assert branches_of(changed) == ("master", "feat/x", "old")


def test_no_difference_is_read_as_one_where_the_split_is_broken() -> None:
    tally = SplitTally(
        exposed=(exposed("master", 1000), exposed("feat/x", 1000)),
        events=(bought("master", 1000, 100), bought("feat/x", 1000, 300)),
    )
    found: EventReport = event_report(Cells(split(EVEN), tally), "purchase", trusted=False)
    difference = found.outcomes[1].rate_difference
    assert difference is not None
    assert difference.reading is Reading.BROKEN_SPLIT
    assert comparison(difference).low > 0


def test_moments_that_are_not_over_all_visitors_are_refused() -> None:
    buyers_only = replace(bought("master", 1000, 100, value=5.0), per_visitor=Moments.of([5.0] * 100))
    cells = Cells(split(EVEN), SplitTally(exposed=(exposed("master", 1000),), events=(buyers_only,)))
    with pytest.raises(ValueError, match="over 100 visitors, but 1000 are exposed"):
        event_report(cells, "purchase", trusted=True)
