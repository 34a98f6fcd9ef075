"""The calendar: hours, days, weeks and months on the wall of a zone."""

import sys
import zoneinfo
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as some

from balancer.domain.calendar import (
    DAY_MILLISECONDS,
    HOUR_MILLISECONDS,
    TimeZone,
    Unit,
    buckets,
    day_number,
    moment,
    offsets,
)
from balancer.errors import InvalidInput, InvalidName

UTC_ZONE, VIENNA = TimeZone("UTC"), TimeZone("Europe/Vienna")
ZONES = ("UTC", "Europe/Vienna", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia",
         "America/Havana", "America/Sao_Paulo", "Asia/Beirut", "Pacific/Kiritimati", "Africa/Casablanca",
         "America/St_Johns", "Asia/Kathmandu")  # fmt: skip


def at(text: str) -> int:
    """Return the milliseconds of a time of ISO 8601."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def span(zone: TimeZone, unit: Unit, first: str, last: str) -> list[tuple[str, float]]:
    """Return the label and the hours of each bucket from one date to another, both included."""
    found = buckets(zone, unit, moment(zone, first), moment(zone, last, end=True))
    return [(bucket.label, bucket.hours) for bucket in found]


def test_a_day_has_24_hours_and_23_or_25_when_the_clock_is_changed() -> None:
    assert span(VIENNA, Unit.DAY, "2026-03-28", "2026-03-30") == [
        ("2026-03-28", 24.0),
        ("2026-03-29", 23.0),
        ("2026-03-30", 24.0),
    ]
    assert ("2026-10-25", 25.0) in span(VIENNA, Unit.DAY, "2026-10-24", "2026-10-26")


def test_the_hour_that_comes_twice_is_two() -> None:
    labels = [label for label, _ in span(VIENNA, Unit.HOUR, "2026-10-25", "2026-10-25")]
    assert len(labels) == 25
    assert labels[2:4] == ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00"]
    assert len(span(VIENNA, Unit.HOUR, "2026-03-29", "2026-03-29")) == 23


def test_an_hour_begins_anew_where_the_clock_is_changed_by_half_of_one() -> None:
    found = span(TimeZone("Australia/Lord_Howe"), Unit.HOUR, "2026-04-05", "2026-04-05")
    assert found[:4] == [
        ("2026-04-05T00:00+11:00", 1.0),
        ("2026-04-05T01:00+11:00", 1.0),
        ("2026-04-05T01:30+10:30", 0.5),
        ("2026-04-05T02:00+10:30", 1.0),
    ]


def test_weeks_start_on_monday() -> None:
    found = span(VIENNA, Unit.WEEK, "2026-10-25", "2026-10-26")
    assert found == [("2026-10-19", 169.0), ("2026-10-26", 168.0)]
    assert all(date.fromisoformat(label).weekday() == 0 for label, _ in found)


def test_a_month_is_as_long_as_it_is_with_the_clock_changed_in_it() -> None:
    assert span(VIENNA, Unit.MONTH, "2026-02-10", "2026-03-02") == [("2026-02", 28 * 24.0), ("2026-03", 31 * 24 - 1.0)]


def test_the_zone_decides_which_day_it_is() -> None:
    late = at("2026-11-01T23:30:00Z")
    assert [bucket.label for bucket in buckets(UTC_ZONE, Unit.DAY, late, late + 1)] == ["2026-11-01"]
    assert [bucket.label for bucket in buckets(VIENNA, Unit.DAY, late, late + 1)] == ["2026-11-02"]
    kolkata = TimeZone("Asia/Kolkata")
    found = buckets(kolkata, Unit.HOUR, at("2026-11-01T18:29:00Z"), at("2026-11-01T18:31:00Z"))
    assert [bucket.label for bucket in found] == ["2026-11-01T23:00+05:30", "2026-11-02T00:00+05:30"]


def test_a_day_that_a_zone_skipped_is_not_there() -> None:
    labels = span(TimeZone("Pacific/Apia"), Unit.DAY, "2011-12-28", "2012-01-01")
    assert labels == [("2011-12-28", 24.0), ("2011-12-29", 24.0), ("2011-12-31", 24.0), ("2012-01-01", 24.0)]


def test_a_day_without_a_midnight_begins_when_the_wall_shows_it() -> None:
    # In Beirut the clock goes from 00:00 to 01:00.
    (day,) = buckets(TimeZone("Asia/Beirut"), Unit.DAY, at("2021-03-28T12:00Z"), at("2021-03-28T12:01Z"))
    assert (day.label, day.hours, day.start) == ("2021-03-28", 23.0, at("2021-03-28T01:00+03:00"))


def test_offsets_begin_with_the_range_and_tell_each_change() -> None:
    assert offsets(VIENNA, at("2026-01-01T00:00Z"), at("2027-01-01T00:00Z")) == (
        (at("2026-01-01T00:00Z"), HOUR_MILLISECONDS),
        (at("2026-03-29T01:00Z"), 2 * HOUR_MILLISECONDS),
        (at("2026-10-25T01:00Z"), HOUR_MILLISECONDS),
    )
    assert offsets(UTC_ZONE, 0, at("2030-01-01T00:00Z")) == ((0, 0),)


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        ("America/Noronha", "2000-10-08T02:00Z", "2000-10-15T01:00Z"),
        ("America/Argentina/Tucuman", "2004-06-01T03:00Z", "2004-06-13T04:00Z"),
        ("Africa/El_Aaiun", "1976-04-14T01:00Z", "1976-05-01T00:00Z"),
    ],
)
def test_two_changes_within_days_are_both_there(name: str, first: str, second: str) -> None:
    """The first is less than a week, the shortest that any zone has ever had between two."""
    began, ended = at(first), at(second)
    found = offsets(TimeZone(name), 0, ended + 1)
    assert [moment for moment, _ in found[-2:]] == [began, ended]


def test_a_date_is_all_of_its_day_where_it_ends_a_range() -> None:
    assert moment(VIENNA, "2026-10-25") == at("2026-10-25T00:00+02:00")
    assert moment(VIENNA, "2026-10-25", end=True) == at("2026-10-26T00:00+01:00")
    assert moment(VIENNA, "2026-10-25T14:30", end=True) == at("2026-10-25T14:30+01:00")


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-13-01", "2026-02-30", "yesterday", "2026-11-01T25:00", "0001-01-01"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no date: write 2026-11-01"):
        moment(VIENNA, text)


@pytest.mark.parametrize(
    "name",
    [
        *("", "Vienna", "Europe", "Europe/Wien", "../../etc/passwd", "/etc/localtime", "UTC+1", "x" * 300),
        *("right/Europe/Vienna", "localtime", "Europe/Vienna\n"),
    ],
)
def test_what_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidName, match="time zone"):
        TimeZone(name)


def test_a_machine_without_time_zones_knows_utc_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    before = zoneinfo.TZPATH
    for name in {"tzdata", *(each for each in sys.modules if each.startswith("tzdata."))}:
        monkeypatch.setitem(sys.modules, name, None)  # other tools may have brought the package
    zoneinfo.reset_tzpath(to=[])
    zoneinfo.ZoneInfo.clear_cache()
    try:
        assert TimeZone("UTC").offset(0) == 0
        with pytest.raises(InvalidName, match="apt-get install tzdata"):
            TimeZone("Europe/Vienna")
    finally:
        zoneinfo.reset_tzpath(to=before)


@given(
    zone=some.sampled_from(ZONES),
    unit=some.sampled_from(Unit),
    when=some.integers(min_value=at("1972-01-01T00:00Z"), max_value=at("2037-01-01T00:00Z")),
    length=some.integers(min_value=1, max_value=9 * DAY_MILLISECONDS),
)
def test_buckets_follow_one_another_and_agree_with_the_wall(zone: str, unit: Unit, when: int, length: int) -> None:
    """As `zoneinfo` tells the date; the engine goes by `offsets`, which agree with it, too."""
    found = buckets(TimeZone(zone), unit, when, when + length)
    assert found[0].start <= when < found[0].end
    assert found[-1].start < when + length <= found[-1].end
    assert all(one.end == next_.start for one, next_ in pairwise(found))
    wall = datetime.fromtimestamp(when // 1000, ZoneInfo(zone))
    days = (wall.replace(tzinfo=UTC).date() - date(1970, 1, 1)).days
    walls = offsets(TimeZone(zone), when - DAY_MILLISECONDS, when + DAY_MILLISECONDS)
    assert day_number(walls, when) == days
    for bucket in found:
        begun = datetime.fromtimestamp(bucket.start / 1000, ZoneInfo(zone))
        if unit is Unit.HOUR:
            assert bucket.hours <= 1.0
            assert begun.strftime("%Y-%m-%dT%H:%M") == bucket.label[:16]
        elif unit is Unit.WEEK:
            assert date(1970, 1, 1) + timedelta(days=bucket.number) == date.fromisoformat(bucket.label)
            assert (begun.date() - date.fromisoformat(bucket.label)).days in (0, 1)
        else:
            assert begun.date().isoformat().startswith(bucket.label)


def test_what_a_zone_did_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three thousand moments since 1970 are looked at: in the loop that answers everybody."""
    asked = 0
    looked_up = TimeZone.offset

    def counted(zone: TimeZone, moment: int) -> int:
        nonlocal asked
        asked += 1
        return looked_up(zone, moment)

    now = at("2026-11-26T12:00+00:00")
    first = offsets(VIENNA, 0, now)
    monkeypatch.setattr(TimeZone, "offset", counted)
    assert offsets(TimeZone("Europe/Vienna"), 0, now) == first
    assert asked == 1
    offsets(UTC_ZONE, 0, now)
    assert asked == 2
