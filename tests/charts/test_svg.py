from hypothesis import given
from hypothesis import strategies as st

from balancer.charts.svg import coordinate, cut, element, label, nothing, picture
from charts.drawn import labels, read, result


@given(st.text(), st.text())
def test_whatever_a_name_is_made_of_the_text_is_well_formed(title: str, name: str) -> None:
    read(picture("forest", f"of {title}", f"is {name}", 100, 50, label(0, 0, name), element("g", class_=name)))


def test_markup_in_a_name_is_text() -> None:
    svg = picture("forest", "t", "r", 100, 50, label(0, 0, "<script>alert(1)</script>"))
    assert "<script>" not in svg
    assert labels(svg) == ["<script>alert(1)</script>"]


def test_places_are_to_a_tenth_and_never_minus_zero() -> None:
    assert [coordinate(value) for value in (1.26, -0.5, -0.01, 3.0, 1e300)] == ["1.3", "-0.5", "0", "3", "1000000"]


def test_a_label_that_is_too_long_says_so() -> None:
    assert cut("a-very-long-branch-name", 66) == "a-very-lo…"
    assert cut("test", 66) == "test"


def test_a_chart_of_nothing_says_what_is_missing() -> None:
    svg = nothing("forest", "purchase", "There is no variant to compare yet.", 720)
    assert result(svg) == " ".join(labels(svg)) == "There is no variant to compare yet."
