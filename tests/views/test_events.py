from dataclasses import replace

import pytest

from balancer.domain.calendar import TimeZone, Unit, buckets, moment
from balancer.services.raw_stats import RawBucket, RawRow, RawStatistics, _shown
from balancer.views.events import NOBODY, event_views
from balancer.views.table import csv_of
from charts.drawn import hints, labels, of_class, result

MASTER = RawRow(
    event="bought",
    branch="master",
    bucket="2026-10-25",
    count=5,
    valued=4,
    mean=2.5,
    sd=1.25,
    visitors=3,
)
DAYS = tuple(
    RawBucket(label=label, start=start, end=end, hours=hours)
    for label, start, end, hours in (
        ("2026-10-25", "2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00", 25.0),
        ("2026-10-26", "2026-10-26T00:00+01:00", "2026-10-27T00:00+01:00", 24.0),
    )
)
FOUND = RawStatistics(
    app="shop",
    timezone="Europe/Vienna",
    by=Unit.DAY,
    split="s1",
    buckets=DAYS,
    rows=(MASTER, replace(MASTER, branch=None, bucket="2026-10-26", count=1, mean=None, sd=None)),
    totals=(replace(MASTER, bucket=None), replace(MASTER, bucket=None, branch=None, count=1)),
)


def test_each_event_has_a_panel_for_each_branch() -> None:
    (view,) = event_views(FOUND)
    assert {"master", NOBODY, "5 events of 3 visitors"} <= set(labels(view.figure.wide))
    assert result(view.figure.wide) == f"master up to 5; {NOBODY} up to 1."


def test_a_day_of_25_hours_is_a_column_of_25_hours() -> None:
    (view,) = event_views(FOUND)
    assert hints(view.figure.wide)[0] == "2026-10-25: 5 events of 3 visitors"
    first, second = (float(area.get("width", "")) for area in of_class(view.figure.wide, "area"))
    assert first / second == pytest.approx(25 / 24, rel=0.01)
    assert [line.points[0][0] for line in view.figure.lines] == ["2026-10-25", "2026-10-26"], (
        "by date, where it is zoomed"
    )


def of_hours(zone: str, first: str, last: str) -> RawStatistics:
    """Return statistics with an event in each hour from one date or time to another."""
    named = TimeZone(zone)
    shown = tuple(_shown(named, each) for each in buckets(named, Unit.HOUR, moment(named, first), moment(named, last)))
    rows = tuple(replace(MASTER, bucket=each.label) for each in shown)
    return replace(FOUND, timezone=zone, by=Unit.HOUR, buckets=shown, rows=rows, totals=FOUND.totals[:1])


def hours_of(found: RawStatistics, clock: TimeZone | None = None) -> list[str]:
    (view,) = event_views(found, clock)
    names = [row[0].text for row in view.figure.table.rows]
    assert [hint.partition(": ")[0] for hint in hints(view.figure.wide)] == names
    assert [str(row[0].raw) for row in view.figure.table.rows] == [row.bucket for row in found.rows], "as in the CSV"
    return names


def test_the_hour_that_comes_twice_is_two_rows_and_the_one_that_is_skipped_none() -> None:
    assert hours_of(of_hours("Europe/Berlin", "2026-10-25T01:00", "2026-10-25T04:00")) == [
        "2026-10-25 01:00 +02:00",
        "2026-10-25 02:00 +02:00",
        "2026-10-25 02:00 +01:00",
        "2026-10-25 03:00 +01:00",
    ]
    assert hours_of(of_hours("Europe/Berlin", "2026-03-29T01:00", "2026-03-29T04:00")) == [
        "2026-03-29 01:00 +01:00",
        "2026-03-29 03:00 +02:00",
    ]
    assert hours_of(of_hours("Australia/Lord_Howe", "2026-04-05T01:00", "2026-04-05T03:00")) == [
        "2026-04-05 01:00 +11:00",
        "2026-04-05 01:30 +10:30",
        "2026-04-05 02:00 +10:30",
    ]
    assert hours_of(of_hours("Australia/Lord_Howe", "2026-10-04T01:00", "2026-10-04T04:00")) == [
        "2026-10-04 01:00 +10:30",
        "2026-10-04 02:30 +11:00",
        "2026-10-04 03:00 +11:00",
    ]


def test_hours_are_shown_by_the_clock_of_whoever_looks_and_days_are_the_apps() -> None:
    tokyo = TimeZone("Asia/Tokyo")
    found = of_hours("Europe/Berlin", "2026-10-25T02:00", "2026-10-25T04:00")
    assert hours_of(found, tokyo) == [f"2026-10-25 {hour}:00 +09:00" for hour in ("09", "10", "11")]
    assert {"09:00", "10:00", "11:00"} <= set(labels(event_views(found, tokyo)[0].figure.wide))
    (days,) = event_views(FOUND, tokyo)
    assert [row[0].text for row in days.figure.table.rows] == ["2026-10-25", "2026-10-26"]
    assert {"25 Oct", "26 Oct"} <= set(labels(days.figure.wide))


def test_a_single_day_is_named_by_its_date_and_by_no_hour() -> None:
    (view,) = event_views(replace(FOUND, rows=FOUND.rows[:1], totals=FOUND.totals[:1], buckets=DAYS[:1]))
    assert "25 Oct" in labels(view.figure.wide)
    assert not any(":" in label for label in labels(view.figure.wide))
    assert view.figure.table.heads[0].text == "Day"


def test_the_table_has_every_figure_and_no_number_for_what_is_lacking() -> None:
    (view,) = event_views(FOUND)
    assert csv_of(view.figure.table).splitlines()[1:] == [
        "2026-10-25,master,5,3,4,2.5,1.25",
        f"2026-10-26,{NOBODY},1,3,4,,",
    ]
    assert [cell.text for cell in view.totals.rows[0]] == ["master", "5", "3", "4", "2.5", "1.25"]


def test_without_events_there_is_nothing() -> None:
    assert event_views(replace(FOUND, rows=(), totals=())) == ()


def test_branches_have_the_places_and_so_the_colours_that_they_have_in_every_chart_of_their_split() -> None:
    totals = tuple(replace(MASTER, bucket=None, branch=branch) for branch in ("blue", "gone", "test", None))
    found = replace(FOUND, rows=(), totals=totals)
    (view,) = event_views(found, branches=["master", "test", "blue"])
    names = [line.name for line in view.figure.lines]
    assert names == ["master", "test", "blue", "gone", NOBODY]
    assert [row[0].text for row in view.totals.rows] == names
    assert [cell.text for cell in view.totals.rows[0][1:3]] == ["0", "0"], "nobody of master did it"
