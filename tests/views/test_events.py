from dataclasses import replace

from balancer.domain.calendar import Unit
from balancer.services.raw_stats import RawBucket, RawRow, RawStatistics
from balancer.views.events import NOBODY, event_views
from balancer.views.table import csv_of
from charts.drawn import hints, labels, result

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
    first, second = view.figure.lines[0].points[0][0], view.figure.lines[1].points[0][0]
    assert second - first == 25 * 3_600_000


def test_the_table_has_every_figure_and_no_number_for_what_is_lacking() -> None:
    (view,) = event_views(FOUND)
    assert csv_of(view.figure.table).splitlines()[1:] == [
        "2026-10-25,master,5,3,4,2.5,1.25",
        f"2026-10-26,{NOBODY},1,3,4,,",
    ]
    assert [cell.text for cell in view.totals.rows[0]] == ["master", "5", "3", "4", "2.5", "1.25"]


def test_without_events_there_is_nothing() -> None:
    assert event_views(replace(FOUND, rows=(), totals=())) == ()
