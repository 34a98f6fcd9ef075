from hypothesis import given
from hypothesis import strategies as st

from balancer.charts.shares import Phase, Span, shares
from balancer.charts.svg import WIDE
from charts.drawn import WIDTHS, hints, labels, of_class, read, result

DAY = 86_400_000.0
FIRST = 1_792_454_400_000.0  # 2026-10-20T00:00Z
SPANS = [
    Span(start=FIRST, end=FIRST + DAY, visitors=(900, 100)),
    Span(start=FIRST + DAY, end=FIRST + 2 * DAY, visitors=(0, 0)),
    Span(start=FIRST + 2 * DAY, end=FIRST + 3 * DAY, visitors=(520, 480)),
]
PHASES = [
    Phase(number=1, start=FIRST, intended=(0.9, 0.1)),
    Phase(number=2, start=FIRST + 2 * DAY, intended=(0.5, 0.5)),
]


def drawn(width: int = WIDE) -> str:
    return shares("Visitors", ["master", "test"], SPANS, PHASES, width)


def test_the_result_says_who_got_what_of_how_many() -> None:
    assert result(drawn()) == (
        "master 71.00% of 2,000 (now intended 50.00%), test 29.00% of 2,000 (now intended 50.00%). "
        "2 phases; the dashed lines are what was intended."
    )


def test_the_parts_of_a_day_are_as_high_as_its_visitors() -> None:
    first, second = of_class(drawn(), "area")[:2]
    heights = float(first.get("height") or 0), float(second.get("height") or 0)
    assert abs(heights[0] / sum(heights) - 0.9) < 0.002


def test_a_day_without_visitors_is_empty() -> None:
    assert hints(drawn()) == ["Tue 20 Oct: master 900, test 100", "Thu 22 Oct: master 520, test 480"]


def test_phases_are_bands_with_their_numbers() -> None:
    assert {"phase 1", "phase 2"} <= set(labels(drawn()))
    assert len(of_class(drawn(), "phase")) == 2


def test_what_was_intended_is_a_line_that_steps_where_the_weights_were_changed() -> None:
    (dashed,) = of_class(drawn(), "intended-dash")
    heights = {place.split()[1] for place in (dashed.get("d") or "")[1:].split("L")}
    assert len(heights) == 2


def test_each_variant_is_named_beside_its_part() -> None:
    assert labels(drawn())[-2:] == ["master", "test"]


def test_without_visitors_it_says_so() -> None:
    assert labels(shares("t", ["a", "b"], [], [])) == ["No visitor was counted yet."]


@given(
    st.lists(
        st.builds(Span, start=st.floats(), end=st.floats(), visitors=st.tuples(st.integers(0, 1 << 62), st.just(3))),
        max_size=3,
    ),
    st.lists(st.builds(Phase, number=st.integers(1, 9), start=st.floats(), intended=st.just((0.5, 0.5))), max_size=3),
)
def test_any_figures_make_a_chart(spans: list[Span], phases: list[Phase]) -> None:
    for width in WIDTHS:
        read(shares("t", ["a", "b" * 80], spans, phases, width))


def test_a_day_that_has_only_begun_is_wide_and_named_by_its_date() -> None:
    begun = [Span(start=FIRST + DAY / 2, end=FIRST + DAY / 2 + 120_000, visitors=(5, 5))]
    chart = shares("Visitors", ["master", "test"], begun, PHASES[:1])
    assert all(float(area.get("width") or 0) > WIDE / 2 for area in of_class(chart, "area"))
    assert "20 Oct" in labels(chart)
    assert not any(":" in label for label in labels(chart))
