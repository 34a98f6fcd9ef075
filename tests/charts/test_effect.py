from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from balancer.charts.effect import Look, effect
from balancer.charts.numbers import axis_signed_percent, signed_percent
from balancer.charts.tone import Tone
from charts.drawn import WIDTHS, hints, labels, of_class, read, result

VIENNA = ZoneInfo("Europe/Vienna")
FIRST = datetime(2026, 10, 20, tzinfo=VIENNA).timestamp() * 1000
DAY = 86_400_000.0
LOOKS = [
    Look(at=FIRST, difference=None),
    Look(at=FIRST + DAY, difference=0.02, low=-0.4, high=0.44),
    Look(at=FIRST + 2 * DAY, difference=0.011, low=-0.004, high=0.026),
    Look(at=FIRST + 3 * DAY, difference=0.009, low=0.002, high=0.016),
]


def drawn(looks: list[Look], decided: float | None = None, tone: Tone = Tone.OPEN) -> str:
    return effect(
        "Effect",
        looks,
        zone=VIENNA,
        decided=decided,
        tone=tone,
        written=signed_percent,
        axis=axis_signed_percent,
    )


def test_the_last_difference_stands_at_the_end_of_its_line() -> None:
    assert labels(drawn(LOOKS))[-1] == "+0.90%"


def test_the_result_says_where_it_began_and_where_it_is() -> None:
    assert result(drawn(LOOKS, tone=Tone.GOOD)) == (
        "3 looks, from 21 Oct to 23 Oct 2026. At first +2.00% [-40.00% to +44.00%]; "
        "at last +0.90% [+0.20% to +1.60%], better."
    )


def test_a_look_whose_band_leaves_0_out_is_filled() -> None:
    assert (len(of_class(drawn(LOOKS), "ring")), len(of_class(drawn(LOOKS), "dot"))) == (2, 1)


def test_an_early_band_that_is_far_too_wide_does_not_press_the_rest_flat() -> None:
    assert [text for text in labels(drawn(LOOKS)) if text.endswith("%")] == ["-2%", "+2%", "+4%", "+6%", "+0.90%"]


def test_a_look_that_could_not_say_anything_is_a_gap() -> None:
    gap = [LOOKS[1], LOOKS[2], Look(at=FIRST + 2.5 * DAY, difference=None), LOOKS[3], Look(**_of(LOOKS[3], 4))]
    assert len(of_class(drawn(gap), "band")) == 2
    assert len(of_class(drawn(LOOKS), "band")) == 1


def test_the_decision_is_marked() -> None:
    assert "decided" in labels(drawn(LOOKS, decided=LOOKS[3].at))
    assert "decided" not in labels(drawn(LOOKS))


def test_a_pointer_is_told_each_look_in_the_time_of_the_zone() -> None:
    assert hints(drawn(LOOKS))[0] == "21 Oct 00:00: +2.00% [-40.00% to +44.00%]"


def test_without_looks_it_says_so() -> None:
    assert labels(drawn([LOOKS[0]])) == ["No look could compare the variants yet."]


def test_a_single_look_is_an_interval() -> None:
    assert result(drawn(LOOKS[3:])) == "One look. It is +0.90% [+0.20% to +1.60%], no difference shown yet."


@given(
    st.lists(
        st.builds(Look, at=st.floats(), difference=st.none() | st.floats(), low=st.floats(), high=st.floats()),
        max_size=5,
    )
)
def test_any_figures_make_a_chart(looks: list[Look]) -> None:
    for width in WIDTHS:
        read(effect("t", looks, width, zone=VIENNA))


def _of(look: Look, day: float) -> dict[str, float]:
    assert look.difference is not None
    return {"at": FIRST + day * DAY, "difference": look.difference, "low": look.low, "high": look.high}
