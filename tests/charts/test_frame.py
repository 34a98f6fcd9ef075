"""The lower axis: times that have a name, apart from each other and within the picture."""

from datetime import UTC
from itertools import pairwise

import pytest

from balancer.charts.frame import Frame
from balancer.charts.scale import moments
from balancer.charts.svg import MIDDLE, WIDTHS, picture, text_width
from charts.drawn import labels, of_class

FIRST = 1_792_454_400_000.0  # 2026-10-20T00:00Z
SECOND, DAY = 1000.0, 86_400_000.0


def drawn(span: float, width: float) -> str:
    frame = Frame.within(width, 200)
    parts = frame.times(moments([FIRST, FIRST + span], frame.left, frame.right), UTC)
    return picture("times", "Times", "Times.", width, 200, *parts)


def test_an_axis_of_seconds_names_its_ends() -> None:
    assert labels(drawn(20 * SECOND, MIDDLE)) == ["00:00:00", "00:00:20"]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("days", [0.01, 0.3, 2, 15, 70, 800])
def test_names_stand_apart_and_end_with_the_picture(width: int, days: float) -> None:
    svg = drawn(days * DAY, width)
    places = [(float(text.get("x") or 0), text_width(text.text or "") / 2) for text in of_class(svg, "tick")]
    assert len(places) >= 2
    assert all(before + half < after - other for (before, half), (after, other) in pairwise(places))
    assert places[-1][0] + places[-1][1] <= width
