import math

from hypothesis import given
from hypothesis import strategies as st

from balancer.charts.forest import Row, forest
from balancer.charts.numbers import axis_signed_percent, signed_percent
from balancer.charts.svg import NARROW, WIDE
from balancer.charts.tone import Tone
from charts.drawn import WIDTHS, hints, labels, of_class, read, result

BETTER = Row(name="test", difference=0.009, low=0.002, high=0.016, tone=Tone.GOOD)
OPEN = Row(name="big", difference=-0.004, low=-0.0121, high=0.0041)
LATE = Row(name="late", difference=None, note="too few visitors are mature yet")


def drawn(*rows: Row, width: int = WIDE) -> str:
    return forest("purchase", rows, width, control="master", written=signed_percent, axis=axis_signed_percent)


def test_each_difference_stands_beside_its_name() -> None:
    assert {"test", "+0.90% [+0.20% to +1.60%] better", "big", "-0.40% [-1.21% to +0.41%]"} <= set(
        labels(drawn(BETTER, OPEN))
    )


def test_on_a_phone_it_stands_above_its_interval() -> None:
    assert "test: +0.90% [+0.20% to +1.60%] better" in labels(drawn(BETTER, width=NARROW))


def test_the_result_is_told_in_words() -> None:
    assert result(drawn(BETTER, LATE)) == (
        "Less master. test: +0.90% [+0.20% to +1.60%] better; late: too few visitors are mature yet."
    )


def test_only_what_is_decided_has_a_filled_mark_and_a_tone() -> None:
    svg = drawn(BETTER, OPEN, LATE)
    assert len(of_class(svg, "point")) == 1
    assert len(of_class(svg, "ring")) == 1
    assert len([mark for mark in of_class(svg, "tone-good") if mark.tag.endswith("}g")]) == 1
    assert not of_class(svg, "tone-bad")


def test_an_interval_that_leaves_0_out_is_drawn_beside_the_line_of_the_control() -> None:
    (zero,) = (line for line in of_class(drawn(BETTER), "zero") if line.get("x1") == line.get("x2"))
    ends = [float(line.get("x1") or 0) for line in of_class(drawn(BETTER), "interval")]
    assert min(ends) > float(zero.get("x1") or 0)


def test_a_far_wider_interval_ends_in_arrows_and_presses_nothing_flat() -> None:
    svg = drawn(BETTER, Row(name="wild", difference=0.003, low=-1.9, high=2.0))
    assert len(of_class(svg, "open-end")) == 2
    first, *_ = of_class(svg, "interval")
    assert float(first.get("x2") or 0) - float(first.get("x1") or 0) > 15


def test_without_variants_it_says_so() -> None:
    assert labels(drawn()) == ["There is no variant to compare yet."]


def test_a_pointer_is_told_the_figures() -> None:
    assert hints(drawn(BETTER)) == ["test: +0.90% [+0.20% to +1.60%] better"]


@given(
    st.lists(
        st.builds(
            Row,
            name=st.text(max_size=60),
            difference=st.none() | st.floats(),
            low=st.floats(),
            high=st.floats(),
            tone=st.sampled_from(Tone),
        ),
        max_size=4,
    )
)
def test_any_figures_make_a_chart(rows: list[Row]) -> None:
    for width in WIDTHS:
        read(forest("t", rows, width))


def test_an_endless_interval_has_arrows_on_both_sides() -> None:
    assert len(of_class(drawn(Row(name="a", difference=0.1, low=-math.inf, high=math.inf)), "open-end")) == 2


def test_no_line_crosses_the_words_of_a_row_on_a_phone() -> None:
    svg = drawn(BETTER, BETTER, BETTER, width=NARROW)
    words = [float(text.get("y") or 0) for text in of_class(svg, "label")]
    assert len(words) == 3
    for line in [*of_class(svg, "grid"), *of_class(svg, "zero")]:
        y1, y2 = float(line.get("y1") or 0), float(line.get("y2") or 0)
        assert not any(y1 < y < y2 or y1 < y - 11 < y2 for y in words)
