from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from balancer.charts.ramp import Kind, Mark, Step, ramp
from charts.drawn import WIDTHS, hints, labels, of_class, read, result

HOUR = 3_600_000.0
FIRST = 1_792_454_400_000.0  # 2026-10-20T00:00Z
NAMES = ("master", "test", "blue")
STEPS = [
    Step(at=FIRST, weights=(0.98, 0.01, 0.01)),
    Step(at=FIRST + HOUR, weights=(0.5, 0.25, 0.25)),
    Step(at=FIRST + 3 * HOUR, weights=(0.75, 0.0, 0.25)),
]
MARKS = [
    Mark(at=FIRST, kind=Kind.RELEASE, text="7"),
    Mark(at=FIRST + HOUR, kind=Kind.DECISION, text="advance"),
    Mark(at=FIRST + 3 * HOUR, kind=Kind.DECISION, text="roll back", harm=True),
]


def drawn() -> str:
    return ramp("Ramp", NAMES, STEPS, MARKS, FIRST + 5 * HOUR)


def test_the_result_tells_the_weights_and_what_happened() -> None:
    assert result(drawn()) == (
        "Weights: master 98% → 50% → 75%; test 1% → 25% → 0%; blue 1% → 25% → 25%. "
        "20 Oct 00:00 7; 20 Oct 01:00 advance; 20 Oct 03:00 roll back."
    )


def test_weights_are_steps_and_never_slopes() -> None:
    lines = of_class(drawn(), "line")
    assert len(lines) == len(NAMES)
    for line in lines:
        places = [tuple(map(float, place.split())) for place in (line.get("d") or "")[1:].split("L")]
        assert all(a[0] == b[0] or a[1] == b[1] for a, b in pairwise(places))


def test_every_branch_is_as_high_as_its_weight_and_all_together_are_the_whole() -> None:
    whole = sum(float(part.get("height") or 0) for part in of_class(drawn(), "area")[: len(NAMES)])
    heights = [[float(part.get("height") or 0) / whole for part in of_class(drawn(), f"s{place}")
                if "area" in (part.get("class") or "")] for place in range(len(NAMES))]  # fmt: skip
    assert [[round(each, 2) for each in parts] for parts in heights] == [
        [round(step.weights[place], 2) for step in STEPS] for place in range(len(NAMES))
    ]
    assert hints(drawn())[:3] == [
        "20 Oct 00:00: master 98%, test 1%, blue 1%",
        "20 Oct 01:00: master 50%, test 25%, blue 25%",
        "20 Oct 03:00: master 75%, test 0%, blue 25%",
    ]


def test_a_rollback_is_a_cross_and_no_other_mark_is() -> None:
    assert len(of_class(drawn(), "cross")) == 2
    assert len(of_class(drawn(), "mark")) == 2


def test_deploys_and_decisions_have_lanes_of_their_own() -> None:
    assert {"deploys", "decided"} <= set(labels(drawn()))
    assert "deploys" not in labels(ramp("t", NAMES, STEPS, MARKS[1:], FIRST))


def test_a_word_without_room_is_told_to_a_pointer() -> None:
    close = [Mark(at=FIRST + n * 1000, kind=Kind.DECISION, text=f"advance {n}") for n in range(3)]
    svg = ramp("t", NAMES, STEPS, close, FIRST + 5 * HOUR)
    assert [text for text in labels(svg) if text.startswith("advance")] == ["advance 2"]
    assert [hint for hint in hints(svg) if "advance" in hint] == [f"20 Oct 00:00: advance {n}" for n in range(3)]


def test_the_present_weights_stand_at_the_end_and_apart_from_each_other() -> None:
    assert {"master 75%", "test 0%", "blue 25%"} <= set(labels(drawn()))
    places = sorted(float(text.get("y") or 0) for text in of_class(drawn(), "strong"))
    assert all(below - above >= 14 for above, below in pairwise(places))


def test_without_weights_it_says_so() -> None:
    assert labels(ramp("t", NAMES, [], [], 0)) == ["No weight was given yet."]


@given(
    st.lists(
        st.builds(Step, at=st.floats(), weights=st.tuples(st.floats(), st.floats())),
        max_size=4,
    ),
    st.lists(st.builds(Mark, at=st.floats(), kind=st.sampled_from(Kind), text=st.text(), harm=st.booleans())),
    st.floats(),
)
def test_any_figures_make_a_chart(steps: list[Step], marks: list[Mark], until: float) -> None:
    for width in WIDTHS:
        read(ramp("t", ("a", "b"), steps, marks, until, width))
