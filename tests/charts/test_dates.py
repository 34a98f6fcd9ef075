"""Days, weeks and months on an axis, also where the clock is changed."""

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as some

from balancer.charts.dates import Grain, date_ticks, whole_days
from balancer.charts.scale import Scale, moments, ticks

BERLIN: tzinfo = ZoneInfo("Europe/Berlin")
LORD_HOWE: tzinfo = ZoneInfo("Australia/Lord_Howe")


def at(text: str, zone: tzinfo = UTC) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000


def axis(first: str, last: str, zone: tzinfo = UTC) -> Scale:
    return moments([at(first, zone), at(last, zone)], 0, 100)


def named(scale: Scale, grain: Grain, about: int = 8, zone: tzinfo = UTC) -> list[str]:
    return [tick.text for tick in date_ticks(scale, about, zone, grain)]


def test_a_single_day_is_named_by_its_date_in_its_middle() -> None:
    scale = axis("2026-11-26", "2026-11-27", BERLIN)
    (tick,) = date_ticks(scale, 8, BERLIN, Grain.DAY)
    assert (tick.text, tick.at) == ("26 Nov", at("2026-11-26T12:00", BERLIN))


def test_a_single_week_month_and_hour_are_named_as_they_are() -> None:
    assert named(axis("2026-11-23", "2026-11-30"), Grain.WEEK) == ["23–29 Nov"]
    assert named(axis("2026-11-30", "2026-12-07"), Grain.WEEK) == ["30 Nov – 6 Dec"]
    assert named(axis("2026-11-01", "2026-12-01"), Grain.MONTH) == ["Nov 2026"]
    assert named(axis("2026-11-26T11:00", "2026-11-26T12:00"), Grain.HOUR) == ["11:00", "12:00"]


def test_of_many_every_second_every_week_or_every_month_is_named() -> None:
    assert named(axis("2026-11-01", "2026-11-13"), Grain.DAY) == ["1 Nov", "3 Nov", "5 Nov", "7 Nov", "9 Nov", "11 Nov"]
    assert named(axis("2026-11-01", "2026-12-20"), Grain.DAY)[:2] == ["2 Nov", "9 Nov"], "Mondays"
    assert named(axis("2026-01-01", "2026-12-31"), Grain.DAY)[:3] == ["2026", "Mar", "May"]
    assert named(axis("2026-10-05", "2026-12-28"), Grain.WEEK)[:2] == ["5–11 Oct", "19–25 Oct"]


def test_months_have_their_year_at_first_and_in_each_new_one() -> None:
    assert named(axis("2025-11-01", "2026-04-01"), Grain.MONTH) == ["Nov 2025", "Dec", "Jan 2026", "Feb", "Mar"]
    assert named(axis("2024-11-01", "2027-04-01"), Grain.MONTH, 6) == ["Jan 2025", "Jul", "Jan 2026", "Jul", "Jan 2027"]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_on_which_the_clock_is_changed_is_as_wide_as_it_is_long(day: str, hours: int) -> None:
    scale = whole_days([at(f"{day}T12:00", BERLIN)], 0, 100, BERLIN)
    assert scale.high - scale.low == hours * 3_600_000
    (tick,) = date_ticks(scale, 8, BERLIN, Grain.DAY)
    assert (tick.text, tick.at) == (f"{int(day[-2:])} {'Mar' if hours == 23 else 'Oct'}", scale.low + hours * 1_800_000)


def test_the_hour_that_comes_twice_is_told_apart_and_the_one_that_is_skipped_is_not_there() -> None:
    autumn, spring = ("2026-10-25T00:00", "2026-10-25T05:00"), ("2026-03-29T00:00", "2026-03-29T05:00")
    assert named(axis(*autumn, BERLIN), Grain.HOUR, 9, BERLIN) == [
        *("Sun 25", "01:00", "02:00+02", "02:00+01", "03:00", "04:00", "05:00"),
    ]
    assert named(axis(*spring, BERLIN), Grain.HOUR, 9, BERLIN) == ["Sun 29", "01:00", "03:00", "04:00", "05:00"]


def test_half_an_hour_that_comes_twice_is_told_apart_by_half_hours() -> None:
    """On Lord Howe Island the clock goes from 02:00 back to 01:30, and from 02:00 to 02:30."""
    hour = moments([at("2026-04-04T14:30"), at("2026-04-04T15:00")], 0, 100)
    assert named(hour, Grain.HOUR, 9, LORD_HOWE) == ["01:30+11", "01:30+10:30"]
    scale = axis("2026-10-04T00:00", "2026-10-04T05:00", LORD_HOWE)
    assert named(scale, Grain.HOUR, 9, LORD_HOWE) == ["Sun 4", "01:00", "03:00", "04:00", "05:00"]


def test_what_ends_at_midnight_needs_no_day_more() -> None:
    scale = whole_days([at("2026-11-26T09:30"), at("2026-11-28")], 0, 100, UTC)
    assert (scale.low, scale.high) == (at("2026-11-26"), at("2026-11-28"))
    assert whole_days([], 0, 100, UTC).low < whole_days([], 0, 100, UTC).high
    assert ticks(scale, 5)


@given(
    values=some.lists(some.floats(), min_size=1),
    zone=some.sampled_from([UTC, BERLIN, LORD_HOWE]),
    grain=some.sampled_from([*Grain, None]),
)
def test_any_times_have_few_names_all_of_them_on_the_axis(
    values: list[float], zone: tzinfo, grain: Grain | None
) -> None:
    for scale in (moments(values, 0, 100), whole_days(values, 0, 100, zone)):
        found = date_ticks(scale, 6, zone, grain)
        assert len(found) <= 14
        assert all(scale.holds(tick.at) for tick in found)
