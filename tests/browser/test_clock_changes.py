"""Hours, days, weeks and months over the nights in which the clock is changed, by command and on a page."""

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, expect

from browsers import visit
from running import Running, app_files, running

Json = dict[str, Any]
MINUTE, HALF_HOUR = timedelta(minutes=1), timedelta(minutes=30)
BERLIN, ISLE = ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Lord_Howe")
# When the clock is changed; on Lord Howe Island by half an hour.
CHANGES = {
    "berlin": (BERLIN, "2026-03-29T01:00Z", "2026-10-25T01:00Z"),
    "isle": (ISLE, "2026-04-04T15:00Z", "2026-10-03T15:30Z"),
}


def set_clock(directory: Path, to: str) -> None:
    """Let it be some time for the platform."""
    offset = datetime.fromisoformat(to) - datetime.now(UTC)
    fresh = directory / "offset.new"
    fresh.write_text(str(offset.total_seconds()))
    fresh.replace(directory / "offset")


def bought(app: str) -> list[datetime]:
    """Return when somebody buys: each half hour from five hours before a change to five after it, at ten past."""
    _, *changes = CHANGES[app]
    nights = (datetime.fromisoformat(change) + MINUTE * 10 for change in changes)
    return [night + HALF_HOUR * each for night in nights for each in range(-10, 10)]


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Give an app in each zone, with a split since before the first change."""
    directory = tmp_path_factory.mktemp("nights")
    set_clock(directory, "2026-03-27T12:00Z")
    with running(directory, BALANCER_CLOCK_OFFSET=str(directory / "offset")) as platform:
        for app, (zone, *_) in CHANGES.items():
            repository = platform.create(app)
            for branch in ("master", "test"):
                repository.commit({**app_files("1"), "balancer.toml": f'timezone = "{zone.key}"\n'}, branch)
                repository.push(branch)
            platform.split(app, master=50, test=50)
        set_clock(directory, "2026-10-26T06:00Z")
        for app in CHANGES:
            began = round(platform.client.split(app).phases[0].started_at.timestamp() * 1000)
            of = {
                "split": str(platform.client.split(app).id),
                "phase": 1,
                "variant": "master",
                "assigned_at": began + 1,
            }
            row = {**of, "visitor": str(uuid.UUID(int=7, version=4))}
            rows = [{**row, "name": "$exposure", "ts": began + 1}]
            rows += [{**row, "name": "bought", "ts": round(at.timestamp() * 1000)} for at in bought(app)]
            lines = "\n".join(map(json.dumps, rows)).encode()
            assert not platform.client.import_events(app, lines, name=f"nights{app}", first=0).refused
        yield platform


def hour_of(at: datetime, zone: ZoneInfo) -> datetime:
    """Return when the hour on the wall began, minute by minute: at the full hour, or when the clock was changed."""
    shown = at.replace(second=0, microsecond=0).astimezone(zone)
    while shown.minute:
        before = (shown.astimezone(UTC) - MINUTE).astimezone(zone)
        if before.utcoffset() != shown.utcoffset():
            break
        shown = before
    return shown


def label_of(at: datetime, zone: ZoneInfo, by: str) -> str:
    date = at.astimezone(zone).date()
    match by:
        case "hour":
            return hour_of(at, zone).isoformat(timespec="minutes")
        case "week":
            return (date - timedelta(days=date.weekday())).isoformat()
        case _:
            return date.isoformat()[: 7 if by == "month" else 10]


@pytest.mark.parametrize("by", ["hour", "day", "week", "month"])
@pytest.mark.parametrize("app", CHANGES)
def test_each_is_counted_where_the_wall_shows_it(nights: Running, app: str, by: str) -> None:
    found = cast("Json", nights.json("stats", app, "--by", by, "--event", "bought"))
    wanted = Counter(label_of(at, CHANGES[app][0], by) for at in bought(app))
    assert {row["bucket"]: row["count"] for row in found["rows"]} == wanted
    assert all(one["end"] == following["start"] for one, following in pairwise(found["buckets"]))
    assert len({bucket["label"] for bucket in found["buckets"]}) == len(found["buckets"])
    lasts = {bucket["label"]: bucket["hours"] for bucket in found["buckets"]}
    odd = {
        label: hours for label, hours in lasts.items() if hours % {"hour": 1, "day": 24, "week": 168, "month": 24}[by]
    }
    assert (
        odd
        == {
            ("berlin", "hour"): {},
            ("berlin", "day"): {"2026-03-29": 23, "2026-10-25": 25},
            ("berlin", "week"): {"2026-03-23": 167, "2026-10-19": 169},
            ("berlin", "month"): {"2026-03": 743, "2026-10": 745},
            ("isle", "hour"): {"2026-04-05T01:30+10:30": 0.5, "2026-10-04T02:30+11:00": 0.5},
            ("isle", "day"): {"2026-04-05": 24.5, "2026-10-04": 23.5},
            ("isle", "week"): {"2026-03-30": 168.5, "2026-09-28": 167.5},
            ("isle", "month"): {"2026-04": 720.5, "2026-10": 743.5},
        }[app, by]
    )


def test_on_the_page_the_hour_that_comes_twice_is_two_columns_two_rows_and_two_names(
    browser: Browser, nights: Running
) -> None:
    with visit(browser, nights, zone="Europe/Berlin") as operator:
        operator.sign_in()
        page = operator.page
        page.goto("/apps/berlin/split?by=hour#events")
        chart = page.locator('figure[id="event-bought"]')
        names = chart.locator("svg.chart-wide text.tick").all_text_contents()
        assert [name for name in names if name.startswith("02:00")] == ["02:00+02", "02:00+01"]
        chart.get_by_text("Table").click()
        cells = chart.locator("tbody tr td:first-child").all_text_contents()
        assert [cell for cell in cells if " 02:00" in cell] == ["2026-10-25 02:00 +02:00", "2026-10-25 02:00 +01:00"]
        hints = chart.locator("svg.chart-wide g > title").all_text_contents()
        assert [hint.partition(": ")[0] for hint in hints] == cells
        operator.keep_picture_of("clock-changes", chart)
        chart.get_by_role("button", name="Zoom").click()
        expect(chart.locator(".zoomed .main-svg").first).to_be_visible()
        drawn = chart.locator(".zoomed").evaluate("place => place.data[0].x.map(String)")
        twice = [each for each in drawn if "02:00" in each]
        assert [each.rpartition(" ")[2] for each in twice] == ["GMT+2", "GMT+1"]
        assert len(set(drawn)) == len(drawn)


def test_on_the_page_somebody_far_away_sees_hours_by_their_clock_and_is_told_whose_the_days_are(
    browser: Browser, nights: Running
) -> None:
    with visit(browser, nights, zone="Australia/Lord_Howe") as operator:
        operator.sign_in()
        operator.page.goto("/apps/berlin/split?by=hour#events")
        expect(operator.page.get_by_role("main")).to_contain_text(
            "days of the charts are those of the app (Europe/Berlin), times are yours (Australia/Lord_Howe)"
        )
        chart = operator.page.locator('figure[id="event-bought"]')
        chart.get_by_text("Table").click()
        assert "2026-10-25 11:00 +11:00" in chart.locator("tbody tr td:first-child").all_text_contents()
        with operator.page.expect_download() as download:
            chart.get_by_role("link", name="CSV").click()
        assert "2026-10-25T02:00+02:00,master,2," in Path(download.value.path()).read_text()
