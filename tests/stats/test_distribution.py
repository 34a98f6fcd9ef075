import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.stats.distribution import Bin, Distribution, Leading, distribution, leading


def of(*numbers: float) -> tuple[Bin, ...]:
    found = distribution(
        ["test"], {"test": len(numbers)}, [(leading("test", number), 1) for number in numbers if number]
    )
    return found.variants[0].bins


@pytest.mark.parametrize(
    ("number", "ends"),
    [
        (1.0, (1.0, 2.0)),
        (0.3, (0.3, 0.4)),
        (0.1 + 0.2, (0.3, 0.4)),
        (9.99, (9.0, 10.0)),
        (10.0, (10.0, 20.0)),
        (1000.0, (1000.0, 2000.0)),
        (0.07, (0.07, 0.08)),
        (-25.0, (-30.0, -20.0)),
    ],
)
def test_a_bin_has_one_digit_that_counts(number: float, ends: tuple[float, float]) -> None:
    (found,) = of(number)
    assert (found.low, found.high) == ends


@given(st.lists(st.floats(-1e9, 1e9)))
def test_every_number_is_in_its_bin_and_zeros_are_in_none(numbers: list[float]) -> None:
    numbers = [round(number, 6) for number in numbers]
    bins = of(*numbers)
    assert sum(each.visitors for each in bins) == sum(number != 0 for number in numbers)
    for each in bins:
        around = abs(each.low) * 1e-9 + abs(each.high) * 1e-9
        inside = sum(each.low - around <= number <= each.high + around for number in numbers)
        assert inside >= each.visitors


def test_a_logarithm_that_was_rounded_to_the_next_power_changes_no_bin() -> None:
    of_next = Leading(variant="test", negative=False, exponent=2, digit=10), 1
    of_last = Leading(variant="test", negative=False, exponent=3, digit=0), 1
    (found,) = distribution(["test"], {"test": 2}, [of_next, of_last]).variants
    assert [(each.low, each.high) for each in found.bins] == [(900.0, 1000.0), (1000.0, 2000.0)]


def test_parts_of_shards_add_up() -> None:
    parts = [(leading("test", 1.5), 2), (leading("test", 1.7), 3), (leading("master", 1.0), 1)]
    found = distribution(["master", "test"], {"master": 5, "test": 9}, parts)
    assert isinstance(found, Distribution)
    assert [(each.visitors, each.nothing) for each in found.variants] == [(5, 4), (9, 4)]
