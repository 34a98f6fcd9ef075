import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from balancer.charts.guardrails import Guardrail, Limit, Point, guardrails
from charts.drawn import WIDTHS, labels, of_class, read, result

FIRST = 1_792_454_400_000.0
LIMITS = [Limit(e=20, text="in doubt"), Limit(e=100, text="roll back")]


def rail(name: str, *es: float) -> Guardrail:
    points = tuple(Point(at=FIRST + 60_000 * number, log_e=math.log(e)) for number, e in enumerate(es))
    return Guardrail(name=name, points=points)


def drawn(*rails: Guardrail) -> str:
    return guardrails("Guardrails", rails, LIMITS)


def test_each_guardrail_is_named_with_its_last_e() -> None:
    assert {"errors 130", "latency 0.4"} <= set(labels(drawn(rail("errors", 1, 3, 130), rail("latency", 1, 0.4))))


def test_the_result_tells_the_last_and_the_largest_e() -> None:
    assert result(drawn(rail("errors", 1, 50, 7))) == (
        "E of errors 7 at last, 50 at most. Limits: 20 in doubt, 100 roll back."
    )


def test_the_limits_are_lines_with_their_names() -> None:
    svg = drawn(rail("errors", 1, 2))
    assert {"20 in doubt", "100 roll back"} <= set(labels(svg))
    assert len(of_class(svg, "limit")) == 2


def test_ten_times_the_evidence_is_always_the_same_way() -> None:
    (line,) = of_class(drawn(rail("errors", 1, 10, 100)), "line")
    heights = [float(place.split()[1]) for place in (line.get("d") or "")[1:].split("L")]
    assert abs((heights[0] - heights[1]) - (heights[1] - heights[2])) < 0.2


def test_evidence_without_end_is_drawn_at_the_end() -> None:
    endless = Guardrail(name="errors", points=(Point(at=FIRST, log_e=math.inf), Point(at=FIRST + 1, log_e=5000.0)))
    assert "errors over 1G" in labels(drawn(endless))


def test_names_that_would_cover_each_other_are_moved_apart() -> None:
    svg = drawn(*(rail(f"r{number}", 1, 2) for number in range(6)))
    heights = sorted(float(text.get("y") or 0) for text in of_class(svg, "label") if (text.text or "").startswith("r"))
    assert all(after - before >= 14.9 for before, after in pairwise(heights))


def test_names_at_the_lower_end_stay_within_the_chart() -> None:
    svg = drawn(*(rail(f"r{number}", 1, 0.001) for number in range(6)))
    assert max(float(text.get("y") or 0) for text in of_class(svg, "label")) <= 260 - 26


def test_without_guardrails_it_says_so() -> None:
    assert labels(drawn()) == ["No guardrail has said anything yet."]


@given(
    st.lists(
        st.builds(
            Guardrail,
            name=st.text(),
            points=st.lists(st.builds(Point, at=st.floats(), log_e=st.floats()), max_size=3).map(tuple),
        ),
        max_size=8,
    )
)
def test_any_figures_make_a_chart(rails: list[Guardrail]) -> None:
    for width in WIDTHS:
        read(guardrails("t", rails, LIMITS, width))
