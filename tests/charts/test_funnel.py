from hypothesis import given
from hypothesis import strategies as st

from balancer.charts.funnel import Lane, funnel
from balancer.charts.svg import NARROW, WIDE
from charts.drawn import WIDTHS, labels, of_class, read, result

LANES = [
    Lane(name="master", visitors=1000, reached=(900, 90)),
    Lane(name="test", visitors=1000, reached=(950, 120)),
]


def test_each_step_has_a_bar_for_each_variant_with_its_figures() -> None:
    svg = funnel("Funnel", ["cart", "purchase"], LANES)
    assert {"1. cart", "2. purchase", "900 of 1,000  90.00%", "120 of 1,000  12.00%"} <= set(labels(svg))
    widths = [float(bar.get("width") or 0) for bar in of_class(svg, "area")]
    assert abs(widths[0] / widths[2] - 10) < 0.1


def test_the_result_tells_the_steps_in_words() -> None:
    assert result(funnel("Funnel", ["cart", "purchase"], LANES)) == (
        "master 900 → 90 of 1,000; test 950 → 120 of 1,000."
    )


def test_on_a_phone_parts_stand_without_counts() -> None:
    assert "90.00%" in labels(funnel("Funnel", ["cart", "purchase"], LANES, NARROW))


def test_without_visitors_it_says_so() -> None:
    nobody = [Lane(name="master", visitors=0, reached=())]
    assert labels(funnel("Funnel", ["cart"], nobody, WIDE)) == ["No visitor was counted yet."]


@given(
    st.lists(st.text(), max_size=4),
    st.lists(
        st.builds(
            Lane,
            name=st.text(),
            visitors=st.integers(0, 1 << 62),
            reached=st.lists(st.integers(0, 1 << 62), max_size=4).map(tuple),
        ),
        max_size=3,
    ),
)
def test_any_figures_make_a_chart(steps: list[str], lanes: list[Lane]) -> None:
    for width in WIDTHS:
        read(funnel("t", steps, lanes, width))
