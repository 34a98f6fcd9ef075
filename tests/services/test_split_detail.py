"""Visitors by day and phase, from the cells of a split."""

from balancer.domain.calendar import TimeZone
from balancer.services.split_detail import visitor_days
from balancer.stats.cells import ExposedCell, SplitCells
from services.test_report import FEAT, NOON, SPLIT

UTC = TimeZone("UTC")
HOUR = 3_600_000
BEGAN = round(NOON.timestamp() * 1000)
FIRST_DAY = BEGAN // (24 * HOUR)
NOW = BEGAN + 30 * HOUR


def cell(day: int, phase: int, variant: str, visitors: int) -> ExposedCell:
    return ExposedCell(phase=phase, variant=variant, day=FIRST_DAY + day, visitors=visitors)


def test_a_day_is_cut_where_the_weights_changed_and_where_it_is_now() -> None:
    cells = SplitCells(
        exposed=(cell(0, 1, "master", 9), cell(0, 1, FEAT.slug, 1), cell(1, 1, "master", 4), cell(1, 2, "master", 3))
    )
    found = visitor_days(SPLIT, UTC, cells, NOW)
    assert found.branches == ("master", "feat/x")
    assert [(each.day, each.phase, each.visitors) for each in found.spans] == [
        ("2026-03-01", 1, (9, 1)),
        ("2026-03-02", 1, (4, 0)),
        ("2026-03-02", 2, (3, 0)),
    ]
    assert [(each.start - BEGAN, each.end - BEGAN) for each in found.spans] == [
        (0, 12 * HOUR),
        (12 * HOUR, 24 * HOUR),
        (24 * HOUR, 30 * HOUR),
    ]


def test_visitors_of_a_day_before_the_split_began_are_shown_too() -> None:
    found = visitor_days(SPLIT, UTC, SplitCells(exposed=(cell(-3, 1, "master", 2),)), NOW)
    assert [(each.day, each.visitors) for each in found.spans] == [("2026-02-26", (2, 0))]


def test_nobody_is_no_day() -> None:
    assert visitor_days(SPLIT, UTC, SplitCells(), NOW).spans == ()
