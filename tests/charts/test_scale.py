import math
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.charts.numbers import axis_percent, short
from balancer.charts.scale import Scale, linear, logarithmic, moments, ticks, time_ticks

VIENNA: tzinfo = ZoneInfo("Europe/Vienna")


def at(text: str, zone: tzinfo = UTC) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000


def named(scale: Scale, about: int, zone: tzinfo = UTC) -> list[str]:
    return [tick.text for tick in time_ticks(scale, about, zone)]


def test_the_ends_of_an_axis_are_round() -> None:
    scale = linear([0.0031, 0.0879], 0, 100)
    assert (scale.low, scale.high) == pytest.approx((0.0, 0.1))
    assert [tick.text for tick in ticks(scale, 5, axis_percent)] == ["0%", "2%", "4%", "6%", "8%", "10%"]


def test_a_value_outside_is_drawn_at_the_end() -> None:
    scale = Scale(low=0, high=10, start=50, end=150)
    assert [scale.place(value) for value in (-5, 0, 5, 10, float("inf"))] == [50, 50, 100, 150, 150]


def test_what_is_no_number_is_drawn_nowhere() -> None:
    with pytest.raises(ValueError, match="no number"):
        Scale(low=0, high=1, start=0, end=1).place(float("nan"))


def test_an_axis_from_nowhere_to_nowhere_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="no axis"):
        Scale(low=1, high=1, start=0, end=1)


def test_a_single_value_has_room_on_both_sides() -> None:
    scale = linear([7.0], 0, 100)
    assert scale.low < 7 < scale.high


@given(st.lists(st.floats()))
def test_every_axis_has_all_its_values(values: list[float]) -> None:
    scale = linear(values, 0, 100)
    for value in values:
        if not math.isnan(value):
            assert 0 <= scale.place(value) <= 100
    assert 1 <= len(ticks(scale, 5)) <= 12


@given(st.lists(st.floats()))
def test_a_logarithmic_axis_has_whole_powers_of_ten(values: list[float]) -> None:
    scale = logarithmic(values, 100, 0, around=(1, 300))
    assert scale.low <= 1
    assert scale.high >= 1000
    assert all(0 <= scale.place(value) <= 100 for value in values if value > 0)
    assert all(tick.text == short(tick.at) for tick in ticks(scale, 4))


def test_powers_of_ten_are_the_same_way_apart() -> None:
    scale = logarithmic([1, 1000], 0, 300, around=(1, 1000))
    assert [scale.place(value) for value in (1, 10, 100, 1000)] == pytest.approx([0, 100, 200, 300])


def test_hours_are_those_on_the_wall() -> None:
    scale = moments([at("2026-07-01T05:10", VIENNA), at("2026-07-01T23:40", VIENNA)], 0, 100)
    assert named(scale, 6, VIENNA) == ["06:00", "09:00", "12:00", "15:00", "18:00", "21:00"]


def test_the_hour_that_comes_twice_is_named_twice_and_told_apart() -> None:
    scale = moments([at("2026-10-25T00:00", VIENNA), at("2026-10-25T04:30", VIENNA)], 0, 100)
    assert named(scale, 9, VIENNA) == ["Sun 25", "01:00", "02:00+02", "02:00+01", "03:00", "04:00"]


def test_hours_of_a_zone_of_half_hours_begin_on_its_wall() -> None:
    kolkata = ZoneInfo("Asia/Kolkata")
    scale = moments([at("2026-07-01T05:10", kolkata), at("2026-07-01T07:20", kolkata)], 0, 100)
    assert named(scale, 4, kolkata) == ["06:00", "07:00"]


def test_days_begin_at_midnight_also_where_the_clock_is_changed() -> None:
    scale = moments([at("2026-10-23T12:00", VIENNA), at("2026-10-27T12:00", VIENNA)], 0, 100)
    assert named(scale, 6, VIENNA) == ["24 Oct", "25 Oct", "26 Oct", "27 Oct"]
    assert [tick.at for tick in time_ticks(scale, 6, VIENNA)][1:3] == [
        at("2026-10-25T00:00", VIENNA),
        at("2026-10-26T00:00", VIENNA),
    ]


def test_weeks_begin_on_monday() -> None:
    scale = moments([at("2026-10-01T00:00"), at("2026-10-31T00:00")], 0, 100)
    assert named(scale, 5) == ["5 Oct", "12 Oct", "19 Oct", "26 Oct"]


def test_months_and_years_are_named() -> None:
    scale = moments([at("2025-10-01T12:00"), at("2026-06-01T12:00")], 0, 100)
    assert named(scale, 8) == ["Nov", "Dec", "2026", "Feb", "Mar", "Apr", "May", "Jun"]


@given(st.lists(st.floats(), min_size=1), st.sampled_from([UTC, VIENNA]))
def test_any_times_make_an_axis_with_few_names(values: list[float], zone: tzinfo) -> None:
    assert len(time_ticks(moments(values, 0, 100), 6, zone)) <= 14


def test_of_a_time_that_has_only_begun_minutes_are_told() -> None:
    scale = moments([at("2026-11-26T06:38:10"), at("2026-11-26T06:44:00")], 0, 100)
    assert named(scale, 6) == ["06:39", "06:40", "06:41", "06:42", "06:43", "06:44"]
    assert named(scale, 3) == ["06:40", "06:42", "06:44"]
    assert named(moments([at("2026-11-26T06:38"), at("2026-11-26T08:05")], 0, 100), 4) == ["07:00", "07:30", "08:00"]
