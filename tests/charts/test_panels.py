"""Columns in panels: bars over time and the distribution of a value."""

from hypothesis import given
from hypothesis import strategies as st

from balancer.charts.bars import bars
from balancer.charts.histogram import histogram
from balancer.charts.panels import Column, Panel
from charts.drawn import WIDTHS, hints, labels, of_class, read, result

HOUR = 3_600_000.0
FIRST = 1_792_454_400_000.0  # 2026-10-20T00:00Z


def panel(name: str, *heights: float, note: str = "") -> Panel:
    columns = (
        Column(start=FIRST + n * HOUR, end=FIRST + (n + 1) * HOUR, height=height, text=f"{n}:00 {height:g} events")
        for n, height in enumerate(heights)
    )
    return Panel(name=name, columns=tuple(columns), note=note)


def test_panels_have_one_scale_so_that_they_can_be_compared() -> None:
    svg = bars("purchase", [panel("master", 10, 20), panel("test", 5, 10)])
    heights = [float(column.get("height") or 0) for column in of_class(svg, "area")]
    assert heights[0] == heights[3] == heights[1] / 2 == heights[2] * 2


def test_each_branch_is_named_above_its_panel() -> None:
    svg = bars("purchase", [panel("master", 1, note="1 event"), panel("test", 2)])
    assert {"master", "1 event", "test"} <= set(labels(svg))


def test_the_result_tells_the_most_of_each() -> None:
    assert result(bars("purchase", [panel("master", 10, 2000), panel("test")])) == ("master up to 2,000; test nothing.")


def test_a_pointer_is_told_each_figure() -> None:
    assert hints(bars("purchase", [panel("master", 10, 20)])) == ["0:00 10 events", "1:00 20 events"]


def test_hundreds_of_columns_have_no_air_between_them() -> None:
    first, second, *_ = of_class(bars("purchase", [panel("master", *range(1, 700))]), "area")
    assert abs(float(first.get("x") or 0) + float(first.get("width") or 0) - float(second.get("x") or 0)) <= 0.11


def test_where_nothing_happened_it_says_so() -> None:
    assert labels(bars("purchase", [panel("master")])) == ["Nothing happened in this time."]


def test_a_distribution_tells_its_notes() -> None:
    bins = tuple(Column(start=n, end=n + 1, height=part, text="") for n, part in enumerate((0.3, 0.1)))
    svg = histogram("revenue", [Panel(name="master", columns=bins, note="60% gave nothing")], ["0", "10"])
    assert result(svg) == "master: 60% gave nothing."
    assert {"0%", "10", "0"} <= set(labels(svg))


def test_a_distribution_of_nothing_says_so() -> None:
    assert labels(histogram("revenue", [], [])) == ["No visitor has given a value yet."]


PANELS = st.lists(
    st.builds(
        Panel,
        name=st.text(),
        columns=st.lists(
            st.builds(Column, start=st.floats(), end=st.floats(), height=st.floats(), text=st.text()), max_size=3
        ).map(tuple),
        note=st.text(),
    ),
    max_size=3,
)


@given(PANELS)
def test_any_figures_make_a_chart(panels: list[Panel]) -> None:
    for width in WIDTHS:
        read(bars("t", panels, width))
        read(histogram("t", panels, ["1", "2"], width))
