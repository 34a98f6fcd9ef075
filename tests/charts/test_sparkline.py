from hypothesis import given
from hypothesis import strategies as st

from balancer.charts.sparkline import sparkline
from charts.drawn import of_class, read, result


def test_it_tells_the_last_the_least_and_the_most() -> None:
    assert result(sparkline("requests", [3, 12, 10])) == "10 at last; from 3 to 12"


def test_where_a_figure_is_lacking_the_line_has_a_gap() -> None:
    assert len(of_class(sparkline("requests", [3, 4, None, 5, 6]), "line")) == 2


def test_it_begins_at_0_so_that_a_tremor_is_no_mountain() -> None:
    (line,) = of_class(sparkline("requests", [100, 101]), "line")
    heights = [float(place.split()[1]) for place in (line.get("d") or "")[1:].split("L")]
    assert abs(heights[0] - heights[1]) < 1


def test_without_figures_it_is_a_line_of_dots() -> None:
    assert result(sparkline("requests", [None])) == "nothing yet"
    assert of_class(sparkline("requests", []), "absent")


@given(st.lists(st.none() | st.floats(), max_size=8))
def test_any_figures_make_a_chart(values: list[float | None]) -> None:
    read(sparkline("t", values))
