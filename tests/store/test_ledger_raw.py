"""The events as such, counted by DuckDB, against a slow count in Python."""

# Without it pytest and hypothesis keep the class of the engine until exit, and DuckDB complains of leaks there.
from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from balancer.domain.calendar import TimeZone, Unit, buckets, offsets
from balancer.domain.entry import Entry
from balancer.domain.split import SplitId
from balancer.errors import InvalidInput
from balancer.stats.moments import Moments
from balancer.stats.raw import RawCells, RawQuestion
from balancer.store import ledger_raw
from balancer.store.ledger import DuckLedger
from entries import entry, exposure, load

DAY = 86_400_000
OCTOBER = round(datetime(2026, 10, 24, 20, tzinfo=UTC).timestamp() * 1000)
"""In Vienna the clock is changed in the night that follows."""


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[DuckLedger]:
    engine = DuckLedger(tmp_path / "ledger.duckdb")
    yield engine
    engine.close()


def counted(cells: RawCells) -> list[tuple[str, str, int | None, int, int]]:
    """Return event, variant, bucket, events and visitors of each cell."""
    return [(cell.event, cell.variant, cell.bucket, cell.count, cell.visitors) for cell in cells.cells]


def test_a_visitor_counts_once_in_each_day_and_once_in_all(ledger: DuckLedger) -> None:
    load(ledger, exposure(1), *(entry(1, "view", ts=at) for at in (5, 6, DAY + 5)), entry(2, "view", ts=7))
    assert counted(ledger.raw(RawQuestion(app="shop", unit="day"))) == [
        ("view", "test", None, 4, 2),
        ("view", "test", 0, 3, 2),
        ("view", "test", 1, 1, 1),
    ]


def test_a_week_is_told_by_its_monday_and_a_month_by_its_first(ledger: DuckLedger) -> None:
    load(ledger, entry(1, "view", ts=0), entry(1, "view", ts=4 * DAY), entry(1, "view", ts=40 * DAY))
    for unit, buckets_of in (("week", [-3, 4, 39]), ("month", [0, 31])):
        found = ledger.raw(RawQuestion(app="shop", unit=unit)).cells
        assert [cell.bucket for cell in found if cell.bucket is not None] == buckets_of


def test_values_are_told_by_mean_and_spread_of_those_that_have_one(ledger: DuckLedger) -> None:
    load(ledger, entry(1, "buy", 2.0), entry(1, "buy", 6.0), entry(2, "buy"))
    (cell,) = ledger.raw(RawQuestion(app="shop")).cells
    assert (cell.count, cell.visitors, cell.bucket) == (3, 2, None)
    assert cell.values == Moments.of([2.0, 6.0])


def test_the_platforms_own_entries_are_told_only_where_they_are_named(ledger: DuckLedger) -> None:
    load(ledger, exposure(1), exposure(2), entry(1, "view"))
    assert [cell.event for cell in ledger.raw(RawQuestion(app="shop")).cells] == ["view"]
    assert [cell.visitors for cell in ledger.raw(RawQuestion(app="shop", event="$exposure")).cells] == [2]


def test_only_the_split_the_event_and_the_range_that_are_asked_for_count(ledger: DuckLedger) -> None:
    load(ledger, entry(1, "a", ts=10), entry(2, "a", ts=20, split="s2"), entry(3, "b", ts=30), entry(4, "a", app="x"))
    for asked, visitors in (({"split": "s2"}, 1), ({"event": "a"}, 2), ({"since": 20}, 2), ({"until": 20}, 1)):
        found = ledger.raw(RawQuestion(app="shop", **asked))
        assert sum(cell.visitors for cell in found.cells) == visitors, asked
    assert ledger.raw(RawQuestion(app="shop", event="nothing")) == RawCells()
    assert ledger.raw(RawQuestion(app="nowhere")) == RawCells()


def test_too_many_figures_are_refused_with_what_to_ask_instead(
    ledger: DuckLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_raw, "CELLS_LIMIT", 2)
    load(ledger, *(entry(1, "a", ts=day * DAY) for day in range(3)))
    with pytest.raises(InvalidInput, match="name an event"):
        ledger.raw(RawQuestion(app="shop", unit="day"))


def reference(
    entries: Iterable[Entry], zone: TimeZone, unit: Unit | None
) -> dict[tuple[str, str, int | None], tuple[int, int, Moments]]:
    """Count as `zoneinfo` and sets do."""
    seen: dict[tuple[str, str, int | None], list[Entry]] = defaultdict(list)
    for each in entries:
        seen[each.name, each.variant, None].append(each)
        if unit is Unit.HOUR:
            (bucket,) = buckets(zone, unit, each.ts, each.ts + 1)
            seen[each.name, each.variant, bucket.start].append(each)
        elif unit is not None:
            day = datetime.fromtimestamp(each.ts / 1000, ZoneInfo(zone)).date()
            first = {
                Unit.DAY: day,
                Unit.WEEK: date.fromordinal(day.toordinal() - day.weekday()),
                Unit.MONTH: day.replace(day=1),
            }[unit]
            seen[each.name, each.variant, (first - date(1970, 1, 1)).days].append(each)
    return {
        cell: (
            len(found),
            len({each.visitor for each in found}),
            Moments.of(each.value for each in found if each.value is not None),
        )
        for cell, found in seen.items()
    }


apps = itertools.count()
some_entries = some.lists(
    some.builds(
        entry,
        some.integers(min_value=1, max_value=6),
        some.sampled_from(["view", "buy"]),
        some.none() | some.floats(min_value=-100, max_value=100),
        variant=some.sampled_from(["master", "test", ""]),
        ts=some.integers(min_value=OCTOBER, max_value=OCTOBER + 12 * 3_600_000)
        | some.integers(min_value=OCTOBER - 100 * DAY, max_value=OCTOBER + 100 * DAY),
    ),
    min_size=1,
    max_size=40,
)


@pytest.mark.parametrize("unit", [None, *Unit])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    entries=some_entries,
    name=some.sampled_from(["UTC", "Europe/Vienna", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia"]),
    at_once=some.sampled_from([9, 20_000_000]),
)
def test_the_counts_are_those_of_a_slow_count(
    ledger: DuckLedger, entries: list[Entry], name: str, unit: Unit | None, at_once: int
) -> None:
    """In any zone and unit, with the visitors done at once or in parts; each example is an app of its own."""
    zone, app = TimeZone(name), f"shop{next(apps)}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger_raw, "_EVENTS_AT_ONCE", at_once)
        load(ledger, *(msgspec.structs.replace(each, app=app) for each in entries))
        cells = ledger.raw(RawQuestion(app=app, unit=unit, offsets=offsets(zone, 0, OCTOBER + 200 * DAY))).cells
    expected = reference(entries, zone, unit)
    assert {(cell.event, cell.variant, cell.bucket) for cell in cells} == set(expected)
    for cell in cells:
        count, visitors, values = expected[cell.event, cell.variant, cell.bucket]
        assert (cell.count, cell.visitors, cell.values.n) == (count, visitors, values.n)
        assert cell.values.mean == pytest.approx(values.mean, abs=1e-9)
        assert cell.values.m2 == pytest.approx(values.m2, abs=1e-6)


def test_events_that_no_split_is_told_of_are_of_no_branch(ledger: DuckLedger) -> None:
    said = msgspec.structs.replace(entry(1, "paid", 3.0), variant="", split=SplitId("s1"))
    load(ledger, said)
    assert counted(ledger.raw(RawQuestion(app="shop"))) == [("paid", "", None, 1, 1)]
