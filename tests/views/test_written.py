import pytest

from balancer.charts.tone import Tone
from balancer.domain.metric import Better
from balancer.services.outcome import Reading
from balancer.stats.arm import Inconclusive, Reason
from balancer.views.written import chance, compared, counted, milliseconds, reading_tone, tone_of
from views.test_breakdowns import CLEAR


def test_a_tone_is_of_what_is_better_for_the_app() -> None:
    assert tone_of(CLEAR, Better.HIGHER, trusted=True) is Tone.GOOD
    assert tone_of(CLEAR, Better.LOWER, trusted=True) is Tone.BAD


def test_where_the_sample_ratio_alarms_nothing_has_a_tone() -> None:
    assert tone_of(CLEAR, Better.HIGHER, trusted=False) is Tone.OPEN


def test_what_is_not_known_has_no_tone_and_says_why() -> None:
    nothing = Inconclusive(reason=Reason.FEW_VISITORS)
    assert tone_of(nothing, Better.HIGHER, trusted=True) is Tone.OPEN
    assert compared(nothing, rate=True) == Reason.FEW_VISITORS.value


@pytest.mark.parametrize(
    ("reading", "better", "tone"),
    [
        (Reading.ABOVE, Better.HIGHER, Tone.GOOD),
        (Reading.ABOVE, Better.LOWER, Tone.BAD),
        (Reading.BELOW, Better.HIGHER, Tone.BAD),
        (Reading.BELOW, Better.LOWER, Tone.GOOD),
        (Reading.OPEN, Better.HIGHER, Tone.OPEN),
        (Reading.BROKEN_SPLIT, Better.HIGHER, Tone.OPEN),
    ],
)
def test_a_reading_has_the_tone_of_what_it_means(reading: Reading, better: Better, tone: Tone) -> None:
    assert reading_tone(reading, better) is tone


def test_a_time_is_the_same_in_every_zone() -> None:
    assert milliseconds("2026-03-01T13:00:00+01:00") == milliseconds("2026-03-01T12:00:00+00:00")


def test_one_is_not_many() -> None:
    assert [counted(count, "visitor") for count in (0, 1, 1200)] == ["0 visitors", "1 visitor", "1,200 visitors"]


def test_what_is_next_to_nothing_is_not_written_by_powers_of_ten() -> None:
    assert [chance(p) for p in (1.0, 0.0342, 0.0001, 0.00009, 3e-13)] == [
        "1",
        "0.034",
        "0.0001",
        "<0.0001",
        "<0.0001",
    ]
