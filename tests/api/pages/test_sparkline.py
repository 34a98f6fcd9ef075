"""Sparklines, as points."""

from balancer.api.pages.sparkline import HEIGHT, POINTS, WIDTH, sparkline
from balancer.services.rates import KEPT, Rate, Series


def points(text: str) -> list[tuple[float, float]]:
    """Return the points of a line."""
    return [(float(x), float(y)) for x, _, y in (each.partition(",") for each in text.split())]


def series(*requests: float, errors: float = 0.0) -> Series:
    """Return a series of these rates."""
    return Series(tuple(Rate(each, errors) for each in requests))


def test_a_series_without_rates_has_no_line() -> None:
    assert sparkline(Series()) == sparkline(Series())
    assert (sparkline(Series()).requests, sparkline(Series()).errors, sparkline(Series()).most) == ("", "", 0.0)


def test_a_line_has_few_points_ends_at_the_right_and_keeps_its_highest_value() -> None:
    line = sparkline(series(*[1.0] * 70, 9.0, *[1.0] * (KEPT - 71)))
    drawn = points(line.requests)
    assert len(drawn) == POINTS
    assert drawn[-1][0] == WIDTH
    assert line.most == 9.0
    assert min(y for _, y in drawn) == 1.0


def test_a_series_that_has_just_begun_is_at_the_right_end() -> None:
    drawn = points(sparkline(series(1.0, 2.0, 3.0, 4.0)).requests)
    assert len(drawn) == 2
    assert drawn[-1] == (WIDTH, 1.0)


def test_nothing_but_zeros_is_a_line_at_the_bottom() -> None:
    assert {y for _, y in points(sparkline(series(0.0, 0.0, 0.0)).requests)} == {HEIGHT - 1}


def test_errors_are_an_area_on_the_scale_of_the_requests() -> None:
    area = points(sparkline(series(*[4.0] * 6, errors=2.0)).errors)
    assert area[0][1] == area[-1][1] == HEIGHT
    assert {y for _, y in area[1:-1]} == {HEIGHT / 2}
    assert sparkline(series(4.0)).errors == ""
