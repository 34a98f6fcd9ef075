"""The hard stop: five 5xx in a row among the first 20 answers, where counters leave no other order."""

from itertools import groupby, permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.domain.hard_stop import Answers, five_in_a_row


def each(statuses: str) -> list[Answers]:
    """Return a sample an answer: `x` has failed."""
    return [Answers(failed=int(status == "x"), other=int(status != "x")) for status in statuses]


def happened(statuses: tuple[str, ...]) -> bool:
    """Tell whether five of the first 20 failed in a row."""
    return any(status == "x" and len(list(run)) >= 5 for status, run in groupby(statuses[:20]))


@pytest.mark.parametrize(
    ("statuses", "stopped"),
    [
        ("xxxxx", True),
        ("xxxx", False),
        ("xxxx.x", False),
        ("xxxx.xxxx.xxxx.xxxx.", False),
        ("." * 15 + "xxxxx", True),
        ("." * 16 + "xxxxx", False),
        ("." * 20 + "x" * 500, False),
        ("xxxxx" + "." * 500, True),
        ("", False),
    ],
)
def test_five_in_a_row_among_the_first_twenty_stop_where_each_answer_is_seen(statuses: str, stopped: bool) -> None:
    assert five_in_a_row(each(statuses)) is stopped


@pytest.mark.parametrize(
    ("samples", "stopped"),
    [
        ([(9, 1)], True),
        ([(8, 1)], False),
        ([(13, 2)], True),
        ([(12, 2)], False),
        ([(2, 0), (3, 0)], True),
        ([(4, 0), (0, 0), (1, 0)], True),
        ([(4, 0), (4, 1)], False),
        ([(4, 0), (5, 1)], True),
        ([(0, 16), (400, 0)], False),
        ([(0, 15), (400, 0)], True),
        ([(400, 3)], True),
        ([(400, 4)], False),
        ([], False),
    ],
)
def test_between_two_samples_it_stops_only_what_no_order_would_excuse(
    samples: list[tuple[int, int]], stopped: bool
) -> None:
    assert five_in_a_row(Answers(failed=failed, other=other) for failed, other in samples) is stopped


def orders(failed: int, other: int) -> set[tuple[str, ...]]:
    """Return every order in which these may have come."""
    return set(permutations("x" * failed + "." * other))


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1)), max_size=5), st.integers(0, 19))
def test_it_stops_exactly_where_every_order_has_five_in_a_row(samples: list[tuple[int, int]], good: int) -> None:
    begun = [(0, good), *samples]
    certain = all(
        happened(tuple("." * good) + tuple(status for part in ordered for status in part))
        for ordered in product(*(orders(*sample) for sample in samples))
    )
    assert five_in_a_row(Answers(failed=failed, other=other) for failed, other in begun) is certain


@given(st.text("x.", max_size=30))
def test_where_each_answer_is_seen_it_stops_exactly_what_happened(statuses: str) -> None:
    assert five_in_a_row(each(statuses)) is happened(tuple(statuses))


def test_counters_that_began_anew_are_refused() -> None:
    with pytest.raises(ValueError, match="began anew"):
        Answers(failed=-1, other=3)
