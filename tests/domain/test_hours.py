"""Hours of the week: what the wall shows decides, also on days of 23 and 25 hours."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.domain.calendar import TimeZone
from balancer.domain.hours import Hours
from balancer.errors import InvalidRollout

VIENNA, APIA = TimeZone("Europe/Vienna"), TimeZone("Pacific/Apia")
OFFICE = Hours("Mon-Fri 09:00-17:00")


def at(text: str, zone: TimeZone = VIENNA, fold: int = 0) -> int:
    """Return the milliseconds at which the wall of a zone shows a time."""
    wall = datetime.fromisoformat(text).replace(tzinfo=zone.rules, fold=fold)
    return int(wall.astimezone(UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("written", "is_read_as"),
    [
        ("Mon-Fri 09:00-17:00", "Mon-Fri 09:00-17:00"),
        ("mon-thu 09:00-17:00,  FRI 09:00-12:00", "Mon-Thu 09:00-17:00, Fri 09:00-12:00"),
        ("00:00-24:00", "00:00-24:00"),
        ("Fri 22:00-02:00", "Fri 22:00-02:00"),
    ],
)
def test_hours_are_read_and_written_the_same(written: str, is_read_as: str) -> None:
    assert Hours(written) == is_read_as
    assert Hours(Hours(written)) == is_read_as


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("", "are no hours"),
        ("office hours", "are no hours"),
        ("Mon-Fri", "are no hours"),
        ("Mon-Fri 9-17", "are no hours"),
        ("Mon-Fry 09:00-17:00", "'Fry' is no day"),
        ("Mon 09:60-17:00", "09:60 is no time of a day"),
        ("Mon 09:00-25:00", "25:00 is no time of a day"),
        ("Mon 09:00-09:00", "is no time at all"),
        ("Mon 24:00-02:00", "is no time at all"),
        (",".join(["Mon 09:00-10:00"] * 21), "21 ranges of hours are too many"),
    ],
)
def test_what_are_no_hours_is_refused_with_how_to_write_them(written: str, complaint: str) -> None:
    with pytest.raises(InvalidRollout, match=complaint):
        Hours(written)


def test_the_beginning_belongs_to_them_and_the_end_does_not() -> None:
    for text, is_open in (("08:59", False), ("09:00", True), ("16:59", True), ("17:00", False)):
        assert OFFICE.open_at(VIENNA, at(f"2026-03-04T{text}")) is is_open, text
    assert not OFFICE.open_at(VIENNA, at("2026-03-07T12:00")), "Saturday"


def test_they_open_next_on_the_next_working_day() -> None:
    assert OFFICE.opens(VIENNA, at("2026-03-06T17:00")) == at("2026-03-09T09:00")
    assert OFFICE.opens(VIENNA, at("2026-03-04T10:00")) == at("2026-03-04T10:00")
    assert OFFICE.closes(VIENNA, at("2026-03-04T10:00")) == at("2026-03-04T17:00")
    assert Hours("00:00-24:00").closes(VIENNA, at("2026-03-04T10:00")) is None


def test_a_range_over_midnight_ends_on_the_day_after() -> None:
    night = Hours("Fri 22:00-02:00")
    assert night.open_at(VIENNA, at("2026-03-07T01:59"))
    assert not night.open_at(VIENNA, at("2026-03-07T02:00"))
    assert not night.open_at(VIENNA, at("2026-03-06T01:00"))
    assert night.closes(VIENNA, at("2026-03-06T22:30")) == at("2026-03-07T02:00")


def test_days_that_go_over_sunday_are_possible() -> None:
    assert Hours("Sat-Mon 10:00-11:00").open_at(VIENNA, at("2026-03-09T10:30"))
    assert not Hours("Sat-Mon 10:00-11:00").open_at(VIENNA, at("2026-03-10T10:30"))


def test_the_hour_that_comes_twice_is_in_them_twice() -> None:
    hours = Hours("Sun 02:30-03:00")
    assert hours.open_at(VIENNA, at("2026-10-25T02:30"))
    assert not hours.open_at(VIENNA, at("2026-10-25T02:00", fold=1))
    assert hours.open_at(VIENNA, at("2026-10-25T02:45", fold=1))
    both = Hours("Sun 02:00-03:00")
    assert both.closes(VIENNA, at("2026-10-25T02:00")) == at("2026-10-25T02:00") + 2 * 3_600_000


def test_the_hour_that_is_skipped_opens_a_week_later() -> None:
    hours = Hours("Sun 02:00-03:00")
    assert hours.opens(VIENNA, at("2026-03-29T00:00")) == at("2026-04-05T02:00")
    assert Hours("Sun 01:00-04:00").closes(VIENNA, at("2026-03-29T01:00")) == at("2026-03-29T01:00") + 2 * 3_600_000


def test_a_day_that_a_zone_skips_opens_nothing() -> None:
    assert Hours("Fri 09:00-10:00").opens(APIA, at("2011-12-29T12:00", APIA)) == at("2012-01-06T09:00", APIA)


@given(st.integers(0, 500 * 24 * 60), st.sampled_from(["Mon-Fri 09:00-17:00", "Fri 22:00-02:00, Sun 02:00-03:00"]))
def test_they_are_open_exactly_when_the_wall_shows_it(minute: int, text: str) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    wall = moment.astimezone(VIENNA.rules)
    day, clock = wall.strftime("%a"), wall.strftime("%H:%M")
    expected = (
        day not in ("Sat", "Sun") and "09:00" <= clock < "17:00"
        if text.startswith("Mon")
        else (day == "Fri" and clock >= "22:00")
        or (day == "Sat" and clock < "02:00")
        or (day, clock[:2]) == ("Sun", "02")
    )
    assert Hours(text).open_at(VIENNA, int(moment.timestamp() * 1000)) is expected
