"""How much of a time is left, in words."""

import pytest

from balancer.domain.remaining import remaining


@pytest.mark.parametrize(
    ("left", "whole", "said"),
    [
        (3541.2, 3600, "60 min of 1 h are left"),
        (590.5, 600, "10 min of 10 min are left"),
        (90.5, 600, "91 s of 10 min are left"),
        (0.2, 90, "1 s of 90 s are left"),
        (5 * 3600 + 1, 86_400, "6 h of 1 d are left"),
        (7 * 86_400 - 60, 7 * 86_400, "7 d of 7 d are left"),
        (0.0, 3600, "0 s of 1 h are left"),
    ],
)
def test_it_is_never_said_to_be_less_and_in_a_unit_that_one_can_think_in(left: float, whole: float, said: str) -> None:
    assert remaining(left, whole) == said
